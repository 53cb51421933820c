import { expect, test } from 'vitest';
import { mockShared, mockVm } from '../mock.ts';
import { IoeventfdMatcher, IoeventfdTable } from './ioeventfd.ts';
import { IoRequestPage, IoRequestPort, type SlotRequest } from './io_req.ts';

/** Both ends on one thread: ringing the doorbell answers at once. */
function path(answer: (request: SlotRequest) => bigint) {
  const shared = mockShared();
  mockVm(shared, [0, 1]);
  const page = new IoRequestPage(shared, 0);
  page.reset();
  const seen: SlotRequest[] = [];
  shared.ringDoorbell = () => {
    for (const vcpu of [0, 1]) {
      const request = page.take(vcpu);
      if (request === undefined) continue;
      seen.push(request);
      page.complete(request, answer(request));
    }
  };
  return { shared, page, seen, port: new IoRequestPort(shared, 0, 1) };
}

test('a port read carries port and size and returns the answer cut to its size', () => {
  const { port, seen } = path(() => 0x1234_5678n);
  expect(port.request(0, 0x3f8, 1, false, 0n)).toBe(0x78n);
  expect(seen[0]).toMatchObject({ type: 0, vcpuId: 1, write: false, address: 0x3f8, size: 1 });
});

test('an MMIO write carries 64 bits', () => {
  const { port, seen } = path(() => 0n);
  port.request(1, 0x1_4000_0000, 8, true, 0xfedc_ba98_7654_3210n);
  expect(seen[0]).toMatchObject({ type: 1, write: true, address: 0x1_4000_0000, size: 8, value: 0xfedc_ba98_7654_3210n });
});

test('the slot is FREE before and after, PENDING in between, at byte 136 of a 256-byte slot', () => {
  const { shared, port } = path(() => 0n);
  const state = () => Atomics.load(shared.words, (shared.vm(0) + 256 + 136) / 4);
  expect(state()).toBe(3);
  let during = -1;
  const ring = shared.ringDoorbell.bind(shared);
  shared.ringDoorbell = () => { during = state(); ring(); };
  port.request(0, 0x80, 1, true, 0n);
  expect(during).toBe(0);
  expect(state()).toBe(3);
});

test('0xCF8 latches an address and 0xCFC-0xCFF become PCI requests', () => {
  const { port, seen } = path(() => 0x1af4n);
  port.pciConfigPort(0xcf8, 4, true, 0x8001_1a04n);
  expect(port.pciConfigPort(0xcf8, 4, false, 0n)).toBe(0x8001_1a04n);
  expect(port.pciConfigPort(0xcfe, 2, false, 0n)).toBe(0x1af4n);
  expect(seen[0]).toMatchObject({ type: 2, bus: 1, dev: 3, func: 2, address: 6, size: 2 });
});

test('bits 27:24 of the latch are the extended register number', () => {
  const { port, seen } = path(() => 0n);
  port.pciConfigPort(0xcf8, 4, true, 0x8100_0010n);
  port.pciConfigPort(0xcfc, 4, true, 5n);
  expect(seen[0]).toMatchObject({ address: 0x110, write: true, value: 5n });
});

test('without the enable bit the data port floats and reaches nobody', () => {
  const { port, seen } = path(() => 0n);
  port.pciConfigPort(0xcf8, 4, true, 0x0000_1000n);
  expect(port.pciConfigPort(0xcfc, 4, false, 0n)).toBe(0xffff_ffffn);
  expect(seen).toEqual([]);
  expect(port.pciConfigPort(0xcf9, 1, true, 6n)).toBeUndefined(); // the reset register is a port of its own
});

test('an ioeventfd fires on address, width and data, and on nothing else', () => {
  const shared = mockShared();
  mockVm(shared);
  const table = new IoeventfdTable(shared, 0);
  const matcher = new IoeventfdMatcher(shared, 0);
  const kicks: string[] = [];
  table.assign({ space: 'pio', address: 0x2010, size: 2, data: 1 }, () => kicks.push('queue 1'));
  const remove = table.assign({ space: 'mmio', address: 0x1_0000_3000, size: 4 }, () => kicks.push('any'))!;
  expect(matcher.fire('pio', 0x2010, 2, 0n)).toBe(false);
  expect(matcher.fire('pio', 0x2010, 4, 1n)).toBe(false);
  expect(matcher.fire('pio', 0x2010, 2, 1n)).toBe(true);
  expect(matcher.fire('mmio', 0x1_0000_3000, 2, 77n)).toBe(true);
  expect(table.drain()).toBe(true);
  expect(kicks).toEqual(['queue 1', 'any']);
  expect(table.drain()).toBe(false);
  remove();
  expect(matcher.fire('mmio', 0x1_0000_3000, 2, 77n)).toBe(false);
});
