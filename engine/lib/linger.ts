/**
 * How long a thread that has run out of work should look on before it sleeps: as long as it may, once a wait was so
 * short that looking on would have spared the wake-up; then less and less, and at last not at all, while waits are long.
 *
 * Where more threads want to run than there are cores, looking on keeps the core from the very thread that is waited
 * for. It shows: work comes as soon as the looker sleeps. Then it rests from looking for a while.
 */
const SHORTEST_NS = 20_000;
/** Work that comes so soon after falling asleep was held up by looking on. */
const HELD_UP_NS = 100_000;
const REST_SLEEPS = 256;

export class Linger {
  /** For now. */
  ns = 0;
  #rest = 0;
  readonly #longestNs: number;

  constructor(longestNs: number) { this.#longestNs = longestNs; }

  /** The thread slept after looking on for `ns`: work came `waitedNs` after the last, `sleptNs` after it fell asleep. */
  slept(waitedNs: number, sleptNs: number): void {
    if (this.#rest > 0) {
      this.#rest -= 1;
    } else if (this.ns > 0 && sleptNs < HELD_UP_NS) {
      this.#rest = REST_SLEEPS;
      this.ns = 0;
    } else if (waitedNs <= this.#longestNs) {
      this.ns = this.#longestNs;
    } else {
      this.ns = this.ns <= SHORTEST_NS ? 0 : this.ns / 2;
    }
  }
}
