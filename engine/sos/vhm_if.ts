/**
 * What the device model sees of the hypervisor: the ioctls of /dev/acrn_vhm, with ACRN's names, as a typed interface.
 * Implemented in sos/vhm.ts; the device model imports only this file.
 *
 * @spec reference: hypercalls and HSM character device; ACRN's `vmmapi.c`
 */
import type { GuestMemory } from '../lib/guest_memory.ts';

/** IC_SET_VCPU_REGS, struct acrn_vcpu_regs: what a loader hands over. Widths are the architecture's. */
export interface AcrnVcpuRegs {
  gpr: Partial<Record<'rax' | 'rcx' | 'rdx' | 'rbx' | 'rsp' | 'rbp' | 'rsi' | 'rdi', bigint>>;
  rip: bigint;
  rflags?: bigint;
  cr0: bigint; cr3: bigint; cr4: bigint; ia32Efer: bigint;
  gdt: { base: bigint; limit: number };
  idt: { base: bigint; limit: number };
  csSel: number; csBase: bigint; csLimit: number; csAr: number;
  /** DS, ES, SS, FS, GS alike: selector; flat 4 GiB data when protected. */
  dataSel: number;
}

export type IoRequestType = 'pio' | 'mmio' | 'pci' | 'wp';
/** One I/O request while PROCESSING. A read's answer is put into `value` (all ones when nothing answers). */
export interface IoRequest {
  readonly type: IoRequestType;
  readonly vcpuId: number;
  readonly direction: 'read' | 'write';
  /** Port, GPA, or for pci the config register. */
  readonly address: number;
  /** Bytes: 1, 2, 4; 8 for MMIO only. */
  readonly size: number;
  value: bigint;
  /** pci only */
  readonly bdf?: { bus: number; dev: number; func: number };
}

export type GsiOperation = 'set-high' | 'set-low' | 'rising-pulse' | 'falling-pulse';
/** Why run() ended. Names of ACRN's vm_suspend_how. */
export type VmSuspendHow = 'none' | 'system_reset' | 'full_reset' | 'poweroff' | 'suspend' | 'halt' | 'triplefault';

/** A byte port that vCPU threads may serve themselves. */
export interface PortShortcut {
  /** Reads are answered with this byte from now on; undefined: they are I/O requests. */
  answer(value: number | undefined): void;
  /** Writes complete at once and reach the device in order, or are I/O requests. */
  post(on: boolean): void;
  release(): void;
}

export interface VhmVm {
  readonly vmid: number;
  readonly name: string;
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  /** IC_SET_VCPU_REGS for the BSP; must be called before run(). */
  setBspRegs(regs: AcrnVcpuRegs): void;
  /** IC_CREATE_IOREQ_CLIENT + attach: every request no in-hypervisor handler takes comes here. Called on the device
   *  model's thread; the request completes when the handler returns (or its promise resolves). */
  attachIoreqClient(handler: (request: IoRequest) => void | Promise<void>): void;
  /** IC_EVENT_IOEVENTFD: writes that match complete at once in the vCPU thread; `kick` is called on this thread.
   *  `data` undefined matches every value. Returns its own removal. */
  assignIoeventfd(at: { space: 'pio' | 'mmio'; address: number; size: number; data?: number }, kick: () => void): () => void;
  /** Not ACRN's: lets vCPU threads serve a byte port from shared memory. `take` gets what was posted, before any later
   *  request is handled. undefined when there is no room: the port works all the same. */
  shortcutPort(port: number, take: (bytes: Uint8Array) => void): PortShortcut | undefined;
  /** Not ACRN's: no PCI function will ever be anywhere else, so configuration accesses there need not be requests. */
  setPciSlots(slots: ReadonlyArray<{ readonly bus: number; readonly slot: number }>): void;
  /** IC_SET_IRQLINE */
  setIrqline(gsi: number, operation: GsiOperation): void;
  /** IC_INJECT_MSI */
  injectMsi(address: number, data: number): void;
  /** IC_START_VM */
  run(): void;
  /** IC_PAUSE_VM: resolves once every vCPU stands still. */
  pause(): Promise<void>;
  resume(): void;
  /** IC_RESET_VM: vCPUs back to their reset state, controllers reset; devices are the device model's. The VM is paused. */
  reset(): Promise<void>;
  /** The vCPUs stopped by themselves: a triple fault or an unrecoverable engine error. */
  onSuspend(listener: (how: VmSuspendHow, detail: string) => void): () => void;
  /** IC_DESTROY_VM: frees pCPUs and memory. */
  destroy(): Promise<void>;
}

export interface VmCreation {
  name: string;
  uuid: string;
  /** pCPUs, one vCPU each; the first is the BSP's. */
  cpuAffinity: readonly number[];
  /** RAM ranges to be provided (low memory at 0; high memory at 5 GiB when above 2 GiB). */
  memory: ReadonlyArray<{ gpa: number; sizeBytes: number }>;
  /** The instructions and other features that its CPU has, by CPUID and when they execute. */
  cpuModel: 'v1' | 'v2' | 'nuc';
}

export interface Vhm {
  /** IC_CREATE_VM; throws HostError with codes PCPU_TAKEN, NO_SUCH_PCPU, NOT_ENOUGH_MEMORY, VM_NAME_TAKEN. */
  createVm(creation: VmCreation): Promise<VhmVm>;
}
