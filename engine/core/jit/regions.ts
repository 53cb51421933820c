/**
 * Which pages become one function: a sample of the steps between compiled functions (assembly/jit.ts sampleStep) is counted
 * per pair of pages, and pairs with many steps are joined, the busiest first.
 */

/** One of the steps that were noted; pages are named by a key of the caller's. */
export interface Step {
  readonly from: number;
  readonly to: number;
  /** From the linear address of the one to that of the other, in pages. */
  readonly distance: number;
}

interface Edge extends Step { count: number }

/** A set of pages with their linear distances from one of them. */
export type Members = Map<number, number>;

/** What is known about a page that may be joined with others. */
export interface Candidate {
  /** All pages of its function with their distances from it, itself included. */
  readonly members: Members;
  /** Guest instructions of the function. */
  readonly instructions: number;
}

export interface RegionLimits {
  /** Guest instructions and pages of a region. */
  readonly instructions: number;
  readonly pages: number;
  /** Notes of a pair, from when on it is joined; a quarter of that joins a pair to a region that is made anyway. */
  readonly notes: number;
}

/** Notes after which all counts are halved: what is rare never adds up. */
const FADE = 4096;

export class StepProfile {
  readonly #edges = new Map<number, Map<number, Edge>>();
  #notes = 0;

  /** Counts a step; returns the count of its pair. */
  note({ from, to, distance }: Step): number {
    this.#notes += 1;
    if (this.#notes % FADE === 0) this.#fade();
    let edge = this.#edges.get(from)?.get(to);
    if (edge === undefined || edge.distance !== distance) {
      edge = { from, to, distance, count: 0 };
      this.#put(edge);
      this.#put({ from: to, to: from, distance: -distance, count: 0 });
    }
    return this.#add(from, to);
  }

  /** The pages that are to be one function with page `seed`. Pages for which `candidate` returns undefined stay out. */
  region(seed: number, candidate: (page: number) => Candidate | undefined, limits: RegionLimits): Members {
    const first = candidate(seed);
    const members: Members = new Map();
    if (first === undefined) return members;
    let instructions = 0;
    const join = (page: number, distance: number, { members: pages, instructions: adds }: Candidate): boolean => {
      const taken = new Set(members.values());
      const clash = [...pages].some(([other, d]) => !members.has(other) && taken.has(distance + d));
      if (clash || instructions + adds > limits.instructions || members.size + pages.size > limits.pages) return false;
      for (const [other, d] of pages) if (!members.has(other)) members.set(other, distance + d);
      instructions += adds;
      return members.has(page);
    };
    if (!join(seed, 0, first)) return members;
    const refused = new Set<number>();
    for (;;) {
      let best: Edge | undefined;
      for (const page of members.keys()) {
        for (const edge of this.#edges.get(page)?.values() ?? []) {
          if (!members.has(edge.to) && !refused.has(edge.to) && edge.count * 4 >= limits.notes && edge.count > (best?.count ?? 0)) best = edge;
        }
      }
      if (best === undefined) return members;
      const other = candidate(best.to);
      if (other === undefined || !join(best.to, members.get(best.from)! + best.distance, other)) refused.add(best.to);
    }
  }

  /** Forgets the steps between these pages. */
  forget(pages: ReadonlySet<number>): void {
    for (const page of pages) {
      const edges = this.#edges.get(page);
      for (const other of edges?.keys() ?? []) if (pages.has(other)) edges!.delete(other);
    }
  }

  clear(): void { this.#edges.clear(); }

  #put(edge: Edge): void {
    let edges = this.#edges.get(edge.from);
    if (edges === undefined) this.#edges.set(edge.from, edges = new Map());
    edges.set(edge.to, edge);
  }

  #add(from: number, to: number): number {
    const there = this.#edges.get(from)!.get(to)!;
    const back = this.#edges.get(to)!.get(from)!;
    there.count += 1;
    back.count = there.count;
    return there.count;
  }

  #fade(): void {
    for (const [from, edges] of this.#edges) {
      for (const [to, edge] of edges) {
        edge.count >>= 1;
        if (edge.count === 0) edges.delete(to);
      }
      if (edges.size === 0) this.#edges.delete(from);
    }
  }
}
