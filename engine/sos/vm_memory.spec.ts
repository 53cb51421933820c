import { expect, test } from 'vitest';
import fc from 'fast-check';
import { layout } from '../core/tables/layout.ts';
import { VmMemory } from './vm_memory.ts';

const MIB = 2 ** 20;
const buffer = new SharedArrayBuffer(layout.RAM_BASE + 8 * MIB);
const memory = () => new VmMemory(buffer, [{ gpa: 5 * 2 ** 30, hpa: 4 * MIB, sizeBytes: 2 * MIB }, { gpa: 0, hpa: 2 * MIB, sizeBytes: 2 * MIB }]);

test('ranges ascend and a view shows board RAM at the VM\'s offset', () => {
  const ram = memory();
  expect(ram.ranges.map((r) => r.gpa)).toEqual([0, 5 * 2 ** 30]);
  expect(ram.sizeBytes).toBe(4 * MIB);
  expect(ram.view(0x10, 4)!.byteOffset).toBe(layout.RAM_BASE + 2 * MIB + 0x10);
  expect(ram.view(5 * 2 ** 30, 4)!.byteOffset).toBe(layout.RAM_BASE + 4 * MIB);
});

test('nothing outside one range is given out', () => {
  const ram = memory();
  for (const [gpa, length] of [[2 * MIB - 1, 2], [2 * MIB, 1], [-1, 1], [0, -1], [0.5, 1], [NaN, 1], [2 ** 60, 1], [0, 2 ** 53]]) expect(ram.view(gpa, length)).toBeUndefined();
  expect(ram.words(2, 1)).toBeUndefined();
  expect(ram.words(2 * MIB - 4, 2)).toBeUndefined();
  expect(ram.words(4, 1)!.length).toBe(1);
});

test('a write to a page with decoded code bumps its generation, another page\'s stays', () => {
  const ram = memory();
  const page = (2 * MIB) / 4096;
  const generation = new Int32Array(buffer, layout.PAGE_GENERATION_BASE);
  new Uint8Array(buffer, layout.PAGE_CODE_BASE)[page] = 1;
  ram.written(0xfff, 2);
  expect(generation[page]).toBe(1);
  expect(generation[page + 1]).toBe(0);
});

test('no view ever leaves the VM\'s ranges', () => {
  const ram = memory();
  fc.assert(fc.property(fc.double({ noNaN: true }), fc.integer({ min: 0, max: 3 * MIB }), (gpa, length) => {
    const view = ram.view(gpa, length);
    if (view === undefined) return;
    expect(view.byteOffset).toBeGreaterThanOrEqual(layout.RAM_BASE + 2 * MIB);
    expect(view.byteOffset + view.length).toBeLessThanOrEqual(layout.RAM_BASE + 6 * MIB);
  }), { numRuns: 500, seed: 9 });
});
