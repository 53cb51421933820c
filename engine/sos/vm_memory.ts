/** A VM's RAM by GPA: views on the board's shared memory, never outside the VM's own ranges. */
import { layout } from '../core/tables/layout.ts';
import { WrittenPages } from '../core/written_pages.ts';
import type { GuestMemory } from '../lib/guest_memory.ts';
import type { EptRange } from '../hypervisor/arch/x86/ept.ts';

export class VmMemory implements GuestMemory {
  readonly sizeBytes: number;
  readonly ranges: ReadonlyArray<{ readonly gpa: number; readonly sizeBytes: number }>;
  readonly #ranges: readonly EptRange[];
  readonly #buffer: ArrayBufferLike;
  readonly #writtenPages: WrittenPages;

  constructor(buffer: ArrayBufferLike, ranges: readonly EptRange[]) {
    this.#buffer = buffer;
    this.#ranges = [...ranges].sort((a, b) => a.gpa - b.gpa);
    this.ranges = this.#ranges.map(({ gpa, sizeBytes }) => ({ gpa, sizeBytes }));
    this.sizeBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0);
    this.#writtenPages = new WrittenPages(buffer);
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
    const hpa = this.#hpa(gpa, length);
    if (hpa !== undefined) this.#writtenPages.note(hpa, length);
  }
}
