/**
 * Bare-metal test kernels (test/kernels), each a VM of its own, interpreted and with compiled code: `acrn-dm -E`, results
 * on COM1, the end by port 0xF4.
 *
 * A kernel prints "ok <name>" or "FAIL <name> got <hex> expected <hex>" for each check and "done" before it ends the VM.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { buildKernel, testKernels, type TestKernel } from '../kernels/build.ts';
import { acrnDm, workplace } from './harness.ts';

const VCPUS: Record<string, number[]> = { smp: [1, 2, 3, 4] };
const MODULE = 'what the module holds';
const JIT_MODES = ['off', 'on'] as const;

interface Outcome { code: number; checks: string[]; failures: string[]; output: string }

async function runKernel(kernel: TestKernel, vcpus: number, jit: (typeof JIT_MODES)[number]): Promise<Outcome> {
  const { dir, env } = workplace();
  const module = join(dir, 'module');
  writeFileSync(module, MODULE);
  const run = acrnDm([
    '-m', '128M', '-s', '0:0,hostbridge', '-s', '1:0,lpc', '-l', 'com1,stdio', '--debugexit', '--cpu_affinity', Array.from({ length: vcpus }, (_, i) => i).join(','),
    '-E', buildKernel(kernel), '-r', module, '-B', 'first second=2', 'kernel',
  ], { ...env, ACRN_JIT: jit, ACRN_JIT_THRESHOLD: '1' }); // kernels are short: all that runs is compiled at once
  onTestFinished(() => { run.process.kill('SIGKILL'); });
  let output = '';
  run.process.stdout.on('data', (chunk: Buffer) => { output += chunk.toString('utf8'); });
  const code = await run.exit;
  output = output.replaceAll(/(VM state changed from\[ \w+ \] to \[ \w+ \]|VM loop exit|Unhandled \w+ 0x\w+)\r?\n/g, ''); // acrn-dm's own words come between any two bytes
  const lines = output.split(/\r?\n/);
  return { code, checks: lines.filter((line) => line.startsWith('ok ')), failures: lines.filter((line) => line.startsWith('FAIL ')), output };
}

const cases = testKernels().flatMap((kernel) => (VCPUS[kernel.name] ?? [1]).map((vcpus) => ({ ...kernel, vcpus })));

function expectClean({ code, checks, failures, output }: Outcome): void {
  expect(failures).toEqual([]);
  expect(output).toMatch(/^done\r?$/m);
  expect(checks.length).toBeGreaterThan(0);
  expect(code).toBe(0);
}

test.each(cases.filter(({ vcpus }) => vcpus === 1))('$name ($bits bits, 1 vCPU), interpreted and compiled', async ({ vcpus, ...kernel }) => {
  const [off, on] = await Promise.all(JIT_MODES.map((jit) => runKernel(kernel, vcpus, jit)));
  expectClean(off);
  expectClean(on);
  expect(on.checks).toEqual(off.checks);
});

test.each(cases.filter(({ vcpus }) => vcpus > 1).flatMap((one) => JIT_MODES.map((jit) => ({ ...one, jit }))))('$name ($bits bits, $vcpus vCPUs, JIT $jit)', async ({ vcpus, jit, ...kernel }) => {
  expectClean(await runKernel(kernel, vcpus, jit));
});
