import { expect, test } from 'vitest';
import { InoutMap } from '../../core/inout.ts';
import { Atkbdc } from './atkbdc.ts';

function setUp() {
  const irqs: number[] = [];
  let resets = 0;
  const kbd = new Atkbdc((gsi) => irqs.push(gsi), () => { resets += 1; });
  const inout = new InoutMap(() => {});
  kbd.attach(inout);
  const out = (port: number, value: number) => inout.emulate({ type: 'pio', vcpuId: 0, direction: 'write', address: port, size: 1, value: BigInt(value) });
  const read = (port: number) => {
    const request = { type: 'pio' as const, vcpuId: 0, direction: 'read' as const, address: port, size: 1, value: 0n };
    inout.emulate(request);
    return Number(request.value);
  };
  const drain = () => {
    const bytes: number[] = [];
    while (read(0x64) & 1) bytes.push(read(0x60));
    return bytes;
  };
  return { irqs, out, read, drain, resets: () => resets };
}

test('self test answers 0x55, interface tests answer 0', () => {
  const { out, drain } = setUp();
  out(0x64, 0xaa);
  expect(drain()).toEqual([0x55]);
  out(0x64, 0xab);
  out(0x64, 0xa9);
  expect(drain()).toEqual([0, 0]);
});

test('the command byte reads back what was written', () => {
  const { out, drain } = setUp();
  out(0x64, 0x60); out(0x60, 0x47);
  out(0x64, 0x20);
  expect(drain()).toEqual([0x47]);
});

test('the keyboard acknowledges, identifies itself and passes its reset, on IRQ 1', () => {
  const { out, drain, irqs } = setUp();
  out(0x60, 0xff);
  expect(drain()).toEqual([0xfa, 0xaa]);
  out(0x60, 0xf2);
  expect(drain()).toEqual([0xfa, 0xab, 0x83]);
  out(0x60, 0xed); out(0x60, 0x07);
  expect(drain()).toEqual([0xfa, 0xfa]);
  expect(new Set(irqs)).toEqual(new Set([1]));
});

test('the mouse answers behind 0xD4, marked as AUX data, on IRQ 12', () => {
  const { out, read, drain, irqs } = setUp();
  out(0x64, 0xd4); out(0x60, 0xf2);
  expect(read(0x64) & 0x21).toBe(0x21);
  expect(drain()).toEqual([0xfa, 0x00]);
  expect(new Set(irqs)).toEqual(new Set([12]));
});

test('0xFE at the command port resets the VM', () => {
  const { out, resets } = setUp();
  out(0x64, 0xfe);
  expect(resets()).toBe(1);
});
