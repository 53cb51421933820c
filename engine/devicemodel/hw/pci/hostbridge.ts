/**
 * Host bridges: `hostbridge` (1275:1275) and `amd_hostbridge` (1022:7432).
 *
 * @spec reference/acrn-device-model.md section 2.1; PCI Express Base 3.0 section 7.8 (PCI Express capability)
 */
import type { PciDevice, PciDeviceClass, PciVdev } from './pci_if.ts';

const PCIY_EXPRESS = 0x10;
const PCIEM_TYPE_ROOT_PORT = 0x40;
const PCIE_CAP_BYTES = 60;

function initHostbridge(vdev: PciVdev, vendor: number, device: number): PciDevice {
  vdev.setCfgData16(0x00, vendor);
  vdev.setCfgData16(0x02, device);
  vdev.setCfgData8(0x0a, 0x00); // host bridge
  vdev.setCfgData8(0x0b, 0x06); // bridge
  const cap = new DataView(new ArrayBuffer(PCIE_CAP_BYTES));
  cap.setUint8(0, PCIY_EXPRESS);
  cap.setUint16(2, PCIEM_TYPE_ROOT_PORT | 2, true); // version 2
  cap.setUint32(12, 0x411, true); //                    link capabilities: one lane, 2.5 GT/s
  cap.setUint16(18, 0x11, true); //                     link status
  vdev.addCapability(new Uint8Array(cap.buffer));
  return {
    barRead: () => 0xffffffff,
    barWrite: () => {},
    cfgWrite: (offset) => offset >= 0x40, // everything of the capability is read only
    reset: () => {},
    deinit: async () => {},
  };
}

export const hostbridge: PciDeviceClass = {
  className: 'hostbridge',
  init: async (_ctx, vdev) => initHostbridge(vdev, 0x1275, 0x1275),
};

export const amdHostbridge: PciDeviceClass = {
  className: 'amd_hostbridge',
  init: async (_ctx, vdev) => initHostbridge(vdev, 0x1022, 0x7432),
};
