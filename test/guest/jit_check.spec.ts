/**
 * The sample User OS under `--jit=check`: whatever is compiled, from the kernel's first loop to the shell's commands, does
 * what the interpreter does.
 */
import { expect, onTestFinished, test } from 'vitest';
import { acrnDm, openPty, sampleArguments, workplace } from './harness.ts';

const PROMPT = /uos:[^\n]*# /;
const KEPT = /functions kept by earlier starts: (\d+)/;
const AGREED = /compiled code agreed with the interpreter (\d+) times, in (\d+) instructions/;

/** Boots the sample and runs some programs; what acrn-dm has printed by its end. */
async function bootAndWork(jit: 'on' | 'check'): Promise<string> {
  const { image, env } = workplace();
  const run = acrnDm([`--jit=${jit}`, ...sampleArguments(image)], env);
  onTestFinished(() => { run.process.kill('SIGKILL'); });
  const tty = await openPty(run);
  await tty.transcript.expect(PROMPT);
  await tty.command('dd if=/dev/zero bs=64k count=16 2>/dev/null | sha256sum');
  await tty.command('echo "2^1000" | bc; seq 1 500 | sort -n | tail -1; ls -lR /bin | wc');
  await tty.command('i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i + 1)); done');
  tty.type('poweroff\n');
  expect(await run.exit).toBe(0);
  tty.close();
  return run.output.text;
}

// Every instruction runs twice, one by one the second time: some ten minutes.
test.skipIf(process.env['ACRN_TEST_FULL'] !== '1')('a boot and a few programs, what earlier boots have kept included', { timeout: 3_600_000 }, async () => {
  await bootAndWork('on');
  const output = await bootAndWork('check');
  expect(output).not.toContain('does not do what the interpreter does');
  const [, times, instructions] = AGREED.exec(output)!;
  expect(Number(times)).toBeGreaterThan(1_000_000);
  expect(Number(instructions)).toBeGreaterThan(100_000_000);
  expect(Number(KEPT.exec(output)![1])).toBeGreaterThan(100);
  console.log(output.split('\n').find((line) => KEPT.test(line)));
});

test('more than one vCPU is refused, with the reason', async () => {
  const { image, env } = workplace();
  const run = acrnDm(['--jit=check', '--cpu_affinity', '0,1', ...sampleArguments(image)], env);
  onTestFinished(() => { run.process.kill('SIGKILL'); });
  expect(await run.exit).not.toBe(0);
  expect(run.output.text).toContain('compiled code can be checked on one vCPU only');
});
