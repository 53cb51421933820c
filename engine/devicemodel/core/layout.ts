/**
 * Where things are in a User VM's physical address space, and the e820 map that says so.
 *
 * @spec   reference/acrn-device-model.md section 3 (2.2's layout, the e820 table of v2.0 and v2.1)
 * @differ 2.2's own e820 table overlaps RAM in guests with more than 1168 MiB; the sound table of v2.0 is used.
 */
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

export const LOWMEM_LIMIT = 2 * GIB;
export const HIGHMEM_BASE = 5 * GIB;
export const PCI_EMUL_IOBASE = 0x2000;
export const PCI_EMUL_IOLIMIT = 0x10000;
export const PCI_EMUL_MEMBASE32 = LOWMEM_LIMIT;
export const PCI_EMUL_ECFG_BASE = 0xe0000000;
export const PCI_EMUL_ECFG_SIZE = 0x10000000;
export const PCI_EMUL_MEMLIMIT32 = PCI_EMUL_ECFG_BASE;
export const PCI_EMUL_MEMBASE64 = 4 * GIB;
export const PCI_EMUL_MEMLIMIT64 = 5 * GIB;

const E820_TYPE_RAM = 1;
const E820_TYPE_RESERVED = 2;

export interface E820Entry { baseaddr: number; length: number; type: number }

/** Splits a memory size at the low memory limit, as vm_setup_memory does. */
export function memoryRanges(sizeBytes: number): Array<{ gpa: number; sizeBytes: number }> {
  const low = Math.min(sizeBytes, LOWMEM_LIMIT);
  const high = sizeBytes - low;
  return high > 0 ? [{ gpa: 0, sizeBytes: low }, { gpa: HIGHMEM_BASE, sizeBytes: high }] : [{ gpa: 0, sizeBytes: low }];
}

/** acrn_create_e820_table */
export function createE820Table(lowmem: number, highmem: number): E820Entry[] {
  const ram = (baseaddr: number, length: number): E820Entry => ({ baseaddr, length, type: E820_TYPE_RAM });
  const reserved = (baseaddr: number, length: number): E820Entry => ({ baseaddr, length, type: E820_TYPE_RESERVED });
  return [
    ram(0, 0xa0000),
    reserved(0xa0000, 0x60000),
    ram(MIB, lowmem - MIB),
    reserved(lowmem, LOWMEM_LIMIT - lowmem),
    reserved(LOWMEM_LIMIT, 0x8000000),
    reserved(0xdb000000, 0x4000000),
    reserved(0xdf000000, 0x1000000),
    reserved(PCI_EMUL_ECFG_BASE, 4 * GIB - PCI_EMUL_ECFG_BASE),
    reserved(PCI_EMUL_MEMBASE64, GIB),
    ram(HIGHMEM_BASE, highmem),
  ].filter((entry) => entry.length > 0);
}
