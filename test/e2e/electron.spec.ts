import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron } from 'playwright-core';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(ROOT, 'node_modules/electron/dist');
const NAME = join(ROOT, 'node_modules/electron/path.txt');
const PROGRAM = existsSync(NAME) ? join(FOLDER, readFileSync(NAME, 'utf8')) : '';
const hasScreen = process.platform !== 'linux' || (process.env.DISPLAY ?? '') !== '';

test.skipIf(!existsSync(PROGRAM) || !hasScreen || !existsSync(join(ROOT, 'out/main/index.js')))('Electron opens a window with the VMs, and the page has no Node', async () => {
  const data = mkdtempSync(join(tmpdir(), 'acrn-desktop-'));
  const app = await _electron.launch({ executablePath: PROGRAM, args: [ROOT, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])], env: { ...process.env, ACRN_DESKTOP_DATA: data, ACRN_DESKTOP_RUNTIME: join(data, 'run') } as Record<string, string> });
  try {
    const page = await app.firstWindow();
    await page.getByRole('heading', { name: 'Virtual machines' }).waitFor();
    expect(page.url()).toMatch(/^app:\/\/acrn\/index\.html/);
    expect(await page.evaluate(() => [typeof (globalThis as Record<string, unknown>).require, typeof (globalThis as Record<string, unknown>).process, Object.keys((globalThis as unknown as { acrn: object }).acrn).sort()])).toEqual(['undefined', 'undefined', ['call', 'on']]);
  } finally {
    await app.close();
    rmSync(data, { recursive: true, force: true });
  }
});
