/** The import table of docs/architecture.md, read and enforced: layers import downwards only. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const ENGINE_DOOR = 'engine/index.ts';

/** Folder -> what it may import besides itself: path prefixes of ours, 'node:' and package names. `*` any package. */
const TABLE: Record<string, string[]> = {
  'engine/contract': ['zod'],
  'engine/lib': [],
  'engine/core': ['engine/lib', 'node:', 'iced-x86'],
  'engine/platform': ['engine/core', 'engine/lib', 'node:'],
  'engine/hypervisor': ['engine/platform', 'engine/core', 'engine/lib'],
  'engine/sos': ['engine/hypervisor', 'engine/platform', 'engine/core', 'engine/lib', 'node:'],
  'engine/devicemodel': ['engine/sos/vhm_if.ts', 'engine/lib', 'engine/contract'],
  'engine/host': ['engine/devicemodel/backends_if.ts', 'engine/lib', 'node:', 'node-pty'],
  'engine/machine': ['engine/', 'node:', '@xterm/headless', '@xterm/addon-serialize', 'zod'],
  'engine/cli': ['engine/', 'node:'],
  main: [ENGINE_DOOR, 'engine/contract', 'node:', 'electron', 'electron-store', 'ws', 'zod'],
  preload: ['engine/contract', 'electron'],
  renderer: ['engine/contract', '*'],
};

function sources(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    if (statSync(path).isDirectory()) return name === 'assembly' || name === 'gen' || name === 'testing' ? [] : sources(path);
    return /\.tsx?$/.test(name) && !/\.spec\.tsx?$|_test_machine\.ts$|mock_driver\.ts$|_model\.ts$|_fake\.ts$/.test(name) ? [path] : [];
  });
}

/** What a file imports: repository paths for its own, specifiers for the rest. */
function imports(path: string): string[] {
  const text = readFileSync(path, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const found = [...text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*['"]([^'"]+)['"]|(?<![.\w])import\(\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|new URL\(\s*['"](\.[^'"]+\.ts)['"]/g)];
  return found.map((m) => m[1] ?? m[2] ?? m[3] ?? m[4]).map((spec) => (spec.startsWith('.') ? relative(root, resolve(dirname(path), spec)).replaceAll('\\', '/') : spec));
}

const isOurs = (spec: string): boolean => /^(engine|main|preload|renderer|scripts|test|bench)\//.test(spec);

test.each(Object.entries(TABLE))('%s imports only what the table allows', (folder, allowed) => {
  const files = sources(join(root, folder));
  expect(files.length).toBeGreaterThan(0);
  const offences = files.flatMap((file) => imports(file)
    .filter((spec) => {
      if (spec.startsWith(`${folder}/`)) return false;
      if (allowed.some((a) => spec === a || spec.startsWith(a.endsWith(':') || a.endsWith('/') ? a : `${a}/`))) return false;
      return isOurs(spec) || !allowed.includes('*');
    })
    .map((spec) => `${relative(root, file)} imports ${spec}`));
  expect(offences).toEqual([]);
});

test('only main and preload import electron', () => {
  const offences = ['engine', 'renderer', 'scripts'].flatMap((dir) => sources(join(root, dir))).filter((file) => imports(file).some((s) => s === 'electron' || s.startsWith('electron/')));
  expect(offences).toEqual([]);
});
