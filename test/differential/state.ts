/**
 * Machine states: registers, x87 and SSE state and memory in which an instruction of a family does something.
 */
import { IMM, type Form } from '../../engine/core/tables/encoding.ts';
import { CODE_PAGE, DATA_PAGE, FX, IN, WINDOW_ADDRESS, WINDOW_BYTES } from './case.ts';
import { Random, float32, float64, float80, integer } from './random.ts';

const RAX = 0; const RCX = 1; const RDX = 2; const RBX = 3; const RSP = 4; const RBP = 5; const RSI = 6; const RDI = 7;

const inWindow = (r: Random, margin = 128): bigint => BigInt(WINDOW_ADDRESS + margin + r.below(WINDOW_BYTES - 2 * margin));

/** Fills a case's FX image and memory window and adjusts registers; returns the registers that must keep their value. */
export function fillState(c: Buffer, gpr: BigUint64Array, family: string, form: Form, mode: number, r: Random): ReadonlySet<number> {
  const { op } = form.row;
  const pinned = new Set<number>();
  const pin = (register: number, value: bigint): void => { gpr[register] = value; pinned.add(register); };
  gpr[RSP] = r.chance(0.9) ? inWindow(r, 300) & ~7n : inWindow(r, 300);
  fillWindow(c.subarray(IN.WINDOW, IN.BYTES), family, op, r);
  fillFx(c.subarray(IN.FX, IN.WINDOW), family, form, r);
  switch (family) {
    case 'string':
      if (r.chance(0.97)) pin(RSI, inWindow(r));
      if (r.chance(0.97)) pin(RDI, inWindow(r));
      // not over the code, which a repeated instruction would change while it runs
      if ((gpr[RDI] & 0xffff_ffffn) >> 12n === BigInt(CODE_PAGE >>> 12)) pin(RDI, inWindow(r));
      if (r.chance(0.95)) pin(RCX, BigInt(r.below(20)));
      break;
    case 'stack':
      if (r.chance(0.9)) pin(RBP, inWindow(r, 300) & ~7n);
      break;
    case 'branch':
      if (r.chance(0.3)) pin(RCX, BigInt(r.below(3)));
      break;
    case 'shift':
      if (r.chance(0.7)) pin(RCX, (integer(r) & ~0xffn) | BigInt(r.below(70)));
      break;
    case 'muldiv':
      if (/DIV$/.test(op) && r.chance(0.7)) { pin(RDX, r.chance(0.5) ? 0n : 0xffff_ffff_ffff_ffffn); gpr[RAX] = integer(r); pinned.add(RAX); }
      break;
    case 'bit':
      if (/^BT[SRC]?_EG$/.test(op)) for (let i = 0; i < 16; i += 1) if (i !== RSP && r.chance(0.9)) gpr[i] = BigInt.asUintN(64, BigInt(r.below(512) - 200));
      break;
    case 'fxsave':
      pin(RAX, BigInt(r.below(4)));
      pin(RDX, 0n);
      break;
    default: break;
  }
  if (op === 'XLAT') pin(RBX, inWindow(r, 300));
  if (/^MASKMOV/.test(op)) pin(RDI, inWindow(r));
  if (/^CMPXCHG/.test(op)) { pinned.add(RAX); pinned.add(RDX); pinned.add(RBX); pinned.add(RCX); }
  if (form.imm === IMM.mo) pinned.add(RAX);
  if (op === 'CMPXCHG' && r.chance(0.5)) { // equal operands
    const value = integer(r);
    for (let i = 0; i < 16; i += 1) if (i !== RSP && r.chance(0.6)) gpr[i] = value;
    gpr[RAX] = value;
    fillWith(c.subarray(IN.WINDOW, IN.BYTES), value);
  }
  if (/^CMPXCHG(8|16)B/.test(op) && r.chance(0.5)) {
    const value = integer(r);
    gpr[RAX] = op === 'CMPXCHG8B' ? value & 0xffff_ffffn : value;
    gpr[RDX] = op === 'CMPXCHG8B' ? value >> 32n : value;
    fillWith(c.subarray(IN.WINDOW, IN.BYTES), value);
  }
  if (mode !== 0) for (let i = 8; i < 16; i += 1) pinned.add(i);
  if (mode === 2) toOffsets(gpr, r);
  return pinned;
}

/** 16-bit segments begin at DATA_PAGE: what points there becomes an offset, in its low half only now and then. */
function toOffsets(gpr: BigUint64Array, r: Random): void {
  for (let i = 0; i < 8; i += 1) {
    const offset = Number(gpr[i] & 0xffff_ffffn) - DATA_PAGE;
    if (offset >= 0 && offset < 0x2000) gpr[i] = BigInt((offset | (r.chance(0.3) ? r.u32() & 0xffff_0000 : 0)) >>> 0);
  }
}

/** Linear address of the top of the stack. */
export function stackAddress(gpr: BigUint64Array, mode: number): number {
  return mode === 2 ? DATA_PAGE + Number(gpr[RSP] & 0xffffn) : Number(gpr[RSP] & 0xffff_ffffn);
}

function fillWith(window: Buffer, value: bigint): void {
  for (let i = 0; i < window.length; i += 8) window.writeBigUInt64LE(value, i);
}

function fillWindow(window: Buffer, family: string, op: string, r: Random): void {
  const kind = family.startsWith('sse') ? (/PS|SS|PS2/.test(op) ? 'f32' : /PD|SD/.test(op) ? 'f64' : 'int')
    : family === 'x87' ? (/M32/.test(op) && !/^FI/.test(op) ? 'f32' : /M64/.test(op) && !/^FI/.test(op) ? 'f64' : /M80/.test(op) ? 'f80' : 'int')
      : 'int';
  if (kind === 'f80' || family === 'fxsave' || /^F(RSTOR|LDENV)/.test(op)) {
    for (let i = 0; i + 16 <= window.length; i += 16) {
      const [se, sig] = float80(r);
      window.writeBigUInt64LE(sig, i);
      window.writeUInt16LE(se, i + 8);
      window.writeUInt16LE(r.u32() & 0xffff, i + 10);
      window.writeUInt32LE(0, i + 12);
    }
    if (family === 'fxsave') prepareXsave(window, r);
    return;
  }
  if (op === 'FBLD') {
    for (let i = 0; i < window.length; i += 1) window[i] = r.chance(0.95) ? r.below(10) | (r.below(10) << 4) : r.u32() & 255;
    return;
  }
  for (let i = 0; i < window.length; i += 8) {
    if (kind === 'f32') { window.writeUInt32LE(float32(r) >>> 0, i); window.writeUInt32LE(float32(r) >>> 0, i + 4); }
    else window.writeBigUInt64LE(kind === 'f64' ? float64(r) : i < 256 || r.chance(0.3) ? integer(r) : r.u64(), i);
  }
}

/** Plausible images at every 64-byte boundary where one fits: MXCSR without reserved bits, a header. */
function prepareXsave(window: Buffer, r: Random): void {
  // Only the multiples of 64 that #target() can choose matter; images overlap, so fields of one are data of another.
  for (let at = 0; at + 576 <= window.length; at += 16) {
    window.writeUInt32LE(r.chance(0.95) ? r.u32() & 0xffbf : r.u32(), at + 24);
    if ((at & 63) === 0) {
      window.fill(0, at + 512, at + 576);
      // a component that no XCR0 has, now and then
      window.writeBigUInt64LE(BigInt(r.below(4)) | (r.chance(0.9) ? 0n : 1n << BigInt(40 + r.below(22))), at + 512);
      if (r.chance(0.05)) window.writeUInt8(1, at + 520 + r.below(16));
    }
  }
}

/** The FXSAVE image: a clean state unless the family uses it. */
function fillFx(fx: Buffer, family: string, form: Form, r: Random): void {
  fx.fill(0);
  fx.writeUInt16LE(0x37f, FX.FCW);
  fx.writeUInt32LE(0x1f80, FX.MXCSR);
  const { op } = form.row;
  if (family === 'x87' || family === 'fxsave' || family === 'x87_sequence') fillX87(fx, op, r);
  if (family === 'mmx' || /PI|MOVQ2DQ|MOVDQ2Q/.test(op)) {
    fx.writeUInt16LE(r.below(8) << 11 | (r.chance(0.5) ? r.u32() & 0x4700 : 0), FX.FSW);
    fx.writeUInt8(r.u32() & 255, FX.FTW);
    for (let i = 0; i < 8; i += 1) {
      fx.writeBigUInt64LE(/^CVTPI/.test(op) || r.chance(0.6) ? integer(r) : r.u64(), FX.ST + i * 16);
      fx.writeUInt16LE(r.u32() & 0xffff, FX.ST + i * 16 + 8);
    }
  }
  if (family.startsWith('sse') || family === 'crypto' || family === 'fxsave' || family === 'sequence') {
    const kind = family === 'fxsave' || family === 'crypto' || family === 'sequence' ? 'int' : /PS|SS|RCP|RSQRT/.test(op) ? 'f32' : /PD|SD/.test(op) ? 'f64' : 'int';
    for (let i = 0; i < 16; i += 1) {
      for (let lane = 0; lane < 16; lane += 8) {
        const at = FX.XMM + i * 16 + lane;
        if (kind === 'f32') { fx.writeUInt32LE(float32(r) >>> 0, at); fx.writeUInt32LE(float32(r) >>> 0, at + 4); }
        else fx.writeBigUInt64LE(kind === 'f64' ? float64(r) : r.chance(0.5) ? integer(r) : r.u64(), at);
      }
    }
    // rounding, FTZ and DAZ at random; some exceptions unmasked now and then
    const masks = r.chance(0.9) ? 0x1f80 : r.u32() & 0x1f80;
    fx.writeUInt32LE(masks | (r.chance(0.5) ? r.below(4) << 13 : 0) | (r.chance(0.1) ? 0x8000 : 0) | (r.chance(0.1) ? 0x40 : 0) | (r.chance(0.2) ? r.below(64) : 0), FX.MXCSR);
  }
}

function fillX87(fx: Buffer, op: string, r: Random): void {
  const masks = r.chance(0.8) ? 0x3f : r.u32() & 0x3f;
  const precision = r.chance(0.6) ? 3 : r.below(4);
  const rounding = r.chance(0.5) ? 0 : r.below(4);
  fx.writeUInt16LE(masks | 0x40 | (precision << 8) | (rounding << 10), FX.FCW);
  const pending = r.chance(0.1) ? r.u32() & 0x7f : r.u32() & masks & (r.chance(0.7) ? 0 : 0x7f);
  fx.writeUInt16LE((r.below(8) << 11) | (r.u32() & 0x4700) | pending, FX.FSW);
  const full = r.chance(0.6);
  // loads need an empty register: ST(7) is the physical register below TOP
  const top = (fx.readUInt16LE(FX.FSW) >> 11) & 7;
  let tags = full ? 0xff : r.u32() & 0xff;
  if (/^F(I?LD|BLD|PTAN|SINCOS|XTRACT)/.test(op) && r.chance(0.9)) tags &= ~(1 << ((top + 7) & 7));
  fx.writeUInt8(tags, FX.FTW);
  for (let i = 0; i < 8; i += 1) {
    let [se, sig] = float80(r);
    if (/^F(2XM1|SIN|COS|SINCOS|PTAN|YL2XP1)$/.test(op) && r.chance(0.5)) se = (se & 0x8000) | (0x3fff - r.below(8));
    if (op === 'FYL2XP1' && i === 0) se = (se & 0x8000) | (0x3ffd - r.below(20) - (r.chance(0.1) ? r.below(100) : 0));
    if (op === 'F2XM1' && i === 0 && (se & 0x7fff) >= 0x3fff) se = (se & 0x8000) | (0x3ffe - r.below(60));
    if (op === 'FSCALE' && i === 1 && r.chance(0.7)) se = (se & 0x8000) | (0x3fff + r.below(17));
    if (/^FPREM/.test(op) && i === 1 && r.chance(0.7)) se = (se & 0x8000) | Math.max(1, (fx.readUInt16LE(FX.ST + 8) & 0x7fff) - r.below(100) + 3);
    if (/^FIST|^FBSTP/.test(op) && r.chance(0.5)) se = (se & 0x8000) | (0x3fff + r.below(66));
    if (op !== 'FXAM' && r.chance(0.5) && (se & 0x7fff) !== 0 && (sig >> 63n) === 0n) sig |= 1n << 63n;
    fx.writeBigUInt64LE(sig, FX.ST + i * 16);
    fx.writeUInt16LE(se, FX.ST + i * 16 + 8);
  }
}
