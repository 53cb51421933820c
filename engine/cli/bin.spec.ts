import { accessSync, constants, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

test.each(Object.entries(manifest.bin))('npx can run %s', (_, path) => {
  const program = new URL(`../../${path}`, import.meta.url);
  expect(readFileSync(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  accessSync(program, constants.X_OK); // on Windows every file is
});
