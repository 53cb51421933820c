import { expect, test } from 'vitest';
import fc from 'fast-check';
import { MmioMap } from '../../core/mem.ts';
import { FakeHost } from '../../testing/fake_vhm.ts';
import { Hpet } from './hpet.ts';

const TICK = 1e9 / 2 ** 24;
const BASE = 0xfed00000;

function setUp() {
  const host = new FakeHost();
  const irqs: string[] = [];
  const msis: number[][] = [];
  const hpet = new Hpet(host, { setIrqline: (gsi, operation) => irqs.push(`${gsi} ${operation}`), injectMsi: (address, data) => msis.push([address, data]) });
  const mem = new MmioMap(() => {});
  hpet.attach(mem);
  const write = (offset: number, value: number, size = 4) => mem.emulate({ type: 'mmio', vcpuId: 0, direction: 'write', address: BASE + offset, size, value: BigInt(value) });
  const read = (offset: number, size = 4) => {
    const request = { type: 'mmio' as const, vcpuId: 0, direction: 'read' as const, address: BASE + offset, size, value: 0n };
    mem.emulate(request);
    return request.value;
  };
  return { host, hpet, irqs, msis, write, read };
}

test('capabilities tell 8 timers, a 64-bit counter, legacy routing and 2^24 Hz', () => {
  const { read } = setUp();
  expect(read(0, 8)).toBe((59604644n << 32n) | 0x8086a701n);
});

test('the counter stands until enabled and then runs at 2^24 Hz', () => {
  const { host, write, read } = setUp();
  host.advanceNs(1e9);
  expect(read(0xf0, 8)).toBe(0n);
  write(0x10, 1);
  host.advanceNs(1e9);
  expect(read(0xf0, 8)).toBe(16777216n);
  write(0x10, 0);
  host.advanceNs(1e9);
  expect(read(0xf0, 8)).toBe(16777216n);
});

test('a one-shot timer in legacy routing interrupts on GSI 2 once', () => {
  const { host, irqs, write } = setUp();
  write(0x10, 3);
  write(0x100, 0x104); // enable, 32 bits
  write(0x108, 16777);
  host.advanceNs(1e9);
  expect(irqs).toEqual(['2 rising-pulse']);
});

test('a periodic timer set up with SET_VALUE keeps its period', () => {
  const { host, irqs, write } = setUp();
  write(0x10, 3);
  write(0x100, 0x14c); // enable, periodic, SET_VALUE, 32 bits
  write(0x108, 167772); // first at 10 ms
  write(0x108, 167772); // period
  host.advanceNs(1e9 + 1e6);
  expect(irqs.length).toBe(100);
});

test('a level interrupt stays high until its status bit is written', () => {
  const { host, irqs, write, read } = setUp();
  write(0x10, 1);
  write(0x100, (20 << 9) | 0x106);
  write(0x108, 1000);
  host.advanceNs(1e6);
  expect(irqs).toEqual(['20 set-high']);
  expect(read(0x20)).toBe(1n);
  write(0x20, 1);
  expect(irqs).toEqual(['20 set-high', '20 set-low']);
});

test('with FSB delivery the message is written instead', () => {
  const { host, irqs, msis, write } = setUp();
  write(0x10, 1);
  write(0x130, 0x31);
  write(0x134, 0xfee00000);
  write(0x120, 0x4104);
  write(0x128, 1000);
  host.advanceNs(1000 * TICK + 1000);
  expect(msis).toEqual([[0xfee00000, 0x31]]);
  expect(irqs).toEqual([]);
});

test('a period of nothing cannot flood this computer', () => {
  const { host, irqs, write } = setUp();
  write(0x10, 3);
  write(0x100, 0x14c);
  write(0x108, 1);
  write(0x108, 1);
  host.advanceNs(1e6);
  expect(irqs.length).toBeLessThan(20);
});

test('no sequence of accesses throws or leaves more than one host timer for each HPET timer', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(0x3ff), fc.constantFrom(1, 2, 4, 8), fc.nat(0xffffffff), fc.boolean()), { maxLength: 60 }), (accesses) => {
    const { host, write, read, hpet } = setUp();
    for (const [offset, size, value, isWrite] of accesses) {
      if (isWrite) write(offset - (offset % size), value, size);
      else read(offset - (offset % size), size);
      host.advanceNs(1000);
    }
    expect(host.timers).toBeLessThanOrEqual(8);
    hpet.reset();
    expect(host.timers).toBe(0);
  }), { seed: 3, numRuns: 100 });
});
