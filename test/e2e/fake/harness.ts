/** Services over the fake engine and an in-process NUC; time and delays are in the test's hands. */
import type { EventName, Events } from '../../../engine/contract/engine_api.ts';
import type { FromNuc, ToNuc } from '../../../engine/contract/nuc_protocol.ts';
import type { NucChildHandlers, NucSpawner } from '../../../main/engine_host.ts';
import { Services } from '../../../main/services.ts';
import type { Session } from '../../../main/services.ts';
import type { Settings, SettingsStore } from '../../../main/settings.ts';
import { fakeEngine } from './fake_engine.ts';
import { FakeNuc } from './fake_nuc.ts';

/** A NUC process without a process. */
export class FakeProcess {
  readonly nuc: FakeNuc;
  readonly later: Array<() => void> = [];
  readonly received: ToNuc[] = [];
  readonly #handlers: NucChildHandlers;
  alive = true;

  constructor(handlers: NucChildHandlers, mute: boolean) {
    this.#handlers = handlers;
    this.nuc = new FakeNuc({
      post: (message: FromNuc) => { if (this.alive && !mute) handlers.message(structuredClone(message)); },
      later: (callback) => { this.later.push(callback); },
      now: () => 1_000_000,
      exit: (code) => this.die({ code, signal: null }),
    });
  }

  /** Lets everything that waits for time happen. */
  runLater(): void { for (let callback = this.later.shift(); callback !== undefined; callback = this.later.shift()) callback(); }

  die(end: { code: number | null; signal: string | null }): void {
    if (!this.alive) return;
    this.alive = false;
    this.#handlers.exit(end);
  }
  line(line: string): void { this.#handlers.line(line); }
}

export class TestClient {
  readonly session: Session;
  readonly events: Array<{ event: EventName; data: unknown }> = [];
  buffered = 0;

  constructor(services: Services) {
    this.session = services.connect({ send: (event, data) => { this.events.push({ event, data }); }, bufferedBytes: () => this.buffered });
  }
  /** The last event of a kind. */
  last<K extends EventName>(event: K): Events[K] | undefined { return this.all(event).at(-1); }
  all<K extends EventName>(event: K): Array<Events[K]> { return this.events.filter((known) => known.event === event).map(({ data }) => data as Events[K]); }
  output(): string { return this.all('console.output').map(({ data }) => data).join(''); }
}

export class MemorySettings implements SettingsStore {
  readonly path = '/settings.json';
  #settings: Settings = { nucMemoryMiB: 2048 };
  get(): Settings { return this.#settings; }
  set(change: Partial<Settings>): void { this.#settings = { ...this.#settings, ...change }; }
}

export async function harness() {
  const engine = fakeEngine(new URL('file:///nuc.ts'));
  const processes: FakeProcess[] = [];
  const due: Array<() => void> = [];
  const options = { mute: false };
  const spawn: NucSpawner = (handlers) => {
    const child = new FakeProcess(handlers, options.mute);
    processes.push(child);
    return {
      pid: 4000 + processes.length,
      post: (message) => { child.received.push(message); child.nuc.receive(structuredClone(message)); },
      kill: () => child.die({ code: 0, signal: null }),
    };
  };
  const settings = new MemorySettings();
  const services = new Services({ engine, spawn, settings, host: 'serve', version: '1.2.3', schedule: (callback) => { due.push(callback); } });
  await services.start();
  return {
    engine, services, processes, settings, options,
    client: () => new TestClient(services),
    get process() { return processes.at(-1)!; },
    /** Lets the batches go that are due. */
    flush: () => { for (const callback of due.splice(0)) callback(); },
    due,
  };
}
