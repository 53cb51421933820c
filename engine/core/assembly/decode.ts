/**
 * The decoder: bytes to records (record.ts), driven by the tables that the generator makes from the opcode table.
 *
 * Reads up to some bytes past the instruction's last one, within wasm memory; a result is meaningful only when its
 * length does not pass the bytes that are really there.
 *
 * @spec   SDM vol. 2, chapter 2 (instruction format), 2.3 (VEX); vol. 3, 6.15 (#UD, #GP for length over 15)
 * @cover  #Y legacy prefixes, REX, VEX maps 0F 0F38 0F3A, 16/32/64-bit addressing, LOCK legality, features that CPUID does not offer
 *         #N EVEX, XOP
 */
import { MODE_CS32, MODE_LONG64, MODE_PROTECTED, MODE_V86 } from './cpu';
import { features } from './features';
import { DECODE_INDEX, DECODE_ROWS, DECODE_ROW_BYTES } from './gen/decode_tables';
import { OP_TOO_LONG, OP_UNDEFINED, OP_XCHG_EG } from './gen/ops';
import { REC_66, REC_LOCK, REC_MEM, REC_REP, REC_REPNE, REC_REX, REC_REXW } from './record';

const MAX_LENGTH: u32 = 15;

/** Of the last decoded instruction: it ends its block. */
export let decodedEnds: bool = false;
/** Of the last decoded instruction: RIP-relative, and the displacement does not count from the block's start. */
export let decodedFarRipRelative: bool = false;

const NO_SEGMENT: u32 = 0xff;
const NO_FEATURE: u64 = 0xff;

function undefinedOp(rec: usize, op: u32, length: u32, offset: u32): u32 {
  store<u64>(rec, 0, 0);
  store<u64>(rec, 0, 8);
  store<u64>(rec, 0, 16);
  store<u64>(rec, 0, 24);
  store<u16>(rec, <u16>op, 0);
  store<u8>(rec, <u8>length, 2);
  store<u16>(rec, <u16>offset, 24);
  decodedEnds = true;
  return length;
}

// Operand-size kinds of a row, in the order of SIZE in tables/encoding.ts.
function sizeOf(kind: u32, operandSize: u32): u32 {
  switch (kind) {
    case 1: return 1;
    case 2: return 2;
    case 3: return 4;
    case 4: return 8;
    case 5: return min<u32>(operandSize, 4);
    case 6: return operandSize == 8 ? 8 : 4;
    case 7: return 16;
    default: return operandSize;
  }
}

/**
 * Decodes the instruction at p into rec. `offset` is its distance from the block's first byte. Returns its length;
 * for an undefined instruction the bytes that had to be looked at.
 */
export function decodeInstruction(rec: usize, p: usize, mode: u32, offset: u32): u32 {
  const long64 = (mode & MODE_LONG64) != 0;
  let pos: u32 = 0;
  let rex: u32 = 0;
  let segment: u32 = NO_SEGMENT;
  let p66 = false;
  let p67 = false;
  let rep: u32 = 0;
  let lock = false;
  let b: u32 = 0;

  // --- prefixes
  while (true) {
    if (pos >= MAX_LENGTH) return undefinedOp(rec, OP_TOO_LONG, MAX_LENGTH, offset);
    b = load<u8>(p + pos);
    pos++;
    if ((b & 0xe7) == 0x26) { // 26 2E 36 3E
      if (!long64) segment = (b >> 3) & 3;
    } else if (b == 0x64 || b == 0x65) {
      segment = b - 0x60;
    } else if (b == 0x66) {
      p66 = true;
    } else if (b == 0x67) {
      p67 = true;
    } else if (b == 0xf0) {
      lock = true;
    } else if (b == 0xf2 || b == 0xf3) {
      rep = b;
    } else if (long64 && (b & 0xf0) == 0x40) {
      rex = b; // counts only directly in front of the opcode
      continue;
    } else {
      break;
    }
    rex = 0;
  }

  // --- opcode map
  let map: u32 = 0;
  let vexL: u32 = 0;
  let vvvv: u32 = 0;
  let rexW = (rex >> 3) & 1;
  let rexR = (rex << 1) & 8;
  let rexX = (rex << 2) & 8;
  let rexB = (rex << 3) & 8;
  let hasPrefix66 = p66;
  let mandatory = rep;
  if (b == 0x0f) {
    map = 1;
    b = load<u8>(p + pos);
    pos++;
    if (b == 0x38 || b == 0x3a) {
      map = b == 0x38 ? 2 : 3;
      b = load<u8>(p + pos);
      pos++;
    }
  } else if ((b == 0xc4 || b == 0xc5) && (long64 || (load<u8>(p + pos) & 0xc0) == 0xc0)) {
    const legacy = !long64;
    if (p66 || rep != 0 || lock || rex != 0 || (legacy && ((mode & MODE_V86) != 0 || (mode & MODE_PROTECTED) == 0))) {
      return undefinedOp(rec, OP_UNDEFINED, pos + 1, offset);
    }
    const v1 = <u32>load<u8>(p + pos);
    pos++;
    rexR = (~v1 >> 4) & 8;
    let v2 = v1;
    let vexMap: u32 = 1;
    if (b == 0xc4) {
      v2 = <u32>load<u8>(p + pos);
      pos++;
      rexX = (~v1 >> 3) & 8;
      rexB = (~v1 >> 2) & 8;
      vexMap = v1 & 0x1f;
      rexW = v2 >> 7;
    }
    vvvv = (~v2 >> 3) & 15;
    if (legacy) { rexR = 0; rexX = 0; rexB = 0; rexW = 0; }
    vexL = (v2 >> 2) & 1;
    const pp = v2 & 3;
    hasPrefix66 = pp == 1;
    mandatory = pp == 2 ? 0xf3 : pp == 3 ? 0xf2 : 0;
    if (vexMap == 0 || vexMap > 3) return undefinedOp(rec, OP_UNDEFINED, pos, offset);
    map = 3 + vexMap;
    b = load<u8>(p + pos);
    pos++;
  }

  const cell = DECODE_INDEX + (<usize>(map * 256 + b) << 1);
  let row = DECODE_ROWS + <usize>load<u16>(cell) * DECODE_ROW_BYTES;
  const rowEnd = DECODE_ROWS + <usize>load<u16>(cell, 2) * DECODE_ROW_BYTES;
  if (row == rowEnd) return undefinedOp(rec, OP_UNDEFINED, pos, offset);
  const hasModRm = (load<u8>(row, 6) & 1) != 0;
  let modRm: u32 = 0;
  if (hasModRm) {
    modRm = load<u8>(p + pos);
    pos++;
    // MOV to and from control and debug registers: mod is ignored, the operand is a register (SDM vol. 2).
    if (map == 1 && (b & 0xfc) == 0x20) modRm |= 0xc0;
  }
  const mod = modRm >> 6;

  // --- row
  while (true) {
    if (row == rowEnd) return undefinedOp(rec, OP_UNDEFINED, pos, offset);
    if (matches(row, mod, modRm, hasPrefix66, mandatory, rexW, vexL, vvvv, long64)) {
      const feature = <u64>load<u8>(row, 10);
      if (feature == NO_FEATURE || (features >> feature) & 1) break;
      if (!(load<u8>(row, 7) & 128)) return undefinedOp(rec, OP_UNDEFINED, pos, offset);
    }
    row += DECODE_ROW_BYTES;
  }
  if (!long64) vvvv &= 7; // bit 3 is ignored, but where vvvv names no register it must be 1 too
  const flags = <u32>load<u8>(row, 6);
  const flags2 = <u32>load<u8>(row, 7);
  let op = <u32>load<u16>(row);

  // --- operand and address size
  let operandSize: u32 = 4;
  let addressSize: u32 = 8;
  if (long64) {
    if (flags & 64) operandSize = 8;
    else if (rexW) operandSize = 8;
    else if (p66) operandSize = 2;
    else operandSize = flags & 32 ? 8 : 4;
    if (p67) addressSize = 4;
  } else {
    const cs32 = (mode & MODE_CS32) != 0;
    operandSize = cs32 != p66 ? 4 : 2;
    addressSize = cs32 != p67 ? 4 : 2;
  }

  // --- registers and memory
  let reg = flags & 128 ? (b & 7) | rexB : ((modRm >> 3) & 7) | rexR;
  if ((flags2 & 16) != 0 && rex == 0 && reg >= 4) reg += 12;
  let rm: u32 = 0;
  let recFlags: u32 = 0;
  let base: u32 = 16;
  let index: u32 = 16;
  let scale: u32 = 0;
  let disp: i32 = 0;
  let defaultSegment: u32 = 3;
  if (hasModRm) {
    if (mod == 3) {
      rm = (modRm & 7) | rexB;
      if ((flags2 & 32) != 0 && rex == 0 && rm >= 4) rm += 12;
    } else {
      recFlags = REC_MEM;
      const low = modRm & 7;
      if (addressSize == 2) {
        switch (low) {
          case 0: base = 3; index = 6; break;
          case 1: base = 3; index = 7; break;
          case 2: base = 5; index = 6; break;
          case 3: base = 5; index = 7; break;
          case 4: base = 6; break;
          case 5: base = 7; break;
          case 6: base = mod == 0 ? 16 : 5; break;
          default: base = 3; break;
        }
        if (base == 5) defaultSegment = 2;
        if (mod == 1) {
          disp = <i32>load<i8>(p + pos);
          pos += 1;
        } else if (mod == 2 || low == 6) {
          if (mod != 0 || low == 6) {
            disp = <i32>load<i16>(p + pos);
            pos += 2;
          }
        }
      } else {
        if (low == 4) {
          const sib = <u32>load<u8>(p + pos);
          pos++;
          scale = sib >> 6;
          index = ((sib >> 3) & 7) | rexX;
          if (index == 4) { index = 16; scale = 0; }
          base = (sib & 7) | rexB;
          if ((sib & 7) == 5 && mod == 0) {
            base = 16;
            disp = load<i32>(p + pos);
            pos += 4;
          }
        } else if (low == 5 && mod == 0) {
          base = long64 ? 17 : 16;
          disp = load<i32>(p + pos);
          pos += 4;
        } else {
          base = low | rexB;
        }
        if (base == 4 || base == 5) defaultSegment = 2;
        if (mod == 1) {
          disp = <i32>load<i8>(p + pos);
          pos += 1;
        } else if (mod == 2) {
          disp = load<i32>(p + pos);
          pos += 4;
        }
      }
    }
  }
  if (segment == NO_SEGMENT) segment = defaultSegment;

  // --- immediate, in the order of IMM in tables/encoding.ts
  let imm: i64 = 0;
  const at = p + pos;
  switch (load<u8>(row, 8)) {
    case 0: break;
    case 1: imm = <i64>load<u8>(at); pos += 1; break;
    case 2: imm = <i64>load<u16>(at); pos += 2; break;
    case 3: imm = <i64>load<i32>(at); pos += 4; break;
    case 4: // iz
    case 7: // cz
      if (operandSize == 2) { imm = <i64>load<i16>(at); pos += 2; } else { imm = <i64>load<i32>(at); pos += 4; }
      break;
    case 5: // iv
      if (operandSize == 2) { imm = <i64>load<i16>(at); pos += 2; } else if (operandSize == 4) { imm = <i64>load<i32>(at); pos += 4; } else { imm = load<i64>(at); pos += 8; }
      break;
    case 6: // cb
    case 12: imm = <i64>load<i8>(at); pos += 1; break;
    case 8: // moffs
      if (addressSize == 2) { imm = <i64>load<u16>(at); pos += 2; } else if (addressSize == 4) { imm = <i64>load<u32>(at); pos += 4; } else { imm = load<i64>(at); pos += 8; }
      recFlags = REC_MEM;
      break;
    case 9: // far pointer
      if (operandSize == 2) { imm = <i64>load<u16>(at) | (<i64>load<u16>(at, 2) << 32); pos += 4; } else { imm = <i64>load<u32>(at) | (<i64>load<u16>(at, 4) << 32); pos += 6; }
      break;
    case 10: imm = <i64>load<u16>(at) | (<i64>load<u8>(at, 2) << 16); pos += 3; break;
    default: imm = load<i64>(at); pos += 8; break;
  }
  if (pos > MAX_LENGTH) return undefinedOp(rec, OP_TOO_LONG, MAX_LENGTH, offset);

  if (lock) {
    if ((flags & 2) == 0 || (recFlags & REC_MEM) == 0) return undefinedOp(rec, OP_UNDEFINED, pos, offset);
    recFlags |= REC_LOCK;
  }
  if (op == OP_XCHG_EG && (recFlags & REC_MEM) != 0) recFlags |= REC_LOCK;
  if (rep == 0xf3) recFlags |= REC_REP;
  if (rep == 0xf2) recFlags |= REC_REPNE;
  if (rexW) recFlags |= REC_REXW;
  if (p66) recFlags |= REC_66;
  if (rex) recFlags |= REC_REX;

  decodedFarRipRelative = false;
  if (base == 17) { // slot 17 holds the RIP of the block's first instruction
    const relative = <i64>disp + <i64>offset + <i64>pos;
    if (relative == <i64><i32>relative) disp = <i32>relative;
    else decodedFarRipRelative = true;
  }

  store<u32>(rec, op | (pos << 16) | (reg << 24), 0);
  store<u32>(rec, rm | (base << 8) | (index << 16) | (scale << 24), 4);
  store<i32>(rec, disp, 8);
  store<u32>(rec, segment | (sizeOf(load<u8>(row, 9), operandSize) << 8) | (recFlags << 16) | (addressSize << 24), 12);
  store<i64>(rec, imm, 16);
  store<u32>(rec, offset | (b << 16) | (modRm << 24), 24);
  store<u32>(rec, vvvv | (vexL << 8), 28);
  decodedEnds = (flags & 4) != 0;
  return pos;
}

/** Whether the row of the decoder's table (tables/generate.ts encodeForm) is meant by these prefixes and ModRM. */
function matches(row: usize, mod: u32, modRm: u32, p66: bool, rep: u32, rexW: u32, vexL: u32, vvvv: u32, long64: bool): bool {
  const flags = <u32>load<u8>(row, 6);
  if ((flags & 8) != 0 && long64) return false;
  if ((flags & 16) != 0 && !long64) return false;
  switch (load<u8>(row, 2)) {
    case 0: break;
    case 1: if (p66 || rep != 0) return false; break;
    case 2: if (!p66 || rep != 0) return false; break;
    case 3: if (rep != 0xf3) return false; break;
    case 4: if (rep != 0xf2) return false; break;
    default: if (rep != 0) return false; break;
  }
  const wantMod = load<u8>(row, 3);
  if (wantMod == 1 && mod != 3) return false;
  if (wantMod == 2 && mod == 3) return false;
  const digit = <u32>load<u8>(row, 4);
  if (digit != 0xff && digit != ((modRm >> 3) & 7)) return false;
  const rm = <u32>load<u8>(row, 5);
  if (rm != 0xff && rm != (modRm & 7)) return false;
  const flags2 = <u32>load<u8>(row, 7);
  if ((flags2 & 1) != 0 && rexW == 0) return false;
  if ((flags2 & 2) != 0 && rexW != 0) return false;
  if ((flags2 & 4) != 0 && vexL != 0) return false;
  if ((flags2 & 8) != 0 && vexL == 0) return false;
  if ((flags2 & 64) != 0 && vvvv != 0) return false;
  return true;
}
