/**
 * A batch of regions compiled to one module. Runs on a compiler's thread, or on the pCPU's own when there is none.
 */
import { findBlocks } from './blocks.ts';
import type { Block, CodePage } from './blocks.ts';
import type { Region } from './function.ts';
import type { Instruction } from './instruction.ts';
import { readInstruction } from './instruction.ts';
import { CODE_COPIES, MAX_REGION_PAGES, MODE_LONG64, MODE_USER } from './layout.ts';
import { buildModule } from './module.ts';
import { placeValues, type Place } from './places.ts';
import { isImage, movesOf, sitesOf, type Site } from './relocation.ts';

/** What a pCPU asks for: one function of the blocks that it has run on these pages, by ascending distance. */
export interface CompileRequest {
  /** Linear address of the page at distance 0. */
  readonly linear: bigint;
  /** How far a kernel is from where it was when functions of it were kept first; undefined: not known yet. */
  readonly moved: number | undefined;
  readonly mode: number;
  /** CPUID features of the pCPU (tables/features.ts). */
  readonly features: bigint;
  readonly pages: readonly CodePage[];
}

/** A pCPU asks for a function of a page that is kept in one of some files. */
export interface LoadRequest {
  readonly choices: readonly KeptChoice[];
  /** In the answer: the one that it was. */
  readonly chosen?: KeptChoice;
  /** Linear address of the page. */
  readonly linear: bigint;
  readonly mode: number;
  readonly features: bigint;
  /** The page alone. */
  readonly pages: readonly CodePage[];
}

/** A file, and the pages that its name says, where they are now, by distance from the page that is asked for. */
export interface KeptChoice {
  readonly name: string;
  /** For a kernel's page: CompileRequest.moved, if this is its function. */
  readonly moved: number | undefined;
  readonly pages: readonly CodePage[];
}

/** A page of a compiled function: for each leader the entry, or -1 when the function cannot be entered there. */
export interface CompiledPage {
  readonly page: number;
  readonly generation: number;
  readonly leaders: Uint16Array;
  readonly behind: CodePage['behind'];
  readonly entries: Int32Array;
}

/** A compiled function. */
export interface CompiledRegion {
  readonly mode: number;
  readonly features: bigint;
  readonly pages: readonly CompiledPage[];
  /** Of each page, as asked for. */
  readonly distances: readonly number[];
  readonly instructions: number;
  readonly optimised: boolean;
}

export interface DecoderExports {
  setFeatures(mask: bigint): void;
  pageHash(page: number): bigint;
  decodeForJit(record: number, page: number, offset: number, mode: number): number;
  decodeCrossingForJit(record: number, bytes: number, page: number, behind: number, offset: number, mode: number): number;
}

const ENDS = 0x100;
const TOO_FAR = 0x200;
/** Instructions of a function, for each of its pages. */
const MAX_INSTRUCTIONS = 1500;
const RECORD_BYTES = 32;
/** Behind the scratch record: an instruction's bytes from two pages. */
const SCRATCH_BYTES = 0x40;

/** Instructions that compiled code hands to the interpreter's routines, each kept once. */
export class RecordPool {
  readonly #memory: Uint8Array;
  readonly #end: number;
  readonly #known = new Map<string, number>();
  #next: number;

  constructor(buffer: ArrayBufferLike, start: number, end: number) {
    this.#memory = new Uint8Array(buffer);
    this.#next = start;
    this.#end = end;
  }

  /** Address of a record; 0 when there is no room for one more. */
  add(bytes: Uint8Array): number {
    const key = String.fromCharCode(...bytes);
    let at = this.#known.get(key);
    if (at === undefined) {
      if (this.#next + RECORD_BYTES > this.#end) return 0;
      at = this.#next;
      this.#next += RECORD_BYTES;
      this.#memory.set(bytes, at);
      this.#known.set(key, at);
    }
    return at;
  }
}

const PAGE = 0x1000;
/** Where the bytes behind a page are copied to, behind the copies of the pages. */
const BEHIND_COPIES = MAX_REGION_PAGES * PAGE;
const BEHIND_BYTES = 16;

/** What a thread compiles with: the core's decoder, and places in the memory that are its own. */
export class Workspace {
  readonly core: DecoderExports;
  readonly view: DataView;
  /** Room for a record. */
  readonly scratch: number;
  readonly records: RecordPool;
  readonly #memory: Uint8Array;
  readonly #copies: number;

  /** `start` and `end`: what of the memory is for copies of code and for records. */
  constructor(core: DecoderExports, buffer: ArrayBufferLike, scratch: number, start: number, end: number) {
    this.core = core;
    this.view = new DataView(buffer);
    this.scratch = scratch;
    this.records = new RecordPool(buffer, start + CODE_COPIES, end);
    this.#memory = new Uint8Array(buffer);
    this.#copies = start;
  }

  /** Address of the copy of a region's n-th page. */
  copyOf(n: number): number { return this.#copies + n * PAGE; }
  /** Address of the copy of what lies behind it. */
  copyBehind(n: number): number { return this.#copies + BEHIND_COPIES + n * BEHIND_BYTES; }

  /** Copies code that its guest may change at any time; what is made of the copies counts while the generations are what they were. */
  copy(pages: readonly CodePage[]): CodeBytes[] {
    return pages.map(({ page, behind }, n) => {
      this.#memory.copyWithin(this.copyOf(n), page, page + PAGE);
      if (behind !== undefined) this.#memory.copyWithin(this.copyBehind(n), behind.page, behind.page + BEHIND_BYTES);
      return this.#taken(n, behind !== undefined);
    });
  }

  /** The other way round: code as it once was. */
  putBack(pages: readonly CodeBytes[]): void {
    pages.forEach(({ bytes, behind }, n) => {
      this.#memory.set(bytes, this.copyOf(n));
      if (behind !== undefined) this.#memory.set(behind, this.copyBehind(n));
    });
  }

  #taken(n: number, behind: boolean): CodeBytes {
    const at = this.copyBehind(n);
    return { bytes: this.#memory.slice(this.copyOf(n), this.copyOf(n + 1)), behind: behind ? this.#memory.slice(at, at + BEHIND_BYTES) : undefined };
  }
}

/** A page's bytes, and the first ones behind it where an instruction continues there. */
export interface CodeBytes { readonly bytes: Uint8Array; readonly behind: Uint8Array | undefined }

/** A module of regions, what its globals are to be set to, and of each region the code that it was made of. */
export interface CompiledBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly regions: CompiledRegion[];
  readonly places: readonly Place[];
  readonly values: readonly number[];
  readonly sources: ReadonlyArray<readonly CodeBytes[]>;
  /** The requests of the regions: without those in which there was nothing to compile. */
  readonly asked: readonly CompileRequest[];
}

/** Compiles the requests, for V8's optimising compiler or its baseline one; undefined when there is nothing to compile in them. */
export function compileBatch(requests: readonly CompileRequest[], optimise: boolean, work: Workspace): CompiledBatch | undefined {
  const regions: Region[] = [];
  const asked: CompileRequest[] = [];
  const sources: Array<readonly CodeBytes[]> = [];
  for (const request of requests) {
    const source = work.copy(request.pages);
    const blocks = blocksOf(request, work);
    if (blocks.length === 0) continue;
    regions.push({ mode: request.mode, pages: request.pages, blocks });
    asked.push(request);
    sources.push(source);
  }
  if (regions.length === 0) return undefined;
  const { bytes, entries, places } = buildModule(regions, optimise, (i) => work.records.add(i.bytes));
  const compiled = regions.map(({ mode, pages, blocks }, r): CompiledRegion => ({
    mode, features: asked[r].features, optimised: optimise, distances: pages.map((p) => p.distance), instructions: blocks.reduce((n, b) => n + b.instructions.length, 0),
    pages: pages.map(({ page, generation, leaders, behind }, n) => ({ page, generation, leaders, behind, entries: Int32Array.from(leaders, (offset) => entries[r].get(n * PAGE + offset) ?? -1) })),
  }));
  // All records have their place: they were put there just now.
  const values = placeValues(places, regions.map((region) => region.pages), 0, (record) => work.records.add(record))!;
  return { bytes, regions: compiled, places, values, sources, asked };
}

/** Which bytes of a page a function was made of, and which of them move with a kernel. */
export interface CodeUsed { readonly ranges: Uint16Array; readonly sites: readonly Site[]; /** Bytes on the page behind. */ readonly behind: number }

/** The module of one region by itself. */
export interface KeptModule { readonly bytes: Uint8Array<ArrayBuffer>; readonly places: readonly Place[] }

/**
 * Of a region that was compiled, whose code has been put back into the workspace: its module by itself, which may be `built` already, and the code that it
 * was made of. Undefined when it is not clear what of the code moves.
 */
export function compileOne(request: CompileRequest, source: readonly CodeBytes[], built: KeptModule | undefined, work: Workspace): { module: KeptModule; used: CodeUsed[] } | undefined {
  const blocks = blocksOf(request, work);
  const used = request.pages.map((_, n) => codeUsed(blocks.filter((b) => b.page === n), source[n].bytes));
  if (!used.every((u) => u !== undefined)) return undefined;
  return { module: built ?? buildModule([{ mode: request.mode, pages: request.pages, blocks }], false, (i) => work.records.add(i.bytes)), used };
}

function codeUsed(blocks: readonly Block[], page: Uint8Array): CodeUsed | undefined {
  const instructions = blocks.flatMap((b) => b.instructions).sort((a, b) => a.offset - b.offset);
  const ranges: number[] = [];
  const sites = new Map<number, Site>();
  let behind = 0;
  for (const i of instructions) {
    const own = sitesOf(i, page);
    if (own === undefined) return undefined;
    for (const site of own) sites.set(site.offset, site);
    const end = Math.min(i.offset + i.length, PAGE);
    behind = Math.max(behind, i.offset + i.length - PAGE);
    if (ranges.length > 0 && i.offset <= ranges[ranges.length - 1]) ranges[ranges.length - 1] = Math.max(end, ranges[ranges.length - 1]);
    else ranges.push(i.offset, end);
  }
  return { ranges: Uint16Array.from(ranges), sites: [...sites.values()], behind };
}

/** The blocks of a region whose pages have been copied. */
function blocksOf({ linear, mode, features, pages }: CompileRequest, work: Workspace): Block[] {
  const { core, view, scratch } = work;
  core.setFeatures(BigInt.asIntN(64, features));
  const cache = new Map<number, Instruction | undefined>();
  const moves = (mode & (MODE_LONG64 | MODE_USER)) === MODE_LONG64;
  return findBlocks(pages, (position) => {
    if (cache.has(position)) return cache.get(position);
    const offset = position & 0xfff;
    const n = position >>> 12;
    let answer = core.decodeForJit(scratch, work.copyOf(n), offset, mode);
    let whole = offset + (answer & 0xff) <= PAGE;
    if (!whole && pages[n].behind?.offset === offset) {
      answer = core.decodeCrossingForJit(scratch, scratch + SCRATCH_BYTES, work.copyOf(n), work.copyBehind(n), offset, mode);
      whole = true;
    }
    const i = (answer & TOO_FAR) !== 0 || !whole ? undefined : readInstruction(view, scratch, (answer & ENDS) !== 0);
    const there = linear + BigInt(pages[n].distance) * 4096n;
    const moving = i !== undefined && moves && isImage(there) ? { ...i, moves: movesOf(i, there) } : i;
    cache.set(position, moving);
    return moving;
  }, MAX_INSTRUCTIONS * pages.length);
}
