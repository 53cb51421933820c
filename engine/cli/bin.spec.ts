import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

test.each(Object.entries(manifest.bin))('npx can run %s', (_, path) => {
  const program = new URL(`../../${path}`, import.meta.url);
  expect(readFileSync(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  accessSync(program, constants.X_OK); // on Windows every file is
});

/** What a program that runInNode24 has started says of itself, and the number of the process that called it. */
async function started(runsEngine: boolean, env: NodeJS.ProcessEnv): Promise<{ pid: number; said: { pid: number; arguments: string[]; heaps?: string; threshold?: string } }> {
  const folder = mkdtempSync(join(tmpdir(), 'acrn-bin-'));
  const program = join(folder, 'program.ts');
  writeFileSync(program, 'console.log(JSON.stringify({ pid: process.pid, arguments: process.argv.slice(2), heaps: process.env.MALLOC_ARENA_MAX, threshold: process.env.MALLOC_TRIM_THRESHOLD_ }));\n');
  writeFileSync(join(folder, 'start.mjs'), `import { runInNode24 } from ${JSON.stringify(new URL('bin/node24.mjs', import.meta.url).href)};\nrunInNode24(new URL(${JSON.stringify(pathToFileURL(program).href)}), ${runsEngine});\n`);
  const child = spawn(process.execPath, [join(folder, 'start.mjs'), 'a', '--b=c d'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString(); });
  expect(await once(child, 'close')).toEqual([0, null]);
  return { pid: child.pid!, said: JSON.parse(text) as { pid: number; arguments: string[] } };
}

const { MALLOC_ARENA_MAX: _heaps, MALLOC_TRIM_THRESHOLD_: _threshold, ...plain } = process.env;

test.runIf(process.platform === 'linux')('a program that runs an engine has its allocator told, and is the same process', async () => {
  const { pid, said } = await started(true, plain);
  expect(said).toEqual({ pid, arguments: ['a', '--b=c d'], heaps: '2', threshold: '1048576' });
});

test('what the user has told the allocator stays', async () => {
  const { pid, said } = await started(true, { ...plain, MALLOC_ARENA_MAX: '5', MALLOC_TRIM_THRESHOLD_: '7' });
  expect(said).toEqual({ pid, arguments: ['a', '--b=c d'], heaps: '5', threshold: '7' });
});

test('a program that runs none starts as it is', async () => {
  const { pid, said } = await started(false, plain);
  expect(said).toEqual({ pid, arguments: ['a', '--b=c d'] });
});
