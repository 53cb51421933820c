/**
 * State derived from control registers and segments: CPL, the mode word, the TLB context.
 *
 * @spec SDM vol. 3, 2.2 modes of operation; 4.6 access rights
 */
import {
  CS, DS, ES, MODE_CS32, MODE_FLAT, MODE_LONG, MODE_LONG64, MODE_PROTECTED, MODE_SS32, MODE_USER, MODE_V86, SS, cpu, segAttr, segBase, segLimit,
} from './cpu';
import { AC, VM } from './flags';
import { S_CPL, S_CR0, S_CR4, S_FLAGS, S_IA32_EFER, S_MODE } from './gen/state';
import { selectJumps } from './jump_cache';
import { CONTEXT_AC, CONTEXT_ALIGNED, CONTEXT_SUPERVISOR, CONTEXT_USER, CR0_AM, CR0_PE, CR4_SMAP, EFER_LMA } from './paging';
import { ATTR_DB, ATTR_L, ATTR_UNUSABLE } from './segment_check';
import { selectTlb } from './tlb';

/** Recomputes CPL, MODE and MMU_CONTEXT: after every change of CR0, CR4, EFER, segments or RFLAGS.VM/AC. */
export function syncState(): void {
  const protectedMode = (load<u64>(cpu, S_CR0) & CR0_PE) != 0;
  const v86 = protectedMode && (load<u32>(cpu, S_FLAGS) & VM) != 0;
  const cpl: u32 = v86 ? 3 : protectedMode ? (segAttr(SS) >> 5) & 3 : 0;
  store<u32>(cpu, cpl, S_CPL);
  let mode: u32 = protectedMode ? MODE_PROTECTED : 0;
  if (v86) mode |= MODE_V86;
  if (cpl == 3) mode |= MODE_USER;
  const code = segAttr(CS);
  if (load<u64>(cpu, S_IA32_EFER) & EFER_LMA) {
    mode |= MODE_LONG;
    if (code & ATTR_L) mode |= MODE_LONG64;
  }
  if (!(mode & MODE_LONG64)) {
    if (code & ATTR_DB) mode |= MODE_CS32;
    if (segAttr(SS) & ATTR_DB) mode |= MODE_SS32;
    if (flatData(ES) && flatData(SS) && flatData(DS) && flat(CS) && (code & 0xa) == 0xa) mode |= MODE_FLAT;
  }
  store<u32>(cpu, mode, S_MODE);
  syncContext(cpl);
}

// @ts-ignore: decorator
@inline function flat(s: u32): bool { return segBase(s) == 0 && segLimit(s) == 0xffff_ffff && !(segAttr(s) & ATTR_UNUSABLE); }
/** Flat, writable, not expand-down. */
// @ts-ignore: decorator
@inline function flatData(s: u32): bool { return flat(s) && (segAttr(s) & 0xe) == 2; }

/** TLB context of explicit accesses at a privilege level. */
export function contextOf(cpl: u32): u32 {
  if (cpl == 3) return load<u32>(cpu, S_FLAGS) & AC && load<u64>(cpu, S_CR0) & CR0_AM ? CONTEXT_ALIGNED : CONTEXT_USER;
  return load<u64>(cpu, S_CR4) & CR4_SMAP && load<u32>(cpu, S_FLAGS) & AC ? CONTEXT_AC : CONTEXT_SUPERVISOR;
}

// @ts-ignore: decorator
@inline function syncContext(cpl: u32): void {
  selectTlb(contextOf(cpl));
  selectJumps();
}

/** After a change of RFLAGS.AC alone. */
export function syncAlignmentCheck(): void { syncContext(load<u32>(cpu, S_CPL)); }
