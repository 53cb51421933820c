/** Runs a TypeScript program in the project's Node 24, whatever Node started this. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** @param program URL of the .ts file; this process passes its arguments, streams, signals and exit code through */
export function runInNode24(program) {
  const local = fileURLToPath(new URL(`../../../node_modules/.bin/node${process.platform === 'win32' ? '.exe' : ''}`, import.meta.url));
  const fits = Number(process.versions.node.split('.')[0]) >= 24;
  const node = fits ? process.execPath : local;
  if (!fits && !existsSync(local)) {
    console.error('ACRN Desktop runs on Node 24, which "npm ci" installs into node_modules: run "npm ci" first.');
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {}); // the terminal sends it to the child as well
  child.on('exit', (code, signal) => process.exit(signal ? 128 + 1 : (code ?? 1)));
  child.on('error', (error) => {
    console.error(`${node}: ${error.message}`);
    process.exit(1);
  });
}
