/**
 * The application for a browser: services, web host and browser put together.
 *
 * @cover  #Y --port, --no-open, --help
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBrowser } from './browser.ts';
import { forkSpawner } from './engine_host.ts';
import type { EnginePort } from './engine_if.ts';
import { Services } from './services.ts';
import { FileSettings } from './settings.ts';
import { WebHost } from './web_host.ts';

export interface ServeOptions { port: number; open: boolean; pageDir: string; version: string }

/** Starts everything; resolves with what ends it. */
export async function serve(engine: EnginePort, options: ServeOptions, print: (line: string) => void): Promise<{ link: string; host: WebHost; close: () => Promise<void> }> {
  const services = new Services({
    engine,
    spawn: forkSpawner(engine.nucProcessEntry),
    settings: new FileSettings(join(engine.dataDir, 'settings.json')),
    host: 'serve',
    version: options.version,
  });
  await services.start();
  const host = new WebHost({
    services,
    pageDir: options.pageDir,
    port: options.port,
    onNewLink: (link) => print(`For another browser: ${link}`),
  });
  const link = await host.listen();
  print(`ACRN Desktop: ${link}`);
  if (options.open) openBrowser(link);
  return { link, host, close: async () => { await host.close(); await services.close(); } };
}

export function parseServeArgs(args: string[]): { port: number; open: boolean; help: boolean } {
  const { values } = parseArgs({
    args,
    options: { port: { type: 'string', default: '0' }, 'no-open': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65535) throw new Error(`--port takes a number from 0 to 65535, not "${values.port}"`);
  return { port, open: !values['no-open'], help: values.help };
}
