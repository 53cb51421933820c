/**
 * Memory-mapped I/O of a User VM: finds the device behind a guest physical address and runs the request.
 *
 * @spec   ACRN devicemodel core/mem.c; reference/acrn-device-model.md sections 3 and 5.2
 * @cover  #Y 1, 2 and 4 byte accesses, 8 bytes as two halves, open bus
 *         #P the first unhandled access of each page is logged, later ones are silent
 */
import type { IoRequest } from '../../sos/vhm_if.ts';
import { RangeMap } from './ranges.ts';
import type { RangeHandler } from './ranges.ts';

const LOGGED_PAGES_MAX = 64;
const LOW32 = 0xffffffffn;

export class MmioMap {
  readonly #map = new RangeMap();
  readonly #logged = new Set<number>();
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) { this.#log = log; }

  /** register_mem */
  register(name: string, base: number, size: number, handler: RangeHandler): () => void {
    return this.#map.register(name, base, size, handler);
  }

  /** emulate_mem: a read's answer is left in the request. */
  emulate(request: IoRequest): void {
    const { address, size } = request;
    const range = this.#map.find(address, size);
    const read = request.direction === 'read';
    if (!range) {
      const page = Math.floor(address / 4096);
      if (!this.#logged.has(page) && this.#logged.size < LOGGED_PAGES_MAX) {
        this.#logged.add(page);
        this.#log(`Unhandled memory access to 0x${address.toString(16)}`);
      }
      if (read) request.value = BigInt.asUintN(8 * size, -1n);
      return;
    }
    const offset = address - range.base;
    if (size === 8) {
      if (read) {
        const low = BigInt(range.handler.read(offset, 4) >>> 0);
        request.value = low | (BigInt(range.handler.read(offset + 4, 4) >>> 0) << 32n);
      } else {
        range.handler.write(offset, 4, Number(request.value & LOW32));
        range.handler.write(offset + 4, 4, Number((request.value >> 32n) & LOW32));
      }
    } else if (read) {
      request.value = BigInt.asUintN(8 * size, BigInt(range.handler.read(offset, size) >>> 0));
    } else {
      range.handler.write(offset, size, Number(BigInt.asUintN(8 * size, request.value)));
    }
  }
}
