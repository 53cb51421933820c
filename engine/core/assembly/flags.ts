/**
 * The status flags, held lazily: an arithmetic instruction records what it did, and CF PF AF ZF SF OF are worked out
 * when something reads them.
 *
 * LAZY_RESULT, LAZY_SRC1 and LAZY_SRC2 are always sign-extended to 64 bits from the operand size. Sign extension keeps
 * both the signed and the unsigned order, so one set of formulas serves every operand size.
 *
 * @spec SDM vol. 1, 3.4.3 (EFLAGS); vol. 2, appendix B (condition codes)
 */
import { cpu } from './cpu';
import { S_FLAGS, S_LAZY_OP, S_LAZY_RESULT, S_LAZY_SRC1, S_LAZY_SRC2 } from './gen/state';

export const CF: u32 = 1; export const PF: u32 = 4; export const AF: u32 = 0x10; export const ZF: u32 = 0x40; export const SF: u32 = 0x80;
export const TF: u32 = 0x100; export const IF: u32 = 0x200; export const DF: u32 = 0x400; export const OF: u32 = 0x800;
export const IOPL: u32 = 0x3000; export const NT: u32 = 0x4000; export const RF: u32 = 0x10000; export const VM: u32 = 0x20000;
export const AC: u32 = 0x40000; export const VIF: u32 = 0x80000; export const VIP: u32 = 0x100000; export const ID: u32 = 0x200000;
/** The six status flags. */
export const STATUS: u32 = 0x8d5;

// LAZY_OP: how the status flags follow from result and sources.
export const LAZY_NONE: u32 = 0; //   FLAGS is complete
export const LAZY_ADD: u32 = 1;
export const LAZY_SUB: u32 = 2;
export const LAZY_LOGIC: u32 = 3; //  CF = OF = AF = 0
export const LAZY_ADC: u32 = 4; //    ADC with carry in (without, it is an ADD)
export const LAZY_SBB: u32 = 5; //    SBB with borrow in
export const LAZY_INC: u32 = 6; //    CF is in FLAGS
export const LAZY_DEC: u32 = 7; //    CF is in FLAGS
export const LAZY_RESULT: u32 = 8; // CF, OF and AF are in FLAGS, the others follow from the result

// @ts-ignore: decorator
@inline export function setLazy(op: u32, result: i64, a: i64, b: i64): void {
  store<u32>(cpu, op, S_LAZY_OP);
  store<i64>(cpu, result, S_LAZY_RESULT);
  store<i64>(cpu, a, S_LAZY_SRC1);
  store<i64>(cpu, b, S_LAZY_SRC2);
}

// @ts-ignore: decorator
@inline export function setLazyLogic(result: i64): void {
  store<u32>(cpu, LAZY_LOGIC, S_LAZY_OP);
  store<i64>(cpu, result, S_LAZY_RESULT);
}

/** CF, OF and AF as given (other bits of `flags` ignored); ZF, SF and PF from the result. */
// @ts-ignore: decorator
@inline export function setResultFlags(result: i64, flags: u32): void {
  store<u32>(cpu, (load<u32>(cpu, S_FLAGS) & ~(CF | OF | AF)) | (flags & (CF | OF | AF)), S_FLAGS);
  store<u32>(cpu, LAZY_RESULT, S_LAZY_OP);
  store<i64>(cpu, result, S_LAZY_RESULT);
}

/** 0 or 1. */
export function carryFlag(): u32 {
  const op = load<u32>(cpu, S_LAZY_OP);
  if (op == LAZY_SUB) return u32(load<u64>(cpu, S_LAZY_SRC1) < load<u64>(cpu, S_LAZY_SRC2));
  if (op == LAZY_ADD) return u32(load<u64>(cpu, S_LAZY_RESULT) < load<u64>(cpu, S_LAZY_SRC1));
  if (op == LAZY_LOGIC) return 0;
  if (op == LAZY_ADC) return u32(load<u64>(cpu, S_LAZY_RESULT) <= load<u64>(cpu, S_LAZY_SRC1));
  if (op == LAZY_SBB) return u32(load<u64>(cpu, S_LAZY_SRC1) <= load<u64>(cpu, S_LAZY_SRC2));
  return load<u32>(cpu, S_FLAGS) & CF;
}

// @ts-ignore: decorator
@inline export function zeroFlag(): bool {
  return load<u32>(cpu, S_LAZY_OP) != 0 ? load<i64>(cpu, S_LAZY_RESULT) == 0 : (load<u32>(cpu, S_FLAGS) & ZF) != 0;
}

// @ts-ignore: decorator
@inline export function signFlag(): bool {
  return load<u32>(cpu, S_LAZY_OP) != 0 ? load<i64>(cpu, S_LAZY_RESULT) < 0 : (load<u32>(cpu, S_FLAGS) & SF) != 0;
}

export function parityFlag(): bool {
  if (load<u32>(cpu, S_LAZY_OP) == 0) return (load<u32>(cpu, S_FLAGS) & PF) != 0;
  return (popcnt<u32>(load<u8>(cpu, S_LAZY_RESULT)) & 1) == 0;
}

export function overflowFlag(): bool {
  const op = load<u32>(cpu, S_LAZY_OP);
  if (op == LAZY_LOGIC) return false;
  if (op == LAZY_NONE || op == LAZY_RESULT) return (load<u32>(cpu, S_FLAGS) & OF) != 0;
  const a = load<i64>(cpu, S_LAZY_SRC1);
  const b = load<i64>(cpu, S_LAZY_SRC2);
  const r = load<i64>(cpu, S_LAZY_RESULT);
  if (op == LAZY_ADD || op == LAZY_ADC || op == LAZY_INC) return ((a ^ r) & (b ^ r)) < 0;
  return ((a ^ b) & (a ^ r)) < 0;
}

function adjustFlag(): u32 {
  const op = load<u32>(cpu, S_LAZY_OP);
  if (op == LAZY_LOGIC) return 0;
  if (op == LAZY_NONE || op == LAZY_RESULT) return load<u32>(cpu, S_FLAGS) & AF;
  return (load<u32>(cpu, S_LAZY_SRC1) ^ load<u32>(cpu, S_LAZY_SRC2) ^ load<u32>(cpu, S_LAZY_RESULT)) & AF;
}

/** Rotates: CF and OF as given, the other status flags stay. */
export function setRotateFlags(flags: u32): void {
  if (load<u32>(cpu, S_LAZY_OP) == LAZY_NONE) {
    store<u32>(cpu, (load<u32>(cpu, S_FLAGS) & ~(CF | OF)) | flags, S_FLAGS);
    return;
  }
  store<u32>(cpu, (load<u32>(cpu, S_FLAGS) & ~(CF | OF | AF)) | adjustFlag() | flags, S_FLAGS);
  store<u32>(cpu, LAZY_RESULT, S_LAZY_OP);
}

/** The complete RFLAGS; FLAGS holds all of it afterwards. */
export function readFlags(): u32 {
  if (load<u32>(cpu, S_LAZY_OP) == LAZY_NONE) return load<u32>(cpu, S_FLAGS);
  const flags = (load<u32>(cpu, S_FLAGS) & ~STATUS) | carryFlag() | (parityFlag() ? PF : 0) | adjustFlag()
    | (zeroFlag() ? ZF : 0) | (signFlag() ? SF : 0) | (overflowFlag() ? OF : 0);
  store<u32>(cpu, flags, S_FLAGS);
  store<u32>(cpu, LAZY_NONE, S_LAZY_OP);
  return flags;
}

/** Sets the complete RFLAGS; bit 1 reads as one, bits 3, 5, 15 and 31:22 as zero. */
export function writeFlags(value: u32): void {
  store<u32>(cpu, (value & 0x3f7fd5) | 2, S_FLAGS);
  store<u32>(cpu, LAZY_NONE, S_LAZY_OP);
}

/** Replaces the six status flags, keeps the rest. */
export function writeStatus(status: u32): void {
  store<u32>(cpu, (load<u32>(cpu, S_FLAGS) & ~STATUS) | (status & STATUS), S_FLAGS);
  store<u32>(cpu, LAZY_NONE, S_LAZY_OP);
}

/** Condition code 0-15 as in the low four bits of Jcc, SETcc and CMOVcc. */
export function condition(cc: u32): bool {
  const negate = (cc & 1) != 0;
  let holds = false;
  const op = load<u32>(cpu, S_LAZY_OP);
  switch (cc >> 1) {
    case 0: holds = overflowFlag(); break;
    case 1: holds = carryFlag() != 0; break;
    case 2: holds = zeroFlag(); break;
    case 3:
      holds = op == LAZY_SUB ? load<u64>(cpu, S_LAZY_SRC1) <= load<u64>(cpu, S_LAZY_SRC2) : zeroFlag() || carryFlag() != 0;
      break;
    case 4: holds = signFlag(); break;
    case 5: holds = parityFlag(); break;
    case 6:
      holds = op == LAZY_SUB ? load<i64>(cpu, S_LAZY_SRC1) < load<i64>(cpu, S_LAZY_SRC2) : signFlag() != overflowFlag();
      break;
    default:
      holds = op == LAZY_SUB ? load<i64>(cpu, S_LAZY_SRC1) <= load<i64>(cpu, S_LAZY_SRC2) : zeroFlag() || signFlag() != overflowFlag();
      break;
  }
  return holds != negate;
}
