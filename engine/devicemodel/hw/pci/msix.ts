/**
 * MSI-X table and pending bits of one function.
 *
 * @spec   PCI Local Bus 3.0 section 6.8.2; reference/acrn-device-model.md section 5.2
 * @cover  #Y table, function and vector mask, pending bits
 * @differ ACRN drops the message of a masked vector and reads the PBA as 0; here it stays pending and is sent on unmask,
 *         as the specification says.
 */
const ENTRY_BYTES = 16;
const VECTOR_CONTROL = 12;
const VECTOR_MASKED = 1;
const PAGE = 4096;

export class MsixTable {
  readonly count: number;
  readonly pbaOffset: number;
  /** Bytes of table and PBA together; the BAR is rounded up from this. */
  readonly sizeBytes: number;
  readonly #entries: Uint32Array;
  readonly #pending: Uint32Array;
  readonly #send: (address: number, data: number) => void;
  #enabled = false;
  #functionMasked = false;

  constructor(count: number, send: (address: number, data: number) => void) {
    this.count = count;
    this.pbaOffset = Math.ceil((count * ENTRY_BYTES) / PAGE) * PAGE;
    this.#entries = new Uint32Array(count * 4);
    this.#pending = new Uint32Array(Math.ceil(count / 64) * 2);
    this.sizeBytes = this.pbaOffset + this.#pending.byteLength;
    this.#send = send;
    this.reset();
  }

  get enabled(): boolean { return this.#enabled; }

  /** Message control changed. */
  control(enabled: boolean, functionMasked: boolean): void {
    this.#enabled = enabled;
    this.#functionMasked = functionMasked;
    if (enabled && !functionMasked) for (let i = 0; i < this.count; i++) this.#deliverPending(i);
  }

  /** Does an access at this BAR offset belong to the table or the PBA? */
  owns(offset: number): boolean { return offset < this.sizeBytes; }

  read(offset: number, size: number): number {
    const words = offset >= this.pbaOffset ? this.#pending : this.#entries;
    const at = offset >= this.pbaOffset ? offset - this.pbaOffset : offset;
    const word = words[at >> 2] ?? 0;
    const shifted = word >>> (8 * (at & 3));
    return size >= 4 ? shifted >>> 0 : (shifted & ((1 << (8 * size)) - 1)) >>> 0;
  }

  /** Only whole aligned words reach the table; the PBA is read only. */
  write(offset: number, size: number, value: number): void {
    if (size !== 4 || (offset & 3) !== 0 || offset >= this.count * ENTRY_BYTES) return;
    const field = offset % ENTRY_BYTES;
    this.#entries[offset >> 2] = field === VECTOR_CONTROL ? value & VECTOR_MASKED : field === 0 ? value & ~3 : value;
    if (field === VECTOR_CONTROL) this.#deliverPending(Math.floor(offset / ENTRY_BYTES));
  }

  generate(index: number): void {
    if (!this.#enabled || index < 0 || index >= this.count) return;
    if (this.#functionMasked || this.#entries[index * 4 + 3] & VECTOR_MASKED) {
      this.#pending[index >> 5] |= 1 << (index & 31);
      return;
    }
    this.#send(this.#entries[index * 4], this.#entries[index * 4 + 2]);
  }

  reset(): void {
    this.#entries.fill(0);
    this.#pending.fill(0);
    for (let i = 0; i < this.count; i++) this.#entries[i * 4 + 3] = VECTOR_MASKED;
    this.#enabled = false;
    this.#functionMasked = false;
  }

  #deliverPending(index: number): void {
    const bit = 1 << (index & 31);
    if (!this.#enabled || this.#functionMasked || !(this.#pending[index >> 5] & bit)) return;
    if (this.#entries[index * 4 + 3] & VECTOR_MASKED) return;
    this.#pending[index >> 5] &= ~bit;
    this.#send(this.#entries[index * 4], this.#entries[index * 4 + 2]);
  }
}
