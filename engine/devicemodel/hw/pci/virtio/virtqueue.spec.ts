import { expect, test } from 'vitest';
import { MockMemory, MockQueue } from './mock_driver.ts';
import { gather, scatter, Virtqueue } from './virtqueue.ts';

function setUp(size = 8) {
  const memory = new MockMemory(1 << 17);
  const driver = new MockQueue(memory, 0, 0x1000, size);
  const broken: string[] = [];
  const queue = new Virtqueue(0, size, memory, (_queue, reason) => broken.push(reason));
  expect(queue.enableLegacy(1)).toBeUndefined();
  return { memory, driver, queue, broken };
}

test('a chain of readable and writable descriptors is taken in order and given back in the used ring', () => {
  const { memory, driver, queue } = setUp();
  memory.bytes.set([1, 2, 3, 4], 0x8000);
  const head = driver.add([{ gpa: 0x8000, length: 4, write: false }, { gpa: 0x9000, length: 8, write: true }]);
  expect(queue.hasChains()).toBe(true);
  const chain = queue.pop();
  expect(chain).toMatchObject({ head, readableBytes: 4, writableBytes: 8 });
  const into = new Uint8Array(2);
  expect(gather(chain?.readable ?? [], 1, into)).toBe(2);
  expect([...into]).toEqual([2, 3]);
  expect(scatter(memory, chain?.writable ?? [], 6, Uint8Array.of(9, 9, 9))).toBe(2);
  if (chain !== undefined) queue.push(chain, 8);
  expect(driver.returned()).toEqual([{ head, length: 8 }]);
  expect(queue.pop()).toBeUndefined();
});

test('indices wrap at 65536 and the rings at their size', () => {
  const { driver, queue } = setUp(2);
  for (let i = 0; i < 65540; i++) {
    driver.add([{ gpa: 0x8000, length: 1, write: true }]);
    const chain = queue.pop();
    if (chain === undefined) throw new Error(`no chain at ${i}`);
    queue.push(chain, 1);
    if (i % 2 === 1) expect(driver.returned()).toHaveLength(2);
  }
});

test('the interrupt is wanted once a batch, unless avail.flags has NO_INTERRUPT', () => {
  const { driver, queue } = setUp();
  const once = () => { driver.add([{ gpa: 0x8000, length: 1, write: true }]); const chain = queue.pop(); if (chain !== undefined) queue.push(chain, 0); };
  expect(queue.endChains()).toBe(false);
  once();
  once();
  expect(queue.endChains()).toBe(true);
  expect(queue.endChains()).toBe(false);
  driver.noInterrupt = true;
  once();
  expect(queue.endChains()).toBe(false);
});

test('suppressKicks sets and clears VIRTQ_USED_F_NO_NOTIFY', () => {
  const { driver, queue } = setUp();
  queue.suppressKicks(true);
  expect(driver.noNotify).toBe(true);
  queue.suppressKicks(false);
  expect(driver.noNotify).toBe(false);
});

test('an indirect table is followed when negotiated, and refused when not', () => {
  const { driver, queue, broken } = setUp();
  queue.indirectAllowed = true;
  const many = Array.from({ length: 40 }, (_, i) => ({ gpa: 0x9000 + i * 16, length: 16, write: i >= 20 }));
  driver.addIndirect(0x8000, many);
  expect(queue.pop()).toMatchObject({ readableBytes: 320, writableBytes: 320 });
  queue.indirectAllowed = false;
  driver.addIndirect(0x8000, many);
  expect(queue.pop()).toBeUndefined();
  expect(broken).toEqual(['indirect descriptor not negotiated']);
});

const hostile: Array<[string, (driver: MockQueue, memory: MockMemory) => void, string]> = [
  ['a loop', (d) => { d.setDesc(0, 0x8000, 4, 1, 1); d.setDesc(1, 0x8000, 4, 1, 0); d.offer(0); }, 'descriptor loop'],
  ['a head beyond the table', (d) => d.offer(8), 'descriptor 8 of 8'],
  ['a next beyond the table', (d) => { d.setDesc(0, 0x8000, 4, 1, 9); d.offer(0); }, 'descriptor 9 of 8'],
  ['a buffer past the end of RAM', (d) => d.add([{ gpa: (1 << 17) - 4, length: 5, write: true }]), 'buffer outside RAM'],
  ['a buffer at the top of the address space', (d, m) => { d.setDesc(0, 0, 4, 0, 0); m.data.setBigUint64(0x1000, 0xffff_ffff_ffff_fff0n, true); d.offer(0); }, 'buffer outside RAM'],
  ['readable after writable', (d) => d.add([{ gpa: 0x8000, length: 4, write: true }, { gpa: 0x8000, length: 4, write: false }]), 'readable descriptor after a writable one'],
  ['avail.idx far ahead', (d, m) => m.data.setUint16(d.avail + 2, 9, true), 'avail.idx is 9 entries ahead of 8'],
  ['an indirect table of 15 bytes', (d) => { d.setDesc(0, 0x8000, 15, 4, 0); d.offer(0); }, 'indirect table of 15 bytes'],
  ['an indirect table outside RAM', (d) => { d.setDesc(0, 1 << 17, 16, 4, 0); d.offer(0); }, 'indirect table outside RAM or misaligned'],
  ['an indirect table inside another', (d) => { d.setDesc(0, 0x8000, 16, 4, 0); d.setDesc(0, 0x8000, 16, 4, 0, 0x8000); d.offer(0); }, 'indirect table inside an indirect table'],
  ['an indirect descriptor with NEXT', (d) => { d.setDesc(0, 0x8000, 16, 5, 1); d.offer(0); }, 'indirect descriptor with NEXT'],
  ['513 descriptors', (d) => { for (let i = 0; i < 513; i++) d.setDesc(i, 0x7000, 1, i === 512 ? 0 : 1, i + 1, 0x8000); d.setDesc(0, 0x8000, 513 * 16, 4, 0); d.offer(0); }, 'more than 512 descriptors'],
];
test.each(hostile)('%s stops the queue and is told', (_name, attack, reason) => {
  const { memory, driver, queue, broken } = setUp();
  queue.indirectAllowed = true;
  attack(driver, memory);
  expect(queue.pop()).toBeUndefined();
  expect(broken).toEqual([reason]);
  expect(queue.enabled).toBe(false);
});

test('rings outside RAM, unaligned or of a size that is no power of two are refused', () => {
  const { queue } = setUp();
  expect(queue.enableLegacy(0xfffff)).toBe('ring outside RAM');
  queue.size = 6;
  expect(queue.enable()).toBe('queue size 6');
  queue.size = 8;
  queue.descGpa = 0x1008;
  queue.availGpa = 0x2000;
  queue.usedGpa = 0x3000;
  expect(queue.enable()).toBe('ring not aligned');
});

test('a chain taken before a reset is nobody\'s afterwards', () => {
  const { driver, queue } = setUp();
  driver.add([{ gpa: 0x8000, length: 1, write: true }]);
  const chain = queue.pop();
  queue.reset();
  queue.enableLegacy(1);
  expect(chain !== undefined && queue.isLive(chain)).toBe(false);
  if (chain !== undefined) queue.push(chain, 1);
  expect(driver.returned()).toEqual([]);
});
