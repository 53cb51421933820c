/**
 * The CPUID features of this instance's pCPU: what is not among them is decoded, and refused in CR4 and in page tables, as by a processor
 * that does not have it. A compiler's instance takes those of the pCPU that it compiles for.
 *
 * @spec SDM vol. 2 (#UD of each instruction), vol. 3, 2.5 (CR4)
 */
import { CR4_BITS, CR4_FEATURES } from './gen/features';

/** Mask by the bits of tables/features.ts; everything until somebody says otherwise. */
export let features: u64 = 0xffff_ffff_ffff_ffff;
/** Bits of CR4 that cannot be set. */
export let cr4Reserved: u64 = reservedOf(features);

function reservedOf(mask: u64): u64 {
  let reserved: u64 = 0xffff_ffff_ffff_ffff;
  for (let bit: usize = 0; bit < CR4_BITS; bit++) {
    if (load<u64>(CR4_FEATURES + (bit << 3)) & mask) reserved &= ~((<u64>1) << bit);
  }
  return reserved;
}

/** What is decoded already must be dropped by the caller. */
export function setFeatures(mask: u64): void {
  features = mask;
  cr4Reserved = reservedOf(mask);
}
