/**
 * A kernel is somewhere else after each start: Linux puts its image at a random multiple of 2 MiB and adds the distance to what its
 * code says of addresses. For code that was kept to serve again, compiled code adds the distance from where it was made to these values, and the same
 * values must have changed by just that in the guest's code, all else being what it was.
 *
 * @spec Linux, arch/x86/Makefile (-mcmodel=kernel) and Documentation/arch/x86/x86_64/mm.rst: the image is within the 1 GiB from __START_KERNEL_map
 */
import { BASE_RIP, STAYS, isMemory, type Instruction, type Moves } from './instruction.ts';
import { isTransfer, rowOf } from './rows.ts';

/** __START_KERNEL_map and the end of the image's part of the address space. */
const IMAGE_BASE = 0xffff_ffff_8000_0000n;
const IMAGE_END = 0xffff_ffff_c000_0000n;
/** CONFIG_PHYSICAL_START: nothing of an image is below. What is there is no address of it but a constant. */
const IMAGE_FIRST = IMAGE_BASE + 0x100_0000n;

/** Whether code at a linear address is the image's of a kernel that may have moved. */
export const isImage = (linear: bigint): boolean => linear >= IMAGE_FIRST && linear < IMAGE_END;

/** Compiled code has the immediate as a constant (a factor, an address, a jump's distance): it must be what it was. Records are adjusted whatever it is. */
function isConstant(i: Instruction): boolean {
  const row = rowOf(i);
  return row === undefined ? isTransfer(i) : row.immediate !== true;
}

/** What of an instruction moves with the image, when it is on the page at a linear address. */
export function movesOf(i: Instruction, page: bigint): Moves {
  const imm = i.size === 8 && !isConstant(i) && isImage(BigInt.asUintN(64, i.imm)) ? 1 : 0;
  if (!isMemory(i) || i.address !== 8) return imm === 0 ? STAYS : { disp: 0, imm };
  if (i.base !== BASE_RIP) return { disp: isImage(BigInt.asUintN(64, BigInt(i.disp))) ? 1 : 0, imm };
  // What lies elsewhere stays there: per-CPU variables, by their offsets.
  return { disp: BigInt.asUintN(64, page + BigInt(i.disp)) < IMAGE_BASE ? -1 : 0, imm };
}

/** A value in code that moves: where it is on its page, of how many bytes. */
export interface Site { readonly offset: number; readonly bytes: 4 | 8; readonly sign: -1 | 1 }

/** Where an instruction's moving values are on its page; undefined when that is not clear. */
export function sitesOf(i: Instruction, page: Uint8Array): Site[] | undefined {
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const end = i.offset + i.length;
  const sites: Site[] = [];
  if (end > page.length) return i.moves.disp === 0 && i.moves.imm === 0 ? sites : undefined;
  if (i.moves.imm !== 0) {
    const wide = i.length >= 10 && view.getBigInt64(end - 8, true) === i.imm;
    if (!wide && BigInt(view.getInt32(end - 4, true)) !== i.imm) return undefined;
    sites.push({ offset: end - (wide ? 8 : 4), bytes: wide ? 8 : 4, sign: 1 });
  }
  if (i.moves.disp !== 0) {
    const raw = i.base === BASE_RIP ? i.disp - end : i.disp;
    // Behind a displacement there is an immediate of so many bytes.
    const places = [0, 1, 2, 4].map((bytes) => end - bytes - 4).filter((at) => at > i.offset && view.getInt32(at, true) === (raw | 0));
    if (places.length !== 1 || sites.some((site) => site.offset < places[0] + 4)) return undefined;
    sites.push({ offset: places[0], bytes: 4, sign: i.moves.disp });
  }
  return sites;
}

/** Whether a page has what it had, in these ranges (from, to, from, to ...), but for values that have moved by a distance. */
export function isSameCode(kept: Uint8Array, there: Uint8Array, ranges: Uint16Array, sites: readonly Site[], distance: number): boolean {
  const expected = kept.slice();
  const view = new DataView(expected.buffer);
  for (const { offset, bytes, sign } of sites) {
    if (bytes === 4) view.setInt32(offset, view.getInt32(offset, true) + sign * distance, true);
    else view.setBigInt64(offset, view.getBigInt64(offset, true) + BigInt(sign * distance), true);
  }
  for (let k = 0; k < ranges.length; k += 2) if (Buffer.compare(expected.subarray(ranges[k], ranges[k + 1]), there.subarray(ranges[k], ranges[k + 1])) !== 0) return false;
  return true;
}
