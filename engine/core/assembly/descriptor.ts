/**
 * Descriptors: reading GDT, LDT and TSS, and the segment register's hidden part.
 *
 * @spec SDM vol. 3, 3.4 (segment selectors, descriptors), 3.5 (system descriptors), 5.8 (privilege checks)
 */
import { CS, LDTR, MODE_LONG, TR, cpu, mode, segAttr, segBase, segLimit, segSelector } from './cpu';
import { TS, raiseError } from './fault';
import { S_GDTR_BASE, S_GDTR_LIMIT, S_SEG_ATTR, S_SEG_BASE, S_SEG_LIMIT, S_SEG_SELECTOR } from './gen/state';
import { exchangeByteIn, readIn, writeIn } from './mmu';
import { CONTEXT_SUPERVISOR } from './paging';
import { ATTR_DB, ATTR_P, ATTR_S, ATTR_UNUSABLE } from './segment_check';

/** Implicit supervisor accesses: descriptor tables and task state. */
// @ts-ignore: decorator
@inline export function systemRead(gva: u64, size: u32): u64 { return readIn(CONTEXT_SUPERVISOR, systemLinear(gva), size); }
// @ts-ignore: decorator
@inline export function systemWrite(gva: u64, size: u32, v: u64): void { writeIn(CONTEXT_SUPERVISOR, systemLinear(gva), size, v); }
/** LOCKed: the byte becomes `v` if it is `old`; true when it was (SDM vol. 3, 9.1.2.1: descriptor updates lock the bus). */
export function systemExchange(gva: u64, old: u64, v: u64): bool { return exchangeByteIn(CONTEXT_SUPERVISOR, systemLinear(gva), <u8>old, <u8>v); }
// @ts-ignore: decorator
@inline function systemLinear(gva: u64): u64 { return mode() & MODE_LONG ? gva : gva & 0xffff_ffff; }

// Fields of an 8-byte descriptor.
// @ts-ignore: decorator
@inline export function descriptorAttr(d: u64): u32 { return <u32>(d >> 40) & 0xf0ff; }
// @ts-ignore: decorator
@inline export function descriptorBase(d: u64): u64 { return ((d >> 16) & 0xff_ffff) | ((d >> 32) & 0xff00_0000); }
/** Byte-granular limit. */
// @ts-ignore: decorator
@inline export function descriptorLimit(d: u64): u32 {
  const limit = <u32>(d & 0xffff) | (<u32>(d >> 32) & 0xf_0000);
  return d & 0x0080_0000_0000_0000 ? (limit << 12) | 0xfff : limit;
}
// @ts-ignore: decorator
@inline export function attrType(attr: u32): u32 { return attr & 0x1f; }
// @ts-ignore: decorator
@inline export function attrDpl(attr: u32): u32 { return (attr >> 5) & 3; }
// @ts-ignore: decorator
@inline export function isCode(attr: u32): bool { return (attr & 0x18) == 0x18; }
// @ts-ignore: decorator
@inline export function isData(attr: u32): bool { return (attr & 0x18) == 0x10; }
// @ts-ignore: decorator
@inline export function isConforming(attr: u32): bool { return (attr & 0x1c) == 0x1c; }
// @ts-ignore: decorator
@inline export function isNull(selector: u32): bool { return (selector & 0xfffc) == 0; }

/** System descriptor types (attr & 0x1f). */
export const TYPE_TSS16: u32 = 1; export const TYPE_LDT: u32 = 2; export const TYPE_TSS16_BUSY: u32 = 3; export const TYPE_CALL16: u32 = 4;
export const TYPE_TASK_GATE: u32 = 5; export const TYPE_INT16: u32 = 6; export const TYPE_TRAP16: u32 = 7; export const TYPE_TSS: u32 = 9;
export const TYPE_TSS_BUSY: u32 = 11; export const TYPE_CALL: u32 = 12; export const TYPE_INT: u32 = 14; export const TYPE_TRAP: u32 = 15;

/** Linear address of the descriptor read last. */
export let descriptorAt: u64 = 0;
/** Upper half of the 16-byte descriptor read last. */
export let descriptorHigh: u64 = 0;

/** True when `bytes` bytes of the selector's descriptor lie in its table; descriptorAt is then set. */
export function locate(selector: u32, bytes: u32): bool {
  const index = selector & 0xfff8;
  if (selector & 4) {
    if (segAttr(LDTR) & ATTR_UNUSABLE || index + bytes - 1 > segLimit(LDTR)) return false;
    descriptorAt = segBase(LDTR) + index;
    return true;
  }
  if (index + bytes - 1 > load<u32>(cpu, S_GDTR_LIMIT)) return false;
  descriptorAt = load<u64>(cpu, S_GDTR_BASE) + index;
  return true;
}

/** The selector's descriptor; raises `vector`(selector | ext) when it lies outside of its table. */
export function readDescriptor(selector: u32, vector: u32, ext: u32): u64 {
  if (!locate(selector, 8)) raiseError(vector, (selector & 0xfffc) | ext);
  return systemRead(descriptorAt, 8);
}

/** Likewise for a system descriptor, 16 bytes in IA-32e mode: descriptorHigh is its second half, else 0. */
export function readSystemDescriptor(selector: u32, vector: u32, ext: u32): u64 {
  descriptorHigh = 0;
  if (!(mode() & MODE_LONG)) return readDescriptor(selector, vector, ext);
  if (!locate(selector, 16)) raiseError(vector, (selector & 0xfffc) | ext);
  const d = systemRead(descriptorAt, 8);
  descriptorHigh = systemRead(descriptorAt + 8, 8);
  return d;
}

/** Base of a system segment, 64 bits in IA-32e mode. */
export function systemBase(d: u64): u64 { return descriptorBase(d) | (descriptorHigh << 32); }

/** Sets the accessed bit of the code or data descriptor at `at`. */
export function markAccessed(at: u64, d: u64): void {
  let byte = d >> 40 & 0xff;
  while (!(byte & 1) && !systemExchange(at + 5, byte, byte | 1)) byte = systemRead(at + 5, 1);
}

/** Loads a segment register with its hidden part. */
export function setSegment(s: u32, selector: u32, base: u64, limit: u32, attr: u32): void {
  store<u16>(cpu + (<usize>s << 1), <u16>selector, S_SEG_SELECTOR);
  store<u64>(cpu + (<usize>s << 3), base, S_SEG_BASE);
  store<u32>(cpu + (<usize>s << 2), limit, S_SEG_LIMIT);
  store<u32>(cpu + (<usize>s << 2), attr, S_SEG_ATTR);
}

/** Loads a segment register from a code or data descriptor. */
export function setSegmentFrom(s: u32, selector: u32, d: u64): void {
  setSegment(s, selector, descriptorBase(d), descriptorLimit(d), descriptorAttr(d) | 1);
}

/** Loads a null selector; base and limit stay out of reach through `unusable`. SS keeps a DPL: it holds CPL. */
export function setNullSegment(s: u32, selector: u32, dpl: u32): void { setSegment(s, selector, 0, 0, ATTR_UNUSABLE | (dpl << 5)); }

/** Loads a segment register as real-address mode does: limit and attributes stay. */
export function setRealSegment(s: u32, selector: u32): void {
  store<u16>(cpu + (<usize>s << 1), <u16>selector, S_SEG_SELECTOR);
  store<u64>(cpu + (<usize>s << 3), <u64>(selector & 0xffff) << 4, S_SEG_BASE);
  const attr = segAttr(s);
  if (attr & ATTR_UNUSABLE || s == CS) {
    if (attr & ATTR_UNUSABLE) store<u32>(cpu + (<usize>s << 2), 0xffff, S_SEG_LIMIT);
    store<u32>(cpu + (<usize>s << 2), (attr & ATTR_DB) | ATTR_P | ATTR_S | (s == CS ? 0xb : 3), S_SEG_ATTR);
  }
}

/** Loads a segment register as virtual-8086 mode does. */
export function setV86Segment(s: u32, selector: u32): void { setSegment(s, selector, <u64>(selector & 0xffff) << 4, 0xffff, 0xf3); }

/** In IA-32e mode RSPn or ISTn: the 8 bytes at `offset` of the TSS. */
export function tssRead64(offset: u32, ext: u32): u64 {
  if (offset + 7 > segLimit(TR)) raiseError(TS, (<u32>segSelector(TR) & 0xfffc) | ext);
  return systemRead(segBase(TR) + offset, 8);
}

/** Inner stack of level `dpl` from the current 16- or 32-bit TSS. */
export let innerSs: u32 = 0;
export let innerEsp: u32 = 0;
export function readInnerStack(dpl: u32, ext: u32): void {
  const wide = (segAttr(TR) & 8) != 0;
  const offset: u32 = wide ? 4 + dpl * 8 : 2 + dpl * 4;
  const last: u32 = offset + (wide ? 5 : 3);
  if (last > segLimit(TR)) raiseError(TS, (<u32>segSelector(TR) & 0xfffc) | ext);
  const at = segBase(TR) + offset;
  innerEsp = <u32>systemRead(at, wide ? 4 : 2);
  innerSs = <u32>systemRead(at + (wide ? 4 : 2), 2);
}

/** Checks a stack segment selector for a new privilege level (SDM vol. 2, CALL and INT); returns its descriptor. */
export function readStackDescriptor(selector: u32, level: u32, vector: u32, ext: u32): u64 {
  if (isNull(selector)) raiseError(vector, ext);
  const d = readDescriptor(selector, vector, ext);
  const attr = descriptorAttr(d);
  if ((selector & 3) != level || attrDpl(attr) != level || !isData(attr) || !(attr & 2)) raiseError(vector, (selector & 0xfffc) | ext);
  return d;
}
