/**
 * What has to be undone when an instruction that already moved the stack pointer raises a fault.
 */
import { RSP, gpr64, setGpr64 } from './cpu';

let guarded: bool = false;
let saved: u64 = 0;

/** From here to releaseRsp a fault restores the present stack pointer. */
export function guardRsp(): void {
  saved = gpr64(RSP);
  guarded = true;
}

export function releaseRsp(): void { guarded = false; }

/** Called when a fault has unwound the instruction. */
export function undoRsp(): void {
  if (guarded) setGpr64(RSP, saved);
  guarded = false;
}
