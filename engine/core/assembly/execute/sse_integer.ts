/**
 * Packed logic, shuffles and integer arithmetic: `xmm, xmm/m128 [, imm8]`, the memory operand aligned.
 *
 * @spec  SDM vol. 2; rows: engine/core/tables/opcodes/sse_integer.ts
 * @cover #Y all rows
 */
import { xmm } from '../cpu';
import { raise, UD } from '../fault';
import {
  OP_ANDNPD, OP_ANDNPS, OP_ANDPD, OP_ANDPS, OP_BLENDPD, OP_BLENDPS, OP_BLENDVPD, OP_BLENDVPS, OP_MPSADBW, OP_ORPD, OP_ORPS,
  OP_PABSB_XMM, OP_PABSD_XMM, OP_PABSW_XMM, OP_PACKSSDW_XMM, OP_PACKSSWB_XMM, OP_PACKUSDW, OP_PACKUSWB_XMM, OP_PADDB_XMM,
  OP_PADDD_XMM, OP_PADDQ_XMM, OP_PADDSB_XMM, OP_PADDSW_XMM, OP_PADDUSB_XMM, OP_PADDUSW_XMM, OP_PADDW_XMM, OP_PALIGNR_XMM,
  OP_PANDN_XMM, OP_PAND_XMM, OP_PAVGB_XMM, OP_PAVGW_XMM, OP_PBLENDVB, OP_PBLENDW, OP_PCMPEQB_XMM, OP_PCMPEQD_XMM, OP_PCMPEQQ,
  OP_PCMPEQW_XMM, OP_PCMPGTB_XMM, OP_PCMPGTD_XMM, OP_PCMPGTQ, OP_PCMPGTW_XMM, OP_PHADDD_XMM, OP_PHADDSW_XMM, OP_PHADDW_XMM,
  OP_PHMINPOSUW, OP_PHSUBD_XMM, OP_PHSUBSW_XMM, OP_PHSUBW_XMM, OP_PMADDUBSW_XMM, OP_PMADDWD_XMM, OP_PMAXSB, OP_PMAXSD,
  OP_PMAXSW_XMM, OP_PMAXUB_XMM, OP_PMAXUD, OP_PMAXUW, OP_PMINSB, OP_PMINSD, OP_PMINSW_XMM, OP_PMINUB_XMM, OP_PMINUD, OP_PMINUW,
  OP_PMULDQ, OP_PMULHRSW_XMM, OP_PMULHUW_XMM, OP_PMULHW_XMM, OP_PMULLD, OP_PMULLW_XMM, OP_PMULUDQ_XMM, OP_POR_XMM, OP_PSADBW_XMM,
  OP_PSHUFB_XMM, OP_PSHUFD, OP_PSHUFHW, OP_PSHUFLW, OP_PSIGNB_XMM, OP_PSIGND_XMM, OP_PSIGNW_XMM, OP_PSLLD_XMM, OP_PSLLQ_XMM,
  OP_PSLLW_XMM, OP_PSRAD_XMM, OP_PSRAW_XMM, OP_PSRLD_XMM, OP_PSRLQ_XMM, OP_PSRLW_XMM, OP_PSUBB_XMM, OP_PSUBD_XMM, OP_PSUBQ_XMM,
  OP_PSUBSB_XMM, OP_PSUBSW_XMM, OP_PSUBUSB_XMM, OP_PSUBUSW_XMM, OP_PSUBW_XMM, OP_PUNPCKHBW_XMM, OP_PUNPCKHDQ_XMM, OP_PUNPCKHQDQ,
  OP_PUNPCKHWD_XMM, OP_PUNPCKLBW_XMM, OP_PUNPCKLDQ_XMM, OP_PUNPCKLQDQ, OP_PUNPCKLWD_XMM, OP_PXOR_XMM, OP_SHUFPD, OP_SHUFPS,
  OP_UNPCKHPD, OP_UNPCKHPS, OP_UNPCKLPD, OP_UNPCKLPS, OP_XORPD, OP_XORPS,
} from '../gen/ops';
import {
  absoluteDifferences, blend16, blend32, blend64, horizontalAdd16, horizontalAdd32, horizontalAddSaturated16, horizontalSub16,
  horizontalSub32, horizontalSubSaturated16, maddUnsignedSigned, minimumPosition, mulHigh16, mulHighRounded16, mulHighUnsigned16,
  multiAbsoluteDifferences, mulSigned32, mulUnsigned32, shuffleHigh16, shuffleLow16, shufflePairs32, shufflePairs64, shuffle32, sign16, sign32, sign8,
} from '../sse/packed';
import { checkSse, destination, imm8, source128 } from '../sse/operand';
import { align128, sll16, sll32, sll64, sra16, sra32, srl16, srl32, srl64 } from '../sse/shift';

// @ts-ignore: decorator
@inline function count(s: v128): u64 { return <u64>i64x2.extract_lane(s, 0); }

export function execSseInteger(op: u32, rec: usize): void {
  checkSse();
  const s = source128(rec);
  const d = destination(rec);
  const a = load<v128>(d);
  let r = s;
  switch (op) {
    case OP_ANDPS:
    case OP_ANDPD:
    case OP_PAND_XMM: r = v128.and(a, s); break;
    case OP_ANDNPS:
    case OP_ANDNPD:
    case OP_PANDN_XMM: r = v128.andnot(s, a); break;
    case OP_ORPS:
    case OP_ORPD:
    case OP_POR_XMM: r = v128.or(a, s); break;
    case OP_XORPS:
    case OP_XORPD:
    case OP_PXOR_XMM: r = v128.xor(a, s); break;
    case OP_UNPCKLPS:
    case OP_PUNPCKLDQ_XMM: r = i32x4.shuffle(a, s, 0, 4, 1, 5); break;
    case OP_UNPCKHPS:
    case OP_PUNPCKHDQ_XMM: r = i32x4.shuffle(a, s, 2, 6, 3, 7); break;
    case OP_UNPCKLPD:
    case OP_PUNPCKLQDQ: r = i64x2.shuffle(a, s, 0, 2); break;
    case OP_UNPCKHPD:
    case OP_PUNPCKHQDQ: r = i64x2.shuffle(a, s, 1, 3); break;
    case OP_PUNPCKLBW_XMM: r = i8x16.shuffle(a, s, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); break;
    case OP_PUNPCKHBW_XMM: r = i8x16.shuffle(a, s, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); break;
    case OP_PUNPCKLWD_XMM: r = i16x8.shuffle(a, s, 0, 8, 1, 9, 2, 10, 3, 11); break;
    case OP_PUNPCKHWD_XMM: r = i16x8.shuffle(a, s, 4, 12, 5, 13, 6, 14, 7, 15); break;
    case OP_SHUFPS: r = shufflePairs32(a, s, imm8(rec)); break;
    case OP_SHUFPD: r = shufflePairs64(a, s, imm8(rec)); break;
    case OP_PSHUFD: r = shuffle32(s, imm8(rec)); break;
    case OP_PSHUFHW: r = shuffleHigh16(s, imm8(rec)); break;
    case OP_PSHUFLW: r = shuffleLow16(s, imm8(rec)); break;
    case OP_PACKSSWB_XMM: r = i8x16.narrow_i16x8_s(a, s); break;
    case OP_PACKUSWB_XMM: r = i8x16.narrow_i16x8_u(a, s); break;
    case OP_PACKSSDW_XMM: r = i16x8.narrow_i32x4_s(a, s); break;
    case OP_PACKUSDW: r = i16x8.narrow_i32x4_u(a, s); break;
    case OP_PCMPGTB_XMM: r = i8x16.gt_s(a, s); break;
    case OP_PCMPGTW_XMM: r = i16x8.gt_s(a, s); break;
    case OP_PCMPGTD_XMM: r = i32x4.gt_s(a, s); break;
    case OP_PCMPGTQ: r = i64x2.gt_s(a, s); break;
    case OP_PCMPEQB_XMM: r = i8x16.eq(a, s); break;
    case OP_PCMPEQW_XMM: r = i16x8.eq(a, s); break;
    case OP_PCMPEQD_XMM: r = i32x4.eq(a, s); break;
    case OP_PCMPEQQ: r = i64x2.eq(a, s); break;
    case OP_PSRLW_XMM: r = srl16(a, count(s)); break;
    case OP_PSRLD_XMM: r = srl32(a, count(s)); break;
    case OP_PSRLQ_XMM: r = srl64(a, count(s)); break;
    case OP_PSRAW_XMM: r = sra16(a, count(s)); break;
    case OP_PSRAD_XMM: r = sra32(a, count(s)); break;
    case OP_PSLLW_XMM: r = sll16(a, count(s)); break;
    case OP_PSLLD_XMM: r = sll32(a, count(s)); break;
    case OP_PSLLQ_XMM: r = sll64(a, count(s)); break;
    case OP_PADDB_XMM: r = i8x16.add(a, s); break;
    case OP_PADDW_XMM: r = i16x8.add(a, s); break;
    case OP_PADDD_XMM: r = i32x4.add(a, s); break;
    case OP_PADDQ_XMM: r = i64x2.add(a, s); break;
    case OP_PADDSB_XMM: r = i8x16.add_sat_s(a, s); break;
    case OP_PADDSW_XMM: r = i16x8.add_sat_s(a, s); break;
    case OP_PADDUSB_XMM: r = i8x16.add_sat_u(a, s); break;
    case OP_PADDUSW_XMM: r = i16x8.add_sat_u(a, s); break;
    case OP_PSUBB_XMM: r = i8x16.sub(a, s); break;
    case OP_PSUBW_XMM: r = i16x8.sub(a, s); break;
    case OP_PSUBD_XMM: r = i32x4.sub(a, s); break;
    case OP_PSUBQ_XMM: r = i64x2.sub(a, s); break;
    case OP_PSUBSB_XMM: r = i8x16.sub_sat_s(a, s); break;
    case OP_PSUBSW_XMM: r = i16x8.sub_sat_s(a, s); break;
    case OP_PSUBUSB_XMM: r = i8x16.sub_sat_u(a, s); break;
    case OP_PSUBUSW_XMM: r = i16x8.sub_sat_u(a, s); break;
    case OP_PMULLW_XMM: r = i16x8.mul(a, s); break;
    case OP_PMULHW_XMM: r = mulHigh16(a, s); break;
    case OP_PMULHUW_XMM: r = mulHighUnsigned16(a, s); break;
    case OP_PMULHRSW_XMM: r = mulHighRounded16(a, s); break;
    case OP_PMULLD: r = i32x4.mul(a, s); break;
    case OP_PMULUDQ_XMM: r = mulUnsigned32(a, s); break;
    case OP_PMULDQ: r = mulSigned32(a, s); break;
    case OP_PMADDWD_XMM: r = i32x4.dot_i16x8_s(a, s); break;
    case OP_PMADDUBSW_XMM: r = maddUnsignedSigned(a, s); break;
    case OP_PSADBW_XMM: r = absoluteDifferences(a, s); break;
    case OP_PAVGB_XMM: r = i8x16.avgr_u(a, s); break;
    case OP_PAVGW_XMM: r = i16x8.avgr_u(a, s); break;
    case OP_PMINSB: r = i8x16.min_s(a, s); break;
    case OP_PMINSW_XMM: r = i16x8.min_s(a, s); break;
    case OP_PMINSD: r = i32x4.min_s(a, s); break;
    case OP_PMINUB_XMM: r = i8x16.min_u(a, s); break;
    case OP_PMINUW: r = i16x8.min_u(a, s); break;
    case OP_PMINUD: r = i32x4.min_u(a, s); break;
    case OP_PMAXSB: r = i8x16.max_s(a, s); break;
    case OP_PMAXSW_XMM: r = i16x8.max_s(a, s); break;
    case OP_PMAXSD: r = i32x4.max_s(a, s); break;
    case OP_PMAXUB_XMM: r = i8x16.max_u(a, s); break;
    case OP_PMAXUW: r = i16x8.max_u(a, s); break;
    case OP_PMAXUD: r = i32x4.max_u(a, s); break;
    // An index with bit 7 set gives zero; so does any index above 15 for swizzle.
    case OP_PSHUFB_XMM: r = i8x16.swizzle(a, v128.and(s, i8x16.splat(<i8>0x8f))); break;
    case OP_PHADDW_XMM: r = horizontalAdd16(a, s); break;
    case OP_PHADDD_XMM: r = horizontalAdd32(a, s); break;
    case OP_PHADDSW_XMM: r = horizontalAddSaturated16(a, s); break;
    case OP_PHSUBW_XMM: r = horizontalSub16(a, s); break;
    case OP_PHSUBD_XMM: r = horizontalSub32(a, s); break;
    case OP_PHSUBSW_XMM: r = horizontalSubSaturated16(a, s); break;
    case OP_PSIGNB_XMM: r = sign8(a, s); break;
    case OP_PSIGNW_XMM: r = sign16(a, s); break;
    case OP_PSIGND_XMM: r = sign32(a, s); break;
    case OP_PABSB_XMM: r = i8x16.abs(s); break;
    case OP_PABSW_XMM: r = i16x8.abs(s); break;
    case OP_PABSD_XMM: r = i32x4.abs(s); break;
    case OP_PALIGNR_XMM: r = align128(a, s, imm8(rec)); break;
    case OP_PBLENDVB: r = v128.bitselect(s, a, i8x16.shr_s(load<v128>(xmm(0)), 7)); break;
    case OP_BLENDVPS: r = v128.bitselect(s, a, i32x4.shr_s(load<v128>(xmm(0)), 31)); break;
    case OP_BLENDVPD: r = v128.bitselect(s, a, i64x2.shr_s(load<v128>(xmm(0)), 63)); break;
    case OP_BLENDPS: r = blend32(a, s, imm8(rec)); break;
    case OP_BLENDPD: r = blend64(a, s, imm8(rec)); break;
    case OP_PBLENDW: r = blend16(a, s, imm8(rec)); break;
    case OP_PHMINPOSUW: r = minimumPosition(s); break;
    case OP_MPSADBW: r = multiAbsoluteDifferences(a, s, imm8(rec)); break;
    default: raise(UD);
  }
  store<v128>(d, r);
}
