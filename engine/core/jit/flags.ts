/**
 * Status flags in compiled code: locals LOP, LR, LA, LB hold what assembly/flags.ts holds in memory, and STATUS the six
 * status bits of FLAGS. Which operation made them is mostly known while compiling, so conditions need no flags at all.
 *
 * LOP | WORD32 says that LR, LA and LB count in their low 32 bits only: registers are kept as they are and extended
 * when the state is written to memory.
 *
 * @spec SDM vol. 1, 3.4.3 (EFLAGS); vol. 2, appendix B (condition codes)
 */
import type { Emitter } from './emitter.ts';
import { L } from './emitter.ts';
import { O } from './wasm.ts';

export const CF = 1; export const PF = 4; export const AF = 0x10; export const ZF = 0x40; export const SF = 0x80; export const OF = 0x800;
export const STATUS = 0x8d5;

/** As in assembly/flags.ts. In `known`, ADC also stands for ADD and SBB for SUB: the carry in is not known. */
export const LAZY = { NONE: 0, ADD: 1, SUB: 2, LOGIC: 3, ADC: 4, SBB: 5, INC: 6, DEC: 7, RESULT: 8 } as const;
export const WORD32 = 0x20;
export const UNKNOWN = -1;

/** What is known about the flags at this point, and whether anything may still look at what this instruction makes of them. */
export interface FlagState { known: number; live: boolean }

/** LOP of operands of `size` bytes. */
export const lazy = (op: number, size: number): number => size === 4 ? op | WORD32 : op;

export function setKnown(e: Emitter, f: FlagState, lop: number): void {
  e.code.i32(lop).set(L.LOP);
  f.known = lop;
}

function operand(e: Emitter, local: number, word32: boolean): void {
  e.code.get(local);
  if (word32) e.code.op(O.I32_WRAP);
}

/** Pushes 0 or 1 for the comparison of two pushed operands: opcode of the i32 form; the i64 form is 10 or 11 further. */
function compare(e: Emitter, word32: boolean, o32: number): void { e.code.op(word32 ? o32 : o32 + (O.I64_EQ - O.I32_EQ)); }

function isZero(e: Emitter, word32: boolean): void {
  operand(e, L.LR, word32);
  e.code.op(word32 ? O.I32_EQZ : O.I64_EQZ);
}

/** Pushes the sign of the pushed value. */
function signBit(e: Emitter, word32: boolean): void {
  if (word32) e.code.i32(0).op(O.I32_LT_S);
  else e.code.i64(0).op(O.I64_LT_S);
}

function isNegative(e: Emitter, word32: boolean): void {
  operand(e, L.LR, word32);
  signBit(e, word32);
}

/** Pushes OF of an arithmetic operation. */
function arithmeticOverflow(e: Emitter, op: number, word32: boolean): void {
  const { code } = e;
  const xor = word32 ? O.I32_XOR : O.I64_XOR;
  operand(e, L.LA, word32);
  const add = op === LAZY.ADD || op === LAZY.ADC || op === LAZY.INC;
  operand(e, add ? L.LR : L.LB, word32);
  code.op(xor);
  operand(e, add ? L.LB : L.LA, word32);
  operand(e, L.LR, word32);
  code.op(xor).op(word32 ? O.I32_AND : O.I64_AND);
  signBit(e, word32);
}

function statusBit(e: Emitter, shift: number): void {
  e.code.get(L.STATUS);
  if (shift !== 0) e.code.i32(shift).op(O.I32_SHR_U);
  e.code.i32(1).op(O.I32_AND);
}

function overflow(e: Emitter, op: number, word32: boolean): void {
  if (op === LAZY.LOGIC) e.code.i32(0);
  else if (op === LAZY.NONE || op === LAZY.RESULT) statusBit(e, 11);
  else arithmeticOverflow(e, op, word32);
}

function carry(e: Emitter, op: number, word32: boolean): void {
  const { code } = e;
  const and = word32 ? O.I32_AND : O.I64_AND;
  const or = word32 ? O.I32_OR : O.I64_OR;
  const not = (): void => { if (word32) code.i32(-1).op(O.I32_XOR); else code.i64(-1).op(O.I64_XOR); };
  switch (op) {
    case LAZY.SUB:
      operand(e, L.LA, word32); operand(e, L.LB, word32);
      compare(e, word32, O.I32_LT_U);
      break;
    case LAZY.ADD:
      operand(e, L.LR, word32); operand(e, L.LA, word32);
      compare(e, word32, O.I32_LT_U);
      break;
    case LAZY.LOGIC: code.i32(0); break;
    case LAZY.ADC: // a & b | (a | b) & ~r
      operand(e, L.LA, word32); operand(e, L.LB, word32); code.op(and);
      operand(e, L.LA, word32); operand(e, L.LB, word32); code.op(or);
      operand(e, L.LR, word32); not(); code.op(and).op(or);
      signBit(e, word32);
      break;
    case LAZY.SBB: // ~a & b | (~a | b) & r
      operand(e, L.LA, word32); not(); operand(e, L.LB, word32); code.op(and);
      operand(e, L.LA, word32); not(); operand(e, L.LB, word32); code.op(or);
      operand(e, L.LR, word32); code.op(and).op(or);
      signBit(e, word32);
      break;
    default: statusBit(e, 0); break;
  }
}

function flagArguments(e: Emitter): void { e.code.get(L.LOP).get(L.LR).get(L.LA).get(L.LB).get(L.STATUS); }

/** Pushes all six status flags. */
export function pushStatus(e: Emitter): void {
  flagArguments(e);
  e.code.call(e.helpers.status);
}

/** Pushes CF. */
export function pushCarry(e: Emitter, f: FlagState): void { pushCondition(e, f, 2); }

/** Pushes 1 when condition code cc (0-15) holds, otherwise 0. */
export function pushCondition(e: Emitter, f: FlagState, cc: number): void {
  const { code } = e;
  const { known } = f;
  const negate = (cc & 1) !== 0;
  if (known === UNKNOWN) {
    code.i32(cc);
    flagArguments(e);
    code.call(e.helpers.condition);
    return;
  }
  const op = known & 0x1f;
  const word32 = (known & WORD32) !== 0;
  const none = op === LAZY.NONE;
  const sub = op === LAZY.SUB;
  const logic = op === LAZY.LOGIC;
  const direct = (o32: number): void => {
    operand(e, L.LA, word32);
    operand(e, L.LB, word32);
    compare(e, word32, o32);
  };
  switch (cc >> 1) {
    case 0: overflow(e, op, word32); break;
    case 1:
      if (sub && negate) { direct(O.I32_GE_U); return; }
      carry(e, op, word32);
      break;
    case 2:
      if (none) { statusBit(e, 6); break; }
      if (sub) { direct(negate ? O.I32_NE : O.I32_EQ); return; }
      isZero(e, word32);
      break;
    case 3:
      if (sub) { direct(negate ? O.I32_GT_U : O.I32_LE_U); return; }
      if (none) { code.get(L.STATUS).i32(CF | ZF).op(O.I32_AND).i32(0).op(O.I32_NE); break; }
      isZero(e, word32);
      if (!logic) { carry(e, op, word32); code.op(O.I32_OR); }
      break;
    case 4:
      if (none) statusBit(e, 7);
      else isNegative(e, word32);
      break;
    case 5:
      if (none) { statusBit(e, 2); break; }
      code.get(L.LR).op(O.I32_WRAP).i32(0xff).op(O.I32_AND).op(O.I32_POPCNT).i32(1).op(O.I32_AND).op(O.I32_EQZ);
      break;
    case 6:
      if (sub) { direct(negate ? O.I32_GE_S : O.I32_LT_S); return; }
      if (none) statusBit(e, 7);
      else isNegative(e, word32);
      if (!logic) { overflow(e, op, word32); code.op(O.I32_XOR); }
      break;
    default:
      if (sub) { direct(negate ? O.I32_GT_S : O.I32_LE_S); return; }
      if (none) statusBit(e, 7);
      else isNegative(e, word32);
      if (!logic) { overflow(e, op, word32); code.op(O.I32_XOR); }
      if (none) statusBit(e, 6);
      else isZero(e, word32);
      code.op(O.I32_OR);
      break;
  }
  if (negate) code.op(O.I32_EQZ);
}

/**
 * A rotate's CF and OF are put off: mostly nobody looks at them before they are replaced, but for paths that leave to the
 * interpreter. `result` is a local (i64) that nothing else writes to.
 */
export function putOffRotate(e: Emitter, f: FlagState, left: boolean, size: number, result: number): void {
  const { code } = e;
  const bit = (k: number): void => {
    code.get(result);
    if (k !== 0) code.i64(k).op(O.I64_SHR_U);
    code.op(O.I32_WRAP).i32(1).op(O.I32_AND);
  };
  const top = size * 8 - 1;
  const make = (state: FlagState): void => {
    bit(left ? 0 : top);
    code.tee(L.T0);
    bit(left ? top : top - 1);
    code.get(L.T0).op(O.I32_XOR).i32(11).op(O.I32_SHL).op(O.I32_OR);
    replaceCarryOverflow(e, state);
  };
  e.putOff = { all: false, settle: () => make(f), leave: () => make({ ...f }) };
}

/**
 * All flags of a shift by a constant that is not zero are put off likewise. The result is in LR already; `source` is a local
 * (i64) that no other instruction writes to.
 */
export function putOffShift(e: Emitter, f: FlagState, kind: 'left' | 'right' | 'arithmetic', size: number, n: number, source: number): void {
  const { code } = e;
  const bits = size * 8;
  /** Bit k of the operand, which it may lie outside of. */
  const bit = (local: number, k: number): void => {
    if (k < 0 || k >= bits) { code.i32(0); return; }
    code.get(local);
    if (k !== 0) code.i64(k).op(O.I64_SHR_U);
    code.op(O.I32_WRAP).i32(1).op(O.I32_AND);
  };
  const overflow = (): void => { code.op(O.I32_XOR).i32(11).op(O.I32_SHL).op(O.I32_OR); };
  const make = (state: FlagState): void => {
    if (kind === 'left') {
      bit(source, bits - n);
      code.tee(L.T0);
      bit(L.LR, bits - 1);
      code.get(L.T0);
      overflow();
    } else if (kind === 'right') {
      bit(source, n - 1);
      bit(L.LR, bits - 1);
      bit(L.LR, bits - 2);
      overflow();
    } else {
      bit(source, Math.min(n - 1, bits - 1));
    }
    code.set(L.STATUS);
    setKnown(e, state, lazy(LAZY.RESULT, size));
  };
  e.putOff = { all: true, settle: () => make(f), leave: () => make({ ...f }) };
}

/** Replaces CF and OF by the pushed bits (CF | OF << 11); the other status flags stay. For rotates. */
function replaceCarryOverflow(e: Emitter, f: FlagState): void {
  const { code } = e;
  const op = f.known & 0x1f;
  code.set(L.T0);
  if (f.known === UNKNOWN || op === LAZY.NONE) {
    pushStatus(e);
    code.i32(STATUS & ~(CF | OF)).op(O.I32_AND).get(L.T0).op(O.I32_OR).set(L.STATUS);
    setKnown(e, f, LAZY.NONE);
    return;
  }
  if (op === LAZY.RESULT) code.get(L.STATUS).i32(AF).op(O.I32_AND);
  else if (op === LAZY.LOGIC) code.i32(0);
  else code.get(L.LA).get(L.LB).op(O.I64_XOR).get(L.LR).op(O.I64_XOR).op(O.I32_WRAP).i32(AF).op(O.I32_AND);
  code.get(L.T0).op(O.I32_OR).set(L.STATUS);
  setKnown(e, f, LAZY.RESULT | (f.known & WORD32));
}

/** Replaces the flags in `mask` by the pushed bits; the other status flags stay. */
export function replaceStatus(e: Emitter, f: FlagState, mask: number): void {
  const { code } = e;
  code.set(L.T0);
  pushStatus(e);
  code.i32(STATUS & ~mask).op(O.I32_AND).get(L.T0).op(O.I32_OR).set(L.STATUS);
  setKnown(e, f, LAZY.NONE);
}
