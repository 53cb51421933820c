/**
 * The compute set built for 32 bits, on the same 32-bit kernel and initramfs here and in v86. Both v86 (an npm package)
 * and a 32-bit kernel come from outside: without them, or without a compiler for 32 bits, there is a reason instead.
 */
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpio, type CpioEntry } from '../scripts/guest/cpio.ts';
import { benchTimes, Guest } from './emulators.ts';
import { compile, DONE } from './guest_image.ts';
import type { Bench } from './sections.ts';

export interface V86Options {
  folder: string;
  /** Where the package lies; '' looks in node_modules. */
  packageDir: string;
  /** A 32-bit bzImage. */
  kernel: string;
  /** Flags that make gcc build for 32 bits. */
  cflags: string[];
  runs: number;
  progress(text: string): void;
}

/** What the child that runs v86 is told. */
export interface V86Job { packageDir: string; bios: string; vgaBios: string; kernel: string; ramdisk: string; memoryMiB: number; cmdline: string; done: string }

const BIOS = '/usr/share/seabios/bios.bin';
const VGA_BIOS = '/usr/share/seabios/vgabios-stdvga.bin';
const CMDLINE = 'rdinit=/init console=ttyS0 quiet';

function findPackage(given: string): string | undefined {
  if (given !== '') return existsSync(join(given, 'build/v86.wasm')) ? given : undefined;
  try {
    return dirname(createRequire(import.meta.url).resolve('v86/package.json'));
  } catch {
    return undefined;
  }
}

function image32(folder: string, cflags: string[]): string {
  const entries: CpioEntry[] = [{ kind: 'dir', path: 'dev' }, { kind: 'dir', path: 'bench' }];
  const add = (path: string, file: string): void => { entries.push({ kind: 'file', path, data: readFileSync(file), mode: 0o755 }); };
  for (const program of compile('programs', join(folder, 'bench32'), cflags)) add(`bench/${basename(program)}`, program);
  for (const tool of compile('tools32', join(folder, 'tools32'), cflags)) add(basename(tool), tool);
  const path = join(folder, 'bench32.initrd');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, cpio(entries));
  return path;
}

function runV86(job: V86Job, timeoutSeconds: number): Promise<Map<string, number>> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('v86_child.ts', import.meta.url)), [], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    const killer = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => { text += chunk.toString('latin1'); });
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(killer);
      if (text.includes(DONE)) resolve(benchTimes(text));
      else reject(new Error(`v86 did not finish. Its last output:\n${text.slice(-1500)}`));
    });
    child.send(job);
  });
}

/** Adds the rows; a text says why there are none. */
export async function v86Compute({ table, settings }: Bench, options: V86Options): Promise<string | undefined> {
  const packageDir = findPackage(options.packageDir);
  if (packageDir === undefined) return 'the npm package v86 is neither in node_modules nor at --v86';
  if (!existsSync(options.kernel)) return 'no 32-bit kernel was given with --v86-kernel';
  if (!existsSync(BIOS) || !existsSync(VGA_BIOS)) return `SeaBIOS is not at ${dirname(BIOS)}`;
  let ramdisk: string;
  try {
    ramdisk = image32(options.folder, options.cflags);
  } catch {
    return 'gcc does not build for 32 bits here (see --cflags32)';
  }
  const job: V86Job = { packageDir, bios: BIOS, vgaBios: VGA_BIOS, kernel: options.kernel, ramdisk, memoryMiB: settings.memoryMiB, cmdline: CMDLINE, done: DONE };
  for (let turn = 0; turn < options.runs; turn += 1) {
    options.progress(`v86 ${turn + 1}: ours`);
    const guest = new Guest('ours', { append: 'quiet', cpus: 1 }, { ...settings, images: { ...settings.images, kernel: options.kernel, ramdisk }, init: '/init' });
    await guest.until(DONE);
    await guest.kill();
    for (const [name, seconds] of benchTimes(guest.text)) table.addProgram(`${name}, 32-bit`, 'ours', seconds);
    options.progress(`v86 ${turn + 1}: v86`);
    for (const [name, seconds] of await runV86(job, settings.timeoutSeconds)) table.addProgram(`${name}, 32-bit`, 'v86', seconds);
  }
  return undefined;
}
