/**
 * Operands, results and flags of the run loop's specialised handlers (hot.ts, run.ts).
 *
 * @spec SDM vol. 1, 3.4.3.1 (status flags), 3.7.5 (effective addresses)
 */
import { RAX, RDX, cpu } from './cpu';
import { multiplyHigh } from './execute/muldiv';
import {
  CF, LAZY_ADC, LAZY_ADD, LAZY_SBB, LAZY_SUB, OF, carryFlag, overflowFlag, setLazy, setLazyLogic, setResultFlags, signFlag, zeroFlag,
} from './flags';
import { S_FLAGS, S_GPR, S_LAZY_OP, S_LAZY_RESULT, S_LAZY_SRC1, S_LAZY_SRC2, S_SEG_BASE } from './gen/state';
import { recLength, recOffset } from './record';
import { E_ADDEND, entryOf, tlb } from './tlb';

// @ts-ignore: decorator
@inline export function first(rec: usize): u32 { return load<u8>(rec, 28); }
// @ts-ignore: decorator
@inline export function second(rec: usize): u32 { return load<u8>(rec, 29); }
// @ts-ignore: decorator
@inline export function reg64(c: usize, i: u32): i64 { return load<i64>(c + (<usize>i << 3), S_GPR); }
// @ts-ignore: decorator
@inline export function reg32(c: usize, i: u32): i64 { return <i64>load<i32>(c + (<usize>i << 3), S_GPR); }
// @ts-ignore: decorator
@inline export function set64(c: usize, i: u32, v: i64): void { store<i64>(c + (<usize>i << 3), v, S_GPR); }
// @ts-ignore: decorator
@inline export function set32(c: usize, i: u32, v: i64): void { store<u64>(c + (<usize>i << 3), <u64><u32>v, S_GPR); }

/** Effective address; mask is the mode's address width. FS and GS only come here in 64-bit mode. */
// @ts-ignore: decorator
@inline export function address(c: usize, rec: usize, mask: u64): u64 {
  let ea = load<u64>(c + (<usize>load<u8>(rec, 5) << 3), S_GPR) + (load<u64>(c + (<usize>load<u8>(rec, 6) << 3), S_GPR) << load<u8>(rec, 7)) + <u64><i64>load<i32>(rec, 8);
  ea &= mask;
  const segment = load<u8>(rec, 12);
  if (segment >= 4) ea += load<u64>(c + (<usize>segment << 3), S_SEG_BASE);
  return ea;
}

/** wasm address of an access of last + 1 bytes, 0 on a TLB miss. */
// @ts-ignore: decorator
@inline export function hit(gva: u64, last: u64, tag: usize): usize {
  const e = entryOf(tlb, gva);
  return load<u64>(e + tag) == ((gva + last) & 0xffff_ffff_ffff_f000) ? <usize>gva + <usize>load<u32>(e, E_ADDEND) : 0;
}

/** One operation of the group ADD OR ADC SBB AND SUB XOR CMP on sign-extended operands of 4 or 8 bytes. */
// @ts-ignore: decorator
@inline export function alu(c: usize, kind: u32, wide: bool, a: i64, b: i64): i64 {
  let r: i64;
  if (kind == 0) {
    r = a + b;
    if (!wide) r = <i64><i32>r;
    setLazy(LAZY_ADD, r, a, b);
  } else if (kind == 5 || kind == 7) {
    r = a - b;
    if (!wide) r = <i64><i32>r;
    setLazy(LAZY_SUB, r, a, b);
  } else if (kind == 2) {
    const carry = carryFlag();
    r = a + b + <i64>carry;
    if (!wide) r = <i64><i32>r;
    setLazy(carry ? LAZY_ADC : LAZY_ADD, r, a, b);
  } else if (kind == 3) {
    const carry = carryFlag();
    r = a - b - <i64>carry;
    if (!wide) r = <i64><i32>r;
    setLazy(carry ? LAZY_SBB : LAZY_SUB, r, a, b);
  } else {
    r = kind == 1 ? a | b : kind == 4 ? a & b : a ^ b;
    setLazyLogic(r);
  }
  return r;
}

// @ts-ignore: decorator
@inline export function less(): bool {
  return load<u32>(cpu, S_LAZY_OP) == LAZY_SUB ? load<i64>(cpu, S_LAZY_SRC1) < load<i64>(cpu, S_LAZY_SRC2) : signFlag() != overflowFlag();
}
// @ts-ignore: decorator
@inline export function lessOrEqual(): bool {
  return load<u32>(cpu, S_LAZY_OP) == LAZY_SUB ? load<i64>(cpu, S_LAZY_SRC1) <= load<i64>(cpu, S_LAZY_SRC2) : zeroFlag() || signFlag() != overflowFlag();
}
// @ts-ignore: decorator
@inline export function below(): bool {
  return load<u32>(cpu, S_LAZY_OP) == LAZY_SUB ? load<u64>(cpu, S_LAZY_SRC1) < load<u64>(cpu, S_LAZY_SRC2) : carryFlag() != 0;
}
// @ts-ignore: decorator
@inline export function belowOrEqual(): bool {
  return load<u32>(cpu, S_LAZY_OP) == LAZY_SUB ? load<u64>(cpu, S_LAZY_SRC1) <= load<u64>(cpu, S_LAZY_SRC2) : zeroFlag() || carryFlag() != 0;
}
// @ts-ignore: decorator
@inline export function canonical(v: u64): bool { return <u64>((<i64>v << 16) >> 16) == v; }

// @ts-ignore: decorator
@inline export function jump(rec: usize, rip: u64, mask: u64, taken: bool): u64 {
  return (rip + (taken ? <u64><i64>load<i32>(rec, 8) : <u64>(recOffset(rec) + recLength(rec)))) & mask;
}

// @ts-ignore: decorator
@inline export function offsetOnly(c: usize, rec: usize): u64 {
  return load<u64>(c + (<usize>load<u8>(rec, 5) << 3), S_GPR) + (load<u64>(c + (<usize>load<u8>(rec, 6) << 3), S_GPR) << load<u8>(rec, 7)) + <u64><i64>load<i32>(rec, 8);
}

/** An 8-bit result kept at full width: the flags want it sign-extended from its own size. */
// @ts-ignore: decorator
@inline export function fix8(c: usize): void { store<i64>(c, <i64>load<i8>(c, S_LAZY_RESULT), S_LAZY_RESULT); }

// @ts-ignore: decorator
@inline export function keepCarry(c: usize): void { store<u32>(c, (load<u32>(c, S_FLAGS) & ~CF) | carryFlag(), S_FLAGS); }

export function multiply64(c: usize, b: u64): void {
  const a = <u64>reg64(c, RAX);
  const high = multiplyHigh(a, b);
  const low = a * b;
  set64(c, RAX, low);
  set64(c, RDX, high);
  setResultFlags(low, high != 0 ? CF | OF : 0);
}
