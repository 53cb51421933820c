/** x87: arithmetic, exceptions, stack, conversions, state in memory. SDM vol. 1 chapter 8. */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { X87Machine, f80, toNumber, type F80 } from './x87_test_machine.ts';

let m: X87Machine;
beforeAll(async () => { m = await X87Machine.create(); });

const INDEFINITE: F80 = [0xffff, 0xc000_0000_0000_0000n];
const INFINITY: F80 = [0x7fff, 1n << 63n];
const PI_DOWN = 0xc90f_daa2_2168_c234n;
const PC53 = 0x27f;

test('FLDPI rounds its internal constant by RC: up for nearest and up, down otherwise, without PE', () => {
  for (const [rc, sig] of [[0, PI_DOWN + 1n], [1, PI_DOWN], [2, PI_DOWN + 1n], [3, PI_DOWN]] as const) {
    const o = m.run('d9eb', { fcw: 0x37f | (rc << 10) });
    expect(o.st[0]).toEqual([0x4000, sig]);
    expect(o.fsw & 0x3f).toBe(0);
  }
});

test('with precision control at 53 bits, addition, subtraction, multiplication, division and square root agree with IEEE doubles', () => {
  // Exponents are kept away from the ends: the register format has a wider exponent range than a double.
  const number = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e60, max: 1e60 }).filter((x) => x === 0 || Math.abs(x) > 1e-60);
  fc.assert(fc.property(number, number, (a, b) => {
    const st = [f80(a), f80(b)];
    const run = (code: string): number => toNumber(m.run(code, { st, fcw: PC53 }).st[0]!);
    expect(run('d8c1')).toBe(a + b);
    expect(run('d8e1')).toBe(a - b);
    expect(run('d8c9')).toBe(a * b);
    if (b !== 0) expect(run('d8f1')).toBe(a / b);
    if (a > 0) expect(run('d9fa')).toBe(Math.sqrt(a));
  }), { seed: 1, numRuns: 150 });
});

test('a product of 64-bit significands is rounded to nearest, ties to even', () => {
  const significand = fc.bigInt({ min: 1n << 63n, max: (1n << 64n) - 1n });
  fc.assert(fc.property(significand, significand, (a, b) => {
    const product = a * b;
    let shift = product >> 127n === 0n ? 63n : 64n;
    let sig = product >> shift;
    const rest = product & ((1n << shift) - 1n);
    const half = 1n << (shift - 1n);
    if (rest > half || (rest === half && (sig & 1n) === 1n)) sig += 1n;
    if (sig >> 64n !== 0n) { sig >>= 1n; shift += 1n; }
    const o = m.run('d8c9', { st: [[0x3fff, a], [0x3fff, b]] });
    expect(o.st[0]).toEqual([0x3fff + Number(shift) - 63, sig]);
    expect((o.fsw & 0x20) !== 0).toBe(rest !== 0n);
  }), { seed: 2, numRuns: 150 });
});

test('sums and differences of any distance are rounded to nearest, ties to even', () => {
  // Short and long runs of ones and zeros, so that ties and borrows happen.
  const significand = fc.tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 63 }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.boolean())
    .map(([i, k, random, plain]) => (1n << 63n) | (plain ? (1n << BigInt(i)) | ((1n << BigInt(k)) - 1n) : random));
  const distance = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 60, max: 70 }), fc.integer({ min: 0, max: 130 }));
  fc.assert(fc.property(significand, significand, distance, fc.boolean(), (a, b, d, negative) => {
    const exact = (a << BigInt(d)) + (negative ? -b : b); // in units of b's last place
    const o = m.run('d8c1', { st: [[0x3fff + d, a], [negative ? 0xbfff : 0x3fff, b]] });
    if (exact === 0n) { expect(o.st[0]).toEqual([0, 0n]); return; }
    const magnitude = exact < 0n ? -exact : exact;
    const drop = magnitude.toString(2).length - 64;
    let sig = drop >= 0 ? magnitude >> BigInt(drop) : magnitude << BigInt(-drop);
    const rest = drop > 0 ? (magnitude & ((1n << BigInt(drop)) - 1n)) << 1n : 0n;
    const half = drop > 0 ? 1n << BigInt(drop) : 1n;
    let exp = 0x3fff + drop;
    const up = rest > half || (rest === half && (sig & 1n) === 1n);
    if (up) sig += 1n;
    if (sig >> 64n !== 0n) { sig = 1n << 63n; exp += 1; }
    expect(o.st[0]).toEqual([exp | (exact < 0n ? 0x8000 : 0), sig]);
    expect(o.fsw & 0x220).toBe((rest !== 0n ? 0x20 : 0) | (up ? 0x200 : 0));
  }), { seed: 4, numRuns: 2000 });
});

test('a square root is rounded to nearest', () => {
  const ends = fc.integer({ min: 0, max: 4000 }).chain((n) => fc.constantFrom((1n << 63n) + BigInt(n), (1n << 64n) - 1n - BigInt(n)));
  const significand = fc.oneof(fc.bigInt({ min: 1n << 63n, max: (1n << 64n) - 1n }), ends, fc.bigInt({ min: 3037000500n, max: (1n << 32n) - 1n }).map((r) => r * r));
  fc.assert(fc.property(significand, fc.integer({ min: 0, max: 1 }), (a, odd) => {
    const square = a << BigInt(63 + odd + 128); // the root has 64 bits and 64 more
    let root = BigInt(Math.floor(Math.sqrt(Number(square))));
    for (let next = (root + square / root) >> 1n; next !== root && next !== root + 1n; next = (root + square / root) >> 1n) root = next;
    while (root * root > square) root -= 1n;
    while ((root + 1n) * (root + 1n) <= square) root += 1n;
    const rest = root & ((1n << 64n) - 1n);
    let sig = root >> 64n;
    if (rest >= 1n << 63n) sig += 1n; // a tie is not possible
    const o = m.run('d9fa', { st: [[0x3fff + odd, a]] });
    expect(o.st[0]).toEqual(sig >> 64n !== 0n ? [0x4000, 1n << 63n] : [0x3fff, sig]);
    expect((o.fsw & 0x20) !== 0).toBe(root * root !== square || rest !== 0n);
  }), { seed: 5, numRuns: 1000 });
});

test('a quotient is rounded to nearest from an infinitely precise one', () => {
  const significand = fc.bigInt({ min: 1n << 63n, max: (1n << 64n) - 1n });
  fc.assert(fc.property(significand, significand, (a, b) => {
    const scaled = a >= b ? 63n : 64n;
    const numerator = a << scaled;
    let sig = numerator / b;
    if ((numerator % b) * 2n > b || ((numerator % b) * 2n === b && (sig & 1n) === 1n)) sig += 1n;
    const exp = a >= b ? 0x3fff : 0x3ffe;
    expect(m.run('d8f1', { st: [[0x3fff, a], [0x3fff, b]] }).st[0]).toEqual(sig >> 64n !== 0n ? [exp + 1, 1n << 63n] : [exp, sig]);
  }), { seed: 3, numRuns: 150 });
});

test('no register contents make an instruction trap, hang or touch more than the x87 state', () => {
  const value = fc.tuple(fc.integer({ min: 0, max: 0xffff }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
  const code = fc.tuple(fc.integer({ min: 0xd8, max: 0xdf }), fc.integer({ min: 0xc0, max: 0xff }));
  fc.assert(fc.property(code, fc.array(value, { maxLength: 8 }), fc.integer({ min: 0, max: 0xffff }), ([escape, modRm], st, fcw) => {
    const o = m.run(escape.toString(16) + modRm.toString(16), { st: st as F80[], fcw: (fcw & 0xf3f) | 0x40 });
    expect([undefined, 6, 16]).toContain(o.vector);
    expect(o.fsw & 0x80 ? 0x8080 : 0).toBe(o.fsw & 0x8080); // B follows ES
    if (o.vector === undefined) expect((o.fsw & ~o.fcw & 0x3f) !== 0).toBe((o.fsw & 0x80) !== 0);
  }), { seed: 4, numRuns: 400 });
});

test('masked division by zero gives infinity and ZE; zero by zero gives the indefinite and IE', () => {
  const one = m.run('d8f1', { st: [f80(1), f80(0)] });
  expect(one.st[0]).toEqual(INFINITY);
  expect(one.fsw & 0x3f).toBe(0x04);
  const zero = m.run('d8f1', { st: [f80(0), f80(0)] });
  expect(zero.st[0]).toEqual(INDEFINITE);
  expect(zero.fsw & 0x3f).toBe(0x01);
});

test('an unmasked exception leaves the operands alone, sets ES and B, and is #MF at the next waiting instruction', () => {
  const o = m.run('d8f1 9b', { st: [f80(1), f80(0)], fcw: 0x37b });
  expect(o.vector).toBe(16);
  expect(o.st[0]).toEqual(f80(1));
  expect(o.fsw & 0x8084).toBe(0x8084);
  expect(m.run('d8f1 dfe0', { st: [f80(1), f80(0)], fcw: 0x37b }).vector).toBeUndefined(); // FNSTSW does not wait
  expect(m.run('d8f1 dbe2 9b', { st: [f80(1), f80(0)], fcw: 0x37b }).vector).toBeUndefined(); // FNCLEX
});

test('with CR0.NE clear a pending exception is not reported as #MF', () => {
  expect(m.run('d8f1 9b', { st: [f80(1), f80(0)], fcw: 0x37b, cr0: 0x8001_0013n }).vector).toBeUndefined();
});

test('CR0.EM and CR0.TS make x87 instructions #NM; FWAIT asks TS together with MP', () => {
  expect(m.run('d9e8', { cr0: 0x8001_0037n }).vector).toBe(7);
  expect(m.run('d9e8', { cr0: 0x8001_003bn }).vector).toBe(7);
  expect(m.run('9b', { cr0: 0x8001_0039n }).vector).toBeUndefined();
  expect(m.run('9b', { cr0: 0x8001_003bn }).vector).toBe(7);
});

test('a push on a full stack is IE and SF with C1 set and pushes the indefinite; a source that is empty has C1 clear', () => {
  const full = m.run('d9e8', { st: Array.from({ length: 8 }, () => f80(2)) });
  expect(full.st[0]).toEqual(INDEFINITE);
  expect(full.fsw & 0x241).toBe(0x241);
  const empty = m.run('d9fa', { fsw: 0x200 });
  expect(empty.st[0]).toEqual(INDEFINITE);
  expect(empty.fsw & 0x241).toBe(0x041);
});

test('C1 tells whether the last rounding was upwards', () => {
  expect(m.run('d8f1', { st: [f80(2), f80(3)] }).fsw & 0x220).toBe(0x220); // 2/3 rounds up
  expect(m.run('d8f1', { st: [f80(1), f80(3)] }).fsw & 0x220).toBe(0x220);
  expect(m.run('d8f1', { st: [f80(1), f80(10)], fcw: 0xf7f }).fsw & 0x220).toBe(0x020); // RC zero
});

test('a pseudo-denormal counts as the number of exponent 1 that it is, and signals DE', () => {
  const pseudo: F80 = [0, 1n << 63n];
  const sum = m.run('d8c1', { st: [pseudo, [1, 1n << 63n]] });
  expect([sum.st[0], sum.fsw & 0x3f]).toEqual([[2, 1n << 63n], 2]);
  const product = m.run('d8c9', { st: [pseudo, [0x4000, 1n << 63n]] }); // by two
  expect([product.st[0], product.fsw & 0x3f]).toEqual([[2, 1n << 63n], 2]);
});

test('masked underflow gives a denormal with UE and PE; unmasked underflow adds 24576 to the exponent', () => {
  const tiny: F80 = [2, 0xc000_0000_0000_0001n];
  const masked = m.run('d8c9', { st: [tiny, f80(0.125)] });
  expect(masked.st[0]).toEqual([0, 0x3000_0000_0000_0000n]);
  expect(masked.fsw & 0x3f).toBe(0x30);
  const unmasked = m.run('d8c9', { st: [tiny, f80(0.125)], fcw: 0x36f });
  expect(unmasked.st[0]).toEqual([2 - 3 + 24576, 0xc000_0000_0000_0001n]);
  expect(unmasked.fsw & 0x90).toBe(0x90);
});

test('masked overflow gives infinity or the largest number by RC', () => {
  const huge: F80 = [0x7ffe, 0x8000_0000_0000_0000n];
  expect(m.run('d8c9', { st: [huge, f80(4)] }).st[0]).toEqual(INFINITY);
  expect(m.run('d8c9', { st: [huge, f80(4)], fcw: 0xf7f }).st[0]).toEqual([0x7ffe, 0xffff_ffff_ffff_ffffn]);
  expect(m.run('d8c9', { st: [huge, f80(4)], fcw: 0xc7f }).st[0]).toEqual([0x7ffe, 0xffff_ff00_0000_0000n]); // 24 bits
});

test('FXAM names the class in C3 C2 C0 and the sign in C1', () => {
  const classOf = (st: F80[]): number => m.run('d9e5', { st }).fsw & 0x4700;
  expect(classOf([[0x3fff, 1n]])).toBe(0); //           unsupported
  expect(classOf([INDEFINITE])).toBe(0x300); //         NaN, negative
  expect(classOf([f80(1)])).toBe(0x400);
  expect(classOf([INFINITY])).toBe(0x500);
  expect(classOf([f80(-0)])).toBe(0x4200);
  expect(classOf([])).toBe(0x4100); //                  empty
  expect(classOf([[0, 1n]])).toBe(0x4400); //           denormal
});

test('FCOM is invalid for a QNaN, FUCOM is not; FCOMI sets ZF PF CF', () => {
  const qnan: F80 = [0x7fff, 0xc000_0000_0000_0000n];
  expect(m.run('d8d1', { st: [f80(1), qnan] }).fsw & 0x4701).toBe(0x4501);
  expect(m.run('dde1', { st: [f80(1), qnan] }).fsw & 0x4701).toBe(0x4500);
  expect(m.run('dbf1', { st: [f80(1), f80(2)] }).status).toBe(0x01);
  expect(m.run('dbf1', { st: [f80(2), f80(2)] }).status).toBe(0x40);
  expect(m.run('dbe9', { st: [f80(2), qnan] }).status).toBe(0x45);
});

test('FIST rounds by RC and stores the integer indefinite with IE when the value does not fit', () => {
  const store = (value: number, rc: number): number => m.run('df1f', { st: [f80(value)], fcw: 0x37f | (rc << 10) }).memory.readInt16LE(0);
  expect([0, 1, 2, 3].map((rc) => store(2.5, rc))).toEqual([2, 2, 3, 2]);
  expect([0, 1, 2, 3].map((rc) => store(-2.5, rc))).toEqual([-2, -3, -2, -2]);
  expect(store(32767.5, 0)).toBe(-32768);
  expect(store(-32768.5, 0)).toBe(-32768);
  expect(m.run('df1f', { st: [f80(40000)] }).fsw & 0x3f).toBe(1);
  expect(m.run('df0f', { st: [f80(2.9)] }).memory.readInt16LE(0)).toBe(2); // FISTTP
});

test('FILD and FISTP carry every 64-bit integer unchanged', () => {
  fc.assert(fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (value) => {
    const memory = Buffer.alloc(16);
    memory.writeBigInt64LE(value, 0);
    expect(m.run('df2f df7f08', { memory }).memory.readBigInt64LE(8)).toBe(value);
  }), { seed: 5, numRuns: 100 });
});

test('FBSTP stores eighteen digits and a sign; FBLD reads them back', () => {
  const o = m.run('df37', { st: [f80(-1234567890123)] });
  expect(o.memory.subarray(0, 10).toString('hex')).toBe('23018967452301000080');
  expect(toNumber(m.run('df27', { memory: o.memory.subarray(0, 10) }).st[0]!)).toBe(-1234567890123);
  expect(m.run('df37', { st: [f80(1e18)] }).memory.subarray(0, 10).toString('hex')).toBe('00000000000000c0ffff');
});

test('FPREM leaves the remainder and the low quotient bits in C0 C3 C1; a distance of 64 and more is partial', () => {
  const o = m.run('d9f8', { st: [f80(17), f80(5)] });
  expect(toNumber(o.st[0]!)).toBe(2);
  expect(o.fsw & 0x4700).toBe(0x0200 | 0x4000); // quotient 3
  expect(toNumber(m.run('d9f5', { st: [f80(18), f80(5)] }).st[0]!)).toBe(-2); // FPREM1: quotient 4
  expect(m.run('d9f8', { st: [f80(2 ** 80), f80(3)] }).fsw & 0x400).toBe(0x400);
});

test('FSCALE multiplies by a power of two, FXTRACT takes exponent and significand apart', () => {
  expect(toNumber(m.run('d9fd', { st: [f80(3), f80(4.9)] }).st[0]!)).toBe(48);
  const o = m.run('d9f4', { st: [f80(-48)] });
  expect(o.st.slice(0, 2).map((v) => toNumber(v!))).toEqual([-1.5, 5]);
});

test.each([
  ['FSCALE by zero', 'd9fd', f80(0)], ['FPREM by infinity', 'd9f8', INFINITY], ['FPREM1 by infinity', 'd9f5', INFINITY],
])('%s returns a denormal as it is, which is an underflow only when that is unmasked', (_, code, by) => {
  const denormal: F80 = [0, 0x5555n << 48n];
  const masked = m.run(code, { st: [denormal, by] });
  expect([masked.st[0], masked.fsw & 0x3f]).toEqual([denormal, 0x02]);
  const unmasked = m.run(code, { st: [denormal, by], fcw: 0x36f });
  expect([unmasked.st[0], unmasked.fsw & 0x3f]).toEqual([[0x6000, 0xaaaan << 48n], 0x12]); // exponent 24576 higher
});

test('FPTAN of the smallest normal number is not below it, FSIN is: UE by the direction of rounding', () => {
  const smallest: F80 = [1, 1n << 63n];
  const largestDenormal: F80 = [0, (1n << 63n) - 1n];
  for (const fcw of [0x37f, 0x77f, 0xb7f, 0xf7f]) {
    expect(m.run('d9f2', { st: [smallest], fcw }).fsw & 0x3f, `FPTAN, FCW ${fcw.toString(16)}`).toBe(0x20);
  }
  for (const fcw of [0x37f, 0xb7f]) {
    const o = m.run('d9fe', { st: [smallest], fcw });
    expect([o.st[0], o.fsw & 0x3f]).toEqual([smallest, 0x20]);
  }
  for (const fcw of [0x77f, 0xf7f]) {
    const o = m.run('d9fe', { st: [smallest], fcw });
    expect([o.st[0], o.fsw & 0x3f]).toEqual([largestDenormal, 0x30]);
  }
});

test('FSCALE beyond every exponent overflows to infinity when overflow is unmasked, whatever RC says', () => {
  expect(m.run('d9fd', { st: [f80(1), f80(1e9)], fcw: 0xf77 }).st[0]).toEqual(INFINITY);
  expect(m.run('d9fd', { st: [f80(1), f80(1e9)], fcw: 0xf7f }).st[0]).toEqual([0x7ffe, 0xffff_ffff_ffff_ffffn]);
});

test('sine, cosine and tangent of arguments from 2^63 on set C2 and leave the operand', () => {
  for (const code of ['d9fe', 'd9ff', 'd9fb', 'd9f2']) {
    const o = m.run(code, { st: [f80(2 ** 63)] });
    expect(o.fsw & 0x400).toBe(0x400);
    expect(o.st[0]).toEqual(f80(2 ** 63));
    expect(o.top).toBe(7);
  }
});

test('transcendental functions agree with known values to the last bit of a double', () => {
  const near = (code: string, st: number[], expected: number): void => {
    expect(toNumber(m.run(code, { st: st.map(f80) }).st[0]!)).toBeCloseTo(expected, 14);
  };
  near('d9fe', [1], Math.sin(1));
  near('d9ff', [3], Math.cos(3));
  near('d9f2 ddd8', [0.7], Math.tan(0.7));
  near('d9f3', [-1, -1], -2.356194490192345);
  near('d9f3', [2, 1], Math.atan2(1, 2));
  near('d9f0', [0.5], Math.SQRT2 - 1);
  near('d9f1', [10, 1], Math.log2(10));
  near('d9f9', [0.25, 2], 2 * Math.log2(1.25));
});

test('argument reduction uses the 66-bit pi of the hardware', () => {
  // sin of the double extended pi: with an exact pi it would be -5.016e-20
  expect(toNumber(m.run('d9eb d9fe').st[0]!)).toBe(-5.421010862427522e-20);
});

test('FNSTENV works out full tags, FNSAVE initialises, FRSTOR brings everything back', () => {
  const st = [f80(0), INFINITY, f80(3)];
  const saved = m.run('dd37', { st, fcw: 0x27f });
  expect(saved.fcw).toBe(0x37f);
  expect(saved.tags).toBe(0xffff);
  expect(saved.memory.readUInt32LE(0)).toBe(0xffff027f);
  expect(saved.memory.readUInt32LE(8)).toBe(0xffff_0000 + 0b00_10_01_11_11_11_11_11);
  const back = m.run('dd27', { memory: saved.memory.subarray(0, 108) });
  expect(back.st.slice(0, 3)).toEqual(st);
  expect(back.st.slice(3)).toEqual([null, null, null, null, null]);
  expect(back.fcw).toBe(0x27f);
});

test('the 16-bit environment has 14 bytes', () => {
  const o = m.run('66d937', { st: [f80(1)], memory: new Uint8Array(32).fill(0xaa) });
  expect(o.memory.readUInt16LE(0)).toBe(0x37f);
  expect(o.memory.readUInt16LE(4)).toBe(0x3fff);
  expect(o.memory[14]).toBe(0xaa);
});

test('FXSAVE and FXRSTOR carry the state and refuse an address that is not a multiple of 16, and reserved MXCSR bits', () => {
  const st = [f80(1), f80(-2)];
  const saved = m.run('0fae07', { st, fcw: 0x27f });
  expect(saved.memory.readUInt16LE(0)).toBe(0x27f);
  expect(saved.memory[4]).toBe(0b1100_0000);
  expect(saved.memory.readUInt32LE(28)).toBe(0xffff);
  expect(m.run('0fae0f', { memory: saved.memory.subarray(0, 512) }).st.slice(0, 3)).toEqual([...st, null]);
  expect(m.run('0fae4701').vector).toBe(13);
  const bad = Buffer.from(saved.memory.subarray(0, 512));
  bad.writeUInt32LE(0x1_0000, 24);
  expect(m.run('0fae0f', { memory: bad }).vector).toBe(13);
});

test('XSAVE writes XSTATE_BV for what is in use, XRSTOR initialises what it says is not', () => {
  const saved = m.run('0fae27', { st: [f80(1)], rax: 3n });
  expect(saved.memory.readBigUInt64LE(512)).toBe(1n); // XMM registers are zero
  const image = Buffer.from(saved.memory.subarray(0, 576));
  image.writeBigUInt64LE(0n, 512);
  const restored = m.run('d9e8 0fae2f', { memory: image, rax: 3n });
  expect(restored.st[0]).toBeNull();
  expect(restored.fcw).toBe(0x37f);
});

test('XSAVEOPT leaves the bytes of a component in its initial configuration alone', () => {
  const o = m.run('0fae37', { rax: 3n, memory: new Uint8Array(512).fill(0x55) });
  expect(o.memory[160]).toBe(0x55);
  expect(o.memory.readBigUInt64LE(512) & 2n).toBe(0n);
});

test('XRSTOR is #GP for a component outside XCR0, for a compacted image and for reserved header bytes; #UD without OSXSAVE', () => {
  const header = (at: number, value: number): Buffer => { const b = Buffer.alloc(576); b.writeUInt32LE(0x1f80, 24); b[at] = value; return b; };
  expect(m.run('0fae2f', { memory: header(512, 4), rax: 7n }).vector).toBe(13);
  expect(m.run('0fae2f', { memory: header(527, 0x80), rax: 3n }).vector).toBe(13);
  expect(m.run('0fae2f', { memory: header(528, 1), rax: 3n }).vector).toBe(13);
  expect(m.run('0fae2f', { memory: header(512, 3), rax: 3n }).vector).toBeUndefined();
  expect(m.run('0fae2f', { memory: header(512, 3), rax: 3n, cr4: 0x620n }).vector).toBe(6);
});
