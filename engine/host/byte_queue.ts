/**
 * The two buffers of a character backend: bytes on their way in, and a bounded ring for bytes on their way out.
 */

/** Chunks in arrival order; taken in pieces of any size. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number { return this.#length; }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** At most `max` bytes, from one chunk: a view, no copy. */
  take(max: number): Uint8Array {
    const first = this.#chunks[0];
    if (first === undefined) return new Uint8Array(0);
    if (first.length <= max) {
      this.#chunks.shift();
      this.#length -= first.length;
      return first;
    }
    this.#chunks[0] = first.subarray(max);
    this.#length -= max;
    return first.subarray(0, max);
  }

  clear(): void {
    this.#chunks = [];
    this.#length = 0;
  }
}

const FIRST_BYTES = 16384;

/** A byte ring that grows to its bound and then forgets its oldest bytes. */
export class DropOldestRing {
  readonly limit: number;
  /** Bytes forgotten so far. */
  dropped = 0;
  #ring = new Uint8Array(0);
  #head = 0;
  #length = 0;

  /** @param limit the bound, in bytes */
  constructor(limit: number) { this.limit = limit; }

  get length(): number { return this.#length; }

  push(bytes: Uint8Array): void {
    const kept = bytes.length > this.limit ? bytes.subarray(bytes.length - this.limit) : bytes;
    this.dropped += bytes.length - kept.length;
    const excess = this.#length + kept.length - this.limit;
    if (excess > 0) {
      this.#skip(excess);
      this.dropped += excess;
    }
    this.#reserve(this.#length + kept.length);
    const tail = (this.#head + this.#length) % this.#ring.length;
    const first = Math.min(kept.length, this.#ring.length - tail);
    this.#ring.set(kept.subarray(0, first), tail);
    this.#ring.set(kept.subarray(first), 0);
    this.#length += kept.length;
  }

  /** Takes at most `max` bytes out: a copy. */
  take(max: number): Uint8Array {
    const count = Math.min(max, this.#length);
    const out = new Uint8Array(count);
    const first = Math.min(count, this.#ring.length - this.#head);
    out.set(this.#ring.subarray(this.#head, this.#head + first));
    out.set(this.#ring.subarray(0, count - first), first);
    this.#skip(count);
    return out;
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
  }

  #skip(count: number): void {
    this.#length -= count;
    this.#head = this.#length === 0 ? 0 : (this.#head + count) % this.#ring.length;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#ring.length) return;
    let size = Math.max(FIRST_BYTES, this.#ring.length);
    while (size < bytes) size *= 2;
    const grown = new Uint8Array(Math.min(size, this.limit));
    const { length } = this;
    const first = Math.min(length, this.#ring.length - this.#head);
    grown.set(this.#ring.subarray(this.#head, this.#head + first));
    grown.set(this.#ring.subarray(0, length - first), first);
    this.#ring = grown;
    this.#head = 0;
  }
}
