/**
 * Packed integer operations that WebAssembly has no single instruction for.
 *
 * @spec SDM vol. 2, "Operation" sections of the instructions named at each function
 */

// --- shuffles by an immediate: the immediate becomes a byte index vector for one swizzle

/** Bytes 4s..4s+3 as an index. */
// @ts-ignore: decorator
@inline function dword(s: u32): u64 { return <u64>(0x03020100 + (s & 3) * 0x04040404); }
/** Bytes 2s, 2s+1 as an index. */
// @ts-ignore: decorator
@inline function word(s: u32): u64 { return <u64>(0x0100 + (s & 3) * 0x0202); }
// @ts-ignore: decorator
@inline function pair(low: u64, high: u64): v128 { return i64x2.replace_lane(i64x2.splat(<i64>low), 1, <i64>high); }
// @ts-ignore: decorator
@inline function words(imm: u32): u64 { return word(imm) | word(imm >> 2) << 16 | word(imm >> 4) << 32 | word(imm >> 6) << 48; }

/** PSHUFD. */
export function shuffle32(s: v128, imm: u32): v128 {
  return i8x16.swizzle(s, pair(dword(imm) | dword(imm >> 2) << 32, dword(imm >> 4) | dword(imm >> 6) << 32));
}

/** SHUFPS: two lanes of the first operand, then two of the second. */
export function shufflePairs32(a: v128, s: v128, imm: u32): v128 {
  const index = pair(dword(imm) | dword(imm >> 2) << 32, dword(imm >> 4) | dword(imm >> 6) << 32);
  return i64x2.shuffle(i8x16.swizzle(a, index), i8x16.swizzle(s, index), 0, 3);
}

/** SHUFPD. */
export function shufflePairs64(a: v128, s: v128, imm: u32): v128 {
  switch (imm & 3) {
    case 0: return i64x2.shuffle(a, s, 0, 2);
    case 1: return i64x2.shuffle(a, s, 1, 2);
    case 2: return i64x2.shuffle(a, s, 0, 3);
    default: return i64x2.shuffle(a, s, 1, 3);
  }
}

/** PSHUFLW. */
export function shuffleLow16(s: v128, imm: u32): v128 {
  return i8x16.swizzle(s, pair(words(imm), 0x0f0e0d0c0b0a0908));
}

/** PSHUFHW. */
export function shuffleHigh16(s: v128, imm: u32): v128 {
  return i8x16.swizzle(s, pair(0x0706050403020100, words(imm) + 0x0808080808080808));
}

/** BLENDPS: lane i from the second operand where bit i of the immediate is set. */
export function blend32(a: v128, s: v128, imm: u32): v128 {
  const bits = v128.and(i32x4.splat(imm), i32x4(1, 2, 4, 8));
  return v128.bitselect(a, s, i32x4.eq(bits, i32x4.splat(0)));
}

/** BLENDPD. */
export function blend64(a: v128, s: v128, imm: u32): v128 {
  const bits = v128.and(i64x2.splat(<i64>imm), i64x2(1, 2));
  return v128.bitselect(a, s, i64x2.eq(bits, i64x2.splat(0)));
}

/** PBLENDW. */
export function blend16(a: v128, s: v128, imm: u32): v128 {
  const bits = v128.and(i16x8.splat(<i16>imm), i16x8(1, 2, 4, 8, 16, 32, 64, 128));
  return v128.bitselect(a, s, i16x8.eq(bits, i16x8.splat(0)));
}

// --- multiplication

/** PMULHW. */
export function mulHigh16(a: v128, b: v128): v128 {
  return i16x8.shuffle(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
}

/** PMULHUW. */
export function mulHighUnsigned16(a: v128, b: v128): v128 {
  return i16x8.shuffle(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), 1, 3, 5, 7, 9, 11, 13, 15);
}

/** PMULHRSW: unlike WebAssembly's q15mulr, -1 times -1 wraps to -1. */
export function mulHighRounded16(a: v128, b: v128): v128 {
  const minimum = i16x8.splat(-0x8000);
  return v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, minimum), i16x8.eq(b, minimum)));
}

/** PMULUDQ: lanes 0 and 2. */
export function mulUnsigned32(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_u(i32x4.shuffle(a, a, 0, 2, 0, 2), i32x4.shuffle(b, b, 0, 2, 0, 2));
}

/** PMULDQ. */
export function mulSigned32(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_s(i32x4.shuffle(a, a, 0, 2, 0, 2), i32x4.shuffle(b, b, 0, 2, 0, 2));
}

/** PMADDUBSW: unsigned bytes of the first times signed bytes of the second, neighbours added with signed saturation. */
export function maddUnsignedSigned(a: v128, b: v128): v128 {
  const even = i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8));
  const odd = i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8));
  return i16x8.add_sat_s(even, odd);
}

// --- horizontal arithmetic

// @ts-ignore: decorator
@inline function even16(a: v128, s: v128): v128 { return i16x8.shuffle(a, s, 0, 2, 4, 6, 8, 10, 12, 14); }
// @ts-ignore: decorator
@inline function odd16(a: v128, s: v128): v128 { return i16x8.shuffle(a, s, 1, 3, 5, 7, 9, 11, 13, 15); }
// @ts-ignore: decorator
@inline function even32(a: v128, s: v128): v128 { return i32x4.shuffle(a, s, 0, 2, 4, 6); }
// @ts-ignore: decorator
@inline function odd32(a: v128, s: v128): v128 { return i32x4.shuffle(a, s, 1, 3, 5, 7); }

/** PHADDW, PHADDD, PHADDSW, PHSUBW, PHSUBD, PHSUBSW. */
export function horizontalAdd16(a: v128, s: v128): v128 { return i16x8.add(even16(a, s), odd16(a, s)); }
export function horizontalAdd32(a: v128, s: v128): v128 { return i32x4.add(even32(a, s), odd32(a, s)); }
export function horizontalAddSaturated16(a: v128, s: v128): v128 { return i16x8.add_sat_s(even16(a, s), odd16(a, s)); }
export function horizontalSub16(a: v128, s: v128): v128 { return i16x8.sub(even16(a, s), odd16(a, s)); }
export function horizontalSub32(a: v128, s: v128): v128 { return i32x4.sub(even32(a, s), odd32(a, s)); }
export function horizontalSubSaturated16(a: v128, s: v128): v128 { return i16x8.sub_sat_s(even16(a, s), odd16(a, s)); }

/** PSIGNB: negate where the second operand is negative, clear where it is zero. */
export function sign8(a: v128, s: v128): v128 {
  const negative = i8x16.shr_s(s, 7);
  return v128.andnot(i8x16.sub(v128.xor(a, negative), negative), i8x16.eq(s, i8x16.splat(0)));
}

/** PSIGNW. */
export function sign16(a: v128, s: v128): v128 {
  const negative = i16x8.shr_s(s, 15);
  return v128.andnot(i16x8.sub(v128.xor(a, negative), negative), i16x8.eq(s, i16x8.splat(0)));
}

/** PSIGND. */
export function sign32(a: v128, s: v128): v128 {
  const negative = i32x4.shr_s(s, 31);
  return v128.andnot(i32x4.sub(v128.xor(a, negative), negative), i32x4.eq(s, i32x4.splat(0)));
}

// --- sums of absolute differences, minimum position

/** PSADBW: one sum for each eight bytes, in a quadword. */
export function absoluteDifferences(a: v128, b: v128): v128 {
  const difference = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const quads = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference));
  return i64x2.add(v128.and(quads, i64x2.splat(0xffffffff)), i64x2.shr_u(quads, 32));
}

/** Eight sums of |a[i+k] - b[k]|, k = 0..3: `a` starts at the block MPSADBW slides over, b's four bytes are repeated. */
export function multiAbsoluteDifferences(a: v128, s: v128, imm: u32): v128 {
  const first = i8x16.splat(<i8>((imm & 4) != 0 ? 4 : 0));
  const slide = i8x16.swizzle(a, i8x16.add(i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), first));
  const block = i8x16.swizzle(s, i8x16.add(i8x16(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3), i8x16.splat(<i8>((imm & 3) << 2))));
  const low = fourSums(i8x16.shuffle(slide, slide, 0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6), block);
  const high = fourSums(i8x16.shuffle(slide, slide, 4, 5, 6, 7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10), block);
  return i16x8.narrow_i32x4_u(low, high);
}

// @ts-ignore: decorator
@inline function fourSums(a: v128, b: v128): v128 {
  const difference = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  return i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference));
}

/** PHMINPOSUW: the smallest word in bits 15:0, its first position in bits 18:16. */
export function minimumPosition(s: v128): v128 {
  // Value and position in one number: the smallest of these is the first of the smallest words.
  const low = v128.or(i32x4.shl(i32x4.extend_low_i16x8_u(s), 3), i32x4(0, 1, 2, 3));
  const high = v128.or(i32x4.shl(i32x4.extend_high_i16x8_u(s), 3), i32x4(4, 5, 6, 7));
  const four = i32x4.min_u(low, high);
  const two = i32x4.min_u(four, i32x4.shuffle(four, four, 2, 3, 0, 1));
  const one = <u32>i32x4.extract_lane(i32x4.min_u(two, i32x4.shuffle(two, two, 1, 0, 3, 2)), 0);
  return i64x2.replace_lane(i64x2.splat(0), 0, <i64>(one >> 3 | (one & 7) << 16));
}
