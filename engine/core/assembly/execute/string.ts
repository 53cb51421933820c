/**
 * String operations. With REP they run in slices: registers are exact after each element, and after a slice the
 * instruction starts again, so that events are seen.
 *
 * @spec   SDM vol. 2, MOVS CMPS STOS LODS SCAS, REP
 * @cover  #Y interruptible REP, faults between elements, whole pages at a time for MOVS and STOS upwards
 */
import {
  ES, MODE_FLAT, MODE_LONG64, RAX, RCX, RDI, RSI, cpu, gpr16, gpr32, gpr64, instrRip, jumpTo, mode, setGpr16, setGpr32, setGpr64,
} from '../cpu';
import { settleWrites } from '../code_page';
import { setBetweenIterations } from '../debug';
import { DF, TF } from '../flags';
import { OP_CMPS, OP_LODS, OP_MOVS, OP_SCAS, OP_STOS } from '../gen/ops';
import { S_FLAGS, S_MMU_CONTEXT } from '../gen/state';
import { translateRead } from '../jit';
import { read8, rmwAddress, segLinear } from '../mmu';
import { CONTEXT_ALIGNED } from '../paging';
import { REC_REP, REC_REPNE, recAddressSize, recFlags, recSegment, recSize } from '../record';
import { E_ADDEND, E_READ, entryOf, tlb } from '../tlb';
import { alu } from './alu';
import { readMem, readReg, writeMem, writeReg } from './int_operand';

const ALU_CMP: u32 = 7;
/** Elements between two looks at the event flags. */
const SLICE: u32 = 4096;

// @ts-ignore: decorator
@inline function readIndex(reg: u32, width: u32): u64 { return width == 8 ? gpr64(reg) : width == 4 ? <u64>gpr32(reg) : <u64>gpr16(reg); }

// @ts-ignore: decorator
@inline function writeIndex(reg: u32, width: u32, v: u64): void {
  if (width == 8) setGpr64(reg, v);
  else if (width == 4) setGpr32(reg, <u32>v);
  else setGpr16(reg, <u16>v);
}

export function execString(op: u32, rec: usize): void {
  const size = recSize(rec);
  const width = recAddressSize(rec);
  const segment = recSegment(rec);
  const flags = load<u32>(cpu, S_FLAGS);
  const step = flags & DF ? 0 - <u64>size : <u64>size;
  const rep = recFlags(rec) & (REC_REP | REC_REPNE);
  if (rep == 0) {
    element(op, segment, size, width, step);
    return;
  }
  setBetweenIterations(false);
  let count = readIndex(RCX, width);
  if (width == 4) {
    // Zero-extended even when there is nothing to do; MOVS and STOS do the same to their pointers.
    setGpr32(RCX, <u32>count);
    if (op == OP_MOVS) setGpr32(RSI, gpr32(RSI));
    if (op == OP_MOVS || op == OP_STOS) setGpr32(RDI, gpr32(RDI));
  }
  if (count == 0) return;
  if (op == OP_CMPS || op == OP_SCAS) {
    compare(op, segment, size, width, step, count, (rep & REC_REP) != 0, flags & TF ? 1 : SLICE);
    return;
  }
  const bulk = (op == OP_MOVS || op == OP_STOS) && (flags & DF) == 0 && (mode() & (MODE_LONG64 | MODE_FLAT)) != 0 && width != 2;
  // While single-stepping each element is an instruction of its own (SDM vol. 3, 17.3.1.4).
  let left: u32 = flags & TF ? 1 : SLICE;
  while (left != 0) {
    if (bulk && left > 1) {
      const done = wholePage(op, segment, size, width, count);
      if (done != 0) {
        count -= <u64>done;
        writeIndex(RCX, width, count);
        if (count == 0) return;
        left = left > done ? left - done : 0;
        continue;
      }
    }
    element(op, segment, size, width, step);
    count--;
    writeIndex(RCX, width, count);
    if (count == 0) return;
    left--;
  }
  setBetweenIterations(true);
  jumpTo(instrRip());
}

/**
 * REPE/REPNE CMPS and SCAS. A fault leaves the flags as they were before the instruction (SDM vol. 2, REP): they are set
 * from the last pair at the end. A slice that ends while single-stepping sets them, any other leaves them to the next:
 * there is one, which compares at least once.
 */
function compare(op: u32, segment: u32, size: u32, width: u32, step: u64, count: u64, whileEqual: bool, left: u32): void {
  let a = readReg(RAX, size);
  let b: i64 = 0;
  while (true) {
    const di = readIndex(RDI, width);
    b = readMem(segLinear(ES, di, size, false), size);
    if (op == OP_CMPS) {
      const si = readIndex(RSI, width);
      a = readMem(segLinear(segment, si, size, false), size);
      writeIndex(RSI, width, si + step);
    }
    writeIndex(RDI, width, di + step);
    count--;
    writeIndex(RCX, width, count);
    left--;
    if (count == 0 || (a == b) != whileEqual) break;
    if (left == 0) {
      setBetweenIterations(true);
      jumpTo(instrRip());
      if (!(load<u32>(cpu, S_FLAGS) & TF)) return;
      break;
    }
  }
  alu(ALU_CMP, size, a, b, 0);
}

function element(op: u32, segment: u32, size: u32, width: u32, step: u64): void {
  switch (op) {
    case OP_MOVS: {
      const si = readIndex(RSI, width);
      const di = readIndex(RDI, width);
      const v = readMem(segLinear(segment, si, size, false), size);
      writeMem(segLinear(ES, di, size, true), size, v);
      writeIndex(RSI, width, si + step);
      writeIndex(RDI, width, di + step);
      break;
    }
    case OP_STOS: {
      const di = readIndex(RDI, width);
      writeMem(segLinear(ES, di, size, true), size, readReg(RAX, size));
      writeIndex(RDI, width, di + step);
      break;
    }
    case OP_LODS: {
      const si = readIndex(RSI, width);
      writeReg(RAX, size, readMem(segLinear(segment, si, size, false), size));
      writeIndex(RSI, width, si + step);
      break;
    }
    case OP_SCAS: {
      const di = readIndex(RDI, width);
      alu(ALU_CMP, size, readReg(RAX, size), readMem(segLinear(ES, di, size, false), size), 0);
      writeIndex(RDI, width, di + step);
      break;
    }
    default: {
      const si = readIndex(RSI, width);
      const di = readIndex(RDI, width);
      const b = readMem(segLinear(ES, di, size, false), size);
      alu(ALU_CMP, size, readMem(segLinear(segment, si, size, false), size), b, 0);
      writeIndex(RSI, width, si + step);
      writeIndex(RDI, width, di + step);
      break;
    }
  }
}

/**
 * Moves or stores the elements up to the next page boundary of either operand; 0 when that is not possible (device
 * memory, element across pages). A fault is raised before anything is done.
 */
function wholePage(op: u32, segment: u32, size: u32, width: u32, count: u64): u32 {
  if (load<u32>(cpu, S_MMU_CONTEXT) == CONTEXT_ALIGNED) return 0;
  const di = readIndex(RDI, width);
  const to = segLinear(ES, di, size, true);
  let bytes: u32 = 0x1000 - (<u32>to & 0xfff);
  let from: usize = 0;
  const si = readIndex(RSI, width);
  if (op == OP_MOVS) {
    const source = segLinear(segment, si, size, false);
    bytes = min<u32>(bytes, 0x1000 - (<u32>source & 0xfff));
    if (bytes < size) return 0;
    const e = entryOf(tlb, source);
    // The target's page may share the source's TLB entry: the address found now is good all the same.
    from = load<u64>(e, E_READ) == (source & ~0xfff) ? <usize>source + <usize>load<u32>(e, E_ADDEND) : translateRead(source, 1, 0);
    if (from == 0) return 0;
  }
  const n = <u32>min<u64>(<u64>(bytes / size), count);
  if (n == 0) return 0;
  bytes = n * size;
  const target = rmwAddress(to, bytes);
  if (target == 0) return 0;
  if (op == OP_STOS) fill(target, bytes, size);
  else if (target - from < <usize>bytes) copyUp(target, from, bytes, size);
  else memory.copy(target, from, bytes);
  settleWrites();
  if (op == OP_MOVS) writeIndex(RSI, width, si + <u64>bytes);
  writeIndex(RDI, width, di + <u64>bytes);
  return n;
}

/** The destination overlaps what is still to be read: element by element, as the processor does. */
function copyUp(to: usize, from: usize, bytes: u32, size: u32): void {
  const end = to + bytes;
  if (size == 8) for (; to < end; to += 8, from += 8) store<u64>(to, load<u64>(from));
  else if (size == 4) for (; to < end; to += 4, from += 4) store<u32>(to, load<u32>(from));
  else if (size == 2) for (; to < end; to += 2, from += 2) store<u16>(to, load<u16>(from));
  else for (; to < end; to++, from++) store<u8>(to, load<u8>(from));
}

function fill(to: usize, bytes: u32, size: u32): void {
  const v = gpr64(RAX);
  const byte = <u8>v;
  let pattern = <u64>byte * 0x0101_0101_0101_0101;
  if (size == 1 || (size == 8 ? v == pattern : size == 4 ? <u32>v == <u32>pattern : <u16>v == <u16>pattern)) {
    memory.fill(to, byte, bytes);
    return;
  }
  const end = to + bytes;
  if (size == 8) for (; to < end; to += 8) store<u64>(to, v);
  else if (size == 4) for (; to < end; to += 4) store<u32>(to, <u32>v);
  else for (; to < end; to += 2) store<u16>(to, <u16>v);
}
