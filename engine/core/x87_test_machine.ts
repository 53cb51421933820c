/**
 * One pCPU in flat 64-bit mode for the x87 and MMX specs: runs a few bytes of code on a given FXSAVE-like state.
 */
import { Core, createMemory, loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { layout } from './tables/layout.ts';

const EXIT_EXCEPTION = 0;
const EXIT_VMCALL = 18;
const RAM_BYTES = 8 << 20;
const CODE = 0x10_0000;
const PAGE_TABLES = 0x20_0000;
/** RDI points here. */
export const DATA = 0x30_0000;

/** A double extended value: sign and exponent, significand. */
export type F80 = readonly [se: number, sig: bigint];

export interface X87State {
  /** ST(0) first; the rest of the stack is empty. */
  readonly st?: readonly F80[];
  readonly fcw?: number;
  readonly fsw?: number;
  readonly mm?: readonly bigint[];
  readonly memory?: Uint8Array;
  readonly cr0?: bigint;
  readonly cr4?: bigint;
  readonly rax?: bigint;
  readonly rdx?: bigint;
}

export interface X87Outcome {
  /** ST(0) to ST(7), null when empty. */
  readonly st: ReadonlyArray<F80 | null>;
  readonly fcw: number;
  readonly fsw: number;
  readonly top: number;
  readonly mm: readonly bigint[];
  readonly tags: number;
  readonly rax: bigint;
  /** CF PF AF ZF SF OF. */
  readonly status: number;
  readonly memory: Buffer;
  /** Vector of the exception that ended the run. */
  readonly vector: number | undefined;
}

export class X87Machine {
  readonly core: Core;
  readonly #ram: Buffer;
  readonly #generation: Uint32Array;

  private constructor(core: Core, memory: WebAssembly.Memory) {
    this.core = core;
    this.#ram = Buffer.from(memory.buffer, layout.RAM_BASE, RAM_BYTES);
    this.#generation = new Uint32Array(memory.buffer, layout.PAGE_GENERATION_BASE, RAM_BYTES >> 12);
    this.#ram.writeBigUInt64LE(BigInt(PAGE_TABLES + 0x1003), PAGE_TABLES);
    this.#ram.writeBigUInt64LE(BigInt(PAGE_TABLES + 0x2003), PAGE_TABLES + 0x1000);
    for (let i = 0; i < RAM_BYTES >> 21; i += 1) this.#ram.writeBigUInt64LE(BigInt(i << 21) | 0x83n, PAGE_TABLES + 0x2000 + i * 8);
  }

  static async create(): Promise<X87Machine> {
    const memory = createMemory(RAM_BYTES);
    return new X87Machine(new Core(await loadCoreModule(), memory, 0, { vmexit: () => 2, timeNs: () => 0 }), memory);
  }

  /** Runs the code given in hexadecimal. */
  run(hex: string, state: X87State = {}): X87Outcome {
    const { core } = this;
    const { view } = core;
    core.reset();
    core.setU64(S.CR0, state.cr0 ?? 0x8001_0033n); // NE set
    core.setU64(S.CR3, BigInt(PAGE_TABLES));
    core.setU64(S.CR4, state.cr4 ?? 0x4_0620n);
    core.setU64(S.IA32_EFER, 0x500n);
    core.setU64(S.XCR0, 3n);
    for (let i = 0; i < 6; i += 1) {
      core.setU64(S.SEG_BASE + i * 8, 0n);
      core.setU32(S.SEG_LIMIT + i * 4, 0xffff_ffff);
      core.setU32(S.SEG_ATTR + i * 4, i === 1 ? 0xa09b : 0xc093);
      core.setU16(S.SEG_SELECTOR + i * 2, i === 1 ? 8 : 16);
    }
    core.setU32(S.EXCEPTION_BITMAP, 0xffff_ffff);
    core.setU16(S.FCW, state.fcw ?? 0x37f);
    const st = state.st ?? [];
    const top = (8 - st.length) & 7;
    core.setU16(S.FSW, (state.fsw ?? 0) | (top << 11));
    let tags = 0xffff;
    for (let i = 0; i < 8; i += 1) {
      const at = S.FPR + ((top + i) & 7) * 16;
      core.setU64(at, st[i]?.[1] ?? 0n);
      core.setU16(at + 8, st[i]?.[0] ?? 0);
      if (st[i] !== undefined) tags &= ~(3 << (((top + i) & 7) * 2));
    }
    for (const [i, v] of (state.mm ?? []).entries()) core.setU64(S.FPR + i * 16, v);
    core.setU16(S.FTW, tags);
    core.setU64(S.GPR, state.rax ?? 0n);
    core.setU64(S.GPR + 16, state.rdx ?? 0n);
    core.setU64(S.GPR + 56, BigInt(DATA));
    core.setFlags(2);
    this.#ram.fill(0, DATA, DATA + 4096);
    if (state.memory) this.#ram.set(state.memory, DATA);
    this.#ram.set(Buffer.from(`${hex.replaceAll(' ', '')}0f01c1`, 'hex'), CODE);
    core.setU64(S.RIP, BigInt(CODE));
    core.syncAfterStateWrite();
    core.flushTlb();
    this.#generation[CODE >> 12] += 1;
    const reason = core.run(1000);
    if (reason !== EXIT_VMCALL && reason !== EXIT_EXCEPTION) throw new Error(`${hex} left with reason ${reason}`);
    const fsw = view.getUint16(S.FSW, true);
    const endTags = view.getUint16(S.FTW, true);
    const endTop = (fsw >> 11) & 7;
    return {
      st: Array.from({ length: 8 }, (_, i): F80 | null => {
        const r = (endTop + i) & 7;
        return ((endTags >> (r * 2)) & 3) === 3 ? null : [view.getUint16(S.FPR + r * 16 + 8, true), view.getBigUint64(S.FPR + r * 16, true)];
      }),
      fcw: view.getUint16(S.FCW, true), fsw, top: endTop, tags: endTags, rax: core.u64(S.GPR), status: core.flags() & 0x8d5,
      mm: Array.from({ length: 8 }, (_, i) => core.u64(S.FPR + i * 16)),
      memory: Buffer.from(this.#ram.subarray(DATA, DATA + 4096)),
      vector: reason === EXIT_EXCEPTION ? core.u32(S.EXIT_INTR_INFO) & 0xff : undefined,
    };
  }
}

const buffer = new DataView(new ArrayBuffer(8));

/** A JavaScript number as a double extended value. */
export function f80(value: number): F80 {
  buffer.setFloat64(0, value);
  const bits = buffer.getBigUint64(0);
  const sign = Number(bits >> 63n) << 15;
  const exp = Number((bits >> 52n) & 0x7ffn);
  const fraction = (bits & 0xf_ffff_ffff_ffffn) << 11n;
  if (exp === 0x7ff) return [sign | 0x7fff, (1n << 63n) | fraction];
  if (exp !== 0) return [sign | (exp - 1023 + 16383), (1n << 63n) | fraction];
  if (fraction === 0n) return [sign, 0n];
  const shift = 64 - fraction.toString(2).length;
  return [sign | (1 - shift - 1023 + 16383), fraction << BigInt(shift)];
}

/** A finite double extended value that a JavaScript number can hold. */
export function toNumber([se, sig]: F80): number {
  const exp = (se & 0x7fff) - 16383;
  const magnitude = (se & 0x7fff) === 0x7fff ? (sig << 1n) === 1n << 64n ? Infinity : NaN : Number(sig) * 2 ** Math.max(exp - 63, -1074 + 0) * 2 ** Math.min(0, exp - 63 + 1074);
  return (se & 0x8000) !== 0 ? -magnitude : magnitude;
}
