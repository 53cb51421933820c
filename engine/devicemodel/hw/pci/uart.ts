/**
 * The PCI `uart`: one 16550 behind an I/O BAR.
 *
 * @spec reference/acrn-device-model.md section 2.1
 */
import { openUartBackend } from '../uart_backend.ts';
import { UartCore } from '../uart_core.ts';
import type { PciDeviceClass } from './pci_if.ts';
import { bdfText } from './slots.ts';

export const pciUart: PciDeviceClass = {
  className: 'uart',
  async init(_ctx, vdev, opts, host) {
    vdev.setCfgData16(0x00, 0x131f);
    vdev.setCfgData16(0x02, 0x2000);
    vdev.setCfgData8(0x0b, 0x07); // simple communications
    vdev.allocBar(0, 'io', 8);
    vdev.lintrRequest();
    const backend = await openUartBackend(host, opts, `uart ${bdfText(vdev)}`);
    const uart = new UartCore({ assert: () => vdev.lintrAssert(), deassert: () => vdev.lintrDeassert() }, backend);
    return {
      barRead: (_bar, offset, size) => (size === 1 ? uart.read(offset) : 0xffffffff),
      barWrite: (_bar, offset, size, value) => { if (size === 1) uart.write(offset, value & 0xff); },
      reset: () => uart.reset(),
      deinit: () => uart.close(),
    };
  },
};
