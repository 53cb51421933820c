/**
 * Physical addresses: EPT translation and the way from HPA to wasm memory.
 *
 * @spec   SDM vol. 3, 29.3 the extended page table mechanism
 * @cover  #Y four levels, 1 GiB / 2 MiB / 4 KiB leaves, R/W/X, accessed and dirty flags, misconfigurations
 *         #N mode-based execute control, sub-page permissions
 * @differ An HPA outside board RAM is answered like a missing translation: the hypervisor is asked for the data.
 */
import { cpu } from './cpu';
import { RAM_BASE, S_EPTP } from './gen/state';
import { EXIT_EPT_MISCONFIGURATION, EXIT_EPT_VIOLATION } from './exit';
import { walkedPage } from './shadow';

export const ACCESS_READ: u32 = 0;
export const ACCESS_WRITE: u32 = 1;
export const ACCESS_FETCH: u32 = 2;

/** Rights as EPT bits: read 1, write 2, execute 4. */
export const EPT_R: u32 = 1;
export const EPT_W: u32 = 2;
export const EPT_X: u32 = 4;

const FRAME: u64 = 0x000f_ffff_ffff_f000;
const ACCESSED: u64 = 0x100;
const DIRTY: u64 = 0x200;
/** EPTP: accessed and dirty flags are kept. */
const KEEP_FLAGS: u64 = 0x40;

let ramSize: u64 = 0;
/** Bytes of board RAM from HPA 0: nothing beyond is ever touched. */
export function setRamSize(bytes: u32): void { ramSize = <u64>bytes & 0xffff_f000; }

/** MAXPHYADDR as CPUID tells it. */
export let physicalBits: u32 = 39;
/** Bits of a paging-structure entry at and above MAXPHYADDR, up to 51: reserved. */
export let reservedPhysical: u64 = 0x000f_ff80_0000_0000;
export function setPhysicalBits(bits: u32): void {
  physicalBits = bits;
  reservedPhysical = 0x000f_ffff_ffff_ffff & ~(((<u64>1) << bits) - 1);
}

// Results of eptTranslate.
/** wasm address of the page's first byte; 0 when there is no RAM behind the GPA. */
export let eptPage: usize = 0;
/** Rights of the translation. */
export let eptRights: u32 = 0;
/** True: a write may be cached (the EPT dirty flag is set or not kept). */
export let eptDirty: bool = true;
/** Exit reason that an access without translation causes. */
export let eptFault: u32 = EXIT_EPT_VIOLATION;

// 2 MiB translations, direct mapped: u32 tag (gpa >> 21, all ones empty), u32 wasm base | dirty 8 | rights.
const CACHE: u32 = 64;
/** In the pCPU's block: static data is shared by all instances of the memory. */
const EPT_CACHE: usize = 0x3_1000;

export function flushEptCache(): void { memory.fill(cpu + EPT_CACHE, 0xff, CACHE * 8); }

// @ts-ignore: decorator
@inline function cached(gpa: u64): usize { return cpu + EPT_CACHE + ((<usize>(gpa >> 21) & (CACHE - 1)) << 3); }

/** wasm address of hpa, 0 when not RAM. */
// @ts-ignore: decorator
@inline export function ramAddress(hpa: u64): usize { return hpa < ramSize ? <usize>hpa + RAM_BASE : 0; }

/** Translates the page of gpa. False: the access is a violation or misconfiguration (eptFault, eptRights). */
export function eptTranslate(gpa: u64, access: u32): bool {
  const eptp = load<u64>(cpu, S_EPTP);
  if (eptp == 0) {
    eptRights = EPT_R | EPT_W | EPT_X;
    eptDirty = true;
    eptFault = EXIT_EPT_VIOLATION;
    eptPage = ramAddress(gpa & ~0xfff);
    if (eptPage == 0) eptRights = 0;
    return eptPage != 0;
  }
  const slot = cached(gpa);
  if (load<u32>(slot) == <u32>(gpa >> 21)) {
    const entry = load<u32>(slot, 4);
    eptRights = entry & 7;
    eptDirty = (entry & 8) != 0;
    if ((eptRights >> access) & 1 && (access != ACCESS_WRITE || eptDirty)) {
      eptPage = <usize>(entry & ~0x1f_ffff) + (<usize>gpa & 0x1f_f000);
      return true;
    }
  }
  return eptWalk(eptp, gpa, access);
}

function eptWalk(eptp: u64, gpa: u64, access: u32): bool {
  eptFault = EXIT_EPT_VIOLATION;
  eptPage = 0;
  eptRights = 0;
  const keepFlags = (eptp & KEEP_FLAGS) != 0;
  if (gpa >> 48) return false;
  let table = eptp & FRAME;
  let rights: u32 = EPT_R | EPT_W | EPT_X;
  for (let shift: u32 = 39; ; shift -= 9) {
    const at = ramAddress(table + ((gpa >> shift) & 0x1ff) * 8);
    if (at == 0) return false;
    let entry = load<u64>(at);
    if ((entry & 7) == 0) return false;
    if (misconfigured(entry, shift)) {
      eptFault = EXIT_EPT_MISCONFIGURATION;
      return false;
    }
    rights &= <u32>entry & 7;
    const leaf = shift == 12 || (shift < 39 && (entry & 0x80) != 0);
    if (!leaf) {
      if (keepFlags && !(entry & ACCESSED)) atomic.or<u64>(at, ACCESSED);
      table = entry & FRAME;
      continue;
    }
    eptRights = rights;
    if (!((rights >> access) & 1)) return false;
    let dirty = true;
    if (keepFlags) {
      const flags = access == ACCESS_WRITE ? ACCESSED | DIRTY : ACCESSED;
      if ((entry & flags) != flags) entry = atomic.or<u64>(at, flags) | flags;
      dirty = (entry & DIRTY) != 0;
    }
    eptDirty = dirty;
    const offsetMask = ((<u64>1) << shift) - 1;
    const base = entry & FRAME & ~offsetMask;
    const page = base | (gpa & offsetMask & ~0xfff);
    eptPage = ramAddress(page);
    if (eptPage == 0) {
      eptRights = 0;
      return false;
    }
    if (shift >= 21) {
      const large = page & ~0x1f_ffff;
      if (large + 0x20_0000 <= ramSize) {
        const slot = cached(gpa);
        store<u32>(slot, <u32>(gpa >> 21));
        store<u32>(slot, (<u32>large + RAM_BASE) | rights | (dirty ? 8 : 0), 4);
      }
    }
    return true;
  }
  return false;
}

/** SDM 29.3.3.1. */
function misconfigured(entry: u64, shift: u32): bool {
  const rights = <u32>entry & 7;
  if (rights == 2 || rights == 6) return true; // writable, not readable
  if (entry & reservedPhysical) return true;
  if (shift == 39) return (entry & 0xf8) != 0;
  const leaf = shift == 12 || (entry & 0x80) != 0;
  if (!leaf) return (entry & 0x78) != 0;
  const type = <u32>(entry >> 3) & 7;
  if (type == 2 || type == 3 || type == 7) return true;
  if (shift == 12) return false;
  return (entry & FRAME & (((<u64>1) << shift) - 1)) != 0;
}

/** wasm address of a guest paging-structure entry, 0 when it is not in RAM. Counts as a write with flags of EPT (SDM 29.3.5). */
export function structureAddress(gpa: u64): usize {
  if (!eptTranslate(gpa, load<u64>(cpu, S_EPTP) & KEEP_FLAGS ? ACCESS_WRITE : ACCESS_READ)) return 0;
  return walkedPage(eptPage) + (<usize>gpa & 0xfff);
}
