/**
 * Arithmetic as instructions use it: WebAssembly's own operations where they are known to agree, soft.ts elsewhere.
 *
 * WebAssembly rounds to nearest even, has no flags and leaves NaN bits open. So a result is taken from it only when
 * MXCSR asks for nearest rounding with all exceptions masked, no operand is a denormal, and the result is ordinary
 * (finite, normal) or an exact zero. Then PE is all there is to know, and only while PE is not sticky yet.
 *
 * Whether a result is exact: a sum when s - big gives back small (Dekker); a product when both significands together
 * have enough trailing zeros; a quotient and a root when multiplying back is exact and gives the operand.
 *
 * @spec SDM vol. 1, 11.5; T. J. Dekker, "A floating-point technique for extending the available precision", 1971
 */
import { DE, flag, IE, PE, plainAndInexact, plainRounding } from './mxcsr';
import {
  fractionBits, infinity, isDenormal, isNan, isOrdinary, isZero, magnitude, operand, signBit, softAdd, softDiv, softMul, softSqrt,
} from './soft';

// @ts-ignore: decorator
@inline export function toFloat<T>(u: u64): T { return sizeof<T>() == 8 ? <T>reinterpret<f64>(u) : <T>reinterpret<f32>(<u32>u); }
// @ts-ignore: decorator
@inline export function toBits<T>(v: T): u64 { return sizeof<T>() == 8 ? reinterpret<u64>(<f64>v) : <u64>reinterpret<u32>(<f32>v); }

// @ts-ignore: decorator
@inline export function addFloat<T>(a: u64, b: u64): u64 {
  const r = toBits<T>(toFloat<T>(a) + toFloat<T>(b));
  if (plainAndInexact() && isOrdinary<T>(r) && !isDenormal<T>(a) && !isDenormal<T>(b)) return r;
  return addChecked<T>(a, b, r, false);
}

// @ts-ignore: decorator
@inline export function subFloat<T>(a: u64, b: u64): u64 {
  const r = toBits<T>(toFloat<T>(a) - toFloat<T>(b));
  if (plainAndInexact() && isOrdinary<T>(r) && !isDenormal<T>(a) && !isDenormal<T>(b)) return r;
  return addChecked<T>(a, b, r, true);
}

// @ts-ignore: decorator
@inline export function mulFloat<T>(a: u64, b: u64): u64 {
  const r = toBits<T>(toFloat<T>(a) * toFloat<T>(b));
  if (plainAndInexact() && isOrdinary<T>(r) && !isDenormal<T>(a) && !isDenormal<T>(b)) return r;
  return mulChecked<T>(a, b, r);
}

// @ts-ignore: decorator
@inline export function divFloat<T>(a: u64, b: u64): u64 {
  const r = toBits<T>(toFloat<T>(a) / toFloat<T>(b));
  if (plainAndInexact() && isOrdinary<T>(r) && !isDenormal<T>(a) && !isDenormal<T>(b)) return r;
  return divChecked<T>(a, b, r);
}

// @ts-ignore: decorator
@inline export function sqrtFloat<T>(a: u64): u64 {
  const r = toBits<T>(sqrt<T>(toFloat<T>(a)));
  if (plainAndInexact() && isOrdinary<T>(r) && !isDenormal<T>(a)) return r;
  return sqrtChecked<T>(a, r);
}

function addChecked<T>(a: u64, b: u64, r: u64, subtract: bool): u64 {
  if (plainRounding() && !isDenormal<T>(a) && !isDenormal<T>(b)) {
    if (isOrdinary<T>(r)) {
      const x = toFloat<T>(a);
      const y = toFloat<T>(subtract ? b ^ signBit<T>() : b);
      const s = toFloat<T>(r);
      const exact = magnitude<T>(a) >= magnitude<T>(b) ? s - x == y : s - y == x;
      if (!exact) flag(PE);
      return r;
    }
    if (isZero<T>(r)) return r;
  }
  return softAdd<T>(a, b, subtract);
}

function mulChecked<T>(a: u64, b: u64, r: u64): u64 {
  if (plainRounding() && !isDenormal<T>(a) && !isDenormal<T>(b)) {
    if (isOrdinary<T>(r)) {
      if (!productExact<T>(a, b, r)) flag(PE);
      return r;
    }
    if (isZero<T>(a) || isZero<T>(b)) { if (isZero<T>(r)) return r; }
  }
  return softMul<T>(a, b);
}

function divChecked<T>(a: u64, b: u64, r: u64): u64 {
  if (plainRounding() && !isDenormal<T>(a) && !isDenormal<T>(b)) {
    if (isOrdinary<T>(r)) {
      if (!productExact<T>(r, b, a) || toBits<T>(toFloat<T>(r) * toFloat<T>(b)) != a) flag(PE);
      return r;
    }
    if (isZero<T>(r) && (isZero<T>(a) || magnitude<T>(b) == infinity<T>())) return r;
  }
  return softDiv<T>(a, b);
}

function sqrtChecked<T>(a: u64, r: u64): u64 {
  if (plainRounding() && !isDenormal<T>(a)) {
    if (isOrdinary<T>(r)) {
      if (!productExact<T>(r, r, a) || toBits<T>(toFloat<T>(r) * toFloat<T>(r)) != a) flag(PE);
      return r;
    }
    if (isZero<T>(r)) return r;
  }
  return softSqrt<T>(a);
}

/** Whether a * b, of which `product` is the rounded value, fits the significand. All three are normal numbers. */
function productExact<T>(a: u64, b: u64, product: u64): bool {
  const hidden = <u64>1 << fractionBits<T>();
  const zeros = <i32>ctz(a & (hidden - 1) | hidden) + <i32>ctz(b & (hidden - 1) | hidden);
  const bias = sizeof<T>() == 8 ? 1023 : 127;
  // 1 when the product of the significands is 2 or more, so has a bit more.
  const carry = biased<T>(product) - (biased<T>(a) + biased<T>(b) - bias);
  return zeros >= <i32>fractionBits<T>() + carry;
}

// @ts-ignore: decorator
@inline function biased<T>(u: u64): i32 { return <i32>(magnitude<T>(u) >> fractionBits<T>()); }

/** Flags of a comparison of two operands, neither of which is changed by it; IE for a quiet NaN too when `signaling`. */
export function compareFlags<T>(a: u64, b: u64, signaling: bool): void {
  if (isNan<T>(a) || isNan<T>(b)) {
    const quiet: u64 = sizeof<T>() == 8 ? 0x0008000000000000 : 0x00400000;
    if (signaling || (isNan<T>(a) && (a & quiet) == 0) || (isNan<T>(b) && (b & quiet) == 0)) flag(IE);
    return;
  }
  if (isDenormal<T>(operand<T>(a)) || isDenormal<T>(operand<T>(b))) flag(DE);
}

/** Whether comparing needs more than the comparison: a NaN or a denormal. */
// @ts-ignore: decorator
@inline export function isPeculiar<T>(u: u64): bool { return isNan<T>(u) || isDenormal<T>(u); }

/** MINxx: the second operand unless the first is less; so for NaNs and for two zeros. */
export function minFloat<T>(first: u64, second: u64): u64 {
  if (isPeculiar<T>(first) || isPeculiar<T>(second)) compareFlags<T>(first, second, true);
  const a = operand<T>(first);
  const b = operand<T>(second);
  return toFloat<T>(a) < toFloat<T>(b) ? a : b;
}

/** MAXxx. */
export function maxFloat<T>(first: u64, second: u64): u64 {
  if (isPeculiar<T>(first) || isPeculiar<T>(second)) compareFlags<T>(first, second, true);
  const a = operand<T>(first);
  const b = operand<T>(second);
  return toFloat<T>(a) > toFloat<T>(b) ? a : b;
}

/** CMPxx predicate 0..7: EQ LT LE UNORD NEQ NLT NLE ORD. */
export function compareFloat<T>(first: u64, second: u64, predicate: u32): bool {
  if (isPeculiar<T>(first) || isPeculiar<T>(second)) compareFlags<T>(first, second, (predicate & 3) == 1 || (predicate & 3) == 2);
  const a = toFloat<T>(operand<T>(first));
  const b = toFloat<T>(operand<T>(second));
  let r = false;
  switch (predicate & 3) {
    case 0: r = a == b; break;
    case 1: r = a < b; break;
    case 2: r = a <= b; break;
    default: r = isNan<T>(first) || isNan<T>(second);
  }
  return (predicate & 4) != 0 ? !r : r;
}
