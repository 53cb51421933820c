/**
 * The MSRs that the core owns; all others are the hypervisor's by VM exit.
 *
 * @spec   SDM vol. 4 chapter 2; vol. 3, 25.6.9 (MSR bitmaps), 2.2.1 (IA32_EFER), 12.12.2 (IA32_PAT)
 * @cover  #Y EFER, STAR LSTAR CSTAR FMASK, FS_BASE GS_BASE KERNEL_GS_BASE, SYSENTER_*, TSC_AUX, PAT, reading TSC
 */
import { FS, GS, RAX, RCX, RDX, cpu, gpr32, leaveBlock, setGpr32 } from './cpu';
import { EXIT_RDMSR, EXIT_WRMSR, hostTimeNs, vmexit } from './exit';
import { GP, raiseError } from './fault';
import {
  S_CR0, S_EXIT_DATA, S_IA32_CSTAR, S_IA32_EFER, S_IA32_FMASK, S_IA32_KERNEL_GS_BASE, S_IA32_LSTAR, S_IA32_PAT, S_IA32_STAR, S_IA32_SYSENTER_CS,
  S_IA32_SYSENTER_EIP, S_IA32_SYSENTER_ESP, S_IA32_TSC_AUX, S_MSR_BITMAP, S_SEG_BASE, S_TSC_KHZ, S_TSC_OFFSET,
} from './gen/state';
import { flushTlb } from './mmu';
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE, canonical } from './paging';
import { syncState } from './sync';

const IA32_TSC: u32 = 0x10; const IA32_SYSENTER_CS: u32 = 0x174; const IA32_SYSENTER_ESP: u32 = 0x175; const IA32_SYSENTER_EIP: u32 = 0x176;
const IA32_PAT: u32 = 0x277; const IA32_EFER: u32 = 0xc000_0080; const IA32_STAR: u32 = 0xc000_0081; const IA32_LSTAR: u32 = 0xc000_0082;
const IA32_CSTAR: u32 = 0xc000_0083; const IA32_FMASK: u32 = 0xc000_0084; const IA32_FS_BASE: u32 = 0xc000_0100; const IA32_GS_BASE: u32 = 0xc000_0101;
const IA32_KERNEL_GS_BASE: u32 = 0xc000_0102; const IA32_TSC_AUX: u32 = 0xc000_0103;

/** Time stamp counter of this vCPU. */
export function readTsc(): u64 {
  const ns = <u64>hostTimeNs();
  const khz = load<u64>(cpu, S_TSC_KHZ);
  return (ns / 1_000_000) * khz + ((ns % 1_000_000) * khz) / 1_000_000 + load<u64>(cpu, S_TSC_OFFSET);
}

/** The MSR bitmap asks for an exit. Without a bitmap only the core-owned MSRs do not exit. */
function exits(index: u32, write: bool): bool {
  const bitmap = <usize>load<u32>(cpu, S_MSR_BITMAP);
  if (bitmap == 0) return false;
  let offset: usize = write ? 2048 : 0;
  if (index >= 0xc000_0000) offset += 1024;
  const low = index & 0x3fff_ffff;
  if (low > 0x1fff || (index >> 30 != 0 && index >> 30 != 3)) return true;
  return ((load<u8>(bitmap + offset + (low >> 3)) >> (low & 7)) & 1) != 0;
}

/** State offset of a core-owned MSR that is a plain 64-bit value, or 0. */
function slotOf(index: u32): usize {
  switch (index) {
    case IA32_SYSENTER_CS: return S_IA32_SYSENTER_CS;
    case IA32_SYSENTER_ESP: return S_IA32_SYSENTER_ESP;
    case IA32_SYSENTER_EIP: return S_IA32_SYSENTER_EIP;
    case IA32_PAT: return S_IA32_PAT;
    case IA32_EFER: return S_IA32_EFER;
    case IA32_STAR: return S_IA32_STAR;
    case IA32_LSTAR: return S_IA32_LSTAR;
    case IA32_CSTAR: return S_IA32_CSTAR;
    case IA32_FMASK: return S_IA32_FMASK;
    case IA32_FS_BASE: return S_SEG_BASE + <usize>FS * 8;
    case IA32_GS_BASE: return S_SEG_BASE + <usize>GS * 8;
    case IA32_KERNEL_GS_BASE: return S_IA32_KERNEL_GS_BASE;
    case IA32_TSC_AUX: return S_IA32_TSC_AUX;
    default: return 0;
  }
}

/** RDMSR, privilege checked already. */
export function readMsr(): void {
  const index = gpr32(RCX);
  const slot = slotOf(index);
  if ((slot == 0 && index != IA32_TSC) || exits(index, false)) {
    vmexit(EXIT_RDMSR);
    return;
  }
  const v = slot != 0 ? load<u64>(cpu + slot) : readTsc();
  setGpr32(RAX, <u32>v);
  setGpr32(RDX, <u32>(v >> 32));
}

/** WRMSR, privilege checked already. */
export function writeMsr(): void {
  const index = gpr32(RCX);
  const v = <u64>gpr32(RAX) | (<u64>gpr32(RDX) << 32);
  const slot = slotOf(index);
  if (slot == 0 || exits(index, true)) {
    store<u64>(cpu, v, S_EXIT_DATA);
    vmexit(EXIT_WRMSR);
    return;
  }
  switch (index) {
    case IA32_EFER:
      writeEfer(v);
      return;
    case IA32_PAT:
      for (let i = 0; i < 64; i += 8) {
        const type = (v >> i) & 0xff;
        if (type > 7 || type == 2 || type == 3) raiseError(GP, 0);
      }
      break;
    case IA32_SYSENTER_ESP: case IA32_SYSENTER_EIP: case IA32_LSTAR: case IA32_CSTAR: case IA32_FS_BASE: case IA32_GS_BASE: case IA32_KERNEL_GS_BASE:
      if (!canonical(v)) raiseError(GP, 0);
      break;
    case IA32_TSC_AUX: case IA32_FMASK:
      if (v >> 32) raiseError(GP, 0);
      break;
    default:
      break;
  }
  store<u64>(cpu + slot, v);
}

function writeEfer(v: u64): void {
  const old = load<u64>(cpu, S_IA32_EFER);
  if (v & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) raiseError(GP, 0);
  if ((v ^ old) & EFER_LME && load<u64>(cpu, S_CR0) & CR0_PG) raiseError(GP, 0);
  store<u64>(cpu, (v & ~EFER_LMA) | (old & EFER_LMA), S_IA32_EFER);
  if ((v ^ old) & EFER_NXE) flushTlb();
  syncState();
  leaveBlock();
}
