/** Random bytes as guest code. More of them: node test/property/core_fuzz.ts. */
import { expect, test } from 'vitest';
import { fuzzCore } from './core_fuzz.ts';
import { MODES } from './fuzz_program.ts';

test('random bytes run as guest code in every mode and ring end in exceptions, exits or a triple fault, and change no memory but the guest\'s', async () => {
  const result = await fuzzCore({ instructions: 300_000, seed: 20_240_521 });
  expect(result.modes.size).toBe(MODES.length);
  expect(result.vectors.size).toBeGreaterThan(5);
}, 120_000);
