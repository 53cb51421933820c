/**
 * Where the hypervisor keeps what pCPU threads and the device model's thread both touch: one region of the board's
 * shared memory that no guest can address (core/tables/layout.ts, HV_SHARED). Offsets are bytes from its start.
 *
 *   0x00000  board page: doorbell
 *   0x01000  one vCPU area a pCPU: vLAPIC register page, posted-interrupt descriptor, counters
 *   0x10000  one VM area a VM: I/O request page, vIOAPIC, vPIC, ioeventfd table
 */
import { layout, MAX_PCPUS } from '../core/tables/layout.ts';
import { S } from '../core/gen/state.ts';
import type { TimeNs } from '../lib/clock.ts';

/** One vCPU a pCPU at most, so never more VMs than pCPUs. */
export const MAX_VMS = MAX_PCPUS;
export const MAX_IOEVENTFDS = 256;
export const EXIT_REASONS = 80;
/** Ports with a shortcut, and posted writes that wait for the device model: a power of two. */
export const PORT_SHORTCUTS = 32;
export const PORT_RING_ENTRIES = 4096;

/** Byte offsets in the board page. */
export const BOARD = {
  /** Bumped for every event the device model has to look at. */
  DOORBELL: 0x00,
  /** 1 while the device model's thread sleeps on DOORBELL. */
  DOORBELL_ARMED: 0x04,
  /** f64: board time of the ring that ended that sleep. */
  RUNG_NS: 0x08,
} as const;

const VCPU_BASE = 0x1000;
const VCPU_STRIDE = 0x2000;
/** Byte offsets in a vCPU area. */
export const VCPU = {
  /** The vLAPIC's registers at their MMIO offsets (SDM vol. 3 table 11-1). */
  APIC_PAGE: 0x0000,
  /** Posted-interrupt requests, 256 bits. */
  PIR: 0x1000,
  /** Trigger mode of each posted vector, 256 bits: 1 level. */
  PIR_LEVEL: 0x1020,
  SIPI_VECTOR: 0x1040,
  /** 1 while the thread sleeps on EVENT_FLAGS. */
  SLEEPING: 0x1044,
  /** 0 disabled, 1 xAPIC, 2 x2APIC. */
  APIC_MODE: 0x1048,
  VCPU_ID: 0x104c,
  /** Set by a sender whose vector was below 16; the owner turns it into an ESR bit. */
  RECEIVE_ILLEGAL: 0x1050,
  /** f64: CPU time of the thread since the vCPU was created. */
  CPU_NS: 0x1080,
  /** f64: board time of the event that ended the thread's last sleep. */
  POSTED_NS: 0x1088,
  /** f64 each: VM exits by basic reason. */
  EXITS: 0x1100,
} as const;

const VM_BASE = 0x10000;
const VM_STRIDE = 0x10000;
/** Byte offsets in a VM area. */
export const VM = {
  IOREQ_PAGE: 0x0000,
  VIOAPIC: 0x1000,
  VPIC: 0x1400,
  VCPU_COUNT: 0x1800,
  /** u32 each: pCPU of vCPU n. */
  PCPU_OF_VCPU: 0x1804,
  /** PCI configuration address latch (port 0xCF8) and its lock. */
  PCI_ADDRESS: 0x1840,
  /** Bumped whenever the ioeventfd table changes. */
  IOEVENTFD_GENERATION: 0x1844,
  /** Entries in use, holes included. */
  IOEVENTFD_COUNT: 0x1848,
  /** 1: PCI_SLOTS is filled in. */
  PCI_SLOTS_KNOWN: 0x184c,
  /** Bumped whenever a port gets or loses its shortcut. */
  PORT_GENERATION: 0x1850,
  /** Free-running indices of PORT_RING. */
  PORT_RING_HEAD: 0x1854,
  PORT_RING_TAIL: 0x1858,
  /** A bit an entry of the ioeventfd table: it fired and its kick is due. */
  IOEVENTFD_FIRED: 0x1860,
  IOEVENTFD_TABLE: 0x2000,
  /** u32 each: posted writes (port_shortcuts.ts). */
  PORT_RING: 0x4000,
  /** u32 a bus: slots with a PCI function. */
  PCI_SLOTS: 0x8000,
  PORT_SHORTCUTS: 0x8400,
} as const;
export const IOEVENTFD_STRIDE = 0x20;

export class HvShared {
  /** The region as words. */
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The pCPU blocks as words, for EVENT_FLAGS. */
  readonly #pcpuWords: Int32Array;
  readonly #timeNs: TimeNs;

  /** @param timeNs board time, which tells a sleeper how soon it was wanted again */
  constructor(buffer: ArrayBufferLike, timeNs: TimeNs) {
    this.#timeNs = timeNs;
    this.words = new Int32Array(buffer, layout.HV_SHARED_BASE, layout.HV_SHARED_SIZE / 4);
    this.doubles = new Float64Array(buffer, layout.HV_SHARED_BASE, layout.HV_SHARED_SIZE / 8);
    this.bytes = new Uint8Array(buffer, layout.HV_SHARED_BASE, layout.HV_SHARED_SIZE);
    this.view = new DataView(buffer, layout.HV_SHARED_BASE, layout.HV_SHARED_SIZE);
    this.#pcpuWords = new Int32Array(buffer, layout.PCPU_BASE, (layout.PCPU_STRIDE * MAX_PCPUS) / 4);
  }

  /** Byte offset of a pCPU's vCPU area. */
  vcpu(pcpuId: number): number {
    return VCPU_BASE + pcpuId * VCPU_STRIDE;
  }

  /** Byte offset of a VM's area. */
  vm(slot: number): number {
    return VM_BASE + slot * VM_STRIDE;
  }

  get eventWords(): Int32Array {
    return this.#pcpuWords;
  }

  /** Index of a pCPU's EVENT_FLAGS in `eventWords`. */
  eventIndex(pcpuId: number): number {
    return (pcpuId * layout.PCPU_STRIDE + S.EVENT_FLAGS) / 4;
  }

  /**
   * Sets EVENT_* bits of a pCPU and wakes its thread if it sleeps. The sleeper announces itself in SLEEPING before it
   * compares EVENT_FLAGS with 0, and the order here is the reverse, so no wake-up is lost.
   */
  postEvent(pcpuId: number, bits: number): void {
    const index = this.eventIndex(pcpuId);
    Atomics.or(this.#pcpuWords, index, bits);
    if (Atomics.load(this.words, (this.vcpu(pcpuId) + VCPU.SLEEPING) / 4) === 0) return;
    this.doubles[(this.vcpu(pcpuId) + VCPU.POSTED_NS) / 8] = this.#timeNs();
    Atomics.notify(this.#pcpuWords, index);
  }

  /** Tells the device model's thread that there is something for it. */
  ringDoorbell(): void {
    Atomics.add(this.words, BOARD.DOORBELL / 4, 1);
    if (Atomics.load(this.words, BOARD.DOORBELL_ARMED / 4) === 0) return;
    this.doubles[BOARD.RUNG_NS / 8] = this.#timeNs();
    Atomics.notify(this.words, BOARD.DOORBELL / 4);
  }

  /** pCPU of each vCPU of the VM, in vCPU order. */
  pcpusOf(slot: number): number[] {
    const at = this.vm(slot) / 4;
    const count = Math.min(this.words[at + VM.VCPU_COUNT / 4], MAX_PCPUS);
    return Array.from({ length: count }, (_, v) => this.words[at + VM.PCPU_OF_VCPU / 4 + v]);
  }

  /** Zeroes a VM's area; every I/O request slot becomes FREE by its owner. */
  clearVm(slot: number): void {
    this.bytes.fill(0, this.vm(slot), this.vm(slot) + VM_STRIDE);
  }

  clearVcpu(pcpuId: number): void {
    this.bytes.fill(0, this.vcpu(pcpuId), this.vcpu(pcpuId) + VCPU_STRIDE);
  }
}
