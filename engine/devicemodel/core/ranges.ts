/**
 * Address decoding shared by ports and memory: which device answers an address.
 *
 * @spec   reference/acrn-device-model.md section 3 (unclaimed addresses read all ones, writes are dropped)
 * @differ Ranges may overlap, as BARs do while a guest moves them; the range registered first answers until it leaves.
 */

/** Reads and writes of one claimed range; offsets are relative to its start. Values are unsigned, up to 32 bits. */
export interface RangeHandler {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

interface Range {
  readonly base: number;
  readonly end: number;
  readonly name: string;
  readonly handler: RangeHandler;
}

/** All ones as an unsigned number of `size` bytes (1, 2 or 4). */
export function allOnes(size: number): number {
  return size >= 4 ? 0xffffffff : (1 << (8 * size)) - 1;
}

export class RangeMap {
  #ranges: Range[] = [];
  #last: Range | undefined;

  /** Claims [base, base + size); returns its own removal. */
  register(name: string, base: number, size: number, handler: RangeHandler): () => void {
    const range: Range = { base, end: base + size, name, handler };
    this.#ranges.push(range);
    this.#last = undefined;
    return () => {
      this.#ranges = this.#ranges.filter((other) => other !== range);
      this.#last = undefined;
    };
  }

  /** The range that holds the whole access, if any. */
  find(address: number, size: number): Range | undefined {
    const last = this.#last;
    if (last && address >= last.base && address + size <= last.end) return last;
    for (const range of this.#ranges) {
      if (address >= range.base && address + size <= range.end) return (this.#last = range);
    }
    return undefined;
  }

  /** Names of the claimed ranges, for `Unhandled` messages and tests. */
  describe(): string[] {
    return this.#ranges.map((range) => `${range.name} 0x${range.base.toString(16)}-0x${(range.end - 1).toString(16)}`);
  }
}
