/** results.json: what the last long runs compared. docs/cpu-coverage.md tells it. */
import { readFileSync, writeFileSync } from 'node:fs';

export interface Results {
  /** Instructions run on the host processor and on the interpreter. */
  native?: {
    readonly seed: number;
    readonly cases: number;
    readonly classes: Record<string, { readonly cases: number; readonly mismatches: number }>;
    /** Cases by op; a sequence counts for each of its instructions. */
    readonly ops: Record<string, number>;
  };
  /** Byte strings decoded by the core and by iced-x86. */
  decoder?: {
    readonly seed: number;
    readonly cases: number;
    /** Of them, instructions whose whole records were compared. */
    readonly records: number;
    readonly mismatches: number;
  };
  /** Random bytes run as guest code. */
  fuzz?: {
    readonly seed: number;
    readonly instructions: number;
    readonly programs: number;
  };
}

const file = new URL('results.json', import.meta.url);

export function readResults(): Results {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

/** Replaces one part of the file. */
export function recordResults(part: Results): void { writeFileSync(file, `${JSON.stringify({ ...readResults(), ...part }, null, 1)}\n`); }
