/**
 * One pCPU in flat 64-bit mode for the SSE specs: places an instruction of the opcode table, runs it, reads the state.
 */
import { Core, createMemory, loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { parseRow, PREFIX } from './tables/encoding.ts';
import { layout } from './tables/layout.ts';
import { crypto } from './tables/opcodes/crypto.ts';
import { sse } from './tables/opcodes/sse.ts';
import { sse4 } from './tables/opcodes/sse4.ts';
import { sseConvert } from './tables/opcodes/sse_convert.ts';
import { sseFloat } from './tables/opcodes/sse_float.ts';
import { sseInteger } from './tables/opcodes/sse_integer.ts';

const EXIT_EXCEPTION = 0;
const EXIT_VMCALL = 18;
const RAM_BYTES = 8 << 20;
const CODE = 0x10_0000;
const PAGE_TABLES = 0x20_0000;
export const DATA = 0x30_0000;

const rows = new Map([sse, sseInteger, sseFloat, sseConvert, sse4, crypto].flatMap((f) => f.rows).map((r) => [r.op, r]));

/** Where the second operand is: register 1, or [rDI + offset of DATA]. */
export interface Case {
  readonly xmm0?: Uint8Array;
  readonly xmm1?: Uint8Array;
  readonly imm?: number;
  readonly wide?: boolean;
  /** Offset from DATA: the operand is memory there. */
  readonly memory?: number;
  readonly mxcsr?: number;
  readonly rax?: bigint;
  readonly rcx?: bigint;
  readonly rdx?: bigint;
  readonly mm0?: bigint;
  readonly mm1?: bigint;
  readonly cr0?: bigint;
  readonly cr4?: bigint;
  readonly flags?: number;
  /** ModRM.reg: which register is the first operand (0 or 1); register 1 then holds xmm1. */
  readonly reg?: 0 | 1;
}

export interface Outcome {
  readonly xmm0: Uint8Array<ArrayBuffer>;
  readonly xmm1: Uint8Array<ArrayBuffer>;
  readonly mxcsr: number;
  readonly rax: bigint;
  readonly rcx: bigint;
  readonly mm0: bigint;
  readonly ftw: number;
  readonly top: number;
  /** CF PF AF ZF SF OF. */
  readonly status: number;
  /** Vector of the exception the instruction raised. */
  readonly vector: number | undefined;
}

export const bytes = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(hex.match(/../g) ?? [], (h) => parseInt(h, 16));
export const toHex = (v: Uint8Array): string => Array.from(v, (b) => b.toString(16).padStart(2, '0')).join('');
/** 128-bit number, most significant digit first as the SDM prints registers. */
export const register = (hex: string): Uint8Array<ArrayBuffer> => bytes(hex.padStart(32, '0')).reverse();
export const fromRegister = (v: Uint8Array): string => toHex(v.slice().reverse());

export class SseMachine {
  readonly #core: Core;
  readonly #ram: Uint8Array;

  private constructor(core: Core, memory: WebAssembly.Memory) {
    this.#core = core;
    this.#ram = new Uint8Array(memory.buffer, layout.RAM_BASE, RAM_BYTES);
    const tables = new DataView(memory.buffer, layout.RAM_BASE + PAGE_TABLES);
    tables.setBigUint64(0, BigInt(PAGE_TABLES + 0x1000 + 3), true);
    tables.setBigUint64(0x1000, BigInt(PAGE_TABLES + 0x2000 + 3), true);
    for (let i = 0; i < RAM_BYTES >> 21; i += 1) tables.setBigUint64(0x2000 + i * 8, BigInt(i << 21) | 0x83n, true);
  }

  static async create(): Promise<SseMachine> {
    const memory = createMemory(RAM_BYTES);
    const core = new Core(await loadCoreModule(), memory, 0, { vmexit: () => 2, timeNs: () => 0 });
    return new SseMachine(core, memory);
  }

  /** RAM at DATA. */
  get data(): Uint8Array { return this.#ram.subarray(DATA, DATA + 4096); }

  /** Runs one instruction of the table, operands register 0 and register 1 (or memory). */
  run(op: string, test: Case = {}): Outcome {
    const view = this.#core.view;
    this.#core.reset();
    view.setBigUint64(S.CR0, test.cr0 ?? 0x8001_0033n, true);
    view.setBigUint64(S.CR3, BigInt(PAGE_TABLES), true);
    view.setBigUint64(S.CR4, test.cr4 ?? 0x620n, true);
    view.setBigUint64(S.IA32_EFER, 0x500n, true);
    for (let i = 0; i < 6; i += 1) {
      view.setBigUint64(S.SEG_BASE + i * 8, 0n, true);
      view.setUint32(S.SEG_LIMIT + i * 4, 0xffff_ffff, true);
      view.setUint32(S.SEG_ATTR + i * 4, i === 1 ? 0xa09b : 0xc093, true);
      view.setUint16(S.SEG_SELECTOR + i * 2, i === 1 ? 8 : 16, true);
    }
    view.setUint32(S.EXCEPTION_BITMAP, 0xffff_ffff, true);
    view.setUint32(S.MXCSR, test.mxcsr ?? 0x1f80, true);
    for (const [i, v] of [test.rax, test.rcx, test.rdx].entries()) view.setBigUint64(S.GPR + i * 8, v ?? 0n, true);
    view.setBigUint64(S.GPR + 7 * 8, BigInt(DATA + (test.memory ?? 0)), true);
    view.setBigUint64(S.FPR, test.mm0 ?? 0n, true);
    view.setBigUint64(S.FPR + 16, test.mm1 ?? 0n, true);
    view.setUint16(S.FSW, 3 << 11, true);
    view.setUint16(S.FTW, 0xffff, true);
    this.#put(S.XMM, test.xmm0);
    this.#put(S.XMM + 16, test.xmm1);
    this.#core.setFlags(2 | (test.flags ?? 0));
    const code = [...encode(op, test), 0x0f, 0x01, 0xc1];
    this.#ram.set(code, CODE);
    view.setBigUint64(S.RIP, BigInt(CODE), true);
    this.#core.syncAfterStateWrite();
    this.#core.flushTlb();
    const reason = this.#core.run(100);
    if (reason !== EXIT_VMCALL && reason !== EXIT_EXCEPTION) throw new Error(`${op} left with reason ${reason}`);
    return {
      xmm0: this.#get(S.XMM), xmm1: this.#get(S.XMM + 16), mxcsr: view.getUint32(S.MXCSR, true),
      rax: view.getBigUint64(S.GPR, true), rcx: view.getBigUint64(S.GPR + 8, true), mm0: view.getBigUint64(S.FPR, true),
      ftw: view.getUint16(S.FTW, true), top: view.getUint16(S.FSW, true) >> 11 & 7, status: this.#core.flags() & 0x8d5,
      vector: reason === EXIT_EXCEPTION ? view.getUint32(S.EXIT_INTR_INFO, true) & 0xff : undefined,
    };
  }

  /** SHA256RNDS2 XMM1, m128 with the message words in XMM0. */
  rounds256(cdgh: Uint8Array, abef: Uint8Array, wk: Uint8Array): Uint8Array<ArrayBuffer> {
    this.data.set(abef);
    return this.run('SHA256RNDS2', { xmm0: wk, xmm1: cdgh, reg: 1, memory: 0 }).xmm1;
  }

  #put(at: number, value: Uint8Array | undefined): void {
    for (let i = 0; i < 16; i += 1) this.#core.view.setUint8(at + i, value?.[i] ?? 0);
  }

  #get(at: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: 16 }, (_, i) => this.#core.view.getUint8(at + i));
  }
}

/** Bytes of a row with ModRM.reg = 0 (or the row's digit) and register 1 or [rDI] as the other operand. */
function encode(op: string, test: Case): number[] {
  const row = rows.get(op);
  if (row === undefined) throw new Error(`no row ${op}`);
  const [form] = parseRow(row);
  const prefix = form.prefix === PREFIX['66'] ? [0x66] : form.prefix === PREFIX.F3 ? [0xf3] : form.prefix === PREFIX.F2 ? [0xf2] : [];
  const map = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][form.map];
  const modRm = (test.memory === undefined ? 0xc1 : 0x07) | (form.digit < 0 ? test.reg ?? 0 : form.digit) << 3;
  return [...prefix, ...(test.wide ? [0x48] : []), ...map, form.opcode, modRm, ...(row.encoding.endsWith(' ib') ? [(test.imm ?? 0) & 0xff] : [])];
}
