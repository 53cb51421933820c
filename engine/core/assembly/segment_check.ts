/**
 * Limit and type checks of a segmented access outside of 64-bit mode.
 *
 * @spec SDM vol. 3, 5.3 limit checking, 5.5 type checking
 */
import { CS, MODE_PROTECTED, MODE_V86, SS, mode, segAttr, segLimit } from './cpu';
import { GP, SSF, raiseError } from './fault';

/** Segment attribute bits, in VMCS format. */
export const ATTR_ACCESSED: u32 = 1; export const ATTR_WRITABLE: u32 = 2; export const ATTR_EXPAND_DOWN: u32 = 4; export const ATTR_CODE: u32 = 8;
export const ATTR_READABLE: u32 = 2; export const ATTR_CONFORMING: u32 = 4; export const ATTR_S: u32 = 0x10; export const ATTR_P: u32 = 0x80;
export const ATTR_L: u32 = 0x2000; export const ATTR_DB: u32 = 0x4000; export const ATTR_G: u32 = 0x8000; export const ATTR_UNUSABLE: u32 = 0x1_0000;

/** Raises #GP(0), for SS #SS(0), unless the segment allows the access of `size` bytes at offset. */
export function checkSegment(segment: u32, offset: u32, size: u32, write: bool): void {
  const attr = segAttr(segment);
  const m = mode();
  if (m & MODE_PROTECTED && !(m & MODE_V86)) {
    if (attr & ATTR_UNUSABLE) violation(segment);
    if (attr & ATTR_CODE) {
      if (write || !(attr & ATTR_READABLE)) violation(segment);
    } else if (write && !(attr & ATTR_WRITABLE)) {
      violation(segment);
    }
  }
  const limit = segLimit(segment);
  const last = <u64>offset + <u64>size - 1;
  if ((attr & (ATTR_CODE | ATTR_EXPAND_DOWN)) == ATTR_EXPAND_DOWN && attr & ATTR_S) {
    const top: u64 = attr & ATTR_DB ? 0xffff_ffff : 0xffff;
    if (offset <= limit || last > top) violation(segment);
  } else if (last > <u64>limit) {
    violation(segment);
  }
}

function violation(segment: u32): void { raiseError(segment == SS ? SSF : GP, 0); }
