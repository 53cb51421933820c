/**
 * SSE4.1 and SSE4.2: widening moves, lane inserts and extracts, PTEST, text string comparison.
 *
 * @spec  SDM vol. 2; rows: engine/core/tables/opcodes/sse4.ts
 * @cover #Y all rows
 */
import { gpr32, gpr64, RAX, RCX, RDX, setGpr32, setGpr64, xmm } from '../cpu';
import { raise, UD } from '../fault';
import {
  OP_EXTRACTPS, OP_INSERTPS, OP_PCMPESTRI, OP_PCMPESTRM, OP_PCMPISTRI, OP_PCMPISTRM, OP_PEXTRB, OP_PEXTRD, OP_PEXTRW_SSE4, OP_PINSRB,
  OP_PINSRD, OP_PMOVSXBD, OP_PMOVSXBQ, OP_PMOVSXBW, OP_PMOVSXDQ, OP_PMOVSXWD, OP_PMOVSXWQ, OP_PMOVZXBD, OP_PMOVZXBQ, OP_PMOVZXBW,
  OP_PMOVZXDQ, OP_PMOVZXWD, OP_PMOVZXWQ, OP_PTEST,
} from '../gen/ops';
import { linear, read32, read64, read8, write16, write32, write64, write8 } from '../mmu';
import { isMem, recFlags, recRm, REC_REXW } from '../record';
import { checkSse, destination, imm8, setStatusFlags, source128, source128u, source16, source32, source64 } from '../sse/operand';
import { aggregate, explicitLength, implicitLength, indexOf, maskOf, stringFlags } from '../sse/text';

const ZF: u32 = 0x40;
const CF: u32 = 1;

// @ts-ignore: decorator
@inline function low64(v: u64): v128 { return i64x2.splat(<i64>v); }

export function execSse4(op: u32, rec: usize): void {
  checkSse();
  const d = destination(rec);
  switch (op) {
    case OP_PMOVSXBW: store<v128>(d, i16x8.extend_low_i8x16_s(low64(source64(rec)))); break;
    case OP_PMOVZXBW: store<v128>(d, i16x8.extend_low_i8x16_u(low64(source64(rec)))); break;
    case OP_PMOVSXBD: store<v128>(d, i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(low64(<u64>source32(rec))))); break;
    case OP_PMOVZXBD: store<v128>(d, i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(low64(<u64>source32(rec))))); break;
    case OP_PMOVSXBQ: store<v128>(d, i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(low64(<u64>source16(rec)))))); break;
    case OP_PMOVZXBQ: store<v128>(d, i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(low64(<u64>source16(rec)))))); break;
    case OP_PMOVSXWD: store<v128>(d, i32x4.extend_low_i16x8_s(low64(source64(rec)))); break;
    case OP_PMOVZXWD: store<v128>(d, i32x4.extend_low_i16x8_u(low64(source64(rec)))); break;
    case OP_PMOVSXWQ: store<v128>(d, i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(low64(<u64>source32(rec))))); break;
    case OP_PMOVZXWQ: store<v128>(d, i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(low64(<u64>source32(rec))))); break;
    case OP_PMOVSXDQ: store<v128>(d, i64x2.extend_low_i32x4_s(low64(source64(rec)))); break;
    case OP_PMOVZXDQ: store<v128>(d, i64x2.extend_low_i32x4_u(low64(source64(rec)))); break;
    case OP_PTEST: {
      const s = source128(rec);
      const a = load<v128>(d);
      setStatusFlags((v128.any_true(v128.and(a, s)) ? 0 : ZF) | (v128.any_true(v128.andnot(s, a)) ? 0 : CF));
      break;
    }
    case OP_PEXTRB: {
      const v = load<u8>(d + <usize>(imm8(rec) & 15));
      if (isMem(rec)) write8(linear(rec, 1, true), v); else setGpr32(recRm(rec), <u32>v);
      break;
    }
    case OP_PEXTRW_SSE4: {
      const v = load<u16>(d + (<usize>(imm8(rec) & 7) << 1));
      if (isMem(rec)) write16(linear(rec, 2, true), v); else setGpr32(recRm(rec), <u32>v);
      break;
    }
    case OP_PEXTRD: {
      if ((recFlags(rec) & REC_REXW) != 0) {
        const v = load<u64>(d + (<usize>(imm8(rec) & 1) << 3));
        if (isMem(rec)) write64(linear(rec, 8, true), v); else setGpr64(recRm(rec), v);
      } else {
        const v = load<u32>(d + (<usize>(imm8(rec) & 3) << 2));
        if (isMem(rec)) write32(linear(rec, 4, true), v); else setGpr32(recRm(rec), v);
      }
      break;
    }
    case OP_EXTRACTPS: {
      const v = load<u32>(d + (<usize>(imm8(rec) & 3) << 2));
      if (isMem(rec)) write32(linear(rec, 4, true), v); else setGpr32(recRm(rec), v);
      break;
    }
    case OP_PINSRB: {
      const v = isMem(rec) ? read8(linear(rec, 1, false)) : <u8>gpr32(recRm(rec));
      store<u8>(d + <usize>(imm8(rec) & 15), v);
      break;
    }
    case OP_PINSRD: {
      if ((recFlags(rec) & REC_REXW) != 0) {
        const v = isMem(rec) ? read64(linear(rec, 8, false)) : gpr64(recRm(rec));
        store<u64>(d + (<usize>(imm8(rec) & 1) << 3), v);
      } else {
        const v = isMem(rec) ? read32(linear(rec, 4, false)) : gpr32(recRm(rec));
        store<u32>(d + (<usize>(imm8(rec) & 3) << 2), v);
      }
      break;
    }
    case OP_INSERTPS: insertps(rec, d); break;
    case OP_PCMPESTRM:
    case OP_PCMPESTRI: {
      const s = source128u(rec);
      const control = imm8(rec);
      const wide = (recFlags(rec) & REC_REXW) != 0;
      const length1 = explicitLength(wide ? <i64>gpr64(RAX) : <i64><i32>gpr32(RAX), control);
      const length2 = explicitLength(wide ? <i64>gpr64(RDX) : <i64><i32>gpr32(RDX), control);
      finish(op == OP_PCMPESTRM, load<v128>(d), s, length1, length2, control);
      break;
    }
    case OP_PCMPISTRM:
    case OP_PCMPISTRI: {
      const s = source128u(rec);
      const a = load<v128>(d);
      const control = imm8(rec);
      finish(op == OP_PCMPISTRM, a, s, implicitLength(a, control), implicitLength(s, control), control);
      break;
    }
    default: raise(UD);
  }
}

/** INSERTPS: imm8 is count_s (7:6, register form only), count_d (5:4), zero mask (3:0). */
function insertps(rec: usize, d: usize): void {
  const imm = imm8(rec);
  const v = isMem(rec) ? read32(linear(rec, 4, false)) : load<u32>(xmm(recRm(rec)) + (<usize>(imm >> 6) << 2));
  store<u32>(d + (<usize>(imm >> 4 & 3) << 2), v);
  for (let i: u32 = 0; i < 4; i++) {
    if ((imm >> i & 1) != 0) store<u32>(d + (<usize>i << 2), 0);
  }
}

/** Result and flags of the four string comparisons: a mask in XMM0, or an index in ECX. */
function finish(mask: bool, first: v128, second: v128, length1: u32, length2: u32, control: u32): void {
  const result = aggregate(first, second, length1, length2, control);
  if (mask) store<v128>(xmm(0), maskOf(result, control));
  else setGpr32(RCX, indexOf(result, control));
  setStatusFlags(stringFlags(result, length1, length2, control));
}
