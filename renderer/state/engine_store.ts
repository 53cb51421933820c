/**
 * What the page knows of the engine: VMs, NUC, recent statistics. Fed by events, read through hooks.
 *
 * @spec   engine/contract/engine_api.ts
 * @cover  #Y first read, events, everything read anew after a reconnect
 * @differ none
 */
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { CommandReplies, NucInfo, VmInfo, VmStats } from '../../engine/contract/engine_api.ts';
import type { Connection, Transport } from '../transport.ts';

/** Two minutes of one sample a second. */
const HISTORY = 120;

export interface EngineState {
  loaded: boolean;
  connection: Connection;
  vms: readonly VmInfo[];
  nuc: NucInfo | undefined;
  app: CommandReplies['app.info'] | undefined;
}

const NO_STATS: readonly VmStats[] = [];

export class EngineStore {
  readonly engine: Transport;
  #state: EngineState;
  #stats = new Map<string, readonly VmStats[]>();
  readonly #listeners = new Set<() => void>();

  constructor(engine: Transport) {
    this.engine = engine;
    this.#state = { loaded: false, connection: engine.connection(), vms: [], nuc: undefined, app: undefined };
    engine.on('vm.changed', (vm) => this.#putVm(vm));
    engine.on('vm.removed', ({ name }) => this.#set({ vms: this.#state.vms.filter((vm) => vm.name !== name) }));
    engine.on('nuc.changed', (nuc) => this.#set({ nuc }));
    engine.on('vm.stats', (stats) => {
      this.#stats = new Map(this.#stats).set(stats.name, [...(this.#stats.get(stats.name) ?? NO_STATS), stats].slice(-HISTORY));
      this.#tell();
    });
    engine.onConnection((connection) => {
      this.#set({ connection });
      if (connection === 'open') void this.load();
    });
    void this.load();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  };
  readonly state = (): EngineState => this.#state;
  stats(name: string): readonly VmStats[] { return this.#stats.get(name) ?? NO_STATS; }

  async load(): Promise<void> {
    try {
      const [vms, nuc, app] = await Promise.all([this.engine.call('vm.list', {}), this.engine.call('nuc.info', {}), this.engine.call('app.info', {})]);
      this.#set({ loaded: true, vms, nuc, app });
    } catch {
      // the connection went away meanwhile; the next one loads again
    }
  }

  #putVm(vm: VmInfo): void {
    const before = this.#state.vms.find(({ name }) => name === vm.name);
    if (before?.startedAt !== vm.startedAt && vm.startedAt !== undefined) this.#stats = new Map([...this.#stats].filter(([name]) => name !== vm.name));
    const vms = before === undefined ? [...this.#state.vms, vm] : this.#state.vms.map((known) => (known.name === vm.name ? vm : known));
    this.#set({ vms: vms.toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })) });
  }

  #set(change: Partial<EngineState>): void {
    this.#state = { ...this.#state, ...change };
    this.#tell();
  }

  #tell(): void { for (const listener of this.#listeners) listener(); }
}

const StoreContext = createContext<EngineStore | undefined>(undefined);
export const StoreProvider = StoreContext.Provider;

export function useStore(): EngineStore {
  const store = useContext(StoreContext);
  if (store === undefined) throw new Error('useStore outside of StoreProvider');
  return store;
}
export function useEngineState(): EngineState {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, store.state);
}
export function useVm(name: string): VmInfo | undefined {
  return useEngineState().vms.find((vm) => vm.name === name);
}
export function useStats(name: string): readonly VmStats[] {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => store.stats(name));
}
