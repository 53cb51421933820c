/** Compares two outcomes of a case and says, in words, where they differ. */
import { hostIsAmd, leavesFlagsOpen, leavesRegistersOpen, mayEndEarlier, mayEndOtherwise, sameButNaN, sameStringRegister } from './amd.ts';
import { FX, GPR_NAMES, OUT, WINDOW_ADDRESS, WINDOW_BYTES, type CaseInfo } from './case.ts';
import { STATUS } from './undefined.ts';

const PF_VECTOR = 14;
/** The longest memory operand, and a little: either end of it may fault first, also when it wraps at 64 KiB. */
const IMAGE_BYTES = 640n;
/** Both machines ran until their limit: where they were then is chance. */
const ENDLESS = 0x1100;
/** TF IF DF IOPL NT AC ID. RF in a pushed image depends on the kind of fault. */
const SYSTEM_FLAGS = 0x24_7700;
const hex = (v: bigint | number): string => `0x${v.toString(16)}`;

/** FXSAVE-like bytes that depend on the processor's model: FOP, FIP, FDP, FCS, FDS, MXCSR_MASK. */
const POINTERS_IN_IMAGE = /^(FXSAVE|XSAVE|XSAVEOPT|FNSAVE|FNSTENV)$/;

/**
 * Instructions of several accesses: which of them faults first, and what was stored before, is the processor's choice.
 * (A CALL may have pushed before its target faults.)
 */
const MANY_ACCESSES = /^(F?XSAVE|XSAVEOPT|FXRSTOR|XRSTOR|FNSAVE|FRSTOR|FNSTENV|FLDENV|FBSTP|FSTP_M80|MASKMOV)/;

/** The first differences, or null when the outcomes agree. `host` is the processor's, `ours` the interpreter's. */
export function difference(info: CaseInfo, mode: number, host: Buffer, ours: Buffer, h: number, o: number): string | null {
  const undefinedFlags = info.undefinedFlags;
  const out: string[] = [];
  const hostVector = host.readUInt32LE(h + OUT.VECTOR), ourVector = ours.readUInt32LE(o + OUT.VECTOR);
  if (hostVector !== ourVector) {
    // with a mask of zero nothing is stored; whether the address is looked at is the processor's choice (SDM, MASKMOVQ)
    if (/^MASKMOV/.test(info.ops[0]) && hostVector === PF_VECTOR && ourVector === 3) return null;
    if (hostIsAmd && mayEndOtherwise(info, mode, hostVector, ourVector, ours, o)) return null;
    return `vector ${vectorName(hostVector)}, got ${vectorName(ourVector)}`;
  }
  if (hostVector === ENDLESS) return null;
  if (hostVector === PF_VECTOR) {
    // Nothing here is mapped read-only, so P tells nothing; a host that is itself a virtual machine may get it wrong.
    const a = host.readUInt32LE(h + OUT.ERROR) & ~1, b = ours.readUInt32LE(o + OUT.ERROR) & ~1;
    if (a !== b) out.push(`error code ${hex(a)}, got ${hex(b)}`);
    const x = host.readBigUInt64LE(h + OUT.CR2), y = ours.readBigUInt64LE(o + OUT.CR2);
    const apart = x < y ? y - x : x - y;
    if (MANY_ACCESSES.test(info.ops[0]) ? apart >= IMAGE_BYTES && 0x1_0000n - apart >= IMAGE_BYTES : apart !== 0n) out.push(`cr2 ${hex(x)}, got ${hex(y)}`);
  }
  const rip = host.readBigUInt64LE(h + OUT.RIP), ourRip = ours.readBigUInt64LE(o + OUT.RIP);
  if (rip < ourRip && hostIsAmd && mayEndEarlier(info, hostVector)) return null;
  if (rip !== ourRip) out.push(`rip ${hex(rip)}, got ${hex(ourRip)}`);
  const faulted = hostVector !== 3;
  const open = info.maskFaultFlags || (hostIsAmd && leavesFlagsOpen(info, faulted));
  const mask = (STATUS | SYSTEM_FLAGS) & ~(!faulted ? undefinedFlags : open ? STATUS : 0);
  const flags = Number(host.readBigUInt64LE(h + OUT.RFLAGS)) & mask, ourFlags = Number(ours.readBigUInt64LE(o + OUT.RFLAGS)) & mask;
  if (flags !== ourFlags) out.push(`flags ${flagNames(flags)}, got ${flagNames(ourFlags)}`);
  if (!info.undefinedResult && !(hostIsAmd && leavesRegistersOpen(info))) {
    const count = mode === 0 ? 16 : 8;
    for (let i = 0; i < count; i += 1) {
      const a = host.readBigUInt64LE(h + OUT.GPR + i * 8), b = ours.readBigUInt64LE(o + OUT.GPR + i * 8);
      if (hostIsAmd && sameStringRegister(info, a, b)) continue;
      if (mode === 0 ? a !== b : BigInt.asUintN(32, a) !== BigInt.asUintN(32, b)) out.push(`${GPR_NAMES[i]} ${hex(a)}, got ${hex(b)}`);
    }
  }
  if (mode === 0) {
    for (const [name, at] of [['fs base', OUT.FS_BASE], ['gs base', OUT.GS_BASE]] as const) {
      const a = host.readBigUInt64LE(h + at), b = ours.readBigUInt64LE(o + at);
      if (a !== b) out.push(`${name} ${hex(a)}, got ${hex(b)}`);
    }
  }
  compareFx(info, mode, faulted, host, ours, h + OUT.FX, o + OUT.FX, out);
  if (hostVector === PF_VECTOR && MANY_ACCESSES.test(info.ops[0]) || faulted && /^CALL/.test(info.ops[0])) return out.length === 0 ? null : out.join('; ');
  if (info.undefinedResult) return out.length === 0 ? null : out.join('; '); // in memory, perhaps
  compareWindow(info, host, ours, h + OUT.WINDOW, o + OUT.WINDOW, out);
  return out.length === 0 ? null : out.join('; ');
}

function compareFx(info: CaseInfo, mode: number, faulted: boolean, host: Buffer, ours: Buffer, h: number, o: number, out: string[]): void {
  const mxcsr = host.readUInt32LE(h + FX.MXCSR), ourMxcsr = ours.readUInt32LE(o + FX.MXCSR);
  if (mxcsr !== ourMxcsr) out.push(`mxcsr ${hex(mxcsr)}, got ${hex(ourMxcsr)}`);
  // Whether the x87 state has become MMX state before the operand faults is the processor's choice.
  if (!(faulted && info.ops.some((op) => /MMX|2PI|PI2|DQ2Q|Q2DQ|^MOVNTQ$|^PSHUFW$|^MASKMOVQ$/.test(op)))) compareX87(info, host, ours, h, o, out);
  const registers = mode === 0 ? 16 : 8;
  if (host.compare(ours, o + FX.XMM, o + FX.XMM + registers * 16, h + FX.XMM, h + FX.XMM + registers * 16) === 0) return;
  for (let i = 0; i < registers; i += 1) {
    const at = FX.XMM + i * 16;
    if (host.compare(ours, o + at, o + at + 16, h + at, h + at + 16) === 0) continue;
    if (info.approximate && approximatelyEqual(host, ours, h + at, o + at)) continue;
    if (hostIsAmd && sameButNaN(info, host, ours, h + at, o + at)) continue;
    out.push(`xmm${i} ${reversed(host, h + at)}, got ${reversed(ours, o + at)}`);
  }
}

function compareX87(info: CaseInfo, host: Buffer, ours: Buffer, h: number, o: number, out: string[]): void {
  const word = (name: string, at: number, mask = 0xffff): void => {
    const a = host.readUInt16LE(h + at) & mask, b = ours.readUInt16LE(o + at) & mask;
    if (a !== b) out.push(`${name} ${hex(a)}, got ${hex(b)}`);
  };
  word('fcw', FX.FCW);
  // After a transcendental function C1 tells how an approximation was rounded.
  word('fsw', FX.FSW, info.x87Ulps > 0 ? 0xffff & ~0x200 : 0xffff);
  word('ftw', FX.FTW, 0xff);
  for (let i = 0; i < 8; i += 1) {
    const at = FX.ST + i * 16;
    const sig = host.readBigUInt64LE(h + at), se = host.readUInt16LE(h + at + 8);
    const ourSig = ours.readBigUInt64LE(o + at), ourSe = ours.readUInt16LE(o + at + 8);
    if (sig === ourSig && se === ourSe) continue;
    if (info.x87Ulps > 0 && ulps(se, sig, ourSe, ourSig) <= BigInt(info.x87Ulps)) continue;
    const text = (e: number, s: bigint): string => `${e.toString(16).padStart(4, '0')}:${s.toString(16).padStart(16, '0')}`;
    out.push(`st${i} ${text(se, sig)}, got ${text(ourSe, ourSig)}`);
  }
}

function compareWindow(info: CaseInfo, host: Buffer, ours: Buffer, h: number, o: number, out: string[]): void {
  if (host.compare(ours, o, o + WINDOW_BYTES, h, h + WINDOW_BYTES) === 0) return;
  const skipped = POINTERS_IN_IMAGE.test(info.ops[0]) ? 28 : 0;
  for (let i = 0; i < WINDOW_BYTES; i += 1) {
    if (host[h + i] === ours[o + i]) continue;
    if (skipped > 0 && imagePointer(info, i)) continue;
    const start = i & ~7;
    out.push(`[${hex(WINDOW_ADDRESS + start)}] ${hex(host.readBigUInt64LE(h + start))}, got ${hex(ours.readBigUInt64LE(o + start))}`);
    return;
  }
}

/** True for window bytes that hold instruction pointers of a saved image at `info.image`. */
function imagePointer(info: CaseInfo, i: number): boolean {
  const at = i - info.image;
  if (/^F?XSAVE/.test(info.ops[0])) return (at >= 6 && at < 24) || (at >= 28 && at < 32);
  return info.wordSize === 2 ? at >= 6 && at < 14 : at >= 12 && at < 28;
}

function ulps(se: number, sig: bigint, ourSe: number, ourSig: bigint): bigint {
  if ((se & 0x8000) !== (ourSe & 0x8000)) return 1n << 64n;
  const place = (e: number, s: bigint): bigint => (BigInt(e & 0x7fff) << 63n) + (s & 0x7fff_ffff_ffff_ffffn);
  const d = place(se, sig) - place(ourSe, ourSig);
  return d < 0n ? -d : d;
}

/** RCPPS and RSQRTPS: |relative error| <= 1.5 * 2^-12 each. */
function approximatelyEqual(host: Buffer, ours: Buffer, h: number, o: number): boolean {
  for (let lane = 0; lane < 16; lane += 4) {
    const a = host.readFloatLE(h + lane), b = ours.readFloatLE(o + lane);
    if (host.readUInt32LE(h + lane) === ours.readUInt32LE(o + lane)) continue;
    if (!(Math.abs(a - b) <= Math.abs(a) * 3 * 2 ** -12)) return false;
  }
  return true;
}

function reversed(b: Buffer, at: number): string { return Buffer.from(b.subarray(at, at + 16)).reverse().toString('hex'); }

function flagNames(flags: number): string {
  const names: Array<[number, string]> = [[1, 'CF'], [4, 'PF'], [0x10, 'AF'], [0x40, 'ZF'], [0x80, 'SF'], [0x100, 'TF'], [0x200, 'IF'], [0x400, 'DF'], [0x800, 'OF'], [0x1000, 'IOPL0'], [0x2000, 'IOPL1'], [0x4000, 'NT'], [0x4_0000, 'AC'], [0x20_0000, 'ID']];
  const set = names.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  return set.length === 0 ? 'none' : set.join(' ');
}

export function vectorName(vector: number): string {
  const names: Record<number, string> = { 0: '#DE', 1: '#DB', 3: 'end', 4: '#OF', 5: '#BR', 6: '#UD', 7: '#NM', 12: '#SS', 13: '#GP', 14: '#PF', 16: '#MF', 17: '#AC', 19: '#XM' };
  return names[vector] ?? (vector >= 0x1000 ? `exit ${vector - 0x1000}` : `vector ${vector}`);
}
