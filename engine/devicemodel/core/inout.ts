/**
 * Port I/O of a User VM: finds the device behind a port and runs the request.
 *
 * @spec   ACRN devicemodel core/inout.c; reference/acrn-device-model.md section 3
 * @cover  #Y 1, 2 and 4 byte accesses, open bus   #P the first unhandled access of each port is logged, later ones are silent
 */
import type { IoRequest } from '../../sos/vhm_if.ts';
import { RangeMap, allOnes } from './ranges.ts';
import type { RangeHandler } from './ranges.ts';

const LOGGED_PORTS_MAX = 64; // a guest that sweeps the port space does not fill the log
const SUFFIX: Record<number, string> = { 1: 'b', 2: 'w', 4: 'l' };

export class InoutMap {
  readonly #map = new RangeMap();
  readonly #logged = new Set<number>();
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) { this.#log = log; }

  /** register_inout */
  register(name: string, base: number, size: number, handler: RangeHandler): () => void {
    return this.#map.register(name, base, size, handler);
  }

  /** emulate_inout: a read's answer is left in the request. */
  emulate(request: IoRequest): void {
    const { address, size } = request;
    const range = this.#map.find(address, size);
    if (!range) {
      if (!this.#logged.has(address) && this.#logged.size < LOGGED_PORTS_MAX) {
        this.#logged.add(address);
        this.#log(`Unhandled ${request.direction === 'read' ? 'in' : 'out'}${SUFFIX[size] ?? ''} 0x${address.toString(16).padStart(4, '0')}`);
      }
      if (request.direction === 'read') request.value = BigInt(allOnes(size));
      return;
    }
    if (request.direction === 'read') request.value = BigInt((range.handler.read(address - range.base, size) & allOnes(size)) >>> 0);
    else range.handler.write(address - range.base, size, Number(BigInt.asUintN(8 * Math.min(size, 4), request.value)));
  }
}

/** A handler for devices whose registers are bytes: wider accesses become consecutive byte accesses, lowest first. */
export function byteRegisters(read: (offset: number) => number, write: (offset: number, value: number) => void): RangeHandler {
  return {
    read(offset, size) {
      let value = 0;
      for (let i = 0; i < size; i++) value |= (read(offset + i) & 0xff) << (8 * i);
      return value >>> 0;
    },
    write(offset, size, value) {
      for (let i = 0; i < size; i++) write(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };
}
