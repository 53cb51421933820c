/**
 * What every virtio PCI function shares: feature negotiation, device status, queues and their interrupts. The two
 * register layouts, legacy (BAR0) and virtio 1.0 (BAR4), are decoded by virtio_pci_legacy.ts and virtio_pci_modern.ts
 * onto this one state: a transitional device.
 *
 * @spec   Virtual I/O Device 1.2, 2.1-2.4 and 4.1; ACRN hw/pci/virtio/virtio.c
 * @cover  #Y status, features, MSI-X per queue, single MSI, INTx with ISR, ioeventfd kicks, DEVICE_NEEDS_RESET
 *         #N VIRTIO_F_EVENT_IDX, packed rings, admin queues
 * @differ ACRN's devices of this folder are legacy only; the capabilities and VIRTIO_F_VERSION_1 come in addition.
 */
import type { GuestMemory } from '../../../../lib/guest_memory.ts';
import type { HostBackends } from '../../../backends_if.ts';
import type { PciDevice, PciVdev, VmCtx } from '../pci_if.ts';
import {
  featureMask, STATUS_DEVICE_NEEDS_RESET, STATUS_DRIVER_OK, STATUS_FEATURES_OK, VIRTIO_F_RING_INDIRECT_DESC, VIRTIO_F_VERSION_1,
  VIRTIO_MSI_NO_VECTOR, VIRTIO_PCI_ISR_CONFIG, VIRTIO_PCI_ISR_QUEUES, VIRTIO_VENDOR,
} from './virtio_defs.ts';
import { LegacyRegisters } from './virtio_pci_legacy.ts';
import { ModernRegisters } from './virtio_pci_modern.ts';
import { Virtqueue } from './virtqueue.ts';

const PCIR_VENDOR = 0x00;
const PCIR_DEVICE = 0x02;
const PCIR_REVID = 0x08;
const PCIR_SUBCLASS = 0x0a;
const PCIR_CLASS = 0x0b;
const PCIR_SUBVEND_0 = 0x2c;
const PCIR_SUBDEV_0 = 0x2e;
const MSIX_BAR = 1;
/** A guest can make a device complain as often as it likes: this many lines are kept until the next reset of the VM. */
const MAX_COMPLAINTS = 32;

/** What one kind of device gives the transport. */
export interface VirtioFunction {
  readonly name: string;
  readonly type: number;
  readonly deviceId: number;
  readonly pciClass: number;
  readonly pciSubclass: number;
  /** One entry a queue: its size. */
  readonly queueSizes: readonly number[];
  /** Offered features without VIRTIO_F_VERSION_1. */
  readonly features: bigint;
  /** Device configuration space; live. */
  readonly config: Uint8Array;
  writeConfig?(offset: number, size: number, value: number): void;
  /** The driver's choice is final. */
  negotiated?(features: bigint): void;
  kick(queue: Virtqueue): void;
  /** Device reset by the driver or the VM: chains in flight are stale from here on. */
  reset(): void;
  close(): Promise<void>;
}

/** What the transport gives a device. */
export interface VirtioTransport {
  readonly memory: GuestMemory;
  readonly queues: readonly Virtqueue[];
  /** After a batch of push(): interrupts unless the driver asked for silence. */
  endChains(queue: Virtqueue): void;
  /** The configuration space changed. */
  configChanged(): void;
  /** A bounded log line. */
  complain(line: string): void;
  /** Calls kick() of this queue again soon, after other work of this thread. */
  kickLater(queue: Virtqueue): void;
}

export class VirtioPciDevice implements PciDevice, VirtioTransport {
  readonly queues: readonly Virtqueue[];
  readonly fn: VirtioFunction;
  readonly vdev: PciVdev;
  readonly offered: bigint;
  readonly vectors: number;
  status = 0;
  driverFeatures = 0n;
  configVector = VIRTIO_MSI_NO_VECTOR;
  configGeneration = 0;
  #isr = 0;
  #closed = false;
  #complaints = 0;
  readonly #ctx: VmCtx;
  readonly #host: HostBackends;
  readonly #legacy: LegacyRegisters;
  readonly #modern: ModernRegisters;
  readonly #cleanups: Array<() => void> = [];
  readonly #kicksDue = new Map<Virtqueue, () => void>();

  constructor(ctx: VmCtx, vdev: PciVdev, host: HostBackends, makeFunction: (transport: VirtioTransport) => VirtioFunction) {
    this.#ctx = ctx;
    this.#host = host;
    this.vdev = vdev;
    const queues: Virtqueue[] = [];
    this.queues = queues;
    const fn = makeFunction(this);
    this.fn = fn;
    fn.queueSizes.forEach((size, index) => queues.push(new Virtqueue(index, size, ctx.memory, (queue, reason) => this.#queueBroken(queue, reason))));
    this.offered = fn.features | featureMask(VIRTIO_F_VERSION_1);
    this.vectors = queues.length + 1;

    vdev.setCfgData16(PCIR_VENDOR, VIRTIO_VENDOR);
    vdev.setCfgData16(PCIR_DEVICE, fn.deviceId);
    vdev.setCfgData8(PCIR_REVID, 0); // 4.1.2.3: a transitional device has revision 0
    vdev.setCfgData8(PCIR_CLASS, fn.pciClass);
    vdev.setCfgData8(PCIR_SUBCLASS, fn.pciSubclass);
    vdev.setCfgData16(PCIR_SUBVEND_0, VIRTIO_VENDOR);
    vdev.setCfgData16(PCIR_SUBDEV_0, fn.type);

    this.#legacy = new LegacyRegisters(this);
    this.#legacy.allocate();
    if (!ctx.virtioMsi) vdev.addMsixCap(this.vectors, MSIX_BAR);
    vdev.addMsiCap(1);
    this.#modern = new ModernRegisters(this);
    this.#modern.allocate();
    vdev.lintrRequest();
    for (const queue of queues) {
      const kick = () => this.kick(queue.index);
      this.#cleanups.push(this.#legacy.registerKick(ctx, queue, kick), this.#modern.registerKick(ctx, queue, kick));
    }
    this.#resetState();
  }

  /** A device whose function has something open: closed again when the bus has no room for it. */
  static async create(ctx: VmCtx, vdev: PciVdev, host: HostBackends, makeFunction: (transport: VirtioTransport) => VirtioFunction, abandon: () => Promise<void>): Promise<VirtioPciDevice> {
    try {
      return new VirtioPciDevice(ctx, vdev, host, makeFunction);
    } catch (error) {
      await abandon();
      throw error;
    }
  }

  get memory(): GuestMemory { return this.#ctx.memory; }
  get needsReset(): boolean { return (this.status & STATUS_DEVICE_NEEDS_RESET) !== 0; }
  /** The driver accepted VIRTIO_F_VERSION_1. */
  get isModern(): boolean { return (this.driverFeatures & featureMask(VIRTIO_F_VERSION_1)) !== 0n; }

  barRead(bar: number, offset: number, size: number): number {
    if (bar === this.#legacy.bar) return this.#legacy.read(offset, size);
    if (bar === this.#modern.bar) return this.#modern.read(offset, size);
    return size === 4 ? 0xffff_ffff : 2 ** (8 * size) - 1;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    if (this.#closed) return;
    if (bar === this.#legacy.bar) this.#legacy.write(offset, size, value);
    else if (bar === this.#modern.bar) this.#modern.write(offset, size, value);
  }

  cfgRead(offset: number, size: number): number | undefined { return this.#modern.cfgRead(offset, size); }
  cfgWrite(offset: number, size: number, value: number): boolean { return this.#modern.cfgWrite(offset, size, value); }

  reset(): void {
    this.#complaints = 0;
    this.#deviceReset();
  }

  async deinit(): Promise<void> {
    this.#closed = true;
    for (const undo of this.#cleanups) undo();
    this.#cleanups.length = 0;
    this.#deviceReset();
    await this.fn.close();
  }

  /** Both layouts: a write to the device status register. */
  setStatus(value: number): void {
    if (value === 0) return this.#deviceReset();
    const before = this.status;
    let next = value & ~STATUS_DEVICE_NEEDS_RESET;
    if ((next & STATUS_FEATURES_OK) !== 0 && (before & STATUS_FEATURES_OK) === 0) {
      const acceptable = (this.driverFeatures & ~this.offered) === 0n && this.isModern;
      if (acceptable) this.#settleFeatures();
      else next &= ~STATUS_FEATURES_OK; // 3.1.1: the driver reads it back and gives up
    }
    this.status = next | (before & STATUS_DEVICE_NEEDS_RESET);
    if ((next & STATUS_DRIVER_OK) !== 0 && (before & STATUS_DRIVER_OK) === 0) {
      if (!this.isModern) this.#settleFeatures();
      for (const queue of this.queues) if (queue.hasChains()) this.kick(queue.index);
    }
  }

  /** Driver features; ignored once they are settled. */
  setDriverFeatures(features: bigint): void {
    if ((this.status & (STATUS_FEATURES_OK | STATUS_DRIVER_OK)) !== 0) return;
    this.driverFeatures = features;
  }

  /** Legacy PFN write. */
  enableLegacyQueue(queue: Virtqueue, pfn: number): void {
    queue.indirectAllowed = (this.fn.features & featureMask(VIRTIO_F_RING_INDIRECT_DESC)) !== 0n;
    const problem = queue.enableLegacy(pfn);
    if (problem !== undefined) this.#queueBroken(queue, problem);
  }

  /** Modern queue_enable write. */
  enableModernQueue(queue: Virtqueue): void {
    if (queue.enabled) return;
    queue.indirectAllowed = (this.driverFeatures & featureMask(VIRTIO_F_RING_INDIRECT_DESC)) !== 0n;
    const problem = queue.enable();
    if (problem !== undefined) this.#queueBroken(queue, problem);
  }

  /** An available-buffer notification, by ioeventfd or register. */
  kick(index: number): void {
    const queue = this.queues[index];
    if (this.#closed || queue === undefined || !queue.enabled || this.needsReset) return;
    if (this.isModern && (this.status & STATUS_DRIVER_OK) === 0) return;
    this.fn.kick(queue);
  }

  kickLater(queue: Virtqueue): void {
    if (this.#closed || this.#kicksDue.has(queue)) return;
    this.#kicksDue.set(queue, this.#host.setTimer(0, () => {
      this.#kicksDue.delete(queue);
      this.kick(queue.index);
    }));
  }

  endChains(queue: Virtqueue): void {
    if (!this.#closed && queue.endChains()) this.#interrupt(queue.vector, VIRTIO_PCI_ISR_QUEUES);
  }

  configChanged(): void {
    this.configGeneration = (this.configGeneration + 1) & 0xff;
    if (!this.#closed && (this.status & STATUS_DRIVER_OK) !== 0) this.#interrupt(this.configVector, VIRTIO_PCI_ISR_CONFIG);
  }

  /** ISR register: reading clears it and takes INTx down. */
  readIsr(): number {
    const value = this.#isr;
    this.#isr = 0;
    if (value !== 0) this.vdev.lintrDeassert();
    return value;
  }

  /** A vector the table does not have reads back as NO_VECTOR (4.1.5.1.2). */
  acceptVector(vector: number): number { return !this.#ctx.virtioMsi && vector < this.vectors ? vector : VIRTIO_MSI_NO_VECTOR; }

  complain(line: string): void {
    this.#complaints += 1;
    if (this.#complaints <= MAX_COMPLAINTS) this.#ctx.log(`${this.fn.name}: ${line}`);
  }

  readConfig(offset: number, size: number): number {
    const { config } = this.fn;
    if (offset + size > config.length) return this.badAccess('config read', offset, size);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + config[offset + i];
    return value;
  }

  writeConfig(offset: number, size: number, value: number): void {
    if (offset + size > this.fn.config.length) { this.badAccess('config write', offset, size); return; }
    this.fn.writeConfig?.(offset, size, value);
  }

  /** A register accessed in a way it does not have: told, and all ones. */
  badAccess(what: string, offset: number, size: number): number {
    this.complain(`bad ${what}: offset ${offset}, size ${size}`);
    return 2 ** (8 * size) - 1;
  }

  #settleFeatures(): void {
    this.driverFeatures &= this.offered;
    this.fn.negotiated?.(this.driverFeatures);
  }

  #interrupt(vector: number, cause: number): void {
    const { vdev } = this;
    if (vdev.msixEnabled()) {
      if (vector !== VIRTIO_MSI_NO_VECTOR) vdev.generateMsix(vector);
      return;
    }
    this.#isr |= cause;
    if (vdev.msiEnabled()) vdev.generateMsi(0);
    else vdev.lintrAssert();
  }

  /** The driver broke a ring: modern drivers are told, legacy ones lose the queue (it is off already). */
  #queueBroken(queue: Virtqueue, reason: string): void {
    this.complain(`queue ${queue.index}: ${reason}`);
    if (!this.isModern) { queue.pfn = 0; return; }
    if (this.needsReset) return;
    this.status |= STATUS_DEVICE_NEEDS_RESET;
    this.configChanged();
  }

  #deviceReset(): void {
    for (const cancel of this.#kicksDue.values()) cancel();
    this.#kicksDue.clear();
    for (const queue of this.queues) queue.reset();
    this.fn.reset();
    this.#resetState();
    this.vdev.lintrDeassert();
  }

  #resetState(): void {
    this.status = 0;
    this.driverFeatures = 0n;
    this.configVector = VIRTIO_MSI_NO_VECTOR;
    this.#isr = 0;
    this.#legacy.reset();
    this.#modern.reset();
  }
}
