/**
 * SSE arithmetic on exact rational numbers: what the float specs compare the core with. Slow and plain on purpose.
 *
 * @spec SDM vol. 1, 4.8, 4.9, 11.5, table 4-7 (NaN results)
 */
export interface Format { readonly bits: number; readonly fraction: number; readonly bias: number }
export const SINGLE: Format = { bits: 32, fraction: 23, bias: 127 };
export const DOUBLE: Format = { bits: 64, fraction: 52, bias: 1023 };

const IE = 1; const DE = 2; const ZE = 4; const OE = 8; const UE = 16; const PE = 32;

export interface Result { readonly value: bigint; readonly flags: number }

type Kind = 'nan' | 'infinity' | 'zero' | 'denormal' | 'normal';
interface Number_ { readonly kind: Kind; readonly negative: boolean; readonly quiet: boolean; readonly num: bigint; readonly den: bigint; readonly raw: bigint }

const power = (e: number): [bigint, bigint] => (e >= 0 ? [1n << BigInt(e), 1n] : [1n, 1n << BigInt(-e)]);
const infinityOf = (f: Format) => ((1n << BigInt(f.bits - 1 - f.fraction)) - 1n) << BigInt(f.fraction);
const signOf = (f: Format) => 1n << BigInt(f.bits - 1);
const quietOf = (f: Format) => 1n << BigInt(f.fraction - 1);
const indefinite = (f: Format) => signOf(f) | infinityOf(f) | quietOf(f);

function read(f: Format, raw: bigint, daz: boolean): Number_ {
  const negative = (raw & signOf(f)) !== 0n;
  const magnitude = raw & ~signOf(f);
  const exponent = Number(magnitude >> BigInt(f.fraction));
  const fraction = magnitude & ((1n << BigInt(f.fraction)) - 1n);
  const base = { negative, quiet: (raw & quietOf(f)) !== 0n, num: 0n, den: 1n, raw };
  if (magnitude > infinityOf(f)) return { ...base, kind: 'nan' };
  if (magnitude === infinityOf(f)) return { ...base, kind: 'infinity' };
  if (magnitude === 0n || (exponent === 0 && daz)) return { ...base, kind: 'zero', raw: negative ? signOf(f) : 0n };
  const [pn, pd] = power((exponent === 0 ? 1 : exponent) - f.bias - f.fraction);
  const significand = exponent === 0 ? fraction : fraction | 1n << BigInt(f.fraction);
  return { ...base, kind: exponent === 0 ? 'denormal' : 'normal', num: significand * pn, den: pd };
}

const bitLength = (v: bigint) => v.toString(2).length;

/** floor(log2(num / den)). */
function logarithm(num: bigint, den: bigint): number {
  const e = bitLength(num) - bitLength(den);
  const [pn, pd] = power(e);
  return num * pd >= den * pn ? e : e - 1;
}

/** num / den in units of 2^exponent, rounded; `sticky` stands for something positive lost before. */
function toUnits(num: bigint, den: bigint, exponent: number, rc: number, negative: boolean): { q: bigint; inexact: boolean } {
  const [pn, pd] = power(exponent);
  const n = num * pd;
  const d = den * pn;
  const q = n / d;
  const rest = n % d;
  const up = rc === 0 ? rest * 2n > d || (rest * 2n === d && (q & 1n) === 1n) : rc === 1 ? negative && rest > 0n : rc === 2 ? !negative && rest > 0n : false;
  return { q: up ? q + 1n : q, inexact: rest > 0n };
}

/** Rounds a positive rational to the format by MXCSR, all exceptions masked. */
export function round(f: Format, negative: boolean, num: bigint, den: bigint, mxcsr: number): Result {
  const rc = mxcsr >> 13 & 3;
  const sign = negative ? signOf(f) : 0n;
  const smallest = 1 - f.bias;
  let e = logarithm(num, den);
  const free = toUnits(num, den, e - f.fraction, rc, negative);
  if (free.q >> BigInt(f.fraction + 1) !== 0n) e += 1;
  if (e > f.bias) {
    const finite = rc === 3 || (rc === 1 && !negative) || (rc === 2 && negative);
    return { value: sign | (finite ? infinityOf(f) - 1n : infinityOf(f)), flags: OE | PE };
  }
  if (e < smallest && (mxcsr & 0x8000) !== 0) return { value: sign, flags: UE | PE };
  const exponent = Math.max(logarithm(num, den), smallest);
  const { q, inexact } = toUnits(num, den, exponent - f.fraction, rc, negative);
  // The hidden bit, and a carry out of the fraction, add themselves to the exponent field.
  const value = (BigInt(exponent - smallest) << BigInt(f.fraction)) + q;
  return { value: sign | value, flags: inexact ? (e < smallest ? UE | PE : PE) : 0 };
}

export type Operation = 'ADD' | 'SUB' | 'MUL' | 'DIV' | 'SQRT';

export function compute(f: Format, op: Operation, first: bigint, second: bigint, mxcsr: number): Result {
  const daz = (mxcsr & 0x40) !== 0;
  const a = read(f, op === 'SQRT' ? second : first, daz);
  let b = read(f, second, daz);
  if (a.kind === 'nan' || b.kind === 'nan') {
    const chosen = a.kind === 'nan' ? a : b;
    return { value: chosen.raw | quietOf(f), flags: [a, b].some((x) => x.kind === 'nan' && !x.quiet) ? IE : 0 };
  }
  const invalid: Result = { value: indefinite(f), flags: IE };
  const down = (mxcsr >> 13 & 3) === 1;
  if (op === 'SQRT') {
    if (a.kind === 'zero') return { value: a.raw, flags: 0 };
    if (a.negative) return invalid;
    if (a.kind === 'infinity') return { value: a.raw, flags: 0 };
    const root = squareRoot(f, a.num, a.den, mxcsr);
    return { value: root.value, flags: root.flags | (a.kind === 'denormal' ? DE : 0) };
  }
  if (op === 'SUB') b = { ...b, negative: !b.negative, raw: b.raw ^ signOf(f) };
  const denormal = a.kind === 'denormal' || b.kind === 'denormal' ? DE : 0;
  const negative = a.negative !== b.negative;
  const sign = negative ? signOf(f) : 0n;
  const rounded = (n: boolean, num: bigint, den: bigint): Result => { const r = round(f, n, num, den, mxcsr); return { value: r.value, flags: r.flags | denormal }; };
  if (op === 'ADD' || op === 'SUB') {
    if (a.kind === 'infinity' && b.kind === 'infinity') return negative ? invalid : { value: a.raw, flags: 0 };
    if (a.kind === 'infinity' || b.kind === 'infinity') return { value: (a.kind === 'infinity' ? a : b).raw, flags: denormal };
    const sum = (a.negative ? -a.num : a.num) * b.den + (b.negative ? -b.num : b.num) * a.den;
    if (sum === 0n) return { value: a.kind === 'zero' && !negative ? a.raw : down ? signOf(f) : 0n, flags: denormal };
    return rounded(sum < 0n, sum < 0n ? -sum : sum, a.den * b.den);
  }
  if (op === 'MUL') {
    if ((a.kind === 'infinity' && b.kind === 'zero') || (a.kind === 'zero' && b.kind === 'infinity')) return invalid;
    if (a.kind === 'infinity' || b.kind === 'infinity') return { value: sign | infinityOf(f), flags: denormal };
    if (a.kind === 'zero' || b.kind === 'zero') return { value: sign, flags: denormal };
    return rounded(negative, a.num * b.num, a.den * b.den);
  }
  if (a.kind === b.kind && (a.kind === 'infinity' || a.kind === 'zero')) return invalid;
  if (b.kind === 'zero') return { value: sign | infinityOf(f), flags: a.kind === 'infinity' ? 0 : ZE };
  if (a.kind === 'infinity') return { value: sign | infinityOf(f), flags: denormal };
  if (b.kind === 'infinity' || a.kind === 'zero') return { value: sign, flags: denormal };
  return rounded(negative, a.num * b.den, a.den * b.num);
}

/** Root to 200 bits; when it is not exact a bit below stands for the rest, which is far below any rounding position. */
function squareRoot(f: Format, num: bigint, den: bigint, mxcsr: number): Result {
  const shift = 2400n;
  const scaled = (num << shift) / den;
  let root = 1n << BigInt((bitLength(scaled) + 1) >> 1);
  for (let next = (root + scaled / root) >> 1n; next < root; next = (root + scaled / root) >> 1n) root = next;
  const exact = root * root === scaled && (num << shift) % den === 0n;
  return round(f, false, (root << 1n) | (exact ? 0n : 1n), 1n << (shift / 2n + 1n), mxcsr);
}

/** Double to single. */
export function narrow(raw: bigint, mxcsr: number): Result {
  const a = read(DOUBLE, raw, (mxcsr & 0x40) !== 0);
  const sign = a.negative ? signOf(SINGLE) : 0n;
  if (a.kind === 'nan') return { value: sign | infinityOf(SINGLE) | quietOf(SINGLE) | (raw >> 29n & 0x3fffffn), flags: a.quiet ? 0 : IE };
  if (a.kind === 'infinity') return { value: sign | infinityOf(SINGLE), flags: 0 };
  if (a.kind === 'zero') return { value: sign, flags: 0 };
  const r = round(SINGLE, a.negative, a.num, a.den, mxcsr);
  return { value: r.value, flags: r.flags | (a.kind === 'denormal' ? DE : 0) };
}

/** Any finite number or not, to a signed integer of `bits` bits by rounding mode rc. */
export function toInteger(f: Format, raw: bigint, bits: number, rc: number, daz: boolean): Result {
  const a = read(f, raw, daz);
  const indefiniteInteger: Result = { value: 1n << BigInt(bits - 1), flags: IE };
  if (a.kind === 'nan' || a.kind === 'infinity') return indefiniteInteger;
  if (a.kind === 'zero') return { value: 0n, flags: 0 };
  const { q, inexact } = toUnits(a.num, a.den, 0, rc, a.negative);
  const v = a.negative ? -q : q;
  if (v < -(1n << BigInt(bits - 1)) || v >= 1n << BigInt(bits - 1)) return indefiniteInteger;
  return { value: BigInt.asUintN(bits, v), flags: inexact ? PE : 0 };
}

/** A signed integer to a float. */
export function fromInteger(f: Format, v: bigint, mxcsr: number): Result {
  if (v === 0n) return { value: 0n, flags: 0 };
  return round(f, v < 0n, v < 0n ? -v : v, 1n, mxcsr);
}
