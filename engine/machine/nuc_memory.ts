/** How much memory the NUC has, the same for the window, acrn-dm and acrnctl: the settings' figure, or half of this computer's. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';

const MIB = 1 << 20;
const STEP_MIB = 256;
const MOST_BY_DEFAULT_MIB = 3072;
export const NUC_MEMORY_MIN_MIB = 512;
/** wasm32 shared memory ends at 4 GiB; the board's own tables need room below that. */
export const NUC_MEMORY_MAX_MIB = 3840;
export const NUC_PCPUS = 4;

/** Half of this computer's memory, in steps of 256 MiB, within what a NUC can have. */
export function defaultNucMemoryMiB(hostBytes = totalmem()): number {
  const half = Math.floor(hostBytes / 2 / MIB / STEP_MIB) * STEP_MIB;
  return Math.min(Math.max(half, NUC_MEMORY_MIN_MIB), MOST_BY_DEFAULT_MIB);
}

/** What the window's settings file in `dataDir` says; its default where it says nothing, or nothing usable. */
export function nucMemoryMiB(dataDir: string): number {
  let set: unknown;
  try {
    set = (JSON.parse(readFileSync(join(dataDir, 'settings.json'), 'utf8')) as { nucMemoryMiB?: unknown } | null)?.nucMemoryMiB;
  } catch {
    return defaultNucMemoryMiB(); // no settings yet; a broken file is the window's to tell of
  }
  const usable = Number.isInteger(set) && (set as number) >= NUC_MEMORY_MIN_MIB && (set as number) <= NUC_MEMORY_MAX_MIB;
  return usable ? (set as number) : defaultNucMemoryMiB();
}
