/**
 * The bus lock: what a LOCKed access takes when no single wasm atomic can do it (split, 16 bytes, device memory), and the
 * stop of the VM's other pCPUs for one to RAM, which plain loads and stores of theirs must not see half done
 * (docs/adr/0007-split-locks-stop-pcpus.md).
 *
 * A pCPU is present while it may touch guest memory: in run(), but for calls out of it. The holder of the lock sets BUS_STOP,
 * asks every pCPU of its VM that is present to look at its event flags, and goes on once none is. Whoever arrives while BUS_STOP
 * is set goes away again until it is clear; so does whoever waits for the lock. Either side writes its own word before it reads the
 * other's, so one of them sees the other. A pCPU that was held up gets to run before the next stop, and the lock is handed to
 * who waits for it, pCPU by pCPU: such LOCKs in a loop starve nobody.
 *
 * On a host that reorders what x86 does not, a VM's pCPUs take turns: one of them is present at a time. What it has done is there
 * for the next one, in order, because the turn goes from one to the other by an atomic word.
 *
 * @spec   SDM vol. 3, 9.1.2 bus locking, 9.2.2 memory ordering
 * @cover  #Y mutual exclusion among bus-locked accesses of all pCPUs, and between those to RAM and any access of the VM's pCPUs
 * @differ Devices are not stopped: split_lock.ts keeps what they store.
 */
import { EVENT_CODE, cpu } from './cpu';
import {
  BUS_LOCK, BUS_STOP, HELD_UP_OFFSET, MAX_PCPUS, PCPU_BASE, PCPU_STRIDE, PRESENT_OFFSET, S_EPTP, S_EVENT_FLAGS, S_PCPU_ID, TURNS, WANTS_BUS_OFFSET,
  WANTS_TURN_OFFSET,
} from './gen/state';

/** A word of this pCPU's own block that only fences touch. */
const FENCE_WORD: usize = 0x3_0080;

/** Few: a thread that does not answer at once has no core of the host, most often, and may need this one. */
const TRIES: u32 = 64;
/** Leave it this core for an instant, and look again. */
const YIELD_NS: i64 = 20_000;

let held: bool = false;
let stopping: bool = false;

// @ts-ignore: decorator
@inline function blockOf(pcpu: u32): usize { return PCPU_BASE + <usize>pcpu * PCPU_STRIDE; }

/** Waits while the word holds `value`. */
function waitWhile(word: usize, value: u32): void {
  for (let tries: u32 = 1; atomic.load<u32>(word) == value; tries++) {
    if (tries % TRIES == 0) atomic.wait<i32>(word, <i32>value, YIELD_NS);
  }
}

/** Asks a pCPU to look at what others want of it before its next block, if it is present. */
export function summon(pcpu: u32): void {
  if (isPresent(pcpu)) atomic.or<i32>(blockOf(pcpu) + S_EVENT_FLAGS, EVENT_CODE);
}

// @ts-ignore: decorator
@inline export function isPresent(pcpu: u32): bool { return atomic.load<u32>(blockOf(pcpu) + PRESENT_OFFSET) != 0; }

/**
 * Whether what a pCPU runs, or ran last, is of the VM of this one: no two VMs have memory in common. An EPTP changes only
 * while its pCPU is not present; so look at that first.
 */
function sharesMemory(pcpu: u32): bool { return load<u64>(blockOf(pcpu), S_EPTP) == load<u64>(cpu, S_EPTP); }

// @ts-ignore: decorator
@inline function isInTheWay(pcpu: u32): bool { return isPresent(pcpu) && sharesMemory(pcpu); }

/** This pCPU is about to touch guest memory: not before a stop by another one of its VM is over. */
export function arrive(): void {
  if (turns) takeTurn();
  atomic.store<u32>(cpu + PRESENT_OFFSET, 1);
  if (atomic.load<u32>(BUS_STOP) != 0) waitForEndOfStop();
}

/** From here on this pCPU touches no guest memory. */
export function depart(): void {
  atomic.store<u32>(cpu + PRESENT_OFFSET, 0);
  if (turns) giveTurn();
}

/** Whether a VM's pCPUs take turns. The same for all of a NUC. */
let turns: bool = false;
export function setTurns(on: bool): void { turns = on; }

/** The word of the VM of the pCPU with this block; two VMs that share one take turns as well. */
// @ts-ignore: decorator
@inline function turnWord(block: usize): usize { return TURNS + ((<usize>(load<u64>(block, S_EPTP) >> 12) & 63) << 2); }

function takeTurn(): void {
  const word = turnWord(cpu);
  const self = load<u32>(cpu, S_PCPU_ID) + 1;
  let holder = atomic.cmpxchg<u32>(word, 0, self);
  if (holder == 0 || holder == self) return; // after a fault it is this one's still
  atomic.store<u32>(cpu + WANTS_TURN_OFFSET, 1);
  for (holder = atomic.cmpxchg<u32>(word, 0, self); holder != 0 && holder != self; holder = atomic.cmpxchg<u32>(word, 0, self)) waitWhile(word, holder);
  atomic.store<u32>(cpu + WANTS_TURN_OFFSET, 0);
}

function giveTurn(): void {
  const word = turnWord(cpu);
  const self = load<u32>(cpu, S_PCPU_ID);
  if (atomic.load<u32>(word) != self + 1) return;
  let next: u32 = 0;
  for (let i: u32 = 1; i < MAX_PCPUS && next == 0; i++) {
    const other = (self + i) % MAX_PCPUS;
    if (atomic.load<u32>(blockOf(other) + WANTS_TURN_OFFSET) != 0 && turnWord(blockOf(other)) == word) next = other + 1;
  }
  atomic.store<u32>(word, next);
  atomic.notify(word);
}

function waitForEndOfStop(): void {
  atomic.store<u32>(cpu + HELD_UP_OFFSET, 1);
  for (let stopper = atomic.load<u32>(BUS_STOP); stopper != 0 && sharesMemory(stopper - 1); stopper = atomic.load<u32>(BUS_STOP)) {
    depart();
    atomic.notify(cpu + PRESENT_OFFSET);
    waitWhile(BUS_STOP, stopper);
    if (turns) takeTurn();
    atomic.store<u32>(cpu + PRESENT_OFFSET, 1);
  }
  atomic.store<u32>(cpu + HELD_UP_OFFSET, 0);
  atomic.notify(cpu + HELD_UP_OFFSET);
}

/** Between instructions: makes way for a stop. acknowledgeCode() must follow, as after arrive(). */
export function makeWay(): void { if (atomic.load<u32>(BUS_STOP) != 0) waitForEndOfStop(); }

/**
 * Takes the NUC's bus lock; this pCPU must have departed. Probe every access first: a fault should not be raised under the
 * lock (deliverFault drops it).
 */
export function takeBus(): void {
  const self = load<u32>(cpu, S_PCPU_ID) + 1;
  let holder = atomic.cmpxchg<u32>(BUS_LOCK, 0, self);
  if (holder != 0) {
    atomic.store<u32>(cpu + WANTS_BUS_OFFSET, 1);
    atomic.notify(cpu + PRESENT_OFFSET); // the holder may be waiting for that
    for (holder = atomic.cmpxchg<u32>(BUS_LOCK, 0, self); holder != 0 && holder != self; holder = atomic.cmpxchg<u32>(BUS_LOCK, 0, self)) {
      waitWhile(BUS_LOCK, holder);
    }
    atomic.store<u32>(cpu + WANTS_BUS_OFFSET, 0);
  }
  held = true;
}

/** Under the bus lock: returns once every other pCPU of this VM has departed, and keeps them away until unlockBus(). */
export function stopOthers(): void {
  const self = load<u32>(cpu, S_PCPU_ID);
  for (let other: u32 = 0; other < MAX_PCPUS; other++) if (other != self && sharesMemory(other)) waitWhile(blockOf(other) + HELD_UP_OFFSET, 1);
  stopping = true;
  atomic.store<u32>(BUS_STOP, self + 1);
  for (let other: u32 = 0; other < MAX_PCPUS; other++) if (other != self && isInTheWay(other)) summon(other);
  for (let other: u32 = 0; other < MAX_PCPUS; other++) if (other != self && isInTheWay(other)) waitWhile(blockOf(other) + PRESENT_OFFSET, 1);
}

/** Releases the bus lock and ends the stop; harmless when this pCPU does not hold it. */
export function unlockBus(): void {
  if (!held) return;
  held = false;
  if (stopping) {
    stopping = false;
    atomic.store<u32>(BUS_STOP, 0);
    atomic.notify(BUS_STOP);
  }
  const self = load<u32>(cpu, S_PCPU_ID);
  let next: u32 = 0;
  for (let i: u32 = 1; i < MAX_PCPUS; i++) {
    const other = (self + i) % MAX_PCPUS;
    if (atomic.load<u32>(blockOf(other) + WANTS_BUS_OFFSET) == 0) continue;
    next = other + 1;
    break;
  }
  atomic.store<u32>(BUS_LOCK, next);
  atomic.notify(BUS_LOCK);
}

/** MFENCE: a sequentially consistent read-modify-write orders all accesses before and after it. */
export function fence(): void { atomic.add<u32>(cpu + FENCE_WORD, 0); }
