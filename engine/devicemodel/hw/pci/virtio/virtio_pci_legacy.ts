/**
 * Legacy virtio PCI registers: BAR0, I/O space. Device configuration follows the header, at 24 while MSI-X is enabled
 * and at 20 otherwise.
 *
 * @spec   Virtual I/O Device 1.2, 4.1.4.10 legacy interface; ACRN virtio_pci_legacy_read/write
 * @cover  #Y every register, exact access sizes, kicks by ioeventfd on QUEUE_NOTIFY
 */
import type { VmCtx } from '../pci_if.ts';
import type { VirtioPciDevice } from './virtio.ts';
import type { Virtqueue } from './virtqueue.ts';

const VIRTIO_PCI_HOST_FEATURES = 0;
const VIRTIO_PCI_GUEST_FEATURES = 4;
const VIRTIO_PCI_QUEUE_PFN = 8;
const VIRTIO_PCI_QUEUE_NUM = 12;
const VIRTIO_PCI_QUEUE_SEL = 14;
const VIRTIO_PCI_QUEUE_NOTIFY = 16;
const VIRTIO_PCI_STATUS = 18;
const VIRTIO_PCI_ISR = 19;
const VIRTIO_MSI_CONFIG_VECTOR = 20;
const VIRTIO_MSI_QUEUE_VECTOR = 22;
const CONFIG_OFF_INTX = 20;
const CONFIG_OFF_MSIX = 24;
const LOW_32 = 0xffff_ffffn;

/** Size of the register that starts at this offset. */
const REGISTER_SIZE: Readonly<Record<number, number>> = {
  [VIRTIO_PCI_HOST_FEATURES]: 4,
  [VIRTIO_PCI_GUEST_FEATURES]: 4,
  [VIRTIO_PCI_QUEUE_PFN]: 4,
  [VIRTIO_PCI_QUEUE_NUM]: 2,
  [VIRTIO_PCI_QUEUE_SEL]: 2,
  [VIRTIO_PCI_QUEUE_NOTIFY]: 2,
  [VIRTIO_PCI_STATUS]: 1,
  [VIRTIO_PCI_ISR]: 1,
  [VIRTIO_MSI_CONFIG_VECTOR]: 2,
  [VIRTIO_MSI_QUEUE_VECTOR]: 2,
};

export class LegacyRegisters {
  readonly bar = 0;
  #selected = 0;
  readonly #device: VirtioPciDevice;

  constructor(device: VirtioPciDevice) { this.#device = device; }

  allocate(): void { this.#device.vdev.allocBar(this.bar, 'io', CONFIG_OFF_MSIX + this.#device.fn.config.length); }
  reset(): void { this.#selected = 0; }

  registerKick(ctx: VmCtx, queue: Virtqueue, kick: () => void): () => void {
    return ctx.registerKick(this.#device.vdev, this.bar, VIRTIO_PCI_QUEUE_NOTIFY, 2, queue.index, kick);
  }

  read(offset: number, size: number): number {
    const device = this.#device;
    const configAt = this.#configOffset();
    if (offset >= configAt) return device.readConfig(offset - configAt, size);
    if (REGISTER_SIZE[offset] !== size) return device.badAccess('legacy read', offset, size);
    const queue: Virtqueue | undefined = device.queues[this.#selected];
    switch (offset) {
      case VIRTIO_PCI_HOST_FEATURES: return Number(device.offered & LOW_32);
      case VIRTIO_PCI_GUEST_FEATURES: return Number(device.driverFeatures & LOW_32);
      case VIRTIO_PCI_QUEUE_PFN: return queue?.pfn ?? 0;
      case VIRTIO_PCI_QUEUE_NUM: return queue?.maxSize ?? 0;
      case VIRTIO_PCI_QUEUE_SEL: return this.#selected;
      case VIRTIO_PCI_QUEUE_NOTIFY: return 0;
      case VIRTIO_PCI_STATUS: return device.status;
      case VIRTIO_PCI_ISR: return device.readIsr();
      case VIRTIO_MSI_CONFIG_VECTOR: return device.configVector;
      default: return queue?.vector ?? 0xffff; // VIRTIO_MSI_QUEUE_VECTOR
    }
  }

  write(offset: number, size: number, value: number): void {
    const device = this.#device;
    const configAt = this.#configOffset();
    if (offset >= configAt) return device.writeConfig(offset - configAt, size, value);
    if (REGISTER_SIZE[offset] !== size) { device.badAccess('legacy write', offset, size); return; }
    const queue: Virtqueue | undefined = device.queues[this.#selected];
    switch (offset) {
      case VIRTIO_PCI_GUEST_FEATURES: device.setDriverFeatures(BigInt(value >>> 0) & device.offered); break;
      case VIRTIO_PCI_QUEUE_PFN: if (queue !== undefined) device.enableLegacyQueue(queue, value >>> 0); break;
      case VIRTIO_PCI_QUEUE_SEL: this.#selected = value & 0xffff; break;
      case VIRTIO_PCI_QUEUE_NOTIFY: device.kick(value & 0xffff); break;
      case VIRTIO_PCI_STATUS: device.setStatus(value & 0xff); break;
      case VIRTIO_MSI_CONFIG_VECTOR: device.configVector = device.acceptVector(value & 0xffff); break;
      case VIRTIO_MSI_QUEUE_VECTOR: if (queue !== undefined) queue.vector = device.acceptVector(value & 0xffff); break;
      default: device.badAccess('legacy write to read-only register', offset, size);
    }
  }

  #configOffset(): number { return this.#device.vdev.msixEnabled() ? CONFIG_OFF_MSIX : CONFIG_OFF_INTX; }
}
