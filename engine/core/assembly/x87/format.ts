/**
 * The double extended-precision format: fields, classes, and the registers through which soft-float functions return.
 *
 * A value travels as (se, sig): se is the sign (bit 15) and biased exponent, sig the 64-bit significand with its
 * explicit integer bit.
 *
 * @spec SDM vol. 1, 4.2.2, 4.8.3 and table 4-3 (classes), 8.2.2 (unsupported encodings), 8.5 (exceptions)
 */

/** Result of the last soft-float function. */
export let zSe: u32 = 0;
export let zSig: u64 = 0;
/** Exceptions of the instruction in progress (FSW bits). */
export let exceptions: u32 = 0;
/** 1 when the last rounding went away from zero: the C1 of SDM vol. 1, 8.1.3.3. */
export let roundedUp: u32 = 0;
/** FCW of the instruction in progress. */
export let control: u32 = 0x37f;

export const IE: u32 = 1; export const DE: u32 = 2; export const ZE: u32 = 4; export const OE: u32 = 8; export const UE: u32 = 16;
export const PE: u32 = 32; export const SF: u32 = 64;

export const RC_NEAREST: u32 = 0; export const RC_DOWN: u32 = 1; export const RC_UP: u32 = 2; export const RC_ZERO: u32 = 3;

export const INTEGER_BIT: u64 = 0x8000_0000_0000_0000;
export const QUIET_BIT: u64 = 0x4000_0000_0000_0000;
export const BIAS: i32 = 0x3fff;
export const EXP_MAX: u32 = 0x7fff;
/** Added or taken away by the unmasked underflow and overflow responses (SDM vol. 1, 8.5.4, 8.5.5). */
export const BIAS_ADJUST: i32 = 0x6000;

export const ZERO: u32 = 0; export const DENORMAL: u32 = 1; export const NORMAL: u32 = 2; export const INFINITY: u32 = 3;
export const QNAN: u32 = 4; export const SNAN: u32 = 5; export const UNSUPPORTED: u32 = 6;

/** Starts an instruction: no exceptions yet, rounding by this control word. */
// @ts-ignore: decorator
@inline export function begin(fcw: u32): void { control = fcw; exceptions = 0; roundedUp = 0; }
// @ts-ignore: decorator
@inline export function signal(bits: u32): void { exceptions |= bits; }
// @ts-ignore: decorator
@inline export function replaceExceptions(bits: u32): void { exceptions = bits; }
// @ts-ignore: decorator
@inline export function setRoundedUp(up: bool): void { roundedUp = up ? 1 : 0; }
// @ts-ignore: decorator
@inline export function result(se: u32, sig: u64): void { zSe = se; zSig = sig; }
// @ts-ignore: decorator
@inline export function roundingControl(): u32 { return (control >> 10) & 3; }
/** Significand bits that precision control allows: 24, 53 or 64 (the reserved value acts as 64). */
export function precisionBits(): u32 {
  const pc = (control >> 8) & 3;
  return pc == 0 ? 24 : pc == 2 ? 53 : 64;
}
/** Leaves the QNaN floating-point indefinite as the result (SDM vol. 1, 4.8.3.7). */
// @ts-ignore: decorator
@inline export function indefinite(): void { zSe = 0xffff; zSig = 0xc000_0000_0000_0000; }
/** The masked response to an invalid operation. */
export function invalid(): void { exceptions |= IE; indefinite(); }

export function classOf(se: u32, sig: u64): u32 {
  const exp = se & EXP_MAX;
  if (exp == 0) return sig == 0 ? ZERO : DENORMAL;
  if ((sig & INTEGER_BIT) == 0) return UNSUPPORTED;
  if (exp != EXP_MAX) return NORMAL;
  if (sig == INTEGER_BIT) return INFINITY;
  return (sig & QUIET_BIT) != 0 ? QNAN : SNAN;
}

/**
 * Handles NaN and unsupported operands of a two-operand instruction; true when the result is set.
 * @spec SDM vol. 1, table 4-7: QNaN before SNaN, else the larger significand
 */
export function propagate(aSe: u32, aSig: u64, aClass: u32, bSe: u32, bSig: u64, bClass: u32): bool {
  if (aClass < QNAN && bClass < QNAN) return false;
  if (aClass == UNSUPPORTED || bClass == UNSUPPORTED) { invalid(); return true; }
  if (aClass == SNAN || bClass == SNAN) exceptions |= IE;
  let takeA: bool;
  if (aClass < QNAN) takeA = false;
  else if (bClass < QNAN) takeA = true;
  else if (aClass != bClass) takeA = aClass == QNAN;
  else if (aSig != bSig) takeA = aSig > bSig;
  else takeA = aSe < bSe;
  if (takeA) result(aSe, aSig | QUIET_BIT); else result(bSe, bSig | QUIET_BIT);
  return true;
}

/** Likewise for one operand. */
export function propagateOne(se: u32, sig: u64, cls: u32): bool {
  if (cls < QNAN) return false;
  if (cls == UNSUPPORTED) { invalid(); return true; }
  if (cls == SNAN) exceptions |= IE;
  result(se, sig | QUIET_BIT);
  return true;
}

/** True when a magnitude with `extra` (a fraction of 64 bits) below its last place is to be incremented. */
export function roundsUp(sign: u32, odd: bool, extra: u64): bool {
  if (extra == 0) return false;
  switch (roundingControl()) {
    case RC_NEAREST: return extra > INTEGER_BIT || (extra == INTEGER_BIT && odd);
    case RC_DOWN: return sign != 0;
    case RC_UP: return sign == 0;
    default: return false;
  }
}
