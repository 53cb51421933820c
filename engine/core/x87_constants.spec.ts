/** The constants of x87/constants.ts, derived again from their definitions with 256-bit integers. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const source = readFileSync(new URL('assembly/x87/constants.ts', import.meta.url), 'utf8');
const ONE = 1n << 256n;
const round = (v: bigint): bigint => (v + (1n << 127n)) >> 128n;

function scalar(name: string): bigint {
  const word = (part: string): bigint => BigInt((new RegExp(`${name}_${part}: u64 = (\\w+);`).exec(source)![1]).replaceAll('_', ''));
  return (word('HIGH') << 64n) | word('LOW');
}

function table(name: string): bigint[] {
  const body = new RegExp(`export const ${name}: usize = memory\\.data<u64>\\(\\[([^\\]]*)\\]`).exec(source)![1];
  const words = body.split(',').map((w) => w.trim()).filter((w) => w !== '').map((w) => BigInt(w.replaceAll('_', '')));
  expect(words.length).toBe(2 * Number(new RegExp(`${name}_COUNT: u32 = (\\d+)`).exec(source)![1]));
  return words.flatMap((w, i) => (i % 2 === 0 ? [(w << 64n) | words[i + 1]] : []));
}

/** arctan(n / d) by Euler's series. */
function arctan(n: bigint, d: bigint): bigint {
  let term = (ONE * n * d) / (d * d + n * n);
  let sum = 0n;
  for (let k = 1n; term > 0n; k += 1n) { sum += term; term = (term * 2n * k * n * n) / ((2n * k + 1n) * (d * d + n * n)); }
  return sum;
}

/** artanh(1 / d). */
function artanh(d: bigint): bigint {
  let power = ONE / d;
  let sum = 0n;
  for (let k = 1n; power > 0n; k += 2n) { sum += power / k; power /= d * d; }
  return sum;
}

function factorial(n: bigint): bigint { return n < 2n ? 1n : n * factorial(n - 1n); }

test('pi / 4 is 4 arctan(1/5) - arctan(1/239)', () => {
  expect(scalar('QUARTER_PI')).toBe(round(4n * arctan(1n, 5n) - arctan(1n, 239n)));
});

test('ln 2 is 2 artanh(1/3), and half of its reciprocal is the other constant', () => {
  const ln2 = 2n * artanh(3n);
  expect(scalar('LN2')).toBe(round(ln2));
  expect(scalar('HALF_LOG2E')).toBe(round((ONE * ONE) / ln2 / 2n));
});

test('the pi of the argument reduction is pi cut to 66 bits', () => {
  expect(scalar('PI66')).toBe((4n * (4n * arctan(1n, 5n) - arctan(1n, 239n))) >> 192n);
});

test('series coefficients are reciprocals of factorials and of odd numbers', () => {
  expect(table('SIN')).toEqual(Array.from({ length: 17 }, (_, k) => round(ONE / factorial(2n * BigInt(k) + 3n))));
  expect(table('COS')).toEqual(Array.from({ length: 17 }, (_, k) => round(ONE / factorial(2n * BigInt(k) + 2n))));
  expect(table('EXP')).toEqual(Array.from({ length: 32 }, (_, k) => round(ONE / factorial(BigInt(k) + 2n))));
  expect(table('ODD')).toEqual(Array.from({ length: 26 }, (_, k) => round(ONE / (2n * BigInt(k) + 3n))));
});

test('the nodes of the arctangent are arctan(k / 32)', () => {
  expect(table('ATAN')).toEqual(Array.from({ length: 33 }, (_, k) => (k === 0 ? 0n : round(arctan(BigInt(k), 32n)))));
});
