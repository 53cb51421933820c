/**
 * The create form's state and its way to a definition and back.
 *
 * @spec   engine/contract/vm_definition.ts
 * @cover  #Y every field; the disk image field is the config of the first virtio-blk device
 * @differ none
 */
import type { VmDefinition } from '../../../engine/contract/vm_definition.ts';

export interface DeviceRow { key: number; slot: string; device: string; config: string }

export interface VmForm {
  name: string;
  uuid: string;
  cpuAffinity: number[];
  memoryMiB: number;
  cpuModel: VmDefinition['cpuModel'];
  kernel: string;
  ramdisk: string;
  bootargs: string;
  acpi: boolean;
  com1: string;
  com2: string;
  devices: DeviceRow[];
}

export interface DeviceKind { device: string; label: string; config: string; placeholder: string; hint: string }

/** The devices offered by name; any other name can be typed. */
export const DEVICE_KINDS: readonly DeviceKind[] = [
  { device: 'virtio-blk', label: 'Disk', config: '', placeholder: '/path/to/disk.img[,ro][,writeback]', hint: 'Path of the image, then options: ro, writeback or writethru, sectorsize=N, range=start/size' },
  { device: 'virtio-console', label: 'Consoles', config: '@pty:pty_port', placeholder: '@pty:pty_port', hint: 'Ports: [@]stdio|tty|pty|file|socket:name[=path], separated by commas; @ makes it an hvc console' },
  { device: 'virtio-net', label: 'Network', config: 'tap0', placeholder: 'tap0[,mac=00:16:3e:..]', hint: 'Interface, then mac=xx:xx:xx:xx:xx:xx' },
  { device: 'virtio-rnd', label: 'Entropy', config: '', placeholder: '', hint: 'No configuration needed' },
  { device: 'hostbridge', label: 'Host bridge', config: '', placeholder: '', hint: 'The PCI root; slot 0:0' },
  { device: 'lpc', label: 'LPC bridge', config: '', placeholder: '', hint: 'Carries com1 and com2; slot 1:0' },
];

let nextKey = 1;
export function deviceRow(slot: string, device: string, config = ''): DeviceRow { return { key: nextKey++, slot, device, config }; }

export interface FormDefaults { kernel: string; ramdisk: string; disk: string; bootargs: string }

/** A new VM: the first free name and pCPU, the default images, a disk, entropy, a console. */
export function newForm(images: FormDefaults, taken: readonly VmDefinition[], names: readonly string[]): VmForm {
  let number = 1;
  while (names.includes(`vm${number}`)) number += 1;
  const used = new Set(taken.flatMap(({ cpuAffinity }) => cpuAffinity));
  const pcpuId = [1, 2, 3, 0].find((id) => !used.has(id)) ?? 1;
  return {
    name: `vm${number}`,
    uuid: 'd2795438-25d6-11e8-864e-cb7a18b34643',
    cpuAffinity: [pcpuId],
    memoryMiB: 512,
    cpuModel: 'nuc',
    kernel: images.kernel,
    ramdisk: images.ramdisk,
    bootargs: images.bootargs,
    acpi: true,
    com1: '',
    com2: '',
    devices: [
      deviceRow('0:0', 'hostbridge'),
      ...(images.disk === '' ? [] : [deviceRow('3', 'virtio-blk', images.disk)]),
      deviceRow('4', 'virtio-rnd'),
      deviceRow('5', 'virtio-console', '@pty:pty_port'),
    ],
  };
}

export function formOf(definition: VmDefinition): VmForm {
  const { name, uuid, cpuAffinity, memoryMiB, cpuModel, kernel, ramdisk, bootargs, acpi, lpc, devices } = definition;
  return {
    name, uuid, cpuAffinity, memoryMiB, cpuModel, kernel, ramdisk: ramdisk ?? '', bootargs, acpi,
    com1: lpc.com1 ?? '', com2: lpc.com2 ?? '',
    devices: devices.map(({ slot, device, config }) => deviceRow(slot, device, config ?? '')),
  };
}

/** What is sent for checking; it may not be a definition yet. */
export function definitionOf(form: VmForm): VmDefinition {
  const { com1, com2, ramdisk, devices, ...rest } = form;
  return {
    format: 1,
    ...rest,
    ramdisk: ramdisk.trim() === '' ? undefined : ramdisk.trim(),
    kernel: form.kernel.trim(),
    lpc: { com1: com1.trim() === '' ? undefined : com1.trim(), com2: com2.trim() === '' ? undefined : com2.trim() },
    devices: devices.map(({ slot, device, config }) => ({ slot: slot.trim(), device: device.trim(), config: config.trim() === '' ? undefined : config.trim() })),
  };
}

/** Path of the first disk, without its options. */
export function diskOf(form: VmForm): string { return (form.devices.find(({ device }) => device === 'virtio-blk')?.config ?? '').split(',', 1)[0] ?? ''; }

/** The form with another first disk; an empty path takes the device away. */
export function withDisk(form: VmForm, path: string): VmForm {
  const at = form.devices.findIndex(({ device }) => device === 'virtio-blk');
  if (at < 0) return path === '' ? form : { ...form, devices: insertBySlot(form.devices, deviceRow(freeSlot(form.devices), 'virtio-blk', path)) };
  if (path === '') return { ...form, devices: form.devices.toSpliced(at, 1) };
  return { ...form, devices: form.devices.map((row, index) => (index === at ? { ...row, config: [path, ...row.config.split(',').slice(1)].join(',') } : row)) };
}

/** The form with a COM port's backend; the port needs the LPC bridge, which comes along. */
export function withCom(form: VmForm, port: 'com1' | 'com2', backend: string): VmForm {
  const needsLpc = backend.trim() !== '' && !form.devices.some(({ device }) => device === 'lpc');
  const isFree = !form.devices.some(({ slot }) => slotNumber(slot) === 1);
  const devices = needsLpc ? insertBySlot(form.devices, deviceRow(isFree ? '1:0' : freeSlot(form.devices), 'lpc')) : form.devices;
  return { ...form, [port]: backend, devices };
}

/** The lowest slot from 3 up (0 to 2: host bridge, LPC, the place of graphics) that nothing uses. */
export function freeSlot(devices: readonly DeviceRow[]): string {
  const used = new Set(devices.map(({ slot }) => slotNumber(slot)));
  for (let slot = 3; slot < 32; slot += 1) if (!used.has(slot)) return String(slot);
  return '31:1';
}

export function insertBySlot(devices: readonly DeviceRow[], row: DeviceRow): DeviceRow[] {
  const at = devices.findIndex(({ slot }) => slotNumber(slot) > slotNumber(row.slot));
  return at < 0 ? [...devices, row] : devices.toSpliced(at, 0, row);
}

/** 'slot', 'slot:func' or 'bus:slot:func'. */
function slotNumber(slot: string): number {
  const parts = slot.split(/[:./]/).map(Number);
  return (parts.length === 3 ? parts[1] : parts[0]) ?? 0;
}
