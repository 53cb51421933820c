/**
 * SSE, SSE2 and SSE3 moves, shifts by an immediate, sign masks, MXCSR.
 *
 * @spec   SDM vol. 2; rows: engine/core/tables/opcodes/sse.ts
 * @cover  #Y all rows
 * @differ Non-temporal stores are ordinary stores: there is no write combining to observe.
 */
import { cpu, gpr32, gpr64, RDI, setGpr32, setGpr64, xmm } from '../cpu';
import { GP, raiseError, UD, raise } from '../fault';
import {
  OP_LDDQU, OP_LDMXCSR, OP_MASKMOVDQU, OP_MOVAPD_LOAD, OP_MOVAPD_STORE, OP_MOVAPS_LOAD, OP_MOVAPS_STORE, OP_MOVD_XMM_LOAD,
  OP_MOVD_XMM_STORE, OP_MOVDDUP, OP_MOVDQ2Q, OP_MOVDQA_LOAD, OP_MOVDQA_STORE, OP_MOVDQU_LOAD, OP_MOVDQU_STORE, OP_MOVHLPS,
  OP_MOVHPD_LOAD, OP_MOVHPD_STORE, OP_MOVHPS_LOAD, OP_MOVHPS_STORE, OP_MOVLHPS, OP_MOVLPD_LOAD, OP_MOVLPD_STORE, OP_MOVLPS_LOAD,
  OP_MOVLPS_STORE, OP_MOVMSKPD, OP_MOVMSKPS, OP_MOVNTDQ, OP_MOVNTDQA, OP_MOVNTI, OP_MOVNTPD, OP_MOVNTPS, OP_MOVQ2DQ,
  OP_MOVQ_XMM_LOAD, OP_MOVQ_XMM_STORE, OP_MOVSD_LOAD, OP_MOVSD_STORE, OP_MOVSHDUP, OP_MOVSLDUP, OP_MOVSS_LOAD, OP_MOVSS_STORE,
  OP_MOVUPD_LOAD, OP_MOVUPD_STORE, OP_MOVUPS_LOAD, OP_MOVUPS_STORE, OP_PEXTRW_XMM, OP_PINSRW_XMM, OP_PMOVMSKB_XMM, OP_PSLLD_XMM_IMM,
  OP_PSLLDQ, OP_PSLLQ_XMM_IMM, OP_PSLLW_XMM_IMM, OP_PSRAD_XMM_IMM, OP_PSRAW_XMM_IMM, OP_PSRLD_XMM_IMM, OP_PSRLDQ, OP_PSRLQ_XMM_IMM,
  OP_PSRLW_XMM_IMM, OP_STMXCSR,
} from '../gen/ops';
import { S_MXCSR } from '../gen/state';
import { linear, needAlignment, probeWrite, read16, read32, read64, segLinear, write128, write32, write64, write8 } from '../mmu';
import { isMem, recAddressSize, recFlags, recReg, recRm, recSegment, REC_REXW } from '../record';
import { aligned, checkMmx, checkSse, destination, enterMmx, imm8, mmx, setMmx, source128, source128u, source64 } from '../sse/operand';
import { shiftLeft128, shiftRight128, sll16, sll32, sll64, sra16, sra32, srl16, srl32, srl64 } from '../sse/shift';

/** Writable MXCSR bits, as FXSAVE reports them in MXCSR_MASK: all 16, DAZ included. */
const MXCSR_MASK: u32 = 0xffff;

export function execSse(op: u32, rec: usize): void {
  if (op == OP_MOVNTI) { movnti(rec); return; }
  checkSse();
  switch (op) {
    case OP_MOVUPS_LOAD:
    case OP_MOVUPD_LOAD:
    case OP_MOVDQU_LOAD:
    case OP_LDDQU:
      store<v128>(destination(rec), source128u(rec));
      break;
    case OP_MOVAPS_LOAD:
    case OP_MOVAPD_LOAD:
    case OP_MOVDQA_LOAD:
    case OP_MOVNTDQA:
      store<v128>(destination(rec), source128(rec));
      break;
    case OP_MOVUPS_STORE:
    case OP_MOVUPD_STORE:
    case OP_MOVDQU_STORE: {
      const v = load<v128>(destination(rec));
      if (isMem(rec)) write128(linear(rec, 16, true), v); else store<v128>(xmm(recRm(rec)), v);
      break;
    }
    case OP_MOVAPS_STORE:
    case OP_MOVAPD_STORE:
    case OP_MOVDQA_STORE:
    case OP_MOVNTPS:
    case OP_MOVNTPD:
    case OP_MOVNTDQ: {
      const v = load<v128>(destination(rec));
      if (isMem(rec)) write128(aligned(rec, true), v); else store<v128>(xmm(recRm(rec)), v);
      break;
    }
    case OP_MOVSS_LOAD:
      if (isMem(rec)) zeroExtend(rec, <u64>read32(linear(rec, 4, false)));
      else store<u32>(destination(rec), load<u32>(xmm(recRm(rec))));
      break;
    case OP_MOVSS_STORE: {
      const v = load<u32>(destination(rec));
      if (isMem(rec)) write32(linear(rec, 4, true), v); else store<u32>(xmm(recRm(rec)), v);
      break;
    }
    case OP_MOVSD_LOAD:
      if (isMem(rec)) zeroExtend(rec, read64(linear(rec, 8, false)));
      else store<u64>(destination(rec), load<u64>(xmm(recRm(rec))));
      break;
    case OP_MOVSD_STORE: {
      const v = load<u64>(destination(rec));
      if (isMem(rec)) write64(linear(rec, 8, true), v); else store<u64>(xmm(recRm(rec)), v);
      break;
    }
    case OP_MOVHLPS:
      store<u64>(destination(rec), load<u64>(xmm(recRm(rec)), 8));
      break;
    case OP_MOVLHPS:
      store<u64>(destination(rec), load<u64>(xmm(recRm(rec))), 8);
      break;
    case OP_MOVLPS_LOAD:
    case OP_MOVLPD_LOAD:
      store<u64>(destination(rec), read64(linear(rec, 8, false)));
      break;
    case OP_MOVHPS_LOAD:
    case OP_MOVHPD_LOAD:
      store<u64>(destination(rec), read64(linear(rec, 8, false)), 8);
      break;
    case OP_MOVLPS_STORE:
    case OP_MOVLPD_STORE:
      write64(linear(rec, 8, true), load<u64>(destination(rec)));
      break;
    case OP_MOVHPS_STORE:
    case OP_MOVHPD_STORE:
      write64(linear(rec, 8, true), load<u64>(destination(rec), 8));
      break;
    case OP_MOVDDUP:
      store<v128>(destination(rec), i64x2.splat(<i64>source64(rec)));
      break;
    case OP_MOVSLDUP: {
      const v = source128(rec);
      store<v128>(destination(rec), i32x4.shuffle(v, v, 0, 0, 2, 2));
      break;
    }
    case OP_MOVSHDUP: {
      const v = source128(rec);
      store<v128>(destination(rec), i32x4.shuffle(v, v, 1, 1, 3, 3));
      break;
    }
    case OP_MOVD_XMM_LOAD: {
      const wide = (recFlags(rec) & REC_REXW) != 0;
      if (isMem(rec)) zeroExtend(rec, wide ? read64(linear(rec, 8, false)) : <u64>read32(linear(rec, 4, false)));
      else zeroExtend(rec, wide ? gpr64(recRm(rec)) : <u64>gpr32(recRm(rec)));
      break;
    }
    case OP_MOVD_XMM_STORE: {
      const v = load<u64>(destination(rec));
      if ((recFlags(rec) & REC_REXW) != 0) {
        if (isMem(rec)) write64(linear(rec, 8, true), v); else setGpr64(recRm(rec), v);
      } else if (isMem(rec)) write32(linear(rec, 4, true), <u32>v);
      else setGpr32(recRm(rec), <u32>v);
      break;
    }
    case OP_MOVQ_XMM_LOAD:
      zeroExtend(rec, source64(rec));
      break;
    case OP_MOVQ_XMM_STORE: {
      const v = load<u64>(destination(rec));
      if (isMem(rec)) write64(linear(rec, 8, true), v);
      else {
        store<u64>(xmm(recRm(rec)), v);
        store<u64>(xmm(recRm(rec)), 0, 8);
      }
      break;
    }
    case OP_MOVQ2DQ:
      checkMmx();
      enterMmx();
      zeroExtend(rec, mmx(recRm(rec)));
      break;
    case OP_MOVDQ2Q:
      checkMmx();
      enterMmx();
      setMmx(recReg(rec), load<u64>(xmm(recRm(rec))));
      break;
    case OP_MASKMOVDQU:
      maskmovdqu(rec);
      break;
    case OP_MOVMSKPS:
      setGpr32(recReg(rec), <u32>i32x4.bitmask(load<v128>(xmm(recRm(rec)))));
      break;
    case OP_MOVMSKPD:
      setGpr32(recReg(rec), <u32>i64x2.bitmask(load<v128>(xmm(recRm(rec)))));
      break;
    case OP_PMOVMSKB_XMM:
      setGpr32(recReg(rec), <u32>i8x16.bitmask(load<v128>(xmm(recRm(rec)))));
      break;
    case OP_LDMXCSR: {
      const v = read32(linear(rec, 4, false));
      if ((v & ~MXCSR_MASK) != 0) raiseError(GP, 0);
      store<u32>(cpu, v, S_MXCSR);
      break;
    }
    case OP_STMXCSR:
      write32(linear(rec, 4, true), load<u32>(cpu, S_MXCSR));
      break;
    case OP_PSRLW_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, srl16(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSRAW_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, sra16(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSLLW_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, sll16(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSRLD_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, srl32(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSRAD_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, sra32(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSLLD_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, sll32(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSRLQ_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, srl64(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSLLQ_XMM_IMM: { const d = xmm(recRm(rec)); store<v128>(d, sll64(load<v128>(d), <u64>imm8(rec))); break; }
    case OP_PSRLDQ: { const d = xmm(recRm(rec)); store<v128>(d, shiftRight128(load<v128>(d), imm8(rec))); break; }
    case OP_PSLLDQ: { const d = xmm(recRm(rec)); store<v128>(d, shiftLeft128(load<v128>(d), imm8(rec))); break; }
    case OP_PINSRW_XMM: {
      const v = isMem(rec) ? read16(linear(rec, 2, false)) : <u16>gpr32(recRm(rec));
      store<u16>(destination(rec) + (<usize>(imm8(rec) & 7) << 1), v);
      break;
    }
    case OP_PEXTRW_XMM:
      setGpr32(recReg(rec), <u32>load<u16>(xmm(recRm(rec)) + (<usize>(imm8(rec) & 7) << 1)));
      break;
    default:
      raise(UD);
  }
}

/** Writes the destination: `low` in bits 63:0, zero above. */
// @ts-ignore: decorator
@inline function zeroExtend(rec: usize, low: u64): void {
  const d = destination(rec);
  store<u64>(d, low);
  store<u64>(d, 0, 8);
}

/** MOVNTI moves between general registers and memory: it asks neither CR0.TS nor CR4.OSFXSR. */
function movnti(rec: usize): void {
  if ((recFlags(rec) & REC_REXW) != 0) write64(linear(rec, 8, true), gpr64(recReg(rec)));
  else write32(linear(rec, 4, true), gpr32(recReg(rec)));
}

/** MASKMOVDQU xmm1, xmm2: bytes of xmm1 whose mask byte in xmm2 has bit 7 set go to DS:[rDI]. */
function maskmovdqu(rec: usize): void {
  const data = destination(rec);
  const mask = <u32>i8x16.bitmask(load<v128>(xmm(recRm(rec))));
  const width = recAddressSize(rec);
  const offset = width == 8 ? gpr64(RDI) : width == 4 ? <u64>gpr32(RDI) : <u64><u16>gpr32(RDI);
  const gva = segLinear(recSegment(rec), offset, 16, true);
  needAlignment(gva, 8);
  if (mask == 0) return;
  if (mask == 0xffff) { write128(gva, load<v128>(data)); return; }
  const first: u32 = ctz(mask);
  const last: u32 = 31 - clz(mask);
  probeWrite(gva + <u64>first, last - first + 1);
  for (let i: u32 = first; i <= last; i++) {
    if ((mask >> i & 1) != 0) write8(gva + <u64>i, load<u8>(data + <usize>i));
  }
}
