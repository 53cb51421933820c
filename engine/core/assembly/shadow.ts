/**
 * Lock-step checking: compiled code runs on copies ("shadows") of the pages it touches, so that the interpreter can run
 * the same instructions on the real ones afterwards and both results can be compared (engine/core/jit/check.ts).
 *
 * The TLB is emptied before each of the two, so every page passes shadowed() at its first access and first write. Compiled
 * code goes on to other pages by what is cached for execution: that stays, and names the real pages.
 */
import { unlockBus } from './buslock';
import { cpu } from './cpu';
import { PCPU_BASE, PCPU_STRIDE, SHADOW_BASE, SHADOW_STRIDE } from './gen/state';
import { unwind } from './fault';
import { dropTracked } from './tlb';

export const SHADOW_OFF: u32 = 0;
/** Compiled code runs: pages are copied. */
export const SHADOW_COPY: u32 = 1;
/** The interpreter runs: pages are real, and those written are compared with what compiled code wrote. */
export const SHADOW_WATCH: u32 = 2;

const TRACKED: usize = 0x1000;
const COPIES: usize = 0x2000;
const MOST: u32 = (SHADOW_STRIDE >> 12) - 2;
const WRITTEN: u32 = 1;

export let shadowing: u32 = SHADOW_OFF;
let count: u32 = 0;
/** A page that the interpreter wrote and compiled code did not; 0: none. */
export let unexpectedWrite: usize = 0;

export function setShadowing(mode: u32): void {
  shadowing = mode;
  unexpectedWrite = 0;
  if (mode != SHADOW_OFF) dropTracked(base() + TRACKED, mode == SHADOW_WATCH);
  if (mode == SHADOW_COPY) count = 0;
  else unlockBus(); // compiled code may have been cut short
}

/** Pages copied since SHADOW_COPY began; the list has a u32 each: address of the page, bit 0 set when it was written. */
export function shadowCount(): u32 { return count; }

// @ts-ignore: decorator
@inline function base(): usize { return SHADOW_BASE + (cpu - PCPU_BASE) / PCPU_STRIDE * SHADOW_STRIDE; }

/** The page (wasm addresses) to use for an access to a page. */
export function shadowed(page: usize, write: bool): usize {
  const list = base();
  for (let i: u32 = 0; i < count; i++) {
    const slot = list + (<usize>i << 2);
    if ((load<u32>(slot) & ~WRITTEN) != <u32>page) continue;
    if (shadowing == SHADOW_WATCH) {
      if (write && !(load<u32>(slot) & WRITTEN)) unexpectedWrite = page;
      return page;
    }
    if (write) store<u32>(slot, <u32>page | WRITTEN);
    return list + COPIES + (<usize>i << 12);
  }
  if (shadowing == SHADOW_WATCH) {
    if (write) unexpectedWrite = page;
    return page;
  }
  if (count == MOST) unwind();
  const copy = list + COPIES + (<usize>count << 12);
  memory.copy(copy, page, 0x1000);
  store<u32>(list + (<usize>count << 2), <u32>page | (write ? WRITTEN : 0));
  count++;
  return copy;
}

/** Some page that compiled code wrote is not what the real one has become. */
export function shadowsDiffer(): bool {
  const list = base();
  for (let i: u32 = 0; i < count; i++) {
    const entry = load<u32>(list + (<usize>i << 2));
    if (!(entry & WRITTEN)) continue;
    const page = <usize>(entry & ~WRITTEN);
    if (memory.compare(page, list + COPIES + (<usize>i << 12), 0x1000) != 0) return true;
  }
  return false;
}

/** The page that a page walk reads: page tables written by the code under check are in their copies. */
export function walkedPage(page: usize): usize {
  if (shadowing != SHADOW_COPY) return page;
  const list = base();
  for (let i: u32 = 0; i < count; i++) if ((load<u32>(list + (<usize>i << 2)) & ~WRITTEN) == <u32>page) return list + COPIES + (<usize>i << 12);
  return page;
}
