import { expect, test } from 'vitest';
import fc from 'fast-check';
import { mockShared, mockVm } from '../mock.ts';

/** Initialised as PCs do: primary at 0x30, secondary at 0x38, cascade on IRQ 2, 8086 mode, all open. */
function pic(icw4 = 1) {
  const shared = mockShared();
  const { vpic } = mockVm(shared);
  for (const [port, value] of [[0x20, 0x11], [0x21, 0x30], [0x21, 4], [0x21, icw4], [0xa0, 0x11], [0xa1, 0x38], [0xa1, 2], [0xa1, icw4], [0x21, 0], [0xa1, 0]] as const) vpic.portWrite(port, value);
  return { shared, vpic };
}

test('an uninitialised pair never raises INTR', () => {
  const { vpic } = mockVm(mockShared());
  vpic.setIrqline(4, 'set-high');
  expect(vpic.pending()).toBe(false);
});

test('an edge on IRQ 4 gives vector base + 4 once, and blocks lower priorities until EOI', () => {
  const { vpic, shared } = pic();
  vpic.setIrqline(4, 'rising-pulse');
  expect(Atomics.load(shared.eventWords, shared.eventIndex(0)) & 1).toBe(1);
  expect(vpic.ack()).toBe(0x34);
  expect(vpic.pending()).toBe(false);
  vpic.setIrqline(5, 'rising-pulse');
  expect(vpic.pending()).toBe(false);
  vpic.setIrqline(3, 'rising-pulse');
  expect(vpic.pending()).toBe(true);
  expect(vpic.ack()).toBe(0x33);
  vpic.portWrite(0x20, 0x20); // EOI of 3
  vpic.portWrite(0x20, 0x20); // EOI of 4
  expect(vpic.ack()).toBe(0x35);
});

test('the secondary is cascaded through IRQ 2 and needs an EOI on both', () => {
  const { vpic } = pic();
  vpic.setIrqline(12, 'rising-pulse');
  expect(vpic.ack()).toBe(0x3c);
  vpic.portWrite(0x20, 0x0b);
  expect(vpic.portRead(0x20)).toBe(0x04); // ISR of the primary: IRQ 2
  vpic.portWrite(0xa0, 0x20);
  vpic.portWrite(0x20, 0x20);
  expect(vpic.portRead(0x20)).toBe(0);
});

test('GSI 2 is the timer on pin 0', () => {
  const { vpic } = pic();
  vpic.setIrqline(2, 'rising-pulse');
  expect(vpic.ack()).toBe(0x30);
});

test('a request that went away before INTA answers IRQ 7', () => {
  const { vpic } = pic();
  vpic.portWrite(0x4d0, 0x20); // IRQ 5 level
  vpic.setIrqline(5, 'set-high');
  vpic.setIrqline(5, 'set-low');
  expect(vpic.pending()).toBe(false);
  expect(vpic.ack()).toBe(0x37);
});

test('masked pins wait in IRR', () => {
  const { vpic } = pic();
  vpic.portWrite(0x21, 0x10);
  vpic.setIrqline(4, 'set-high');
  expect(vpic.pending()).toBe(false);
  vpic.portWrite(0x20, 0x0a);
  expect(vpic.portRead(0x20)).toBe(0x10);
  vpic.portWrite(0x21, 0);
  expect(vpic.pending()).toBe(true);
});

test('a level line asks again after EOI while it is high', () => {
  const { vpic } = pic();
  vpic.portWrite(0x4d1, 0x04); // IRQ 10
  vpic.setIrqline(10, 'set-high');
  expect(vpic.ack()).toBe(0x3a);
  vpic.portWrite(0xa0, 0x20); vpic.portWrite(0x20, 0x20);
  expect(vpic.pending()).toBe(true);
  expect(vpic.ack()).toBe(0x3a);
  vpic.setIrqline(10, 'set-low');
  vpic.portWrite(0xa0, 0x20); vpic.portWrite(0x20, 0x20);
  expect(vpic.pending()).toBe(false);
});

test('IRQ 0, 1, 2, 8 and 13 cannot be made level', () => {
  const { vpic } = pic();
  vpic.portWrite(0x4d0, 0xff); vpic.portWrite(0x4d1, 0xff);
  expect(vpic.portRead(0x4d0)).toBe(0xf8);
  expect(vpic.portRead(0x4d1)).toBe(0xde);
});

test('automatic EOI leaves nothing in service', () => {
  const { vpic } = pic(3);
  vpic.setIrqline(4, 'rising-pulse');
  vpic.ack();
  vpic.portWrite(0x20, 0x0b);
  expect(vpic.portRead(0x20)).toBe(0);
});

test('a poll command answers the request and takes it into service', () => {
  const { vpic } = pic();
  vpic.setIrqline(6, 'rising-pulse');
  vpic.portWrite(0x20, 0x0c);
  expect(vpic.portRead(0x20)).toBe(0x86);
  expect(vpic.pending()).toBe(false);
});

test('no sequence of port accesses throws or answers more than a byte', () => {
  const port = fc.constantFrom(0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1);
  fc.assert(fc.property(fc.array(fc.tuple(port, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 20 })), { maxLength: 80 }), (steps) => {
    const { vpic } = pic();
    for (const [at, value, gsi] of steps) {
      vpic.portWrite(at, value);
      vpic.setIrqline(gsi, 'rising-pulse');
      if (vpic.pending()) expect(vpic.ack()).toBeLessThan(256);
      expect(vpic.portRead(at)).toBeLessThan(256);
    }
  }), { numRuns: 200, seed: 3 });
});
