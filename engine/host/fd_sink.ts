/**
 * Output to a non-blocking descriptor that the event loop cannot watch for room: libuv writes to a pty master blocking,
 * which without a reader would stop this thread. So it is written directly, and a full one, which has room for some ten
 * kilobytes more after a millisecond with a reader, is tried again: after a part of the time that nobody has read for.
 */
import fs from 'node:fs';
import type { Sink } from './char_stream.ts';

const SHORTEST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 32;
/** A reader who comes back after a pause waits this much longer at most. */
const PART_OF_STALL = 1 / 4;

export class FdSink implements Sink {
  #retry: NodeJS.Timeout | undefined;
  progressAt = 0;
  readonly #fd: number;

  constructor(fd: number) { this.#fd = fd; }

  write(chunk: Uint8Array, done: (error?: NodeJS.ErrnoException | null) => void): void {
    let at = 0;
    try {
      while (at < chunk.length) {
        at += fs.writeSync(this.#fd, chunk, at);
        this.progressAt = performance.now();
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
    const stallMs = performance.now() - this.progressAt;
    this.#retry = setTimeout(action, Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, stallMs * PART_OF_STALL)));
  }
}
