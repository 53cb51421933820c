import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { fromRegister, SseMachine } from './sse_test_machine.ts';

let machine: SseMachine;
beforeAll(async () => { machine = await SseMachine.create(); });

const text = (s: string) => { const v = new Uint8Array(16); v.set(new TextEncoder().encode(s)); return v; };
const CF = 0x001; const ZF = 0x040; const SF = 0x080; const OF = 0x800;

/** The four aggregations as the tables of SDM vol. 2, 4.1 spell them out, one pair of elements at a time. */
function model(a: Uint8Array, b: Uint8Array, lengthA: number, lengthB: number, imm: number): number {
  const n = imm & 1 ? 8 : 16;
  const view = (v: Uint8Array, i: number) => {
    const d = new DataView(v.buffer, v.byteOffset);
    if (imm & 1) return imm & 2 ? d.getInt16(i * 2, true) : d.getUint16(i * 2, true);
    return imm & 2 ? d.getInt8(i) : d.getUint8(i);
  };
  const mode = imm >> 2 & 3;
  /** BoolRes[j][i] after the override of invalid elements (table 4-7). */
  const compare = (i: number, j: number): boolean => {
    const validA = i < lengthA;
    const validB = j < lengthB;
    const x = view(a, i);
    const y = view(b, j);
    const raw = mode === 1 ? (i % 2 === 0 ? y >= x : y <= x) : x === y;
    if (validA && validB) return raw;
    if (mode === 0 || mode === 1) return false;
    if (mode === 2) return !validA && !validB;
    return !validA;
  };
  let result = 0;
  for (let j = 0; j < n; j += 1) {
    let bit = false;
    if (mode === 0) for (let i = 0; i < n; i += 1) bit ||= compare(i, j);
    if (mode === 1) for (let i = 0; i < n; i += 2) bit ||= compare(i, j) && compare(i + 1, j);
    if (mode === 2) bit = compare(j, j);
    if (mode === 3) { bit = true; for (let i = 0; i < n - j; i += 1) bit &&= compare(i, j + i); }
    if (bit) result |= 1 << j;
  }
  if (!(imm & 0x10)) return result;
  for (let j = 0; j < n; j += 1) if (!(imm & 0x20) || j < lengthB) result ^= 1 << j;
  return result;
}

const implicit = (v: Uint8Array, words: boolean) => {
  for (let i = 0; i < (words ? 8 : 16); i += 1) if (words ? v[i * 2] === 0 && v[i * 2 + 1] === 0 : v[i] === 0) return i;
  return words ? 8 : 16;
};

function expected(result: number, lengthA: number, lengthB: number, imm: number) {
  const n = imm & 1 ? 8 : 16;
  const bits = Array.from({ length: n }, (_, i) => result >> i & 1);
  const first = bits.indexOf(1);
  const index = first < 0 ? n : imm & 0x40 ? bits.lastIndexOf(1) : first;
  const mask = new Uint8Array(16);
  if (imm & 0x40) for (let i = 0; i < 16; i += 1) mask[i] = bits[imm & 1 ? i >> 1 : i] ? 0xff : 0;
  else new DataView(mask.buffer).setUint32(0, result, true);
  const status = (result ? CF : 0) | (lengthB < n ? ZF : 0) | (lengthA < n ? SF : 0) | (result & 1 ? OF : 0);
  return { index, mask: fromRegister(mask), status };
}

// Few distinct values, so that elements meet.
const vector = fc.array(fc.constantFrom(0, 0, 1, 0x61, 0x62, 0x7f, 0x80, 0xff), { minLength: 16, maxLength: 16 }).map((v) => Uint8Array.from(v));

test('PCMPISTRI and PCMPISTRM follow the tables for every imm8', () => {
  fc.assert(fc.property(vector, vector, fc.integer({ min: 0, max: 127 }), (a, b, imm) => {
    const lengths = [implicit(a, (imm & 1) !== 0), implicit(b, (imm & 1) !== 0)] as const;
    const e = expected(model(a, b, ...lengths, imm), ...lengths, imm);
    const i = machine.run('PCMPISTRI', { xmm0: a, xmm1: b, imm, flags: 0x8d5 });
    const m = machine.run('PCMPISTRM', { xmm0: a, xmm1: b, imm });
    expect({ index: Number(i.rcx), mask: fromRegister(m.xmm0), status: i.status }).toEqual(e);
    expect(m.status).toBe(e.status);
  }), { seed: 5, numRuns: 2000 });
});

test('PCMPESTRI and PCMPESTRM take |EAX| and |EDX|, or with REX.W |RAX| and |RDX|, at most the elements there are', () => {
  const length = fc.oneof(fc.integer({ min: -20, max: 20 }).map(BigInt), fc.constantFrom(-(1n << 63n), 1n << 32n, (1n << 32n) + 3n, -(1n << 31n)));
  fc.assert(fc.property(vector, vector, length, length, fc.boolean(), fc.integer({ min: 0, max: 127 }), (a, b, rax, rdx, wide, imm) => {
    const n = imm & 1 ? 8n : 16n;
    const lengths = [rax, rdx].map((v) => { const x = BigInt.asIntN(wide ? 64 : 32, v); const m = x < 0n ? -x : x; return Number(m > n ? n : m); }) as [number, number];
    const e = expected(model(a, b, ...lengths, imm), ...lengths, imm);
    const registers = { rax: BigInt.asUintN(64, rax), rdx: BigInt.asUintN(64, rdx), wide, imm, xmm0: a, xmm1: b };
    const i = machine.run('PCMPESTRI', registers);
    expect({ index: Number(i.rcx), mask: fromRegister(machine.run('PCMPESTRM', registers).xmm0), status: i.status }).toEqual(e);
  }), { seed: 5, numRuns: 2000 });
});

test('Equal any finds the first character of a set (strpbrk)', () => {
  const r = machine.run('PCMPISTRI', { xmm0: text('!?.'), xmm1: text('hello. there!'), imm: 0x00 });
  expect([Number(r.rcx), r.status]).toEqual([5, CF | ZF | SF]);
});

test('Ranges finds the first character outside of A-Z and a-z with negative polarity', () => {
  const r = machine.run('PCMPISTRI', { xmm0: text('AZaz'), xmm1: text('Debian12'), imm: 0x14 });
  expect(Number(r.rcx)).toBe(6);
});

test('Equal each with negative polarity finds the first difference (strcmp)', () => {
  expect(Number(machine.run('PCMPISTRI', { xmm0: text('kernel'), xmm1: text('kernal'), imm: 0x18 }).rcx)).toBe(4);
  const same = machine.run('PCMPISTRI', { xmm0: text('kernel'), xmm1: text('kernel'), imm: 0x18 });
  expect([Number(same.rcx), same.status]).toEqual([16, ZF | SF]);
  // Masked negative polarity leaves the positions past the second string's end as they were: equal.
  expect(Number(machine.run('PCMPISTRI', { xmm0: text('kernel'), xmm1: text('kernel'), imm: 0x38 }).rcx)).toBe(6);
});

test('Equal ordered finds a substring, also one that begins at the end of the register (strstr)', () => {
  expect(Number(machine.run('PCMPISTRI', { xmm0: text('sos'), xmm1: text('the sos console'), imm: 0x0c }).rcx)).toBe(4);
  expect(Number(machine.run('PCMPISTRI', { xmm0: text('xyz'), xmm1: text('aaaaaaaaaaaaaaxy'), imm: 0x0c }).rcx)).toBe(14);
});

test('The memory operand of a string comparison may be unaligned', () => {
  machine.data.set(text('hello. there!'), 7);
  const r = machine.run('PCMPISTRI', { xmm0: text('!?.'), memory: 7, imm: 0x00 });
  expect([Number(r.rcx), r.vector]).toEqual([5, undefined]);
});
