/**
 * Carry-less multiplication. Integer multiplication of numbers with only every fourth bit set leaves three bits of room
 * for carries between the bits, so sixteen of them make one carry-less product; the high half comes from the product of
 * the bit-reversed operands.
 *
 * @spec SDM vol. 2: PCLMULQDQ
 */

const M0: u64 = 0x1111111111111111;
const M1: u64 = 0x2222222222222222;
const M2: u64 = 0x4444444444444444;
const M3: u64 = 0x8888888888888888;

/** Bits 63:0 of the carry-less product. */
function low(a: u64, b: u64): u64 {
  const a0 = a & M0; const a1 = a & M1; const a2 = a & M2; const a3 = a & M3;
  const b0 = b & M0; const b1 = b & M1; const b2 = b & M2; const b3 = b & M3;
  const c0 = (a0 * b0) ^ (a1 * b3) ^ (a2 * b2) ^ (a3 * b1);
  const c1 = (a0 * b1) ^ (a1 * b0) ^ (a2 * b3) ^ (a3 * b2);
  const c2 = (a0 * b2) ^ (a1 * b1) ^ (a2 * b0) ^ (a3 * b3);
  const c3 = (a0 * b3) ^ (a1 * b2) ^ (a2 * b1) ^ (a3 * b0);
  return (c0 & M0) | (c1 & M1) | (c2 & M2) | (c3 & M3);
}

function reverse(v: u64): u64 {
  let x = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
  x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
  x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
  return bswap<u64>(x);
}

/** The 127-bit product of two quadwords. */
export function carrylessProduct(a: u64, b: u64): v128 {
  const high = reverse(low(reverse(a), reverse(b))) >> 1;
  return i64x2.replace_lane(i64x2.splat(<i64>low(a, b)), 1, <i64>high);
}
