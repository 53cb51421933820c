import { expect, test } from 'vitest';
import { MockDriver, mockHost, MockVm } from './mock_driver.ts';
import { virtioRnd } from './virtio_rnd.ts';

const make = () => MockDriver.create(virtioRnd, undefined, mockHost());

test('the function has ACRN\'s ids, revision 0, BAR0 I/O, BAR1 MSI-X and BAR4 of 16 KiB', async () => {
  const { vdev } = await make();
  expect(vdev.getCfgData32(0)).toBe(0x1005_1af4);
  expect(vdev.getCfgData8(8)).toBe(0);
  expect(vdev.getCfgData8(0x0b)).toBe(0x10);
  expect(vdev.getCfgData32(0x2c)).toBe(0x0004_1af4);
  expect(vdev.bars.get(0)).toEqual({ type: 'io', sizeBytes: 24 });
  expect(vdev.bars.get(1)?.type).toBe('mem32');
  expect(vdev.bars.get(4)).toEqual({ type: 'mem64', sizeBytes: 0x4000 });
});

test('vendor capabilities place common at 0, ISR at 0x1000, notify at 0x3000 of BAR4', async () => {
  const { vdev } = await make();
  const caps = vdev.capabilities.map(({ bytes }) => ({ id: bytes[0], type: bytes[3], bar: bytes[4], offset: new DataView(bytes.buffer).getUint32(8, true), len: bytes[2] }));
  expect(caps).toEqual([
    { id: 9, type: 1, bar: 4, offset: 0, len: 16 },
    { id: 9, type: 3, bar: 4, offset: 0x1000, len: 16 },
    { id: 9, type: 2, bar: 4, offset: 0x3000, len: 20 },
    { id: 9, type: 5, bar: 4, offset: 0, len: 20 },
  ]);
});

test('a legacy driver gets entropy with INTx, and reading ISR takes the line down', async () => {
  const driver = await make();
  driver.probeLegacy(0, 1);
  const head = driver.queues[0].add([{ gpa: 0x10000, length: 16, write: true }]);
  driver.kick(0);
  expect(driver.queues[0].returned()).toEqual([{ head, length: 16 }]);
  expect([...driver.get(0x10000, 3)]).toEqual([1, 8, 15]);
  expect(driver.vdev.intx).toBe(true);
  expect(driver.device.barRead(0, 19, 1)).toBe(1);
  expect(driver.vdev.intx).toBe(false);
  expect(driver.device.barRead(0, 19, 1)).toBe(0);
});

test('a modern driver gets entropy with its queue\'s MSI-X vector, by ioeventfd', async () => {
  const driver = await make();
  driver.vdev.msixOn = true;
  driver.probeModern(0n, 1);
  driver.queues[0].add([{ gpa: 0x10000, length: 16, write: true }]);
  driver.vm.kicks.find(({ bar }) => bar === 4)?.kick();
  expect(driver.queues[0].returned()).toHaveLength(1);
  expect(driver.vdev.msix).toEqual([1]);
  expect(driver.vdev.intx).toBe(false);
});

test('FEATURES_OK does not stick without VIRTIO_F_VERSION_1 or with a feature that was not offered', async () => {
  const { device } = await make();
  device.barWrite(4, 0x14, 1, 3);
  device.barWrite(4, 0x14, 1, 11);
  expect(device.barRead(4, 0x14, 1)).toBe(3);
  device.barWrite(4, 0x08, 4, 1);
  device.barWrite(4, 0x0c, 4, 3); // VERSION_1 and bit 33
  device.barWrite(4, 0x14, 1, 11);
  expect(device.barRead(4, 0x14, 1)).toBe(3);
  device.barWrite(4, 0x0c, 4, 1);
  device.barWrite(4, 0x14, 1, 11);
  expect(device.barRead(4, 0x14, 1)).toBe(11);
});

test('a broken ring sets DEVICE_NEEDS_RESET with a configuration interrupt, until reset', async () => {
  const driver = await make();
  driver.vdev.msixOn = true;
  driver.probeModern(0n, 1);
  driver.device.barWrite(4, 0x10, 2, 0); // config_msix_vector
  driver.queues[0].offer(999);
  driver.kick(0);
  expect(driver.status).toBe(15 | 0x40);
  expect(driver.vdev.msix).toEqual([0]);
  expect(driver.vm.lines).toEqual(['virtio-rnd: queue 0: descriptor 999 of 64']);
  driver.probeModern(0n, 1);
  expect(driver.status).toBe(15);
});

test('a legacy driver that breaks its ring loses the queue', async () => {
  const driver = await make();
  driver.probeLegacy(0, 1);
  driver.queues[0].offer(999);
  driver.kick(0);
  expect(driver.device.barRead(0, 8, 4)).toBe(0);
  expect(driver.status).toBe(7);
});

test('legacy registers answer their own size only; others read all ones', async () => {
  const driver = await make();
  expect(driver.device.barRead(0, 12, 2)).toBe(64);
  expect(driver.device.barRead(0, 12, 1)).toBe(0xff);
  expect(driver.device.barRead(0, 13, 2)).toBe(0xffff);
  expect(driver.device.barRead(0, 18, 4)).toBe(0xffff_ffff);
});

test('a vector beyond the table reads back as 0xffff', async () => {
  const { device } = await make();
  device.barWrite(0, 20, 2, 1);
  expect(device.barRead(0, 20, 2)).toBe(0xffff); // device configuration while MSI-X is off
  device.barWrite(4, 0x1a, 2, 2);
  expect(device.barRead(4, 0x1a, 2)).toBe(0xffff);
  device.barWrite(4, 0x1a, 2, 1);
  expect(device.barRead(4, 0x1a, 2)).toBe(1);
});

test('the PCI-access capability reaches the common registers', async () => {
  const driver = await make();
  const cap = driver.vdev.capabilities.find(({ bytes }) => bytes[3] === 5);
  if (cap === undefined) throw new Error('no PCI cfg capability');
  driver.vdev.setCfgData8(cap.at + 4, 4);
  driver.vdev.setCfgData32(cap.at + 8, 0x18);
  driver.vdev.setCfgData32(cap.at + 12, 2);
  expect(driver.device.cfgRead?.(cap.at + 16, 2)).toBe(64);
  driver.vdev.setCfgData32(cap.at + 8, 0x3fff);
  expect(driver.device.cfgRead?.(cap.at + 16, 2)).toBeUndefined();
});

test('nothing is written to guest memory after deinit, and the ioeventfds are gone', async () => {
  const driver = await make();
  driver.probeLegacy(0, 1);
  driver.queues[0].add([{ gpa: 0x10000, length: 16, write: true }]);
  await driver.device.deinit();
  driver.kick(0);
  expect(driver.vm.kicks).toEqual([]);
  expect(driver.queues[0].returned()).toEqual([]);
});

test('a guest cannot fill the log', async () => {
  const driver = await MockDriver.create(virtioRnd, undefined, mockHost(), new MockVm());
  for (let i = 0; i < 1000; i++) driver.device.barRead(0, 1, 4);
  expect(driver.vm.lines).toHaveLength(32);
});

test('an unknown option of virtio-rnd is refused', async () => {
  await expect(MockDriver.create(virtioRnd, 'kernel=maybe', mockHost())).rejects.toThrow('Invalid device option "kernel=maybe"');
});
