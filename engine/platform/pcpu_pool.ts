/** The board's pCPU threads, as the main thread sees them: one a pCPU, started when its first VM is. */
import { setFlagsFromString } from 'node:v8';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { CompilerService } from '../core/jit/compiler_service.ts';
import { forgetPresence } from '../core/presence.ts';
import type { Board } from './board.ts';
import type { CoreParts, FromPcpu, PcpuWorkerData } from './pcpu_if.ts';

const START_LIMIT_MS = 30_000;
/**
 * Of the threads started from here on, MiB of each half of a thread's heap for young objects. V8's own limit is sixteen,
 * which the compiler's thread fills with what is garbage soon, and keeps.
 */
const SEMI_SPACE_MIB = 2;

interface Pending { resolve(reply: unknown): void; reject(error: Error): void }

/** One pCPU's thread. Replaced by a fresh one after it died. */
class PcpuThread {
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #mailbox = new Int32Array(new SharedArrayBuffer(4));
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #death: Error | undefined;
  /** Its first message is on its way: the core it runs. */
  readonly #equipped: Promise<void>;

  constructor(board: Board, pcpuId: number, software: URL, core: Promise<CoreParts>, log: (line: string) => void) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const data: PcpuWorkerData = { pcpuId, board: board.parts, software: software.href, mailbox: this.#mailbox, port: port2 };
    this.#worker = new Worker(new URL('./pcpu_worker.ts', import.meta.url), { workerData: data, transferList: [port2], name: `pCPU${pcpuId}` });
    this.#equipped = core.then((parts) => this.#post(parts, parts.compiler === undefined ? [] : [parts.compiler.compiler, parts.compiler.optimiser]));
    this.ready = new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`pCPU${pcpuId} did not start within ${START_LIMIT_MS} ms`)), START_LIMIT_MS);
      const settle = (): void => clearTimeout(limit);
      port1.on('message', (message: FromPcpu) => {
        if ('ready' in message) { settle(); this.#keepAlive(); resolve(); return; }
        if ('log' in message) { log(message.log); return; }
        const pending = this.#pending.get(message.id);
        this.#pending.delete(message.id);
        this.#keepAlive();
        if ('error' in message) pending?.reject(new Error(message.error));
        else pending?.resolve(message.reply);
      });
      const die = (error: Error): void => {
        settle();
        if (this.#death === undefined) forgetPresence(board.buffer, pcpuId);
        this.#death ??= error;
        reject(error);
        for (const pending of this.#pending.values()) pending.reject(error);
        this.#pending.clear();
        port1.close();
      };
      this.#equipped.catch((error: Error) => { die(error); void this.#worker.terminate(); });
      this.#worker.on('error', (error) => die(error instanceof Error ? error : new Error(String(error))));
      this.#worker.on('exit', (code) => die(new Error(`pCPU${pcpuId}'s thread ended with code ${code}`)));
    });
    this.ready.catch(() => {}); // told to every caller
  }

  get dead(): boolean { return this.#death !== undefined; }

  call(command: unknown): Promise<unknown> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      this.#keepAlive();
      void this.#equipped.then(() => this.#post({ id, command }, []), () => {}); // without a core the thread is dead
    });
  }

  #post(message: unknown, transfer: MessagePort[]): void {
    this.#port.postMessage(message, transfer);
    Atomics.add(this.#mailbox, 0, 1);
    Atomics.notify(this.#mailbox, 0);
  }

  /** The thread keeps the process alive while it starts and while a command is unanswered: while its vCPU runs. */
  #keepAlive(): void {
    if (this.#pending.size > 0) { this.#worker.ref(); this.#port.ref(); }
    else { this.#worker.unref(); this.#port.unref(); }
  }

  async terminate(): Promise<void> {
    this.#worker.ref();
    await this.#worker.terminate();
  }
}

export class PcpuPool {
  readonly #board: Board;
  readonly #software: URL;
  readonly #log: (line: string) => void;
  readonly #threads: Array<PcpuThread | undefined>;
  readonly #codeDir: string | undefined;
  #compiler: CompilerService | undefined;

  constructor(board: Board, software: URL, log: (line: string) => void, codeDir: string | undefined) {
    this.#board = board;
    this.#software = software;
    this.#log = log;
    this.#codeDir = codeDir;
    setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MIB}`);
    this.#threads = Array.from({ length: board.pcpuCount }, () => undefined);
  }

  #start(pcpuId: number): PcpuThread {
    const thread = new PcpuThread(this.#board, pcpuId, this.#software, this.#core(), this.#log);
    this.#threads[pcpuId] = thread;
    return thread;
  }

  async #core(): Promise<CoreParts> {
    const { parts, module: compiling } = this.#board;
    const module = await compiling;
    if (parts.jit === 'off') return { module, compiler: undefined };
    this.#compiler ??= new CompilerService(module, parts.memory, this.#log, { keepIn: this.#codeDir });
    return { module, compiler: this.#compiler.connect() };
  }

  /** Sends a command to a pCPU; resolves with its reply. */
  call(pcpuId: number, command: unknown): Promise<unknown> {
    return (this.#threads[pcpuId] ?? this.#start(pcpuId)).call(command);
  }

  /** Gives a pCPU a thread when it has none or its own died; true when it did. */
  async revive(pcpuId: number): Promise<boolean> {
    if (this.#threads[pcpuId]?.dead === false) return false;
    await this.#start(pcpuId).ready;
    return true;
  }

  /** Ends a thread that no longer answers; `revive` starts its successor. */
  async kill(pcpuId: number): Promise<void> {
    await this.#threads[pcpuId]?.terminate();
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread?.terminate()));
    await this.#compiler?.close();
  }
}
