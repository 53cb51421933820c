/**
 * Byte ports of the device model that a vCPU's thread serves from shared memory: a read whose answer the device has
 * published, and a write that the device takes later. What the guest sees is what an I/O request would have shown it.
 *
 * Posted writes of all vCPUs go through one ring, in the order of their tickets, and are at the device before any
 * request that was made after them.
 *
 * @differ ACRN has no such path: there every access to acrn-dm's UARTs is an I/O request.
 */
import { PORT_RING_ENTRIES, PORT_SHORTCUTS, VM, type HvShared } from '../shared.ts';

/** A row: port in bits 31:16, then these and the published byte. */
const POSTS = 1 << 9;
const ANSWERS = 1 << 8;
/** A posted write: valid, row, byte. */
const VALID = 1 << 31;
const ROW_SHIFT = 8;
/** A store follows its ticket at once, unless its thread has lost its CPU in between. */
const SETTLE_TRIES = 1 << 20;

/** One port, as its device sees it. */
export interface PortShortcut {
  /** Reads are answered with this byte from now on; undefined: they are I/O requests. */
  answer(value: number | undefined): void;
  /** Writes are posted from now on, or are I/O requests. */
  post(on: boolean): void;
  release(): void;
}

/** The device model's side. */
export class PortShortcuts {
  readonly #words: Int32Array;
  readonly #vm: number;
  readonly #ring: number;
  readonly #takers: Array<((bytes: Uint8Array) => void) | undefined> = [];
  readonly #batch = new Uint8Array(PORT_RING_ENTRIES);

  constructor(shared: HvShared, slot: number) {
    this.#words = shared.words;
    this.#vm = shared.vm(slot) / 4;
    this.#ring = this.#vm + VM.PORT_RING / 4;
  }

  /** @param take gets posted bytes, oldest first; must not keep the array. undefined: no room, the port stays as it is */
  assign(port: number, take: (bytes: Uint8Array) => void): PortShortcut | undefined {
    let row = 0;
    while (row < PORT_SHORTCUTS && this.#takers[row] !== undefined) row += 1;
    if (row === PORT_SHORTCUTS) return undefined;
    this.#takers[row] = take;
    const at = this.#vm + VM.PORT_SHORTCUTS / 4 + row;
    const update = (flags: number): void => {
      if (this.#takers[row] === take) Atomics.store(this.#words, at, (port << 16) | flags);
    };
    let answer = 0;
    let posts = 0;
    update(0);
    Atomics.add(this.#words, this.#vm + VM.PORT_GENERATION / 4, 1);
    return {
      answer: (value) => {
        const next = value === undefined ? 0 : ANSWERS | (value & 0xff);
        if (next !== answer) update(posts | (answer = next));
      },
      post: (on) => {
        const next = on ? POSTS : 0;
        if (next !== posts) update(answer | (posts = next));
      },
      release: () => {
        if (this.#takers[row] !== take) return;
        this.drain();
        Atomics.store(this.#words, at, 0);
        this.#takers[row] = undefined;
        Atomics.add(this.#words, this.#vm + VM.PORT_GENERATION / 4, 1);
      },
    };
  }

  /** Hands posted bytes to their devices. 0: nothing was there, 1: everything was handed over, 2: a ticket's byte is still to come. */
  drain(): 0 | 1 | 2 {
    const words = this.#words;
    const tail = this.#vm + VM.PORT_RING_TAIL / 4;
    let head = words[this.#vm + VM.PORT_RING_HEAD / 4];
    if (Atomics.load(words, tail) === head) return 0;
    let row = -1;
    let count = 0;
    const flush = (): void => {
      if (count > 0) this.#takers[row]?.(this.#batch.subarray(0, count));
      count = 0;
    };
    for (;;) {
      const at = this.#ring + (head & (PORT_RING_ENTRIES - 1));
      const entry = Atomics.load(words, at);
      if (entry === 0) break;
      Atomics.store(words, at, 0);
      head = (head + 1) | 0;
      Atomics.store(words, this.#vm + VM.PORT_RING_HEAD / 4, head);
      const its = (entry >>> ROW_SHIFT) & 0xff;
      if (its !== row || count === this.#batch.length) { flush(); row = its; }
      this.#batch[count++] = entry & 0xff;
    }
    flush();
    return Atomics.load(words, tail) === head ? 1 : 2;
  }

  /** Hands over all that was posted so far, with what is between its ticket and its store. */
  settle(): void {
    for (let tries = 0; this.drain() === 2 && tries < SETTLE_TRIES; tries += 1);
  }

  /** While every vCPU stands still: a thread that was ended may have left a ticket without a byte. */
  reset(): void {
    this.drain();
    const words = this.#words;
    words.fill(0, this.#ring, this.#ring + PORT_RING_ENTRIES);
    Atomics.store(words, this.#vm + VM.PORT_RING_HEAD / 4, 0);
    Atomics.store(words, this.#vm + VM.PORT_RING_TAIL / 4, 0);
  }
}

/** The vCPU's side. */

export class PortShortcutMatcher {
  readonly #shared: HvShared;
  readonly #words: Int32Array;
  readonly #vm: number;
  readonly #rowOf = new Uint8Array(0x10000); // row + 1 of each port
  #generation = 0;

  constructor(shared: HvShared, slot: number) {
    this.#shared = shared;
    this.#words = shared.words;
    this.#vm = shared.vm(slot) / 4;
  }

  #row(port: number): number {
    const generation = Atomics.load(this.#words, this.#vm + VM.PORT_GENERATION / 4);
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#rowOf.fill(0);
      for (let row = 0; row < PORT_SHORTCUTS; row++) {
        const entry = Atomics.load(this.#words, this.#vm + VM.PORT_SHORTCUTS / 4 + row);
        if (entry !== 0) this.#rowOf[entry >>> 16] = row + 1;
      }
    }
    return this.#rowOf[port] - 1;
  }

  /** The port's byte; -1: ask the device. */
  read(port: number): number {
    const row = this.#row(port);
    if (row < 0) return -1;
    const entry = Atomics.load(this.#words, this.#vm + VM.PORT_SHORTCUTS / 4 + row);
    return (entry & ANSWERS) === 0 || entry >>> 16 !== port ? -1 : entry & 0xff;
  }

  /** True: the write is done, the device will have it. */
  write(port: number, value: number): boolean {
    const words = this.#words;
    const row = this.#row(port);
    if (row < 0) return false;
    const entry = Atomics.load(words, this.#vm + VM.PORT_SHORTCUTS / 4 + row);
    if ((entry & POSTS) === 0 || entry >>> 16 !== port) return false;
    const tail = this.#vm + VM.PORT_RING_TAIL / 4;
    const head = this.#vm + VM.PORT_RING_HEAD / 4;
    let ticket: number;
    do {
      ticket = Atomics.load(words, tail);
      if (((ticket - Atomics.load(words, head)) | 0) >= PORT_RING_ENTRIES) return false; // the request that follows waits for the device
    } while (Atomics.compareExchange(words, tail, ticket, (ticket + 1) | 0) !== ticket);
    Atomics.store(words, this.#vm + VM.PORT_RING / 4 + (ticket & (PORT_RING_ENTRIES - 1)), VALID | (row << ROW_SHIFT) | (value & 0xff));
    // The device's thread looks at the ring again after it has moved HEAD, so only the first of a run wakes it.
    if (Atomics.load(words, head) === ticket) this.#shared.ringDoorbell();
    return true;
  }
}
