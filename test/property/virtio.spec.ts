/** Hostile drivers: whatever is in the rings and registers, a device neither throws, hangs, nor leaves the VM's RAM. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PciDeviceClass } from '../../engine/devicemodel/hw/pci/pci_if.ts';
import { MockChar, MockDriver, mockHost } from '../../engine/devicemodel/hw/pci/virtio/mock_driver.ts';
import { virtioBlk, virtioConsole, virtioRnd } from '../../engine/devicemodel/hw/pci/virtio/index.ts';

const RAM = 1 << 20;
const SEED = 20190510;

const address = fc.oneof(fc.integer({ min: 0, max: RAM }), fc.constantFrom(RAM - 1, RAM - 16, RAM, 2 ** 32, 2 ** 52));
const length = fc.oneof(fc.integer({ min: 0, max: 4096 }), fc.constantFrom(1, 16, 512, RAM, 2 ** 32 - 1));
const descriptor = fc.record({ gpa: address, length, flags: fc.integer({ min: 0, max: 7 }), next: fc.integer({ min: 0, max: 70 }) });
const ring = fc.record({ table: fc.array(descriptor, { minLength: 1, maxLength: 24 }), heads: fc.array(fc.integer({ min: 0, max: 70 }), { maxLength: 24 }), jump: fc.constantFrom(0, 0, 0, 1, 65, 65535) });

const disk = { sizeBytes: 8192, readOnly: false, read: async (_at: number, into: Uint8Array) => { into.fill(1); }, write: async () => undefined, flush: async () => undefined, discard: async () => undefined, close: async () => undefined };
const devices: Array<[string, PciDeviceClass, string | undefined, number]> = [
  ['virtio-blk', virtioBlk, '/x.img,writeback,discard', 1],
  ['virtio-console', virtioConsole, '@pty:a,pty:b', 6],
  ['virtio-rnd', virtioRnd, undefined, 1],
];

test.each(devices)('%s survives hostile rings', async (_name, cls, opts, queueCount) => {
  await fc.assert(fc.asyncProperty(fc.array(ring, { minLength: 1, maxLength: queueCount }), fc.boolean(), async (rings, modern) => {
    const char = new MockChar();
    const host = mockHost({ openChar: async () => char, openBlock: async () => disk });
    const driver = await MockDriver.create(cls, opts, host);
    if (modern) driver.probeModern(BigInt(driver.device.barRead(0, 0, 4)), queueCount);
    else driver.probeLegacy(driver.device.barRead(0, 0, 4), queueCount);
    rings.forEach(({ table, heads, jump }, index) => {
      const queue = driver.queues[index];
      table.forEach((desc, i) => queue.setDesc(i, desc.gpa, desc.length, desc.flags, desc.next));
      heads.forEach((head) => queue.offer(head));
      const idx = driver.memory.data.getUint16(queue.avail + 2, true);
      driver.memory.data.setUint16(queue.avail + 2, (idx + jump) & 0xffff, true);
    });
    for (let index = 0; index < queueCount; index++) {
      driver.kick(index);
      char.type('typed');
    }
    for (let turn = 0; turn < 4; turn++) { await new Promise<void>((resolve) => setImmediate(resolve)); host.runTimers(); }
    await driver.device.deinit();
    const after = driver.get(0, RAM);
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(Buffer.compare(after, driver.get(0, RAM))).toBe(0);
  }), { seed: SEED, numRuns: 150 });
}, 60_000);

const access = fc.record({
  write: fc.boolean(), bar: fc.constantFrom(0, 1, 2, 4, 5), size: fc.constantFrom(1, 2, 4), value: fc.oneof(fc.integer({ min: 0, max: 64 }), fc.nat(0xffff_ffff)),
  offset: fc.oneof(fc.integer({ min: 0, max: 0x90 }), fc.integer({ min: 0x2000, max: 0x2050 }), fc.integer({ min: 0x3000, max: 0x3100 }), fc.nat(0x3fff)),
});

test.each(devices)('%s survives any sequence of register accesses, and reads fit their size', async (_name, cls, opts) => {
  await fc.assert(fc.asyncProperty(fc.array(access, { maxLength: 120 }), async (accesses) => {
    const host = mockHost({ openChar: async () => new MockChar(), openBlock: async () => disk });
    const { device } = await MockDriver.create(cls, opts, host);
    for (const { write, bar, offset, size, value } of accesses) {
      if (write) device.barWrite(bar, offset, size, value % 2 ** (8 * size));
      else {
        const got = device.barRead(bar, offset, size);
        expect(Number.isInteger(got) && got >= 0 && got < 2 ** (8 * size)).toBe(true);
      }
    }
    device.reset();
    await device.deinit();
  }), { seed: SEED, numRuns: 150 });
}, 60_000);
