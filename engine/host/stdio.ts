/**
 * stdio backend: this process's terminal, for one device at a time. Raw mode while it is open; restored at close, at
 * exit and after a crash (Node resets the terminal on fatal signals itself).
 *
 * @differ ACRN writes to file descriptor 0 too, and so loses output when standard input is redirected; ours goes to
 *         standard output. Input is taken only from a terminal, as in ACRN.
 */
import type { CharBackend } from '../devicemodel/backends_if.ts';
import { HostError } from '../lib/errors.ts';
import { ByteQueue, DropOldestRing } from './byte_queue.ts';
import { OUTPUT_BYTES } from './char_stream.ts';
import { errnoText } from './host_errors.ts';

const WRITE_BYTES = 65536;
let inUse = false;

/** Throws HostError STDIO_IN_USE when a device has it. */
export function openStdio(owner: string, input: NodeJS.ReadStream = process.stdin, output: NodeJS.WriteStream = process.stdout): CharBackend {
  if (inUse) throw new HostError('STDIO_IN_USE', { what: `${owner} cannot use stdio`, why: 'stdio is used by other device', todo: 'Give one of the devices another backend.' });
  inUse = true;
  return new StdioBackend(input, output);
}

class StdioBackend implements CharBackend {
  readonly where = 'stdio';
  error: string | undefined;
  #wake: (() => void) | undefined;
  #writing = false;
  #open = true;
  readonly #terminal: NodeJS.ReadStream | undefined;
  readonly #stdout: NodeJS.WriteStream;
  readonly #input = new ByteQueue();
  readonly #output = new DropOldestRing(OUTPUT_BYTES);
  readonly #restore = () => { this.#terminal?.setRawMode(false); };
  readonly #onData = (chunk: Uint8Array) => {
    this.#input.push(chunk);
    this.#wake?.();
  };
  readonly #onError = (error: NodeJS.ErrnoException) => { this.error = errnoText(error); };

  constructor(input: NodeJS.ReadStream, output: NodeJS.WriteStream) {
    this.#stdout = output;
    output.on('error', this.#onError);
    if (input.isTTY !== true) return;
    this.#terminal = input;
    input.setRawMode(true);
    process.once('exit', this.#restore);
    input.on('data', this.#onData);
    input.resume();
  }

  write(bytes: Uint8Array): number {
    if (this.error !== undefined || !this.#open) return -1;
    this.#output.push(bytes);
    this.#pump();
    return bytes.length;
  }

  read(max: number): Uint8Array { return this.#input.take(max); }

  onReady(wake: () => void): () => void {
    this.#wake = wake;
    return () => { if (this.#wake === wake) this.#wake = undefined; };
  }

  pauseInput(paused: boolean): void {
    if (paused) this.#terminal?.pause();
    else this.#terminal?.resume();
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#wake = undefined;
    const rest = this.#output.take(OUTPUT_BYTES);
    if (rest.length > 0 && this.error === undefined) this.#stdout.write(rest);
    this.#stdout.off('error', this.#onError);
    if (this.#terminal !== undefined) {
      this.#terminal.off('data', this.#onData);
      this.#terminal.pause();
      this.#restore();
      process.off('exit', this.#restore);
    }
    inUse = false;
  }

  #pump(): void {
    if (this.#writing || this.#output.length === 0) return;
    this.#writing = true;
    this.#stdout.write(this.#output.take(WRITE_BYTES), () => {
      this.#writing = false;
      if (this.#open && this.error === undefined) this.#pump();
    });
  }
}
