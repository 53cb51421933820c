/**
 * Numbers of the virtio transport and rings, as printed in the specification. `_F_` names are bit numbers.
 *
 * @spec   Virtual I/O Device 1.2: 2.1 status, 2.7 split virtqueues, 4.1 PCI, 6 reserved features
 * @cover  #Y what the transport and the devices of this folder use
 */

// 2.1 device status
export const STATUS_ACKNOWLEDGE = 1;
export const STATUS_DRIVER = 2;
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_DEVICE_NEEDS_RESET = 0x40;
export const STATUS_FAILED = 0x80;

// 6 reserved feature bits
export const VIRTIO_F_RING_INDIRECT_DESC = 28;
export const VIRTIO_F_VERSION_1 = 32;

// 2.7 split virtqueue
export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
export const VIRTQ_USED_F_NO_NOTIFY = 1;
export const VIRTQ_DESC_BYTES = 16;
/** VQ_MAX_DESCRIPTORS of ACRN: the longest chain a device accepts. */
export const VQ_MAX_DESCRIPTORS = 512;
/** Legacy ring alignment and PFN unit. */
export const VRING_ALIGN = 4096;

export const VIRTIO_VENDOR = 0x1af4;
export const VIRTIO_TYPE_BLOCK = 2;
export const VIRTIO_TYPE_CONSOLE = 3;
export const VIRTIO_TYPE_ENTROPY = 4;
export const VIRTIO_DEV_BLOCK = 0x1001;
export const VIRTIO_DEV_CONSOLE = 0x1003;
export const VIRTIO_DEV_RANDOM = 0x1005;

// 4.1.4.5 ISR
export const VIRTIO_PCI_ISR_QUEUES = 1;
export const VIRTIO_PCI_ISR_CONFIG = 2;
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

/** A mask from bit numbers: bigint, because `1 << 32 === 1`. */
export function featureMask(...bits: number[]): bigint {
  return bits.reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
}
