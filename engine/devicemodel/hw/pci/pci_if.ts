/**
 * A PCI device's two sides, with the names of ACRN's `pci_core.h`: what a device gives (PciVdevOps) and what the PCI
 * core gives it (PciVdev).
 */
import type { GuestMemory } from '../../../lib/guest_memory.ts';

export type BarType = 'io' | 'mem32' | 'mem64';

/** struct pci_vdev: one function's config space, BARs and interrupts. */
export interface PciVdev {
  readonly bus: number;
  readonly slot: number;
  readonly func: number;
  /** `-s` device name, e.g. 'virtio-blk'. */
  readonly className: string;
  setCfgData8(offset: number, value: number): void;
  setCfgData16(offset: number, value: number): void;
  setCfgData32(offset: number, value: number): void;
  getCfgData8(offset: number): number;
  getCfgData16(offset: number): number;
  getCfgData32(offset: number): number;
  /** pci_emul_alloc_bar: size in bytes, rounded up to a power of two and to ACRN's minima. */
  allocBar(index: number, type: BarType, sizeBytes: number): void;
  /** Current base address of a BAR (port or GPA); undefined while decoding is off. */
  barBase(index: number): number | undefined;
  /** pci_emul_add_capability: chains `bytes` (first byte the capability id); returns its offset. */
  addCapability(bytes: Uint8Array): number;
  /** pci_emul_add_msicap: 1-32 vectors. */
  addMsiCap(messages: number): void;
  /** pci_emul_add_msixcap: table and PBA at the start of BAR `bar` (allocated by this call as mem32). Accesses to that BAR's table
   *  and PBA never reach the device. */
  addMsixCap(messages: number, bar: number): void;
  msiEnabled(): boolean;
  msixEnabled(): boolean;
  generateMsi(index: number): void;
  generateMsix(index: number): void;
  /** pci_lintr_request / assert / deassert: legacy INTx, level. */
  lintrRequest(): void;
  lintrAssert(): void;
  lintrDeassert(): void;
}

/** What every device is handed: the VM, and nothing else of the world. */
export interface VmCtx {
  readonly name: string;
  readonly memory: GuestMemory;
  /** ioeventfd for a BAR region; returns its own removal. Follows the BAR when the guest moves it. */
  registerKick(vdev: PciVdev, bar: number, offset: number, size: number, data: number | undefined, kick: () => void): () => void;
  /** vm_suspend(POWEROFF) and friends. */
  suspend(how: 'poweroff' | 'full_reset' | 'system_reset'): void;
  /** -W / --virtio_msix given: single-vector MSI instead of MSI-X. */
  readonly virtioMsi: boolean;
  readonly log: (line: string) => void;
}

/** struct pci_vdev_ops plus the instance: one object a function. */
export interface PciDevice {
  barRead(bar: number, offset: number, size: number): number;
  barWrite(bar: number, offset: number, size: number, value: number): void;
  /** undefined: the PCI core's own handling of this register. */
  cfgRead?(offset: number, size: number): number | undefined;
  /** true: handled. */
  cfgWrite?(offset: number, size: number, value: number): boolean;
  /** System reset: back to the state after init; backends stay open. */
  reset(): void;
  /** Closes backends; nothing may be written to guest memory afterwards. */
  deinit(): Promise<void>;
}

/** How a class of device describes itself to the bus (pci_vdev_ops.vdev_init). */
export interface PciDeviceClass {
  readonly className: string;
  /** Throws HostError for bad options: the VM is then not created. */
  init(ctx: VmCtx, vdev: PciVdev, opts: string | undefined, host: import('../../backends_if.ts').HostBackends): Promise<PciDevice>;
}
