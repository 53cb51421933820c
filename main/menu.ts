/** The application menu: what a desktop expects, with the keys left to the consoles where they mean something there. */
import { shell } from 'electron';
import type { BrowserWindow, MenuItemConstructorOptions } from 'electron';

export interface MenuActions {
  go: (window: BrowserWindow, hash: string) => void;
  settingsPath: string;
  dataDir: string;
}

export function menuTemplate(platform: NodeJS.Platform, actions: MenuActions, isPackaged: boolean): MenuItemConstructorOptions[] {
  const to = (label: string, hash: string, accelerator: string): MenuItemConstructorOptions => ({
    label, accelerator, click: (_item, window) => { if (window !== undefined) actions.go(window as BrowserWindow, hash); },
  });
  const mac = platform === 'darwin';
  return [
    ...(mac ? [{ role: 'appMenu' } as MenuItemConstructorOptions] : []),
    {
      label: '&File',
      submenu: [
        to('New VM…', '#/new', 'CmdOrCtrl+Shift+N'),
        { type: 'separator' },
        { label: 'Show the data folder', click: () => { void shell.openPath(actions.dataDir); } },
        { label: 'Show the settings file', click: () => { shell.showItemInFolder(actions.settingsPath); } },
        { type: 'separator' },
        mac ? { role: 'close' } : { role: 'quit', accelerator: 'CmdOrCtrl+Shift+Q' },
      ],
    },
    // No accelerators of ours on Ctrl+C, Ctrl+V and the like outside macOS: they belong to the guest.
    mac ? { role: 'editMenu' } : {
      label: '&Edit',
      submenu: [
        { role: 'copy', accelerator: 'CmdOrCtrl+Shift+C', registerAccelerator: false },
        { role: 'paste', accelerator: 'CmdOrCtrl+Shift+V', registerAccelerator: false },
        { role: 'selectAll', registerAccelerator: false },
      ],
    },
    {
      label: '&View',
      submenu: [
        to('Virtual machines', '#/vms', 'CmdOrCtrl+Shift+1'),
        to('Consoles', '#/consoles', 'CmdOrCtrl+Shift+2'),
        to('NUC', '#/nuc', 'CmdOrCtrl+Shift+3'),
        { type: 'separator' },
        { role: 'zoomIn', accelerator: 'CmdOrCtrl+Shift+=' },
        { role: 'zoomOut', accelerator: 'CmdOrCtrl+Shift+-' },
        { role: 'resetZoom', accelerator: 'CmdOrCtrl+Shift+0' },
        { role: 'togglefullscreen' },
        ...(isPackaged ? [] : [{ type: 'separator' }, { role: 'toggleDevTools' }] as MenuItemConstructorOptions[]),
      ],
    },
    { role: 'windowMenu' },
  ];
}
