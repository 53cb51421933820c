/**
 * Pages that hold decoded code: marks, generations and the agreement among pCPUs.
 *
 * A page is marked in PAGE_CODE before anything decoded from it may be cached, and cached only once every running pCPU
 * has dropped its fast write entries for it. A write to a marked page bumps its generation, which voids the blocks.
 * The generation must be read BEFORE markCodePage: a mark may be withdrawn (and the generation bumped after that) at
 * any time.
 *
 * @spec   SDM vol. 3, 9.1.3 handling self- and cross-modifying code
 * @cover  #Y self-modifying and cross-modifying code of all pCPUs without any serialising instruction
 */
import { cpu } from './cpu';
import { arrive, depart, isPresent, summon } from './buslock';
import {
  CODE_ACKNOWLEDGED_OFFSET, CODE_EPOCH, MAX_PCPUS, PAGE_CODE_BASE, PAGE_GENERATION_BASE, PCPU_BASE, PCPU_STRIDE, RAM_BASE, S_LEAVE_BLOCK, S_PCPU_ID,
} from './gen/state';
import { dropCodeWriteTags } from './tlb';

/** Writes to a marked page after which its mark is withdrawn: it has become data. */
const WITHDRAW_AFTER: u32 = 24;
/** Of each pCPU, the pages that lie so many pages apart: u32 page written last, u32 how often since it was marked. */
const WRITTEN_PAGES: usize = 0x4_0000;
const WRITTEN_SLOTS: usize = 512;

let neededEpoch: u32 = 0;
let settledEpoch: u32 = 0;
const NONE: usize = 0xffff_ffff;
let pendingPage: usize = NONE;

/** Drops what other pCPUs asked to be dropped, and says so. */
export function acknowledgeCode(): void {
  const epoch = atomic.load<u32>(CODE_EPOCH);
  if (atomic.load<u32>(cpu + CODE_ACKNOWLEDGED_OFFSET) == epoch) return;
  dropCodeWriteTags();
  atomic.store<u32>(cpu + CODE_ACKNOWLEDGED_OFFSET, epoch);
}

/** To be called at the start of run(): from here on this pCPU may hold fast write entries. */
export function enterRun(): void {
  arrive();
  settleWrites();
  acknowledgeCode();
}

/** To be called at the end of run() and around every call out of it. */
export function leaveRun(): void { depart(); }

/**
 * Announces that this pCPU will decode from the page at wasmAddr. True: what is decoded now may be cached (against the
 * generation read before this call). False: some pCPU has not dropped its write entries yet; decode without caching.
 */
export function markCodePage(wasmAddr: usize): bool {
  settleWrites();
  const mark = PAGE_CODE_BASE + ((wasmAddr - RAM_BASE) >> 12);
  const self = load<u32>(cpu, S_PCPU_ID);
  const bit = <u8>1 << <u8>self;
  if (!(atomic.load<u8>(mark) & bit)) {
    const old = atomic.or<u8>(mark, bit);
    store<u32>(writtenSlot(mark - PAGE_CODE_BASE), 0, 4);
    if (old == 0) {
      neededEpoch = atomic.add<u32>(CODE_EPOCH, 1) + 1;
      for (let other: u32 = 0; other < MAX_PCPUS; other++) if (other != self) summon(other);
      acknowledgeCode();
    } else if (!(old & bit)) {
      neededEpoch = atomic.load<u32>(CODE_EPOCH);
      acknowledgeCode();
    }
  }
  if (settledEpoch == neededEpoch) return true;
  for (let other: u32 = 0; other < MAX_PCPUS; other++) {
    if (other == self || !isPresent(other)) continue;
    if (<i32>(atomic.load<u32>(PCPU_BASE + <usize>other * PCPU_STRIDE + CODE_ACKNOWLEDGED_OFFSET) - neededEpoch) < 0) return false;
  }
  settledEpoch = neededEpoch;
  return true;
}

// @ts-ignore: decorator
@inline export function isCodePage(wasmAddr: usize): bool { return atomic.load<u8>(PAGE_CODE_BASE + ((wasmAddr - RAM_BASE) >> 12)) != 0; }

function writtenSlot(page: usize): usize { return cpu + WRITTEN_PAGES + ((page & (WRITTEN_SLOTS - 1)) << 3); }

/** A marked page was written, and its generation is counted next: that order lets a mark be withdrawn. */
function countWrite(page: usize): void {
  const slot = writtenSlot(page);
  let n: u32 = load<u32>(slot) == <u32>page ? load<u32>(slot, 4) + 1 : 1;
  if (n == WITHDRAW_AFTER) {
    atomic.store<u8>(PAGE_CODE_BASE + page, 0);
    n = 0;
  }
  store<u32>(slot, <u32>page);
  store<u32>(slot, n, 4);
}

/** Voids the blocks of a marked page that has just been written, and ends the current one after the instruction. */
export function writtenToCode(wasmAddr: usize): void {
  const page = (wasmAddr - RAM_BASE) >> 12;
  countWrite(page);
  atomic.add<u32>(PAGE_GENERATION_BASE + (page << 2), 1);
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/** A read-modify-write of a marked page is about to happen: voids its blocks now; settleWrites() does so again once it is done. */
export function aboutToWriteCode(wasmAddr: usize): void {
  settleWrites();
  pendingPage = (wasmAddr - RAM_BASE) >> 12;
  atomic.add<u32>(PAGE_GENERATION_BASE + (pendingPage << 2), 1);
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/** Bumps the generation of the page of the last read-modify-write, which is complete: another pCPU may have decoded old bytes meanwhile. */
export function settleWrites(): void {
  if (pendingPage == NONE) return;
  countWrite(pendingPage);
  atomic.add<u32>(PAGE_GENERATION_BASE + (pendingPage << 2), 1);
  pendingPage = NONE;
}
