/** results.json: what the last long runs compared. docs/cpu-coverage.md tells it. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Instructions run on the host processor and on the core. */
export interface NativeRun {
  /** By class. */
  readonly classes: Record<string, ClassRun>;
}

export interface ClassRun {
  /** Of the runs that these counts sum up. */
  readonly seeds: readonly number[];
  readonly cases: number;
  readonly mismatches: number;
  /** Cases by op; a sequence counts for each of its instructions. */
  readonly ops: Record<string, number>;
}

/** Both runs of a class; one with a seed that counts already stands in for what there was. */
export function addRun(known: ClassRun | undefined, run: ClassRun): ClassRun {
  if (known === undefined || run.seeds.some((seed) => known.seeds.includes(seed))) return run;
  const ops: Record<string, number> = { ...known.ops };
  for (const [op, n] of Object.entries(run.ops)) ops[op] = (ops[op] ?? 0) + n;
  return { seeds: [...known.seeds, ...run.seeds], cases: known.cases + run.cases, mismatches: known.mismatches + run.mismatches, ops };
}

export interface FuzzRun {
  readonly seed: number;
  readonly instructions: number;
  readonly programs: number;
}

export interface Results {
  /** 64- and 32-bit code, interpreted. */
  native?: NativeRun;
  /** The same, compiled. */
  nativeJit?: NativeRun;
  /** 16-bit code, interpreted. */
  native16?: NativeRun;
  /** Byte strings decoded by the core and by iced-x86. */
  decoder?: {
    readonly seed: number;
    readonly cases: number;
    /** Of them, instructions whose whole records were compared. */
    readonly records: number;
    readonly mismatches: number;
  };
  /** Random bytes run as guest code. */
  fuzz?: FuzzRun;
  /** The same with compiled code. */
  fuzzJit?: FuzzRun;
}

export const casesOf = (run: NativeRun): number => Object.values(run.classes).reduce((n, c) => n + c.cases, 0);
export const mismatchesOf = (run: NativeRun): number => Object.values(run.classes).reduce((n, c) => n + c.mismatches, 0);
/** Cases by op over all classes. */
export function opsOf(run: NativeRun): Map<string, number> {
  const ops = new Map<string, number>();
  for (const c of Object.values(run.classes)) for (const [op, n] of Object.entries(c.ops)) ops.set(op, (ops.get(op) ?? 0) + n);
  return ops;
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
