/** First-fit allocation of contiguous board RAM, in 2 MiB steps, remembering which bytes were ever given out. */
import { alignUp } from '../lib/bits.ts';

export const RAM_GRANULE = 0x20_0000;

interface Extent { start: number; end: number }

export class RamAllocator {
  readonly sizeBytes: number;
  readonly #taken: Extent[] = [];
  /** Below this every byte may have been written; above it the memory is still zero. */
  #highWater = 0;

  /** @param sizeBytes RAM from HPA 0 that may be given to VMs */
  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  get usedBytes(): number { return this.#taken.reduce((sum, extent) => sum + extent.end - extent.start, 0); }

  get largestFreeBytes(): number {
    return Math.max(0, ...this.#holes().map((hole) => hole.end - hole.start));
  }

  #holes(): Extent[] {
    const holes: Extent[] = [];
    let at = 0;
    for (const extent of this.#taken) {
      if (extent.start > at) holes.push({ start: at, end: extent.start });
      at = extent.end;
    }
    if (at < this.sizeBytes) holes.push({ start: at, end: this.sizeBytes });
    return holes;
  }

  /** @returns the HPA and how many of its first bytes may hold old contents; undefined when no hole is large enough */
  allocate(bytes: number): { hpa: number; dirtyBytes: number } | undefined {
    const size = alignUp(bytes, RAM_GRANULE);
    const hole = this.#holes().find((h) => h.end - h.start >= size);
    if (hole === undefined) return undefined;
    this.#taken.push({ start: hole.start, end: hole.start + size });
    this.#taken.sort((a, b) => a.start - b.start);
    const dirtyBytes = Math.min(size, Math.max(0, this.#highWater - hole.start));
    this.#highWater = Math.max(this.#highWater, hole.start + size);
    return { hpa: hole.start, dirtyBytes };
  }

  free(hpa: number): void {
    const index = this.#taken.findIndex((extent) => extent.start === hpa);
    if (index >= 0) this.#taken.splice(index, 1);
  }
}
