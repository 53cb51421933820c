/**
 * `npm run serve`: the application in a browser.
 *
 * @cover  #Y ends cleanly on SIGINT, SIGTERM, SIGHUP and with `npm run serve`, VMs with it
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { whenParentEnds } from '../engine/index.ts';
import { openEngine } from './engine.ts';
import { toProblem } from './problems.ts';
import { parseServeArgs, serve } from './serving.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const USAGE = `Usage: npm run serve -- [options]
  --port <n>   port on 127.0.0.1 (default: any free one)
  --no-open    do not open a browser
  --help       this text
`;

async function main(): Promise<void> {
  let options: ReturnType<typeof parseServeArgs>;
  try {
    options = parseServeArgs(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) { process.stdout.write(USAGE); return; }
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  try {
    const { close } = await serve(await openEngine(), { ...options, pageDir: join(ROOT, 'out/renderer'), version }, (line) => process.stdout.write(`${line}\n`));
    let closing = false;
    const end = (): void => {
      if (closing) process.exit(1); // a second Ctrl-C does not wait
      closing = true;
      close().then(() => process.exit(0), () => process.exit(1));
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
    whenParentEnds(end);
  } catch (error) {
    const { what, why, todo } = toProblem(error, 'ACRN Desktop cannot serve');
    process.stderr.write(`${what}: ${why}. ${todo}\n`);
    process.exitCode = 1;
  }
}

await main();
