/**
 * Output to a non-blocking descriptor that the event loop cannot watch for room: libuv writes to a pty master blocking,
 * which without a reader would stop this thread. So it is written directly, and a full one is tried again, soon while
 * it makes progress and less and less often while nobody reads.
 */
import fs from 'node:fs';
import type { Sink } from './char_stream.ts';

/** A reader that keeps up makes room within this time: until then every turn of the event loop tries again. */
const QUICK_MS = 1.5;
const LONGEST_WAIT_MS = 32;

export class FdSink implements Sink {
  #retry: { cancel: () => void } | undefined;
  #progressAt = 0;
  #waitMs = 1;
  readonly #fd: number;

  constructor(fd: number) { this.#fd = fd; }

  write(chunk: Uint8Array, done: (error?: NodeJS.ErrnoException | null) => void): void {
    let at = 0;
    try {
      while (at < chunk.length) {
        at += fs.writeSync(this.#fd, chunk, at);
        this.#progressAt = performance.now();
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
  }

  #later(action: () => void): void {
    if (performance.now() - this.#progressAt < QUICK_MS) {
      this.#waitMs = 1;
      const immediate = setImmediate(action);
      this.#retry = { cancel: () => clearImmediate(immediate) };
    } else {
      const timeout = setTimeout(action, this.#waitMs);
      this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
      this.#retry = { cancel: () => clearTimeout(timeout) };
    }
  }
}
