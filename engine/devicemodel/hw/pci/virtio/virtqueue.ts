/**
 * Split virtqueue on guest memory, the device's side. Everything the driver controls is checked here, once: ring
 * addresses and alignment, indices, descriptor loops, indirect tables, lengths, and readable-before-writable order.
 * A violation stops the queue and is told to its owner; it is never an exception.
 *
 * @spec   Virtual I/O Device 1.2, 2.7 split virtqueues (2.7.10 for the legacy layout)
 * @cover  #Y direct and indirect descriptors, interrupt and kick suppression flags   #N EVENT_IDX, packed rings
 * @differ At most 512 descriptors a chain, as in ACRN; a zero-length descriptor is skipped.
 */
import type { GuestMemory } from '../../../../lib/guest_memory.ts';
import {
  VIRTIO_MSI_NO_VECTOR, VIRTQ_AVAIL_F_NO_INTERRUPT, VIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE,
  VIRTQ_USED_F_NO_NOTIFY, VQ_MAX_DESCRIPTORS, VRING_ALIGN,
} from './virtio_defs.ts';

const AVAIL_FLAGS = 0; // u16 indices
const AVAIL_IDX = 1;
const AVAIL_RING = 2;
const USED_FLAGS = 0;
const USED_IDX = 1;
const TWO_POW_32 = 0x1_0000_0000;
const MAX_ADDRESS_HIGH = 0x1f_ffff; // above it a GPA is not a safe integer, and never RAM

/** One buffer of a chain: a live view of guest RAM. */
export interface Segment { readonly gpa: number; readonly bytes: Uint8Array }

/** A descriptor chain taken from the avail ring; to be given back with push(). */
export interface Chain {
  readonly head: number;
  /** The queue's epoch when it was taken: after a reset the chain is nobody's. */
  readonly epoch: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
  readonly readableBytes: number;
  readonly writableBytes: number;
}

interface Ring {
  readonly desc: Uint32Array; // four words a descriptor: address low, address high, length, flags | next << 16
  readonly avail: Uint16Array;
  readonly used: Uint16Array;
  readonly usedElements: Uint32Array; // [0] is flags and idx, then {id, len}
}

export class Virtqueue {
  readonly index: number;
  readonly maxSize: number;
  /** Entries in use; the modern driver may choose fewer than maxSize. */
  size: number;
  vector = VIRTIO_MSI_NO_VECTOR;
  /** Legacy register; 0 while the queue is off. */
  pfn = 0;
  descGpa = 0;
  availGpa = 0;
  usedGpa = 0;
  /** VIRTIO_F_RING_INDIRECT_DESC is offered: legacy drivers may use it before the features settle. */
  indirectAllowed = false;
  #epoch = 0;
  #ring: Ring | undefined;
  #lastAvail = 0;
  #usedIdx = 0;
  #usedDirty = false;
  readonly #memory: GuestMemory;
  readonly #broken: (queue: Virtqueue, reason: string) => void;

  /** @param broken called once when the driver violates the ring's rules; the queue is off by then */
  constructor(index: number, maxSize: number, memory: GuestMemory, broken: (queue: Virtqueue, reason: string) => void) {
    this.index = index;
    this.maxSize = maxSize;
    this.size = maxSize;
    this.#memory = memory;
    this.#broken = broken;
  }

  get enabled(): boolean { return this.#ring !== undefined; }

  /** Back to the state after power-on; chains in flight become stale. */
  reset(): void {
    this.disable();
    this.size = this.maxSize;
    this.vector = VIRTIO_MSI_NO_VECTOR;
    this.pfn = 0;
    this.descGpa = 0;
    this.availGpa = 0;
    this.usedGpa = 0;
    this.indirectAllowed = false;
  }

  disable(): void {
    this.#ring = undefined;
    this.#epoch += 1;
    this.#lastAvail = 0;
    this.#usedIdx = 0;
    this.#usedDirty = false;
  }

  /** Legacy: one page number gives all three rings (2.7.2 legacy layout). 0 turns the queue off. */
  enableLegacy(pfn: number): string | undefined {
    this.disable();
    this.pfn = pfn;
    this.size = this.maxSize;
    if (pfn === 0) return undefined;
    this.descGpa = pfn * VRING_ALIGN;
    this.availGpa = this.descGpa + this.size * VIRTQ_DESC_BYTES;
    const availEnd = this.availGpa + 2 * (3 + this.size);
    this.usedGpa = Math.ceil(availEnd / VRING_ALIGN) * VRING_ALIGN;
    return this.enable();
  }

  /** Maps the three rings; the reason when they cannot be used. */
  enable(): string | undefined {
    this.disable();
    const { size } = this;
    if (size === 0 || size > this.maxSize || (size & (size - 1)) !== 0) return `queue size ${size}`;
    if (this.descGpa % 16 !== 0 || this.availGpa % 2 !== 0 || this.usedGpa % 4 !== 0) return 'ring not aligned';
    const desc = this.#view(this.descGpa, size * VIRTQ_DESC_BYTES);
    const avail = this.#view(this.availGpa, 6 + 2 * size);
    const used = this.#view(this.usedGpa, 6 + 8 * size);
    if (desc === undefined || avail === undefined || used === undefined) return 'ring outside RAM';
    if (desc.byteOffset % 4 !== 0 || avail.byteOffset % 2 !== 0 || used.byteOffset % 4 !== 0) return 'ring not aligned in host memory';
    this.#ring = {
      desc: new Uint32Array(desc.buffer, desc.byteOffset, size * 4),
      avail: new Uint16Array(avail.buffer, avail.byteOffset, 3 + size),
      used: new Uint16Array(used.buffer, used.byteOffset, 2),
      usedElements: new Uint32Array(used.buffer, used.byteOffset, 1 + 2 * size),
    };
    return undefined;
  }

  /** vq_has_descs */
  hasChains(): boolean {
    return this.#ring !== undefined && Atomics.load(this.#ring.avail, AVAIL_IDX) !== this.#lastAvail;
  }

  /** vq_getchain: the next available chain, checked; undefined when there is none or the queue just broke. */
  pop(): Chain | undefined {
    const ring = this.#ring;
    if (ring === undefined) return undefined;
    const pending = (Atomics.load(ring.avail, AVAIL_IDX) - this.#lastAvail) & 0xffff;
    if (pending === 0) return undefined;
    if (pending > this.size) return this.#violation(`avail.idx is ${pending} entries ahead of ${this.size}`);
    const head = ring.avail[AVAIL_RING + (this.#lastAvail & (this.size - 1))];
    const chain = this.#walk(ring, head);
    if (chain !== undefined) this.#lastAvail = (this.#lastAvail + 1) & 0xffff;
    return chain;
  }

  /** True while the driver still waits for this chain. */
  isLive(chain: Chain): boolean { return this.#ring !== undefined && chain.epoch === this.#epoch; }

  /** vq_relchain: gives the chain back with `written` bytes in its writable part. Stale chains are let go. */
  push(chain: Chain, written: number): void {
    const ring = this.#ring;
    if (ring === undefined || chain.epoch !== this.#epoch) return;
    const slot = 1 + 2 * (this.#usedIdx & (this.size - 1));
    ring.usedElements[slot] = chain.head;
    ring.usedElements[slot + 1] = written;
    this.#usedIdx = (this.#usedIdx + 1) & 0xffff;
    this.#usedDirty = true;
    Atomics.store(ring.used, USED_IDX, this.#usedIdx);
  }

  /** vq_endchains: after a batch of push(); true when the driver wants an interrupt for it. */
  endChains(): boolean {
    const ring = this.#ring;
    if (ring === undefined || !this.#usedDirty) return false;
    this.#usedDirty = false;
    this.#memory.written(this.usedGpa, 4 + 8 * this.size);
    return (Atomics.load(ring.avail, AVAIL_FLAGS) & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
  }

  /** Asks the driver not to kick (a hint). Callers look for chains once more after turning kicks on. */
  suppressKicks(on: boolean): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    Atomics.store(ring.used, USED_FLAGS, on ? VIRTQ_USED_F_NO_NOTIFY : 0);
    this.#memory.written(this.usedGpa, 4);
  }

  /** For devices: the chain itself is wrong for this kind of device. */
  violation(reason: string): void { this.#violation(reason); }

  #violation(reason: string): undefined {
    this.disable();
    this.#broken(this, reason);
    return undefined;
  }

  #view(gpa: number, length: number): Uint8Array | undefined {
    return Number.isSafeInteger(gpa) && gpa >= 0 ? this.#memory.view(gpa, length) : undefined;
  }

  #walk(ring: Ring, head: number): Chain | undefined {
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let readableBytes = 0;
    let writableBytes = 0;
    let table = ring.desc;
    let entries = this.size;
    let index = head;
    let visited = 0; // of this table
    let total = 0;
    let indirect = false;
    for (;;) {
      if (index >= entries) return this.#violation(`descriptor ${index} of ${entries}`);
      visited += 1;
      total += 1;
      if (visited > entries) return this.#violation('descriptor loop');
      if (total > VQ_MAX_DESCRIPTORS) return this.#violation(`more than ${VQ_MAX_DESCRIPTORS} descriptors`);
      const low = table[index * 4];
      const high = table[index * 4 + 1];
      const length = table[index * 4 + 2];
      const flagsNext = table[index * 4 + 3];
      const gpa = high > MAX_ADDRESS_HIGH ? -1 : high * TWO_POW_32 + low;
      if ((flagsNext & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (!this.indirectAllowed) return this.#violation('indirect descriptor not negotiated');
        if (indirect) return this.#violation('indirect table inside an indirect table');
        if ((flagsNext & VIRTQ_DESC_F_NEXT) !== 0) return this.#violation('indirect descriptor with NEXT');
        if (length === 0 || length % VIRTQ_DESC_BYTES !== 0) return this.#violation(`indirect table of ${length} bytes`);
        const copied = this.#indirectTable(gpa, length);
        if (copied === undefined) return this.#violation('indirect table outside RAM or misaligned');
        indirect = true;
        table = copied;
        entries = length / VIRTQ_DESC_BYTES;
        index = 0;
        visited = 0;
        continue;
      }
      const write = (flagsNext & VIRTQ_DESC_F_WRITE) !== 0;
      if (!write && writable.length > 0) return this.#violation('readable descriptor after a writable one');
      if (length > 0) {
        const bytes = this.#view(gpa, length);
        if (bytes === undefined) return this.#violation('buffer outside RAM');
        if (write) { writable.push({ gpa, bytes }); writableBytes += length; }
        else { readable.push({ gpa, bytes }); readableBytes += length; }
      }
      if ((flagsNext & VIRTQ_DESC_F_NEXT) === 0) break;
      index = flagsNext >>> 16;
    }
    return { head, epoch: this.#epoch, readable, writable, readableBytes, writableBytes };
  }

  /** In place where its words are aligned, which every known driver does; else a bounded copy. */
  #indirectTable(gpa: number, length: number): Uint32Array | undefined {
    const bytes = this.#view(gpa, length);
    if (bytes === undefined) return undefined;
    if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, length / 4);
    if (length > VQ_MAX_DESCRIPTORS * VIRTQ_DESC_BYTES) return undefined;
    const table = new Uint32Array(length / 4);
    new Uint8Array(table.buffer).set(bytes);
    return table;
  }
}

/** Copies out of segments, from byte `offset` of the whole; returns the bytes copied. */
export function gather(segments: readonly Segment[], offset: number, into: Uint8Array): number {
  let skip = offset;
  let done = 0;
  for (const { bytes } of segments) {
    if (done === into.length) break;
    if (skip >= bytes.length) { skip -= bytes.length; continue; }
    const count = Math.min(bytes.length - skip, into.length - done);
    into.set(bytes.subarray(skip, skip + count), done);
    done += count;
    skip = 0;
  }
  return done;
}

/** Copies into segments, at byte `offset` of the whole, and says so to the memory; returns the bytes copied. */
export function scatter(memory: GuestMemory, segments: readonly Segment[], offset: number, from: Uint8Array): number {
  let skip = offset;
  let done = 0;
  for (const { gpa, bytes } of segments) {
    if (done === from.length) break;
    if (skip >= bytes.length) { skip -= bytes.length; continue; }
    const count = Math.min(bytes.length - skip, from.length - done);
    bytes.set(from.subarray(done, done + count), skip);
    memory.written(gpa + skip, count);
    done += count;
    skip = 0;
  }
  return done;
}
