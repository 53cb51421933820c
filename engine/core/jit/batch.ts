/**
 * A batch of regions compiled to one module. Runs on a compiler's thread, or on the pCPU's own when there is none.
 */
import { findBlocks } from './blocks.ts';
import type { CodePage, Decode } from './blocks.ts';
import type { Region } from './function.ts';
import type { Instruction } from './instruction.ts';
import { readInstruction } from './instruction.ts';
import { buildModule } from './module.ts';

/** What a pCPU asks for: one function of the blocks that it has run on these pages, by ascending distance. */
export interface CompileRequest {
  readonly mode: number;
  /** CPUID features of the pCPU (tables/features.ts). */
  readonly features: bigint;
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
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #known = new Map<string, number>();
  #next: number;

  constructor(buffer: ArrayBufferLike, start: number, end: number) {
    this.#bytes = new Uint8Array(buffer);
    this.#next = start;
    this.#end = end;
  }

  /** Address of the instruction's record; 0 when there is no room for one more. */
  add(i: Instruction): number {
    const key = String.fromCharCode(...i.bytes);
    let at = this.#known.get(key);
    if (at === undefined) {
      if (this.#next + RECORD_BYTES > this.#end) return 0;
      at = this.#next;
      this.#next += RECORD_BYTES;
      this.#bytes.set(i.bytes, at);
      this.#known.set(key, at);
    }
    return at;
  }
}

/** Compiles the requests, for V8's optimising compiler or its baseline one; undefined when there is nothing to compile in them. */
export function compileBatch(
  requests: readonly CompileRequest[], optimise: boolean, core: DecoderExports, view: DataView, scratch: number, records: RecordPool,
): { bytes: Uint8Array<ArrayBuffer>; regions: CompiledRegion[] } | undefined {
  const sources: Region[] = [];
  const offered: bigint[] = [];
  for (const { mode, features, pages } of requests) {
    core.setFeatures(BigInt.asIntN(64, features));
    const cache = new Map<number, Instruction | undefined>();
    const decode: Decode = (position) => {
      if (cache.has(position)) return cache.get(position);
      const offset = position & 0xfff;
      const { page, behind } = pages[position >>> 12];
      let answer = core.decodeForJit(scratch, page, offset, mode);
      let whole = offset + (answer & 0xff) <= 0x1000;
      if (!whole && behind?.offset === offset) {
        answer = core.decodeCrossingForJit(scratch, scratch + SCRATCH_BYTES, page, behind.page, offset, mode);
        whole = true;
      }
      const i = (answer & TOO_FAR) !== 0 || !whole ? undefined : readInstruction(view, scratch, (answer & ENDS) !== 0);
      cache.set(position, i);
      return i;
    };
    const blocks = findBlocks(pages, decode, MAX_INSTRUCTIONS * pages.length);
    if (blocks.length === 0) continue;
    sources.push({ mode, pages, blocks });
    offered.push(features);
  }
  if (sources.length === 0) return undefined;
  const { bytes, entries } = buildModule(sources, optimise, (i) => records.add(i));
  const regions = sources.map(({ mode, pages, blocks }, r): CompiledRegion => ({
    mode, features: offered[r], optimised: optimise, distances: pages.map((p) => p.distance), instructions: blocks.reduce((n, b) => n + b.instructions.length, 0),
    pages: pages.map(({ page, generation, leaders, behind }, n) => ({ page, generation, leaders, behind, entries: Int32Array.from(leaders, (offset) => entries[r].get(n * 0x1000 + offset) ?? -1) })),
  }));
  return { bytes, regions };
}
