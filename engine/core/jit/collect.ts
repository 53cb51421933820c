/**
 * Modules that nothing leads to any more keep their code until V8 collects garbage, and what V8 counts of them does not make it collect: the
 * threads that compile and run code have small heaps that seldom fill. So they ask for it, some time after modules became garbage.
 */
import { runInNewContext } from 'node:vm';

/** Modules that are worth a collection, which takes some 10 ms. */
const MODULES = 32;

export class ModuleCollector {
  readonly #gapMs: number;
  #collect: (() => void) | undefined;
  #garbage = 0;
  #last = performance.now();

  /** At most one collection every `gapMs`. V8 must have been prepared (module.ts prepareV8). */
  constructor(gapMs: number) { this.#gapMs = gapMs; }

  /** A module may have become garbage; collects now if it is time. */
  dropped(): void {
    this.#garbage += 1;
    const now = performance.now();
    if (this.#garbage < MODULES || now - this.#last < this.#gapMs) return;
    this.#collect ??= runInNewContext('gc') as () => void;
    this.#collect();
    this.#garbage = 0;
    this.#last = performance.now();
  }
}
