/**
 * Hardware task switches: JMP, CALL, IRET and interrupts through TSS descriptors and task gates.
 *
 * @spec   SDM vol. 3 chapter 7 (7.2.1 TSS, 7.3 task switching, table 7-1 checks, table 7-2 busy and NT flags)
 * @cover  #Y 16- and 32-bit TSS, nested tasks, error codes, the T flag
 * @differ A fault while loading the new task's segments is raised in the new task with all selectors, no hidden parts loaded.
 */
import {
  CS, DS, ES, FS, GS, LDTR, SS, TR, cpu, gpr16, gpr32, segAttr, segBase, segLimit, segSelector, setGpr32,
} from './cpu';
import { DR6_BT, pendingDebug, setPendingDebug, updateBreakpoints } from './debug';
import { commitStack, stackPush, useCurrentStack } from './deliver';
import {
  TYPE_LDT, TYPE_TSS, TYPE_TSS16, attrDpl, attrType, descriptorAt, descriptorAttr, descriptorBase, descriptorLimit, isCode, isConforming, isData, isNull,
  markAccessed, readDescriptor, setNullSegment, setSegment, setSegmentFrom, setV86Segment, systemExchange, systemRead, systemWrite,
} from './descriptor';
import { GP, NP, SSF, TS, faultsAtRip, raiseError } from './fault';
import { NT, VM, writeFlags } from './flags';
import { S_CR0, S_CR3, S_DR, S_GDTR_BASE, S_GDTR_LIMIT, S_LEAVE_BLOCK, S_RIP } from './gen/state';
import { flushTlb, probe } from './mmu';
import { ACCESS_READ, ACCESS_WRITE } from './ept';
import { CONTEXT_SUPERVISOR, CR0_PG, CR0_TS } from './paging';
import { ATTR_P } from './segment_check';
import { loadCr3 } from './control';
import { syncState } from './sync';

export const TASK_CALL: u32 = 0; export const TASK_IRET: u32 = 1; export const TASK_JUMP: u32 = 2; export const TASK_INTERRUPT: u32 = 3;

/** Busy bit of a TSS descriptor, in its type byte. */
const BUSY: u64 = 2;
const DR7_LOCAL: u64 = 0x155;

/** Switches to the task of a TSS selector; `rip` and `flags` are what the old task saves. */
export function switchTask(selector: u32, source: u32, rip: u64, flags: u32, hasError: bool, error: u32, ext: u32): void {
  const vector = source == TASK_IRET ? TS : GP;
  const selectorError = (selector & 0xfffc) | ext;
  if (selector & 4 || isNull(selector) || (selector & 0xfff8) + 7 > load<u32>(cpu, S_GDTR_LIMIT)) raiseError(vector, selectorError);
  const d = readDescriptor(selector, vector, ext);
  const at = descriptorAt;
  const attr = descriptorAttr(d);
  const type = attrType(attr);
  const busy = source == TASK_IRET ? <u32>BUSY : 0;
  if (type != (TYPE_TSS | busy) && type != (TYPE_TSS16 | busy)) raiseError(vector, selectorError);
  if (!(attr & ATTR_P)) raiseError(NP, selectorError);
  const wide = (type & 8) != 0;
  const base = descriptorBase(d);
  const limit = descriptorLimit(d);
  const least: u32 = wide ? 0x67 : 0x2b;
  if (least > limit) raiseError(TS, selectorError);

  const oldSelector = <u32>segSelector(TR);
  const oldBase = segBase(TR);
  const oldWide = (segAttr(TR) & 8) != 0;
  const oldAt = load<u64>(cpu, S_GDTR_BASE) + (oldSelector & 0xfff8);
  probe(base, wide ? 0x68 : 0x2c, ACCESS_READ, CONTEXT_SUPERVISOR);
  probe(oldBase, oldWide ? 0x68 : 0x2c, ACCESS_WRITE, CONTEXT_SUPERVISOR);

  let saved = flags;
  if (source == TASK_IRET) saved &= ~NT;
  if (source == TASK_IRET || source == TASK_JUMP) setBusy(oldAt, false);
  saveTask(oldBase, oldWide, <u32>rip, saved);
  if (source == TASK_CALL || source == TASK_INTERRUPT) systemWrite(base, 2, oldSelector);
  if (source != TASK_IRET) setBusy(at, true);
  loadTask(selector, d, base, limit, wide, source, ext);
  if (hasError) {
    useCurrentStack();
    stackPush(<u64>error, wide ? 4 : 2);
    commitStack();
  }
  if (<u32>load<u64>(cpu, S_RIP) > segLimit(CS)) raiseError(GP, ext);
  faultsAtRip(false);
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/** A task switch clears L0-L3 and LE of DR7 (SDM vol. 3, 17.2.4). */
function leaveLocalBreakpoints(): void {
  const dr7 = load<u64>(cpu + 56, S_DR);
  if (!(dr7 & DR7_LOCAL)) return;
  store<u64>(cpu + 56, dr7 & ~DR7_LOCAL, S_DR);
  updateBreakpoints();
  flushTlb();
}

function setBusy(at: u64, busy: bool): void {
  let byte: u64;
  do byte = systemRead(at + 5, 1);
  while (!systemExchange(at + 5, byte, busy ? byte | BUSY : byte & ~BUSY));
}

function saveTask(base: u64, wide: bool, eip: u32, flags: u32): void {
  if (wide) {
    systemWrite(base + 0x20, 4, eip);
    systemWrite(base + 0x24, 4, flags);
    for (let i: u32 = 0; i < 8; i++) systemWrite(base + 0x28 + i * 4, 4, gpr32(i));
    for (let s: u32 = 0; s < 6; s++) systemWrite(base + 0x48 + s * 4, 2, segSelector(s));
  } else {
    systemWrite(base + 0x0e, 2, eip & 0xffff);
    systemWrite(base + 0x10, 2, flags & 0xffff);
    for (let i: u32 = 0; i < 8; i++) systemWrite(base + 0x12 + i * 2, 2, gpr16(i));
    for (let s: u32 = 0; s < 4; s++) systemWrite(base + 0x22 + s * 2, 2, segSelector(s));
  }
}

let newEs: u32 = 0; let newCs: u32 = 0; let newSs: u32 = 0; let newDs: u32 = 0; let newFs: u32 = 0; let newGs: u32 = 0;

function loadTask(selector: u32, d: u64, base: u64, limit: u32, wide: bool, source: u32, ext: u32): void {
  const cr3 = wide ? <u32>systemRead(base + 0x1c, 4) : 0;
  const eip = <u32>(wide ? systemRead(base + 0x20, 4) : systemRead(base + 0x0e, 2));
  let flags = <u32>(wide ? systemRead(base + 0x24, 4) : systemRead(base + 0x10, 2));
  const registers = base + (wide ? 0x28 : 0x12);
  const selectors = base + (wide ? 0x48 : 0x22);
  const step: u32 = wide ? 4 : 2;
  newEs = <u32>systemRead(selectors, 2);
  newCs = <u32>systemRead(selectors + step, 2);
  newSs = <u32>systemRead(selectors + step * 2, 2);
  newDs = <u32>systemRead(selectors + step * 3, 2);
  newFs = wide ? <u32>systemRead(selectors + step * 4, 2) : 0;
  newGs = wide ? <u32>systemRead(selectors + step * 5, 2) : 0;
  const ldt = <u32>systemRead(base + (wide ? 0x60 : 0x2a), 2);
  const trap = wide ? <u32>systemRead(base + 0x64, 2) & 1 : 0;
  for (let i: u32 = 0; i < 8; i++) {
    const v = <u32>systemRead(registers + i * step, step);
    setGpr32(i, wide ? v : 0xffff_0000 | v);
  }
  if (source == TASK_CALL || source == TASK_INTERRUPT) flags |= NT;
  setSegment(TR, selector, base, limit, descriptorAttr(d) | <u32>BUSY);
  store<u64>(cpu, load<u64>(cpu, S_CR0) | CR0_TS, S_CR0);
  if (wide && load<u64>(cpu, S_CR0) & CR0_PG) loadCr3(<u64>cr3);
  writeFlags(flags);
  store<u64>(cpu, <u64>eip, S_RIP);
  faultsAtRip(true);
  leaveLocalBreakpoints();
  loadLdt(ldt, ext);
  if (flags & VM) {
    setV86Segment(ES, newEs); setV86Segment(CS, newCs); setV86Segment(SS, newSs);
    setV86Segment(DS, newDs); setV86Segment(FS, newFs); setV86Segment(GS, newGs);
    syncState();
  } else {
    const level = newCs & 3;
    setNullSegment(ES, newEs, 0); setNullSegment(DS, newDs, 0); setNullSegment(FS, newFs, 0); setNullSegment(GS, newGs, 0);
    setNullSegment(SS, newSs, level); setNullSegment(CS, newCs, level);
    syncState();
    loadTaskStack(newSs, level, ext);
    loadTaskCode(newCs, level, ext);
    loadTaskData(ES, newEs, level, ext); loadTaskData(DS, newDs, level, ext);
    loadTaskData(FS, newFs, level, ext); loadTaskData(GS, newGs, level, ext);
    syncState();
  }
  if (trap) setPendingDebug(pendingDebug | DR6_BT);
}

function loadLdt(selector: u32, ext: u32): void {
  setNullSegment(LDTR, selector, 0);
  if (isNull(selector)) return;
  const error = (selector & 0xfffc) | ext;
  if (selector & 4) raiseError(TS, error);
  const d = readDescriptor(selector, TS, ext);
  const attr = descriptorAttr(d);
  if (attrType(attr) != TYPE_LDT || !(attr & ATTR_P)) raiseError(TS, error);
  setSegment(LDTR, selector, descriptorBase(d), descriptorLimit(d), attr);
}

function loadTaskStack(selector: u32, level: u32, ext: u32): void {
  const error = (selector & 0xfffc) | ext;
  if (isNull(selector)) raiseError(TS, error);
  const d = readDescriptor(selector, TS, ext);
  const attr = descriptorAttr(d);
  if (!isData(attr) || !(attr & 2) || attrDpl(attr) != level || (selector & 3) != level) raiseError(TS, error);
  if (!(attr & ATTR_P)) raiseError(SSF, error);
  markAccessed(descriptorAt, d);
  setSegmentFrom(SS, selector, d);
}

function loadTaskCode(selector: u32, level: u32, ext: u32): void {
  const error = (selector & 0xfffc) | ext;
  if (isNull(selector)) raiseError(TS, error);
  const d = readDescriptor(selector, TS, ext);
  const attr = descriptorAttr(d);
  if (!isCode(attr) || (isConforming(attr) ? attrDpl(attr) > level : attrDpl(attr) != level)) raiseError(TS, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  markAccessed(descriptorAt, d);
  setSegmentFrom(CS, selector, d);
}

function loadTaskData(s: u32, selector: u32, level: u32, ext: u32): void {
  if (isNull(selector)) {
    setNullSegment(s, selector, 0);
    return;
  }
  const error = (selector & 0xfffc) | ext;
  const d = readDescriptor(selector, TS, ext);
  const attr = descriptorAttr(d);
  if (!(attr & 0x10) || (isCode(attr) && !(attr & 2))) raiseError(TS, error);
  if (!isConforming(attr) && (attrDpl(attr) < level || attrDpl(attr) < (selector & 3))) raiseError(TS, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  markAccessed(descriptorAt, d);
  setSegmentFrom(s, selector, d);
}
