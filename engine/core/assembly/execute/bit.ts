/**
 * Bit tests, scans and counts, CRC32, BMI1/2.
 *
 * @spec   SDM vol. 2
 * @differ BSF/BSR of zero leave the destination as it was, as all processors do; flags beside ZF follow the source.
 */
import { MODE_CS32, MODE_LONG64, cpu, gpr64, mode } from '../cpu';
import { CF, ZF, readFlags, setLazyLogic, setRotateFlags, writeStatus } from '../flags';
import {
  OP_ANDN, OP_BEXTR, OP_BLSI, OP_BLSMSK, OP_BLSR, OP_BSF, OP_BSR, OP_BTC_EI, OP_BT_EG, OP_BZHI, OP_CRC32, OP_CRC32_B, OP_LZCNT, OP_PDEP, OP_PEXT,
  OP_POPCNT, OP_TZCNT,
} from '../gen/ops';
import { S_FLAGS } from '../gen/state';
import { segLinear } from '../mmu';
import { REC_LOCK, isMem, recAddressSize, recBase, recDisp, recFlags, recImm, recIndex, recReg, recScale, recSegment, recSize } from '../record';
import { readMem, readReg, readRm, rmwLoad, rmwLoadAt, rmwStore, unsigned, writeReg } from './int_operand';

export function execBit(op: u32, rec: usize): void {
  const size = recSize(rec);
  if (op <= OP_BTC_EI) {
    bitTest((op - OP_BT_EG) >> 1, ((op - OP_BT_EG) & 1) != 0, rec, size);
    return;
  }
  const bits = size << 3;
  switch (op) {
    case OP_BSF:
    case OP_BSR: {
      const v = unsigned(readRm(rec, size), size);
      if (v != 0) writeReg(recReg(rec), size, op == OP_BSF ? <i64>ctz<u64>(v) : 63 - <i64>clz<u64>(v));
      const flags = readFlags();
      writeStatus(v == 0 ? flags | ZF : flags & ~ZF);
      break;
    }
    case OP_TZCNT:
    case OP_LZCNT: {
      const v = unsigned(readRm(rec, size), size);
      const n = v == 0 ? bits : op == OP_TZCNT ? <u32>ctz<u64>(v) : <u32>clz<u64>(v) - (64 - bits);
      writeReg(recReg(rec), size, <i64>n);
      const flags = readFlags() & ~(CF | ZF);
      writeStatus(flags | (v == 0 ? CF : 0) | (n == 0 ? ZF : 0));
      break;
    }
    case OP_POPCNT: {
      const v = unsigned(readRm(rec, size), size);
      writeReg(recReg(rec), size, <i64>popcnt<u64>(v));
      writeStatus(v == 0 ? ZF : 0);
      break;
    }
    case OP_CRC32_B: {
      const v = <u64>readRm(rec, 1);
      writeReg(recReg(rec), size, <i64>crc32c(<u32>gpr64(recReg(rec)), v, 1));
      break;
    }
    case OP_CRC32: {
      // The source follows 66 and REX.W, the destination REX.W alone.
      const source = crcSourceSize(rec);
      const v = <u64>readRm(rec, source);
      writeReg(recReg(rec), size, <i64>crc32c(<u32>gpr64(recReg(rec)), v, source));
      break;
    }
    default: bmi(op, rec, size, bits); break;
  }
}

// @ts-ignore: decorator
@inline function crcSourceSize(rec: usize): u32 {
  const flags = recFlags(rec);
  if (flags & 16) return 8; // REC_REXW
  return crcWord(flags) ? 2 : 4;
}
/** A 16-bit source: 66 in a 32-bit segment or 64-bit mode, no 66 in a 16-bit segment. */
// @ts-ignore: decorator
@inline function crcWord(flags: u32): bool { return (flags & 32) != 0 != (mode() & (MODE_LONG64 | MODE_CS32)) == 0; }

/** kind: BT BTS BTR BTC. */
function bitTest(kind: u32, immediate: bool, rec: usize, size: u32): void {
  const bits = size << 3;
  let offset: i64;
  let gva: u64 = 0;
  const memory = isMem(rec);
  if (immediate) {
    offset = recImm(rec) & <i64>(bits - 1);
    if (memory) gva = operandAddress(rec, 0, size, kind != 0);
  } else {
    offset = readReg(recReg(rec), size);
    // In memory the bit string extends both ways from the operand.
    if (memory) gva = operandAddress(rec, (offset >> <i64>ctz<u32>(bits)) << <i64>ctz<u32>(size), size, kind != 0);
    offset &= <i64>(bits - 1);
  }
  const mask = <i64>1 << offset;
  let v: i64;
  if (kind == 0) {
    v = memory ? readMem(gva, size) : readRm(rec, size);
  } else {
    const locked = (recFlags(rec) & REC_LOCK) != 0;
    do {
      v = memory ? rmwLoadAt(gva, size, locked) : rmwLoad(rec, size);
    } while (!rmwStore(rec, size, kind == 1 ? v | mask : kind == 2 ? v & ~mask : v ^ mask));
  }
  const flags = readFlags() & ~CF;
  store<u32>(cpu, flags | (v & mask ? CF : 0), S_FLAGS);
}

function operandAddress(rec: usize, displacement: i64, size: u32, write: bool): u64 {
  const ea = gpr64(recBase(rec)) + (gpr64(recIndex(rec)) << recScale(rec)) + <u64><i64>recDisp(rec) + <u64>displacement;
  const width = recAddressSize(rec);
  return segLinear(recSegment(rec), width == 8 ? ea : width == 4 ? ea & 0xffff_ffff : ea & 0xffff, size, write);
}

/** CRC-32C (polynomial 11EDC6F41H) in reflected form, a nibble at a time. */
const CRC_NIBBLES: usize = memory.data<u32>([
  0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
  0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
]);

function crc32c(crc: u32, v: u64, bytes: u32): u32 {
  for (let i: u32 = 0; i < bytes; i++) {
    crc ^= <u32>(v & 0xff);
    crc = (crc >> 4) ^ load<u32>(CRC_NIBBLES + (<usize>(crc & 15) << 2));
    crc = (crc >> 4) ^ load<u32>(CRC_NIBBLES + (<usize>(crc & 15) << 2));
    v >>= 8;
  }
  return crc;
}

function bmi(op: u32, rec: usize, size: u32, bits: u32): void {
  const source = unsigned(readRm(rec, size), size);
  const vvvv = load<u8>(rec, 28);
  const other = unsigned(readReg(vvvv, size), size);
  let r: u64 = 0;
  let carry = false;
  switch (op) {
    case OP_ANDN: r = ~other & source; break;
    case OP_BLSR: r = source & (source - 1); carry = source == 0; break;
    case OP_BLSMSK: r = source ^ (source - 1); carry = source == 0; break;
    case OP_BLSI: r = source & (0 - source); carry = source != 0; break;
    case OP_BEXTR: {
      const start = <u32>other & 0xff;
      const length = <u32>(other >> 8) & 0xff;
      r = start >= bits ? 0 : source >> <u64>start;
      if (length < bits) r &= (<u64>1 << <u64>length) - 1;
      writeReg(recReg(rec), size, <i64>r);
      writeStatus(r == 0 ? ZF : 0);
      return;
    }
    case OP_BZHI: {
      const n = <u32>other & 0xff;
      r = n < bits ? source & ((<u64>1 << <u64>n) - 1) : source;
      carry = n >= bits;
      break;
    }
    case OP_PDEP: {
      // The register operand is spread to the bits of the r/m mask.
      let mask = source;
      let from = other;
      while (mask) {
        const lowest = mask & (0 - mask);
        if (from & 1) r |= lowest;
        from >>= 1;
        mask ^= lowest;
      }
      writeReg(recReg(rec), size, <i64>r);
      return;
    }
    case OP_PEXT: {
      let mask = source;
      let to: u64 = 1;
      while (mask) {
        const lowest = mask & (0 - mask);
        if (other & lowest) r |= to;
        to <<= 1;
        mask ^= lowest;
      }
      writeReg(recReg(rec), size, <i64>r);
      return;
    }
  }
  writeReg(op == OP_BLSR || op == OP_BLSMSK || op == OP_BLSI ? vvvv : recReg(rec), size, <i64>r);
  const shift = <i64>(64 - bits);
  setLazyLogic((<i64>r << shift) >> shift);
  if (carry) setRotateFlags(CF);
}
