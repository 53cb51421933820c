/**
 * Random guests: a mode and privilege level, tables that are mostly right, registers that point at interesting things,
 * and random bytes as code.
 */
import { WrittenPages } from '../../engine/core/written_pages.ts';
import { S } from '../../engine/core/gen/state.ts';
import { PREFIX, parseRow, type Form } from '../../engine/core/tables/encoding.ts';
import { loadFamilies } from '../../engine/core/tables/opcodes/index.ts';
import { integer, type Random } from '../differential/random.ts';
import { GUEST_BYTES, type FuzzMachine } from './fuzz_machine.ts';

// Guest-physical addresses; linear ones are the same.
const GDT = 0x1000; const IDT = 0x2000; const TSS = 0x3000; const LDT = 0x3800; const TSS2 = 0x4000; const TSS16 = 0x4800;
const PML4 = 0x1_0000; const PDPT = 0x1_1000; const PD = 0x1_2000; const PT = 0x1_3000; const PD32 = 0x1_5000; const PT32 = 0x1_6000;
const HANDLERS = 0x2_0000; const CODE = 0x3_0000; const CODE_BYTES = 0x1000;
const KERNEL_STACK = 0x4_8000; const USER_STACK = 0x5_8000; const DATA = 0x6_0000;
/** The template covers everything up to here. */
const TEMPLATE_BYTES = 0x3_1000;
const HANDLER_BYTES = 32;

/** Selectors without RPL: ring r has code32, code16, code64 and data at RING + 32 r. */
const RING = 0x08; const TSS_SELECTOR = 0x90; const LDT_SELECTOR = 0xa0; const GATES = 0xb0;
const CODE64 = 16; const CODE16 = 8; const STACK = 24;

const descriptor = (base: number, limit: number, attr: number): bigint => {
  const b = BigInt(base), l = BigInt(limit), a = BigInt(attr);
  return (l & 0xffffn) | ((b & 0xff_ffffn) << 16n) | ((a & 0xffn) << 40n) | (((l >> 16n) & 0xfn) << 48n) | (((a >> 12n) & 0xfn) << 52n) | ((b >> 24n) << 56n);
};

type Code = 'real' | 'v86' | 'bits16' | 'bits32' | 'bits64';
type Paging = 'off' | 'bits32' | 'pae' | 'long';

export interface GuestMode { readonly name: string; readonly code: Code; readonly ring: number; readonly paging: Paging }

const RINGS = [0, 1, 2, 3];
export const MODES: readonly GuestMode[] = [
  { name: 'real mode', code: 'real', ring: 0, paging: 'off' },
  ...(['off', 'bits32', 'pae'] as const).map((paging): GuestMode => ({ name: `virtual-8086, paging ${paging}`, code: 'v86', ring: 3, paging })),
  ...(['bits16', 'bits32'] as const).flatMap((code) => (['off', 'bits32', 'pae'] as const).flatMap((paging) =>
    RINGS.map((ring): GuestMode => ({ name: `protected ${code}, paging ${paging}, ring ${ring}`, code, ring, paging })))),
  ...(['bits16', 'bits32'] as const).flatMap((code) => RINGS.map((ring): GuestMode => ({ name: `compatibility ${code}, ring ${ring}`, code, ring, paging: 'long' }))),
  ...RINGS.map((ring): GuestMode => ({ name: `64-bit, ring ${ring}`, code: 'bits64', ring, paging: 'long' })),
];

/** Steps over the faulting byte and returns; #DF, #TS, #NP, #SS, #GP, #PF and #AC have an error code to drop. */
function handler(vector: number, width: 16 | 32 | 64): number[] {
  const drops = [8, 10, 11, 12, 13, 14, 17].includes(vector);
  if (width === 64) return [...(drops ? [0x48, 0x83, 0xc4, 8] : []), 0x48, 0xff, 0x04, 0x24, 0x48, 0xcf];
  if (width === 32) return [...(drops ? [0x83, 0xc4, 4] : []), 0xff, 0x04, 0x24, 0xcf];
  return [0x55, 0x89, 0xe5, 0xff, 0x46, 0x02, 0x5d, 0xcf]; // real mode: no error codes
}

/** The guest's first pages for a kind of machine: tables, handlers. */
function template(mode: GuestMode): Buffer {
  const t = Buffer.alloc(TEMPLATE_BYTES);
  const long = mode.paging === 'long';
  const set = (at: number, v: bigint): void => { t.writeBigUInt64LE(v, at); };
  for (const ring of RINGS) {
    const dpl = ring << 5;
    [0xc09b, 0x009b, 0xa09b, 0xc093].forEach((attr, i) => set(GDT + RING + ring * 32 + i * 8, descriptor(0, attr === 0x009b ? 0xffff : 0xf_ffff, attr | dpl)));
  }
  set(GDT + TSS_SELECTOR, descriptor(TSS, 0x7ff, 0x89));
  set(GDT + LDT_SELECTOR, descriptor(LDT, 0x7f, 0x82));
  const gate = (selector: number, offset: number, type: number): bigint =>
    BigInt(offset & 0xffff) | (BigInt(selector) << 16n) | (BigInt(type) << 40n) | (BigInt(offset >>> 16) << 48n);
  if (long) {
    set(GDT + GATES, gate(RING + CODE64, HANDLERS, 0xec)); // call gate of 16 bytes
  } else {
    set(GDT + GATES, gate(RING, HANDLERS, 0xec)); // call gates, a task gate, TSSs
    set(GDT + GATES + 8, gate(RING + CODE16, HANDLERS, 0xe4));
    set(GDT + GATES + 16, gate(GATES + 24, 0, 0xe5));
    set(GDT + GATES + 24, descriptor(TSS2, 0x67, 0xe9));
    set(GDT + GATES + 32, descriptor(TSS16, 0x2b, 0xe1));
  }
  set(GDT + GATES + 40, descriptor(0, 0xf_ffff, 0xc09f)); // conforming code
  set(GDT + GATES + 48, descriptor(DATA, 0x0fff, 0x40f7)); // expand-down data
  set(GDT + GATES + 56, descriptor(0, 0xf_ffff, 0x4093)); // 1 MiB
  for (let v = 0; v < 256; v += 1) {
    const target = HANDLERS + v * HANDLER_BYTES;
    const type = 0x80 | (v % 3 === 0 ? 0x60 : 0) | (v % 5 === 0 ? 0xf : 0xe); // some for every ring, some trap gates
    if (long) {
      set(IDT + v * 16, gate(RING + CODE64, target, type) | (v === 8 ? 1n << 32n : 0n));
    } else {
      set(IDT + v * 8, !long && v === 8 ? gate(GATES + 24, 0, 0x85) : v % 37 === 36 ? gate(RING + CODE16, target, type & ~8) : gate(RING, target, type));
    }
    Buffer.from(handler(v, mode.code === 'real' ? 16 : long ? 64 : 32)).copy(t, target);
    if (mode.code === 'real') { t.writeUInt16LE(v * HANDLER_BYTES, v * 4); t.writeUInt16LE(HANDLERS >> 4, v * 4 + 2); }
  }
  if (long) {
    for (let i = 0; i < 3; i += 1) set(TSS + 4 + i * 8, BigInt(KERNEL_STACK - i * 0x800));
    set(TSS + 36, BigInt(KERNEL_STACK - 0x2000));
  } else {
    for (const [tss, stack] of [[TSS, KERNEL_STACK], [TSS2, KERNEL_STACK - 0x3000]] as const) {
      for (let i = 0; i < 3; i += 1) {
        t.writeUInt32LE(stack - i * 0x800, tss + 4 + i * 8);
        t.writeUInt16LE(RING + i * 32 + STACK + i, tss + 8 + i * 8);
      }
    }
    t.writeUInt32LE(PD32, TSS2 + 28); // CR3
    t.writeUInt32LE(HANDLERS, TSS2 + 32);
    t.writeUInt32LE(2, TSS2 + 36);
    for (let s = 0; s < 6; s += 1) t.writeUInt16LE(s === 1 ? RING : RING + STACK, TSS2 + 72 + s * 4);
  }
  t.writeUInt16LE(0x68, TSS + 102); // I/O permission bitmap: what follows is zero, all ports allowed, up to the limit
  const entry = 0x7n; // present, writable, user
  set(PML4, BigInt(PDPT) | entry);
  // in PAE mode CR3 names the same table, whose entries may have no rights
  set(PDPT, BigInt(PD) | (long ? entry : 1n));
  set(PDPT + 8, long ? 0x4000_0000n | entry | 0x80n : 0n);
  for (let i = 0; i < 2; i += 1) set(PD + i * 8, BigInt(PT + i * 4096) | entry);
  set(PD + 16, BigInt(GUEST_BYTES) | entry | 0x80n); // a large page that is not the guest's
  for (let page = 0; page < GUEST_BYTES >> 12; page += 1) {
    set(PT + page * 8, BigInt(page << 12) | entry);
    t.writeUInt32LE((page << 12) | 7, PT32 + page * 4);
  }
  t.writeUInt32LE(PT32 | 7, PD32);
  t.writeUInt32LE((GUEST_BYTES | 0x87) >>> 0, PD32 + 4);
  return t;
}

export interface CodeSource { readonly forms: readonly Form[] }

export async function loadCodeSource(): Promise<CodeSource> { return { forms: (await loadFamilies()).flatMap(({ rows }) => rows.flatMap(parseRow)) }; }

const MAP_BYTES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;
const PREFIX_BYTES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];

/** Random bytes: opcodes of the table with random prefixes and operands, or plain chance. */
function fillCode(code: Buffer, source: CodeSource, mode: GuestMode, r: Random): void {
  for (let i = 0; i < code.length; i += 4) code.writeUInt32LE(r.u32(), i);
  if (r.chance(0.25)) return;
  let at = 0;
  while (at < code.length - 24) {
    if (r.chance(0.1)) { at += 1 + r.below(4); continue; }
    const form = r.pick(source.forms);
    for (let n = r.below(8); n > 5; n -= 1) code[at++] = r.pick(PREFIX_BYTES);
    if (form.map >= 4) {
      code[at++] = 0xc4;
      code[at++] = (mode.code === 'bits64' ? r.below(8) << 5 : 0xe0) | (form.map - 3);
      code[at++] = (form.rexW === 'W1' ? 0x80 : 0) | (form.vexNoVvvv ? 0x78 : r.below(16) << 3) | ([0, 0, 1, 2, 3][form.prefix] ?? 0);
    } else {
      if (form.prefix >= PREFIX['66'] && form.prefix <= PREFIX.F2) code[at++] = [0x66, 0xf3, 0xf2][form.prefix - PREFIX['66']];
      if (mode.code === 'bits64' && r.chance(0.4)) code[at++] = 0x40 | r.below(16);
      for (const b of MAP_BYTES[form.map]) code[at++] = b;
    }
    code[at++] = form.opcode;
    if (form.hasModRm) {
      const mod = form.mod === 1 ? 3 : form.mod === 2 ? r.below(3) : r.below(4);
      code[at++] = (mod << 6) | ((form.digit >= 0 ? form.digit : r.below(8)) << 3) | (form.rm >= 0 ? form.rm : r.below(8));
    }
    at += r.below(6); // displacement and immediate, or what chance makes of them
  }
}

const POINTERS = [0, GDT, GDT + RING, IDT, TSS, LDT, PML4, PDPT, PD, PT, PD32, HANDLERS, CODE, CODE + 0xffc, KERNEL_STACK, USER_STACK, DATA, DATA + 0xffd,
  GUEST_BYTES - 4, GUEST_BYTES, GUEST_BYTES + 4096, 0x4000_0000, 0xffff_fffe];
const SELECTORS = [0, RING, RING + CODE16, RING + CODE64, RING + STACK, RING + 3 * 32 + 3, RING + 3 * 32 + CODE64 + 3, RING + 3 * 32 + STACK + 3, TSS_SELECTOR, LDT_SELECTOR,
  GATES, GATES + 8, GATES + 16, GATES + 24, GATES + 32, GATES + 40, GATES + 48, GATES + 56];
/** Numbers of MSRs that the core knows. */
const MSRS = [0x10, 0x174, 0x175, 0x176, 0x277, 0xc000_0080, 0xc000_0081, 0xc000_0082, 0xc000_0084, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103];

function registerValue(r: Random): bigint {
  switch (r.below(6)) {
    case 0: return BigInt(r.pick(POINTERS));
    case 1: return BigInt(DATA + r.below(0x1_0000));
    case 2: return BigInt(r.pick(SELECTORS));
    case 3: return BigInt(r.pick(MSRS));
    case 4: return BigInt(r.below(300));
    default: return integer(r);
  }
}

const CR0 = { PE: 1, NE: 0x20, WP: 0x1_0000, PG: 0x8000_0000 } as const;
const EFER = { SCE: 1, LME: 0x100, LMA: 0x400, NXE: 0x800 } as const;
const FLAG = { TF: 0x100, VM: 0x2_0000 } as const;

export class ProgramLoader {
  readonly #templates = new Map<GuestMode, Buffer>();
  readonly #source: CodeSource;
  readonly #filled = new WeakSet<FuzzMachine>();
  constructor(source: CodeSource) { this.#source = source; }

  /** Puts a fresh random guest of a mode into the machine. */
  load(m: FuzzMachine, mode: GuestMode, r: Random): void {
    let pages = this.#templates.get(mode);
    if (pages === undefined) this.#templates.set(mode, pages = template(mode));
    pages.copy(m.ram, 0);
    fillCode(m.ram.subarray(CODE, CODE + CODE_BYTES), this.#source, mode, r);
    if (r.chance(0.3)) fillCode(m.ram.subarray(HANDLERS, HANDLERS + 0x400), this.#source, mode, r);
    if (r.chance(0.2)) hostileTables(m.ram, r);
    new WrittenPages(m.memory.buffer).note(m.base, TEMPLATE_BYTES);
    // wherever else it strays there is code, too: all of it at first, later what guests may have spoilt
    if (!this.#filled.has(m)) {
      this.#filled.add(m);
      fillCode(m.ram.subarray(TEMPLATE_BYTES), this.#source, mode, r);
      new WrittenPages(m.memory.buffer).note(m.base, GUEST_BYTES);
    } else {
      const at = r.chance(0.5) ? DATA + 0x1000 * r.below(16) : TEMPLATE_BYTES + 0x1000 * r.below((GUEST_BYTES - TEMPLATE_BYTES) >> 12);
      fillCode(m.ram.subarray(at, at + 0x1000), this.#source, mode, r);
      new WrittenPages(m.memory.buffer).note(m.base + at, 0x1000);
    }
    this.#registers(m, mode, r);
  }

  #registers(m: FuzzMachine, mode: GuestMode, r: Random): void {
    const { core } = m;
    const { view } = core;
    const { ring } = mode;
    const ept = core.u64(S.EPTP);
    for (let at = S.GPR; at < S.TSC_OFFSET; at += 8) view.setBigUint64(at, 0n, true);
    for (let i = 0; i < 16; i += 1) core.setU64(S.GPR + i * 8, registerValue(r));
    core.setU64(S.GPR + 4 * 8, BigInt(ring === 3 ? USER_STACK : KERNEL_STACK) & (mode.code === 'real' || mode.code === 'v86' ? 0xffffn : -1n));
    const paged = mode.paging !== 'off';
    const random = r.chance(0.7) ? CR0.NE | CR0.WP | 2 : r.u32() & 0x5_003e; // MP EM TS NE WP AM
    core.setU64(S.CR0, BigInt((random | 0x10 | (mode.code === 'real' ? 0 : CR0.PE) | (paged ? CR0.PG : 0)) >>> 0));
    const pae = mode.paging === 'pae' || mode.paging === 'long';
    // VME PVI TSD DE PSE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP FSGSBASE OSXSAVE SMEP SMAP
    const cr4 = (r.chance(0.7) ? 0x6d0 : r.u32() & 0x37_0fdf & ~0x2_0000) & ~0x20;
    core.setU64(S.CR4, BigInt(cr4 | (pae ? 0x20 : 0)));
    core.setU64(S.CR3, BigInt(mode.paging === 'long' ? PML4 : mode.paging === 'pae' ? PDPT : PD32));
    if (mode.paging === 'pae') for (let i = 0; i < 4; i += 1) core.setU64(S.PDPTE + i * 8, i === 0 ? BigInt(PD) | 1n : 0n);
    core.setU64(S.IA32_EFER, BigInt((r.chance(0.8) ? EFER.SCE : 0) | (r.chance(0.7) ? EFER.NXE : 0) | (mode.paging === 'long' ? EFER.LME | EFER.LMA : 0)));
    core.setU64(S.XCR0, r.chance(0.8) ? 3n : 1n);
    core.setU64(S.IA32_STAR, (BigInt(RING) << 32n) | (BigInt(RING + 3 * 32) << 48n));
    for (const s of [S.IA32_LSTAR, S.IA32_CSTAR, S.IA32_SYSENTER_EIP]) core.setU64(s, BigInt(HANDLERS));
    core.setU64(S.IA32_SYSENTER_CS, BigInt(RING));
    core.setU64(S.IA32_SYSENTER_ESP, BigInt(KERNEL_STACK));
    core.setU64(S.IA32_PAT, 0x0007_0406_0007_0406n);
    core.setU64(S.GDTR_BASE, BigInt(GDT));
    core.setU32(S.GDTR_LIMIT, 0x1ff);
    core.setU64(S.IDTR_BASE, mode.code === 'real' ? 0n : BigInt(IDT));
    core.setU32(S.IDTR_LIMIT, mode.code === 'real' ? 0x3ff : mode.paging === 'long' ? 0xfff : 0x7ff);
    this.#segments(m, mode);
    this.#debug(m, r);
    view.setUint16(S.FCW, r.chance(0.7) ? 0x37f : r.u32() & 0x1f7f, true);
    view.setUint16(S.FSW, r.chance(0.8) ? 0 : r.u32() & 0xffff, true);
    view.setUint16(S.FTW, r.u32() & 0xffff, true);
    core.setU32(S.MXCSR, r.chance(0.8) ? 0x1f80 : r.u32() & 0xffff);
    for (let i = 0; i < 16; i += 1) { core.setU64(S.XMM + i * 16, r.u64()); core.setU64(S.FPR + i * 8, i & 1 ? BigInt(r.below(0x1_0000)) : r.u64()); }
    core.setU64(S.EPTP, ept);
    core.setU64(S.TSC_KHZ, 2_000_000n);
    core.setU32(S.ACTIVITY_STATE, 0);
    core.setU32(S.EVENT_FLAGS, 0);
    core.setU32(S.INTERRUPTIBILITY, r.chance(0.05) ? r.pick([1, 2, 8]) : 0);
    core.setU32(S.ENTRY_INTR_INFO, 0);
    core.setU32(S.LEAVE_BLOCK, 0);
    core.setU32(S.BLOCK, 0);
    core.setU32(S.PROC_CTLS, r.chance(0.2) ? r.u32() : 0);
    core.setU32(S.PROC_CTLS2, r.chance(0.2) ? r.u32() : 0);
    core.setU32(S.EXCEPTION_BITMAP, r.chance(0.2) ? r.pick([0xffff_ffff, r.u32()]) : 0);
    for (const [mask, shadow] of [[S.CR0_GUEST_HOST_MASK, S.CR0_READ_SHADOW], [S.CR4_GUEST_HOST_MASK, S.CR4_READ_SHADOW]]) {
      core.setU64(mask, r.chance(0.1) ? BigInt(r.u32()) : 0n);
      core.setU64(shadow, BigInt(r.u32()));
    }
    core.setU64(S.RIP, BigInt((mode.code === 'real' || mode.code === 'v86' ? 0 : CODE) + r.below(r.chance(0.5) ? CODE_BYTES : 64)));
    core.setFlags((r.u32() & 0x3c_7ed5) | (r.chance(0.1) ? FLAG.TF : 0) | 2 | (mode.code === 'v86' ? FLAG.VM : 0));
    core.syncAfterStateWrite();
  }

  #segments(m: FuzzMachine, mode: GuestMode): void {
    const { core } = m;
    const set = (s: number, selector: number, base: number, limit: number, attr: number): void => {
      core.setU16(S.SEG_SELECTOR + 2 * s, selector);
      core.setU64(S.SEG_BASE + 8 * s, BigInt(base));
      core.setU32(S.SEG_LIMIT + 4 * s, limit);
      core.setU32(S.SEG_ATTR + 4 * s, attr);
    };
    const { ring } = mode;
    const dpl = ring << 5;
    if (mode.code === 'real' || mode.code === 'v86') {
      const attr = mode.code === 'v86' ? 0xf3 : 0x93;
      for (let s = 0; s < 6; s += 1) {
        const base = s === 1 ? CODE : s === 2 ? 0x4_0000 : DATA;
        set(s, base >> 4, base, 0xffff, s === 1 && mode.code === 'real' ? 0x9b : attr);
      }
    } else {
      const data = RING + ring * 32 + STACK + ring;
      for (let s = 0; s < 6; s += 1) set(s, data, 0, 0xffff_ffff, 0xc093 | dpl);
      const [offset, attr] = mode.code === 'bits64' ? [CODE64, 0xa09b] : mode.code === 'bits32' ? [0, 0xc09b] : [CODE16, 0x009b];
      // 16-bit code needs a limit that the fixed addresses fit in
      set(1, RING + ring * 32 + offset + ring, 0, 0xffff_ffff, attr | dpl | (mode.code === 'bits16' ? 0x8000 : 0));
    }
    set(6, LDT_SELECTOR, LDT, 0x7f, 0x82);
    set(7, TSS_SELECTOR, TSS, 0x7ff, 0x8b);
    core.setU32(S.CPL, ring);
  }

  /** Breakpoints on code and data, now and then. */
  #debug(m: FuzzMachine, r: Random): void {
    const { core } = m;
    core.setU64(S.DR + 8 * 6, 0xffff_0ff0n);
    core.setU64(S.DR + 8 * 7, 0x400n);
    if (!r.chance(0.1)) return;
    for (let i = 0; i < 4; i += 1) core.setU64(S.DR + 8 * i, BigInt(r.chance(0.5) ? CODE + r.below(CODE_BYTES) : DATA + r.below(0x1000)));
    core.setU64(S.DR + 8 * 7, BigInt((r.u32() & ~0xd800) >>> 0) | 0x400n);
  }
}

/** Random words in descriptor tables, page tables and task state. */
function hostileTables(ram: Buffer, r: Random): void {
  const places = [GDT + RING, GDT + TSS_SELECTOR, GDT + GATES, IDT + 8 * 6, IDT + 16 * 13, TSS, TSS2, LDT, PML4, PDPT, PD, PT + 8 * (CODE >> 12), PT, PD32, PT32];
  for (let n = 1 + r.below(4); n > 0; n -= 1) {
    const at = r.pick(places) + r.below(16) * 8;
    ram.writeBigUInt64LE(r.chance(0.5) ? r.u64() : ram.readBigUInt64LE(at) ^ (1n << BigInt(r.below(64))), at);
  }
}
