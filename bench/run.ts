/**
 * Boot and compute benchmarks, ours beside QEMU's TCG on the same kernel, initramfs, memory and vCPUs, taking turns in
 * one run: `node bench/run.ts [--runs 5] [--cpus 1] [--only boot|compute]`. Prints medians and ratios.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DONE, MARKER, benchImages } from './guest_image.ts';

const { values } = parseArgs({ options: {
  runs: { type: 'string', default: '5' }, cpus: { type: 'string', default: '1' }, only: { type: 'string', default: '' },
  memory: { type: 'string', default: '512' }, timeout: { type: 'string', default: '600' }, ours: { type: 'string', default: '' }, peers: { type: 'string', default: 'ours,tcg' },
} });

interface Outcome { firstLine: number; marker: number; total: number; bench: Map<string, number> }

/** Runs one emulator to the end of its guest; times are seconds since its start. */
function runGuest(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const at = () => (performance.now() - start) / 1000;
    const outcome: Outcome = { firstLine: NaN, marker: NaN, total: NaN, bench: new Map() };
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const killer = setTimeout(() => child.kill('SIGKILL'), Number(values.timeout) * 1000);
    let text = '';
    const look = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (Number.isNaN(outcome.firstLine) && text.includes('Linux version')) outcome.firstLine = at();
      if (Number.isNaN(outcome.marker) && text.includes(MARKER)) outcome.marker = at();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(killer);
      outcome.total = at();
      for (const [, name, seconds] of text.matchAll(/BENCH (\w+) ([\d.]+)/g)) outcome.bench.set(name, Number(seconds));
      if (!text.includes(DONE)) reject(new Error(`${command} did not finish. Its last output:\n${text.slice(-3000)}`));
      else resolve(outcome);
    });
  });
}

const median = (list: number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const images = benchImages(join(mkdtempSync(join(tmpdir(), 'acrn-bench-'))));
const dm = fileURLToPath(new URL('../engine/cli/bin/acrn-dm.mjs', import.meta.url));
const cpus = Number(values.cpus);
const cpuList = Array.from({ length: cpus }, (_, i) => (i + 1) % 4).join(',');

const peers: Record<string, (append: string) => Promise<Outcome>> = {
  ours: (append) => runGuest(process.execPath, [dm, ...values.ours.split(' ').filter(Boolean), '-A', '-m', `${values.memory}M`, '--cpu_affinity', cpuList, '-s', '0:0,hostbridge', '-s', '1:0,lpc', '-l', 'com1,stdio',
    '-k', images.kernel, '-r', images.ramdisk, '-B', append, 'bench'], { ...process.env, ACRN_DESKTOP_RUNTIME: mkdtempSync(join(tmpdir(), 'acrn-bench-run-')) }),
  tcg: (append) => runGuest('qemu-system-x86_64', ['-accel', 'tcg', '-m', values.memory, '-smp', values.cpus, '-display', 'none', '-nodefaults', '-serial', 'stdio', '-no-reboot',
    '-kernel', images.kernel, '-initrd', images.ramdisk, '-append', append], process.env),
};
if (!existsSync('/usr/bin/qemu-system-x86_64')) delete peers['tcg'];
const chosen = values.peers.split(',').filter((p) => peers[p]);

async function series(append: string): Promise<Map<string, Outcome[]>> {
  const outcomes = new Map<string, Outcome[]>(chosen.map((p) => [p, []]));
  for (let i = 0; i < Number(values.runs); i += 1) for (const peer of chosen) outcomes.get(peer)!.push(await peers[peer](append));
  return outcomes;
}

function row(name: string, figures: Map<string, number[]>): void {
  const medians = chosen.map((p) => median(figures.get(p)!));
  const ratio = medians.length > 1 ? (medians[0] / medians[1]).toFixed(2) : '';
  const ranges = chosen.map((p) => `${median(figures.get(p)!).toFixed(3)} [${Math.min(...figures.get(p)!).toFixed(3)}-${Math.max(...figures.get(p)!).toFixed(3)}]`);
  console.log(`| ${name} | ${ranges.join(' | ')} | ${ratio} |`);
}

console.log(`| seconds, median of ${values.runs}, ${cpus} vCPU | ${chosen.join(' | ')} | ratio |\n|---|${chosen.map(() => '---|').join('')}---|`);
const base = 'rdinit=/bench-init console=ttyS0';
if (values.only !== 'compute') {
  const boots = await series(base);
  const pick = (f: (o: Outcome) => number) => new Map([...boots].map(([p, list]) => [p, list.map(f)]));
  row('first kernel line', pick((o) => o.firstLine));
  row('boot to marker', pick((o) => o.marker));
}
if (values.only !== 'boot') {
  const runs = await series(`${base} bench=all quiet`);
  const names = [...runs.get(chosen[0])![0].bench.keys()];
  for (const name of names) row(name, new Map([...runs].map(([p, list]) => [p, list.map((o) => o.bench.get(name) ?? NaN)])));
  if (chosen.length > 1) {
    const logs = names.map((n) => Math.log(median(runs.get(chosen[0])!.map((o) => o.bench.get(n)!)) / median(runs.get(chosen[1])!.map((o) => o.bench.get(n)!))));
    console.log(`| geometric mean of ratios | ${chosen.map(() => '').join(' | ')} | ${Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length).toFixed(2)} |`);
  }
}
