/**
 * Takes the README's picture, docs/images/window.png, of the real application: two guests run, one is worked in.
 * `node test/e2e/picture.ts [folder]` takes every view of it, dark and light, into a folder as well.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { openServed, terminalText } from './page.ts';

const PICTURE = fileURLToPath(new URL('../../docs/images/window.png', import.meta.url));
const BOOT_MS = 180_000;
const [WIDTH, HEIGHT] = [1200, 660];
/** How far the window behind shows at the right and above. */
const [RIGHT, DOWN] = [150, 262];
const MARGIN = 24;
const folder = process.argv[2];
const dir = mkdtempSync(join(tmpdir(), 'acrn-picture-'));
const served = await openServed(new URL('../../main/serve.ts', import.meta.url), ['--no-open'], { ACRN_DESKTOP_RUNTIME: join(dir, 'run'), ACRN_DESKTOP_DATA: join(dir, 'data') });
const { page, origin } = served;
page.setDefaultTimeout(BOOT_MS);

const open = (hash: string): Promise<unknown> => page.goto(`${origin}/#${hash}`);
async function until(pattern: RegExp): Promise<void> {
  const ends = Date.now() + BOOT_MS;
  while (!pattern.test(await terminalText(page))) {
    if (Date.now() > ends) throw new Error(`${pattern} never came`);
    await page.waitForTimeout(100);
  }
}
async function command(line: string): Promise<void> {
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type(`${line}\r`);
  await until(new RegExp(`# ${line.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}\\n[\\s\\S]*# ?\\s*$`)); // its echo, its output, the next prompt
}
/** One picture a view and colour scheme. */
async function shoot(name: string, views: Array<[string, string]>): Promise<void> {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  for (const scheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [view, hash] of views) {
      await open(hash);
      await settle(page);
      await page.screenshot({ path: join(folder, `${name}-${view}-${scheme}.png`) });
    }
  }
}
/** Two frames after fonts and layout have come to rest. */
async function settle(shown: Page): Promise<void> {
  await shown.evaluate(async () => {
    await document.fonts.ready;
    await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
  });
}

/** The page as a data URL. */
async function frame(): Promise<string> {
  await settle(page);
  return `data:image/png;base64,${(await page.screenshot()).toString('base64')}`;
}
/** One window behind the other, with their shadows on nothing. */
async function compose(behind: string, front: string): Promise<void> {
  const canvas = await page.context().newPage();
  await canvas.setViewportSize({ width: WIDTH + RIGHT + 2 * MARGIN, height: HEIGHT + DOWN + 2 * MARGIN });
  const place = (left: number, top: number): string => `position:absolute;left:${MARGIN + left}px;top:${MARGIN + top}px;border-radius:12px;outline:1px solid #3a424f;box-shadow:0 6px 18px #0006`;
  await canvas.setContent(`<body style="margin:0;background:transparent"><img src="${behind}" style="${place(RIGHT, 0)}"><img src="${front}" style="${place(0, DOWN)}"></body>`);
  await settle(canvas);
  mkdirSync(dirname(PICTURE), { recursive: true });
  await canvas.screenshot({ path: PICTURE, omitBackground: true });
}

try {
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot('first', [['vms', '/vms'], ['new', '/new']]);
  await open('/new');
  await page.getByLabel('Name', { exact: true }).fill('build');
  await page.getByRole('button', { name: 'Create and start' }).click();
  await page.getByText('Waiting for the first output of build').waitFor();
  await open('/vms');
  await page.getByRole('button', { name: 'Start uos1' }).click();
  await open('/consoles/uos1');
  await page.getByText('Waiting for the first output of uos1').waitFor();
  await until(/# ?\s*$/);
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('clear\r');
  await until(/^\s*\S+# ?\s*$/);
  await command('uname -a');
  await command('grep -E "model name|cpu MHz|hypervisor" /proc/cpuinfo | cut -c1-72');
  await command('df -h /; free -m');
  await command('ls /sys/bus/virtio/drivers');
  await command('ps | tail -5');
  await shoot('running', [['vms', '/vms'], ['vm', '/vms/uos1'], ['nuc', '/nuc'], ['consoles', '/consoles/uos1'], ['new', '/new']]);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: WIDTH, height: HEIGHT });
  await open('/nuc');
  await page.getByText('2 of 4 in use').waitFor();
  const behind = await frame();
  await open('/consoles/uos1');
  await page.getByRole('tab', { name: /uos1/ }).first().waitFor();
  await compose(behind, await frame());
} catch (error) {
  await page.screenshot({ path: join(tmpdir(), 'acrn-picture-failed.png') });
  throw error;
} finally {
  await served.close();
  rmSync(dir, { recursive: true, force: true });
}
