/** Programs from Debian in the guest, and on this computer from the same files. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDir } from '../engine/machine/paths.ts';
import { type DebianImage, debianImage, enterTree, makeExt4 } from '../scripts/guest/debian_image.ts';
import { benchTimes, Guest, type EmulatorName } from './emulators.ts';
import type { Bench } from './sections.ts';
import type { Column } from './table.ts';

const JOB = fileURLToPath(new URL('debian/', import.meta.url));
const WORK_MIB = 16;
const SIGNATURES = 100;
const END = /WITNESS-END (\d+)/;

let userland: Promise<DebianImage> | undefined;
const debian = (): Promise<DebianImage> => (userland ??= debianImage(cacheDir(), (line) => process.stderr.write(`${line}\n`)));

/** `openssl speed -mr` tells operations a second, `+F2:index:bits:signatures:verifications`: seconds for fixed numbers of them, by row. */
export function rsaTimes(text: string): Map<string, number> {
  const times = new Map<string, number>();
  for (const [, bits, sign, verify] of text.matchAll(/^\+F2:\d+:(\d+):([\d.]+):([\d.]+)\r?$/gm)) {
    times.set(`openssl_rsa${bits}_sign${SIGNATURES}`, SIGNATURES / Number(sign));
    times.set(`openssl_rsa${bits}_verify${SIGNATURES}`, SIGNATURES / Number(verify));
  }
  return times;
}

function addTimes({ table }: Bench, column: Column, text: string): void {
  for (const [name, seconds] of [...benchTimes(text), ...rsaTimes(text)]) table.addProgram(name, column, seconds);
}

/** The root is the Debian image, the job lies on a second disk; what is measured happens in a tmpfs. */
export async function debianPrograms(bench: Bench, emulator: EmulatorName): Promise<void> {
  const { image } = await debian();
  const folder = mkdtempSync(join(tmpdir(), 'acrn-bench-debian-'));
  try {
    const work = join(folder, 'work.img');
    makeExt4(JOB, work, WORK_MIB);
    const guest = new Guest(emulator, {
      append: 'root=/dev/vda init=/usr/sbin/witness-init quiet', cpus: bench.cpus, disks: [{ path: image, readOnly: true }, { path: work }],
    }, { ...bench.settings, init: '/init' });
    await guest.until(END);
    await guest.ended;
    if (END.exec(guest.text)![1] !== '0') throw new Error(`the programs failed in the guest:\n${guest.text.slice(-2000)}`);
    addTimes(bench, emulator, guest.text);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same on this computer; rejects where the tree cannot be entered (root or user namespaces). */
export async function debianNative(bench: Bench): Promise<void> {
  const { tree } = await debian();
  const folder = mkdtempSync(join(tmpdir(), 'acrn-bench-debian-'));
  try {
    cpSync(JOB, folder, { recursive: true });
    const child = spawn(...enterTree(tree, folder), { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
    const code = await new Promise<number | null>((resolve, reject) => { child.on('error', reject).on('close', resolve); });
    if (code !== 0) throw new Error(`Debian's programs do not run on this computer (code ${code}): ${said.trim()}`);
    addTimes(bench, 'native', readFileSync(join(folder, 'out/log'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
