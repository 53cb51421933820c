/**
 * Mixed load for a long time with the JIT on: the same work gives the same results in every round, and the engine's
 * resident memory stays where it is after warming up. `ACRN_TEST_SOAK_MINUTES=60` says for how long.
 */
import { expect, onTestFinished, test } from 'vitest';
import { residentMiB } from '../../bench/emulators.ts';
import { acrnDm, openPty, sampleArguments, workplace } from './harness.ts';

const PROMPT = /uos:[^\n]*# /;
const minutes = Number(process.env['ACRN_TEST_SOAK_MINUTES'] ?? 0);
/** Growth of resident memory that is borne between the end of the warm-up and the end. */
const MOST_GROWTH = 1.05;
/** Part of the time that counts as warm-up. */
const WARM_UP = 0.25;

/** Computing, memory, processes, pipes, files on the disk, text. Each prints something that is the same every time. */
const LOAD = [
  'seq 1 20000 | sha256sum',
  'dd if=/dev/zero bs=1M count=24 2>/dev/null | md5sum',
  'seq 1 3000 | sort -r | sort -n | sha1sum',
  'i=0; while [ $i -lt 60 ]; do /bin/true; i=$((i + 1)); done; echo $i',
  'seq 1 40000 | gzip -c | gunzip -c | md5sum',
  'seq 1 60000 > /root/soak && sync && md5sum < /root/soak && rm /root/soak',
  'awk "BEGIN { s = 0; for (i = 0; i < 60000; i++) s += i % 7 * 1.5; print s }"',
  'echo "scale=60; sqrt(2); 355/113" | bc',
  'find /bin | sort | tr a-z A-Z | sed "s/B/b/g" | md5sum',
];

/** Linux comes to touch all of its memory in the end, which says nothing about the engine: here it does so in the beginning. */
const TOUCH_MEMORY = 'mkdir -p /mnt && mount -t tmpfs -o size=220m tmpfs /mnt && (dd if=/dev/zero of=/mnt/fill bs=1M count=180 2>/dev/null; rm /mnt/fill; umount /mnt; echo touched)';

test.skipIf(minutes === 0)(`mixed load for ${minutes} minutes`, { timeout: (minutes + 20) * 60_000 }, async () => {
  const { image, env } = workplace();
  const run = acrnDm(['--jit=on', ...sampleArguments(image, { memory: '256M' })], env);
  onTestFinished(() => { run.process.kill('SIGKILL'); });
  const tty = await openPty(run);
  await tty.transcript.expect(PROMPT);
  /** What a command prints; its lines are marked, because the terminal shows the (wrapped) command line as well. */
  const output = async (command: string): Promise<string> => {
    const shown = await tty.command(`(${command}) 2>&1 | sed "s/^/= /"`);
    return shown.split('\n').filter((line) => line.startsWith('= ')).map((line) => `${line.slice(2)}\n`).join('');
  };
  expect(await output(TOUCH_MEMORY)).toBe('touched\n');
  const begin = performance.now();
  const elapsed = (): number => (performance.now() - begin) / 60_000;
  let first: string[] | undefined;
  let warm = 0;
  let most = 0;
  let rounds = 0;
  while (elapsed() < minutes) {
    const results: string[] = [];
    for (const command of LOAD) results.push(await output(command));
    if (first === undefined) console.log(results.join(''));
    expect(results).toEqual(first ??= results);
    expect(results.join('')).not.toContain('not found');
    rounds += 1;
    const { all: resident, guest } = residentMiB(run.process.pid!);
    if (elapsed() < minutes * WARM_UP || warm === 0) warm = resident;
    most = Math.max(most, resident);
    console.log(`round ${rounds}, ${elapsed().toFixed(1)} min: ${resident.toFixed(1)} MiB resident, ${guest.toFixed(1)} of them the guest's`);
  }
  expect(residentMiB(run.process.pid!).all).toBeLessThan(warm * MOST_GROWTH);
  tty.type('poweroff\n');
  expect(await run.exit).toBe(0);
  tty.close();
});
