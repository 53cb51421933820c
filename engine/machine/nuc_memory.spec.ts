import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defaultNucMemoryMiB, nucMemoryMiB } from './nuc_memory.ts';

test('the NUC gets half of the memory of the computer, from 512 MiB to 3 GiB', () => {
  expect([512, 2048, 4096, 65536].map((mib) => defaultNucMemoryMiB(mib * 2 ** 20))).toEqual([512, 1024, 2048, 3072]);
});

test('a figure in the settings counts, one that no NUC can have does not', () => {
  const dir = mkdtempSync(join(tmpdir(), 'acrn-nuc-memory-'));
  try {
    const standard = defaultNucMemoryMiB();
    expect(nucMemoryMiB(dir)).toBe(standard);
    for (const [text, wanted] of [['{"nucMemoryMiB":1536}', 1536], ['{"nucMemoryMiB":100}', standard], ['{"nucMemoryMiB":4096}', standard], ['null', standard], ['{', standard]] as const) {
      writeFileSync(join(dir, 'settings.json'), text);
      expect(nucMemoryMiB(dir)).toBe(wanted);
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
