/** Linux on 1 to 4 vCPUs: all come up and stay well, and work on all of them at once gives the right results. */
import { createHash } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { acrnDm, openPty, sampleArguments, workplace } from './harness.ts';

const PROMPT = /uos:[^\n]*# /;
const TROUBLE = /unstable|warp|soft lockup|hard LOCKUP|Call Trace|rcu.*stall|clocksource.*skew|WARNING: |BUG: /;
const MIB = 8;

test.each([1, 2, 3, 4])('Linux with %i vCPUs', async (vcpus) => {
  const { image, env } = workplace();
  const affinity = Array.from({ length: vcpus }, (_, i) => i).join(',');
  const run = acrnDm(['--cpu_affinity', affinity, ...sampleArguments(image)], env);
  onTestFinished(() => { run.process.kill('SIGKILL'); });
  const tty = await openPty(run);
  await tty.transcript.expect(PROMPT);

  const last = vcpus - 1;
  expect((await tty.command('cat /sys/devices/system/cpu/online')).trim()).toBe(vcpus === 1 ? '0' : `0-${last}`);
  const cpuinfo = await tty.command('cat /proc/cpuinfo');
  expect([...cpuinfo.matchAll(/^processor\s*: (\d+)$/gm)].map((match) => Number(match[1]))).toEqual(Array.from({ length: vcpus }, (_, i) => i));
  expect(new Set([...cpuinfo.matchAll(/^apicid\s*: (\d+)$/gm)].map((match) => match[1])).size).toBe(vcpus);
  expect(new Set([...cpuinfo.matchAll(/^flags\s*: (.*)$/gm)].map((match) => match[1])).size).toBe(1);
  expect((await tty.command('cat /sys/devices/system/clocksource/clocksource0/current_clocksource')).trim()).toBe('tsc');

  // One stream a vCPU, pinned to it, all at once.
  const streams = Array.from({ length: vcpus }, (_, i) => `taskset -c ${i} sh -c 'dd if=/dev/zero bs=1M count=${MIB} 2>/dev/null | sha256sum' > /tmp/sum${i} &`).join(' ');
  await tty.command(`(${streams} wait)`); // a shell of its own: no reports of jobs
  const sums = (await tty.command('cat /tmp/sum*')).trim().split('\n');
  const expected = createHash('sha256').update(new Uint8Array(MIB << 20)).digest('hex');
  expect(sums).toEqual(Array.from({ length: vcpus }, () => `${expected}  -`));

  const messages = await tty.command('dmesg');
  expect(messages).toMatch(/Linux version 6\.1/);
  expect(messages.split('\n').filter((line) => TROUBLE.test(line))).toEqual([]);
  tty.type('poweroff\n');
  expect(await run.exit).toBe(0);
  tty.close();
});
