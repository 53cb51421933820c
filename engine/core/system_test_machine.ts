/**
 * One pCPU with page tables, GDT, IDT and TSS in its first 2 MiB, for the specs of the MMU and the system instructions.
 *
 * Every IDT handler is a VMCALL, so a run ends inside the handler with the stack frame as delivered.
 */
import { Core, EXIT, createMemory, loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { layout } from './tables/layout.ts';

export const GDT = 0x1000; export const IDT = 0x2000; export const TSS = 0x3000; export const LDT = 0x3800;
export const PML4 = 0x1_0000; export const PDPT = 0x1_1000; export const PD = 0x1_2000; export const PT = 0x1_3000;
export const KERNEL_CODE = 0x2_0000; export const HANDLERS = 0x2_8000; export const USER_CODE = 0x3_0000;
export const KERNEL_STACK = 0x4_8000; export const USER_STACK = 0x5_8000; export const IST_STACK = 0x6_8000; export const DATA = 0x10_0000;
const RAM_BYTES = 8 << 20;

/** Selectors of the GDT below. */
export const KERNEL_CS = 0x08; export const KERNEL_SS = 0x10; export const USER_CS32 = 0x1b; export const USER_SS = 0x23; export const USER_CS = 0x2b;
export const TSS_SELECTOR = 0x30; export const KERNEL_CS32 = 0x40; export const FREE_SELECTOR = 0x48;

const CR0_LONG = 0x8001_0031n; // PG WP NE ET PE
const VMCALL = [0x0f, 0x01, 0xc1];

export const P = 1n; export const RW = 2n; export const US = 4n; export const A = 0x20n; export const D = 0x40n; export const PS = 0x80n; export const G = 0x100n;
export const XD = 1n << 63n;

export const code = (hex: string): number[] => (hex.replace(/\s/g, '').match(/../g) ?? []).map((h) => parseInt(h, 16));

/** An 8-byte descriptor: attr as in the VMCS format, limit in bytes or (G) 4 KiB units. */
export function descriptor(base: number, limit: number, attr: number): bigint {
  const b = BigInt(base); const l = BigInt(limit); const a = BigInt(attr);
  return (l & 0xffffn) | (b & 0xff_ffffn) << 16n | (a & 0xffn) << 40n | (l >> 16n & 0xfn) << 48n | (a >> 12n & 0xfn) << 52n | (b >> 24n & 0xffn) << 56n;
}

export class SystemMachine {
  readonly core: Core;
  readonly ram: DataView;
  /** Exits that reached the host, VMCALL left out. */
  readonly exits: Array<{ reason: number; qualification: bigint; gpa: bigint; size: number; data: bigint }> = [];
  /** Answers an exit: the value for EXIT_DATA, or nothing. */
  onExit: (reason: number, core: Core) => bigint | undefined = () => undefined;

  /** Event that the next exits raise. */
  fault: number | undefined;

  private constructor(memory: WebAssembly.Memory, module: WebAssembly.Module) {
    this.ram = new DataView(memory.buffer, layout.RAM_BASE, RAM_BYTES);
    this.core = new Core(module, memory, 0, {
      vmexit: (reason) => {
        if (reason === EXIT.VMCALL) return 2;
        const { core } = this;
        this.exits.push({
          reason, qualification: core.u64(S.EXIT_QUALIFICATION), gpa: core.u64(S.EXIT_GPA), size: core.u32(S.EXIT_SIZE), data: core.u64(S.EXIT_DATA),
        });
        const answer = this.onExit(reason, core);
        if (answer !== undefined) core.setU64(S.EXIT_DATA, answer);
        if (this.fault === undefined) return 0;
        core.setU32(S.ENTRY_INTR_INFO, this.fault);
        core.setU32(S.ENTRY_ERROR_CODE, 0);
        return 1;
      },
      timeNs: () => 1e9,
    });
  }

  static async create(): Promise<SystemMachine> { return new SystemMachine(createMemory(RAM_BYTES), await loadCoreModule()); }

  /** Another pCPU of the same memory, in the state of this one. */
  async sibling(pcpuId: number): Promise<Core> {
    const other = new Core(await loadCoreModule(), this.core.memory, pcpuId, { vmexit: (reason) => (reason === EXIT.VMCALL ? 2 : 0), timeNs: () => 1e9 });
    other.reset();
    for (let at = 0; at < S.TSC_OFFSET; at += 1) other.view.setUint8(at, this.core.view.getUint8(at));
    other.syncAfterStateWrite();
    return other;
  }

  /** Writes RAM from outside of the guest, as the device model does: code decoded from it is void. */
  put(at: number, bytes: readonly number[]): void {
    bytes.forEach((b, i) => this.ram.setUint8(at + i, b));
    const generations = new Uint32Array(this.core.memory.buffer, layout.PAGE_GENERATION_BASE, RAM_BYTES >> 12);
    for (let page = at >> 12; page <= (at + bytes.length - 1) >> 12; page += 1) Atomics.add(generations, page, 1);
  }
  u64(at: number): bigint { return this.ram.getBigUint64(at, true); }
  u32(at: number): number { return this.ram.getUint32(at, true); }
  u16(at: number): number { return this.ram.getUint16(at, true); }
  setU64(at: number, v: bigint): void { this.ram.setBigUint64(at, BigInt.asUintN(64, v), true); }
  gpr(i: number): bigint { return this.core.u64(S.GPR + i * 8); }
  setGpr(i: number, v: bigint): void { this.core.setU64(S.GPR + i * 8, BigInt.asUintN(64, v)); }
  get rip(): bigint { return this.core.u64(S.RIP); }
  get cpl(): number { return this.core.u32(S.CPL); }
  selector(s: number): number { return this.core.u16(S.SEG_SELECTOR + s * 2); }

  segment(s: number, selector: number, base: number, limit: number, attr: number): void {
    this.core.setU16(S.SEG_SELECTOR + s * 2, selector);
    this.core.setU64(S.SEG_BASE + s * 8, BigInt(base));
    this.core.setU32(S.SEG_LIMIT + s * 4, limit);
    this.core.setU32(S.SEG_ATTR + s * 4, attr);
  }

  /** Page-table entry of a page of the first 2 MiB. */
  setPte(gva: number, entry: bigint): void { this.setU64(PT + (gva >> 12) * 8, entry); }
  pte(gva: number): bigint { return this.u64(PT + (gva >> 12) * 8); }

  setDescriptor(selector: number, d: bigint): void { this.setU64(GDT + (selector & 0xfff8), d); }

  /** 64-bit interrupt (or trap) gate. */
  setGate64(vector: number, options: { dpl?: number; ist?: number; selector?: number; target?: number; type?: number; present?: boolean } = {}): void {
    const target = BigInt(options.target ?? HANDLERS + vector * 16);
    const attr = BigInt((options.present === false ? 0 : 0x80) | (options.dpl ?? 0) << 5 | (options.type ?? 0xe));
    this.setU64(IDT + vector * 16, (target & 0xffffn) | BigInt(options.selector ?? KERNEL_CS) << 16n | BigInt(options.ist ?? 0) << 32n | attr << 40n | (target >> 16n & 0xffffn) << 48n);
    this.setU64(IDT + vector * 16 + 8, target >> 32n);
  }

  /** 32-bit gate. */
  setGate32(vector: number, options: { dpl?: number; selector?: number; target?: number; type?: number } = {}): void {
    const target = BigInt(options.target ?? HANDLERS + vector * 16);
    const attr = BigInt(0x80 | (options.dpl ?? 0) << 5 | (options.type ?? 0xe));
    this.setU64(IDT + vector * 8, (target & 0xffffn) | BigInt(options.selector ?? KERNEL_CS) << 16n | attr << 40n | (target >> 16n & 0xffffn) << 48n);
  }

  #common(): void {
    for (let i = 0; i < 0x80_0000; i += 8) this.ram.setBigUint64(i, 0n, true);
    this.exits.length = 0;
    this.onExit = () => undefined;
    this.fault = undefined;
    const { core } = this;
    for (const field of [S.EPTP, S.CR0_GUEST_HOST_MASK, S.CR4_GUEST_HOST_MASK, S.CR0_READ_SHADOW, S.CR4_READ_SHADOW]) core.setU64(field, 0n);
    for (const field of [S.EXCEPTION_BITMAP, S.PROC_CTLS, S.IO_BITMAP, S.MSR_BITMAP]) core.setU32(field, 0);
    core.setU64(S.TSC_KHZ, 2_000_000n);
    core.reset();
    for (let v = 0; v < 256; v += 1) this.put(HANDLERS + v * 16, VMCALL);
    core.setU64(S.GDTR_BASE, BigInt(GDT)); core.setU32(S.GDTR_LIMIT, 0xff);
    core.setU64(S.IDTR_BASE, BigInt(IDT)); core.setU32(S.IDTR_LIMIT, 0xfff);
  }

  /** 64-bit mode at CPL 0 or 3: identity mapping, 4 KiB pages below 2 MiB; USER_CODE and USER_STACK pages are the user's. */
  long(cpl: 0 | 3 = 0, cr4 = 0x6b0n /* PSE PAE PGE OSFXSR OSXMMEXCPT */): void {
    this.#common();
    this.setU64(PML4, BigInt(PDPT) | P | RW | US);
    this.setU64(PDPT, BigInt(PD) | P | RW | US);
    this.setU64(PD, BigInt(PT) | P | RW | US);
    this.setU64(PD + 8, 0x20_0000n | P | RW | US | PS);
    for (let gva = 0; gva < 0x20_0000; gva += 0x1000) this.setPte(gva, BigInt(gva) | P | RW);
    for (const page of [USER_CODE, USER_STACK - 0x1000]) this.setPte(page, BigInt(page) | P | RW | US);
    this.setDescriptor(KERNEL_CS, descriptor(0, 0xf_ffff, 0xa09a));
    this.setDescriptor(KERNEL_SS, descriptor(0, 0xf_ffff, 0xc092));
    this.setDescriptor(USER_CS32, descriptor(0, 0xf_ffff, 0xc0fa));
    this.setDescriptor(USER_SS, descriptor(0, 0xf_ffff, 0xc0f2));
    this.setDescriptor(USER_CS, descriptor(0, 0xf_ffff, 0xa0fa));
    this.setDescriptor(TSS_SELECTOR, descriptor(TSS, 0x67, 0x89));
    this.setDescriptor(KERNEL_CS32, descriptor(0, 0xf_ffff, 0xc09a));
    this.setU64(TSS + 4, BigInt(KERNEL_STACK));
    this.setU64(TSS + 36, BigInt(IST_STACK));
    for (let v = 0; v < 256; v += 1) this.setGate64(v);
    const { core } = this;
    core.setU64(S.CR0, CR0_LONG); core.setU64(S.CR3, BigInt(PML4)); core.setU64(S.CR4, cr4); core.setU64(S.IA32_EFER, 0xd01n); // NXE LMA LME SCE
    for (let s = 0; s < 6; s += 1) this.segment(s, cpl ? USER_SS : KERNEL_SS, 0, 0xffff_ffff, cpl ? 0xc0f3 : 0xc093);
    this.segment(1, cpl ? USER_CS : KERNEL_CS, 0, 0xffff_ffff, cpl ? 0xa0fb : 0xa09b);
    this.segment(7, TSS_SELECTOR, TSS, 0x67, 0x8b);
    this.setGpr(4, BigInt(cpl ? USER_STACK : KERNEL_STACK));
    core.setFlags(2);
    core.syncAfterStateWrite();
  }

  /** 32-bit protected mode without paging, CPL 0 or 3, flat segments. */
  protected32(cpl: 0 | 3 = 0): void {
    this.#common();
    this.setDescriptor(KERNEL_CS, descriptor(0, 0xf_ffff, 0xc09a));
    this.setDescriptor(KERNEL_SS, descriptor(0, 0xf_ffff, 0xc092));
    this.setDescriptor(USER_CS32, descriptor(0, 0xf_ffff, 0xc0fa));
    this.setDescriptor(USER_SS, descriptor(0, 0xf_ffff, 0xc0f2));
    this.setDescriptor(TSS_SELECTOR, descriptor(TSS, 0x67, 0x89));
    this.ram.setUint32(TSS + 4, KERNEL_STACK, true);
    this.ram.setUint16(TSS + 8, KERNEL_SS, true);
    for (let v = 0; v < 256; v += 1) this.setGate32(v);
    const { core } = this;
    core.setU64(S.CR0, 0x31n);
    for (let s = 0; s < 6; s += 1) this.segment(s, cpl ? USER_SS : KERNEL_SS, 0, 0xffff_ffff, cpl ? 0xc0f3 : 0xc093);
    this.segment(1, cpl ? USER_CS32 : KERNEL_CS, 0, 0xffff_ffff, cpl ? 0xc0fb : 0xc09b);
    this.segment(7, TSS_SELECTOR, TSS, 0x67, 0x8b);
    this.setGpr(4, BigInt(cpl ? USER_STACK : KERNEL_STACK));
    core.setFlags(2);
    core.syncAfterStateWrite();
  }

  /** Real-address mode at 2000:0000, stack 4000:8000. */
  real(): void {
    this.#common();
    const { core } = this;
    core.setU64(S.CR0, 0x30n);
    for (let s = 0; s < 6; s += 1) this.segment(s, 0, 0, 0xffff, 0x93);
    this.segment(1, KERNEL_CODE >> 4, KERNEL_CODE, 0xffff, 0x9b);
    this.segment(2, 0x4000, 0x4_0000, 0xffff, 0x93);
    this.setGpr(4, 0x8000n);
    core.setU64(S.IDTR_BASE, 0n); core.setU32(S.IDTR_LIMIT, 0x3ff);
    for (let v = 0; v < 256; v += 1) { this.ram.setUint16(v * 4, v * 16, true); this.ram.setUint16(v * 4 + 2, HANDLERS >> 4, true); }
    core.setFlags(2);
    core.syncAfterStateWrite();
  }

  /** Runs code at rip (default by CPL) until VMCALL or another reason to leave. */
  run(hex: string, at?: number): number {
    const where = at ?? (this.cpl === 3 ? USER_CODE : KERNEL_CODE);
    this.put(where, [...code(hex), ...VMCALL]);
    this.core.setU64(S.RIP, BigInt(where) - this.core.u64(S.SEG_BASE + 8));
    this.core.syncAfterStateWrite();
    return this.core.run(10_000);
  }

  /** Vector of the handler in which the run ended, undefined when it ended elsewhere. */
  get vector(): number | undefined {
    const at = Number(this.rip + this.core.u64(S.SEG_BASE + 8)) - HANDLERS;
    return at >= 0 && at < 0x1000 ? at >> 4 : undefined;
  }

  /** 64-bit words of the stack, top first. */
  frame(count: number): bigint[] {
    const sp = Number(this.gpr(4));
    return Array.from({ length: count }, (_, i) => this.u64(sp + i * 8));
  }

  /** 32-bit words of the stack, top first. */
  frame32(count: number): number[] {
    const sp = Number(this.gpr(4) & 0xffff_ffffn);
    return Array.from({ length: count }, (_, i) => this.u32(sp + i * 4));
  }
}
