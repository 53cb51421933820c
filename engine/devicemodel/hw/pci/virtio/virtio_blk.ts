/**
 * virtio-blk on a raw image.
 *
 * @spec   Virtual I/O Device 1.2, 5.2 block device; ACRN hw/pci/virtio/virtio_block.c and hw/block_if.c
 * @cover  #Y read, write, flush, get-id, discard; writeback switch; 8 requests in flight, completed as they finish
 *         #Y nodisk and rescan   #N write zeroes, secure erase, multiple queues
 * @differ Header and data may be laid out in any way over the descriptors (VIRTIO_F_ANY_LAYOUT), which ACRN refuses.
 *         What is not transferred before this thread goes on passes through private memory, so that a reset never leaves
 *         the host writing into reused guest pages.
 */
import { HostError } from '../../../../lib/errors.ts';
import type { GuestMemory } from '../../../../lib/guest_memory.ts';
import type { BlockBackend, HostBackends } from '../../../backends_if.ts';
import type { PciDeviceClass } from '../pci_if.ts';
import { md5 } from './md5.ts';
import { featureMask, VIRTIO_DEV_BLOCK, VIRTIO_F_RING_INDIRECT_DESC, VIRTIO_TYPE_BLOCK } from './virtio_defs.ts';
import { type BlkOptions, parseBlkOptions } from './virtio_blk_opts.ts';
import { type VirtioFunction, VirtioPciDevice, type VirtioTransport } from './virtio.ts';
import { type Chain, gather, scatter, type Segment, type Virtqueue } from './virtqueue.ts';

const VIRTIO_BLK_RINGSZ = 64;
const VIRTIO_BLK_MAX_OPTS_LEN = 256;
const BLOCKIF_IOV_MAX = 256;
/** BLOCKIF_NUMTHR */
const MAX_IN_FLIGHT = 8;
/** Transfers in one go; then this thread's other promises come in between. */
const MAX_AT_ONCE = 8;
const SECTOR_BYTES = 512;
const PCIC_STORAGE = 0x01;
/** Requests move in pieces of this size, so that a chain of any length needs bounded host memory. */
const PIECE_BYTES = 1 << 20;
const MAX_POOLED = MAX_IN_FLIGHT;

const VIRTIO_BLK_F_SEG_MAX = 2;
const VIRTIO_BLK_F_RO = 5;
const VIRTIO_BLK_F_BLK_SIZE = 6;
const VIRTIO_BLK_F_FLUSH = 9;
const VIRTIO_BLK_F_TOPOLOGY = 10;
const VIRTIO_BLK_F_CONFIG_WCE = 11;
const VIRTIO_BLK_F_DISCARD = 13;

const VIRTIO_BLK_T_IN = 0;
const VIRTIO_BLK_T_OUT = 1;
const VIRTIO_BLK_T_FLUSH = 4;
const VIRTIO_BLK_T_FLUSH_OUT = 5;
const VIRTIO_BLK_T_GET_ID = 8;
const VIRTIO_BLK_T_DISCARD = 11;
const VIRTIO_BLK_T_BARRIER = 0x8000_0000;
const HEADER_BYTES = 16;
const ID_BYTES = 20;
const DISCARD_SEGMENT_BYTES = 16;

const VIRTIO_BLK_S_OK = 0;
const VIRTIO_BLK_S_IOERR = 1;
const VIRTIO_BLK_S_UNSUPP = 2;

// struct virtio_blk_config
const CFG_CAPACITY = 0;
const CFG_SEG_MAX = 12;
const CFG_BLK_SIZE = 20;
const CFG_PHYSICAL_BLOCK_EXP = 24;
const CFG_WRITEBACK = 32;
const CFG_MAX_DISCARD_SECTORS = 36;
const CFG_MAX_DISCARD_SEG = 40;
const CFG_DISCARD_SECTOR_ALIGNMENT = 44;
const CFG_BYTES = 60;

interface Request { readonly type: number; readonly sector: number }
interface Outcome { readonly status: number; readonly dataBytes: number }

export class VirtioBlk implements VirtioFunction {
  readonly name = 'virtio-blk';
  readonly type = VIRTIO_TYPE_BLOCK;
  readonly deviceId = VIRTIO_DEV_BLOCK;
  readonly pciClass = PCIC_STORAGE;
  readonly pciSubclass = 0;
  readonly queueSizes = [VIRTIO_BLK_RINGSZ];
  readonly features: bigint;
  readonly config = new Uint8Array(CFG_BYTES);
  readonly serial: string;
  #backend: BlockBackend | undefined;
  #options: BlkOptions;
  #writeback: boolean;
  #wceNegotiated = false;
  #inFlight = 0;
  /** Requests from before a reset: nothing new starts until they are over, so that order is kept. */
  #draining = 0;
  #epoch = 0;
  /** Requests started since this thread last did something else. */
  #turn = 0;
  #closed = false;
  readonly #idle: Array<() => void> = [];
  readonly #pool: Uint8Array[] = [];
  readonly #transport: VirtioTransport;

  constructor(transport: VirtioTransport, options: BlkOptions, optionText: string, backend: BlockBackend | undefined) {
    this.#transport = transport;
    this.#options = options;
    this.#backend = backend;
    this.#writeback = options.writeback;
    this.serial = serialOf(optionText);
    let features = featureMask(VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_F_RING_INDIRECT_DESC);
    if (options.writeback) features |= featureMask(VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE);
    if (options.discard !== undefined && backend?.readOnly === false) features |= featureMask(VIRTIO_BLK_F_DISCARD);
    if (backend?.readOnly === true) features |= featureMask(VIRTIO_BLK_F_RO);
    this.features = features;
    this.#fillConfig();
  }

  kick(queue: Virtqueue): void {
    this.#turn = 0;
    this.#pump(queue);
  }

  negotiated(features: bigint): void {
    this.#wceNegotiated = (features & featureMask(VIRTIO_BLK_F_CONFIG_WCE)) !== 0n;
    // 5.2.6.2: a driver that cannot flush gets writethrough
    this.#setWriteback(this.#options.writeback && (features & featureMask(VIRTIO_BLK_F_FLUSH)) !== 0n);
  }

  writeConfig(offset: number, size: number, value: number): void {
    if (offset === CFG_WRITEBACK && size === 1 && this.#wceNegotiated) this.#setWriteback((value & 1) !== 0);
    else this.#transport.complain(`write to read-only configuration, offset ${offset}`);
  }

  reset(): void {
    this.#epoch += 1;
    this.#draining = this.#inFlight;
    this.#wceNegotiated = false;
    this.#setWriteback(this.#options.writeback);
  }

  /** blkrescan: gives a nodisk device its disk. */
  async rescan(opts: string, host: HostBackends): Promise<void> {
    if (this.#backend !== undefined) {
      throw new HostError('BLK_RESCAN', { what: 'blkrescan', why: 'the device already has a disk', todo: 'Only a virtio-blk device created with nodisk can be rescanned.' });
    }
    const options = parseBlkOptions(opts);
    this.#backend = await openDisk(options, host);
    this.#options = options;
    this.#fillConfig();
    this.#transport.configChanged();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    await this.#backend?.close();
  }

  #pump(queue: Virtqueue): void {
    let atOnce = 0;
    while (!this.#closed && this.#draining === 0 && this.#inFlight < MAX_IN_FLIGHT) {
      if (this.#turn === VIRTIO_BLK_RINGSZ) return this.#transport.kickLater(queue); // requests without I/O must not fill the thread
      const chain = queue.pop();
      if (chain === undefined) break;
      if (chain.readableBytes < HEADER_BYTES || chain.writableBytes < 1) {
        queue.violation('block request without a header or a status byte');
        return;
      }
      this.#turn += 1;
      const request = parse(chain);
      const outcome = this.#atOnce(chain, request);
      if (outcome !== undefined) {
        this.#complete(queue, chain, outcome);
        atOnce += 1;
        if (atOnce === MAX_AT_ONCE) return void Promise.resolve().then(() => this.#pump(queue));
      } else {
        this.#inFlight += 1;
        void this.#serve(queue, chain, request, this.#epoch);
      }
    }
  }

  /** What is over before the backend returns needs no promise; undefined: the long way, which also tells what is wrong. */
  #atOnce(chain: Chain, { type, sector }: Request): Outcome | undefined {
    if (type === VIRTIO_BLK_T_IN && this.#readAtOnce(chain, sector)) return { status: VIRTIO_BLK_S_OK, dataBytes: chain.writableBytes - 1 };
    if (type === VIRTIO_BLK_T_OUT && this.#writeback && this.#writeAtOnce(chain, sector)) return OK;
    return undefined;
  }

  #readAtOnce(chain: Chain, sector: number): boolean {
    const length = chain.writableBytes - 1;
    const backend = this.#backend;
    if (backend?.readAtOnce === undefined || !inBounds(backend, sector, length)) return false;
    if (!backend.readAtOnce(sector * SECTOR_BYTES, cut(chain.writable, 0, length))) return false;
    noteWritten(this.#transport.memory, chain.writable, length);
    return true;
  }

  #writeAtOnce(chain: Chain, sector: number): boolean {
    const length = chain.readableBytes - HEADER_BYTES;
    const backend = this.#backend;
    if (backend?.writeAtOnce === undefined || backend.readOnly || !inBounds(backend, sector, length)) return false;
    return backend.writeAtOnce(sector * SECTOR_BYTES, cut(chain.readable, HEADER_BYTES, length));
  }

  async #serve(queue: Virtqueue, chain: Chain, request: Request, epoch: number): Promise<void> {
    let outcome: Outcome;
    try {
      outcome = await this.#request(queue, chain, request);
    } catch (error) {
      this.#transport.complain(`request failed: ${error instanceof Error ? error.message : String(error)}`);
      outcome = { status: VIRTIO_BLK_S_IOERR, dataBytes: 0 };
    }
    this.#inFlight -= 1;
    if (epoch !== this.#epoch) this.#draining -= 1;
    if (!this.#closed && queue.isLive(chain)) this.#complete(queue, chain, outcome);
    if (this.#closed && this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
    this.#pump(queue);
  }

  #complete(queue: Virtqueue, chain: Chain, { status, dataBytes }: Outcome): void {
    scatter(this.#transport.memory, chain.writable, chain.writableBytes - 1, Uint8Array.of(status));
    queue.push(chain, dataBytes + 1);
    this.#transport.endChains(queue);
  }

  async #request(queue: Virtqueue, chain: Chain, { type, sector }: Request): Promise<Outcome> {
    switch (type) {
      case VIRTIO_BLK_T_IN: return this.#read(queue, chain, sector);
      case VIRTIO_BLK_T_OUT: return this.#write(chain, sector);
      case VIRTIO_BLK_T_FLUSH:
      case VIRTIO_BLK_T_FLUSH_OUT: return this.#flush();
      case VIRTIO_BLK_T_GET_ID: return this.#getId(chain);
      case VIRTIO_BLK_T_DISCARD: return this.#discard(chain);
      default: return { status: VIRTIO_BLK_S_UNSUPP, dataBytes: 0 };
    }
  }

  async #read(queue: Virtqueue, chain: Chain, sector: number): Promise<Outcome> {
    const length = chain.writableBytes - 1;
    const backend = this.#backend;
    if (backend === undefined || !inBounds(backend, sector, length)) return IOERR;
    const buffer = this.#borrow(length);
    try {
      for (let done = 0; done < length; done += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, length - done));
        await backend.read(sector * SECTOR_BYTES + done, piece);
        if (this.#closed || !queue.isLive(chain)) return IOERR;
        scatter(this.#transport.memory, chain.writable, done, piece);
      }
    } finally {
      this.#giveBack(buffer);
    }
    return { status: VIRTIO_BLK_S_OK, dataBytes: length };
  }

  async #write(chain: Chain, sector: number): Promise<Outcome> {
    const length = chain.readableBytes - HEADER_BYTES;
    const backend = this.#backend;
    if (backend === undefined || backend.readOnly || !inBounds(backend, sector, length)) return IOERR;
    if (!this.#writeback && this.#writeAtOnce(chain, sector)) {
      await backend.flush();
      return OK;
    }
    const buffer = this.#borrow(length);
    try {
      for (let done = 0; done < length; done += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, length - done));
        gather(chain.readable, HEADER_BYTES + done, piece);
        await backend.write(sector * SECTOR_BYTES + done, piece);
      }
    } finally {
      this.#giveBack(buffer);
    }
    if (!this.#writeback) await backend.flush();
    return OK;
  }

  async #flush(): Promise<Outcome> {
    if (this.#backend === undefined) return IOERR;
    if (!this.#backend.readOnly) await this.#backend.flush();
    return OK;
  }

  #getId(chain: Chain): Outcome {
    const length = Math.min(ID_BYTES, chain.writableBytes - 1);
    scatter(this.#transport.memory, chain.writable, 0, new TextEncoder().encode(this.serial).subarray(0, length));
    return { status: VIRTIO_BLK_S_OK, dataBytes: length };
  }

  async #discard(chain: Chain): Promise<Outcome> {
    const limits = this.#options.discard;
    const backend = this.#backend;
    if (limits === undefined || backend === undefined || (this.features & featureMask(VIRTIO_BLK_F_DISCARD)) === 0n) return UNSUPP;
    const length = chain.readableBytes - HEADER_BYTES;
    if (length === 0 || length % DISCARD_SEGMENT_BYTES !== 0 || length / DISCARD_SEGMENT_BYTES > limits.maxSegments) return IOERR;
    const segments = new DataView(new ArrayBuffer(length));
    gather(chain.readable, HEADER_BYTES, new Uint8Array(segments.buffer));
    const ranges: Array<{ offset: number; bytes: number }> = [];
    for (let at = 0; at < length; at += DISCARD_SEGMENT_BYTES) {
      const sector = segments.getUint32(at + 4, true) * 2 ** 32 + segments.getUint32(at, true);
      const sectors = segments.getUint32(at + 8, true);
      if (segments.getUint32(at + 12, true) !== 0) return UNSUPP; // 5.2.6.2: no flag means anything for discard
      if (sectors > limits.maxSectors || !inBounds(backend, sector, sectors * SECTOR_BYTES)) return IOERR;
      if (sectors > 0) ranges.push({ offset: sector * SECTOR_BYTES, bytes: sectors * SECTOR_BYTES });
    }
    for (const { offset, bytes } of ranges) await backend.discard(offset, bytes);
    if (!this.#writeback) await backend.flush();
    return OK;
  }

  #setWriteback(on: boolean): void {
    this.#writeback = on;
    this.config[CFG_WRITEBACK] = on ? 1 : 0;
  }

  #fillConfig(): void {
    const { sectorSize, physicalSectorSize, discard } = this.#options;
    const view = new DataView(this.config.buffer);
    const sectors = Math.floor((this.#backend?.sizeBytes ?? 0) / SECTOR_BYTES);
    view.setBigUint64(CFG_CAPACITY, BigInt(sectors), true);
    view.setUint32(CFG_SEG_MAX, BLOCKIF_IOV_MAX, true);
    view.setUint32(CFG_BLK_SIZE, sectorSize, true);
    view.setUint8(CFG_PHYSICAL_BLOCK_EXP, physicalSectorSize > sectorSize ? Math.log2(physicalSectorSize / sectorSize) : 0);
    view.setUint8(CFG_WRITEBACK, this.#writeback ? 1 : 0);
    view.setUint32(CFG_MAX_DISCARD_SECTORS, discard?.maxSectors ?? 0, true);
    view.setUint32(CFG_MAX_DISCARD_SEG, discard?.maxSegments ?? 0, true);
    view.setUint32(CFG_DISCARD_SECTOR_ALIGNMENT, discard?.alignment ?? 0, true);
  }

  #borrow(length: number): Uint8Array {
    const pooled = this.#pool.pop();
    const wanted = Math.min(length, PIECE_BYTES);
    if (pooled !== undefined && pooled.length >= wanted) return pooled;
    return new Uint8Array(wanted <= 65536 ? 65536 : PIECE_BYTES);
  }

  #giveBack(buffer: Uint8Array): void { if (this.#pool.length < MAX_POOLED) this.#pool.push(buffer); }
}

const OK: Outcome = { status: VIRTIO_BLK_S_OK, dataBytes: 0 };
const IOERR: Outcome = { status: VIRTIO_BLK_S_IOERR, dataBytes: 0 };
const UNSUPP: Outcome = { status: VIRTIO_BLK_S_UNSUPP, dataBytes: 0 };

function parse(chain: Chain): Request {
  const header = new Uint8Array(HEADER_BYTES);
  gather(chain.readable, 0, header);
  const view = new DataView(header.buffer);
  return { type: (view.getUint32(0, true) & ~VIRTIO_BLK_T_BARRIER) >>> 0, sector: view.getUint32(12, true) * 2 ** 32 + view.getUint32(8, true) };
}

/** Bytes [from, from + length) of a chain's segments. */
function cut(segments: readonly Segment[], from: number, length: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let skip = from;
  let left = length;
  for (const { bytes } of segments) {
    if (left === 0) break;
    if (skip >= bytes.length) { skip -= bytes.length; continue; }
    const count = Math.min(bytes.length - skip, left);
    pieces.push(count === bytes.length ? bytes : bytes.subarray(skip, skip + count));
    left -= count;
    skip = 0;
  }
  return pieces;
}

/** The first `length` bytes of the segments were written by the backend. */
function noteWritten(memory: GuestMemory, segments: readonly Segment[], length: number): void {
  let left = length;
  for (const { gpa, bytes } of segments) {
    if (left === 0) break;
    const count = Math.min(bytes.length, left);
    memory.written(gpa, count);
    left -= count;
  }
}

function inBounds(backend: BlockBackend, sector: number, length: number): boolean {
  return length % SECTOR_BYTES === 0 && sector <= backend.sizeBytes / SECTOR_BYTES && sector * SECTOR_BYTES + length <= backend.sizeBytes;
}

/** `ACRN--XXXX-XXXX-XXXX` from the first six bytes of the options' MD5. */
export function serialOf(optionText: string): string {
  const hex = Array.from(md5(optionText).subarray(0, 6), (byte) => byte.toString(16).toUpperCase().padStart(2, '0'));
  return `ACRN--${hex[0]}${hex[1]}-${hex[2]}${hex[3]}-${hex[4]}${hex[5]}`;
}

async function openDisk(options: BlkOptions, host: HostBackends): Promise<BlockBackend | undefined> {
  if (options.path === undefined) return undefined;
  const { range } = options;
  return host.openBlock(options.path, {
    readOnly: options.readOnly,
    owner: 'virtio-blk',
    ...(range === undefined ? {} : { range: { start: range.start * SECTOR_BYTES, length: range.size * SECTOR_BYTES } }),
  });
}

export const virtioBlk: PciDeviceClass = {
  className: 'virtio-blk',
  async init(ctx, vdev, opts, host) {
    if (opts !== undefined && opts.length > VIRTIO_BLK_MAX_OPTS_LEN * 16) {
      throw new HostError('VIRTIO_BLK_OPTION', { what: 'virtio_blk', why: 'the options are too long', todo: `At most ${VIRTIO_BLK_MAX_OPTS_LEN * 16} characters.` });
    }
    const options = parseBlkOptions(opts);
    const backend = await openDisk(options, host);
    if (backend?.readOnly && !options.readOnly) ctx.log(`virtio-blk: ${options.path} may not be written: the guest has it read-only`);
    return VirtioPciDevice.create(ctx, vdev, host, (transport) => new VirtioBlk(transport, options, opts ?? '', backend), async () => backend?.close());
  },
};
