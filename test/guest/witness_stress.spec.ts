/** Debian's stress-ng checks its own results in the guest, on all four vCPUs at once. */
import { expect, test } from 'vitest';
import { FULL, record, runInGuest } from './witness.ts';

const STRESSORS = (process.env['ACRN_WITNESS_STRESSORS'] ?? 'cpu,vm,atomic,bsearch,matrix,memcpy,str').split(',');
/** Seconds for each stressor. */
const SECONDS = Number(process.env['ACRN_WITNESS_STRESS_SECONDS'] ?? 60);
const VCPUS = 4;

const SCRIPT = `
for stressor in ${STRESSORS.join(' ')}; do
  stress-ng --$stressor 0 --verify --timeout ${SECONDS}s --metrics-brief --vm-bytes 16M --temp-path /tmp > out/$stressor 2>&1
  echo $? > out/$stressor.code
  echo "$stressor $(cat out/$stressor.code)"
done
dmesg > out/dmesg
`;

test.skipIf(!FULL)(`stress-ng --verify, ${SECONDS} s each on ${VCPUS} vCPUs: no stressor finds a wrong result`, { timeout: 3_600_000 }, async () => {
  const guest = await runInGuest({ name: 'stress', script: SCRIPT, vcpus: VCPUS, memory: '1024M', deadlineMs: 3_000_000 });
  const text = (path: string) => guest.files.get(path)?.toString('utf8') ?? '';
  const results = Object.fromEntries(STRESSORS.map((stressor) => [stressor, {
    code: Number(text(`${stressor}.code`) || -1),
    instances: Number(/dispatching hogs: (\d+)/.exec(text(stressor))?.[1] ?? 0),
    operations: Number(new RegExp(`metrc: .*\\] ${stressor} +(\\d+)`).exec(text(stressor))?.[1] ?? 0),
    failures: text(stressor).split('\n').filter((line) => /fail|error/i.test(line) && !/failed: 0|0 failures/.test(line)),
  }]));
  record('stress', { secondsEach: SECONDS, vcpus: VCPUS, results, seconds: guest.seconds }, { guest });
  for (const [stressor, { code, instances, operations, failures }] of Object.entries(results)) {
    expect({ stressor, code, instances, failures }).toEqual({ stressor, code: 0, instances: VCPUS, failures: [] });
    expect(operations).toBeGreaterThan(0);
  }
  expect(text('dmesg')).not.toMatch(/BUG:|soft lockup|Oops|rcu.*stall/);
});
