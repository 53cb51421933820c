/**
 * Addition, subtraction, multiplication, division and square root in double extended precision.
 *
 * @spec SDM vol. 1, 4.8.3.5 (infinities), tables 8-10 (invalid operations) and 4-7 (NaN), IEEE 754-1985
 */
import {
  BIAS, DE, DENORMAL, EXP_MAX, IE, INFINITY, INTEGER_BIT, QNAN, RC_DOWN, ZE, ZERO, classOf, control, invalid, precisionBits, propagate,
  propagateOne, result, roundingControl, signal,
} from './format';
import { addPlain, isPlain, multiplyPlain, takePlain } from './plain';
import { normalizeRound, roundPack } from './round';
import { add128, divide128, hi, lo, multiply64, remainder, shiftRightSticky128, subtract128 } from './wide';

/** Biased exponent of a finite value; a denormal's is 1. */
// @ts-ignore: decorator
@inline export function exponentOf(se: u32): i32 { const exp = <i32>(se & EXP_MAX); return exp == 0 ? 1 : exp; }

/** a + b. */
export function add(aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  if (isPlain(control) && takePlain(addPlain(aSe, aSig, bSe, bSig))) return;
  const aClass = classOf(aSe, aSig), bClass = classOf(bSe, bSig);
  if (propagate(aSe, aSig, aClass, bSe, bSig, bClass)) return;
  if (aClass == INFINITY && bClass == INFINITY) {
    if (((aSe ^ bSe) & 0x8000) != 0) invalid(); else result(aSe, aSig);
    return;
  }
  if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
  if (aClass == INFINITY) { result(aSe, aSig); return; }
  if (bClass == INFINITY) { result(bSe, bSig); return; }
  const zeroSign: u32 = roundingControl() == RC_DOWN ? 1 : 0;
  if (aClass == ZERO && bClass == ZERO) {
    result(((aSe ^ bSe) & 0x8000) == 0 ? aSe : zeroSign << 15, 0);
    return;
  }
  let aExp = aClass == ZERO ? exponentOf(bSe) : exponentOf(aSe);
  let bExp = bClass == ZERO ? aExp : exponentOf(bSe);
  let aSign = aSe >> 15, bSign = bSe >> 15;
  if (aExp < bExp || (aExp == bExp && aSig < bSig)) { // a is the larger magnitude
    const e = aExp; aExp = bExp; bExp = e;
    const g = aSig; aSig = bSig; bSig = g;
    const s = aSign; aSign = bSign; bSign = s;
  }
  shiftRightSticky128(bSig, 0, <u32>(aExp - bExp));
  if (aSign == bSign) {
    const sum = aSig + hi;
    if (sum < aSig) {
      const low = lo;
      roundPack(aSign, aExp + 1, (sum >> 1) | INTEGER_BIT, (sum << 63) | (low >> 1) | (low & 1), precisionBits());
    } else {
      normalizeRound(aSign, aExp, sum, lo);
    }
    return;
  }
  const low: u64 = 0 - lo;
  const high = aSig - hi - <u64>(lo != 0);
  if ((high | low) == 0) result(zeroSign << 15, 0);
  else normalizeRound(aSign, aExp, high, low);
}

/** a - b: a NaN keeps its own sign. */
export function subtract(aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  const nan = (bSe & EXP_MAX) == EXP_MAX && (bSig << 1) != 0;
  add(aSe, aSig, nan ? bSe : bSe ^ 0x8000, bSig);
}

/** a * b. */
export function multiply(aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  if (isPlain(control) && takePlain(multiplyPlain(aSe, aSig, bSe, bSig))) return;
  const aClass = classOf(aSe, aSig), bClass = classOf(bSe, bSig);
  if (propagate(aSe, aSig, aClass, bSe, bSig, bClass)) return;
  const sign = (aSe ^ bSe) >> 15;
  if (aClass == INFINITY || bClass == INFINITY) {
    if (aClass == ZERO || bClass == ZERO) { invalid(); return; }
    if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
    result((sign << 15) | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
  if (aClass == ZERO || bClass == ZERO) { result(sign << 15, 0); return; }
  multiply64(aSig, bSig);
  normalizeRound(sign, exponentOf(aSe) + exponentOf(bSe) - BIAS + 1, hi, lo);
}

/** a / b. */
export function divide(aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  const aClass = classOf(aSe, aSig), bClass = classOf(bSe, bSig);
  if (propagate(aSe, aSig, aClass, bSe, bSig, bClass)) return;
  const sign = (aSe ^ bSe) >> 15;
  if (aClass == INFINITY) {
    if (bClass == INFINITY) { invalid(); return; }
    if (bClass == DENORMAL) signal(DE);
    result((sign << 15) | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (bClass == ZERO) {
    if (aClass == ZERO) { invalid(); return; }
    signal(ZE); // without DE, whatever the dividend
    result((sign << 15) | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
  if (aClass == ZERO || bClass == INFINITY) { result(sign << 15, 0); return; }
  let exp = exponentOf(aSe) - exponentOf(bSe) + BIAS;
  const aShift = <u32>clz(aSig), bShift = <u32>clz(bSig);
  aSig <<= aShift;
  bSig <<= bShift;
  exp += <i32>bShift - <i32>aShift;
  let low: u64 = 0;
  if (aSig >= bSig) { low = aSig << 63; aSig >>= 1; } else { exp--; }
  const quotient = divide128(aSig, low, bSig);
  const rest = remainder;
  // What follows the quotient, as far as rounding asks: nothing, or less, as much or more than half of its last place.
  const half = bSig - rest;
  const extra: u64 = rest == 0 ? 0 : rest < half ? 1 : rest == half ? INTEGER_BIT : INTEGER_BIT | 1;
  roundPack(sign, exp, quotient, extra, precisionBits());
}

/** The two-operand arithmetic of ModRM.reg: ADD MUL - - SUB SUBR DIV DIVR, a = ST(0). */
export function operate(kind: u32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  switch (kind) {
    case 0: add(aSe, aSig, bSe, bSig); break;
    case 1: multiply(aSe, aSig, bSe, bSig); break;
    case 4: subtract(aSe, aSig, bSe, bSig); break;
    case 5: subtract(bSe, bSig, aSe, aSig); break;
    case 6: divide(aSe, aSig, bSe, bSig); break;
    default: divide(bSe, bSig, aSe, aSig); break;
  }
}

const TWO_32: f64 = 4294967296.0;
const TWO_64: f64 = 18446744073709551616.0;
const BELOW_TWO_64: f64 = 18446744073709549568.0;

/** floor(sqrt(nHi:nLo)) for nHi >= 2^62, or one more: the double's root, right to some 2^11, and one step of Newton's. */
function estimateRoot(nHi: u64, nLo: u64): u64 {
  const root = <u64>min(Math.sqrt(<f64>nHi) * TWO_32, BELOW_TWO_64);
  multiply64(root, root);
  subtract128(nHi, nLo, hi, lo);
  return root + <u64><i64>((<f64><i64>hi * TWO_64 + <f64>lo) / (2.0 * <f64>root));
}

/** Square root. */
export function squareRoot(se: u32, sig: u64): void {
  const cls = classOf(se, sig);
  if (propagateOne(se, sig, cls)) return;
  if (cls == ZERO) { result(se, sig); return; }
  if (se >> 15 != 0) { invalid(); return; }
  if (cls == INFINITY) { result(se, sig); return; }
  if (cls == DENORMAL) signal(DE);
  const shift = <u32>clz(sig);
  sig <<= shift;
  const exp = exponentOf(se) - <i32>shift - BIAS;
  // radicand of 128 bits whose root has its top bit set: sig * 2^63 for an even exponent, * 2^64 for an odd one
  let nHi = sig, nLo: u64 = 0;
  if ((exp & 1) == 0) { nHi = sig >> 1; nLo = sig << 63; }
  let root = estimateRoot(nHi, nLo);
  multiply64(root, root);
  subtract128(nHi, nLo, hi, lo);
  while (<i64>hi < 0) {
    root--;
    add128(hi, lo, root >> 63, (root << 1) | 1);
  }
  while (hi > root >> 63 || (hi == root >> 63 && lo > root << 1)) {
    subtract128(hi, lo, root >> 63, (root << 1) | 1);
    root++;
  }
  const restHi = hi, restLo = lo;
  // root^2 + rest = radicand: beyond the half exactly when rest > root
  const above = restHi != 0 || restLo > root;
  const extra: u64 = (restHi | restLo) == 0 ? 0 : above ? INTEGER_BIT | 1 : 1;
  roundPack(0, (exp >> 1) + BIAS, root, extra, precisionBits());
}

export const LESS: u32 = 0; export const EQUAL: u32 = 1; export const GREATER: u32 = 2; export const UNORDERED: u32 = 3;

/** Compares a with b; `quiet` instructions (FUCOM) take a QNaN without IE. */
export function compare(aSe: u32, aSig: u64, bSe: u32, bSig: u64, quiet: bool): u32 {
  const aClass = classOf(aSe, aSig), bClass = classOf(bSe, bSig);
  if (aClass > INFINITY || bClass > INFINITY) {
    if (!quiet || aClass > QNAN || bClass > QNAN) signal(IE);
    return UNORDERED;
  }
  if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
  if (aClass == ZERO && bClass == ZERO) return EQUAL;
  const aSign = aSe >> 15, bSign = bSe >> 15;
  if (aClass == ZERO) return bSign != 0 ? GREATER : LESS;
  if (bClass == ZERO) return aSign != 0 ? LESS : GREATER;
  if (aSign != bSign) return aSign != 0 ? LESS : GREATER;
  const aExp = exponentOf(aSe), bExp = exponentOf(bSe);
  if (aExp == bExp && aSig == bSig) return EQUAL;
  const smaller = aExp < bExp || (aExp == bExp && aSig < bSig);
  return smaller == (aSign == 0) ? LESS : GREATER;
}
