/** Runs a TypeScript program in the project's Node 24, whatever Node started this. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiled scripts, kept in the user's own cache folder: machine/paths.ts cacheDir(), which is itself still to be compiled. */
export function compileCache() {
  const { env, platform } = process;
  const ours = (base) => join(base, 'acrn-desktop');
  const cache = env.ACRN_DESKTOP_CACHE
    ?? ours(platform === 'darwin' ? join(homedir(), 'Library/Caches') : platform === 'win32' ? (env.LOCALAPPDATA ?? homedir()) : (env.XDG_CACHE_HOME ?? join(homedir(), '.cache')));
  return join(cache, 'compiled');
}

/**
 * For processes that run an engine, from their start on. glibc gives threads that allocate at the same time heaps of their own, and each keeps what it
 * once had: some 50 MiB with four VMs. And it keeps the more the larger the pieces were that it was given back: in an hour's load, steps of tens of
 * MiB that optimising one large function had probably taken for a moment. A threshold that is given stays what it is.
 */
export const ALLOCATOR_ENVIRONMENT = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '1048576' };

/** Begins this process anew, with the same number, where its allocator would not be told otherwise. Not where a channel would be lost. */
function tellAllocator(program) {
  const told = Object.keys(ALLOCATOR_ENVIRONMENT).every((name) => name in process.env);
  if (told || process.platform !== 'linux' || process.channel !== undefined || process.execve === undefined) return;
  process.execve(process.execPath, [process.execPath, ...process.execArgv, fileURLToPath(program), ...process.argv.slice(2)], { ...ALLOCATOR_ENVIRONMENT, ...process.env });
}

/**
 * @param program URL of the .ts file; it sees the arguments, streams, signals and exit code of this process
 * @param runsEngine whether it runs an engine itself
 */
export async function runInNode24(program, runsEngine) {
  process.env.NODE_COMPILE_CACHE ??= compileCache(); // for this process's threads too
  if (Number(process.versions.node.split('.')[0]) >= 24) {
    if (runsEngine) tellAllocator(program);
    module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
    await import(program.href);
    return;
  }
  const node = fileURLToPath(new URL(`../../../node_modules/.bin/node${process.platform === 'win32' ? '.exe' : ''}`, import.meta.url));
  if (!existsSync(node)) {
    console.error('ACRN Desktop runs on Node 24, which "npm ci" installs into node_modules: run "npm ci" first.');
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { env: { ...ALLOCATOR_ENVIRONMENT, ...process.env }, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] }); // the channel tells it of our end, however we end
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {}); // the terminal sends it to the child as well
  child.on('exit', (code, signal) => process.exit(signal ? 128 + 1 : (code ?? 1)));
  child.on('error', (error) => {
    console.error(`${node}: ${error.message}`);
    process.exit(1);
  });
}
