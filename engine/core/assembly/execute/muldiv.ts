/**
 * Multiplication, division and the decimal adjustments.
 *
 * @spec SDM vol. 2, MUL IMUL DIV IDIV MULX, AAA AAS AAM AAD DAA DAS
 */
import { RAX, RDX, gpr16, gpr32, gpr64, gpr8, setGpr16, setGpr32, setGpr64, setGpr8 } from '../cpu';
import { DE, raise } from '../fault';
import { AF, CF, OF, SF, ZF, PF, readFlags, setResultFlags, writeStatus } from '../flags';
import {
  OP_AAA, OP_AAD, OP_AAM, OP_AAS, OP_DAA, OP_DAS, OP_DIV, OP_IDIV, OP_IMUL, OP_IMUL_GE, OP_IMUL_GEI, OP_MUL, OP_MULX,
} from '../gen/ops';
import { recImm, recReg, recSize } from '../record';
import { extend, readReg, readRm, unsigned, writeReg } from './int_operand';

/** High 64 bits of an unsigned product. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffff_ffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffff_ffff;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32);
  const middle2 = aLow * bHigh + (middle & 0xffff_ffff);
  return aHigh * bHigh + (middle >> 32) + (middle2 >> 32);
}

// @ts-ignore: decorator
@inline export function multiplyHighSigned(a: i64, b: i64): i64 {
  return <i64>multiplyHigh(a, b) - (a < 0 ? b : 0) - (b < 0 ? a : 0);
}

let remainder128: u64 = 0;

/** (high:low) / divisor with high < divisor; the remainder goes to remainder128. Knuth's algorithm D in base 2^32. */
function divide128(high: u64, low: u64, divisor: u64): u64 {
  if (high == 0) {
    remainder128 = low % divisor;
    return low / divisor;
  }
  const shift = clz<u64>(divisor);
  const v = divisor << shift;
  const v1 = v >> 32;
  const v0 = v & 0xffff_ffff;
  const un64 = shift == 0 ? high : (high << shift) | (low >> (64 - shift));
  const un10 = low << shift;
  const un1 = un10 >> 32;
  const un0 = un10 & 0xffff_ffff;
  let q1 = un64 / v1;
  let r = un64 - q1 * v1;
  while (q1 >= 0x1_0000_0000 || q1 * v0 > ((r << 32) | un1)) {
    q1--;
    r += v1;
    if (r >= 0x1_0000_0000) break;
  }
  const un21 = (un64 << 32) + un1 - q1 * v;
  let q0 = un21 / v1;
  r = un21 - q0 * v1;
  while (q0 >= 0x1_0000_0000 || q0 * v0 > ((r << 32) | un0)) {
    q0--;
    r += v1;
    if (r >= 0x1_0000_0000) break;
  }
  remainder128 = ((un21 << 32) + un0 - q0 * v) >> shift;
  return (q1 << 32) + q0;
}

export function execMuldiv(op: u32, rec: usize): void {
  const size = recSize(rec);
  switch (op) {
    case OP_MUL: multiply(size, readRm(rec, size)); break;
    case OP_IMUL: multiplySigned(size, readRm(rec, size)); break;
    case OP_DIV: divide(size, unsigned(readRm(rec, size), size)); break;
    case OP_IDIV: divideSigned(size, readRm(rec, size)); break;
    case OP_IMUL_GE: {
      const b = readRm(rec, size);
      writeReg(recReg(rec), size, multiplyTruncated(size, readReg(recReg(rec), size), b));
      break;
    }
    case OP_IMUL_GEI: writeReg(recReg(rec), size, multiplyTruncated(size, readRm(rec, size), extend(recImm(rec), size))); break;
    case OP_MULX: {
      const a = unsigned(readReg(RDX, size), size);
      const b = unsigned(readRm(rec, size), size);
      const product = a * b;
      // The destination of the high half is written last: it wins when both are the same register.
      writeReg(load<u8>(rec, 28), size, <i64>product);
      writeReg(recReg(rec), size, size == 8 ? <i64>multiplyHigh(a, b) : <i64>(product >> 32));
      break;
    }
    default: decimal(op, rec); break;
  }
}

/** SF, ZF and PF (undefined by the SDM) follow the low half. */
export function multiply(size: u32, value: i64): void {
  const b = unsigned(value, size);
  let low: i64;
  let carry: bool;
  if (size == 8) {
    const a = gpr64(RAX);
    const high = multiplyHigh(a, b);
    low = <i64>(a * b);
    setGpr64(RAX, low);
    setGpr64(RDX, high);
    carry = high != 0;
  } else if (size == 4) {
    const product = <u64>gpr32(RAX) * b;
    low = <i64><i32>product;
    setGpr32(RAX, <u32>product);
    setGpr32(RDX, <u32>(product >> 32));
    carry = (product >> 32) != 0;
  } else if (size == 2) {
    const product = <u32>gpr16(RAX) * <u32>b;
    low = <i64><i16>product;
    setGpr16(RAX, <u16>product);
    setGpr16(RDX, <u16>(product >> 16));
    carry = (product >> 16) != 0;
  } else {
    const product = <u32>gpr8(RAX) * <u32>b;
    low = <i64><i8>product;
    setGpr16(RAX, <u16>product);
    carry = (product >> 8) != 0;
  }
  setResultFlags(low, carry ? CF | OF : 0);
}

export function multiplySigned(size: u32, b: i64): void {
  const a = readReg(RAX, size);
  const product = a * b;
  const low = extend(product, size);
  let overflow: bool;
  if (size == 8) {
    const high = multiplyHighSigned(a, b);
    setGpr64(RAX, low);
    setGpr64(RDX, high);
    overflow = high != low >> 63;
  } else {
    if (size == 1) {
      setGpr16(RAX, <u16>product);
    } else {
      writeReg(RAX, size, product);
      writeReg(RDX, size, product >> <i64>(size << 3));
    }
    overflow = product != low;
  }
  setResultFlags(low, overflow ? CF | OF : 0);
}

/** The two- and three-operand forms. */
export function multiplyTruncated(size: u32, a: i64, b: i64): i64 {
  const product = a * b;
  const low = extend(product, size);
  const overflow = size == 8 ? multiplyHighSigned(a, b) != low >> 63 : product != low;
  setResultFlags(low, overflow ? CF | OF : 0);
  return low;
}

function divide(size: u32, divisor: u64): void {
  if (divisor == 0) raise(DE);
  if (size == 8) {
    const high = gpr64(RDX);
    if (high >= divisor) raise(DE);
    const quotient = divide128(high, gpr64(RAX), divisor);
    setGpr64(RAX, quotient);
    setGpr64(RDX, remainder128);
    return;
  }
  if (size == 1) {
    const dividend = <u32>gpr16(RAX);
    const quotient = dividend / <u32>divisor;
    if (quotient > 0xff) raise(DE);
    setGpr16(RAX, <u16>(quotient | ((dividend % <u32>divisor) << 8)));
    return;
  }
  const bits = <u64>(size << 3);
  const dividend = unsigned(readReg(RAX, size), size) | (unsigned(readReg(RDX, size), size) << bits);
  const quotient = dividend / divisor;
  if (quotient >> bits) raise(DE);
  writeReg(RAX, size, <i64>quotient);
  writeReg(RDX, size, <i64>(dividend % divisor));
}

function divideSigned(size: u32, divisor: i64): void {
  if (divisor == 0) raise(DE);
  if (size == 8) {
    let high = gpr64(RDX);
    let low = gpr64(RAX);
    const negative = <i64>high < 0;
    if (negative) {
      low = 0 - low;
      high = ~high + u64(low == 0);
    }
    const magnitude = <u64>(divisor < 0 ? 0 - divisor : divisor);
    if (high >= magnitude) raise(DE);
    const q = divide128(high, low, magnitude);
    const r = remainder128;
    const quotientNegative = negative != divisor < 0;
    if (quotientNegative ? q > 0x8000_0000_0000_0000 : q > 0x7fff_ffff_ffff_ffff) raise(DE);
    setGpr64(RAX, quotientNegative ? 0 - q : q);
    setGpr64(RDX, negative ? 0 - r : r);
    return;
  }
  if (size == 1) {
    const dividend = <i32><i16>gpr16(RAX);
    const quotient = dividend / <i32>divisor;
    if (quotient != <i32><i8>quotient) raise(DE);
    setGpr16(RAX, <u16>((quotient & 0xff) | ((dividend % <i32>divisor) << 8)));
    return;
  }
  const bits = <i64>(size << 3);
  const dividend = <i64>unsigned(readReg(RAX, size), size) | (readReg(RDX, size) << bits);
  const wide = size == 4 ? dividend : <i64><i32>dividend;
  if (wide == i64.MIN_VALUE && divisor == -1) raise(DE);
  const quotient = wide / divisor;
  if (quotient != extend(quotient, size)) raise(DE);
  writeReg(RAX, size, quotient);
  writeReg(RDX, size, wide % divisor);
}

function decimal(op: u32, rec: usize): void {
  const flags = readFlags();
  const al = <u32>gpr8(RAX);
  const adjust = (al & 15) > 9 || (flags & AF) != 0;
  switch (op) {
    case OP_DAA:
    case OP_DAS: {
      const sign: u32 = op == OP_DAA ? 1 : <u32>-1;
      let r = al;
      let out: u32 = 0;
      if (adjust) {
        r += 6 * sign;
        out = AF;
        // DAS: borrow of the low digit sets CF even when the high digit needs no adjustment.
        if (op == OP_DAS ? al < 6 : al > 0xf9) out |= CF;
      }
      if (al > 0x99 || (flags & CF) != 0) {
        r += 0x60 * sign;
        out |= CF;
      }
      if (op == OP_DAA && al <= 0x99 && (flags & CF) == 0) out &= ~CF;
      setGpr8(RAX, <u8>r);
      writeStatus(out | resultStatus(r));
      break;
    }
    case OP_AAA:
    case OP_AAS: {
      let ax = <u32>gpr16(RAX);
      if (adjust) ax = op == OP_AAA ? ax + 0x106 : ax - 0x106;
      setGpr16(RAX, <u16>(ax & 0xff0f));
      writeStatus((adjust ? AF | CF : 0) | resultStatus(ax & 15));
      break;
    }
    case OP_AAM: {
      const base = <u32>recImm(rec) & 0xff;
      if (base == 0) raise(DE);
      setGpr16(RAX, <u16>(((al / base) << 8) | (al % base)));
      writeStatus(resultStatus(al % base));
      break;
    }
    default: {
      const r = (al + (<u32>gpr16(RAX) >> 8) * (<u32>recImm(rec) & 0xff)) & 0xff;
      setGpr16(RAX, <u16>r);
      writeStatus(resultStatus(r));
      break;
    }
  }
}

/** SF, ZF and PF of a byte. */
function resultStatus(r: u32): u32 {
  const byte = r & 0xff;
  return (byte & 0x80 ? SF : 0) | (byte == 0 ? ZF : 0) | ((popcnt<u32>(byte) & 1) == 0 ? PF : 0);
}
