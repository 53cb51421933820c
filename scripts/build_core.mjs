/**
 * Builds build/core.wasm: generates engine/core's tables, then runs the AssemblyScript compiler. Does nothing when no
 * input has changed since the last build (hash in build/core.stamp).
 *
 *   node scripts/build_core.mjs [--force] [--fast] [--out FILE] [--without FAMILY,FAMILY]
 *     --without  leaves families out (their instructions are #UD): for working while one of them does not compile
 *     --fast  -O1, for a quick compile check; the result is not for use
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const fast = args.includes('--fast');
const out = args.includes('--out') ? args[args.indexOf('--out') + 1] : 'build/core.wasm';
const without = args.includes('--without') ? args[args.indexOf('--without') + 1].split(',') : [];
const coreDir = join(root, 'engine/core');

function inputs(dir) {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && e.name.endsWith('.ts') && !e.name.endsWith('.spec.ts') && !e.parentPath.endsWith('gen') && !e.parentPath.includes('node_modules'))
    .map((e) => join(e.parentPath, e.name)).sort();
}

function stampOf() {
  const hash = createHash('sha256').update(JSON.stringify({ fast, out, without }));
  for (const file of [...inputs(join(coreDir, 'tables')), ...inputs(join(coreDir, 'assembly')), fileURLToPath(import.meta.url)]) {
    hash.update(relative(root, file)).update(readFileSync(file));
  }
  return hash.digest('hex');
}

const outFile = join(root, out);
const stampFile = `${outFile.replace(/\.wasm$/, '')}.stamp`;
const stamp = stampOf();
if (!args.includes('--force') && existsSync(outFile) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) process.exit(0);

const { generateDecoder, generateFeatures, generateState } = await import(new URL('../engine/core/tables/generate.ts', import.meta.url).href);
const coreUrl = new URL('../engine/core/', import.meta.url);
generateState(coreUrl);
generateFeatures(coreUrl);
await generateDecoder(coreUrl);
let source = 'engine/core/assembly';
if (without.length > 0) {
  const copy = join(root, `build/core.${process.pid}`);
  process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
  for (const part of ['assembly', 'gen']) cpSync(join(coreDir, part), join(copy, part), { recursive: true });
  await generateDecoder(pathToFileURL(`${copy}/`), without);
  source = relative(root, join(copy, 'assembly'));
}

mkdirSync(dirname(outFile), { recursive: true });
// Two builds may run at once (tests, another terminal): each writes its own file and the last rename wins.
const temporary = `${outFile}.${process.pid}.tmp`;
const started = Date.now();
try {
  execFileSync(process.execPath, [
    join(root, 'node_modules/assemblyscript/bin/asc.js'), `${source}/index.ts`, '-o', relative(root, temporary),
    '--runtime', 'stub', '--importMemory', '--sharedMemory', '--initialMemory', '4096', '--maximumMemory', '65536',
    '--enable', 'threads', '--enable', 'simd', '--enable', 'bulk-memory', '--memoryBase', '65536', '--noAssert', '--disableWarning', '201', '--disableWarning', '112',
    '--use', `abort=${source}/index/abort`, ...(fast ? ['-O1'] : ['-O3']),
  ], { cwd: root, stdio: 'inherit' });
} catch {
  process.exit(1);
}
renameSync(temporary, outFile);
writeFileSync(stampFile, stamp);
console.log(`${out} built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
