/**
 * Loading segment registers, LDTR and TR, and the instructions that only look at descriptors.
 *
 * @spec SDM vol. 2, MOV, LLDT, LTR, LAR, LSL, VERR/VERW; vol. 3, 5.7 (privilege checks of data segments), 20.1 (real mode)
 */
import { ES, FS, GS, DS, LDTR, MODE_LONG, MODE_LONG64, MODE_PROTECTED, MODE_V86, SS, TR, cpl, mode, segAttr } from './cpu';
import {
  TYPE_CALL, TYPE_CALL16, TYPE_LDT, TYPE_TASK_GATE, TYPE_TSS, TYPE_TSS16, TYPE_TSS16_BUSY, TYPE_TSS_BUSY, attrDpl, attrType, descriptorAt, descriptorAttr,
  descriptorHigh, descriptorLimit, isCode, isConforming, isData, isNull, locate, markAccessed, readDescriptor, readSystemDescriptor,
  setNullSegment, setRealSegment, setSegment, setSegmentFrom, setV86Segment, systemBase, systemExchange, systemRead,
} from './descriptor';
import { GP, NP, SSF, raiseError } from './fault';
import { canonical } from './paging';
import { ATTR_P, ATTR_UNUSABLE } from './segment_check';
import { syncState } from './sync';

/** True in protected mode, virtual-8086 mode excluded. */
// @ts-ignore: decorator
@inline export function inProtectedMode(): bool { return (mode() & (MODE_PROTECTED | MODE_V86)) == MODE_PROTECTED; }

/** Loads ES, SS, DS, FS or GS as MOV and POP do. */
export function loadSegment(s: u32, selector: u32): void {
  const m = mode();
  if (!(m & MODE_PROTECTED)) setRealSegment(s, selector);
  else if (m & MODE_V86) setV86Segment(s, selector);
  else if (s == SS) loadStackSegment(selector);
  else loadDataSegment(s, selector);
  syncState();
}

function loadStackSegment(selector: u32): void {
  const level = cpl();
  if (isNull(selector)) {
    if (!(mode() & MODE_LONG64) || level == 3 || (selector & 3) != level) raiseError(GP, 0);
    setNullSegment(SS, selector, level);
    return;
  }
  const error = selector & 0xfffc;
  const d = readDescriptor(selector, GP, 0);
  const attr = descriptorAttr(d);
  if ((selector & 3) != level || !isData(attr) || !(attr & 2) || attrDpl(attr) != level) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(SSF, error);
  markAccessed(descriptorAt, d);
  setSegmentFrom(SS, selector, d);
}

function loadDataSegment(s: u32, selector: u32): void {
  if (isNull(selector)) {
    setNullSegment(s, selector, 0);
    return;
  }
  const error = selector & 0xfffc;
  const d = readDescriptor(selector, GP, 0);
  const attr = descriptorAttr(d);
  if (!(attr & 0x10) || (isCode(attr) && !(attr & 2))) raiseError(GP, error);
  if (!isConforming(attr) && ((selector & 3) > attrDpl(attr) || cpl() > attrDpl(attr))) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  markAccessed(descriptorAt, d);
  setSegmentFrom(s, selector, d);
}

/** On a return to an outer level: data segments the new level may not use become null. */
export function dropInnerSegments(level: u32): void {
  dropInner(ES, level);
  dropInner(DS, level);
  dropInner(FS, level);
  dropInner(GS, level);
}

function dropInner(s: u32, level: u32): void {
  const attr = segAttr(s);
  if (!(attr & ATTR_UNUSABLE) && !isConforming(attr) && attrDpl(attr) < level) setNullSegment(s, 0, 0);
}

/** LLDT. */
export function loadLdtr(selector: u32): void {
  if (isNull(selector)) {
    setNullSegment(LDTR, selector, 0);
    return;
  }
  const error = selector & 0xfffc;
  if (selector & 4) raiseError(GP, error);
  const d = readSystemDescriptor(selector, GP, 0);
  const attr = descriptorAttr(d);
  if (attrType(attr) != TYPE_LDT || (mode() & MODE_LONG && (descriptorHigh >> 40) & 0x1f)) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  const base = systemBase(d);
  if (!canonical(base)) raiseError(GP, error);
  setSegment(LDTR, selector, base, descriptorLimit(d), attr);
}

/** LTR. */
export function loadTr(selector: u32): void {
  const error = selector & 0xfffc;
  if (isNull(selector)) raiseError(GP, 0);
  if (selector & 4) raiseError(GP, error);
  const d = readSystemDescriptor(selector, GP, 0);
  const attr = descriptorAttr(d);
  const type = attrType(attr);
  const long = (mode() & MODE_LONG) != 0;
  if (type != TYPE_TSS && (long || type != TYPE_TSS16)) raiseError(GP, error);
  if (long && (descriptorHigh >> 40) & 0x1f) raiseError(GP, error);
  if (!(attr & ATTR_P)) raiseError(NP, error);
  const base = systemBase(d);
  if (!canonical(base)) raiseError(GP, error);
  if (!systemExchange(descriptorAt + 5, d >> 40 & 0xff, (d >> 40 & 0xff) | 2)) { // another processor was faster: look again
    loadTr(selector);
    return;
  }
  setSegment(TR, selector, base, descriptorLimit(d), attr | 2);
}

/** The descriptor found by `visible`. */
let seen: u64 = 0;

/** LAR, LSL, VERR, VERW: the selector is in its table and, unless conforming code, of a level the caller may see. */
function visible(selector: u32): bool {
  if (isNull(selector) || !locate(selector, 8)) return false;
  seen = systemRead(descriptorAt, 8);
  const attr = descriptorAttr(seen);
  return isConforming(attr) || (attrDpl(attr) >= cpl() && attrDpl(attr) >= (selector & 3));
}

/** The second half of a 16-byte system descriptor has type 0, as it must. */
function upperHalfValid(selector: u32): bool {
  if (!locate(selector, 16)) return false;
  return ((systemRead(descriptorAt + 8, 8) >> 40) & 0x1f) == 0;
}

/** LAR, LSL: result of the last successful one. */
export let looked: u32 = 0;

/** LAR: true (ZF) and the access rights in `looked`, or false. */
export function lookRights(selector: u32): bool {
  if (!visible(selector)) return false;
  const attr = descriptorAttr(seen);
  const type = attrType(attr);
  const long = (mode() & MODE_LONG) != 0;
  if (!(attr & 0x10)) {
    if (type == TYPE_LDT || type == TYPE_TSS || type == TYPE_TSS_BUSY || type == TYPE_CALL) {
      if (long && !upperHalfValid(selector)) return false;
    } else if (long || (type != TYPE_TSS16 && type != TYPE_TSS16_BUSY && type != TYPE_CALL16 && type != TYPE_TASK_GATE)) {
      return false;
    }
  }
  looked = <u32>(seen >> 32) & 0x00ff_ff00;
  return true;
}

/** LSL: true (ZF) and the limit in `looked`, or false. */
export function lookLimit(selector: u32): bool {
  if (!visible(selector)) return false;
  const attr = descriptorAttr(seen);
  const type = attrType(attr);
  const long = (mode() & MODE_LONG) != 0;
  if (!(attr & 0x10)) {
    if (type == TYPE_LDT || type == TYPE_TSS || type == TYPE_TSS_BUSY) {
      if (long && !upperHalfValid(selector)) return false;
    } else if (long || (type != TYPE_TSS16 && type != TYPE_TSS16_BUSY)) {
      return false;
    }
  }
  looked = descriptorLimit(seen);
  return true;
}

/** VERR, VERW. */
export function verify(selector: u32, write: bool): bool {
  if (!visible(selector)) return false;
  const attr = descriptorAttr(seen);
  if (!(attr & 0x10)) return false;
  return write ? isData(attr) && (attr & 2) != 0 : !isCode(attr) || (attr & 2) != 0;
}
