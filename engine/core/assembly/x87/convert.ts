/**
 * Conversions between the double extended format and the memory formats.
 *
 * @spec SDM vol. 2, FLD, FST, FIST, FISTTP, FBLD, FBSTP
 */
import {
  BIAS, EXP_MAX, IE, INFINITY, INTEGER_BIT, PE, QUIET_BIT, SNAN, UNSUPPORTED, classOf, result,
  roundsUp, setRoundedUp, signal,
} from './format';
import { nanF32, nanF64, packF32, packF64 } from './round';
import { exponentOf } from './arithmetic';

/** Widens a single-precision value; true when it was a denormal (DE). A SNaN stays signaling. */
export function fromF32(bits: u32): bool {
  const signBit = (bits >> 31) << 15;
  const exp = (bits >> 23) & 0xff;
  return widen(signBit, exp, 0xff, <u64>(bits & 0x7fffff) << 40, 127);
}

export function fromF64(bits: u64): bool {
  const signBit = <u32>(bits >> 63) << 15;
  const exp = <u32>(bits >> 52) & 0x7ff;
  return widen(signBit, exp, 0x7ff, (bits & 0xf_ffff_ffff_ffff) << 11, 1023);
}

function widen(signBit: u32, exp: u32, max: u32, fraction: u64, bias: i32): bool {
  if (exp == max) { result(signBit | EXP_MAX, fraction | INTEGER_BIT); return false; }
  if (exp != 0) { result(signBit | <u32>(<i32>exp - bias + BIAS), fraction | INTEGER_BIT); return false; }
  if (fraction == 0) { result(signBit, 0); return false; }
  const shift = <u32>clz(fraction);
  result(signBit | <u32>(1 - <i32>shift - bias + BIAS), fraction << shift);
  return true;
}

/** FST m32: the bits to store, with IE for a SNaN and OE, UE, PE as they come. */
export function toF32(se: u32, sig: u64): u32 {
  const cls = classOf(se, sig);
  if (cls < INFINITY) return packF32(se, sig);
  if (cls == INFINITY) return nanF32(se, 0);
  if (cls == UNSUPPORTED) { signal(IE); return 0xffc00000; }
  if (cls == SNAN) signal(IE);
  return nanF32(se, sig | QUIET_BIT);
}

export function toF64(se: u32, sig: u64): u64 {
  const cls = classOf(se, sig);
  if (cls < INFINITY) return packF64(se, sig);
  if (cls == INFINITY) return nanF64(se, 0);
  if (cls == UNSUPPORTED) { signal(IE); return 0xfff8_0000_0000_0000; }
  if (cls == SNAN) signal(IE);
  return nanF64(se, sig | QUIET_BIT);
}

/**
 * Integer of `bits` (16, 32, 64) in two's complement; the integer indefinite with IE when it does not fit.
 * `truncate`: FISTTP.
 */
export function toInteger(se: u32, sig: u64, bits: u32, truncate: bool): i64 {
  const indefiniteInteger = <i64>-1 << (bits - 1);
  const cls = classOf(se, sig);
  if (cls >= INFINITY) { signal(IE); return indefiniteInteger; }
  const sign = se >> 15;
  const exp = exponentOf(se) - BIAS;
  if (exp > 63) { signal(IE); return indefiniteInteger; }
  const magnitude = magnitudeOf(sign, exp, sig, truncate);
  const limit: u64 = <u64>1 << (bits - 1);
  if (overflowed || magnitude > limit || (magnitude == limit && sign == 0)) {
    signal(IE);
    setRoundedUp(false);
    return indefiniteInteger;
  }
  if (inexact) signal(PE);
  return sign != 0 ? <i64>(0 - magnitude) : <i64>magnitude;
}

let inexact: bool = false;
let overflowed: bool = false;

/** Rounds a finite value of exponent <= 63 to an unsigned integer. */
function magnitudeOf(sign: u32, exp: i32, sig: u64, truncate: bool): u64 {
  overflowed = false;
  let kept: u64, extra: u64;
  if (exp == 63) { kept = sig; extra = 0; }
  else if (exp >= 0) { kept = sig >> (63 - exp); extra = sig << (exp + 1); }
  else if (exp == -1) { kept = 0; extra = sig; }
  else { kept = 0; extra = <u64>(sig != 0); }
  const up = !truncate && roundsUp(sign, (kept & 1) != 0, extra);
  inexact = extra != 0;
  setRoundedUp(up);
  if (up) { kept++; overflowed = kept == 0; }
  return kept;
}

/** Packed BCD of the last toBcd: 18 digits, then the sign byte. */
export let bcdLow: u64 = 0;
export let bcdHigh: u32 = 0;

/** FBSTP. */
export function toBcd(se: u32, sig: u64): void {
  const cls = classOf(se, sig);
  const exp = exponentOf(se) - BIAS;
  if (cls < INFINITY && exp <= 62) {
    let magnitude = magnitudeOf(se >> 15, exp, sig, false);
    if (magnitude < 1_000_000_000_000_000_000) {
      if (inexact) signal(PE);
      bcdLow = 0;
      for (let i: u64 = 0; i < 64; i += 4) { bcdLow |= (magnitude % 10) << i; magnitude /= 10; }
      bcdHigh = <u32>(magnitude % 10) | (<u32>(magnitude / 10) << 4) | ((se >> 15) << 15);
      return;
    }
  }
  signal(IE);
  setRoundedUp(false);
  bcdLow = 0xc000_0000_0000_0000;
  bcdHigh = 0xffff;
}

/** FBLD: digits above 9 count their value, as the hardware does. */
export function fromBcd(low: u64, high: u32): void {
  let magnitude: u64 = <u64>((high >> 4) & 15) * 10 + <u64>(high & 15);
  for (let i: i32 = 60; i >= 0; i -= 4) magnitude = magnitude * 10 + ((low >> i) & 15);
  const signBit = high & 0x8000;
  if (magnitude == 0) { result(signBit, 0); return; }
  const shift = <u32>clz(magnitude);
  result(signBit | <u32>(BIAS + 63 - <i32>shift), magnitude << shift);
}

/** FLD of a widened value: a SNaN becomes quiet with IE. */
export function quietLoad(se: u32, sig: u64): void {
  const cls = classOf(se, sig);
  if (cls == SNAN) { signal(IE); result(se, sig | QUIET_BIT); }
}
