/**
 * Starts the two threads that compile, and connects pCPU threads with them: one makes baseline code, at once, the other has V8 optimise
 * what is worth it, which takes far longer.
 */
import { once } from 'node:events';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { CompilerLink } from './compiler.ts';
import type { CompilerWorkerData, Connect } from './compiler_worker.ts';

/** Where compiled code is kept (store.ts); undefined: nowhere. `restMs`: how long a function waits for another in its place until it is written. */
export interface CompilerOptions { readonly keepIn: string | undefined; readonly restMs?: number }

const REST_MS = 2000;

/** A thread that has not ended by then is in the middle of something. */
const CLOSE_LIMIT_MS = 2000;

interface Thread { readonly worker: Worker; readonly control: MessagePort }

export class CompilerService {
  readonly #compiler: Thread;
  readonly #optimiser: Thread;

  /** `log` is told when a thread dies: what is not compiled by then is interpreted, or is not optimised. */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, log: (line: string) => void, { keepIn, restMs = REST_MS }: CompilerOptions = { keepIn: undefined }) {
    const optimised = new MessageChannel();
    const start = (name: 'compiler' | 'optimiser'): Thread => {
      const { port1, port2 } = new MessageChannel();
      const optimise = name === 'optimiser';
      const kept = optimise ? optimised.port1 : optimised.port2;
      const data: CompilerWorkerData = { module, memory, control: port2, optimise, keepIn, restMs, kept };
      const worker = new Worker(new URL('./compiler_worker.ts', import.meta.url), { workerData: data, transferList: [port2, kept], name });
      worker.on('message', log);
      worker.on('error', (error) => log(`the JIT's ${name} has ended: ${error instanceof Error ? error.message : String(error)}`));
      worker.unref();
      port1.unref();
      return { worker, control: port1 };
    };
    this.#compiler = start('compiler');
    this.#optimiser = start('optimiser');
  }

  /** A link for one pCPU; its ports are to be transferred to the pCPU's thread. */
  connect(): CompilerLink {
    const ready = new Int32Array(new SharedArrayBuffer(4));
    const [compiler, optimiser] = [this.#compiler, this.#optimiser].map(({ control }) => {
      const { port1, port2 } = new MessageChannel();
      const message: Connect = { port: port1, ready };
      control.postMessage(message, [port1]);
      return port2;
    });
    return { compiler, optimiser, ready };
  }

  /** Ends the threads, once what was compiled is written, which takes a second at most. */
  async close(): Promise<void> {
    await this.#optimiser.worker.terminate();
    const { worker, control } = this.#compiler;
    worker.ref();
    const ended = once(worker, 'exit');
    control.postMessage('finish');
    const late = setTimeout(() => void worker.terminate(), CLOSE_LIMIT_MS);
    await ended;
    clearTimeout(late);
  }
}
