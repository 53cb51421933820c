/**
 * LOCKed read-modify-write of bytes that lie in two aligned quadwords (split accesses, 16-byte operands): what the bus
 * lock and its stop cannot give, because they keep no device from storing. Both quadwords are replaced by compare-and-swap,
 * the second one only when the operand's bytes in it are still those that were read; else the first is taken back and the
 * instruction starts again. So no store of a device is lost.
 *
 * @spec   SDM vol. 3, 9.1.2 bus locking
 * @cover  #Y against LOCKed accesses of all sizes and alignments, against plain stores of the operand's bytes and of its neighbours
 * @differ Between the two exchanges a device can see the first quadword new and the second one old.
 */

/** Value of `bits` (8 to 64) bits that begin `shift` bits into lo and, where they do not fit, go on in hi; sign-extended. */
export function joinQuads(lo: u64, hi: u64, shift: u64, bits: u64): i64 {
  const value = shift == 0 ? lo : (lo >> shift) | (hi << (64 - shift));
  return <i64>(value << (64 - bits)) >> (64 - bits);
}

/** Mask of the operand's bytes in the first quadword. */
export function lowMask(shift: u64, bits: u64): u64 { return (0xffff_ffff_ffff_ffff >> (64 - bits)) << shift; }

/** Mask of the operand's bytes in the second quadword; shift + bits > 64. */
export function highMask(shift: u64, bits: u64): u64 { return 0xffff_ffff_ffff_ffff >> (128 - bits - shift); }

/** Puts the masked bits of value into quad. */
// @ts-ignore: decorator
@inline function merge(quad: u64, value: u64, mask: u64): u64 { return (quad & ~mask) | (value & mask); }

/**
 * Replaces the masked bytes of the quadwords at lo and hi, which held oldLo and oldHi, by those of newLo and newHi. Under
 * the bus lock. False: a device has stored to them meanwhile, nothing has changed, read them again.
 */
export function swapSplit(lo: usize, oldLo: u64, newLo: u64, loMask: u64, hi: usize, oldHi: u64, newHi: u64, hiMask: u64): bool {
  if (atomic.cmpxchg<u64>(lo, oldLo, merge(oldLo, newLo, loMask)) != oldLo) return false;
  let expected = oldHi;
  let seen = atomic.cmpxchg<u64>(hi, expected, merge(expected, newHi, hiMask));
  while (seen != expected) {
    // A store between the two exchanges: to a neighbour it is kept; to the operand it came first, if that can still be.
    if ((seen ^ oldHi) & hiMask && takeBack(lo, oldLo, newLo, loMask)) return false;
    expected = seen;
    seen = atomic.cmpxchg<u64>(hi, expected, merge(expected, newHi, hiMask));
  }
  return true;
}

/** Undoes the first exchange. False: a device has stored over it, so that there is nothing to undo. */
function takeBack(lo: usize, oldLo: u64, newLo: u64, mask: u64): bool {
  let seen = atomic.load<u64>(lo);
  while (!((seen ^ newLo) & mask)) {
    const before = atomic.cmpxchg<u64>(lo, seen, merge(seen, oldLo, mask));
    if (before == seen) return true;
    seen = before;
  }
  return false;
}
