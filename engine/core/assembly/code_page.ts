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
import { EVENT_CODE, cpu } from './cpu';
import { SHARED_OFFSET } from './buslock';
import {
  MAX_PCPUS, PAGE_CODE_BASE, PAGE_GENERATION_BASE, PCPU_BASE, PCPU_STRIDE, RAM_BASE, S_EVENT_FLAGS, S_LEAVE_BLOCK, S_PCPU_ID,
} from './gen/state';
import { dropCodeWriteTags } from './tlb';

/** Per-pCPU words, at this offset of each block. */
const SYNC_OFFSET: usize = 0x3_0040;
const RUNNING: usize = SYNC_OFFSET; //      1 while this pCPU may use its TLB
const ACKNOWLEDGED: usize = SYNC_OFFSET + 4; // last code epoch for which it dropped its write entries
/** Shared: counts the pages newly marked. */
const CODE_EPOCH: usize = PCPU_BASE + SHARED_OFFSET + 8;

/** Writes to one marked page in a row after which its mark is withdrawn: it has become data. */
const WITHDRAW_AFTER: u32 = 24;

let neededEpoch: u32 = 0;
let settledEpoch: u32 = 0;
let lastWritten: usize = 0;
let lastWrittenCount: u32 = 0;
const NONE: usize = 0xffff_ffff;
let pendingPage: usize = NONE;

/** Drops what other pCPUs asked to be dropped, and says so. */
export function acknowledgeCode(): void {
  const epoch = atomic.load<u32>(CODE_EPOCH);
  if (atomic.load<u32>(cpu + ACKNOWLEDGED) == epoch) return;
  dropCodeWriteTags();
  atomic.store<u32>(cpu + ACKNOWLEDGED, epoch);
}

/** To be called at the start of run(): from here on this pCPU may hold fast write entries. */
export function enterRun(): void {
  atomic.store<u32>(cpu + RUNNING, 1);
  settleWrites();
  acknowledgeCode();
}

/** To be called at the end of run() and around every call out of it. */
export function leaveRun(): void { atomic.store<u32>(cpu + RUNNING, 0); }

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
    lastWritten = 0;
    if (old == 0) {
      neededEpoch = atomic.add<u32>(CODE_EPOCH, 1) + 1;
      for (let other: u32 = 0; other < MAX_PCPUS; other++) {
        const block = PCPU_BASE + <usize>other * PCPU_STRIDE;
        if (other != self && atomic.load<u32>(block + RUNNING) != 0) atomic.or<i32>(block + S_EVENT_FLAGS, EVENT_CODE);
      }
      acknowledgeCode();
    } else if (!(old & bit)) {
      neededEpoch = atomic.load<u32>(CODE_EPOCH);
      acknowledgeCode();
    }
  }
  if (settledEpoch == neededEpoch) return true;
  for (let other: u32 = 0; other < MAX_PCPUS; other++) {
    if (other == self) continue;
    const block = PCPU_BASE + <usize>other * PCPU_STRIDE;
    if (atomic.load<u32>(block + RUNNING) == 0) continue;
    if (<i32>(atomic.load<u32>(block + ACKNOWLEDGED) - neededEpoch) < 0) return false;
  }
  settledEpoch = neededEpoch;
  return true;
}

// @ts-ignore: decorator
@inline export function isCodePage(wasmAddr: usize): bool { return atomic.load<u8>(PAGE_CODE_BASE + ((wasmAddr - RAM_BASE) >> 12)) != 0; }

/** Voids the blocks of a marked page that has just been written, and ends the current one after the instruction. */
export function writtenToCode(wasmAddr: usize): void {
  const page = (wasmAddr - RAM_BASE) >> 12;
  if (page == lastWritten) {
    if (++lastWrittenCount == WITHDRAW_AFTER) {
      atomic.store<u8>(PAGE_CODE_BASE + page, 0);
      lastWritten = 0;
    }
  } else {
    lastWritten = page;
    lastWrittenCount = 0;
  }
  atomic.add<u32>(PAGE_GENERATION_BASE + (page << 2), 1);
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/** A read-modify-write of a marked page is about to happen: voids its blocks now and, for the other pCPUs, again later. */
export function aboutToWriteCode(wasmAddr: usize): void {
  settleWrites();
  pendingPage = (wasmAddr - RAM_BASE) >> 12;
  atomic.add<u32>(PAGE_GENERATION_BASE + (pendingPage << 2), 1);
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/** Bumps the generation of the page of the last read-modify-write, which is complete by now. */
export function settleWrites(): void {
  if (pendingPage == NONE) return;
  atomic.add<u32>(PAGE_GENERATION_BASE + (pendingPage << 2), 1);
  pendingPage = NONE;
}
