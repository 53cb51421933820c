/**
 * The x87 register stack, tags, exception flags and instruction pointers in the pCPU's state.
 *
 * FTW holds full tags, but only 00 (in use) and 11 (empty) are kept; 01 and 10 are worked out when tags are stored.
 *
 * @spec   SDM vol. 1, 8.1 (registers), 8.1.8 (pointers), 8.5 to 8.7 (exceptions)
 * @cover  #Y stack faults, masked and unmasked responses, #MF at the next waiting instruction (CR0.NE = 1)
 *         #N FERR# and IRQ 13 (CR0.NE = 0): a pending exception is then ignored
 * @differ FOP is kept by every non-control instruction, FDP by every one with a memory operand, as before
 *         FDP_EXCPTN_ONLY.
 */
import { CS, FS, MODE_LONG64, cpu, cr0, instrRip, mode, segBase, segSelector } from '../cpu';
import { MF, NM, raise } from '../fault';
import { S_FCS, S_FCW, S_FDP, S_FDS, S_FIP, S_FOP, S_FPR, S_FSW, S_FTW } from '../gen/state';
import { recOpcode, recSegment } from '../record';
import {
  DE, IE, SF, ZE, begin, control, exceptions, indefinite, replaceExceptions, roundedUp, setRoundedUp, signal, zSe, zSig,
} from './format';

const CR0_EM_TS: u64 = 0xc;
const CR0_MP_TS: u64 = 0xa;
const CR0_NE: u64 = 0x20;

export const C0: u32 = 0x100; export const C1: u32 = 0x200; export const C2: u32 = 0x400; export const C3: u32 = 0x4000;
/** ES and B. */
export const SUMMARY: u32 = 0x8080;

// @ts-ignore: decorator
@inline export function fsw(): u32 { return load<u16>(cpu, S_FSW); }
// @ts-ignore: decorator
@inline export function setFsw(v: u32): void { store<u16>(cpu, <u16>v, S_FSW); }
// @ts-ignore: decorator
@inline export function fcw(): u32 { return load<u16>(cpu, S_FCW); }
// @ts-ignore: decorator
@inline export function top(): u32 { return (fsw() >> 11) & 7; }
// @ts-ignore: decorator
@inline function physical(i: u32): u32 { return (top() + i) & 7; }
/** Address of ST(i). */
// @ts-ignore: decorator
@inline export function st(i: u32): usize { return cpu + S_FPR + (<usize>physical(i) << 4); }
// @ts-ignore: decorator
@inline export function stSig(i: u32): u64 { return load<u64>(st(i)); }
// @ts-ignore: decorator
@inline export function stSe(i: u32): u32 { return <u32>load<u16>(st(i), 8); }

// @ts-ignore: decorator
@inline export function isEmpty(i: u32): bool { return ((<u32>load<u16>(cpu, S_FTW) >> (physical(i) << 1)) & 3) == 3; }
export function setEmpty(i: u32): void { store<u16>(cpu, <u16>(<u32>load<u16>(cpu, S_FTW) | (3 << (physical(i) << 1))), S_FTW); }
/** Writes ST(i) and marks it in use. */
export function setSt(i: u32, se: u32, sig: u64): void {
  const at = st(i);
  store<u64>(at, sig);
  store<u16>(at, <u16>se, 8);
  store<u16>(cpu, <u16>(<u32>load<u16>(cpu, S_FTW) & ~(3 << (physical(i) << 1))), S_FTW);
}
export function setTop(t: u32): void { setFsw((fsw() & ~0x3800) | ((t & 7) << 11)); }
export function pop(): void { setEmpty(0); setTop(top() + 1); }
export function push(se: u32, sig: u64): void { setTop(top() - 1); setSt(0, se, sig); }

/** #NM, then a pending #MF: what a waiting instruction checks first. */
export function enter(): void {
  if ((cr0() & CR0_EM_TS) != 0) raise(NM);
  pending();
  begin(fcw());
}
export function enterNoWait(): void { if ((cr0() & CR0_EM_TS) != 0) raise(NM); }
export function wait(): void {
  if ((cr0() & CR0_MP_TS) == CR0_MP_TS) raise(NM);
  pending();
}
function pending(): void { if ((fsw() & 0x80) != 0 && (cr0() & CR0_NE) != 0) raise(MF); }

/** FIP, FCS and FOP of a non-control instruction. */
export function noteInstruction(rec: usize): void {
  store<u64>(cpu, instrRip(), S_FIP);
  store<u16>(cpu, segSelector(CS), S_FCS);
  const opcode = recOpcode(rec);
  store<u16>(cpu, <u16>(((opcode & 7) << 8) | (opcode >> 8)), S_FOP);
}

/** FDP and FDS: the offset of the memory operand at linear address gva. */
export function noteOperand(rec: usize, gva: u64): void {
  const segment = recSegment(rec);
  if ((mode() & MODE_LONG64) != 0) store<u64>(cpu, segment >= FS ? gva - segBase(segment) : gva, S_FDP);
  else store<u64>(cpu, (gva - segBase(segment)) & 0xffff_ffff, S_FDP);
  store<u16>(cpu, segSelector(segment), S_FDS);
}

/** Masked exceptions of this instruction. */
// @ts-ignore: decorator
@inline export function unmasked(): u32 { return exceptions & ~control & 0x3f; }

/**
 * True when an unmasked IE, DE or ZE forbids any result. Exceptions found after the operation then do not count.
 */
export function blocked(): bool {
  if ((unmasked() & (IE | DE | ZE)) == 0) return false;
  replaceExceptions(exceptions & (IE | DE | ZE | SF));
  if ((exceptions & SF) == 0) setRoundedUp(false);
  return true;
}

/** Moves this instruction's exceptions and C1 into FSW. */
export function settle(): void {
  let status = (fsw() & ~C1) | exceptions;
  if (roundedUp != 0) status |= C1;
  if (unmasked() != 0) status |= SUMMARY;
  setFsw(status);
}

/** Sets C3, C2, C0 to `code`. */
export function setCondition(code: u32): void { setFsw((fsw() & ~(C0 | C2 | C3)) | code); }

/** An empty source: IE and SF with C1 clear, the indefinite as result. True when the masked response applies. */
export function stackUnderflow(): bool {
  signal(IE | SF);
  setRoundedUp(false);
  indefinite();
  return (control & IE) != 0;
}
/** A push onto a register in use: likewise with C1 set. */
export function stackOverflow(): bool {
  signal(IE | SF);
  setRoundedUp(true);
  indefinite();
  return (control & IE) != 0;
}

/** Ends an instruction whose result goes to ST(i). */
export function finishSt(i: u32): void {
  if (!blocked()) setSt(i, zSe, zSig);
  settle();
}

/** Ends an instruction that pushes its result. */
export function finishPush(): void {
  if (!isEmpty(7)) {
    replaceExceptions(0);
    stackOverflow();
  }
  if (!blocked()) push(zSe, zSig);
  settle();
}

/** FCW as written: reserved bits fixed; ES and B follow the new masks. */
export function writeControl(value: u32): void {
  store<u16>(cpu, <u16>((value & 0x1f3f) | 0x40), S_FCW);
  refreshSummary();
}

export function refreshSummary(): void {
  const status = fsw();
  setFsw((status & ~fcw() & 0x3f) != 0 ? status | SUMMARY : status & ~SUMMARY);
}

/** FNINIT. */
export function initialize(): void {
  store<u16>(cpu, 0x37f, S_FCW);
  store<u16>(cpu, 0, S_FSW);
  store<u16>(cpu, 0xffff, S_FTW);
  clearPointers();
}

export function clearPointers(): void {
  store<u16>(cpu, 0, S_FOP);
  store<u64>(cpu, 0, S_FIP);
  store<u64>(cpu, 0, S_FDP);
  store<u16>(cpu, 0, S_FCS);
  store<u16>(cpu, 0, S_FDS);
}
