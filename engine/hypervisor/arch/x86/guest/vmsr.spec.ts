import { expect, test } from 'vitest';
import fc from 'fast-check';
import { mockShared, mockVm } from '../../../mock.ts';
import { Vlapic } from './vlapic.ts';
import { Vmsr, type MsrPort } from './vmsr.ts';

function msrs() {
  const shared = mockShared();
  mockVm(shared);
  const lines: string[] = [];
  let boardTsc = 1000n;
  const vlapic: Vlapic = new Vlapic(shared, {
    pcpuId: 0, vcpuId: 0, pcpus: [0], tscPerNs: 2, nowNs: () => Number(boardTsc) / 2,
    tscToNs: (tsc) => Number(tsc - port.tscOffset) / 2, guestTsc: () => boardTsc + port.tscOffset, eoiBroadcast: () => {},
  });
  const port: MsrPort = {
    vlapic, tscKhz: 2_000_000, tscOffset: 0n, hasSpecCtrl: true,
    guestTsc: () => BigInt.asUintN(64, boardTsc + port.tscOffset), warn: (line) => { lines.push(line); },
  };
  return { msr: new Vmsr(port), port, lines, vlapic, advance: (ticks: bigint) => { boardTsc += ticks; } };
}

test('a TSC write moves TSC and TSC_ADJUST by the same amount, and the other way round', () => {
  const { msr } = msrs();
  expect(msr.write(0x10, 5000n)).toBe(true);
  expect(msr.read(0x10)).toBe(5000n);
  expect(msr.read(0x3b)).toBe(4000n);
  expect(msr.write(0x3b, 0n)).toBe(true);
  expect(msr.read(0x10)).toBe(1000n);
});

test('a TSC write moves an armed deadline', () => {
  const { msr, vlapic } = msrs();
  vlapic.mmioWrite(0xf0, 4, 0x1ff);
  vlapic.mmioWrite(0x320, 4, 0x4_0030);
  msr.write(0x6e0, 3000n);
  expect(vlapic.deadlineNs).toBe(1500);
  msr.write(0x10, 2000n); // a thousand ticks on
  expect(vlapic.deadlineNs).toBe(1000);
});

test('an unknown MSR is #GP with one log line', () => {
  const { msr, lines } = msrs();
  expect(msr.read(0x1234)).toBeUndefined();
  expect(msr.read(0x1234)).toBeUndefined();
  expect(msr.write(0x1234, 0n)).toBe(false);
  expect(lines).toEqual(['rdmsr: unknown MSR 0x1234, #GP injected']);
});

test('fixed MTRRs hold valid types only; there are no variable ones', () => {
  const { msr } = msrs();
  expect(msr.read(0xfe)).toBe(0x500n);
  expect(msr.read(0x2ff)).toBe(0xc06n);
  expect(msr.write(0x250, 0x0606_0606_0606_0602n)).toBe(false);
  expect(msr.write(0x250, 0x0404_0404_0404_0404n)).toBe(true);
  expect(msr.read(0x250)).toBe(0x0404_0404_0404_0404n);
  expect(msr.read(0x200)).toBeUndefined();
});

test('FEATURE_CONTROL is locked, MCG is empty, microcode has a revision', () => {
  const { msr } = msrs();
  expect(msr.read(0x3a)).toBe(1n);
  expect(msr.write(0x3a, 5n)).toBe(false);
  expect(msr.read(0x179)).toBe(0n);
  expect(msr.write(0x17a, 1n)).toBe(false);
  expect(msr.read(0x8b)! >> 32n).toBeGreaterThan(0n);
});

test('ARCH_CAPABILITIES says that nothing speculates: RDCL_NO, enhanced IBRS, MDS_NO', () => {
  const { msr } = msrs();
  const value = msr.read(0x10a)!;
  for (const bit of [0n, 1n, 5n]) expect((value >> bit) & 1n).toBe(1n);
});

test('no MSR access throws', () => {
  const { msr } = msrs();
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (index, value) => {
    msr.write(index % 0x1000, value);
    msr.read(index % 0x1000);
    msr.read(index);
  }), { numRuns: 3000, seed: 5 });
});
