import { expect, test } from 'vitest';
import { buildEpt, EPT_ARENA_PAGES, gpa2hpa } from './ept.ts';

const MIB = 2 ** 20;
const arena = () => new DataView(new ArrayBuffer(8 * MIB + EPT_ARENA_PAGES * 4096));

test('RAM is linear with an offset; everything else has no translation', () => {
  const ram = arena();
  const eptp = buildEpt(ram, 8 * MIB, [{ gpa: 0, hpa: 2 * MIB, sizeBytes: 4 * MIB }, { gpa: 5 * 1024 * MIB, hpa: 6 * MIB, sizeBytes: 2 * MIB }]);
  expect(gpa2hpa(ram, eptp, 0)).toBe(2 * MIB);
  expect(gpa2hpa(ram, eptp, 4 * MIB - 1)).toBe(6 * MIB - 1);
  expect(gpa2hpa(ram, eptp, 4 * MIB)).toBeUndefined();
  expect(gpa2hpa(ram, eptp, 0xfee0_0000)).toBeUndefined();
  expect(gpa2hpa(ram, eptp, 5 * 1024 * MIB + 0x1234)).toBe(6 * MIB + 0x1234);
  expect(gpa2hpa(ram, eptp, 2 ** 38)).toBeUndefined();
});

test('EPTP says write-back and a four-level walk', () => {
  expect(buildEpt(arena(), 8 * MIB, []) & 0xfff).toBe(0x1e);
});

test('whole 2 MiB are one entry with R, W, X and write-back', () => {
  const ram = arena();
  const eptp = buildEpt(ram, 8 * MIB, [{ gpa: 0, hpa: 2 * MIB, sizeBytes: 2 * MIB }]);
  const pdpt = Number(ram.getBigUint64(eptp & ~0xfff, true) & ~0xfffn);
  const pd = Number(ram.getBigUint64(pdpt, true) & ~0xfffn);
  expect(ram.getBigUint64(pd, true)).toBe(BigInt(2 * MIB) | 0xb7n);
});

test('a tail that is no multiple of 2 MiB is mapped to the page', () => {
  const ram = arena();
  const eptp = buildEpt(ram, 8 * MIB, [{ gpa: 0, hpa: 0, sizeBytes: 2 * MIB + 0x3000 }]);
  expect(gpa2hpa(ram, eptp, 2 * MIB + 0x2fff)).toBe(2 * MIB + 0x2fff);
  expect(gpa2hpa(ram, eptp, 2 * MIB + 0x3000)).toBeUndefined();
});

test('tables and RAM may lie above 2 GiB', () => {
  const words = new Map<number, bigint>();
  const ram = { getBigUint64: (at: number) => words.get(at) ?? 0n, setBigUint64: (at: number, value: bigint) => { words.set(at, value); } };
  const eptp = buildEpt(ram, 0xc000_0000, [{ gpa: 0, hpa: 0x9000_0000, sizeBytes: 4 * MIB }]);
  expect(eptp).toBe(0xc000_001e);
  expect(gpa2hpa(ram, eptp, 0x20_0000)).toBe(0x9020_0000);
});
