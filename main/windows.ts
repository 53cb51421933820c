/**
 * Windows and what they may do: the page and nothing else.
 *
 * @spec   Electron's security checklist
 * @cover  #Y isolation, sandbox, permissions, navigation, new windows, web views, links by allow-list
 * @differ The clipboard may be written (copy buttons) and is never read by permission: pasting is the user's key.
 */
import { BrowserWindow, shell } from 'electron';
import type { App, Session } from 'electron';
import { APP_URL, isAppUrl } from './app_protocol.ts';

/** Places a link may lead to; guests' output can carry links too, so this is short. */
const LINK_HOSTS = ['projectacrn.org', 'projectacrn.github.io', 'github.com'];
const ALLOWED_PERMISSIONS: readonly string[] = ['clipboard-sanitized-write'];

export function createWindow(preload: string): BrowserWindow {
  const window = new BrowserWindow({
    width: 1280,
    height: 800,
    minWidth: 900,
    minHeight: 600,
    show: false,
    title: 'ACRN Desktop',
    backgroundColor: '#13161c',
    webPreferences: {
      preload,
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      webviewTag: false,
      navigateOnDragDrop: false,
      spellcheck: false,
    },
  });
  window.once('ready-to-show', () => window.show());
  void window.loadURL(APP_URL);
  return window;
}

/** Before any window exists. */
export function restrictContents(app: Pick<App, 'on'>): void {
  app.on('web-contents-created', (_event, contents) => {
    contents.on('will-navigate', (event) => { if (!isAppUrl(event.url)) event.preventDefault(); });
    contents.on('will-frame-navigate', (event) => { if (!isAppUrl(event.url)) event.preventDefault(); });
    contents.on('will-redirect', (event) => { if (!isAppUrl(event.url)) event.preventDefault(); });
    contents.on('will-attach-webview', (event) => event.preventDefault());
    contents.setWindowOpenHandler(({ url }) => {
      if (isAllowedLink(url)) void shell.openExternal(url);
      return { action: 'deny' };
    });
  });
}

export function restrictSession(session: Session): void {
  session.setPermissionRequestHandler((_contents, permission, decide) => decide(ALLOWED_PERMISSIONS.includes(permission)));
  session.setPermissionCheckHandler((_contents, permission) => ALLOWED_PERMISSIONS.includes(permission));
  session.setDevicePermissionHandler(() => false);
}

export function isAllowedLink(url: string): boolean {
  try {
    const { protocol, hostname, username, password, port } = new URL(url);
    return protocol === 'https:' && username === '' && password === '' && port === '' && LINK_HOSTS.some((host) => hostname === host || hostname === `www.${host}`);
  } catch {
    return false;
  }
}
