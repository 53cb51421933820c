/**
 * A VM definition: what a person chose, one zod-checked JSON file each. It maps one to one on an acrn-dm command line.
 */
import { z } from 'zod';

/** Letters, digits, '-', '_' and '.', at most 127 characters (acrn-dm's limit), not starting with a dot. */
export const vmName = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,126}$/, 'a VM name has 1 to 127 letters, digits, "-", "_" or ".", and does not start with "."');

export const deviceEntry = z.strictObject({
  /** `-s` position: 'slot', 'slot:func' or 'bus:slot:func', decimal. */
  slot: z.string().regex(/^\d{1,3}([:./]\d{1,2}){0,2}$/),
  /** `-s` device name: 'virtio-blk', 'virtio-console', ... */
  device: z.string().min(1),
  /** What follows the name, as on the command line, without the leading comma. */
  config: z.string().optional(),
});

export const vmDefinition = z.strictObject({
  format: z.literal(1),
  name: vmName,
  uuid: z.uuid().default('d2795438-25d6-11e8-864e-cb7a18b34643'),
  /** pCPUs; the first is the BSP's. */
  cpuAffinity: z.array(z.int().min(0).max(3)).min(1).max(4),
  /** MiB, 128 at least as in acrn-dm. */
  memoryMiB: z.int().min(128),
  cpuModel: z.enum(['v1', 'v2', 'nuc']).default('nuc'),
  kernel: z.string().min(1),
  ramdisk: z.string().optional(),
  bootargs: z.string().max(1023),
  acpi: z.boolean().default(true),
  lpc: z.strictObject({ com1: z.string().optional(), com2: z.string().optional() }).default({}),
  devices: z.array(deviceEntry).default([]),
});

export type VmDefinition = z.infer<typeof vmDefinition>;
export type DeviceEntry = z.infer<typeof deviceEntry>;
