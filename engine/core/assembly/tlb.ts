/**
 * The software TLB: direct-mapped translations of one pCPU, one table a context (supervisor, user, supervisor with SMAP
 * lifted by RFLAGS.AC, user with alignment checks: only code is cached there).
 *
 * Entry, 32 bytes: u64 readTag, u64 writeTag, u64 execTag (page address, or all ones), u32 addend (wasm address =
 * low half of the GVA + addend), u32 info. An access of `size` bytes hits when tag == ((gva + size - 1) & ~0xfff). A
 * write tag exists only for pages that are dirty, writable, RAM, hold no decoded code and have no data breakpoint.
 * All ones is the empty entry, so a full flush is one fill.
 *
 * @spec   SDM vol. 3, 4.10 caching translation information
 * @cover  #Y INVLPG, CR3 writes keeping global pages, full flush
 * @differ A switch of PCID drops all but global pages; walk_cache.ts has them again soon.
 */
import { cpu } from './cpu';
import { forgetJumps, forgetJumpsTo, forgetLocalJumps } from './jump_cache';
import { CONTEXT_ALIGNED } from './paging';
import { PAGE_CODE_BASE, RAM_BASE, S_MMU_CONTEXT, TLB_OFFSET } from './gen/state';

export const TLB_ENTRIES: u32 = 1024;
export const TLB_CONTEXT_SIZE: usize = 0x8000;
export const TLB_CONTEXTS: u32 = 3;
export const NO_PAGE: u64 = 0xffff_ffff_ffff_ffff;

/** Entry field offsets. */
export const E_READ: usize = 0;
export const E_WRITE: usize = 8;
export const E_EXEC: usize = 16;
export const E_ADDEND: usize = 24;
export const E_INFO: usize = 28;

const INFO_UNLISTED: u32 = 1; //   not yet in the list of entries a CR3 write drops
const INFO_LOCAL: u32 = 2; //      page is not global
const INFO_SMALL: u32 = 4; //      page is 4 KiB: INVLPG need not look further

/** u32 offsets (from cpu) of the entries a CR3 write must drop. */
const LIST_OFFSET: usize = 0x2_8000;

/** Table of the current context. */
export let tlb: usize = 0;
let listed: u32 = 0;
/** A bit for every 64th region of 1 GiB of which a large page's translation was cached: INVLPG then has to drop every entry of that page. */
let largeRegions: u64 = 0;

// @ts-ignore: decorator
@inline function regionBit(gva: u64): u64 { return <u64>1 << ((gva >> 30) & 63); }

/** Selects the table by MMU_CONTEXT; called by syncState. */
// @ts-ignore: decorator
@inline export function selectTlb(context: u32): void {
  store<u32>(cpu, context, S_MMU_CONTEXT);
  tlb = cpu + TLB_OFFSET + <usize>context * TLB_CONTEXT_SIZE;
}

/** The only entry of a table that may hold gva's page. */
// @ts-ignore: decorator
@inline export function entryOf(table: usize, gva: u64): usize { return table + (<usize>(gva >> 7) & 0x7fe0); }

// @ts-ignore: decorator
@inline export function contextTable(context: u32): usize { return cpu + TLB_OFFSET + <usize>context * TLB_CONTEXT_SIZE; }

/** Whether the page, which is cached for execution, is global. */
// @ts-ignore: decorator
@inline export function isGlobal(e: usize): bool { return !(load<u32>(e, E_INFO) & INFO_LOCAL); }

/** Caches page -> wasmPage with the given tags allowed; keeps tags of the same page that are there already. */
export function fillTlb(context: u32, page: u64, wasmPage: usize, read: bool, write: bool, exec: bool, global: bool, large: bool): void {
  if (context == CONTEXT_ALIGNED) {
    if (!exec) return;
    read = false;
    write = false;
  }
  const e = entryOf(contextTable(context), page);
  const addend = <u32>(wasmPage - <usize>page);
  let info = load<u32>(e, E_INFO);
  const same = (load<u64>(e, E_READ) == page || load<u64>(e, E_WRITE) == page || load<u64>(e, E_EXEC) == page)
    && load<u32>(e, E_ADDEND) == addend;
  if (!same) {
    store<u64>(e, NO_PAGE, E_READ);
    store<u64>(e, NO_PAGE, E_WRITE);
    store<u64>(e, NO_PAGE, E_EXEC);
    store<u32>(e, addend, E_ADDEND);
  }
  if (read) store<u64>(e, page, E_READ);
  if (write) store<u64>(e, page, E_WRITE);
  if (exec) store<u64>(e, page, E_EXEC);
  if (large) { info &= ~INFO_SMALL; largeRegions |= regionBit(page); } else info |= INFO_SMALL;
  if (global) {
    info &= ~INFO_LOCAL;
  } else {
    info |= INFO_LOCAL;
    if (info & INFO_UNLISTED) {
      info &= ~INFO_UNLISTED;
      store<u32>(cpu + LIST_OFFSET + (<usize>listed << 2), <u32>(e - cpu));
      listed++;
    }
  }
  store<u32>(e, info, E_INFO);
  if (tracked != 0) track(e);
}

/** Where the addresses of the entries filled are noted for lock-step checking, 0: nowhere. A count, then MOST_TRACKED words. */
let tracked: usize = 0;
const MOST_TRACKED: u32 = 1000;

function track(e: usize): void {
  const count = load<u32>(tracked) + 1;
  store<u32>(tracked, count);
  if (count <= MOST_TRACKED) store<u32>(tracked + (<usize>count << 2), <u32>e);
}

/**
 * Drops what was cached since the last call, by way of a list at this address: for lock-step checking, which does it often.
 * `code`: translations for execution as well.
 */
export function dropTracked(list: usize, code: bool): void {
  const count = load<u32>(list);
  store<u32>(list, 0);
  tlbEpoch++;
  forgetJumps();
  if (tracked != list || count > MOST_TRACKED) {
    tracked = list;
    flushTlbEntries();
    return;
  }
  for (let i: u32 = 1; i <= count; i++) {
    const e = <usize>load<u32>(list + (<usize>i << 2));
    store<u64>(e, NO_PAGE, E_READ);
    store<u64>(e, NO_PAGE, E_WRITE);
    if (code) store<u64>(e, NO_PAGE, E_EXEC);
  }
}

// @ts-ignore: decorator
@inline function dropEntry(e: usize): void {
  store<u64>(e, NO_PAGE, E_READ);
  store<u64>(e, NO_PAGE, E_WRITE);
  store<u64>(e, NO_PAGE, E_EXEC);
}

/** Counts flushes of any kind: a block chain that has seen the same count may skip re-translating its page. */
export let tlbEpoch: u32 = 0;

/** Drops everything, global pages included. */
export function flushTlbEntries(): void {
  memory.fill(cpu + TLB_OFFSET, 0xff, TLB_CONTEXT_SIZE * <usize>TLB_CONTEXTS);
  memory.fill(contextTable(CONTEXT_ALIGNED), 0xff, TLB_CONTEXT_SIZE);
  listed = 0;
  largeRegions = 0;
  tlbEpoch++;
  forgetJumps();
}

/** Drops all but global pages: MOV CR3. */
export function flushTlbLocal(): void {
  for (let i: u32 = 0; i < listed; i++) {
    const e = cpu + <usize>load<u32>(cpu + LIST_OFFSET + (<usize>i << 2));
    const info = load<u32>(e, E_INFO);
    if (info & INFO_LOCAL) dropEntry(e);
    store<u32>(e, info | INFO_UNLISTED, E_INFO);
  }
  listed = 0;
  tlbEpoch++;
  forgetLocalJumps();
}

/** Drops the page of gva in every context, global or not: INVLPG. A large page is dropped whole. */
export function flushTlbPage(gva: u64): void {
  const page = gva & ~0xfff;
  tlbEpoch++;
  let large = false;
  for (let c: u32 = 0; c <= TLB_CONTEXTS; c++) {
    const e = entryOf(contextTable(c == TLB_CONTEXTS ? CONTEXT_ALIGNED : c), page);
    if (load<u64>(e, E_READ) != page && load<u64>(e, E_WRITE) != page && load<u64>(e, E_EXEC) != page) {
      large = true; // not cached here, but other parts of a large page may be
      continue;
    }
    if (!(load<u32>(e, E_INFO) & INFO_SMALL)) large = true;
    dropEntry(e);
  }
  if (!large || !(largeRegions & regionBit(gva))) {
    forgetJumpsTo(gva);
    return;
  }
  forgetJumps();
  const region = gva >> 30;
  dropRegion(cpu + TLB_OFFSET, TLB_CONTEXT_SIZE * <usize>TLB_CONTEXTS, region);
  dropRegion(contextTable(CONTEXT_ALIGNED), TLB_CONTEXT_SIZE, region);
}

function dropRegion(table: usize, bytes: usize, region: u64): void {
  for (let e = table; e < table + bytes; e += 32) {
    if (load<u32>(e, E_INFO) & INFO_SMALL) continue;
    if (tagRegion(e) == region) dropEntry(e);
  }
}

/** 1 GiB region of the entry's page. */
function tagRegion(e: usize): u64 {
  let tag = load<u64>(e, E_READ);
  if (tag == NO_PAGE) tag = load<u64>(e, E_EXEC);
  if (tag == NO_PAGE) tag = load<u64>(e, E_WRITE);
  return tag >> 30;
}

/** Drops the write tags of pages that hold decoded code. */
export function dropCodeWriteTags(): void {
  const table = cpu + TLB_OFFSET;
  const end = table + TLB_CONTEXT_SIZE * <usize>TLB_CONTEXTS;
  for (let e = table; e < end; e += 32) {
    const tag = load<u64>(e, E_WRITE);
    if (tag == NO_PAGE) continue;
    const page = <usize><u32>(<u32>tag + load<u32>(e, E_ADDEND)) - RAM_BASE;
    if (load<u8>(PAGE_CODE_BASE + (page >> 12)) != 0) store<u64>(e, NO_PAGE, E_WRITE);
  }
}
