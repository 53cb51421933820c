/**
 * RCPxx and RSQRTxx with the bits of Intel's processors: the operand is cut to its leading bits, the value at the
 * middle of that interval is rounded to multiples of 2^-13.
 *
 * @spec   SDM vol. 2: RCPPS, RSQRTPS (error below 1.5 * 2^-12, denormal operands are zeros, tiny results become zero)
 * @differ The SDM leaves the bits below the error bound open; these are the ones hardware gives.
 */

const INFINITY: u32 = 0x7f800000;
const INDEFINITE: u32 = 0xffc00000;
const QUIET: u32 = 0x00400000;
const SIGN: u32 = 0x80000000;
const STEPS: f64 = 8192;

/** A number in [0.5, 1) rounded to a multiple of 2^-13, its exponent moved by `shift`. */
// @ts-ignore: decorator
@inline function scaled(y: f64, shift: i32): u32 {
  return reinterpret<u32>(<f32>(floor<f64>(y * STEPS + 0.5) / STEPS)) + (<u32>shift << 23);
}

export function reciprocal(u: u32): u32 {
  const sign = u & SIGN;
  const m = u & ~SIGN;
  if (m > INFINITY) return u | QUIET;
  if (m == INFINITY) return sign;
  const exponent = <i32>(m >> 23);
  if (exponent == 0) return sign | INFINITY;
  if (exponent >= 253) return sign;
  const middle = 1.0 + (<f64>(m >> 12 & 0x7ff) + 0.5) / 2048.0;
  return sign | scaled(1.0 / middle, 127 - exponent);
}

export function reciprocalRoot(u: u32): u32 {
  const sign = u & SIGN;
  const m = u & ~SIGN;
  if (m > INFINITY) return u | QUIET;
  const exponent = <i32>(m >> 23);
  if (exponent == 0) return sign | INFINITY;
  if (sign != 0) return INDEFINITE;
  if (m == INFINITY) return 0;
  const odd = exponent - 127 & 1;
  const middle = (1.0 + (<f64>(m >> 13 & 0x3ff) + 0.5) / 1024.0) * (odd != 0 ? 2.0 : 1.0);
  return scaled(1.0 / sqrt<f64>(middle), -(exponent - 127 - odd >> 1));
}
