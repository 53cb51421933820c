/**
 * What compiled code has to know of where things are in this memory: records of instructions, and pages that it goes on in. Each
 * is an i32 global of the module, set where that is instantiated. So a module serves wherever the same code lies.
 */
import type { CodePage } from './blocks.ts';
import type { Instruction, Moves } from './instruction.ts';
import { layout } from '../tables/layout.ts';
import { I32, I64, type ModuleBuilder } from './wasm.ts';

/**
 * What the globals of a module are set to, in their order: one for a record, three for a page (its address, where its generation is counted, the
 * generation), one for the distance that a kernel has moved since the module was made.
 */
export type Place =
  | { readonly kind: 'record'; readonly bytes: Uint8Array; readonly moves: Moves }
  | { readonly kind: 'distance' }
  | { readonly kind: 'page'; readonly region: number; readonly page: number; readonly behind: boolean };

/** Indices of the globals of a page; `known` is one of the function's own: where it knows the page to be mapped, linear address ^ J.PAGE_KEY. */
export interface PageGlobals { readonly at: number; readonly counted: number; readonly generation: number; readonly known: number }

/** Name under which a module exports the n-th global to be set. */
export const placeName = (n: number): string => `p${n}`;

/** The places of a module that is being built. */
export class ModulePlaces {
  readonly list: Place[] = [];
  readonly #m: ModuleBuilder;
  readonly #record: (i: Instruction) => number;
  readonly #records = new Map<string, number>();
  readonly #pages = new Map<string, PageGlobals>();
  #distance: number | undefined;
  #globals = 0;

  /** `record` puts an instruction where the interpreter's routine finds it and returns its address, 0 when there is no room. */
  constructor(m: ModuleBuilder, record: (i: Instruction) => number) {
    this.#m = m;
    this.#record = record;
  }

  #global(): number {
    const global = this.#m.global(I32);
    this.#m.exportGlobal(placeName(this.#globals++), global);
    return global;
  }

  /** Global with the address of an instruction's record; undefined when there is no room for one. */
  record(i: Instruction): number | undefined {
    const at = this.#record(i);
    if (at === 0) return undefined;
    const key = `${at} ${i.moves.disp} ${i.moves.imm}`;
    let global = this.#records.get(key);
    if (global === undefined) {
      this.#records.set(key, global = this.#global());
      this.list.push({ kind: 'record', bytes: i.bytes, moves: i.moves });
    }
    return global;
  }

  /** Global with the distance that a kernel has moved. */
  distance(): number {
    if (this.#distance === undefined) {
      this.#distance = this.#global();
      this.list.push({ kind: 'distance' });
    }
    return this.#distance;
  }

  /** Globals of the n-th page of a region, or of the one that an instruction there continues in. */
  page(region: number, page: number, behind: boolean): PageGlobals {
    const key = `${region} ${page} ${behind}`;
    let globals = this.#pages.get(key);
    if (globals === undefined) {
      globals = { at: this.#global(), counted: this.#global(), generation: this.#global(), known: this.#m.global(I64, -1) };
      this.#pages.set(key, globals);
      this.list.push({ kind: 'page', region, page, behind });
    }
    return globals;
  }
}

/** Where the generation of a page at a wasm address is counted. */
export const generationAt = (page: number): number => layout.PAGE_GENERATION_BASE + ((page - layout.RAM_BASE) >>> 12) * 4;

/** A record whose values have moved by a distance: assembly/record.ts. */
function movedRecord(bytes: Uint8Array, { disp, imm }: Moves, distance: number): Uint8Array {
  if (distance === 0 || (disp === 0 && imm === 0)) return bytes;
  const moved = bytes.slice();
  const view = new DataView(moved.buffer);
  view.setInt32(8, view.getInt32(8, true) + disp * distance, true);
  view.setBigInt64(16, view.getBigInt64(16, true) + BigInt(imm * distance), true);
  return moved;
}

/** Values of a module's globals where its regions have these pages, and have moved by `distance`. Undefined: a record has no room, or a page is not known. */
export function placeValues(places: readonly Place[], regions: ReadonlyArray<readonly Pick<CodePage, 'page' | 'generation' | 'behind'>[]>, distance: number, record: (bytes: Uint8Array) => number): number[] | undefined {
  const values: number[] = [];
  for (const place of places) {
    if (place.kind === 'record') {
      const at = record(movedRecord(place.bytes, place.moves, distance));
      if (at === 0) return undefined;
      values.push(at);
    } else if (place.kind === 'distance') {
      values.push(distance);
    } else {
      const own = regions[place.region][place.page];
      const there = place.behind ? own.behind : own;
      if (there === undefined) return undefined;
      values.push(there.page, generationAt(there.page), there.generation);
    }
  }
  return values;
}
