/**
 * Output to a non-blocking descriptor that the event loop cannot watch for room: libuv writes to a pty master blocking,
 * which without a reader would stop this thread. So it is written directly, and a full one is tried again, soon while
 * it makes progress and less and less often while nobody reads.
 */
import fs from 'node:fs';
import type { Sink } from './char_stream.ts';

/** Retries on the next turns of the event loop before timers are used. */
const QUICK_RETRIES = 4;
const LONGEST_WAIT_MS = 32;

export class FdSink implements Sink {
  #retry: { cancel: () => void } | undefined;
  #idle = 0;
  readonly #fd: number;

  constructor(fd: number) { this.#fd = fd; }

  write(chunk: Uint8Array, done: (error?: NodeJS.ErrnoException | null) => void): void {
    let at = 0;
    try {
      while (at < chunk.length) {
        at += fs.writeSync(this.#fd, chunk, at);
        this.#idle = 0;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return done(error as NodeJS.ErrnoException);
      return this.#later(() => this.write(chunk.subarray(at), done));
    }
    done();
  }

  stop(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#idle = 0;
  }

  #later(action: () => void): void {
    this.#idle += 1;
    if (this.#idle <= QUICK_RETRIES) {
      const immediate = setImmediate(action);
      this.#retry = { cancel: () => clearImmediate(immediate) };
    } else {
      const timeout = setTimeout(action, Math.min(2 ** Math.min(this.#idle - QUICK_RETRIES - 1, 10), LONGEST_WAIT_MS));
      this.#retry = { cancel: () => clearTimeout(timeout) };
    }
  }
}
