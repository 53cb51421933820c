/**
 * A batch of pages compiled to one module. Runs on the compiler's thread, or on the pCPU's own when there is none.
 */
import { findBlocks } from './blocks.ts';
import type { Decode } from './blocks.ts';
import type { PageRequest } from './function.ts';
import type { Instruction } from './instruction.ts';
import { readInstruction } from './instruction.ts';
import { buildModule } from './module.ts';

/** What a pCPU asks for: the blocks of a page that it has run. */
export interface CompileRequest {
  /** wasm address of the page. */
  readonly page: number;
  readonly mode: number;
  /** The page's generation when its blocks were decoded. */
  readonly generation: number;
  /** Offsets of the blocks. */
  readonly leaders: Uint16Array;
}

/** A compiled page: function number in its module, and for each leader the entry, or -1 when it cannot be entered there. */
export interface CompiledPage {
  readonly page: number;
  readonly mode: number;
  readonly generation: number;
  readonly leaders: Uint16Array;
  readonly entries: Int16Array;
  readonly instructions: number;
}

export interface DecoderExports { decodeForJit(record: number, page: number, offset: number, mode: number): number }

const ENDS = 0x100;
const TOO_FAR = 0x200;
/** Instructions of a page function. */
const MAX_INSTRUCTIONS = 1500;
const RECORD_BYTES = 32;

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

/** Compiles the requests; undefined when there is nothing to compile in them. */
export function compileBatch(
  requests: readonly CompileRequest[], core: DecoderExports, view: DataView, scratch: number, records: RecordPool,
): { bytes: Uint8Array<ArrayBuffer>; pages: CompiledPage[] } | undefined {
  const compiled: CompiledPage[] = [];
  const sources: PageRequest[] = [];
  for (const { page, mode, generation, leaders } of requests) {
    const cache = new Map<number, Instruction | undefined>();
    const decode: Decode = (offset) => {
      if (cache.has(offset)) return cache.get(offset);
      const answer = core.decodeForJit(scratch, page, offset, mode);
      const i = (answer & TOO_FAR) !== 0 || offset + (answer & 0xff) > 0x1000 ? undefined : readInstruction(view, scratch, (answer & ENDS) !== 0);
      cache.set(offset, i);
      return i;
    };
    const blocks = findBlocks(new Set(leaders), decode, MAX_INSTRUCTIONS);
    if (blocks.length === 0) continue;
    sources.push({ page, mode, generation, blocks });
    compiled.push({ page, mode, generation, leaders, entries: new Int16Array(leaders.length), instructions: blocks.reduce((n, b) => n + b.instructions.length, 0) });
  }
  if (sources.length === 0) return undefined;
  const bytes = buildModule(sources, (i) => records.add(i));
  // Only now is it known which blocks can be entered.
  compiled.forEach(({ leaders, entries }, n) => {
    const byOffset = new Map(sources[n].blocks.map((b) => [b.offset, b]));
    leaders.forEach((offset, k) => {
      const b = byOffset.get(offset);
      entries[k] = b?.entry === true ? b.index : -1;
    });
  });
  return { bytes, pages: compiled };
}
