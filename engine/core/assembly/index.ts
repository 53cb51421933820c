/** The core's exports to core.ts. */
import { PCPU_BASE, PCPU_STRIDE, S_PCPU_ID } from './gen/state';
import { setCpu, cpu } from './cpu';
import { execute } from './gen/dispatch';
import { readFlags, writeFlags } from './flags';
import { recOp } from './record';

/** Nothing here asserts; a trap of the compiler's own is an engine bug and ends in `unreachable`. */
export function abort(message: usize, file: usize, line: u32, column: u32): void { unreachable(); }

export function init(pcpuId: u32): void {
  setCpu(<usize>(PCPU_BASE + pcpuId * PCPU_STRIDE));
  store<u32>(cpu, pcpuId, S_PCPU_ID);
}
export function getFlags(): u32 { return readFlags(); }
export function setFlags(value: u32): void { writeFlags(value); }
export function executeRecord(rec: usize): void { execute(recOp(rec), rec); }
