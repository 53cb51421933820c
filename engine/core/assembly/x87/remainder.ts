/**
 * Partial remainder, scaling, extraction and rounding to an integral value.
 *
 * @spec SDM vol. 2, FPREM, FPREM1, FSCALE, FXTRACT, FRNDINT
 * @differ A reduction that does not finish takes 32 + (D mod 32) bits off the exponent, inside the SDM's 32 to 63.
 */
import {
  BIAS, DE, DENORMAL, EXP_MAX, INFINITY, INTEGER_BIT, NORMAL, PE, ZE, ZERO, classOf, invalid, propagate, propagateOne,
  result, roundsUp, setRoundedUp, signal, zSe, zSig,
} from './format';
import { exponentOf } from './arithmetic';
import { normalizeRoundTo } from './round';
import { divide128, remainder } from './wide';

/** Low bits of the quotient of the last FPREM/FPREM1. */
export let quotient: u64 = 0;
/** True when the last FPREM/FPREM1 is to be repeated (C2). */
export let partial: bool = false;

/** False when the last FPREM/FPREM1 had a NaN or an invalid operand: the condition codes then say nothing. */
export let ordinary: bool = true;

/** Second result of FXTRACT: the exponent, as a double extended value. */
export let exponentSe: u32 = 0;
export let exponentSig: u64 = 0;

/** FPREM (truncating) and FPREM1 (`nearest`): a mod b. */
export function partialRemainder(aSe: u32, aSig: u64, bSe: u32, bSig: u64, nearest: bool): void {
  quotient = 0;
  partial = false;
  ordinary = false;
  const aClass = classOf(aSe, aSig), bClass = classOf(bSe, bSig);
  if (propagate(aSe, aSig, aClass, bSe, bSig, bClass)) return;
  if (aClass == INFINITY || bClass == ZERO) { invalid(); return; }
  ordinary = true;
  if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
  if (aClass == ZERO) { result(aSe, aSig); return; }
  let sign = aSe >> 15;
  const aShift = <u32>clz(aSig), bShift = <u32>clz(bSig);
  aSig <<= aShift;
  bSig <<= bShift;
  const aExp = exponentOf(aSe) - <i32>aShift, bExp = exponentOf(bSe) - <i32>bShift;
  const distance = aExp - bExp;
  // A denormal comes out as it went in, but is tiny: an unmasked underflow.
  if (bClass == INFINITY || distance < -1 || (distance < 0 && !nearest)) { normalizeRoundTo(sign, aExp, aSig, 0, 64); return; }
  if (distance >= 64) {
    const bits = (distance & 31) | 32;
    reduce(aSig, bSig, <u32>bits);
    partial = true;
    quotient = 0;
    normalizeRoundTo(sign, aExp - bits, remainder, 0, 64);
    return;
  }
  let rest: u64;
  let q: u64 = 0;
  let restExp = bExp;
  if (distance < 0) { // nearest: a lies in [b/4, b)
    rest = aSig;
    restExp = aExp;
    if (aSig > bSig) { // more than b/2: b - a, in units of a's last place
      // 2 * bSig - aSig < 2^64 because aSig > bSig
      rest = (bSig << 1) - aSig;
      sign ^= 1;
      q = 1;
    }
  } else {
    q = reduce(aSig, bSig, <u32>distance);
    rest = remainder;
    if (nearest) {
      const other = bSig - rest;
      if (rest > other || (rest == other && (q & 1) != 0)) { rest = other; sign ^= 1; q++; }
    }
  }
  quotient = q;
  if (rest == 0) result((aSe >> 15) << 15, 0);
  else normalizeRoundTo(sign, restExp, rest, 0, 64);
}

/** Low 64 bits of floor((a << bits) / b) for bits < 64 and normalised a, b; the remainder is left in `remainder`. */
function reduce(a: u64, b: u64, bits: u32): u64 {
  let q: u64 = 0;
  if (a >= b) { a -= b; q = 1; }
  const low = bits == 0 ? divide128(0, a, b) : divide128(a >> (64 - bits), a << bits, b);
  return (bits == 0 ? q : q << bits) + low;
}

/** a * 2^trunc(b). */
export function scale(aSe: u32, aSig: u64, bSe: u32, bSig: u64): void {
  const aClass = classOf(aSe, aSig), bClass = classOf(bSe, bSig);
  if (propagate(aSe, aSig, aClass, bSe, bSig, bClass)) return;
  const bNegative = bSe >> 15 != 0;
  const signBit = aSe & 0x8000;
  if (bClass == INFINITY) {
    if ((aClass == INFINITY && bNegative) || (aClass == ZERO && !bNegative)) { invalid(); return; }
    if (aClass == DENORMAL) signal(DE);
    if (bNegative) result(signBit, 0); else result(signBit | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (aClass == DENORMAL || bClass == DENORMAL) signal(DE);
  if (aClass == ZERO || aClass == INFINITY) { result(aSe, aSig); return; }
  const bExp = exponentOf(bSe);
  let by = 0;
  if (bClass == NORMAL && bExp >= BIAS) by = bExp - BIAS > 15 ? 0x10000 : <i32>(bSig >> <u64>(63 - (bExp - BIAS)));
  if (bNegative) by = -by;
  normalizeRoundTo(aSe >> 15, exponentOf(aSe) + by, aSig, 0, 64);
}

/** FXTRACT: the significand is the result, the exponent is left in exponentSe and exponentSig. */
export function extract(se: u32, sig: u64): void {
  const cls = classOf(se, sig);
  if (propagateOne(se, sig, cls)) { exponentSe = zSe; exponentSig = zSig; return; }
  if (cls == INFINITY) { exponentSe = EXP_MAX; exponentSig = INTEGER_BIT; result(se, sig); return; }
  if (cls == ZERO) { signal(ZE); exponentSe = 0xffff; exponentSig = INTEGER_BIT; result(se, sig); return; }
  if (cls == DENORMAL) signal(DE);
  const shift = <u32>clz(sig);
  const exp = exponentOf(se) - <i32>shift - BIAS;
  fromI64(<i64>exp);
  exponentSe = zSe;
  exponentSig = zSig;
  result((se & 0x8000) | <u32>BIAS, sig << shift);
}

/** Exact conversion of an integer. */
export function fromI64(value: i64): void {
  if (value == 0) { result(0, 0); return; }
  const magnitude = value < 0 ? 0 - <u64>value : <u64>value;
  const shift = <u32>clz(magnitude);
  result((value < 0 ? 0x8000 : 0) | <u32>(BIAS + 63 - <i32>shift), magnitude << shift);
}

/** FRNDINT. */
export function roundToIntegral(se: u32, sig: u64): void {
  const cls = classOf(se, sig);
  if (propagateOne(se, sig, cls)) return;
  if (cls == INFINITY || cls == ZERO) { result(se, sig); return; }
  if (cls == DENORMAL) signal(DE);
  const exp = exponentOf(se) - BIAS;
  if (exp >= 63) { result(se, sig); return; }
  const sign = se >> 15;
  if (exp < 0) {
    // |x| < 1: the fraction is x itself, a half exactly when sig = INTEGER_BIT and exp = -1
    const extra: u64 = exp < -1 ? 1 : sig;
    const up = roundsUp(sign, false, extra);
    signal(PE);
    setRoundedUp(up);
    if (up) result((sign << 15) | <u32>BIAS, INTEGER_BIT); else result(sign << 15, 0);
    return;
  }
  const ulp: u64 = <u64>1 << (63 - exp);
  const mask = ulp - 1;
  const extra = (sig & mask) << (exp + 1);
  let kept = sig & ~mask;
  const up = roundsUp(sign, (kept & ulp) != 0, extra);
  if (extra != 0) signal(PE);
  setRoundedUp(up);
  if (!up) { result(se, kept); return; }
  kept += ulp;
  if (kept == 0) result(se + 1, INTEGER_BIT); else result(se, kept);
}
