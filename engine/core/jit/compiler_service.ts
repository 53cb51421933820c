/**
 * Starts the two threads that compile, and connects pCPU threads with them: one makes baseline code, at once, the other has V8 optimise
 * what is worth it, which takes far longer.
 */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { CompilerLink } from './compiler.ts';
import type { CompilerWorkerData, Connect } from './compiler_worker.ts';

interface Thread { readonly worker: Worker; readonly control: MessagePort }

export class CompilerService {
  readonly #compiler: Thread;
  readonly #optimiser: Thread;

  /** `log` is told when a thread dies: what is not compiled by then is interpreted, or is not optimised. */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, log: (line: string) => void) {
    const start = (name: 'compiler' | 'optimiser'): Thread => {
      const { port1, port2 } = new MessageChannel();
      const data: CompilerWorkerData = { module, memory, control: port2, optimise: name === 'optimiser' };
      const worker = new Worker(new URL('./compiler_worker.ts', import.meta.url), { workerData: data, transferList: [port2], name });
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

  async close(): Promise<void> { await Promise.all([this.#compiler, this.#optimiser].map(({ worker }) => worker.terminate())); }
}
