/**
 * A pCPU at CPL 0 in 64-bit, compatibility or legacy protected mode with its memory mapped one to one and little else, with
 * or without compiled code.
 */
import { Core, EXIT, createMemory, type JitMode } from './core.ts';
import { S } from './gen/state.ts';
import type { CompilerLink } from './jit/compiler.ts';
import { layout } from './tables/layout.ts';

export const RAM_BYTES = 8 << 20;
export const CODE = 0x10_0000;
export const DATA = 0x20_0000;
export const DATA_BYTES = 0x4000;
export const STACK = 0x30_0000;
const TABLES = 0x1000;
const TABLES32 = 0xa000;
/** Descriptors that tests load segments from. */
export const GDT = 0xd000;
/** First byte behind what is mapped one to one. */
export const MAPPED = 0x40_0000;
/** Where the last page of the linear address space lies in 32-bit modes. */
export const LAST_PAGE_AT = DATA + 0x3000;

export type Width = '64' | 'compatibility' | 'protected';
/** Selectors of flat segments in the GDT; from 0x20 on it is the tests'. */
export const CODE32 = 0x08; const FLAT_DATA = 0x10; const CODE64 = 0x18;

export class JitMachine {
  readonly core: Core;
  readonly ram: Buffer;
  readonly exits: number[] = [];

  /** `link` gives the way to compiler threads for the machine's memory; without one it compiles on the spot. */
  constructor(module: WebAssembly.Module, jit: JitMode, jitThreshold = 2, width: Width = '64', link?: (memory: WebAssembly.Memory) => CompilerLink) {
    const memory = createMemory(RAM_BYTES);
    this.core = new Core(module, memory, 0, { vmexit: (reason) => { this.exits.push(reason); return 2; }, timeNs: () => 0 }, { jit, jitThreshold, compiler: link?.(memory) });
    this.ram = Buffer.from(memory.buffer, layout.RAM_BASE, RAM_BYTES);
    const { core, ram } = this;
    core.reset();
    ram.writeBigUInt64LE(BigInt(TABLES + 0x1000 | 3), TABLES);
    ram.writeBigUInt64LE(BigInt(TABLES + 0x2000 | 3), TABLES + 0x1000);
    ram.writeBigUInt64LE(BigInt(TABLES + 0x3000 | 3), TABLES + 0x2000);
    ram.writeBigUInt64LE(BigInt(TABLES + 0x4000 | 3), TABLES + 0x2008);
    for (let page = 0; page < 1024; page += 1) ram.writeBigUInt64LE(BigInt(page << 12 | 3), TABLES + 0x3000 + page * 8);
    // CODE and DATA once more where test/differential wants them, with nothing behind.
    ram.writeBigUInt64LE(BigInt(TABLES + 0x5000 | 3), TABLES + 0x2000 + 8 * (0x2000_0000 >> 21));
    ram.writeBigUInt64LE(BigInt(TABLES + 0x6000 | 3), TABLES + 0x2000 + 8 * (0x3000_0000 >> 21));
    ram.writeBigUInt64LE(BigInt(CODE | 3), TABLES + 0x5000);
    ram.writeBigUInt64LE(BigInt(DATA | 3), TABLES + 0x6000);
    core.setU64(S.CR3, BigInt(TABLES));
    core.setU64(S.CR0, 0x8001_0033n); // PG WP NE ET MP PE
    core.setU64(S.CR4, 0x620n); //       OSXMMEXCPT OSFXSR PAE
    core.setU64(S.IA32_EFER, 0xd01n); // NXE LMA LME SCE
    core.setU32(S.EXCEPTION_BITMAP, 0xffff_ffff);
    for (let i = 0; i < 6; i += 1) {
      core.setU64(S.SEG_BASE + i * 8, 0n);
      core.setU32(S.SEG_LIMIT + i * 4, 0xffff_ffff);
      core.setU32(S.SEG_ATTR + i * 4, i === 1 ? 0xa09b : 0xc093);
      core.setU16(S.SEG_SELECTOR + i * 2, i === 1 ? 8 : 16);
    }
    if (width !== '64') this.#enter32(width);
    core.syncAfterStateWrite();
  }

  #enter32(width: Width): void {
    const { core, ram } = this;
    ram.writeBigUInt64LE(BigInt(TABLES + 0x7000 | 3), TABLES + 0x1018);
    ram.writeBigUInt64LE(BigInt(TABLES + 0x8000 | 3), TABLES + 0x7ff8); // tables at 0x8000 and 0x9000
    this.setDescriptor(CODE32, 0, 0xf_ffff, 0xc09b);
    this.setDescriptor(FLAT_DATA, 0, 0xf_ffff, 0xc093);
    this.setDescriptor(CODE64, 0, 0xf_ffff, 0xa09b);
    core.setU64(S.GDTR_BASE, BigInt(GDT));
    core.setU32(S.GDTR_LIMIT, 0xfff);
    core.setU32(S.SEG_ATTR + 4, 0xc09b);
    if (width === 'compatibility') {
      ram.writeBigUInt64LE(BigInt(LAST_PAGE_AT | 3), TABLES + 0x8ff8);
      return;
    }
    ram.writeUInt32LE(TABLES32 + 0x1000 | 3, TABLES32);
    ram.writeUInt32LE(TABLES32 + 0x2000 | 3, TABLES32 + 0xffc);
    for (let page = 0; page < 1024; page += 1) ram.writeUInt32LE((page << 12 | 3) >>> 0, TABLES32 + 0x1000 + page * 4);
    ram.writeUInt32LE(LAST_PAGE_AT | 3, TABLES32 + 0x2ffc);
    core.setU64(S.IA32_EFER, 0n);
    core.setU64(S.CR4, 0x600n);
    core.setU64(S.CR3, BigInt(TABLES32));
  }

  /** Writes a descriptor into the GDT; `limit` in pages when `attributes` (VMCS format) has G. */
  setDescriptor(selector: number, base: number, limit: number, attributes: number): void {
    const { ram } = this;
    const at = GDT + selector;
    ram.writeUInt16LE(limit & 0xffff, at);
    ram.writeUInt16LE(base & 0xffff, at + 2);
    ram[at + 4] = base >>> 16 & 0xff;
    ram[at + 5] = attributes & 0xff;
    ram[at + 6] = limit >>> 16 | (attributes >> 8 & 0xf0);
    ram[at + 7] = base >>> 24;
  }

  /** Puts code at CODE (or elsewhere) from outside of the guest: what was decoded from it is void. */
  put(bytes: Uint8Array, at = CODE): void {
    this.ram.set(bytes, at);
    const generations = new Uint32Array(this.core.memory.buffer, layout.PAGE_GENERATION_BASE, RAM_BYTES >> 12);
    for (let page = at >> 12; page <= (at + bytes.length - 1) >> 12; page += 1) Atomics.add(generations, page, 1);
  }

  start(rip = CODE, flags = 2): void {
    this.core.setU64(S.RIP, BigInt(rip));
    this.core.setU64(S.GPR + 8 * 4, BigInt(STACK));
    this.core.setU32(S.ACTIVITY_STATE, 0);
    this.core.setU32(S.INTERRUPTIBILITY, 0);
    this.core.setFlags(flags);
  }

  gpr(i: number): bigint { return this.core.u64(S.GPR + i * 8); }
  setGpr(i: number, v: bigint): void { this.core.setU64(S.GPR + i * 8, BigInt.asUintN(64, v)); }

  /** Everything an instruction may change, as text: registers, flags, RIP, XMM, count of instructions. */
  state(): string {
    const { core } = this;
    const lines = [`rip ${core.u64(S.RIP).toString(16)}  flags ${core.flags().toString(16)}  instructions ${core.u64(S.INSTRUCTIONS)}  cr2 ${core.u64(S.EXIT_QUALIFICATION).toString(16)}`];
    for (let i = 0; i < 16; i += 1) lines.push(`r${i} ${this.gpr(i).toString(16)}`);
    for (let i = 0; i < 16; i += 1) lines.push(`xmm${i} ${core.u64(S.XMM + i * 16 + 8).toString(16).padStart(16, '0')}${core.u64(S.XMM + i * 16).toString(16).padStart(16, '0')}`);
    return lines.join('\n');
  }
}

export { EXIT };
