/**
 * VHM: VMs by the calls of /dev/acrn_vhm, on the device model's thread. It partitions the board (pCPUs, memory), turns
 * the shared I/O request pages into calls of the attached client, and starts and stops the vCPU threads.
 *
 * @spec   reference: hypercalls, HSM character device
 * @differ One client a VM, the device model. CREATE_VM takes the memory map as well. DESTROY_VM pauses by itself.
 */
import { openBus } from '../lib/bits.ts';
import { HostError } from '../lib/errors.ts';
import type { GuestMemory } from '../lib/guest_memory.ts';
import type { Board } from '../platform/board.ts';
import type { PcpuPool } from '../platform/pcpu_pool.ts';
import { buildEpt, EPT_ARENA_PAGES, type EptRange } from '../hypervisor/arch/x86/ept.ts';
import { exitName } from '../hypervisor/arch/x86/guest/exit_reasons.ts';
import { intrMsi } from '../hypervisor/arch/x86/guest/vlapic_delivery.ts';
import { AcrnVm, publishVm, type VmConfig } from '../hypervisor/arch/x86/guest/vm.ts';
import type { RunEnd } from '../hypervisor/arch/x86/guest/vcpu.ts';
import type { PcpuCommand } from '../hypervisor/arch/x86/pcpu_main.ts';
import { IoeventfdTable } from '../hypervisor/dm/ioeventfd.ts';
import { PortShortcuts } from '../hypervisor/dm/port_shortcuts.ts';
import { IoRequestPage, REQ_MMIO, REQ_PCICFG, REQ_PORTIO, REQ_WP, type SlotRequest } from '../hypervisor/dm/io_req.ts';
import { EVENT_PAUSE } from '../hypervisor/events.ts';
import { EXIT_REASONS, MAX_VMS, VCPU, VM, type HvShared } from '../hypervisor/shared.ts';
import { layout } from '../core/tables/layout.ts';
import { S } from '../core/gen/state.ts';
import type { AcrnVcpuRegs, GsiOperation, IoRequest, IoRequestType, PortShortcut, VhmVm, VmCreation, VmSuspendHow } from './vhm_if.ts';
import { VmMemory } from './vm_memory.ts';

const PAGE = 0x1000;
/** Zeroed in one go on this thread. */
const ZERO_CHUNK = 16 * 2 ** 20;
/** A vCPU that does not come to a stand in this time is ended with its thread. */
const STOP_LIMIT_MS = 10_000;
const REQUEST_TYPES: Record<number, IoRequestType> = { [REQ_PORTIO]: 'pio', [REQ_MMIO]: 'mmio', [REQ_PCICFG]: 'pci', [REQ_WP]: 'wp' };

export interface VmRunStats {
  /** Guest instructions retired since the VM was created, all vCPUs. */
  instructions: number;
  /** VM exits by reason name. */
  exits: Record<string, number>;
  /** CPU time of the vCPU threads. */
  cpuNs: number;
}

type State = 'created' | 'running' | 'paused' | 'destroyed';

/** What a VM needs from the NUC. */
export interface VmHome {
  readonly board: Board;
  readonly pool: PcpuPool;
  readonly shared: HvShared;
  log(line: string): void;
  released(vm: AcrnVhmVm): void;
}

export class AcrnVhmVm implements VhmVm {
  readonly vmid: number;
  readonly name: string;
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  readonly config: VmConfig;
  /** Board memory taken, in whole granules. */
  readonly hpa: number;
  readonly #home: VmHome;
  readonly #vm: AcrnVm;
  readonly #page: IoRequestPage;
  readonly #ioeventfds: IoeventfdTable;
  readonly #ports: PortShortcuts;
  readonly #listeners = new Set<(how: VmSuspendHow, detail: string) => void>();
  #client: ((request: IoRequest) => void | Promise<void>) | undefined;
  #regs: AcrnVcpuRegs | undefined;
  #state: State = 'created';
  /** Requests are answered at once with all ones: the VM is being reset or destroyed. */
  #clearing = false;
  #runs: Array<Promise<void>> = [];
  readonly #processing = new Set<SlotRequest>();

  constructor(home: VmHome, config: VmConfig, hpa: number, ranges: readonly EptRange[]) {
    this.#home = home;
    this.config = config;
    this.vmid = config.vmid;
    this.name = config.name;
    this.vcpuCount = config.pcpus.length;
    this.hpa = hpa;
    this.memory = new VmMemory(home.board.buffer, ranges);
    home.shared.clearVm(config.slot);
    publishVm(home.shared, config);
    this.#vm = new AcrnVm(home.shared, config);
    this.#page = new IoRequestPage(home.shared, config.slot);
    this.#ioeventfds = new IoeventfdTable(home.shared, config.slot);
    this.#ports = new PortShortcuts(home.shared, config.slot);
    this.#resetControllers();
  }

  /** Makes the vCPUs; rejects when a thread cannot. */
  async createVcpus(): Promise<void> {
    await this.#each((vcpuId) => ({ do: 'create', config: this.config, vcpuId }));
  }

  #resetControllers(): void {
    this.#page.reset();
    this.#vm.vioapic.reset();
    this.#vm.vpic.reset();
  }

  async #each(command: (vcpuId: number) => PcpuCommand): Promise<void> {
    await Promise.all(this.config.pcpus.map((pcpuId, vcpuId) => this.#home.pool.call(pcpuId, command(vcpuId))));
  }

  setBspRegs(regs: AcrnVcpuRegs): void {
    this.#regs = regs;
  }

  // --- I/O requests

  attachIoreqClient(handler: (request: IoRequest) => void | Promise<void>): void {
    this.#client = handler;
  }

  assignIoeventfd(at: { space: 'pio' | 'mmio'; address: number; size: number; data?: number }, kick: () => void): () => void {
    const remove = this.#ioeventfds.assign(at, kick);
    if (remove === undefined) {
      // A full table costs speed only: the write goes the long way to the same device register.
      this.#home.log(`VM${this.vmid}: ioeventfd table is full, ${at.space} 0x${at.address.toString(16)} stays an I/O request`);
      return () => {};
    }
    return remove;
  }

  shortcutPort(port: number, take: (bytes: Uint8Array) => void): PortShortcut | undefined {
    return this.#ports.assign(port, take);
  }

  setPciSlots(slots: ReadonlyArray<{ readonly bus: number; readonly slot: number }>): void {
    const { words } = this.#home.shared;
    const area = this.#home.shared.vm(this.config.slot);
    words.fill(0, (area + VM.PCI_SLOTS) / 4, (area + VM.PCI_SLOTS) / 4 + 256);
    for (const { bus, slot } of slots) Atomics.or(words, (area + VM.PCI_SLOTS) / 4 + bus, 1 << slot);
    Atomics.store(words, (area + VM.PCI_SLOTS_KNOWN) / 4, 1);
  }

  /** Does all pending work of this VM; true when there was any. */
  poll(): boolean {
    if (this.#state === 'destroyed') return false;
    let any = this.#ioeventfds.drain();
    if (this.#ports.drain() !== 0) any = true;
    for (let vcpuId = 0; vcpuId < this.vcpuCount; vcpuId++) {
      const request = this.#page.take(vcpuId);
      if (request === undefined) continue;
      any = true;
      this.#ports.settle(); // what was posted before it
      this.#dispatch(request);
    }
    return any;
  }

  #dispatch(slot: SlotRequest): void {
    const request: IoRequest = {
      type: REQUEST_TYPES[slot.type] ?? 'mmio',
      vcpuId: slot.vcpuId,
      direction: slot.write ? 'write' : 'read',
      address: slot.address,
      size: slot.size,
      value: slot.write ? slot.value : openBus(slot.size),
      bdf: slot.type === REQ_PCICFG ? { bus: slot.bus, dev: slot.dev, func: slot.func } : undefined,
    };
    if (this.#client === undefined || this.#clearing) { this.#page.complete(slot, openBus(slot.size)); return; }
    this.#processing.add(slot);
    const failed = (error: unknown): void => {
      this.#home.log(`VM${this.vmid}: ${request.direction} of ${request.type} 0x${request.address.toString(16)} failed in the device model: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      if (!slot.write) request.value = openBus(slot.size);
    };
    const finish = (): void => {
      if (this.#processing.delete(slot)) this.#page.complete(slot, request.value);
    };
    try {
      const pending = this.#client(request);
      if (pending !== undefined && typeof pending.then === 'function') { void pending.then(undefined, failed).then(finish); return; }
    } catch (error) {
      failed(error);
    }
    finish();
  }

  /** CLEAR_VM_IOREQ: nothing stays with the device model. */
  #clearRequests(): void {
    this.#clearing = true;
    for (const slot of this.#processing) this.#page.complete(slot, openBus(slot.size));
    this.#processing.clear();
    this.poll();
  }

  // --- interrupts

  setIrqline(gsi: number, operation: GsiOperation): void {
    if (this.#state === 'destroyed') return;
    this.#vm.vpic.setIrqline(gsi, operation);
    this.#vm.vioapic.setIrqline(gsi, operation);
  }

  injectMsi(address: number, data: number): void {
    if (this.#state === 'destroyed') return;
    if (!intrMsi(this.#home.shared, this.config.pcpus, address, data)) {
      this.#home.log(`VM${this.vmid}: MSI to 0x${address.toString(16)} dropped: not an interrupt message address`);
    }
  }

  // --- life

  run(): void {
    if (this.#state !== 'created' && this.#state !== 'paused') return;
    this.#state = 'running';
    this.#clearing = false;
    const regs = this.#regs;
    this.#regs = undefined;
    const loaded = regs === undefined ? Promise.resolve() : this.#home.pool.call(this.config.pcpus[0], { do: 'regs', regs } satisfies PcpuCommand);
    this.#runs = this.config.pcpus.map(async (pcpuId) => {
      try {
        await loaded;
        const end = (await this.#home.pool.call(pcpuId, { do: 'run' } satisfies PcpuCommand)) as RunEnd;
        if (end.how === 'triplefault') this.#suspended('triplefault', end.detail);
      } catch (error) {
        this.#suspended('halt', `pCPU${pcpuId} stopped: ${error instanceof Error ? error.message : String(error)}`);
      }
    });
  }

  resume(): void {
    this.run();
  }

  #stopVcpus(): void {
    for (const pcpuId of this.config.pcpus) this.#home.shared.postEvent(pcpuId, EVENT_PAUSE);
  }

  #suspended(how: VmSuspendHow, detail: string): void {
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    this.#home.log(`VM${this.vmid} ${this.name}: ${how}: ${detail}`);
    this.#stopVcpus();
    for (const listener of this.#listeners) listener(how, detail);
  }

  onSuspend(listener: (how: VmSuspendHow, detail: string) => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }

  async pause(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'paused';
      this.#stopVcpus();
    }
    await this.#standstill();
  }

  /** Resolves once no vCPU runs. A thread that does not stop is ended. */
  async #standstill(): Promise<void> {
    const stopped = Promise.all(this.#runs);
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => { limit = setTimeout(() => resolve('late'), STOP_LIMIT_MS); });
    if ((await Promise.race([stopped, late])) === 'late') {
      this.#home.log(`VM${this.vmid} ${this.name}: vCPUs did not stop within ${STOP_LIMIT_MS} ms, ending their threads`);
      await Promise.all(this.config.pcpus.map((pcpuId) => this.#home.pool.kill(pcpuId)));
      await stopped;
    }
    clearTimeout(limit);
  }

  async reset(): Promise<void> {
    this.#clearRequests();
    await this.pause();
    this.#resetControllers();
    this.#ports.reset();
    this.#home.shared.words[(this.#home.shared.vm(this.config.slot) + VM.PCI_ADDRESS) / 4] = 0;
    for (const [vcpuId, pcpuId] of this.config.pcpus.entries()) {
      const fresh = await this.#home.pool.revive(pcpuId);
      const command: PcpuCommand = fresh ? { do: 'create', config: this.config, vcpuId } : { do: 'reset' };
      await this.#home.pool.call(pcpuId, command);
    }
    this.#regs = undefined;
    this.#state = 'created';
  }

  async destroy(): Promise<void> {
    if (this.#state === 'destroyed') return;
    this.#clearRequests();
    await this.pause();
    this.#state = 'destroyed';
    this.#listeners.clear();
    this.#client = undefined;
    for (const pcpuId of this.config.pcpus) {
      await this.#home.pool.revive(pcpuId);
      await this.#home.pool.call(pcpuId, { do: 'destroy' } satisfies PcpuCommand);
      this.#home.shared.clearVcpu(pcpuId);
    }
    this.#home.released(this);
  }

  stats(): VmRunStats {
    const exits: Record<string, number> = {};
    let instructions = 0;
    let cpuNs = 0;
    const { shared, board } = this.#home;
    const states = new DataView(board.buffer, layout.PCPU_BASE);
    for (const pcpuId of this.config.pcpus) {
      const area = shared.vcpu(pcpuId) / 8;
      cpuNs += shared.doubles[area + VCPU.CPU_NS / 8];
      instructions += Number(states.getBigUint64(pcpuId * layout.PCPU_STRIDE + S.INSTRUCTIONS, true));
      for (let reason = 0; reason < EXIT_REASONS; reason++) {
        const count = shared.doubles[area + VCPU.EXITS / 8 + reason];
        if (count > 0) exits[exitName(reason)] = (exits[exitName(reason)] ?? 0) + count;
      }
    }
    return { instructions, exits, cpuNs };
  }
}

/** The memory map of a creation, checked. */
export function checkMemoryMap(name: string, memory: VmCreation['memory']): void {
  const bad = (why: string): HostError => new HostError('BAD_MEMORY_MAP', { what: `VM ${name}`, why, todo: 'Use ranges of whole 4 KiB pages that do not overlap' });
  if (memory.length === 0) throw bad('it has no memory');
  const sorted = [...memory].sort((a, b) => a.gpa - b.gpa);
  sorted.forEach((range, i) => {
    if (!Number.isSafeInteger(range.gpa) || range.gpa < 0 || range.gpa % PAGE !== 0 || range.sizeBytes <= 0 || range.sizeBytes % PAGE !== 0) throw bad('a memory range is not whole pages');
    if (range.gpa + range.sizeBytes > 2 ** 39) throw bad('a memory range ends above the 39 address bits of the CPU');
    if (i > 0 && sorted[i - 1].gpa + sorted[i - 1].sizeBytes > range.gpa) throw bad('memory ranges overlap');
  });
}

/** Places the ranges one after the other in [hpa, ...). */
export function placeRanges(hpa: number, memory: VmCreation['memory']): EptRange[] {
  let at = hpa;
  return [...memory].sort((a, b) => a.gpa - b.gpa).map(({ gpa, sizeBytes }) => {
    const range = { gpa, hpa: at, sizeBytes };
    at += sizeBytes;
    return range;
  });
}

/** Zeroes board RAM without holding up the thread's event loop. */
export async function zeroRam(buffer: ArrayBufferLike, hpa: number, sizeBytes: number): Promise<void> {
  const ram = new Uint8Array(buffer, layout.RAM_BASE + hpa, sizeBytes);
  for (let at = 0; at < sizeBytes; at += ZERO_CHUNK) {
    ram.fill(0, at, Math.min(sizeBytes, at + ZERO_CHUNK));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export { buildEpt, EPT_ARENA_PAGES, MAX_VMS };
