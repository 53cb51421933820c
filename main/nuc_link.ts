/**
 * One conversation with a NUC process: requests answered in any order, events in theirs, and its death told once.
 *
 * @spec   engine/contract/nuc_protocol.ts
 * @cover  #Y requests, replies, problems, events, log tail, death fails every open request
 * @differ none
 */
import { z } from 'zod';
import { consoleInfo, problem, vmState, vmStats } from '../engine/contract/engine_api.ts';
import type { NucCommandName, NucEvents, NucReplies, NucRequest, RunningVm, ToNuc } from '../engine/contract/nuc_protocol.ts';
import { vmName } from '../engine/contract/vm_definition.ts';
import type { NucChild, NucSpawner } from './engine_host.ts';
import { ProblemError } from './problems.ts';

const LOG_LINES = 200;

export const runningVm: z.ZodType<RunningVm> = z.object({
  name: vmName,
  state: vmState,
  vmid: z.int(),
  cpuAffinity: z.array(z.int()),
  memoryMiB: z.number(),
  startedAt: z.number(),
  consoles: z.array(consoleInfo),
  detail: z.string(),
  problem: problem.optional(),
});
const fromNuc = z.union([
  z.object({ id: z.int(), command: z.string(), reply: z.unknown() }),
  z.object({ id: z.int(), problem }),
  z.object({ event: z.literal('vm.changed'), data: runningVm }),
  z.object({ event: z.literal('vm.stats'), data: vmStats }),
  z.object({ event: z.literal('console.output'), data: z.object({ name: vmName, consoleId: z.string(), data: z.string() }) }),
  z.object({ event: z.literal('log'), data: z.object({ line: z.string() }) }),
]);
const replies: { [K in NucCommandName]: z.ZodType<NucReplies[K]> } = {
  'nuc.start': z.object({}),
  'vm.start': runningVm,
  'vm.stop': runningVm,
  'vm.reset': runningVm,
  'vm.pause': runningVm,
  'vm.resume': runningVm,
  'console.attach': z.object({ scrollback: z.string() }),
  'console.detach': z.object({}),
  'console.write': z.object({ taken: z.number() }),
};

export interface NucLinkHandlers {
  event<K extends keyof NucEvents>(event: K, data: NucEvents[K]): void;
  /** The process is gone without having been asked to: how it ended, and the last lines it wrote. */
  died(how: string, lastLines: string[]): void;
}

interface OpenRequest {
  command: NucCommandName;
  settle: (reply: unknown) => void;
  fail: (error: Error) => void;
}

export class NucLink {
  readonly #child: NucChild;
  readonly #handlers: NucLinkHandlers;
  readonly #open = new Map<number, OpenRequest>();
  readonly #lines: string[] = [];
  #nextId = 1;
  #closing = false;
  #ended: Promise<void>;
  #end!: () => void;
  #gone = false;

  constructor(spawn: NucSpawner, handlers: NucLinkHandlers) {
    this.#handlers = handlers;
    this.#ended = new Promise((resolve) => { this.#end = resolve; });
    this.#child = spawn({
      message: (message) => this.#onMessage(message),
      line: (line) => this.#addLine(line),
      exit: (end) => this.#onExit(end),
    });
  }

  get pid(): number | undefined { return this.#child.pid; }
  get gone(): boolean { return this.#gone; }

  /** `onReply` runs in the same turn as the reply's arrival, before any later event is looked at. */
  call<K extends NucCommandName>(command: K, request: NucRequest<K>, onReply?: (reply: NucReplies[K]) => void): Promise<NucReplies[K]> {
    if (this.#gone) return Promise.reject(new ProblemError(notThere(command)));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, {
        command,
        settle: (reply) => { onReply?.(reply as NucReplies[K]); resolve(reply as NucReplies[K]); },
        fail: reject,
      });
      this.#child.post({ id, command, request } as ToNuc);
    });
  }

  /** Ends the process; resolves when it is gone. `graceMs` later it is ended by force. */
  async close(graceMs: number): Promise<void> {
    if (this.#gone) return;
    this.#closing = true;
    this.#child.kill(graceMs <= 0);
    const timer = setTimeout(() => this.#child.kill(true), Math.max(graceMs, 1));
    await this.#ended;
    clearTimeout(timer);
  }

  #onMessage(message: unknown): void {
    const checked = fromNuc.safeParse(message);
    if (!checked.success) {
      this.#addLine(`not a message of the NUC protocol: ${checked.error.issues[0]?.message ?? ''}`);
      return;
    }
    const incoming = checked.data;
    if ('event' in incoming) {
      if (incoming.event === 'log') this.#addLine(incoming.data.line);
      this.#handlers.event(incoming.event, incoming.data as never);
      return;
    }
    const open = this.#open.get(incoming.id);
    if (open === undefined) return;
    this.#open.delete(incoming.id);
    if ('problem' in incoming) return open.fail(new ProblemError(incoming.problem));
    const reply = replies[open.command].safeParse(incoming.reply);
    if (reply.success) return open.settle(reply.data);
    open.fail(new ProblemError({
      code: 'NUC_BAD_REPLY',
      what: `The NUC process answered ${open.command} with something else`,
      why: reply.error.issues[0]?.message ?? 'it does not follow the contract',
      todo: 'Restart the NUC',
    }));
  }

  #onExit(end: { code: number | null; signal: string | null; error?: string }): void {
    if (this.#gone) return;
    this.#gone = true;
    const how = end.error !== undefined ? `it could not be started: ${end.error}`
      : end.signal !== null ? `it was ended by ${end.signal}`
        : `it ended with exit code ${end.code}`;
    const open = [...this.#open.values()];
    this.#open.clear();
    if (!this.#closing) this.#handlers.died(how, [...this.#lines]);
    for (const { command, fail } of open) fail(new ProblemError({ ...notThere(command), why: how }));
    this.#end();
  }

  #addLine(line: string): void {
    this.#lines.push(line.slice(0, 2000));
    if (this.#lines.length > LOG_LINES) this.#lines.shift();
  }
}

function notThere(command: string): { code: string; what: string; why: string; todo: string } {
  return { code: 'NUC_GONE', what: `The NUC process did not answer ${command}`, why: 'it is not running', todo: 'Restart the NUC' };
}
