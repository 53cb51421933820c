/** Bits and 64-bit values held as two unsigned halves: what register code needs and JavaScript's operators lack. */

/** Index of the highest set bit of a 32-bit word; -1 when it is zero. */
export function fls32(word: number): number {
  return 31 - Math.clz32(word);
}

export function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** Rounds up to a multiple of a power of two; exact beyond 32 bits. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

/** All ones in `size` bytes: what a bus nobody drives reads as. */
export function openBus(size: number): bigint {
  return (1n << BigInt(size * 8)) - 1n;
}

export function hex(value: number | bigint, digits = 0): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
