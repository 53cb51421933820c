/**
 * What page walks have found, behind the TLB. The TLB maps two pages to one entry when they lie 4 MiB apart, as arrays often
 * do, and forgets a process when another one runs; here both are found again without a walk. Of every PCID's
 * translations those that were not invalidated since are kept.
 *
 * Entry, 16 bytes: u64 page | context, u32 wasm address of the page | rights (bits 0 to 2) | ENTRY_GLOBAL | ENTRY_LARGE,
 * u32 the epoch that it belongs to. A PCID's epoch changes whenever its translations are invalidated; no epoch is used twice.
 *
 * @spec  SDM vol. 3, 4.10.1 (PCIDs), 4.10.4 (invalidation)
 * @cover #Y all   #N global pages are found again by the PCID only whose walk it was
 */
import { cpu } from './cpu';
import { isCodePage } from './code_page';
import { dataBreakpointsOn } from './debug';
import { eptDirty, eptPage, eptRights } from './ept';
import { S_CR3, S_CR4 } from './gen/state';
import { CONTEXT_ALIGNED, CR4_PCIDE, walkGlobal, walkLarge, walkRights } from './paging';
import { SHADOW_OFF, shadowing } from './shadow';
import { TLB_CONTEXTS, fillTlb, flushTlbLocal, flushTlbPage } from './tlb';

// Offsets in a pCPU block: engine/core/jit/layout.ts.
const J_WALKS: usize = 0x19_0000;
/** u32 a PCID: its epoch. */
const J_PCID_EPOCHS: usize = 0x1a_0000;
const ENTRIES: usize = 0x1000;

const ENTRY_GLOBAL: u32 = 8;
const ENTRY_LARGE: u32 = 16;

/** The newest epoch. 0 is none. */
let newest: u32 = 1;
/** Epochs before this one are over, whatever their PCID. */
let oldest: u32 = 1;
/** Epoch of the current PCID: what epochOf() holds for it. */
let epoch: u32 = 1;
/** A large page has been walked to: one address of it cannot be invalidated alone. */
let largeWalked: bool = false;

// @ts-ignore: decorator
@inline function slotOf(gva: u64, context: u32): usize {
  return cpu + J_WALKS + ((<usize>((gva >> 12) ^ (<u64>context << 9)) & (ENTRIES - 1)) << 4);
}

// @ts-ignore: decorator
@inline function epochOf(pcid: u32): usize { return cpu + J_PCID_EPOCHS + (<usize>pcid << 2); }

function nextEpoch(): u32 {
  if (++newest == 0) { // after four thousand million invalidations
    memory.fill(cpu + J_WALKS, 0, ENTRIES << 4);
    memory.fill(cpu + J_PCID_EPOCHS, 0, 0x4000);
    newest = 1;
    oldest = 1;
  }
  return newest;
}

/**
 * wasm address behind gva when a walk has found that it allows the access, the TLB filled; 0: not known, or not to be asked
 * since each access is to be looked at.
 */
export function recallWalk(gva: u64, access: u32, context: u32): usize {
  if (shadowing != SHADOW_OFF || dataBreakpointsOn) return 0;
  const slot = slotOf(gva, context);
  if (load<u64>(slot) != ((gva & ~0xfff) | <u64>context) || load<u32>(slot, 12) != epoch) return 0;
  const entry = load<u32>(slot, 8);
  if (!((entry >> access) & 1)) return 0;
  const page = <usize>(entry & ~0xfff);
  fillTlb(
    context, gva & ~0xfff, page, (entry & 1) != 0, (entry & 2) != 0 && !isCodePage(page), (entry & 4) != 0, (entry & ENTRY_GLOBAL) != 0,
    (entry & ENTRY_LARGE) != 0,
  );
  return page + (<usize>gva & 0xfff);
}

/** Keeps what the walk just done has found, whatever the access was for. */
export function rememberWalk(gva: u64, context: u32): void {
  if (shadowing != SHADOW_OFF) return;
  const rights = walkRights & eptRights & (eptDirty ? 7 : 5);
  const slot = slotOf(gva, context);
  store<u64>(slot, (gva & ~0xfff) | <u64>context);
  store<u32>(slot, <u32>eptPage | rights | (walkGlobal ? ENTRY_GLOBAL : 0) | (walkLarge ? ENTRY_LARGE : 0), 8);
  store<u32>(slot, epoch, 12);
  if (walkLarge) largeWalked = true;
}

/** The current process-context identifier: 0 while CR4.PCIDE is clear. */
function pcid(): u32 { return load<u64>(cpu, S_CR4) & CR4_PCIDE ? <u32>load<u64>(cpu, S_CR3) & 0xfff : 0; }

/** Goes on with the current PCID's epoch, a new one when it has none: after CR3 was set or taken back. */
export function selectPcid(): void {
  const at = epochOf(pcid());
  epoch = load<u32>(at);
  if (epoch >= oldest) return;
  epoch = nextEpoch();
  store<u32>(at, epoch);
}

/** Every PCID's, those of global pages included. */
export function forgetWalks(): void {
  oldest = nextEpoch();
  largeWalked = false;
  selectPcid();
}

// ---- invalidation, here and in the TLB

/** CR3 has been set: the TLB knows one PCID only, and what this cache has of the new one is kept unless `flush`. */
export function switchPcid(flush: bool): void {
  flushTlbLocal();
  if (flush) store<u32>(epochOf(pcid()), 0);
  selectPcid();
}

/** All of one PCID's but global pages. */
export function invalidatePcid(which: u32): void {
  if (which == pcid()) switchPcid(true);
  else store<u32>(epochOf(which), 0);
}

/** All PCIDs' but global pages. */
export function invalidateLocal(): void {
  flushTlbLocal();
  forgetWalks();
}

/** One page in every PCID, global or not. A large page is dropped whole. */
export function invalidatePage(gva: u64): void {
  flushTlbPage(gva);
  let small = false;
  for (let context: u32 = 0; context < TLB_CONTEXTS; context++) small = dropWalk(gva, context) || small;
  dropWalk(gva, CONTEXT_ALIGNED);
  if (!small && largeWalked) forgetWalks(); // other addresses of a large page may be here
}

/** True when it was a small page of the current PCID. */
function dropWalk(gva: u64, context: u32): bool {
  const slot = slotOf(gva, context);
  if (load<u64>(slot) != ((gva & ~0xfff) | <u64>context)) return false;
  const small = load<u32>(slot, 12) == epoch && !(load<u32>(slot, 8) & ENTRY_LARGE);
  store<u32>(slot, 0, 12);
  return small;
}
