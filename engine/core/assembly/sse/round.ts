/**
 * Rounding to an integral value or to an integer: exact in WebAssembly for every mode, so no soft path is needed.
 *
 * @spec SDM vol. 2: ROUNDPS (imm8), CVTSD2SI and its relatives; integer indefinite: vol. 1, 4.2.3
 */
import { flag, IE, PE, RC_DOWN, RC_NEAREST, RC_UP, roundingControl } from './mxcsr';
import { isNan, operand, propagate } from './soft';
import { toBits, toFloat } from './arithmetic';

const ROUND_USE_MXCSR: u32 = 4;
const ROUND_SUPPRESS_PE: u32 = 8;

// @ts-ignore: decorator
@inline export function integral<T>(v: T, rc: u32): T {
  return rc == RC_NEAREST ? nearest<T>(v) : rc == RC_DOWN ? floor<T>(v) : rc == RC_UP ? ceil<T>(v) : trunc<T>(v);
}

/** ROUNDxx. */
export function roundFloat<T>(source: u64, imm: u32): u64 {
  if (isNan<T>(source)) return propagate<T>(source, source);
  const a = toFloat<T>(operand<T>(source));
  const r = integral<T>(a, (imm & ROUND_USE_MXCSR) != 0 ? roundingControl() : imm & 3);
  if (r != a && (imm & ROUND_SUPPRESS_PE) == 0) flag(PE);
  return toBits<T>(r);
}

/** A double rounded by mode `rc` to a signed 32-bit integer; 0x80000000 and IE when it does not fit. */
export function toInt32(bits: u64, rc: u32): u32 {
  const whole = <i32>reinterpret<f64>(bits);
  if (<f64>whole == reinterpret<f64>(bits)) return <u32>whole;
  const v = reinterpret<f64>(operand<f64>(bits));
  const r = integral<f64>(v, rc);
  if (!(r >= -2147483648 && r <= 2147483647)) { flag(IE); return 0x80000000; }
  if (r != v) flag(PE);
  return <u32><i32>r;
}

/** Likewise to 64 bits. */
export function toInt64(bits: u64, rc: u32): u64 {
  const v = reinterpret<f64>(operand<f64>(bits));
  const r = integral<f64>(v, rc);
  if (!(r >= -9223372036854775808.0 && r < 9223372036854775808.0)) { flag(IE); return 0x8000000000000000; }
  if (r != v) flag(PE);
  return <u64><i64>r;
}

/** A single as the double of the same value, for toInt32 and toInt64: any NaN will do there. */
// @ts-ignore: decorator
@inline export function widened(bits: u32): u64 {
  return reinterpret<u64>(<f64>reinterpret<f32>(<u32>operand<f32>(<u64>bits)));
}
