/**
 * Benchmarks, ours beside QEMU's TCG on the same kernel, initramfs, memory and vCPUs, taking turns in one run, beside v86
 * on 32-bit builds, and beside this computer itself. Prints one Markdown table.
 *
 *   node bench/run.ts [--runs 5] [--only boot,compute,debian,smp,disk,console,idle,nuc,native,v86] [--cpus 1] [--peers ours,tcg]
 *                     [--keep on|off] [--ours "arguments for acrn-dm"] [--v86 folder-of-the-package --v86-kernel bzImage [--cflags32 "-m32"]]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { available, type EmulatorName } from './emulators.ts';
import { benchImages } from './guest_image.ts';
import { nativeSections, ONCE, sections, type Bench } from './sections.ts';
import { Table, type Column } from './table.ts';
import { v86Compute } from './v86.ts';

/** parseArgs takes a value that begins with a dash only behind an equals sign. */
const args = process.argv.slice(2);
for (let i = 0; i + 1 < args.length; i += 1) {
  if (args[i] === '--ours' || args[i] === '--cflags32') args.splice(i, 2, `${args[i]}=${args[i + 1]}`);
}

const { values } = parseArgs({ args, options: {
  runs: { type: 'string', default: '5' }, only: { type: 'string', default: '' }, cpus: { type: 'string', default: '1' },
  memory: { type: 'string', default: '512' }, timeout: { type: 'string', default: '600' },
  peers: { type: 'string', default: 'ours,tcg' }, ours: { type: 'string', default: '' }, keep: { type: 'string', default: 'on' },
  v86: { type: 'string', default: '' }, 'v86-kernel': { type: 'string', default: '' }, cflags32: { type: 'string', default: '-m32' },
} });

const folder = mkdtempSync(join(tmpdir(), 'acrn-bench-'));
// What was compiled before this run is none of its business.
process.env.ACRN_JIT_KEEP = values.keep === 'off' ? 'off' : join(folder, 'jit');
const table = new Table();
const bench: Bench = {
  table,
  cpus: Number(values.cpus),
  settings: { images: benchImages(folder), memoryMiB: Number(values.memory), timeoutSeconds: Number(values.timeout), ours: values.ours.split(' ').filter(Boolean) },
};
const wanted = (section: string): boolean => values.only === '' || values.only.split(',').includes(section);
const peers = (values.peers.split(',') as EmulatorName[]).filter((peer) => {
  if (available(peer)) return true;
  table.note(`${peer}: qemu-system-x86_64 is not installed.`);
  return false;
});
const columns: Column[] = [...peers];
/** A failure costs its own rows, not the table. */
const attempt = (what: string, work: () => Promise<void>): Promise<void> => work().catch((error: unknown) => {
  process.exitCode = 1;
  table.note(`${what} failed: ${(error instanceof Error ? error.message : String(error)).split('\n', 1)[0]}`);
  process.stderr.write(`${String(error)}\n`);
});
const progress = (text: string): void => { process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`); };

try {
  for (const [name, section] of Object.entries(sections)) {
    if (!wanted(name)) continue;
    for (let turn = 0; turn < (ONCE.has(name) ? 1 : Number(values.runs)); turn += 1) {
      for (const peer of peers) {
        progress(`${name} ${turn + 1}: ${peer}`);
        await attempt(`${name} of ${peer}`, () => section(bench, peer));
      }
    }
  }
  const here = Object.entries(nativeSections).filter(([name]) => wanted(name) || wanted('native'));
  if (here.length > 0) columns.push('native');
  for (const [name, section] of here) {
    for (let turn = 0; turn < Number(values.runs); turn += 1) {
      progress(`${name} ${turn + 1}: native`);
      await attempt(`${name} of native`, () => section(bench));
    }
  }
  if (wanted('v86')) {
    columns.push('v86');
    await attempt('v86', async () => {
      const reason = await v86Compute(bench, { folder, packageDir: values.v86, kernel: values['v86-kernel'], cflags: values.cflags32.split(' ').filter(Boolean), runs: Number(values.runs), progress });
      if (reason !== undefined) {
        columns.pop();
        table.note(`v86 is left out: ${reason}.`);
      }
    });
  }
  table.note(values.keep === 'off' ? 'Each start is the first: compiled code is not kept.' : 'Compiled code is kept from turn to turn: the first ones find none.');
  table.note(`Cells are median [least-most] of ${values.runs} turns (${[...ONCE].join(', ')}: of one), ratios ours / theirs.`);
  for (const peer of columns) {
    const mean = table.computeMean(peer);
    if (peer !== 'ours' && mean !== undefined) table.note(`Geometric mean of the programs, ours / ${peer}: ${mean.toFixed(2)}`);
  }
} finally {
  console.log(table.markdown(columns));
  rmSync(folder, { recursive: true });
}
