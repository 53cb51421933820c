/**
 * Specialised forms: the commonest instructions get a handler id of their own in the record, by operation, operand size
 * and operand kinds, so that the run loop need not look any further.
 *
 * Fields in the record's last word, valid while `hot` is not HOT_GENERIC: byte 28 first register, byte 29 second
 * register or condition, u16 at 30 the handler id. For branches, `disp` is the target's distance from the block.
 */
import { MODE_FLAT, MODE_LONG64 } from './cpu';
import {
  OP_ADD_EG, OP_CALL_E, OP_CALL_J, OP_CBW, OP_CMOVNLE, OP_CMOVO, OP_CMP_EI, OP_CWD, OP_DEC, OP_IMUL_GE, OP_IMUL_GEI, OP_INC, OP_JMP_E, OP_JMP_J, OP_JNLE,
  OP_JO, OP_LEA, OP_LEAVE, OP_MOVSXD, OP_MOVSX_B, OP_MOVSX_W, OP_MOVZX_B, OP_MOVZX_W, OP_MOV_EG, OP_MOV_EI, OP_MOV_GE, OP_MOV_GI, OP_MUL, OP_NEG, OP_NOP,
  OP_NOT, OP_POP_G, OP_PUSH_G, OP_PUSH_I, OP_RET, OP_ROL_EI, OP_ROR_EI, OP_SAR_E1, OP_SAR_EI, OP_SETNLE, OP_SETO, OP_SHL_E1, OP_SHL_EI, OP_SHR_E1, OP_SHR_EI,
  OP_TEST_AI, OP_TEST_EG, OP_TEST_EI, OP_XOR_GE, OP_XOR_EG, OP_SUB_EG, OP_SUB_GE,
} from './gen/ops';
import { REC_LOCK, recAddressSize, recDisp, recFlags, recImm, recLength, recOffset, recOp, recReg, recRm, recSegment, recSize, isMem } from './record';

export const HOT_GENERIC: u32 = 0;
export const HOT_END: u32 = 1;
export const HOT_NOP: u32 = 2;
export const HOT_ZERO: u32 = 3; //    XOR r,r and SUB r,r

/** + 10 * operation (as in opcode bits 5:3) + 2 * form + (1 for 64 bits). Forms: RR RI RM MR MI. */
export const HOT_ALU: u32 = 4;
const FORM_RR: u32 = 0; const FORM_RI: u32 = 2; const FORM_RM: u32 = 4; const FORM_MR: u32 = 6; const FORM_MI: u32 = 8;

export const HOT_TEST: u32 = 84; //   RR RI MR MI, + (1 for 64 bits)
export const HOT_CMP8: u32 = 92; //   RR RI RM MR MI
export const HOT_TEST8: u32 = 97; //  RR RI MI
export const HOT_MOV_RR: u32 = 100; // + 1 for 64 bits
export const HOT_MOV_RI: u32 = 102; // the immediate as the 64-bit register value
export const HOT_LOAD: u32 = 103; //  + log2(size)
export const HOT_STORE: u32 = 107;
export const HOT_STORE_I: u32 = 111;
export const HOT_MOVZX8_R: u32 = 115; export const HOT_MOVZX8_M: u32 = 116;
export const HOT_MOVZX16_R: u32 = 117; export const HOT_MOVZX16_M: u32 = 118;
export const HOT_MOVSX8_R: u32 = 119; //  + 1 for 64 bits
export const HOT_MOVSX8_M: u32 = 121;
export const HOT_MOVSX16_R: u32 = 123;
export const HOT_MOVSX16_M: u32 = 125;
export const HOT_MOVSXD_R: u32 = 127; export const HOT_MOVSXD_M: u32 = 128;
export const HOT_LEA: u32 = 129; //   + 1 for 64 bits
export const HOT_PUSH: u32 = 131; export const HOT_POP: u32 = 132; export const HOT_PUSH_I: u32 = 133; export const HOT_LEAVE: u32 = 134;
export const HOT_CALL: u32 = 135; export const HOT_CALL_R: u32 = 136; export const HOT_RET: u32 = 137;
export const HOT_JMP: u32 = 138; export const HOT_JMP_R: u32 = 139;
export const HOT_JCC: u32 = 140; //   + condition
export const HOT_CMOV_R: u32 = 156; // + 1 for 64 bits
export const HOT_CMOV_M: u32 = 158;
export const HOT_SET: u32 = 160;
export const HOT_INC: u32 = 161; export const HOT_DEC: u32 = 163; export const HOT_NEG: u32 = 165; export const HOT_NOT: u32 = 167; // + 1 for 64 bits
export const HOT_SHL: u32 = 169; export const HOT_SHR: u32 = 171; export const HOT_SAR: u32 = 173; export const HOT_ROL: u32 = 175; export const HOT_ROR: u32 = 177;
export const HOT_IMUL: u32 = 179; export const HOT_IMUL_I: u32 = 181; // + 1 for 64 bits
export const HOT_CDQE: u32 = 183; export const HOT_CDQ: u32 = 184; export const HOT_CQO: u32 = 185;
export const HOT_MUL_R: u32 = 186; export const HOT_MUL_M: u32 = 187; // 64 bits
export const HOT_MOV8_RR: u32 = 188;
export const HOT_MOV8_RI: u32 = 189;

// @ts-ignore: decorator
@inline function set(rec: usize, hot: u32, first: u32, second: u32): void { store<u32>(rec, first | (second << 8) | (hot << 16), 28); }

// @ts-ignore: decorator
@inline function log2(size: u32): u32 { return ctz<u32>(size); }

/** Chooses the record's handler. The mode word is part of the block's key. */
export function specialise(rec: usize, mode: u32): void {
  const long64 = (mode & MODE_LONG64) != 0;
  if (!long64 && (mode & MODE_FLAT) == 0) return;
  const flags = recFlags(rec);
  const memory = (flags & 1) != 0;
  if (flags & REC_LOCK) return;
  // Memory the hot way: no segment checks, address size of the mode, base 0 unless FS or GS in 64-bit mode.
  if (memory && (recAddressSize(rec) != (long64 ? 8 : 4) || (!long64 && recSegment(rec) != 0 && recSegment(rec) != 2 && recSegment(rec) != 3))) return;
  const op = recOp(rec);
  const size = recSize(rec);
  const reg = recReg(rec);
  const rm = recRm(rec);
  const wide = u32(size == 8);
  const word = size >= 4;

  if (op >= OP_ADD_EG && op <= OP_CMP_EI) {
    const kind = (op - OP_ADD_EG) >> 2;
    const form = (op - OP_ADD_EG) & 3;
    if (size == 1 && kind == 7) {
      if (form == 0) set(rec, HOT_CMP8 + (memory ? 3 : 0), memory ? reg : rm, reg);
      else if (form == 1) set(rec, HOT_CMP8 + (memory ? 2 : 0), reg, rm);
      else if (form == 2) set(rec, HOT_CMP8 + 1, 0, 0);
      else set(rec, HOT_CMP8 + (memory ? 4 : 1), rm, 0);
      return;
    }
    if (!word) return;
    const base = HOT_ALU + kind * 10 + wide;
    if (form == 0) {
      if (!memory && rm == reg && (kind == 6 || kind == 5)) set(rec, HOT_ZERO, rm, 0);
      else set(rec, base + (memory ? FORM_MR : FORM_RR), memory ? reg : rm, reg);
    } else if (form == 1) {
      if (!memory && rm == reg && (kind == 6 || kind == 5)) set(rec, HOT_ZERO, rm, 0);
      else set(rec, base + (memory ? FORM_RM : FORM_RR), reg, rm);
    } else if (form == 2) set(rec, base + FORM_RI, 0, 0);
    else set(rec, base + (memory ? FORM_MI : FORM_RI), rm, 0);
    return;
  }
  if (op >= OP_JO && op <= OP_JNLE) {
    branch(rec, HOT_JCC + (op - OP_JO));
    return;
  }
  if (op >= OP_CMOVO && op <= OP_CMOVNLE) {
    if (word) set(rec, (memory ? HOT_CMOV_M : HOT_CMOV_R) + wide, reg, op - OP_CMOVO);
    return;
  }
  if (op >= OP_SETO && op <= OP_SETNLE) {
    if (!memory) set(rec, HOT_SET, rm, op - OP_SETO);
    return;
  }
  switch (op) {
    case OP_NOP: set(rec, HOT_NOP, 0, 0); break;
    case OP_TEST_EG:
      if (size == 1) { if (!memory) set(rec, HOT_TEST8, rm, reg); }
      else if (word) set(rec, HOT_TEST + (memory ? 4 : 0) + wide, memory ? reg : rm, reg);
      break;
    case OP_TEST_AI:
      if (size == 1) set(rec, HOT_TEST8 + 1, 0, 0);
      else if (word) set(rec, HOT_TEST + 2 + wide, 0, 0);
      break;
    case OP_TEST_EI:
      if (size == 1) set(rec, HOT_TEST8 + (memory ? 2 : 1), rm, 0);
      else if (word) set(rec, HOT_TEST + (memory ? 6 : 2) + wide, rm, 0);
      break;
    case OP_MOV_EG:
      if (memory) set(rec, HOT_STORE + log2(size), reg, 0);
      else if (word) set(rec, HOT_MOV_RR + wide, rm, reg);
      else if (size == 1) set(rec, HOT_MOV8_RR, rm, reg);
      break;
    case OP_MOV_GE:
      if (memory) set(rec, HOT_LOAD + log2(size), reg, 0);
      else if (word) set(rec, HOT_MOV_RR + wide, reg, rm);
      else if (size == 1) set(rec, HOT_MOV8_RR, reg, rm);
      break;
    case OP_MOV_GI:
    case OP_MOV_EI:
      if (memory) set(rec, HOT_STORE_I + log2(size), 0, 0);
      else if (word) {
        if (size == 4) store<u64>(rec, recImm(rec) & 0xffff_ffff, 16);
        set(rec, HOT_MOV_RI, op == OP_MOV_GI ? reg : rm, 0);
      } else if (size == 1) set(rec, HOT_MOV8_RI, op == OP_MOV_GI ? reg : rm, 0);
      break;
    case OP_MOVZX_B: if (word) set(rec, memory ? HOT_MOVZX8_M : HOT_MOVZX8_R, reg, rm); break;
    case OP_MOVZX_W: if (word) set(rec, memory ? HOT_MOVZX16_M : HOT_MOVZX16_R, reg, rm); break;
    case OP_MOVSX_B: if (word) set(rec, (memory ? HOT_MOVSX8_M : HOT_MOVSX8_R) + wide, reg, rm); break;
    case OP_MOVSX_W: if (word) set(rec, (memory ? HOT_MOVSX16_M : HOT_MOVSX16_R) + wide, reg, rm); break;
    case OP_MOVSXD: if (wide) set(rec, memory ? HOT_MOVSXD_M : HOT_MOVSXD_R, reg, rm); break;
    case OP_LEA: if (word) set(rec, HOT_LEA + wide, reg, 0); break;
    case OP_PUSH_G: if (wide) set(rec, HOT_PUSH, reg, 0); break;
    case OP_POP_G: if (wide) set(rec, HOT_POP, reg, 0); break;
    case OP_PUSH_I: if (wide) set(rec, HOT_PUSH_I, 0, 0); break;
    case OP_LEAVE: if (wide) set(rec, HOT_LEAVE, 0, 0); break;
    case OP_JMP_J: branch(rec, HOT_JMP); break;
    case OP_CALL_J: if (wide) branch(rec, HOT_CALL); break;
    case OP_CALL_E: if (wide && !memory) set(rec, HOT_CALL_R, rm, 0); break;
    case OP_JMP_E: if (wide && !memory) set(rec, HOT_JMP_R, rm, 0); break;
    case OP_RET: if (wide) set(rec, HOT_RET, 0, 0); break;
    case OP_INC: if (word && !memory) set(rec, HOT_INC + wide, rm, 0); break;
    case OP_DEC: if (word && !memory) set(rec, HOT_DEC + wide, rm, 0); break;
    case OP_NEG: if (word && !memory) set(rec, HOT_NEG + wide, rm, 0); break;
    case OP_NOT: if (word && !memory) set(rec, HOT_NOT + wide, rm, 0); break;
    case OP_SHL_EI: shift(rec, HOT_SHL, memory, word, wide, rm, <u32>recImm(rec)); break;
    case OP_SHR_EI: shift(rec, HOT_SHR, memory, word, wide, rm, <u32>recImm(rec)); break;
    case OP_SAR_EI: shift(rec, HOT_SAR, memory, word, wide, rm, <u32>recImm(rec)); break;
    case OP_ROL_EI: shift(rec, HOT_ROL, memory, word, wide, rm, <u32>recImm(rec)); break;
    case OP_ROR_EI: shift(rec, HOT_ROR, memory, word, wide, rm, <u32>recImm(rec)); break;
    case OP_SHL_E1: shift(rec, HOT_SHL, memory, word, wide, rm, 1); break;
    case OP_SHR_E1: shift(rec, HOT_SHR, memory, word, wide, rm, 1); break;
    case OP_SAR_E1: shift(rec, HOT_SAR, memory, word, wide, rm, 1); break;
    case OP_IMUL_GE: if (word && !memory) set(rec, HOT_IMUL + wide, reg, rm); break;
    case OP_IMUL_GEI: if (word && !memory) set(rec, HOT_IMUL_I + wide, reg, rm); break;
    case OP_CBW: if (wide) set(rec, HOT_CDQE, 0, 0); break;
    case OP_CWD: if (word) set(rec, wide ? HOT_CQO : HOT_CDQ, 0, 0); break;
    case OP_MUL: if (wide) set(rec, memory ? HOT_MUL_M : HOT_MUL_R, rm, 0); break;
  }
}

function branch(rec: usize, hot: u32): void {
  if (recSize(rec) < 4) return;
  const target = <i64>recImm(rec) + <i64>recOffset(rec) + <i64>recLength(rec);
  if (target != <i64><i32>target) return;
  store<i32>(rec, <i32>target, 8);
  set(rec, hot, 0, 0);
}

function shift(rec: usize, hot: u32, memory: bool, word: bool, wide: u32, rm: u32, count: u32): void {
  count &= wide ? 63 : 31;
  if (memory || !word || count == 0) return;
  set(rec, hot + wide, rm, count);
}
