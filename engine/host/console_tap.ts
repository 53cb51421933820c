/**
 * Lets viewers inside the application watch and type on a console that also has a host node. The tap sees everything
 * the guest wrote, whatever the node does: a pty without a reader, a socket without a client, a full disk.
 */
import type { CharBackend } from '../devicemodel/backends_if.ts';
import { ByteQueue } from './byte_queue.ts';

/** What viewers may type ahead of a guest that does not read. */
const INJECT_BYTES = 65536;

export interface TappedConsole {
  /** For the device, in place of the original. */
  readonly backend: CharBackend;
  /** Types bytes as if they came from the node; returns how many were taken. */
  inject(bytes: Uint8Array): number;
}

/** @param listener gets each piece of guest output; it must not keep the array unless it copies it */
export function tapConsole(backend: CharBackend, listener: (bytes: Uint8Array) => void): TappedConsole {
  const tap = new TapBackend(backend, listener);
  return { backend: tap, inject: (bytes) => tap.inject(bytes) };
}

class TapBackend implements CharBackend {
  #wake: (() => void) | undefined;
  #closed = false;
  readonly #real: CharBackend;
  readonly #listener: (bytes: Uint8Array) => void;
  readonly #typed = new ByteQueue();

  constructor(real: CharBackend, listener: (bytes: Uint8Array) => void) {
    this.#real = real;
    this.#listener = listener;
  }

  get where(): string { return this.#real.where; }
  get error(): string | undefined { return this.#real.error; }
  get busy(): boolean { return this.#real.busy ?? false; }

  /** Everything is taken: the viewers have it, even when the node is lost. */
  write(bytes: Uint8Array): number {
    this.#listener(bytes);
    if (this.#real.error === undefined) this.#real.write(bytes);
    return bytes.length;
  }

  read(max: number): Uint8Array { return this.#typed.length > 0 ? this.#typed.take(max) : this.#real.read(max); }

  onReady(wake: () => void): () => void {
    this.#wake = wake;
    const stop = this.#real.onReady(wake);
    return () => {
      stop();
      if (this.#wake === wake) this.#wake = undefined;
    };
  }

  pauseInput(paused: boolean): void { this.#real.pauseInput(paused); }

  async close(): Promise<void> {
    this.#closed = true;
    this.#typed.clear();
    await this.#real.close();
  }

  inject(bytes: Uint8Array): number {
    if (this.#closed) return 0;
    const taken = Math.min(bytes.length, INJECT_BYTES - this.#typed.length);
    if (taken === 0) return 0;
    this.#typed.push(bytes.slice(0, taken));
    this.#wake?.();
    return taken;
  }
}
