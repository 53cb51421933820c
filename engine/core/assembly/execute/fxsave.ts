/**
 * FXSAVE, FXRSTOR, XSAVE, XSAVEOPT and XRSTOR.
 *
 * @spec   SDM vol. 1, 10.5 (FXSAVE area), 13.4 (XSAVE area), 13.6 (init optimisation), 13.7 to 13.9; vol. 2, the instructions
 * @cover  #Y x87 and SSE state, standard format   #N compacted format (#GP, as without XSAVEC)
 * @differ XSAVEOPT uses the init optimisation but not the modified optimisation. With CR4.OSFXSR = 0, FXSAVE and FXRSTOR
 *         leave the XMM registers alone (the SDM lets an implementation choose).
 */
import { MODE_LONG64, RAX, RDX, cpu, cr0, cr4, gpr32, mode, xmm } from '../cpu';
import { GP, NM, UD, raise, raiseError } from '../fault';
import { OP_FXRSTOR, OP_FXSAVE, OP_XRSTOR, OP_XSAVE, OP_XSAVEOPT } from '../gen/ops';
import { S_FCS, S_FCW, S_FDP, S_FDS, S_FIP, S_FOP, S_FPR, S_FSW, S_FTW, S_MXCSR, S_XCR0 } from '../gen/state';
import {
  linear, needAlignment, probeRead, probeWrite, read128, read16, read32, read64, read8, write128, write16, write32, write64,
} from '../mmu';
import { canonical } from '../paging';
import { REC_REXW, recFlags } from '../record';
import { initialize, refreshSummary, st } from '../x87/stack';

const CR0_EM: u64 = 4; const CR0_TS: u64 = 8;
const CR4_OSFXSR: u64 = 1 << 9; const CR4_OSXSAVE: u64 = 1 << 18;
const STATE_X87: u64 = 1; const STATE_SSE: u64 = 2; const STATE_AVX: u64 = 4;
const MXCSR_MASK: u32 = 0xffff;

export function execFxsave(op: u32, rec: usize): void {
  switch (op) {
    case OP_FXSAVE: fxsave(rec); break;
    case OP_FXRSTOR: fxrstor(rec); break;
    case OP_XSAVE: xsave(rec, false); break;
    case OP_XSAVEOPT: xsave(rec, true); break;
    case OP_XRSTOR: xrstor(rec); break;
    default: raise(UD);
  }
}

// @ts-ignore: decorator
@inline function xmmCount(): u32 { return (mode() & MODE_LONG64) != 0 ? 16 : 8; }

/** Linear address of an area that has to be aligned: #GP(0) otherwise, with alignment checks #AC(0); after #SS or #GP of an address not canonical. */
function aligned(rec: usize, size: u32, alignment: u64, write: bool): u64 {
  const at = linear(rec, 4, false); // limit of the rest and right to write come behind the alignment
  const gva = (at & (alignment - 1)) == 0 ? linear(rec, size, write) : at;
  if ((gva & (alignment - 1)) != 0) {
    if (mode() & MODE_LONG64 && !canonical(gva)) probeRead(gva, 1);
    needAlignment(gva, 4);
    raiseError(GP, 0);
  }
  return gva;
}

function fxsave(rec: usize): void {
  if ((cr0() & (CR0_EM | CR0_TS)) != 0) raise(NM);
  const gva = aligned(rec, 512, 16, true);
  probeWrite(gva, 512);
  saveX87(rec, gva);
  write32(gva + 24, load<u32>(cpu, S_MXCSR));
  write32(gva + 28, MXCSR_MASK);
  if ((cr4() & CR4_OSFXSR) != 0) saveXmm(gva);
}

function fxrstor(rec: usize): void {
  if ((cr0() & (CR0_EM | CR0_TS)) != 0) raise(NM);
  const gva = aligned(rec, 512, 16, false);
  probeRead(gva, 512);
  const mxcsr = read32(gva + 24);
  if ((mxcsr & ~MXCSR_MASK) != 0) raiseError(GP, 0);
  loadX87(rec, gva);
  store<u32>(cpu, mxcsr, S_MXCSR);
  if ((cr4() & CR4_OSFXSR) != 0) loadXmm(gva);
}

/** Bytes 0 to 23 and ST(0) to ST(7) at 32. */
function saveX87(rec: usize, gva: u64): void {
  const tags: u32 = load<u16>(cpu, S_FTW);
  let abridged: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((tags >> (i << 1)) & 3) != 3) abridged |= 1 << i;
  write16(gva, load<u16>(cpu, S_FCW));
  write16(gva + 2, load<u16>(cpu, S_FSW));
  write16(gva + 4, <u16>abridged); // with the reserved byte 5
  write16(gva + 6, load<u16>(cpu, S_FOP));
  if (wideLayout(rec)) {
    write64(gva + 8, load<u64>(cpu, S_FIP));
    write64(gva + 16, load<u64>(cpu, S_FDP));
  } else {
    write64(gva + 8, (load<u64>(cpu, S_FIP) & 0xffff_ffff) | (<u64>load<u16>(cpu, S_FCS) << 32));
    write64(gva + 16, (load<u64>(cpu, S_FDP) & 0xffff_ffff) | (<u64>load<u16>(cpu, S_FDS) << 32));
  }
  for (let i: u32 = 0; i < 8; i++) {
    const at = gva + 32 + <u64>(i << 4);
    write64(at, load<u64>(st(i)));
    write64(at + 8, <u64>load<u16>(st(i), 8));
  }
}

// @ts-ignore: decorator
@inline function wideLayout(rec: usize): bool { return (recFlags(rec) & REC_REXW) != 0 && (mode() & MODE_LONG64) != 0; }

function loadX87(rec: usize, gva: u64): void {
  store<u16>(cpu, (read16(gva) & 0x1f3f) | 0x40, S_FCW);
  store<u16>(cpu, read16(gva + 2), S_FSW);
  const abridged: u32 = read8(gva + 4);
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((abridged >> i) & 1) == 0) tags |= 3 << (i << 1);
  store<u16>(cpu, <u16>tags, S_FTW);
  store<u16>(cpu, read16(gva + 6) & 0x7ff, S_FOP);
  const fip = read64(gva + 8), fdp = read64(gva + 16);
  if (wideLayout(rec)) {
    store<u64>(cpu, fip, S_FIP);
    store<u64>(cpu, fdp, S_FDP);
    store<u16>(cpu, 0, S_FCS);
    store<u16>(cpu, 0, S_FDS);
  } else {
    store<u64>(cpu, fip & 0xffff_ffff, S_FIP);
    store<u64>(cpu, fdp & 0xffff_ffff, S_FDP);
    store<u16>(cpu, <u16>(fip >> 32), S_FCS);
    store<u16>(cpu, <u16>(fdp >> 32), S_FDS);
  }
  for (let i: u32 = 0; i < 8; i++) {
    const at = gva + 32 + <u64>(i << 4);
    store<u64>(st(i), read64(at));
    store<u16>(st(i), read16(at + 8), 8);
  }
  refreshSummary();
}

function saveXmm(gva: u64): void {
  for (let i: u32 = 0; i < xmmCount(); i++) write128(gva + 160 + <u64>(i << 4), load<v128>(xmm(i)));
}

function loadXmm(gva: u64): void {
  for (let i: u32 = 0; i < xmmCount(); i++) store<v128>(xmm(i), read128(gva + 160 + <u64>(i << 4)));
}

/** State components not in their initial configuration (SDM vol. 1, 13.6). */
function inUse(): u64 {
  let components: u64 = 0;
  let x87 = load<u16>(cpu, S_FCW) != 0x37f || load<u16>(cpu, S_FSW) != 0 || load<u16>(cpu, S_FTW) != 0xffff
    || load<u16>(cpu, S_FOP) != 0 || load<u64>(cpu, S_FIP) != 0 || load<u64>(cpu, S_FDP) != 0 || load<u16>(cpu, S_FCS) != 0
    || load<u16>(cpu, S_FDS) != 0;
  for (let i: u32 = 0; !x87 && i < 8; i++) {
    const at = cpu + S_FPR + (<usize>i << 4);
    x87 = load<u64>(at) != 0 || load<u16>(at, 8) != 0;
  }
  if (x87) components |= STATE_X87;
  for (let i: u32 = 0; i < xmmCount(); i++) {
    if (v128.any_true(load<v128>(xmm(i)))) { components |= STATE_SSE; break; }
  }
  return components;
}

/** Common checks; the linear address of the XSAVE area. */
function area(rec: usize, write: bool): u64 {
  if ((cr4() & CR4_OSXSAVE) == 0) raise(UD);
  if ((cr0() & CR0_TS) != 0) raise(NM);
  return aligned(rec, 576, 64, write);
}

/** Requested-feature bitmap: XCR0 and EDX:EAX. */
function requested(): u64 { return load<u64>(cpu, S_XCR0) & ((<u64>gpr32(RDX) << 32) | <u64>gpr32(RAX)); }

function xsave(rec: usize, optimise: bool): void {
  const gva = area(rec, true);
  const rfbm = requested();
  probeWrite(gva, 576);
  const used = inUse();
  const saved = optimise ? rfbm & used : rfbm;
  const xstateBv = read64(gva + 512);
  if ((saved & STATE_X87) != 0) saveX87(rec, gva);
  if ((rfbm & (STATE_SSE | STATE_AVX)) != 0) {
    write32(gva + 24, load<u32>(cpu, S_MXCSR));
    write32(gva + 28, MXCSR_MASK);
  }
  if ((saved & STATE_SSE) != 0) saveXmm(gva);
  write64(gva + 512, (xstateBv & ~rfbm) | (rfbm & used));
}

function xrstor(rec: usize): void {
  const gva = area(rec, false);
  const rfbm = requested();
  probeRead(gva, 576);
  const xstateBv = read64(gva + 512);
  if ((xstateBv & ~load<u64>(cpu, S_XCR0)) != 0 || (read64(gva + 520) | read64(gva + 528)) != 0) raiseError(GP, 0);
  const mxcsr = read32(gva + 24);
  if ((rfbm & (STATE_SSE | STATE_AVX)) != 0 && (mxcsr & ~MXCSR_MASK) != 0) raiseError(GP, 0);
  if ((rfbm & STATE_X87) != 0) {
    if ((xstateBv & STATE_X87) != 0) loadX87(rec, gva);
    else {
      initialize();
      for (let i: u32 = 0; i < 8; i++) {
        const at = cpu + S_FPR + (<usize>i << 4);
        store<u64>(at, 0);
        store<u16>(at, 0, 8);
      }
    }
  }
  if ((rfbm & (STATE_SSE | STATE_AVX)) != 0) store<u32>(cpu, mxcsr, S_MXCSR);
  if ((rfbm & STATE_SSE) != 0) {
    if ((xstateBv & STATE_SSE) != 0) loadXmm(gva);
    else for (let i: u32 = 0; i < xmmCount(); i++) store<v128>(xmm(i), i64x2(0, 0));
  }
}

