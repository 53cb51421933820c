/**
 * The short way of x87 arithmetic, for what nearly all code does: normal operands and results, nearest rounding, 64 bits
 * of precision. Anything else is told by a significand of 0, and nothing has happened then.
 *
 * Beside the significand, a result is sign and exponent, and from bit 16 the bits of FSW, in the pCPU's block.
 *
 * @spec IEEE 754-1985, 4.1
 */
import { cpu } from '../cpu';
import { EXP_MAX, BIAS, INTEGER_BIT, PE, result, setRoundedUp, signal } from './format';

/** engine/core/jit/layout.ts. */
export const J_X87: usize = 0xf60;
export const C1_SHIFTED: u32 = 0x200 << 16;
const PE_SHIFTED: u32 = PE << 16;

/** Nearest rounding and 64 bits of precision. */
// @ts-ignore: decorator
@inline export function isPlain(fcw: u32): bool { return (fcw & 0xf00) == 0x300; }

/** Makes a plain result the soft-float's; false when there is none. */
// @ts-ignore: decorator
@inline export function takePlain(sig: u64): bool {
  if (sig == 0) return false;
  const rest = load<u32>(cpu, J_X87);
  signal((rest >> 16) & PE);
  setRoundedUp((rest & C1_SHIFTED) != 0);
  result(rest & 0xffff, sig);
  return true;
}

// @ts-ignore: decorator
@inline function normals(aSe: u32, aSig: u64, bSe: u32, bSig: u64): bool {
  // A pseudo-denormal has the top bit set as well, and an exponent of 0.
  return <i64>(aSig & bSig) < 0 && (aSe & EXP_MAX) - 1 < EXP_MAX - 1 && (bSe & EXP_MAX) - 1 < EXP_MAX - 1;
}

/** Rounds sig.low, whose top bit is set. */
// @ts-ignore: decorator
@inline function pack(signBit: u32, exp: i32, sig: u64, low: u64): u64 {
  if (<u32>(exp - 1) >= EXP_MAX - 2) return 0;
  let rest = low != 0 ? PE_SHIFTED : 0;
  if (low > INTEGER_BIT || (low == INTEGER_BIT && (sig & 1) != 0)) {
    rest |= C1_SHIFTED;
    sig++;
    if (sig == 0) { sig = INTEGER_BIT; exp++; }
  }
  store<u32>(cpu, rest | signBit | <u32>exp, J_X87);
  return sig;
}

/** a + b. */
export function addPlain(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  if (!normals(aSe, aSig, bSe, bSig)) return 0;
  let aExp = <i32>(aSe & EXP_MAX), bExp = <i32>(bSe & EXP_MAX);
  if (aExp < bExp || (aExp == bExp && aSig < bSig)) { // a is the larger magnitude
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
  let exp = aExp;
  let sum: u64;
  if (((aSe ^ bSe) & 0x8000) == 0) {
    sum = aSig + high;
    if (sum < aSig) {
      low = (sum << 63) | (low >> 1) | (low & 1);
      sum = (sum >> 1) | INTEGER_BIT;
      exp++;
    }
  } else {
    sum = aSig - high - <u64>(low != 0);
    low = 0 - low;
    if (<i64>sum >= 0) {
      if (sum == 0) return 0;
      const zeros = clz(sum);
      sum = (sum << zeros) | (low >> (64 - zeros));
      low <<= zeros;
      exp -= <i32>zeros;
    }
  }
  return pack(signBit, exp, sum, low);
}

/** a * b. */
export function multiplyPlain(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u64 {
  if (!normals(aSe, aSig, bSe, bSig)) return 0;
  const a0 = aSig & 0xffffffff, a1 = aSig >> 32, b0 = bSig & 0xffffffff, b1 = bSig >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const middle2 = a0 * b1 + (middle & 0xffffffff);
  let high = a1 * b1 + (middle >> 32) + (middle2 >> 32);
  let low = aSig * bSig;
  let exp = <i32>(aSe & EXP_MAX) + <i32>(bSe & EXP_MAX) - BIAS + 1;
  if (<i64>high >= 0) {
    high = (high << 1) | (low >> 63);
    low <<= 1;
    exp--;
  }
  return pack((aSe ^ bSe) & 0x8000, exp, high, low);
}
