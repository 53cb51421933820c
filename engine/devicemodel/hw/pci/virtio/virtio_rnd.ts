/**
 * virtio-rnd: entropy from the host's cryptographic generator.
 *
 * @spec   Virtual I/O Device 1.2, 5.4 entropy device; ACRN hw/pci/virtio/virtio_rnd.c
 * @cover  #Y one request queue of 64   #N `kernel=on` (there is no VBS-K here; the option is accepted)
 * @differ A request is filled with at most 64 KiB, and the used length says so.
 */
import { HostError } from '../../../../lib/errors.ts';
import type { HostBackends } from '../../../backends_if.ts';
import type { PciDeviceClass } from '../pci_if.ts';
import { VIRTIO_DEV_RANDOM, VIRTIO_TYPE_ENTROPY } from './virtio_defs.ts';
import { type VirtioFunction, VirtioPciDevice, type VirtioTransport } from './virtio.ts';
import { scatter, type Virtqueue } from './virtqueue.ts';

const VIRTIO_RND_RINGSZ = 64;
const MAX_FILL_BYTES = 65536;
const PCIC_CRYPTO = 0x10;

export class VirtioRnd implements VirtioFunction {
  readonly name = 'virtio-rnd';
  readonly type = VIRTIO_TYPE_ENTROPY;
  readonly deviceId = VIRTIO_DEV_RANDOM;
  readonly pciClass = PCIC_CRYPTO;
  readonly pciSubclass = 0;
  readonly queueSizes = [VIRTIO_RND_RINGSZ];
  readonly features = 0n;
  readonly config = new Uint8Array(0);
  readonly #transport: VirtioTransport;
  readonly #host: HostBackends;
  readonly #scratch = new Uint8Array(MAX_FILL_BYTES);

  constructor(transport: VirtioTransport, host: HostBackends) {
    this.#transport = transport;
    this.#host = host;
  }

  kick(queue: Virtqueue): void {
    let budget = VIRTIO_RND_RINGSZ;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const entropy = this.#scratch.subarray(0, Math.min(chain.writableBytes, MAX_FILL_BYTES));
      this.#host.random(entropy);
      queue.push(chain, scatter(this.#transport.memory, chain.writable, 0, entropy));
      budget -= 1;
      if (budget === 0) { this.#transport.kickLater(queue); break; }
    }
    this.#scratch.fill(0);
    this.#transport.endChains(queue);
  }

  reset(): void { /* no state */ }
  async close(): Promise<void> { /* nothing open */ }
}

export const virtioRnd: PciDeviceClass = {
  className: 'virtio-rnd',
  async init(ctx, vdev, opts, host) {
    if (opts !== undefined && opts !== '' && !/^kernel=(on|off)$/.test(opts)) {
      throw new HostError('VIRTIO_RND_OPTION', { what: 'virtio-rnd', why: `Invalid device option "${opts}"`, todo: 'Accepted: nothing, or kernel=on.' });
    }
    return new VirtioPciDevice(ctx, vdev, host, (transport) => new VirtioRnd(transport, host));
  },
};
