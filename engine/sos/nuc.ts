/** A NUC that is switched on: board, pCPU threads, hypervisor and VHM together. */
import type { JitMode } from '../core/core.ts';
import { HostError } from '../lib/errors.ts';
import { createBoard, type Board } from '../platform/board.ts';
import { PcpuPool } from '../platform/pcpu_pool.ts';
import { HvShared } from '../hypervisor/shared.ts';
import { Doorbell } from './doorbell.ts';
import { AcrnVhmVm, buildEpt, checkMemoryMap, EPT_ARENA_PAGES, MAX_VMS, placeRanges, zeroRam, type VmHome, type VmRunStats } from './vhm.ts';
import type { Vhm, VhmVm, VmCreation } from './vhm_if.ts';
import { VmMemory } from './vm_memory.ts';

export type { VmRunStats } from './vhm.ts';

export interface NucOptions {
  /** Memory for VMs. */
  memoryMiB: number;
  /** 1 to 4 */
  pcpus: number;
  /** How guest code is executed; undefined: as the environment says. */
  jit?: JitMode;
  /** Folder of this user's for compiled guest code; undefined: none is kept. */
  codeDir?: string | undefined;
  log(line: string): void;
}

export interface Nuc extends Vhm {
  readonly memoryMiB: number;
  readonly pcpuCount: number;
  readonly tscKhz: number;
  createVm(creation: VmCreation): Promise<VhmVm>;
  stats(vmid: number): VmRunStats;
  /** Which VM's vCPU each pCPU has, and memory in use. */
  info(): { pcpus: Array<{ id: number; vm?: string; vcpuId?: number }>; memoryUsedMiB: number };
  /** Board time. */
  timeNs(): number;
  /** Destroys what is left of the VMs and ends every thread. */
  close(): Promise<void>;
}

const MIB = 2 ** 20;

class AcrnNuc implements Nuc {
  readonly memoryMiB: number;
  readonly pcpuCount: number;
  readonly tscKhz: number;
  readonly #board: Board;
  readonly #pool: PcpuPool;
  readonly #shared: HvShared;
  readonly #log: (line: string) => void;
  readonly #doorbell: Doorbell;
  /** By VM area. A slot is taken from the first moment of its creation. */
  readonly #slots: Array<AcrnVhmVm | 'creating' | undefined> = Array.from({ length: MAX_VMS }, () => undefined);
  /** pCPUs and names of VMs that are being made. */
  readonly #claims = new Map<number, { name: string; pcpus: readonly number[] }>();
  #closed = false;

  constructor(board: Board, pool: PcpuPool, options: NucOptions) {
    this.#board = board;
    this.#pool = pool;
    this.#log = options.log;
    this.memoryMiB = options.memoryMiB;
    this.pcpuCount = options.pcpus;
    this.tscKhz = board.parts.tscKhz;
    this.#shared = new HvShared(board.buffer, board.timeNs);
    this.#doorbell = new Doorbell(this.#shared, board.timeNs, () => this.#poll());
  }

  #poll(): boolean {
    let any = false;
    for (const vm of this.#slots) {
      if (vm instanceof AcrnVhmVm && vm.poll()) any = true;
    }
    return any;
  }

  timeNs(): number { return this.#board.timeNs(); }

  async createVm(creation: VmCreation): Promise<VhmVm> {
    const { name, cpuAffinity } = creation;
    if (this.#closed) throw new HostError('NUC_DOWN', { what: `VM ${name}`, why: 'the NUC is switched off', todo: 'Start the NUC' });
    this.#checkPcpus(name, cpuAffinity);
    checkMemoryMap(name, creation.memory);
    const slot = this.#slots.indexOf(undefined);
    if (slot < 0) throw new HostError('TOO_MANY_VMS', { what: `VM ${name}`, why: `the NUC has room for ${MAX_VMS} VMs`, todo: 'Stop another VM' });
    const bytes = creation.memory.reduce((sum, range) => sum + range.sizeBytes, 0);
    const allocation = this.#board.ram.allocate(bytes);
    if (allocation === undefined) {
      throw new HostError('NOT_ENOUGH_MEMORY', {
        what: `VM ${name}`,
        why: `it wants ${Math.ceil(bytes / MIB)} MiB and the NUC's largest free block is ${Math.floor(this.#board.ram.largestFreeBytes / MIB)} MiB`,
        todo: 'Give it less memory, or stop another VM',
      });
    }
    const { hpa, dirtyBytes } = allocation;
    this.#slots[slot] = 'creating';
    this.#claims.set(slot, { name, pcpus: cpuAffinity });
    let vm: AcrnVhmVm | undefined;
    const threads = Promise.all(cpuAffinity.map((pcpuId) => this.#pool.revive(pcpuId))); // while memory is prepared
    threads.catch(() => {}); // awaited below
    try {
      const ranges = placeRanges(hpa, creation.memory);
      await zeroRam(this.#board.buffer, hpa, dirtyBytes);
      // Code that an earlier VM left decoded in the pCPUs' caches is stale from here.
      const memory = new VmMemory(this.#board.buffer, ranges);
      for (const range of ranges) memory.written(range.gpa, range.sizeBytes);
      const eptp = buildEpt(this.#board.ramView(), this.#board.hvRamHpa + slot * EPT_ARENA_PAGES * 4096, ranges);
      const config = { vmid: slot + 1, slot, name, pcpus: [...cpuAffinity], cpuModel: creation.cpuModel, eptp };
      await threads;
      const home: VmHome = { board: this.#board, pool: this.#pool, shared: this.#shared, log: this.#log, released: (which) => this.#release(which) };
      vm = new AcrnVhmVm(home, config, hpa, ranges);
      await vm.createVcpus();
      this.#slots[slot] = vm;
      return vm;
    } catch (error) {
      this.#slots[slot] = undefined;
      this.#board.ram.free(hpa);
      throw error;
    } finally {
      this.#claims.delete(slot);
    }
  }

  #checkPcpus(name: string, cpuAffinity: readonly number[]): void {
    if (cpuAffinity.length === 0 || new Set(cpuAffinity).size !== cpuAffinity.length) {
      throw new HostError('BAD_CPU_AFFINITY', { what: `VM ${name}`, why: 'its pCPU list is empty or names one twice', todo: 'Name each pCPU once' });
    }
    for (const { name: other, pcpus } of this.#owners()) {
      if (other === name) throw new HostError('VM_NAME_TAKEN', { what: `VM ${name}`, why: 'a VM of this name runs already', todo: 'Choose another name, or stop that VM' });
      const taken = cpuAffinity.find((pcpuId) => pcpus.includes(pcpuId));
      if (taken !== undefined) throw new HostError('PCPU_TAKEN', { what: `VM ${name}`, why: `pCPU${taken} belongs to VM ${other}`, todo: 'Choose another pCPU, or stop that VM' });
    }
    if (this.#board.parts.jit === 'check' && cpuAffinity.length > 1) {
      throw new HostError('BAD_CPU_AFFINITY', { what: `VM ${name}`, why: 'compiled code can be checked on one vCPU only', todo: 'Give it one pCPU, or another --jit mode' });
    }
    const absent = cpuAffinity.find((pcpuId) => !Number.isInteger(pcpuId) || pcpuId < 0 || pcpuId >= this.pcpuCount);
    if (absent !== undefined) throw new HostError('NO_SUCH_PCPU', { what: `VM ${name}`, why: `the NUC has no pCPU${absent}`, todo: `Choose from 0 to ${this.pcpuCount - 1}` });
  }

  #owners(): Array<{ name: string; pcpus: readonly number[] }> {
    const made = this.#slots.filter((vm) => vm instanceof AcrnVhmVm).map((vm) => ({ name: vm.name, pcpus: vm.config.pcpus }));
    return [...made, ...this.#claims.values()];
  }

  #release(vm: AcrnVhmVm): void {
    this.#board.ram.free(vm.hpa);
    this.#slots[vm.config.slot] = undefined;
  }

  #byId(vmid: number): AcrnVhmVm | undefined {
    const vm = this.#slots[vmid - 1];
    return vm instanceof AcrnVhmVm ? vm : undefined;
  }

  stats(vmid: number): VmRunStats {
    return this.#byId(vmid)?.stats() ?? { instructions: 0, exits: {}, cpuNs: 0 };
  }

  info(): ReturnType<Nuc['info']> {
    const owners = this.#owners();
    const pcpus = Array.from({ length: this.pcpuCount }, (_, id) => {
      const owner = owners.find(({ pcpus: owned }) => owned.includes(id));
      return owner === undefined ? { id } : { id, vm: owner.name, vcpuId: owner.pcpus.indexOf(id) };
    });
    return { pcpus, memoryUsedMiB: Math.round(this.#board.ram.usedBytes / MIB) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#slots.filter((vm) => vm instanceof AcrnVhmVm).map((vm) => vm.destroy()));
    this.#doorbell.close();
    await this.#pool.close();
  }
}

/** Switches a NUC on. Throws HostError when this computer cannot. */
export async function createNuc(options: NucOptions): Promise<Nuc> {
  const board = await createBoard(options);
  const pool = new PcpuPool(board, new URL('../hypervisor/arch/x86/pcpu_main.ts', import.meta.url), options.log, options.codeDir);
  return new AcrnNuc(board, pool, options);
}
