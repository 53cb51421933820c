/**
 * The NUC as the application sees it: started when first needed, watched, restarted on request.
 *
 * @spec   engine/contract/nuc_protocol.ts
 * @cover  #Y lazy start, one start for many callers, crash with the last log lines, restart, VMs of a dead NUC
 * @differ none
 */
import type { NucInfo } from '../engine/contract/engine_api.ts';
import type { NucCommandName, NucEvents, NucReplies, NucRequest, RunningVm } from '../engine/contract/nuc_protocol.ts';
import type { NucSpawner } from './engine_host.ts';
import { NucLink } from './nuc_link.ts';
import { ProblemError, toProblem } from './problems.ts';
import type { EndedVm } from './vm_list.ts';

const SHOWN_LINES = 20;
const STOP_GRACE_MS = 5000;

export interface NucOptions {
  spawn: NucSpawner;
  pcpus: number;
  memoryMiB: () => number;
  runtimeDir: string;
  /** State, running VMs or their ends changed. */
  changed: () => void;
  stats: (stats: NucEvents['vm.stats']) => void;
  output: (output: NucEvents['console.output']) => void;
  /** This VM's consoles are gone. */
  ended: (name: string) => void;
}

export class Nuc {
  readonly running = new Map<string, RunningVm>();
  readonly ended = new Map<string, EndedVm>();
  readonly #options: NucOptions;
  #link: NucLink | undefined;
  #up: Promise<NucLink> | undefined;
  #state: NucInfo['state'] = 'down';
  #detail = '';
  #memoryMiB: number;

  constructor(options: NucOptions) {
    this.#options = options;
    this.#memoryMiB = options.memoryMiB();
  }

  get state(): NucInfo['state'] { return this.#state; }
  get detail(): string { return this.#detail; }
  get memoryMiB(): number { return this.#memoryMiB; }
  get pcpus(): number { return this.#options.pcpus; }
  get pid(): number | undefined { return this.#link?.gone === false ? this.#link.pid : undefined; }

  /** Starts it unless it is up; concurrent callers share one start. */
  start(): Promise<NucLink> {
    this.#up ??= this.#start();
    return this.#up;
  }

  async call<K extends NucCommandName>(command: K, request: NucRequest<K>, onReply?: (reply: NucReplies[K]) => void): Promise<NucReplies[K]> {
    const link = this.#link;
    if (link === undefined) throw new ProblemError({ code: 'NUC_DOWN', what: `${command} is not possible`, why: 'the NUC is not running', todo: 'Start a VM first' });
    return link.call(command, request, onReply);
  }

  /** Ends the process if there is one, VMs and all, and starts a fresh one. */
  async restart(): Promise<void> {
    await this.close();
    await this.start();
  }

  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    this.#up = undefined;
    if (link !== undefined) {
      await link.close(STOP_GRACE_MS);
      this.#loseVms('stopped', 'the NUC was stopped');
    }
    this.#set('down', '');
  }

  /** Takes over what the NUC said about one of its VMs. */
  apply(vm: RunningVm): void {
    if (vm.state === 'stopped' || vm.state === 'crashed') {
      this.running.delete(vm.name);
      this.ended.set(vm.name, { state: vm.state, detail: vm.detail, problem: vm.problem });
      this.#options.ended(vm.name);
    } else {
      this.ended.delete(vm.name);
      this.running.set(vm.name, vm);
    }
    this.#options.changed();
  }

  async #start(): Promise<NucLink> {
    this.#memoryMiB = this.#options.memoryMiB();
    this.#set('starting', 'starting the NUC process');
    const link: NucLink = new NucLink(this.#options.spawn, {
      event: (event, data) => { if (this.#link === link) this.#onEvent(event, data); },
      died: (how, lines) => { if (this.#link === link) this.#onDeath(how, lines); },
    });
    this.#link = link;
    try {
      await link.call('nuc.start', { memoryMiB: this.#memoryMiB, pcpus: this.#options.pcpus, runtimeDir: this.#options.runtimeDir });
    } catch (error) {
      if (this.#link === link) {
        this.#link = undefined;
        this.#up = undefined;
        await link.close(0);
        // Unlike a later death the cause is known; keep the log if the process died with one.
        if (this.#state !== 'crashed') this.#set('crashed', toProblem(error, 'The NUC did not start').why);
      }
      throw error;
    }
    if (this.#link === link) this.#set('up', '');
    return link;
  }

  #onEvent<K extends keyof NucEvents>(event: K, data: NucEvents[K]): void {
    const incoming = { event, data } as { [E in keyof NucEvents]: { event: E; data: NucEvents[E] } }[keyof NucEvents];
    switch (incoming.event) {
      case 'vm.changed': return this.apply(incoming.data);
      case 'vm.stats': return this.#options.stats(incoming.data);
      case 'console.output': return this.#options.output(incoming.data);
      case 'log': return;
    }
  }

  #onDeath(how: string, lines: string[]): void {
    this.#link = undefined;
    this.#up = undefined;
    this.#loseVms('crashed', how);
    const shown = lines.slice(-SHOWN_LINES);
    this.#set('crashed', shown.length === 0 ? how : `${how}\n${shown.join('\n')}`);
  }

  #loseVms(state: 'stopped' | 'crashed', how: string): void {
    for (const name of this.running.keys()) {
      this.running.delete(name);
      this.ended.set(name, state === 'stopped' ? { state, detail: how } : {
        state,
        detail: 'the NUC process ended',
        problem: { code: 'NUC_CRASHED', what: `${name} ended with the NUC`, why: `the NUC process is gone: ${how}`, todo: `Restart the NUC, then start ${name} again` },
      });
      this.#options.ended(name);
    }
  }

  #set(state: NucInfo['state'], detail: string): void {
    this.#state = state;
    this.#detail = detail;
    this.#options.changed();
  }
}
