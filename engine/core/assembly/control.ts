/**
 * Control registers: writes with all their checks, and what they flush.
 *
 * @spec   SDM vol. 3, 2.5 (control registers), 4.1.2 (paging-mode enabling), 4.4.1 (PDPTE registers), 4.10.4 (what flushes)
 * @cover  #Y CR0, CR3, CR4, CR8, XCR0, guest/host masks
 */
import { CS, MODE_LONG64, cpu, mode, segAttr } from './cpu';
import { EXIT_CR_ACCESS, vmexitQualified } from './exit';
import { cr4Reserved } from './features';
import { GP, raiseError } from './fault';
import {
  S_CR0, S_CR0_GUEST_HOST_MASK, S_CR0_READ_SHADOW, S_CR3, S_CR4, S_CR4_GUEST_HOST_MASK, S_CR4_READ_SHADOW, S_CR8, S_EXIT_DATA, S_IA32_EFER, S_PDPTE,
  S_PROC_CTLS, S_XCR0,
} from './gen/state';
import { flushTlb } from './mmu';
import { physicalBits, structureAddress } from './ept';
import {
  CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR0_WP, CR4_DE, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_LME,
} from './paging';
import { updateBreakpoints } from './debug';
import { ATTR_L } from './segment_check';
import { syncState } from './sync';
import { switchPcid } from './walk_cache';

const CR0_DEFINED: u64 = 0xe005_003f;
const NOFLUSH: u64 = 0x8000_0000_0000_0000;

/** Loads the PDPTE registers from CR3's table. Raises #GP(0) for a reserved bit. */
function loadPdptes(cr3: u64): void {
  const table = cr3 & 0xffff_ffe0;
  const reserved = ~(((<u64>1) << physicalBits) - 1) | 0x1e6;
  const at = structureAddress(table);
  for (let i: usize = 0; i < 4; i++) {
    const entry = at != 0 ? load<u64>(at + (i << 3)) : <u64>0;
    if (entry & 1 && entry & reserved) raiseError(GP, 0);
  }
  for (let i: usize = 0; i < 4; i++) store<u64>(cpu + (i << 3), at != 0 ? load<u64>(at + (i << 3)) : 0, S_PDPTE);
}

// @ts-ignore: decorator
@inline function paePaging(cr0: u64, cr4: u64): bool {
  return (cr0 & CR0_PG) != 0 && (cr4 & CR4_PAE) != 0 && !(load<u64>(cpu, S_IA32_EFER) & EFER_LME);
}

/** MOV to CR0, checked. */
export function writeCr0(value: u64): void {
  const old = load<u64>(cpu, S_CR0);
  const cr4 = load<u64>(cpu, S_CR4);
  let efer = load<u64>(cpu, S_IA32_EFER);
  const v = (value & CR0_DEFINED) | CR0_ET;
  if (value >> 32 || (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD))) raiseError(GP, 0);
  if (v & CR0_PG && !(old & CR0_PG)) {
    if (efer & EFER_LME) {
      if (!(cr4 & CR4_PAE) || segAttr(CS) & ATTR_L) raiseError(GP, 0);
      efer |= EFER_LMA;
    }
  } else if (!(v & CR0_PG) && old & CR0_PG) {
    if (mode() & MODE_LONG64 || cr4 & CR4_PCIDE) raiseError(GP, 0);
    efer &= ~EFER_LMA;
  }
  const changed = v ^ old;
  if (paePaging(v, cr4) && changed & (CR0_PG | CR0_CD | CR0_NW)) loadPdptes(load<u64>(cpu, S_CR3));
  store<u64>(cpu, efer, S_IA32_EFER);
  store<u64>(cpu, v, S_CR0);
  if (changed & (CR0_PG | CR0_WP | CR0_PE)) flushTlb();
  syncState();
}

/** MOV to CR3, checked. */
export function writeCr3(value: u64): void {
  const cr4 = load<u64>(cpu, S_CR4);
  let v = value;
  let keep = false;
  if (load<u64>(cpu, S_IA32_EFER) & EFER_LMA) {
    if (cr4 & CR4_PCIDE) {
      v &= ~NOFLUSH;
      keep = v != value;
    }
    if (v >> physicalBits) raiseError(GP, 0);
  } else {
    v &= 0xffff_ffff;
    if (paePaging(load<u64>(cpu, S_CR0), cr4)) loadPdptes(v);
  }
  store<u64>(cpu, v, S_CR3);
  switchPcid(!keep);
}

/** CR3 of a task switch. */
export function loadCr3(value: u64): void {
  if (load<u64>(cpu, S_CR3) != value) writeCr3(value);
}

/** MOV to CR4, checked. */
export function writeCr4(value: u64): void {
  const old = load<u64>(cpu, S_CR4);
  const cr0 = load<u64>(cpu, S_CR0);
  const long = (load<u64>(cpu, S_IA32_EFER) & EFER_LMA) != 0;
  if (value & cr4Reserved || (long && !(value & CR4_PAE))) raiseError(GP, 0);
  if (value & CR4_PCIDE && !(old & CR4_PCIDE) && (!long || load<u64>(cpu, S_CR3) & 0xfff)) raiseError(GP, 0);
  const changed = value ^ old;
  if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP) && paePaging(cr0, value)) loadPdptes(load<u64>(cpu, S_CR3));
  store<u64>(cpu, value, S_CR4);
  if (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP | CR4_SMAP | CR4_PCIDE)) flushTlb();
  if (changed & CR4_DE) updateBreakpoints();
  syncState();
}

/** Exit qualification of a control-register access (SDM table 28-3). */
// @ts-ignore: decorator
@inline function crQualification(cr: u32, type: u32, gpr: u32): u64 { return <u64>(cr | (type << 4) | (gpr << 8)); }

/** MOV CRn, r: exits when it touches a bit the hypervisor owns. */
export function moveToCr(cr: u32, v: u64, gpr: u32): void {
  store<u64>(cpu, v, S_EXIT_DATA);
  if (cr == 0) {
    const mask = load<u64>(cpu, S_CR0_GUEST_HOST_MASK);
    if ((v ^ load<u64>(cpu, S_CR0_READ_SHADOW)) & mask) vmexitQualified(EXIT_CR_ACCESS, crQualification(0, 0, gpr));
    else writeCr0((v & ~mask) | (load<u64>(cpu, S_CR0) & mask));
  } else if (cr == 3) {
    if (load<u32>(cpu, S_PROC_CTLS) & (1 << 15)) vmexitQualified(EXIT_CR_ACCESS, crQualification(3, 0, gpr));
    else writeCr3(v);
  } else if (cr == 4) {
    const mask = load<u64>(cpu, S_CR4_GUEST_HOST_MASK);
    if ((v ^ load<u64>(cpu, S_CR4_READ_SHADOW)) & mask) vmexitQualified(EXIT_CR_ACCESS, crQualification(4, 0, gpr));
    else writeCr4((v & ~mask) | (load<u64>(cpu, S_CR4) & mask));
  } else {
    if (v > 15) raiseError(GP, 0);
    if (load<u32>(cpu, S_PROC_CTLS) & (1 << 19)) vmexitQualified(EXIT_CR_ACCESS, crQualification(8, 0, gpr));
    else store<u64>(cpu, v, S_CR8);
  }
}

/** Value of CR0 as the guest reads it. */
export function guestCr0(): u64 {
  const mask = load<u64>(cpu, S_CR0_GUEST_HOST_MASK);
  return (load<u64>(cpu, S_CR0) & ~mask) | (load<u64>(cpu, S_CR0_READ_SHADOW) & mask);
}

/** Value of CR4 as the guest reads it. */
export function guestCr4(): u64 {
  const mask = load<u64>(cpu, S_CR4_GUEST_HOST_MASK);
  return (load<u64>(cpu, S_CR4) & ~mask) | (load<u64>(cpu, S_CR4_READ_SHADOW) & mask);
}

/** CLTS. */
export function clearTaskSwitched(): void {
  if (load<u64>(cpu, S_CR0_GUEST_HOST_MASK) & load<u64>(cpu, S_CR0_READ_SHADOW) & CR0_TS) vmexitQualified(EXIT_CR_ACCESS, crQualification(0, 2, 0));
  else store<u64>(cpu, load<u64>(cpu, S_CR0) & ~CR0_TS, S_CR0);
}

/** LMSW: may set PE, never clear it. */
export function loadMsw(source: u32): void {
  const old = load<u64>(cpu, S_CR0);
  const mask = load<u64>(cpu, S_CR0_GUEST_HOST_MASK);
  const shadow = load<u64>(cpu, S_CR0_READ_SHADOW);
  const wanted = <u64>(source & 0xf);
  if (((wanted ^ shadow) & mask & 0xe) || (wanted & ~shadow & mask & 1)) {
    store<u64>(cpu, wanted, S_EXIT_DATA);
    vmexitQualified(EXIT_CR_ACCESS, crQualification(0, 3, 0) | (<u64>(source & 0xffff) << 16));
    return;
  }
  writeCr0((old & ~0xe) | (wanted & ~mask) | (old & mask & 0xf));
}

/** XSETBV of XCR0: x87 always, SSE optional. Raises #GP(0) for anything else. */
export function checkXcr0(index: u32, v: u64): void {
  if (index != 0 || !(v & 1) || v & ~3) raiseError(GP, 0);
}
export function writeXcr0(v: u64): void { store<u64>(cpu, v, S_XCR0); }
