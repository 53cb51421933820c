import { expect, test } from 'vitest';
import { coverageDocument, documentOnDisk } from './coverage_doc.ts';

test('docs/cpu-coverage.md is what the opcode table, the JIT and the recorded results make of it (node scripts/coverage_doc.ts)', async () => {
  expect(documentOnDisk()).toBe(await coverageDocument());
});
