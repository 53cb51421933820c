import { expect, test } from 'vitest';
import { InoutMap } from '../../core/inout.ts';
import { AcpiPm } from './acpi_pm.ts';

function setUp(debugExit = false) {
  const irqs: string[] = [];
  const suspends: string[] = [];
  const pm = new AcpiPm((gsi, operation) => irqs.push(`${gsi} ${operation}`), (how) => suspends.push(how), debugExit);
  const inout = new InoutMap(() => {});
  pm.attach(inout);
  const out = (port: number, value: number, size = 2) => inout.emulate({ type: 'pio', vcpuId: 0, direction: 'write', address: port, size, value: BigInt(value) });
  const read = (port: number, size = 2) => {
    const request = { type: 'pio' as const, vcpuId: 0, direction: 'read' as const, address: port, size, value: 0n };
    inout.emulate(request);
    return Number(request.value);
  };
  return { pm, irqs, suspends, out, read };
}

test('SCI_EN is set and cleared by the SMI command port only', () => {
  const { out, read } = setUp();
  out(0x404, 0x0001);
  expect(read(0x404) & 1).toBe(0);
  out(0xb2, 0xa0, 1);
  expect(read(0x404) & 1).toBe(1);
  out(0xb2, 0xa1, 1);
  expect(read(0x404) & 1).toBe(0);
});

test('the power button raises the SCI in ACPI mode, and writing 1 to its status lowers it', () => {
  const { pm, irqs, out, read } = setUp();
  expect(pm.powerButton()).toBe(false);
  out(0xb2, 0xa0, 1);
  out(0x402, 0x0100);
  expect(pm.powerButton()).toBe(true);
  expect(irqs).toEqual(['9 set-high']);
  expect(read(0x400) & 0x100).toBe(0x100);
  out(0x400, 0x0100);
  expect(irqs).toEqual(['9 set-high', '9 set-low']);
});

test('the enable register keeps RTC, power button and global only', () => {
  const { out, read } = setUp();
  out(0x402, 0xffff);
  expect(read(0x402)).toBe(0x0520);
});

test('SLP_EN with type 5 powers off, with type 3 suspends, others do nothing', () => {
  const { suspends, out, read } = setUp();
  out(0x404, 0x2000 | (1 << 10));
  expect(suspends).toEqual([]);
  out(0x404, 0x2000 | (5 << 10));
  out(0x404, 0x2000 | (3 << 10));
  expect(suspends).toEqual(['poweroff', 'suspend']);
  expect(read(0x404) & 0x2000).toBe(0);
});

test('0xCF9: 0x0E is a full reset, 0x06 a system reset, 0x02 only arms it', () => {
  const { suspends, out, read } = setUp();
  out(0xcf9, 0x02, 1);
  expect(suspends).toEqual([]);
  out(0xcf9, 0x06, 1);
  out(0xcf9, 0x0e, 1);
  expect(suspends).toEqual(['system_reset', 'full_reset']);
  expect(read(0xcf9, 1)).toBe(0x0e);
});

test('port 0xF4 powers off with --debugexit and is no device without', () => {
  const with_ = setUp(true);
  with_.out(0xf4, 1, 4);
  expect(with_.suspends).toEqual(['poweroff']);
  const without = setUp();
  without.out(0xf4, 1, 4);
  expect(without.suspends).toEqual([]);
});
