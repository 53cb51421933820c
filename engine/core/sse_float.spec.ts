import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { compute, DOUBLE, fromInteger, narrow, SINGLE, toInteger, type Format, type Operation } from './sse_float_model.ts';
import { fromRegister, register, SseMachine } from './sse_test_machine.ts';

let machine: SseMachine;
beforeAll(async () => { machine = await SseMachine.create(); });

const low = (v: Uint8Array, bits: number) => BigInt.asUintN(bits, BigInt(`0x${fromRegister(v)}`));
const reg = (v: bigint) => register(v.toString(16));

/** Numbers of the format with the values that matter drawn often: zeros, denormals, ends of the range, NaNs, integers. */
function numbers(f: Format): fc.Arbitrary<bigint> {
  const top = (1 << (f.bits - 1 - f.fraction)) - 1;
  const exponent = fc.oneof(fc.constantFrom(0, 0, 1, 2, top - 1, top, f.bias, f.bias - f.fraction, f.bias + f.fraction, f.bias >> 1, f.bias + (f.bias >> 1)), fc.integer({ min: f.bias - 40, max: f.bias + 40 }), fc.integer({ min: 0, max: top }));
  const one = 1n << BigInt(f.fraction);
  const fraction = fc.oneof(fc.constantFrom(0n, 0n, 1n, one - 1n, one >> 1n, (one >> 1n) + 1n), fc.bigInt({ min: 0n, max: one - 1n }));
  return fc.tuple(fc.boolean(), exponent, fraction).map(([s, e, m]) => (s ? 1n << BigInt(f.bits - 1) : 0n) | BigInt(e) << BigInt(f.fraction) | m);
}

/** Rounding control, DAZ, FTZ and sticky flags in any state; every exception masked. */
const masked = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.boolean(), fc.boolean(), fc.oneof(fc.constantFrom(0, 0x20), fc.integer({ min: 0, max: 63 })))
  .map(([rc, daz, ftz, flags]) => 0x1f80 | rc << 13 | (daz ? 0x40 : 0) | (ftz ? 0x8000 : 0) | flags);

const runs = { seed: 7, numRuns: 1500 };

for (const [suffix, format] of [['SS', SINGLE], ['SD', DOUBLE]] as const) {
  for (const op of ['ADD', 'SUB', 'MUL', 'DIV', 'SQRT'] satisfies Operation[]) {
    test(`${op}${suffix} rounds, flags and handles NaNs as exact arithmetic says`, () => {
      fc.assert(fc.property(numbers(format), numbers(format), masked, (a, b, mxcsr) => {
        const r = machine.run(op + suffix, { xmm0: reg(a), xmm1: reg(b), mxcsr });
        const model = compute(format, op, a, b, mxcsr);
        expect({ value: low(r.xmm0, format.bits).toString(16), mxcsr: r.mxcsr }).toEqual({ value: model.value.toString(16), mxcsr: mxcsr | model.flags });
      }), runs);
    });
  }

  for (const truncate of [false, true]) {
    const op = `CVT${truncate ? 'T' : ''}${suffix}2SI`;
    test(`${op} gives the integer, or the integer indefinite with IE`, () => {
      fc.assert(fc.property(numbers(format), masked, fc.boolean(), (a, mxcsr, wide) => {
        const r = machine.run(op, { xmm1: reg(a), mxcsr, wide, rax: 0x1122334455667788n });
        const model = toInteger(format, a, wide ? 64 : 32, truncate ? 3 : mxcsr >> 13 & 3, (mxcsr & 0x40) !== 0);
        expect({ rax: r.rax.toString(16), mxcsr: r.mxcsr }).toEqual({ rax: model.value.toString(16), mxcsr: mxcsr | model.flags });
      }), runs);
    });
  }

  test(`CVTSI2${suffix} rounds integers of 32 and 64 bits`, () => {
    fc.assert(fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.integer({ min: 0, max: 63 }), masked, fc.boolean(), (n, shift, mxcsr, wide) => {
      const v = BigInt.asIntN(wide ? 64 : 32, n >> BigInt(shift));
      const r = machine.run(`CVTSI2${suffix}`, { rcx: BigInt.asUintN(64, v), mxcsr, wide });
      const model = fromInteger(format, v, mxcsr);
      expect({ value: low(r.xmm0, format.bits).toString(16), mxcsr: r.mxcsr }).toEqual({ value: model.value.toString(16), mxcsr: mxcsr | model.flags });
    }), runs);
  });
}

test('CVTSD2SS rounds to single precision, denormal and overflowing results included', () => {
  const near = fc.tuple(fc.boolean(), fc.integer({ min: 1023 - 160, max: 1023 + 130 }), fc.bigInt({ min: 0n, max: (1n << 52n) - 1n }))
    .map(([s, e, m]) => (s ? 1n << 63n : 0n) | BigInt(e) << 52n | m);
  fc.assert(fc.property(fc.oneof(numbers(DOUBLE), near), masked, (a, mxcsr) => {
    const r = machine.run('CVTSD2SS', { xmm1: reg(a), mxcsr });
    const model = narrow(a, mxcsr);
    expect({ value: low(r.xmm0, 32).toString(16), mxcsr: r.mxcsr }).toEqual({ value: model.value.toString(16), mxcsr: mxcsr | model.flags });
  }), runs);
});

test('Packed arithmetic is the scalar arithmetic of every lane, flags collected', () => {
  for (const [suffix, scalar, format] of [['PS', 'SS', SINGLE], ['PD', 'SD', DOUBLE]] as const) {
    const count = 128 / format.bits;
    const vector = fc.array(numbers(format), { minLength: count, maxLength: count });
    fc.assert(fc.property(vector, vector, masked, fc.constantFrom('ADD', 'SUB', 'MUL', 'DIV', 'SQRT', 'MIN', 'MAX'), (a, b, mxcsr, op) => {
      const join = (lanes: bigint[]) => reg(lanes.reduceRight((v, x) => v << BigInt(format.bits) | x, 0n));
      const packed = machine.run(op + suffix, { xmm0: join(a), xmm1: join(b), mxcsr });
      const each = a.map((x, i) => machine.run(op + scalar, { xmm0: reg(x), xmm1: reg(b[i]), mxcsr }));
      expect(fromRegister(packed.xmm0)).toBe(fromRegister(join(each.map((r) => low(r.xmm0, format.bits)))));
      expect(packed.mxcsr).toBe(each.reduce((m, r) => m | r.mxcsr, mxcsr));
    }), { seed: 7, numRuns: 400 });
  }
});

test('A scalar instruction leaves the upper part of its destination alone', () => {
  const r = machine.run('ADDSD', { xmm0: register('0123456789abcdef3ff0000000000000'), xmm1: register('4000000000000000') });
  expect(fromRegister(r.xmm0)).toBe('0123456789abcdef4008000000000000');
});

test('Of two NaN operands the first is returned, made quiet; a signaling one sets IE', () => {
  const r = machine.run('MULSD', { xmm0: register('7ff8000000000111'), xmm1: register('7ff0000000000222') });
  expect(fromRegister(r.xmm0)).toBe('00000000000000007ff8000000000111');
  expect(r.mxcsr).toBe(0x1f81);
});

test('MINSD and MAXSD return the second operand for NaNs and for two zeros', () => {
  for (const op of ['MINSD', 'MAXSD']) {
    expect(low(machine.run(op, { xmm0: register('7ff8000000000001'), xmm1: register('3ff0000000000000') }).xmm0, 64)).toBe(0x3ff0000000000000n);
    expect(low(machine.run(op, { xmm0: register('3ff0000000000000'), xmm1: register('7ff0000000000001') }).xmm0, 64)).toBe(0x7ff0000000000001n);
    expect(low(machine.run(op, { xmm0: register('0'), xmm1: register('8000000000000000') }).xmm0, 64)).toBe(0x8000000000000000n);
  }
});

test('UCOMISD tells unordered, greater, less and equal in ZF, PF and CF and clears OF, SF and AF', () => {
  const status = (a: string, b: string) => machine.run('UCOMISD', { xmm0: register(a), xmm1: register(b), flags: 0x8d5 }).status;
  expect(status('7ff8000000000000', '3ff0000000000000')).toBe(0x45);
  expect(status('4000000000000000', '3ff0000000000000')).toBe(0x00);
  expect(status('3ff0000000000000', '4000000000000000')).toBe(0x01);
  expect(status('8000000000000000', '0')).toBe(0x40);
});

test('COMISD is invalid for a quiet NaN, UCOMISD is not', () => {
  const nan = { xmm0: register('7ff8000000000000') };
  expect(machine.run('COMISD', nan).mxcsr & 1).toBe(1);
  expect(machine.run('UCOMISD', nan).mxcsr & 1).toBe(0);
});

test('CMPPD has the eight predicates EQ LT LE UNORD NEQ NLT NLE ORD, of which LT LE NLT NLE signal for quiet NaNs', () => {
  const masks = (a: string, b: string) => [0, 1, 2, 3, 4, 5, 6, 7].map((imm) => (low(machine.run('CMPPD', { xmm0: register(a), xmm1: register(b), imm }).xmm0, 64) === 0n ? 0 : 1));
  expect(masks('3ff0000000000000', '3ff0000000000000')).toEqual([1, 0, 1, 0, 0, 1, 0, 1]);
  expect(masks('3ff0000000000000', '4000000000000000')).toEqual([0, 1, 1, 0, 1, 0, 0, 1]);
  expect(masks('4000000000000000', '3ff0000000000000')).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  expect(masks('7ff8000000000000', '3ff0000000000000')).toEqual([0, 0, 0, 1, 1, 1, 1, 0]);
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((imm) => machine.run('CMPPD', { xmm0: register('7ff8000000000000'), imm }).mxcsr & 1)).toEqual([0, 1, 1, 0, 0, 1, 1, 0]);
});

test('An unmasked exception raises #XM before the destination changes, #UD without CR4.OSXMMEXCPT', () => {
  const divide = { xmm0: register('3ff0000000000000'), xmm1: register('0'), mxcsr: 0x1d80 }; // ZM clear
  const r = machine.run('DIVSD', divide);
  expect(r.vector).toBe(19);
  expect(low(r.xmm0, 64)).toBe(0x3ff0000000000000n);
  expect(r.mxcsr).toBe(0x1d84);
  expect(machine.run('DIVSD', { ...divide, cr4: 0x220n }).vector).toBe(6);
});

test('An unmasked invalid operation of one lane keeps the other lanes from flagging overflow and precision', () => {
  const r = machine.run('MULPD', { xmm0: register('7fefffffffffffff7ff0000000000001'), xmm1: register('7fefffffffffffff3ff0000000000000'), mxcsr: 0x1f00 }); // IM clear
  expect(r.vector).toBe(19);
  expect(r.mxcsr).toBe(0x1f01);
});

test('ROUNDSD takes its mode from imm8 or MXCSR and can suppress PE', () => {
  const round = (imm: number, mxcsr = 0x1f80) => machine.run('ROUNDSD', { xmm1: register('4004000000000000'), imm, mxcsr }); // 2.5
  expect(low(round(0).xmm0, 64)).toBe(0x4000000000000000n);
  expect(low(round(1).xmm0, 64)).toBe(0x4000000000000000n);
  expect(low(round(2).xmm0, 64)).toBe(0x4008000000000000n);
  expect(low(round(4, 0x5f80).xmm0, 64)).toBe(0x4008000000000000n);
  expect(round(0).mxcsr & 0x20).toBe(0x20);
  expect(round(8).mxcsr & 0x20).toBe(0);
});

test('DPPS multiplies the lanes in imm8 bits 7:4 and writes the sum to the lanes in bits 3:0', () => {
  const r = machine.run('DPPS', { xmm0: register('4080000040400000400000003f800000'), xmm1: register('41200000412000004120000041200000'), imm: 0xb5 }); // (1+2+4)*10
  expect(fromRegister(r.xmm0)).toBe('00000000428c000000000000428c0000');
});

test('HADDPS and HSUBPD combine neighbours, ADDSUBPS alternates', () => {
  const a = register('4080000040400000400000003f800000'); // 4 3 2 1
  expect(fromRegister(machine.run('HADDPS', { xmm0: a, xmm1: a }).xmm0)).toBe('40e000004040000040e0000040400000');
  expect(fromRegister(machine.run('HSUBPD', { xmm0: register('3ff00000000000004000000000000000'), xmm1: register('40080000000000004000000000000000') }).xmm0)).toBe('bff00000000000003ff0000000000000');
  expect(fromRegister(machine.run('ADDSUBPS', { xmm0: a, xmm1: a }).xmm0)).toBe('41000000000000004080000000000000');
});

test('RCPPS and RSQRTPS stay within 1.5 * 2^-12 of the exact value', () => {
  fc.assert(fc.property(fc.float({ min: Math.fround(1e-37), max: Math.fround(1e37), noNaN: true }), (x) => {
    const v = new Uint8Array(16);
    new DataView(v.buffer).setFloat32(0, x, true);
    const of = (op: string) => new DataView(machine.run(op, { xmm1: v }).xmm0.buffer).getFloat32(0, true);
    expect(Math.abs(of('RCPSS') * x - 1)).toBeLessThanOrEqual(1.5 * 2 ** -12);
    expect(Math.abs(of('RSQRTSS') * Math.sqrt(x) - 1)).toBeLessThanOrEqual(1.5 * 2 ** -12);
  }), { seed: 3, numRuns: 500 });
});

test('CVTPI2PS and CVTPI2PD from an MMX register make the transition to MMX: TOP 0, all tags valid; from memory they do not', () => {
  const r = machine.run('CVTPI2PS', { mm1: 0xffff_fffe_0000_0003n });
  expect(low(r.xmm0, 64)).toBe(0xc000_0000_4040_0000n);
  expect([r.top, r.ftw]).toEqual([0, 0]);
  machine.data.set(new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0]));
  const m = machine.run('CVTPI2PD', { memory: 0 });
  expect(fromRegister(m.xmm0)).toBe('40000000000000003ff0000000000000');
  expect([m.top, m.ftw]).toEqual([3, 0xffff]);
  expect(machine.run('CVTPI2PS', { memory: 0 }).top).toBe(3);
});

test('CVTPS2PI makes the transition to MMX even when it raises #XM', () => {
  const r = machine.run('CVTPS2PI', { xmm1: register('7fc00000'), mxcsr: 0x1f00, mm0: 5n }); // NaN, IM clear
  expect([r.vector, r.top, r.ftw, r.mm0]).toEqual([19, 0, 0, 5n]);
});
