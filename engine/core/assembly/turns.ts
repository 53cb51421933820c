/**
 * On a host that reorders what x86 does not, a VM's pCPUs take turns: one of them is present (buslock.ts) at a time. What it has
 * done is there for the next one, in order, because the turn goes from one to the other by an atomic word
 * (docs/adr/0010-turns-where-memory-order-is-weak.md).
 *
 * @spec SDM vol. 3, 9.2.2 memory ordering
 */
import { cpu } from './cpu';
import { S_EPTP, S_PCPU_ID, TURNS, TURN_COUNT } from './gen/state';
import { give, take } from './handed_lock';

/** Whether a VM's pCPUs take turns. The same for all of a NUC. */
let turns: bool = false;
export function setTurns(on: bool): void { turns = on; }

/** The lock of this pCPU's VM; two VMs that share one take turns as well. */
function turn(): usize { return TURNS + ((<usize>(load<u64>(cpu, S_EPTP) >> 12) & (TURN_COUNT - 1)) << 2); }

/** After a fault it is this pCPU's still. */
export function takeTurn(): void { if (turns) take(turn()); }

export function giveTurn(): void { if (turns && atomic.load<u32>(turn()) == load<u32>(cpu, S_PCPU_ID) + 1) give(turn()); }
