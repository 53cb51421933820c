/**
 * ACRN Desktop as an Electron application.
 *
 * @spec   design.md section 3; Electron's security checklist
 * @cover  #Y one instance, one utility process for the NUC, a question before running VMs are ended
 * @differ none
 */
import { app, BrowserWindow, dialog, ipcMain, Menu, protocol, session, utilityProcess } from 'electron';
import { fileURLToPath } from 'node:url';
import { APP_SCHEME, appProtocol } from './app_protocol.ts';
import { electronSettings } from './electron_settings.ts';
import { openEngine } from './engine.ts';
import { utilitySpawner } from './engine_host.ts';
import { connectWindows } from './ipc.ts';
import { menuTemplate } from './menu.ts';
import { toProblem } from './problems.ts';
import { Services } from './services.ts';
import { createWindow, restrictContents, restrictSession } from './windows.ts';

const PRELOAD = fileURLToPath(new URL('../preload/index.cjs', import.meta.url));
const PAGE_DIR = fileURLToPath(new URL('../renderer', import.meta.url));

let services: Services | undefined;
let quitting = false;

async function run(): Promise<void> {
  await app.whenReady();
  restrictSession(session.defaultSession);
  protocol.handle(APP_SCHEME, appProtocol(PAGE_DIR));
  const engine = await openEngine();
  const settings = electronSettings(engine.dataDir);
  services = new Services({ engine, spawn: utilitySpawner(utilityProcess, engine.nucProcessEntry), settings, host: 'electron', version: app.getVersion() });
  await services.start();
  connectWindows(ipcMain, services);
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(process.platform, {
    settingsPath: settings.path,
    dataDir: engine.dataDir,
    // The hash is one of the menu's own constants.
    go: (window, hash) => { void window.webContents.executeJavaScript(`location.hash = ${JSON.stringify(hash)}`); },
  }, app.isPackaged)));
  createWindow(PRELOAD);
}

function isQuitWanted(running: string[]): boolean {
  if (running.length === 0) return true;
  const quit = 1; // index into buttons
  return dialog.showMessageBoxSync({
    type: 'warning',
    message: `Quit and end ${running.join(', ')}?`,
    detail: 'Guests are not told: whatever they have not written to their disks is lost. Stop them first to keep it.',
    buttons: ['Cancel', 'Quit'],
    defaultId: 0,
    cancelId: 0,
  }) === quit;
}

if (!app.requestSingleInstanceLock()) {
  app.quit();
} else {
  app.enableSandbox();
  protocol.registerSchemesAsPrivileged([{ scheme: APP_SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } }]);
  restrictContents(app);
  app.on('second-instance', () => {
    const window = BrowserWindow.getAllWindows()[0];
    if (window === undefined) return;
    if (window.isMinimized()) window.restore();
    window.focus();
  });
  app.on('activate', () => { if (services !== undefined && BrowserWindow.getAllWindows().length === 0) createWindow(PRELOAD); });
  app.on('window-all-closed', () => { if (process.platform !== 'darwin') app.quit(); });
  app.on('before-quit', (event) => {
    if (quitting || services === undefined) return;
    event.preventDefault();
    if (!isQuitWanted(services.runningNames)) {
      if (BrowserWindow.getAllWindows().length === 0) createWindow(PRELOAD);
      return;
    }
    quitting = true;
    services.close().finally(() => app.quit());
  });
  run().catch((error: unknown) => {
    const { what, why, todo } = toProblem(error, 'ACRN Desktop cannot start');
    dialog.showErrorBox(what, `${why}\n\n${todo}`);
    app.exit(1);
  });
}
