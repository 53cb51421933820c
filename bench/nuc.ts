/** Memory of the application's own process: VMs of the default guest that share one emulated NUC. */
import { constants, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compileCache } from '../engine/cli/bin/node24.mjs';
import { defaultDefinition, guestImages, nucProcessEntry } from '../engine/index.ts';
import type { FromNuc, NucCommandName, NucReplies, NucRequest, ToNuc } from '../engine/contract/nuc_protocol.ts';
import { forkSpawner } from '../main/engine_host.ts';
import { residentMiB, type EmulatorName } from './emulators.ts';
import type { Bench } from './sections.ts';

const BOOTED = 'ACRN-UOS-READY';
const COUNTS = [1, 2, 4];
const PCPUS = 4;
const MEMORY_MIB = 3000;
const SETTLE_MS = 5_000;

/** The NUC process, its answers by the number of their command and its consoles' output by VM. */
class NucProcess {
  readonly #texts = new Map<string, string>();
  readonly #waiting = new Set<() => void>();
  readonly #replies = new Map<number, (message: FromNuc) => void>();
  #lastId = 0;
  #ended: string | undefined;
  readonly #child = forkSpawner(nucProcessEntry)({
    message: (message) => this.#take(message as FromNuc),
    line: (line) => process.stderr.write(`${line}\n`),
    exit: ({ code, signal, error }) => {
      this.#ended = `the NUC process has ended: ${error ?? signal ?? `code ${String(code)}`}`;
      for (const look of this.#waiting) look();
    },
  });

  get pid(): number { return this.#child.pid!; }

  async call<K extends NucCommandName>(command: K, request: NucRequest<K>): Promise<NucReplies[K]> {
    this.#lastId += 1;
    const id = this.#lastId;
    let answer: FromNuc | undefined;
    this.#replies.set(id, (message) => { answer = message; });
    this.#child.post({ id, command, request } as ToNuc);
    await this.#until(() => answer !== undefined);
    if ('reply' in answer!) return answer.reply as NucReplies[K];
    throw new Error(`${command}: ${JSON.stringify(answer)}`);
  }

  booted(name: string): Promise<void> { return this.#until(() => this.#texts.get(name)?.includes(BOOTED) === true); }

  hear(name: string, text: string): void { this.#texts.set(name, (this.#texts.get(name) ?? '') + text); }

  kill(): void { this.#child.kill(true); }

  #take(message: FromNuc): void {
    if ('id' in message) this.#replies.get(message.id)?.(message);
    else if (message.event === 'console.output') this.hear(message.data.name, message.data.data);
    for (const look of this.#waiting) look();
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!condition() && this.#ended === undefined) return;
        this.#waiting.delete(look);
        if (condition()) resolve();
        else reject(new Error(this.#ended));
      };
      this.#waiting.add(look);
      look();
    });
  }
}

export async function nucMemory({ table }: Bench, emulator: EmulatorName): Promise<void> {
  if (emulator !== 'ours') return;
  process.env['NODE_COMPILE_CACHE'] ??= compileCache(); // as `npm start` has it
  const folder = mkdtempSync(join(tmpdir(), 'acrn-bench-nuc-'));
  const nuc = new NucProcess();
  try {
    await nuc.call('nuc.start', { memoryMiB: MEMORY_MIB, pcpus: PCPUS, runtimeDir: join(folder, 'run') });
    for (let started = 0; started < PCPUS;) {
      const name = `bench${started}`;
      const disk = join(folder, `${name}.img`);
      copyFileSync(guestImages().disk, disk, constants.COPYFILE_FICLONE);
      const { consoles } = await nuc.call('vm.start', { definition: defaultDefinition(name, disk, [started]) });
      for (const { id } of consoles) nuc.hear(name, (await nuc.call('console.attach', { name, consoleId: id })).scrollback);
      await nuc.booted(name);
      started += 1;
      if (!COUNTS.includes(started)) continue;
      await sleep(SETTLE_MS);
      const { all, guest } = residentMiB(nuc.pid);
      table.add(`memory beyond what the guests touched, ${started} VM${started > 1 ? 's' : ''} in one NUC process`, 'MiB', emulator, all - guest, '<= 350');
    }
  } finally {
    nuc.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
