/**
 * Words by which pCPUs wait for each other, and locks made of them: 0, or 1 + the pCPU that holds it. A lock is handed to who waits
 * for it, pCPU by pCPU, so that nobody starves.
 */
import { cpu } from './cpu';
import { MAX_PCPUS, PCPU_BASE, PCPU_STRIDE, PRESENT_OFFSET, S_PCPU_ID, WANTS_LOCK_OFFSET } from './gen/state';

/** Few: a thread that does not answer at once has no core of the host, most often, and may need this one. */
const TRIES: u32 = 64;
/** Leave it this core for an instant, and look again. */
const YIELD_NS: i64 = 20_000;

export function blockOf(pcpu: u32): usize { return PCPU_BASE + <usize>pcpu * PCPU_STRIDE; }

/** Waits while the word holds `value`. */
export function waitWhile(word: usize, value: u32): void {
  for (let tries: u32 = 1; atomic.load<u32>(word) == value; tries++) {
    if (tries % TRIES == 0) atomic.wait<i32>(word, <i32>value, YIELD_NS);
  }
}

/** Takes a lock, unless this pCPU has it; it must not be present (buslock.ts) while it waits. */
export function take(lock: usize): void {
  const self = load<u32>(cpu, S_PCPU_ID) + 1;
  let holder = atomic.cmpxchg<u32>(lock, 0, self);
  if (holder == 0 || holder == self) return;
  atomic.store<u32>(cpu + WANTS_LOCK_OFFSET, <u32>lock);
  atomic.notify(cpu + PRESENT_OFFSET); // the holder may be waiting for that
  for (holder = atomic.cmpxchg<u32>(lock, 0, self); holder != 0 && holder != self; holder = atomic.cmpxchg<u32>(lock, 0, self)) waitWhile(lock, holder);
  atomic.store<u32>(cpu + WANTS_LOCK_OFFSET, 0);
}

/** Hands a lock that this pCPU has to the next that wants it. */
export function give(lock: usize): void {
  const self = load<u32>(cpu, S_PCPU_ID);
  let next: u32 = 0;
  for (let i: u32 = 1; i < MAX_PCPUS && next == 0; i++) {
    const other = (self + i) % MAX_PCPUS;
    if (atomic.load<u32>(blockOf(other) + WANTS_LOCK_OFFSET) == <u32>lock) next = other + 1;
  }
  atomic.store<u32>(lock, next);
  atomic.notify(lock);
}
