/** A browser on a served page: started for a test file, ended with it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';

const CHROMIUM = process.env.ACRN_TEST_CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const hasBrowser = existsSync(CHROMIUM);
export const isBuilt = existsSync(fileURLToPath(new URL('../../out/renderer/index.html', import.meta.url)));

export interface Served {
  page: Page;
  context: BrowserContext;
  /** What the page complained about: errors, policy violations. */
  complaints: string[];
  /** The newest link. */
  link: () => string;
  origin: string;
  server: ChildProcess;
  close: () => Promise<void>;
}

/** Runs a server module, waits for its link, opens it. */
export async function openServed(module: URL, args: string[] = [], environment: Record<string, string> = {}): Promise<Served> {
  const server = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(module), ...args], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...environment } });
  const links: string[] = [];
  let browser: Browser | undefined;
  await new Promise<void>((resolve, reject) => {
    let text = '';
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    server.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      links.splice(0, links.length, ...(text.match(/http:\/\/\S+(?=\n)/g) ?? []));
      if (links.length > 0) resolve();
    });
  });
  try {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const complaints: string[] = [];
    page.on('console', (message) => { if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.text()} (${message.location().url})`); });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(links[0] ?? '');
    await page.getByRole('heading', { level: 1 }).waitFor();
    return {
      page, context, complaints, server, link: () => links.at(-1) ?? '', origin: new URL(links[0] ?? '').origin,
      close: async () => { await browser?.close(); await end(server); },
    };
  } catch (error) {
    await browser?.close();
    await end(server);
    throw error;
  }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((resolve) => { server.once('exit', resolve); });
  server.removeAllListeners('error');
  server.kill('SIGTERM');
  await ended;
}

/** What the console in view shows. */
export function terminalText(page: Page): Promise<string> {
  return page.locator('.xterm-rows').innerText();
}
