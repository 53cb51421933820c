/**
 * MMX instructions. An operation is done on 128-bit vectors that hold the operand in both halves; the low half counts.
 *
 * @spec   SDM vol. 2, the instructions' pages; vol. 1 chapter 9; vol. 3 chapter 12 (aliasing of the x87 registers)
 * @cover  #Y all rows of tables/opcodes/mmx.ts
 * @differ MOVNTQ and MASKMOVQ are ordinary stores: there is no write combining to observe.
 */
import { RDI, cpu, cr0, gpr32, gpr64, setGpr32, setGpr64 } from '../cpu';
import { NM, UD, raise } from '../fault';
import {
  OP_EMMS, OP_MASKMOVQ, OP_MOVD_MMX_LOAD, OP_MOVD_MMX_STORE, OP_MOVNTQ, OP_MOVQ_MMX_LOAD, OP_MOVQ_MMX_STORE, OP_PALIGNR_MMX, OP_PEXTRW_MMX,
  OP_PINSRW_MMX, OP_PMOVMSKB_MMX, OP_PSHUFW, OP_PSLLD_MMX_IMM, OP_PSLLQ_MMX_IMM, OP_PSLLW_MMX_IMM, OP_PSRAD_MMX_IMM, OP_PSRAW_MMX_IMM,
  OP_PSRLD_MMX_IMM, OP_PSRLQ_MMX_IMM, OP_PSRLW_MMX_IMM, OP_PUNPCKLBW_MMX, OP_PUNPCKLDQ_MMX,
} from '../gen/ops';
import { S_FTW } from '../gen/state';
import { linear, needAlignment, probeWrite, read16, read32, read64, segLinear, write32, write64, write8 } from '../mmu';
import { REC_REXW, isMem, recAddressSize, recFlags, recImm, recReg, recRm, recSegment } from '../record';
import { checkMmx, enterMmx, mmx, setMmx } from '../sse/operand';
import { sll16, sll32, sll64, sra16, sra32, srl16, srl32, srl64 } from '../sse/shift';
import { packed } from './mmx_packed';

const CR0_EM: u64 = 4; const CR0_TS: u64 = 8;

// @ts-ignore: decorator
@inline function imm8(rec: usize): u32 { return <u32>recImm(rec) & 0xff; }
// @ts-ignore: decorator
@inline function wide(rec: usize): bool { return (recFlags(rec) & REC_REXW) != 0; }
/** mm/m64. */
function source(rec: usize): u64 { return isMem(rec) ? read64(linear(rec, 8, false)) : mmx(recRm(rec)); }
// @ts-ignore: decorator
@inline function low(v: v128): u64 { return <u64>i64x2.extract_lane(v, 0); }

export function execMmx(op: u32, rec: usize): void {
  if ((cr0() & CR0_EM) != 0) raise(UD);
  if ((cr0() & CR0_TS) != 0) raise(NM);
  checkMmx();
  switch (op) {
    case OP_EMMS:
      enterMmx();
      store<u16>(cpu, 0xffff, S_FTW);
      return;
    case OP_MOVD_MMX_LOAD:
      if (isMem(rec)) put(recReg(rec), wide(rec) ? read64(linear(rec, 8, false)) : <u64>read32(linear(rec, 4, false)));
      else put(recReg(rec), wide(rec) ? gpr64(recRm(rec)) : <u64>gpr32(recRm(rec)));
      return;
    case OP_MOVD_MMX_STORE: {
      const v = mmx(recReg(rec));
      if (isMem(rec)) { if (wide(rec)) write64(linear(rec, 8, true), v); else write32(linear(rec, 4, true), <u32>v); }
      else if (wide(rec)) setGpr64(recRm(rec), v);
      else setGpr32(recRm(rec), <u32>v);
      enterMmx();
      return;
    }
    case OP_MOVQ_MMX_LOAD: put(recReg(rec), source(rec)); return;
    case OP_MOVQ_MMX_STORE: {
      const v = mmx(recReg(rec));
      if (isMem(rec)) { write64(linear(rec, 8, true), v); enterMmx(); } else put(recRm(rec), v);
      return;
    }
    case OP_MOVNTQ: write64(linear(rec, 8, true), mmx(recReg(rec))); enterMmx(); return;
    case OP_MASKMOVQ: maskedMove(rec); return;
    case OP_PMOVMSKB_MMX:
      setGpr32(recReg(rec), <u32>i8x16.bitmask(i64x2.splat(<i64>mmx(recRm(rec)))) & 0xff);
      enterMmx();
      return;
    case OP_PEXTRW_MMX:
      setGpr32(recReg(rec), <u32>(mmx(recRm(rec)) >> ((imm8(rec) & 3) << 4)) & 0xffff);
      enterMmx();
      return;
    case OP_PINSRW_MMX: {
      const word = isMem(rec) ? <u64>read16(linear(rec, 2, false)) : <u64>(gpr32(recRm(rec)) & 0xffff);
      const at = <u64>((imm8(rec) & 3) << 4);
      put(recReg(rec), (mmx(recReg(rec)) & ~(<u64>0xffff << at)) | (word << at));
      return;
    }
    case OP_PSHUFW: {
      const v = source(rec);
      const order = imm8(rec);
      let r: u64 = 0;
      for (let i: u32 = 0; i < 4; i++) r |= ((v >> (((order >> (i << 1)) & 3) << 4)) & 0xffff) << (i << 4);
      put(recReg(rec), r);
      return;
    }
    case OP_PALIGNR_MMX: {
      const b = source(rec);
      const a = mmx(recReg(rec));
      const bits = imm8(rec) << 3;
      put(recReg(rec), bits == 0 ? b : bits < 64 ? (b >> bits) | (a << (64 - bits)) : bits < 128 ? a >> (bits - 64) : 0);
      return;
    }
    case OP_PSRLW_MMX_IMM: { const r = recRm(rec); put(r, low(srl16(both(r), <u64>imm8(rec)))); return; }
    case OP_PSRAW_MMX_IMM: { const r = recRm(rec); put(r, low(sra16(both(r), <u64>imm8(rec)))); return; }
    case OP_PSLLW_MMX_IMM: { const r = recRm(rec); put(r, low(sll16(both(r), <u64>imm8(rec)))); return; }
    case OP_PSRLD_MMX_IMM: { const r = recRm(rec); put(r, low(srl32(both(r), <u64>imm8(rec)))); return; }
    case OP_PSRAD_MMX_IMM: { const r = recRm(rec); put(r, low(sra32(both(r), <u64>imm8(rec)))); return; }
    case OP_PSLLD_MMX_IMM: { const r = recRm(rec); put(r, low(sll32(both(r), <u64>imm8(rec)))); return; }
    case OP_PSRLQ_MMX_IMM: { const r = recRm(rec); put(r, low(srl64(both(r), <u64>imm8(rec)))); return; }
    case OP_PSLLQ_MMX_IMM: { const r = recRm(rec); put(r, low(sll64(both(r), <u64>imm8(rec)))); return; }
    default: {
      // PUNPCKLBW, PUNPCKLWD, PUNPCKLDQ: mm/m32
      const half = isMem(rec) && op >= OP_PUNPCKLBW_MMX && op <= OP_PUNPCKLDQ_MMX;
      const b = half ? <u64>read32(linear(rec, 4, false)) : source(rec);
      put(recReg(rec), packed(op, mmx(recReg(rec)), b));
    }
  }
}

// @ts-ignore: decorator
@inline function both(i: u32): v128 { return i64x2.splat(<i64>mmx(i)); }

/** Writes an MMX register as the instruction's last step. */
function put(i: u32, v: u64): void {
  enterMmx();
  setMmx(i, v);
}

/** MASKMOVQ: bytes of the first operand whose mask byte has bit 7 set go to DS:[rDI]. */
function maskedMove(rec: usize): void {
  const data = mmx(recReg(rec));
  const mask = <u32>i8x16.bitmask(both(recRm(rec))) & 0xff;
  const width = recAddressSize(rec);
  const rdi = gpr64(RDI);
  const gva = segLinear(recSegment(rec), width == 8 ? rdi : width == 4 ? rdi & 0xffff_ffff : rdi & 0xffff, 8, true);
  needAlignment(gva, 8);
  if (mask != 0) {
    const first = <u32>ctz(mask), last: u32 = 31 - <u32>clz(mask);
    probeWrite(gva + <u64>first, last - first + 1);
    for (let i: u32 = first; i <= last; i++) if (((mask >> i) & 1) != 0) write8(gva + <u64>i, <u8>(data >> (<u64>i << 3)));
  }
  enterMmx();
}
