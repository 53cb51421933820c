/**
 * Moves, conversions, exchanges, conditional moves and sets.
 *
 * @spec SDM vol. 2
 */
import { RAX, RBX, RCX, RDX, gpr16, gpr32, gpr64, gpr8, setGpr16, setGpr32, setGpr64, setGpr8 } from '../cpu';
import { pause } from '../exit';
import { GP, UD, raise, raiseError } from '../fault';
import { LAZY_SUB, ZF, condition, readFlags, setLazy, writeStatus } from '../flags';
import {
  OP_BSWAP, OP_CBW, OP_CMOVNLE, OP_CMOVO, OP_CMPXCHG, OP_CMPXCHG16B, OP_CMPXCHG8B, OP_CWD, OP_LEA, OP_MOVBE_EG, OP_MOVBE_GE, OP_MOVSXD, OP_MOVSX_B,
  OP_MOVSX_W, OP_MOVZX_B, OP_MOVZX_W, OP_MOV_AO, OP_MOV_EG, OP_MOV_EI, OP_MOV_GE, OP_MOV_GI, OP_MOV_OA, OP_NOP, OP_PAUSE, OP_SETNLE, OP_SETO, OP_UD0,
  OP_UD1, OP_UD2, OP_XADD, OP_XCHG_AG, OP_XCHG_EG, OP_XLAT,
} from '../gen/ops';
import { stopOthers, unlockBus } from '../buslock';
import { settleWrites } from '../code_page';
import { linear, lockBus, probeWrite, read64, rmwAddress, segLinear, write64 } from '../mmu';
import { REC_LOCK, isMem, recAddressSize, recBase, recDisp, recFlags, recImm, recIndex, recReg, recRm, recScale, recSegment, recSize } from '../record';
import { swapSplit } from '../split_lock';
import { alu } from './alu';
import { extend, readMem, readReg, readRm, rmwLoad, rmwLoadAt, rmwStore, writeMem, writeReg, writeRm } from './int_operand';

const ALU_ADD: u32 = 0;
const ALU_CMP: u32 = 7;
const ALL: u64 = 0xffff_ffff_ffff_ffff;

/** Effective address without segment, truncated to the address size. */
export function effectiveAddress(rec: usize): u64 {
  const ea = gpr64(recBase(rec)) + (gpr64(recIndex(rec)) << recScale(rec)) + <u64><i64>recDisp(rec);
  const width = recAddressSize(rec);
  return width == 8 ? ea : width == 4 ? ea & 0xffff_ffff : ea & 0xffff;
}

export function execMov(op: u32, rec: usize): void {
  const size = recSize(rec);
  switch (op) {
    case OP_MOV_EG: writeRm(rec, size, readReg(recReg(rec), size)); return;
    case OP_MOV_GE: writeReg(recReg(rec), size, readRm(rec, size)); return;
    case OP_MOV_GI: writeReg(recReg(rec), size, recImm(rec)); return;
    case OP_MOV_EI: writeRm(rec, size, recImm(rec)); return;
    case OP_MOV_AO: writeReg(RAX, size, readMem(segLinear(recSegment(rec), recImm(rec), size, false), size)); return;
    case OP_MOV_OA: writeMem(segLinear(recSegment(rec), recImm(rec), size, true), size, readReg(RAX, size)); return;
    case OP_MOVSXD: writeReg(recReg(rec), size, readRm(rec, size == 2 ? 2 : 4)); return;
    case OP_MOVZX_B: writeReg(recReg(rec), size, readRm(rec, 1) & 0xff); return;
    case OP_MOVZX_W: writeReg(recReg(rec), size, readRm(rec, 2) & 0xffff); return;
    case OP_MOVSX_B: writeReg(recReg(rec), size, readRm(rec, 1)); return;
    case OP_MOVSX_W: writeReg(recReg(rec), size, readRm(rec, 2)); return;
    case OP_LEA: writeReg(recReg(rec), size, effectiveAddress(rec)); return;
    case OP_NOP: return;
    case OP_PAUSE: pause(); return;
    case OP_XCHG_EG: {
      const v = readReg(recReg(rec), size);
      let old = rmwLoad(rec, size);
      while (!rmwStore(rec, size, v)) old = rmwLoad(rec, size);
      writeReg(recReg(rec), size, old);
      return;
    }
    case OP_XCHG_AG: {
      const reg = recReg(rec);
      if (reg == RAX) return; // NOP
      const v = readReg(RAX, size);
      writeReg(RAX, size, readReg(reg, size));
      writeReg(reg, size, v);
      return;
    }
    case OP_XADD: {
      const v = readReg(recReg(rec), size);
      let old: i64;
      let sum: i64;
      do {
        old = rmwLoad(rec, size);
        sum = extend(old + v, size);
      } while (!addStore(rec, size, old, sum));
      alu(ALU_ADD, size, old, v, 0);
      return;
    }
    case OP_CMPXCHG: compareExchange(rec, size); return;
    case OP_CMPXCHG8B: compareExchange8(rec); return;
    case OP_CMPXCHG16B: compareExchange16(rec); return;
    case OP_BSWAP: {
      const reg = recReg(rec);
      if (size == 8) setGpr64(reg, bswap<u64>(gpr64(reg)));
      else if (size == 4) setGpr32(reg, bswap<u32>(gpr32(reg)));
      else setGpr16(reg, 0); // undefined by the SDM; processors store zero
      return;
    }
    case OP_MOVBE_GE: writeReg(recReg(rec), size, swapped(readRm(rec, size), size)); return;
    case OP_MOVBE_EG: writeRm(rec, size, swapped(readReg(recReg(rec), size), size)); return;
    case OP_XLAT: {
      const width = recAddressSize(rec);
      let ea = gpr64(RBX) + <u64>gpr8(RAX);
      ea = width == 8 ? ea : width == 4 ? ea & 0xffff_ffff : ea & 0xffff;
      setGpr8(RAX, <u8>readMem(segLinear(recSegment(rec), ea, 1, false), 1));
      return;
    }
    case OP_CBW: writeReg(RAX, size, readReg(RAX, size >> 1)); return;
    case OP_CWD: writeReg(RDX, size, readReg(RAX, size) >> 63); return;
    case OP_UD0:
    case OP_UD1:
    case OP_UD2: raise(UD); return;
  }
  if (op >= OP_CMOVO && op <= OP_CMOVNLE) {
    const v = readRm(rec, size); // read, and faulting, whatever the condition
    const reg = recReg(rec);
    writeReg(reg, size, condition(op - OP_CMOVO) ? v : readReg(reg, size));
  } else if (op >= OP_SETO && op <= OP_SETNLE) {
    writeRm(rec, 1, condition(op - OP_SETO) ? 1 : 0);
  }
}

/** XADD writes the register first: with both operands the same register, the sum stays. */
function addStore(rec: usize, size: u32, old: i64, sum: i64): bool {
  const reg = recReg(rec);
  const before = gpr64(reg < 16 ? reg : reg - 16);
  writeReg(reg, size, old);
  if (rmwStore(rec, size, sum)) return true;
  setGpr64(reg < 16 ? reg : reg - 16, before);
  return false;
}

function swapped(v: i64, size: u32): i64 {
  if (size == 8) return <i64>bswap<u64>(v);
  if (size == 4) return <i64>bswap<u32>(<u32>v);
  return <i64>bswap<u16>(<u16>v);
}

function compareExchange(rec: usize, size: u32): void {
  const expected = readReg(RAX, size);
  let old = rmwLoad(rec, size);
  if (isMem(rec)) {
    // Memory is written whatever the comparison says.
    while (!rmwStore(rec, size, old == expected ? readReg(recReg(rec), size) : old)) old = rmwLoad(rec, size);
  } else if (old == expected) {
    rmwStore(rec, size, readReg(recReg(rec), size)); // else not even bits 63:32 change
  }
  alu(ALU_CMP, size, expected, old, 0);
  if (old != expected) writeReg(RAX, size, old);
}

function compareExchange8(rec: usize): void {
  const expected = (gpr64(RDX) << 32) | <u64>gpr32(RAX);
  const wanted = (gpr64(RCX) << 32) | <u64>gpr32(RBX);
  const gva = linear(rec, 8, true);
  const locked = (recFlags(rec) & REC_LOCK) != 0;
  let old: u64;
  do {
    old = rmwLoadAt(gva, 8, locked);
  } while (!rmwStore(rec, 8, old == expected ? wanted : old));
  const flags = readFlags();
  writeStatus(old == expected ? flags | ZF : flags & ~ZF);
  if (old != expected) {
    setGpr32(RAX, <u32>old);
    setGpr32(RDX, <u32>(old >> 32));
  }
}

function compareExchange16(rec: usize): void {
  const gva = linear(rec, 16, true);
  if (gva & 15) raiseError(GP, 0);
  probeWrite(gva, 16);
  const locked = (recFlags(rec) & REC_LOCK) != 0;
  if (locked) lockBus();
  const at = rmwAddress(gva, 16);
  if (locked && at != 0) stopOthers();
  let low: u64;
  let high: u64;
  let equal: bool;
  if (locked && at != 0) {
    do {
      low = atomic.load<u64>(at);
      high = atomic.load<u64>(at + 8);
      equal = low == gpr64(RAX) && high == gpr64(RDX);
    } while (!swapSplit(at, low, equal ? gpr64(RBX) : low, ALL, at + 8, high, equal ? gpr64(RCX) : high, ALL));
  } else {
    low = read64(gva);
    high = read64(gva + 8);
    equal = low == gpr64(RAX) && high == gpr64(RDX);
    write64(gva, equal ? gpr64(RBX) : low);
    write64(gva + 8, equal ? gpr64(RCX) : high);
  }
  settleWrites();
  if (locked) unlockBus();
  const flags = readFlags();
  writeStatus(equal ? flags | ZF : flags & ~ZF);
  if (!equal) {
    setGpr64(RAX, low);
    setGpr64(RDX, high);
  }
}
