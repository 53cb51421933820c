/**
 * Guest page walks in every paging mode: GVA to GPA with rights, accessed and dirty flags and exact error codes.
 *
 * @spec   SDM vol. 3 chapter 4 (4.3 32-bit, 4.4 PAE, 4.5 four-level; 4.6 access rights; 4.7 error codes; 4.8 A/D flags)
 * @cover  #Y no paging, 32-bit with PSE and PSE-36, PAE with PDPTE registers, 4-level with 1 GiB pages, NX, WP, SMEP, SMAP
 *         #N protection keys, 5-level paging, shadow stacks (CPUID offers none)
 */
import { cpu } from './cpu';
import { features } from './features';
import { FEATURE_PAGE1GB } from './gen/features';
import { S_CR0, S_CR3, S_CR4, S_IA32_EFER, S_PDPTE } from './gen/state';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, eptDirty, eptRights, eptTranslate, EPT_W, reservedPhysical, structureAddress } from './ept';

export const CR0_PE: u64 = 1; export const CR0_MP: u64 = 2; export const CR0_EM: u64 = 4; export const CR0_TS: u64 = 8;
export const CR0_ET: u64 = 0x10; export const CR0_NE: u64 = 0x20; export const CR0_WP: u64 = 0x1_0000; export const CR0_AM: u64 = 0x4_0000;
export const CR0_NW: u64 = 0x2000_0000; export const CR0_CD: u64 = 0x4000_0000; export const CR0_PG: u64 = 0x8000_0000;
export const CR4_VME: u64 = 1; export const CR4_PVI: u64 = 2; export const CR4_TSD: u64 = 4; export const CR4_DE: u64 = 8;
export const CR4_PSE: u64 = 0x10; export const CR4_PAE: u64 = 0x20; export const CR4_MCE: u64 = 0x40; export const CR4_PGE: u64 = 0x80;
export const CR4_PCE: u64 = 0x100; export const CR4_OSFXSR: u64 = 0x200; export const CR4_OSXMMEXCPT: u64 = 0x400; export const CR4_UMIP: u64 = 0x800;
export const CR4_FSGSBASE: u64 = 0x1_0000; export const CR4_PCIDE: u64 = 0x2_0000; export const CR4_OSXSAVE: u64 = 0x4_0000;
export const CR4_SMEP: u64 = 0x10_0000; export const CR4_SMAP: u64 = 0x20_0000;
export const EFER_SCE: u64 = 1; export const EFER_LME: u64 = 0x100; export const EFER_LMA: u64 = 0x400; export const EFER_NXE: u64 = 0x800;

/** Page-fault error code bits. */
export const PF_P: u32 = 1; export const PF_W: u32 = 2; export const PF_U: u32 = 4; export const PF_RSVD: u32 = 8; export const PF_I: u32 = 16;

export const CONTEXT_SUPERVISOR: u32 = 0; export const CONTEXT_USER: u32 = 1; export const CONTEXT_AC: u32 = 2;
/** User with alignment checks: its table, behind the others, has no data entries, so that every access is looked at. */
export const CONTEXT_ALIGNED: u32 = 8;

const P: u64 = 1; const RW: u64 = 2; const US: u64 = 4; const A: u64 = 0x20; const D: u64 = 0x40; const PS: u64 = 0x80; const G: u64 = 0x100;
const XD: u64 = 0x8000_0000_0000_0000;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

// Results of walk.
/** GPA of the byte. */
export let walkGpa: u64 = 0;
/** Error code of the failed walk. */
export let walkError: u32 = 0;
/** Further accesses this translation allows in the same context: bit 0 read, 1 write (dirty flag set), 2 fetch. */
export let walkRights: u32 = 0;
export let walkGlobal: bool = false;
export let walkLarge: bool = false;

// Entries used by the walk in progress, wasm addresses.
let used0: usize = 0; let used1: usize = 0; let used2: usize = 0;
let entry0: u64 = 0; let entry1: u64 = 0; let entry2: u64 = 0;

/** CPUs set A and D only through writable EPT mappings; elsewhere the flags stay as they are. */
let writableTables: bool = true;

/** True when addresses have 64 bits (IA-32e mode). */
// @ts-ignore: decorator
@inline export function longMode(): bool { return (load<u64>(cpu, S_IA32_EFER) & EFER_LMA) != 0; }

// @ts-ignore: decorator
@inline export function canonical(gva: u64): bool { return <u64>((<i64>(gva << 16)) >> 16) == gva; }

/**
 * Translates gva for an access in a context. False: page fault with walkError. `commit` false: a debugger looks, no flag
 * is set.
 */
export function walk(gva: u64, access: u32, context: u32, commit: bool): bool {
  walkGlobal = false;
  walkLarge = false;
  const cr0 = load<u64>(cpu, S_CR0);
  if (!(cr0 & CR0_PG)) {
    walkGpa = gva & 0xffff_ffff;
    walkRights = 7;
    return true;
  }
  for (;;) {
    used0 = 0; used1 = 0; used2 = 0;
    writableTables = true;
    const cr4 = load<u64>(cpu, S_CR4);
    let result: i32;
    if (!(cr4 & CR4_PAE)) result = walk32(<u32>gva, access, context, cr0, cr4, commit);
    else result = walk64(gva, access, context, cr0, cr4, commit);
    if (result == RETRY) continue;
    return result == DONE;
  }
  return false;
}

const DONE: i32 = 0; const FAULT: i32 = 1; const RETRY: i32 = 2;

// @ts-ignore: decorator
@inline function isUser(context: u32): bool { return context == CONTEXT_USER || context == CONTEXT_ALIGNED; }

function fault(access: u32, context: u32, bits: u32): i32 {
  let error = bits;
  if (access == ACCESS_WRITE) error |= PF_W;
  if (isUser(context)) error |= PF_U;
  if (access == ACCESS_FETCH) {
    const cr4 = load<u64>(cpu, S_CR4);
    if (cr4 & CR4_SMEP || (cr4 & CR4_PAE && load<u64>(cpu, S_IA32_EFER) & EFER_NXE)) error |= PF_I;
  }
  walkError = error;
  return FAULT;
}

/** The rights that R/W, U/S and XD of all levels leave in this context. Bit 0 read, 1 write, 2 fetch. */
function rightsOf(rw: bool, us: bool, xd: bool, context: u32, cr0: u64, cr4: u64): u32 {
  if (isUser(context)) return us ? 1 | (rw ? 2 : 0) | (xd ? 0 : 4) : 0;
  let rights: u32 = 1;
  if (rw || !(cr0 & CR0_WP)) rights |= 2;
  if (!xd) rights |= 4;
  if (us) {
    if (cr4 & CR4_SMEP) rights &= ~4;
    if (cr4 & CR4_SMAP && context != CONTEXT_AC) rights &= 4;
  }
  return rights;
}

/** wasm address of a paging-structure entry, 0 when it is not RAM. */
function structure(gpa: u64): usize {
  const at = structureAddress(gpa);
  if (at != 0 && !(eptRights & EPT_W)) writableTables = false;
  return at;
}

function walk64(gva: u64, access: u32, context: u32, cr0: u64, cr4: u64, commit: bool): i32 {
  const efer = load<u64>(cpu, S_IA32_EFER);
  const long = (efer & EFER_LMA) != 0;
  const nxe = (efer & EFER_NXE) != 0;
  let reserved = reservedPhysical | (nxe ? 0 : XD);
  if (!long) reserved |= 0x7ff0_0000_0000_0000;
  let rw = true; let us = true; let xd = false;
  let table: u64;
  let shift: u32;
  if (long) {
    table = load<u64>(cpu, S_CR3) & FRAME;
    shift = 39;
  } else {
    const pdpte = load<u64>(cpu + ((<usize>(gva >> 30) & 3) << 3), S_PDPTE);
    if (!(pdpte & P)) return fault(access, context, 0);
    table = pdpte & FRAME;
    shift = 21;
    gva &= 0xffff_ffff;
  }
  for (;;) {
    const at = structure(table + ((gva >> shift) & 0x1ff) * 8);
    const entry = at != 0 ? atomic.load<u64>(at) : <u64>-1;
    if (!(entry & P)) return fault(access, context, 0);
    if (entry & reserved) return fault(access, context, PF_P | PF_RSVD);
    if (entry & PS && (shift == 39 || (shift == 30 && !(features & FEATURE_PAGE1GB)))) return fault(access, context, PF_P | PF_RSVD);
    rw = rw && (entry & RW) != 0;
    us = us && (entry & US) != 0;
    xd = xd || (entry & XD) != 0;
    if (shift != 12 && !(entry & PS)) {
      if (shift == 39) { used0 = at; entry0 = entry; } else if (shift == 30) { used1 = at; entry1 = entry; } else { used2 = at; entry2 = entry; }
      table = entry & FRAME;
      shift -= 9;
      continue;
    }
    const offset = ((<u64>1) << shift) - 1;
    if (shift != 12 && entry & FRAME & offset & ~0x1000) return fault(access, context, PF_P | PF_RSVD);
    const rights = rightsOf(rw, us, xd, context, cr0, cr4);
    if (!((rights >> access) & 1)) return fault(access, context, PF_P);
    if (commit && !setFlags64(at, entry, access)) return RETRY;
    walkRights = access == ACCESS_WRITE || entry & D ? rights : rights & ~2;
    walkGlobal = (entry & G) != 0 && (cr4 & CR4_PGE) != 0;
    walkLarge = shift != 12;
    walkGpa = (entry & FRAME & ~offset) | (gva & offset);
    return DONE;
  }
  return FAULT;
}

/** Sets A in the entries used and A (and D) in the 8-byte leaf. False: an entry changed under us, walk again. */
function setFlags64(at: usize, entry: u64, access: u32): bool {
  const flags = access == ACCESS_WRITE ? A | D : A;
  if (!writableTables || at == 0) return true;
  if (!setAccessed64(used0, entry0) || !setAccessed64(used1, entry1) || !setAccessed64(used2, entry2)) return false;
  if ((entry & flags) == flags) return true;
  return atomic.cmpxchg<u64>(at, entry, entry | flags) == entry;
}

/** Another pCPU may have cleared the entry meanwhile: no flag may appear in it then. */
// @ts-ignore: decorator
@inline function setAccessed64(at: usize, entry: u64): bool {
  return at == 0 || (entry & A) != 0 || atomic.cmpxchg<u64>(at, entry, entry | A) == entry;
}

function walk32(gva: u32, access: u32, context: u32, cr0: u64, cr4: u64, commit: bool): i32 {
  const directory = load<u64>(cpu, S_CR3) & 0xffff_f000;
  let at = structure(directory + ((gva >> 22) << 2));
  const pde = at != 0 ? atomic.load<u32>(at) : <u32>-1;
  if (!(pde & 1)) return fault(access, context, 0);
  let entry = pde;
  const large = (cr4 & CR4_PSE) != 0 && (pde & 0x80) != 0;
  if (large) {
    // PSE-36: bits 20:13 are PA 39:32, bit 21 is reserved.
    if (pde & 0x20_0000) return fault(access, context, PF_P | PF_RSVD);
    const high = (<u64>(pde & 0x1f_e000)) << 19;
    if (high & reservedPhysical) return fault(access, context, PF_P | PF_RSVD);
    walkGpa = high | (pde & 0xffc0_0000) | (gva & 0x3f_ffff);
  } else {
    used2 = at;
    at = structure(<u64>(pde & 0xffff_f000) + ((gva >> 10) & 0xffc));
    entry = at != 0 ? atomic.load<u32>(at) : <u32>-1;
    if (!(entry & 1)) return fault(access, context, 0);
    walkGpa = (entry & 0xffff_f000) | (gva & 0xfff);
  }
  const both = large ? pde : pde & entry;
  const rights = rightsOf((both & 2) != 0, (both & 4) != 0, false, context, cr0, cr4);
  if (!((rights >> access) & 1)) return fault(access, context, PF_P);
  const flags: u32 = access == ACCESS_WRITE ? 0x60 : 0x20;
  if (commit && writableTables && at != 0) {
    if (used2 != 0 && (pde & <u32>A) == 0 && atomic.cmpxchg<u32>(used2, pde, pde | <u32>A) != pde) return RETRY;
    if ((entry & flags) != flags && atomic.cmpxchg<u32>(at, entry, entry | flags) != entry) return RETRY;
  }
  walkRights = access == ACCESS_WRITE || entry & 0x40 ? rights : rights & ~2;
  walkGlobal = (entry & 0x100) != 0 && (cr4 & CR4_PGE) != 0;
  walkLarge = large;
  return DONE;
}
