/**
 * 128-bit integer arithmetic for the soft-float: two u64 words, high words returned in globals of this instance.
 *
 * @differ Results that do not fit one u64 are left in `hi` and `lo` (or `remainder`) until the next call.
 */

/** High and low word of the last 128-bit result. */
export let hi: u64 = 0;
export let lo: u64 = 0;
/** Remainder of the last divide128. */
export let remainder: u64 = 0;

/** hi:lo = a * b. Returns lo. */
export function multiply64(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
  const p00 = a0 * b0;
  const mid = a1 * b0 + (p00 >> 32);
  const mid2 = a0 * b1 + (mid & 0xffffffff);
  hi = a1 * b1 + (mid >> 32) + (mid2 >> 32);
  lo = (mid2 << 32) | (p00 & 0xffffffff);
  return lo;
}

/** High 64 bits of a * b. */
export function multiplyHigh64(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
  const mid = a1 * b0 + ((a0 * b0) >> 32);
  return a1 * b1 + (mid >> 32) + ((a0 * b1 + (mid & 0xffffffff)) >> 32);
}

/** hi:lo = the high 128 bits of the 256-bit product (the very last bit may be one too small). */
export function multiply128(aHi: u64, aLo: u64, bHi: u64, bLo: u64): void {
  multiply64(aHi, bLo);
  const x1 = hi, x0 = lo;
  multiply64(aLo, bHi);
  const y1 = hi, y0 = lo;
  let middle = multiplyHigh64(aLo, bLo) + x0;
  let carry: u64 = middle < x0 ? 1 : 0;
  middle += y0;
  if (middle < y0) carry++;
  multiply64(aHi, bHi);
  add128(hi, lo, 0, x1);
  add128(hi, lo, 0, y1);
  add128(hi, lo, 0, carry);
}

/** hi:lo = a + b, modulo 2^128. */
// @ts-ignore: decorator
@inline export function add128(aHi: u64, aLo: u64, bHi: u64, bLo: u64): void {
  const sum = aLo + bLo;
  hi = aHi + bHi + <u64>(sum < aLo);
  lo = sum;
}

/** hi:lo = a - b, modulo 2^128. */
// @ts-ignore: decorator
@inline export function subtract128(aHi: u64, aLo: u64, bHi: u64, bLo: u64): void {
  hi = aHi - bHi - <u64>(aLo < bLo);
  lo = aLo - bLo;
}

// @ts-ignore: decorator
@inline export function less128(aHi: u64, aLo: u64, bHi: u64, bLo: u64): bool {
  return aHi < bHi || (aHi == bHi && aLo < bLo);
}

/** hi:lo = a << count, 0 <= count < 128. */
export function shiftLeft128(aHi: u64, aLo: u64, count: u32): void {
  if (count == 0) { hi = aHi; lo = aLo; return; }
  if (count >= 64) { hi = aLo << (count - 64); lo = 0; return; }
  hi = (aHi << count) | (aLo >> (64 - count));
  lo = aLo << count;
}

/** hi:lo = a >> count, any count; bits shifted out are kept as a sticky lowest bit. */
export function shiftRightSticky128(aHi: u64, aLo: u64, count: u32): void {
  if (count == 0) { hi = aHi; lo = aLo; return; }
  if (count < 64) {
    hi = aHi >> count;
    lo = (aHi << (64 - count)) | (aLo >> count) | <u64>((aLo << (64 - count)) != 0);
  } else if (count == 64) {
    hi = 0;
    lo = aHi | <u64>(aLo != 0);
  } else if (count < 128) {
    hi = 0;
    lo = (aHi >> (count - 64)) | <u64>(((aHi << (128 - count)) | aLo) != 0);
  } else {
    hi = 0;
    lo = <u64>((aHi | aLo) != 0);
  }
}

/** Quotient of nHi:nLo / d for nHi < d; the remainder is left in `remainder`. */
export function divide128(nHi: u64, nLo: u64, d: u64): u64 {
  if (nHi == 0) { remainder = nLo % d; return nLo / d; }
  const shift = clz(d);
  d <<= shift;
  if (shift != 0) { nHi = (nHi << shift) | (nLo >> (64 - shift)); nLo <<= shift; }
  const d1 = d >> 32, d0 = d & 0xffffffff;
  const q1 = divideDigit(nHi, nLo >> 32, d, d1, d0);
  const rest = (nHi << 32) + (nLo >> 32) - q1 * d;
  const q0 = divideDigit(rest, nLo & 0xffffffff, d, d1, d0);
  remainder = ((rest << 32) + (nLo & 0xffffffff) - q0 * d) >> shift;
  return (q1 << 32) + q0;
}

/** One base 2^32 digit of (n << 32 | next) / d, with d normalised and n < d (Knuth's algorithm D). */
function divideDigit(n: u64, next: u64, d: u64, d1: u64, d0: u64): u64 {
  let q = n / d1;
  let r = n % d1;
  while (q >> 32 != 0 || q * d0 > ((r << 32) | next)) {
    q--;
    r += d1;
    if (r >> 32 != 0) break;
  }
  return q;
}

/**
 * hi:lo = floor((a << 128) / b) for a < b, b normalised (bit 127 set): a fraction of 128 bits. Bit by bit: only the
 * transcendental functions need it.
 */
export function divideFraction128(aHi: u64, aLo: u64, bHi: u64, bLo: u64): void {
  let qHi: u64 = 0, qLo: u64 = 0;
  for (let i = 0; i < 128; i++) {
    const carry = aHi >> 63;
    aHi = (aHi << 1) | (aLo >> 63);
    aLo <<= 1;
    qHi = (qHi << 1) | (qLo >> 63);
    qLo <<= 1;
    if (carry != 0 || !less128(aHi, aLo, bHi, bLo)) {
      aHi = aHi - bHi - <u64>(aLo < bLo);
      aLo -= bLo;
      qLo |= 1;
    }
  }
  hi = qHi;
  lo = qLo;
}
