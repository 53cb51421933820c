/**
 * Exact single and double precision arithmetic in integers: every rounding mode, denormals, flags, NaNs.
 *
 * Numbers are passed as their bits in a u64, whatever the format; the type parameter (f32 or f64) names the format.
 * A finite number is unpacked to `significand * 2^(exponent - 62)` with bit 62 of the significand set; lost bits below
 * are kept as a sticky bit 0.
 *
 * @spec SDM vol. 1, 4.8 (formats, NaNs), 4.9 (exceptions), 11.5.2 (SSE responses); IEEE 754-2008
 */
import {
  DE, denormalsAreZeros, flag, flushToZero, IE, OE, overflowMasked, PE, RC_DOWN, RC_NEAREST, RC_UP, RC_ZERO, roundingControl, UE,
  underflowMasked, ZE,
} from './mxcsr';

// --- the format: width of the fraction, exponent range, special values

// @ts-ignore: decorator
@inline export function fractionBits<T>(): u32 { return sizeof<T>() == 8 ? 52 : 23; }
// @ts-ignore: decorator
@inline export function minExponent<T>(): i32 { return sizeof<T>() == 8 ? -1022 : -126; }
// @ts-ignore: decorator
@inline export function maxExponent<T>(): i32 { return sizeof<T>() == 8 ? 1023 : 127; }
// @ts-ignore: decorator
@inline export function signBit<T>(): u64 { return sizeof<T>() == 8 ? 0x8000000000000000 : 0x80000000; }
// @ts-ignore: decorator
@inline export function infinity<T>(): u64 { return sizeof<T>() == 8 ? 0x7ff0000000000000 : 0x7f800000; }
// @ts-ignore: decorator
@inline export function quietBit<T>(): u64 { return sizeof<T>() == 8 ? 0x0008000000000000 : 0x00400000; }
/** Real indefinite: what a masked invalid operation returns. */
// @ts-ignore: decorator
@inline export function indefinite<T>(): u64 { return sizeof<T>() == 8 ? 0xfff8000000000000 : 0xffc00000; }
// @ts-ignore: decorator
@inline function minNormal<T>(): u64 { return <u64>1 << fractionBits<T>(); }

// --- classes

// @ts-ignore: decorator
@inline export function magnitude<T>(u: u64): u64 { return u & ~signBit<T>(); }
// @ts-ignore: decorator
@inline export function isNan<T>(u: u64): bool { return magnitude<T>(u) > infinity<T>(); }
// @ts-ignore: decorator
@inline export function isSignaling<T>(u: u64): bool { return isNan<T>(u) && (u & quietBit<T>()) == 0; }
// @ts-ignore: decorator
@inline export function isInfinity<T>(u: u64): bool { return magnitude<T>(u) == infinity<T>(); }
// @ts-ignore: decorator
@inline export function isZero<T>(u: u64): bool { return magnitude<T>(u) == 0; }
// @ts-ignore: decorator
@inline export function isDenormal<T>(u: u64): bool { return magnitude<T>(u) - 1 < minNormal<T>() - 1; }
/** Finite, not zero, not denormal, and not the smallest normal number, which rounding up a tiny result can give. */
// @ts-ignore: decorator
@inline export function isOrdinary<T>(u: u64): bool { return magnitude<T>(u) - (minNormal<T>() + 1) < infinity<T>() - (minNormal<T>() + 1); }

/** Under DAZ a denormal operand is a zero of its sign. */
// @ts-ignore: decorator
@inline export function operand<T>(u: u64): u64 {
  return isDenormal<T>(u) && denormalsAreZeros() ? u & signBit<T>() : u;
}

/** NaN result of two operands of which one is a NaN: the first if it is one, else the second, made quiet. */
export function propagate<T>(a: u64, b: u64): u64 {
  if (isSignaling<T>(a) || isSignaling<T>(b)) flag(IE);
  return (isNan<T>(a) ? a : b) | quietBit<T>();
}

export function invalid<T>(): u64 { flag(IE); return indefinite<T>(); }

// --- unpacking

/** Significand of a finite number other than zero, bit 62 set. */
function significand<T>(u: u64): u64 {
  const f = u & (minNormal<T>() - 1);
  if ((u & infinity<T>()) != 0) return (f | minNormal<T>()) << (62 - fractionBits<T>());
  return f << (clz(f) - 1);
}

/** Exponent of a finite number other than zero. */
function exponent<T>(u: u64): i32 {
  const e = <i32>((u & infinity<T>()) >> fractionBits<T>());
  if (e != 0) return e + minExponent<T>() - 1;
  return minExponent<T>() + <i32>(63 - fractionBits<T>()) - <i32>clz(u & (minNormal<T>() - 1));
}

/** v >> n, with bit 0 set when a set bit was lost. */
// @ts-ignore: decorator
@inline function shiftRightSticky(v: u64, n: i32): u64 {
  if (n <= 0) return v;
  if (n > 63) return v != 0 ? 1 : 0;
  return v >> n | ((v & ((<u64>1 << n) - 1)) != 0 ? 1 : 0);
}

// --- rounding and packing

/** What is added below the last place kept before cutting, for rounding mode `rc`. */
// @ts-ignore: decorator
@inline function roundingAddend(rc: u32, negative: bool, half: u64, mask: u64): u64 {
  if (rc == RC_NEAREST) return half;
  if (rc == RC_UP) return negative ? 0 : mask;
  if (rc == RC_DOWN) return negative ? mask : 0;
  return 0;
}

/** Rounds `sig * 2^(exp - 62)` (bit 62 set, bit 0 sticky) to the format; flags OE, UE and PE. */
export function roundPack<T>(negative: bool, exp: i32, sig: u64): u64 {
  const drop: u32 = 62 - fractionBits<T>();
  const mask: u64 = (<u64>1 << drop) - 1;
  const half: u64 = <u64>1 << (drop - 1);
  const sign: u64 = negative ? signBit<T>() : 0;
  const rc = roundingControl();
  const addend = roundingAddend(rc, negative, half, mask);
  let e = exp;
  let q = (sig + addend) >> drop;
  if (rc == RC_NEAREST && (sig & mask) == half) q &= ~(<u64>1);
  const inexact = (sig & mask) != 0;
  if (q >> (fractionBits<T>() + 1) != 0) { q >>= 1; e++; }
  if (e >= minExponent<T>()) {
    // Tiny means tiny after rounding with an unbounded exponent; here it is not, unless e was raised from below.
    if (e > maxExponent<T>()) {
      if (overflowMasked()) {
        flag(OE | PE);
        const toLargest = rc == RC_ZERO || (rc == RC_UP && negative) || (rc == RC_DOWN && !negative);
        return sign | (toLargest ? infinity<T>() - 1 : infinity<T>());
      }
      flag(inexact ? OE | PE : OE);
      return sign | infinity<T>();
    }
    if (exp >= minExponent<T>()) {
      if (inexact) flag(PE);
      return sign | ((<u64>(e - minExponent<T>()) << fractionBits<T>()) + q);
    }
    // Rounded up to the smallest normal number: not tiny, yet PE is that of the denormalised result below.
    return sign | denormalise<T>(sig, minExponent<T>() - exp, rc, negative);
  }
  if (flushToZero()) {
    flag(UE | PE);
    return sign;
  }
  if (!underflowMasked()) {
    flag(inexact ? UE | PE : UE);
    return sign;
  }
  const r = denormalise<T>(sig, minExponent<T>() - exp, rc, negative);
  return sign | r;
}

/** Rounds a number below the normal range to a multiple of the smallest denormal. */
function denormalise<T>(sig: u64, shift: i32, rc: u32, negative: bool): u64 {
  const drop: u32 = 62 - fractionBits<T>();
  const mask: u64 = (<u64>1 << drop) - 1;
  const half: u64 = <u64>1 << (drop - 1);
  const s = shiftRightSticky(sig, shift);
  let q = (s + roundingAddend(rc, negative, half, mask)) >> drop;
  if (rc == RC_NEAREST && (s & mask) == half) q &= ~(<u64>1);
  if ((s & mask) != 0) flag(tinyAfterRounding<T>(sig, shift, rc, negative) ? UE | PE : PE);
  return q;
}

/** Whether the number is below the smallest normal one even after rounding with an unbounded exponent. */
function tinyAfterRounding<T>(sig: u64, shift: i32, rc: u32, negative: bool): bool {
  if (shift > 1) return true;
  const drop: u32 = 62 - fractionBits<T>();
  const mask: u64 = (<u64>1 << drop) - 1;
  return (sig + roundingAddend(rc, negative, <u64>1 << (drop - 1), mask)) >> 63 == 0;
}

// --- arithmetic

/** a + b, or a - b. */
export function softAdd<T>(first: u64, second: u64, subtract: bool): u64 {
  if (isNan<T>(first) || isNan<T>(second)) return propagate<T>(first, second);
  const a = operand<T>(first);
  const b = operand<T>(second) ^ (subtract ? signBit<T>() : 0);
  if (isInfinity<T>(a) && isInfinity<T>(b) && a != b) return invalid<T>();
  if (isDenormal<T>(a) || isDenormal<T>(b)) flag(DE);
  if (isInfinity<T>(a)) return a;
  if (isInfinity<T>(b)) return b;
  if (isZero<T>(a) && isZero<T>(b)) {
    if (a == b) return a;
    return roundingControl() == RC_DOWN ? signBit<T>() : 0;
  }
  // A zero operand does not make the other one exempt from rounding: a denormal result can still be flushed.
  if (isZero<T>(a)) return roundPack<T>((b & signBit<T>()) != 0, exponent<T>(b), significand<T>(b));
  if (isZero<T>(b)) return roundPack<T>((a & signBit<T>()) != 0, exponent<T>(a), significand<T>(a));
  const big = magnitude<T>(a) >= magnitude<T>(b) ? a : b;
  const small = big == a ? b : a;
  const negative = (big & signBit<T>()) != 0;
  let exp = exponent<T>(big);
  const low = shiftRightSticky(significand<T>(small), exp - exponent<T>(small));
  if (((a ^ b) & signBit<T>()) == 0) {
    const sum = significand<T>(big) + low;
    if (sum >> 63 != 0) return roundPack<T>(negative, exp + 1, sum >> 1 | (sum & 1));
    return roundPack<T>(negative, exp, sum);
  }
  const difference = significand<T>(big) - low;
  if (difference == 0) return roundingControl() == RC_DOWN ? signBit<T>() : 0;
  const up = <i32>clz(difference) - 1;
  return roundPack<T>(negative, exp - up, difference << up);
}

export function softMul<T>(first: u64, second: u64): u64 {
  if (isNan<T>(first) || isNan<T>(second)) return propagate<T>(first, second);
  const a = operand<T>(first);
  const b = operand<T>(second);
  const sign = (a ^ b) & signBit<T>();
  if ((isInfinity<T>(a) && isZero<T>(b)) || (isZero<T>(a) && isInfinity<T>(b))) return invalid<T>();
  if (isDenormal<T>(a) || isDenormal<T>(b)) flag(DE);
  if (isInfinity<T>(a) || isInfinity<T>(b)) return sign | infinity<T>();
  if (isZero<T>(a) || isZero<T>(b)) return sign;
  // 63 by 63 bits: bit 124 or 125 leads; moved so that the high half holds the result.
  const x = significand<T>(a) << 1;
  const y = significand<T>(b);
  const low = x * y;
  const high = mulHigh(x, y);
  const exp = exponent<T>(a) + exponent<T>(b);
  // x * y has bit 125 or 126 set: bit 61 or 62 of the high half.
  const sticky: u64 = low << 1 != 0 ? 1 : 0;
  if (high >> 62 != 0) return roundPack<T>(sign != 0, exp + 1, high | (low != 0 ? 1 : 0));
  return roundPack<T>(sign != 0, exp, high << 1 | low >> 63 | sticky);
}

/** High 64 bits of the product. */
function mulHigh(x: u64, y: u64): u64 {
  const xl = x & 0xffffffff; const xh = x >> 32;
  const yl = y & 0xffffffff; const yh = y >> 32;
  const mid = xh * yl + (xl * yl >> 32);
  const mid2 = xl * yh + (mid & 0xffffffff);
  return xh * yh + (mid >> 32) + (mid2 >> 32);
}

export function softDiv<T>(first: u64, second: u64): u64 {
  if (isNan<T>(first) || isNan<T>(second)) return propagate<T>(first, second);
  const a = operand<T>(first);
  const b = operand<T>(second);
  const sign = (a ^ b) & signBit<T>();
  if ((isInfinity<T>(a) && isInfinity<T>(b)) || (isZero<T>(a) && isZero<T>(b))) return invalid<T>();
  if (isZero<T>(b) && !isInfinity<T>(a)) { flag(ZE); return sign | infinity<T>(); }
  if (isDenormal<T>(a) || isDenormal<T>(b)) flag(DE);
  if (isInfinity<T>(a)) return sign | infinity<T>();
  if (isInfinity<T>(b) || isZero<T>(a)) return sign;
  let x = significand<T>(a);
  const y = significand<T>(b);
  let exp = exponent<T>(a) - exponent<T>(b);
  if (x < y) { x <<= 1; exp--; }
  // Restoring division: 1 bit before the point, 62 after.
  let rest = x - y;
  let q: u64 = 1;
  for (let i = 0; i < 62; i++) {
    rest <<= 1;
    q <<= 1;
    if (rest >= y) { rest -= y; q |= 1; }
  }
  return roundPack<T>(sign != 0, exp, q | (rest != 0 ? 1 : 0));
}

export function softSqrt<T>(source: u64): u64 {
  if (isNan<T>(source)) return propagate<T>(source, source);
  const a = operand<T>(source);
  if (isZero<T>(a)) return a;
  if ((a & signBit<T>()) != 0) return invalid<T>();
  if (isInfinity<T>(a)) return a;
  if (isDenormal<T>(a)) flag(DE);
  const exp = exponent<T>(a);
  // Radicand in [1, 4) with two bits before the point: bits 63:62.
  let radicand = significand<T>(a) << (exp & 1);
  let root: u64 = 0;
  let rest: u64 = 0;
  for (let i = 0; i < 57; i++) {
    rest = rest << 2 | radicand >> 62;
    radicand <<= 2;
    const trial = root << 2 | 1;
    root <<= 1;
    if (rest >= trial) { rest -= trial; root |= 1; }
  }
  return roundPack<T>(false, exp >> 1, root << 6 | (rest != 0 ? 1 : 0));
}

// --- conversions

/** Signed integer to float. */
export function softFromInteger<T>(v: i64): u64 {
  if (v == 0) return 0;
  const negative = v < 0;
  const m: u64 = negative ? 0 - <u64>v : <u64>v;
  if (m >> 63 != 0) return roundPack<T>(negative, 63, m >> 1);
  const up = <i32>clz(m) - 1;
  return roundPack<T>(negative, 62 - up, m << up);
}

/** Double to single. */
export function softNarrow(source: u64): u64 {
  const sign: u64 = source >> 32 & 0x80000000;
  if (isNan<f64>(source)) {
    if (isSignaling<f64>(source)) flag(IE);
    return sign | 0x7fc00000 | (source >> 29 & 0x003fffff);
  }
  const a = operand<f64>(source);
  if (isInfinity<f64>(a)) return sign | infinity<f32>();
  if (isZero<f64>(a)) return sign;
  if (isDenormal<f64>(a)) flag(DE);
  return roundPack<f32>(sign != 0, exponent<f64>(a), significand<f64>(a));
}

/** Single to double: always exact. */
export function softWiden(source: u64): u64 {
  const sign: u64 = (source & 0x80000000) << 32;
  if (isNan<f32>(source)) {
    if (isSignaling<f32>(source)) flag(IE);
    return sign | 0x7ff8000000000000 | (source & 0x003fffff) << 29;
  }
  const a = operand<f32>(source);
  if (isInfinity<f32>(a)) return sign | infinity<f64>();
  if (isZero<f32>(a)) return sign;
  if (isDenormal<f32>(a)) flag(DE);
  return sign | ((<u64>(exponent<f32>(a) + 1022) << 52) + (significand<f32>(a) >> 10));
}
