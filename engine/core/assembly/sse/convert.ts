/**
 * Conversions between floating-point formats and from integers: WebAssembly's where they agree, soft.ts elsewhere.
 */
import { flag, PE, plainAndInexact, plainRounding } from './mxcsr';
import { isDenormal, isNan, isOrdinary, softFromInteger, softNarrow, softWiden } from './soft';

/** Signed 64-bit integer to float. */
export function fromInteger<T>(v: i64): u64 {
  if (plainAndInexact()) {
    return sizeof<T>() == 8 ? reinterpret<u64>(<f64>v) : <u64>reinterpret<u32>(<f32>v);
  }
  return softFromInteger<T>(v);
}

/** Double to single. */
export function narrow(a: u64): u64 {
  const v = reinterpret<f64>(a);
  const r = <f32>v;
  const bits = <u64>reinterpret<u32>(r);
  if (plainRounding() && isOrdinary<f32>(bits)) {
    if (!plainAndInexact() && <f64>r != v) flag(PE);
    return bits;
  }
  return softNarrow(a);
}

/** Single to double. */
export function widen(a: u64): u64 {
  if (!isNan<f32>(a) && !isDenormal<f32>(a)) return reinterpret<u64>(<f64>reinterpret<f32>(<u32>a));
  return softWiden(a);
}
