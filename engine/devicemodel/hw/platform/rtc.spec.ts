import { expect, test } from 'vitest';
import { InoutMap } from '../../core/inout.ts';
import { FakeHost } from '../../testing/fake_vhm.ts';
import { Rtc } from './rtc.ts';

function setUp() {
  const host = new FakeHost(); // 2024-02-29 23:59:58 UTC, a Thursday
  const irqs: string[] = [];
  const rtc = new Rtc(host, (gsi, operation) => irqs.push(`${gsi} ${operation}`), { lowmem: 512 * 2 ** 20, highmem: 3 * 2 ** 30 });
  const inout = new InoutMap(() => {});
  rtc.attach(inout);
  const out = (port: number, value: number) => inout.emulate({ type: 'pio', vcpuId: 0, direction: 'write', address: port, size: 1, value: BigInt(value) });
  const read = (index: number) => {
    out(0x70, index);
    const request = { type: 'pio' as const, vcpuId: 0, direction: 'read' as const, address: 0x71, size: 1, value: 0n };
    inout.emulate(request);
    return Number(request.value);
  };
  const write = (index: number, value: number) => { out(0x70, index); out(0x71, value); };
  return { host, rtc, irqs, read, write };
}

test('after reset register A is 0x20, B is 24 hour mode, D says the battery is good', () => {
  const { read } = setUp();
  expect([read(0x0a), read(0x0b), read(0x0c), read(0x0d)]).toEqual([0x20, 0x02, 0x00, 0x80]);
});

test('the time is BCD by default and binary with DM set', () => {
  const { read, write } = setUp();
  expect([read(0x32), read(0x09), read(0x08), read(0x07), read(0x04), read(0x02), read(0x00), read(0x06)]).toEqual([0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58, 5]);
  write(0x0b, 0x06);
  expect([read(0x09), read(0x04), read(0x02)]).toEqual([24, 23, 59]);
});

test('in 12 hour mode bit 7 of the hour says PM', () => {
  const { read, write } = setUp();
  write(0x0b, 0x00);
  expect(read(0x04)).toBe(0x91);
});

test('a leap day rolls over to March', () => {
  const { host, read } = setUp();
  host.advanceNs(2e9);
  expect([read(0x08), read(0x07), read(0x04), read(0x00)]).toEqual([0x03, 0x01, 0x00, 0x00]);
});

test('with SET the clock can be written, and runs from there', () => {
  const { host, read, write } = setUp();
  write(0x0b, 0x82);
  write(0x04, 0x10); write(0x02, 0x20); write(0x00, 0x30);
  host.advanceNs(5e9);
  expect(read(0x00)).toBe(0x30);
  write(0x0b, 0x02);
  host.advanceNs(3e9);
  expect([read(0x04), read(0x02), read(0x00)]).toEqual([0x10, 0x20, 0x33]);
});

test('memory above 16 MiB and above 4 GiB is told in units of 64 KiB', () => {
  const { read } = setUp();
  expect(read(0x34) | (read(0x35) << 8)).toBe((512 - 16) * 16);
  expect(read(0x5b) | (read(0x5c) << 8) | (read(0x5d) << 16)).toBe(3 * 16384);
});

test('the update interrupt comes each second and register C clears on read', () => {
  const { host, irqs, read, write } = setUp();
  write(0x0b, 0x12);
  host.advanceNs(1e9);
  expect(irqs).toEqual(['8 rising-pulse']);
  host.advanceNs(1e9);
  expect(irqs.length).toBe(1); // not acknowledged yet
  expect(read(0x0c) & 0x90).toBe(0x90);
  expect(read(0x0c)).toBe(0x00);
  host.advanceNs(1e9);
  expect(irqs.length).toBe(2);
});

test('the alarm fires once when hour, minute and second match, wildcards match always', () => {
  const { host, irqs, read, write } = setUp();
  write(0x01, 0x00); write(0x03, 0xff); write(0x05, 0xc0);
  write(0x0b, 0x22);
  host.advanceNs(1e9);
  expect(irqs).toEqual([]);
  host.advanceNs(1e9);
  expect(irqs).toEqual(['8 rising-pulse']);
  expect(read(0x0c) & 0xa0).toBe(0xa0);
});

test('the periodic interrupt follows the rate of register A, and stops with it', () => {
  const { host, irqs, read, write, rtc } = setUp();
  write(0x0a, 0x26); // 1024 Hz
  write(0x0b, 0x42);
  for (let i = 0; i < 10; i++) { host.advanceNs(1e9 / 1024 + 1); read(0x0c); }
  expect(irqs.length).toBe(10);
  write(0x0b, 0x02);
  expect(host.timers).toBe(0);
  rtc.stop();
});
