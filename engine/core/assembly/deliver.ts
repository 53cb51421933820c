/**
 * Delivery of interrupts and exceptions through the IVT or IDT, in every mode.
 *
 * Nothing but memory below the new stack pointer changes before the last access that can fault.
 *
 * @spec   SDM vol. 3 chapter 6 (6.12 protected mode, 6.14 64-bit mode, 20.1.4 real mode, 20.3 virtual-8086); vol. 2, INT n
 * @cover  #Y interrupt, trap and task gates, privilege changes, IST, virtual-8086 sources, VME interrupt redirection
 */
import {
  CS, DS, ES, FS, GS, MODE_LONG, MODE_LONG64, RSP, SS, TR, cpl, cpu, gpr32, gpr64, interruptibility, mode, segAttr, segBase, segLimit, segSelector, setGpr16,
  setGpr32, setGpr64, setInterruptibility,
} from './cpu';
import {
  TYPE_INT, TYPE_INT16, TYPE_TASK_GATE, TYPE_TRAP, TYPE_TRAP16, attrDpl, attrType, descriptorAt, descriptorAttr, descriptorBase, descriptorLimit, innerEsp,
  innerSs, isCode, isConforming, isNull, markAccessed, readDescriptor, readInnerStack, readStackDescriptor, setNullSegment,
  setRealSegment, setSegmentFrom, setV86Segment, systemRead, tssRead64,
} from './descriptor';
import { AC as ALIGNMENT, GP, NP, SSF, TS, raiseError } from './fault';
import { AC, IF, IOPL, NT, RF, TF, VIF, VM, readFlags, writeFlags } from './flags';
import { S_CR0, S_CR4, S_IDTR_BASE, S_IDTR_LIMIT, S_LEAVE_BLOCK, S_RIP } from './gen/state';
import { writeIn } from './mmu';
import { CONTEXT_ALIGNED, CR0_PE, CR4_VME, canonical } from './paging';
import { ATTR_CODE, ATTR_DB, ATTR_EXPAND_DOWN, ATTR_L, ATTR_P } from './segment_check';
import { contextOf, syncState } from './sync';
import { TASK_INTERRUPT, switchTask } from './task';

/** Interruption types (SDM table 25-16). */
export const EVENT_EXTERNAL: u32 = 0; export const EVENT_NMI_TYPE: u32 = 2; export const EVENT_HARDWARE: u32 = 3; export const EVENT_SOFTWARE: u32 = 4;
export const EVENT_PRIVILEGED: u32 = 5; export const EVENT_SOFTWARE_EXCEPTION: u32 = 6;

const BLOCKED_BY_NMI: u32 = 8;

/** Delivers one event; `rip` is what the handler returns to, `fault` sets RF in the saved flags. */
export function deliver(vector: u32, type: u32, hasError: bool, error: u32, rip: u64, fault: bool): void {
  const saved = fault ? readFlags() | RF : readFlags();
  if (!(load<u64>(cpu, S_CR0) & CR0_PE)) deliverReal(vector, type, saved & ~RF, rip);
  else if (mode() & MODE_LONG) deliverLong(vector, type, hasError, error, rip, saved);
  else deliverProtected(vector, type, hasError, error, rip, saved);
  setInterruptibility((interruptibility() & ~3) | (type == EVENT_NMI_TYPE ? BLOCKED_BY_NMI : 0));
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

// @ts-ignore: decorator
@inline function isSoftware(type: u32): bool { return type == EVENT_SOFTWARE || type == EVENT_SOFTWARE_EXCEPTION; }

// ---- the stack being written: nothing of the old one is touched until the frame is complete

let stackPointer: u64 = 0;
let stackBase: u64 = 0;
let stackMask: u64 = 0;
let stackContext: u32 = 0;
let stackLimit: u32 = 0;
let stackAttr: u32 = 0;
let stackError: u32 = 0;
let stackChecked: bool = false;

/** Selects a stack segment outside of 64-bit mode; a limit violation raises #SS(error). */
export function useStack(base: u64, limit: u32, attr: u32, sp: u32, level: u32, error: u32): void {
  stackBase = base;
  stackMask = attr & ATTR_DB ? 0xffff_ffff : 0xffff;
  stackPointer = <u64>sp & stackMask;
  stackContext = contextOf(level);
  stackLimit = limit;
  stackAttr = attr;
  stackError = error;
  stackChecked = true;
}

/** Selects a 64-bit stack. */
export function useStack64(sp: u64, level: u32, error: u32): void {
  stackPointer = sp;
  stackBase = 0;
  stackMask = <u64>-1;
  stackContext = contextOf(level);
  stackError = error;
  stackChecked = false;
}

/** Pushes on the selected stack. */
export function stackPush(v: u64, size: u32): void {
  const sp = (stackPointer - <u64>size) & stackMask;
  if (stackChecked) {
    if (!insideStack(<u32>sp, size)) raiseError(SSF, stackError);
    checkPush(stackBase + sp, size);
    writeIn(stackContext, (stackBase + sp) & 0xffff_ffff, size, v);
  } else {
    if (!canonical(sp)) raiseError(SSF, stackError);
    checkPush(sp, size);
    writeIn(stackContext, sp, size, v);
  }
  stackPointer = sp;
}

/** #AC(0) for a push at CPL 3 that is not aligned. */
// @ts-ignore: decorator
@inline function checkPush(gva: u64, size: u32): void {
  if (stackContext == CONTEXT_ALIGNED && <u32>gva & (size - 1)) raiseError(ALIGNMENT, 0);
}

function insideStack(offset: u32, size: u32): bool {
  const last = <u64>offset + <u64>size - 1;
  if (stackAttr & ATTR_EXPAND_DOWN && !(stackAttr & ATTR_CODE)) return offset > stackLimit && last <= (stackAttr & ATTR_DB ? 0xffff_ffff : 0xffff);
  return last <= <u64>stackLimit;
}

/** Makes the selected stack's pointer current, in the width of SS. */
export function commitStack(): void {
  if (!stackChecked) setGpr64(RSP, stackPointer);
  else if (stackMask == 0xffff) setGpr16(RSP, <u16>stackPointer);
  else setGpr32(RSP, <u32>stackPointer);
}

/** Selects the current stack. */
export function useCurrentStack(): void {
  if (mode() & MODE_LONG64) useStack64(gpr64(RSP), cpl(), 0);
  else useStack(segBase(SS), segLimit(SS), segAttr(SS), gpr32(RSP), cpl(), 0);
}

// ---- real-address mode

function deliverReal(vector: u32, type: u32, flags: u32, rip: u64): void {
  if ((vector << 2) + 3 > load<u32>(cpu, S_IDTR_LIMIT)) raiseError(GP, vector * 8 + 2 + (isSoftware(type) ? 0 : 1));
  const entry = <u32>systemRead(load<u64>(cpu, S_IDTR_BASE) + (vector << 2), 4);
  useCurrentStack();
  stackPush(<u64>(flags & 0xffff), 2);
  stackPush(<u64>segSelector(CS), 2);
  stackPush(rip & 0xffff, 2);
  commitStack();
  writeFlags(flags & ~(IF | TF | AC | RF));
  setRealSegment(CS, entry >> 16);
  store<u64>(cpu, <u64>(entry & 0xffff), S_RIP);
  syncState();
}

// ---- virtual-8086 mode with CR4.VME

/** The redirection bitmap, 32 bytes below the I/O permission bitmap of the TSS, leaves INT n to the 8086 program. */
function redirected(vector: u32): bool {
  const limit = segLimit(TR);
  if (!(segAttr(TR) & 8) || limit < 103) raiseError(GP, 0);
  const at = <u32>systemRead(segBase(TR) + 102, 2) - 32 + (vector >> 3);
  if (at > limit) raiseError(GP, 0);
  return ((<u32>systemRead(segBase(TR) + at, 1) >> (vector & 7)) & 1) == 0;
}

/** INT n by the 8086 program's own table at linear address 0; below IOPL 3 VIF stands for IF. */
function deliverRedirected(vector: u32, rip: u64, flags: u32): void {
  const entry = <u32>systemRead(<u64>(vector << 2), 4);
  const virtual = (flags & IOPL) != IOPL;
  const image = virtual ? (flags & ~IF) | IOPL | (flags & VIF ? IF : 0) : flags;
  useCurrentStack();
  stackPush(<u64>(image & 0xffff), 2);
  stackPush(<u64>segSelector(CS), 2);
  stackPush(rip & 0xffff, 2);
  commitStack();
  writeFlags(flags & ~(TF | RF | (virtual ? VIF : IF)));
  setV86Segment(CS, entry >> 16);
  store<u64>(cpu, <u64>(entry & 0xffff), S_RIP);
  syncState();
}

// ---- protected mode

function deliverProtected(vector: u32, type: u32, hasError: bool, error: u32, rip: u64, flags: u32): void {
  const ext: u32 = isSoftware(type) ? 0 : 1;
  const gateError = vector * 8 + 2 + ext;
  if (flags & VM && type == EVENT_SOFTWARE) {
    if (load<u64>(cpu, S_CR4) & CR4_VME && redirected(vector)) {
      deliverRedirected(vector, rip, flags);
      return;
    }
    if ((flags & IOPL) != IOPL) raiseError(GP, 0);
  }
  if (vector * 8 + 7 > load<u32>(cpu, S_IDTR_LIMIT)) raiseError(GP, gateError);
  const gate = systemRead(load<u64>(cpu, S_IDTR_BASE) + vector * 8, 8);
  const gateAttr = descriptorAttr(gate);
  const gateType = attrType(gateAttr);
  if (gateType != TYPE_TASK_GATE && gateType != TYPE_INT16 && gateType != TYPE_TRAP16 && gateType != TYPE_INT && gateType != TYPE_TRAP) raiseError(GP, gateError);
  if (isSoftware(type) && attrDpl(gateAttr) < cpl()) raiseError(GP, gateError);
  if (!(gateAttr & ATTR_P)) raiseError(NP, gateError);
  const selector = <u32>(gate >> 16) & 0xffff;
  if (gateType == TYPE_TASK_GATE) {
    switchTask(selector, TASK_INTERRUPT, rip, flags, hasError, error, ext);
    return;
  }
  if (isNull(selector)) raiseError(GP, ext);
  const code = readDescriptor(selector, GP, ext);
  const codeAt = descriptorAt;
  const attr = descriptorAttr(code);
  const codeError = (selector & 0xfffc) | ext;
  if (!isCode(attr) || attrDpl(attr) > cpl()) raiseError(GP, codeError);
  if (!(attr & ATTR_P)) raiseError(NP, codeError);
  const inner = !isConforming(attr) && attrDpl(attr) < cpl();
  const level = inner ? attrDpl(attr) : cpl();
  const size: u32 = gateType & 8 ? 4 : 2;
  const target = (gate & 0xffff) | (size == 4 ? (gate >> 32) & 0xffff_0000 : 0);
  const v86 = (flags & VM) != 0;
  if (v86 && level != 0) raiseError(GP, codeError);
  let stack: u64 = 0;
  let stackAt: u64 = 0;
  if (inner) {
    readInnerStack(level, ext);
    stack = readStackDescriptor(innerSs, level, TS, ext);
    stackAt = descriptorAt;
    if (!(descriptorAttr(stack) & ATTR_P)) raiseError(SSF, (innerSs & 0xfffc) | ext);
    useStack(descriptorBase(stack), descriptorLimit(stack), descriptorAttr(stack), innerEsp, level, (innerSs & 0xfffc) | ext);
    if (v86) {
      stackPush(<u64>segSelector(GS), size);
      stackPush(<u64>segSelector(FS), size);
      stackPush(<u64>segSelector(DS), size);
      stackPush(<u64>segSelector(ES), size);
    }
    stackPush(<u64>segSelector(SS), size);
    stackPush(gpr64(RSP) & 0xffff_ffff, size);
  } else {
    useCurrentStack();
    stackError = ext;
  }
  stackPush(<u64>flags, size);
  stackPush(<u64>segSelector(CS), size);
  stackPush(rip & 0xffff_ffff, size);
  if (hasError) stackPush(<u64>error, size);
  if (target > <u64>descriptorLimit(code)) raiseError(GP, ext);
  markAccessed(codeAt, code);
  if (inner) {
    markAccessed(stackAt, stack);
    setSegmentFrom(SS, innerSs, stack);
    if (v86) for (let s = DS; s <= GS; s++) setNullSegment(s, 0, 0);
    if (v86) setNullSegment(ES, 0, 0);
  }
  commitStack();
  setSegmentFrom(CS, (selector & 0xfffc) | level, code);
  writeFlags(flags & ~(TF | NT | RF | VM | (gateType & 1 ? 0 : IF)));
  store<u64>(cpu, target, S_RIP);
  syncState();
}

// ---- IA-32e mode

function deliverLong(vector: u32, type: u32, hasError: bool, error: u32, rip: u64, flags: u32): void {
  const ext: u32 = isSoftware(type) ? 0 : 1;
  const gateError = vector * 8 + 2 + ext;
  if (vector * 16 + 15 > load<u32>(cpu, S_IDTR_LIMIT)) raiseError(GP, gateError);
  const at = load<u64>(cpu, S_IDTR_BASE) + vector * 16;
  const gate = systemRead(at, 8);
  const high = systemRead(at + 8, 8);
  const gateAttr = descriptorAttr(gate);
  const gateType = attrType(gateAttr);
  if (gateType != TYPE_INT && gateType != TYPE_TRAP) raiseError(GP, gateError);
  if (isSoftware(type) && attrDpl(gateAttr) < cpl()) raiseError(GP, gateError);
  if (!(gateAttr & ATTR_P)) raiseError(NP, gateError);
  const selector = <u32>(gate >> 16) & 0xffff;
  if (isNull(selector)) raiseError(GP, ext);
  const code = readDescriptor(selector, GP, ext);
  const codeAt = descriptorAt;
  const attr = descriptorAttr(code);
  const codeError = (selector & 0xfffc) | ext;
  if (!isCode(attr) || attrDpl(attr) > cpl() || (attr & (ATTR_L | ATTR_DB)) != ATTR_L) raiseError(GP, codeError);
  if (!(attr & ATTR_P)) raiseError(NP, codeError);
  const inner = !isConforming(attr) && attrDpl(attr) < cpl();
  const level = inner ? attrDpl(attr) : cpl();
  const target = (gate & 0xffff) | ((gate >> 32) & 0xffff_0000) | (high << 32);
  const ist = <u32>(gate >> 32) & 7;
  let sp = gpr64(RSP);
  if (ist != 0) sp = tssRead64(28 + ist * 8, ext);
  else if (inner) sp = tssRead64(4 + level * 8, ext);
  useStack64(sp & ~15, level, ext);
  if (!canonical(sp)) raiseError(SSF, ext);
  stackPush(<u64>segSelector(SS), 8);
  stackPush(gpr64(RSP), 8);
  stackPush(<u64>flags, 8);
  stackPush(<u64>segSelector(CS), 8);
  stackPush(rip, 8);
  if (hasError) stackPush(<u64>error, 8);
  if (!canonical(target)) raiseError(GP, ext);
  markAccessed(codeAt, code);
  if (inner) setNullSegment(SS, level, level);
  commitStack();
  setSegmentFrom(CS, (selector & 0xfffc) | level, code);
  writeFlags(flags & ~(TF | NT | RF | VM | (gateType == TYPE_INT ? IF : 0)));
  store<u64>(cpu, target, S_RIP);
  syncState();
}
