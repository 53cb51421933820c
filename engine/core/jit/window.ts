/**
 * Windows: accesses of a block through the same registers are looked up together.
 *
 * The first of them looks up, in one step, the stretch of memory from the lowest to the highest of their displacements. Where
 * it lies in one page whose TLB entry allows all of them, a local keeps its wasm address for the rest, which have
 * nothing left to look up. Pages may share a TLB entry, so the core is asked for a remembered walk before that fails; then the local
 * is 0, and each access is translated by the core. Which displacements there are is known
 * when the block has been written: what depends on it has room for any number and is filled in then.
 */
import { OP } from '../gen/ops.ts';
import type { Instruction } from './instruction.ts';
import { NO_REGISTER, isMemory } from './instruction.ts';
import type { Code } from './wasm.ts';

const PAGE = 0x1000;
/** Windows of one block. */
const MOST = 6;
/** Where a window's local points, seen from its first access: so far below that offsets are never negative. */
export const BIAS = PAGE - 1;

export interface Window {
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly local: number;
  /** Displacement of the first access; all of these count from where the base register was then. */
  readonly first: number;
  low: number;
  /** Behind the last byte. */
  high: number;
  writes: boolean;
  /** How far the base register has moved by constants since. */
  moved: number;
  /** In the code: the lowest displacement, the number of bytes less one, which tag is compared, what makes the local of an address; the same for asking the core. */
  readonly holes: { low: number; last: number; tag: number; back: number; lastAgain: number; write: number; backAgain: number };
}

/** Bytes of the holes. */
export const WIDE = 5;
export const NARROW = 2;

export class Windows {
  #open: Window[] = [];
  #made: Window[] = [];
  readonly #locals: number[] = [];

  /** A block begins. */
  begin(): void {
    this.#open = [];
    this.#made = [];
  }

  /** What registers point to may have changed. */
  forget(): void { this.#open = []; }

  /** A register gets another value; `by`: a constant more than it had. */
  written(register: number, by?: number): void {
    this.#open = this.#open.filter((w) => {
      if (w.base !== register && w.index !== register) return true;
      if (by === undefined || w.index === register) return false;
      w.moved += by;
      return true;
    });
  }

  /** The open window that can hold an access: made larger, so that it does. The offset of the access from its local. */
  find(base: number, index: number, scale: number, disp: number, size: number, write: boolean): { window: Window; offset: number } | undefined {
    const window = this.#open.find((w) => w.base === base && w.index === index && w.scale === scale);
    if (window === undefined) return undefined;
    const at = disp + window.moved;
    const low = Math.min(window.low, at);
    const high = Math.max(window.high, at + size);
    if (high - low > PAGE || low < -0x8000_0000) return undefined;
    window.low = low;
    window.high = high;
    window.writes ||= write;
    return { window, offset: at - window.first + BIAS };
  }

  /** Opens a window whose code is being written; undefined when there are enough. */
  open(base: number, index: number, scale: number, disp: number, size: number, write: boolean, local: () => number): Window | undefined {
    if (this.#made.length === MOST) return undefined;
    const n = this.#made.length;
    const window: Window = {
      base, index, scale, local: this.#locals[n] ??= local(), first: disp, low: disp, high: disp + size, writes: write, moved: 0,
      holes: { low: 0, last: 0, tag: 0, back: 0, lastAgain: 0, write: 0, backAgain: 0 },
    };
    this.#made.push(window);
    this.#open.push(window);
    return window;
  }

  /** The block has been written to `code`: fills the holes. */
  end(code: Code, readTag: number, writeTag: number): void {
    for (const { first, low, high, writes, holes } of this.#made) {
      code.fill(holes.low, low, WIDE);
      code.fill(holes.last, high - low - 1, NARROW);
      code.bytes[holes.tag] = writes ? writeTag : readTag;
      code.fill(holes.back, first - low - BIAS, WIDE);
      code.fill(holes.lastAgain, high - low - 1, NARROW);
      code.bytes[holes.write] = writes ? 1 : 0;
      code.fill(holes.backAgain, first - low - BIAS, WIDE);
    }
    this.begin();
  }
}

/** Writes to its register operand and nothing else that matters here. */
function loadsRegister({ op }: Instruction): boolean {
  switch (op) {
    case OP.MOV_GE: case OP.MOV_GI: case OP.LEA: case OP.POP_G: case OP.MOVZX_B: case OP.MOVZX_W: case OP.MOVSX_B: case OP.MOVSX_W: case OP.MOVSXD: return true;
    default: return false;
  }
}

/** Another access through the same registers as instruction `k`'s seems to follow in the block. */
export function accessFollows(instructions: readonly Instruction[], k: number): boolean {
  const { base, index, scale, reg, op } = instructions[k];
  const changes = (register: number): boolean => register !== NO_REGISTER && (register === base || register === index);
  if (loadsRegister(instructions[k]) && op !== OP.LEA && changes(reg)) return false;
  for (let n = k + 1; n < instructions.length; n += 1) {
    const i = instructions[n];
    if (isMemory(i) && i.op !== OP.LEA && i.op !== OP.NOP && i.base === base && i.index === index && i.scale === scale) return true;
    if (loadsRegister(i) && changes(i.reg)) return false;
  }
  return false;
}
