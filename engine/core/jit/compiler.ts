/**
 * The compiler of one pCPU: turns hot blocks into page functions and puts them into the table.
 *
 * @cover #Y 64-bit mode   #N other modes stay in the interpreter
 */
import { layout } from '../tables/layout.ts';
import type { Decode } from './blocks.ts';
import { findBlocks } from './blocks.ts';
import type { Instruction } from './instruction.ts';
import { readInstruction } from './instruction.ts';
import { RECORDS_BASE, RECORDS_END, SCRATCH_RECORD } from './layout.ts';
import type { CoreFunctions } from './module.ts';
import { buildModule, exportName } from './module.ts';

/** The exports of the core that the compiler uses, beside those that compiled code imports. */
export interface CompilerExports extends CoreFunctions {
  hotBlocks(page: number, mode: number, least: number, out: number): number;
  decodeForJit(record: number, page: number, offset: number, mode: number): number;
  installEntry(at: number, mode: number, generation: number, fn: number, entry: number): void;
  forgetEntries(): void;
  dropDecoded(): void;
}

const MODE_LONG64 = 1;
const RECORD_BYTES = 32;
const ENDS = 0x100;
const TOO_FAR = 0x200;
/** Instructions of a page function. */
const MAX_INSTRUCTIONS = 1500;

export interface JitStatistics { functions: number; instructions: number; bytes: number; compileMs: number; flushes: number; refused: number }

export class JitCompiler {
  readonly limits = {
    /** Functions at once in the table; when it is full everything is forgotten. */
    functions: 8192,
    /** Compilations of one page, whatever its code, after which the interpreter keeps it. */
    compilations: 24,
  };
  readonly statistics: JitStatistics = { functions: 0, instructions: 0, bytes: 0, compileMs: 0, flushes: 0, refused: 0 };
  /** For inspection: called with every module's bytes. */
  onModule: ((bytes: Uint8Array) => void) | undefined;
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;
  readonly #core: CompilerExports;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #least: number;
  #nextFunction = 1;
  #nextRecord: number;
  readonly #recordsBase: number;
  readonly #recordsEnd: number;
  readonly #compilations = new Map<number, number>();

  constructor(memory: WebAssembly.Memory, table: WebAssembly.Table, core: CompilerExports, pcpuId: number, threshold: number) {
    this.#memory = memory;
    this.#table = table;
    this.#core = core;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#least = Math.max(1, threshold >> 4);
    const share = (RECORDS_END - RECORDS_BASE) / 4;
    this.#recordsBase = RECORDS_BASE + share * pcpuId;
    this.#recordsEnd = this.#recordsBase + share;
    this.#nextRecord = this.#recordsBase;
  }

  /** The block at a wasm address has run often enough. */
  hot(at: number, mode: number): void {
    if ((mode & MODE_LONG64) === 0 || at < layout.RAM_BASE) return;
    const page = (at & ~0xfff) >>> 0;
    const times = (this.#compilations.get(page) ?? 0) + 1;
    this.#compilations.set(page, times);
    if (times > this.limits.compilations) {
      this.statistics.refused += 1;
      return;
    }
    this.compile(page, mode);
  }

  compile(page: number, mode: number): void {
    const started = performance.now();
    const view = this.#view;
    const core = this.#core;
    const generationAt = layout.PAGE_GENERATION_BASE + ((page - layout.RAM_BASE) >>> 12) * 4;
    const generation = Atomics.load(new Uint32Array(this.#memory.buffer, generationAt, 1), 0);
    if (this.#nextFunction >= this.limits.functions || this.#nextRecord + 0x1000 * RECORD_BYTES > this.#recordsEnd) this.flush();
    const scratch = SCRATCH_RECORD;
    const count = core.hotBlocks(page, mode, this.#least, scratch);
    const leaders = new Set<number>();
    for (let i = 0; i < count; i += 1) leaders.add(view.getUint16(scratch + i * 2, true));
    const cache = new Map<number, Instruction | undefined>();
    const decode: Decode = (offset) => {
      if (cache.has(offset)) return cache.get(offset);
      const answer = core.decodeForJit(scratch, page, offset, mode);
      const length = answer & 0xff;
      const i = (answer & TOO_FAR) !== 0 || offset + length > 0x1000 ? undefined : readInstruction(view, scratch, (answer & ENDS) !== 0);
      cache.set(offset, i);
      return i;
    };
    const blocks = findBlocks(leaders, decode, MAX_INSTRUCTIONS);
    if (blocks.length === 0) return;
    const records = new Map<Instruction, number>();
    const record = (i: Instruction): number => {
      let at = records.get(i);
      if (at === undefined) {
        at = this.#nextRecord;
        this.#nextRecord += RECORD_BYTES;
        this.#bytes.set(i.bytes, at);
        records.set(i, at);
      }
      return at;
    };
    const bytes = buildModule([{ page, mode, generation, blocks }], record);
    this.onModule?.(bytes);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: this.#memory, table: this.#table },
      core: core as unknown as Record<string, CallableFunction>,
    });
    const fn = this.#nextFunction;
    this.#nextFunction += 1;
    if (fn >= this.#table.length) this.#table.grow(1024);
    this.#table.set(fn, instance.exports[exportName(0)]);
    for (const b of blocks) if (leaders.has(b.offset)) core.installEntry(page + b.offset, mode, generation, fn, b.entry ? b.index : -1);
    const { statistics } = this;
    statistics.functions += 1;
    statistics.bytes += bytes.length;
    for (const b of blocks) statistics.instructions += b.instructions.length;
    statistics.compileMs += performance.now() - started;
  }

  /** Forgets all compiled code. */
  flush(): void {
    this.#core.forgetEntries();
    this.#core.dropDecoded();
    for (let i = 1; i < this.#nextFunction; i += 1) this.#table.set(i, null);
    this.#nextFunction = 1;
    this.#nextRecord = this.#recordsBase;
    this.statistics.flushes += 1;
  }
}
