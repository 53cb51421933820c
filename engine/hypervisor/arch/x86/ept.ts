/**
 * A VM's extended page tables, in the hypervisor's own RAM above every VM's. Memory is linear with an offset and
 * write-back; whatever is not RAM of the VM has no entry, so that an access exits.
 *
 * @spec   SDM vol. 3, 29.3.2 (EPT translation), 25.6.11 (EPTP)
 * @cover  #Y 2 MiB pages where GPA and HPA allow, 4 KiB elsewhere #N 1 GiB pages, accessed and dirty flags
 */
import { HostError } from '../../../lib/errors.ts';

export interface EptRange { gpa: number; hpa: number; sizeBytes: number }

/** The board's RAM by HPA. */
export type RamWords = Pick<DataView, 'getBigUint64' | 'setBigUint64'>;

const PAGE = 0x1000;
const LARGE_PAGE = 0x20_0000;
const EPT_RWX = 7n;
const EPT_WB = 6n << 3n;
const EPT_LARGE = 1n << 7n;
const EPTP_WB = 6;
const EPTP_WALK_4 = 3 << 3;
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** Pages the tables of one VM may take: PML4, PDPT, and page directories and tables for 4 GiB in any placement. */
export const EPT_ARENA_PAGES = 64;

/**
 * Builds the tables and returns the EPTP.
 * @param ram the board's RAM by HPA
 * @param arenaHpa first of EPT_ARENA_PAGES pages for the tables
 */
export function buildEpt(ram: RamWords, arenaHpa: number, ranges: readonly EptRange[]): number {
  let used = 0;
  const newTable = (): number => {
    if (used === EPT_ARENA_PAGES) {
      throw new HostError('MEMORY_MAP_TOO_SCATTERED', { what: 'The VM\'s memory map', why: `it needs more than ${EPT_ARENA_PAGES} paging structures`, todo: 'Use ranges that are multiples of 2 MiB' });
    }
    const table = arenaHpa + used * PAGE;
    used += 1;
    for (let offset = 0; offset < PAGE; offset += 8) ram.setBigUint64(table + offset, 0n, true);
    return table;
  };
  const root = newTable();
  /** The table one level down from `table`'s entry for `gpa`, made when absent. */
  const descend = (table: number, gpa: number, shift: number): number => {
    const at = table + (Math.floor(gpa / 2 ** shift) % 512) * 8;
    const entry = ram.getBigUint64(at, true);
    if (entry !== 0n) return Number(entry & ADDRESS);
    const next = newTable();
    ram.setBigUint64(at, BigInt(next) | EPT_RWX, true);
    return next;
  };
  for (const range of ranges) {
    let done = 0;
    while (done < range.sizeBytes) {
      const gpa = range.gpa + done;
      const hpa = range.hpa + done;
      const large = gpa % LARGE_PAGE === 0 && hpa % LARGE_PAGE === 0 && range.sizeBytes - done >= LARGE_PAGE;
      const directory = descend(descend(root, gpa, 39), gpa, 30);
      if (large) {
        ram.setBigUint64(directory + (Math.floor(gpa / LARGE_PAGE) % 512) * 8, BigInt(hpa) | EPT_RWX | EPT_WB | EPT_LARGE, true);
        done += LARGE_PAGE;
      } else {
        const table = descend(directory, gpa, 21);
        ram.setBigUint64(table + (Math.floor(gpa / PAGE) % 512) * 8, BigInt(hpa) | EPT_RWX | EPT_WB, true);
        done += PAGE;
      }
    }
  }
  return root + EPTP_WB + EPTP_WALK_4; // no bit operators: an HPA may have bit 31
}

/** local_gpa2hpa: walks the tables; undefined where an access would exit. */
export function gpa2hpa(ram: RamWords, eptp: number, gpa: number): number | undefined {
  let table = eptp - (eptp % PAGE);
  for (const shift of [39, 30, 21, 12]) {
    const entry = ram.getBigUint64(table + (Math.floor(gpa / 2 ** shift) % 512) * 8, true);
    if ((entry & EPT_RWX) === 0n) return undefined;
    const next = Number(entry & ADDRESS);
    if (shift === 12) return next + (gpa % PAGE);
    if (shift === 21 && (entry & EPT_LARGE) !== 0n) return next + (gpa % LARGE_PAGE);
    table = next;
  }
  return undefined;
}
