/**
 * Packed operations on MMX operands: results of `mm, mm/m64`.
 *
 * @spec SDM vol. 2, PABSB to PXOR
 */
import {
  OP_PABSB_MMX, OP_PABSD_MMX, OP_PABSW_MMX, OP_PACKSSDW_MMX, OP_PACKSSWB_MMX, OP_PACKUSWB_MMX, OP_PADDB_MMX, OP_PADDD_MMX, OP_PADDQ_MMX,
  OP_PADDSB_MMX, OP_PADDSW_MMX, OP_PADDUSB_MMX, OP_PADDUSW_MMX, OP_PADDW_MMX, OP_PANDN_MMX, OP_PAND_MMX, OP_PAVGB_MMX, OP_PAVGW_MMX,
  OP_PCMPEQB_MMX, OP_PCMPEQD_MMX, OP_PCMPEQW_MMX, OP_PCMPGTB_MMX, OP_PCMPGTD_MMX, OP_PCMPGTW_MMX, OP_PHADDD_MMX, OP_PHADDSW_MMX,
  OP_PHADDW_MMX, OP_PHSUBD_MMX, OP_PHSUBSW_MMX, OP_PHSUBW_MMX, OP_PMADDUBSW_MMX, OP_PMADDWD_MMX, OP_PMAXSW_MMX, OP_PMAXUB_MMX,
  OP_PMINSW_MMX, OP_PMINUB_MMX, OP_PMULHRSW_MMX, OP_PMULHUW_MMX, OP_PMULHW_MMX, OP_PMULLW_MMX, OP_PMULUDQ_MMX, OP_POR_MMX, OP_PSADBW_MMX,
  OP_PSHUFB_MMX, OP_PSIGNB_MMX, OP_PSIGND_MMX, OP_PSIGNW_MMX, OP_PSLLD_MMX, OP_PSLLQ_MMX, OP_PSLLW_MMX, OP_PSRAD_MMX, OP_PSRAW_MMX,
  OP_PSRLD_MMX, OP_PSRLQ_MMX, OP_PSRLW_MMX, OP_PSUBB_MMX, OP_PSUBD_MMX, OP_PSUBQ_MMX, OP_PSUBSB_MMX, OP_PSUBSW_MMX, OP_PSUBUSB_MMX,
  OP_PSUBUSW_MMX, OP_PSUBW_MMX, OP_PUNPCKHBW_MMX, OP_PUNPCKHDQ_MMX, OP_PUNPCKHWD_MMX, OP_PUNPCKLBW_MMX, OP_PUNPCKLDQ_MMX,
  OP_PUNPCKLWD_MMX, OP_PXOR_MMX,
} from '../gen/ops';
import { sll16, sll32, sra16, sra32, srl16, srl32 } from '../sse/shift';

// @ts-ignore: decorator
@inline function low(v: v128): u64 { return <u64>i64x2.extract_lane(v, 0); }

/** x is the destination operand, y the source. */
export function packed(op: u32, x: u64, y: u64): u64 {
  const a = i64x2.splat(<i64>x), b = i64x2.splat(<i64>y);
  switch (op) {
    case OP_PUNPCKLBW_MMX: return low(i8x16.shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 0, 0, 0, 0, 0, 0, 0, 0));
    case OP_PUNPCKLWD_MMX: return low(i16x8.shuffle(a, b, 0, 8, 1, 9, 0, 0, 0, 0));
    case OP_PUNPCKLDQ_MMX: return (x & 0xffff_ffff) | (y << 32);
    case OP_PUNPCKHBW_MMX: return low(i8x16.shuffle(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 0, 0, 0, 0, 0, 0, 0, 0));
    case OP_PUNPCKHWD_MMX: return low(i16x8.shuffle(a, b, 2, 10, 3, 11, 0, 0, 0, 0));
    case OP_PUNPCKHDQ_MMX: return (x >> 32) | (y & 0xffff_ffff_0000_0000);
    case OP_PACKSSWB_MMX: return low(i8x16.narrow_i16x8_s(pair(x, y), a));
    case OP_PACKUSWB_MMX: return low(i8x16.narrow_i16x8_u(pair(x, y), a));
    case OP_PACKSSDW_MMX: return low(i16x8.narrow_i32x4_s(pair(x, y), a));
    case OP_PCMPGTB_MMX: return low(i8x16.gt_s(a, b));
    case OP_PCMPGTW_MMX: return low(i16x8.gt_s(a, b));
    case OP_PCMPGTD_MMX: return low(i32x4.gt_s(a, b));
    case OP_PCMPEQB_MMX: return low(i8x16.eq(a, b));
    case OP_PCMPEQW_MMX: return low(i16x8.eq(a, b));
    case OP_PCMPEQD_MMX: return low(i32x4.eq(a, b));
    case OP_PSRLW_MMX: return low(srl16(a, y));
    case OP_PSRLD_MMX: return low(srl32(a, y));
    case OP_PSRLQ_MMX: return y > 63 ? 0 : x >> y;
    case OP_PSRAW_MMX: return low(sra16(a, y));
    case OP_PSRAD_MMX: return low(sra32(a, y));
    case OP_PSLLW_MMX: return low(sll16(a, y));
    case OP_PSLLD_MMX: return low(sll32(a, y));
    case OP_PSLLQ_MMX: return y > 63 ? 0 : x << y;
    case OP_PAND_MMX: return x & y;
    case OP_PANDN_MMX: return ~x & y;
    case OP_POR_MMX: return x | y;
    case OP_PXOR_MMX: return x ^ y;
    case OP_PADDB_MMX: return low(i8x16.add(a, b));
    case OP_PADDW_MMX: return low(i16x8.add(a, b));
    case OP_PADDD_MMX: return low(i32x4.add(a, b));
    case OP_PADDQ_MMX: return x + y;
    case OP_PADDSB_MMX: return low(i8x16.add_sat_s(a, b));
    case OP_PADDSW_MMX: return low(i16x8.add_sat_s(a, b));
    case OP_PADDUSB_MMX: return low(i8x16.add_sat_u(a, b));
    case OP_PADDUSW_MMX: return low(i16x8.add_sat_u(a, b));
    case OP_PSUBB_MMX: return low(i8x16.sub(a, b));
    case OP_PSUBW_MMX: return low(i16x8.sub(a, b));
    case OP_PSUBD_MMX: return low(i32x4.sub(a, b));
    case OP_PSUBQ_MMX: return x - y;
    case OP_PSUBSB_MMX: return low(i8x16.sub_sat_s(a, b));
    case OP_PSUBSW_MMX: return low(i16x8.sub_sat_s(a, b));
    case OP_PSUBUSB_MMX: return low(i8x16.sub_sat_u(a, b));
    case OP_PSUBUSW_MMX: return low(i16x8.sub_sat_u(a, b));
    case OP_PMULLW_MMX: return low(i16x8.mul(a, b));
    case OP_PMULHW_MMX: return highWords(i32x4.extmul_low_i16x8_s(a, b));
    case OP_PMULHUW_MMX: return highWords(i32x4.extmul_low_i16x8_u(a, b));
    case OP_PMADDWD_MMX: return low(i32x4.dot_i16x8_s(a, b));
    case OP_PMULUDQ_MMX: return (x & 0xffff_ffff) * (y & 0xffff_ffff);
    case OP_PMINUB_MMX: return low(i8x16.min_u(a, b));
    case OP_PMAXUB_MMX: return low(i8x16.max_u(a, b));
    case OP_PMINSW_MMX: return low(i16x8.min_s(a, b));
    case OP_PMAXSW_MMX: return low(i16x8.max_s(a, b));
    case OP_PAVGB_MMX: return low(i8x16.avgr_u(a, b));
    case OP_PAVGW_MMX: return low(i16x8.avgr_u(a, b));
    case OP_PSADBW_MMX: return sumOfDifferences(a, b);
    case OP_PSHUFB_MMX: return low(i8x16.swizzle(a, v128.and(b, i8x16.splat(<i8>0x87))));
    case OP_PHADDW_MMX: { const v = pair(x, y); return low(i16x8.add(evens(v), odds(v))); }
    case OP_PHADDSW_MMX: { const v = pair(x, y); return low(i16x8.add_sat_s(evens(v), odds(v))); }
    case OP_PHSUBW_MMX: { const v = pair(x, y); return low(i16x8.sub(evens(v), odds(v))); }
    case OP_PHSUBSW_MMX: { const v = pair(x, y); return low(i16x8.sub_sat_s(evens(v), odds(v))); }
    case OP_PHADDD_MMX: return <u64>(<u32>x + <u32>(x >> 32)) | (<u64>(<u32>y + <u32>(y >> 32)) << 32);
    case OP_PHSUBD_MMX: return <u64>(<u32>x - <u32>(x >> 32)) | (<u64>(<u32>y - <u32>(y >> 32)) << 32);
    case OP_PMADDUBSW_MMX: return multiplyAddBytes(a, b);
    case OP_PMULHRSW_MMX: return roundedHigh(a, b);
    case OP_PSIGNB_MMX: return sign(i8x16.eq(b, i64x2(0, 0)), i8x16.lt_s(b, i64x2(0, 0)), a, i8x16.neg(a));
    case OP_PSIGNW_MMX: return sign(i16x8.eq(b, i64x2(0, 0)), i16x8.lt_s(b, i64x2(0, 0)), a, i16x8.neg(a));
    case OP_PSIGND_MMX: return sign(i32x4.eq(b, i64x2(0, 0)), i32x4.lt_s(b, i64x2(0, 0)), a, i32x4.neg(a));
    case OP_PABSB_MMX: return low(i8x16.abs(b));
    case OP_PABSW_MMX: return low(i16x8.abs(b));
    case OP_PABSD_MMX: return low(i32x4.abs(b));
    default: return x;
  }
}

/** x below y in one vector. */
// @ts-ignore: decorator
@inline function pair(x: u64, y: u64): v128 { return i64x2.replace_lane(i64x2.splat(<i64>x), 1, <i64>y); }
// @ts-ignore: decorator
@inline function evens(v: v128): v128 { return i16x8.shuffle(v, v, 0, 2, 4, 6, 0, 2, 4, 6); }
// @ts-ignore: decorator
@inline function odds(v: v128): v128 { return i16x8.shuffle(v, v, 1, 3, 5, 7, 1, 3, 5, 7); }

/** The high words of four doubleword products. */
function highWords(products: v128): u64 { return low(i16x8.shuffle(products, products, 1, 3, 5, 7, 1, 3, 5, 7)); }

function sumOfDifferences(a: v128, b: v128): u64 {
  const differences = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const quads = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(differences));
  return <u64>(i32x4.extract_lane(quads, 0) + i32x4.extract_lane(quads, 1));
}

/** PMADDUBSW: unsigned bytes of a by signed bytes of b, adjacent products added with saturation. */
function multiplyAddBytes(a: v128, b: v128): u64 {
  const even = i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8));
  const odd = i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8));
  return low(i16x8.add_sat_s(even, odd));
}

/** PMULHRSW: (a * b / 2^14 + 1) / 2. */
function roundedHigh(a: v128, b: v128): u64 {
  const products = i32x4.extmul_low_i16x8_s(a, b);
  const rounded = i32x4.shr_s(i32x4.add(i32x4.shr_s(products, 14), i32x4.splat(1)), 1);
  return low(i16x8.shuffle(rounded, rounded, 0, 2, 4, 6, 0, 2, 4, 6));
}

/** PSIGN: zero, negated or kept. */
function sign(zero: v128, negative: v128, a: v128, negated: v128): u64 {
  return low(v128.andnot(v128.bitselect(negated, a, negative), zero));
}
