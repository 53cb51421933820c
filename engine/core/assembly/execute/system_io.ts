/**
 * IN, OUT, INS, OUTS: permission checks and the I/O exit.
 *
 * @spec   SDM vol. 1, 19.5 (I/O privilege, permission bit map); vol. 2, INS OUTS; vol. 3, table 28-5 (exit qualification)
 * @differ String forms exit once an element; between elements they can be interrupted.
 */
import {
  ES, MODE_PROTECTED, MODE_V86, RAX, RCX, RDI, RDX, RSI, TR, cpl, cpu, eventFlags, gpr16, gpr32, gpr64, gpr8, instrRip, mode, segAttr, segBase,
  segLimit, setGpr16, setGpr32, setGpr64, setGpr8,
} from '../cpu';
import { ioBreakpoint } from '../debug';
import { systemRead } from '../descriptor';
import { EXIT_IO_INSTRUCTION, vmexitQualified } from '../exit';
import { GP, raiseError } from '../fault';
import { DF, IOPL } from '../flags';
import { OP_INS, OP_IN_DX, OP_IN_I, OP_OUTS, OP_OUT_DX, OP_OUT_I } from '../gen/ops';
import { S_EXIT_DATA, S_EXIT_GVA, S_EXIT_SIZE, S_FLAGS, S_IO_BITMAP, S_LEAVE_BLOCK, S_RIP } from '../gen/state';
import { probeWrite, readSized, segLinear, writeSized } from '../mmu';
import { REC_REP, REC_REPNE, recAddressSize, recFlags, recImm, recSegment, recSize } from '../record';

/** Elements after which a repeated instruction lets the run loop look at its budget. */
const SLICE: u32 = 256;

const QUAL_IN: u32 = 8; const QUAL_STRING: u32 = 16; const QUAL_REP: u32 = 32; const QUAL_IMM: u32 = 64;

export function execIo(op: u32, rec: usize): bool {
  const size = recSize(rec);
  switch (op) {
    case OP_IN_I: input(<u32>recImm(rec) & 0xff, size, QUAL_IMM); return true;
    case OP_IN_DX: input(gpr16(RDX), size, 0); return true;
    case OP_OUT_I: output(<u32>recImm(rec) & 0xff, size, QUAL_IMM); return true;
    case OP_OUT_DX: output(gpr16(RDX), size, 0); return true;
    case OP_INS: stringIo(rec, size, true); return true;
    case OP_OUTS: stringIo(rec, size, false); return true;
    default: return false;
  }
}

/** #GP(0) unless IOPL or the TSS allows the port. */
function checkPort(port: u32, size: u32): void {
  const m = mode();
  if (!(m & MODE_PROTECTED) || (!(m & MODE_V86) && cpl() <= (load<u32>(cpu, S_FLAGS) & IOPL) >> 12)) return;
  const limit = segLimit(TR);
  if (!(segAttr(TR) & 8) || limit < 103) raiseError(GP, 0);
  const offset = <u32>systemRead(segBase(TR) + 102, 2) + (port >> 3);
  if (offset + 1 > limit) raiseError(GP, 0);
  const bits = <u32>systemRead(segBase(TR) + offset, 2) >> (port & 7);
  if (bits & ((1 << size) - 1)) raiseError(GP, 0);
}

/** The I/O bitmaps want an exit for some byte of the access; without bitmaps every port exits. */
function exits(port: u32, size: u32): bool {
  const bitmap = <usize>load<u32>(cpu, S_IO_BITMAP);
  if (bitmap == 0 || port + size > 0x1_0000) return true;
  for (let p = port; p < port + size; p++) {
    if ((load<u8>(bitmap + (p >> 3)) >> (p & 7)) & 1) return true;
  }
  return false;
}

/** One port access. A port that does not exit belongs to nobody: reads give all ones. */
function access(port: u32, size: u32, qualification: u32, data: u32): u32 {
  ioBreakpoint(port, size);
  const mask: u32 = size == 4 ? 0xffff_ffff : (1 << (size << 3)) - 1;
  if (!exits(port, size)) return mask;
  store<u32>(cpu, size, S_EXIT_SIZE);
  store<u64>(cpu, qualification & QUAL_IN ? <u64>mask : <u64>(data & mask), S_EXIT_DATA);
  vmexitQualified(EXIT_IO_INSTRUCTION, <u64>((size - 1) | qualification | (port << 16)));
  return load<u32>(cpu, S_EXIT_DATA) & mask;
}

function input(port: u32, size: u32, qualification: u32): void {
  checkPort(port, size);
  const v = access(port, size, qualification | QUAL_IN, 0);
  if (size == 1) setGpr8(RAX, <u8>v);
  else if (size == 2) setGpr16(RAX, <u16>v);
  else setGpr32(RAX, v);
}

function output(port: u32, size: u32, qualification: u32): void {
  checkPort(port, size);
  access(port, size, qualification, gpr32(RAX));
}

/** Register r in an address size of 2, 4 or 8. */
function addressRegister(r: u32, addressSize: u32): u64 {
  return addressSize == 8 ? gpr64(r) : addressSize == 4 ? <u64>gpr32(r) : <u64>gpr16(r);
}
function setAddressRegister(r: u32, addressSize: u32, v: u64): void {
  if (addressSize == 8) setGpr64(r, v);
  else if (addressSize == 4) setGpr32(r, <u32>v);
  else setGpr16(r, <u16>v);
}

function stringIo(rec: usize, size: u32, isInput: bool): void {
  const port = <u32>gpr16(RDX);
  const addressSize = recAddressSize(rec);
  const repeat = (recFlags(rec) & (REC_REP | REC_REPNE)) != 0;
  checkPort(port, size);
  const step = load<u32>(cpu, S_FLAGS) & DF ? -<i64>size : <i64>size;
  const pointer = isInput ? RDI : RSI;
  const segment = isInput ? ES : recSegment(rec);
  const qualification: u32 = QUAL_STRING | (isInput ? QUAL_IN : 0) | (repeat ? QUAL_REP : 0);
  for (let done: u32 = 1; ; done++) {
    if (repeat && addressRegister(RCX, addressSize) == 0) return;
    const at = segLinear(segment, addressRegister(pointer, addressSize), size, isInput);
    store<u64>(cpu, at, S_EXIT_GVA);
    if (isInput) {
      probeWrite(at, size);
      writeSized(at, size, <u64>access(port, size, qualification, 0));
    } else {
      access(port, size, qualification, <u32>readSized(at, size));
    }
    setAddressRegister(pointer, addressSize, addressRegister(pointer, addressSize) + <u64>step);
    if (!repeat) return;
    const left = addressRegister(RCX, addressSize) - 1;
    setAddressRegister(RCX, addressSize, left);
    if ((addressSize == 8 ? left : addressSize == 4 ? left & 0xffff_ffff : left & 0xffff) == 0) return;
    if (done == SLICE || eventFlags() != 0 || load<u32>(cpu, S_LEAVE_BLOCK) != 0) {
      store<u64>(cpu, instrRip(), S_RIP);
      store<u32>(cpu, 1, S_LEAVE_BLOCK);
      return;
    }
  }
}
