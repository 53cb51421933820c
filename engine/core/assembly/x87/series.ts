/** Power series in fractions of 128 bits, and the rounding of their results. */
import { BIAS } from './format';
import { roundPack } from './round';
import { add128, hi, lo, multiply128, shiftLeft128, subtract128 } from './wide';

/** hi:lo = c0 + z (c1 + z (c2 + ...)) over `count` fractions at `table`; the sum must stay below 1. */
export function sumSeries(table: usize, count: u32, zHi: u64, zLo: u64): void {
  let at = table + (<usize>(count - 1) << 4);
  add128(load<u64>(at), load<u64>(at, 8), 0, 0);
  while (at != table) {
    at -= 16;
    multiply128(hi, lo, zHi, zLo);
    add128(load<u64>(at), load<u64>(at, 8), hi, lo);
  }
}

/** hi:lo = c0 - z (c1 - z (c2 - ...)). */
export function sumAlternating(table: usize, count: u32, zHi: u64, zLo: u64): void {
  let at = table + (<usize>(count - 1) << 4);
  add128(load<u64>(at), load<u64>(at, 8), 0, 0);
  while (at != table) {
    at -= 16;
    multiply128(hi, lo, zHi, zLo);
    subtract128(load<u64>(at), load<u64>(at, 8), hi, lo);
  }
}

/** hi:lo = 1 - z * hi:lo, as a fraction; 1 itself becomes the largest fraction. */
export function oneMinusTimes(zHi: u64, zLo: u64): void {
  multiply128(hi, lo, zHi, zLo);
  subtract128(0, 0, hi, lo);
  if ((hi | lo) == 0) subtract128(0, 0, 0, 1);
}

/** Rounds the inexact sigHi:sigLo / 2^127 * 2^exp to 64 bits; precision control does not apply. */
export function roundInexact(sign: u32, exp: i32, sigHi: u64, sigLo: u64): void {
  const shift = <u32>(sigHi != 0 ? clz(sigHi) : 64 + clz(sigLo));
  shiftLeft128(sigHi, sigLo, shift);
  roundPack(sign, exp - <i32>shift + BIAS, hi, lo | 1, 64);
}
