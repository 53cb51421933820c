/**
 * Settings of the application: one schema, one JSON file, kept by electron-store in Electron and by the same rules here.
 *
 * @spec   design.md section 7: settings only; VM definitions have files of their own
 * @cover  #Y defaults, checked reads, a malformed file is set aside and not lost, atomic writes
 * @differ none
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { defaultNucMemoryMiB, NUC_MEMORY_MAX_MIB, NUC_MEMORY_MIN_MIB } from '../engine/index.ts';

export const settingsSchema = z.object({
  /** RAM of the emulated NUC, from which every VM takes its share. Used from the next start of the NUC on. */
  nucMemoryMiB: z.int().min(NUC_MEMORY_MIN_MIB).max(NUC_MEMORY_MAX_MIB).optional(),
  /** Mirror of Debian packages for computers without apt. */
  imageMirror: z.url().optional(),
});
export type Settings = z.infer<typeof settingsSchema>;

export interface SettingsStore {
  readonly path: string;
  get(): Settings;
  set(change: Partial<Settings>): void;
}

export function nucMemoryMiB(settings: SettingsStore): number {
  return settings.get().nucMemoryMiB ?? defaultNucMemoryMiB();
}

/** Keeps every field that passes; a wrong one is left out rather than taking the others with it. */
export function readSettings(input: unknown): Settings {
  if (typeof input !== 'object' || input === null) return {};
  const settings: Record<string, unknown> = {};
  for (const [field, schema] of Object.entries(settingsSchema.shape)) {
    const checked = schema.safeParse((input as Record<string, unknown>)[field]);
    if (checked.success && checked.data !== undefined) settings[field] = checked.data;
  }
  return settings;
}

/** The plain store of `npm run serve`. */
export class FileSettings implements SettingsStore {
  readonly path: string;

  constructor(path: string) { this.path = path; }

  get(): Settings {
    const text = this.#read();
    if (text === undefined) return {};
    try {
      return readSettings(JSON.parse(text));
    } catch {
      renameSync(this.path, `${this.path}.broken`);
      return {};
    }
  }

  set(change: Partial<Settings>): void {
    const next = settingsSchema.parse({ ...this.get(), ...change });
    mkdirSync(dirname(this.path), { recursive: true });
    const temporary = `${this.path}.${process.pid}.tmp`;
    writeFileSync(temporary, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 });
    renameSync(temporary, this.path);
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
