/**
 * The I/O request page of a VM: one slot a vCPU, shared between the vCPU's thread and the device model's.
 *
 * FREE -> PENDING (vCPU, last store) -> PROCESSING (VHM) -> COMPLETE (VHM, last store) -> FREE (vCPU, value taken).
 *
 * @spec struct vhm_request: 256 bytes, union at 64, state at 136 (reference: hypercalls, I/O request page)
 * @differ PCI configuration cycles are turned into type 2 requests here; the VHM does that in ACRN. No polling mode:
 *         a vCPU always spins for some microseconds before it sleeps.
 */
import { openBus } from '../../lib/bits.ts';
import { VM, type HvShared } from '../shared.ts';

export const REQ_STATE_PENDING = 0;
export const REQ_STATE_COMPLETE = 1;
export const REQ_STATE_PROCESSING = 2;
export const REQ_STATE_FREE = 3;

export const REQ_PORTIO = 0;
export const REQ_MMIO = 1;
export const REQ_PCICFG = 2;
export const REQ_WP = 3;

export const REQUEST_READ = 0;
export const REQUEST_WRITE = 1;

export const IOREQ_SLOTS = 16;
export const IOREQ_SLOT_BYTES = 256;
/** Byte offsets in a slot. */
export const REQ = {
  TYPE: 0, DIRECTION: 64, ADDRESS: 72, SIZE: 80, VALUE: 88, BUS: 92, DEV: 96, FUNC: 100, REG: 104, PROCESSED: 136,
  /** Ours, in the reserved part: 1 while the vCPU's thread sleeps on PROCESSED. */
  SLEEPING: 140,
} as const;

const PCI_CONFIG_ADDRESS = 0xcf8;
const PCI_CONFIG_DATA = 0xcfc;
const PCI_ENABLE = 0x8000_0000;

const MAX_SPINS = 6000;
const MIN_SPINS = 100;
/** Longest sleep before the state is looked at again, ms: a lost wake-up costs this much, never a hang. */
const RECHECK_MS = 1000;

/** The vCPU's side of its slot. */
export class IoRequestPort {
  readonly #shared: HvShared;
  readonly #slotBase: number;
  readonly #state: number;
  readonly #pciAddress: number;
  readonly #pciSlots: number;
  readonly #pciSlotsKnown: number;
  #spins = MAX_SPINS;

  constructor(shared: HvShared, slot: number, vcpuId: number) {
    this.#shared = shared;
    this.#slotBase = shared.vm(slot) + VM.IOREQ_PAGE + vcpuId * IOREQ_SLOT_BYTES;
    this.#state = (this.#slotBase + REQ.PROCESSED) / 4;
    this.#pciAddress = (shared.vm(slot) + VM.PCI_ADDRESS) / 4;
    this.#pciSlots = (shared.vm(slot) + VM.PCI_SLOTS) / 4;
    this.#pciSlotsKnown = (shared.vm(slot) + VM.PCI_SLOTS_KNOWN) / 4;
  }

  /** Ports 0xCF8 and 0xCFC-0xCFF. undefined: not one of them. */
  pciConfigPort(port: number, size: number, write: boolean, value: bigint): bigint | undefined {
    if (port === PCI_CONFIG_ADDRESS && size === 4) {
      if (!write) return BigInt(Atomics.load(this.#shared.words, this.#pciAddress) >>> 0);
      Atomics.store(this.#shared.words, this.#pciAddress, Number(value & 0x7fff_fffcn) | (Number(value >> 31n & 1n) === 1 ? PCI_ENABLE | 0 : 0));
      return value;
    }
    if (port < PCI_CONFIG_DATA || port + size > PCI_CONFIG_DATA + 4) return undefined;
    const latch = Atomics.load(this.#shared.words, this.#pciAddress) >>> 0;
    if (latch < PCI_ENABLE || !this.#slotInUse((latch >>> 16) & 0xff, (latch >>> 11) & 0x1f)) return openBus(size);
    const view = this.#shared.view;
    const at = this.#slotBase;
    view.setUint32(at + REQ.BUS, (latch >>> 16) & 0xff, true);
    view.setUint32(at + REQ.DEV, (latch >>> 11) & 0x1f, true);
    view.setUint32(at + REQ.FUNC, (latch >>> 8) & 7, true);
    // Bits 27:24 of the latch are the extended register number's upper nibble.
    view.setUint32(at + REQ.REG, (latch & 0xfc) + ((latch >>> 16) & 0xf00) + (port - PCI_CONFIG_DATA), true);
    view.setUint32(at + REQ.VALUE, Number(value & 0xffff_ffffn), true);
    return this.#submit(REQ_PCICFG, size, write) & openBus(size);
  }

  /** False: no function will ever answer there, as a guest finds out that scans 256 buses. */
  #slotInUse(bus: number, slot: number): boolean {
    const { words } = this.#shared;
    return Atomics.load(words, this.#pciSlotsKnown) === 0 || (Atomics.load(words, this.#pciSlots + bus) & (1 << slot)) !== 0;
  }

  /** Ports, MMIO and write-protected pages: waits for the device model's answer. */
  request(type: number, address: number, size: number, write: boolean, value: bigint): bigint {
    const view = this.#shared.view;
    view.setBigUint64(this.#slotBase + REQ.ADDRESS, BigInt(address), true);
    view.setBigUint64(this.#slotBase + REQ.VALUE, write ? value : 0n, true);
    return this.#submit(type, size, write) & openBus(size);
  }

  #submit(type: number, size: number, write: boolean): bigint {
    const { view, words } = this.#shared;
    const at = this.#slotBase;
    view.setUint32(at + REQ.TYPE, type, true);
    view.setUint32(at + REQ.DIRECTION, write ? REQUEST_WRITE : REQUEST_READ, true);
    view.setBigUint64(at + REQ.SIZE, BigInt(size), true);
    Atomics.store(words, this.#state, REQ_STATE_PENDING);
    this.#shared.ringDoorbell();
    this.#await();
    const answer = type === REQ_PCICFG || type === REQ_PORTIO ? BigInt(view.getUint32(at + REQ.VALUE, true)) : view.getBigUint64(at + REQ.VALUE, true);
    Atomics.store(words, this.#state, REQ_STATE_FREE);
    return answer;
  }

  #await(): void {
    const { words } = this.#shared;
    for (let spin = this.#spins; spin > 0; spin--) {
      if (Atomics.load(words, this.#state) === REQ_STATE_COMPLETE) {
        this.#spins = Math.min(MAX_SPINS, this.#spins * 2);
        return;
      }
    }
    this.#spins = Math.max(MIN_SPINS, this.#spins >>> 1);
    const sleeping = this.#state + (REQ.SLEEPING - REQ.PROCESSED) / 4;
    Atomics.store(words, sleeping, 1); // before the state is looked at: complete() does it the other way round
    for (;;) {
      const state = Atomics.load(words, this.#state);
      if (state === REQ_STATE_COMPLETE) break;
      Atomics.wait(words, this.#state, state, RECHECK_MS);
    }
    Atomics.store(words, sleeping, 0);
  }
}

/** One request as the VHM hands it on. */
export interface SlotRequest {
  type: number;
  vcpuId: number;
  write: boolean;
  address: number;
  size: number;
  value: bigint;
  bus: number;
  dev: number;
  func: number;
}

/** The VHM's side of the page. */
export class IoRequestPage {
  readonly #shared: HvShared;
  readonly #base: number;

  constructor(shared: HvShared, slot: number) {
    this.#shared = shared;
    this.#base = shared.vm(slot) + VM.IOREQ_PAGE;
  }

  #state(vcpuId: number): number { return (this.#base + vcpuId * IOREQ_SLOT_BYTES + REQ.PROCESSED) / 4; }

  /** HC_SET_IOREQ_BUFFER: a zeroed page would read as PENDING. */
  reset(): void {
    for (let vcpuId = 0; vcpuId < IOREQ_SLOTS; vcpuId++) Atomics.store(this.#shared.words, this.#state(vcpuId), REQ_STATE_FREE);
  }

  /** Takes a PENDING request: its slot is PROCESSING from here. */
  take(vcpuId: number): SlotRequest | undefined {
    const words = this.#shared.words;
    if (Atomics.compareExchange(words, this.#state(vcpuId), REQ_STATE_PENDING, REQ_STATE_PROCESSING) !== REQ_STATE_PENDING) return undefined;
    const view = this.#shared.view;
    const at = this.#base + vcpuId * IOREQ_SLOT_BYTES;
    const type = view.getUint32(at + REQ.TYPE, true);
    const pci = type === REQ_PCICFG;
    return {
      type,
      vcpuId,
      write: view.getUint32(at + REQ.DIRECTION, true) === REQUEST_WRITE,
      address: pci ? view.getUint32(at + REQ.REG, true) : Number(view.getBigUint64(at + REQ.ADDRESS, true)),
      size: view.getUint32(at + REQ.SIZE, true),
      value: type === REQ_MMIO || type === REQ_WP ? view.getBigUint64(at + REQ.VALUE, true) : BigInt(view.getUint32(at + REQ.VALUE, true)),
      bus: pci ? view.getUint32(at + REQ.BUS, true) : 0,
      dev: pci ? view.getUint32(at + REQ.DEV, true) : 0,
      func: pci ? view.getUint32(at + REQ.FUNC, true) : 0,
    };
  }

  /** HC_NOTIFY_REQUEST_FINISH: COMPLETE is the last store; then the vCPU is woken. */
  complete(request: SlotRequest, value: bigint): void {
    const at = this.#base + request.vcpuId * IOREQ_SLOT_BYTES;
    const index = this.#state(request.vcpuId);
    if (Atomics.load(this.#shared.words, index) !== REQ_STATE_PROCESSING) return;
    if (!request.write) {
      const masked = value & openBus(request.size);
      if (request.type === REQ_MMIO || request.type === REQ_WP) this.#shared.view.setBigUint64(at + REQ.VALUE, masked, true);
      else this.#shared.view.setUint32(at + REQ.VALUE, Number(masked & 0xffff_ffffn), true);
    }
    Atomics.store(this.#shared.words, index, REQ_STATE_COMPLETE);
    if (Atomics.load(this.#shared.words, index + (REQ.SLEEPING - REQ.PROCESSED) / 4) !== 0) Atomics.notify(this.#shared.words, index);
  }
}
