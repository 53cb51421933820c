/** The core against the host processor, all classes of instructions. More cases: node test/differential/run.ts. */
import { expect, test } from 'vitest';
import { runDifferential, type Options } from './differential.ts';
import { nativeUnavailable } from './native.ts';

const reason = nativeUnavailable();

async function expectClean(options: Pick<Options, 'cases' | 'seed' | 'bits16' | 'jit'>): Promise<number> {
  const { classes, compiledCases } = await runDifferential({ ...options, keep: 2 });
  expect(classes.flatMap((c) => c.first.map((m) => `${c.family}: ${m.text} [${m.code}] expected ${m.what}`))).toEqual([]);
  return compiledCases;
}

test.skipIf(reason !== null)('200000 random instructions leave the same state on the interpreter and on the host processor', async () => {
  await expectClean({ cases: 200_000, seed: 20 });
});

test.skipIf(reason !== null)('so do 20000 in 16-bit code', async () => {
  await expectClean({ cases: 20_000, seed: 21, bits16: true });
});

test.skipIf(reason !== null)('so do 4000 in compiled code', async () => {
  expect(await expectClean({ cases: 4000, seed: 22, jit: true })).toBeGreaterThan(2500);
});
