/**
 * Output to a non-blocking descriptor that the event loop cannot watch for room: libuv writes to a pty master blocking,
 * which without a reader would stop this thread. So it is written directly, and a full one, which has room for some ten
 * kilobytes more after a millisecond with a reader, is tried again: less and less often while nobody reads.
 */
import fs from 'node:fs';
import type { Sink } from './char_stream.ts';

const SHORTEST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 32;

export class FdSink implements Sink {
  #retry: NodeJS.Timeout | undefined;
  #waitMs = SHORTEST_WAIT_MS;
  progressAt = 0;
  readonly #fd: number;

  constructor(fd: number) { this.#fd = fd; }

  write(chunk: Uint8Array, done: (error?: NodeJS.ErrnoException | null) => void): void {
    let at = 0;
    try {
      while (at < chunk.length) {
        at += fs.writeSync(this.#fd, chunk, at);
        this.progressAt = performance.now();
        this.#waitMs = SHORTEST_WAIT_MS;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return done(error as NodeJS.ErrnoException);
      return this.#later(() => this.write(chunk.subarray(at), done));
    }
    done();
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #later(action: () => void): void {
    this.#retry = setTimeout(action, this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }
}
