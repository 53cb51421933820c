/**
 * x87 arithmetic for compiled code, which keeps the register stack in locals while a block runs (engine/core/jit/x87.ts).
 *
 * All exceptions are masked there and no operand is an empty register, so every instruction has a result. A result is
 * its significand; sign, exponent and what FSW takes of it (exceptions and C1) are left in the pCPU's block.
 *
 * @spec SDM vol. 1, 8.5
 */
import { cpu } from './cpu';
import { CF, PF, ZF } from './flags';
import { EQUAL, LESS, UNORDERED, compare, operate, squareRoot } from './x87/arithmetic';
import { fromF32, fromF64, quietLoad, toF32, toF64, toInteger } from './x87/convert';
import { DE, EXP_MAX, IE, INFINITY, INTEGER_BIT, PE, ZE, begin, classOf, exceptions, roundedUp, signal, zSe, zSig } from './x87/format';
import { C1_SHIFTED, J_X87, addPlain, multiplyPlain } from './x87/plain';
import { fromI64, roundToIntegral } from './x87/remainder';
import { C1, fcw } from './x87/stack';

// Formats of memory operands: engine/core/jit/x87.ts.
const F32: u32 = 0; const F64: u32 = 1; const I32: u32 = 2; const I16: u32 = 3;
const SQRT: u32 = 8;
/** Bias of the double extended format less that of doubles. */
const WIDER: u32 = 0x3fff - 0x3ff;

// @ts-ignore: decorator
@inline function status(): u32 { return (exceptions | (roundedUp != 0 ? C1 : 0)) << 16; }

// @ts-ignore: decorator
@inline function finish(): u64 {
  store<u32>(cpu, zSe | status(), J_X87);
  return zSig;
}

/** ADD MUL - - SUB SUBR DIV DIVR by ModRM.reg, with a = ST(0); SQRT and RNDINT of a alone. */
export function x87Operate(kind: u32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  if (kind <= 5) {
    const flip: u32 = kind < 4 ? 0 : 0x8000; // a - b, b - a
    const sig = kind == 1 ? multiplyPlain(aSe, aSig, bSe, bSig) : kind == 5 ? addPlain(aSe ^ flip, aSig, bSe, bSig) : addPlain(aSe, aSig, bSe ^ flip, bSig);
    if (sig != 0) return sig;
  }
  begin(fcw());
  if (kind == SQRT) squareRoot(aSe, aSig);
  else if (kind < 8) operate(kind, aSe, aSig, bSe, bSig);
  else roundToIntegral(aSe, aSig);
  return finish();
}

/** Widens a memory operand; true when its own format made it a denormal. */
function widen(format: u32, bits: u64): bool {
  switch (format) {
    case F32: return fromF32(<u32>bits);
    case F64: return fromF64(bits);
    case I32: fromI64(<i64><i32>bits); return false;
    case I16: fromI64(<i64><i16>bits); return false;
    default: fromI64(<i64>bits); return false;
  }
}

/** The same with a memory operand as b. */
export function x87OperateMemory(kind: u32, aSe: u32, aSig: u64, format: u32, bits: u64): u64 {
  if (format == F64) {
    const exp = <u32>(bits >> 52) & 0x7ff;
    if (exp - 1 < 0x7fe) return x87Operate(kind, aSe, aSig, (<u32>(bits >> 48) & 0x8000) | (exp + WIDER), (bits << 11) | INTEGER_BIT);
  }
  begin(fcw());
  const wasDenormal = widen(format, bits);
  operate(kind, aSe, aSig, zSe, zSig);
  if (wasDenormal && classOf(aSe, aSig) <= INFINITY && (exceptions & (IE | ZE)) == 0) signal(DE);
  return finish();
}

/** FLD and FILD. */
export function x87Load(format: u32, bits: u64): u64 {
  begin(fcw());
  const wasDenormal = widen(format, bits);
  if (format <= F64) quietLoad(zSe, zSig);
  if (wasDenormal) signal(DE);
  return finish();
}

/** FST and FIST: the bits to store. */
export function x87Store(format: u32, se: u32, sig: u64): u64 {
  if (format == F64) {
    const exp = (se & EXP_MAX) - WIDER;
    if (<i64>sig < 0 && exp - 1 < 0x7fd) { // rounded up it is a normal number, too
      const low = <u32>sig & 0x7ff;
      const up = u32(low + (<u32>(sig >> 11) & 1) > 0x400);
      store<u32>(cpu, (low != 0 ? PE << 16 : 0) | (up ? C1_SHIFTED : 0), J_X87);
      return (<u64>(se >> 15) << 63) | ((<u64>exp << 52) + ((sig >> 11) & 0xf_ffff_ffff_ffff) + <u64>up);
    }
  }
  begin(fcw());
  let bits: u64;
  switch (format) {
    case F32: bits = <u64>toF32(se, sig); break;
    case F64: bits = toF64(se, sig); break;
    default: bits = <u64>toInteger(se, sig, format == I32 ? 32 : format == I16 ? 16 : 64, false); break;
  }
  store<u32>(cpu, status(), J_X87);
  return bits;
}

/** CF, PF and ZF as FCOMI sets them, and from bit 16 the exceptions; `quiet`: FUCOMI. */
export function x87Compare(aSe: u32, aSig: u64, bSe: u32, bSig: u64, quiet: u32): u32 {
  begin(fcw());
  const order = compare(aSe, aSig, bSe, bSig, quiet != 0);
  return (order == LESS ? CF : order == EQUAL ? ZF : order == UNORDERED ? CF | PF | ZF : 0) | (exceptions << 16);
}

/** FCOM with a memory operand. */
export function x87CompareMemory(aSe: u32, aSig: u64, format: u32, bits: u64): u32 {
  begin(fcw());
  const wasDenormal = widen(format, bits);
  if (wasDenormal && classOf(aSe, aSig) <= INFINITY) signal(DE);
  const order = compare(aSe, aSig, zSe, zSig, false);
  return (order == LESS ? CF : order == EQUAL ? ZF : order == UNORDERED ? CF | PF | ZF : 0) | (exceptions << 16);
}
