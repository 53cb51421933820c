/**
 * The core as a machine: one pCPU in long mode at CPL 3 with the helper's two pages mapped, every exception a VM exit.
 * With the JIT on each case runs as often as it takes to be compiled; the last time counts.
 */
import { Core, EXIT, createMemory } from '../../engine/core/core.ts';
import { S } from '../../engine/core/gen/state.ts';
import { J } from '../../engine/core/jit/layout.ts';
import { layout } from '../../engine/core/tables/layout.ts';
import { CODE_ADDRESS, CODE_PAGE, DATA_PAGE, FX, IN, OUT, WINDOW_BYTES, windowCrossing, type Batch } from './case.ts';

const RAM_BYTES = 4 << 20;
const TABLES = 0x10_0000;
const CODE_HPA = 0x20_0000;
const DATA_HPA = 0x20_1000;
/** Of the second data page: not next to the first, so that what crosses pages shows. */
const DATA2_HPA = 0x20_3000;
const SELECTOR = { USER32: 0x23, USER_DATA: 0x2b, USER64: 0x33, CODE16: 0x07, DATA16: 0x0f } as const;
const USER_PAGE = 7n; // present, writable, user
const VECTOR_BP = 3;
const VECTOR_GP = 13;
/** Ends a case: #GP at CPL 3. */
const HLT = 0xf4;
const CS = 1; const FS = 4; const GS = 5;
const UNUSABLE = 0x1_0000;
/** Compiled code is told how many instructions are left, never so many. */
const NOT_ENTERED = 0x7fff_ffff;

export class Interpreter {
  readonly #core: Core;
  readonly #view: DataView;
  readonly #state: Buffer;
  readonly #ram: Buffer;
  readonly #generation: Uint32Array;
  #mode = -1;
  /** Runs of a case before the one that counts. */
  readonly #warming: number;
  /** Cases in which compiled code was entered: all but those that end before their first instruction. */
  compiledCases = 0;

  constructor(module: WebAssembly.Module, jit: 'off' | 'on' = 'off') {
    const memory = createMemory(RAM_BYTES);
    this.#core = new Core(module, memory, 0, { vmexit: () => 2, timeNs: () => 0 }, { jit, jitThreshold: 1 });
    this.#warming = jit === 'on' ? 1 : 0;
    if (this.#core.jit !== undefined) this.#core.jit.limits.compilations = Infinity; // every case is new code in the same page
    this.#view = this.#core.view;
    this.#state = Buffer.from(memory.buffer, layout.PCPU_BASE, 0x1000);
    this.#ram = Buffer.from(memory.buffer, layout.RAM_BASE, RAM_BYTES);
    this.#generation = new Uint32Array(memory.buffer, layout.PAGE_GENERATION_BASE, RAM_BYTES >> 12);
    this.#core.reset();
    this.#map();
    this.#ram.fill(HLT, CODE_HPA, CODE_HPA + 4096);
  }

  /** A page table entry for each of the pages; nothing else is mapped. */
  #map(): void {
    const set = (table: number, index: number, value: bigint): void => { this.#ram.writeBigUInt64LE(value, TABLES + table * 4096 + index * 8); };
    set(0, 0, BigInt(TABLES + 0x1000) | USER_PAGE);
    set(1, 0, BigInt(TABLES + 0x2000) | USER_PAGE);
    for (const [i, [gva, hpa]] of [[CODE_PAGE, CODE_HPA], [DATA_PAGE, DATA_HPA]].entries()) {
      set(2, gva >>> 21, BigInt(TABLES + 0x3000 + i * 0x1000) | USER_PAGE);
      set(3 + i, (gva >>> 12) & 511, BigInt(hpa) | USER_PAGE);
    }
    const core = this.#core;
    core.setU64(S.CR3, BigInt(TABLES));
    core.setU64(S.CR0, 0x8005_0033n); // PG AM WP NE ET MP PE
    core.setU64(S.CR4, 0x5_0620n); //   OSXSAVE FSGSBASE OSXMMEXCPT OSFXSR PAE
    core.setU64(S.IA32_EFER, 0xd01n); // NXE LMA LME SCE
    core.setU64(S.XCR0, 3n);
    core.setU32(S.EXCEPTION_BITMAP, 0xffff_ffff);
  }

  /** The second data page is there when the window reaches into it. */
  #mapSecond(): void {
    const at = TABLES + 4 * 4096 + (((DATA_PAGE >>> 12) & 511) + 1) * 8;
    this.#ram.writeBigUInt64LE(windowCrossing < 0 ? 0n : BigInt(DATA2_HPA) | USER_PAGE, at);
    this.#core.flushTlb();
  }

  #setMode(mode: number): void {
    const core = this.#core;
    core.setU32(S.CPL, 3);
    for (let i = 0; i < 6; i += 1) {
      core.setU64(S.SEG_BASE + i * 8, 0n);
      core.setU32(S.SEG_LIMIT + i * 4, 0xffff_ffff);
      core.setU32(S.SEG_ATTR + i * 4, i === CS ? (mode === 0 ? 0xa0fb : 0xc0fb) : 0xc0f3);
      core.setU16(S.SEG_SELECTOR + i * 2, i === CS ? (mode === 0 ? SELECTOR.USER64 : SELECTOR.USER32) : SELECTOR.USER_DATA);
    }
    if (mode === 2) this.#set16();
    for (const s of [FS, GS]) { // null selectors, of no matter in 64-bit mode
      core.setU16(S.SEG_SELECTOR + s * 2, 0);
      core.setU32(S.SEG_ATTR + s * 4, mode === 0 ? 0xc0f3 : UNUSABLE);
    }
    core.syncAfterStateWrite();
    this.#mode = mode;
  }

  /** 16-bit segments over the code page and what follows it, and over the data pages. */
  #set16(): void {
    const core = this.#core;
    for (let i = 0; i < FS; i += 1) {
      core.setU64(S.SEG_BASE + i * 8, BigInt(i === CS ? CODE_PAGE : DATA_PAGE));
      core.setU32(S.SEG_LIMIT + i * 4, 0xffff);
      core.setU32(S.SEG_ATTR + i * 4, i === CS ? 0xfb : 0xf3);
      core.setU16(S.SEG_SELECTOR + i * 2, i === CS ? SELECTOR.CODE16 : SELECTOR.DATA16);
    }
  }

  /** Runs a batch; the outcomes have the native helper's form. */
  run(batch: Batch): Buffer {
    const out = Buffer.alloc(batch.count * OUT.BYTES);
    this.#mapSecond();
    this.#ram.fill(HLT, CODE_HPA, CODE_HPA + 4096); // the helper is a new process for each batch
    for (let i = 0; i < batch.count; i += 1) this.#runCase(batch, i, out.subarray(i * OUT.BYTES, (i + 1) * OUT.BYTES));
    return out;
  }

  #runCase(batch: Batch, i: number, out: Buffer): void {
    const core = this.#core, ram = this.#ram, input = batch.bytes;
    const o = batch.offset(i);
    const mode = batch.mode(i);
    const codeAt = CODE_HPA + (CODE_ADDRESS - CODE_PAGE);
    const length = input.readUInt32LE(o + IN.LENGTH);
    input.copy(ram, codeAt, o, o + length);
    ram.fill(HLT, codeAt + length, codeAt + 320); // as far as the helper does
    this.#generation[CODE_HPA >> 12] += 1; // the core has not seen the code change
    const page = Buffer.from(ram.subarray(CODE_HPA, CODE_HPA + 4096));
    for (let n = 0; n < this.#warming; n += 1) {
      this.#load(input, o, mode);
      core.run(10_000);
    }
    if (ram.compare(page, 0, 4096, CODE_HPA, CODE_HPA + 4096) !== 0) { // the case has written to its code
      page.copy(ram, CODE_HPA);
      this.#generation[CODE_HPA >> 12] += 1;
    }
    this.#load(input, o, mode);
    core.setU32(J.LEFT, NOT_ENTERED);
    const reason = core.run(10_000);
    if (core.u32(J.LEFT) !== NOT_ENTERED) this.compiledCases += 1;
    this.#store(reason, length, mode, out);
  }


  #load(input: Buffer, o: number, mode: number): void {
    const core = this.#core, state = this.#state, ram = this.#ram;
    const inFirst = windowCrossing < 0 ? WINDOW_BYTES : windowCrossing;
    ram.fill(0, DATA_HPA, DATA_HPA + 4096 - inFirst);
    input.copy(ram, DATA_HPA + 4096 - inFirst, o + IN.WINDOW, o + IN.WINDOW + inFirst);
    if (inFirst < WINDOW_BYTES) {
      ram.fill(0, DATA2_HPA, DATA2_HPA + 4096);
      input.copy(ram, DATA2_HPA, o + IN.WINDOW + inFirst, o + IN.BYTES);
    }
    input.copy(state, S.GPR, o + IN.GPR, o + IN.GPR + 128);
    this.#loadFx(input, o + IN.FX);
    if (mode !== this.#mode) this.#setMode(mode);
    core.setU64(S.SEG_BASE + FS * 8, input.readBigUInt64LE(o + IN.FS_BASE));
    core.setU64(S.SEG_BASE + GS * 8, input.readBigUInt64LE(o + IN.GS_BASE));
    core.setU64(S.RIP, BigInt(CODE_ADDRESS - (mode === 2 ? CODE_PAGE : 0)));
    core.setU32(S.INTERRUPTIBILITY, 0);
    core.setU32(S.EXIT_INTR_ERROR_CODE, 0);
    core.setFlags(Number(input.readBigUInt64LE(o + IN.RFLAGS)));
  }

  #store(reason: number, length: number, mode: number, out: Buffer): void {
    const core = this.#core, state = this.#state, ram = this.#ram;
    const inFirst = windowCrossing < 0 ? WINDOW_BYTES : windowCrossing;
    const rip = core.u64(S.RIP);
    const vector = reason === EXIT.EXCEPTION_NMI ? core.u32(S.EXIT_INTR_INFO) & 0xff : 0x1000 + reason;
    const at = mode === 2 ? rip + BigInt(CODE_PAGE) : rip;
    const ended = vector === VECTOR_GP && (at < CODE_ADDRESS || at >= CODE_ADDRESS + length) && at >= CODE_PAGE && at < CODE_PAGE + 4096 && ram[CODE_HPA + Number(at) - CODE_PAGE] === HLT;
    out.writeUInt32LE(ended ? VECTOR_BP : vector, OUT.VECTOR);
    const isError = (core.u32(S.EXIT_INTR_INFO) & 0x800) !== 0;
    out.writeUInt32LE(isError ? core.u32(S.EXIT_INTR_ERROR_CODE) : 0, OUT.ERROR);
    out.writeBigUInt64LE((core.u32(S.EXIT_INTR_INFO) & 0xff) === 14 ? core.u64(S.EXIT_QUALIFICATION) : 0n, OUT.CR2);
    out.writeBigUInt64LE(rip, OUT.RIP);
    out.writeBigUInt64LE(BigInt(core.flags()), OUT.RFLAGS);
    state.copy(out, OUT.GPR, S.GPR, S.GPR + 128);
    this.#storeFx(out, OUT.FX);
    out.writeBigUInt64LE(core.u64(S.SEG_BASE + FS * 8), OUT.FS_BASE);
    out.writeBigUInt64LE(core.u64(S.SEG_BASE + GS * 8), OUT.GS_BASE);
    ram.copy(out, OUT.WINDOW, DATA_HPA + 4096 - inFirst, DATA_HPA + 4096);
    if (inFirst < WINDOW_BYTES) ram.copy(out, OUT.WINDOW + inFirst, DATA2_HPA, DATA2_HPA + WINDOW_BYTES - inFirst);
  }

  #loadFx(from: Buffer, at: number): void {
    const view = this.#view, state = this.#state;
    const fcw = (from.readUInt16LE(at + FX.FCW) & 0x1f3f) | 0x40;
    let fsw = from.readUInt16LE(at + FX.FSW) & 0x7f7f;
    if ((fsw & ~fcw & 0x3f) !== 0) fsw |= 0x8080;
    view.setUint16(S.FCW, fcw, true);
    view.setUint16(S.FSW, fsw, true);
    const abridged = from.readUInt8(at + FX.FTW);
    let tags = 0;
    for (let i = 0; i < 8; i += 1) if ((abridged >> i & 1) === 0) tags |= 3 << (i * 2);
    view.setUint16(S.FTW, tags, true);
    view.setUint16(S.FOP, 0, true);
    view.setBigUint64(S.FIP, 0n, true);
    view.setBigUint64(S.FDP, 0n, true);
    view.setUint16(S.FCS, 0, true);
    view.setUint16(S.FDS, 0, true);
    view.setUint32(S.MXCSR, from.readUInt32LE(at + FX.MXCSR), true);
    const top = fsw >> 11 & 7;
    for (let i = 0; i < 8; i += 1) from.copy(state, S.FPR + ((top + i) & 7) * 16, at + FX.ST + i * 16, at + FX.ST + i * 16 + 16);
    from.copy(state, S.XMM, at + FX.XMM, at + FX.XMM + 256);
  }

  #storeFx(to: Buffer, at: number): void {
    const view = this.#view, state = this.#state;
    to.fill(0, at, at + FX.XMM);
    const fsw = view.getUint16(S.FSW, true);
    to.writeUInt16LE(view.getUint16(S.FCW, true), at + FX.FCW);
    to.writeUInt16LE(fsw, at + FX.FSW);
    const tags = view.getUint16(S.FTW, true);
    let abridged = 0;
    for (let i = 0; i < 8; i += 1) if ((tags >> (i * 2) & 3) !== 3) abridged |= 1 << i;
    to.writeUInt8(abridged, at + FX.FTW);
    to.writeUInt16LE(view.getUint16(S.FOP, true), at + FX.FOP);
    to.writeBigUInt64LE(view.getBigUint64(S.FIP, true), at + FX.FIP);
    to.writeBigUInt64LE(view.getBigUint64(S.FDP, true), at + FX.FDP);
    to.writeUInt32LE(view.getUint32(S.MXCSR, true), at + FX.MXCSR);
    const top = fsw >> 11 & 7;
    for (let i = 0; i < 8; i += 1) state.copy(to, at + FX.ST + i * 16, S.FPR + ((top + i) & 7) * 16, S.FPR + ((top + i) & 7) * 16 + 10);
    state.copy(to, at + FX.XMM, S.XMM, S.XMM + 256);
  }
}

