/**
 * Waking the device model's thread: it sleeps on the doorbell word by Atomics.waitAsync, so it never blocks. Waking a
 * thread costs both sides tens of microseconds, so after work it looks on for as long as has paid lately.
 */
import { Linger } from '../lib/linger.ts';
import { BOARD, type HvShared } from '../hypervisor/shared.ts';

/** How long to look for more after the last piece of work, at most. */
const LONGEST_LINGER_NS = 400_000;
/** Looking without a turn of the event loop, which has the answers of disks and terminals. */
const LOOK_NS = 40_000;
/** Steps of the work's own promises between two looks: an answer that needs no other thread is on its way then. */
const SETTLE_TURNS = 16;
/** After this long in one go the event loop gets its turn. */
const TURN_NS = 2_000_000;

export class Doorbell {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #poll: () => boolean;
  readonly #nowNs: () => number;
  readonly #linger = new Linger(LONGEST_LINGER_NS);
  #lastWork = 0;
  #open = true;

  /** @param poll does all pending work; true when there was any */
  constructor(shared: HvShared, nowNs: () => number, poll: () => boolean) {
    this.#words = shared.words;
    this.#doubles = shared.doubles;
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
    if (this.#poll()) { this.#disarm(); this.#lastWork = this.#nowNs(); setImmediate(() => void this.#serve()); return; }
    const wait = Atomics.waitAsync(this.#words, BOARD.DOORBELL / 4, seen);
    const asleep = this.#nowNs();
    if (wait.async) void wait.value.then(() => {
      const rung = this.#doubles[BOARD.RUNG_NS / 8];
      this.#linger.slept(rung - this.#lastWork, rung - asleep);
      return this.#serve();
    });
    else setImmediate(() => void this.#serve());
  }

  #disarm(): void { Atomics.store(this.#words, BOARD.DOORBELL_ARMED / 4, 0); }

  async #serve(): Promise<void> {
    if (!this.#open) return;
    this.#disarm();
    const start = this.#nowNs();
    for (;;) {
      const seen = Atomics.load(this.#words, BOARD.DOORBELL / 4);
      let now: number;
      if (this.#poll()) {
        for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await undefined;
        if (!this.#open) return;
        now = this.#lastWork = this.#nowNs();
      } else {
        now = this.#nowNs();
      }
      const until = this.#lastWork + this.#linger.ns;
      const pause = now + LOOK_NS;
      // Whatever there is to do rings, even while nobody sleeps.
      while (Atomics.load(this.#words, BOARD.DOORBELL / 4) === seen && now < until && now < pause) {
        Atomics.pause();
        now = this.#nowNs();
      }
      if (Atomics.load(this.#words, BOARD.DOORBELL / 4) === seen && now >= until) break;
      if (now - start > TURN_NS || now >= pause) { setImmediate(() => void this.#serve()); return; }
    }
    this.#arm();
  }
}
