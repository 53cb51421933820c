/**
 * VM definitions on disk: `<data>/vms/<name>.json`, one each, checked when read, written atomically. The window and
 * acrnctl share the folder; a file that is broken is listed with its problem and never overwritten or hidden.
 */
import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../contract/engine_api.ts';
import { type VmDefinition, vmDefinition, vmName } from '../contract/vm_definition.ts';
import { HostError } from '../lib/errors.ts';
import { writeFileAtomic } from './atomic_file.ts';

export interface StoredVm {
  name: string;
  path: string;
  definition?: VmDefinition;
  problem?: Problem;
}

const SUFFIX = '.json';
/** A definition is a few KiB; anything larger is not one, and is not read. */
const MAX_BYTES = 1 << 20;
const SETTLE_MS = 50;

export class VmStore {
  readonly dir: string;

  /** @param dataDir the application's data folder; created when it is not there */
  constructor(dataDir: string) {
    this.dir = join(dataDir, 'vms');
    mkdirSync(this.dir, { recursive: true });
  }

  /** Every definition file, by name; broken ones carry a problem in place of a definition. */
  async list(): Promise<StoredVm[]> {
    const files = (await readdir(this.dir)).filter((f) => f.endsWith(SUFFIX) && !f.startsWith('.')).sort();
    return Promise.all(files.map((file) => this.#load(file.slice(0, -SUFFIX.length))));
  }

  /** Throws HostError NO_SUCH_VM or BROKEN_DEFINITION. */
  async read(name: string): Promise<VmDefinition> {
    const stored = (await this.list()).find((vm) => vm.name === name);
    if (!stored) throw this.#missing(name);
    if (stored.problem) throw new HostError(stored.problem.code, stored.problem);
    return stored.definition!;
  }

  /** Throws HostError VM_EXISTS when the name is taken; nothing is overwritten. */
  async create(definition: VmDefinition): Promise<void> {
    try {
      await this.#write(definition, true);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw this.#unwritable(definition.name, error);
      throw new HostError('VM_EXISTS', {
        what: `VM ${definition.name} cannot be created`,
        why: 'a definition of that name exists',
        todo: 'Choose another name, or delete the old definition first',
      });
    }
  }

  /** Replaces a definition; a changed name renames the file. Throws NO_SUCH_VM, VM_EXISTS. */
  async update(name: string, definition: VmDefinition): Promise<void> {
    if (!(await this.#exists(name))) throw this.#missing(name);
    if (definition.name === name) {
      await this.#write(definition, false).catch((error: unknown) => { throw this.#unwritable(name, error); });
      return;
    }
    await this.create(definition);
    await rm(this.#path(name));
  }

  /** Removes the definition, never a disk image. Throws NO_SUCH_VM. */
  async delete(name: string): Promise<void> {
    if (!(await this.#exists(name))) throw this.#missing(name);
    await rm(this.#path(name));
  }

  /** Calls back after definitions changed on disk, by whoever; returns its own removal. */
  watch(listener: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const watcher: FSWatcher = watch(this.dir, { persistent: false }, () => {
      clearTimeout(timer);
      timer = setTimeout(listener, SETTLE_MS);
      timer.unref();
    });
    watcher.on('error', () => watcher.close());
    return () => {
      clearTimeout(timer);
      watcher.close();
    };
  }

  async #load(name: string): Promise<StoredVm> {
    const path = this.#path(name);
    const broken = (why: string): StoredVm => ({
      name,
      path,
      problem: { code: 'BROKEN_DEFINITION', what: `VM definition ${path} cannot be used`, why, todo: 'Mend the file or delete the definition; it has been left as it is' },
    });
    try {
      if ((await stat(path)).size > MAX_BYTES) return broken(`it is larger than ${MAX_BYTES} bytes`);
      const parsed = vmDefinition.safeParse(JSON.parse(await readFile(path, 'utf8')));
      if (!parsed.success) return broken(parsed.error.issues.map((i) => `${i.path.join('.') || 'the file'}: ${i.message}`).join('; '));
      if (parsed.data.name !== name) return broken(`its name is "${parsed.data.name}", its file is ${name}${SUFFIX}`);
      return { name, path, definition: parsed.data };
    } catch (error) {
      return broken(error instanceof SyntaxError ? `it is not JSON (${error.message})` : String((error as Error).message));
    }
  }

  #path(name: string): string {
    vmName.parse(name); // no separators, so that it stays inside the folder
    return join(this.dir, `${name}${SUFFIX}`);
  }

  async #exists(name: string): Promise<boolean> {
    return stat(this.#path(name)).then(() => true, () => false);
  }

  #write(definition: VmDefinition, exclusive: boolean): Promise<void> {
    return writeFileAtomic(this.#path(definition.name), `${JSON.stringify(definition, null, 2)}\n`, { exclusive });
  }

  #missing(name: string): HostError {
    return new HostError('NO_SUCH_VM', { what: `There is no VM ${name}`, why: `${this.dir} has no ${name}${SUFFIX}`, todo: 'See "acrnctl list" for the names' });
  }

  #unwritable(name: string, error: unknown): HostError {
    return new HostError('DEFINITION_NOT_WRITTEN', { what: `VM ${name} cannot be saved`, why: (error as Error).message, todo: `Check the permissions and free space of ${this.dir}` });
  }
}
