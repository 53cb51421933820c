import { expect, test } from 'vitest';
import fc from 'fast-check';
import { InoutMap } from '../../core/inout.ts';
import { FakeHost } from '../../testing/fake_vhm.ts';
import { Pit } from './pit.ts';

const TICK = 1e9 / 1193182;

function setUp() {
  const host = new FakeHost();
  const irqs: string[] = [];
  const pit = new Pit(host, (gsi, operation) => irqs.push(`${gsi} ${operation}`));
  const inout = new InoutMap(() => {});
  pit.attach(inout);
  const out = (port: number, value: number) => inout.emulate({ type: 'pio', vcpuId: 0, direction: 'write', address: port, size: 1, value: BigInt(value) });
  const read = (port: number) => {
    const request = { type: 'pio' as const, vcpuId: 0, direction: 'read' as const, address: port, size: 1, value: 0n };
    inout.emulate(request);
    return Number(request.value);
  };
  return { host, pit, irqs, out, read };
}

test('mode 2 on counter 0 interrupts on GSI 2 at 1193182 / count Hz', () => {
  const { host, irqs, out } = setUp();
  out(0x43, 0x34); out(0x40, 11932 & 0xff); out(0x40, 11932 >> 8);
  host.advanceNs(1e9 + 1e6);
  expect(irqs.length).toBe(100);
  expect(irqs[0]).toBe('2 rising-pulse');
});

test('mode 0 interrupts once, and a new count starts it again', () => {
  const { host, irqs, out } = setUp();
  out(0x43, 0x30); out(0x40, 100); out(0x40, 0);
  host.advanceNs(1e9);
  expect(irqs.length).toBe(1);
  out(0x40, 100); out(0x40, 0);
  host.advanceNs(1e9);
  expect(irqs.length).toBe(2);
});

test('a latched count does not move until both its bytes are read', () => {
  const { host, out, read } = setUp();
  out(0x43, 0x34); out(0x40, 0); out(0x40, 0);
  host.advanceNs(1000.5 * TICK);
  out(0x43, 0x00);
  host.advanceNs(500 * TICK);
  expect(read(0x40) | (read(0x40) << 8)).toBe(65536 - 1000);
  expect(read(0x40) | (read(0x40) << 8)).toBe(65536 - 1500);
});

test('read-back gives status before count', () => {
  const { host, out, read } = setUp();
  out(0x43, 0x34); out(0x40, 0xe8); out(0x40, 0x03);
  host.advanceNs(10.5 * TICK);
  out(0x43, 0xc2);
  expect(read(0x40)).toBe(0x80 | 0x30 | 0x04);
  expect(read(0x40) | (read(0x40) << 8)).toBe(990);
});

test('the gate of counter 2 at port 0x61 starts it and bit 5 shows its end', () => {
  const { host, out, read } = setUp();
  out(0x61, 0x00);
  out(0x43, 0xb0); out(0x42, 0xe8); out(0x42, 0x03); // mode 0, 1000
  host.advanceNs(5000 * TICK);
  expect(read(0x61) & 0x20).toBe(0);
  out(0x61, 0x01);
  host.advanceNs(999 * TICK);
  expect(read(0x61) & 0x21).toBe(0x01);
  host.advanceNs(2 * TICK);
  expect(read(0x61) & 0x21).toBe(0x21);
});

test('with the gate open the most significant byte of counter 2 counts down as Linux expects', () => {
  const { host, out, read } = setUp();
  out(0x61, 0x01);
  out(0x43, 0xb0); out(0x42, 0xff); out(0x42, 0xff);
  host.advanceNs(256.5 * TICK);
  read(0x42);
  expect(read(0x42)).toBe(0xfe);
});

test('no sequence of port writes stops time or floods the guest', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom(0x40, 0x41, 0x42, 0x43, 0x61), fc.nat(255), fc.boolean()), { maxLength: 60 }), (accesses) => {
    const { host, out, read, pit } = setUp();
    for (const [port, value, write] of accesses) {
      if (write) out(port, value);
      else expect(read(port)).toBeLessThanOrEqual(255);
      host.advanceNs(100);
    }
    expect(host.timers).toBeLessThanOrEqual(1);
    pit.stop();
  }), { seed: 2, numRuns: 200 });
});
