/**
 * Addition, subtraction, multiplication, division and square root in double extended precision.
 *
 * @spec SDM vol. 1, 4.8.3.5 (infinities), tables 8-10 (invalid operations) and 4-7 (NaN), IEEE 754-1985
 */
import {
  BIAS, DE, DENORMAL, EXP_MAX, IE, INFINITY, INTEGER_BIT, PE, QNAN, RC_DOWN, ZE, ZERO, classOf, control, invalid, precisionBits, propagate,
  propagateOne, result, roundingControl, setRoundedUp, signal,
} from './format';
import { normalizeRound, roundPack } from './round';
import { add128, divide128, hi, lo, multiply64, remainder, shiftRightSticky128, subtract128 } from './wide';

/** Biased exponent of a finite value; a denormal's is 1. */
// @ts-ignore: decorator
@inline export function exponentOf(se: u32): i32 { const exp = <i32>(se & EXP_MAX); return exp == 0 ? 1 : exp; }

/** Both are normal numbers, and results are rounded to nearest with 64 bits: what nearly all code does. */
// @ts-ignore: decorator
@inline function plain(aSe: u32, aSig: u64, bSe: u32, bSig: u64): bool {
  return (control & 0xf00) == 0x300 && <i64>(aSig & bSig) < 0 && (aSe & EXP_MAX) != EXP_MAX && (bSe & EXP_MAX) != EXP_MAX;
}

/** Rounds sig.low to nearest and packs it, unless that may overflow or underflow: then false. */
// @ts-ignore: decorator
@inline function packPlain(signBit: u32, exp: i32, sig: u64, low: u64): bool {
  if (<u32>(exp - 1) >= EXP_MAX - 2) return false;
  const up = low > INTEGER_BIT || (low == INTEGER_BIT && (sig & 1) != 0);
  if (low != 0) signal(PE);
  setRoundedUp(up);
  if (up) {
    sig++;
    if (sig == 0) { sig = INTEGER_BIT; exp++; }
  }
  result(signBit | <u32>exp, sig);
  return true;
}

/** a + b of such numbers. Signs and magnitudes are those of `add`. */
function addPlain(aSe: u32, aSig: u64, bSe: u32, bSig: u64): bool {
  let aExp = <i32>(aSe & EXP_MAX), bExp = <i32>(bSe & EXP_MAX);
  if (aExp < bExp || (aExp == bExp && aSig < bSig)) {
    const e = aExp; aExp = bExp; bExp = e;
    const g = aSig; aSig = bSig; bSig = g;
    const s = aSe; aSe = bSe; bSe = s;
  }
  const shift = <u64>(aExp - bExp);
  let high: u64, low: u64;
  if (shift == 0) { high = bSig; low = 0; }
  else if (shift < 64) { high = bSig >> shift; low = bSig << (64 - shift); }
  else {
    high = 0;
    low = shift == 64 ? bSig : shift < 128 ? (bSig >> (shift - 64)) | <u64>(bSig << (128 - shift) != 0) : 1;
  }
  const signBit = aSe & 0x8000;
  if (((aSe ^ bSe) & 0x8000) == 0) {
    const sum = aSig + high;
    if (sum >= aSig) return packPlain(signBit, aExp, sum, low);
    return packPlain(signBit, aExp + 1, (sum >> 1) | INTEGER_BIT, (sum << 63) | (low >> 1) | (low & 1));
  }
  const restLow: u64 = 0 - low;
  const rest = aSig - high - <u64>(low != 0);
  if (<i64>rest < 0) return packPlain(signBit, aExp, rest, restLow);
  if (rest == 0) return false;
  const zeros = clz(rest);
  return packPlain(signBit, aExp - <i32>zeros, (rest << zeros) | (restLow >> (64 - zeros)), restLow << zeros);
}

/** a + b. */
export function add(aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  if (plain(aSe, aSig, bSe, bSig) && addPlain(aSe, aSig, bSe, bSig)) return;
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
  if (plain(aSe, aSig, bSe, bSig)) {
    const low = multiply64(aSig, bSig);
    const signBit = (aSe ^ bSe) & 0x8000;
    const exp = <i32>(aSe & EXP_MAX) + <i32>(bSe & EXP_MAX) - BIAS;
    if (<i64>hi < 0 ? packPlain(signBit, exp + 1, hi, low) : packPlain(signBit, exp, (hi << 1) | (low >> 63), low << 1)) return;
  }
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
  const extra = divide128(remainder, 0, bSig);
  roundPack(sign, exp, quotient, extra | <u64>(remainder != 0), precisionBits());
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
