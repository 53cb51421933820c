/**
 * The bus lock: what a LOCKed access takes when no single wasm atomic can do it (split, 16 bytes, device memory), and the
 * stop of the VM's other pCPUs for one to RAM, which plain loads and stores of theirs must not see half done
 * (docs/adr/0007-split-locks-stop-pcpus.md).
 *
 * A pCPU is present while it may touch guest memory: in run(), but for calls out of it. The holder of the lock sets BUS_STOP,
 * asks every pCPU of its VM that is present to look at its event flags, and goes on once none is. Whoever arrives while BUS_STOP
 * is set goes away again until it is clear; so does whoever waits for the lock. Either side writes its own word before it reads the
 * other's, so one of them sees the other. A pCPU that was held up gets to run before the next stop, and the lock is handed
 * round: such LOCKs in a loop starve nobody.
 *
 * @spec   SDM vol. 3, 9.1.2 bus locking
 * @cover  #Y mutual exclusion among bus-locked accesses of all pCPUs, and between those to RAM and any access of the VM's pCPUs
 * @differ Devices are not stopped: split_lock.ts keeps what they store.
 */
import { EVENT_CODE, cpu } from './cpu';
import { BUS_LOCK, BUS_STOP, HELD_UP_OFFSET, MAX_PCPUS, PRESENT_OFFSET, S_EPTP, S_EVENT_FLAGS, S_PCPU_ID } from './gen/state';
import { blockOf, give, take, waitWhile } from './handed_lock';
import { giveTurn, takeTurn } from './turns';

/** A word of this pCPU's own block that only fences touch. */
const FENCE_WORD: usize = 0x3_0080;

let held: bool = false;
let stopping: bool = false;

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
  takeTurn();
  atomic.store<u32>(cpu + PRESENT_OFFSET, 1);
  if (atomic.load<u32>(BUS_STOP) != 0) waitForEndOfStop();
}

/** From here on this pCPU touches no guest memory. */
export function depart(): void {
  atomic.store<u32>(cpu + PRESENT_OFFSET, 0);
  giveTurn();
}

function waitForEndOfStop(): void {
  atomic.store<u32>(cpu + HELD_UP_OFFSET, 1);
  for (let stopper = atomic.load<u32>(BUS_STOP); stopper != 0 && sharesMemory(stopper - 1); stopper = atomic.load<u32>(BUS_STOP)) {
    depart();
    atomic.notify(cpu + PRESENT_OFFSET);
    waitWhile(BUS_STOP, stopper);
    takeTurn();
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
  take(BUS_LOCK);
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
  give(BUS_LOCK);
}

/** MFENCE: a sequentially consistent read-modify-write orders all accesses before and after it. */
export function fence(): void { atomic.add<u32>(cpu + FENCE_WORD, 0); }
