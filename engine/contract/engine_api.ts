/**
 * Everything that crosses between the NUC process, the main process and the renderer: one list of commands and
 * events, typed once, checked with zod where a message enters a process.
 */
import { z } from 'zod';
import { vmDefinition, vmName } from './vm_definition.ts';

export const consoleInfo = z.object({
  /** Unique within the VM, e.g. 'virtio-console:pty_port' or 'com1'. */
  id: z.string(),
  /** Shown on the tab: 'hvc0 · pty_port', 'ttyS0'. */
  title: z.string(),
  kind: z.enum(['pty', 'stdio', 'tty', 'file', 'socket', 'tcp']),
  /** Host node: /dev/pts/4, a path, or ''. */
  where: z.string(),
});
export type ConsoleInfo = z.infer<typeof consoleInfo>;

export const vmState = z.enum(['stopped', 'starting', 'running', 'paused', 'stopping', 'crashed']);
export type VmState = z.infer<typeof vmState>;

/** An error as people see it: what, why, what to do. */
export const problem = z.object({ code: z.string(), what: z.string(), why: z.string(), todo: z.string() });
export type Problem = z.infer<typeof problem>;

export const vmInfo = z.object({
  name: vmName,
  definition: vmDefinition.optional(), // absent when its file is broken
  state: vmState,
  vmid: z.int().optional(),
  /** Since when it runs, ms since the epoch. */
  startedAt: z.number().optional(),
  consoles: z.array(consoleInfo),
  /** Last progress line of acrn-dm while starting, and why it ended when stopped or crashed. */
  detail: z.string(),
  problem: problem.optional(),
  /** Runs in another process of this user (acrn-dm on a command line). */
  external: z.boolean(),
});
export type VmInfo = z.infer<typeof vmInfo>;

export const nucInfo = z.object({
  state: z.enum(['down', 'starting', 'up', 'crashed']),
  detail: z.string(),
  pcpus: z.array(z.object({ id: z.int(), vm: vmName.optional(), vcpuId: z.int().optional() })),
  memoryMiB: z.int(),
  memoryUsedMiB: z.int(),
});
export type NucInfo = z.infer<typeof nucInfo>;

/** Sampled once a second while the VM runs. */
export const vmStats = z.object({
  name: vmName,
  atMs: z.number(),
  /** Guest instructions per second, millions, over the last second. */
  mips: z.number(),
  /** Host CPU share of its vCPU threads, 1 = one core. */
  cpuShare: z.number(),
  /** VM exits per second by reason name. */
  exits: z.record(z.string(), z.number()),
});
export type VmStats = z.infer<typeof vmStats>;

const byName = z.strictObject({ name: vmName });
const consoleRef = z.strictObject({ name: vmName, consoleId: z.string() });
const none = z.strictObject({});

/** request schema of each command */
export const commandRequests = {
  'app.info': none,
  'nuc.info': none,
  'nuc.restart': none,
  'vm.list': none,
  'vm.validate': z.strictObject({ definition: z.unknown(), replaces: vmName.optional() }),
  'vm.create': z.strictObject({ definition: z.unknown() }),
  'vm.update': z.strictObject({ name: vmName, definition: z.unknown() }),
  'vm.delete': byName,
  'vm.start': byName,
  'vm.stop': z.strictObject({ name: vmName, force: z.boolean() }),
  'vm.reset': byName,
  'vm.pause': byName,
  'vm.resume': byName,
  /** Returns the scrollback (a terminal byte stream) and from then on console.output events follow. */
  'console.attach': consoleRef,
  'console.detach': consoleRef,
  'console.write': z.strictObject({ name: vmName, consoleId: z.string(), data: z.string().max(65536) }),
  'image.default': none,
} as const;

export type CommandName = keyof typeof commandRequests;
export interface CommandReplies {
  'app.info': { version: string; host: 'electron' | 'serve'; dataDir: string; platform: string };
  'nuc.info': NucInfo;
  'nuc.restart': NucInfo;
  'vm.list': VmInfo[];
  /** Field problems, keyed by path ('memoryMiB', 'devices.2.config', '' for the whole). Empty: it can be created. */
  'vm.validate': Array<{ path: string; message: string }>;
  'vm.create': VmInfo;
  'vm.update': VmInfo;
  'vm.delete': Record<string, never>;
  'vm.start': VmInfo;
  'vm.stop': VmInfo;
  'vm.reset': VmInfo;
  'vm.pause': VmInfo;
  'vm.resume': VmInfo;
  'console.attach': { scrollback: string };
  'console.detach': Record<string, never>;
  'console.write': { taken: number };
  /** Default paths for the create form. */
  'image.default': { kernel: string; ramdisk: string; disk: string; bootargs: string };
}
export interface Events {
  'nuc.changed': NucInfo;
  'vm.changed': VmInfo;
  'vm.removed': { name: string };
  'vm.stats': VmStats;
  'console.output': { name: string; consoleId: string; data: string };
}
export type EventName = keyof Events;
export type CommandRequest<K extends CommandName> = z.infer<(typeof commandRequests)[K]>;

/** The one interface renderers use; Electron's preload and the served page's WebSocket both implement it. */
export interface EngineApi {
  /** Rejects with an Error carrying `problem: Problem`. */
  call<K extends CommandName>(name: K, request: CommandRequest<K>): Promise<CommandReplies[K]>;
  on<K extends EventName>(name: K, listener: (event: Events[K]) => void): () => void;
}
