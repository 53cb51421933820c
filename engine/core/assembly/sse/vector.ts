/**
 * Packed arithmetic: all lanes at once when every lane is ordinary, lane by lane through arithmetic.ts otherwise.
 */
import { addFloat, compareFloat, divFloat, maxFloat, minFloat, mulFloat, sqrtFloat, subFloat } from './arithmetic';
import { plainAndInexact, signal } from './mxcsr';

export const ADD: u32 = 0;
export const SUB: u32 = 1;
export const MUL: u32 = 2;
export const DIV: u32 = 3;
export const MIN: u32 = 4;
export const MAX: u32 = 5;
export const SQRT: u32 = 6;

// @ts-ignore: decorator
@inline function denormal64(v: v128): v128 {
  const m = f64x2.abs(v);
  return v128.and(f64x2.lt(m, f64x2.splat(2.2250738585072014e-308)), f64x2.ne(m, f64x2.splat(0)));
}
// @ts-ignore: decorator
@inline function denormal32(v: v128): v128 {
  const m = f32x4.abs(v);
  return v128.and(f32x4.lt(m, f32x4.splat(reinterpret<f32>(0x00800000))), f32x4.ne(m, f32x4.splat(0)));
}
// @ts-ignore: decorator
@inline function ordinary64(r: v128): bool {
  const m = f64x2.abs(r);
  return i64x2.all_true(v128.and(f64x2.gt(m, f64x2.splat(2.2250738585072014e-308)), f64x2.lt(m, f64x2.splat(Infinity))));
}
// @ts-ignore: decorator
@inline function ordinary32(r: v128): bool {
  const m = f32x4.abs(r);
  return i32x4.all_true(v128.and(f32x4.gt(m, f32x4.splat(reinterpret<f32>(0x00800000))), f32x4.lt(m, f32x4.splat(<f32>Infinity))));
}
/** No lane a NaN, no lane a denormal: what min, max and comparisons ask. */
// @ts-ignore: decorator
@inline function comparable64(a: v128, b: v128): bool {
  return !v128.any_true(v128.or(v128.or(denormal64(a), denormal64(b)), v128.or(f64x2.ne(a, a), f64x2.ne(b, b))));
}
// @ts-ignore: decorator
@inline function comparable32(a: v128, b: v128): bool {
  return !v128.any_true(v128.or(v128.or(denormal32(a), denormal32(b)), v128.or(f32x4.ne(a, a), f32x4.ne(b, b))));
}
/** pmin(s, a) is `a < s ? a : s`: exactly MINPx. */
export function packed64(op: u32, a: v128, s: v128): v128 {
  if (op == MIN || op == MAX) {
    if (comparable64(a, s)) return op == MIN ? f64x2.pmin(s, a) : f64x2.pmax(s, a);
  } else if (plainAndInexact() && !v128.any_true(v128.or(denormal64(a), denormal64(s)))) {
    const r = op == ADD ? f64x2.add(a, s) : op == SUB ? f64x2.sub(a, s) : op == MUL ? f64x2.mul(a, s) : op == DIV ? f64x2.div(a, s) : f64x2.sqrt(s);
    if (ordinary64(r)) return r;
  }
  const low = one64(op, i64x2.extract_lane(a, 0), i64x2.extract_lane(s, 0));
  const high = one64(op, i64x2.extract_lane(a, 1), i64x2.extract_lane(s, 1));
  return i64x2.replace_lane(i64x2.splat(<i64>low), 1, <i64>high);
}

export function packed32(op: u32, a: v128, s: v128): v128 {
  if (op == MIN || op == MAX) {
    if (comparable32(a, s)) return op == MIN ? f32x4.pmin(s, a) : f32x4.pmax(s, a);
  } else if (plainAndInexact() && !v128.any_true(v128.or(denormal32(a), denormal32(s)))) {
    const r = op == ADD ? f32x4.add(a, s) : op == SUB ? f32x4.sub(a, s) : op == MUL ? f32x4.mul(a, s) : op == DIV ? f32x4.div(a, s) : f32x4.sqrt(s);
    if (ordinary32(r)) return r;
  }
  let r = i32x4.splat(<i32>one32(op, i32x4.extract_lane(a, 0), i32x4.extract_lane(s, 0)));
  r = i32x4.replace_lane(r, 1, <i32>one32(op, i32x4.extract_lane(a, 1), i32x4.extract_lane(s, 1)));
  r = i32x4.replace_lane(r, 2, <i32>one32(op, i32x4.extract_lane(a, 2), i32x4.extract_lane(s, 2)));
  return i32x4.replace_lane(r, 3, <i32>one32(op, i32x4.extract_lane(a, 3), i32x4.extract_lane(s, 3)));
}

/** One operation on doubles given as bits. */
export function one64(op: u32, a: u64, s: u64): u64 {
  switch (op) {
    case ADD: return addFloat<f64>(a, s);
    case SUB: return subFloat<f64>(a, s);
    case MUL: return mulFloat<f64>(a, s);
    case DIV: return divFloat<f64>(a, s);
    case MIN: return minFloat<f64>(a, s);
    case MAX: return maxFloat<f64>(a, s);
    default: return sqrtFloat<f64>(s);
  }
}

/** One operation on singles given as bits. */
export function one32(op: u32, a: u32, s: u32): u64 {
  switch (op) {
    case ADD: return addFloat<f32>(<u64>a, <u64>s);
    case SUB: return subFloat<f32>(<u64>a, <u64>s);
    case MUL: return mulFloat<f32>(<u64>a, <u64>s);
    case DIV: return divFloat<f32>(<u64>a, <u64>s);
    case MIN: return minFloat<f32>(<u64>a, <u64>s);
    case MAX: return maxFloat<f32>(<u64>a, <u64>s);
    default: return sqrtFloat<f32>(<u64>s);
  }
}

/** CMPPD: all ones where the predicate holds. */
export function compare64(predicate: u32, a: v128, s: v128): v128 {
  if (comparable64(a, s)) {
    const r = (predicate & 3) == 0 ? f64x2.eq(a, s) : (predicate & 3) == 1 ? f64x2.lt(a, s) : (predicate & 3) == 2 ? f64x2.le(a, s) : i64x2.splat(0);
    return (predicate & 4) != 0 ? v128.not(r) : r;
  }
  const low: i64 = compareFloat<f64>(i64x2.extract_lane(a, 0), i64x2.extract_lane(s, 0), predicate) ? -1 : 0;
  const high: i64 = compareFloat<f64>(i64x2.extract_lane(a, 1), i64x2.extract_lane(s, 1), predicate) ? -1 : 0;
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

// @ts-ignore: decorator
@inline function compareOne32(predicate: u32, a: u32, s: u32): i32 { return compareFloat<f32>(<u64>a, <u64>s, predicate) ? -1 : 0; }

/** CMPPS. */
export function compare32(predicate: u32, a: v128, s: v128): v128 {
  if (comparable32(a, s)) {
    const r = (predicate & 3) == 0 ? f32x4.eq(a, s) : (predicate & 3) == 1 ? f32x4.lt(a, s) : (predicate & 3) == 2 ? f32x4.le(a, s) : i32x4.splat(0);
    return (predicate & 4) != 0 ? v128.not(r) : r;
  }
  let r = i32x4.splat(compareOne32(predicate, i32x4.extract_lane(a, 0), i32x4.extract_lane(s, 0)));
  r = i32x4.replace_lane(r, 1, compareOne32(predicate, i32x4.extract_lane(a, 1), i32x4.extract_lane(s, 1)));
  r = i32x4.replace_lane(r, 2, compareOne32(predicate, i32x4.extract_lane(a, 2), i32x4.extract_lane(s, 2)));
  return i32x4.replace_lane(r, 3, compareOne32(predicate, i32x4.extract_lane(a, 3), i32x4.extract_lane(s, 3)));
}

/** ADDSUBPD: subtracts in lane 0, adds in lane 1. */
export function addSub64(a: v128, s: v128): v128 {
  const low = subFloat<f64>(i64x2.extract_lane(a, 0), i64x2.extract_lane(s, 0));
  const high = addFloat<f64>(i64x2.extract_lane(a, 1), i64x2.extract_lane(s, 1));
  return i64x2.replace_lane(i64x2.splat(<i64>low), 1, <i64>high);
}

/** ADDSUBPS: subtracts in the even lanes, adds in the odd ones. */
export function addSub32(a: v128, s: v128): v128 {
  let r = i32x4.splat(<i32>one32(SUB, i32x4.extract_lane(a, 0), i32x4.extract_lane(s, 0)));
  r = i32x4.replace_lane(r, 1, <i32>one32(ADD, i32x4.extract_lane(a, 1), i32x4.extract_lane(s, 1)));
  r = i32x4.replace_lane(r, 2, <i32>one32(SUB, i32x4.extract_lane(a, 2), i32x4.extract_lane(s, 2)));
  return i32x4.replace_lane(r, 3, <i32>one32(ADD, i32x4.extract_lane(a, 3), i32x4.extract_lane(s, 3)));
}

/**
 * DPPD: products of the lanes in imm[5:4], their sum to the lanes in imm[1:0]. As in hardware each step is a packed
 * operation that signals on its own; every lane computes the sum, and of two NaNs the operands' order picks one.
 */
export function dot64(a: v128, s: v128, imm: u32): v128 {
  const low = (imm & 0x10) != 0 ? mulFloat<f64>(i64x2.extract_lane(a, 0), i64x2.extract_lane(s, 0)) : 0;
  const high = (imm & 0x20) != 0 ? mulFloat<f64>(i64x2.extract_lane(a, 1), i64x2.extract_lane(s, 1)) : 0;
  signal();
  const product = i64x2.replace_lane(i64x2.splat(<i64>low), 1, <i64>high);
  return v128.and(packed64(ADD, product, i64x2.shuffle(product, product, 1, 0)), lanes64(imm));
}

/** DPPS: products of the lanes in imm[7:4], added in pairs and again, the sum to the lanes in imm[3:0]. */
export function dot32(a: v128, s: v128, imm: u32): v128 {
  let product = i32x4.splat(0);
  if ((imm & 0x10) != 0) product = i32x4.replace_lane(product, 0, <i32>one32(MUL, i32x4.extract_lane(a, 0), i32x4.extract_lane(s, 0)));
  if ((imm & 0x20) != 0) product = i32x4.replace_lane(product, 1, <i32>one32(MUL, i32x4.extract_lane(a, 1), i32x4.extract_lane(s, 1)));
  if ((imm & 0x40) != 0) product = i32x4.replace_lane(product, 2, <i32>one32(MUL, i32x4.extract_lane(a, 2), i32x4.extract_lane(s, 2)));
  if ((imm & 0x80) != 0) product = i32x4.replace_lane(product, 3, <i32>one32(MUL, i32x4.extract_lane(a, 3), i32x4.extract_lane(s, 3)));
  signal();
  const pairs = packed32(ADD, i32x4.shuffle(product, product, 1, 0, 3, 2), product);
  signal();
  return v128.and(packed32(ADD, pairs, i32x4.shuffle(pairs, pairs, 2, 3, 0, 1)), lanes32(imm));
}

function lanes64(imm: u32): v128 {
  const bit = i64x2(1, 2);
  return i64x2.eq(v128.and(i64x2.splat(<i64>imm), bit), bit);
}

function lanes32(imm: u32): v128 {
  const bit = i32x4(1, 2, 4, 8);
  return i32x4.eq(v128.and(i32x4.splat(imm), bit), bit);
}
