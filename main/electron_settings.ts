/** The settings file, kept by electron-store under the same schema as without Electron. */
import Store from 'electron-store';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { readSettings, settingsSchema } from './settings.ts';
import type { Settings, SettingsStore } from './settings.ts';

/** A file that cannot be read is set aside, not wiped. */
export function electronSettings(dataDir: string): SettingsStore {
  const open = (): Store<Settings> => new Store<Settings>({ cwd: dataDir, name: 'settings', clearInvalidConfig: false, accessPropertiesByDotNotation: false });
  let store: Store<Settings>;
  try {
    store = open();
  } catch (error) {
    const path = join(dataDir, 'settings.json');
    if (!existsSync(path)) throw error;
    renameSync(path, `${path}.broken`);
    store = open();
  }
  return {
    path: store.path,
    get: () => readSettings(store.store),
    set: (change) => { store.set(settingsSchema.parse({ ...readSettings(store.store), ...change })); },
  };
}
