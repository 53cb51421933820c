/** Every PCI device class this device model can give a VM. */
import { pciUart } from './uart.ts';
import { amdHostbridge, hostbridge } from './hostbridge.ts';
import type { PciDeviceClass } from './pci_if.ts';
import { virtioClasses } from './virtio/index.ts';

/** Names ACRN knows which need hardware or kernel services an emulated NUC does not have, with the reason. */
export const unavailableClasses: Readonly<Record<string, string>> = {
  passthru: 'the emulated NUC has no physical PCI devices to pass through',
  'pci-gvt': 'the emulated NUC has no GPU to mediate',
  'virtio-heci': 'the emulated NUC has no HECI',
  'virtio-audio': 'its backend is a Service VM kernel module for physical audio',
  'virtio-rpmb': 'the emulated NUC has no RPMB storage',
  'virtio-hyper_dmabuf': 'it shares buffers of a physical GPU',
  'virtio-ipu': 'the emulated NUC has no camera',
  'virtio-coreu': 'the emulated NUC has no protected audio-video path',
  'virtio-hdcp': 'the emulated NUC has no display output',
  'virtio-gpio': 'the emulated NUC has no GPIO controller',
  'virtio-i2c': 'the emulated NUC has no I2C controller',
  npk: 'the emulated NUC has no trace hub',
};

/** Classes without ties to the board; lpc is added by the machine, which it bridges to. */
export const pciClasses: readonly PciDeviceClass[] = [hostbridge, amdHostbridge, pciUart, ...virtioClasses];

/** Every name `-s` takes. */
export function deviceClassNames(): string[] {
  return [...pciClasses.map((known) => known.className), 'lpc'];
}
