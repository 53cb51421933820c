/**
 * How long a thread that has run out of work should look on before it sleeps: as long as it may, once a wait was so
 * short that looking on would have spared the wake-up, then less and less, and at last not at all, while waits are long.
 */
const SHORTEST_NS = 20_000;

export class Linger {
  /** For now. */
  ns = 0;
  readonly #longestNs: number;

  constructor(longestNs: number) { this.#longestNs = longestNs; }

  /** The thread slept, and work came `waitedNs` after the last. */
  slept(waitedNs: number): void {
    if (waitedNs <= this.#longestNs) this.ns = this.#longestNs;
    else this.ns = this.ns <= SHORTEST_NS ? 0 : this.ns / 2;
  }
}
