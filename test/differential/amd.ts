/**
 * Where a processor of AMD answers otherwise than the SDM's, which the core follows: what the SDM leaves to the processor, and what
 * AMD64 has of its own. Consulted on such hosts only; everything else is compared there as on Intel's.
 *
 * @spec AMD64 Architecture Programmer's Manual vol. 1 to 5; SDM vol. 3, 5.3 (operands that go on at address 0)
 */
import { readFileSync } from 'node:fs';
import { FX, OUT, type CaseInfo } from './case.ts';

export const hostIsAmd = /^vendor_id\s*:\s*AuthenticAMD$/m.test(process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '');

const END = 3; const BR = 5; const UD = 6; const SS = 12; const GP = 13; const PF = 14; const MF = 16; const AC = 17;
const FSW_ES = 0x80;
const LARGEST_OPERAND = 640n;

const X87_STORE = /^(FI?STT?P?_M\d+|FBSTP)$/;
const FX_AREA = /^FX(SAVE|RSTOR)$/;
const CLEARS_ES = /^(FNCLEX|FNINIT|FNSAVE|FRSTOR|FLDENV|FXRSTOR|XRSTOR)$/;
const UNALIGNED_16 = /^(MOVUP[SD]_|MOVDQU_|LDDQU$|PCMP[EI]STR[IM]$)/;
const SHA = /^SHA(1|256)/;
const XSAVE = /^(XSAVE|XSAVEOPT|XRSTOR)$/;
const STRING = /^(CMPS|LODS|MOVS|SCAS|STOS)$/;

/** True when both may end so: `host` and `ours` are different vectors. */
export function mayEndOtherwise(info: CaseInfo, mode: number, host: number, ours: number, out: Buffer, o: number): boolean {
  const some = (ops: RegExp): boolean => info.ops.some((op) => ops.test(op));
  const limit = host === GP || host === SS;
  // 32-bit code in flat segments: of an operand that goes on at address 0 the SDM says that it "may or may not" fault.
  if (mode === 1 && limit && (ours === AC || (ours === GP && some(FX_AREA)) || (ours === PF && nearTheEnds(out.readBigUInt64LE(o + OUT.CR2))))) return true;
  // A store that an unmasked exception forbids looks at its address all the same.
  if (some(X87_STORE) && (limit || host === PF || host === AC)) return ours === MF || (ours === END && (some(CLEARS_ES) || (out.readUInt16LE(o + OUT.FX + FX.FSW) & FSW_ES) !== 0));
  // #AC is for operands of sixteen bytes too, and SHA's need not be aligned otherwise.
  if (some(UNALIGNED_16) && host === AC) return true;
  if (some(SHA) && ours === GP) return true;
  // An area of XSAVE that is not on 64 bytes comes before anything else about its address.
  if (some(XSAVE) && host === GP && (ours === AC || ours === SS)) return true;
  // 0F 0D with a register is undefined.
  if (some(/^NOP$/) && host === UD) return true;
  // MXCSR.MM is a bit that may be set.
  if (some(/^LDMXCSR$/) && host === END && ours === GP) return true;
  // MOVSXD of 16 bits reads 32; BOUND reads both bounds first.
  return (some(/^MOVSXD$/) && (host === AC || host === PF) && ours === END) || (some(/^BOUND$/) && host === PF && ours === BR);
}

/** True when a sequence has an instruction that faults with this vector, so that it may have ended before ours did. */
export function mayEndEarlier(info: CaseInfo, vector: number): boolean {
  return info.ops.length > 1 && info.ops.some((op) => (vector === AC && UNALIGNED_16.test(op)) || (vector === UD && op === 'NOP'));
}

function nearTheEnds(address: bigint): boolean { return address < LARGEST_OPERAND || address >= 0x1_0000_0000n - LARGEST_OPERAND; }

/** F3 90 with REX.B is XCHG with R8. */
export function leavesRegistersOpen(info: CaseInfo): boolean { return info.ops.includes('PAUSE'); }

/** String operations with 32-bit addresses leave the upper halves of registers that they do not change. */
export function sameStringRegister(info: CaseInfo, host: bigint, ours: bigint): boolean {
  return info.ops.some((op) => STRING.test(op)) && BigInt.asUintN(32, host) === ours;
}

/** REP CMPS and SCAS that fault have set flags for the pairs before. */
export function leavesFlagsOpen(info: CaseInfo, faulted: boolean): boolean { return faulted && info.ops.some((op) => /^(CMPS|SCAS)$/.test(op)); }

/** DPPS and DPPD of several NaNs: which of them comes out. */
export function sameButNaN(info: CaseInfo, host: Buffer, ours: Buffer, h: number, o: number): boolean {
  if (!info.ops.some((op) => /^DPP[SD]$/.test(op))) return false;
  const size = info.ops.includes('DPPD') ? 8 : 4;
  for (let at = 0; at < 16; at += size) {
    const a = size === 8 ? host.readDoubleLE(h + at) : host.readFloatLE(h + at), b = size === 8 ? ours.readDoubleLE(o + at) : ours.readFloatLE(o + at);
    if (!Number.isNaN(a) || !Number.isNaN(b)) if (host.compare(ours, o + at, o + at + size, h + at, h + at + size) !== 0) return false;
  }
  return true;
}
