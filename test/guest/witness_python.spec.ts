/**
 * Debian's python3 runs its own test modules in the guest and here, from the same files. A test that fails on both fails
 * of its surroundings (a chroot of a few packages, no network); one that fails in the guest only is the processor's fault
 * until docs/witness.md explains it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readJunit, type Result } from './junit.ts';
import { FULL, type Job, type Outcome, record, runHere, runInGuest } from './witness.ts';
import { GUEST_ONLY, MODULE_SETS, type ModuleSet } from './witness_modules.ts';

interface ModuleOutcome { code: number; cases: Map<string, Result>; said: string }

function moduleOutcomes(outcome: Outcome): Map<string, ModuleOutcome> {
  const text = (path: string) => outcome.files.get(path)?.toString('utf8') ?? '';
  const modules = new Map<string, ModuleOutcome>();
  for (const path of outcome.files.keys()) {
    const module = /^code\/(test_\w+)$/.exec(path)?.[1];
    if (module) modules.set(module, { code: Number(text(path)), cases: readJunit(text(`junit/${module}.xml`)), said: text(`said/${module}`) });
  }
  return modules;
}

const count = (modules: Map<string, ModuleOutcome>, wanted: Result) => [...modules.values()].reduce((sum, { cases }) => sum + [...cases.values()].filter((r) => r === wanted).length, 0);

/** Test cases (or whole modules) that come to something else in the guest. */
function compare(guest: Map<string, ModuleOutcome>, here: Map<string, ModuleOutcome>): string[] {
  const lines: string[] = [];
  for (const [module, ours] of here) {
    const theirs = guest.get(module);
    if (!theirs) {
      lines.push(`${module}: did not end in the guest`);
      continue;
    }
    const before = lines.length;
    for (const [name, result] of ours.cases) {
      const found = theirs.cases.get(name) ?? 'missing';
      if (found !== result && found !== 'passed') lines.push(`${name}: ${found} in the guest, ${result} here`);
    }
    if (lines.length === before && theirs.code !== ours.code) lines.push(`${module}: exit code ${theirs.code} in the guest, ${ours.code} here`);
  }
  return lines;
}

test('a junit report is read case by case', () => {
  const xml = '<testsuites><testsuite><testcase name="a.T.one" time="0.1" /><testcase name="a.T.two &lt;x&gt;"><failure>no</failure></testcase><testcase name="a.T.three"><skipped /></testcase></testsuite></testsuites>';
  expect([...readJunit(xml)]).toEqual([['a.T.one', 'passed'], ['a.T.two <x>', 'failed'], ['a.T.three', 'skipped']]);
});

/** Seconds after which a run begins no further module: what it has by then is recorded, and the test fails for the rest. */
const BUDGET = process.env['ACRN_WITNESS_BUDGET'] ?? '1000000';

async function witness(set: ModuleSet): Promise<void> {
  const job: Job = {
    name: `python-${set.name}`, script: readFileSync(new URL('witness_python.sh', import.meta.url), 'utf8'),
    inputs: { modules: `${set.modules.map((module) => `${module} ${set.secondsEach}`).join('\n')}\n`, budget: BUDGET }, vcpus: 2, memory: '1536M', deadlineMs: set.minutes * 60_000,
  };
  const hereOutcome = await runHere(job);
  const guestOutcome = await runInGuest(job);
  const [here, guest] = [moduleOutcomes(hereOutcome), moduleOutcomes(guestOutcome)];
  const differing = compare(guest, here);
  const unexplained = differing.filter((line) => !GUEST_ONLY.some(({ pattern }) => pattern.test(line)));
  record(job.name, {
    modules: guest.size, passed: count(guest, 'passed'), failed: count(guest, 'failed'), skipped: count(guest, 'skipped'),
    failedHereToo: [...here.values()].flatMap(({ cases }) => [...cases].filter(([, r]) => r === 'failed').map(([name]) => name)),
    guestOnly: differing, unexplained, seconds: { guest: guestOutcome.seconds, here: hereOutcome.seconds },
  }, { guest: guestOutcome, here: hereOutcome });
  expect(guest.size).toBe(set.modules.length);
  expect(unexplained).toEqual([]);
}

for (const set of MODULE_SETS) test.skipIf(!FULL)(`python3's own tests, ${set.name}: none fails that does not fail here`, { timeout: 2 * set.minutes * 60_000 }, () => witness(set));
