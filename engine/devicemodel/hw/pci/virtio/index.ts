/** The virtio classes for the PCI core's device table. */
import type { PciDeviceClass } from '../pci_if.ts';
import { virtioBlk } from './virtio_blk.ts';
import { virtioConsole } from './virtio_console.ts';
import { virtioRnd } from './virtio_rnd.ts';

export const virtioClasses: readonly PciDeviceClass[] = [virtioBlk, virtioConsole, virtioRnd];
export { virtioBlk, virtioConsole, virtioRnd };
