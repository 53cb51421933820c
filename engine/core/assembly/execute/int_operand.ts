/**
 * Operands of the integer instructions: registers and memory by size, and read-modify-write with and without LOCK.
 *
 * Values travel as i64, sign-extended from the operand size: flags.ts wants them so.
 *
 * @spec SDM vol. 1, 3.4.1.1 (32-bit results zero bits 63:32); vol. 3, 9.1 (locked atomic operations)
 */
import { gpr16, gpr32, gpr64, gpr8, setGpr16, setGpr32, setGpr64, setGpr8 } from '../cpu';
import { stopOthers, unlockBus } from '../buslock';
import { isCodePage, settleWrites, writtenToCode } from '../code_page';
import { linear, lockBus, probeWrite, read16, read32, read64, read8, rmwAddress, stepped, write16, write32, write64, write8 } from '../mmu';
import { REC_LOCK, isMem, recFlags, recRm } from '../record';
import { highMask, joinQuads, lowMask, swapSplit } from '../split_lock';

// @ts-ignore: decorator
@inline export function extend(v: i64, size: u32): i64 {
  const shift = <i64>(64 - (size << 3));
  return (v << shift) >> shift;
}

/** The low `size` bytes as an unsigned number. */
// @ts-ignore: decorator
@inline export function unsigned(v: i64, size: u32): u64 {
  const shift = <i64>(64 - (size << 3));
  return <u64>(v << shift) >> <u64>shift;
}

export function readReg(i: u32, size: u32): i64 {
  if (size == 8) return <i64>gpr64(i);
  if (size == 4) return <i64><i32>gpr32(i);
  if (size == 1) return <i64><i8>gpr8(i);
  return <i64><i16>gpr16(i);
}

export function writeReg(i: u32, size: u32, v: i64): void {
  if (size == 8) setGpr64(i, v);
  else if (size == 4) setGpr32(i, <u32>v);
  else if (size == 1) setGpr8(i, <u8>v);
  else setGpr16(i, <u16>v);
}

export function readMem(gva: u64, size: u32): i64 {
  if (size == 8) return <i64>read64(gva);
  if (size == 4) return <i64><i32>read32(gva);
  if (size == 1) return <i64><i8>read8(gva);
  return <i64><i16>read16(gva);
}

export function writeMem(gva: u64, size: u32, v: i64): void {
  if (size == 8) write64(gva, v);
  else if (size == 4) write32(gva, <u32>v);
  else if (size == 1) write8(gva, <u8>v);
  else write16(gva, <u16>v);
}

export function readRm(rec: usize, size: u32): i64 {
  return isMem(rec) ? readMem(linear(rec, size, false), size) : readReg(recRm(rec), size);
}

/** Plain store; for operands that are read first use rmwLoad and rmwStore. */
export function writeRm(rec: usize, size: u32, v: i64): void {
  if (isMem(rec)) writeMem(linear(rec, size, true), size, v);
  else writeReg(recRm(rec), size, v);
}

// ---- read-modify-write. One is under way at a time, between rmwLoad and the rmwStore that returns true.

const RMW_REGISTER: u32 = 0;
const RMW_DIRECT: u32 = 1; //       RAM, no LOCK
const RMW_SLOW: u32 = 2; //         device memory or page crossing, no LOCK
const RMW_ATOMIC: u32 = 3; //       RAM, LOCK, aligned: a compare-and-swap
const RMW_QUAD: u32 = 4; //         RAM, LOCK, unaligned within an aligned quadword: a compare-and-swap of that
const RMW_SPLIT: u32 = 5; //        RAM, LOCK, in two quadwords: under the bus lock, the other pCPUs stopped
const RMW_BUS: u32 = 6; //          device memory, LOCK

let rmwKind: u32 = 0;
let rmwAt: usize = 0;
let rmwGva: u64 = 0;
let rmwOld: i64 = 0;
let rmwAt2: usize = 0; //           second quadword of a split access
let rmwOld2: u64 = 0;
let rmwShift: u64 = 0; //           bits of the (first) quadword below the operand

// @ts-ignore: decorator
@inline function loadDirect(at: usize, size: u32): i64 {
  if (size == 8) return load<i64>(at);
  if (size == 4) return <i64>load<i32>(at);
  if (size == 1) return <i64>load<i8>(at);
  return <i64>load<i16>(at);
}

// @ts-ignore: decorator
@inline function storeDirect(at: usize, size: u32, v: i64): void {
  if (size == 8) store<i64>(at, v);
  else if (size == 4) store<i32>(at, <i32>v);
  else if (size == 1) store<i8>(at, <i8>v);
  else store<i16>(at, <i16>v);
}

function loadAtomic(at: usize, size: u32): i64 {
  if (size == 8) return atomic.load<i64>(at);
  if (size == 4) return <i64><i32>atomic.load<u32>(at);
  if (size == 1) return <i64><i8>atomic.load<u8>(at);
  return <i64><i16>atomic.load<u16>(at);
}

function swapAtomic(at: usize, size: u32, old: i64, v: i64): bool {
  if (size == 8) return atomic.cmpxchg<i64>(at, old, v) == old;
  if (size == 4) return atomic.cmpxchg<u32>(at, <u32>old, <u32>v) == <u32>old;
  if (size == 1) return atomic.cmpxchg<u8>(at, <u8>old, <u8>v) == <u8>old;
  return atomic.cmpxchg<u16>(at, <u16>old, <u16>v) == <u16>old;
}

/** Value of the r/m operand that is going to be replaced; write access is checked now. */
export function rmwLoad(rec: usize, size: u32): i64 {
  if (!isMem(rec)) {
    rmwKind = RMW_REGISTER;
    return readReg(recRm(rec), size);
  }
  return rmwLoadAt(linear(rec, size, true), size, (recFlags(rec) & REC_LOCK) != 0);
}

/** rmwLoad of memory at a linear address. */
export function rmwLoadAt(gva: u64, size: u32, locked: bool): i64 {
  const at = rmwAddress(gva, size);
  rmwAt = at;
  rmwGva = gva;
  if (at != 0) {
    if (!locked) {
      rmwKind = RMW_DIRECT;
      return loadDirect(at, size);
    }
    if ((at & <usize>(size - 1)) == 0) {
      rmwKind = RMW_ATOMIC;
      rmwOld = loadAtomic(at, size);
      return rmwOld;
    }
    rmwShift = <u64>((at & 7) << 3);
    if (rmwShift + <u64>(size << 3) > 64) return loadOnBus(gva, size);
    rmwKind = RMW_QUAD;
    rmwAt = at & ~7;
    rmwOld = atomic.load<i64>(rmwAt);
    return joinQuads(<u64>rmwOld, 0, rmwShift, <u64>(size << 3));
  }
  probeWrite(gva, size);
  if (locked) return loadOnBus(gva, size);
  rmwKind = RMW_SLOW;
  return readMem(gva, size);
}

/** LOCKed read of bytes in two quadwords, or of device memory. */
function loadOnBus(gva: u64, size: u32): i64 {
  lockBus();
  const first: u32 = 8 - (<u32>gva & 7);
  if (first < size) {
    const low = rmwAddress(gva, first);
    const high = rmwAddress(stepped(gva, first), size - first);
    if (low != 0 && high != 0) {
      stopOthers();
      rmwKind = RMW_SPLIT;
      rmwShift = <u64>((low & 7) << 3);
      rmwAt = low & ~7;
      rmwAt2 = high;
      rmwOld = atomic.load<i64>(rmwAt);
      rmwOld2 = atomic.load<u64>(high);
      return joinQuads(<u64>rmwOld, rmwOld2, rmwShift, <u64>(size << 3));
    }
  }
  rmwKind = RMW_BUS;
  return readMem(gva, size);
}

function swapUnaligned(size: u32, v: i64): bool {
  const bits = <u64>(size << 3);
  const value = <u64>v;
  const mask = lowMask(rmwShift, bits);
  if (rmwKind == RMW_QUAD) {
    const wanted = (<u64>rmwOld & ~mask) | ((value << rmwShift) & mask);
    return atomic.cmpxchg<u64>(rmwAt, <u64>rmwOld, wanted) == <u64>rmwOld;
  }
  const done = swapSplit(rmwAt, <u64>rmwOld, value << rmwShift, mask, rmwAt2, rmwOld2, value >> (64 - rmwShift), highMask(rmwShift, bits));
  if (done && isCodePage(rmwAt)) writtenToCode(rmwAt); // rmwAddress has noted the second page
  settleWrites();
  unlockBus();
  return done;
}

/** Replaces the value of rmwLoad. False: another processor was faster, start again with rmwLoad. */
export function rmwStore(rec: usize, size: u32, v: i64): bool {
  if (rmwKind == RMW_REGISTER) {
    writeReg(recRm(rec), size, v);
    return true;
  }
  if (!replaceMemory(size, v)) return false;
  settleWrites();
  return true;
}

function replaceMemory(size: u32, v: i64): bool {
  switch (rmwKind) {
    case RMW_DIRECT: storeDirect(rmwAt, size, v); return true;
    case RMW_SLOW: writeMem(rmwGva, size, v); return true;
    case RMW_ATOMIC: return swapAtomic(rmwAt, size, rmwOld, v);
    case RMW_QUAD:
    case RMW_SPLIT: return swapUnaligned(size, v);
    default: writeMem(rmwGva, size, v); unlockBus(); return true;
  }
}
