/**
 * Rounding to the double extended format and to the memory formats, with overflow, underflow and precision.
 *
 * @spec SDM vol. 1, 4.8.4 (rounding), 8.5.4 to 8.5.6 (OE, UE, PE and their responses); tininess is found after rounding
 */
import {
  BIAS, BIAS_ADJUST, EXP_MAX, INTEGER_BIT, OE, PE, UE, control, precisionBits, result, roundsUp, setRoundedUp,
  signal,
} from './format';
import { hi, lo, shiftLeft128, shiftRightSticky128 } from './wide';

/** Normalises sigHi:sigLo and rounds it under precision control. A zero becomes a zero of this sign. */
export function normalizeRound(sign: u32, exp: i32, sigHi: u64, sigLo: u64): void {
  normalizeRoundTo(sign, exp, sigHi, sigLo, precisionBits());
}

export function normalizeRoundTo(sign: u32, exp: i32, sigHi: u64, sigLo: u64, bits: u32): void {
  if (sigHi == 0) {
    if (sigLo == 0) { result(sign << 15, 0); return; }
    sigHi = sigLo;
    sigLo = 0;
    exp -= 64;
  }
  const shift = <u32>clz(sigHi);
  shiftLeft128(sigHi, sigLo, shift);
  roundPack(sign, exp - <i32>shift, hi, lo, bits);
}

/**
 * Rounds a normalised sigHi:sigLo (value sigHi.sigLo * 2^(exp - BIAS - 63)) to `bits` places and packs it.
 * exp is biased but may be anything.
 */
export function roundPack(sign: u32, exp: i32, sigHi: u64, sigLo: u64, bits: u32): void {
  const ulp: u64 = <u64>1 << (64 - bits);
  const mask = ulp - 1;
  let extra = bits == 64 ? sigLo : (sigHi << bits) | <u64>(sigLo != 0);
  let kept = sigHi & ~mask;
  let up = roundsUp(sign, (kept & ulp) != 0, extra);
  if (exp <= 0) {
    const tiny = exp < 0 || !up || kept + ulp != 0;
    if (tiny && (control & UE) == 0) {
      signal(UE);
      exp += BIAS_ADJUST;
      if (exp <= 0) { signal(PE); setRoundedUp(false); result(sign << 15, 0); return; } // massive underflow, FSCALE only
    } else {
      shiftRightSticky128(sigHi, sigLo, <u32>(1 - exp));
      extra = bits == 64 ? lo : (hi << bits) | <u64>(lo != 0);
      kept = hi & ~mask;
      up = roundsUp(sign, (kept & ulp) != 0, extra);
      if (extra != 0) signal(tiny ? UE | PE : PE);
      if (up) kept += ulp;
      setRoundedUp(up);
      result((sign << 15) | <u32>(kept >> 63), kept);
      return;
    }
  }
  if (up) {
    kept += ulp;
    if (kept == 0) { kept = INTEGER_BIT; exp++; }
  }
  if (exp >= <i32>EXP_MAX) {
    signal(OE);
    if ((control & OE) == 0 && exp - BIAS_ADJUST < <i32>EXP_MAX) {
      exp -= BIAS_ADJUST;
    } else {
      signal(PE);
      // unmasked, but out of reach of the bias adjustment (FSCALE): infinity, whatever RC says
      const toInfinity = (control & OE) == 0 || roundsUp(sign, true, INTEGER_BIT);
      setRoundedUp(toInfinity);
      if (toInfinity) result((sign << 15) | EXP_MAX, INTEGER_BIT);
      else result((sign << 15) | (EXP_MAX - 1), ~mask);
      return;
    }
  }
  if (extra != 0) signal(PE);
  setRoundedUp(up);
  result((sign << 15) | <u32>exp, kept);
}

/**
 * Rounds a finite nonzero or zero value to a memory format with `fraction` fraction bits and exponent bias `bias`.
 * Returns its bits; OE, UE and PE are signalled as the format demands.
 */
function toIeee(sign: u32, exp: i32, sig: u64, fraction: u32, bias: i32): u64 {
  const signBit = <u64>sign << (fraction == 52 ? 63 : 31);
  if (sig == 0) return signBit;
  const shift = <i32>clz(sig);
  sig <<= shift;
  exp = exp - shift - BIAS + bias; // biased for the target
  const max = bias * 2 + 1;
  const drop: u32 = 63 - fraction;
  let extra = sig << (fraction + 1);
  let kept = sig >> drop; // fraction + 1 bits
  let up = roundsUp(sign, (kept & 1) != 0, extra);
  if (exp <= 0) {
    const tiny = exp < 0 || !up || (kept + 1) >> (fraction + 1) == 0;
    if (tiny && (control & UE) == 0) signal(UE);
    shiftRightSticky128(sig, 0, <u32>min(drop + 1 - exp, 127));
    kept = hi;
    extra = lo;
    up = roundsUp(sign, (kept & 1) != 0, extra);
    if (extra != 0) signal(tiny ? UE | PE : PE);
    if (up) kept++;
    setRoundedUp(up);
    return signBit | kept; // a carry into the exponent is the smallest normal number
  }
  if (up) {
    kept++;
    if (kept >> (fraction + 1) != 0) { kept >>= 1; exp++; }
  }
  if (exp >= max) {
    signal(OE | PE);
    const toInfinity = roundsUp(sign, true, INTEGER_BIT);
    setRoundedUp(toInfinity);
    const largest = (<u64>max << fraction) - 1;
    return signBit | (toInfinity ? <u64>max << fraction : largest);
  }
  if (extra != 0) signal(PE);
  setRoundedUp(up);
  return signBit | (<u64>exp << fraction) | (kept & ((<u64>1 << fraction) - 1));
}

/** Finite value to single precision. */
export function packF32(se: u32, sig: u64): u32 {
  const exp = <i32>(se & EXP_MAX);
  return <u32>toIeee(se >> 15, exp == 0 ? 1 : exp, sig, 23, 127);
}

/** Finite value to double precision. */
export function packF64(se: u32, sig: u64): u64 {
  const exp = <i32>(se & EXP_MAX);
  return toIeee(se >> 15, exp == 0 ? 1 : exp, sig, 52, 1023);
}

/** NaN or infinity to single precision: the upper fraction bits are kept. */
export function nanF32(se: u32, sig: u64): u32 {
  return ((se >> 15) << 31) | 0x7f800000 | <u32>((sig >> 40) & 0x7fffff);
}

export function nanF64(se: u32, sig: u64): u64 {
  return (<u64>(se >> 15) << 63) | 0x7ff0_0000_0000_0000 | ((sig >> 11) & 0xf_ffff_ffff_ffff);
}
