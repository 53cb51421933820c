/** A pCPU thread's two sides: what the board gives the software that runs on it, and the messages between threads. */
import type { Core, CoreHost } from '../core/core.ts';
import type { CompilerLink } from '../core/jit/compiler.ts';
import type { BoardParts } from './board.ts';

export interface Pcpu {
  readonly pcpuId: number;
  readonly board: BoardParts;
  timeNs(): number;
  cpuNs(): number;
  random(): bigint;
  log(line: string): void;
  /** The pCPU's core; one a thread. */
  createCore(host: CoreHost): Core;
}

/** What the board starts on every pCPU: handles one command after the other; a command may run for days. */
export type PcpuSoftware = (pcpu: Pcpu) => (command: unknown) => unknown;

export interface PcpuWorkerData {
  pcpuId: number;
  board: BoardParts;
  /** Module with a PcpuSoftware as its export `start`. */
  software: string;
  /** One word: bumped after every message sent. */
  mailbox: Int32Array;
  port: import('node:worker_threads').MessagePort;
}

/** The first message to a pCPU's thread, which starts while the core is compiled. */
export interface CoreParts {
  module: WebAssembly.Module;
  /** The JIT's compiler, when it is on. */
  compiler: CompilerLink | undefined;
}

export type FromPcpu =
  | { ready: true }
  | { log: string }
  | { id: number; reply: unknown }
  | { id: number; error: string };
