/**
 * The bus lock: what a LOCKed access takes when no single wasm atomic can do it (split, 16 bytes, device memory). It
 * excludes other such accesses; split_lock.ts answers for plain stores and aligned LOCKed accesses of the same bytes.
 *
 * @spec   SDM vol. 3, 9.1.2 bus locking
 * @cover  #Y mutual exclusion among bus-locked accesses of all pCPUs
 */
import { cpu } from './cpu';
import { PCPU_BASE, S_PCPU_ID } from './gen/state';

/** Words that all pCPUs share, in pCPU 0's block behind its TLB. */
export const SHARED_OFFSET: usize = 0x3_0000;
const BUS_LOCK: usize = PCPU_BASE + SHARED_OFFSET;

/** A word of this pCPU's own block that only fences touch. */
const FENCE_WORD: usize = SHARED_OFFSET + 0x80;

const TRIES: u32 = 512;
const YIELD_NS: i64 = 20_000;

let held: bool = false;

/** Takes the NUC's bus lock. Probe every access first: a fault must not be raised under the lock (deliverFault drops it). */
export function lockBus(): void {
  const owner = load<u32>(cpu, S_PCPU_ID) + 1;
  let tries: u32 = 0;
  for (let holder = atomic.cmpxchg<u32>(BUS_LOCK, 0, owner); holder != 0; holder = atomic.cmpxchg<u32>(BUS_LOCK, 0, owner)) {
    if (++tries % TRIES != 0) continue;
    // The holder's thread may not have a core of the host: leave it this one for an instant.
    atomic.wait<i32>(BUS_LOCK, <i32>holder, YIELD_NS);
  }
  held = true;
}

/** Releases the bus lock; harmless when this pCPU does not hold it. */
export function unlockBus(): void {
  if (!held) return;
  held = false;
  atomic.store<u32>(BUS_LOCK, 0);
}

/** MFENCE: a sequentially consistent read-modify-write orders all accesses before and after it. */
export function fence(): void { atomic.add<u32>(cpu + FENCE_WORD, 0); }
