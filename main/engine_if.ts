/**
 * What the application asks of the engine, told as interfaces: the engine implements them, tests bring their own.
 *
 * @spec   design.md sections 2 and 3: main knows the engine through one door
 * @cover  #Y store, registry of other processes, validation, defaults, NUC process entry
 * @differ none
 */
import type { ConsoleInfo, Problem } from '../engine/contract/engine_api.ts';
import type { VmDefinition } from '../engine/contract/vm_definition.ts';

/** One file of the store. `problem` when it cannot be read as a definition. */
export interface StoredVm {
  name: string;
  path: string;
  definition?: VmDefinition;
  problem?: Problem;
}

export interface VmStorePort {
  list(): Promise<StoredVm[]>;
  create(definition: VmDefinition): Promise<void>;
  update(name: string, definition: VmDefinition): Promise<void>;
  delete(name: string): Promise<void>;
  /** Calls back after any change of the store, whoever made it; returns its own removal. */
  watch(listener: () => void): () => void;
}

/** A VM that runs in a process of this user: ours, or an acrn-dm on a command line. */
export interface RegisteredVm {
  name: string;
  pid: number;
  cpuAffinity: number[];
  memoryMiB: number;
  consoles: ConsoleInfo[];
  startedAt: number;
}

export interface RuntimeRegistryPort {
  list(): Promise<RegisteredVm[]>;
  watch(listener: () => void): () => void;
}

export type ExternalCommand = 'stop' | 'forceOff' | 'reset' | 'pause' | 'resume';

/** How a VM of another process is reached: its device model's monitor socket. */
export interface ExternalVmsPort {
  ask(name: string, command: ExternalCommand): Promise<void>;
  isPaused(name: string): Promise<boolean>;
}

export interface FieldProblem {
  path: string;
  message: string;
}

export interface CheckContext {
  nucMemoryMiB: number;
  pcpus: number;
  existing: ReadonlyArray<{ name: string }>;
  /** Empty while a definition is only written down; the VMs that hold pCPUs and memory when it is about to start. */
  running: Array<{ name: string; cpuAffinity: number[]; memoryMiB: number }>;
}

export type CheckDefinition = (input: unknown, context: CheckContext) => { definition?: VmDefinition; problems: FieldProblem[] };

export interface DefaultImages {
  kernel: string;
  ramdisk: string;
  disk: string;
  bootargs: string;
}

export interface EnginePort {
  store: VmStorePort;
  registry: RuntimeRegistryPort;
  external: ExternalVmsPort;
  checkDefinition: CheckDefinition;
  defaultImages(): DefaultImages | Promise<DefaultImages>;
  /** Makes what a new VM needs of its own, e.g. its copy of the default disk image; returns what to store. */
  prepare(definition: VmDefinition): Promise<VmDefinition>;
  dataDir: string;
  runtimeDir: string;
  /** Module that speaks ToNuc and FromNuc in a process of its own. */
  nucProcessEntry: URL;
}
