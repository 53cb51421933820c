/**
 * Which VMs this user is running, across processes: one file a VM in `<runtime>/vms`. There is one emulated NUC a
 * user, so a pCPU given to a VM of one process is taken for every other. Files of dead processes are swept away.
 */
import { mkdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../lib/errors.ts';
import { replaceFileSync, writeFileAtomic } from './atomic_file.ts';
import type { RegistryEntry } from './registry_entry.ts';

export type { RegistryEntry };

const ENTER_ATTEMPTS = 5;
const BACK_OFF_MS = 100;

/** PF_EXITING of the kernel's flags: it has begun to end, and what it held is being given back. */
const EXITING = 1 << 2;

/**
 * proc(5), stat fields 3, 9 and 22. `start` is the process's start time in clock ticks since boot, '' where there is no
 * /proc; `ended` says that it runs no more, though nobody may have asked for its exit code yet.
 */
function processState(pid: number): { start: string; ended: boolean } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { start: fields[19] ?? '', ended: 'ZXx'.includes(fields[0]) || (Number(fields[6]) & EXITING) !== 0 };
  } catch {
    return { start: '', ended: false };
  }
}

function isAlive(entry: RegistryEntry): boolean {
  try {
    process.kill(entry.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const { start, ended } = processState(entry.pid);
  return !ended && entry.processStart === start;
}

export class RuntimeRegistry {
  readonly dir: string;

  /** @param runtimeDir this user's runtime folder; created for this user alone when it is not there */
  constructor(runtimeDir: string) {
    this.dir = join(runtimeDir, 'vms');
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
  }

  /** Running VMs of all this user's processes. */
  list(): Promise<RegistryEntry[]> { return this.#list(''); }

  async #list(except: string): Promise<RegistryEntry[]> {
    const live: RegistryEntry[] = [];
    const files = (await readdir(this.dir)).filter((f) => f.endsWith('.json') && !f.startsWith('.') && f !== except).sort();
    if (files.length === 0) return live;
    const { entrySchema } = await import('./registry_entry.ts'); // only now: a VM that is alone starts the sooner
    for (const file of files) {
      const path = join(this.dir, file);
      const text = await readFile(path, 'utf8').catch(() => '');
      const parsed = entrySchema.safeParse(parseJson(text));
      if (parsed.success && isAlive(parsed.data)) live.push(parsed.data);
      else await rm(path, { force: true });
    }
    return live;
  }

  /**
   * Enters a VM of this process. Throws HostError VM_RUNNING or PCPU_TAKEN; then nothing was entered.
   * @returns the entry's handle: `update` consoles, `remove` at the end (also done at process exit)
   */
  async enter(vm: { name: string; cpuAffinity: readonly number[]; memoryMiB: number }): Promise<{ update(consoles: RegistryEntry['consoles']): void; remove(): void }> {
    const path = join(this.dir, `${vm.name}.json`);
    const entry: RegistryEntry = {
      name: vm.name, pid: process.pid, processStart: processState(process.pid).start, cpuAffinity: [...vm.cpuAffinity],
      memoryMiB: vm.memoryMiB, consoles: [], startedAt: Date.now(),
    };
    const text = (): string => `${JSON.stringify(entry)}\n`;
    for (let attempt = 1; ; attempt += 1) {
      const running = await this.list();
      const same = running.find((r) => r.name === vm.name);
      if (same) throw this.#running(vm.name, same.pid);
      checkPcpus(vm, running);
      await writeFileAtomic(path, text(), { exclusive: true, mode: 0o600 }).catch((error: NodeJS.ErrnoException) => { throw error.code === 'EEXIST' ? this.#running(vm.name, undefined) : error; });
      // Whoever enters at the same moment may not have seen this one; the later of both sees the other here.
      const others = (await this.#list(`${vm.name}.json`)).filter((r) => r.cpuAffinity.some((id) => vm.cpuAffinity.includes(id)));
      if (others.length === 0) break;
      rmSync(path, { force: true });
      if (attempt === ENTER_ATTEMPTS) checkPcpus(vm, others);
      await new Promise((resolve) => { setTimeout(resolve, Math.random() * BACK_OFF_MS); });
    }
    let removed = false;
    const remove = (): void => {
      if (removed) return;
      removed = true;
      process.off('exit', remove);
      rmSync(path, { force: true });
    };
    process.on('exit', remove);
    return {
      update(consoles) {
        if (removed) return;
        entry.consoles = consoles;
        replaceFileSync(path, text(), 0o600);
      },
      remove,
    };
  }

  /** Calls back after VMs came or went; returns its own removal. */
  watch(listener: () => void): () => void {
    const watcher = watch(this.dir, { persistent: false }, () => listener());
    watcher.on('error', () => watcher.close());
    return () => watcher.close();
  }

  #running(name: string, pid: number | undefined): HostError {
    return new HostError('VM_RUNNING', { what: `VM ${name} cannot be started`, why: `${name} is running${pid ? ` (process ${pid})` : ''}, can't create twice`, todo: `Stop it first: acrnctl stop ${name}` });
  }
}

/** Throws HostError PCPU_TAKEN. */
function checkPcpus(vm: { name: string; cpuAffinity: readonly number[] }, running: readonly RegistryEntry[]): void {
  for (const id of vm.cpuAffinity) {
    const holder = running.find((r) => r.cpuAffinity.includes(id));
    if (!holder) continue;
    const free = [0, 1, 2, 3].filter((p) => !running.some((r) => r.cpuAffinity.includes(p)));
    throw new HostError('PCPU_TAKEN', {
      what: `VM ${vm.name} cannot have pCPU ${id}`,
      why: `VM ${holder.name} (process ${holder.pid}) has it`,
      todo: free.length > 0 ? `Free pCPUs: ${free.join(', ')}` : `Every pCPU is taken: stop a VM first`,
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
