/** The ready-made sample UOS: its own copy of the default root image, and a definition that boots it to a shell. */
import { constants, copyFile, mkdir, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { VmDefinition } from '../contract/vm_definition.ts';
import { guestImages } from './paths.ts';
import type { VmStore } from './vm_store.ts';

export const DEFAULT_BOOTARGS = 'root=/dev/vda rw console=hvc0';
const SAMPLE_NAME = 'uos1';

/** Copies the default root image for a VM of that name; returns its path. An image that is there is kept. */
export async function makeDisk(dataDir: string, vmName: string): Promise<string> {
  const path = join(dataDir, 'images', `${vmName}.img`);
  if (await stat(path).then(() => true, () => false)) return path;
  await mkdir(join(dataDir, 'images'), { recursive: true });
  await copyFile(guestImages().disk, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  return path;
}

/** A definition with the default guest and the usual devices. */
export function defaultDefinition(name: string, disk: string, cpuAffinity: number[]): VmDefinition {
  const { kernel, ramdisk } = guestImages();
  return {
    format: 1,
    name,
    uuid: 'd2795438-25d6-11e8-864e-cb7a18b34643',
    cpuAffinity,
    memoryMiB: 512,
    cpuModel: 'nuc',
    kernel,
    ramdisk,
    bootargs: DEFAULT_BOOTARGS,
    acpi: true,
    lpc: {},
    devices: [
      { slot: '0:0', device: 'hostbridge' },
      { slot: '1', device: 'virtio-blk', config: disk },
      { slot: '2', device: 'virtio-rnd' },
      { slot: '3', device: 'virtio-console', config: '@pty:pty_port' },
    ],
  };
}

/** Creates the sample once: when the store has never held a VM and the default guest has been built. */
export async function ensureSample(dataDir: string, store: VmStore): Promise<void> {
  const images = join(dataDir, 'images');
  if (existsSync(images) || !existsSync(guestImages().disk) || (await store.list()).length > 0) return;
  await store.create(defaultDefinition(SAMPLE_NAME, await makeDisk(dataDir, SAMPLE_NAME), [1]));
}
