/**
 * Keeps what was compiled, and finds it again: between the compiler's thread and the files (store.ts). Functions are written some time
 * after they were compiled, while there is nothing to compile; of several for the same page the last one.
 */
import type { CodeBytes, CompiledRegion, CompileRequest, KeptChoice, KeptModule, LoadRequest, Workspace } from './batch.ts';
import { compileOne } from './batch.ts';
import { nativeCode, withNativeCode } from './native.ts';
import { placeValues } from './places.ts';
import { isImage, isSameCode } from './relocation.ts';
import type { CodeStore, KeptFunction, KeptPage } from './store.ts';
import { hashPlace, imagePlace, isKeptAt, keptKey, movedBy } from './store.ts';
import { compileBaseline } from './tiers.ts';

/** A function that was compiled, the code that it was made of, and its module, where that has no other function. */
export interface Compiled {
  readonly request: CompileRequest;
  readonly region: CompiledRegion;
  readonly source: readonly CodeBytes[];
  readonly built: KeptModule | undefined;
  /** Of an optimised one. */
  readonly module: WebAssembly.Module | undefined;
}

/** A function as it was found again. */
export interface Loaded { readonly choice: KeptChoice; readonly module: WebAssembly.Module; readonly region: CompiledRegion; readonly values: readonly number[] }

/** How many times as long as an optimised function a baseline one waits for another in its place: mostly for the thread's end. */
const BASELINE_RESTS = 150;
/** Functions written in one rest at most: two in a second, so that a guest that does nothing is seen to take nothing. */
const WRITES = 4;

/** `places`: how its pages are found. */
interface Waiting { readonly compiled: Compiled; readonly places: readonly string[]; readonly due: number }

export class Keeper {
  readonly store: CodeStore;
  readonly #work: Workspace;
  /** By what is in the file's name: VMs that run the same have it written once. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #busy: () => boolean;
  readonly #written: () => void;
  readonly #log: (line: string) => void;
  readonly #restMs: number;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  /**
   * `busy`: the thread has better things to do. `restMs`: how long an optimised function waits for another in its place. `written` is called
   * when all is written; `log` is told of a folder that cannot be written to.
   */
  constructor(store: CodeStore, work: Workspace, busy: () => boolean, restMs: number, written: () => void, log: (line: string) => void) {
    this.store = store;
    this.#work = work;
    this.#busy = busy;
    this.#restMs = restMs;
    this.#written = written;
    this.#log = log;
  }

  /** Some time this function should be written to a file. */
  keep(compiled: Compiled): void {
    const { request: { linear, moved, mode, features, pages }, region: { optimised } } = compiled;
    // Baseline code of several pages is on its way to optimised code, and each page has a file by itself.
    if (this.#failed || !isKeptAt(linear, mode) || (isImage(linear) && moved === undefined) || (!optimised && pages.length > 1)) return;
    const places = this.#placesOf(compiled);
    const key = (place: string, tier: boolean): string => `${keptKey(place, mode, features)} ${tier}`;
    for (const place of places) {
      this.#waiting.delete(key(place, false));
      if (optimised) this.#waiting.delete(key(place, true));
    }
    this.#waiting.set(key(places[0], optimised), { compiled, places, due: performance.now() + this.#restMs * (optimised ? 1 : BASELINE_RESTS) });
    this.#timer ??= setTimeout(() => this.#write(), this.#restMs).unref();
  }

  /** Writes what waits, for so long at most: the thread is about to end. */
  finish(limitMs: number): void {
    clearTimeout(this.#timer);
    const end = performance.now() + limitMs;
    while (performance.now() < end && this.#writeNext(Infinity));
  }

  #write(): void {
    this.#timer = undefined;
    const goesOn = !this.#busy() && this.#writeNext(performance.now());
    if (this.#waiting.size === 0) this.#written();
    else this.#timer = setTimeout(() => this.#write(), goesOn ? this.#restMs / WRITES : this.#restMs).unref();
  }

  /** Writes one that has waited until `now`; false when there is none. */
  #writeNext(now: number): boolean {
    const next = [...this.#waiting].find(([, { due }]) => due <= now);
    if (next === undefined) return false;
    this.#waiting.delete(next[0]);
    try {
      this.#save(next[1]);
    } catch (error) {
      this.#failed = true;
      this.#waiting.clear();
      this.#log(`compiled code is kept no more: ${error instanceof Error ? error.message : String(error)}`);
    }
    return true;
  }

  #placesOf({ request: { linear, moved }, region: { distances }, source }: Compiled): string[] {
    this.#work.putBack(source);
    return distances.map((distance, n) => {
      const there = linear + BigInt(distance) * 4096n;
      return isImage(there) ? imagePlace(there - BigInt(moved!)) : hashPlace(this.#work.core.pageHash(this.#work.copyOf(n)));
    });
  }

  #save({ compiled: { request, region, source, built, module }, places }: Waiting): void {
    this.#work.putBack(source);
    const made = compileOne(request, source, built, this.#work);
    if (made === undefined) return;
    const pages = region.pages.map(({ leaders, entries, behind }, n): KeptPage => {
      const { ranges, sites, behind: bytes } = made.used[n];
      return {
        distance: region.distances[n], bytes: source[n].bytes, ranges, sites, leaders, entries,
        behind: behind === undefined ? undefined : { offset: behind.offset, bytes: source[n].behind!.slice(0, bytes) },
      };
    });
    const { mode, features, optimised, instructions } = region;
    const f: KeptFunction = { linear: request.linear, mode, features, optimised, instructions, pages, places: made.module.places, wasm: made.module.bytes, native: module === undefined ? undefined : nativeCode(module) };
    this.store.save(f, places);
  }

  /** The first of the kept functions that a pCPU asks for whose code is what the pages have. */
  load(request: LoadRequest): Loaded | undefined {
    for (const choice of request.choices) {
      const f = this.store.load(choice.name);
      const loaded = f && this.#load(f, request, choice);
      if (loaded !== undefined) return loaded;
    }
    return undefined;
  }

  #load(f: KeptFunction, { linear, mode, features }: LoadRequest, choice: KeptChoice): Loaded | undefined {
    const { pages } = choice;
    if (f.mode !== mode || f.features !== features || f.pages.length !== pages.length) return undefined;
    const there = this.#work.copy(pages);
    const distance = movedBy(f, linear + BigInt(pages[0].distance) * 4096n);
    const same = f.pages.every(({ bytes, ranges, sites, behind }, n) => isSameCode(bytes, there[n].bytes, ranges, sites, distance)
      && (behind === undefined || (there[n].behind !== undefined && Buffer.compare(behind.bytes, there[n].behind.subarray(0, behind.bytes.length)) === 0)));
    if (!same) return undefined;
    const region: CompiledRegion = {
      mode, features, optimised: f.optimised, instructions: f.instructions, distances: pages.map((page) => page.distance),
      pages: pages.map(({ page, generation, behind }, n) => {
        const { leaders, entries, behind: kept } = f.pages[n];
        return { page, generation, leaders, entries, behind: behind === undefined || kept === undefined ? undefined : { ...behind, offset: kept.offset } };
      }),
    };
    const values = placeValues(f.places, [region.pages], distance, (bytes) => this.#work.records.add(bytes));
    if (values === undefined) return undefined;
    // To optimise here and now would take far too long.
    const module = f.optimised ? f.native && withNativeCode(f.wasm, f.native) : compileBaseline(f.wasm);
    return module && { choice, module, region, values };
  }
}
