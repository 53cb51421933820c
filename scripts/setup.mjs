/**
 * Sets a fresh clone up, each step only when it is needed: a Node 24 to run on, the CPU core, the default guest,
 * and for tests the browser. `node scripts/setup.mjs [--tests]`, or import { setup }.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');
const say = (line) => console.log(line);

/** Environment in which `node` is the project's Node 24. */
export function toolEnvironment() {
  const separator = process.platform === 'win32' ? ';' : ':';
  return { ...process.env, PATH: `${bin}${separator}${process.env.PATH ?? ''}` };
}

/** Runs a program of the project to its end; exits this process with its code when that is not 0. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: toolEnvironment(), shell: process.platform === 'win32', ...options });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Goes on in Node 24 when the caller's is older. Returns only in a Node that fits. */
export function ensureNode() {
  if (Number(process.versions.node.split('.')[0]) >= 24) return;
  const node = join(bin, process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(node)) {
    console.error('ACRN Desktop runs on Node 24, which "npm ci" installs into node_modules: run "npm ci" first.');
    process.exit(1);
  }
  const result = spawnSync(node, process.argv.slice(1), { stdio: 'inherit', env: toolEnvironment() });
  process.exit(result.status ?? 1);
}

function ensurePackages() {
  if (existsSync(join(root, 'node_modules', 'zod'))) return;
  console.error('The packages are not installed: run "npm ci" first.');
  process.exit(1);
}

/** Programs that set-up or tests call, and the Debian package of each. */
const GUEST_TOOLS = [['/sbin/mke2fs', 'e2fsprogs']];
const TEST_TOOLS = [['/usr/bin/chromium', 'chromium'], ['/sbin/debugfs', 'e2fsprogs'], ['/usr/bin/screen', 'screen']];

/** Installs what is missing where this user may, on Debian and its like; otherwise says in one line what to install. */
function ensureTools(tools, purpose) {
  const missing = [...new Set(tools.filter(([path]) => !existsSync(path)).map(([, name]) => name))];
  if (missing.length === 0 || process.platform !== 'linux') return;
  const apt = spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
  if (!apt || process.getuid?.() !== 0) {
    say(`${purpose}: please install ${missing.join(', ')} (apt-get install ${missing.join(' ')})`);
    return;
  }
  say(`Installing ${missing.join(', ')} (${purpose})`);
  const quiet = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, stdio: ['ignore', 'ignore', 'inherit'] };
  const install = () => spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], quiet).status === 0;
  if (install()) return;
  spawnSync('apt-get', ['update', '-q'], quiet);
  if (!install()) say(`Installing failed; ${purpose}: please install ${missing.join(', ')}`);
}

/** Does every set-up step that is due. @param options.tests also what only tests need */
export async function setup({ tests = false } = {}) {
  ensureNode();
  ensurePackages();
  run('node', ['scripts/build_core.mjs']);
  ensureTools(GUEST_TOOLS, 'for the sample disk image');
  const { cacheDir } = await import('../engine/machine/paths.ts');
  const { buildGuest } = await import('./guest/build_guest.ts');
  try {
    await buildGuest(cacheDir(), say);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
  if (tests) ensureTools(TEST_TOOLS, 'for the end-to-end tests');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await setup({ tests: process.argv.includes('--tests') });
