/**
 * A NUC with its VMs: joins hypervisor, device model and host backends, keeps the registry, the monitor sockets and
 * the consoles. The NUC process and the acrn-dm command line both run VMs through this class.
 */
import { readFile } from 'node:fs/promises';
import type { ConsoleInfo, VmState, VmStats } from '../contract/engine_api.ts';
import type { RunningVm } from '../contract/nuc_protocol.ts';
import { runDeviceModel, type DeviceModelHandle, type DmConsole } from '../devicemodel/core/main.ts';
import type { AcrnDmOptions, Jit } from '../devicemodel/core/options.ts';
import type { CharBackend, CharBackendSpec, HostBackends } from '../devicemodel/backends_if.ts';
import { tapConsole } from '../host/console_tap.ts';
import { createHostBackends } from '../host/index.ts';
import { HostError } from '../lib/errors.ts';
import { createNuc, type Nuc } from '../sos/index.ts';
import type { ConsoleHub } from './console_hub.ts';
import { MNGR_ENOTSUP, openMonitor, QUERY_RUNNING, QUERY_SUSPENDED } from './monitor.ts';
import { RuntimeRegistry } from './registry.ts';

const STATS_MS = 1000;
/** A guest that takes no notice of its power button for this long is running, not stopping. */
const POWER_BUTTON_MS = 30_000;
const WHY_ENDED: Record<string, string> = { 'asked for by the guest': 'the guest powered off' };

export interface MachineOptions {
  memoryMiB: number;
  pcpus: number;
  /** How guest code is executed; undefined: as the environment says. */
  jit?: Jit;
  /** Where compiled guest code is kept; undefined: nowhere. */
  codeDir: string | undefined;
  runtimeDir: string;
  /** stdio is a terminal of this process; without it, a console on stdio is seen in the window alone. */
  hasTerminal: boolean;
  log(line: string): void;
}

export interface MachineEvents {
  changed(vm: RunningVm): void;
  /** Console output for viewers; without it there are none, and nobody keeps their screens. */
  output?(name: string, consoleId: string, data: string): void;
  stats(stats: VmStats): void;
}

/** The in-between of a console's backend and its hub. */
interface ConsoleTap { output(bytes: Uint8Array): void; inject(bytes: Uint8Array): number }

/** The backend of a console that has viewers and no node. */
function nowhere(): CharBackend {
  return { where: '', error: undefined, write: (bytes) => bytes.length, read: () => new Uint8Array(0), onReady: () => () => {}, pauseInput: () => {}, close: async () => {} };
}

/** How a VM ended. */
export interface VmEnd { how: string; detail: string }

class MachineVm {
  readonly options: AcrnDmOptions;
  readonly consoles = new Map<string, ConsoleInfo>();
  readonly hubs = new Map<string, ConsoleHub>();
  readonly injectors = new Map<string, (bytes: Uint8Array) => number>();
  readonly startedAt = Date.now();
  state: VmState = 'starting';
  detail = '';
  problem: RunningVm['problem'];
  handle: DeviceModelHandle | undefined;
  powerButtonTimer: NodeJS.Timeout | undefined;
  lastStats = { instructions: 0, cpuNs: 0, exits: {} as Record<string, number>, atMs: 0 };

  constructor(options: AcrnDmOptions) { this.options = options; }

  get running(): RunningVm {
    return {
      name: this.options.vmName, state: this.state, vmid: this.handle?.vm.vmid ?? 0, cpuAffinity: [...this.options.cpuAffinity],
      memoryMiB: this.options.memoryBytes / 2 ** 20, startedAt: this.startedAt, detail: this.detail, problem: this.problem,
      consoles: [...this.consoles.values()],
    };
  }
}

export class Machine {
  readonly #options: MachineOptions;
  readonly #events: MachineEvents;
  readonly #registry: RuntimeRegistry;
  readonly #vms = new Map<string, MachineVm>();
  #nuc: Promise<Nuc> | undefined;
  #statsTimer: NodeJS.Timeout | undefined;
  /** Loaded with the first VM where there are viewers. */
  #newHub: ((...parts: ConstructorParameters<typeof ConsoleHub>) => ConsoleHub) | undefined;

  constructor(options: MachineOptions, events: MachineEvents) {
    this.#options = options;
    this.#events = events;
    this.#registry = new RuntimeRegistry(options.runtimeDir);
  }

  /** pCPUs that no running VM of this user has. */
  async freePcpus(): Promise<number[]> {
    const taken = (await this.#registry.list()).flatMap((vm) => vm.cpuAffinity);
    return Array.from({ length: this.#options.pcpus }, (_, id) => id).filter((id) => !taken.includes(id));
  }

  /**
   * Starts a VM; resolves when its vCPUs run. Throws HostError, and then nothing of the VM is left.
   * @param print takes acrn-dm's progress lines
   * @returns the VM and its end
   */
  async start(options: AcrnDmOptions, print: (line: string) => void): Promise<{ vm: RunningVm; stopped: Promise<VmEnd> }> {
    const name = options.vmName;
    const resolved: AcrnDmOptions = { ...options, cpuAffinity: options.cpuAffinity.length > 0 ? options.cpuAffinity : (await this.freePcpus()).slice(0, 1) };
    if (resolved.cpuAffinity.length === 0) {
      throw new HostError('PCPU_TAKEN', { what: `VM ${name} cannot be started`, why: 'every pCPU is taken', todo: 'Stop a VM first' });
    }
    const entry = await this.#registry.enter({ name, cpuAffinity: resolved.cpuAffinity, memoryMiB: options.memoryBytes / 2 ** 20 });
    const vm = new MachineVm(resolved);
    this.#vms.set(name, vm);
    this.#changed(vm);
    const taps = new WeakMap<CharBackend, ConsoleTap>();
    let closeMonitor: (() => void) | undefined;
    const cleanUp = (): void => {
      clearTimeout(vm.powerButtonTimer);
      closeMonitor?.();
      entry.remove();
      for (const hub of vm.hubs.values()) hub.close();
      this.#vms.delete(name);
      if (this.#vms.size === 0) this.#stopStats();
    };
    try {
      const nuc = await (this.#nuc ??= createNuc(this.#options));
      if (this.#events.output !== undefined) {
        const { ConsoleHub: Hub } = await import('./console_hub.ts');
        this.#newHub ??= (...parts) => new Hub(...parts);
      }
      const handle = await runDeviceModel({
        options: resolved,
        vhm: nuc,
        host: this.#tappedBackends(name, taps),
        readFile,
        onConsole: (opened) => {
          this.#addConsole(vm, opened, taps.get(opened.backend)!);
          this.#changed(vm);
          entry.update(vm.running.consoles);
        },
        print: (line) => {
          if (vm.state === 'starting') vm.detail = line;
          print(line);
        },
      });
      vm.handle = handle;
      vm.state = 'running';
      vm.detail = '';
      closeMonitor = await openMonitor(this.#options.runtimeDir, name, this.#monitorHandlers(name));
      this.#startStats();
      this.#changed(vm);
      const stopped = handle.stopped.then((end) => {
        vm.state = end.how === 'triplefault' || end.how === 'halt' ? 'crashed' : 'stopped';
        vm.detail = WHY_ENDED[end.detail] ?? end.detail;
        vm.problem = undefined;
        if (vm.state === 'crashed') vm.problem = { code: 'VM_CRASHED', what: `VM ${name} stopped by itself`, why: end.detail, todo: 'See its console and log, then start it again' };
        this.#changed(vm);
        cleanUp();
        return end;
      });
      return { vm: vm.running, stopped };
    } catch (error) {
      vm.state = 'stopped';
      cleanUp();
      this.#changed(vm);
      throw error;
    }
  }

  /**
   * Asks the guest to power off by its power button (a paused one goes on first), or with `force` pulls the plug.
   * Throws HostError GUEST_DEAF when the guest would not notice the button.
   */
  async stop(name: string, force: boolean): Promise<RunningVm> {
    const vm = this.#get(name);
    const handle = vm.handle!;
    if (force) {
      this.#set(vm, 'stopping');
      await handle.forceOff();
      return vm.running;
    }
    if (vm.state === 'paused') await this.resume(name);
    if (handle.state === 'suspended') { // the button wakes a guest in S3
      handle.powerButton();
      return this.#set(vm, 'running');
    }
    if (!handle.powerButton()) {
      throw new HostError('GUEST_DEAF', { what: `VM ${name} cannot be asked to power off`, why: 'its guest does not listen to the power button: it has no ACPI, or has not come that far', todo: 'Power it off from inside, or force it off' });
    }
    vm.detail = 'its power button was pressed';
    this.#set(vm, 'stopping');
    vm.powerButtonTimer = setTimeout(() => {
      const problem = { code: 'GUEST_DEAF', what: `VM ${name} did not power off`, why: `its guest has taken no notice of the power button for ${POWER_BUTTON_MS / 1000} seconds`, todo: 'Power it off from inside, or force it off' };
      vm.detail = '';
      this.#set(vm, 'running', problem);
    }, POWER_BUTTON_MS).unref();
    return vm.running;
  }

  async reset(name: string): Promise<RunningVm> {
    const vm = this.#get(name);
    vm.detail = '';
    await vm.handle!.reset();
    return this.#set(vm, 'running');
  }

  async pause(name: string): Promise<RunningVm> {
    const vm = this.#get(name);
    await vm.handle!.pause();
    return this.#set(vm, 'paused');
  }

  async resume(name: string): Promise<RunningVm> {
    const vm = this.#get(name);
    await vm.handle!.resume();
    return this.#set(vm, 'running');
  }

  /** Throws HostError NO_SUCH_CONSOLE. */
  console(name: string, consoleId: string): ConsoleHub {
    const hub = this.#vms.get(name)?.hubs.get(consoleId);
    if (hub) return hub;
    throw new HostError('NO_SUCH_CONSOLE', { what: `There is no console ${consoleId} of VM ${name}`, why: 'the VM does not run or has no such console', todo: 'Start the VM' });
  }

  /** Pulls the plug of every VM and gives the board back. */
  async close(): Promise<void> {
    await Promise.all([...this.#vms.values()].map(async (vm) => {
      await vm.handle?.forceOff();
      await vm.handle?.stopped;
    }));
    this.#stopStats();
    await (await this.#nuc)?.close();
    this.#nuc = undefined;
  }

  #get(name: string): MachineVm {
    const vm = this.#vms.get(name);
    if (vm?.handle) return vm;
    throw new HostError('VM_NOT_RUNNING', { what: `VM ${name} cannot be reached`, why: 'it does not run', todo: 'Start it first' });
  }

  /** A VM that has ended meanwhile stays ended. */
  #set(vm: MachineVm, state: VmState, problem?: RunningVm['problem']): RunningVm {
    clearTimeout(vm.powerButtonTimer);
    if (this.#vms.get(vm.options.vmName) !== vm) return vm.running;
    vm.state = state;
    vm.problem = problem;
    this.#changed(vm);
    return vm.running;
  }

  #changed(vm: MachineVm): void {
    this.#events.changed(vm.running);
  }

  /** The host's backends with every character device's bytes shown to whoever `taps` names for it. */
  #tappedBackends(vmName: string, taps: WeakMap<CharBackend, ConsoleTap>): HostBackends {
    const host = createHostBackends({ runtimeDir: this.#options.runtimeDir, vmName });
    const openChar = async (spec: CharBackendSpec, owner: string): Promise<CharBackend> => {
      const tap: ConsoleTap = { output: () => {}, inject: () => 0 };
      const opened = spec.kind === 'stdio' && !this.#options.hasTerminal ? nowhere() : await host.openChar(spec, owner);
      const tapped = tapConsole(opened, (bytes) => tap.output(bytes));
      tap.inject = tapped.inject;
      taps.set(tapped.backend, tap);
      return tapped.backend;
    };
    return new Proxy(host, { get: (target, key, receiver) => (key === 'openChar' ? openChar : Reflect.get(target, key, receiver)) });
  }

  /** Gives a console its hub; a full reset opens the same console again, and its hub goes on. */
  #addConsole(vm: MachineVm, opened: DmConsole, tap: ConsoleTap): void {
    const { id, title, kind, where } = opened;
    const name = vm.options.vmName;
    vm.injectors.set(id, tap.inject);
    const info = vm.consoles.get(id) ?? { id, title, kind, where };
    info.where = where;
    vm.consoles.set(id, info);
    const { output } = this.#events;
    if (output === undefined || this.#newHub === undefined) return;
    const hub = vm.hubs.get(id) ?? this.#newHub((bytes) => vm.injectors.get(id)!(bytes), (data) => output(name, id, data));
    vm.hubs.set(id, hub);
    tap.output = (bytes) => hub.output(bytes);
  }

  #monitorHandlers(name: string) {
    const done = async (work: () => Promise<unknown>): Promise<number> => work().then(() => 0, (error: unknown) => (error instanceof HostError && error.code === 'GUEST_DEAF' ? -MNGR_ENOTSUP : -1));
    return {
      stop: (force: boolean) => done(() => this.stop(name, force)),
      pause: () => done(() => this.pause(name)),
      resume: () => done(() => this.resume(name)),
      reset: () => done(() => this.reset(name)),
      state: () => (this.#vms.get(name)?.state === 'paused' ? QUERY_SUSPENDED : QUERY_RUNNING),
    };
  }

  #startStats(): void {
    this.#statsTimer ??= setInterval(() => void this.#sample(), STATS_MS).unref();
  }

  #stopStats(): void {
    clearInterval(this.#statsTimer);
    this.#statsTimer = undefined;
  }

  async #sample(): Promise<void> {
    const nuc = await this.#nuc;
    for (const vm of this.#vms.values()) {
      if (!nuc || !vm.handle) continue;
      const now = { ...nuc.stats(vm.handle.vm.vmid), atMs: performance.now() };
      const last = vm.lastStats;
      const seconds = (now.atMs - last.atMs) / 1000;
      if (last.atMs > 0 && seconds > 0) {
        const exits = Object.fromEntries(Object.entries(now.exits).map(([reason, count]) => [reason, Math.max(0, (count - (last.exits[reason] ?? 0)) / seconds)]));
        this.#events.stats({
          name: vm.options.vmName, atMs: Date.now(), exits,
          mips: Math.max(0, (now.instructions - last.instructions) / seconds / 1e6),
          cpuShare: Math.max(0, (now.cpuNs - last.cpuNs) / seconds / 1e9),
        });
      }
      vm.lastStats = now;
    }
  }
}
