/**
 * F2XM1, FYL2X and FYL2XP1.
 *
 * @spec SDM vol. 2, F2XM1, FYL2X (table 3-50), FYL2XP1 (table 3-51)
 * @cover #Y every class of operand, exact powers of two, results rounded from 128 bits
 * @differ Operands outside the documented ranges (F2XM1 beyond +-1, FYL2XP1 beyond +-(1 - sqrt(2)/2)) are undefined in the
 *         SDM: here ST(0) for F2XM1 and for x <= -1, else the mathematical result. Hardware may differ by one unit in the last place.
 */
import {
  BIAS, DE, DENORMAL, EXP_MAX, INFINITY, INTEGER_BIT, PE, UE, ZE, ZERO, classOf, invalid, propagate, propagateOne, result, signal,
  zSe,
} from './format';
import { exponentOf } from './arithmetic';
import { EXP, EXP_COUNT, HALF_LOG2E_HIGH, HALF_LOG2E_LOW, LN2_HIGH, LN2_LOW, ODD, ODD_COUNT } from './constants';
import { roundInexact, sumAlternating, sumSeries } from './series';
import { normalizeRoundTo } from './round';
import {
  add128, divideFraction128, hi, less128, lo, multiply128, multiply64, shiftLeft128, shiftRightSticky128, subtract128,
} from './wide';

/** F2XM1: 2^x - 1. */
export function exp2Minus1(se: u32, sig: u64): void {
  const cls = classOf(se, sig);
  if (propagateOne(se, sig, cls)) return;
  const sign = se >> 15;
  if (cls == INFINITY) { if (sign != 0) result(0x8000 | <u32>BIAS, INTEGER_BIT); else result(se, sig); return; }
  if (cls == ZERO) { result(se, sig); return; }
  if (cls == DENORMAL) signal(DE);
  const shift = <u32>clz(sig);
  sig <<= shift;
  const exp = exponentOf(se) - <i32>shift - BIAS;
  if (exp >= 0) {
    signal(PE);
    if (exp == 0 && sig == INTEGER_BIT && sign != 0) result(0x8000 | <u32>(BIAS - 1), INTEGER_BIT); else result(se, sig);
    return;
  }
  // w = x ln 2: significand of scale 2^-127, exponent exp - 1 at most
  multiply128(sig, 0, LN2_HIGH, LN2_LOW);
  let wExp = exp;
  if (hi >> 63 == 0) { shiftLeft128(hi, lo, 1); wExp--; }
  const wHi = hi, wLo = lo;
  shiftRightSticky128(wHi, wLo, <u32>min(-wExp - 1, 128));
  const fHi = hi, fLo = lo;
  if (sign == 0) sumSeries(EXP, EXP_COUNT, fHi, fLo); else sumAlternating(EXP, EXP_COUNT, fHi, fLo);
  multiply128(hi, lo, fHi, fLo);
  multiply128(wHi, wLo, hi, lo);
  if (sign == 0) {
    add128(wHi, wLo, hi, lo);
    if (less128(hi, lo, wHi, wLo)) {
      const low = (lo >> 1) | (hi << 63);
      roundInexact(0, wExp + 1, (hi >> 1) | INTEGER_BIT, low);
      return;
    }
  } else {
    subtract128(wHi, wLo, hi, lo);
  }
  roundInexact(sign, wExp, hi, lo);
}

/** A logarithm: sign, hi:lo / 2^127 * 2^exp; exact when it is an integer. */
let lSign: u32 = 0;
let lExp: i32 = 0;
let lHi: u64 = 0;
let lLo: u64 = 0;
let lExact: bool = false;

/**
 * l = 2 log2(e) artanh(n / d), n < d; n and d are normalised significands of 128 bits with the exponents nExp, dExp.
 */
function artanhRatio(sign: u32, nExp: i32, nHi: u64, nLo: u64, dExp: i32, dHi: u64, dLo: u64): void {
  let exp = nExp - dExp - 1;
  if (!less128(nHi, nLo, dHi, dLo)) { nLo = (nLo >> 1) | (nHi << 63); nHi >>= 1; exp++; }
  divideFraction128(nHi, nLo, dHi, dLo);
  if (hi >> 63 == 0) { shiftLeft128(hi, lo, 1); exp--; }
  const zHi = hi, zLo = lo;
  shiftRightSticky128(zHi, zLo, <u32>min(-exp - 1, 128));
  multiply128(hi, lo, hi, lo);
  const wHi = hi, wLo = lo;
  sumSeries(ODD, ODD_COUNT, wHi, wLo);
  multiply128(hi, lo, wHi, wLo);
  // z (1 + s), s < 0.011: halve first so that the sum keeps its carry
  multiply128(zHi, zLo, hi, lo);
  shiftRightSticky128(hi, lo, 1);
  add128(hi, lo, zHi >> 1, (zLo >> 1) | (zHi << 63));
  exp++;
  // times 2 log2 e = 4 * HALF_LOG2E fraction
  multiply128(hi, lo, HALF_LOG2E_HIGH, HALF_LOG2E_LOW);
  exp += 2;
  const up = <u32>clz(hi);
  shiftLeft128(hi, lo, up);
  lSign = sign;
  lExp = exp - <i32>up;
  lHi = hi;
  lLo = lo;
  lExact = false;
}

/** l = log2 of a significand sigHi:sigLo / 2^127 * 2^exp. */
function log2Of(exp: i32, sigHi: u64, sigLo: u64): void {
  if (sigHi == INTEGER_BIT && sigLo == 0) {
    lExact = true;
    lSign = exp < 0 ? 1 : 0;
    const magnitude = <u64>(exp < 0 ? -exp : exp);
    if (magnitude == 0) { lHi = 0; lLo = 0; lExp = 0; return; }
    const up = <u32>clz(magnitude);
    lHi = magnitude << up;
    lLo = 0;
    lExp = 63 - <i32>up;
    return;
  }
  // m in [sqrt(1/2), sqrt(2)): z = (m - 1) / (m + 1)
  if (sigHi < 0xb504_f333_f9de_6484) {
    // m in (1, sqrt 2): scale 2^-127
    subtract128(sigHi, sigLo, INTEGER_BIT, 0);
    const up = <u32>(hi != 0 ? clz(hi) : 64 + clz(lo));
    shiftLeft128(hi, lo, up);
    const nHi = hi, nLo = lo;
    // m + 1 in scale 2^-126
    add128(sigHi >> 1, (sigHi << 63) | (sigLo >> 1), QUARTER, 0);
    artanhRatio(0, -<i32>up, nHi, nLo, 1, hi, lo);
  } else {
    // m / 2 in [sqrt(1/2), 1): scale 2^-128
    exp++;
    subtract128(0, 0, sigHi, sigLo);
    const up = <u32>(hi != 0 ? clz(hi) : 64 + clz(lo));
    shiftLeft128(hi, lo, up);
    const nHi = hi, nLo = lo;
    add128(sigHi >> 1, (sigHi << 63) | (sigLo >> 1), INTEGER_BIT, 0); // m/2 + 1 in scale 2^-127
    artanhRatio(1, -1 - <i32>up, nHi, nLo, 0, hi, lo);
  }
  if (exp == 0) return;
  // exp + log2 m, in units of 2^-112
  const eSign: u32 = exp < 0 ? 1 : 0;
  shiftLeft128(0, <u64>(exp < 0 ? -exp : exp), 112);
  const eHi = hi, eLo = lo;
  shiftRightSticky128(lHi, lLo, <u32>min(15 - lExp, 128));
  if (eSign == lSign) add128(eHi, eLo, hi, lo); else subtract128(eHi, eLo, hi, lo);
  const up = <u32>clz(hi);
  shiftLeft128(hi, lo, up);
  lSign = eSign;
  lExp = 15 - <i32>up;
  lHi = hi;
  lLo = lo;
}

const QUARTER: u64 = 0x4000_0000_0000_0000;

/** y * l, rounded. */
function timesLog(ySe: u32, ySig: u64): void {
  const sign = (ySe >> 15) ^ lSign;
  const shift = <u32>clz(ySig);
  ySig <<= shift;
  const yExp = exponentOf(ySe) - <i32>shift - BIAS;
  if (lExact) {
    if (lHi == 0) { result(sign << 15, 0); return; }
    signal(PE); // as the hardware does, exact or not
    multiply64(ySig, lHi);
    normalizeRoundTo(sign, yExp + lExp + 1 + BIAS, hi, lo, 64);
    if ((zSe & EXP_MAX) == 0) signal(UE);
    return;
  }
  multiply128(lHi, lLo, ySig, 0);
  roundInexact(sign, yExp + lExp + 1, hi, lo);
}

/** FYL2X: y log2 x. */
export function yLog2x(xSe: u32, xSig: u64, ySe: u32, ySig: u64): void {
  const xClass = classOf(xSe, xSig), yClass = classOf(ySe, ySig);
  if (propagate(xSe, xSig, xClass, ySe, ySig, yClass)) return;
  const ySign = ySe & 0x8000;
  if (xSe >> 15 != 0 && xClass != ZERO) { invalid(); return; }
  if (xClass == ZERO) {
    if (yClass == ZERO) { invalid(); return; }
    if (yClass != INFINITY) signal(ZE); // without DE
    result((ySign ^ 0x8000) | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (xClass == INFINITY) {
    if (yClass == ZERO) { invalid(); return; }
    if (yClass == DENORMAL) signal(DE);
    result(ySign | EXP_MAX, INTEGER_BIT);
    return;
  }
  const shift = <u32>clz(xSig);
  xSig <<= shift;
  const exp = exponentOf(xSe) - <i32>shift - BIAS;
  const isOne = exp == 0 && xSig == INTEGER_BIT;
  if (yClass == INFINITY) {
    if (isOne) { invalid(); return; }
    if (xClass == DENORMAL) signal(DE);
    result((exp < 0 ? ySign ^ 0x8000 : ySign) | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (xClass == DENORMAL || yClass == DENORMAL) signal(DE);
  if (yClass == ZERO) { result(exp < 0 ? ySign ^ 0x8000 : ySign, 0); return; }
  log2Of(exp, xSig, 0);
  timesLog(ySe, ySig);
}

/** FYL2XP1: y log2(x + 1). */
export function yLog2xPlus1(xSe: u32, xSig: u64, ySe: u32, ySig: u64): void {
  const xClass = classOf(xSe, xSig), yClass = classOf(ySe, ySig);
  if (propagate(xSe, xSig, xClass, ySe, ySig, yClass)) return;
  const xSign = xSe >> 15, ySign = ySe & 0x8000;
  if (xClass == INFINITY) {
    if (xSign != 0 || yClass == ZERO) { invalid(); return; }
    if (yClass == DENORMAL) signal(DE);
    result(ySign | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (yClass == INFINITY) {
    if (xClass == ZERO) { invalid(); return; }
    if (xClass == DENORMAL) signal(DE);
    result(ySign ^ (xSign << 15) | EXP_MAX, INTEGER_BIT);
    return;
  }
  if (xClass == DENORMAL || yClass == DENORMAL) signal(DE);
  if (xClass == ZERO || yClass == ZERO) { result(ySign ^ (xSign << 15), 0); return; }
  const shift = <u32>clz(xSig);
  xSig <<= shift;
  const exp = exponentOf(xSe) - <i32>shift - BIAS;
  if (exp < -1) {
    // z = x / (2 + x), |x| < 1/2
    shiftRightSticky128(xSig, 0, <u32>min(1 - exp, 128)); // scale 2^-126
    if (xSign == 0) add128(INTEGER_BIT, 0, hi, lo); else subtract128(INTEGER_BIT, 0, hi, lo);
    const up = <u32>clz(hi);
    shiftLeft128(hi, lo, up);
    artanhRatio(xSign, exp, xSig, 0, 1 - <i32>up, hi, lo);
  } else if (xSign == 0) {
    // 1 + x, exact up to x = 2^127; beyond that the 1 does not show
    if (exp > 100) {
      log2Of(exp, xSig, 1);
    } else {
      const scale = exp < 0 ? 0 : exp;
      shiftRightSticky128(xSig, 0, <u32>(scale - exp));
      const gHi = hi, gLo = lo;
      shiftRightSticky128(INTEGER_BIT, 0, <u32>scale);
      add128(hi, lo, gHi, gLo);
      if (less128(hi, lo, gHi, gLo)) log2Of(scale + 1, (hi >> 1) | INTEGER_BIT, (lo >> 1) | (hi << 63) | (lo & 1));
      else log2Of(scale, hi, lo);
    }
  } else {
    if (exp >= 0) { signal(PE); result(xSe, xSig); return; } // x <= -1
    subtract128(INTEGER_BIT, 0, xSig >> 1, xSig << 63); // exp = -1: 1 - |x| in scale 2^-127
    const up = <u32>(hi != 0 ? clz(hi) : 64 + clz(lo));
    shiftLeft128(hi, lo, up);
    log2Of(-<i32>up, hi, lo);
  }
  timesLog(ySe, ySig);
}
