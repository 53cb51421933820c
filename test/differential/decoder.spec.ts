import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { compareDecoders } from './decoder.ts';

// 300,000 byte strings by default; DECODER_CASES=10000000 for a long run, or node test/differential/decoder.ts.
const CASES = Number(process.env.DECODER_CASES ?? 300_000);

test('The decoder agrees with iced-x86 about lengths, operands and undefined opcodes in 16-, 32- and 64-bit mode', async () => {
  execFileSync(process.execPath, ['scripts/build_core.mjs'], { stdio: 'inherit' });
  const { mismatches } = await compareDecoders(Math.ceil(CASES / 3), Number(process.env.DECODER_SEED ?? 20240521));
  expect(mismatches).toEqual([]);
});
