/**
 * A pCPU's side of the JIT: asks for hot pages to be compiled, and puts what was compiled into the table.
 *
 * With a compiler thread (compiler_worker.ts) pages are compiled there and taken over between two slices of run();
 * without one they are compiled on the spot.
 *
 * @cover #Y 64-bit mode, flat 32-bit protected mode   #N other modes stay in the interpreter
 */
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { layout } from '../tables/layout.ts';
import type { CompiledPage, CompileRequest, DecoderExports } from './batch.ts';
import { RecordPool, compileBatch } from './batch.ts';
import { J, RECORDS_BASE, RECORDS_END, SCRATCH_RECORD, SCRATCH_STRIDE, isCompiled } from './layout.ts';
import type { CoreFunctions } from './module.ts';
import { exportName } from './module.ts';

/** The exports of the core that the compiler uses, beside those that compiled code imports. */
export interface CompilerExports extends CoreFunctions, DecoderExports {
  hotBlocks(page: number, mode: number, least: number, out: number): number;
  installEntry(at: number, mode: number, generation: number, fn: number, entry: number): void;
  forgetEntries(): void;
  dropDecoded(): void;
}

/** The way to a compiler thread: requests go through the port, answers come back; `ready` counts them. */
export interface CompilerLink { readonly port: MessagePort; readonly ready: Int32Array }

/** Answer of the compiler thread to the requests of a pCPU. */
export interface CompiledModule {
  readonly module: WebAssembly.Module;
  readonly pages: readonly CompiledPage[];
  /** Function number in the module of each page. */
  readonly functions: readonly number[];
}

export interface JitStatistics { functions: number; instructions: number; requests: number; flushes: number; refused: number }

interface PageState {
  generation: number;
  requests: number;
  /** Calls of hot() since the last request. */
  heat: number;
  pending: boolean;
  /** Offsets of the blocks of the last compilation, and their entries. */
  leaders: Uint16Array;
  entries: Int16Array | undefined;
  fn: number;
}

export class JitCompiler {
  readonly limits = {
    /** Functions at once in the table, and guest instructions in them; when it is full everything is forgotten. */
    functions: 4096,
    instructions: 500_000,
    /** Compilations of one page, whatever its code, after which each takes twice as much heat as the one before. */
    compilations: 6,
  };
  readonly statistics: JitStatistics = { functions: 0, instructions: 0, requests: 0, flushes: 0, refused: 0 };
  /** Functions in the table now. */
  get live(): number { return this.#nextFunction - 1; }

  /** For inspection: called with the bytes of modules compiled on the spot. */
  onModule: ((bytes: Uint8Array) => void) | undefined;
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;
  readonly #core: CompilerExports;
  readonly #view: DataView;
  readonly #list: number;
  readonly #least: number;
  readonly #link: CompilerLink | undefined;
  readonly #records: RecordPool;
  readonly #scratch: number;
  readonly #pages = new Map<number, PageState>();
  #seen = 0;
  #nextFunction = 1;
  /** Guest instructions in the functions of the table. */
  #instructions = 0;

  constructor(memory: WebAssembly.Memory, table: WebAssembly.Table, core: CompilerExports, pcpuId: number, threshold: number, link?: CompilerLink) {
    this.#memory = memory;
    this.#table = table;
    this.#core = core;
    this.#view = new DataView(memory.buffer);
    this.#list = layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE + J.LIST;
    this.#least = Math.max(1, threshold >> 4);
    this.#link = link;
    this.#scratch = SCRATCH_RECORD + (pcpuId + 1) * SCRATCH_STRIDE;
    const share = (RECORDS_END - RECORDS_BASE) / 8;
    this.#records = new RecordPool(memory.buffer, RECORDS_BASE + share * (4 + pcpuId), RECORDS_BASE + share * (5 + pcpuId));
  }

  /** The block at a wasm address has run often enough, and again so often since it was last told. */
  hot(at: number, mode: number): void {
    if (!isCompiled(mode) || at < layout.RAM_BASE) return;
    const page = (at & ~0xfff) >>> 0;
    const generationAt = layout.PAGE_GENERATION_BASE + ((page - layout.RAM_BASE) >>> 12) * 4;
    const generation = this.#view.getUint32(generationAt, true);
    const key = page + (mode & 0xfff);
    let state = this.#pages.get(key);
    if (state === undefined) {
      state = { generation, requests: 0, heat: 0, pending: false, leaders: new Uint16Array(0), entries: undefined, fn: 0 };
      this.#pages.set(key, state);
    }
    const current = state.generation === generation;
    if (state.pending && current) return;
    if (current && state.entries !== undefined && state.leaders.includes(at & 0xfff)) {
      if (state.entries[state.leaders.indexOf(at & 0xfff)] >= 0) this.#installEntries(page, mode, state); // the block was decoded anew
      return;
    }
    // The more often a page was compiled, the more it takes for another time.
    state.heat += 1;
    if (state.requests > this.limits.compilations && state.heat < 2 ** Math.min(12, state.requests - this.limits.compilations)) {
      this.statistics.refused += 1;
      return;
    }
    state.heat = 0;
    const count = this.#core.hotBlocks(page, mode, this.#least, this.#list);
    if (count === 0) return;
    const leaders = new Uint16Array(count);
    for (let i = 0; i < count; i += 1) leaders[i] = this.#view.getUint16(this.#list + i * 2, true);
    state.generation = generation;
    state.requests += 1;
    state.pending = true;
    this.statistics.requests += 1;
    const request: CompileRequest = { page, mode, generation, leaders };
    if (this.#link !== undefined) this.#link.port.postMessage(request);
    else this.#compileNow(request);
  }

  /** Takes over what the compiler thread has finished. Only while no compiled code is on the stack. */
  poll(): void {
    const link = this.#link;
    if (link === undefined || Atomics.load(link.ready, 0) === this.#seen) return;
    for (;;) {
      const received = receiveMessageOnPort(link.port);
      if (received === undefined) return;
      this.#seen = (this.#seen + 1) | 0;
      this.#install(received.message as CompiledModule);
    }
  }

  #compileNow(request: CompileRequest): void {
    const built = compileBatch([request], this.#core, this.#view, this.#scratch, this.#records);
    if (built === undefined) return;
    this.onModule?.(built.bytes);
    this.#install({ module: new WebAssembly.Module(built.bytes), pages: built.pages, functions: [0] });
  }

  #install({ module, pages, functions }: CompiledModule): void {
    const adds = pages.reduce((sum, p) => sum + p.instructions, 0);
    if (this.#nextFunction + pages.length > this.limits.functions || this.#instructions + adds > this.limits.instructions) this.flush();
    this.#instructions += adds;
    const instance = new WebAssembly.Instance(module, {
      env: { memory: this.#memory, table: this.#table },
      core: this.#core as unknown as Record<string, CallableFunction>,
    });
    pages.forEach((compiled, n) => {
      const { page, mode, generation, leaders, entries } = compiled;
      const fn = this.#nextFunction;
      this.#nextFunction += 1;
      if (fn >= this.#table.length) this.#table.grow(1024);
      this.#table.set(fn, instance.exports[exportName(functions[n])]);
      const state = this.#pages.get(page + (mode & 0xfff));
      if (state === undefined || state.generation !== generation) return;
      state.pending = false;
      state.leaders = leaders;
      state.entries = entries;
      state.fn = fn;
      this.#installEntries(page, mode, state);
      this.statistics.functions += 1;
      this.statistics.instructions += compiled.instructions;
    });
  }

  #installEntries(page: number, mode: number, state: PageState): void {
    state.leaders.forEach((offset, k) => this.#core.installEntry(page + offset, mode, state.generation, state.fn, state.entries![k]));
  }

  /** Forgets all compiled code. */
  flush(): void {
    this.#core.forgetEntries();
    this.#core.dropDecoded();
    for (let i = 1; i < this.#nextFunction; i += 1) this.#table.set(i, null);
    this.#nextFunction = 1;
    this.#instructions = 0;
    this.#pages.clear();
    this.statistics.flushes += 1;
  }
}
