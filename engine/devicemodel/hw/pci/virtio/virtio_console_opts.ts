/**
 * Options of `-s n,virtio-console,<port>[,<port>...]`.
 *
 * @spec   ACRN hw/pci/virtio/virtio_console.c virtio_console_init, virtio_console_add_backend
 * @cover  #Y console mark `@`, five backends, socket roles, all messages
 */
import { HostError } from '../../../../lib/errors.ts';
import type { CharBackendSpec } from '../../../backends_if.ts';

export const VIRTIO_CONSOLE_MAXPORTS = 16;
const PORT_NAME_MAX = 255;
const FORM = 'Form: [@]stdio|tty|pty|file|socket:<name>[=<path>[:server|client]], at most 16 of them separated by commas.';

export interface ConsolePortOptions {
  readonly name: string;
  /** `@`: hvc in Linux, else a plain serial port. */
  readonly isConsole: boolean;
  readonly backend: CharBackendSpec;
}

/** Throws HostError with ACRN's words. */
export function parseConsoleOptions(opts: string | undefined): ConsolePortOptions[] {
  if (opts === undefined || opts === '') throw bad('vtcon: please at least config portname');
  const words = opts.split(',');
  if (words.length > VIRTIO_CONSOLE_MAXPORTS) throw bad(`vtcon: ${words.length} ports, at most ${VIRTIO_CONSOLE_MAXPORTS} are possible`);
  const ports = words.map(parsePort);
  if (ports.filter(({ backend }) => backend.kind === 'stdio').length > 1) throw bad('vtcon: stdio is used by other device');
  return ports;
}

function parsePort(word: string): ConsolePortOptions {
  const isConsole = word.startsWith('@');
  const text = isConsole ? word.slice(1) : word;
  const colon = text.indexOf(':');
  const type = (colon < 0 ? text : text.slice(0, colon)).toLowerCase();
  const rest = colon < 0 ? '' : text.slice(colon + 1);
  const equals = rest.indexOf('=');
  const name = equals < 0 ? rest : rest.slice(0, equals);
  const path = equals < 0 ? '' : rest.slice(equals + 1);
  if (name === '') throw bad('vtcon: please at least config portname');
  if (new TextEncoder().encode(name).length > PORT_NAME_MAX) throw bad(`vtcon: port name longer than ${PORT_NAME_MAX} bytes`);
  return { name, isConsole, backend: backendOf(type, name, path) };
}

function backendOf(type: string, name: string, path: string): CharBackendSpec {
  switch (type) {
    case 'stdio': return { kind: 'stdio' };
    case 'pty': return { kind: 'pty' };
    case 'tty':
    case 'file':
      if (path === '') throw bad(`vtcon: portpath missing for ${name}`);
      return { kind: type, path };
    case 'socket': {
      const match = /^(.*?)(?::([^:/\\]*))?$/.exec(path); // a drive letter's or pipe's colon is followed by a separator
      const socketPath = match?.[1] ?? '';
      const role = match?.[2] ?? 'server';
      if (socketPath === '') throw bad(`vtcon: portpath missing for ${name}`);
      if (role !== 'server' && role !== 'client') throw bad('Socket type not exist');
      return { kind: 'socket', path: socketPath, role };
    }
    default: throw bad(`vtcon: invalid backend ${type}!`);
  }
}

function bad(what: string): HostError {
  return new HostError('VIRTIO_CONSOLE_OPTION', { what, why: 'virtio-console cannot be created', todo: FORM });
}
