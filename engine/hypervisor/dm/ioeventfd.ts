/**
 * The table of writes that complete at once: a match only sets its FIRED bit and rings the doorbell.
 * The device model's thread owns the table; vCPU threads read it.
 */
import { IOEVENTFD_STRIDE, MAX_IOEVENTFDS, VM, type HvShared } from '../shared.ts';

const W = { KIND: 0, ADDRESS_LOW: 1, ADDRESS_HIGH: 2, SIZE: 3, HAS_DATA: 4, DATA: 5 } as const;
const KIND = { pio: 1, mmio: 2 } as const;
const STRIDE = IOEVENTFD_STRIDE / 4;
const BITS = 32;
/** Of entry `index`: its word, from the VM's area on, and its bit there. */
const firedWord = (index: number): number => VM.IOEVENTFD_FIRED / 4 + (index >>> 5);
const firedBit = (index: number): number => 1 << (index & 31);

export interface IoeventfdMatch {
  space: 'pio' | 'mmio';
  address: number;
  size: number;
  /** undefined matches every value. */
  data?: number;
}

/** The owner's side. */
export class IoeventfdTable {
  readonly #shared: HvShared;
  readonly #vm: number;
  readonly #kicks = new Map<number, () => void>();

  constructor(shared: HvShared, slot: number) {
    this.#shared = shared;
    this.#vm = shared.vm(slot) / 4;
  }

  #row(index: number): number { return this.#vm + VM.IOEVENTFD_TABLE / 4 + index * STRIDE; }

  /** Returns its own removal; undefined when the table is full. */
  assign(match: IoeventfdMatch, kick: () => void): (() => void) | undefined {
    const words = this.#shared.words;
    let index = 0;
    while (index < MAX_IOEVENTFDS && this.#kicks.has(index)) index++;
    if (index === MAX_IOEVENTFDS) return undefined;
    const row = this.#row(index);
    words[row + W.ADDRESS_LOW] = match.address | 0;
    words[row + W.ADDRESS_HIGH] = Math.floor(match.address / 2 ** 32);
    words[row + W.SIZE] = match.size;
    words[row + W.HAS_DATA] = match.data === undefined ? 0 : 1;
    words[row + W.DATA] = (match.data ?? 0) | 0;
    Atomics.and(words, this.#vm + firedWord(index), ~firedBit(index));
    Atomics.store(words, row + W.KIND, KIND[match.space]);
    this.#kicks.set(index, kick);
    if (index >= words[this.#vm + VM.IOEVENTFD_COUNT / 4]) Atomics.store(words, this.#vm + VM.IOEVENTFD_COUNT / 4, index + 1);
    Atomics.add(words, this.#vm + VM.IOEVENTFD_GENERATION / 4, 1);
    return () => {
      if (this.#kicks.get(index) !== kick) return;
      this.#kicks.delete(index);
      Atomics.store(words, row + W.KIND, 0);
      Atomics.add(words, this.#vm + VM.IOEVENTFD_GENERATION / 4, 1);
    };
  }

  /** Calls the kick of every entry that fired; returns whether there was one. */
  drain(): boolean {
    const words = this.#shared.words;
    let any = false;
    for (let index = 0; index < words[this.#vm + VM.IOEVENTFD_COUNT / 4]; index += BITS) {
      const word = this.#vm + firedWord(index);
      if (words[word] === 0) continue;
      for (let fired = Atomics.exchange(words, word, 0); fired !== 0; fired &= fired - 1) {
        any = true;
        this.#kicks.get(index + 31 - Math.clz32(fired & -fired))?.();
      }
    }
    return any;
  }
}

interface Entry { size: number; data: number | undefined; index: number }

/** The vCPU's side: a copy of the table by address, renewed when its generation moved. */
export class IoeventfdMatcher {
  readonly #shared: HvShared;
  readonly #vm: number;
  #generation = 0;
  #pio = new Map<number, Entry[]>();
  #mmio = new Map<number, Entry[]>();

  constructor(shared: HvShared, slot: number) {
    this.#shared = shared;
    this.#vm = shared.vm(slot) / 4;
  }

  /** True: the write is done. */
  fire(space: 'pio' | 'mmio', address: number, size: number, value: bigint): boolean {
    const generation = Atomics.load(this.#shared.words, this.#vm + VM.IOEVENTFD_GENERATION / 4);
    if (generation !== this.#generation) this.#reload(generation);
    const entries = (space === 'pio' ? this.#pio : this.#mmio).get(address);
    if (entries === undefined) return false;
    for (const entry of entries) {
      if (entry.size < size) continue;
      if (entry.data !== undefined && entry.data !== Number(value & 0xffff_ffffn)) continue;
      const bit = firedBit(entry.index);
      if ((Atomics.or(this.#shared.words, this.#vm + firedWord(entry.index), bit) & bit) === 0) this.#shared.ringDoorbell();
      return true;
    }
    return false;
  }

  #reload(generation: number): void {
    const words = this.#shared.words;
    this.#generation = generation;
    this.#pio = new Map();
    this.#mmio = new Map();
    const count = Math.min(Atomics.load(words, this.#vm + VM.IOEVENTFD_COUNT / 4), MAX_IOEVENTFDS);
    for (let index = 0; index < count; index++) {
      const row = this.#vm + VM.IOEVENTFD_TABLE / 4 + index * STRIDE;
      const kind = Atomics.load(words, row + W.KIND);
      if (kind === 0) continue;
      const address = (words[row + W.ADDRESS_LOW] >>> 0) + words[row + W.ADDRESS_HIGH] * 2 ** 32;
      const map = kind === KIND.pio ? this.#pio : this.#mmio;
      const entry = { size: words[row + W.SIZE], data: words[row + W.HAS_DATA] === 0 ? undefined : words[row + W.DATA] >>> 0, index };
      map.set(address, [...(map.get(address) ?? []), entry]);
    }
  }
}
