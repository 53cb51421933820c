import { expect, test } from 'vitest';
import fc from 'fast-check';
import { FEATURES } from '../../../../core/tables/features.ts';
import { OFFERED, featuresOf } from './cpuid_models.ts';
import { Vcpuid, type CpuidContext } from './vcpuid.ts';

const context: CpuidContext = { apicId: 1, vcpuCount: 3, osxsave: false, limitCpuid: false, xdDisable: false };
const nuc = new Vcpuid('nuc', 2_000_000);
const text = (...words: number[]) => String.fromCharCode(...words.flatMap((w) => [w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24]));

test('leaf 0x40000000 is ACRNACRNACRN and reaches to 0x40000010, which gives the TSC in kHz', () => {
  const leaf = nuc.read(0x4000_0000, 0, context);
  expect(leaf.eax).toBe(0x4000_0010);
  expect(text(leaf.ebx, leaf.ecx, leaf.edx)).toBe('ACRNACRNACRN');
  expect(nuc.read(0x4000_0010, 0, context)).toEqual({ eax: 2_000_000, ebx: 0, ecx: 0, edx: 0 });
  expect(nuc.read(0x4000_0001, 0, context).eax).toBe(0); // not a privileged VM
});

test('vendor is GenuineIntel, the hypervisor bit is set, leaf 1 names the vCPU', () => {
  const leaf = nuc.read(0, 0, context);
  expect(text(leaf.ebx, leaf.edx, leaf.ecx)).toBe('GenuineIntel');
  const one = nuc.read(1, 0, context);
  expect(one.ecx >>> 31).toBe(1);
  expect(one.ebx >>> 24).toBe(1);
  expect((one.ebx >>> 16) & 0xff).toBe(4);
  expect((one.edx >>> 28) & 1).toBe(1);
});

test('what the core does not execute is not offered: AVX, FMA, F16C, MONITOR, VMX, HLE, RTM, AVX2', () => {
  const one = nuc.read(1, 0, context).ecx;
  for (const bit of [3, 5, 12, 28, 29]) expect((one >>> bit) & 1).toBe(0);
  const seven = nuc.read(7, 0, context).ebx;
  for (const bit of [4, 5, 11]) expect((seven >>> bit) & 1).toBe(0);
  expect(nuc.read(0xa, 0, context)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
});

test('the models hold their psABI level', () => {
  const v1 = new Vcpuid('v1', 2_000_000);
  const v2 = new Vcpuid('v2', 2_000_000);
  expect(v1.has('sse2')).toBe(true);
  expect(v1.has('sse3')).toBe(false);
  expect(v2.has('sse4.2')).toBe(true);
  expect(v2.has('bmi1')).toBe(false);
  for (const model of ['v1', 'v2', 'nuc'] as const) for (const feature of featuresOf(model)) expect(OFFERED.has(feature)).toBe(true);
});

test('OSXSAVE mirrors CR4, MISC_ENABLE hides NX and limits leaf 0', () => {
  expect((nuc.read(1, 0, { ...context, osxsave: true }).ecx >>> 27) & 1).toBe(1);
  expect((nuc.read(1, 0, context).ecx >>> 27) & 1).toBe(0);
  expect((nuc.read(0x8000_0001, 0, { ...context, xdDisable: true }).edx >>> 20) & 1).toBe(0);
  expect(nuc.read(0, 0, { ...context, limitCpuid: true }).eax).toBe(2);
});

test('leaf 0xB: one thread a core, the VM\'s cores in the package, EDX the APIC id', () => {
  expect(nuc.read(0xb, 0, context)).toEqual({ eax: 0, ebx: 1, ecx: 0x100, edx: 1 });
  expect(nuc.read(0xb, 1, context)).toEqual({ eax: 2, ebx: 3, ecx: 0x201, edx: 1 });
  expect(nuc.read(0xb, 2, context)).toEqual({ eax: 0, ebx: 0, ecx: 2, edx: 1 });
});

test('leaf 0x15 and 0x16: a crystal at the TSC\'s rate', () => {
  expect(nuc.read(0x15, 0, context)).toEqual({ eax: 1, ebx: 1, ecx: 2_000_000_000, edx: 0 });
  expect(nuc.read(0x16, 0, context).eax).toBe(2000);
});

test('leaf 0xD: x87 and SSE in 576 bytes', () => {
  expect(nuc.read(0xd, 0, context)).toEqual({ eax: 3, ebx: 576, ecx: 576, edx: 0 });
  expect(nuc.read(0xd, 1, context).eax).toBe(1);
});

test('the brand string is honest', () => {
  const parts = [2, 3, 4].map((n) => nuc.read(0x8000_0000 + n, 0, context));
  expect(parts.map((p) => text(p.eax, p.ebx, p.ecx, p.edx)).join('').replace(/\0+$/, '')).toBe('ACRN Desktop emulated NUC CPU @ 2.00GHz');
});

test('no two features share a bit', () => {
  const keys = Object.values(FEATURES).map((bit) => bit.join());
  expect(new Set(keys).size).toBe(keys.length);
});

test('every leaf and subleaf answers four 32-bit values', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 0xffff_ffff }), (leaf, subleaf) => {
    for (const value of Object.values(nuc.read(leaf, subleaf, context))) expect(value >>> 0).toBe(value);
  }), { numRuns: 2000, seed: 1 });
});
