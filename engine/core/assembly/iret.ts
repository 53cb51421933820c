/**
 * IRET in every mode, and the fast system calls.
 *
 * @spec   SDM vol. 2, IRET/IRETD/IRETQ, SYSCALL, SYSRET, SYSENTER, SYSEXIT
 * @differ SYSRET and SYSEXIT to non-canonical addresses raise #GP in the kernel, as Intel's processors do.
 */
import {
  CS, DS, ES, FS, GS, MODE_LONG, MODE_LONG64, MODE_PROTECTED, MODE_V86, RCX, RDX, RSP, SS, TR, cpl, cpu, gpr64, interruptibility, jumpTo, mode,
  nextRip, segBase, segLimit, setGpr64, setInterruptibility,
} from './cpu';
import { DR6_BS, pendingDebug, setPendingDebug, suppressStep } from './debug';
import { descriptorAt, setNullSegment, setSegment, setV86Segment, setRealSegment, systemRead } from './descriptor';
import { checkTarget, readReturnCode, returnOuter, truncate } from './far';
import { GP, TS, UD, raise, raiseError } from './fault';
import { AC, CF, AF, DF, ID, IF, IOPL, NT, OF, PF, RF, SF, TF, VIF, VIP, VM, ZF, readFlags, writeFlags } from './flags';
import {
  S_CR0, S_CR4, S_IA32_EFER, S_IA32_FMASK, S_IA32_LSTAR, S_IA32_STAR, S_IA32_SYSENTER_CS, S_IA32_SYSENTER_EIP, S_IA32_SYSENTER_ESP, S_RIP,
} from './gen/state';
import { adjustStack, stackRead } from './mmu';
import { CR0_PE, CR4_VME, EFER_SCE, canonical } from './paging';
import { markAccessed, setSegmentFrom } from './descriptor';
import { syncState } from './sync';
import { TASK_IRET, switchTask } from './task';

/** Flags any IRET may change. */
const ORDINARY: u32 = CF | PF | AF | ZF | SF | TF | DF | OF | NT | RF | AC | ID;

/** Flags that an IRET or POPF at privilege level `level` with operand size `size` may change. */
export function changeableFlags(level: u32, size: u32): u32 {
  let mask = ORDINARY;
  if (level <= (readFlags() & IOPL) >> 12) mask |= IF;
  if (level == 0) mask |= IOPL | VIF | VIP;
  return size == 2 ? mask & 0xffff : mask;
}

function applyFlags(value: u32, mask: u32): void { writeFlags((readFlags() & ~mask) | (value & mask)); }

function unblockNmi(): void { setInterruptibility(interruptibility() & ~8); }

/** IRET with an operand size of 2, 4 or 8. NMIs are unblocked even when it faults (SDM vol. 3, 6.7.1). */
export function interruptReturn(size: u32): void {
  const m = mode();
  unblockNmi();
  if (!(m & MODE_PROTECTED)) realReturn(size, ORDINARY | IF | IOPL);
  else if (m & MODE_V86) v86Return(size);
  else if (readFlags() & NT) taskReturn();
  else protectedReturn(size);
}

function realReturn(size: u32, mask: u32): void {
  const rip = truncate(stackRead(0, size), size);
  const selector = <u32>stackRead(size, size) & 0xffff;
  const flags = <u32>stackRead(size * 2, size);
  if (rip > <u64>segLimit(CS)) raiseError(GP, 0);
  adjustStack(size * 3);
  if (mode() & MODE_V86) setV86Segment(CS, selector);
  else setRealSegment(CS, selector);
  applyFlags(flags, size == 2 ? mask & 0xffff : mask);
  syncState();
  jumpTo(rip);
}

/** With CR4.VME a 16-bit IRET below IOPL 3 changes VIF in place of IF. */
function v86Return(size: u32): void {
  const old = readFlags();
  if ((old & IOPL) == IOPL) {
    realReturn(size, ORDINARY | IF);
    return;
  }
  if (size != 2 || !(load<u64>(cpu, S_CR4) & CR4_VME)) raiseError(GP, 0);
  const flags = <u32>stackRead(4, 2);
  if (flags & TF || (flags & IF && old & VIP)) raiseError(GP, 0);
  realReturn(2, ORDINARY);
  const now = readFlags();
  writeFlags(flags & IF ? now | VIF : now & ~VIF);
}

function taskReturn(): void {
  if (mode() & MODE_LONG) raiseError(GP, 0);
  const link = <u32>systemRead(segBase(TR), 2);
  if (link & 4) raiseError(TS, link & 0xfffc);
  switchTask(link, TASK_IRET, nextRip() & 0xffff_ffff, readFlags(), false, 0, 0);
}

function protectedReturn(size: u32): void {
  const rip = truncate(stackRead(0, size), size);
  const selector = <u32>stackRead(size, size) & 0xffff;
  const flags = <u32>stackRead(size * 2, size);
  const from64 = (mode() & MODE_LONG64) != 0;
  const level = cpl();
  if (!(mode() & MODE_LONG) && size == 4 && flags & VM && level == 0) {
    returnToV86(rip, selector, flags);
    return;
  }
  const code = readReturnCode(selector);
  const at = descriptorAt;
  const mask = changeableFlags(level, size);
  if (!from64 && (selector & 3) == level) {
    checkTarget(code, rip, 0);
    adjustStack(size * 3);
    markAccessed(at, code);
    setSegmentFrom(CS, selector, code);
    applyFlags(flags, mask);
    syncState();
    jumpTo(rip);
    return;
  }
  const sp = stackRead(size * 3, size);
  const ss = <u32>stackRead(size * 4, size) & 0xffff;
  returnOuter(selector, code, at, rip, ss, truncate(sp, size), size, 0);
  applyFlags(flags, mask);
  syncState();
}

function returnToV86(rip: u64, selector: u32, flags: u32): void {
  const esp = stackRead(12, 4);
  const ss = <u32>stackRead(16, 4);
  const es = <u32>stackRead(20, 4);
  const ds = <u32>stackRead(24, 4);
  const fs = <u32>stackRead(28, 4);
  const gs = <u32>stackRead(32, 4);
  if (rip > 0xffff) raiseError(GP, 0);
  setV86Segment(CS, selector); setV86Segment(SS, ss); setV86Segment(ES, es); setV86Segment(DS, ds); setV86Segment(FS, fs); setV86Segment(GS, gs);
  setGpr64(RSP, esp & 0xffff_ffff);
  writeFlags(flags);
  syncState();
  jumpTo(rip);
}

// ---- fast system calls

const CODE64_0: u32 = 0xa09b; const CODE32_0: u32 = 0xc09b; const DATA_0: u32 = 0xc093;
const CODE64_3: u32 = 0xa0fb; const CODE32_3: u32 = 0xc0fb; const DATA_3: u32 = 0xc0f3;

// @ts-ignore: decorator
@inline function flatSegments(cs: u32, codeAttr: u32, ss: u32, dataAttr: u32): void {
  setSegment(CS, cs, 0, 0xffff_ffff, codeAttr);
  setSegment(SS, ss, 0, 0xffff_ffff, dataAttr);
}

/** SYSCALL and SYSRET trap by the TF that they leave, before the next instruction. */
function stepBehind(): void {
  suppressStep(true);
  if (readFlags() & TF) setPendingDebug(pendingDebug | DR6_BS);
}

export function syscall(): void {
  if (!(load<u64>(cpu, S_IA32_EFER) & EFER_SCE)) raise(UD);
  const flags = readFlags();
  setGpr64(RCX, nextRip());
  setGpr64(11, <u64>(flags & ~RF));
  const selector = <u32>(load<u64>(cpu, S_IA32_STAR) >> 32) & 0xfffc;
  flatSegments(selector, CODE64_0, selector + 8, DATA_0);
  writeFlags(flags & ~<u32>load<u64>(cpu, S_IA32_FMASK) & ~RF);
  stepBehind();
  syncState();
  jumpTo(load<u64>(cpu, S_IA32_LSTAR));
}

export function sysret(size: u32): void {
  if (!(load<u64>(cpu, S_IA32_EFER) & EFER_SCE)) raise(UD);
  if (cpl() != 0) raiseError(GP, 0);
  const rip = gpr64(RCX);
  const selector = <u32>(load<u64>(cpu, S_IA32_STAR) >> 48) & 0xffff;
  if (size == 8) {
    if (!canonical(rip)) raiseError(GP, 0);
    flatSegments(((selector + 16) & 0xffff) | 3, CODE64_3, ((selector + 8) & 0xffff) | 3, DATA_3);
  } else {
    flatSegments(selector | 3, CODE32_3, ((selector + 8) & 0xffff) | 3, DATA_3);
  }
  writeFlags(<u32>gpr64(11) & 0x3c7fd7);
  stepBehind();
  syncState();
  jumpTo(size == 8 ? rip : rip & 0xffff_ffff);
}

export function sysenter(): void {
  const cs = <u32>load<u64>(cpu, S_IA32_SYSENTER_CS) & 0xfffc;
  if (!(load<u64>(cpu, S_CR0) & CR0_PE) || cs == 0) raiseError(GP, 0);
  const long = (mode() & MODE_LONG) != 0;
  writeFlags(readFlags() & ~(VM | IF | RF));
  flatSegments(cs, long ? CODE64_0 : CODE32_0, cs + 8, DATA_0);
  const rsp = load<u64>(cpu, S_IA32_SYSENTER_ESP);
  const rip = load<u64>(cpu, S_IA32_SYSENTER_EIP);
  setGpr64(RSP, long ? rsp : rsp & 0xffff_ffff);
  syncState();
  jumpTo(long ? rip : rip & 0xffff_ffff);
}

export function sysexit(size: u32): void {
  const cs = <u32>load<u64>(cpu, S_IA32_SYSENTER_CS) & 0xfffc;
  if (!(load<u64>(cpu, S_CR0) & CR0_PE) || cs == 0 || cpl() != 0) raiseError(GP, 0);
  const rip = gpr64(RDX);
  const rsp = gpr64(RCX);
  if (size == 8) {
    if (!canonical(rip) || !canonical(rsp)) raiseError(GP, 0);
    flatSegments((cs + 32) | 3, CODE64_3, (cs + 40) | 3, DATA_3);
    setGpr64(RSP, rsp);
  } else {
    flatSegments((cs + 16) | 3, CODE32_3, (cs + 24) | 3, DATA_3);
    setGpr64(RSP, rsp & 0xffff_ffff);
  }
  syncState();
  jumpTo(size == 8 ? rip : rip & 0xffff_ffff);
}
