import { expect, test } from 'vitest';
import fc from 'fast-check';
import { RamAllocator } from './ram_allocator.ts';

const MIB = 2 ** 20;

test('first fit, in 2 MiB steps', () => {
  const ram = new RamAllocator(16 * MIB);
  expect(ram.allocate(3 * MIB)).toEqual({ hpa: 0, dirtyBytes: 0 });
  expect(ram.allocate(8 * MIB)).toEqual({ hpa: 4 * MIB, dirtyBytes: 0 });
  expect(ram.allocate(6 * MIB)).toBeUndefined();
  ram.free(0);
  expect(ram.allocate(2 * MIB)).toEqual({ hpa: 0, dirtyBytes: 2 * MIB });
  expect(ram.usedBytes).toBe(10 * MIB);
});

test('only bytes that were given out before are dirty', () => {
  const ram = new RamAllocator(16 * MIB);
  ram.allocate(4 * MIB);
  ram.free(0);
  expect(ram.allocate(8 * MIB)).toEqual({ hpa: 0, dirtyBytes: 4 * MIB });
});

test('allocations never overlap and stay inside', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 20 * MIB })), { maxLength: 40 }), (steps) => {
    const ram = new RamAllocator(64 * MIB);
    const live = new Map<number, number>();
    for (const [free, bytes] of steps) {
      if (free && live.size > 0) { const [hpa] = [...live.keys()]; ram.free(hpa); live.delete(hpa); continue; }
      const got = ram.allocate(bytes);
      if (got === undefined) continue;
      expect(got.hpa + bytes).toBeLessThanOrEqual(64 * MIB);
      for (const [hpa, size] of live) expect(got.hpa >= hpa + size || got.hpa + bytes <= hpa).toBe(true);
      live.set(got.hpa, bytes);
    }
  }), { numRuns: 200, seed: 2 });
});
