/** Starts the compiler's thread and connects pCPU threads with it. */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { CompilerLink } from './compiler.ts';
import type { CompilerWorkerData, Connect } from './compiler_worker.ts';

export class CompilerService {
  readonly #worker: Worker;
  readonly #control: MessagePort;

  /** `log` is told when the thread dies: what is not compiled by then is interpreted. */
  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, log: (line: string) => void) {
    const { port1, port2 } = new MessageChannel();
    this.#control = port1;
    const data: CompilerWorkerData = { module, memory, control: port2 };
    this.#worker = new Worker(new URL('./compiler_worker.ts', import.meta.url), { workerData: data, transferList: [port2], name: 'compiler' });
    this.#worker.on('error', (error) => log(`the JIT's compiler has ended: ${error instanceof Error ? error.message : String(error)}`));
    this.#worker.unref();
    port1.unref();
  }

  /** A link for one pCPU; its port is to be transferred to the pCPU's thread. */
  connect(): CompilerLink {
    const { port1, port2 } = new MessageChannel();
    const ready = new Int32Array(new SharedArrayBuffer(4));
    const message: Connect = { port: port1, ready };
    this.#control.postMessage(message, [port1]);
    return { port: port2, ready };
  }

  async close(): Promise<void> { await this.#worker.terminate(); }
}
