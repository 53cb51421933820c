/**
 * The device model's main program: builds a VM from its options, runs it, and carries out what the guest and the user ask
 * of its power.
 *
 * @spec   reference/acrn-device-model.md sections 1.2 and 8
 * @cover  #Y power off, system reset, full reset, S3 suspend and wake, power button, pause   #N monitor socket, life_mngr channel
 * @differ A reset request is carried out while the vCPU that made it goes on for an instant; ACRN withholds the answer.
 *         A triple fault ends the VM and is reported; ACRN turns it into a power off.
 */
import { HostError } from '../../lib/errors.ts';
import type { Vhm, VhmVm, VmSuspendHow } from '../../sos/vhm_if.ts';
import type { HostBackends } from '../backends_if.ts';
import { pciClasses, unavailableClasses } from '../hw/pci/classes.ts';
import { lpcClass } from '../hw/pci/lpc.ts';
import type { PciDeviceClass, VmCtx } from '../hw/pci/pci_if.ts';
import { Vdev } from '../hw/pci/vdev.ts';
import { FACS_OFFSET, RSDP_BASE, buildAcpi } from '../hw/platform/acpi/acpi.ts';
import { buildMpTable } from '../hw/platform/mptable.ts';
import { Board } from './board.ts';
import { recordConsoles } from './consoles.ts';
import type { DmConsole } from './consoles.ts';
import { PCI_EMUL_ECFG_BASE, PCI_EMUL_ECFG_SIZE, createE820Table, memoryRanges } from './layout.ts';
import type { AcrnDmOptions } from './options.ts';
import { CheckImageError, loadSoftware } from './sw_load.ts';
import { copyToGuest } from './sw_load_common.ts';
import type { ReadFile } from './sw_load_common.ts';

export type { DmConsole } from './consoles.ts';

export type DmState = 'starting' | 'running' | 'paused' | 'suspended' | 'stopping' | 'stopped';

export interface DeviceModelArgs {
  options: AcrnDmOptions;
  vhm: Vhm;
  host: HostBackends;
  /** Reads a kernel or ramdisk. */
  readFile: ReadFile;
  /** acrn-dm's progress and messages. */
  print(line: string): void;
  /** A console's backend was opened; again after a full reset, with the same id. */
  onConsole?(console: DmConsole): void;
  onState?(state: DmState): void;
}

export interface DeviceModelHandle {
  readonly name: string;
  /** The VM at this moment, or the last one after the end; another one after a full reset. */
  readonly vm: VhmVm;
  readonly state: DmState;
  readonly consoles: readonly DmConsole[];
  /** Resolves when everything is torn down. */
  readonly stopped: Promise<{ how: VmSuspendHow; detail: string }>;
  pause(): Promise<void>;
  /** From pause, or wakes a guest in S3. */
  resume(): Promise<void>;
  /** System reset, as by 0xCF9. */
  reset(): Promise<void>;
  /** false: the guest has not enabled ACPI, nobody would notice. */
  powerButton(): boolean;
  /** Power off at once. */
  forceOff(): Promise<void>;
}

/** A failure with the exit code acrn-dm has for it. */
export function exitCodeOf(error: unknown): number {
  return error instanceof CheckImageError ? error.exitCode : 1;
}

const PCPUS_TRIED = 64;
const FACS_WAKING_VECTOR = 12;
const FACS_X_WAKING_VECTOR = 24;
const HOW_NAMES: Record<VmSuspendHow, string> = { none: 'RUNNING', system_reset: 'SYSTEM_RESET', full_reset: 'FULL_RESET', poweroff: 'POWEROFF', suspend: 'SUSPEND', halt: 'HALT', triplefault: 'TRIPLEFAULT' };

/** Builds and starts a VM. Rejects, with everything torn down again, when any step fails. */
export async function runDeviceModel(args: DeviceModelArgs): Promise<DeviceModelHandle> {
  const model = new DeviceModel(args);
  await model.start();
  return model;
}

class DeviceModel implements DeviceModelHandle {
  readonly name: string;
  readonly stopped: Promise<{ how: VmSuspendHow; detail: string }>;
  readonly #args: DeviceModelArgs;
  readonly #resolveStopped: (end: { how: VmSuspendHow; detail: string }) => void;
  #state: DmState = 'starting';
  #consoles: DmConsole[] = [];
  #vm: VhmVm | undefined;
  /** Kept for those who ask after the end. */
  #lastVm: VhmVm | undefined;
  #board: Board | undefined;
  #unlisten: (() => void) | undefined;
  /** Power changes happen one after the other. */
  #queue: Promise<void> = Promise.resolve();
  #requested: VmSuspendHow | undefined;

  constructor(args: DeviceModelArgs) {
    this.#args = args;
    this.name = args.options.vmName;
    const { promise, resolve } = Promise.withResolvers<{ how: VmSuspendHow; detail: string }>();
    this.stopped = promise;
    this.#resolveStopped = resolve;
  }

  get state(): DmState { return this.#state; }
  get consoles(): readonly DmConsole[] { return this.#consoles; }
  get vm(): VhmVm {
    const vm = this.#vm ?? this.#lastVm;
    if (!vm) throw new Error(`${this.name} was never created`);
    return vm;
  }

  async start(): Promise<void> {
    try {
      await this.#create();
      this.#run();
    } catch (error) {
      await this.#destroy();
      this.#setState('stopped');
      throw error;
    }
  }

  pause(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#state !== 'running') return;
      await this.vm.pause();
      this.#setState('paused');
    });
  }

  resume(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#state === 'suspended') return this.#wake();
      if (this.#state !== 'paused') return;
      this.vm.resume();
      this.#setState('running');
    });
  }

  reset(): Promise<void> { return this.#suspend('system_reset', 'asked for by the user'); }
  forceOff(): Promise<void> { return this.#suspend('poweroff', 'powered off by the user'); }

  powerButton(): boolean {
    if (this.#state === 'suspended') {
      void this.resume();
      return true;
    }
    return this.#state === 'running' && (this.#board?.pm.powerButton() ?? false);
  }

  /** vm_create to add_cpu. */
  async #create(): Promise<void> {
    const { options, print } = this.#args;
    print(`vm_create: ${options.vmName}`);
    const ranges = memoryRanges(options.memoryBytes);
    const vm = await this.#createVm(ranges);
    this.#vm = vm;
    this.#lastVm = vm;
    print('VHM api version 1.0');
    print(`vm_setup_memory: size=0x${options.memoryBytes.toString(16)}`);
    this.#consoles = [];
    const host = recordConsoles(this.#args.host, options, (console) => {
      this.#consoles = [...this.#consoles.filter((other) => other.id !== console.id), console];
      this.#args.onConsole?.(console);
    });
    const board = new Board({
      vm, host, lowmem: ranges[0].sizeBytes, highmem: ranges[1]?.sizeBytes ?? 0, debugExit: options.debugexit,
      suspend: (how) => { void this.#suspend(how, 'asked for by the guest'); }, log: print,
    });
    this.#board = board;
    print('vm_init_vdevs');
    await this.#initPci(board, vm, host);
    vm.attachIoreqClient((request) => board.handle(request));
    await this.#loadSoftware();
    for (let i = 0; i < vm.vcpuCount; i++) print('add_cpu');
    this.#unlisten = vm.onSuspend((how, detail) => { void this.#suspend(how === 'none' ? 'halt' : how, detail); });
  }

  /** IC_CREATE_VM; without --cpu_affinity the first free pCPU is taken. */
  async #createVm(memory: Array<{ gpa: number; sizeBytes: number }>): Promise<VhmVm> {
    const { options, vhm } = this.#args;
    const create = (cpuAffinity: readonly number[]): Promise<VhmVm> => vhm.createVm({ name: options.vmName, uuid: options.uuid, cpuAffinity, memory, cpuModel: options.cpuModel });
    if (options.cpuAffinity.length > 0) return create(options.cpuAffinity);
    for (let pcpu = 0; pcpu < PCPUS_TRIED; pcpu++) {
      try {
        return await create([pcpu]);
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        if (error.code === 'NO_SUCH_PCPU') break;
        if (error.code !== 'PCPU_TAKEN') throw error;
      }
    }
    throw new HostError('PCPU_TAKEN', { what: `failed to create VM ${options.vmName}`, why: 'every pCPU of the NUC runs another VM', todo: 'Stop one of them, or start the NUC with more pCPUs.' });
  }

  /** init_pci: devices in bus order, whatever the order of -s. */
  async #initPci(board: Board, vm: VhmVm, host: HostBackends): Promise<void> {
    const { options, print } = this.#args;
    const classes: PciDeviceClass[] = [...pciClasses, lpcClass({ inout: board.inout, irq: board.irq, setIrqline: (gsi, operation) => vm.setIrqline(gsi, operation), shortcutPort: (port, take) => vm.shortcutPort(port, take), config: options.lpc })];
    const ctx: VmCtx = {
      name: options.vmName,
      memory: vm.memory,
      virtioMsi: options.virtioMsi,
      log: print,
      registerKick: (vdev, bar, offset, size, data, kick) => {
        if (!(vdev instanceof Vdev)) throw new TypeError('registerKick needs a function of this bus');
        return vdev.registerKick(bar, offset, size, data, kick);
      },
      suspend: (how) => { void this.#suspend(how, 'asked for by a device'); },
    };
    for (const slot of [...options.slots].sort((a, b) => a.bus - b.bus || a.slot - b.slot || a.func - b.func)) {
      const deviceClass = classes.find((candidate) => candidate.className === slot.device);
      if (!deviceClass) {
        const reason = unavailableClasses[slot.device];
        throw new HostError('UNKNOWN_DEVICE', {
          what: `pci slot ${slot.slot}:${slot.func}: ${reason === undefined ? `unknown device "${slot.device}"` : `device "${slot.device}" is not available`}`,
          why: reason ?? 'there is no such device class', todo: `Known devices: ${classes.map((known) => known.className).join(', ')}.`,
        });
      }
      print(`pci init ${slot.device}`);
      await board.pci.add(slot, deviceClass, ctx, host);
    }
    board.pci.route();
    vm.setPciSlots(board.pci.functions);
  }

  /** acpi_build, MP table, acrn_sw_load, and the BSP's registers. */
  async #loadSoftware(): Promise<void> {
    const { options, print, readFile } = this.#args;
    const vm = this.vm;
    const pci = this.#board!.pci;
    const [low, high] = memoryRanges(options.memoryBytes);
    const buses = pci.buses().map((number) => ({ number, wires: pci.wires(number) }));
    const lpc = pci.find('lpc');
    if (options.mptgen) {
      const { gpa, bytes } = buildMpTable({ vcpuCount: vm.vcpuCount, buses, withIsa: lpc !== undefined });
      copyToGuest(vm.memory, gpa, bytes, 'the MP table');
    }
    if (options.acpi) {
      const tables = buildAcpi({
        vcpuCount: vm.vcpuCount, buses, windows: pci.windows(), lpc: lpc && { slot: lpc.slot, func: lpc.func },
        permittedIrqs: this.#board!.irq.permittedMask(), ecam: { base: PCI_EMUL_ECFG_BASE, size: PCI_EMUL_ECFG_SIZE },
      });
      for (const { gpa, bytes } of tables) copyToGuest(vm.memory, gpa, bytes, 'an ACPI table');
    }
    print('acrn_sw_load');
    const target = {
      memory: vm.memory, lowmem: low.sizeBytes, e820: createE820Table(low.sizeBytes, high?.sizeBytes ?? 0),
      bootargs: options.bootargs, rsdp: options.acpi ? RSDP_BASE : undefined, print,
    };
    vm.setBspRegs(await loadSoftware(target, options, readFile));
  }

  #run(): void {
    this.#requested = undefined;
    this.#setState('running');
    this.vm.run();
  }

  /** vm_suspend: the first request counts, later ones come too late. */
  #suspend(how: VmSuspendHow, detail: string): Promise<void> {
    if (this.#requested === 'poweroff' || this.#requested === how) return this.#queue;
    this.#requested = how;
    return this.#enqueue(async () => {
      if (this.#state === 'stopped' || this.#state === 'stopping') return;
      this.#args.print(`VM state changed from[ ${this.#state === 'suspended' ? 'SUSPEND' : this.#state === 'paused' ? 'PAUSED' : 'RUNNING'} ] to [ ${HOW_NAMES[how]} ]`);
      try {
        if (this.#state === 'running') await this.vm.pause();
        if (how === 'system_reset') return await this.#systemReset();
        if (how === 'full_reset') return await this.#fullReset();
        if (how === 'suspend') return this.#setState('suspended');
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#args.print(`${HOW_NAMES[how]} failed: ${why}`);
        return this.#stop(how, `${HOW_NAMES[how]} failed: ${why}`);
      }
      await this.#stop(how, detail);
    });
  }

  async #systemReset(): Promise<void> {
    this.#board!.reset();
    await this.vm.reset();
    await this.#loadSoftware();
    this.#run();
  }

  /** Everything is torn down, the VM destroyed and created again with the same command line. */
  async #fullReset(): Promise<void> {
    this.#setState('starting');
    await this.#destroy();
    await this.#create();
    this.#run();
  }

  /** Leaves S3: real-mode code at the vector the guest left in the FACS. */
  async #wake(): Promise<void> {
    const facs = this.vm.memory.view(RSDP_BASE + FACS_OFFSET, 0x40);
    const view = facs && new DataView(facs.buffer, facs.byteOffset, facs.byteLength);
    const vector = Number(view?.getBigUint64(FACS_X_WAKING_VECTOR, true) ?? 0n) || (view?.getUint32(FACS_WAKING_VECTOR, true) ?? 0);
    if (vector === 0 || vector > 0xfffff) {
      this.#args.print('the guest left no waking vector: it is reset');
      return this.#systemReset();
    }
    await this.vm.reset();
    this.vm.setBspRegs({
      gpr: {}, rip: BigInt(vector & 0xf), rflags: 2n, cr0: 0x60000010n, cr3: 0n, cr4: 0n, ia32Efer: 0n,
      gdt: { base: 0n, limit: 0xffff }, idt: { base: 0n, limit: 0xffff },
      csSel: vector >> 4, csBase: BigInt((vector >> 4) << 4), csLimit: 0xffff, csAr: 0x9b, dataSel: 0,
    });
    this.#board!.pm.wake();
    this.#run();
  }

  async #stop(how: VmSuspendHow, detail: string): Promise<void> {
    this.#setState('stopping');
    await this.#destroy();
    this.#args.print('VM loop exit');
    this.#setState('stopped');
    this.#resolveStopped({ how, detail });
  }

  /** vm_deinit_vdevs and vm_destroy; goes on whatever fails, and says so. */
  async #destroy(): Promise<void> {
    this.#unlisten?.();
    this.#unlisten = undefined;
    const board = this.#board;
    const vm = this.#vm;
    this.#board = undefined;
    const attempt = async (what: string, step: () => Promise<void> | undefined): Promise<void> => {
      try {
        await step();
      } catch (error) {
        this.#args.print(`${what} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    await attempt('vm_deinit_vdevs', () => board?.deinit());
    await attempt('vm_destroy', () => vm?.destroy());
    this.#vm = undefined;
  }

  #setState(state: DmState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#args.onState?.(state);
  }

  #enqueue(step: () => Promise<void>): Promise<void> {
    const next = this.#queue.then(step);
    this.#queue = next.catch((error: unknown) => this.#args.print(`device model: ${error instanceof Error ? error.message : String(error)}`));
    return next;
  }
}
