/**
 * node test/property/core_fuzz.ts [--instructions N] [--seed S] [--program N] [--jit] [--record]
 *
 * Runs random bytes as guest code in every mode and at every privilege level, with and without EPT. The engine may only
 * ever leave with a reason it documents: it never throws, runs on beyond its budget, or touches memory that is not the
 * guest's. A watchdog thread tells the program that hangs; --program runs that one alone.
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { parseArgs } from 'node:util';
import { EXIT, loadCoreModule } from '../../engine/core/core.ts';
import { S } from '../../engine/core/gen/state.ts';
import { Random } from '../differential/random.ts';
import { recordResults } from '../differential/results.ts';
import { FuzzMachine, type EptKind } from './fuzz_machine.ts';
import { MODES, ProgramLoader, loadCodeSource } from './fuzz_program.ts';

export interface FuzzOptions {
  /** At least so many guest instructions. */
  readonly instructions: number;
  readonly seed: number;
  /** Only this program. */
  readonly program?: number;
  readonly jit?: boolean;
  /** Told before each program. */
  readonly onProgram?: (program: number) => void;
}

export interface FuzzResult {
  programs: number;
  instructions: number;
  /** Instructions by mode. */
  readonly modes: Map<string, number>;
  /** How runs ended, by exit reason. */
  readonly reasons: Map<number, number>;
  /** Exceptions that the exception bitmap showed, by vector. */
  readonly vectors: Map<number, number>;
  /** Exits in the middle of instructions, by reason. */
  readonly exits: Map<number, number>;
}

const EPTS: readonly EptKind[] = ['none', 'plain', 'accessed and dirty'];
/** Instructions between two looks, and looks for a program. */
const SLICE = 120; const SLICES = 5;
/** run() may go this far beyond its budget: to the end of a block. */
const SLACK = 256;
/** Compiled code looks at its budget where it goes back or leaves its page. */
const COMPILED_SLACK = SLACK + 4096;
/** Programs between two checks of the memory. */
const CHECK_EVERY = 4000;
const VECTORS = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19]);
const VALID = 0x8000_0000;

export async function fuzzCore(options: FuzzOptions): Promise<FuzzResult> {
  const module = await loadCoreModule();
  const loader = new ProgramLoader(await loadCodeSource());
  const machines = EPTS.map((ept) => new FuzzMachine(module, ept, options.jit ? { jit: 'on', jitThreshold: 2 } : {}));
  const result: FuzzResult = { programs: 0, instructions: 0, modes: new Map(), reasons: new Map(), vectors: new Map(), exits: new Map() };
  const check = (last: number): void => {
    for (const m of machines) {
      const damage = m.damage();
      if (damage !== null) throw new Error(`seed ${options.seed}: memory outside of the guest (EPT: ${m.ept}) changed by one of the ${CHECK_EVERY} programs up to ${last}: ${damage}`);
    }
  };
  for (let n = options.program ?? 0; result.instructions < options.instructions; n += 1) {
    options.onProgram?.(n);
    const m = machines[n % machines.length];
    const mode = MODES[Math.floor(n / machines.length) % MODES.length];
    const r = new Random(options.seed ^ Math.imul(n + 1, 0x9e37_79b1));
    const before = m.core.u64(S.INSTRUCTIONS);
    try {
      loader.load(m, mode, r);
      runProgram(m, r, result);
    } catch (error) {
      throw new Error(`seed ${options.seed}, program ${n} (${mode.name}, EPT: ${m.ept}): ${String(error)}`, { cause: error });
    }
    const ran = Number(m.core.u64(S.INSTRUCTIONS) - before);
    result.programs += 1;
    result.instructions += ran;
    add(result.modes, mode.name, ran);
    if (options.program !== undefined) break;
    if (result.programs % CHECK_EVERY === 0) check(n);
  }
  check(result.programs);
  for (const m of machines) for (const [reason, count] of m.exits) add(result.exits, reason, count);
  return result;
}

function add<K>(map: Map<K, number>, key: K, by = 1): void { map.set(key, (map.get(key) ?? 0) + by); }

/** Throws when the core does anything but leave with a reason. */
function runProgram(m: FuzzMachine, r: Random, result: FuzzResult): void {
  const { core } = m;
  m.answerWith(r);
  for (let slice = 0; slice < SLICES; slice += 1) {
    const before = core.u64(S.INSTRUCTIONS);
    const reason = core.run(SLICE);
    const ran = Number(core.u64(S.INSTRUCTIONS) - before);
    add(result.reasons, reason);
    if (ran > SLICE + (core.jit === undefined ? SLACK : COMPILED_SLACK)) throw new Error(`${ran} instructions on a budget of ${SLICE}`);
    if (core.u32(S.CPL) > 3) throw new Error(`CPL ${core.u32(S.CPL)}`);
    if (core.u64(S.GPR + 16 * 8) !== 0n) throw new Error('the register that is always zero is not');
    if (core.u32(S.ENTRY_INTR_INFO) & VALID) throw new Error('an event to be injected was not taken');
    if (reason === EXIT.TRIPLE_FAULT) return;
    if (reason === EXIT.EXCEPTION_NMI) {
      const info = core.u32(S.EXIT_INTR_INFO);
      const vector = info & 0xff;
      if (!(info & VALID) || !VECTORS.has(vector) || !(core.u32(S.EXCEPTION_BITMAP) >>> vector & 1)) throw new Error(`exception exit with information 0x${info.toString(16)}`);
      add(result.vectors, vector);
      // the hypervisor gives it back to the guest, or lets the guest try again
      if (r.chance(0.7)) inject(m, info, core.u32(S.EXIT_INTR_ERROR_CODE), core.u32(S.EXIT_INSTRUCTION_LENGTH));
    } else if (r.chance(0.2)) {
      const kind = r.below(4);
      if (kind === 0) inject(m, VALID | r.below(256), 0, 0);
      else if (kind === 1) inject(m, VALID | 0x202, 0, 0);
      else if (kind === 2) inject(m, VALID | 0xb0d, r.u32() & 0xffff, 0);
      else core.setU32(S.EVENT_FLAGS, 16); // drop translations
    } else if (reason === EXIT.HLT) {
      return;
    }
  }
}

function inject(m: FuzzMachine, info: number, error: number, length: number): void {
  const { core } = m;
  core.setU32(S.ENTRY_INTR_INFO, info);
  core.setU32(S.ENTRY_ERROR_CODE, error);
  core.setU32(S.ENTRY_INSTRUCTION_LENGTH, length);
  core.setU32(S.ACTIVITY_STATE, 0);
}

/** Milliseconds without a new program after which one is said to hang. */
const HANGS_MS = 60_000;

interface WorkerData { readonly options: FuzzOptions; readonly progress: Int32Array; readonly record: boolean }

if (!isMainThread && (workerData as WorkerData | null)?.progress !== undefined) {
  const { options, progress, record } = workerData as WorkerData;
  const result = await fuzzCore({ ...options, onProgram: (n) => { progress[0] = n; } });
  const table = (title: string, map: Map<unknown, number>): void => console.log(`${title}: ${[...map].toSorted((a, b) => b[1] - a[1]).map(([k, n]) => `${k} ${n}`).join(', ')}`);
  const names = new Map<number, string>(Object.entries(EXIT).map(([name, reason]) => [reason, name]));
  const named = (map: Map<number, number>): Map<string, number> => new Map([...map].map(([reason, n]) => [names.get(reason) ?? String(reason), n]));
  table('instructions by mode', result.modes);
  table('runs ended by', named(result.reasons));
  table('exits inside instructions', named(result.exits));
  table('exceptions by vector', result.vectors);
  console.log(`${result.programs} programs, ${result.instructions} instructions: the engine kept its word`);
  if (record) recordResults({ [options.jit ? 'fuzzJit' : 'fuzz']: { seed: options.seed, instructions: result.instructions, programs: result.programs } });
} else if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      instructions: { type: 'string', default: '10000000' }, seed: { type: 'string', default: '1' }, program: { type: 'string' },
      jit: { type: 'boolean', default: false }, record: { type: 'boolean', default: false },
    },
  });
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const options: FuzzOptions = {
    instructions: Number(values.instructions), seed: Number(values.seed), program: values.program === undefined ? undefined : Number(values.program), jit: values.jit,
  };
  const worker = new Worker(new URL(import.meta.url), { workerData: { options, progress, record: values.record } });
  let last = -1;
  const watchdog = setInterval(() => {
    const now = Atomics.load(progress, 0);
    if (now === last) {
      console.error(`seed ${options.seed}, program ${now} does not end`);
      process.exit(1);
    }
    last = now;
  }, HANGS_MS);
  worker.on('exit', () => clearInterval(watchdog));
}
