import { expect, test } from 'vitest';
import { vmDefinition } from '../../../engine/contract/vm_definition.ts';
import { definitionOf, deviceRow, diskOf, formOf, freeSlot, insertBySlot, newForm, withCom, withDisk } from './form_model.ts';

const IMAGES = { kernel: '/k', ramdisk: '/r', disk: '/d.img', bootargs: 'console=hvc0' };
const first = () => newForm(IMAGES, [], []);

test('a new form is a definition as it stands', () => {
  expect(vmDefinition.parse(definitionOf(first()))).toMatchObject({ name: 'vm1', cpuAffinity: [1], memoryMiB: 512, kernel: '/k', ramdisk: '/r', bootargs: 'console=hvc0' });
});

test('a new form takes the first free name and the first pCPU that no other VM has', () => {
  const taken = vmDefinition.parse({ ...definitionOf(first()), name: 'vm1', cpuAffinity: [1, 2] });
  expect(newForm(IMAGES, [taken], ['vm1', 'vm2'])).toMatchObject({ name: 'vm3', cpuAffinity: [3] });
});

test('a definition goes into the form and comes back the same', () => {
  const definition = vmDefinition.parse({ ...definitionOf(first()), lpc: { com1: 'tcp:4000' }, cpuModel: 'v2', acpi: false });
  expect(vmDefinition.parse(definitionOf(formOf(definition)))).toEqual(definition);
});

test('the disk field is the first virtio-blk, its options stay', () => {
  const form = { ...first(), devices: [deviceRow('0:0', 'hostbridge'), deviceRow('4', 'virtio-blk', '/a.img,ro,writeback')] };
  expect(diskOf(form)).toBe('/a.img');
  expect(withDisk(form, '/b.img').devices[1]?.config).toBe('/b.img,ro,writeback');
  expect(withDisk(form, '').devices.map(({ device }) => device)).toEqual(['hostbridge']);
  expect(withDisk(withDisk(form, ''), '/c.img').devices[1]).toMatchObject({ slot: '3', device: 'virtio-blk', config: '/c.img' });
});

test('a COM port brings the LPC bridge along, at 1:0 when that is free', () => {
  expect(withCom(first(), 'com1', 'stdio').devices.find(({ device }) => device === 'lpc')?.slot).toBe('1:0');
  const busy = { ...first(), devices: [deviceRow('1', 'virtio-rnd')] };
  expect(withCom(busy, 'com1', 'stdio').devices.find(({ device }) => device === 'lpc')?.slot).toBe('3');
  expect(withCom(first(), 'com1', ' ').devices.some(({ device }) => device === 'lpc')).toBe(false);
});

test('a device is added at the lowest free slot from 3 up, in order', () => {
  const devices = [deviceRow('0:0', 'hostbridge'), deviceRow('3', 'virtio-blk'), deviceRow('0:4:1', 'virtio-rnd'), deviceRow('6', 'virtio-net')];
  expect(freeSlot(devices)).toBe('5');
  expect(insertBySlot(devices, deviceRow('5', 'x')).map(({ device }) => device)).toEqual(['hostbridge', 'virtio-blk', 'virtio-rnd', 'x', 'virtio-net']);
});
