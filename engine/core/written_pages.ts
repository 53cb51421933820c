/**
 * What cores must be told when anything but a core writes board memory (device DMA, loaders, debuggers).
 *
 * @spec SDM vol. 3, 9.1.3 (code written by other agents is seen as written)
 */
import { layout } from './tables/layout.ts';

const PAGE = 4096;

export class WrittenPages {
  readonly #generation: Int32Array;
  readonly #code: Uint8Array;
  readonly #dmaEpoch: Int32Array;

  constructor(buffer: ArrayBufferLike) {
    const pages = Math.ceil((buffer.byteLength - layout.RAM_BASE) / PAGE);
    this.#generation = new Int32Array(buffer, layout.PAGE_GENERATION_BASE, pages);
    this.#code = new Uint8Array(buffer, layout.PAGE_CODE_BASE, pages);
    this.#dmaEpoch = new Int32Array(buffer, layout.DMA_EPOCH, 1);
  }

  /** To be called after `bytes` at an HPA were written: voids what was decoded from there. Cheap where that is nothing. */
  note(hpa: number, bytes: number): void {
    if (bytes <= 0) return;
    Atomics.add(this.#dmaEpoch, 0, 1);
    const last = Math.floor((hpa + bytes - 1) / PAGE);
    for (let page = Math.floor(hpa / PAGE); page <= last; page += 1) {
      if (Atomics.load(this.#code, page) !== 0) Atomics.add(this.#generation, page, 1);
    }
  }
}
