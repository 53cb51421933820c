/** What this computer gives to devices: the implementation of HostBackends. */
import path from 'node:path';
import type { CharBackend, CharBackendSpec, HostBackends } from '../devicemodel/backends_if.ts';
import { monotonicNs, random, setTimer, wallClockMs } from './clock.ts';
import { openDisk } from './disk.ts';
import { openFile } from './file.ts';
import { openPty } from './pty.ts';
import { openSocketClient, openSocketServer, openTcpServer } from './socket.ts';
import { openStdio } from './stdio.ts';
import { openTty } from './tty.ts';

export { tapConsole, type TappedConsole } from './console_tap.ts';

export interface HostOptions {
  /** Names named pipes and published links. */
  readonly vmName?: string;
  /** Folder of this user in which each pty gets a link named after the VM and its port, e.g. `vm1-pty_port`. */
  readonly runtimeDir?: string;
  /** Where named pipes are made; for tests. */
  readonly pipePrefix?: string;
  readonly platform?: NodeJS.Platform;
}

/** One object a VM: its options name the VM's nodes. */
export function createHostBackends(options: HostOptions = {}): HostBackends {
  return {
    openChar: (spec, owner) => openChar(spec, owner, options),
    openBlock: (file, blockOptions) => openDisk(file, blockOptions),
    random,
    wallClockMs,
    monotonicNs,
    setTimer,
  };
}

async function openChar(spec: CharBackendSpec, owner: string, options: HostOptions): Promise<CharBackend> {
  switch (spec.kind) {
    case 'stdio': return openStdio(owner);
    case 'tty': return openTty(spec.path, owner);
    case 'file': return openFile(spec.path, owner);
    case 'tcp': return openTcpServer(spec.port, owner);
    case 'socket': return spec.role === 'server' ? openSocketServer(spec.path, owner) : openSocketClient(spec.path, owner);
    case 'pty': return openTerminal(owner, options);
  }
}

/** Windows has no bare pseudo terminal: a named pipe takes its place, which terminal programs open as a serial line. */
function openTerminal(owner: string, options: HostOptions): Promise<CharBackend> {
  const name = `${fileName(options.vmName ?? String(process.pid))}-${fileName(portOf(owner))}`;
  if ((options.platform ?? process.platform) === 'win32') return openSocketServer(`${options.pipePrefix ?? '\\\\.\\pipe\\'}acrn-${name}`, owner);
  return openPty(owner, options.runtimeDir === undefined ? undefined : path.join(options.runtimeDir, name));
}

/** 'virtio-console pty_port' -> 'pty_port'; 'com1' stays. */
function portOf(owner: string): string { return owner.slice(owner.indexOf(' ') + 1); }
function fileName(text: string): string { return text.replaceAll(/[^A-Za-z0-9_.-]/g, '_').replace(/^\.+/, '_'); }
