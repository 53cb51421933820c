/**
 * x87 instructions: loads, stores, arithmetic, comparison and the functions of ST(0).
 *
 * @spec   SDM vol. 2, F2XM1 to FYL2XP1; vol. 1 chapter 8
 * @cover  #Y every x87 instruction (environment and control instructions: execute/x87_control.ts)
 */
import { cpu } from '../cpu';
import { CF, PF, ZF, carryFlag, parityFlag, writeStatus, zeroFlag } from '../flags';
import {
  OP_F2XM1, OP_FABS, OP_FARITH_I16, OP_FARITH_I32, OP_FARITH_M32, OP_FARITH_M64, OP_FARITH_ST0, OP_FARITH_STI, OP_FARITH_STIP, OP_FBLD,
  OP_FBSTP, OP_FCHS, OP_FCMOVCC, OP_FCOMI, OP_FCOMPP, OP_FCOS, OP_FILD_M16, OP_FILD_M32, OP_FILD_M64, OP_FISTP_M64, OP_FISTTP_M16,
  OP_FISTTP_M32, OP_FISTTP_M64, OP_FIST_M16, OP_FIST_M32, OP_FLD_CONSTANT, OP_FLD_M32, OP_FLD_M64, OP_FLD_M80, OP_FLD_STI, OP_FPATAN,
  OP_FPREM, OP_FPREM1, OP_FPTAN, OP_FRNDINT, OP_FSCALE, OP_FSIN, OP_FSINCOS, OP_FSQRT, OP_FSTP_M80, OP_FST_M32, OP_FST_M64, OP_FST_STI,
  OP_FTST, OP_FUCOM, OP_FUCOMI, OP_FUCOMPP, OP_FXAM, OP_FXCH, OP_FXTRACT, OP_FYL2X, OP_FYL2XP1,
} from '../gen/ops';
import { linear, linearUnchecked, needAlignment, probeRead, probeWrite, read16, read32, read64, write16, write32, write64 } from '../mmu';
import { recOpcode } from '../record';
import { EQUAL, LESS, UNORDERED, compare, operate, squareRoot } from '../x87/arithmetic';
import { bcdHigh, bcdLow, fromBcd, fromF32, fromF64, quietLoad, toBcd, toF32, toF64, toInteger } from '../x87/convert';
import {
  BIAS, DE, DENORMAL, IE, INFINITY, INTEGER_BIT, NORMAL, OE, PE, QNAN, RC_NEAREST, RC_UP, SF, SNAN, UE, UNSUPPORTED, ZE, ZERO, classOf,
  exceptions, replaceExceptions, result, roundingControl, setRoundedUp, signal, zSe, zSig,
} from '../x87/format';
import { exp2Minus1, yLog2x, yLog2xPlus1 } from '../x87/logarithm';
import {
  exponentSe, exponentSig, extract, fromI64, ordinary, partial, partialRemainder, quotient, roundToIntegral, scale,
} from '../x87/remainder';
import {
  C0, C1, C2, C3, blocked, enter, finishPush, finishSt, fsw, isEmpty, noteInstruction, noteOperand, pop, push, setCondition, setFsw, setSt,
  settle, stSe, stSig, stackOverflow, stackUnderflow, unmasked,
} from '../x87/stack';
import { DONE, PARTIAL, arctangent, cosine, cosineAgain, sine, tangent } from '../x87/trigonometry';
import { control } from './x87_control';

/** ModRM of a record. */
// @ts-ignore: decorator
@inline function modRm(rec: usize): u32 { return recOpcode(rec) >> 8; }
// @ts-ignore: decorator
@inline function digit(rec: usize): u32 { return (modRm(rec) >> 3) & 7; }
// @ts-ignore: decorator
@inline function stIndex(rec: usize): u32 { return modRm(rec) & 7; }
// @ts-ignore: decorator
@inline function escape(rec: usize): u32 { return recOpcode(rec) & 0xff; }

export function execX87(op: u32, rec: usize): void {
  if (control(op, rec)) return;
  enter();
  switch (op) {
    case OP_FARITH_M32: case OP_FARITH_M64: case OP_FARITH_I32: case OP_FARITH_I16: arithmeticMemory(op, rec); return;
    case OP_FLD_M32: case OP_FLD_M64: case OP_FLD_M80: case OP_FILD_M16: case OP_FILD_M32: case OP_FILD_M64: case OP_FBLD:
      loadMemory(op, rec);
      return;
    case OP_FST_M32: case OP_FST_M64: case OP_FSTP_M80: storeFloat(op, rec); return;
    case OP_FIST_M16: storeInteger(rec, 2, false, (digit(rec) & 1) != 0); return;
    case OP_FIST_M32: storeInteger(rec, 4, false, (digit(rec) & 1) != 0); return;
    case OP_FISTP_M64: storeInteger(rec, 8, false, true); return;
    case OP_FISTTP_M16: storeInteger(rec, 2, true, true); return;
    case OP_FISTTP_M32: storeInteger(rec, 4, true, true); return;
    case OP_FISTTP_M64: storeInteger(rec, 8, true, true); return;
    case OP_FBSTP: storeBcd(rec); return;
    default: break;
  }
  noteInstruction(rec);
  const i = stIndex(rec);
  switch (op) {
    case OP_FARITH_ST0: arithmeticStack(digit(rec), i, 0, (digit(rec) & 7) == 3 ? 1 : 0); break;
    case OP_FARITH_STI: arithmeticStack(digit(rec), i, i, digit(rec) == 3 ? 1 : 0); break;
    case OP_FARITH_STIP: arithmeticStack(digit(rec), i, i, 1); break;
    case OP_FCOMPP: compareStack(1, false, 2); break;
    case OP_FUCOMPP: compareStack(1, true, 2); break;
    case OP_FUCOM: compareStack(i, true, digit(rec) & 1); break;
    case OP_FCOMI: compareFlags(i, false, escape(rec) == 0xdf); break;
    case OP_FUCOMI: compareFlags(i, true, escape(rec) == 0xdf); break;
    case OP_FTST: test(); break;
    case OP_FXAM: examine(); break;
    case OP_FLD_STI:
      if (isEmpty(i)) { pushUnderflow(); break; }
      result(stSe(i), stSig(i));
      finishPush();
      break;
    case OP_FLD_CONSTANT: loadConstant(i); finishPush(); break;
    case OP_FST_STI: storeStack(rec, i, escape(rec) != 0xdd || digit(rec) == 3); break;
    case OP_FXCH: exchange(i); break;
    case OP_FCMOVCC: conditionalMove(rec, i); break;
    case OP_FCHS:
      if (isEmpty(0)) stackUnderflow(); else result(stSe(0) ^ 0x8000, stSig(0));
      finishSt(0);
      break;
    case OP_FABS:
      if (isEmpty(0)) stackUnderflow(); else result(stSe(0) & 0x7fff, stSig(0));
      finishSt(0);
      break;
    case OP_FSQRT:
      if (isEmpty(0)) stackUnderflow(); else squareRoot(stSe(0), stSig(0));
      finishSt(0);
      break;
    case OP_FRNDINT:
      if (isEmpty(0)) stackUnderflow(); else roundToIntegral(stSe(0), stSig(0));
      finishSt(0);
      break;
    case OP_F2XM1:
      if (isEmpty(0)) stackUnderflow(); else exp2Minus1(stSe(0), stSig(0));
      finishSt(0);
      break;
    case OP_FSCALE:
      if (isEmpty(0) || isEmpty(1)) stackUnderflow(); else scale(stSe(0), stSig(0), stSe(1), stSig(1));
      finishSt(0);
      break;
    case OP_FPREM: remainder(false); break;
    case OP_FPREM1: remainder(true); break;
    case OP_FYL2X: case OP_FYL2XP1: case OP_FPATAN: twoToOne(op); break;
    case OP_FXTRACT: extractParts(); break;
    case OP_FSIN: case OP_FCOS: circular(op); break;
    case OP_FPTAN: case OP_FSINCOS: circularPush(op); break;
    default: break;
  }
}

function arithmeticStack(kind: u32, i: u32, to: u32, pops: u32): void {
  if ((kind & 6) == 2) { compareStack(i, false, pops); return; }
  if (isEmpty(0) || isEmpty(i)) stackUnderflow(); else operate(kind, stSe(0), stSig(0), stSe(i), stSig(i));
  const done = !blocked();
  finishSt(to);
  if (done && pops != 0) pop();
}

/** Reads a memory operand as a double extended value; true when its own format made it a denormal. */
function readOperand(op: u32, gva: u64): bool {
  switch (op) {
    case OP_FARITH_M32: case OP_FLD_M32: return fromF32(read32(gva));
    case OP_FARITH_M64: case OP_FLD_M64: return fromF64(read64(gva));
    case OP_FARITH_I32: case OP_FILD_M32: fromI64(<i64><i32>read32(gva)); return false;
    case OP_FARITH_I16: case OP_FILD_M16: fromI64(<i64><i16>read16(gva)); return false;
    case OP_FILD_M64: fromI64(<i64>read64(gva)); return false;
    case OP_FBLD: { const low = read64(gva); fromBcd(low, read16(gva + 8)); return false; }
    default: { const low = read64(gva); result(read16(gva + 8), low); return false; }
  }
}

function operandSize(op: u32): u32 {
  switch (op) {
    case OP_FARITH_I16: case OP_FILD_M16: return 2;
    case OP_FARITH_M32: case OP_FLD_M32: case OP_FARITH_I32: case OP_FILD_M32: case OP_FST_M32: return 4;
    case OP_FARITH_M64: case OP_FLD_M64: case OP_FILD_M64: case OP_FST_M64: return 8;
    default: return 10;
  }
}

/** Linear address of an operand, of 10 bytes with the first eight accessed before the limit counts for the rest. */
function operandAddress(rec: usize, size: u32, write: bool): u64 {
  if (size <= 8) return linear(rec, size, write);
  const gva = linear(rec, 8, write);
  needAlignment(gva, 8);
  if (write) probeWrite(gva, 8);
  else probeRead(gva, 8);
  return linear(rec, size, write);
}

function arithmeticMemory(op: u32, rec: usize): void {
  const gva = linear(rec, operandSize(op), false);
  const wasDenormal = readOperand(op, gva);
  noteInstruction(rec);
  noteOperand(rec, gva);
  const kind = digit(rec);
  const bSe = zSe, bSig = zSig;
  if ((kind & 6) == 2) { compareWith(bSe, bSig, wasDenormal, kind & 1); return; }
  if (isEmpty(0)) stackUnderflow();
  else {
    operate(kind, stSe(0), stSig(0), bSe, bSig);
    if (wasDenormal && classOf(stSe(0), stSig(0)) <= INFINITY && (exceptions & (IE | ZE)) == 0) signal(DE);
  }
  finishSt(0);
}

function loadMemory(op: u32, rec: usize): void {
  const gva = operandAddress(rec, operandSize(op), false);
  const wasDenormal = readOperand(op, gva);
  noteInstruction(rec);
  noteOperand(rec, gva);
  if (op == OP_FLD_M32 || op == OP_FLD_M64) quietLoad(zSe, zSig);
  // A denormal in memory is loaded even when DE is unmasked; a stack fault hides it.
  finishPush();
  if (wasDenormal && (exceptions & SF) == 0) { signal(DE); settle(); }
}

/** C3 C2 C0 of a comparison. */
function conditionOf(order: u32): u32 {
  return order == LESS ? C0 : order == EQUAL ? C3 : order == UNORDERED ? C0 | C2 | C3 : 0;
}

function compareWith(bSe: u32, bSig: u64, wasDenormal: bool, pops: u32): void {
  let order = UNORDERED;
  if (isEmpty(0)) stackUnderflow();
  else {
    if (wasDenormal && classOf(stSe(0), stSig(0)) <= INFINITY) signal(DE);
    order = compare(stSe(0), stSig(0), bSe, bSig, false);
  }
  finishCompare(order, pops);
}

function finishCompare(order: u32, pops: u32): void {
  setCondition(conditionOf(order));
  const done = !blocked();
  settle();
  if (!done) return;
  if (pops > 0) pop();
  if (pops > 1) pop();
}

function compareStack(i: u32, quiet: bool, pops: u32): void {
  let order = UNORDERED;
  if (isEmpty(0) || isEmpty(i)) stackUnderflow(); else order = compare(stSe(0), stSig(0), stSe(i), stSig(i), quiet);
  finishCompare(order, pops);
}

function compareFlags(i: u32, quiet: bool, pops: bool): void {
  let order = UNORDERED;
  const c1 = (fsw() & C1) != 0;
  if (isEmpty(0) || isEmpty(i)) stackUnderflow(); else { order = compare(stSe(0), stSig(0), stSe(i), stSig(i), quiet); }
  writeStatus(order == LESS ? CF : order == EQUAL ? ZF : order == UNORDERED ? CF | PF | ZF : 0);
  const done = !blocked();
  if ((exceptions & SF) == 0) setRoundedUp(c1); // C1 is not affected
  settle();
  if (done && pops) pop();
}

function test(): void {
  let order = UNORDERED;
  if (isEmpty(0)) stackUnderflow(); else order = compare(stSe(0), stSig(0), 0, 0, false);
  finishCompare(order, 0);
}

/** FLD ST(i) of an empty register: an underflow even when the push would overflow. */
function pushUnderflow(): void {
  stackUnderflow();
  if (!blocked()) push(zSe, zSig);
  settle();
}

/** FXAM: C1 the sign, C3 C2 C0 the class; never an exception. */
function examine(): void {
  const se = stSe(0);
  let code = C0 | C3;
  if (!isEmpty(0)) {
    switch (classOf(se, stSig(0))) {
      case UNSUPPORTED: code = 0; break;
      case QNAN: case SNAN: code = C0; break;
      case NORMAL: code = C2; break;
      case INFINITY: code = C0 | C2; break;
      case ZERO: code = C3; break;
      case DENORMAL: code = C2 | C3; break;
      default: break;
    }
  }
  setFsw((fsw() & ~(C0 | C1 | C2 | C3)) | code | (se >> 15 != 0 ? C1 : 0));
}

/** FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ: internal constants rounded by RC, without PE. */
function loadConstant(which: u32): void {
  const rc = roundingControl();
  const up: u64 = rc == RC_NEAREST || rc == RC_UP ? 1 : 0;
  switch (which) {
    case 0: result(<u32>BIAS, INTEGER_BIT); break;
    case 1: result(0x4000, 0xd49a_784b_cd1b_8afe + <u64>(rc == RC_UP)); break;
    case 2: result(0x3fff, 0xb8aa_3b29_5c17_f0bb + up); break;
    case 3: result(0x4000, 0xc90f_daa2_2168_c234 + up); break;
    case 4: result(0x3ffd, 0x9a20_9a84_fbcf_f798 + up); break;
    case 5: result(0x3ffe, 0xb172_17f7_d1cf_79ab + up); break;
    default: result(0, 0); break;
  }
}

function storeStack(rec: usize, i: u32, pops: bool): void {
  if (escape(rec) == 0xd9 && isEmpty(0)) { // the alias FSTPNCE: an empty register is popped, not stored
    settle();
    pop();
    return;
  }
  if (isEmpty(0)) stackUnderflow(); else result(stSe(0), stSig(0));
  const done = !blocked();
  finishSt(i);
  if (done && pops) pop();
}

function exchange(i: u32): void {
  let aSe = stSe(0), aSig = stSig(0), bSe = stSe(i), bSig = stSig(i);
  if (isEmpty(0) || isEmpty(i)) {
    if (!stackUnderflow()) { settle(); return; }
    if (isEmpty(0)) { aSe = zSe; aSig = zSig; }
    if (isEmpty(i)) { bSe = zSe; bSig = zSig; }
  }
  setSt(0, bSe, bSig);
  setSt(i, aSe, aSig);
  settle();
}

function conditionalMove(rec: usize, i: u32): void {
  let holds: bool;
  switch (digit(rec)) {
    case 0: holds = carryFlag() != 0; break;
    case 1: holds = zeroFlag(); break;
    case 2: holds = carryFlag() != 0 || zeroFlag(); break;
    default: holds = parityFlag(); break;
  }
  if (escape(rec) == 0xdb) holds = !holds;
  if (isEmpty(0) || isEmpty(i)) stackUnderflow();
  else {
    setRoundedUp((fsw() & C1) != 0); // C1 is not affected
    const from = holds ? i : 0;
    result(stSe(from), stSig(from));
  }
  finishSt(0);
}

/** FST(P) m32, m64, FSTP m80. The operand is looked at when it is stored, not when an unmasked exception forbids that. */
function storeFloat(op: u32, rec: usize): void {
  const gva = linearUnchecked(rec);
  const pops = op == OP_FSTP_M80 || (digit(rec) & 1) != 0;
  const empty = isEmpty(0);
  if (empty) stackUnderflow(); else result(stSe(0), stSig(0));
  const se = zSe, sig = zSig;
  if (op == OP_FSTP_M80) {
    if (!blocked()) {
      operandAddress(rec, 10, true);
      probeWrite(gva, 10);
      write64(gva, sig);
      write16(gva + 8, <u16>se);
    }
  } else if (op == OP_FST_M32) {
    const bits = empty ? 0xffc00000 : toF32(se, sig);
    if (storable()) write32(linear(rec, 4, true), bits);
  } else {
    const bits = empty ? 0xfff8_0000_0000_0000 : toF64(se, sig);
    if (storable()) write64(linear(rec, 8, true), bits);
  }
  finishStore(rec, gva, pops);
}

/** False when an unmasked exception forbids the store; an unmasked OE or UE then comes without PE and C1. */
function storable(): bool {
  if (blocked()) return false;
  if ((unmasked() & (OE | UE)) == 0) return true;
  replaceExceptions(exceptions & ~PE);
  setRoundedUp(false);
  return false;
}

function finishStore(rec: usize, gva: u64, pops: bool): void {
  noteInstruction(rec);
  noteOperand(rec, gva);
  const done = storable();
  settle();
  if (done && pops) pop();
}

function storeInteger(rec: usize, bytes: u32, truncate: bool, pops: bool): void {
  const gva = linearUnchecked(rec);
  let value: i64;
  if (isEmpty(0)) { stackUnderflow(); value = <i64>-1 << ((bytes << 3) - 1); }
  else value = toInteger(stSe(0), stSig(0), bytes << 3, truncate);
  if (!blocked()) {
    linear(rec, bytes, true);
    if (bytes == 2) write16(gva, <u16>value); else if (bytes == 4) write32(gva, <u32>value); else write64(gva, <u64>value);
  }
  finishStore(rec, gva, pops);
}

function storeBcd(rec: usize): void {
  const gva = linearUnchecked(rec);
  let low: u64 = 0xc000_0000_0000_0000;
  let high: u32 = 0xffff;
  if (isEmpty(0)) stackUnderflow();
  else {
    toBcd(stSe(0), stSig(0));
    low = bcdLow;
    high = bcdHigh;
  }
  if (!blocked()) {
    operandAddress(rec, 10, true);
    probeWrite(gva, 10);
    write64(gva, low);
    write16(gva + 8, <u16>high);
  }
  finishStore(rec, gva, true);
}

/** FPREM, FPREM1: C0 C3 C1 take the quotient's low three bits. */
function remainder(nearest: bool): void {
  setFsw(fsw() & ~C2);
  if (isEmpty(0) || isEmpty(1)) { stackUnderflow(); finishSt(0); return; }
  partialRemainder(stSe(0), stSig(0), stSe(1), stSig(1), nearest);
  if (blocked()) { settle(); return; }
  setSt(0, zSe, zSig);
  settle();
  if (!ordinary) return;
  let code: u32 = partial ? C2 : 0;
  if (!partial) {
    const q = <u32>quotient;
    if ((q & 4) != 0) code |= C0;
    if ((q & 2) != 0) code |= C3;
    if ((q & 1) != 0) code |= C1;
  }
  setFsw((fsw() & ~(C0 | C1 | C2 | C3)) | code);
}

/** FYL2X, FYL2XP1, FPATAN: ST(1) takes the result, ST(0) is popped. */
function twoToOne(op: u32): void {
  if (isEmpty(0) || isEmpty(1)) stackUnderflow();
  else if (op == OP_FPATAN) arctangent(stSe(1), stSig(1), stSe(0), stSig(0));
  else if (op == OP_FYL2X) yLog2x(stSe(0), stSig(0), stSe(1), stSig(1));
  else yLog2xPlus1(stSe(0), stSig(0), stSe(1), stSig(1));
  const done = !blocked();
  finishSt(1);
  if (done) pop();
}

/** A fault of an instruction that replaces ST(0) and pushes; true when there was one. */
function twoResultFault(): bool {
  if (isEmpty(0)) stackUnderflow();
  else if (!isEmpty(7)) stackOverflow();
  else return false;
  if (!blocked()) {
    setSt(0, zSe, zSig);
    push(zSe, zSig);
  }
  settle();
  return true;
}

function extractParts(): void {
  if (twoResultFault()) return;
  extract(stSe(0), stSig(0));
  if (!blocked()) {
    setSt(0, exponentSe, exponentSig);
    push(zSe, zSig);
  }
  settle();
}

function circular(op: u32): void {
  setFsw(fsw() & ~C2);
  if (isEmpty(0)) { stackUnderflow(); finishSt(0); return; }
  const how = op == OP_FSIN ? sine(stSe(0), stSig(0)) : cosine(stSe(0), stSig(0));
  if (how == PARTIAL) { settle(); setFsw(fsw() | C2); return; }
  finishSt(0);
}

/** FPTAN pushes 1; FSINCOS leaves the sine below and pushes the cosine. */
function circularPush(op: u32): void {
  setFsw(fsw() & ~C2);
  if (twoResultFault()) return;
  const se = stSe(0), sig = stSig(0);
  const how = op == OP_FPTAN ? tangent(se, sig) : sine(se, sig);
  if (how == PARTIAL) { settle(); setFsw(fsw() | C2); return; }
  const firstSe = zSe, firstSig = zSig;
  if (how == DONE && op == OP_FSINCOS) cosineAgain();
  else if (how == DONE || classOf(firstSe, firstSig) == ZERO) result(<u32>BIAS, INTEGER_BIT);
  if (!blocked()) {
    const secondSe = zSe, secondSig = zSig;
    setSt(0, firstSe, firstSig);
    push(secondSe, secondSig);
  }
  settle();
}
