/**
 * Guest memory as instructions see it. INTERFACE FIXED; the body here is a flat stand-in until the real MMU lands.
 *
 * All functions take a linear address (GVA), use the current privilege level, raise #PF (never return) when the
 * access is not allowed, and accept any alignment, page crossings included.
 */
import { RAM_BASE } from './gen/state';
import { cpu, gpr64, segBase } from './cpu';
import { recBase, recDisp, recIndex, recScale, recSegment } from './record';

// @ts-ignore: decorator
@inline function flat(gva: u64): usize { return <usize>gva + RAM_BASE; }

/** Linear address of the record's memory operand: effective address, truncated to the address size, plus segment base;
 *  raises #GP/#SS for non-canonical addresses and segment violations of an access of `size` bytes (write: stores too). */
export function linear(rec: usize, size: u32, write: bool): u64 {
  return gpr64(recBase(rec)) + (gpr64(recIndex(rec)) << recScale(rec)) + <u64><i64>recDisp(rec) + segBase(recSegment(rec));
}

export function read8(gva: u64): u8 { return load<u8>(flat(gva)); }
export function read16(gva: u64): u16 { return load<u16>(flat(gva)); }
export function read32(gva: u64): u32 { return load<u32>(flat(gva)); }
export function read64(gva: u64): u64 { return load<u64>(flat(gva)); }
export function read128(gva: u64): v128 { return load<v128>(flat(gva)); }
export function write8(gva: u64, v: u8): void { store<u8>(flat(gva), v); }
export function write16(gva: u64, v: u16): void { store<u16>(flat(gva), v); }
export function write32(gva: u64, v: u32): void { store<u32>(flat(gva), v); }
export function write64(gva: u64, v: u64): void { store<u64>(flat(gva), v); }
export function write128(gva: u64, v: v128): void { store<v128>(flat(gva), v); }
/** Faults now if `size` bytes at gva cannot be written: for instructions that must not half-complete. */
export function probeWrite(gva: u64, size: u32): void {}
/** Likewise for reads. */
export function probeRead(gva: u64, size: u32): void {}
