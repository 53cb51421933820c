/**
 * The machine that fuzzing runs guests on, and its alarm wires: everything of the NUC's memory that a guest must not be
 * able to change is compared with what it was.
 *
 * With EPT the guest's 4 MiB lie in the middle of the board's RAM; the rest plays other VMs, of which one page is mapped
 * read-only. Without EPT the guest owns all RAM, and only the engine's own memory is watched.
 */
import { Core, EXIT, createMemory } from '../../engine/core/core.ts';
import { S } from '../../engine/core/gen/state.ts';
import { SCRATCH_RECORD } from '../../engine/core/jit/layout.ts';
import { MAX_PCPUS, layout } from '../../engine/core/tables/layout.ts';
import type { Random } from '../differential/random.ts';

export const GUEST_BYTES = 4 << 20;
const BOARD_BYTES = 12 << 20;
/** With EPT: where the guest lies on the board, and its EPT tables. */
const GUEST_HPA = 4 << 20;
const EPT_TABLES = 9 << 20;
const EPT_PAGES = 6;
/** Read-only in the guest, just behind its RAM: another VM's page. */
const FOREIGN_HPA = 10 << 20;
const EPT_RIGHTS = 7n;
const WRITE_BACK = 6n << 3n;
const ACCESSED_DIRTY = 0x300n;
/** In pCPU 0's block, words that all pCPUs share: the bus lock, free between runs, and counts (assembly/code_page.ts, written_pages.ts). */
const SHARED_WORDS = 0x3_0000;
const CODE_EPOCH = 8;
/** Which pCPU of the four the guest runs on. */
const PCPU = 1;

export type EptKind = 'none' | 'plain' | 'accessed and dirty';

/** Reasons that run() or vmexit may name: SDM appendix C, as far as the core has them, and BUDGET. */
const REASONS: ReadonlySet<number> = new Set(Object.values(EXIT));

export class FuzzMachine {
  readonly core: Core;
  /** The guest's RAM. */
  readonly ram: Buffer;
  readonly ept: EptKind;
  readonly memory: WebAssembly.Memory;
  /** HPA of the guest's RAM. */
  readonly base: number;
  /** Exits seen in the middle of instructions, by reason. */
  readonly exits = new Map<number, number>();
  #r: Random | undefined;
  #now = 0;
  readonly #bytes: Uint8Array;
  /** [from, to) of memory that never changes, and what is in it. */
  readonly #guarded: Array<{ from: number; was: Buffer }> = [];
  /** [from, to) of memory that is zero for ever. */
  readonly #empty: Array<readonly [number, number]> = [];
  readonly #eptWas: BigUint64Array;

  constructor(module: WebAssembly.Module, ept: EptKind, options: { jit?: 'off' | 'on'; jitThreshold?: number } = {}) {
    this.ept = ept;
    const board = ept === 'none' ? GUEST_BYTES : BOARD_BYTES;
    this.base = ept === 'none' ? 0 : GUEST_HPA;
    this.memory = createMemory(board);
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.core = new Core(module, this.memory, PCPU, {
      vmexit: (reason) => this.#vmexit(reason),
      timeNs: () => { this.#now += 100; return this.#now; },
    }, options);
    this.core.reset();
    this.ram = Buffer.from(this.memory.buffer, layout.RAM_BASE + this.base, GUEST_BYTES);
    if (ept !== 'none') this.#buildEpt();
    this.#eptWas = new BigUint64Array(EPT_PAGES * 512);
    if (ept !== 'none') this.#eptWas.set(this.#eptWords());
    this.#setAlarms(board);
  }

  /** Guest-physical 0 to 4 MiB is the guest's RAM in 4 KiB pages; the page behind it is another's, read-only. */
  #buildEpt(): void {
    const set = (page: number, index: number, value: bigint): void => {
      Buffer.from(this.memory.buffer, layout.RAM_BASE + EPT_TABLES, EPT_PAGES * 4096).writeBigUInt64LE(value, page * 4096 + index * 8);
    };
    for (let level = 0; level < 2; level += 1) set(level, 0, BigInt(EPT_TABLES + (level + 1) * 4096) | EPT_RIGHTS);
    for (let table = 0; table < 3; table += 1) set(2, table, BigInt(EPT_TABLES + (3 + table) * 4096) | EPT_RIGHTS);
    for (let page = 0; page < GUEST_BYTES >> 12; page += 1) set(3 + (page >> 9), page & 511, BigInt(GUEST_HPA + page * 4096) | EPT_RIGHTS | WRITE_BACK);
    set(5, 0, BigInt(FOREIGN_HPA) | 5n | WRITE_BACK);
    set(5, 1, BigInt(FOREIGN_HPA + 4096) | 1n | WRITE_BACK);
    this.core.setU64(S.EPTP, BigInt(EPT_TABLES) | 0x1en | (this.ept === 'plain' ? 0n : 0x40n));
    this.core.syncAfterStateWrite();
  }

  #eptWords(): BigUint64Array { return new BigUint64Array(this.memory.buffer, layout.RAM_BASE + EPT_TABLES, EPT_PAGES * 512); }

  #setAlarms(board: number): void {
    const keep = (from: number, bytes: number): void => { this.#guarded.push({ from, was: Buffer.from(this.#bytes.slice(from, from + bytes).buffer) }); };
    keep(0, layout.PCPU_BASE); // AssemblyScript's constants
    for (let p = 0; p < MAX_PCPUS; p += 1) {
      if (p === PCPU) continue;
      const block = layout.PCPU_BASE + p * layout.PCPU_STRIDE;
      const shared = block + SHARED_WORDS;
      if (p !== 0) this.#empty.push([block, block + layout.PCPU_STRIDE]);
      else this.#empty.push([block, shared + CODE_EPOCH], [shared + CODE_EPOCH + 4, layout.DMA_EPOCH], [layout.DMA_EPOCH + 4, block + layout.PCPU_STRIDE]);
      this.#empty.push([layout.DECODE_BASE + p * layout.DECODE_STRIDE, layout.DECODE_BASE + (p + 1) * layout.DECODE_STRIDE]);
    }
    this.#empty.push([layout.HV_SHARED_BASE, layout.HV_SHARED_BASE + layout.HV_SHARED_SIZE]);
    // the JIT keeps its records behind the decoded code
    this.#empty.push([this.core.jit === undefined ? layout.DECODE_BASE + MAX_PCPUS * layout.DECODE_STRIDE : SCRATCH_RECORD + 0x1000, layout.RAM_BASE]);
    // marks and generations of pages that are not the guest's
    const first = this.base >> 12, end = (this.base + GUEST_BYTES) >> 12;
    this.#empty.push([layout.PAGE_GENERATION_BASE, layout.PAGE_GENERATION_BASE + 4 * first], [layout.PAGE_GENERATION_BASE + 4 * end, layout.PAGE_CODE_BASE]);
    if (this.ept === 'none') {
      this.#empty.push([layout.PAGE_CODE_BASE + end, layout.DECODE_BASE], [layout.RAM_BASE + board, this.#bytes.length]);
      return;
    }
    // other VMs' RAM: a pattern, except for the EPT's own pages
    for (const [from, to] of [[0, this.base], [this.base + GUEST_BYTES, EPT_TABLES], [EPT_TABLES + EPT_PAGES * 4096, board]] as const) {
      for (let at = from; at < to; at += 1) this.#bytes[layout.RAM_BASE + at] = (at * 167) >>> 3;
      keep(layout.RAM_BASE + from, to - from);
    }
    this.#empty.push([layout.RAM_BASE + board, this.#bytes.length]);
  }

  /** What has changed that must not: the address of its first byte, or null. */
  damage(): string | null {
    const zeros = Buffer.alloc(1 << 20);
    for (const { from, was } of this.#guarded) {
      const now = Buffer.from(this.memory.buffer, from, was.length);
      if (now.equals(was)) continue;
      const at = now.findIndex((b, i) => b !== was[i]);
      return `0x${(from + at).toString(16)} was ${was[at]}, is ${now[at]}`;
    }
    for (const [from, to] of this.#empty) {
      for (let at = from; at < to; at += zeros.length) {
        const now = Buffer.from(this.memory.buffer, at, Math.min(zeros.length, to - at));
        if (now.compare(zeros, 0, now.length) !== 0) return `0x${(at + now.findIndex((b) => b !== 0)).toString(16)} is not zero any more`;
      }
    }
    if (this.ept !== 'none') {
      const mask = this.ept === 'plain' ? 0n : ACCESSED_DIRTY;
      const at = this.#eptWords().findIndex((entry, i) => (entry & ~mask) !== (this.#eptWas[i] & ~mask));
      if (at >= 0) return `EPT entry ${at}`;
    }
    return null;
  }

  /** Randomness for the answers to exits. */
  answerWith(r: Random): void { this.#r = r; }

  /** Answers as a hypervisor of moods: goes on with some data, raises a fault, or wants run() left. */
  #vmexit(reason: number): number {
    if (!REASONS.has(reason) || reason === EXIT.BUDGET) throw new Error(`exit of unknown reason ${reason}`);
    this.exits.set(reason, (this.exits.get(reason) ?? 0) + 1);
    const r = this.#r!;
    const { core } = this;
    if (r.chance(0.7)) core.setU64(S.EXIT_DATA, r.u64());
    if (r.chance(0.75)) return 0;
    if (r.chance(0.5)) return 2;
    const withError = r.chance(0.5);
    core.setU32(S.ENTRY_INTR_INFO, 0x8000_0300 | (withError ? 0x800 | 13 : 6));
    core.setU32(S.ENTRY_ERROR_CODE, r.u32() & 0xffff);
    return 1;
  }
}
