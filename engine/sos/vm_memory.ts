/** A VM's RAM by GPA: views on the board's shared memory, never outside the VM's own ranges. */
import { layout } from '../core/tables/layout.ts';
import type { GuestMemory } from '../lib/guest_memory.ts';
import type { EptRange } from '../hypervisor/arch/x86/ept.ts';

const PAGE = 0x1000;

export class VmMemory implements GuestMemory {
  readonly sizeBytes: number;
  readonly ranges: ReadonlyArray<{ readonly gpa: number; readonly sizeBytes: number }>;
  readonly #ranges: readonly EptRange[];
  readonly #buffer: ArrayBufferLike;
  readonly #generation: Int32Array;
  readonly #code: Uint8Array;
  readonly #dmaEpoch: Int32Array;

  constructor(buffer: ArrayBufferLike, ranges: readonly EptRange[]) {
    this.#buffer = buffer;
    this.#ranges = [...ranges].sort((a, b) => a.gpa - b.gpa);
    this.ranges = this.#ranges.map(({ gpa, sizeBytes }) => ({ gpa, sizeBytes }));
    this.sizeBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0);
    const pages = Math.ceil((buffer.byteLength - layout.RAM_BASE) / PAGE);
    this.#generation = new Int32Array(buffer, layout.PAGE_GENERATION_BASE, pages);
    this.#code = new Uint8Array(buffer, layout.PAGE_CODE_BASE, pages);
    this.#dmaEpoch = new Int32Array(buffer, layout.DMA_EPOCH, 1);
  }

  /** HPA of [gpa, gpa + length); undefined unless one range holds all of it. */
  #hpa(gpa: number, length: number): number | undefined {
    if (!Number.isSafeInteger(gpa) || !Number.isSafeInteger(length) || length < 0) return undefined;
    for (const range of this.#ranges) {
      if (gpa >= range.gpa && gpa + length <= range.gpa + range.sizeBytes) return range.hpa + (gpa - range.gpa);
    }
    return undefined;
  }

  view(gpa: number, length: number): Uint8Array | undefined {
    const hpa = this.#hpa(gpa, length);
    return hpa === undefined ? undefined : new Uint8Array(this.#buffer, layout.RAM_BASE + hpa, length);
  }

  words(gpa: number, count: number): Int32Array | undefined {
    if (gpa % 4 !== 0) return undefined;
    const hpa = this.#hpa(gpa, count * 4);
    return hpa === undefined ? undefined : new Int32Array(this.#buffer, layout.RAM_BASE + hpa, count);
  }

  written(gpa: number, length: number): void {
    if (length === 0) return;
    const hpa = this.#hpa(gpa, length);
    if (hpa === undefined) return;
    Atomics.add(this.#dmaEpoch, 0, 1);
    const last = Math.floor((hpa + length - 1) / PAGE);
    for (let page = Math.floor(hpa / PAGE); page <= last; page++) {
      if (Atomics.load(this.#code, page) !== 0) Atomics.add(this.#generation, page, 1);
    }
  }
}
