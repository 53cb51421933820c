/** What is measured: each section adds its rows for one emulator. */
import { execFile } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { debianNative, debianPrograms } from './debian.ts';
import { benchTimes, figures, Guest, type EmulatorName, type Settings } from './emulators.ts';
import { DONE, MARKER } from './guest_image.ts';
import { nucMemory } from './nuc.ts';
import type { Table } from './table.ts';

const run = promisify(execFile);
const DISK_MIB = 256;
const DISK_SECONDS = 2;
const FLOOD_MB = 32;
const KEYSTROKES = 101;
const SETTLE_MS = 5_000;
const WATCH_MS = 20_000;
const LOOP_ITERATIONS = 100_000_000;

export interface Bench { table: Table; settings: Settings; cpus: number }
export type Section = (bench: Bench, emulator: EmulatorName) => Promise<void>;

async function boot({ table, settings, cpus: vcpus }: Bench, emulator: EmulatorName): Promise<void> {
  const guest = new Guest(emulator, { append: 'earlyprintk=ttyS0', cpus: vcpus }, settings);
  table.add('first kernel line', 's', emulator, await guest.until('Linux version'), '< 1.5 s');
  table.add('first kernel line, CPU time', 's', emulator, guest.cpuSeconds());
  table.add(`boot to marker, ${vcpus} vCPU`, 's', emulator, await guest.until(MARKER), '1.5 x TCG, aim 1.0');
  table.add(`boot to marker, ${vcpus} vCPU, CPU time`, 's', emulator, guest.cpuSeconds());
  await guest.ended;
}

async function compute({ table, settings }: Bench, emulator: EmulatorName): Promise<void> {
  const guest = new Guest(emulator, { append: 'bench=all quiet', cpus: 1 }, settings);
  await guest.until(DONE);
  await guest.ended;
  for (const [name, seconds] of benchTimes(guest.text)) table.addProgram(name, emulator, seconds);
}

/** The same programs on this computer's own CPU. */
async function computeNative({ table, settings }: Bench): Promise<void> {
  for (const program of settings.images.programs) {
    for (const [name, seconds] of benchTimes((await run(program, [])).stdout)) table.addProgram(name, 'native', seconds);
  }
}

/** How much two busy vCPUs do of what one does in the same time. */
async function smp({ table, settings }: Bench, emulator: EmulatorName): Promise<void> {
  const guest = new Guest(emulator, { append: `pair=${LOOP_ITERATIONS} quiet`, cpus: 2 }, settings);
  await guest.until(DONE);
  await guest.ended;
  const [, a, b, c] = /PAIR ([\d.]+) ([\d.]+) ([\d.]+)/.exec(guest.text)!.map(Number);
  table.add(`work of 2 busy vCPUs on ${cpus().length} host CPUs`, 'x of 1', emulator, (2 * (b - a)) / (c - b), '>= 1.8');
}

/** Every emulator gets the same image, in this computer's page cache. */
async function disk({ table, settings }: Bench, emulator: EmulatorName): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'acrn-bench-disk-'));
  const image = join(folder, 'disk.img');
  try {
    const fd = openSync(image, 'w');
    const piece = Buffer.alloc(1 << 20, 0xa5);
    for (let i = 0; i < DISK_MIB; i += 1) writeSync(fd, piece);
    closeSync(fd);
    const guest = new Guest(emulator, { append: `disk=${DISK_SECONDS} quiet`, cpus: 1, disks: [{ path: image }] }, settings);
    await guest.until(DONE);
    await guest.ended;
    for (const [name, value] of figures(guest.text)) table.add(name, name.includes('seq') ? 'MB/s' : 'IO/s', emulator, value, name === 'blk_seqread' ? '>= 0.7 x TCG' : '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function consoles({ table, settings }: Bench, emulator: EmulatorName): Promise<void> {
  const guest = new Guest(emulator, { append: 'talk=hvc0 quiet', cpus: 1, pty: true }, settings);
  let other: Guest | undefined;
  try {
    const pty = await guest.pty();
    await guest.until(MARKER);
    await sleep(SETTLE_MS);
    const terminal = async (...args: string[]): Promise<Map<string, number>> => figures((await run(settings.images.terminal, [pty, ...args])).stdout);
    const flood = await terminal('flood', String(FLOOD_MB));
    table.add('console flood to the PTY', 'MB/s', emulator, flood.get('console_flood')!, '>= 10');
    table.add('console flood, bytes lost', 'bytes', emulator, flood.get('console_lost')!, '0');
    const echo = async (when: string): Promise<void> => {
      const times = await terminal('echo', String(KEYSTROKES));
      table.add(`keystroke echo, ${when}, median`, 'ms', emulator, times.get('echo_median')!, '< 20 ms');
      table.add(`keystroke echo, ${when}, 95 %`, 'ms', emulator, times.get('echo_p95')!);
    };
    await echo('idle');
    other = new Guest(emulator, { append: 'busy=1 quiet', cpus: 1 }, settings, 2);
    await other.until(MARKER);
    await echo('another VM busy');
  } finally {
    await guest.kill();
    await other?.kill();
  }
}

/** CPU and memory of booted guests that do nothing. */
async function idle({ table, settings }: Bench, emulator: EmulatorName): Promise<void> {
  const guests: Guest[] = [];
  try {
    for (const count of [1, 4]) {
      while (guests.length < count) guests.push(new Guest(emulator, { append: 'idle=1 quiet', cpus: 1 }, settings, guests.length));
      await Promise.all(guests.map((guest) => guest.until(MARKER)));
      await sleep(SETTLE_MS);
      const before = guests.map((guest) => guest.cpuSeconds());
      const start = performance.now();
      await sleep(WATCH_MS);
      const spent = guests.reduce((sum, guest, i) => sum + guest.cpuSeconds() - before[i], 0);
      table.add(`CPU of ${count} idle VM${count > 1 ? 's' : ''}`, '% of a core', emulator, (spent / (performance.now() - start)) * 1e5, count > 1 ? '< 8' : '< 2');
      if (count > 1) continue;
      const { all, guest } = guests[0].memoryMiB();
      table.add('memory beyond what the guest touched', 'MiB', emulator, all - guest, '<= 350');
      table.add('resident in all, 512 MiB guest', 'MiB', emulator, all);
    }
  } finally {
    await Promise.all(guests.map((guest) => guest.kill()));
  }
}

/** In the order of the table. */
export const sections: Record<string, Section> = { boot, compute, debian: debianPrograms, smp, disk, console: consoles, idle, nuc: nucMemory };

/** What the programs of a section take on this computer itself. */
export const nativeSections: Record<string, (bench: Bench) => Promise<void>> = { compute: computeNative, debian: debianNative };

/** Sections whose figures are steady enough for one turn. */
export const ONCE = new Set(['idle', 'nuc']);
