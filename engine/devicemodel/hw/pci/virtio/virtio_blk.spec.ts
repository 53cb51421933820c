import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlockBackend } from '../../../backends_if.ts';
import { md5 } from './md5.ts';
import { MockDriver, mockHost, MockVdev, MockVm } from './mock_driver.ts';
import { serialOf, virtioBlk, VirtioBlk } from './virtio_blk.ts';
import { VirtioPciDevice } from './virtio.ts';
import { parseBlkOptions } from './virtio_blk_opts.ts';

class MemoryDisk implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  readonly calls: string[] = [];
  /** Held requests, by offset, until released. */
  readonly gates = new Map<number, Promise<void>>();
  fail = false;
  constructor(sectors: number, readOnly = false) { this.bytes = new Uint8Array(sectors * 512); this.readOnly = readOnly; }
  get sizeBytes(): number { return this.bytes.length; }
  async read(offset: number, into: Uint8Array): Promise<void> {
    this.calls.push(`read ${offset} ${into.length}`);
    await this.gates.get(offset);
    if (this.fail) throw new Error('bad sector');
    into.set(this.bytes.subarray(offset, offset + into.length));
  }
  async write(offset: number, from: Uint8Array): Promise<void> {
    this.calls.push(`write ${offset} ${from.length}`);
    await this.gates.get(offset);
    this.bytes.set(from, offset);
  }
  async flush(): Promise<void> { this.calls.push('flush'); }
  async discard(offset: number, length: number): Promise<void> { this.calls.push(`discard ${offset} ${length}`); }
  async close(): Promise<void> { this.calls.push('close'); }
}

/** A disk whose transfers are over at once, unless `slow` says that the long way is to be taken. */
class QuickDisk extends MemoryDisk {
  slow: () => boolean = () => false;
  readAtOnce(offset: number, into: readonly Uint8Array[]): boolean {
    if (this.slow()) return false;
    this.calls.push(`read at once ${offset}`);
    let at = offset;
    for (const piece of into) { piece.set(this.bytes.subarray(at, at + piece.length)); at += piece.length; }
    return true;
  }
  writeAtOnce(offset: number, from: readonly Uint8Array[]): boolean {
    if (this.slow()) return false;
    this.calls.push(`write at once ${offset}`);
    let at = offset;
    for (const piece of from) { this.bytes.set(piece, at); at += piece.length; }
    return true;
  }
}

const settle = async () => { for (let i = 0; i < 20; i++) await Promise.resolve(); };

async function setUp(opts = '/disk.img', disk = new MemoryDisk(4096), features = 0xffff_ffffn & ~(1n << 32n)) {
  const host = mockHost({ openBlock: async () => disk });
  const driver = await MockDriver.create(virtioBlk, opts, host);
  const offered = BigInt(driver.device.barRead(0, 0, 4)) & features;
  driver.probeModern(offered, 1);
  return { driver, disk, host };
}

function header(driver: MockDriver, at: number, type: number, sector: number) {
  driver.memory.data.setUint32(at, type, true);
  driver.memory.data.setUint32(at + 4, 0, true);
  driver.memory.data.setBigUint64(at + 8, BigInt(sector), true);
  return { gpa: at, length: 16, write: false };
}
const STATUS = { gpa: 0x2_0000, length: 1, write: true };

async function request(driver: MockDriver, type: number, sector: number, data: Array<{ gpa: number; length: number; write: boolean }>) {
  driver.memory.bytes[STATUS.gpa] = 0xee;
  driver.queues[0].add([header(driver, 0x2_1000, type, sector), ...data, STATUS]);
  driver.kick(0);
  await settle();
  return { status: driver.memory.bytes[STATUS.gpa], used: driver.queues[0].returned() };
}

test('configuration tells capacity, seg_max 256, block size 512 and a 4096-byte physical block', async () => {
  const { driver } = await setUp();
  expect(driver.device.barRead(4, 0x2000, 4)).toBe(4096);
  expect(driver.device.barRead(4, 0x200c, 4)).toBe(256);
  expect(driver.device.barRead(4, 0x2014, 4)).toBe(512);
  expect(driver.device.barRead(4, 0x2018, 1)).toBe(3);
  expect(driver.device.barRead(0, 20, 4)).toBe(4096); // legacy layout without MSI-X
  driver.vdev.msixOn = true;
  expect(driver.device.barRead(0, 24, 4)).toBe(4096);
});

test('what was written is read back, over several descriptors, with the used length counting data and status', async () => {
  const { driver, disk } = await setUp();
  driver.put(0x3_0000, new Uint8Array(1024).fill(0x5a));
  expect(await request(driver, 1, 7, [{ gpa: 0x3_0000, length: 300, write: false }, { gpa: 0x3_012c, length: 724, write: false }])).toMatchObject({ status: 0, used: [{ length: 1 }] });
  expect(disk.bytes[7 * 512]).toBe(0x5a);
  expect(await request(driver, 0, 7, [{ gpa: 0x4_0000, length: 512, write: true }, { gpa: 0x4_1000, length: 512, write: true }])).toMatchObject({ status: 0, used: [{ length: 1025 }] });
  expect(driver.get(0x4_1000, 512).every((byte) => byte === 0x5a)).toBe(true);
});

test('writethru, the default, flushes after each write; writeback only when told', async () => {
  const through = await setUp();
  await request(through.driver, 1, 0, [through.driver.put(0x3_0000, new Uint8Array(512))]);
  expect(through.disk.calls).toEqual(['write 0 512', 'flush']);
  const back = await setUp('/disk.img,writeback');
  await request(back.driver, 1, 0, [back.driver.put(0x3_0000, new Uint8Array(512))]);
  await request(back.driver, 4, 0, []);
  expect(back.disk.calls).toEqual(['write 0 512', 'flush']);
  back.driver.device.barWrite(4, 0x2020, 1, 0); // writeback off
  await request(back.driver, 1, 0, [back.driver.put(0x3_0000, new Uint8Array(512))]);
  expect(back.disk.calls).toEqual(['write 0 512', 'flush', 'write 0 512', 'flush']);
});

test('a writeback disk is writethrough for a driver that cannot flush', async () => {
  const { driver, disk } = await setUp('/disk.img,writeback', new MemoryDisk(16), 0n);
  await request(driver, 1, 0, [driver.put(0x3_0000, new Uint8Array(512))]);
  expect(disk.calls).toEqual(['write 0 512', 'flush']);
});

test('requests beyond the end, of half sectors, or that the host fails end with status 1', async () => {
  const { driver, disk } = await setUp();
  expect((await request(driver, 0, 4096, [{ gpa: 0x4_0000, length: 512, write: true }])).status).toBe(1);
  expect((await request(driver, 0, 2 ** 52, [{ gpa: 0x4_0000, length: 512, write: true }])).status).toBe(1);
  expect((await request(driver, 0, 0, [{ gpa: 0x4_0000, length: 511, write: true }])).status).toBe(1);
  disk.fail = true;
  expect((await request(driver, 0, 0, [{ gpa: 0x4_0000, length: 512, write: true }])).status).toBe(1);
  expect(driver.status).toBe(15);
});

test('an unknown request ends with status 2; the barrier flag is ignored', async () => {
  const { driver } = await setUp();
  expect((await request(driver, 99, 0, [])).status).toBe(2);
  expect((await request(driver, 0x8000_0000, 0, [{ gpa: 0x4_0000, length: 512, write: true }])).status).toBe(0);
});

test('what the backend does at once is complete when the kick returns; a writethru disk flushes first', async () => {
  const back = await setUp('/disk.img,writeback', new QuickDisk(64));
  back.disk.bytes.fill(0x77, 512, 1024);
  back.driver.queues[0].add([header(back.driver, 0x2_1000, 0, 1), { gpa: 0x4_0000, length: 512, write: true }, STATUS]);
  back.driver.kick(0);
  expect(back.driver.queues[0].returned()).toMatchObject([{ length: 513 }]);
  expect(back.driver.get(0x4_0000, 512).every((byte) => byte === 0x77)).toBe(true);
  expect((await request(back.driver, 1, 64, [back.driver.put(0x3_0000, new Uint8Array(512))])).status).toBe(1);
  const through = await setUp('/disk.img', new QuickDisk(64));
  through.driver.queues[0].add([header(through.driver, 0x2_1000, 1, 2), through.driver.put(0x3_0000, new Uint8Array(512)), STATUS]);
  through.driver.kick(0);
  expect(through.driver.queues[0].returned()).toEqual([]);
  await settle();
  expect(through.driver.queues[0].returned()).toMatchObject([{ length: 1 }]);
  expect(through.disk.calls).toEqual(['write at once 1024', 'flush']);
});

test('of many transfers at once eight are done in one go, the others after this thread\'s other promises', async () => {
  const { driver } = await setUp('/disk.img,writeback', new QuickDisk(64));
  driver.queues[0].setDesc(0, 0x2_1000, 16, 1, 1);
  driver.queues[0].setDesc(1, 0x4_0000, 513, 2, 0);
  header(driver, 0x2_1000, 0, 0);
  for (let i = 0; i < 20; i++) driver.queues[0].offer(0);
  driver.kick(0);
  expect(driver.queues[0].returned()).toHaveLength(8);
  await settle();
  expect(driver.queues[0].returned()).toHaveLength(12);
});

test('any layout of descriptors moves the same bytes, at once or not', async () => {
  const { driver, disk } = await setUp('/disk.img,writeback', new QuickDisk(64));
  const quick = disk as QuickDisk;
  await fc.assert(fc.asyncProperty(
    fc.boolean(), fc.boolean(), fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 4 }), fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 12 }), fc.integer({ min: 0, max: 255 }),
    async (write, slow, sector, sectors, cuts, seed) => {
      quick.slow = () => slow;
      const length = sectors * 512;
      const data = Uint8Array.from({ length }, (_, i) => (seed + i * 7) & 0xff);
      const before = disk.bytes.slice();
      driver.memory.bytes.fill(0xcc, 0x4_0000, 0x5_0000);
      if (write) driver.put(0x4_0000, data);
      else disk.bytes.set(data, sector * 512);
      // A read's status byte lies in a descriptor of its data.
      const bytes = write ? length : length + 1;
      const pieces: Array<{ gpa: number; length: number; write: boolean }> = [];
      for (let at = 0, n = 0; at < bytes; n += 1) {
        const count = Math.min(cuts[n] ?? bytes, bytes - at);
        pieces.push({ gpa: 0x4_0000 + at, length: count, write: !write });
        at += count;
      }
      driver.queues[0].add([header(driver, 0x2_1000, write ? 1 : 0, sector), ...pieces, ...(write ? [STATUS] : [])]);
      driver.kick(0);
      if (slow) await settle();
      expect(driver.queues[0].returned()).toMatchObject([{ length: write ? 1 : length + 1 }]);
      expect(driver.memory.bytes[write ? STATUS.gpa : 0x4_0000 + length]).toBe(0);
      expect(driver.get(0x4_0000, length)).toEqual(data);
      expect(driver.memory.bytes[0x4_0001 + length]).toBe(0xcc);
      before.set(data, sector * 512);
      expect(disk.bytes).toEqual(before);
    }), { numRuns: 200, seed: 11 });
});

test('GET_ID returns ACRN-- and six bytes of the options\' MD5', async () => {
  const { driver } = await setUp('/disk.img,writeback');
  expect(await request(driver, 8, 0, [{ gpa: 0x4_0000, length: 20, write: true }])).toMatchObject({ status: 0, used: [{ length: 21 }] });
  const hex = createHash('md5').update('/disk.img,writeback').digest('hex').toUpperCase();
  expect(new TextDecoder().decode(driver.get(0x4_0000, 20))).toBe(`ACRN--${hex.slice(0, 4)}-${hex.slice(4, 8)}-${hex.slice(8, 12)}`);
});

test('MD5 agrees with RFC 1321 and with the host for every length around a block', () => {
  expect(Buffer.from(md5('')).toString('hex')).toBe('d41d8cd98f00b204e9800998ecf8427e');
  for (let length = 0; length < 130; length++) expect(Buffer.from(md5('x'.repeat(length))).toString('hex')).toBe(createHash('md5').update('x'.repeat(length)).digest('hex'));
  expect(serialOf('a')).toHaveLength(20);
});

test('several requests are in flight, and a later one may finish first', async () => {
  const { driver, disk } = await setUp();
  let open: () => void = () => undefined;
  disk.gates.set(0, new Promise<void>((resolve) => { open = resolve; }));
  const slow = driver.queues[0].add([header(driver, 0x2_1000, 0, 0), { gpa: 0x4_0000, length: 512, write: true }, STATUS]);
  const fast = driver.queues[0].add([header(driver, 0x2_2000, 0, 1), { gpa: 0x4_1000, length: 512, write: true }, { gpa: 0x2_0001, length: 1, write: true }]);
  driver.kick(0);
  await settle();
  expect(driver.queues[0].returned().map(({ head }) => head)).toEqual([fast]);
  open();
  await settle();
  expect(driver.queues[0].returned().map(({ head }) => head)).toEqual([slow]);
});

test('a reset abandons a read in flight without touching guest memory, and new requests wait for it', async () => {
  const { driver, disk } = await setUp();
  disk.bytes.fill(0x77);
  let open: () => void = () => undefined;
  disk.gates.set(0, new Promise<void>((resolve) => { open = resolve; }));
  driver.queues[0].add([header(driver, 0x2_1000, 0, 0), { gpa: 0x4_0000, length: 512, write: true }, STATUS]);
  driver.kick(0);
  await settle();
  driver.probeModern(0n, 1);
  driver.queues[0].add([header(driver, 0x2_2000, 0, 1), { gpa: 0x4_1000, length: 512, write: true }, STATUS]);
  driver.kick(0);
  await settle();
  expect(driver.queues[0].returned()).toEqual([]);
  open();
  await settle();
  expect(driver.queues[0].returned()).toHaveLength(1);
  expect(driver.get(0x4_0000, 512).every((byte) => byte === 0)).toBe(true);
  expect(driver.get(0x4_1000, 1)[0]).toBe(0x77);
});

test('deinit waits for requests in flight and closes the disk', async () => {
  const { driver, disk } = await setUp();
  let open: () => void = () => undefined;
  disk.gates.set(0, new Promise<void>((resolve) => { open = resolve; }));
  driver.put(0x3_0000, new Uint8Array(512));
  driver.queues[0].add([header(driver, 0x2_1000, 1, 0), { gpa: 0x3_0000, length: 512, write: false }, STATUS]);
  driver.kick(0);
  await settle();
  const done = driver.device.deinit();
  await settle();
  expect(disk.calls).not.toContain('close');
  open();
  await done;
  expect(disk.calls).toEqual(['write 0 512', 'flush', 'close']);
});

test('a request of more than a mebibyte moves in pieces', async () => {
  const { driver, disk } = await setUp('/disk.img,writeback');
  expect((await request(driver, 0, 0, Array.from({ length: 9 }, () => ({ gpa: 0x8_0000, length: 0x2_0000, write: true })))).used[0].length).toBe(9 * 0x2_0000 + 1);
  expect(disk.calls).toEqual(['read 0 1048576', 'read 1048576 131072']);
});

test('a read-only disk offers RO and refuses writes', async () => {
  const { driver } = await setUp('/disk.img,ro', new MemoryDisk(16, true));
  expect(driver.device.barRead(0, 0, 4) & (1 << 5)).not.toBe(0);
  expect((await request(driver, 1, 0, [driver.put(0x3_0000, new Uint8Array(512))])).status).toBe(1);
});

test('discard punches each segment and refuses flags', async () => {
  const { driver, disk } = await setUp('/disk.img,writeback,discard=100:4:8');
  expect(driver.device.barRead(4, 0x2024, 4)).toBe(100);
  const segment = (sector: number, count: number, flags: number) => {
    const bytes = new DataView(new ArrayBuffer(16));
    bytes.setBigUint64(0, BigInt(sector), true);
    bytes.setUint32(8, count, true);
    bytes.setUint32(12, flags, true);
    return driver.put(0x3_0000, new Uint8Array(bytes.buffer));
  };
  expect((await request(driver, 11, 0, [segment(8, 16, 0)])).status).toBe(0);
  expect(disk.calls).toEqual(['discard 4096 8192']);
  expect((await request(driver, 11, 0, [segment(8, 16, 1)])).status).toBe(2);
  expect((await request(driver, 11, 0, [segment(8, 101, 0)])).status).toBe(1);
  expect((await request(driver, 11, 0, [segment(4090, 16, 0)])).status).toBe(1);
});

test('a request without a header or a status byte breaks the queue', async () => {
  const { driver } = await setUp();
  driver.queues[0].add([{ gpa: 0x2_1000, length: 8, write: false }, STATUS]);
  driver.kick(0);
  expect(driver.status & 0x40).toBe(0x40);
});

test('a guest that floods requests without I/O leaves the thread to others after 64', async () => {
  const { driver, host } = await setUp();
  for (let i = 0; i < 64; i++) driver.queues[0].offer(0);
  driver.queues[0].setDesc(0, 0x2_1000, 16, 1, 1);
  driver.queues[0].setDesc(1, STATUS.gpa, 1, 2, 0);
  header(driver, 0x2_1000, 99, 0);
  driver.kick(0);
  for (let i = 0; i < 50; i++) await settle();
  expect(driver.queues[0].returned()).toHaveLength(64);
  driver.queues[0].offer(0);
  host.runTimers();
  await settle();
  expect(driver.queues[0].returned()).toHaveLength(1);
});

test('nodisk has no capacity', async () => {
  const { driver } = await setUp('nodisk');
  expect(driver.device.barRead(4, 0x2000, 4)).toBe(0);
  expect((await request(driver, 0, 0, [{ gpa: 0x4_0000, length: 512, write: true }])).status).toBe(1);
});

test('blkrescan gives a nodisk device its disk once, with a configuration interrupt', async () => {
  let blk: VirtioBlk | undefined;
  const vm = new MockVm();
  const vdev = new MockVdev('virtio-blk');
  const device = new VirtioPciDevice(vm, vdev, mockHost(), (transport) => (blk = new VirtioBlk(transport, parseBlkOptions('nodisk'), 'nodisk', undefined)));
  device.barWrite(0, 18, 1, 7);
  const host = mockHost({ openBlock: async () => new MemoryDisk(64) });
  await blk?.rescan('/new.img', host);
  expect(device.barRead(0, 20, 4)).toBe(64);
  expect(device.barRead(0, 19, 1)).toBe(2);
  await expect(blk?.rescan('/other.img', host)).rejects.toMatchObject({ code: 'BLK_RESCAN' });
});

test('options are read as in ACRN', () => {
  expect(parseBlkOptions('b,/x.img,writeback,ro,sectorsize=4096/8192,range=8/16')).toMatchObject({ path: '/x.img', writeback: true, readOnly: true, sectorSize: 4096, physicalSectorSize: 8192, range: { start: 8, size: 16 } });
  expect(() => parseBlkOptions(undefined)).toThrow('virtio_blk: backing device required');
  expect(() => parseBlkOptions('/x.img,aio=io_uring')).toThrow('Invalid device option "aio=io_uring"');
  expect(() => parseBlkOptions('/x.img,sectorsize=1000')).toThrow('Invalid sector size 1000/1000');
});
