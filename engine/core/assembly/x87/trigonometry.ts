/**
 * FSIN, FCOS, FSINCOS, FPTAN and FPATAN.
 *
 * @spec SDM vol. 1, 8.3.8 (66-bit pi, |x| < 2^63), 8.3.10 (accuracy); vol. 2, tables 3-23 to 3-31 (special operands)
 * @cover #Y every class of operand, argument reduction as the hardware does it, results rounded from 128 bits
 * @differ Results are the correctly rounded ones; hardware may differ by one unit in the last place.
 */
import {
  BIAS, DE, DENORMAL, EXP_MAX, INFINITY, INTEGER_BIT, ZERO, classOf, invalid, propagate, propagateOne, result, signal,
} from './format';
import { exponentOf } from './arithmetic';
import { ATAN, COS, COS_COUNT, ODD, PI66_HIGH, PI66_LOW, QUARTER_PI_HIGH, QUARTER_PI_LOW, SIN, SIN_COUNT } from './constants';
import { oneMinusTimes, roundInexact, sumAlternating } from './series';
import { add128, divideFraction128, hi, less128, lo, multiply128, shiftLeft128, shiftRightSticky128, subtract128 } from './wide';

/** The reduced argument: sign, and hi:lo / 2^127 * 2^exp; the quadrant it came from. */
let rSign: u32 = 0;
let rExp: i32 = 0;
let rHi: u64 = 0;
let rLo: u64 = 0;
let quadrant: u32 = 0;
/** r squared, as a fraction. */
let zHi: u64 = 0;
let zLo: u64 = 0;
/** A sine or cosine: hi:lo / 2^127 * 2^exp. */
let fExp: i32 = 0;
let fHi: u64 = 0;
let fLo: u64 = 0;

/** Exponent of r below which r^3 is less than the last place of 128 bits. */
const NEGLIGIBLE_CUBE: i32 = -64;

export const DONE: u32 = 0; //    one result
export const SPECIAL: u32 = 1; // NaN, infinity or zero: the result is set, the caller adds the second one
export const PARTIAL: u32 = 2; // |x| >= 2^63: C2, operand unchanged

/** True when |x| is outside the range. */
function outOfRange(se: u32): bool { return <i32>(se & EXP_MAX) >= BIAS + 63; }

/** Reduces |x| < 2^63 to [-pi/4, pi/4]. */
function reduce(se: u32, sig: u64): void {
  const shift = <u32>clz(sig);
  sig <<= shift;
  const exp = exponentOf(se) - <i32>shift - BIAS;
  rSign = se >> 15;
  quadrant = 0;
  if (exp < -1) {
    rHi = sig; rLo = 0; rExp = exp;
  } else {
    // x and pi/2 in units of 2^-65
    shiftLeft128(0, sig, <u32>(exp + 2));
    let xHi = hi, xLo = lo;
    let q: u64 = 0;
    for (let i: i32 = exp; i >= 0; i--) {
      shiftLeft128(PI66_HIGH, PI66_LOW, <u32>i);
      if (!less128(xHi, xLo, hi, lo)) {
        subtract128(xHi, xLo, hi, lo);
        xHi = hi;
        xLo = lo;
        q |= <u64>1 << i;
      }
    }
    subtract128(PI66_HIGH, PI66_LOW, xHi, xLo);
    if (less128(hi, lo, xHi, xLo)) {
      xHi = hi;
      xLo = lo;
      rSign ^= 1;
      q++;
    }
    // with the sign of x taken out: sin(-x) = -sin x is the callers' matter
    quadrant = <u32>q & 3;
    const up = <u32>(xHi != 0 ? clz(xHi) : 64 + clz(xLo));
    shiftLeft128(xHi, xLo, up);
    rHi = hi;
    rLo = lo;
    rExp = 62 - <i32>up;
  }
  shiftRightSticky128(rHi, rLo, <u32>min(-rExp - 1, 128));
  multiply128(hi, lo, hi, lo);
  zHi = hi;
  zLo = lo;
}

function sineOfR(): void {
  sumAlternating(SIN, SIN_COUNT, zHi, zLo);
  oneMinusTimes(zHi, zLo);
  multiply128(rHi, rLo, hi, lo);
  fExp = rExp;
  fHi = hi;
  fLo = lo;
  normalizeF();
}

function cosineOfR(): void {
  sumAlternating(COS, COS_COUNT, zHi, zLo);
  oneMinusTimes(zHi, zLo);
  fExp = -1;
  fHi = hi;
  fLo = lo;
  normalizeF();
}

/**
 * After a multiplication of a 1.x significand (2^-127) by a fraction (2^-128): the product's high word has the scale of
 * the first; one place may have been lost.
 */
function normalizeF(): void {
  if (fHi >> 63 == 0) {
    shiftLeft128(fHi, fLo, 1);
    fHi = hi;
    fLo = lo;
    fExp--;
  }
}

/** sin (0) or cos (1) of the reduced argument in its quadrant, rounded. */
function quadrantSine(cosine: u32): void {
  const q = (quadrant + cosine) & 3;
  // sin(x) with x = sign * (q pi/2 + r'): rSign already carries sign(x) and the reflection of r'
  if ((q & 1) == 0) sineOfR(); else cosineOfR();
  roundInexact(signOf(cosine), fExp, fHi, fLo);
}

/** Sign of x, for signOf. */
let xSign: u32 = 0;

function signOf(cosine: u32): u32 {
  const q = (quadrant + cosine) & 3;
  const half = q >> 1; // sin(r + pi) = -sin r
  if ((q & 1) == 0) {
    // +-sin(r'): for the sine sign(x) is in rSign; the cosine is even, so take it out
    return half ^ rSign ^ (cosine != 0 ? xSign : 0);
  }
  return half ^ (cosine != 0 ? 0 : xSign);
}

/** Shared beginning: DONE when an ordinary argument was reduced. */
function start(se: u32, sig: u64, atZero: u32): u32 {
  const cls = classOf(se, sig);
  if (propagateOne(se, sig, cls)) return SPECIAL;
  if (cls == INFINITY) { invalid(); return SPECIAL; }
  if (cls == ZERO) {
    if (atZero != 0) result(<u32>BIAS, INTEGER_BIT); else result(se, sig);
    return SPECIAL;
  }
  if (outOfRange(se)) return PARTIAL;
  if (cls == DENORMAL) signal(DE);
  xSign = se >> 15;
  reduce(se, sig);
  return DONE;
}

/** FSIN. */
export function sine(se: u32, sig: u64): u32 {
  const how = start(se, sig, 0);
  if (how == DONE) quadrantSine(0);
  return how;
}

/** FCOS. */
export function cosine(se: u32, sig: u64): u32 {
  const how = start(se, sig, 1);
  if (how == DONE) quadrantSine(1);
  return how;
}

/** After sine() was DONE: the cosine of the same argument (FSINCOS). */
export function cosineAgain(): void { quadrantSine(1); }

/** FPTAN. */
export function tangent(se: u32, sig: u64): u32 {
  const how = start(se, sig, 0);
  if (how != DONE) return how;
  if ((quadrant & 1) == 0 && rExp < NEGLIGIBLE_CUBE) { // r + r^3/3: never below r, which may be the smallest normal number
    roundInexact(rSign, rExp, rHi, rLo);
    return DONE;
  }
  sineOfR();
  const sExp = fExp, sHi = fHi, sLo = fLo;
  cosineOfR();
  // tan(r + pi/2) = -cot(r)
  const odd = (quadrant & 1) != 0;
  if (odd) ratio(fExp, fHi, fLo, sExp, sHi, sLo); else ratio(sExp, sHi, sLo, fExp, fHi, fLo);
  roundInexact(rSign ^ (odd ? 1 : 0), fExp, fHi, fLo);
  return DONE;
}

/** f = a / b for normalised significands. */
function ratio(aExp: i32, aHi: u64, aLo: u64, bExp: i32, bHi: u64, bLo: u64): void {
  let exp = aExp - bExp - 1;
  if (!less128(aHi, aLo, bHi, bLo)) {
    aLo = (aLo >> 1) | (aHi << 63);
    aHi >>= 1;
    exp++;
  }
  divideFraction128(aHi, aLo, bHi, bLo);
  fExp = exp;
  fHi = hi;
  fLo = lo;
  normalizeF();
}

/** arctan of f (0 < f <= 1), left in f. */
function arctangentOfF(): void {
  if (fExp < -6) {
    shiftRightSticky128(fHi, fLo, <u32>min(-fExp - 1, 128));
    multiply128(hi, lo, hi, lo);
    const wHi = hi, wLo = lo;
    sumAlternating(ODD, 12, wHi, wLo);
    oneMinusTimes(wHi, wLo);
    multiply128(fHi, fLo, hi, lo);
    fHi = hi;
    fLo = lo;
    normalizeF();
    return;
  }
  // f in units of 2^-127; k/32 the nearest node
  shiftRightSticky128(fHi, fLo, <u32>(-fExp));
  const qHi = hi, qLo = lo;
  const k = (qHi + (<u64>1 << 57)) >> 58;
  const cHi = k << 58;
  const below = less128(qHi, qLo, cHi, 0);
  if (below) subtract128(cHi, 0, qHi, qLo); else subtract128(qHi, qLo, cHi, 0);
  const nHi = hi, nLo = lo;
  // 1 + q c, in units of 2^-126: below 2^127
  multiply128(qHi, qLo, cHi, 0); // 2^-126
  add128(hi, lo, 0x4000_0000_0000_0000, 0);
  let tHi: u64 = 0, tLo: u64 = 0;
  if ((nHi | nLo) != 0) {
    shiftLeft128(hi, lo, 1); // 2^-127, bit 127 set; q = c = 1 has no difference
    divideFraction128(nHi, nLo, hi, lo);
    tHi = hi;
    tLo = lo;
    multiply128(tHi, tLo, tHi, tLo);
    const wHi = hi, wLo = lo;
    sumAlternating(ODD, 12, wHi, wLo);
    oneMinusTimes(wHi, wLo);
    multiply128(tHi, tLo, hi, lo);
    tHi = hi;
    tLo = lo;
  }
  const node = ATAN + (<usize>k << 4);
  if (below) subtract128(load<u64>(node), load<u64>(node, 8), tHi, tLo);
  else add128(load<u64>(node), load<u64>(node, 8), tHi, tLo);
  const up = <u32>clz(hi);
  shiftLeft128(hi, lo, up);
  fHi = hi;
  fLo = lo;
  fExp = -1 - <i32>up;
}

/** Quarters of pi, rounded: the results for zeros and infinities. */
function quarters(sign: u32, count: u32): void {
  // pi/4 is a fraction of 2^128; 3/4 pi needs two more bits
  shiftRightSticky128(QUARTER_PI_HIGH, QUARTER_PI_LOW, 2);
  const oneHi = hi, oneLo = lo;
  if (count == 1) { roundInexact(sign, -1, QUARTER_PI_HIGH, QUARTER_PI_LOW); return; }
  if (count == 2) { roundInexact(sign, 0, QUARTER_PI_HIGH, QUARTER_PI_LOW); return; }
  if (count == 4) { roundInexact(sign, 1, QUARTER_PI_HIGH, QUARTER_PI_LOW); return; }
  add128(oneHi, oneLo, oneHi << 1 | oneLo >> 63, oneLo << 1);
  roundInexact(sign, 1, hi, lo);
}

/** FPATAN: the angle of the point (x, y). */
export function arctangent(ySe: u32, ySig: u64, xSe: u32, xSig: u64): void {
  const yClass = classOf(ySe, ySig), xClass = classOf(xSe, xSig);
  if (propagate(ySe, ySig, yClass, xSe, xSig, xClass)) return;
  const sign = ySe >> 15;
  const left = xSe >> 15 != 0;
  if (yClass == DENORMAL || xClass == DENORMAL) signal(DE);
  if (yClass == INFINITY) { quarters(sign, xClass == INFINITY ? (left ? 3 : 1) : 2); return; }
  if (xClass == INFINITY || yClass == ZERO) {
    if (left) quarters(sign, 4); else result(sign << 15, 0);
    return;
  }
  if (xClass == ZERO) { quarters(sign, 2); return; }
  const yShift = <u32>clz(ySig), xShift = <u32>clz(xSig);
  ySig <<= yShift;
  xSig <<= xShift;
  const yExp = exponentOf(ySe) - <i32>yShift, xExp = exponentOf(xSe) - <i32>xShift;
  const steep = yExp > xExp || (yExp == xExp && ySig > xSig);
  if (steep) ratio(xExp, xSig, 0, yExp, ySig, 0); else ratio(yExp, ySig, 0, xExp, xSig, 0);
  arctangentOfF();
  if (!steep && !left) { roundInexact(sign, fExp, fHi, fLo); return; }
  // combine with pi/2 or pi, in units of 2^-126
  shiftRightSticky128(fHi, fLo, <u32>min(1 - fExp, 128));
  const aHi = hi, aLo = lo | 1;
  shiftRightSticky128(QUARTER_PI_HIGH, QUARTER_PI_LOW, steep ? 1 : 0);
  if (steep && left) add128(hi, lo, aHi, aLo); else subtract128(hi, lo, aHi, aLo);
  roundInexact(sign, 1, hi, lo);
}
