/**
 * The SSE4.2 string and text comparisons. Bits of imm8: 0 words instead of bytes, 1 signed, 3:2 aggregation,
 * 5:4 polarity, 6 last index instead of first, or full mask instead of bit mask.
 *
 * @spec SDM vol. 2, 4.1 (imm8 control byte operation for PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM)
 */

const WORDS: u32 = 1;
const SIGNED: u32 = 2;
const EQUAL_ANY: u32 = 0;
const RANGES: u32 = 1;
const EQUAL_EACH: u32 = 2;
const NEGATIVE: u32 = 0x10;
const MASKED: u32 = 0x20;
const MOST_SIGNIFICANT: u32 = 0x40;

// @ts-ignore: decorator
@inline function elements(control: u32): u32 { return (control & WORDS) != 0 ? 8 : 16; }
/** One bit for each element of a vector of all-ones and zero elements. */
// @ts-ignore: decorator
@inline function bitsOf(v: v128, control: u32): u32 { return (control & WORDS) != 0 ? <u32>i16x8.bitmask(v) : <u32>i8x16.bitmask(v); }

/** |length|, at most the number of elements. */
export function explicitLength(length: i64, control: u32): u32 {
  const m: u64 = length < 0 ? 0 - <u64>length : <u64>length;
  return m > <u64>elements(control) ? elements(control) : <u32>m;
}

/** Elements before the first zero one. */
export function implicitLength(v: v128, control: u32): u32 {
  const zeros = (control & WORDS) != 0 ? <u32>i16x8.bitmask(i16x8.eq(v, i16x8.splat(0))) : <u32>i8x16.bitmask(i8x16.eq(v, i8x16.splat(0)));
  return zeros == 0 ? elements(control) : ctz(zeros);
}

/** Element i of the vector in all elements. */
function spread(v: v128, i: u32, control: u32): v128 {
  if ((control & WORDS) != 0) return i8x16.swizzle(v, i16x8.splat(<i16>(0x0100 + i * 0x0202)));
  return i8x16.swizzle(v, i8x16.splat(<i8>i));
}

// @ts-ignore: decorator
@inline function equal(a: v128, b: v128, control: u32): v128 { return (control & WORDS) != 0 ? i16x8.eq(a, b) : i8x16.eq(a, b); }

/** a >= b by element, signed or unsigned. */
function atLeast(a: v128, b: v128, control: u32): v128 {
  switch (control & (WORDS | SIGNED)) {
    case 0: return i8x16.ge_u(a, b);
    case 1: return i16x8.ge_u(a, b);
    case 2: return i8x16.ge_s(a, b);
    default: return i16x8.ge_s(a, b);
  }
}

/** IntRes2: bit j belongs to element j of the second operand. Elements past a string's length are invalid. */
export function aggregate(first: v128, second: v128, length1: u32, length2: u32, control: u32): u32 {
  const n = elements(control);
  const all: u32 = (<u32>1 << n) - 1;
  const valid1: u32 = (<u32>1 << length1) - 1;
  const valid2: u32 = (<u32>1 << length2) - 1;
  let r: u32 = 0;
  switch (control >> 2 & 3) {
    case EQUAL_ANY:
      for (let i: u32 = 0; i < length1; i++) r |= bitsOf(equal(second, spread(first, i, control), control), control);
      r &= valid2;
      break;
    case RANGES:
      for (let i: u32 = 0; i + 1 < length1; i += 2) {
        r |= bitsOf(v128.and(atLeast(second, spread(first, i, control), control), atLeast(spread(first, i + 1, control), second, control)), control);
      }
      r &= valid2;
      break;
    case EQUAL_EACH:
      // Equal where both are valid, or where both are not.
      r = (bitsOf(equal(first, second, control), control) & valid1 & valid2) | (~valid1 & ~valid2 & all);
      break;
    default:
      // Equal ordered: element i of the first has to match element j + i of the second, as far as that is inside
      // the register; an invalid element of the first always matches.
      r = all;
      for (let i: u32 = 0; i < length1; i++) {
        const same = bitsOf(equal(second, spread(first, i, control), control), control) & valid2;
        r &= same >> i | ~(all >> i);
      }
      r &= all;
  }
  if ((control & NEGATIVE) == 0) return r;
  return (r ^ ((control & MASKED) != 0 ? valid2 : all)) & all;
}

/** ECX: first or last set bit, the number of elements when there is none. */
export function indexOf(result: u32, control: u32): u32 {
  if (result == 0) return elements(control);
  return (control & MOST_SIGNIFICANT) != 0 ? 31 - clz(result) : ctz(result);
}

/** XMM0: the bits themselves, or each widened to its element. */
export function maskOf(result: u32, control: u32): v128 {
  if ((control & MOST_SIGNIFICANT) == 0) return i64x2.replace_lane(i64x2.splat(0), 0, <i64>result);
  if ((control & WORDS) != 0) {
    const bit = i16x8(1, 2, 4, 8, 16, 32, 64, 128);
    return i16x8.eq(v128.and(i16x8.splat(<i16>result), bit), bit);
  }
  const bit = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const halves = i8x16.swizzle(i16x8.splat(<i16>result), i8x16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  return i8x16.eq(v128.and(halves, bit), bit);
}

/** CF any match, ZF second string ends here, SF first string ends here, OF match at element 0; AF and PF clear. */
export function stringFlags(result: u32, length1: u32, length2: u32, control: u32): u32 {
  const n = elements(control);
  return (result != 0 ? 1 : 0) | (length2 < n ? 0x40 : 0) | (length1 < n ? 0x80 : 0) | ((result & 1) != 0 ? 0x800 : 0);
}
