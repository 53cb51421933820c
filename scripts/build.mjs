/**
 * Builds what Electron runs into out/: the page (vite), the preload script (one CommonJS file, as a sandbox wants it),
 * and main/ and engine/ as JavaScript file by file, so that modules find their workers and data beside them.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build as buildPage } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, 'out');

/** Names a TypeScript file in an import, a re-export, an import() or a new URL(). */
const TS_SPECIFIER = /((?:\bfrom|\bimport)\s*\(?\s*|\bnew URL\(\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g;

export function toJavaScript(source) {
  return stripTypeScriptTypes(source, { mode: 'strip' }).replaceAll(TS_SPECIFIER, '$1$2$3.js$2');
}

/** Used by `npm run serve`, which runs the sources. */
const SERVED_ONLY = ['serve.ts', 'serving.ts', 'web_host.ts', 'browser.ts'].map((name) => join('main', name));

function isSource(path) {
  return !/\.spec\.tsx?$|_test_machine\.ts$|\.d\.ts$/.test(path) && !path.startsWith(join('engine', 'core', 'assembly')) && !SERVED_ONLY.includes(path);
}

/** Copies a folder, TypeScript as JavaScript, everything else as it is. */
function transpile(folder) {
  for (const name of readdirSync(join(root, folder))) {
    const path = join(folder, name);
    if (statSync(join(root, path)).isDirectory()) { transpile(path); continue; }
    if (!isSource(path)) continue;
    mkdirSync(join(out, folder), { recursive: true });
    if (name.endsWith('.ts')) writeFileSync(join(out, path.replace(/\.ts$/, '.js')), toJavaScript(readFileSync(join(root, path), 'utf8')));
    else cpSync(join(root, path), join(out, path));
  }
}

function buildPreload() {
  return buildPage({
    configFile: false,
    logLevel: 'warn',
    root,
    build: {
      outDir: join(out, 'preload'),
      emptyOutDir: true,
      target: 'es2024',
      minify: false,
      lib: { entry: join(root, 'preload/index.ts'), formats: ['cjs'], fileName: () => 'index.cjs' },
      rollupOptions: { external: ['electron'] },
    },
  });
}

export async function buildRenderer() {
  await buildPage({ configFile: join(root, 'vite.config.ts'), logLevel: 'warn' });
}

/** Everything Electron needs besides the packages. */
export async function buildAll() {
  process.removeAllListeners('warning'); // Node calls its own type stripping experimental when it is asked for by name
  for (const folder of ['main', 'engine']) rmSync(join(out, folder), { recursive: true, force: true });
  transpile('main');
  transpile('engine');
  const core = join(root, 'build', 'core.wasm');
  if (existsSync(core)) cpSync(core, join(out, 'engine', 'core', 'core.wasm'));
  else console.log('build/core.wasm is missing: run npm run build:core before packaging.');
  await buildPreload();
  await buildRenderer();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await (process.argv.includes('--renderer') ? buildRenderer() : buildAll());
  console.log('Built into out/.');
}
