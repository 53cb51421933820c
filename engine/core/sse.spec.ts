import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { fromRegister, register, SseMachine } from './sse_test_machine.ts';

let machine: SseMachine;
beforeAll(async () => { machine = await SseMachine.create(); });

type Lane = 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64' | 'u64';
const widthOf = (lane: Lane) => Number(lane.slice(1)) / 8;

/** Lanes as numbers (64-bit ones too: all arithmetic below is on BigInt). */
function read(v: Uint8Array, lane: Lane): bigint[] {
  const size = widthOf(lane);
  return Array.from({ length: 16 / size }, (_, i) => {
    let x = 0n;
    for (let k = size - 1; k >= 0; k -= 1) x = x << 8n | BigInt(v[i * size + k]);
    return lane[0] === 'i' ? BigInt.asIntN(size * 8, x) : x;
  });
}
function write(values: bigint[], size: number): string {
  const v = new Uint8Array(16);
  values.forEach((x, i) => { for (let k = 0; k < size; k += 1) v[i * size + k] = Number(BigInt.asUintN(64, x) >> BigInt(8 * k) & 0xffn); });
  return fromRegister(v);
}
const clamp = (x: bigint, lane: Lane): bigint => {
  const bits = BigInt(widthOf(lane) * 8);
  const [low, high] = lane[0] === 'i' ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
  return x < low ? low : x > high ? high : x;
};
const abs = (x: bigint) => (x < 0n ? -x : x);
const sign = (a: bigint, b: bigint) => (b < 0n ? -a : b === 0n ? 0n : a);

/** name, lane, what one lane becomes */
const laneWise: Array<[string, Lane, (a: bigint, b: bigint) => bigint]> = [];
for (const [suffix, bits] of [['B', 8], ['W', 16], ['D', 32], ['Q', 64]] as const) {
  const i = `i${bits}` as Lane;
  const x = bits === 64 ? '_XMM' : '_XMM';
  laneWise.push([`PADD${suffix}${x}`, i, (a, b) => a + b], [`PSUB${suffix}${x}`, i, (a, b) => a - b]);
  laneWise.push([bits === 64 ? 'PCMPEQQ' : `PCMPEQ${suffix}_XMM`, i, (a, b) => (a === b ? -1n : 0n)]);
  laneWise.push([bits === 64 ? 'PCMPGTQ' : `PCMPGT${suffix}_XMM`, i, (a, b) => (a > b ? -1n : 0n)]);
}
for (const [suffix, bits] of [['B', 8], ['W', 16]] as const) {
  const i = `i${bits}` as Lane;
  const u = `u${bits}` as Lane;
  laneWise.push(
    [`PADDS${suffix}_XMM`, i, (a, b) => clamp(a + b, i)], [`PSUBS${suffix}_XMM`, i, (a, b) => clamp(a - b, i)],
    [`PADDUS${suffix}_XMM`, u, (a, b) => clamp(a + b, u)], [`PSUBUS${suffix}_XMM`, u, (a, b) => clamp(a - b, u)],
    [`PAVG${suffix}_XMM`, u, (a, b) => (a + b + 1n) >> 1n],
  );
}
for (const [suffix, bits, signed, unsigned] of [['B', 8, '', '_XMM'], ['W', 16, '_XMM', ''], ['D', 32, '', '']] as const) {
  laneWise.push(
    [`PMINS${suffix}${signed}`, `i${bits}`, (a, b) => (a < b ? a : b)], [`PMAXS${suffix}${signed}`, `i${bits}`, (a, b) => (a > b ? a : b)],
    [`PMINU${suffix}${unsigned}`, `u${bits}`, (a, b) => (a < b ? a : b)], [`PMAXU${suffix}${unsigned}`, `u${bits}`, (a, b) => (a > b ? a : b)],
    [`PSIGN${suffix}_XMM`, `i${bits}`, sign], [`PABS${suffix}_XMM`, `i${bits}`, (_a, b) => abs(b)],
  );
}
laneWise.push(
  ['PMULLW_XMM', 'i16', (a, b) => a * b], ['PMULHW_XMM', 'i16', (a, b) => (a * b) >> 16n], ['PMULHUW_XMM', 'u16', (a, b) => (a * b) >> 16n],
  ['PMULHRSW_XMM', 'i16', (a, b) => (((a * b) >> 14n) + 1n) >> 1n], ['PMULLD', 'i32', (a, b) => a * b],
  ['PMULUDQ_XMM', 'u64', (a, b) => (a & 0xffffffffn) * (b & 0xffffffffn)], ['PMULDQ', 'u64', (a, b) => BigInt.asIntN(32, a) * BigInt.asIntN(32, b)],
  ['PAND_XMM', 'u64', (a, b) => a & b], ['PANDN_XMM', 'u64', (a, b) => ~a & b], ['POR_XMM', 'u64', (a, b) => a | b], ['PXOR_XMM', 'u64', (a, b) => a ^ b],
  ['ANDPS', 'u64', (a, b) => a & b], ['ANDNPD', 'u64', (a, b) => ~a & b], ['ORPD', 'u64', (a, b) => a | b], ['XORPS', 'u64', (a, b) => a ^ b],
);

const edge = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff);
const vector = fc.array(fc.oneof(edge, fc.integer({ min: 0, max: 255 })), { minLength: 16, maxLength: 16 }).map((v) => Uint8Array.from(v));
const runs = { seed: 11, numRuns: 60 };

test.each(laneWise)('%s works on each %s by itself', (op, lane, f) => {
  fc.assert(fc.property(vector, vector, (a, b) => {
    const r = machine.run(op, { xmm0: a, xmm1: b });
    const right = read(b, lane);
    expect(fromRegister(r.xmm0)).toBe(write(read(a, lane).map((x, i) => f(x, right[i])), widthOf(lane)));
  }), runs);
});

const half = (v: bigint[], high: boolean) => v.slice(high ? v.length / 2 : 0, high ? undefined : v.length / 2);
const interleave = (a: bigint[], b: bigint[]) => a.flatMap((x, i) => [x, b[i]]);
const neighbours = (v: bigint[], f: (x: bigint, y: bigint) => bigint) => Array.from({ length: v.length / 2 }, (_, i) => f(v[2 * i], v[2 * i + 1]));

/** name, lane read, bytes of a lane written, the whole result from both vectors */
const whole: Array<[string, Lane, number, (a: bigint[], b: bigint[]) => bigint[]]> = [
  ['PUNPCKLBW_XMM', 'u8', 1, (a, b) => interleave(half(a, false), half(b, false))], ['PUNPCKHBW_XMM', 'u8', 1, (a, b) => interleave(half(a, true), half(b, true))],
  ['PUNPCKLWD_XMM', 'u16', 2, (a, b) => interleave(half(a, false), half(b, false))], ['PUNPCKHWD_XMM', 'u16', 2, (a, b) => interleave(half(a, true), half(b, true))],
  ['PUNPCKLDQ_XMM', 'u32', 4, (a, b) => interleave(half(a, false), half(b, false))], ['UNPCKHPS', 'u32', 4, (a, b) => interleave(half(a, true), half(b, true))],
  ['PUNPCKLQDQ', 'u64', 8, (a, b) => [a[0], b[0]]], ['UNPCKHPD', 'u64', 8, (a, b) => [a[1], b[1]]],
  ['PACKSSWB_XMM', 'i16', 1, (a, b) => [...a, ...b].map((x) => clamp(x, 'i8'))], ['PACKUSWB_XMM', 'i16', 1, (a, b) => [...a, ...b].map((x) => clamp(x, 'u8'))],
  ['PACKSSDW_XMM', 'i32', 2, (a, b) => [...a, ...b].map((x) => clamp(x, 'i16'))], ['PACKUSDW', 'i32', 2, (a, b) => [...a, ...b].map((x) => clamp(x, 'u16'))],
  ['PHADDW_XMM', 'i16', 2, (a, b) => neighbours([...a, ...b], (x, y) => x + y)], ['PHADDD_XMM', 'i32', 4, (a, b) => neighbours([...a, ...b], (x, y) => x + y)],
  ['PHADDSW_XMM', 'i16', 2, (a, b) => neighbours([...a, ...b], (x, y) => clamp(x + y, 'i16'))], ['PHSUBW_XMM', 'i16', 2, (a, b) => neighbours([...a, ...b], (x, y) => x - y)],
  ['PHSUBD_XMM', 'i32', 4, (a, b) => neighbours([...a, ...b], (x, y) => x - y)], ['PHSUBSW_XMM', 'i16', 2, (a, b) => neighbours([...a, ...b], (x, y) => clamp(x - y, 'i16'))],
  ['PMADDWD_XMM', 'i16', 4, (a, b) => neighbours(a.map((x, i) => x * b[i]), (x, y) => x + y)],
  ['PMADDUBSW_XMM', 'u8', 2, (a, b) => neighbours(a.map((x, i) => x * BigInt.asIntN(8, b[i])), (x, y) => clamp(x + y, 'i16'))],
  ['PSADBW_XMM', 'u8', 8, (a, b) => { const d = a.map((x, i) => abs(x - b[i])); return [half(d, false), half(d, true)].map((h) => h.reduce((s, x) => s + x)); }],
  ['PSHUFB_XMM', 'u8', 1, (a, b) => b.map((x) => (x & 0x80n ? 0n : a[Number(x & 15n)]))],
  ['PHMINPOSUW', 'u16', 2, (_a, b) => { const least = b.reduce((m, x) => (x < m ? x : m)); return [least, BigInt(b.indexOf(least))]; }],
  ['PMOVSXBW', 'i8', 2, (_a, b) => b.slice(0, 8)], ['PMOVZXBD', 'u8', 4, (_a, b) => b.slice(0, 4)], ['PMOVSXBQ', 'i8', 8, (_a, b) => b.slice(0, 2)],
  ['PMOVSXWD', 'i16', 4, (_a, b) => b.slice(0, 4)], ['PMOVZXWQ', 'u16', 8, (_a, b) => b.slice(0, 2)], ['PMOVSXDQ', 'i32', 8, (_a, b) => b.slice(0, 2)],
];

test.each(whole)('%s rearranges or combines %s lanes as the SDM says', (op, lane, size, f) => {
  fc.assert(fc.property(vector, vector, (a, b) => {
    expect(fromRegister(machine.run(op, { xmm0: a, xmm1: b }).xmm0)).toBe(write(f(read(a, lane), read(b, lane)), size));
  }), runs);
});

const bit = (imm: number, i: number) => (imm >> i & 1) !== 0;
const pick = (v: bigint[], imm: number, i: number) => v[imm >> (2 * i) & 3];
const byImmediate: Array<[string, Lane, number, (a: bigint[], b: bigint[], imm: number) => bigint[]]> = [
  ['PSHUFD', 'u32', 4, (_a, b, imm) => [0, 1, 2, 3].map((i) => pick(b, imm, i))],
  ['PSHUFLW', 'u16', 2, (_a, b, imm) => [...[0, 1, 2, 3].map((i) => pick(b, imm, i)), ...half(b, true)]],
  ['PSHUFHW', 'u16', 2, (_a, b, imm) => [...half(b, false), ...[0, 1, 2, 3].map((i) => pick(half(b, true), imm, i))]],
  ['SHUFPS', 'u32', 4, (a, b, imm) => [0, 1, 2, 3].map((i) => pick(i < 2 ? a : b, imm, i))],
  ['SHUFPD', 'u64', 8, (a, b, imm) => [a[imm & 1], b[imm >> 1 & 1]]],
  ['BLENDPS', 'u32', 4, (a, b, imm) => a.map((x, i) => (bit(imm, i) ? b[i] : x))],
  ['BLENDPD', 'u64', 8, (a, b, imm) => a.map((x, i) => (bit(imm, i) ? b[i] : x))],
  ['PBLENDW', 'u16', 2, (a, b, imm) => a.map((x, i) => (bit(imm, i) ? b[i] : x))],
  ['PALIGNR_XMM', 'u8', 1, (a, b, imm) => Array.from({ length: 16 }, (_, i) => [...b, ...a][i + imm] ?? 0n)],
  ['MPSADBW', 'u8', 2, (a, b, imm) => Array.from({ length: 8 }, (_, i) => [0, 1, 2, 3].reduce((s, k) => s + abs(a[(imm & 4) + i + k] - b[(imm & 3) * 4 + k]), 0n))],
];

test.each(byImmediate)('%s selects %s lanes by every imm8', (op, lane, size, f) => {
  fc.assert(fc.property(vector, vector, fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 255 })), (a, b, imm) => {
    expect(fromRegister(machine.run(op, { xmm0: a, xmm1: b, imm }).xmm0)).toBe(write(f(read(a, lane), read(b, lane), imm), size));
  }), { seed: 11, numRuns: 150 });
});

test('Packed shifts by a register or an immediate give zero, or the sign, beyond the width of the element', () => {
  for (const [op, lane] of [['PSLLW', 'u16'], ['PSLLD', 'u32'], ['PSLLQ', 'u64'], ['PSRLW', 'u16'], ['PSRLD', 'u32'], ['PSRLQ', 'u64'], ['PSRAW', 'i16'], ['PSRAD', 'i32']] as const) {
    const count = fc.oneof(fc.bigInt({ min: 0n, max: 70n }), fc.constantFrom(255n, 1n << 32n, (1n << 64n) - 1n));
    fc.assert(fc.property(vector, count, (a, n) => {
      const shifted = read(a, lane).map((x) => (op[2] === 'L' ? x << (n > 64n ? 64n : n) : x >> (n > 64n ? 64n : n)));
      const expected = write(shifted, widthOf(lane));
      expect(fromRegister(machine.run(`${op}_XMM`, { xmm0: a, xmm1: register(n.toString(16)) }).xmm0)).toBe(expected);
      if (n < 256n) expect(fromRegister(machine.run(`${op}_XMM_IMM`, { xmm1: a, imm: Number(n) }).xmm1)).toBe(expected);
    }), { seed: 11, numRuns: 40 });
  }
});

test('PSLLDQ and PSRLDQ move bytes, sixteen or more clear the register', () => {
  for (const imm of [0, 1, 7, 8, 15, 16, 17, 128, 255]) {
    const a = register('0123456789abcdeffedcba9876543210');
    const value = 0x0123456789abcdeffedcba9876543210n;
    expect(BigInt(`0x${fromRegister(machine.run('PSLLDQ', { xmm1: a, imm }).xmm1)}`)).toBe(BigInt.asUintN(128, value << BigInt(8 * imm)));
    expect(BigInt(`0x${fromRegister(machine.run('PSRLDQ', { xmm1: a, imm }).xmm1)}`)).toBe(value >> BigInt(8 * imm));
  }
});

test('PTEST sets ZF when no bit is common and CF when no bit of the source is missing, and clears the rest', () => {
  const status = (a: string, b: string) => machine.run('PTEST', { xmm0: register(a), xmm1: register(b), flags: 0x8d5 }).status;
  expect(status('f0', '0f')).toBe(0x40);
  expect(status('ff', '0f')).toBe(0x01);
  expect(status('f1', '03')).toBe(0x00);
  expect(status('ff', '00')).toBe(0x41);
});

test('PINSR and PEXTR take the lane number modulo the number of lanes; REX.W makes PINSRD and PEXTRD quadwords', () => {
  const a = register('000102030405060708090a0b0c0d0e0f');
  expect(machine.run('PEXTRW_XMM', { xmm1: a, imm: 9 }).rax).toBe(0x0c0dn);
  expect(machine.run('PEXTRB', { xmm0: a, imm: 0x13 }).rcx).toBe(0x0cn);
  expect(machine.run('PEXTRD', { xmm0: a, imm: 5 }).rcx).toBe(0x08090a0bn);
  expect(machine.run('PEXTRD', { xmm0: a, imm: 3, wide: true }).rcx).toBe(0x0001020304050607n);
  expect(fromRegister(machine.run('PINSRB', { xmm0: a, imm: 15, rcx: 0x1ffn }).xmm0)).toBe('ff0102030405060708090a0b0c0d0e0f');
  expect(fromRegister(machine.run('PINSRW_XMM', { xmm0: a, imm: 8, rcx: 0xabcdn }).xmm0)).toBe('000102030405060708090a0b0c0dabcd');
  expect(fromRegister(machine.run('PINSRD', { xmm0: a, imm: 1, wide: true, rcx: 0x1122334455667788n }).xmm0)).toBe('112233445566778808090a0b0c0d0e0f');
});

test('INSERTPS picks a lane of a register, the only one of memory, and clears by its zero mask', () => {
  const b = register('44444444333333332222222211111111');
  expect(fromRegister(machine.run('INSERTPS', { xmm0: b, xmm1: b, imm: 0x98 }).xmm0)).toBe('00000000333333333333333311111111');
  machine.data.set([0xef, 0xbe, 0xad, 0xde]);
  expect(fromRegister(machine.run('INSERTPS', { xmm0: b, memory: 0, imm: 0xd0 }).xmm0)).toBe('444444443333333' + '3deadbeef11111111');
});

test('MOVMSKPS, MOVMSKPD and PMOVMSKB gather sign bits into a zero-extended register', () => {
  const a = register('80000000000000ff8000000000800000');
  const from = { xmm1: a, rax: 0xffff_ffff_ffff_ffffn };
  expect(machine.run('MOVMSKPS', from).rax).toBe(0xan);
  expect(machine.run('MOVMSKPD', from).rax).toBe(3n);
  expect(machine.run('PMOVMSKB_XMM', from).rax).toBe(0x8184n);
});

test('MOVSS and MOVSD from memory clear the rest of the register, between registers they keep it', () => {
  const ones = register('ffffffffffffffffffffffffffffffff');
  const b = register('11111111222222223333333344444444');
  machine.data.set(b);
  expect(fromRegister(machine.run('MOVSS_LOAD', { xmm0: ones, memory: 0 }).xmm0)).toBe('00000000000000000000000044444444');
  expect(fromRegister(machine.run('MOVSD_LOAD', { xmm0: ones, memory: 0 }).xmm0)).toBe('00000000000000003333333344444444');
  expect(fromRegister(machine.run('MOVSS_LOAD', { xmm0: ones, xmm1: b }).xmm0)).toBe('ffffffffffffffffffffffff44444444');
  expect(fromRegister(machine.run('MOVSD_LOAD', { xmm0: ones, xmm1: b }).xmm0)).toBe('ffffffffffffffff3333333344444444');
  expect(fromRegister(machine.run('MOVQ_XMM_LOAD', { xmm0: ones, xmm1: b }).xmm0)).toBe('00000000000000003333333344444444');
});

test('Stores write exactly their bytes', () => {
  const a = register('0f0e0d0c0b0a09080706050403020100');
  for (const [op, size, from] of [['MOVUPS_STORE', 16, 0], ['MOVDQA_STORE', 16, 0], ['MOVNTDQ', 16, 0], ['MOVSS_STORE', 4, 0], ['MOVSD_STORE', 8, 0], ['MOVLPS_STORE', 8, 0], ['MOVHPD_STORE', 8, 8], ['MOVQ_XMM_STORE', 8, 0]] as const) {
    machine.data.fill(0xee);
    machine.run(op, { xmm0: a, memory: 16 });
    const expected = new Uint8Array(48).fill(0xee);
    expected.set(a.subarray(from, from + size), 16);
    expect(machine.data.slice(0, 48), op).toEqual(expected);
  }
});

test('A 16-byte memory operand off its boundary raises #GP, except for the unaligned moves', () => {
  for (const op of ['MOVAPS_LOAD', 'MOVDQA_STORE', 'MOVNTPS', 'PADDB_XMM', 'ADDPS', 'CVTDQ2PS', 'AESENC', 'PTEST', 'MOVNTDQA']) {
    expect(machine.run(op, { memory: 8 }).vector, op).toBe(13);
    expect(machine.run(op, { memory: 16 }).vector, op).toBe(undefined);
  }
  for (const op of ['MOVUPS_LOAD', 'MOVDQU_STORE', 'LDDQU', 'MOVUPD_LOAD', 'ADDSD', 'MOVDDUP', 'PMOVZXBW', 'CVTDQ2PD']) expect(machine.run(op, { memory: 3 }).vector, op).toBe(undefined);
});

test('CR0.EM or CR4.OSFXSR = 0 makes SSE #UD, CR0.TS #NM; MOVNTI cares for neither', () => {
  for (const op of ['MOVAPS_LOAD', 'PADDB_XMM', 'ADDPS', 'CVTDQ2PS', 'PTEST', 'AESENC']) {
    expect(machine.run(op, { cr0: 0x8001_0037n }).vector, op).toBe(6);
    expect(machine.run(op, { cr4: 0x20n }).vector, op).toBe(6);
    expect(machine.run(op, { cr0: 0x8001_003bn }).vector, op).toBe(7);
  }
  expect(machine.run('MOVNTI', { memory: 0, cr0: 0x8001_003bn, cr4: 0x20n }).vector).toBe(undefined);
});

test('LDMXCSR loads any of the sixteen bits and raises #GP for a reserved one; STMXCSR stores them', () => {
  const view = () => new DataView(machine.data.buffer, machine.data.byteOffset);
  view().setUint32(0, 0xffff, true);
  expect(machine.run('LDMXCSR', { memory: 0 }).mxcsr).toBe(0xffff);
  view().setUint32(0, 0x1_1f80, true);
  const r = machine.run('LDMXCSR', { memory: 0 });
  expect([r.vector, r.mxcsr]).toEqual([13, 0x1f80]);
  machine.run('STMXCSR', { memory: 8, mxcsr: 0x9fc1 });
  expect(view().getUint32(8, true)).toBe(0x9fc1);
});

test('MASKMOVDQU stores the bytes whose mask has bit 7 set to DS:[RDI]', () => {
  machine.data.fill(0);
  machine.run('MASKMOVDQU', { xmm0: register('0f0e0d0c0b0a09080706050403020100'), xmm1: register('80000000007f00000000ff0000008000') });
  expect(Array.from(machine.data.slice(0, 16))).toEqual([0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15]);
});

test('MOVQ2DQ and MOVDQ2Q move between the files and make the transition to MMX', () => {
  const a = machine.run('MOVQ2DQ', { mm1: 0x1122334455667788n, xmm0: register('f'.repeat(32)) });
  expect(fromRegister(a.xmm0)).toBe('00000000000000001122334455667788');
  const b = machine.run('MOVDQ2Q', { xmm1: register('99') });
  expect([b.mm0, b.top, b.ftw]).toEqual([0x99n, 0, 0]);
});
