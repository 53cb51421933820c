/**
 * A character backend over a Node stream (pty master, tty, socket): the part that is the same for all of them.
 *
 * Loss rule: with nobody connected, output is lost at once. A peer that reads slowly loses nothing: the device is told
 * that it is busy, and waits. With a peer that has not read for STALL_MS nothing waits: the newest OUTPUT_BYTES are kept
 * and the oldest are dropped.
 */
import type { Duplex } from 'node:stream';
import type { CharBackend } from '../devicemodel/backends_if.ts';
import { ByteQueue, DropOldestRing } from './byte_queue.ts';
import { errnoText } from './host_errors.ts';

/** Room for about 100 ms of a 10 MB/s flood, so that a reader who keeps up loses nothing. */
export const OUTPUT_BYTES = 1 << 20;
/** From here on a peer that reads is busy, until this much less waits for it. */
const BUSY_BYTES = OUTPUT_BYTES / 2;
const STALL_MS = 1000;
const WRITE_BYTES = 65536;
/** At close, how long output may still take to leave; and how long a pty's reader gets for what the kernel holds. */
const DRAIN_MS = 100;
const DRAIN_STEP_MS = 5;
/** Input is read ahead of the guest up to here. */
const INPUT_HIGH_BYTES = 65536;

/** The way out, where it is not the stream itself. One chunk at a time: `done` before the next. */
export interface Sink {
  write(chunk: Uint8Array, done: (error?: NodeJS.ErrnoException | null) => void): void;
  /** Forgets the chunk under way. */
  stop(): void;
  /** performance.now() of the last byte that left. */
  readonly progressAt: number;
}

export class CharStream implements CharBackend {
  readonly where: string;
  error: string | undefined;
  #stream: Duplex | undefined;
  #sink: Sink | undefined;
  #writing = false;
  #pumpDue: NodeJS.Immediate | undefined;
  #guestPaused = false;
  #progressAt = 0;
  /** Somebody was told that the peer is busy, and waits for its wake. */
  #stallTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #wake: (() => void) | undefined;
  #onClose: () => Promise<void> | void = () => undefined;
  #lingerMs = 0;
  readonly #input = new ByteQueue();
  readonly #output = new DropOldestRing(OUTPUT_BYTES);

  constructor(where: string) { this.where = where; }

  get connected(): boolean { return this.#stream !== undefined; }
  get closed(): boolean { return this.#closed; }
  /** Bytes of output that were dropped because the peer did not read. */
  get droppedBytes(): number { return this.#output.dropped; }
  /** Bytes of output that wait for the peer. */
  get pendingBytes(): number { return this.#output.length; }

  /**
   * Makes `stream` the peer; a previous one is disconnected.
   * @param gone called when the stream ended or failed by itself
   * @param sink takes the output instead of the stream
   */
  attach(stream: Duplex, gone: (error: NodeJS.ErrnoException | undefined) => void, sink?: Sink): void {
    this.detach();
    this.#stream = stream;
    this.#sink = sink;
    let failure: NodeJS.ErrnoException | undefined;
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      if (this.#stream !== stream) return;
      this.detach();
      gone(failure);
      this.#wake?.();
    };
    stream.on('data', (chunk: Uint8Array) => {
      if (this.#stream !== stream) return;
      this.#input.push(chunk);
      this.#flow();
      this.#wake?.();
    });
    stream.on('error', (error: NodeJS.ErrnoException) => { failure = error; end(); });
    stream.on('end', end);
    stream.on('close', end);
    this.#flow();
    this.#wake?.();
  }

  /** Disconnects the peer and forgets what was on its way to it. */
  detach(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#sink?.stop();
    this.#sink = undefined;
    this.#writing = false;
    this.#output.clear();
    this.#noLongerBusy();
    if (stream === undefined) return;
    stream.on('error', () => undefined); // what a dying peer still says
    stream.destroy();
  }

  /** What else is to be closed with the backend. */
  set onClose(action: () => Promise<void> | void) { this.#onClose = action; }

  /** Closing the descriptor would discard what the reader has not taken yet (a pty): time for that. */
  set lingerMs(ms: number) { this.#lingerMs = ms; }

  write(bytes: Uint8Array): number {
    if (this.#closed) return -1;
    if (this.error !== undefined && this.#stream === undefined) return -1;
    if (this.#stream === undefined) return 0;
    this.#output.push(bytes);
    this.#pumpSoon();
    return bytes.length;
  }

  /** After the device's turn: its guest has its buffers back by then, and pieces that come together leave together. */
  #pumpSoon(): void {
    if (this.#writing || this.#pumpDue !== undefined) return;
    this.#pumpDue = setImmediate(() => {
      this.#pumpDue = undefined;
      this.#pump();
    });
  }

  get busy(): boolean {
    if (this.#closed || this.#stream === undefined || this.#output.length < BUSY_BYTES) return false;
    const idleMs = performance.now() - Math.max(this.#progressAt, this.#sink?.progressAt ?? 0);
    if (idleMs >= STALL_MS) return false;
    this.#stallTimer ??= setTimeout(() => this.#noLongerBusy(), STALL_MS - idleMs);
    return true;
  }

  /** Who waits looks again; `busy` may still be the answer. */
  #noLongerBusy(): void {
    if (this.#stallTimer === undefined) return;
    clearTimeout(this.#stallTimer);
    this.#stallTimer = undefined;
    this.#wake?.();
  }

  read(max: number): Uint8Array {
    const bytes = this.#input.take(max);
    this.#flow();
    return bytes;
  }

  onReady(wake: () => void): () => void {
    this.#wake = wake;
    return () => { if (this.#wake === wake) this.#wake = undefined; };
  }

  pauseInput(paused: boolean): void {
    this.#guestPaused = paused;
    this.#flow();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake = undefined;
    await this.#drain();
    const stream = this.#stream;
    const ended = stream === undefined || stream.closed ? undefined : new Promise<void>((resolve) => stream.once('close', () => resolve()));
    this.detach();
    await ended;
    await this.#onClose();
  }

  #flow(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    const stop = this.#guestPaused || this.#input.length >= INPUT_HIGH_BYTES;
    if (stop) stream.pause();
    else stream.resume();
  }

  #pump(): void {
    const stream = this.#stream;
    if (this.#writing || stream === undefined || this.#output.length === 0) return;
    this.#writing = true;
    const chunk = this.#output.take(WRITE_BYTES);
    const done = (error?: Error | null) => {
      if (this.#stream !== stream) return;
      this.#writing = false;
      this.#progressAt = performance.now();
      if (this.#output.length < BUSY_BYTES / 2) this.#noLongerBusy();
      if (error === null || error === undefined) this.#pump();
      else if (this.#sink !== undefined) stream.destroy(error); // a stream's own error follows by itself
    };
    if (this.#sink === undefined) stream.write(chunk, done);
    else this.#sink.write(chunk, done);
  }

  /** A peer that reads still gets the last words; one that does not is not waited for. */
  async #drain(): Promise<void> {
    const pause = (ms: number) => new Promise<void>((resolve) => { setTimeout(resolve, ms); });
    for (let waited = 0; waited < DRAIN_MS && this.#stream !== undefined && (this.#writing || this.#output.length > 0); waited += DRAIN_STEP_MS) await pause(DRAIN_STEP_MS);
    if (this.#stream !== undefined && this.#lingerMs > 0 && !this.#writing) await pause(this.#lingerMs);
  }

  /** The backend is lost for good. */
  fail(error: NodeJS.ErrnoException): void { this.error = errnoText(error); }
}
