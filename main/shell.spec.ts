import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import type { IpcMain } from 'electron';
import { definition } from '../test/e2e/fake/fake_engine.ts';
import { harness } from '../test/e2e/fake/harness.ts';

/** The calls of Electron that the shell makes. */
const electron = vi.hoisted(() => ({ opened: [] as string[], shown: [] as string[], windows: [] as Array<{ options: { webPreferences?: unknown }; urls: string[] }> }));
vi.mock('electron', () => ({
  BrowserWindow: class {
    readonly urls: string[] = [];
    constructor(options: { webPreferences?: unknown }) { electron.windows.push({ options, urls: this.urls }); }
    once(): void {}
    async loadURL(url: string): Promise<void> { this.urls.push(url); }
  },
  shell: {
    openExternal: async (url: string) => { electron.opened.push(url); },
    openPath: async (path: string) => { electron.shown.push(path); },
    showItemInFolder: (path: string) => { electron.shown.push(path); },
  },
}));

const { appProtocol, isAppUrl } = await import('./app_protocol.ts');
const { connectWindows } = await import('./ipc.ts');
const { menuTemplate } = await import('./menu.ts');
const { createWindow, isAllowedLink, restrictContents, restrictSession } = await import('./windows.ts');

beforeEach(() => { electron.opened.length = 0; electron.shown.length = 0; electron.windows.length = 0; });

test('a window is isolated, sandboxed and shows the page of app://', () => {
  createWindow('/app/preload.cjs');
  expect(electron.windows[0]?.options.webPreferences).toMatchObject({ preload: '/app/preload.cjs', contextIsolation: true, sandbox: true, nodeIntegration: false, webSecurity: true, webviewTag: false });
  expect(electron.windows[0]?.urls).toEqual(['app://acrn/index.html']);
});

test('navigation, redirects, web views and new windows are denied; links open outside by an allow-list', () => {
  const app = new EventEmitter();
  restrictContents(app as never);
  let openHandler: (details: { url: string }) => { action: string } = () => ({ action: 'allow' });
  const contents = Object.assign(new EventEmitter(), { setWindowOpenHandler(handler: typeof openHandler) { openHandler = handler; } });
  app.emit('web-contents-created', {}, contents);
  for (const kind of ['will-navigate', 'will-frame-navigate', 'will-redirect']) {
    const [away, home] = [{ url: 'https://evil.example/', preventDefault: vi.fn() }, { url: 'app://acrn/index.html#/vms', preventDefault: vi.fn() }];
    contents.emit(kind, away);
    contents.emit(kind, home);
    expect([away.preventDefault.mock.calls.length, home.preventDefault.mock.calls.length], kind).toEqual([1, 0]);
  }
  const view = { preventDefault: vi.fn() };
  contents.emit('will-attach-webview', view);
  expect(view.preventDefault).toHaveBeenCalled();
  expect(openHandler({ url: 'https://projectacrn.org/' })).toEqual({ action: 'deny' });
  expect(openHandler({ url: 'https://evil.example/' })).toEqual({ action: 'deny' });
  expect(electron.opened).toEqual(['https://projectacrn.org/']);
});

test.each(['http://projectacrn.org/', 'https://projectacrn.org.evil.example/', 'https://user:pass@github.com/', 'https://github.com:8443/', 'file:///etc/passwd', 'javascript:alert(1)', 'vscode://x', '', 'https://evil.example/#projectacrn.org'])('this link is not opened: %s', (url) => {
  expect(isAllowedLink(url)).toBe(false);
});

test('every permission is denied but writing the clipboard', () => {
  const handlers: Record<string, (...args: unknown[]) => unknown> = {};
  restrictSession({ setPermissionRequestHandler: (f: never) => { handlers.request = f as never; }, setPermissionCheckHandler: (f: never) => { handlers.check = f; }, setDevicePermissionHandler: (f: never) => { handlers.device = f; } } as never);
  const asked: boolean[] = [];
  for (const permission of ['media', 'geolocation', 'notifications', 'clipboard-read', 'clipboard-sanitized-write']) handlers.request?.({}, permission, (granted: boolean) => asked.push(granted));
  expect(asked).toEqual([false, false, false, false, true]);
  expect([handlers.check?.({}, 'usb'), handlers.check?.({}, 'clipboard-sanitized-write'), handlers.device?.({})]).toEqual([false, true, false]);
});

test('app:// serves the page with its policy, and nothing beside it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'page-'));
  writeFileSync(join(folder, 'index.html'), 'nonce __ACRN_CSP_NONCE__');
  const handle = appProtocol(folder);
  const page = handle({ url: 'app://acrn/index.html', method: 'GET' });
  const csp = page.headers.get('Content-Security-Policy') ?? '';
  expect(csp).toContain("default-src 'none'");
  expect(csp).toContain("connect-src 'none'");
  expect(await page.text()).toBe(`nonce ${/'nonce-([^']+)'/.exec(csp)?.[1]}`);
  for (const url of ['app://acrn/../../etc/passwd', 'app://acrn/%2e%2e/secret', 'app://other/index.html', 'app://acrn/nothing']) expect(handle({ url, method: 'GET' }).status, url).toBe(404);
  expect(handle({ url: 'app://acrn/index.html', method: 'POST' }).status).toBe(405);
  expect([isAppUrl('app://acrn/x'), isAppUrl('app://acrn.evil/x'), isAppUrl('https://acrn/x'), isAppUrl('nonsense')]).toEqual([true, false, false, false]);
  rmSync(folder, { recursive: true });
});

/** ipcMain and one window's contents. */
async function ipc() {
  const h = await harness();
  const on: Record<string, (...args: unknown[]) => unknown> = {};
  connectWindows({ on: (name: string, f: never) => { on[name] = f; }, handle: (name: string, f: never) => { on[name] = f; } } as unknown as Pick<IpcMain, 'on' | 'handle'>, h.services);
  const frame = { url: 'app://acrn/index.html' };
  const sender = Object.assign(new EventEmitter(), { id: 1, mainFrame: frame, sent: [] as unknown[][], isDestroyed: () => false, send(...args: unknown[]) { this.sent.push(args); } });
  const event = { sender, senderFrame: frame };
  return { h, sender, event, hello: (from = event) => on['acrn:hello']?.(from), call: async (name: unknown, request: unknown, from: unknown = event) => on['acrn:call']?.(from, name, request), read: (bytes: unknown) => on['acrn:read']?.(event, bytes) };
}

test('a page calls after it said hello, and gets events', async () => {
  const { h, sender, hello, call } = await ipc();
  expect(await call('app.info', {})).toMatchObject({ problem: { code: 'BAD_SENDER' } });
  hello();
  expect(await call('app.info', {})).toMatchObject({ reply: { version: '1.2.3' } });
  expect(await call('vm.start', { name: 'none' })).toMatchObject({ problem: { code: 'NO_VM' } });
  await h.engine.store.create(definition('vm1'));
  await call('vm.list', {});
  expect(sender.sent).toContainEqual(['acrn:event', 'vm.changed', expect.objectContaining({ name: 'vm1' })]);
});

test('a frame inside the page, or another page, is refused', async () => {
  const { event, hello, call } = await ipc();
  hello();
  const inner = { sender: event.sender, senderFrame: { url: 'app://acrn/index.html' } };
  event.sender.mainFrame.url = 'https://evil.example/';
  expect(await call('app.info', {})).toMatchObject({ problem: { code: 'BAD_SENDER' } });
  event.sender.mainFrame.url = 'app://acrn/index.html';
  expect(await call('app.info', {}, inner)).toMatchObject({ problem: { code: 'BAD_SENDER' } });
  expect(await call('app.info', {}, { sender: event.sender, senderFrame: null })).toMatchObject({ problem: { code: 'BAD_SENDER' } });
});

test('a page that is loaded anew starts without the consoles of the old one, and a closed window gets nothing', async () => {
  const { h, sender, hello, call } = await ipc();
  await h.engine.store.create(definition('vm1'));
  hello();
  await call('vm.start', { name: 'vm1' });
  h.process.runLater();
  await call('console.attach', { name: 'vm1', consoleId: 'com1' });
  hello();
  sender.sent.length = 0;
  h.process.nuc.output('vm1', 'com1', 'x');
  h.flush();
  expect(sender.sent).toEqual([]);
  sender.emit('destroyed');
  await call('vm.list', {}).catch(() => {});
  expect(await call('app.info', {})).toMatchObject({ problem: { code: 'BAD_SENDER' } });
});

test('a window that does not read its output is sent no more than 512 KiB ahead', async () => {
  const { h, sender, hello, call, read } = await ipc();
  await h.engine.store.create(definition('vm1'));
  hello();
  await call('vm.start', { name: 'vm1' });
  h.process.runLater();
  await call('console.attach', { name: 'vm1', consoleId: 'com1' });
  const sentBytes = (): number => sender.sent.filter(([, name]) => name === 'console.output').reduce((sum, [, , data]) => sum + (data as { data: string }).data.length, 0);
  for (let at = 0; at < 10; at += 1) { h.process.nuc.output('vm1', 'com1', 'y'.repeat(200_000)); h.flush(); }
  const ahead = sentBytes();
  expect(ahead).toBeLessThan(512 * 1024 + 256 * 1024);
  read(ahead);
  h.flush();
  expect(sentBytes()).toBeGreaterThan(ahead);
});

test('the menu takes no key away from the guest: nothing with Ctrl or Alt alone', () => {
  for (const platform of ['linux', 'win32'] as const) {
    const texts = JSON.stringify(menuTemplate(platform, { go: () => {}, settingsPath: '/s', dataDir: '/d' }, true));
    expect(texts).not.toMatch(/"accelerator":"(CmdOrCtrl|Ctrl|Alt)\+[A-Z0-9]"/);
    expect(texts).not.toContain('toggleDevTools');
  }
});
