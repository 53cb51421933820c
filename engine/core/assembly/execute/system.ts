/**
 * System instructions: segment registers, far transfers, flags of the interrupt system, fences.
 *
 * @spec   SDM vol. 2
 * @cover  #Y all rows of tables/opcodes/system.ts, VIF and VIP with CR4.VME and CR4.PVI
 */
import {
  CS, DS, ES, FS, GS, LDTR, MODE_LONG, MODE_PROTECTED, MODE_V86, SS, TR, cpl, cpu, gpr16, gpr64, interruptibility, leaveBlock,
  mode, nextRip, segBase, segSelector, setGpr16, setGpr32, setGpr64, setActivity, setInterruptibility,
} from '../cpu';
import { fence } from '../buslock';
import { EVENT_PRIVILEGED, EVENT_SOFTWARE, EVENT_SOFTWARE_EXCEPTION } from '../deliver';
import { EXIT_HLT, requestLeave } from '../exit';
import { farReturn, farTransfer } from '../far';
import { BP, DB, GP, OF as OVERFLOW, UD, raise, raiseError, softwareInterrupt } from '../fault';
import { AC, IF, IOPL, TF, VIF, VIP, ZF, overflowFlag, readFlags, writeFlags } from '../flags';
import {
  OP_ARPL, OP_CALL_AP, OP_CALL_MP, OP_CLAC, OP_CLI, OP_HLT, OP_INT1, OP_INT3, OP_INTO, OP_INT_I, OP_IRET, OP_JMP_AP, OP_JMP_MP, OP_LAR, OP_LDS,
  OP_LES, OP_LFENCE, OP_LFS, OP_LGS, OP_LLDT, OP_LSL, OP_LSS, OP_LTR, OP_MFENCE, OP_MONITOR, OP_MOV_ES, OP_MOV_SE, OP_MWAIT, OP_POP_DS, OP_POP_ES, OP_POP_FS, OP_POP_GS, OP_POP_SS,
  OP_PUSH_CS, OP_PUSH_DS, OP_PUSH_ES, OP_PUSH_FS, OP_PUSH_GS, OP_PUSH_SS, OP_RETF, OP_RETF_I, OP_SFENCE, OP_SLDT, OP_STAC, OP_STI, OP_STR, OP_SWAPGS,
  OP_SYSCALL, OP_SYSENTER, OP_SYSEXIT, OP_SYSRET, OP_VERR, OP_VERW,
} from '../gen/ops';
import { S_CR4, S_FLAGS, S_IA32_KERNEL_GS_BASE, S_SEG_BASE } from '../gen/state';
import { interruptReturn, sysenter, sysexit, sysret, syscall } from '../iret';
import { adjustStack, linear, probeWrite, push, read16, readSized, stackRead, write16 } from '../mmu';
import { CR4_PVI, CR4_UMIP, CR4_VME } from '../paging';
import { isMem, recImm, recReg, recRm, recSize } from '../record';
import { inProtectedMode, loadLdtr, loadSegment, loadTr, lookLimit, lookRights, looked, verify } from '../segment';
import { syncAlignmentCheck } from '../sync';
import { armMonitor, mustWait } from './monitor';
import { execControl } from './system_control';
import { execIo } from './system_io';

/** Value of a 16-bit r/m operand. */
function operand16(rec: usize): u32 { return isMem(rec) ? <u32>read16(linear(rec, 2, false)) : <u32>gpr16(recRm(rec)); }

/** Stores a 16-bit value: memory takes 16 bits, a register is zero-extended to the operand size. */
export function storeSelector(rec: usize, v: u32): void {
  if (isMem(rec)) write16(linear(rec, 2, true), <u16>v);
  else setRegister(recRm(rec), recSize(rec), <u64>v);
}

/** Writes a register in an operand size of 2, 4 or 8. */
export function setRegister(r: u32, size: u32, v: u64): void {
  if (size == 8) setGpr64(r, v);
  else if (size == 4) setGpr32(r, <u32>v);
  else setGpr16(r, <u16>v);
}

/** #GP(0) unless CPL is 0. */
export function needPrivilege(): void {
  if (cpl() != 0) raiseError(GP, 0);
}

/** #GP(0) when UMIP keeps descriptor-table addresses from user code. */
export function checkUmip(): void {
  if (cpl() != 0 && load<u64>(cpu, S_CR4) & CR4_UMIP) raiseError(GP, 0);
}

/** Waits for an event, unless a single-step trap ends the halt before it begins. */
function halt(): void {
  leaveBlock();
  if (load<u32>(cpu, S_FLAGS) & TF && !(interruptibility() & 2)) return;
  setActivity(1);
  requestLeave(EXIT_HLT);
}

/** #UD outside of protected mode (and in virtual-8086 mode). */
function needProtected(): void {
  if (!inProtectedMode()) raise(UD);
}

function setZero(set: bool): void {
  const flags = readFlags();
  writeFlags(set ? flags | ZF : flags & ~ZF);
}

export function execSystem(op: u32, rec: usize): void {
  switch (op) {
    case OP_PUSH_ES: push(<u64>segSelector(ES), recSize(rec)); return;
    case OP_PUSH_CS: push(<u64>segSelector(CS), recSize(rec)); return;
    case OP_PUSH_SS: push(<u64>segSelector(SS), recSize(rec)); return;
    case OP_PUSH_DS: push(<u64>segSelector(DS), recSize(rec)); return;
    case OP_PUSH_FS: push(<u64>segSelector(FS), recSize(rec)); return;
    case OP_PUSH_GS: push(<u64>segSelector(GS), recSize(rec)); return;
    case OP_POP_ES: popSegment(ES, recSize(rec)); return;
    case OP_POP_SS: popSegment(SS, recSize(rec)); return;
    case OP_POP_DS: popSegment(DS, recSize(rec)); return;
    case OP_POP_FS: popSegment(FS, recSize(rec)); return;
    case OP_POP_GS: popSegment(GS, recSize(rec)); return;
    case OP_MOV_ES:
      if ((recReg(rec) & 7) > 5) raise(UD);
      storeSelector(rec, segSelector(recReg(rec) & 7));
      return;
    case OP_MOV_SE: movSegment(rec); return;
    case OP_LES: loadPointer(rec, ES); return;
    case OP_LDS: loadPointer(rec, DS); return;
    case OP_LSS: loadPointer(rec, SS); return;
    case OP_LFS: loadPointer(rec, FS); return;
    case OP_LGS: loadPointer(rec, GS); return;
    case OP_ARPL: adjustRpl(rec); return;
    case OP_LAR: needProtected(); look(rec, lookRights(operand16(rec))); return;
    case OP_LSL: needProtected(); look(rec, lookLimit(operand16(rec))); return;
    case OP_VERR: needProtected(); setZero(verify(operand16(rec), false)); return;
    case OP_VERW: needProtected(); setZero(verify(operand16(rec), true)); return;
    case OP_SLDT: needProtected(); checkUmip(); storeSelector(rec, segSelector(LDTR)); return;
    case OP_STR: needProtected(); checkUmip(); storeSelector(rec, segSelector(TR)); return;
    case OP_LLDT: needProtected(); needPrivilege(); loadLdtr(operand16(rec)); return;
    case OP_LTR: needProtected(); needPrivilege(); loadTr(operand16(rec)); return;
    case OP_CALL_AP: farTransfer(<u32>(recImm(rec) >> 32) & 0xffff, recImm(rec) & 0xffff_ffff, recSize(rec), true); return;
    case OP_JMP_AP: farTransfer(<u32>(recImm(rec) >> 32) & 0xffff, recImm(rec) & 0xffff_ffff, recSize(rec), false); return;
    case OP_CALL_MP: farIndirect(rec, true); return;
    case OP_JMP_MP: farIndirect(rec, false); return;
    case OP_RETF: farReturn(recSize(rec), 0); return;
    case OP_RETF_I: farReturn(recSize(rec), <u32>recImm(rec) & 0xffff); return;
    case OP_IRET: interruptReturn(recSize(rec)); return;
    case OP_INT3: softwareInterrupt(BP, EVENT_SOFTWARE_EXCEPTION, nextRip()); return;
    case OP_INT1: softwareInterrupt(DB, EVENT_PRIVILEGED, nextRip()); return;
    case OP_INTO:
      if (overflowFlag()) softwareInterrupt(OVERFLOW, EVENT_SOFTWARE_EXCEPTION, nextRip());
      else leaveBlock();
      return;
    case OP_INT_I: softwareInterrupt(<u32>recImm(rec) & 0xff, EVENT_SOFTWARE, nextRip()); return;
    case OP_SYSCALL: syscall(); return;
    case OP_SYSRET: sysret(recSize(rec)); return;
    case OP_SYSENTER: sysenter(); return;
    case OP_SYSEXIT: sysexit(recSize(rec)); return;
    case OP_SWAPGS: swapGs(); return;
    case OP_HLT:
      needPrivilege();
      halt();
      return;
    case OP_MONITOR: armMonitor(rec); return;
    case OP_MWAIT:
      if (mustWait()) halt();
      return;
    case OP_CLI:
      store<u32>(cpu, load<u32>(cpu, S_FLAGS) & ~(virtualInterrupts() ? VIF : IF), S_FLAGS);
      return;
    case OP_STI: setInterruptFlag(); return;
    case OP_CLAC: setAlignmentCheck(false); return;
    case OP_STAC: setAlignmentCheck(true); return;
    case OP_MFENCE: fence(); return;
    case OP_LFENCE: case OP_SFENCE: return; // nothing is speculative, stores are in order
    default:
      if (!execIo(op, rec)) execControl(op, rec);
      return;
  }
}

/** MOV SS and POP SS hold interrupts back for one instruction. */
function blockByMovSs(): void { setInterruptibility(interruptibility() | 2); }

function popSegment(s: u32, size: u32): void {
  const selector = <u32>stackRead(0, size) & 0xffff;
  // The old stack's width counts for the pop, also when SS itself changes.
  const sp = gpr64(4);
  adjustStack(size);
  const popped = gpr64(4);
  setGpr64(4, sp);
  const before = mode();
  loadSegment(s, selector);
  setGpr64(4, popped);
  finishLoad(s, before);
}

function movSegment(rec: usize): void {
  const s = recReg(rec) & 7;
  if (s == CS || s > 5) raise(UD);
  const before = mode();
  loadSegment(s, operand16(rec));
  finishLoad(s, before);
}

/** Compiled code goes on behind a segment that has not changed the mode word. */
function finishLoad(s: u32, modeBefore: u32): void {
  if (s == SS) blockByMovSs();
  if (s == SS || mode() != modeBefore) leaveBlock();
}

/** LES and its siblings: offset first, selector behind it. */
function loadPointer(rec: usize, s: u32): void {
  const size = recSize(rec);
  const at = linear(rec, size + 2, false);
  const offset = readSized(at, size);
  const selector = <u32>read16(mode() & MODE_LONG ? at + size : (at + size) & 0xffff_ffff);
  loadSegment(s, selector);
  setRegister(recReg(rec), size, offset); // LSS loads both at once: nothing is held back behind it
  leaveBlock();
}

function farIndirect(rec: usize, call: bool): void {
  const size = recSize(rec);
  const at = linear(rec, size + 2, false);
  const offset = readSized(at, size);
  const selector = <u32>read16(mode() & MODE_LONG ? at + size : (at + size) & 0xffff_ffff);
  farTransfer(selector, offset, size, call);
}

function adjustRpl(rec: usize): void {
  needProtected();
  const source = <u32>gpr16(recReg(rec)) & 3;
  const at: u64 = isMem(rec) ? linear(rec, 2, true) : 0;
  if (isMem(rec)) probeWrite(at, 2);
  const v = isMem(rec) ? <u32>read16(at) : <u32>gpr16(recRm(rec));
  const less = (v & 3) < source;
  if (less) {
    const adjusted = <u16>((v & ~3) | source);
    if (isMem(rec)) write16(at, adjusted);
    else setGpr16(recRm(rec), adjusted);
  }
  setZero(less);
}

/** LAR, LSL: the register changes only when the descriptor may be seen. */
function look(rec: usize, found: bool): void {
  if (found) setRegister(recReg(rec), recSize(rec), <u64>looked);
  setZero(found);
}

function swapGs(): void {
  needPrivilege();
  const base = segBase(GS);
  store<u64>(cpu + (<usize>GS << 3), load<u64>(cpu, S_IA32_KERNEL_GS_BASE), S_SEG_BASE);
  store<u64>(cpu, base, S_IA32_KERNEL_GS_BASE);
}

/** CLI and STI with CPL above IOPL: at CPL 3 VIF stands for IF with CR4.PVI, in virtual-8086 mode with CR4.VME; else #GP(0). */
function virtualInterrupts(): bool {
  const m = mode();
  if (!(m & MODE_PROTECTED) || cpl() <= (load<u32>(cpu, S_FLAGS) & IOPL) >> 12) return false;
  if (cpl() != 3 || !(load<u64>(cpu, S_CR4) & (m & MODE_V86 ? CR4_VME : CR4_PVI))) raiseError(GP, 0);
  return true;
}

function setInterruptFlag(): void {
  const virtual = virtualInterrupts();
  const flags = load<u32>(cpu, S_FLAGS);
  if (virtual) {
    if (flags & VIP) raiseError(GP, 0);
    store<u32>(cpu, flags | VIF, S_FLAGS);
  } else if (!(flags & IF)) {
    store<u32>(cpu, flags | IF, S_FLAGS);
    setInterruptibility(interruptibility() | 1);
  }
  leaveBlock();
}

function setAlignmentCheck(set: bool): void {
  if (cpl() != 0) raise(UD);
  const flags = load<u32>(cpu, S_FLAGS);
  store<u32>(cpu, set ? flags | AC : flags & ~AC, S_FLAGS);
  syncAlignmentCheck();
}
