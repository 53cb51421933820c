/**
 * Debug registers: breakpoints on data and instructions, and the pending debug exceptions of the running instruction.
 *
 * @spec   SDM vol. 3 chapter 17 (debug registers), 17.3.1 debug exceptions
 * @cover  #Y data write and read/write, instruction and I/O breakpoints, general detect, single step
 *         #N BTF (no LBR MSRs offered)
 */
import { cpu } from './cpu';
import { S_CR4, S_DR, S_LEAVE_BLOCK } from './gen/state';
import { CR4_DE } from './paging';

export const DR6_BD: u32 = 0x2000; export const DR6_BS: u32 = 0x4000; export const DR6_BT: u32 = 0x8000;
export const DR6_FIXED: u64 = 0xffff_0ff0;
export const DR7_FIXED: u64 = 0x400; export const DR7_GD: u64 = 0x2000;

/** True while some data breakpoint is enabled: pages with one have no fast entries. */
export let dataBreakpointsOn: bool = false;
/** True while some instruction breakpoint is enabled: the run loop then checks each instruction. */
export let codeBreakpointsOn: bool = false;
let ioBreakpointsOn: bool = false;

/** DR6 bits of the debug trap due after the current instruction. */
export let pendingDebug: u32 = 0;
export function setPendingDebug(bits: u32): void {
  pendingDebug = bits;
  if (bits) store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/**
 * True when the single-step trap of the running instruction is not due: INT n, INT1, INT3 and INTO have cleared TF
 * before it (SDM vol. 3, 17.3.1.4); SYSCALL and SYSRET look at the TF they leave behind and set DR6_BS themselves.
 */
export let stepSuppressed: bool = false;
export function suppressStep(suppress: bool): void { stepSuppressed = suppress; }

/** A repeated string instruction at this RIP was left between two iterations: RF is set in what an event saves. */
export let betweenIterations: bool = false;
export function setBetweenIterations(between: bool): void { betweenIterations = between; }

// @ts-ignore: decorator
@inline function dr(i: u32): u64 { return load<u64>(cpu + (<usize>i << 3), S_DR); }
// @ts-ignore: decorator
@inline function enabled(dr7: u32, i: u32): bool { return ((dr7 >> (i << 1)) & 3) != 0; }
// @ts-ignore: decorator
@inline function kind(dr7: u32, i: u32): u32 { return (dr7 >> (16 + (i << 2))) & 3; }
function length(dr7: u32, i: u32): u64 {
  const len = (dr7 >> (18 + (i << 2))) & 3;
  return len == 0 ? 1 : len == 1 ? 2 : len == 3 ? 4 : 8;
}

/** Recomputes the switches after DR7 changed. The caller flushes the TLB. */
export function updateBreakpoints(): void {
  const dr7 = <u32>dr(7);
  dataBreakpointsOn = false;
  codeBreakpointsOn = false;
  ioBreakpointsOn = false;
  for (let i: u32 = 0; i < 4; i++) {
    if (!enabled(dr7, i)) continue;
    const k = kind(dr7, i);
    if (k == 0) codeBreakpointsOn = true;
    else if (k == 2) ioBreakpointsOn = (load<u64>(cpu, S_CR4) & CR4_DE) != 0 || ioBreakpointsOn;
    else dataBreakpointsOn = true;
  }
}

/** Some enabled data breakpoint touches gva's page. */
export function pageHasDataBreakpoint(gva: u64): bool {
  const dr7 = <u32>dr(7);
  for (let i: u32 = 0; i < 4; i++) {
    if (enabled(dr7, i) && kind(dr7, i) & 1 && ((dr(i) ^ gva) >> 12) == 0) return true;
  }
  return false;
}

/** Notes the data breakpoints that an access hits: a trap follows the instruction. */
export function dataBreakpoint(gva: u64, size: u32, write: bool): void {
  const dr7 = <u32>dr(7);
  let bits: u32 = 0;
  let any = false;
  for (let i: u32 = 0; i < 4; i++) {
    const k = kind(dr7, i);
    if (!(k == 3 || (k == 1 && write))) continue;
    const len = length(dr7, i);
    const start = dr(i) & ~(len - 1);
    if (gva < start + len && start < gva + <u64>size) {
      bits |= 1 << i;
      any = any || enabled(dr7, i);
    }
  }
  if (any) setPendingDebug(pendingDebug | bits);
}

/** Notes the I/O breakpoints (CR4.DE) that an access hits. */
export function ioBreakpoint(port: u32, size: u32): void {
  if (!ioBreakpointsOn) return;
  const dr7 = <u32>dr(7);
  let bits: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    if (!enabled(dr7, i) || kind(dr7, i) != 2) continue;
    const len = length(dr7, i);
    const start = dr(i) & ~(len - 1);
    if (<u64>port < start + len && start < <u64>(port + size)) bits |= 1 << i;
  }
  if (bits) setPendingDebug(pendingDebug | bits);
}

/** DR6 bits of the instruction breakpoints at a linear address; 0 when none. RFLAGS.RF is the caller's business. */
export function codeBreakpoint(gva: u64): u32 {
  const dr7 = <u32>dr(7);
  let bits: u32 = 0;
  let any = false;
  for (let i: u32 = 0; i < 4; i++) {
    if (kind(dr7, i) != 0 || dr(i) != gva) continue;
    bits |= 1 << i;
    any = any || enabled(dr7, i);
  }
  return any ? bits : 0;
}

/** DR6 for a debug exception: condition bits, BD, BS, BT as given; B0-B3 of earlier exceptions are cleared. */
export function recordDebug(bits: u32): void {
  const old = load<u64>(cpu + 48, S_DR);
  store<u64>(cpu + 48, (old & ~0xf) | <u64>bits | DR6_FIXED, S_DR);
  store<u64>(cpu + 56, load<u64>(cpu + 56, S_DR) & ~DR7_GD, S_DR);
}
