/**
 * Stack instructions and the flag register.
 *
 * @spec SDM vol. 2, PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE LAHF SAHF; vol. 3, 21.2 (virtual-8086 mode)
 */
import {
  MODE_LONG64, MODE_SS32, MODE_V86, RAX, RBP, RSP, SS, cpl, cpu, cr4, gpr16, gpr32, gpr64, gpr8, leaveBlock, mode, setGpr16, setGpr32, setGpr64, setGpr8,
} from '../cpu';
import { GP, SSF, raiseError } from '../fault';
import {
  AC, CF, DF, ID, IF, IOPL, NT, RF, STATUS, TF, VIF, VIP, VM, carryFlag, readFlags, writeFlags, writeStatus,
} from '../flags';
import {
  OP_CLC, OP_CLD, OP_CMC, OP_ENTER, OP_LAHF, OP_LEAVE, OP_POPA, OP_POPF, OP_POP_E, OP_POP_G, OP_PUSHA, OP_PUSHF, OP_PUSH_E, OP_PUSH_G, OP_PUSH_I,
  OP_SAHF, OP_SALC, OP_STC, OP_STD,
} from '../gen/ops';
import { S_FLAGS } from '../gen/state';
import { adjustStack, linear, needAlignment, pop, probeWrite, push, segLinear, stackRead } from '../mmu';
import { isMem, recImm, recReg, recRm, recSize } from '../record';
import { syncState } from '../sync';
import { extend, readMem, readReg, readRm, writeMem, writeReg } from './int_operand';
import { guardRsp, releaseRsp } from '../unwind';

const CR4_VME: u64 = 1;

export function execStack(op: u32, rec: usize): void {
  const size = recSize(rec);
  switch (op) {
    case OP_PUSH_G: push(gpr64(recReg(rec)), size); break;
    case OP_PUSH_I: push(recImm(rec), size); break;
    case OP_PUSH_E: push(readRm(rec, size), size); break;
    case OP_POP_G: writeReg(recReg(rec), size, pop(size)); break;
    case OP_POP_E: popRm(rec, size); break;
    case OP_PUSHA: pushAll(size); break;
    case OP_POPA: popAll(size); break;
    case OP_PUSHF: pushFlags(size); break;
    case OP_POPF: popFlags(size); break;
    case OP_ENTER: enter(rec, size); break;
    case OP_LEAVE: leave(size); break;
    case OP_LAHF: setGpr8(16 + RAX, <u8>((readFlags() & 0xd5) | 2)); break;
    case OP_SAHF: writeStatus((readFlags() & ~0xff) | <u32>(gpr8(16 + RAX) & 0xd5)); break;
    case OP_SALC: setGpr8(RAX, <u8>(0 - carryFlag())); break;
    case OP_CLC: store<u32>(cpu, readFlags() & ~CF, S_FLAGS); break;
    case OP_STC: store<u32>(cpu, readFlags() | CF, S_FLAGS); break;
    case OP_CMC: store<u32>(cpu, readFlags() ^ CF, S_FLAGS); break;
    case OP_CLD: store<u32>(cpu, load<u32>(cpu, S_FLAGS) & ~DF, S_FLAGS); break;
    case OP_STD: store<u32>(cpu, load<u32>(cpu, S_FLAGS) | DF, S_FLAGS); break;
  }
}

/** An address based on the stack pointer uses its value after the pop. */
function popRm(rec: usize, size: u32): void {
  if (!isMem(rec)) {
    writeReg(recRm(rec), size, pop(size));
    return;
  }
  const value = stackRead(0, size);
  guardRsp();
  adjustStack(size);
  writeMem(linear(rec, size, true), size, value);
  releaseRsp();
}

function pushAll(size: u32): void {
  const sp = gpr64(RSP);
  guardRsp();
  for (let i: u32 = 0; i < 8; i++) push(i == RSP ? sp : gpr64(i), size);
  releaseRsp();
}

function popAll(size: u32): void {
  stackRead(0, size);
  stackRead(7 * size, size);
  guardRsp();
  for (let i: u32 = 0; i < 8; i++) {
    const value = <i64>pop(size);
    const reg = 7 - i;
    if (reg != RSP) writeReg(reg, size, value);
  }
  releaseRsp();
}

/** VM and RF are never pushed as set; IOPL below 3 traps in virtual-8086 mode, or with CR4.VME shows VIF as IF. */
function pushFlags(size: u32): void {
  let flags = readFlags() & ~(VM | RF);
  if ((mode() & MODE_V86) != 0 && (flags & IOPL) != IOPL) {
    if ((cr4() & CR4_VME) == 0 || size != 2) raiseError(GP, 0);
    flags = (flags & ~IF) | IOPL | (flags & VIF ? IF : 0);
  }
  push(flags, size);
}

function popFlags(size: u32): void {
  const old = readFlags();
  let changeable = STATUS | TF | DF | NT | AC | ID;
  const v86 = (mode() & MODE_V86) != 0;
  let virtualIf = false;
  if (v86) {
    if ((old & IOPL) == IOPL) {
      changeable |= IF;
    } else {
      if ((cr4() & CR4_VME) == 0 || size != 2) raiseError(GP, 0);
      virtualIf = true;
    }
  } else {
    if (cpl() == 0) changeable |= IOPL;
    if (cpl() <= ((old >> 12) & 3)) changeable |= IF;
  }
  if (size == 2) changeable &= 0xffff;
  const value = <u32>stackRead(0, size);
  if (virtualIf && ((value & TF) != 0 || ((value & IF) != 0 && (old & VIP) != 0))) raiseError(GP, 0);
  adjustStack(size);
  let flags = (old & ~(changeable | RF)) | (value & changeable);
  if (size != 2 && !v86 && cpl() == 0) flags &= ~(VIF | VIP);
  if (virtualIf) flags = value & IF ? flags | VIF : flags & ~VIF;
  writeFlags(flags);
  if ((flags ^ old) & AC) syncState();
  leaveBlock();
}

function enter(rec: usize, size: u32): void {
  const frame = <u32>recImm(rec) & 0xffff;
  const level = (<u32>recImm(rec) >> 16) & 31;
  guardRsp();
  push(gpr64(RBP), size);
  const frameTemp = gpr64(RSP);
  let rbp = gpr64(RBP);
  if (level > 0) {
    for (let i: u32 = 1; i < level; i++) {
      rbp -= <u64>size;
      push(readMem(onStack(rbp, size, false), size), size);
    }
    push(frameTemp, size);
  }
  lowerStack(frame);
  // The new top of the stack must be writable.
  const top = onStack(gpr64(RSP), size, true);
  needAlignment(top, size);
  probeWrite(top, size);
  releaseRsp();
  const m = mode();
  if (m & MODE_LONG64 && size == 8) setGpr64(RBP, frameTemp);
  else if (size == 4) setGpr32(RBP, <u32>frameTemp);
  else setGpr16(RBP, <u16>frameTemp);
}

/** Linear address of a stack operand; a non-canonical one is a stack fault. */
function onStack(offset: u64, size: u32, write: bool): u64 {
  if (mode() & MODE_LONG64 && <u64>((<i64>offset << 16) >> 16) != offset) raiseError(SSF, 0);
  return segLinear(SS, stackWidth(offset), size, write);
}

/** Moves the stack pointer down, in the width of the stack. */
function lowerStack(by: u32): void {
  const m = mode();
  if (m & MODE_LONG64) setGpr64(RSP, gpr64(RSP) - <u64>by);
  else if (m & MODE_SS32) setGpr32(RSP, gpr32(RSP) - by);
  else setGpr16(RSP, <u16>(<u32>gpr16(RSP) - by));
}

// @ts-ignore: decorator
@inline function stackWidth(v: u64): u64 { const m = mode(); return m & MODE_LONG64 ? v : m & MODE_SS32 ? v & 0xffff_ffff : v & 0xffff; }

function leave(size: u32): void {
  const rbp = stackWidth(gpr64(RBP));
  const value = readMem(onStack(rbp, size, false), size);
  const m = mode();
  if (m & MODE_LONG64) setGpr64(RSP, rbp + <u64>size);
  else if (m & MODE_SS32) setGpr32(RSP, <u32>rbp + size);
  else setGpr16(RSP, <u16>rbp + <u16>size);
  writeReg(RBP, size, value);
}
