import { expect, test } from 'vitest';
import fc from 'fast-check';
import { mockShared, mockVm } from '../mock.ts';
import { Vlapic } from '../arch/x86/guest/vlapic.ts';

function board() {
  const shared = mockShared();
  const vm = mockVm(shared);
  const apic = new Vlapic(shared, {
    pcpuId: 0, vcpuId: 0, pcpus: [0], tscPerNs: 2, nowNs: () => 0, tscToNs: () => 0, guestTsc: () => 0n,
    eoiBroadcast: (vector) => vm.vioapic.broadcastEoi(vector),
  });
  apic.mmioWrite(0xf0, 4, 0x1ff);
  const ioapic = vm.vioapic;
  const write = (register: number, value: number) => { ioapic.mmioWrite(0x00, 4, register); ioapic.mmioWrite(0x10, 4, value); };
  const read = (register: number) => { ioapic.mmioWrite(0x00, 4, register); return Number(ioapic.mmioRead(0x10, 4)); };
  const pending = () => { apic.mergePir(); return apic.pendingVector(); };
  const service = () => { const vector = pending(); if (vector >= 0) apic.acceptVector(vector); return vector; };
  return { apic, ioapic, write, read, pending, service };
}

test('the version register tells 48 pins, version 0x11; every entry is masked after reset', () => {
  const { read } = board();
  expect(read(0x01)).toBe(0x002f_0011);
  for (let pin = 0; pin < 48; pin++) expect(read(0x10 + pin * 2)).toBe(0x1_0000);
});

test('an edge on an open pin sends its vector once', () => {
  const { ioapic, write, service, apic } = board();
  write(0x10 + 8, 0x34);
  ioapic.setIrqline(4, 'set-high');
  ioapic.setIrqline(4, 'set-high');
  expect(service()).toBe(0x34);
  apic.eoi();
  expect(service()).toBe(-1);
  ioapic.setIrqline(4, 'rising-pulse');
  expect(service()).toBe(-1); // the line was high already
  ioapic.setIrqline(4, 'rising-pulse');
  expect(service()).toBe(0x34);
});

test('a level pin sets remote IRR and is sent again at EOI while asserted', () => {
  const { ioapic, write, read, service, apic } = board();
  write(0x10 + 20, 0x8045);
  ioapic.setIrqline(10, 'set-high');
  expect(read(0x10 + 20)).toBe(0xc045);
  expect(service()).toBe(0x45);
  apic.eoi();
  expect(service()).toBe(0x45);
  ioapic.setIrqline(10, 'set-low');
  apic.eoi();
  expect(read(0x10 + 20)).toBe(0x8045);
  expect(service()).toBe(-1);
});

test('a low-active level pin is asserted by a low line', () => {
  const { ioapic, write, service } = board();
  ioapic.setIrqline(11, 'set-high');
  write(0x10 + 22, 0xa046);
  expect(service()).toBe(-1);
  ioapic.setIrqline(11, 'set-low');
  expect(service()).toBe(0x46);
});

test('opening a level entry whose line is asserted sends at once; an edge entry does not', () => {
  const { ioapic, write, service } = board();
  ioapic.setIrqline(12, 'set-high');
  ioapic.setIrqline(13, 'set-high');
  write(0x10 + 24, 0x8047);
  write(0x10 + 26, 0x0048);
  expect(service()).toBe(0x47);
  expect(service()).toBe(-1);
});

test('remote IRR and delivery status cannot be written', () => {
  const { write, read } = board();
  write(0x10, 0xffff_ffff | 0);
  expect(read(0x10)).toBe(0x1_afff);
});

test('the EOI register works as a broadcast does', () => {
  const { ioapic, write, read } = board();
  write(0x10, 0x8050);
  ioapic.setIrqline(0, 'set-high');
  ioapic.setIrqline(0, 'set-low');
  expect(read(0x10) & 0x4000).toBe(0x4000);
  ioapic.mmioWrite(0x40, 4, 0x50);
  expect(read(0x10) & 0x4000).toBe(0);
});

test('accesses that are not 4 bytes read 0 and write nothing', () => {
  const { ioapic, read } = board();
  ioapic.mmioWrite(0x00, 1, 0x10);
  expect(ioapic.mmioRead(0x00, 4)).toBe(0n);
  expect(ioapic.mmioRead(0x10, 8)).toBe(0n);
  expect(read(0xff)).toBe(0);
});

test('no sequence of accesses and line changes throws', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 0xff }), fc.integer(), fc.integer({ min: -2, max: 60 }), fc.constantFrom('set-high', 'set-low', 'rising-pulse', 'falling-pulse' as const)), { maxLength: 50 }), (steps) => {
    const { write, read, ioapic, service, apic } = board();
    for (const [register, value, gsi, operation] of steps) {
      write(register, value | 0);
      ioapic.setIrqline(gsi, operation as 'set-high');
      read(register);
      service();
      apic.eoi();
    }
  }), { numRuns: 100, seed: 11 });
});
