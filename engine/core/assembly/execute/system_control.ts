/**
 * Control and debug registers, descriptor-table registers, MSRs, TLB and cache control, CPUID, time, entropy.
 *
 * @spec   SDM vol. 2
 * @differ INVD is answered like WBINVD: there is no cache whose contents could be lost.
 */
import {
  MODE_LONG, MODE_LONG64, RAX, RCX, RDX, cpl, cpu, cr4, gpr32, gpr64, leaveBlock, mode, segBase, FS, GS, setGpr32, setGpr64,
} from '../cpu';
import {
  checkXcr0, clearTaskSwitched, guestCr0, guestCr4, loadMsw, moveToCr, writeXcr0,
} from '../control';
import { DR6_BD, DR6_FIXED, DR7_FIXED, DR7_GD, updateBreakpoints } from '../debug';
import {
  EXIT_CPUID, EXIT_CR_ACCESS, EXIT_DR_ACCESS, EXIT_INVLPG, EXIT_RDRAND, EXIT_RDSEED, EXIT_RDTSC, EXIT_VMCALL, EXIT_WBINVD, EXIT_XSETBV, vmexit,
  vmexitQualified,
} from '../exit';
import { GP, UD, raise, raiseDebugFault, raiseError } from '../fault';
import { CF, writeStatus } from '../flags';
import {
  OP_CLFLUSH, OP_CLTS, OP_CPUID, OP_INVD, OP_INVLPG, OP_INVPCID, OP_LGDT, OP_LIDT, OP_LMSW, OP_MOV_CR, OP_MOV_DR, OP_MOV_RC, OP_MOV_RD, OP_RDFSBASE,
  OP_RDGSBASE, OP_RDMSR, OP_RDPID, OP_RDPMC, OP_RDRAND, OP_RDSEED, OP_RDTSC, OP_RDTSCP, OP_SGDT, OP_SIDT, OP_SMSW, OP_VMCALL, OP_WBINVD, OP_WRFSBASE,
  OP_WRGSBASE, OP_WRMSR, OP_XGETBV, OP_XSETBV,
} from '../gen/ops';
import {
  S_CR2, S_CR3, S_CR8, S_DR, S_EXIT_DATA, S_EXIT_SIZE, S_GDTR_BASE, S_GDTR_LIMIT, S_IA32_TSC_AUX, S_IDTR_BASE, S_IDTR_LIMIT,
  S_LEAVE_BLOCK, S_MMU_CONTEXT, S_PROC_CTLS, S_PROC_CTLS2, S_SEG_BASE, S_XCR0,
} from '../gen/state';
import { readMsr, readTsc, writeMsr } from '../msr';
import { flushTlb, linear, linearUnchecked, needAlignment, probeWrite, read16, read32, read64, read8, writeIn } from '../mmu';
import { CR4_DE, CR4_FSGSBASE, CR4_OSXSAVE, CR4_PCIDE, CR4_TSD, canonical } from '../paging';
import { isMem, recReg, recRm, recSize } from '../record';
import { invalidateLocal, invalidatePage, invalidatePcid } from '../walk_cache';
import { checkUmip, needPrivilege, setRegister, storeSelector } from './system';

export function execControl(op: u32, rec: usize): void {
  switch (op) {
    case OP_CPUID: vmexit(EXIT_CPUID); return;
    case OP_RDTSC: readTimeStamp(); return;
    case OP_RDTSCP:
      readTimeStamp();
      setGpr32(RCX, <u32>load<u64>(cpu, S_IA32_TSC_AUX));
      return;
    case OP_RDPID:
      setRegister(recRm(rec), recSize(rec), <u64><u32>load<u64>(cpu, S_IA32_TSC_AUX));
      return;
    case OP_RDMSR: needPrivilege(); readMsr(); return;
    case OP_WRMSR: needPrivilege(); writeMsr(); return;
    case OP_MOV_CR: moveToControl(rec); return;
    case OP_MOV_RC: moveFromControl(rec); return;
    case OP_MOV_DR: moveToDebug(rec); return;
    case OP_MOV_RD: moveFromDebug(rec); return;
    case OP_CLTS: needPrivilege(); clearTaskSwitched(); leaveBlock(); return;
    case OP_SMSW: checkUmip(); storeMsw(rec); return;
    case OP_LMSW:
      needPrivilege();
      loadMsw(isMem(rec) ? <u32>read16(linear(rec, 2, false)) : gpr32(recRm(rec)) & 0xffff);
      leaveBlock();
      return;
    case OP_SGDT: checkUmip(); storeTable(rec, load<u32>(cpu, S_GDTR_LIMIT), load<u64>(cpu, S_GDTR_BASE)); return;
    case OP_SIDT: checkUmip(); storeTable(rec, load<u32>(cpu, S_IDTR_LIMIT), load<u64>(cpu, S_IDTR_BASE)); return;
    case OP_LGDT: loadTable(rec, S_GDTR_LIMIT, S_GDTR_BASE); return;
    case OP_LIDT: loadTable(rec, S_IDTR_LIMIT, S_IDTR_BASE); return;
    case OP_INVLPG: invlpg(rec); return;
    case OP_INVPCID: invpcid(rec); return;
    case OP_WBINVD: case OP_INVD: writeBack(); return;
    case OP_CLFLUSH: read8(linear(rec, 1, false)); return;
    case OP_VMCALL: vmexit(EXIT_VMCALL); leaveAfterExit(); return;
    case OP_XGETBV: getXcr(); return;
    case OP_XSETBV: setXcr(); return;
    case OP_RDPMC: raiseError(GP, 0); return;
    case OP_RDRAND: random(rec, EXIT_RDRAND); return;
    case OP_RDSEED: random(rec, EXIT_RDSEED); return;
    case OP_RDFSBASE: readBase(rec, FS); return;
    case OP_RDGSBASE: readBase(rec, GS); return;
    case OP_WRFSBASE: writeBase(rec, FS); return;
    case OP_WRGSBASE: writeBase(rec, GS); return;
    default: raise(UD); return;
  }
}

/** The hypervisor may have changed anything: start a new block. A RIP it set stays. */
function leaveAfterExit(): void {
  if (load<u32>(cpu, S_LEAVE_BLOCK) == 0) leaveBlock();
}

function readTimeStamp(): void {
  if (cpl() != 0 && cr4() & CR4_TSD) raiseError(GP, 0);
  if (load<u32>(cpu, S_PROC_CTLS) & (1 << 12)) {
    vmexit(EXIT_RDTSC);
    return;
  }
  const tsc = readTsc();
  setGpr32(RAX, <u32>tsc);
  setGpr32(RDX, <u32>(tsc >> 32));
}

// ---- control and debug registers

function moveToControl(rec: usize): void {
  const cr = recReg(rec);
  const gpr = recRm(rec);
  if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8) raise(UD);
  needPrivilege();
  const v = mode() & MODE_LONG64 ? gpr64(gpr) : <u64>gpr32(gpr);
  if (cr == 2) store<u64>(cpu, v, S_CR2);
  else moveToCr(cr, v, gpr);
  leaveAfterExit();
}

function moveFromControl(rec: usize): void {
  const cr = recReg(rec);
  const gpr = recRm(rec);
  if (cr != 0 && cr != 2 && cr != 3 && cr != 4 && cr != 8) raise(UD);
  needPrivilege();
  let v: u64;
  const controls = load<u32>(cpu, S_PROC_CTLS);
  if ((cr == 3 && controls & (1 << 16)) || (cr == 8 && controls & (1 << 20))) {
    vmexitQualified(EXIT_CR_ACCESS, <u64>(cr | 0x10 | (gpr << 8)));
    return;
  }
  if (cr == 0) v = guestCr0();
  else if (cr == 2) v = load<u64>(cpu, S_CR2);
  else if (cr == 3) v = load<u64>(cpu, S_CR3);
  else if (cr == 4) v = guestCr4();
  else v = load<u64>(cpu, S_CR8);
  if (mode() & MODE_LONG64) setGpr64(gpr, v);
  else setGpr32(gpr, <u32>v);
}

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE; general detect stops any access. */
function debugRegister(rec: usize, read: bool): u32 {
  let n = recReg(rec);
  if (n > 7) raise(UD);
  if (n == 4 || n == 5) {
    if (cr4() & CR4_DE) raise(UD);
    n += 2;
  }
  needPrivilege();
  if (load<u32>(cpu, S_PROC_CTLS) & (1 << 23)) {
    vmexitQualified(EXIT_DR_ACCESS, <u64>(n | (read ? 0x10 : 0) | (recRm(rec) << 8)));
    return 8;
  }
  if (load<u64>(cpu + 56, S_DR) & DR7_GD) raiseDebugFault(DR6_BD, false);
  return n;
}

function moveFromDebug(rec: usize): void {
  const n = debugRegister(rec, true);
  if (n == 8) return;
  const v = load<u64>(cpu + (<usize>n << 3), S_DR);
  if (mode() & MODE_LONG64) setGpr64(recRm(rec), v);
  else setGpr32(recRm(rec), <u32>v);
}

function moveToDebug(rec: usize): void {
  const n = debugRegister(rec, false);
  if (n != 8) {
    const long = (mode() & MODE_LONG64) != 0;
    let v = long ? gpr64(recRm(rec)) : <u64>gpr32(recRm(rec));
    if (n >= 6 && v >> 32) raiseError(GP, 0);
    if (n < 4 && !canonical(v)) raiseError(GP, 0);
    if (n == 6) v = (v & 0xe00f) | DR6_FIXED;
    if (n == 7) v = (v & 0xffff_23ff) | DR7_FIXED;
    store<u64>(cpu + (<usize>n << 3), v, S_DR);
    if (n != 6) {
      updateBreakpoints();
      flushTlb();
    }
  }
  leaveBlock();
}

function storeMsw(rec: usize): void {
  if (isMem(rec)) storeSelector(rec, <u32>guestCr0() & 0xffff);
  else setRegister(recRm(rec), recSize(rec), guestCr0());
}

// ---- descriptor-table registers

function storeTable(rec: usize, limit: u32, base: u64): void {
  const long = (mode() & MODE_LONG64) != 0;
  const at = linear(rec, long ? 10 : 6, true);
  needAlignment(at, 4);
  probeWrite(at, long ? 10 : 6);
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  writeIn(context, at, 2, <u64>limit);
  writeIn(context, long ? at + 2 : (at + 2) & 0xffff_ffff, long ? 8 : 4, base);
}

function loadTable(rec: usize, limitSlot: usize, baseSlot: usize): void {
  needPrivilege();
  const long = (mode() & MODE_LONG64) != 0;
  const at = linear(rec, long ? 10 : 6, false);
  const limit = <u32>read16(at);
  const second = long ? at + 2 : (at + 2) & 0xffff_ffff;
  let base = long ? read64(second) : <u64>read32(second);
  if (long && !canonical(base)) raiseError(GP, 0);
  if (!long && recSize(rec) == 2) base &= 0xff_ffff;
  store<u32>(cpu + limitSlot, limit);
  store<u64>(cpu + baseSlot, base);
}

// ---- TLB and caches

function invlpg(rec: usize): void {
  needPrivilege();
  const at = linearUnchecked(rec);
  if (load<u32>(cpu, S_PROC_CTLS) & (1 << 9)) vmexitQualified(EXIT_INVLPG, at);
  else invalidatePage(at);
  leaveBlock();
}

function invpcid(rec: usize): void {
  needPrivilege();
  const type = mode() & MODE_LONG64 ? gpr64(recReg(rec)) : <u64>gpr32(recReg(rec));
  const at = linear(rec, 16, false);
  const id = read64(at);
  const address = read64(mode() & MODE_LONG ? at + 8 : (at + 8) & 0xffff_ffff);
  if (type > 3) raiseError(GP, 0);
  if (id >> 12 || (type < 2 && id && !(cr4() & CR4_PCIDE))) raiseError(GP, 0);
  if (type == 0 && !canonical(address)) raiseError(GP, 0);
  if (type == 0) invalidatePage(address);
  else if (type == 1) invalidatePcid(<u32>id);
  else if (type == 2) flushTlb();
  else invalidateLocal();
  leaveBlock();
}

function writeBack(): void {
  needPrivilege();
  if (load<u32>(cpu, S_PROC_CTLS2) & 0x40) vmexit(EXIT_WBINVD);
  leaveAfterExit();
}

// ---- extended state, entropy, segment bases

function getXcr(): void {
  if (!(cr4() & CR4_OSXSAVE)) raise(UD);
  if (gpr32(RCX) != 0) raiseError(GP, 0);
  const v = load<u64>(cpu, S_XCR0);
  setGpr32(RAX, <u32>v);
  setGpr32(RDX, <u32>(v >> 32));
}

function setXcr(): void {
  if (!(cr4() & CR4_OSXSAVE)) raise(UD);
  needPrivilege();
  const v = <u64>gpr32(RAX) | (<u64>gpr32(RDX) << 32);
  checkXcr0(gpr32(RCX), v);
  store<u64>(cpu, v, S_EXIT_DATA);
  vmexit(EXIT_XSETBV);
  writeXcr0(v);
  leaveAfterExit();
}

function random(rec: usize, reason: u32): void {
  store<u64>(cpu, 0, S_EXIT_DATA);
  store<u32>(cpu, recSize(rec), S_EXIT_SIZE);
  vmexit(reason);
  setRegister(recRm(rec), recSize(rec), load<u64>(cpu, S_EXIT_DATA));
  writeStatus(CF);
}

function readBase(rec: usize, s: u32): void {
  if (!(cr4() & CR4_FSGSBASE)) raise(UD);
  setRegister(recRm(rec), recSize(rec), segBase(s));
}

function writeBase(rec: usize, s: u32): void {
  if (!(cr4() & CR4_FSGSBASE)) raise(UD);
  const v = recSize(rec) == 8 ? gpr64(recRm(rec)) : <u64>gpr32(recRm(rec));
  if (!canonical(v)) raiseError(GP, 0);
  store<u64>(cpu + (<usize>s << 3), v, S_SEG_BASE);
}
