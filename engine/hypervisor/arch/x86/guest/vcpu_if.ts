import type { Feature } from '../../../../core/tables/features.ts';

/** What the vCPU needs of the CPU core; core/core.ts has it, tests have a fake. */
export interface VcpuCore {
  /** The pCPU block: architectural state at the offsets of core/gen/state.ts. */
  readonly view: DataView;
  /** Makes it a CPU with these features; reset() keeps them. */
  offer(features: Iterable<Feature>): void;
  reset(): void;
  run(budget: number): number;
  flags(): number;
  setFlags(flags: number): void;
  syncAfterStateWrite(): void;
  flushTlb(): void;
}

/** What CoreHost.vmexit answers. */
export const EXIT_CONTINUE = 0;
/** Raise the event in ENTRY_INTR_INFO as a fault of this instruction. */
export const EXIT_INJECT = 1;
/** Finish the instruction, then leave run(). */
export const EXIT_LEAVE = 2;

/** Reasons run() itself may return besides the SDM's. */
export const LEAVE_EVENT = 1;
export const LEAVE_BUDGET = 0x100;
