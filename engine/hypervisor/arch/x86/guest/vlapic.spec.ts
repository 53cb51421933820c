import { expect, test } from 'vitest';
import fc from 'fast-check';
import { mockShared, mockVm, MockClock } from '../../../mock.ts';
import { acceptIntr, calcDest, intrMsi } from './vlapic_delivery.ts';
import { Vlapic } from './vlapic.ts';

function apics(count = 1) {
  const shared = mockShared();
  const pcpus = Array.from({ length: count }, (_, i) => i);
  mockVm(shared, pcpus);
  const clock = new MockClock();
  const eois: number[] = [];
  const make = (id: number) => new Vlapic(shared, {
    pcpuId: id, vcpuId: id, pcpus, tscPerNs: 2,
    nowNs: () => clock.ns,
    tscToNs: (tsc) => Number(tsc) / 2,
    guestTsc: () => BigInt(clock.ns * 2),
    eoiBroadcast: (vector) => { eois.push(vector); },
  });
  return { shared, pcpus, clock, eois, apics: pcpus.map(make) };
}
const events = (shared: ReturnType<typeof mockShared>, pcpu: number) => Atomics.load(shared.eventWords, shared.eventIndex(pcpu));
/** Software-enables: SVR = 0x1ff */
const enable = (apic: Vlapic) => apic.mmioWrite(0xf0, 4, 0x1ff);

test('after reset the version is 0x00060010, SVR 0xff, DFR all ones and every LVT masked', () => {
  const { apics: [apic] } = apics();
  expect(apic.mmioRead(0x30, 4)).toBe(0x0006_0010n);
  expect(apic.mmioRead(0xf0, 4)).toBe(0xffn);
  expect(apic.mmioRead(0xe0, 4)).toBe(0xffff_ffffn);
  for (const lvt of [0x2f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370]) expect(apic.mmioRead(lvt, 4)).toBe(0x1_0000n);
});

test('a software-disabled APIC accepts no vector', () => {
  const { shared, apics: [apic] } = apics();
  expect(acceptIntr(shared, 0, 0x40, false)).toBe(false);
  enable(apic);
  expect(acceptIntr(shared, 0, 0x40, false)).toBe(true);
});

test('a posted vector is pending until accepted, then in service until EOI', () => {
  const { shared, apics: [apic] } = apics();
  enable(apic);
  acceptIntr(shared, 0, 0x51, false);
  expect(events(shared, 0) & 1).toBe(1);
  apic.mergePir();
  expect(apic.pendingVector()).toBe(0x51);
  expect(apic.mmioRead(0x220, 4)).toBe(0x2_0000n); // IRR bits 64-95: vector 0x51
  apic.acceptVector(0x51);
  expect(apic.pendingVector()).toBe(-1);
  expect(apic.mmioRead(0x120, 4)).toBe(0x2_0000n); // ISR
  expect(apic.mmioRead(0xa0, 4)).toBe(0x50n); // PPR
  apic.mmioWrite(0xb0, 4, 0);
  expect(apic.mmioRead(0x120, 4)).toBe(0n);
  expect(apic.mmioRead(0xa0, 4)).toBe(0n);
});

test('the higher priority class goes first, an equal class waits for EOI', () => {
  const { shared, apics: [apic] } = apics();
  enable(apic);
  for (const vector of [0x31, 0x62, 0x65]) acceptIntr(shared, 0, vector, false);
  apic.mergePir();
  expect(apic.pendingVector()).toBe(0x65);
  apic.acceptVector(0x65);
  expect(apic.pendingVector()).toBe(-1); // 0x62 is of the same class
  apic.eoi();
  expect(apic.pendingVector()).toBe(0x62);
});

test('TPR defers every class at or below it', () => {
  const { shared, apics: [apic] } = apics();
  enable(apic);
  apic.mmioWrite(0x80, 4, 0x50);
  acceptIntr(shared, 0, 0x5f, false);
  apic.mergePir();
  expect(apic.pendingVector()).toBe(-1);
  acceptIntr(shared, 0, 0x60, false);
  apic.mergePir();
  expect(apic.pendingVector()).toBe(0x60);
});

test('EOI of a level-triggered vector is broadcast, of an edge one is not', () => {
  const { shared, eois, apics: [apic] } = apics();
  enable(apic);
  for (const [vector, level] of [[0x41, true], [0x52, false]] as const) {
    acceptIntr(shared, 0, vector, level);
    apic.mergePir();
    apic.acceptVector(vector);
    apic.eoi();
  }
  expect(eois).toEqual([0x41]);
});

test('the one-shot timer fires once after count << divisor TSC ticks', () => {
  const { clock, apics: [apic] } = apics();
  enable(apic);
  apic.mmioWrite(0x320, 4, 0x30);
  apic.mmioWrite(0x3e0, 4, 0x3); // divide by 16
  apic.mmioWrite(0x380, 4, 1000);
  expect(apic.deadlineNs).toBe(8000); // 16000 ticks at 2 per ns
  clock.advanceNs(4000);
  expect(apic.mmioRead(0x390, 4)).toBe(500n);
  apic.checkTimer(clock.ns);
  expect(apic.pendingVector()).toBe(-1);
  clock.advanceNs(4000);
  apic.checkTimer(clock.ns);
  expect(apic.pendingVector()).toBe(0x30);
  expect(apic.deadlineNs).toBe(Infinity);
  expect(apic.mmioRead(0x390, 4)).toBe(0n);
});

test('the periodic timer keeps its phase and does not pile up missed periods', () => {
  const { clock, apics: [apic] } = apics();
  enable(apic);
  apic.mmioWrite(0x320, 4, 0x2_0030);
  apic.mmioWrite(0x3e0, 4, 0xb); // divide by 1
  apic.mmioWrite(0x380, 4, 2_000_000); // 1 ms
  clock.advanceNs(3_400_000);
  apic.checkTimer(clock.ns);
  expect(apic.pendingVector()).toBe(0x30);
  expect(apic.deadlineNs).toBe(4_000_000);
});

test('TSC-deadline mode fires when the TSC reaches the deadline, then reads 0; writing 0 disarms', () => {
  const { clock, apics: [apic] } = apics();
  enable(apic);
  apic.mmioWrite(0x320, 4, 0x4_00ec);
  apic.setTscDeadline(20_000n);
  expect(apic.tscDeadline).toBe(20_000n);
  clock.advanceNs(9_999);
  apic.checkTimer(clock.ns);
  expect(apic.pendingVector()).toBe(-1);
  clock.advanceNs(1);
  apic.checkTimer(clock.ns);
  expect(apic.pendingVector()).toBe(0xec);
  expect(apic.tscDeadline).toBe(0n);
  apic.setTscDeadline(50_000n);
  apic.setTscDeadline(0n);
  expect(apic.deadlineNs).toBe(Infinity);
});

test('a deadline in the past fires at once', () => {
  const { clock, apics: [apic] } = apics();
  enable(apic);
  clock.advanceNs(1000);
  apic.mmioWrite(0x320, 4, 0x4_00ec);
  apic.setTscDeadline(1n);
  expect(apic.pendingVector()).toBe(0xec);
});

test('clearing the enable bit of SVR masks every LVT', () => {
  const { apics: [apic] } = apics();
  enable(apic);
  apic.mmioWrite(0x350, 4, 0x700);
  apic.mmioWrite(0xf0, 4, 0xff);
  expect(apic.mmioRead(0x350, 4)).toBe(0x1_0700n);
});

test('x2APIC is entered through APIC_BASE and left only through disabled', () => {
  const { apics: [apic] } = apics();
  expect(apic.apicBase).toBe(0xfee0_0900n);
  expect(apic.setApicBase(0xfee0_0d00n)).toBe(true);
  expect(apic.x2apic).toBe(true);
  expect(apic.setApicBase(0xfee0_0900n)).toBe(false);
  expect(apic.setApicBase(0xfee0_0100n)).toBe(true);
  expect(apic.setApicBase(0xfee0_0500n)).toBe(false); // EXTD without EN
  expect(apic.setApicBase(0xfee0_1900n)).toBe(false); // another base
});

test('x2APIC registers are MSRs 0x800 to 0x83f; ID and LDR follow the vCPU; reserved ones are #GP', () => {
  const { apics: [, apic] } = apics(2);
  expect(apic.readMsr(0x802)).toBeUndefined(); // not in x2APIC mode
  apic.setApicBase(0xfee0_0c00n);
  expect(apic.readMsr(0x802)).toBe(1n);
  expect(apic.readMsr(0x80d)).toBe(2n);
  expect(apic.readMsr(0x80e)).toBeUndefined(); // no DFR
  expect(apic.readMsr(0x831)).toBeUndefined(); // ICR is one 64-bit register
  expect(apic.writeMsr(0x802, 0n)).toBe(false);
  expect(apic.writeMsr(0x80b, 1n)).toBe(false);
  expect(apic.writeMsr(0x808, 1n << 32n)).toBe(false);
  expect(apic.writeMsr(0x80f, 0x1ffn)).toBe(true);
});

test('an x2APIC ICR write sends to the 32-bit destination', () => {
  const { shared, apics: [a, b] } = apics(2);
  for (const apic of [a, b]) { apic.setApicBase(apic.apicBase | 0x400n); apic.writeMsr(0x80f, 0x1ffn); }
  Atomics.store(shared.eventWords, shared.eventIndex(1), 0);
  expect(a.writeMsr(0x830, (1n << 32n) | 0x42n)).toBe(true);
  expect(events(shared, 1) & 1).toBe(1);
  b.mergePir();
  expect(b.pendingVector()).toBe(0x42);
});

test('ICR: INIT and STARTUP reach the named vCPU, NMI all but self', () => {
  const { shared, apics: [a] } = apics(3);
  a.mmioWrite(0x310, 4, 1 << 24);
  a.mmioWrite(0x300, 4, 0x4500);
  expect(events(shared, 1) & 4).toBe(4);
  a.mmioWrite(0x300, 4, 0x469a);
  expect(events(shared, 1) & 8).toBe(8);
  a.mmioWrite(0x300, 4, 0xc_4400);
  expect([0, 1, 2].map((p) => events(shared, p) & 2)).toEqual([0, 2, 2]);
});

test('ICR INIT level de-assert does nothing', () => {
  const { shared, apics: [a] } = apics(2);
  a.mmioWrite(0x310, 4, 1 << 24);
  a.mmioWrite(0x300, 4, 0x8500);
  expect(events(shared, 1) & 4).toBe(0);
});

test('sending a vector below 16 sets the send-illegal-vector bit, shown after a write to ESR', () => {
  const { apics: [apic] } = apics();
  enable(apic);
  apic.mmioWrite(0x300, 4, 0x0_0005);
  expect(apic.mmioRead(0x280, 4)).toBe(0n);
  apic.mmioWrite(0x280, 4, 0);
  expect(apic.mmioRead(0x280, 4)).toBe(0x20n);
  apic.mmioWrite(0x280, 4, 0);
  expect(apic.mmioRead(0x280, 4)).toBe(0n);
});

test('flat logical destinations match any common bit, cluster ones cluster and member', () => {
  const { shared, pcpus, apics: all } = apics(4);
  all.forEach((apic, i) => apic.mmioWrite(0xd0, 4, 1 << (24 + i)));
  expect(calcDest(shared, pcpus, 0x5, false)).toEqual([0, 2]);
  all.forEach((apic, i) => { apic.mmioWrite(0xe0, 4, 0x0fff_ffff); apic.mmioWrite(0xd0, 4, (((i >> 1) << 4) | (1 << (i & 1))) << 24); });
  expect(calcDest(shared, pcpus, 0x13, false)).toEqual([2, 3]);
  expect(calcDest(shared, pcpus, 0xff, false)).toEqual([0, 1, 2, 3]);
  expect(calcDest(shared, pcpus, 3, true)).toEqual([3]);
});

test('lowest priority delivery picks the smallest PPR', () => {
  const { shared, pcpus, apics: [a, b] } = apics(2);
  enable(a); enable(b);
  a.mmioWrite(0xd0, 4, 1 << 24); b.mmioWrite(0xd0, 4, 2 << 24);
  a.mmioWrite(0x80, 4, 0x40);
  intrMsi(shared, pcpus, 0xfee0_300c, 0x170); // logical, dest 3, lowest priority
  a.mergePir(); b.mergePir();
  expect([a.pendingVector(), b.pendingVector()]).toEqual([-1, 0x70]);
});

test('an MSI outside 0xFEExxxxx is no interrupt', () => {
  const { shared, pcpus } = apics();
  expect(intrMsi(shared, pcpus, 0xfed0_0000, 0x40)).toBe(false);
  expect(intrMsi(shared, pcpus, 0x1_fee0_0000, 0x40)).toBe(false);
});

test('LINT0 passes the 8259 when it is unmasked ExtINT, or the APIC is off', () => {
  const { apics: [apic, second] } = apics(2);
  expect(apic.acceptsExtInt()).toBe(true);
  enable(apic);
  expect(apic.acceptsExtInt()).toBe(false);
  apic.mmioWrite(0x350, 4, 0x700);
  expect(apic.acceptsExtInt()).toBe(true);
  expect(second.acceptsExtInt()).toBe(false);
});

test('no sequence of guest accesses throws or makes a register wider than 32 bits', () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 0xfff }), fc.constantFrom(1, 2, 4, 8), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), { maxLength: 60 }),
    fc.boolean(),
    (writes, x2) => {
      const { apics: [apic] } = apics();
      if (x2) apic.setApicBase(0xfee0_0d00n);
      for (const [offset, size, value] of writes) {
        apic.mmioWrite(offset, size, value);
        expect(apic.mmioRead(offset, size)).toBeLessThan(1n << 32n);
        apic.writeMsr(0x800 + (offset >> 4), BigInt(value >>> 0));
        apic.readMsr(0x800 + (offset >> 4));
        apic.mergePir();
        const vector = apic.pendingVector();
        if (vector >= 0) apic.acceptVector(vector);
      }
    },
  ), { numRuns: 200, seed: 7 });
});
