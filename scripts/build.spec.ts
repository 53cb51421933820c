import { expect, test } from 'vitest';
// @ts-expect-error a script without types
import { toJavaScript } from './build.mjs';

test('a module becomes JavaScript whose imports name JavaScript', () => {
  const source = "import { a } from './a.ts';\nimport type { B } from '../b.ts';\nexport * from './c/d.ts';\nconst e = await import('./e.ts');\nconst w = new URL('./worker.ts', import.meta.url);\nimport z from 'zod';\nexport const f: B = a as B;\n";
  const javaScript = toJavaScript(source) as string;
  expect(javaScript).toContain("from './a.js'");
  expect(javaScript).toContain("from './c/d.js'");
  expect(javaScript).toContain("import('./e.js')");
  expect(javaScript).toContain("new URL('./worker.js', import.meta.url)");
  expect(javaScript).not.toMatch(/\.ts'|: B| as B/);
  expect(javaScript.split('\n').length).toBe(source.split('\n').length); // lines stay where they are
});
