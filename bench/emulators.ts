/** Starts the benchmark's guest on one of the emulators and watches what it prints. Times are seconds since the start. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layout } from '../engine/core/tables/layout.ts';
import type { BenchImages } from './guest_image.ts';

export interface GuestSpec {
  /** Appended to the common part of the kernel's command line. */
  append: string;
  cpus: number;
  /** Raw images on virtio-blk. */
  disks?: Array<{ path: string; readOnly?: boolean }>;
  /** A virtio-console on a pty. */
  pty?: boolean;
}

export interface Settings { images: BenchImages; memoryMiB: number; timeoutSeconds: number; ours: string[]; /** Default: the benchmark's own. */ init?: string }

export type EmulatorName = 'ours' | 'tcg';

const PTY_LINE: Record<EmulatorName, RegExp> = { ours: /virt-console backend redirected to (\S+)/, tcg: /char device redirected to (\S+)/ };
const BOARD_PCPUS = 4;
const FIRST_DISK_SLOT = 4;
const TICKS_A_SECOND = 100; // USER_HZ
const PAGE_BYTES = 4096;
/** An entry of /proc/PID/pagemap; its last bit says that the page is there. */
const PAGEMAP_BYTES = 8;

export function available(name: EmulatorName): boolean {
  return name === 'ours' || spawnSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' }).status === 0;
}

function commandLine(name: EmulatorName, spec: GuestSpec, settings: Settings, firstPcpu: number): [string, string[]] {
  const { images, memoryMiB } = settings;
  const disks = spec.disks ?? [];
  const append = `rdinit=${settings.init ?? '/bench-init'} console=ttyS0 ${disks.length > 0 || spec.pty ? 'modules=1 ' : ''}${spec.append}`;
  if (name === 'ours') {
    const dm = fileURLToPath(new URL('../engine/cli/bin/acrn-dm.mjs', import.meta.url));
    const pcpus = Array.from({ length: spec.cpus }, (_, i) => (firstPcpu + i) % BOARD_PCPUS).join(',');
    return [process.execPath, [dm, ...settings.ours, '-A', '-m', `${memoryMiB}M`, '--cpu_affinity', pcpus, '-s', '0:0,hostbridge', '-s', '1:0,lpc', '-l', 'com1,stdio',
      ...disks.flatMap(({ path, readOnly }, i) => ['-s', `${FIRST_DISK_SLOT + i},virtio-blk,${path},${readOnly ? 'ro' : 'writeback'}`]), ...(spec.pty ? ['-s', '3,virtio-console,@pty:bench'] : []),
      '-k', images.kernel, '-r', images.ramdisk, '-B', append, `bench${firstPcpu}`]];
  }
  return ['qemu-system-x86_64', ['-accel', 'tcg', '-m', String(memoryMiB), '-smp', String(spec.cpus), '-display', 'none', '-nodefaults', '-serial', 'stdio', '-no-reboot',
    ...disks.flatMap(({ path, readOnly }, i) => ['-drive', `file=${path},if=none,id=d${i},format=raw,readonly=${readOnly ? 'on' : 'off'}`, '-device', `virtio-blk-pci,drive=d${i}`]),
    ...(spec.pty ? ['-device', 'virtio-serial-pci', '-chardev', 'pty,id=c0', '-device', 'virtconsole,chardev=c0'] : []),
    '-kernel', images.kernel, '-initrd', images.ramdisk, '-append', append]];
}

export class Guest {
  readonly name: EmulatorName;
  readonly ended: Promise<number>;
  text = '';
  readonly #child: ChildProcess;
  readonly #start = performance.now();
  readonly #waiting = new Set<() => void>();
  #over = false;

  /** @param firstPcpu of the BSP, so that guests that run side by side differ */
  constructor(name: EmulatorName, spec: GuestSpec, settings: Settings, firstPcpu = 1) {
    this.name = name;
    const [command, args] = commandLine(name, spec, settings, firstPcpu);
    const runtime = mkdtempSync(join(tmpdir(), 'acrn-bench-run-'));
    const child = spawn(command, args, { env: { ...process.env, ACRN_DESKTOP_RUNTIME: runtime }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    const killer = setTimeout(() => child.kill('SIGKILL'), settings.timeoutSeconds * 1000);
    const take = (chunk: Buffer): void => {
      this.text += chunk.toString('latin1');
      for (const look of this.#waiting) look();
    };
    child.stdout!.on('data', take);
    child.stderr!.on('data', take);
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', () => {
        clearTimeout(killer);
        rmSync(runtime, { recursive: true, force: true });
        this.#over = true;
        for (const look of this.#waiting) look();
        resolve(this.seconds);
      });
    });
  }

  get pid(): number { return this.#child.pid!; }
  get seconds(): number { return (performance.now() - this.#start) / 1000; }

  /** Resolves with the time at which the guest had printed it. */
  until(wanted: string | RegExp): Promise<number> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = typeof wanted === 'string' ? this.text.includes(wanted) : wanted.test(this.text);
        if (!found && !this.#over) return;
        this.#waiting.delete(look);
        if (found) resolve(this.seconds);
        else reject(new Error(`${this.name} ended without ${String(wanted)}. Its last output:\n${this.text.slice(-2000)}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** The host node of its virtio-console. */
  async pty(): Promise<string> {
    await this.until(PTY_LINE[this.name]);
    return PTY_LINE[this.name].exec(this.text)![1];
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  /** CPU time of the process so far, seconds. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }

  /** See residentMiB. */
  memoryMiB(): { all: number; guest: number } { return residentMiB(this.pid, this.name === 'ours' ? layout.RAM_BASE : 0); }
}

/**
 * Resident memory of a process, and of the guests' RAM in it: the largest mapping, here of RAM_BASE on, where the core's own tables
 * lie below. Both in MiB.
 */
export function residentMiB(pid: number, ramAt: number = layout.RAM_BASE): { all: number; guest: number } {
  let all = 0;
  let mapping: readonly [start: number, end: number] = [0, 0];
  let last = mapping;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range !== null) last = [Number.parseInt(range[1], 16), Number.parseInt(range[2], 16)];
    const kib = Number(/^Rss: +(\d+) kB/.exec(line)?.[1] ?? 0);
    all += kib;
    if (kib > 0 && last[1] - last[0] > mapping[1] - mapping[0]) mapping = last;
  }
  const pages = Buffer.alloc((mapping[1] - mapping[0] - ramAt) / PAGE_BYTES * PAGEMAP_BYTES);
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  readSync(fd, pages, 0, pages.length, (mapping[0] + ramAt) / PAGE_BYTES * PAGEMAP_BYTES);
  closeSync(fd);
  let present = 0;
  for (let at = PAGEMAP_BYTES - 1; at < pages.length; at += PAGEMAP_BYTES) present += pages[at] >>> 7;
  return { all: all / 1024, guest: present * PAGE_BYTES / 2 ** 20 };
}

/** `FIGURE name value` lines. */
export function figures(text: string): Map<string, number> {
  return new Map([...text.matchAll(/FIGURE (\w+) ([\d.]+)/g)].map(([, name, value]) => [name, Number(value)]));
}

/** `BENCH name seconds` lines. */
export function benchTimes(text: string): Map<string, number> {
  return new Map([...text.matchAll(/BENCH (\w+) ([\d.]+)/g)].map(([, name, value]) => [name, Number(value)]));
}
