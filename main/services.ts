/**
 * The application's services, for any number of clients: windows, served pages, tests.
 *
 * @spec   engine/contract/engine_api.ts
 * @cover  #Y every command and event of the contract; requests are checked with the contract's schemas
 * @differ A VM of another process is controlled by its monitor socket; its consoles are open in that process.
 */
import { commandRequests } from '../engine/contract/engine_api.ts';
import type { CommandName, CommandReplies, CommandRequest, EventName, Events, NucInfo, VmInfo, VmState } from '../engine/contract/engine_api.ts';
import type { VmDefinition } from '../engine/contract/vm_definition.ts';
import { ConsoleHub } from './console_hub.ts';
import type { ConsoleClient, Schedule } from './console_hub.ts';
import type { EnginePort, ExternalCommand, FieldProblem, RegisteredVm, StoredVm } from './engine_if.ts';
import type { NucSpawner } from './engine_host.ts';
import { Nuc } from './nuc.ts';
import { ProblemError, toProblem } from './problems.ts';
import { nucMemoryMiB } from './settings.ts';
import type { SettingsStore } from './settings.ts';
import { mergeVms, nucInfoOf } from './vm_list.ts';

/** Requests of one client under way at once; a page needs a handful. */
const MAX_OPEN_CALLS = 256;
const PCPUS = 4;
/** A process that is killed leaves its registry file behind: while there are VMs of others, they are looked after. */
const EXTERNAL_POLL_MS = 1000;

export interface Client {
  send<K extends EventName>(event: K, data: Events[K]): void;
  /** Bytes handed over that have not left yet; console output waits while there are many. */
  bufferedBytes(): number;
}

export interface Session {
  /** `name` and `request` come from outside and are checked here. Rejects with ProblemError. */
  call(name: unknown, request: unknown): Promise<unknown>;
  close(): void;
}

export interface ServicesOptions {
  engine: EnginePort;
  spawn: NucSpawner;
  settings: SettingsStore;
  host: 'electron' | 'serve';
  version: string;
  schedule?: Schedule;
}

type Handlers = { [K in CommandName]: (request: CommandRequest<K>, client: ServiceClient) => Promise<CommandReplies[K]> };

interface ServiceClient extends ConsoleClient {
  send: Client['send'];
}

export class Services {
  readonly #options: ServicesOptions;
  readonly #nuc: Nuc;
  readonly #hub: ConsoleHub;
  readonly #schedule: Schedule;
  readonly #clients = new Set<ServiceClient>();
  readonly #starting = new Map<string, string>();
  readonly #handlers: Handlers;
  #stored: StoredVm[] = [];
  #external: Array<RegisteredVm & { paused: boolean }> = [];
  #externalDue = false;
  #closed = false;
  #vms = new Map<string, VmInfo>();
  #lastNuc = '';
  #unwatch: Array<() => void> = [];
  #reading: Promise<void> | undefined;
  #readAgain = false;

  constructor(options: ServicesOptions) {
    this.#options = options;
    this.#schedule = options.schedule ?? ((callback, ms) => { setTimeout(callback, ms).unref(); });
    this.#nuc = new Nuc({
      spawn: options.spawn,
      pcpus: PCPUS,
      memoryMiB: () => nucMemoryMiB(options.settings),
      runtimeDir: options.engine.runtimeDir,
      changed: () => this.#publish(),
      stats: (stats) => this.#broadcast('vm.stats', stats),
      output: ({ name, consoleId, data }) => this.#hub.output(name, consoleId, data),
      ended: (name) => this.#hub.forget(name),
    });
    this.#hub = new ConsoleHub({
      attach: async (name, consoleId, onReply) => {
        await this.#nuc.call('console.attach', { name, consoleId }, ({ scrollback }) => onReply(scrollback));
      },
      // Nobody waits for it, and a VM that ended meanwhile has no console to detach from.
      detach: (name, consoleId) => { if (this.#nuc.running.has(name)) this.#nuc.call('console.detach', { name, consoleId }).catch(() => {}); },
    }, this.#schedule);
    this.#handlers = this.#makeHandlers();
  }

  /** Reads the store and the registry and watches both. */
  async start(): Promise<void> {
    const { store, registry } = this.#options.engine;
    const reread = (): void => { this.#reread().catch(() => {}); }; // the next change reads again
    this.#unwatch = [store.watch(reread), registry.watch(reread)];
    await this.#reread();
  }

  get hasRunningVms(): boolean { return this.#nuc.running.size > 0; }
  get runningNames(): string[] { return [...this.#nuc.running.keys()]; }

  /** Ends the NUC, its VMs with it. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    await this.#nuc.close();
  }

  connect(client: Client): Session {
    const own: ServiceClient = {
      send: (event, data) => client.send(event, data),
      bufferedBytes: () => client.bufferedBytes(),
      output: (name, consoleId, data) => client.send('console.output', { name, consoleId, data }),
    };
    this.#clients.add(own);
    this.#hub.add(own);
    let openCalls = 0;
    return {
      call: async (name, request) => {
        if (openCalls >= MAX_OPEN_CALLS) throw new ProblemError({ code: 'TOO_MANY_REQUESTS', what: `${String(name)} was not taken`, why: `${MAX_OPEN_CALLS} requests of this window are under way`, todo: 'Wait for answers first' });
        openCalls += 1;
        try {
          return await this.#call(name, request, own);
        } catch (error) {
          throw error instanceof ProblemError ? error : new ProblemError(toProblem(error, `${String(name)} failed`));
        } finally {
          openCalls -= 1;
        }
      },
      close: () => {
        this.#clients.delete(own);
        this.#hub.remove(own);
      },
    };
  }

  async #call(name: unknown, request: unknown, client: ServiceClient): Promise<unknown> {
    if (typeof name !== 'string' || !Object.hasOwn(commandRequests, name)) {
      throw new ProblemError({ code: 'BAD_REQUEST', what: 'The request was not understood', why: 'there is no such command', todo: `Use one of ${Object.keys(commandRequests).join(', ')}` });
    }
    const command = name as CommandName;
    const checked = commandRequests[command].safeParse(request);
    if (!checked.success) throw new ProblemError(toProblem(checked.error, `${command} was not understood`));
    const handler = this.#handlers[command] as (request: unknown, client: ServiceClient) => Promise<unknown>;
    return handler(checked.data, client);
  }

  #makeHandlers(): Handlers {
    const { engine, host, version } = this.#options;
    return {
      'app.info': async () => ({ version, host, dataDir: engine.dataDir, platform: process.platform }),
      'nuc.info': async () => this.#nucInfo(),
      'nuc.restart': async () => { await this.#nuc.restart(); return this.#nucInfo(); },
      'vm.list': async () => { await this.#reread(); return [...this.#vms.values()]; },
      'vm.validate': async ({ definition, replaces }) => this.#check(definition, replaces).problems,
      'vm.create': async ({ definition }) => {
        const checked = await engine.prepare(this.#accept(definition, undefined));
        await engine.store.create(checked);
        await this.#reread();
        return this.#vm(checked.name);
      },
      'vm.update': async ({ name, definition }) => {
        this.#allow(name, 'change', ['stopped', 'crashed']);
        const checked = this.#accept(definition, name);
        await engine.store.update(name, checked);
        this.#nuc.ended.delete(name);
        await this.#reread();
        return this.#vm(checked.name);
      },
      'vm.delete': async ({ name }) => {
        this.#allow(name, 'delete', ['stopped', 'crashed']);
        await engine.store.delete(name);
        this.#nuc.ended.delete(name);
        await this.#reread();
        return {};
      },
      'vm.start': ({ name }) => this.#start(name),
      'vm.stop': async ({ name, force }) => {
        if (this.#allow(name, 'stop', force ? ['starting', 'running', 'paused', 'stopping'] : ['running', 'paused'])) return this.#ask(name, force ? 'forceOff' : 'stop');
        await this.#nuc.call('vm.stop', { name, force }, (vm) => this.#nuc.apply(vm));
        return this.#vm(name);
      },
      'vm.reset': async ({ name }) => {
        if (this.#allow(name, 'reset', ['running', 'paused'])) return this.#ask(name, 'reset');
        await this.#nuc.call('vm.reset', { name }, (vm) => this.#nuc.apply(vm));
        return this.#vm(name);
      },
      'vm.pause': async ({ name }) => {
        if (this.#allow(name, 'pause', ['running'])) return this.#ask(name, 'pause');
        await this.#nuc.call('vm.pause', { name }, (vm) => this.#nuc.apply(vm));
        return this.#vm(name);
      },
      'vm.resume': async ({ name }) => {
        if (this.#allow(name, 'resume', ['paused'])) return this.#ask(name, 'resume');
        await this.#nuc.call('vm.resume', { name }, (vm) => this.#nuc.apply(vm));
        return this.#vm(name);
      },
      'console.attach': async ({ name, consoleId }, client) => {
        this.#console(name, consoleId);
        return this.#hub.attach(client, name, consoleId);
      },
      'console.detach': async ({ name, consoleId }, client) => { this.#hub.detach(client, name, consoleId); return {}; },
      'console.write': async ({ name, consoleId, data }) => {
        this.#console(name, consoleId);
        return this.#nuc.call('console.write', { name, consoleId, data });
      },
      'image.default': async () => engine.defaultImages(),
    };
  }

  async #start(name: string): Promise<VmInfo> {
    await this.#reread();
    this.#allow(name, 'start', ['stopped', 'crashed']);
    const { definition, problem } = this.#vm(name);
    if (definition === undefined) {
      throw new ProblemError(problem ?? { code: 'VM_UNREADABLE', what: `${name} cannot be started`, why: 'its definition cannot be read', todo: 'Correct the file or delete the VM' });
    }
    const { problems } = this.#options.engine.checkDefinition(definition, {
      nucMemoryMiB: nucMemoryMiB(this.#options.settings),
      pcpus: PCPUS,
      existing: this.#names(name),
      running: this.#claims(),
    });
    if (problems.length > 0) throw new ProblemError(fieldProblems(`${name} cannot be started`, problems));
    this.#starting.set(name, 'waiting for the NUC');
    this.#nuc.ended.delete(name);
    this.#publish();
    try {
      await this.#nuc.start();
      this.#starting.set(name, 'acrn-dm starts');
      this.#publish();
      await this.#nuc.call('vm.start', { definition }, (vm) => { this.#starting.delete(name); this.#nuc.apply(vm); });
    } catch (error) {
      const failed = toProblem(error, `${name} did not start`);
      this.#nuc.ended.set(name, { state: 'crashed', detail: failed.why, problem: failed });
      throw new ProblemError(failed);
    } finally {
      this.#starting.delete(name);
      this.#publish();
    }
    return this.#vm(name);
  }

  /** Refuses what the VM's state does not allow. @returns whether it runs in another process */
  #allow(name: string, action: string, states: VmState[]): boolean {
    const { state, external } = this.#vm(name);
    if (!states.includes(state)) {
      throw new ProblemError({ code: 'VM_STATE', what: `Cannot ${action} ${name}`, why: external ? `it is ${state} in another process` : `it is ${state}`, todo: `This needs a VM that is ${states.join(' or ')}` });
    }
    return external;
  }

  async #ask(name: string, command: ExternalCommand): Promise<VmInfo> {
    const before = this.#vm(name);
    await this.#options.engine.external.ask(name, command);
    await this.#reread();
    return this.#vms.get(name) ?? { ...before, state: 'stopped', consoles: [] };
  }

  #console(name: string, consoleId: string): void {
    const vm = this.#vm(name);
    if (vm.external) throw new ProblemError({ code: 'VM_EXTERNAL', what: `Cannot show a console of ${name}`, why: 'it runs in another process', todo: 'Open its PTY with screen or minicom' });
    if (!this.#nuc.running.has(name)) throw new ProblemError({ code: 'VM_STATE', what: `Cannot use a console of ${name}`, why: `it is ${vm.state}`, todo: `Start ${name}` });
    if (!vm.consoles.some(({ id }) => id === consoleId)) throw new ProblemError({ code: 'NO_CONSOLE', what: `${name} has no console ${consoleId}`, why: `it has ${vm.consoles.map(({ id }) => id).join(', ') || 'none'}`, todo: 'Choose one of these, or add the device to the VM' });
  }

  #vm(name: string): VmInfo {
    const vm = this.#vms.get(name);
    if (vm === undefined) throw new ProblemError({ code: 'NO_VM', what: `There is no VM ${name}`, why: 'no definition and no running VM has this name', todo: 'Look at the list of VMs' });
    return vm;
  }

  #check(definition: unknown, replaces: string | undefined): { definition?: VmDefinition; problems: FieldProblem[] } {
    return this.#options.engine.checkDefinition(definition, {
      nucMemoryMiB: nucMemoryMiB(this.#options.settings),
      pcpus: PCPUS,
      existing: this.#names(replaces),
      running: [],
    });
  }

  #accept(input: unknown, replaces: string | undefined): VmDefinition {
    const { definition, problems } = this.#check(input, replaces);
    if (definition === undefined || problems.length > 0) throw new ProblemError(fieldProblems('The VM definition cannot be used', problems));
    return definition;
  }

  /** Every name that is taken, also by a file that cannot be read. */
  #names(except: string | undefined): Array<{ name: string }> {
    return this.#stored.flatMap(({ name }) => (name === except ? [] : [{ name }]));
  }

  /** VMs that hold pCPUs and memory now. */
  #claims(): Array<{ name: string; cpuAffinity: number[]; memoryMiB: number }> {
    return [...this.#nuc.running.values(), ...this.#external].map(({ name, cpuAffinity, memoryMiB }) => ({ name, cpuAffinity, memoryMiB }));
  }

  #nucInfo(): NucInfo {
    return nucInfoOf(this.#nuc, this.#claims());
  }

  /** One read at a time; a change during a read leads to one more. */
  #reread(): Promise<void> {
    if (this.#reading !== undefined) {
      this.#readAgain = true;
      return this.#reading;
    }
    this.#reading = (async () => {
      try {
        do {
          this.#readAgain = false;
          const [stored, registered] = await Promise.all([this.#options.engine.store.list(), this.#options.engine.registry.list()]);
          this.#stored = stored;
          const others = registered.filter(({ pid }) => pid !== this.#nuc.pid && pid !== process.pid);
          this.#external = await Promise.all(others.map(async (vm) => ({ ...vm, paused: await this.#options.engine.external.isPaused(vm.name) })));
        } while (this.#readAgain);
      } finally {
        this.#reading = undefined;
      }
      this.#publish();
      this.#pollExternal();
    })();
    return this.#reading;
  }

  #pollExternal(): void {
    if (this.#externalDue || this.#closed || this.#external.length === 0) return;
    this.#externalDue = true;
    this.#schedule(() => {
      this.#externalDue = false;
      if (!this.#closed) this.#reread().catch(() => this.#pollExternal());
    }, EXTERNAL_POLL_MS);
  }

  /** Tells clients what changed since the last time. */
  #publish(): void {
    const external = this.#external.filter(({ name }) => !this.#nuc.running.has(name));
    const next = mergeVms({ stored: this.#stored, running: this.#nuc.running, external, ended: this.#nuc.ended, starting: this.#starting });
    const before = this.#vms;
    this.#vms = next;
    for (const [name, vm] of next) if (JSON.stringify(before.get(name)) !== JSON.stringify(vm)) this.#broadcast('vm.changed', vm);
    for (const name of before.keys()) if (!next.has(name)) this.#broadcast('vm.removed', { name });
    const info = this.#nucInfo();
    const text = JSON.stringify(info);
    if (text === this.#lastNuc) return;
    this.#lastNuc = text;
    this.#broadcast('nuc.changed', info);
  }

  #broadcast<K extends EventName>(event: K, data: Events[K]): void {
    for (const client of this.#clients) client.send(event, data);
  }
}

function fieldProblems(what: string, problems: FieldProblem[]): { code: string; what: string; why: string; todo: string } {
  return {
    code: 'BAD_DEFINITION',
    what,
    why: problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ') || 'it is not a VM definition',
    todo: 'Correct these fields',
  };
}
