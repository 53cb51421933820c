/**
 * Shifts and rotates.
 *
 * @spec   SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD, RORX, SARX/SHLX/SHRX
 * @differ Where the SDM leaves OF undefined (count above 1) it follows the formula for a count of 1.
 */
import { RCX, cpu, gpr8 } from '../cpu';
import { CF, OF, carryFlag, setResultFlags, setRotateFlags } from '../flags';
import { OP_ROL_EI, OP_RORX, OP_SARX, OP_SHLD_C, OP_SHLD_I, OP_SHLX, OP_SHRD_C, OP_SHRD_I, OP_SHRX } from '../gen/ops';
import { recImm, recReg, recSize } from '../record';
import { extend, readReg, readRm, rmwLoad, rmwStore, unsigned, writeReg } from './int_operand';

export function execShift(op: u32, rec: usize): void {
  const size = recSize(rec);
  const mask: u32 = size == 8 ? 63 : 31;
  if (op < OP_SHLD_I) {
    const form = (op - OP_ROL_EI) % 3;
    const count = form == 0 ? <u32>recImm(rec) & mask : form == 1 ? 1 : <u32>gpr8(RCX) & mask;
    const kind = (op - OP_ROL_EI) / 3;
    const value = rmwLoad(rec, size);
    // Not a store when the count is 0, but a write access all the same; a 32-bit register is zero-extended.
    rmwStore(rec, size, count == 0 ? value : shift(kind, size, value, count));
    return;
  }
  switch (op) {
    case OP_SHLD_I: doubleShift(rec, size, <u32>recImm(rec) & mask, true); break;
    case OP_SHLD_C: doubleShift(rec, size, <u32>gpr8(RCX) & mask, true); break;
    case OP_SHRD_I: doubleShift(rec, size, <u32>recImm(rec) & mask, false); break;
    case OP_SHRD_C: doubleShift(rec, size, <u32>gpr8(RCX) & mask, false); break;
    case OP_RORX: {
      const v = readRm(rec, size);
      const count = <u32>recImm(rec) & mask;
      writeReg(recReg(rec), size, size == 8 ? rotr<i64>(v, <i64>count) : <i64>rotr<u32>(<u32>v, count));
      break;
    }
    default: {
      const v = readRm(rec, size);
      const count = <i64>(<u32>readReg(load<u8>(rec, 28), 4) & mask);
      if (op == OP_SHLX) writeReg(recReg(rec), size, v << count);
      else if (op == OP_SHRX) writeReg(recReg(rec), size, <i64>(unsigned(v, size) >> <u64>count));
      else if (op == OP_SARX) writeReg(recReg(rec), size, v >> count);
      break;
    }
  }
}

/** kind: ROL ROR RCL RCR SHL SHR SAR (the order of tables/opcodes/shift.ts); count 1..63, already masked. */
export function shift(kind: u32, size: u32, v: i64, count: u32): i64 {
  const bits = size << 3;
  const n = <u64>count;
  const u = unsigned(v, size);
  let r: i64;
  let cf: u32;
  switch (kind) {
    case 0: { // ROL
      const k = <u64>(count & (bits - 1));
      r = extend(<i64>(k == 0 ? u : (u << k) | (u >> (<u64>bits - k))), size);
      cf = <u32>r & 1;
      setRotateFlags(cf | (u32(r < 0) ^ cf ? OF : 0));
      return r;
    }
    case 1: { // ROR
      const k = <u64>(count & (bits - 1));
      r = extend(<i64>(k == 0 ? u : (u >> k) | (u << (<u64>bits - k))), size);
      setRotateFlags((r < 0 ? CF : 0) | (topTwoDiffer(r, bits) ? OF : 0));
      return r;
    }
    case 2: return rotateCarryLeft(size, u, count);
    case 3: return rotateCarryRight(size, u, count);
    case 4: // SHL
      cf = count <= bits ? <u32>(u >> (<u64>bits - n)) & 1 : 0;
      r = extend(<i64>(u << n), size);
      setResultFlags(r, cf | (u32(r < 0) ^ cf ? OF : 0));
      return r;
    case 5: // SHR
      cf = <u32>(u >> (n - 1)) & 1;
      r = extend(<i64>(u >> n), size);
      setResultFlags(r, cf | (topTwoDiffer(r, bits) ? OF : 0));
      return r;
    default: // SAR
      cf = <u32>(v >> <i64>(n - 1)) & 1;
      r = v >> <i64>n;
      setResultFlags(r, cf);
      return r;
  }
}

// @ts-ignore: decorator
@inline function topTwoDiffer(r: i64, bits: u32): bool { return ((r >> <i64>(bits - 1)) ^ (r >> <i64>(bits - 2))) & 1 ? true : false; }

function rotateCarryLeft(size: u32, u: u64, count: u32): i64 {
  const bits = size << 3;
  const n = count % (bits + 1);
  let cf = carryFlag();
  for (let i: u32 = 0; i < n; i++) {
    const out = <u32>(u >> <u64>(bits - 1)) & 1;
    u = (u << 1) | <u64>cf;
    cf = out;
  }
  const r = extend(<i64>u, size);
  setRotateFlags(cf | (u32(r < 0) ^ cf ? OF : 0));
  return r;
}

function rotateCarryRight(size: u32, u: u64, count: u32): i64 {
  const bits = size << 3;
  const n = count % (bits + 1);
  let cf = carryFlag();
  for (let i: u32 = 0; i < n; i++) {
    const out = <u32>u & 1;
    u = (u >> 1) | (<u64>cf << <u64>(bits - 1));
    cf = out;
  }
  const r = extend(<i64>u, size);
  setRotateFlags(cf | (topTwoDiffer(r, bits) ? OF : 0));
  return r;
}

/** SHLD and SHRD. A 16-bit count above 16 (undefined by the SDM) shifts in the destination again, as Intel's do. */
function doubleShift(rec: usize, size: u32, count: u32, left: bool): void {
  const bits = size << 3;
  const a = rmwLoad(rec, size);
  if (count == 0) {
    rmwStore(rec, size, a);
    return;
  }
  const d = unsigned(a, size);
  const s = unsigned(readReg(recReg(rec), size), size);
  const n = <u64>count;
  const width = <u64>bits;
  let r: i64;
  let cf: u32;
  if (size == 2) {
    if (left) {
      const wide = (d << 32) | (s << 16) | d;
      r = <i64><i16>(wide >> (32 - n));
      cf = <u32>(wide >> (48 - n)) & 1;
    } else {
      const wide = (d << 32) | (s << 16) | d;
      r = <i64><i16>(wide >> n);
      cf = <u32>(wide >> (n - 1)) & 1;
    }
  } else if (left) {
    r = extend(<i64>((d << n) | (s >> (width - n))), size);
    cf = <u32>(d >> (width - n)) & 1;
  } else {
    r = extend(<i64>((d >> n) | (s << (width - n))), size);
    cf = <u32>(d >> (n - 1)) & 1;
  }
  rmwStore(rec, size, r);
  setResultFlags(r, cf | ((r ^ a) < 0 ? OF : 0));
}
