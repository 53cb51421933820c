/**
 * Guest memory as instructions see it: fast paths through the software TLB, everything else out of line.
 *
 * All functions take a linear address (GVA), use the current privilege level, raise #PF (never return) when the
 * access is not allowed, and accept any alignment, page crossings included. Device memory is reached through
 * synchronous EPT violations.
 *
 * @spec   SDM vol. 3 chapters 4 (paging), 29 (EPT)
 * @cover  #Y all sizes, page crossings, device accesses, code-page writes, data breakpoints, alignment checks of 2, 4 and 8 bytes
 *         (16-byte operands ask for none)
 * @differ A device access that crosses a page goes byte by byte.
 */
import {
  CS, EVENT_CODE, EVENT_TLB_FLUSH, FS, MODE_FLAT, MODE_LONG, MODE_LONG64, MODE_SS32, RSP, SS, cpu, gpr16, gpr32, gpr64, mode, segBase,
  segLimit, setGpr16, setGpr32, setGpr64,
} from './cpu';
import { S_CUR_OP, S_EVENT_FLAGS, S_EXIT_DATA, S_EXIT_GPA, S_EXIT_GVA, S_EXIT_QUALIFICATION, S_EXIT_SIZE, S_MMU_CONTEXT } from './gen/state';
import { aboutToWriteCode, acknowledgeCode, enterRun, isCodePage, leaveRun, markCodePage as mark, writtenToCode } from './code_page';
import { makeWay, takeBus } from './buslock';
import { dataBreakpoint, dataBreakpointsOn, pageHasDataBreakpoint, updateBreakpoints } from './debug';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, eptDirty, eptFault, eptPage, eptRights, eptTranslate, flushEptCache, setRamSize } from './ept';
import { vmexit } from './exit';
import { AC, GP, PF, SSF, raiseError, raiseFetchFault, raisePageFault, unwind } from './fault';
import { CONTEXT_ALIGNED, canonical, walk, walkError, walkGlobal, walkGpa, walkLarge, walkRights } from './paging';
import { isMem, recAddressSize, recBase, recDisp, recIndex, recScale, recSegment } from './record';
import { checkSegment } from './segment_check';
import { SHADOW_COPY, SHADOW_OFF, shadowed, shadowing } from './shadow';
import { syncState } from './sync';
import { E_ADDEND, E_EXEC, E_READ, E_WRITE, contextTable, entryOf, fillTlb, flushTlbEntries, tlb } from './tlb';
import { forgetWalks, recallWalk, rememberWalk } from './walk_cache';

/** Linear address of the record's memory operand: effective address, truncated to the address size, plus segment base;
 *  raises #GP/#SS for segment violations of an access of `size` bytes (write: stores too). A non-canonical address
 *  passes; the access itself raises for it. */
// @ts-ignore: decorator
@inline export function linear(rec: usize, size: u32, write: bool): u64 {
  let ea = gpr64(recBase(rec)) + (gpr64(recIndex(rec)) << recScale(rec)) + <u64><i64>recDisp(rec);
  const segment = recSegment(rec);
  if (mode() & MODE_LONG64) {
    if (recAddressSize(rec) == 4) ea = <u64><u32>ea;
    if (segment >= FS) ea += segBase(segment);
    return ea;
  }
  return segLinearLegacy(segment, recAddressSize(rec) == 2 ? ea & 0xffff : ea & 0xffff_ffff, size, write);
}

/** Linear address of the record's memory operand without any check: INVLPG. */
export function linearUnchecked(rec: usize): u64 {
  const ea = gpr64(recBase(rec)) + (gpr64(recIndex(rec)) << recScale(rec)) + <u64><i64>recDisp(rec);
  const size = recAddressSize(rec);
  const offset = size == 8 ? ea : size == 4 ? ea & 0xffff_ffff : ea & 0xffff;
  if (mode() & MODE_LONG64) return recSegment(rec) >= FS ? offset + segBase(recSegment(rec)) : offset;
  return (segBase(recSegment(rec)) + offset) & 0xffff_ffff;
}

/** Linear address of offset (already truncated to the address size) in a segment, with the checks of `linear`. */
// @ts-ignore: decorator
@inline export function segLinear(segment: u32, offset: u64, size: u32, write: bool): u64 {
  if (mode() & MODE_LONG64) return segment >= FS ? offset + segBase(segment) : offset;
  return segLinearLegacy(segment, offset, size, write);
}

/** segLinear outside of 64-bit mode. */
export function segLinearLegacy(segment: u32, offset: u64, size: u32, write: bool): u64 {
  if (mode() & MODE_FLAT && segment < FS && !(write && segment == CS)) return offset;
  checkSegment(segment, <u32>offset, size, write);
  return (segBase(segment) + offset) & 0xffff_ffff;
}

// @ts-ignore: decorator
@inline function hit(gva: u64, last: u64, tag: usize): usize {
  const e = entryOf(tlb, gva);
  return load<u64>(e + tag) == ((gva + last) & 0xffff_ffff_ffff_f000) ? <usize>gva + <usize>load<u32>(e, E_ADDEND) : 0;
}

// @ts-ignore: decorator
@inline export function read8(gva: u64): u8 { const a = hit(gva, 0, E_READ); return a ? load<u8>(a) : <u8>slowRead(gva, 1); }
// @ts-ignore: decorator
@inline export function read16(gva: u64): u16 { const a = hit(gva, 1, E_READ); return a ? load<u16>(a) : <u16>slowRead(gva, 2); }
// @ts-ignore: decorator
@inline export function read32(gva: u64): u32 { const a = hit(gva, 3, E_READ); return a ? load<u32>(a) : <u32>slowRead(gva, 4); }
// @ts-ignore: decorator
@inline export function read64(gva: u64): u64 { const a = hit(gva, 7, E_READ); return a ? load<u64>(a) : slowRead(gva, 8); }
// @ts-ignore: decorator
@inline export function read128(gva: u64): v128 { const a = hit(gva, 15, E_READ); return a ? load<v128>(a) : slowRead128(gva); }
// @ts-ignore: decorator
@inline export function write8(gva: u64, v: u8): void { const a = hit(gva, 0, E_WRITE); if (a) store<u8>(a, v); else slowWrite(gva, 1, <u64>v); }
// @ts-ignore: decorator
@inline export function write16(gva: u64, v: u16): void { const a = hit(gva, 1, E_WRITE); if (a) store<u16>(a, v); else slowWrite(gva, 2, <u64>v); }
// @ts-ignore: decorator
@inline export function write32(gva: u64, v: u32): void { const a = hit(gva, 3, E_WRITE); if (a) store<u32>(a, v); else slowWrite(gva, 4, <u64>v); }
// @ts-ignore: decorator
@inline export function write64(gva: u64, v: u64): void { const a = hit(gva, 7, E_WRITE); if (a) store<u64>(a, v); else slowWrite(gva, 8, v); }
// @ts-ignore: decorator
@inline export function write128(gva: u64, v: v128): void { const a = hit(gva, 15, E_WRITE); if (a) store<v128>(a, v); else slowWrite128(gva, v); }

/** Faults now if `size` bytes at gva cannot be written: for instructions that must not half-complete. */
export function probeWrite(gva: u64, size: u32): void { probe(gva, size, ACCESS_WRITE, load<u32>(cpu, S_MMU_CONTEXT)); }
/** Likewise for reads. */
export function probeRead(gva: u64, size: u32): void { probe(gva, size, ACCESS_READ, load<u32>(cpu, S_MMU_CONTEXT)); }

/** Faults now if `size` bytes (up to many pages) cannot be accessed in the context. */
export function probe(gva: u64, size: u32, access: u32, context: u32): void {
  const tag = access == ACCESS_WRITE ? E_WRITE : E_READ;
  let at = gva;
  for (;;) {
    const e = entryOf(contextTable(context), at);
    if (load<u64>(e + tag) != (at & ~0xfff)) translate(at, access, context);
    const next = nextPage(at);
    const done = <u64>0x1000 - (at & 0xfff);
    if (done >= <u64>size) return;
    size -= <u32>done;
    at = next;
  }
}

/** First byte of the following page; 4 GiB wraps outside of IA-32e mode. */
// @ts-ignore: decorator
@inline function nextPage(gva: u64): u64 {
  const next = (gva | 0xfff) + 1;
  return mode() & MODE_LONG ? next : next & 0xffff_ffff;
}

/** wasm address behind gva for one access, faults raised, TLB filled. 0: device memory at walkGpa. */
export function translate(gva: u64, access: u32, context: u32): usize {
  if (mode() & MODE_LONG && !canonical(gva)) raiseNonCanonical(access);
  const known = recallWalk(gva, access, context);
  if (known != 0) return known;
  if (!walk(gva, access, context, true)) raisePageFault(gva, walkError);
  if (!eptTranslate(walkGpa, access)) return 0;
  rememberWalk(gva, context);
  const page = eptPage;
  const rights = walkRights & eptRights;
  let read = (rights & 1) != 0;
  let write = (rights & 2) != 0 && eptDirty && !isCodePage(page);
  if (dataBreakpointsOn && pageHasDataBreakpoint(gva)) { read = false; write = false; }
  if (shadowing != SHADOW_OFF) return shadowAccess(context, gva, page, access, read, write);
  fillTlb(context, gva & ~0xfff, page, read, write, (rights & 4) != 0, walkGlobal, walkLarge);
  return page + (<usize>gva & 0xfff);
}

/** The end of translate() in lock-step checking: each page's first access and first write come here. */
export function shadowAccess(context: u32, gva: u64, page: usize, access: u32, read: bool, write: bool): usize {
  if (shadowing == SHADOW_COPY && access == ACCESS_WRITE && isCodePage(page)) unwind(); // there is no going back from that
  const use = shadowed(page, access == ACCESS_WRITE);
  fillTlb(context, gva & ~0xfff, use, read, write && access == ACCESS_WRITE, false, walkGlobal, walkLarge);
  return use + (<usize>gva & 0xfff);
}

function raiseNonCanonical(access: u32): void {
  const rec = <usize>load<u32>(cpu, S_CUR_OP);
  if (access != ACCESS_FETCH && rec != 0 && isMem(rec) && recSegment(rec) == SS) raiseError(SSF, 0);
  raiseError(GP, 0);
}

// ---- slow paths

function slowRead(gva: u64, size: u32): u64 {
  checkAlignment(gva, size);
  return readIn(load<u32>(cpu, S_MMU_CONTEXT), gva, size);
}
function slowWrite(gva: u64, size: u32, v: u64): void {
  checkAlignment(gva, size);
  writeIn(load<u32>(cpu, S_MMU_CONTEXT), gva, size, v);
}

/** #AC(0) for an odd address of 2, 4 or 8 bytes at CPL 3 with CR0.AM and RFLAGS.AC. */
// @ts-ignore: decorator
@inline function checkAlignment(gva: u64, size: u32): void {
  if (load<u32>(cpu, S_MMU_CONTEXT) == CONTEXT_ALIGNED && <u32>gva & (size - 1) && size <= 8) raiseUnaligned(gva);
}

/** The same for an operand of another size than its alignment. */
export function needAlignment(gva: u64, alignment: u32): void {
  if (load<u32>(cpu, S_MMU_CONTEXT) == CONTEXT_ALIGNED && <u32>gva & (alignment - 1)) raiseUnaligned(gva);
}

function raiseUnaligned(gva: u64): void {
  if (mode() & MODE_LONG && !canonical(gva)) raiseNonCanonical(ACCESS_READ);
  raiseError(AC, 0);
}

/** Reads 1, 2, 4 or 8 bytes in a given context: implicit supervisor accesses use context 0 whatever CPL is. */
export function readIn(context: u32, gva: u64, size: u32): u64 {
  const e = entryOf(contextTable(context), gva);
  if (load<u64>(e, E_READ) == ((gva + size - 1) & ~0xfff)) return loadSized(<usize>gva + <usize>load<u32>(e, E_ADDEND), size);
  if ((<u32>gva & 0xfff) + size > 0x1000) return readAcross(context, gva, size);
  const at = translate(gva, ACCESS_READ, context);
  if (dataBreakpointsOn) dataBreakpoint(gva, size, false);
  return at != 0 ? loadSized(at, size) : deviceRead(gva, walkGpa, size);
}

/** Writes 1, 2, 4 or 8 bytes in a given context. */
export function writeIn(context: u32, gva: u64, size: u32, v: u64): void {
  const e = entryOf(contextTable(context), gva);
  if (load<u64>(e, E_WRITE) == ((gva + size - 1) & ~0xfff)) {
    storeSized(<usize>gva + <usize>load<u32>(e, E_ADDEND), size, v);
    return;
  }
  if ((<u32>gva & 0xfff) + size > 0x1000) {
    writeAcross(context, gva, size, v);
    return;
  }
  const at = translate(gva, ACCESS_WRITE, context);
  if (dataBreakpointsOn) dataBreakpoint(gva, size, true);
  if (at == 0) {
    deviceWrite(gva, walkGpa, size, v);
    return;
  }
  storeSized(at, size, v);
  if (isCodePage(at)) writtenToCode(at);
}

/** A LOCKed exchange in a given context: the byte becomes `v` if it is `old`. True when it was. */
export function exchangeByteIn(context: u32, gva: u64, old: u8, v: u8): bool {
  const e = entryOf(contextTable(context), gva);
  if (load<u64>(e, E_WRITE) == (gva & ~0xfff)) return atomic.cmpxchg<u8>(<usize>gva + <usize>load<u32>(e, E_ADDEND), old, v) == old;
  const at = translate(gva, ACCESS_WRITE, context);
  if (dataBreakpointsOn) dataBreakpoint(gva, 1, true);
  if (at == 0) {
    deviceWrite(gva, walkGpa, 1, <u64>v);
    return true;
  }
  if (atomic.cmpxchg<u8>(at, old, v) != old) return false;
  if (isCodePage(at)) writtenToCode(at);
  return true;
}

// @ts-ignore: decorator
@inline function loadSized(at: usize, size: u32): u64 {
  if (size == 8) return load<u64>(at);
  if (size == 4) return <u64>load<u32>(at);
  if (size == 2) return <u64>load<u16>(at);
  return <u64>load<u8>(at);
}

// @ts-ignore: decorator
@inline function storeSized(at: usize, size: u32, v: u64): void {
  if (size == 8) store<u64>(at, v);
  else if (size == 4) store<u32>(at, <u32>v);
  else if (size == 2) store<u16>(at, <u16>v);
  else store<u8>(at, <u8>v);
}

/** An access that ends beyond the canonical addresses is none, whatever the page is that it begins in. */
function needCanonicalEnd(gva: u64, size: u32, access: u32): void {
  if (mode() & MODE_LONG && !canonical(gva + size - 1)) raiseNonCanonical(access);
}

function readAcross(context: u32, gva: u64, size: u32): u64 {
  const second = nextPage(gva);
  needCanonicalEnd(gva, size, ACCESS_READ);
  const head: u32 = 0x1000 - (<u32>gva & 0xfff);
  const at1 = translate(gva, ACCESS_READ, context);
  const gpa1 = walkGpa;
  const at2 = translate(second, ACCESS_READ, context);
  const gpa2 = walkGpa;
  if (dataBreakpointsOn) dataBreakpoint(gva, size, false);
  let v: u64 = 0;
  for (let i: u32 = 0; i < size; i++) {
    let byte: u64;
    if (i < head) byte = at1 != 0 ? <u64>load<u8>(at1 + i) : deviceRead(gva + i, gpa1 + i, 1);
    else byte = at2 != 0 ? <u64>load<u8>(at2 + (i - head)) : deviceRead(second + (i - head), gpa2 + (i - head), 1);
    v |= byte << (i << 3);
  }
  return v;
}

function writeAcross(context: u32, gva: u64, size: u32, v: u64): void {
  const second = nextPage(gva);
  needCanonicalEnd(gva, size, ACCESS_WRITE);
  const head: u32 = 0x1000 - (<u32>gva & 0xfff);
  const at1 = translate(gva, ACCESS_WRITE, context);
  const gpa1 = walkGpa;
  const at2 = translate(second, ACCESS_WRITE, context);
  const gpa2 = walkGpa;
  if (dataBreakpointsOn) dataBreakpoint(gva, size, true);
  for (let i: u32 = 0; i < size; i++) {
    const byte = (v >> (i << 3)) & 0xff;
    if (i < head) {
      if (at1 != 0) store<u8>(at1 + i, <u8>byte);
      else deviceWrite(gva + i, gpa1 + i, 1, byte);
    } else if (at2 != 0) {
      store<u8>(at2 + (i - head), <u8>byte);
    } else {
      deviceWrite(second + (i - head), gpa2 + (i - head), 1, byte);
    }
  }
  if (at1 != 0 && isCodePage(at1)) writtenToCode(at1);
  if (at2 != 0 && isCodePage(at2)) writtenToCode(at2);
}

function slowRead128(gva: u64): v128 {
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  needCanonicalEnd(gva, 16, ACCESS_READ);
  probe(gva, 16, ACCESS_READ, context);
  const low = readIn(context, gva, 8);
  const high = readIn(context, stepped(gva, 8), 8);
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

function slowWrite128(gva: u64, v: v128): void {
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  needCanonicalEnd(gva, 16, ACCESS_WRITE);
  probe(gva, 16, ACCESS_WRITE, context);
  writeIn(context, gva, 8, i64x2.extract_lane(v, 0));
  writeIn(context, stepped(gva, 8), 8, i64x2.extract_lane(v, 1));
}

// @ts-ignore: decorator
@inline export function stepped(gva: u64, by: u64): u64 { return mode() & MODE_LONG ? gva + by : (gva + by) & 0xffff_ffff; }

// ---- device memory

/** Exit qualification of an EPT violation (SDM table 28-7): access, rights of the translation, linear address valid. */
function deviceExit(gva: u64, gpa: u64, size: u32, access: u32): bool {
  store<u64>(cpu, gpa, S_EXIT_GPA);
  store<u64>(cpu, gva, S_EXIT_GVA);
  store<u32>(cpu, size, S_EXIT_SIZE);
  store<u64>(cpu, <u64>((1 << access) | (eptRights << 3) | 0x180), S_EXIT_QUALIFICATION);
  return vmexit(eptFault);
}

function deviceRead(gva: u64, gpa: u64, size: u32): u64 {
  store<u64>(cpu, 0xffff_ffff_ffff_ffff, S_EXIT_DATA);
  deviceExit(gva, gpa, size, ACCESS_READ);
  const data = load<u64>(cpu, S_EXIT_DATA);
  return size == 8 ? data : data & (((<u64>1) << (size << 3)) - 1);
}

function deviceWrite(gva: u64, gpa: u64, size: u32, v: u64): void {
  store<u64>(cpu, v, S_EXIT_DATA);
  deviceExit(gva, gpa, size, ACCESS_WRITE);
}

// ---- code

/**
 * wasm address of the code byte at rip (CS-relative), raising #GP or #PF of the fetch. RIP of the fault is S_RIP. Code
 * in device memory cannot run: the hypervisor is told by an EPT violation and 0 is returned.
 */
export function fetchAddress(rip: u64): usize {
  const m = mode();
  let gva = rip;
  if (!(m & MODE_LONG64)) {
    if (<u32>rip > segLimit(CS)) raiseFetchFault(GP, 0, 0);
    gva = (segBase(CS) + rip) & 0xffff_ffff;
  }
  const e = entryOf(tlb, gva);
  if (load<u64>(e, E_EXEC) == (gva & ~0xfff)) return <usize>gva + <usize>load<u32>(e, E_ADDEND);
  if (m & MODE_LONG64 && !canonical(gva)) raiseFetchFault(GP, 0, 0);
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  const known = recallWalk(gva, ACCESS_FETCH, context);
  if (known != 0) return known;
  if (!walk(gva, ACCESS_FETCH, context, true)) raiseFetchFault(PF, walkError, gva);
  const gpa = walkGpa;
  const at = translateFetched(gva, context);
  if (at == 0) {
    store<u64>(cpu, 0xffff_ffff_ffff_ffff, S_EXIT_DATA);
    deviceExit(gva, gpa, 1, ACCESS_FETCH);
  }
  return at;
}

/** Like fetchAddress, but 0 instead of any fault or exit: for looking beyond the instruction that runs for certain. */
export function peekFetchAddress(rip: u64): usize {
  const m = mode();
  let gva = rip;
  if (!(m & MODE_LONG64)) {
    if (<u32>rip > segLimit(CS)) return 0;
    gva = (segBase(CS) + rip) & 0xffff_ffff;
  } else if (!canonical(gva)) return 0;
  const e = entryOf(tlb, gva);
  if (load<u64>(e, E_EXEC) == (gva & ~0xfff)) return <usize>gva + <usize>load<u32>(e, E_ADDEND);
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  const known = recallWalk(gva, ACCESS_FETCH, context);
  if (known != 0) return known;
  return walk(gva, ACCESS_FETCH, context, true) ? translateFetched(gva, context) : 0;
}

function translateFetched(gva: u64, context: u32): usize {
  if (!eptTranslate(walkGpa, ACCESS_FETCH)) return 0;
  rememberWalk(gva, context);
  const page = eptPage;
  const rights = walkRights & eptRights;
  const breakpoint = dataBreakpointsOn && pageHasDataBreakpoint(gva);
  const write = (rights & 2) != 0 && eptDirty && !isCodePage(page) && !breakpoint;
  fillTlb(context, gva & ~0xfff, page, (rights & 1) != 0 && !breakpoint, write, true, walkGlobal, walkLarge);
  return page + (<usize>gva & 0xfff);
}

/** code_page.ts markCodePage: true when what is decoded from this page may be cached. */
export function markCodePage(wasmAddr: usize): bool { return mark(wasmAddr); }

// ---- atomic read-modify-write

/** wasm address of writable RAM for an atomic access within one page; faults raised. 0: device memory or page crossing. */
export function rmwAddress(gva: u64, size: u32): usize {
  const at = hit(gva, <u64>(size - 1), E_WRITE);
  return at != 0 ? at : slowRmwAddress(gva, size);
}

function slowRmwAddress(gva: u64, size: u32): usize {
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  checkAlignment(gva, size);
  if ((<u32>gva & 0xfff) + size > 0x1000) {
    needCanonicalEnd(gva, size, ACCESS_WRITE);
    probe(gva, size, ACCESS_WRITE, context);
    return 0;
  }
  const at = translate(gva, ACCESS_WRITE, context);
  if (at == 0) return 0;
  if (dataBreakpointsOn) dataBreakpoint(gva, size, true);
  if (isCodePage(at)) aboutToWriteCode(at);
  return at;
}

/** Takes the bus lock. Translations may have been given up meanwhile: look up again what is accessed under it. */
export function lockBus(): void {
  leaveRun();
  takeBus();
  enterRun();
}

// ---- events and flushes

/** To be called once a pCPU block is chosen, before any access: empty TLBs, derived state, size of board RAM. */
export function initMmu(ramBytes: u32): void {
  setRamSize(ramBytes);
  flushTlb();
  updateBreakpoints();
  syncState();
}

/** Drops every cached translation, EPT's included. */
export function flushTlb(): void {
  flushTlbEntries();
  forgetWalks();
  flushEptCache();
}

/** Does what EVENT_TLB_FLUSH and EVENT_CODE ask for and clears the two bits. */
export function handleMmuEvents(): void {
  const mine = EVENT_TLB_FLUSH | EVENT_CODE;
  const flags = atomic.and<i32>(cpu + S_EVENT_FLAGS, ~mine);
  if (flags & EVENT_TLB_FLUSH) flushTlb();
  makeWay();
  acknowledgeCode();
}

/** For debuggers: wasm address behind gva as a supervisor sees it, 0 when there is none. Changes nothing. */
export function debugTranslate(gva: u64, write: bool): usize {
  if (!walk(gva, ACCESS_READ, 2, false)) return 0;
  return eptTranslate(walkGpa, write ? ACCESS_WRITE : ACCESS_READ) ? eptPage + (<usize>gva & 0xfff) : 0;
}

// ---- stack

/** #SS(0) for an operand on the stack of which a byte is not canonical. */
function needCanonicalStack(sp: u64, size: u32): void { if (!canonical(sp) || !canonical(sp + size - 1)) raiseError(SSF, 0); }

/** Pushes 2, 4 or 8 bytes on the current stack. */
export function push(value: u64, size: u32): void {
  const m = mode();
  if (m & MODE_LONG64) {
    const sp = gpr64(RSP) - <u64>size;
    needCanonicalStack(sp, size);
    if (size == 8) write64(sp, value);
    else write16(sp, <u16>value);
    setGpr64(RSP, sp);
    return;
  }
  if (m & MODE_SS32) {
    const sp = gpr32(RSP) - size;
    writeSized(segLinearLegacy(SS, <u64>sp, size, true), size, value);
    setGpr32(RSP, sp);
  } else {
    const sp = <u16>(gpr16(RSP) - <u16>size);
    writeSized(segLinearLegacy(SS, <u64>sp, size, true), size, value);
    setGpr16(RSP, sp);
  }
}

/** Pops 2, 4 or 8 bytes off the current stack. */
export function pop(size: u32): u64 {
  const m = mode();
  if (m & MODE_LONG64) {
    const sp = gpr64(RSP);
    needCanonicalStack(sp, size);
    const v = size == 8 ? read64(sp) : <u64>read16(sp);
    setGpr64(RSP, sp + <u64>size);
    return v;
  }
  const v = stackRead(0, size);
  if (m & MODE_SS32) setGpr32(RSP, gpr32(RSP) + size);
  else setGpr16(RSP, <u16>(gpr16(RSP) + <u16>size));
  return v;
}

/** Reads the stack `offset` bytes above its top; the stack pointer stays. */
export function stackRead(offset: u32, size: u32): u64 {
  const m = mode();
  if (m & MODE_LONG64) {
    const sp = gpr64(RSP) + <u64>offset;
    needCanonicalStack(sp, size);
    return readSized(sp, size);
  }
  const sp = m & MODE_SS32 ? <u64>(gpr32(RSP) + offset) : <u64>((<u32>gpr16(RSP) + offset) & 0xffff);
  return readSized(segLinearLegacy(SS, sp, size, false), size);
}

/** Adds to the stack pointer in the width of the stack. */
export function adjustStack(by: u32): void {
  const m = mode();
  if (m & MODE_LONG64) setGpr64(RSP, gpr64(RSP) + <u64>by);
  else if (m & MODE_SS32) setGpr32(RSP, gpr32(RSP) + by);
  else setGpr16(RSP, <u16>(<u32>gpr16(RSP) + by));
}

/** Reads 1, 2, 4 or 8 bytes. */
export function readSized(gva: u64, size: u32): u64 {
  if (size == 8) return read64(gva);
  if (size == 4) return <u64>read32(gva);
  if (size == 2) return <u64>read16(gva);
  return <u64>read8(gva);
}

/** Writes 1, 2, 4 or 8 bytes. */
export function writeSized(gva: u64, size: u32, v: u64): void {
  if (size == 8) write64(gva, v);
  else if (size == 4) write32(gva, <u32>v);
  else if (size == 2) write16(gva, <u16>v);
  else write8(gva, <u8>v);
}

export function push16(v: u16): void { push(<u64>v, 2); }
export function push32(v: u32): void { push(<u64>v, 4); }
export function push64(v: u64): void { push(v, 8); }
export function pop16(): u16 { return <u16>pop(2); }
export function pop32(): u32 { return <u32>pop(4); }
export function pop64(): u64 { return pop(8); }
