/**
 * `npm start`: sets up what is missing, then opens ACRN Desktop in Electron, or in a browser where there is no Electron.
 * `npm run serve`: in a browser in any case.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { compileCache } from '../engine/cli/bin/node24.mjs';
import { ensureNode, setup, toolEnvironment } from './setup.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Electron's installer is ended when nothing has arrived for this long, e.g. behind a closed network. */
const INSTALL_STALL_MS = 20_000;
const INSTALL_LIMIT_MS = 900_000;
const PARENT_LOOK_MS = 1000;

/** Newest change below a path, 0 when there is none. */
function newest(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(0, ...readdirSync(path).filter((name) => name !== 'assembly').map((name) => newest(join(path, name))));
}

function isStale(result, sources) {
  const built = existsSync(join(root, result)) ? statSync(join(root, result)).mtimeMs : 0;
  return sources.some((source) => newest(join(root, source)) > built);
}

/** Bytes below a path. */
function bytesIn(path) {
  try {
    const info = statSync(path);
    return info.isDirectory() ? readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0) : info.size;
  } catch {
    return 0; // gone meanwhile
  }
}

/** Runs Electron's own installer for as long as it makes progress, which its download and its unpacked files show. */
async function installElectron(folder) {
  console.log('Electron is not there yet; its own installer fetches it (about 120 MB).');
  const temporary = mkdtempSync(join(tmpdir(), 'acrn-desktop-electron-'));
  const child = spawn(process.execPath, [join(folder, 'install.js')], { stdio: 'ignore', env: { ...toolEnvironment(), TMPDIR: temporary, TEMP: temporary, TMP: temporary } });
  const started = Date.now();
  let seen = 0;
  let progressAt = started;
  const watch = setInterval(() => {
    const bytes = bytesIn(temporary) + bytesIn(join(folder, 'dist'));
    if (bytes !== seen) progressAt = Date.now();
    seen = bytes;
    if (Date.now() - progressAt > INSTALL_STALL_MS || Date.now() - started > INSTALL_LIMIT_MS) child.kill('SIGKILL');
  }, 500);
  await new Promise((resolve) => { child.on('exit', resolve); child.on('error', resolve); });
  clearInterval(watch);
  rmSync(temporary, { recursive: true, force: true });
}

/** Path of the Electron program, undefined where there is none and none can be installed. */
async function findElectron() {
  const folder = join(root, 'node_modules', 'electron');
  if (!existsSync(folder)) return undefined;
  const path = () => {
    const name = existsSync(join(folder, 'path.txt')) ? readFileSync(join(folder, 'path.txt'), 'utf8') : undefined;
    if (name === undefined) return undefined;
    const program = join(process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(folder, 'dist'), name);
    return existsSync(program) ? program : undefined;
  };
  if (path() === undefined) await installElectron(folder);
  return path();
}

function hasScreen() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/** Whether this system lets Electron start at all: libraries may be missing, or root may have no sandbox. */
function canRun(electron) {
  const answer = spawnSync(electron, ['--version'], { timeout: 20_000, encoding: 'utf8' });
  return answer.status === 0;
}

/** npm and the shell between: killed outright, they tell nobody. */
function ancestors() {
  const parent = process.ppid;
  try {
    const stat = readFileSync(`/proc/${parent}/stat`, 'latin1');
    return `${parent} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]}`;
  } catch {
    return String(parent); // no /proc: the shell alone
  }
}

function whenNpmEnds(action) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const born = ancestors();
  const watch = setInterval(() => {
    if (ancestors() === born) return;
    clearInterval(watch);
    action();
  }, PARENT_LOOK_MS).unref();
}

/** @param channel tells a Node program of this one's end, however it comes */
function runChild(program, args, channel = []) {
  const env = { NODE_COMPILE_CACHE: compileCache(), ...toolEnvironment() }; // for the NUC process too
  const child = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', ...channel], cwd: root, env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  whenNpmEnds(() => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => { process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1); });
}

async function start(args) {
  ensureNode();
  const rest = args.filter((argument) => argument !== '--serve');
  if (rest.includes('--help') || rest.includes('-h')) return runChild(process.execPath, [join(root, 'main/serve.ts'), '--help']);
  await setup();
  const { buildAll, buildRenderer } = await import('./build.mjs');
  if (!args.includes('--serve')) {
    const why = !hasScreen() ? 'this computer has no display' : undefined;
    const electron = why === undefined ? await findElectron() : undefined;
    if (electron !== undefined && canRun(electron)) {
      if (isStale('out/main/index.js', ['main', 'engine', 'preload']) || isStale('out/renderer/index.html', ['renderer', 'vite.config.ts'])) await buildAll();
      return runChild(electron, [root]);
    }
    console.log(`Electron is not available here (${why ?? (electron === undefined ? 'its installer could not fetch it' : 'it does not start on this system')}): serving ACRN Desktop to a browser instead.`);
  }
  if (isStale('out/renderer/index.html', ['renderer', 'vite.config.ts', 'engine/contract', 'preload/bridge.ts'])) await buildRenderer();
  runChild(process.execPath, ['--disable-warning=ExperimentalWarning', join(root, 'main/serve.ts'), ...rest], ['ipc']);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await start(process.argv.slice(2));
