/**
 * Software that nobody here wrote, run twice: in a guest, and on this computer from the same files. A job is a shell
 * script with inputs below /work; whatever it leaves in /work/out is compared byte for byte.
 *
 * @differ The guest sees the processor that its CPU model describes, this computer has its own: a program that chooses
 *         other instructions on each must still say the same.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDir, guestImages } from '../../engine/index.ts';
import { type DebianImage, debianImage, enterTree, makeExt4 } from '../../scripts/guest/debian_image.ts';
import { acrnDm, Transcript } from './harness.ts';

export interface Job {
  name: string;
  /** files below /work, by name */
  inputs?: Record<string, string | Uint8Array>;
  /** /work/run.sh, run by bash in /work */
  script: string;
  vcpus?: number;
  memory?: string;
  cpuModel?: 'v1' | 'v2' | 'nuc';
  /** The guest is switched off after this long. */
  deadlineMs: number;
}

export interface Outcome {
  code: number;
  seconds: number;
  /** the script's own output */
  log: string;
  /** what it left in /work/out, by path */
  files: Map<string, Buffer>;
}

/** The long tier runs on request, and only where the tree can be entered. */
export const FULL = process.env['ACRN_TEST_FULL'] === '1' && process.platform === 'linux' && process.arch === 'x64';

let userland: Promise<DebianImage> | undefined;
export const witnessImage = (): Promise<DebianImage> => (userland ??= debianImage(cacheDir(), console.log));

function filesBelow(dir: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(dir.length + 1), readFileSync(path));
  }
  return files;
}

/** Writes the job's files as the contents of /work. */
function writeWork(job: Job, dir: string): void {
  for (const [path, data] of Object.entries(job.inputs ?? {})) {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), data);
  }
  writeFileSync(join(dir, 'run.sh'), job.script);
}

function outcome(code: number, startedAt: number, out: string): Outcome {
  const files = filesBelow(out);
  const log = files.get('log')?.toString('utf8') ?? '';
  files.delete('log');
  return { code, seconds: Math.round((performance.now() - startedAt) / 100) / 10, log, files };
}

/** Ends a process that has outlived its deadline; returns the end of the watch. */
function watch(child: ChildProcess, deadlineMs: number): () => void {
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  return () => clearTimeout(timer);
}

const WORK_MIB = 512;

/** Runs a job in a VM whose root is the Debian image. Rejects when the guest does not get to its end. */
export async function runInGuest(job: Job): Promise<Outcome> {
  const { image } = await witnessImage();
  const { kernel, ramdisk } = guestImages();
  const dir = mkdtempSync(join(tmpdir(), 'acrn-witness-'));
  try {
    mkdirSync(join(dir, 'work'));
    writeWork(job, join(dir, 'work'));
    const disk = join(dir, 'work.img');
    makeExt4(join(dir, 'work'), disk, WORK_MIB);
    const startedAt = performance.now();
    const run = acrnDm([
      '-A', '-m', job.memory ?? '1024M', '--cpu_affinity', job.vcpus === 1 ? '0' : `0-${(job.vcpus ?? 2) - 1}`, '--cpu_model', job.cpuModel ?? 'nuc',
      '-s', '0:0,hostbridge', '-s', `1,virtio-blk,${image},ro`, '-s', `2,virtio-blk,${disk}`, '-s', '3,virtio-rnd', '-s', '4,virtio-console,@stdio:console',
      '-k', kernel, '-r', ramdisk, '-B', 'root=/dev/vda console=hvc0 init=/usr/sbin/witness-init', `witness-${job.name}`,
    ], { ...process.env, ACRN_DESKTOP_RUNTIME: join(dir, 'run'), ACRN_DESKTOP_DATA: join(dir, 'data') });
    if (process.env['ACRN_WITNESS_SHOW']) run.process.stdout.pipe(process.stderr); // the guest's console as it comes
    const unwatch = watch(run.process, job.deadlineMs);
    try {
      const [, code] = await run.output.expect(/WITNESS-END (\d+)/);
      await run.exit;
      execFileSync('/sbin/debugfs', ['-R', `rdump /out ${dir}`, disk], { stdio: 'ignore' });
      return outcome(Number(code), startedAt, join(dir, 'out'));
    } catch (error) {
      run.process.kill('SIGKILL');
      await run.exit;
      keepUnfinished(job.name, disk, run.output.text);
      throw error;
    } finally {
      unwatch();
      run.process.kill('SIGKILL');
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The guest has no AVX and no FMA, whose libm rounds differently: this computer's glibc does without them as well. */
const HWCAPS = `glibc.cpu.hwcaps=${['AVX', 'AVX2', 'AVX512F', 'FMA', 'FMA4'].map((name) => `-${name}`).join(',')}`;

/** Runs a job on this computer from the same tree. */
export async function runHere(job: Job): Promise<Outcome> {
  const { tree } = await witnessImage();
  const work = mkdtempSync(join(tmpdir(), 'acrn-witness-'));
  try {
    writeWork(job, work);
    const startedAt = performance.now();
    const child = spawn(...enterTree(tree, work), { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, GLIBC_TUNABLES: HWCAPS } });
    const said = new Transcript();
    child.stdout.on('data', (chunk: Buffer) => said.add(chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => said.add(chunk.toString('utf8')));
    const unwatch = watch(child, job.deadlineMs);
    const code = await new Promise<number>((ended) => child.on('close', (status) => ended(status ?? 1)));
    unwatch();
    if (!said.text.includes('WITNESS-START')) throw new Error(`the tree cannot be entered on this computer: ${said.text.trim()}`);
    return outcome(code, startedAt, join(work, 'out'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Paths whose contents are not the same, one line each. */
export function differences(guest: Outcome, here: Outcome): string[] {
  const lines: string[] = [];
  for (const path of [...new Set([...guest.files.keys(), ...here.files.keys()])].sort()) {
    const [a, b] = [guest.files.get(path), here.files.get(path)];
    if (!a || !b) lines.push(`${path}: only ${a ? 'in the guest' : 'on this computer'}`);
    else if (!a.equals(b)) lines.push(`${path}: ${firstDifference(a, b)}`);
  }
  return lines;
}

function firstDifference(guest: Buffer, here: Buffer): string {
  let at = 0;
  while (at < guest.length && at < here.length && guest[at] === here[at]) at += 1;
  const near = (bytes: Buffer) => JSON.stringify(bytes.subarray(Math.max(0, at - 16), at + 32).toString('latin1'));
  return `differs at byte ${at}: guest ${near(guest)}, this computer ${near(here)}`;
}

const RECORDS = fileURLToPath(new URL('../../build/witness', import.meta.url));

/** Keeps the console and what had reached the disk of a guest that did not get to its end. */
function keepUnfinished(name: string, disk: string, console: string): void {
  const dir = join(RECORDS, `${name}.unfinished`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'console'), console);
  spawnSync('/sbin/e2fsck', ['-fy', disk], { stdio: 'ignore' }); // replays the journal
  spawnSync('/sbin/debugfs', ['-R', `rdump /out ${dir}`, disk], { stdio: 'ignore' });
}

/** Keeps what a witness said, for docs/witness.md and for whoever looks into a failure. */
export function record(name: string, result: object, outcomes: Record<string, Outcome> = {}): void {
  mkdirSync(RECORDS, { recursive: true });
  writeFileSync(join(RECORDS, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  for (const [where, { log, files }] of Object.entries(outcomes)) {
    const dir = join(RECORDS, `${name}.${where}`);
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'log'), log);
    for (const [path, data] of files) {
      mkdirSync(join(dir, path, '..'), { recursive: true });
      writeFileSync(join(dir, path), data);
    }
  }
}

/** Fixed bytes of any length that no cipher or digest finds regular (xorshift32). */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13; x ^= x >>> 17; x ^= x << 5;
    bytes[i] = x >>> 24;
  }
  return bytes;
}
