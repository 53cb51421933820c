/** The interpreter against the host processor, all classes of instructions. More cases: node test/differential/run.ts. */
import { expect, test } from 'vitest';
import { runDifferential } from './differential.ts';
import { nativeUnavailable } from './native.ts';

const reason = nativeUnavailable();

test.skipIf(reason !== null)('200000 random instructions leave the same state on the interpreter and on the host processor', async () => {
  const { classes } = await runDifferential({ cases: 200_000, seed: 20, keep: 2 });
  const mismatches = classes.flatMap((c) => c.first.map((m) => `${c.family}: ${m.text} [${m.code}] expected ${m.what}`));
  expect(mismatches).toEqual([]);
});
