/**
 * The default guest and the ready-made sample UOS: its own copy of the root image, and a definition that boots it to a
 * shell.
 */
import { constants, copyFile, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { VmDefinition } from '../contract/vm_definition.ts';
import { guestImages } from './paths.ts';
import type { VmStore } from './vm_store.ts';

export const DEFAULT_BOOTARGS = 'root=/dev/vda rw console=hvc0';
/** hvc0 needs a module: until it is there the kernel's lines are on ttyS0 alone. */
const BOOTARGS_WITH_COM1 = 'root=/dev/vda rw console=ttyS0 console=hvc0';
const SAMPLE_NAME = 'uos1';
const GUEST_FILES = ['vmlinuz', 'initrd.img', 'uos.img', 'manifest.json'];

/**
 * Copies the guest that a packed application brings along to where every program looks for it. VM definitions name
 * files in that place; the application's own may be another at each start (AppImage) and goes with its removal.
 * @param packed folder of the packed guest; nothing is done when it holds none, or the same one is installed
 */
export async function installGuest(packed: string): Promise<void> {
  const target = dirname(guestImages().kernel);
  const manifestOf = (dir: string): Promise<string | undefined> => readFile(join(dir, 'manifest.json'), 'utf8').catch(() => undefined);
  const manifest = await manifestOf(packed);
  if (manifest === undefined) return;
  if (await manifestOf(target) === manifest && GUEST_FILES.every((file) => existsSync(join(target, file)))) return;
  await mkdir(dirname(target), { recursive: true });
  const part = await mkdtemp(`${target}.`);
  try {
    for (const file of GUEST_FILES) await copyFile(join(packed, file), join(part, file), constants.COPYFILE_FICLONE);
    await rm(target, { recursive: true, force: true });
    await rename(part, target);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

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
    bootargs: BOOTARGS_WITH_COM1,
    acpi: true,
    lpc: { com1: 'stdio' },
    devices: [
      { slot: '0:0', device: 'hostbridge' },
      { slot: '1', device: 'virtio-blk', config: disk },
      { slot: '2', device: 'virtio-rnd' },
      { slot: '3', device: 'virtio-console', config: '@pty:pty_port' },
      { slot: '31:0', device: 'lpc' }, // after the console that people want to see first
    ],
  };
}

/** Creates the sample once: when the store has never held a VM and the default guest has been built. */
export async function ensureSample(dataDir: string, store: VmStore): Promise<void> {
  const images = join(dataDir, 'images');
  if (existsSync(images) || !existsSync(guestImages().disk) || (await store.list()).length > 0) return;
  await store.create(defaultDefinition(SAMPLE_NAME, await makeDisk(dataDir, SAMPLE_NAME), [1]));
}
