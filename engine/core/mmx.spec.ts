/** MMX instructions and their effect on the x87 state. SDM vol. 1 chapter 9, vol. 3 chapter 12. */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { DATA, X87Machine, f80 } from './x87_test_machine.ts';

let m: X87Machine;
beforeAll(async () => { m = await X87Machine.create(); });

/** `op mm0, mm1`. */
const run = (code: string, a: bigint, b: bigint): bigint => m.run(`${code}c1`, { mm: [a, b] }).mm[0];
const lanes = (v: bigint, bits: number): bigint[] => Array.from({ length: 64 / bits }, (_, i) => (v >> BigInt(i * bits)) & ((1n << BigInt(bits)) - 1n));
const join = (l: readonly bigint[], bits: number): bigint => l.reduce((v, lane, i) => v | (BigInt.asUintN(bits, lane) << BigInt(i * bits)), 0n);
const clamp = (v: bigint, low: bigint, high: bigint): bigint => (v < low ? low : v > high ? high : v);
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

/** Checks an instruction lane by lane; `signed` operands are taken as two's complement. */
function lanewise(name: string, code: string, bits: number, signed: boolean, of: (a: bigint, b: bigint) => bigint): void {
  test(`${name} works on ${64 / bits} lanes of ${bits} bits`, () => {
    const value = (v: bigint): bigint => (signed ? BigInt.asIntN(bits, v) : v);
    fc.assert(fc.property(u64, u64, (a, b) => {
      const bl = lanes(b, bits);
      expect(run(code, a, b)).toBe(join(lanes(a, bits).map((x, i) => of(value(x), value(bl[i]))), bits));
    }), { seed: 7, numRuns: 60 });
  });
}

lanewise('PADDB', '0ffc', 8, false, (a, b) => a + b);
lanewise('PADDQ', '0fd4', 64, false, (a, b) => a + b);
lanewise('PSUBD', '0ffa', 32, false, (a, b) => a - b);
lanewise('PADDSW', '0fed', 16, true, (a, b) => clamp(a + b, -32768n, 32767n));
lanewise('PADDUSB', '0fdc', 8, false, (a, b) => clamp(a + b, 0n, 255n));
lanewise('PSUBUSW', '0fd9', 16, false, (a, b) => clamp(a - b, 0n, 65535n));
lanewise('PMULLW', '0fd5', 16, true, (a, b) => a * b);
lanewise('PMULHW', '0fe5', 16, true, (a, b) => (a * b) >> 16n);
lanewise('PMULHUW', '0fe4', 16, false, (a, b) => (a * b) >> 16n);
lanewise('PMULHRSW', '0f380b', 16, true, (a, b) => (((a * b) >> 14n) + 1n) >> 1n);
lanewise('PAVGB', '0fe0', 8, false, (a, b) => (a + b + 1n) >> 1n);
lanewise('PMAXSW', '0fee', 16, true, (a, b) => (a > b ? a : b));
lanewise('PMINUB', '0fda', 8, false, (a, b) => (a < b ? a : b));
lanewise('PCMPGTB', '0f64', 8, true, (a, b) => (a > b ? 255n : 0n));
lanewise('PCMPEQD', '0f76', 32, false, (a, b) => (a === b ? 0xffff_ffffn : 0n));
lanewise('PSIGNW', '0f3809', 16, true, (a, b) => (b === 0n ? 0n : b < 0n ? -a : a));
lanewise('PABSD', '0f381e', 32, true, (_, b) => (b < 0n ? -b : b));

test('PSADBW adds the absolute differences of eight bytes into the low word', () => {
  fc.assert(fc.property(u64, u64, (a, b) => {
    const bl = lanes(b, 8);
    expect(run('0ff6', a, b)).toBe(lanes(a, 8).reduce((sum, x, i) => sum + (x > bl[i] ? x - bl[i] : bl[i] - x), 0n));
  }), { seed: 8, numRuns: 60 });
});

test('PACKSSWB, PACKUSWB and PACKSSDW saturate; the destination operand gives the low half', () => {
  expect(run('0f63', 0x7fff_8000_0001_00ffn, 0x0080_ff7f_0002_0003n)).toBe(0x7f80_0203_7f80_017fn);
  expect(run('0f67', 0x7fff_8000_0001_00ffn, 0x0080_ff7f_0002_0003n)).toBe(0x8000_0203_ff00_01ffn);
  expect(run('0f6b', 0x7fff_ffff_8000_0000n, 0x0000_0001_ffff_fffen)).toBe(0x0001_fffe_7fff_8000n);
});

test('PUNPCKL and PUNPCKH interleave low and high halves', () => {
  expect(run('0f60', 0x7766_5544_3322_1100n, 0xffee_ddcc_bbaa_9988n)).toBe(0xbb33_aa22_9911_8800n);
  expect(run('0f69', 0x7766_5544_3322_1100n, 0xffee_ddcc_bbaa_9988n)).toBe(0xffee_7766_ddcc_5544n);
  expect(run('0f62', 0x7766_5544_3322_1100n, 0xffee_ddcc_bbaa_9988n)).toBe(0xbbaa_9988_3322_1100n);
});

test('PUNPCKLBW with a memory operand reads 32 bits: the last four bytes before an unmapped page are enough', () => {
  expect(m.run('0f6007', { mm: [0n], memory: new Uint8Array(8).fill(0x11) }).mm[0]).toBe(0x1100_1100_1100_1100n);
  expect(m.run('0f6087fcff4f00', { mm: [0n] }).vector).toBeUndefined(); // RDI + 0x4ffffc: four bytes before 8 MiB
  expect(m.run('0f6887fcff4f00', { mm: [0n] }).vector).toBe(14); //        PUNPCKHBW reads 64 bits
});

test('a shift count beyond the lane gives zero, or the sign for PSRAW and PSRAD', () => {
  expect(run('0fd1', 0xffff_8000_1234_0001n, 16n)).toBe(0n);
  expect(run('0ff3', 1n, 63n)).toBe(1n << 63n);
  expect(run('0ff3', 1n, 64n)).toBe(0n);
  expect(run('0fe1', 0x8000_7fff_ffff_0001n, 1n << 40n)).toBe(0xffff_0000_ffff_0000n);
  expect(m.run('0f72e0ff', { mm: [0x8000_0000_7fff_ffffn] }).mm[0]).toBe(0xffff_ffff_0000_0000n);
});

test('PSHUFB takes three index bits and zeroes lanes whose index has bit 7 set', () => {
  expect(run('0f3800', 0x0706_0504_0302_0100n, 0x8000_0f08_ff01_0700n)).toBe(0x0000_0700_0001_0700n);
});

test('PALIGNR shifts the pair right by bytes', () => {
  const align = (n: string): bigint => m.run(`0f3a0fc1${n}`, { mm: [0x1716_1514_1312_1110n, 0x0706_0504_0302_0100n] }).mm[0];
  expect(align('00')).toBe(0x0706_0504_0302_0100n);
  expect(align('03')).toBe(0x1211_1007_0605_0403n);
  expect(align('09')).toBe(0x0017_1615_1413_1211n);
  expect(align('10')).toBe(0n);
});

test('PSHUFW, PINSRW, PEXTRW and PMOVMSKB move words and sign bits', () => {
  expect(m.run('0f70c11b', { mm: [0n, 0x3333_2222_1111_0000n] }).mm[0]).toBe(0x0000_1111_2222_3333n);
  expect(m.run('0fc4c002', { mm: [0n], rax: 0xdead_beefn }).mm[0]).toBe(0x0000_beef_0000_0000n);
  expect(m.run('0fc5c103', { mm: [0n, 0x8001_0000_0000_0000n] }).rax).toBe(0x8001n);
  expect(m.run('0fd7c1', { mm: [0n, 0x80ff_0000_7f00_0080n] }).rax).toBe(0b1100_0001n);
});

test('MASKMOVQ writes only the bytes whose mask has bit 7 set', () => {
  const o = m.run('0ff7c1', { mm: [0x1122_3344_5566_7788n, 0x8000_0000_0080_0080n], memory: new Uint8Array(8).fill(0xee) });
  expect(o.memory.subarray(0, 8).toString('hex')).toBe('88ee66eeeeeeee11');
  expect(DATA % 8).toBe(0);
});

test('MOVD zero-extends and MOVQ with REX.W moves 64 bits', () => {
  expect(m.run('0f6ec0', { mm: [0xffff_ffff_ffff_ffffn], rax: 0x1_2345_6789n }).mm[0]).toBe(0x2345_6789n);
  expect(m.run('480f6ec0', { rax: 0x1_2345_6789n }).mm[0]).toBe(0x1_2345_6789n);
  expect(m.run('0f7ec8', { mm: [0n, 0xaaaa_bbbb_cccc_ddddn], rax: 0xffff_ffff_ffff_ffffn }).rax).toBe(0xcccc_ddddn);
});

test('an MMX instruction sets TOP to 0 and all tags to valid, and all ones into the exponent of what it writes', () => {
  const o = m.run('0fefc0', { st: [f80(1), f80(2)] });
  expect(o.top).toBe(0);
  expect(o.tags).toBe(0);
  expect(o.st[0]).toEqual([0xffff, 0n]);
});

test('EMMS empties every register', () => {
  const o = m.run('0fefc0 0f77', { st: [f80(1)] });
  expect(o.tags).toBe(0xffff);
  expect(o.top).toBe(0);
});

test('MMX is #UD with CR0.EM, #NM with CR0.TS, and #MF while an x87 exception is pending', () => {
  expect(m.run('0fefc0', { cr0: 0x8001_0037n }).vector).toBe(6);
  expect(m.run('0fefc0', { cr0: 0x8001_003bn }).vector).toBe(7);
  expect(m.run('0fefc0', { fsw: 0x8084, fcw: 0x37b }).vector).toBe(16);
});
