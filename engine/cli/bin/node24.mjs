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

/** @param program URL of the .ts file; it sees the arguments, streams, signals and exit code of this process */
export async function runInNode24(program) {
  process.env.NODE_COMPILE_CACHE ??= compileCache(); // for this process's threads too
  if (Number(process.versions.node.split('.')[0]) >= 24) {
    module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
    await import(program.href);
    return;
  }
  const node = fileURLToPath(new URL(`../../../node_modules/.bin/node${process.platform === 'win32' ? '.exe' : ''}`, import.meta.url));
  if (!existsSync(node)) {
    console.error('ACRN Desktop runs on Node 24, which "npm ci" installs into node_modules: run "npm ci" first.');
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] }); // the channel tells it of our end, however we end
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {}); // the terminal sends it to the child as well
  child.on('exit', (code, signal) => process.exit(signal ? 128 + 1 : (code ?? 1)));
  child.on('error', (error) => {
    console.error(`${node}: ${error.message}`);
    process.exit(1);
  });
}
