/**
 * Far JMP, CALL and RET in every mode, through code segments, call gates, TSSs and task gates.
 *
 * @spec SDM vol. 2, CALL JMP RET; vol. 3, 5.8.1-5.8.6 (direct and gated transfers), 5.8.5 (stack switching)
 */
import {
  CS, MODE_LONG, MODE_PROTECTED, MODE_V86, RSP, SS, cpl, gpr64, jumpTo, mode, nextRip, segLimit, segSelector, setGpr64,
} from './cpu';
import { commitStack, stackPush, useCurrentStack, useStack, useStack64 } from './deliver';
import {
  TYPE_CALL, TYPE_CALL16, TYPE_TASK_GATE, TYPE_TSS, TYPE_TSS16, attrDpl, attrType, descriptorAt, descriptorAttr, descriptorBase, descriptorLimit, innerEsp, innerSs,
  isCode, isConforming, isData, isNull, locate, markAccessed, readDescriptor, readInnerStack, readStackDescriptor, setNullSegment, setRealSegment, setSegmentFrom,
  setV86Segment, systemRead, tssRead64,
} from './descriptor';
import { GP, NP, SSF, TS, raiseError } from './fault';
import { readFlags } from './flags';
import { adjustStack, stackRead } from './mmu';
import { canonical } from './paging';
import { ATTR_DB, ATTR_L, ATTR_P } from './segment_check';
import { dropInnerSegments } from './segment';
import { syncState } from './sync';
import { TASK_CALL, TASK_JUMP, switchTask } from './task';

/** Truncates an offset to an operand size. */
// @ts-ignore: decorator
@inline export function truncate(offset: u64, size: u32): u64 { return size == 8 ? offset : size == 4 ? offset & 0xffff_ffff : offset & 0xffff; }

function realFar(selector: u32, offset: u64): void {
  if (mode() & MODE_V86) setV86Segment(CS, selector);
  else setRealSegment(CS, selector);
  syncState();
  jumpTo(offset);
}

/** The offset is inside the code segment (canonical in 64-bit code), else #GP(error). */
export function checkTarget(code: u64, offset: u64, error: u32): void {
  if (mode() & MODE_LONG && descriptorAttr(code) & ATTR_L) {
    if (!canonical(offset)) raiseError(GP, error);
  } else if (offset > <u64>descriptorLimit(code)) {
    raiseError(GP, error);
  }
}

/** Code descriptor checks common to all: L and D not both set in IA-32e mode. */
// @ts-ignore: decorator
@inline function badLong(attr: u32): bool { return (mode() & MODE_LONG) != 0 && (attr & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB); }

function enterCode(selector: u32, level: u32, code: u64, at: u64, offset: u64): void {
  markAccessed(at, code);
  setSegmentFrom(CS, (selector & 0xfffc) | level, code);
  syncState();
  jumpTo(offset);
}

/** Far JMP (call false) or CALL to selector:offset with an operand size of 2, 4 or 8. */
export function farTransfer(selector: u32, wideOffset: u64, size: u32, call: bool): void {
  const m = mode();
  const offset = truncate(wideOffset, size);
  if (!(m & MODE_PROTECTED) || m & MODE_V86) {
    if (offset > <u64>segLimit(CS)) raiseError(GP, 0);
    if (call) pushReturn(size);
    realFar(selector, offset);
    return;
  }
  if (isNull(selector)) raiseError(GP, 0);
  const d = readDescriptor(selector, GP, 0);
  const at = descriptorAt;
  const attr = descriptorAttr(d);
  const error = selector & 0xfffc;
  if (!(attr & 0x10)) {
    systemTransfer(selector, d, size, call);
    return;
  }
  if (!isCode(attr) || badLong(attr)) raiseError(GP, error);
  if (isConforming(attr) ? attrDpl(attr) > cpl() : (selector & 3) > cpl() || attrDpl(attr) != cpl()) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  checkTarget(d, offset, 0);
  if (call) pushReturn(size);
  enterCode(selector, cpl(), d, at, offset);
}

/** Pushes CS and the next RIP on the current stack. */
function pushReturn(size: u32): void {
  useCurrentStack();
  stackPush(<u64>segSelector(CS), size);
  stackPush(truncate(nextRip(), size), size);
  commitStack();
}

function systemTransfer(selector: u32, d: u64, size: u32, call: bool): void {
  const attr = descriptorAttr(d);
  const type = attrType(attr);
  const error = selector & 0xfffc;
  const long = (mode() & MODE_LONG) != 0;
  const gate = type == TYPE_CALL || (type == TYPE_CALL16 && !long);
  const task = !long && (type == TYPE_TSS || type == TYPE_TSS16);
  const taskGate = !long && type == TYPE_TASK_GATE;
  if (!gate && !task && !taskGate) raiseError(GP, error);
  if (attrDpl(attr) < cpl() || attrDpl(attr) < (selector & 3)) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  if (gate) {
    gateTransfer(selector, d, call);
    return;
  }
  const source = call ? TASK_CALL : TASK_JUMP;
  switchTask(task ? selector : <u32>(d >> 16) & 0xffff, source, nextRip() & 0xffff_ffff, readFlags(), false, 0, 0);
}

function gateTransfer(gateSelector: u32, gate: u64, call: bool): void {
  const long = (mode() & MODE_LONG) != 0;
  const size: u32 = long ? 8 : descriptorAttr(gate) & 8 ? 4 : 2;
  let target = gate & 0xffff;
  if (size >= 4) target |= (gate >> 32) & 0xffff_0000;
  if (long) {
    if (!locate(gateSelector, 16)) raiseError(GP, gateSelector & 0xfffc);
    const high = systemRead(descriptorAt + 8, 8);
    if ((high >> 40) & 0x1f) raiseError(GP, gateSelector & 0xfffc);
    target |= high << 32;
  }
  const selector = <u32>(gate >> 16) & 0xffff;
  if (isNull(selector)) raiseError(GP, 0);
  const code = readDescriptor(selector, GP, 0);
  const codeAt = descriptorAt;
  const attr = descriptorAttr(code);
  const error = selector & 0xfffc;
  if (!isCode(attr) || attrDpl(attr) > cpl()) raiseError(GP, error);
  if (long && (attr & (ATTR_L | ATTR_DB)) != ATTR_L) raiseError(GP, error);
  if (!call && !isConforming(attr) && attrDpl(attr) != cpl()) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  const level = attrDpl(attr);
  checkTarget(code, target, 0);
  if (!call) {
    enterCode(selector, cpl(), code, codeAt, target);
  } else if (isConforming(attr) || level == cpl()) {
    pushReturn(size);
    enterCode(selector, cpl(), code, codeAt, target);
  } else if (long) {
    const sp = tssRead64(4 + level * 8, 0);
    if (!canonical(sp)) raiseError(SSF, 0);
    useStack64(sp, level, 0);
    stackPush(<u64>segSelector(SS), 8);
    stackPush(gpr64(RSP), 8);
    stackPush(<u64>segSelector(CS), 8);
    stackPush(nextRip(), 8);
    setNullSegment(SS, level, level);
    setGpr64(RSP, sp - 32);
    enterCode(selector, level, code, codeAt, target);
  } else {
    innerCall(gate, selector, code, codeAt, level, size, target);
  }
}

function innerCall(gate: u64, selector: u32, code: u64, codeAt: u64, level: u32, size: u32, target: u64): void {
  readInnerStack(level, 0);
  const ss = innerSs;
  const stack = readStackDescriptor(ss, level, TS, 0);
  const stackAt = descriptorAt;
  if (!(descriptorAttr(stack) & ATTR_P)) raiseError(SSF, ss & 0xfffc);
  useStack(descriptorBase(stack), descriptorLimit(stack), descriptorAttr(stack), innerEsp, level, ss & 0xfffc);
  stackPush(<u64>segSelector(SS), size);
  stackPush(gpr64(RSP) & 0xffff_ffff, size);
  const count = <u32>(gate >> 32) & 0x1f;
  for (let i = count; i > 0; i--) stackPush(stackRead((i - 1) * size, size), size);
  stackPush(<u64>segSelector(CS), size);
  stackPush(nextRip() & 0xffff_ffff, size);
  markAccessed(stackAt, stack);
  setSegmentFrom(SS, ss, stack);
  commitStack();
  enterCode(selector, level, code, codeAt, target);
}

/** Far RET, releasing `release` bytes of parameters. */
export function farReturn(size: u32, release: u32): void {
  const m = mode();
  const rip = truncate(stackRead(0, size), size);
  const selector = <u32>stackRead(size, size) & 0xffff;
  if (!(m & MODE_PROTECTED) || m & MODE_V86) {
    if (rip > <u64>segLimit(CS)) raiseError(GP, 0);
    adjustStack(size * 2 + release);
    realFar(selector, rip);
    return;
  }
  const code = readReturnCode(selector);
  const at = descriptorAt;
  const level = selector & 3;
  if (level == cpl()) {
    checkTarget(code, rip, 0);
    adjustStack(size * 2 + release);
    enterCode(selector, level, code, at, rip);
    return;
  }
  const sp = stackRead(size * 2 + release, size);
  const ss = <u32>stackRead(size * 3 + release, size) & 0xffff;
  returnOuter(selector, code, at, rip, ss, sp, size, release);
}

/** Code descriptor of a RET or IRET, checked; descriptorAt is its address. */
export function readReturnCode(selector: u32): u64 {
  if (isNull(selector)) raiseError(GP, 0);
  const code = readDescriptor(selector, GP, 0);
  const attr = descriptorAttr(code);
  const error = selector & 0xfffc;
  const level = selector & 3;
  if (level < cpl() || !isCode(attr) || badLong(attr)) raiseError(GP, error);
  if (isConforming(attr) ? attrDpl(attr) > level : attrDpl(attr) != level) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  return code;
}

/** Completes a return that takes SS and the stack pointer from the stack: to an outer level, or any IRET in 64-bit mode. */
export function returnOuter(selector: u32, code: u64, codeAt: u64, rip: u64, ss: u32, sp: u64, size: u32, release: u32): void {
  const level = selector & 3;
  const to64 = (mode() & MODE_LONG) != 0 && (descriptorAttr(code) & ATTR_L) != 0;
  const outer = level != cpl();
  let stack: u64 = 0;
  let stackAt: u64 = 0;
  if (isNull(ss)) {
    if (!to64 || level == 3 || (ss & 3) != level) raiseError(GP, ss & 0xfffc);
  } else {
    stack = readDescriptor(ss, GP, 0);
    stackAt = descriptorAt;
    const attr = descriptorAttr(stack);
    if ((ss & 3) != level || !isData(attr) || !(attr & 2) || attrDpl(attr) != level) raiseError(GP, ss & 0xfffc);
    if (!(attr & ATTR_P)) raiseError(SSF, ss & 0xfffc);
  }
  checkTarget(code, rip, 0);
  if (stack != 0) {
    markAccessed(stackAt, stack);
    setSegmentFrom(SS, ss, stack);
  } else {
    setNullSegment(SS, ss, level);
  }
  if (to64) setGpr64(RSP, sp + <u64>release);
  else if (descriptorAttr(stack) & ATTR_DB) setGpr64(RSP, (sp + <u64>release) & 0xffff_ffff);
  else setGpr64(RSP, (gpr64(RSP) & ~0xffff) | ((sp + <u64>release) & 0xffff));
  if (outer) dropInnerSegments(level);
  enterCode(selector, level, code, codeAt, rip);
}
