/**
 * Integer arithmetic: ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT, shifts, rotates, multiplication, bits.
 *
 * @spec   SDM vol. 2
 * @differ As the interpreter where the SDM leaves flags undefined (assembly/execute).
 */
import { OP } from '../gen/ops.ts';
import type { Emitter } from './emitter.ts';
import { L } from './emitter.ts';
import type { FlagState } from './flags.ts';
import { CF, LAZY, OF, UNKNOWN, WORD32, ZF, lazy, pushCarry, putOffRotate, putOffShift, replaceStatus, setKnown } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { LOCK, MEM } from './instruction.ts';
import { ATOMIC, O } from './wasm.ts';

const ADD = 0; const OR = 1; const ADC = 2; const SBB = 3; const AND = 4; const SUB = 5; const XOR = 6; const CMP = 7;
const OP32 = [O.I32_ADD, O.I32_OR, O.I32_ADD, O.I32_SUB, O.I32_AND, O.I32_SUB, O.I32_XOR, O.I32_SUB];
const OP64 = [O.I64_ADD, O.I64_OR, O.I64_ADD, O.I64_SUB, O.I64_AND, O.I64_SUB, O.I64_XOR, O.I64_SUB];
const log2 = (size: number): number => 31 - Math.clz32(size);

/** Temporaries of the operand type. */
const temp0 = (size: number): number => size === 8 ? L.W0 : L.T0;
const temp1 = (size: number): number => size === 8 ? L.W1 : L.T1;
const temp2 = (size: number): number => size === 8 ? L.W2 : L.T2;

/** Makes the value in `from` (form of `get`) one of the lazy operands. */
function keep(e: Emitter, from: number, size: number, to: number): void {
  e.code.get(from);
  if (size !== 8) e.code.op(size === 4 ? O.I64_EXTEND_U : O.I64_EXTEND_S);
  e.code.set(to);
}

function extendResult(e: Emitter, size: number): void {
  if (size === 1) e.code.op(O.I32_EXTEND8);
  else if (size === 2) e.code.op(O.I32_EXTEND16);
}

/** Pushes the result of a group operation on temp0 and temp1 and makes the flags. */
function operate(e: Emitter, f: FlagState, kind: number, size: number): void {
  const { code } = e;
  const a = temp0(size); const b = temp1(size); const r = temp2(size);
  const wide = size === 8;
  const withCarry = kind === ADC || kind === SBB;
  if (withCarry) {
    pushCarry(e, f);
    code.set(L.T3);
  }
  code.get(a).get(b).op(wide ? OP64[kind] : OP32[kind]);
  if (withCarry) {
    code.get(L.T3);
    if (wide) code.op(O.I64_EXTEND_U);
    code.op(wide ? OP64[kind] : OP32[kind]);
  }
  extendResult(e, size);
  if (!f.live) {
    f.known = UNKNOWN;
    return;
  }
  code.set(r);
  keep(e, r, size, L.LR);
  if (kind === AND || kind === OR || kind === XOR) {
    setKnown(e, f, lazy(LAZY.LOGIC, size));
  } else {
    keep(e, a, size, L.LA);
    keep(e, b, size, L.LB);
    if (withCarry) {
      code.get(L.T3).i32(3).op(O.I32_MUL).i32(lazy(kind === ADC ? LAZY.ADD : LAZY.SUB, size)).op(O.I32_ADD).set(L.LOP);
      f.known = lazy(kind === ADC ? LAZY.ADC : LAZY.SBB, size);
    } else {
      setKnown(e, f, lazy(kind === ADD ? LAZY.ADD : LAZY.SUB, size));
    }
  }
  code.get(r);
}

/** Read-modify-write of the r/m operand: `body` pushes the new value from temp0, the old one. */
export function modify(e: Emitter, i: Instruction, size: number, body: () => void): void {
  const { code } = e;
  if ((i.flags & MEM) === 0) {
    e.get(i.rm, size);
    code.set(temp0(size));
    body();
    e.put(i.rm, size);
    return;
  }
  const offset = e.access(i, size, true);
  code.tee(L.P);
  if ((i.flags & LOCK) === 0) {
    code.get(L.P);
    e.load(size, offset);
    code.set(temp0(size));
    body();
    e.store(size, offset);
    return;
  }
  throw new Error('a locked instruction needs an atomic form');
}

/** A compiled LOCK form: aligned only. Leaves the wasm address in P. */
export function lockedAddress(e: Emitter, i: Instruction, size: number): void {
  const { code } = e;
  e.address(i, size, true);
  if (size === 1) {
    code.set(L.P);
    return;
  }
  code.tee(L.P).i32(size - 1).op(O.I32_AND);
  e.missIf();
}

const ATOMIC_OF = [ATOMIC.ADD, ATOMIC.OR, -1, -1, ATOMIC.AND, ATOMIC.SUB, ATOMIC.XOR, -1];

/** Makes a fetched value (zero-extended below the operand size) what `get` pushes. */
export function fetched(e: Emitter, size: number): void {
  if (size === 1) e.code.op(O.I32_EXTEND8);
  else if (size === 2) e.code.op(O.I32_EXTEND16);
}

function group(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const kind = (i.op - OP.ADD_EG) >> 2;
  const form = (i.op - OP.ADD_EG) & 3;
  const a = temp0(size); const b = temp1(size);
  const memory = (i.flags & MEM) !== 0;
  if (!memory && form < 2 && i.reg === i.rm && (kind === XOR || kind === SUB) && size >= 4) {
    if (size === 8) code.i64(0); else code.i32(0);
    e.put(i.reg, size);
    if (f.live) {
      code.i64(0).set(L.LR);
      setKnown(e, f, LAZY.LOGIC);
    }
    return;
  }
  if (form === 1 || form === 2) { // register destination: r, r/m and AL/AX/EAX, imm
    const reg = form === 2 ? 0 : i.reg;
    if (form === 2) e.immediate(i, size);
    else e.rm(i, size);
    code.set(b);
    e.get(reg, size);
    code.set(a);
    operate(e, f, kind, size);
    if (kind === CMP) code.op(O.DROP);
    else e.put(reg, size);
    return;
  }
  const source = (): void => {
    if (form === 0) e.get(i.reg, size);
    else e.immediate(i, size);
    code.set(b);
  };
  if (kind === CMP) {
    e.rm(i, size);
    code.set(a);
    source();
    operate(e, f, kind, size);
    code.op(O.DROP);
    return;
  }
  if ((i.flags & LOCK) !== 0) {
    lockedAddress(e, i, size);
    source();
    code.get(L.P).get(b);
    code.atomicRmw(ATOMIC_OF[kind], log2(size));
    fetched(e, size);
    code.set(a);
    operate(e, f, kind, size);
    code.op(O.DROP);
    return;
  }
  modify(e, i, size, () => {
    source();
    operate(e, f, kind, size);
  });
}

function test(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  if (i.op === OP.TEST_AI) e.get(0, size);
  else e.rm(i, size);
  if (i.op === OP.TEST_EG) {
    if ((i.flags & MEM) === 0 && i.reg === i.rm) {
      if (size === 4) code.op(O.I64_EXTEND_U); else e.wide(size);
      finishLogic(e, f, size);
      return;
    }
    e.get(i.reg, size);
  } else {
    e.immediate(i, size);
  }
  code.op(size === 8 ? O.I64_AND : O.I32_AND);
  if (size === 4) code.op(O.I64_EXTEND_U); else e.wide(size);
  finishLogic(e, f, size);
}

function finishLogic(e: Emitter, f: FlagState, size: number): void {
  if (f.live) {
    e.code.set(L.LR);
    setKnown(e, f, lazy(LAZY.LOGIC, size));
  } else {
    e.code.op(O.DROP);
  }
}

function increment(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const up = i.op === OP.INC || i.op === OP.INC_G;
  const one = (): void => { if (size === 8) code.i64(1); else code.i32(1); };
  const body = (): void => {
    if (f.live) {
      pushCarry(e, f);
      code.set(L.STATUS);
    }
    code.get(temp0(size));
    one();
    code.op(size === 8 ? (up ? O.I64_ADD : O.I64_SUB) : up ? O.I32_ADD : O.I32_SUB);
    extendResult(e, size);
    if (!f.live) return;
    code.set(temp2(size));
    keep(e, temp0(size), size, L.LA);
    code.i64(1).set(L.LB);
    keep(e, temp2(size), size, L.LR);
    setKnown(e, f, lazy(up ? LAZY.INC : LAZY.DEC, size));
    code.get(temp2(size));
  };
  if (i.op === OP.INC_G || i.op === OP.DEC_G) {
    e.get(i.reg, size);
    code.set(temp0(size));
    body();
    e.put(i.reg, size);
  } else if ((i.flags & LOCK) !== 0) {
    lockedAddress(e, i, size);
    code.get(L.P);
    one();
    code.atomicRmw(up ? ATOMIC.ADD : ATOMIC.SUB, log2(size));
    fetched(e, size);
    code.set(temp0(size));
    body();
    code.op(O.DROP);
  } else {
    modify(e, i, size, body);
  }
}

function not(e: Emitter, i: Instruction): void {
  const { code } = e;
  modify(e, i, i.size, () => {
    code.get(temp0(i.size));
    if (i.size === 8) code.i64(-1).op(O.I64_XOR); else code.i32(-1).op(O.I32_XOR);
  });
}

function negate(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  modify(e, i, size, () => {
    code.get(temp0(size)).set(temp1(size));
    if (size === 8) code.i64(0).set(L.W0); else code.i32(0).set(L.T0);
    operate(e, f, SUB, size);
  });
}

// ---- shifts

const SHL = 4; const SHR = 5;

/** Result and flags of a shift of temp0 by a constant; `n` is masked and not zero. */
function shiftBy(e: Emitter, f: FlagState, kind: number, size: number, n: number): void {
  const { code } = e;
  const bits = size * 8;
  const a = temp0(size); const r = temp2(size);
  const wide = size === 8;
  const constant = (v: number): void => { if (wide) code.i64(v); else code.i32(v); };
  const unsigned = (): void => {
    code.get(a);
    if (size < 4) code.i32(size === 1 ? 0xff : 0xffff).op(O.I32_AND);
  };
  if (kind <= 1) { // ROL ROR
    const k = n & (bits - 1);
    if (size >= 4) {
      code.get(a);
      constant(k);
      code.op(kind === 0 ? (wide ? O.I64_ROTL : O.I32_ROTL) : wide ? O.I64_ROTR : O.I32_ROTR);
    } else if (k === 0) {
      code.get(a);
    } else {
      const left = kind === 0 ? k : bits - k;
      unsigned();
      code.i32(left).op(O.I32_SHL);
      unsigned();
      code.i32(bits - left).op(O.I32_SHR_U).op(O.I32_OR);
      extendResult(e, size);
    }
    if (!f.live) return;
    code.tee(r);
    if (!wide) code.op(O.I64_EXTEND_U);
    code.set(e.rotated).get(r);
    putOffRotate(e, f, kind === 0, size, e.rotated);
    return;
  }
  if (kind === SHL) {
    if (!wide && n >= 32) code.i32(0);
    else { code.get(a); constant(n); code.op(wide ? O.I64_SHL : O.I32_SHL); }
  } else if (kind === SHR) {
    unsigned();
    constant(n);
    code.op(wide ? O.I64_SHR_U : O.I32_SHR_U);
  } else {
    code.get(a);
    constant(Math.min(n, wide ? 63 : 31));
    code.op(wide ? O.I64_SHR_S : O.I32_SHR_S);
  }
  extendResult(e, size);
  if (!f.live) {
    f.known = UNKNOWN;
    return;
  }
  code.set(r);
  keep(e, a, size, e.shifted);
  keep(e, r, size, L.LR);
  putOffShift(e, f, kind === SHL ? 'left' : kind === SHR ? 'right' : 'arithmetic', size, n, e.shifted);
  code.get(r);
}

function shiftByCl(e: Emitter, i: Instruction, f: FlagState, kind: number): void {
  const { code } = e;
  const { size } = i;
  const wide = size === 8;
  const a = temp0(size); const r = temp2(size); const n = temp1(size);
  const one = (): void => { if (wide) code.i64(1); else code.i32(1); };
  const top = (local: number): void => {
    code.get(local);
    if (wide) code.i64(63).op(O.I64_SHR_U).op(O.I32_WRAP); else code.i32(31).op(O.I32_SHR_U);
  };
  modify(e, i, size, () => {
    e.get64(1);
    if (wide) code.i64(63).op(O.I64_AND); else code.op(O.I32_WRAP).i32(31).op(O.I32_AND);
    code.set(n);
    code.get(a).get(n);
    const rotate = kind <= 1;
    if (rotate) code.op(kind === 0 ? (wide ? O.I64_ROTL : O.I32_ROTL) : wide ? O.I64_ROTR : O.I32_ROTR);
    else code.op(kind === SHL ? (wide ? O.I64_SHL : O.I32_SHL) : kind === SHR ? (wide ? O.I64_SHR_U : O.I32_SHR_U) : wide ? O.I64_SHR_S : O.I32_SHR_S);
    code.set(r);
    if (f.live) {
      code.get(n);
      if (wide) code.i64(0).op(O.I64_NE);
      code.if();
      if (rotate) {
        // CF is the bit that came round; OF as for a count of one.
        if (kind === 0) {
          code.get(r);
          if (wide) code.op(O.I32_WRAP);
          code.i32(1).op(O.I32_AND).tee(L.T3);
          top(r);
        } else {
          top(r);
          code.tee(L.T3);
          code.get(r);
          one();
          code.op(wide ? O.I64_SHL : O.I32_SHL);
          if (wide) code.i64(63).op(O.I64_SHR_U).op(O.I32_WRAP); else code.i32(31).op(O.I32_SHR_U);
        }
        code.get(L.T3).op(O.I32_XOR).i32(11).op(O.I32_SHL).op(O.I32_OR);
        code.set(L.T3);
        const { known } = f;
        code.get(L.T3);
        replaceStatus(e, f, CF | OF);
        f.known = known;
      } else {
        // The last bit shifted out: shift by one less, then look at the edge.
        code.get(a).get(n);
        one();
        code.op(wide ? O.I64_SUB : O.I32_SUB);
        code.op(kind === SHL ? (wide ? O.I64_SHL : O.I32_SHL) : kind === SHR ? (wide ? O.I64_SHR_U : O.I32_SHR_U) : wide ? O.I64_SHR_S : O.I32_SHR_S);
        if (kind === SHL) {
          if (wide) code.i64(63).op(O.I64_SHR_U).op(O.I32_WRAP); else code.i32(31).op(O.I32_SHR_U);
        } else {
          if (wide) code.op(O.I32_WRAP);
          code.i32(1).op(O.I32_AND);
        }
        code.tee(L.T3);
        if (kind === SHL) {
          top(r);
          code.get(L.T3).op(O.I32_XOR).i32(11).op(O.I32_SHL).op(O.I32_OR);
        } else if (kind === SHR) {
          top(r);
          code.get(r);
          one();
          code.op(wide ? O.I64_SHL : O.I32_SHL);
          if (wide) code.i64(63).op(O.I64_SHR_U).op(O.I32_WRAP); else code.i32(31).op(O.I32_SHR_U);
          code.op(O.I32_XOR).i32(11).op(O.I32_SHL).op(O.I32_OR);
        }
        code.set(L.STATUS);
        keep(e, r, size, L.LR);
        code.i32(lazy(LAZY.RESULT, size)).set(L.LOP);
      }
      code.end();
      f.known = UNKNOWN;
    }
    code.get(r);
  });
}

function shift(e: Emitter, i: Instruction, f: FlagState): void {
  const kind = Math.floor((i.op - OP.ROL_EI) / 3);
  const form = (i.op - OP.ROL_EI) % 3;
  if (form === 2) {
    shiftByCl(e, i, f, kind);
    return;
  }
  const n = form === 1 ? 1 : i.small & (i.size === 8 ? 63 : 31);
  modify(e, i, i.size, () => {
    if (n === 0) e.code.get(temp0(i.size));
    else shiftBy(e, f, kind, i.size, n);
  });
}

/** SHLD, SHRD of 4 or 8 bytes by a constant that is not zero. */
function doubleShift(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const wide = size === 8;
  const bits = size * 8;
  const n = i.small & (bits - 1);
  const left = i.op === OP.SHLD_I;
  const a = temp0(size); const b = temp1(size); const r = temp2(size);
  const constant = (v: number): void => { if (wide) code.i64(v); else code.i32(v); };
  const shl = wide ? O.I64_SHL : O.I32_SHL; const shr = wide ? O.I64_SHR_U : O.I32_SHR_U;
  modify(e, i, size, () => {
    e.get(i.reg, size);
    code.set(b);
    code.get(a); constant(n); code.op(left ? shl : shr);
    code.get(b); constant(bits - n); code.op(left ? shr : shl);
    code.op(wide ? O.I64_OR : O.I32_OR).set(r);
    if (f.live) {
      code.get(a); constant(left ? bits - n : n - 1); code.op(shr);
      if (wide) code.op(O.I32_WRAP);
      code.i32(1).op(O.I32_AND);
      code.get(r).get(a).op(wide ? O.I64_XOR : O.I32_XOR); constant(bits - 1); code.op(shr);
      if (wide) code.op(O.I32_WRAP);
      code.i32(11).op(O.I32_SHL).op(O.I32_OR).set(L.STATUS);
      keep(e, r, size, L.LR);
      setKnown(e, f, lazy(LAZY.RESULT, size));
    }
    code.get(r);
  });
}

// ---- multiplication

/** Pushes the high half of the unsigned product of W0 and W1; uses W2. */
function multiplyHigh(e: Emitter): void {
  const { code } = e;
  const low = (l: number): void => { code.get(l).i64(0xffff_ffffn).op(O.I64_AND); };
  const high = (l: number): void => { code.get(l).i64(32).op(O.I64_SHR_U); };
  low(L.W0); low(L.W1); code.op(O.I64_MUL).i64(32).op(O.I64_SHR_U);
  high(L.W0); low(L.W1); code.op(O.I64_MUL).op(O.I64_ADD).set(L.W2);
  low(L.W0); high(L.W1); code.op(O.I64_MUL); low(L.W2); code.op(O.I64_ADD).i64(32).op(O.I64_SHR_U);
  high(L.W0); high(L.W1); code.op(O.I64_MUL).op(O.I64_ADD); high(L.W2); code.op(O.I64_ADD);
}

function multiplyHighSigned(e: Emitter): void {
  const { code } = e;
  multiplyHigh(e);
  code.get(L.W0).i64(63).op(O.I64_SHR_S).get(L.W1).op(O.I64_AND).op(O.I64_SUB);
  code.get(L.W1).i64(63).op(O.I64_SHR_S).get(L.W0).op(O.I64_AND).op(O.I64_SUB);
}

const BOTH = CF | OF;


function imulTruncated(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  if (i.op === OP.IMUL_GE) {
    e.rm(i, size);
    e.wide(size);
    code.set(L.W1);
    e.get(i.reg, size);
    e.wide(size);
    code.set(L.W0);
  } else {
    e.rm(i, size);
    e.wide(size);
    code.set(L.W0);
    code.i64(size === 8 ? i.imm : BigInt.asIntN(size * 8, i.imm)).set(L.W1);
  }
  code.get(L.W0).get(L.W1).op(O.I64_MUL).set(L.W3);
  if (f.live) {
    code.i32(BOTH).i32(0);
    if (size === 8) {
      multiplyHighSigned(e);
      code.get(L.W3).i64(63).op(O.I64_SHR_S).op(O.I64_NE);
      code.get(L.W3).set(L.LR);
    } else {
      code.get(L.W3).get(L.W3).op(size === 4 ? O.I64_EXTEND32 : size === 2 ? O.I64_EXTEND16 : O.I64_EXTEND8).tee(L.LR).op(O.I64_NE);
    }
    code.op(O.SELECT).set(L.STATUS);
    setKnown(e, f, LAZY.RESULT);
  } else {
    f.known = UNKNOWN;
  }
  code.get(L.W3);
  if (size !== 8) code.op(O.I32_WRAP);
  e.put(i.reg, size);
}

/** MUL and IMUL into RDX:RAX, 4 and 8 bytes. */
function multiply(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const signed = i.op === OP.IMUL;
  e.rm(i, size);
  if (size === 4) code.op(signed ? O.I64_EXTEND_S : O.I64_EXTEND_U);
  code.set(L.W1);
  e.get64(0);
  if (size === 4) { if (signed) code.op(O.I64_EXTEND32); else code.i64(0xffff_ffffn).op(O.I64_AND); }
  code.set(L.W0);
  code.get(L.W0).get(L.W1).op(O.I64_MUL).set(L.W3);
  if (size === 8) {
    if (signed) multiplyHighSigned(e); else multiplyHigh(e);
    code.set(L.W4);
    code.get(L.W3);
    e.set64(0);
    code.get(L.W4);
    e.set64(2);
    if (f.live) {
      code.i32(BOTH).i32(0);
      code.get(L.W4);
      if (signed) code.get(L.W3).i64(63).op(O.I64_SHR_S); else code.i64(0);
      code.op(O.I64_NE).op(O.SELECT).set(L.STATUS);
      code.get(L.W3).set(L.LR);
    }
  } else {
    code.get(L.W3).i64(0xffff_ffffn).op(O.I64_AND);
    e.set64(0);
    code.get(L.W3).i64(32).op(O.I64_SHR_U);
    e.set64(2);
    if (f.live) {
      code.i32(BOTH).i32(0);
      code.get(L.W3).get(L.W3);
      if (signed) code.op(O.I64_EXTEND32); else code.i64(0xffff_ffffn).op(O.I64_AND);
      code.op(O.I64_NE).op(O.SELECT).set(L.STATUS);
      code.get(L.W3).op(O.I64_EXTEND32).set(L.LR);
    }
  }
  if (f.live) setKnown(e, f, LAZY.RESULT);
  else f.known = UNKNOWN;
}

// ---- bits

/** BT BTS BTR BTC with a register operand, or memory with a constant. */
function bitTest(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const kind = (i.op - OP.BT_EG) >> 1;
  const immediate = ((i.op - OP.BT_EG) & 1) !== 0;
  const bits = size * 8;
  const wide = size === 8;
  const a = temp0(size); const n = temp1(size); const one = (): void => { if (wide) code.i64(1); else code.i32(1); };
  const offset = (): void => {
    if (immediate) {
      if (wide) code.i64(i.small & 63); else code.i32(i.small & (bits - 1));
    } else {
      e.get(i.reg, size);
      if (wide) code.i64(63).op(O.I64_AND); else code.i32(bits - 1).op(O.I32_AND);
    }
    code.set(n);
  };
  const flag = (): void => {
    if (!f.live) return;
    code.get(a).get(n).op(wide ? O.I64_SHR_U : O.I32_SHR_U);
    if (wide) code.op(O.I32_WRAP);
    code.i32(1).op(O.I32_AND);
    replaceCarry(e, f);
  };
  if (kind === 0) {
    e.rm(i, size);
    code.set(a);
    offset();
    flag();
    return;
  }
  const changed = (): void => {
    if (kind === 2) {
      one();
      code.get(n).op(wide ? O.I64_SHL : O.I32_SHL);
      if (wide) code.i64(-1).op(O.I64_XOR); else code.i32(-1).op(O.I32_XOR);
    } else {
      one();
      code.get(n).op(wide ? O.I64_SHL : O.I32_SHL);
    }
  };
  if ((i.flags & LOCK) !== 0) {
    lockedAddress(e, i, size);
    offset();
    code.get(L.P);
    changed();
    code.atomicRmw(kind === 1 ? ATOMIC.OR : kind === 2 ? ATOMIC.AND : ATOMIC.XOR, log2(size));
    code.set(a);
    flag();
    return;
  }
  modify(e, i, size, () => {
    offset();
    code.get(a);
    changed();
    code.op(wide ? (kind === 1 ? O.I64_OR : kind === 2 ? O.I64_AND : O.I64_XOR) : kind === 1 ? O.I32_OR : kind === 2 ? O.I32_AND : O.I32_XOR);
    code.set(temp2(size));
    flag();
    code.get(temp2(size));
  });
}

/** CF = the pushed bit; the other status flags stay. */
function replaceCarry(e: Emitter, f: FlagState): void {
  const op = f.known & 0x1f;
  if (f.known !== UNKNOWN && op === LAZY.LOGIC) {
    e.code.set(L.STATUS);
    setKnown(e, f, LAZY.RESULT | (f.known & WORD32));
  } else if (f.known !== UNKNOWN && op === LAZY.RESULT) {
    e.code.get(L.STATUS).i32(~CF).op(O.I32_AND).op(O.I32_OR).set(L.STATUS);
  } else {
    replaceStatus(e, f, CF);
  }
}

function scan(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  e.rm(i, size);
  e.wideUnsigned(size);
  code.set(L.W0);
  if (i.op === OP.POPCNT) {
    code.get(L.W0).op(O.I64_POPCNT);
    if (size !== 8) code.op(O.I32_WRAP);
    e.put(i.reg, size);
    if (f.live) {
      code.get(L.W0).op(O.I64_EQZ).i32(6).op(O.I32_SHL).set(L.STATUS);
      setKnown(e, f, LAZY.NONE);
    }
    return;
  }
  if (i.op === OP.TZCNT || i.op === OP.LZCNT) {
    const bits = size * 8;
    if (i.op === OP.TZCNT) {
      if (bits === 64) code.get(L.W0).op(O.I64_CTZ);
      else code.get(L.W0).i64(1n << BigInt(bits)).op(O.I64_OR).op(O.I64_CTZ);
    } else {
      code.get(L.W0).op(O.I64_CLZ).i64(64 - bits).op(O.I64_SUB);
    }
    code.set(L.W1);
    code.get(L.W1);
    if (size !== 8) code.op(O.I32_WRAP);
    e.put(i.reg, size);
    if (f.live) {
      code.get(L.W0).op(O.I64_EQZ).get(L.W1).op(O.I64_EQZ).i32(6).op(O.I32_SHL).op(O.I32_OR);
      replaceStatus(e, f, CF | ZF);
    }
    return;
  }
  // BSF, BSR: the destination stays when the source is zero
  code.get(L.W0).i64(0).op(O.I64_NE).if();
  if (i.op === OP.BSF) code.get(L.W0).op(O.I64_CTZ);
  else code.i64(63).get(L.W0).op(O.I64_CLZ).op(O.I64_SUB);
  if (size !== 8) code.op(O.I32_WRAP);
  e.put(i.reg, size);
  code.end();
  if (f.live) {
    code.get(L.W0).op(O.I64_EQZ).i32(6).op(O.I32_SHL);
    replaceStatus(e, f, ZF);
  }
}

export type Translator = (e: Emitter, i: Instruction, f: FlagState) => void;
export interface Row {
  readonly emit: Translator;
  /** What is not handled is left to the interpreter. */
  readonly when?: (i: Instruction) => boolean;
  /** Writes all status flags whatever they were. */
  readonly sets?: boolean | ((i: Instruction) => boolean);
  /** Does not look at the flags, and neither keeps any of them (absent with `sets` absent: no effect on flags). */
  readonly reads?: boolean;
  /** Replaces what another of its kind has put off (flags.ts putOffRotate), although it `reads`. */
  readonly rotates?: boolean;
  /** LOCK is handled. */
  readonly lock?: boolean;
  /** May leave to the interpreter even without a memory operand. */
  readonly misses?: boolean;
  /** The block goes on behind it, although the interpreter ends its own there. */
  readonly goesOn?: boolean;
  /** Its immediate is pushed by Emitter.immediate(), which lets it move with a kernel (relocation.ts); otherwise it is a constant of the code. */
  readonly immediate?: boolean;
}

const word = (i: Instruction): boolean => i.size >= 4;

export const ALU_ROWS = new Map<number, Row>();
for (let kind = ADD; kind <= CMP; kind += 1) {
  for (let form = 0; form < 4; form += 1) {
    const carries = kind === ADC || kind === SBB;
    ALU_ROWS.set(OP.ADD_EG + kind * 4 + form, { emit: group, sets: true, reads: carries, lock: !carries, immediate: true });
  }
}
for (const op of [OP.TEST_EG, OP.TEST_AI, OP.TEST_EI]) ALU_ROWS.set(op, { emit: test, sets: true, immediate: true });
for (const op of [OP.INC, OP.DEC, OP.INC_G, OP.DEC_G]) ALU_ROWS.set(op, { emit: increment, sets: true, reads: true, lock: true });
ALU_ROWS.set(OP.NOT, { emit: not });
ALU_ROWS.set(OP.NEG, { emit: negate, sets: true });
for (const op of [OP.ROL_EI, OP.ROR_EI, OP.SHL_EI, OP.SHR_EI, OP.SAR_EI]) {
  const rotates = op === OP.ROL_EI || op === OP.ROR_EI;
  const always = rotates ? false : (i: Instruction): boolean => (i.small & (i.size === 8 ? 63 : 31)) !== 0;
  ALU_ROWS.set(op, { emit: shift, sets: always, reads: rotates, rotates });
  ALU_ROWS.set(op + 1, { emit: shift, sets: !rotates, reads: rotates, rotates });
  ALU_ROWS.set(op + 2, { emit: shift, when: word, reads: true });
}
for (const op of [OP.SHLD_I, OP.SHRD_I]) {
  ALU_ROWS.set(op, { emit: doubleShift, when: (i) => word(i) && (i.small & (i.size * 8 - 1)) !== 0, sets: true });
}
ALU_ROWS.set(OP.IMUL_GE, { emit: imulTruncated, sets: true });
ALU_ROWS.set(OP.IMUL_GEI, { emit: imulTruncated, sets: true });
ALU_ROWS.set(OP.MUL, { emit: multiply, when: word, sets: true });
ALU_ROWS.set(OP.IMUL, { emit: multiply, when: word, sets: true });
for (let op = OP.BT_EG as number; op <= OP.BTC_EI; op += 1) {
  ALU_ROWS.set(op, { emit: bitTest, when: (i) => (i.flags & MEM) === 0 || ((op - OP.BT_EG) & 1) !== 0, reads: true, lock: op >= OP.BTS_EG });
}
for (const op of [OP.BSF, OP.BSR, OP.TZCNT, OP.LZCNT]) ALU_ROWS.set(op, { emit: scan, reads: true });
ALU_ROWS.set(OP.POPCNT, { emit: scan, sets: true });


