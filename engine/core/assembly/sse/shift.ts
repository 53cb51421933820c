/**
 * Packed shifts. A count beyond the element's width gives zero, or the sign for the arithmetic ones; WebAssembly's
 * own shifts take the count modulo the width instead.
 *
 * @spec SDM vol. 2: PSLLW/D/Q, PSRLW/D/Q, PSRAW/D, PSLLDQ, PSRLDQ, PALIGNR
 */

const ZERO: v128 = i64x2(0, 0);
/** Byte numbers 0..15: a swizzle by (this + n) moves right by n, and selects zero wherever the index leaves 0..15. */
const IOTA: v128 = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

// @ts-ignore: decorator
@inline export function sll16(v: v128, n: u64): v128 { return n > 15 ? i64x2(0, 0) : i16x8.shl(v, <i32>n); }
// @ts-ignore: decorator
@inline export function srl16(v: v128, n: u64): v128 { return n > 15 ? i64x2(0, 0) : i16x8.shr_u(v, <i32>n); }
// @ts-ignore: decorator
@inline export function sra16(v: v128, n: u64): v128 { return i16x8.shr_s(v, n > 15 ? 15 : <i32>n); }
// @ts-ignore: decorator
@inline export function sll32(v: v128, n: u64): v128 { return n > 31 ? i64x2(0, 0) : i32x4.shl(v, <i32>n); }
// @ts-ignore: decorator
@inline export function srl32(v: v128, n: u64): v128 { return n > 31 ? i64x2(0, 0) : i32x4.shr_u(v, <i32>n); }
// @ts-ignore: decorator
@inline export function sra32(v: v128, n: u64): v128 { return i32x4.shr_s(v, n > 31 ? 31 : <i32>n); }
// @ts-ignore: decorator
@inline export function sll64(v: v128, n: u64): v128 { return n > 63 ? i64x2(0, 0) : i64x2.shl(v, <i32>n); }
// @ts-ignore: decorator
@inline export function srl64(v: v128, n: u64): v128 { return n > 63 ? i64x2(0, 0) : i64x2.shr_u(v, <i32>n); }

/** PSLLDQ: left by n bytes. */
export function shiftLeft128(v: v128, n: u32): v128 {
  return n > 15 ? ZERO : i8x16.swizzle(v, i8x16.sub(IOTA, i8x16.splat(<i8>n)));
}

/** PSRLDQ: right by n bytes. */
export function shiftRight128(v: v128, n: u32): v128 {
  return n > 15 ? ZERO : i8x16.swizzle(v, i8x16.add(IOTA, i8x16.splat(<i8>n)));
}

/** PALIGNR: the low 16 bytes of high:low shifted right by n bytes. */
export function align128(high: v128, low: v128, n: u32): v128 {
  if (n < 16) return n == 0 ? low : v128.or(shiftRight128(low, n), shiftLeft128(high, 16 - n));
  return shiftRight128(high, n - 16);
}
