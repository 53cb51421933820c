/**
 * The x87 register stack while a block of compiled code runs.
 *
 * Registers that the block touches are in locals, addressed from the block's first TOP: which of them ST(i) is at an
 * instruction is known while compiling, so FXCH and FLD ST(i) move nothing. Tags are looked at once for each register. Where
 * the block ends, and on paths that leave to the interpreter, everything is written as the interpreter would have left it.
 *
 * A block is compiled for FCW with all exceptions masked, nearest rounding and 64 bits of precision; anything else, a
 * pending exception and #NM are the interpreter's.
 *
 * @spec SDM vol. 1, 8.1
 */
import { S } from '../gen/state.ts';
import type { Instruction } from './instruction.ts';
import { J } from './layout.ts';
import { L } from './locals.ts';
import type { Code } from './wasm.ts';
import { I32, I64, O } from './wasm.ts';

const CR0_EM_TS = 0xc;
const FCW_MASK = 0xf3f;
const FCW_PLAIN = 0x33f;
const ES = 0x80;
const C1 = 0x200;
const TOP_MASK = 0x3800;
const CS = 1; const FS = 4;

/** What the stack needs of the function's emitter. */
interface Host {
  readonly code: Code;
  readonly long: boolean;
  local(type: number): number;
  missIf(): void;
  wrap(): void;
}

/** Locals of the x87 state that a function uses, made when they are first needed. */
export class X87Locals {
  readonly #e: Host;
  readonly top: number; //  TOP when the block began
  readonly tags: number; // FTW turned so that register `top` is in the lowest bits
  readonly fsw: number; //  FSW, but for TOP
  readonly fdp: number;
  readonly #registers: Array<readonly [se: number, sig: number]> = [];

  constructor(e: Host) {
    this.#e = e;
    this.top = e.local(I32);
    this.tags = e.local(I32);
    this.fsw = e.local(I32);
    this.fdp = e.local(I64);
  }

  register(n: number): readonly [se: number, sig: number] {
    while (this.#registers.length <= n) this.#registers.push([this.#e.local(I32), this.#e.local(I64)]);
    return this.#registers[n];
  }
}

export class X87Block {
  readonly #e: Host;
  readonly #l: X87Locals;
  /** ST(0) is register #delta, counted from the block's first TOP. */
  #delta = 0;
  /** Which pair of locals stands for each register. */
  readonly #pair = [0, 1, 2, 3, 4, 5, 6, 7];
  // Bits 0 to 7 by register.
  #loaded = 0;
  #dirty = 0;
  #used = 0;
  #empty = 0;
  #becameUsed = 0;
  #becameEmpty = 0;
  /** C1 is 0, whatever the local says. */
  #clearC1 = false;
  /** The last non-control instruction, and the segment of the last memory operand. */
  #last: Instruction | undefined;
  #operandSegment = -1;

  /** Begins with the checks that hold for the whole block. */
  constructor(e: Host, locals: X87Locals) {
    this.#e = e;
    this.#l = locals;
    const { code } = e;
    code.get(L.CPU).memory(O.I32_LOAD, S.CR0).i32(CR0_EM_TS).op(O.I32_AND);
    code.get(L.CPU).memory(O.I32_LOAD16_U, S.FCW).i32(FCW_MASK).op(O.I32_AND).i32(FCW_PLAIN).op(O.I32_XOR).op(O.I32_OR);
    code.get(L.CPU).memory(O.I32_LOAD16_U, S.FSW).tee(locals.fsw).i32(ES).op(O.I32_AND).op(O.I32_OR);
    e.missIf();
    code.get(locals.fsw).i32(11).op(O.I32_SHR_U).i32(7).op(O.I32_AND).set(locals.top);
    code.get(L.CPU).memory(O.I32_LOAD16_U, S.FTW).i32(0x1_0001).op(O.I32_MUL);
    code.get(locals.top).i32(1).op(O.I32_SHL).op(O.I32_SHR_U).set(locals.tags);
  }

  #register(i: number): number { return (this.#delta + i) & 7; }

  /** Pushes the address of a register in the pCPU's state, less S.FPR. */
  #address(register: number): void {
    const { code } = this.#e;
    code.get(this.#l.top);
    if (register !== 0) code.i32(register).op(O.I32_ADD).i32(7).op(O.I32_AND);
    code.i32(4).op(O.I32_SHL).get(L.CPU).op(O.I32_ADD);
  }

  /** ST(i) must be in use. */
  need(i: number): void {
    const r = this.#register(i);
    if ((this.#used >> r & 1) !== 0) return;
    const { code } = this.#e;
    if ((this.#empty >> r & 1) !== 0) code.i32(1);
    else code.get(this.#l.tags).i32(1 << r * 2).op(O.I32_AND);
    this.#e.missIf();
    this.#used |= 1 << r;
  }

  /** The register in front of ST(0) must be empty. */
  needRoom(): void {
    const r = this.#register(7);
    if ((this.#empty >> r & 1) !== 0) return;
    const { code } = this.#e;
    if ((this.#used >> r & 1) !== 0) code.i32(1);
    else code.get(this.#l.tags).i32(1 << r * 2).op(O.I32_AND).op(O.I32_EQZ);
    this.#e.missIf();
    this.#empty |= 1 << r;
  }

  /** Locals with the value of ST(i), which is in use. */
  value(i: number): readonly [se: number, sig: number] {
    const r = this.#register(i);
    const pair = this.#l.register(this.#pair[r]);
    if ((this.#loaded >> r & 1) === 0) {
      this.#loaded |= 1 << r;
      const { code } = this.#e;
      const t = L.T0;
      this.#address(r);
      code.tee(t).memory(O.I32_LOAD16_U, S.FPR + 8).set(pair[0]);
      code.get(t).memory(O.I64_LOAD, S.FPR).set(pair[1]);
    }
    return pair;
  }

  /** Locals to write ST(i)'s new value to; it is in use from now on. */
  target(i: number): readonly [se: number, sig: number] {
    const bit = 1 << this.#register(i);
    this.#loaded |= bit;
    this.#dirty |= bit;
    this.#becomes(bit, true);
    return this.#l.register(this.#pair[this.#register(i)]);
  }

  #becomes(bit: number, used: boolean): void {
    if (used) {
      if ((this.#used & bit) !== 0 && (this.#becameEmpty & bit) === 0) return;
      this.#used |= bit;
      this.#empty &= ~bit;
      this.#becameUsed |= bit;
      this.#becameEmpty &= ~bit;
    } else {
      this.#used &= ~bit;
      this.#empty |= bit;
      this.#becameUsed &= ~bit;
      this.#becameEmpty |= bit;
    }
  }

  /** There is room: the stack grows by a register, whose locals are returned. */
  push(): readonly [se: number, sig: number] {
    this.#delta -= 1;
    return this.target(0);
  }

  pop(): void {
    this.#becomes(1 << this.#register(0), false);
    this.#delta += 1;
  }

  /** ST(0) and ST(i) change places; both are in use. */
  exchange(i: number): void {
    this.value(0);
    this.value(i);
    const a = this.#register(0); const b = this.#register(i);
    [this.#pair[a], this.#pair[b]] = [this.#pair[b], this.#pair[a]];
    this.#dirty |= 1 << a | 1 << b;
  }

  /** Pops the significand of a result that core arithmetic has made, and takes the rest from where it left it. */
  takeResult(se: number, sig: number): void {
    const { code } = this.#e;
    code.set(sig).get(L.CPU).memory(O.I32_LOAD, J.X87).tee(L.T0).i32(0xffff).op(O.I32_AND).set(se);
    code.get(L.T0).i32(16).op(O.I32_SHR_U);
    this.takeStatus();
  }

  /** Pops exceptions and C1 of an instruction. */
  takeStatus(): void {
    const { code } = this.#e;
    code.get(this.#l.fsw).i32(~C1).op(O.I32_AND).op(O.I32_OR).set(this.#l.fsw);
    this.#clearC1 = false;
  }

  /** Pops exceptions of an instruction that leaves C1. */
  takeExceptions(): void { this.#e.code.get(this.#l.fsw).op(O.I32_OR).set(this.#l.fsw); }

  /** Pops the condition bits C3 C2 C0 and exceptions; C1 becomes 0. */
  takeCondition(): void {
    this.#e.code.get(this.#l.fsw).i32(~0x4700).op(O.I32_AND).op(O.I32_OR).set(this.#l.fsw);
    this.#clearC1 = false;
  }

  /** An instruction without exceptions: C1 becomes 0. */
  clearC1(): void { this.#clearC1 = true; }

  /** The last instruction, for FIP and FOP; `gva` (a local) is the linear address of its memory operand. */
  note(i: Instruction, gva?: number): void {
    this.#last = i;
    if (gva === undefined) return;
    const { code, long } = this.#e;
    this.#operandSegment = i.segment;
    code.get(gva);
    if (i.segment >= FS) {
      code.get(L.CPU).memory(O.I64_LOAD, S.SEG_BASE + i.segment * 8).op(O.I64_SUB);
      if (!long) this.#e.wrap();
    }
    code.set(this.#l.fdp);
  }

  /** Pushes FSW as it is at this point. */
  pushStatusWord(): void {
    const { code } = this.#e;
    code.get(this.#l.fsw).i32(~(TOP_MASK | (this.#clearC1 ? C1 : 0))).op(O.I32_AND);
    code.get(this.#l.top);
    if (this.#delta !== 0) code.i32(this.#delta).op(O.I32_ADD).i32(7).op(O.I32_AND);
    code.i32(11).op(O.I32_SHL).op(O.I32_OR);
  }

  /** Writes everything to the pCPU's state. */
  store(): void {
    const { code } = this.#e;
    for (let r = 0; r < 8; r += 1) {
      if ((this.#dirty >> r & 1) === 0) continue;
      const [se, sig] = this.#l.register(this.#pair[r]);
      this.#address(r);
      code.tee(L.T0).get(sig).memory(O.I64_STORE, S.FPR);
      code.get(L.T0).get(se).memory(O.I32_STORE16, S.FPR + 8);
    }
    if ((this.#becameUsed | this.#becameEmpty) !== 0) this.#storeTags();
    if (this.#last === undefined) return;
    code.get(L.CPU);
    this.pushStatusWord();
    code.memory(O.I32_STORE16, S.FSW);
    const { bytes, offset } = this.#last;
    code.get(L.CPU).get(L.PAGE).i64(offset).op(O.I64_ADD).memory(O.I64_STORE, S.FIP);
    code.get(L.CPU).get(L.CPU).memory(O.I32_LOAD16_U, S.SEG_SELECTOR + CS * 2).memory(O.I32_STORE16, S.FCS);
    code.get(L.CPU).i32((bytes[26] & 7) << 8 | bytes[27]).memory(O.I32_STORE16, S.FOP);
    if (this.#operandSegment < 0) return;
    code.get(L.CPU).get(this.#l.fdp).memory(O.I64_STORE, S.FDP);
    code.get(L.CPU).get(L.CPU).memory(O.I32_LOAD16_U, S.SEG_SELECTOR + this.#operandSegment * 2).memory(O.I32_STORE16, S.FDS);
  }

  #storeTags(): void {
    const { code } = this.#e;
    const both = (mask: number): number => Array.from({ length: 8 }, (_, r) => mask >> r & 1 ? 3 << r * 2 : 0).reduce((a, b) => a | b, 0);
    code.get(L.CPU);
    code.get(this.#l.tags).i32(0xffff & ~both(this.#becameUsed)).op(O.I32_AND).i32(both(this.#becameEmpty)).op(O.I32_OR);
    code.i32(0x1_0001).op(O.I32_MUL).i32(16).get(this.#l.top).i32(1).op(O.I32_SHL).op(O.I32_SUB).op(O.I32_SHR_U);
    code.memory(O.I32_STORE16, S.FTW);
  }
}
