/**
 * A spin lock in shared memory for critical sections of a few dozen instructions. Holders never sleep, throw or call
 * out, so a taker that waits longer than STEAL_MS is looking at a thread that died: it takes the lock over.
 */
const SPINS = 2000;
const STEAL_MS = 2000;

export class SpinLock {
  readonly #words: Int32Array;
  readonly #index: number;

  /** @param index of the lock word in `words`; 0 is free, 1 taken, 2 taken with sleepers */
  constructor(words: Int32Array, index: number) {
    this.#words = words;
    this.#index = index;
  }

  lock(): void {
    for (let spins = 0; spins < SPINS; spins++) {
      if (Atomics.compareExchange(this.#words, this.#index, 0, 1) === 0) return;
    }
    let waitedMs = 0;
    while (Atomics.exchange(this.#words, this.#index, 2) !== 0) {
      if (waitedMs >= STEAL_MS) return;
      if (Atomics.wait(this.#words, this.#index, 2, 1) === 'timed-out') waitedMs += 1;
    }
  }

  unlock(): void {
    if (Atomics.exchange(this.#words, this.#index, 0) === 2) Atomics.notify(this.#words, this.#index, 1);
  }
}
