/**
 * virtio 1.0 PCI registers: BAR4, 16 KiB of 64-bit memory, found by vendor capabilities.
 *
 * @spec   Virtual I/O Device 1.2, 4.1.4; ACRN virtio_set_modern_mmio_bar
 * @cover  #Y common, notify (one word a queue), ISR, device and PCI-access capabilities
 *         #N the I/O notify BAR2, queue_notify_data, queue_reset, shared memory
 */
import type { VmCtx } from '../pci_if.ts';
import type { VirtioPciDevice } from './virtio.ts';
import type { Virtqueue } from './virtqueue.ts';

const PCIY_VENDOR = 0x09;
const VIRTIO_PCI_CAP_COMMON_CFG = 1;
const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
const VIRTIO_PCI_CAP_ISR_CFG = 3;
const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
const VIRTIO_PCI_CAP_PCI_CFG = 5;
const CAP_BYTES = 16;
const CAP_EXTENDED_BYTES = 20; // notify: multiplier; PCI cfg: data window

const BAR_BYTES = 0x4000;
const COMMON_AT = 0x0000;
const ISR_AT = 0x1000;
const DEVICE_AT = 0x2000;
const NOTIFY_AT = 0x3000;
const REGION_BYTES = 0x1000;
const NOTIFY_MULTIPLIER = 4;

// struct virtio_pci_common_cfg: offsets, and sizes in the table below
const DEVICE_FEATURE_SELECT = 0x00;
const DEVICE_FEATURE = 0x04;
const DRIVER_FEATURE_SELECT = 0x08;
const DRIVER_FEATURE = 0x0c;
const CONFIG_MSIX_VECTOR = 0x10;
const NUM_QUEUES = 0x12;
const DEVICE_STATUS = 0x14;
const CONFIG_GENERATION = 0x15;
const QUEUE_SELECT = 0x16;
const QUEUE_SIZE = 0x18;
const QUEUE_MSIX_VECTOR = 0x1a;
const QUEUE_ENABLE = 0x1c;
const QUEUE_NOTIFY_OFF = 0x1e;
const QUEUE_DESC = 0x20;
const QUEUE_DESC_HIGH = 0x24;
const QUEUE_DRIVER = 0x28;
const QUEUE_DRIVER_HIGH = 0x2c;
const QUEUE_DEVICE = 0x30;
const QUEUE_DEVICE_HIGH = 0x34;
const REGISTER_SIZE: Readonly<Record<number, number>> = {
  [DEVICE_FEATURE_SELECT]: 4, [DEVICE_FEATURE]: 4, [DRIVER_FEATURE_SELECT]: 4, [DRIVER_FEATURE]: 4, [CONFIG_MSIX_VECTOR]: 2,
  [NUM_QUEUES]: 2, [DEVICE_STATUS]: 1, [CONFIG_GENERATION]: 1, [QUEUE_SELECT]: 2, [QUEUE_SIZE]: 2, [QUEUE_MSIX_VECTOR]: 2,
  [QUEUE_ENABLE]: 2, [QUEUE_NOTIFY_OFF]: 2, [QUEUE_DESC]: 4, [QUEUE_DESC_HIGH]: 4, [QUEUE_DRIVER]: 4, [QUEUE_DRIVER_HIGH]: 4,
  [QUEUE_DEVICE]: 4, [QUEUE_DEVICE_HIGH]: 4,
};
const TWO_POW_32 = 0x1_0000_0000;
type AddressField = 'descGpa' | 'availGpa' | 'usedGpa';

export class ModernRegisters {
  readonly bar = 4;
  #deviceFeatureSelect = 0;
  #driverFeatureSelect = 0;
  #selected = 0;
  #pciCfgAt = -1;
  readonly #device: VirtioPciDevice;

  constructor(device: VirtioPciDevice) { this.#device = device; }

  allocate(): void {
    const { vdev, queues, fn } = this.#device;
    vdev.allocBar(this.bar, 'mem64', BAR_BYTES);
    vdev.addCapability(this.#capability(VIRTIO_PCI_CAP_COMMON_CFG, COMMON_AT, REGION_BYTES));
    vdev.addCapability(this.#capability(VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, REGION_BYTES));
    if (fn.config.length > 0) vdev.addCapability(this.#capability(VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, REGION_BYTES));
    vdev.addCapability(this.#capability(VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_AT, queues.length * NOTIFY_MULTIPLIER, NOTIFY_MULTIPLIER));
    this.#pciCfgAt = vdev.addCapability(this.#capability(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0));
  }

  reset(): void {
    this.#deviceFeatureSelect = 0;
    this.#driverFeatureSelect = 0;
    this.#selected = 0;
  }

  registerKick(ctx: VmCtx, queue: Virtqueue, kick: () => void): () => void {
    return ctx.registerKick(this.#device.vdev, this.bar, NOTIFY_AT + queue.index * NOTIFY_MULTIPLIER, 2, undefined, kick);
  }

  read(offset: number, size: number): number {
    const device = this.#device;
    if (offset < ISR_AT) return this.#readCommon(offset, size);
    if (offset < DEVICE_AT) return offset === ISR_AT ? device.readIsr() : 0;
    if (offset < NOTIFY_AT) return device.readConfig(offset - DEVICE_AT, size);
    return 0;
  }

  write(offset: number, size: number, value: number): void {
    const device = this.#device;
    if (offset < ISR_AT) this.#writeCommon(offset, size, value);
    else if (offset < DEVICE_AT) device.badAccess('ISR write', offset - ISR_AT, size);
    else if (offset < NOTIFY_AT) device.writeConfig(offset - DEVICE_AT, size, value);
    else device.kick(Math.floor((offset - NOTIFY_AT) / NOTIFY_MULTIPLIER));
  }

  /** 4.1.4.9: pci_cfg_data of the PCI-access capability reaches into a BAR. */
  cfgRead(offset: number, size: number): number | undefined {
    const target = this.#pciCfgTarget(offset, size);
    return target === undefined ? undefined : this.#device.barRead(target.bar, target.offset, size);
  }

  cfgWrite(offset: number, size: number, value: number): boolean {
    const target = this.#pciCfgTarget(offset, size);
    if (target === undefined) return false;
    this.#device.barWrite(target.bar, target.offset, size, value);
    return true;
  }

  #pciCfgTarget(offset: number, size: number): { bar: number; offset: number } | undefined {
    if (this.#pciCfgAt < 0 || offset !== this.#pciCfgAt + CAP_BYTES) return undefined;
    const { vdev } = this.#device;
    const bar = vdev.getCfgData8(this.#pciCfgAt + 4);
    const at = vdev.getCfgData32(this.#pciCfgAt + 8) >>> 0;
    const length = vdev.getCfgData32(this.#pciCfgAt + 12) >>> 0;
    if (bar !== this.bar || length !== size || at % size !== 0 || at + size > BAR_BYTES) return undefined;
    return { bar, offset: at };
  }

  #readCommon(offset: number, size: number): number {
    const device = this.#device;
    if (REGISTER_SIZE[offset] !== size) return device.badAccess('common read', offset, size);
    const queue: Virtqueue | undefined = device.queues[this.#selected];
    switch (offset) {
      case DEVICE_FEATURE_SELECT: return this.#deviceFeatureSelect;
      case DEVICE_FEATURE: return featureWord(device.offered, this.#deviceFeatureSelect);
      case DRIVER_FEATURE_SELECT: return this.#driverFeatureSelect;
      case DRIVER_FEATURE: return featureWord(device.driverFeatures, this.#driverFeatureSelect);
      case CONFIG_MSIX_VECTOR: return device.configVector;
      case NUM_QUEUES: return device.queues.length;
      case DEVICE_STATUS: return device.status;
      case CONFIG_GENERATION: return device.configGeneration;
      case QUEUE_SELECT: return this.#selected;
      case QUEUE_SIZE: return queue?.size ?? 0; // 0: no such queue
      case QUEUE_MSIX_VECTOR: return queue?.vector ?? 0xffff;
      case QUEUE_ENABLE: return queue?.enabled === true ? 1 : 0;
      case QUEUE_NOTIFY_OFF: return queue === undefined ? 0 : this.#selected;
      case QUEUE_DESC: return lowWord(queue?.descGpa);
      case QUEUE_DESC_HIGH: return highWord(queue?.descGpa);
      case QUEUE_DRIVER: return lowWord(queue?.availGpa);
      case QUEUE_DRIVER_HIGH: return highWord(queue?.availGpa);
      case QUEUE_DEVICE: return lowWord(queue?.usedGpa);
      default: return highWord(queue?.usedGpa); // QUEUE_DEVICE_HIGH
    }
  }

  #writeCommon(offset: number, size: number, value: number): void {
    const device = this.#device;
    if (REGISTER_SIZE[offset] !== size) { device.badAccess('common write', offset, size); return; }
    const queue: Virtqueue | undefined = device.queues[this.#selected];
    switch (offset) {
      case DEVICE_FEATURE_SELECT: this.#deviceFeatureSelect = value >>> 0; return;
      case DRIVER_FEATURE_SELECT: this.#driverFeatureSelect = value >>> 0; return;
      case DRIVER_FEATURE: device.setDriverFeatures(withFeatureWord(device.driverFeatures, this.#driverFeatureSelect, value >>> 0)); return;
      case CONFIG_MSIX_VECTOR: device.configVector = device.acceptVector(value & 0xffff); return;
      case DEVICE_STATUS: device.setStatus(value & 0xff); return;
      case QUEUE_SELECT: this.#selected = value & 0xffff; return;
      case QUEUE_MSIX_VECTOR: if (queue !== undefined) queue.vector = device.acceptVector(value & 0xffff); return;
      case QUEUE_ENABLE: if (queue !== undefined && value === 1) device.enableModernQueue(queue); return;
    }
    if (queue === undefined || queue.enabled) return; // 4.1.4.3.2: the rest is not changed while enabled
    switch (offset) {
      case QUEUE_SIZE: queue.size = value & 0xffff; break; // checked at queue_enable
      case QUEUE_DESC: setLow(queue, 'descGpa', value); break;
      case QUEUE_DESC_HIGH: setHigh(queue, 'descGpa', value); break;
      case QUEUE_DRIVER: setLow(queue, 'availGpa', value); break;
      case QUEUE_DRIVER_HIGH: setHigh(queue, 'availGpa', value); break;
      case QUEUE_DEVICE: setLow(queue, 'usedGpa', value); break;
      case QUEUE_DEVICE_HIGH: setHigh(queue, 'usedGpa', value); break;
    }
  }

  /** struct virtio_pci_cap, and its extension word when given. */
  #capability(type: number, offset: number, length: number, extension?: number): Uint8Array {
    const bytes = new Uint8Array(extension === undefined ? CAP_BYTES : CAP_EXTENDED_BYTES);
    const view = new DataView(bytes.buffer);
    bytes[0] = PCIY_VENDOR;
    bytes[2] = bytes.length;
    bytes[3] = type;
    bytes[4] = this.bar;
    view.setUint32(8, offset, true);
    view.setUint32(12, length, true);
    if (extension !== undefined) view.setUint32(16, extension, true);
    return bytes;
  }
}

function featureWord(features: bigint, select: number): number {
  return select > 1 ? 0 : Number((features >> BigInt(32 * select)) & 0xffff_ffffn);
}
function withFeatureWord(features: bigint, select: number, word: number): bigint {
  if (select > 1) return features;
  const shift = BigInt(32 * select);
  return (features & ~(0xffff_ffffn << shift)) | (BigInt(word) << shift);
}
function lowWord(gpa: number | undefined): number { return gpa === undefined ? 0 : gpa % TWO_POW_32; }
function highWord(gpa: number | undefined): number { return gpa === undefined ? 0 : Math.floor(gpa / TWO_POW_32); }
function setLow(queue: Virtqueue, field: AddressField, value: number): void {
  queue[field] = highWord(queue[field]) * TWO_POW_32 + (value >>> 0);
}
function setHigh(queue: Virtqueue, field: AddressField, value: number): void {
  queue[field] = (value >>> 0) * TWO_POW_32 + lowWord(queue[field]);
}
