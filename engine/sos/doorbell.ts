/**
 * Waking the device model's thread: it sleeps on the doorbell word by Atomics.waitAsync, so it never blocks. After
 * work it looks again for some microseconds, because a guest that talks to a device mostly talks on.
 */
import { BOARD, type HvShared } from '../hypervisor/shared.ts';

/** How long to look for more after the last piece of work. */
const LINGER_NS = 40_000;
/** Steps of the work's own promises between two looks: an answer that needs no other thread is on its way then. */
const SETTLE_TURNS = 16;
/** After this long in one go the event loop gets its turn. */
const TURN_NS = 2_000_000;

export class Doorbell {
  readonly #words: Int32Array;
  readonly #poll: () => boolean;
  readonly #nowNs: () => number;
  #open = true;
  /** Looking on was worth it the last times. */
  #lingerNs = LINGER_NS;

  /** @param poll does all pending work; true when there was any */
  constructor(shared: HvShared, nowNs: () => number, poll: () => boolean) {
    this.#words = shared.words;
    this.#poll = poll;
    this.#nowNs = nowNs;
    this.#arm();
  }

  close(): void {
    this.#open = false;
    Atomics.add(this.#words, BOARD.DOORBELL / 4, 1);
    Atomics.notify(this.#words, BOARD.DOORBELL / 4);
  }

  #arm(): void {
    if (!this.#open) return;
    const seen = Atomics.load(this.#words, BOARD.DOORBELL / 4);
    Atomics.store(this.#words, BOARD.DOORBELL_ARMED / 4, 1);
    // What came before ARMED was set rang no bell.
    if (this.#poll()) { this.#disarm(); setImmediate(() => void this.#serve()); return; }
    const wait = Atomics.waitAsync(this.#words, BOARD.DOORBELL / 4, seen);
    if (wait.async) void wait.value.then(() => this.#serve());
    else setImmediate(() => void this.#serve());
  }

  #disarm(): void { Atomics.store(this.#words, BOARD.DOORBELL_ARMED / 4, 0); }

  async #serve(): Promise<void> {
    if (!this.#open) return;
    this.#disarm();
    const start = this.#nowNs();
    let lastWork = start;
    let again = 0;
    for (;;) {
      if (this.#poll()) {
        again += 1;
        for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await undefined;
        if (!this.#open) return;
        lastWork = this.#nowNs();
      }
      const now = this.#nowNs();
      if (now - start > TURN_NS) { setImmediate(() => void this.#serve()); return; }
      if (now - lastWork > this.#lingerNs) break;
    }
    this.#lingerNs = again > 1 ? LINGER_NS : Math.max(2_000, this.#lingerNs / 2);
    this.#arm();
  }
}
