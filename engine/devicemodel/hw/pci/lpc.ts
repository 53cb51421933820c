/**
 * `lpc`: the PCI-ISA bridge with its interrupt router registers and the two legacy UARTs.
 *
 * @spec   reference/acrn-device-model.md sections 2.1, 2.2 and 5.3
 * @cover  #Y PIRQ routing at 0x60-0x63 and 0x68-0x6B, COM1, COM2
 */
import { HostError } from '../../../lib/errors.ts';
import type { GsiOperation, VhmVm } from '../../../sos/vhm_if.ts';
import { byteRegisters } from '../../core/inout.ts';
import type { InoutMap } from '../../core/inout.ts';
import { allOnes } from '../../core/ranges.ts';
import type { RangeHandler } from '../../core/ranges.ts';
import { openUartBackend } from '../uart_backend.ts';
import { UartCore } from '../uart_core.ts';
import type { PirqRouter } from './irq.ts';
import type { PciDeviceClass } from './pci_if.ts';

export const COM_PORTS = [
  { name: 'com1', base: 0x3f8, irq: 4 },
  { name: 'com2', base: 0x2f8, irq: 3 },
] as const;
const COM_BYTES = 8;

export interface LpcConfig { com1?: string; com2?: string }

/** What an lpc bridge drives beyond its own function. */
export interface LpcPorts {
  readonly inout: InoutMap;
  readonly irq: PirqRouter;
  setIrqline(gsi: number, operation: GsiOperation): void;
  /** Lets vCPU threads serve the UARTs' busiest registers. */
  readonly shortcutPort?: VhmVm['shortcutPort'];
  readonly config: LpcConfig;
}

/** pirq number (1-8) behind a config register. */
function pirqOf(offset: number): number | undefined {
  if (offset >= 0x60 && offset <= 0x63) return offset - 0x60 + 1;
  if (offset >= 0x68 && offset <= 0x6b) return offset - 0x68 + 5;
  return undefined;
}

/** 8 and 16 bit accesses only; 16 bits are two registers. */
function comRegisters(uart: UartCore): RangeHandler {
  const bytes = byteRegisters((offset) => uart.read(offset), (offset, value) => uart.write(offset, value));
  return {
    read: (offset, size) => (size <= 2 ? bytes.read(offset, size) : allOnes(size)),
    write: (offset, size, value) => { if (size <= 2) bytes.write(offset, size, value); },
  };
}

/** The class closes over the board it bridges to; only one bridge may exist, on bus 0. */
export function lpcClass(ports: LpcPorts): PciDeviceClass {
  let present = false;
  return {
    className: 'lpc',
    async init(_ctx, vdev, _opts, host) {
      if (present || vdev.bus !== 0) {
        throw new HostError('LPC_PLACE', {
          what: `lpc cannot be at ${vdev.bus}:${vdev.slot}:${vdev.func}`, why: present ? 'a VM has one lpc bridge' : 'it must be on bus 0', todo: 'Give one lpc on bus 0.',
        });
      }
      present = true;
      vdev.setCfgData16(0x00, 0x8086);
      vdev.setCfgData16(0x02, 0x7000);
      vdev.setCfgData8(0x0a, 0x01); // ISA bridge
      vdev.setCfgData8(0x0b, 0x06); // bridge
      const uarts: UartCore[] = [];
      const releases: Array<() => void> = [];
      for (const com of COM_PORTS) {
        const backend = await openUartBackend(host, ports.config[com.name], com.name).catch(async (error: unknown) => {
          await Promise.all(uarts.map((uart) => uart.close()));
          releases.forEach((release) => release());
          throw error;
        });
        ports.irq.reserve(com.irq);
        const uart = new UartCore({ assert: () => ports.setIrqline(com.irq, 'rising-pulse'), deassert: () => {} }, backend, (register, take) => ports.shortcutPort?.(com.base + register, take));
        releases.push(ports.inout.register(com.name, com.base, COM_BYTES, comRegisters(uart)));
        uarts.push(uart);
      }
      return {
        barRead: () => 0xffffffff,
        barWrite: () => {},
        cfgRead(offset, size) {
          if (pirqOf(offset) === undefined) return undefined;
          let value = 0;
          for (let i = 0; i < size; i++) {
            const pin = pirqOf(offset + i);
            if (pin !== undefined) value |= ports.irq.read(pin) << (8 * i);
          }
          return value >>> 0;
        },
        cfgWrite(offset, size, value) {
          const pin = pirqOf(offset);
          if (pin === undefined || size !== 1) return false;
          ports.irq.write(pin, value);
          return true;
        },
        reset: () => uarts.forEach((uart) => uart.reset()),
        async deinit() {
          releases.forEach((release) => release());
          await Promise.all(uarts.map((uart) => uart.close()));
        },
      };
    },
  };
}
