/**
 * Operands of SSE instructions, and the checks every one of them makes first.
 *
 * @spec SDM vol. 3, 2.5 (CR0.EM, CR0.TS, CR4.OSFXSR), vol. 2, 2.4 (exception classes of SSE instructions)
 */
import { MODE_LONG64, cpu, cr0, cr4, mode, xmm } from '../cpu';
import { GP, MF, NM, raise, raiseError, UD } from '../fault';
import { S_FLAGS, S_FPR, S_FSW, S_FTW, S_LAZY_OP } from '../gen/state';
import { linear, linearUnchecked, read128, read16, read32, read64, read8 } from '../mmu';
import { isMem, recImm, recReg, recRm } from '../record';

const CR0_EM: u32 = 1 << 2;
const CR0_TS: u32 = 1 << 3;
const CR4_OSFXSR: u32 = 1 << 9;
const FSW_ES: u16 = 1 << 7;
const FSW_TOP: u16 = 7 << 11;

/** #UD when SSE is off (CR0.EM, CR4.OSFXSR), #NM when the task's state is not loaded (CR0.TS). */
// @ts-ignore: decorator
@inline export function checkSse(): void {
  if ((<u32>cr0() & (CR0_EM | CR0_TS)) != 0 || (<u32>cr4() & CR4_OSFXSR) == 0) refuseSse();
}

function refuseSse(): void {
  if ((<u32>cr0() & CR0_EM) != 0 || (<u32>cr4() & CR4_OSFXSR) == 0) raise(UD);
  raise(NM);
}

/** Destination register of `xmm, xmm/m`. */
// @ts-ignore: decorator
@inline export function destination(rec: usize): usize { return xmm(recReg(rec)); }

// @ts-ignore: decorator
@inline export function imm8(rec: usize): u32 { return <u32>recImm(rec) & 0xff; }

/** Linear address of a 16-byte operand that has to be aligned: #GP(0) otherwise, also when it is beyond the limit of SS. */
export function aligned(rec: usize, write: bool): u64 {
  if (!(mode() & MODE_LONG64) && (linearUnchecked(rec) & 15) != 0) raiseError(GP, 0);
  const gva = linear(rec, 16, write);
  if ((gva & 15) != 0) raiseError(GP, 0);
  return gva;
}

/** xmm/m128, aligned. */
export function source128(rec: usize): v128 {
  return isMem(rec) ? read128(aligned(rec, false)) : load<v128>(xmm(recRm(rec)));
}

/** xmm/m128 of any alignment. */
export function source128u(rec: usize): v128 {
  return isMem(rec) ? read128(linear(rec, 16, false)) : load<v128>(xmm(recRm(rec)));
}

/** Low quadword of xmm, or m64. */
export function source64(rec: usize): u64 {
  return isMem(rec) ? read64(linear(rec, 8, false)) : load<u64>(xmm(recRm(rec)));
}

/** Low doubleword of xmm, or m32. */
export function source32(rec: usize): u32 {
  return isMem(rec) ? read32(linear(rec, 4, false)) : load<u32>(xmm(recRm(rec)));
}

/** Low word of xmm, or m16. */
export function source16(rec: usize): u16 {
  return isMem(rec) ? read16(linear(rec, 2, false)) : load<u16>(xmm(recRm(rec)));
}

/** m8, or the low byte of xmm. */
export function source8(rec: usize): u8 {
  return isMem(rec) ? read8(linear(rec, 1, false)) : load<u8>(xmm(recRm(rec)));
}

/**
 * Sets the six status flags to `flags` (bits as in RFLAGS): the comparisons and PTEST define them all.
 */
// @ts-ignore: decorator
@inline export function setStatusFlags(flags: u32): void {
  store<u32>(cpu, 0, S_LAZY_OP);
  store<u32>(cpu, (load<u32>(cpu, S_FLAGS) & ~(<u32>0x8d5)) | flags, S_FLAGS);
}

// --- MMX registers, for the instructions that move between both files

/** #MF when an x87 exception is pending: before an instruction that uses an MMX register. */
export function checkMmx(): void {
  if ((load<u16>(cpu, S_FSW) & FSW_ES) != 0) raise(MF);
}

/** Transition to MMX: TOP becomes 0 and every tag valid (SDM vol. 3, 12.2). */
export function enterMmx(): void {
  store<u16>(cpu, load<u16>(cpu, S_FSW) & ~FSW_TOP, S_FSW);
  store<u16>(cpu, 0, S_FTW);
}

// @ts-ignore: decorator
@inline export function mmx(i: u32): u64 { return load<u64>(cpu + (<usize>(i & 7) << 4), S_FPR); }

/** Writes an MMX register; the exponent field of the x87 register it aliases becomes all ones. */
// @ts-ignore: decorator
@inline export function setMmx(i: u32, v: u64): void {
  store<u64>(cpu + (<usize>(i & 7) << 4), v, S_FPR);
  store<u16>(cpu + (<usize>(i & 7) << 4), 0xffff, S_FPR + 8);
}
