/**
 * Messages between the main process (or a command line) and one NUC process. The NUC process knows running VMs only;
 * definitions on disk, and VMs of other processes, are the main process's business.
 */
import { z } from 'zod';
import type { ConsoleInfo, Problem, VmState, VmStats } from './engine_api.ts';
import { vmDefinition, vmName } from './vm_definition.ts';

const byName = z.strictObject({ name: vmName });
const consoleRef = z.strictObject({ name: vmName, consoleId: z.string() });

export const nucRequests = {
  'nuc.start': z.strictObject({ memoryMiB: z.int(), pcpus: z.int().min(1).max(4), runtimeDir: z.string() }),
  'vm.start': z.strictObject({ definition: vmDefinition }),
  'vm.stop': z.strictObject({ name: vmName, force: z.boolean() }),
  'vm.reset': byName,
  'vm.pause': byName,
  'vm.resume': byName,
  'console.attach': consoleRef,
  'console.detach': consoleRef,
  'console.write': z.strictObject({ name: vmName, consoleId: z.string(), data: z.string() }),
} as const;
export type NucCommandName = keyof typeof nucRequests;
export type NucRequest<K extends NucCommandName> = z.infer<(typeof nucRequests)[K]>;

/** A VM as the NUC process knows it. */
export interface RunningVm {
  name: string;
  state: VmState;
  vmid: number;
  cpuAffinity: number[];
  memoryMiB: number;
  startedAt: number;
  consoles: ConsoleInfo[];
  detail: string;
  problem?: Problem;
}
export interface NucReplies {
  'nuc.start': Record<string, never>;
  'vm.start': RunningVm;
  'vm.stop': RunningVm;
  'vm.reset': RunningVm;
  'vm.pause': RunningVm;
  'vm.resume': RunningVm;
  'console.attach': { scrollback: string };
  'console.detach': Record<string, never>;
  'console.write': { taken: number };
}
export interface NucEvents {
  /** Every change of a VM; a VM that ended is announced once with state stopped or crashed and is then forgotten. */
  'vm.changed': RunningVm;
  'vm.stats': VmStats;
  /** Only for attached consoles; batched. */
  'console.output': { name: string; consoleId: string; data: string };
  /** A line of the process's log. */
  log: { line: string };
}

export type ToNuc = { [K in NucCommandName]: { id: number; command: K; request: NucRequest<K> } }[NucCommandName];
export type FromNuc =
  | { [K in NucCommandName]: { id: number; command: K; reply: NucReplies[K] } }[NucCommandName]
  | { id: number; problem: Problem }
  | { [K in keyof NucEvents]: { event: K; data: NucEvents[K] } }[keyof NucEvents];
