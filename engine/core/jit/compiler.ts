/**
 * A pCPU's side of the JIT: asks for hot pages to be compiled, and puts what was compiled into the table. Each page is
 * compiled by itself first; pages with many steps between them then become one function.
 *
 * With compiler threads (compiler_service.ts) pages are compiled there and taken over between two slices of run();
 * without them they are compiled on the spot. What is being optimised goes on in baseline code until that is done, and blocks that
 * run later than that get a baseline function of their own beside the optimised one.
 *
 * @cover #Y 64-bit mode, flat 32-bit protected mode   #N other modes stay in the interpreter
 */
import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import { S } from '../gen/state.ts';
import { ALL_FEATURES } from '../tables/features.ts';
import { layout } from '../tables/layout.ts';
import type { CompiledRegion, CompileRequest, DecoderExports, KeptChoice, LoadRequest } from './batch.ts';
import { Workspace, compileBatch } from './batch.ts';
import type { CodePage } from './blocks.ts';
import { ModuleCollector } from './collect.ts';
import { J, MAX_FUNCTIONS, MAX_REGION_PAGES, NOTES, RECORDS_BASE, RECORDS_END, SCRATCH_RECORD, SCRATCH_STRIDE, isCompiled } from './layout.ts';
import type { CoreFunctions } from './module.ts';
import { exportName } from './module.ts';
import { generationAt, placeName } from './places.ts';
import type { Members } from './regions.ts';
import { isImage } from './relocation.ts';
import { StepProfile } from './regions.ts';
import { KeptIndex, hashPlace, imagePlace, isKeptAt, keptShape, type Kept, type KeptShape } from './store.ts';

/** The exports of the core that the compiler uses, beside those that compiled code imports. */
export interface CompilerExports extends CoreFunctions, DecoderExports {
  hotBlocks(page: number, mode: number, least: number, out: number): number;
  installEntry(at: number, mode: number, generation: number, fn: number, entry: number): void;
  removeEntry(at: number, mode: number, fn: number): void;
  forgetEntries(): void;
  dropDecoded(): void;
  currentCode(): number;
  pageBehind(page: number): number;
  markCode(page: number): number;
  codeAt(linear: bigint): number;
}

/** The way to the compiler threads: requests go through a port, answers come back through it; `ready` counts them. The compiler's first says what is kept. */
export interface CompilerLink { readonly compiler: MessagePort; readonly optimiser: MessagePort; readonly ready: Int32Array }

/** What of functions is kept, by keptKey() of their pages (store.ts). */
export interface KeptList { readonly kept: ReadonlyMap<string, Kept> }

/** Answer of a compiler thread to requests of a pCPU; without a module when there was nothing to compile in them. */
export interface CompiledModule {
  readonly requests: ReadonlyArray<CompileRequest | LoadRequest>;
  readonly module: WebAssembly.Module | undefined;
  /** Of the module's globals (places.ts). */
  readonly values: readonly number[];
  readonly regions: readonly CompiledRegion[];
  /** Function number in the module of each region. */
  readonly functions: readonly number[];
}

export interface JitStatistics { functions: number; instructions: number; requests: number; regions: number; optimised: number; flushes: number; refused: number; loaded: number }

/** A function in the table. */
interface InstalledRegion {
  readonly fn: number;
  readonly members: Members;
  readonly instructions: number;
  readonly optimised: boolean;
  /** Slices that ended in its pages while it was what is to be optimised. */
  slices: number;
  /** Blocks that are in it; without any its place in the table is free. */
  users: number;
}

/** A block that was compiled. `entry`: -1 when the function cannot be entered there. */
interface CompiledBlock { readonly region: InstalledRegion; readonly entry: number }

interface PageState {
  readonly page: number;
  readonly mode: number;
  /** Linear address at which it was hot last. */
  linear: bigint;
  /** What was kept of it has been asked for. */
  fetched: boolean;
  /** How often that was other code. */
  misses: number;
  generation: number;
  requests: number;
  /** Calls of hot() since the last request. */
  heat: number;
  /** An answer of the compiler, or of the optimiser, is to come. */
  pending: boolean;
  optimising: boolean;
  /** By offset. */
  readonly blocks: Map<number, CompiledBlock>;
  /** Leaders that cannot be compiled. */
  readonly never: Set<number>;
  /** Leaders that turned out to be gone on at from elsewhere. */
  joints: number[];
  /** What most of its blocks go through. */
  region: InstalledRegion | undefined;
  /** Some go through a baseline function beside an optimised one. */
  grown: boolean;
  /** How often the page was asked for with others. */
  joined: number;
}

/** Kept functions of a page that were other code, after which no more are looked for until the page is hot. */
const MOST_MISSES = 2;

/** Kept functions that are not the kernel's, after which it is taken for one that there was not before. */
const STRANGE = 400;

/** How much hotter a function with some blocks in baseline code must be than one that is all baseline code. */
const GROWN_WEIGHT = 2;

export class JitCompiler {
  readonly limits = {
    /** Functions at once in the table, and guest instructions in them; when it is full everything is forgotten. */
    functions: MAX_FUNCTIONS,
    instructions: 500_000,
    /** Compilations of one page, whatever its code, after which each takes twice as much heat as the one before. */
    compilations: 6,
    /** Of one function of several pages. */
    region: { instructions: 3000, pages: MAX_REGION_PAGES, notes: 512 },
    /** Slices in a function, for each of its instructions, below which it is not optimised. */
    slices: 0.1,
    /** Functions that are being optimised at once. */
    optimising: 2,
    /** Without threads: compile for V8's optimising compiler at once. */
    optimiseAtOnce: false,
    /** Samples after which all heat is halved. */
    cooling: 4096,
  };
  readonly statistics: JitStatistics = { functions: 0, instructions: 0, requests: 0, regions: 0, optimised: 0, flushes: 0, refused: 0, loaded: 0 };
  /** Functions in the table now. */
  get live(): number { return this.#nextFunction - 1 - this.#free.length; }

  /** For inspection: called with the bytes of modules compiled on the spot. */
  onModule: ((bytes: Uint8Array) => void) | undefined;
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;
  readonly #core: CompilerExports;
  readonly #view: DataView;
  readonly #pcpu: number;
  readonly #least: number;
  readonly #link: CompilerLink | undefined;
  readonly #work: Workspace;
  /** What there is of other programs' or other days' functions. */
  #kept: KeptIndex | undefined;
  /** How far the kernel is from where it was when functions of it were kept first; undefined: not known yet. */
  #moved: number | undefined;
  /** Pages of a kernel of which nothing was found. */
  #strange = 0;
  readonly #pages = new Map<number, PageState>();
  /** Generations of pages of which nothing is kept. */
  readonly #unkept = new Map<number, number>();
  readonly #steps = new StepProfile();
  /** Functions with samples, to be optimised some time. */
  readonly #hot = new Set<InstalledRegion>();
  #samples = 0;
  readonly #collector = new ModuleCollector(10_000);
  /** Requests that the optimiser has not answered. */
  #optimising = 0;
  #notesSeen = 0;
  #seen = 0;
  #features = ALL_FEATURES;
  #nextFunction = 1;
  /** Places in the table below that which are free again. */
  readonly #free: number[] = [];
  /** Guest instructions in the functions of the table. */
  #instructions = 0;

  constructor(memory: WebAssembly.Memory, table: WebAssembly.Table, core: CompilerExports, pcpuId: number, threshold: number, link?: CompilerLink) {
    this.#memory = memory;
    this.#table = table;
    this.#core = core;
    this.#view = new DataView(memory.buffer);
    this.#pcpu = layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE;
    this.#view.setUint32(this.#pcpu + J.STEP_INTERVAL, threshold - 1, true);
    this.limits.region.notes = Math.max(4, threshold >> 1);
    this.#least = Math.max(1, threshold >> 4);
    this.#link = link;
    const share = (RECORDS_END - RECORDS_BASE) / 8;
    this.#work = new Workspace(core, memory.buffer, SCRATCH_RECORD + (pcpuId + 1) * SCRATCH_STRIDE, RECORDS_BASE + share * (4 + pcpuId), RECORDS_BASE + share * (5 + pcpuId));
  }

  /** The block at a wasm address has run often enough, and again so often since it was last told. */
  hot(at: number, mode: number, rip: bigint): void {
    if (!isCompiled(mode) || at < layout.RAM_BASE) return;
    const state = this.#stateOf((at & ~0xfff) >>> 0, mode, rip);
    if (this.#fetch(state) || state.pending) return;
    const { generation } = state;
    const offset = at & 0xfff;
    if (state.never.has(offset)) return;
    const block = state.blocks.get(offset);
    if (block !== undefined) {
      if (block.entry >= 0) { // it was decoded anew
        this.#core.installEntry(at, mode, generation, block.region.fn, block.entry);
        return;
      }
      if (state.joints.includes(offset)) return; // in a loop, or not compiled
    }
    // The more often a page was compiled, the more it takes for another time.
    state.heat += 1;
    if (state.requests > this.limits.compilations && state.heat < 2 ** Math.min(12, state.requests - this.limits.compilations)) {
      this.statistics.refused += 1;
      return;
    }
    state.heat = 0;
    if (block !== undefined) state.joints.push(offset);
    this.#request([[state, 0]], false);
  }

  /** The block at a wasm address runs again and again: what is kept of its page is fetched. */
  warm(at: number, mode: number, rip: bigint): void {
    if (this.#kept === undefined || this.#kept.isEmpty || !isCompiled(mode) || at < layout.RAM_BASE) return;
    const page = (at & ~0xfff) >>> 0;
    if (this.#unkept.get(page + (mode & 0xfff)) === this.#generationOf(page)) return;
    const state = this.#stateOf(page, mode, rip);
    // A kernel that patches its code changes it again and again: what is hot is looked for all the same.
    if (state.misses < MOST_MISSES) this.#fetch(state);
  }

  /** State of a page as it is now, where it is executed at `rip`. */
  #stateOf(page: number, mode: number, rip: bigint): PageState {
    const generation = this.#generationOf(page);
    const key = page + (mode & 0xfff);
    let state = this.#pages.get(key);
    if (state === undefined) {
      state = {
        page, mode, generation, linear: 0n, fetched: false, misses: 0, requests: 0, heat: 0, pending: false, optimising: false, blocks: new Map(), never: new Set(), joints: [], region: undefined, grown: false,
        joined: 0,
      };
      this.#pages.set(key, state);
    }
    state.linear = BigInt.asUintN(64, rip) & ~0xfffn;
    if (state.generation !== generation) this.#renew(state, generation);
    return state;
  }

  /** Asks for what is kept of a page, once; true when it did. */
  #fetch(state: PageState): boolean {
    if (state.fetched || state.pending || this.#link === undefined || this.#kept === undefined || this.#kept.isEmpty) return false;
    const { page, mode, generation, linear } = state;
    const found = this.#find(this.#kept, state);
    if (found.length === 0) {
      state.fetched = true;
      this.#unkept.set(page + (mode & 0xfff), generation);
      return false;
    }
    const requests: LoadRequest[] = [];
    for (const tier of ['optimised', 'baseline'] as const) {
      const choices: KeptChoice[] = [];
      for (const { kept, moved } of found) {
        for (const name of kept[tier].toReversed()) {
          const pages = this.#pagesOf(state, keptShape(name));
          if (pages !== undefined) choices.push({ name, moved, pages });
          else if (found.length === 1) return false; // until all of it is mapped
        }
      }
      if (choices.length > 0) requests.push({ choices, linear, mode, features: this.#features, pages: [{ page, generation, distance: 0, leaders: new Uint16Array(0), behind: undefined, joints: [] }] });
    }
    if (requests.length === 0) return false;
    state.fetched = state.pending = true;
    for (const request of requests) {
      if (request.choices.length === 1) this.#mark(request, request.choices[0], { fetched: true, pending: true });
      this.#link.compiler.postMessage(request);
    }
    return true;
  }

  /** Other pages of a kept function need not be asked for, or need to be after all. */
  #mark({ linear, mode }: LoadRequest, { pages }: KeptChoice, how: Pick<PageState, 'fetched' | 'pending'>): void {
    for (const { page, distance } of pages) if (distance !== 0) Object.assign(this.#stateOf(page, mode, linear + BigInt(distance) * 4096n), how);
  }

  /** What may be kept of a page. */
  #find(index: KeptIndex, { page, mode, linear }: PageState): Array<{ kept: Kept; moved: number | undefined }> {
    if (!isKeptAt(linear, mode)) return [];
    if (!isImage(linear)) {
      const kept = index.at(hashPlace(this.#core.pageHash(page)), mode, this.#features);
      return kept === undefined ? [] : [{ kept, moved: undefined }];
    }
    if (this.#moved !== undefined) {
      const kept = index.at(imagePlace(linear - BigInt(this.#moved)), mode, this.#features);
      return kept === undefined ? [] : [{ kept, moved: this.#moved }];
    }
    const found = index.ofImage(linear, mode, this.#features);
    // Nothing of what is kept is this kernel's.
    if (found.length === 0 && ++this.#strange === STRANGE) this.#moved = 0;
    return found;
  }

  /** The pages that a kept function needs, where they are now; undefined when one of them is not mapped. */
  #pagesOf(state: PageState, shape: KeptShape): CodePage[] | undefined {
    const pages: CodePage[] = [];
    const known = (distance: number): { page: number; generation: number } | undefined => {
      if (distance === 0) return { page: state.page, generation: state.generation };
      const page = this.#core.codeAt(BigInt.asIntN(64, state.linear + BigInt(distance) * 4096n)) >>> 0;
      if (page < layout.RAM_BASE) return undefined;
      const generation = this.#generationOf(page);
      return this.#core.markCode(page) === 0 ? undefined : { page, generation };
    };
    for (const { distance, behind } of shape) {
      const own = known(distance);
      const next = behind ? known(distance + 1) : undefined;
      if (own === undefined || (behind && next === undefined)) return undefined;
      pages.push({ page: own.page, generation: own.generation, distance, leaders: new Uint16Array(0), behind: next === undefined ? undefined : { ...next, offset: -1 }, joints: [] });
    }
    return pages;
  }

  /** The page's code has changed: nothing of it is compiled any more. */
  #renew(state: PageState, generation: number): void {
    state.generation = generation;
    state.pending = state.optimising = state.grown = state.fetched = false;
    state.joints.length = 0;
    state.never.clear();
    for (const offset of state.blocks.keys()) this.#leave(state, offset);
    state.blocks.clear();
    state.region = undefined;
  }

  /** The generation is read before the page is marked: assembly/code_page.ts. */
  #behind(page: number): CodePage['behind'] {
    const known = this.#core.pageBehind(page) >>> 0;
    if (known === 0) return undefined;
    const behind = (known & ~0xfff) >>> 0;
    const generation = this.#generationOf(behind);
    return this.#core.markCode(behind) === 0 ? undefined : { page: behind, generation, offset: known & 0xfff };
  }

  #generationOf(page: number): number { return this.#view.getUint32(generationAt(page), true); }

  /** Asks for one function of these pages, whose generation is current; each with its linear distance, in ascending order. */
  #request(states: ReadonlyArray<readonly [PageState, number]>, optimise: boolean): void {
    const { mode } = states[0][0];
    const pages: CodePage[] = [];
    for (const [state, distance] of states) {
      const { page, generation } = state;
      const count = this.#core.hotBlocks(page, mode, this.#least, this.#pcpu + J.LIST);
      let leaders = Array.from({ length: count }, (_, i) => this.#view.getUint16(this.#pcpu + J.LIST + i * 2, true));
      const behind = this.#behind(page);
      // The interpreter keeps no block of it.
      if (behind !== undefined && !leaders.includes(behind.offset)) leaders.push(behind.offset);
      // All that was compiled, even what the interpreter has dropped since.
      if (optimise) leaders = [...new Set([...leaders, ...state.blocks.keys()])].sort((a, b) => a - b);
      else leaders = leaders.filter((offset) => !state.never.has(offset) && (state.blocks.get(offset)?.region.optimised !== true || state.joints.includes(offset)));
      if (leaders.length === 0) continue;
      pages.push({ page, distance, generation, leaders: Uint16Array.from(leaders), behind, joints: [...state.joints] });
      state.requests += 1;
      if (optimise) state.optimising = true;
      else state.pending = true;
    }
    if (pages.length === 0) return;
    this.statistics.requests += 1;
    if (optimise) {
      this.statistics.optimised += 1;
      this.#optimising += 1;
    }
    const request: CompileRequest = { linear: states[0][0].linear, moved: this.#moved, mode, features: this.#features, pages };
    if (this.#link === undefined) this.#compileNow(request);
    else (optimise ? this.#link.optimiser : this.#link.compiler).postMessage(request);
  }

  /**
   * Takes over what the compiler thread has finished, and looks at the steps that were noted; `ended`: a slice of instructions
   * has just ended here. Only while no compiled code is on the stack.
   */
  poll(ended: boolean): void {
    if (this.#view.getUint32(this.#pcpu + J.KEYS_SPENT, true) !== 0) this.flush();
    this.#readNotes();
    const link = this.#link;
    if (link === undefined) return;
    if (ended) this.#sample();
    if (Atomics.load(link.ready, 0) === this.#seen) return;
    for (const port of [link.compiler, link.optimiser]) {
      for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
        this.#seen = (this.#seen + 1) | 0;
        const answer = received.message as CompiledModule | KeptList;
        if ('kept' in answer) {
          this.#kept = new KeptIndex(answer.kept);
          if (this.#kept.hasNoImage) this.#moved ??= 0;
          continue;
        }
        const optimised = port === link.optimiser;
        if (optimised) this.#optimising -= answer.requests.length;
        this.#install(answer, optimised);
      }
    }
    this.#optimiseHottest();
  }

  /**
   * The function that the slice ended in gets hotter: how often that happens is how much of the time it takes. The optimiser gets
   * the function with the most of it for each instruction, again and again: what was hot once and is not any more is never optimised.
   */
  #sample(): void {
    const at = this.#core.currentCode() >>> 0;
    if (at === 0) return;
    const state = this.#pages.get(((at & ~0xfff) >>> 0) + (this.#view.getUint32(this.#pcpu + S.MODE, true) & 0xfff));
    const region = state?.region;
    // Of an optimised function the time counts that goes to blocks beside it.
    if (region === undefined || (region.optimised && (!state!.grown || state!.blocks.get(at & 0xfff)?.region.optimised === true))) return;
    region.slices += 1;
    this.#hot.add(region);
    this.#samples += 1;
    if (this.#samples % this.limits.cooling === 0) {
      for (const each of this.#hot) {
        each.slices /= 2;
        if (each.slices < 0.5) this.#hot.delete(each);
      }
    }
    this.#optimiseHottest();
  }

  #optimiseHottest(): void {
    while (this.#optimising < this.limits.optimising) {
      let hottest: InstalledRegion | undefined;
      let most = this.limits.slices;
      for (const region of this.#hot) {
        if (region.users === 0) {
          this.#hot.delete(region);
          continue;
        }
        // Of a grown function most samples are of what is optimised already.
        const heat = region.slices / region.instructions / (region.optimised ? GROWN_WEIGHT : 1);
        if (heat < most) continue;
        most = heat;
        hottest = region;
      }
      if (hottest === undefined) return;
      this.#hot.delete(hottest);
      hottest.slices = 0;
      const states = this.#statesOf(hottest);
      if (states.length > 0 && !states.some(([state]) => state.pending || state.optimising)) this.#request(states, true);
    }
  }

  /** The pages of a function that still go through it, by ascending distance from the first. */
  #statesOf(region: InstalledRegion): Array<[PageState, number]> {
    const states: Array<[PageState, number]> = [];
    for (const [key, distance] of region.members) {
      const state = this.#pages.get(key);
      if (state?.region === region && state.generation === this.#generationOf(state.page)) states.push([state, distance]);
    }
    states.sort((a, b) => a[1] - b[1]);
    return states.map(([state, distance]) => [state, distance - states[0][1]]);
  }

  #readNotes(): void {
    const view = this.#view;
    const noted = view.getUint32(this.#pcpu + J.STEPS_NOTED, true);
    const fresh = Math.min(NOTES, (noted - this.#notesSeen) >>> 0);
    this.#notesSeen = noted;
    for (let n = noted - fresh; n < noted; n += 1) {
      const at = this.#pcpu + J.NOTES + (n % NOTES) * 32;
      const mode = view.getUint32(at + 24, true);
      const from = view.getUint32(at + 16, true) + (mode & 0xfff);
      const to = view.getUint32(at + 20, true) + (mode & 0xfff);
      if (from === to) continue;
      const count = this.#steps.note({ from, to, distance: Number((view.getBigInt64(at + 8, true) - view.getBigInt64(at, true)) >> 12n) });
      const state = this.#pages.get(from);
      if (state !== undefined && count >= this.limits.region.notes << Math.min(12, state.joined)) this.#join(from, to);
    }
  }

  /** Asks for a function of a page and those it has many steps to and from. */
  #join(seed: number, other: number): void {
    const candidate = (key: number): PageState | undefined => {
      const state = this.#pages.get(key);
      return state?.region === undefined || state.pending || state.optimising || state.generation !== this.#generationOf(state.page) ? undefined : state;
    };
    const members = this.#steps.region(seed, (key) => {
      const region = candidate(key)?.region;
      if (region === undefined) return undefined;
      const own = region.members.get(key)!;
      return { instructions: region.instructions, members: new Map([...region.members].filter(([page]) => candidate(page)?.region === region).map(([page, distance]) => [page, distance - own])) };
    }, this.limits.region);
    this.#steps.forget(new Set([...members.keys(), seed, other]));
    if (members.size < 2 || !members.has(other)) return;
    const states = [...members].map(([key, distance]): [PageState, number] => [this.#pages.get(key)!, distance]).sort((a, b) => a[1] - b[1]);
    for (const [state] of states) state.joined += 1;
    this.statistics.regions += 1;
    this.#request(states.map(([state, distance]) => [state, distance - states[0][1]]), states.some(([state]) => state.region!.optimised));
  }

  #compileNow(request: CompileRequest): void {
    const built = compileBatch([request], this.limits.optimiseAtOnce, this.#work);
    if (built !== undefined) this.onModule?.(built.bytes);
    const module = built === undefined ? undefined : new WebAssembly.Module(built.bytes);
    this.#install({ requests: [request], module, values: built?.values ?? [], regions: built?.regions ?? [], functions: [0] }, false);
  }

  #install({ requests, module, values, regions, functions }: CompiledModule, optimised: boolean): void {
    // What a VM that was here before has asked for is void; anything else that came with it is asked for again.
    const current = requests.every(({ features }) => features === this.#features);
    for (const request of requests) {
      if (!('choices' in request)) continue;
      const { chosen } = request;
      if (chosen === undefined) {
        for (const { page } of request.pages) this.#stateOf(page, request.mode, request.linear).misses += 1;
        for (const choice of request.choices) this.#mark(request, choice, { fetched: false, pending: false });
        if (isImage(request.linear) && this.#moved === undefined && ++this.#strange === STRANGE) this.#moved = 0;
        continue;
      }
      this.statistics.loaded += 1;
      this.#mark(request, chosen, { fetched: true, pending: false });
      this.#moved ??= chosen.moved;
    }
    if (module !== undefined && current) this.#installModule(module, values, regions, functions);
    for (const { mode, pages } of requests) {
      for (const { page, generation, leaders } of pages) {
        const state = this.#pages.get(page + (mode & 0xfff));
        if (state?.generation !== generation) continue;
        if (optimised) state.optimising = false;
        else state.pending = false;
        if (current) for (const offset of leaders) if (!state.blocks.has(offset)) state.never.add(offset);
      }
    }
  }

  #installModule(module: WebAssembly.Module, values: readonly number[], regions: readonly CompiledRegion[], functions: readonly number[]): void {
    const adds = regions.reduce((sum, r) => sum + r.instructions, 0);
    if (this.live + 1 + regions.length > this.limits.functions || this.#instructions + adds > this.limits.instructions) this.flush();
    this.#instructions += adds;
    const instance = new WebAssembly.Instance(module, {
      env: { memory: this.#memory, table: this.#table },
      core: this.#core as unknown as Record<string, CallableFunction>,
    });
    values.forEach((value, n) => { (instance.exports[placeName(n)] as WebAssembly.Global).value = value; });
    regions.forEach(({ mode, pages, distances, instructions, optimised }, n) => {
      const fn = this.#free.pop() ?? this.#nextFunction++;
      this.#table.set(fn, instance.exports[exportName(functions[n])]);
      const region: InstalledRegion = { fn, instructions, slices: 0, optimised, users: 0, members: new Map(pages.map(({ page }, k) => [page + (mode & 0xfff), distances[k]])) };
      for (const { page, generation, leaders, entries } of pages) {
        const state = this.#pages.get(page + (mode & 0xfff));
        if (state?.generation === generation) this.#takeOver(state, region, leaders, entries);
      }
      if (region.users === 0) this.#release(region);
      this.statistics.functions += 1;
      this.statistics.instructions += instructions;
    });
  }

  /** Blocks of a page go through a function from now on. */
  #takeOver(state: PageState, region: InstalledRegion, leaders: Uint16Array, entries: Int32Array): void {
    const { page, mode, generation, blocks } = state;
    const { optimised } = region;
    leaders.forEach((offset, k) => {
      const entry = entries[k];
      const old = blocks.get(offset);
      const joint = state.joints.includes(offset);
      if (old?.region.optimised === true && !optimised && !(joint && old.entry < 0)) return;
      if (old !== undefined && old.entry >= 0 && entry < 0 && joint) return;
      this.#leave(state, offset);
      blocks.set(offset, { region, entry });
      region.users += 1;
      this.#core.installEntry(page + offset, mode, generation, region.fn, entry);
    });
    if (optimised || state.region?.optimised !== true) state.region = region;
    state.grown = state.region?.optimised === true && [...blocks].some(([offset, block]) => !block.region.optimised && !state.joints.includes(offset));
  }

  /** A block goes through its function no more. */
  #leave({ page, mode, blocks }: PageState, offset: number): void {
    const block = blocks.get(offset);
    if (block === undefined) return;
    const { region, entry } = block;
    if (entry >= 0) this.#core.removeEntry(page + offset, mode, region.fn);
    region.users -= 1;
    if (region.users === 0) this.#release(region);
  }

  /** Nothing leads to a function any more: V8 may forget it. */
  #release({ fn, instructions }: InstalledRegion): void {
    this.#table.set(fn, null);
    this.#free.push(fn);
    this.#instructions -= instructions;
    this.#collector.dropped();
  }

  /** The pCPU has other CPUID features from now on: all that was compiled, and is being compiled, is void. */
  offer(features: bigint): void {
    this.#features = features;
    this.flush();
  }

  /** Forgets all compiled code. */
  flush(): void {
    this.#core.forgetEntries();
    this.#core.dropDecoded();
    for (let i = 1; i < this.#nextFunction; i += 1) this.#table.set(i, null);
    this.#nextFunction = 1;
    this.#free.length = 0;
    this.#instructions = 0;
    this.#pages.clear();
    this.#unkept.clear();
    this.#moved = this.#kept?.hasNoImage === true ? 0 : undefined;
    this.#strange = 0;
    this.#steps.clear();
    this.#hot.clear();
    this.statistics.flushes += 1;
  }
}
