/**
 * Loading a vCPU's start state: registers a loader hands over, and the state after a startup IPI.
 *
 * @spec SDM vol. 3, 10.4.4 (SIPI), 25.4.1 (access rights); ACRN's initial guest state (reference: VMX controls)
 */
import { S } from '../../../../core/gen/state.ts';
import type { VcpuCore } from './vcpu_if.ts';

/** IC_SET_VCPU_REGS, as sos/vhm_if.ts has it for the device model. */
export interface AcrnVcpuRegs {
  gpr: Partial<Record<'rax' | 'rcx' | 'rdx' | 'rbx' | 'rsp' | 'rbp' | 'rsi' | 'rdi', bigint>>;
  rip: bigint;
  rflags?: bigint;
  cr0: bigint; cr3: bigint; cr4: bigint; ia32Efer: bigint;
  gdt: { base: bigint; limit: number };
  idt: { base: bigint; limit: number };
  csSel: number; csBase: bigint; csLimit: number; csAr: number;
  dataSel: number;
}

const GPRS = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;
const ES = 0; const CS = 1; const SS = 2; const DS = 3; const FS = 4; const GS = 5; const LDTR = 6; const TR = 7;
const CR0_PE = 1n;
const CR0_ET_NE = 0x30n;
const CR0_PG = 1n << 31n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
const REAL_CODE_AR = 0x9f;
const REAL_DATA_AR = 0x93;
const FLAT_DATA_AR = 0xc093;
const BUSY_TSS_AR = 0x8b;
const UNUSABLE_AR = 0x1_0000;
const DR7_RESET = 0x400n;
const RFLAGS_FIXED = 2n;

function setSegment(view: DataView, index: number, selector: number, base: bigint, limit: number, attr: number): void {
  view.setUint16(S.SEG_SELECTOR + index * 2, selector, true);
  view.setBigUint64(S.SEG_BASE + index * 8, base, true);
  view.setUint32(S.SEG_LIMIT + index * 4, limit, true);
  view.setUint32(S.SEG_ATTR + index * 4, attr, true);
}

export function loadRegs(core: VcpuCore, regs: AcrnVcpuRegs): void {
  const view = core.view;
  for (let i = 0; i < 16; i++) view.setBigUint64(S.GPR + i * 8, 0n, true);
  GPRS.forEach((name, i) => view.setBigUint64(S.GPR + i * 8, BigInt.asUintN(64, regs.gpr[name] ?? 0n), true));
  const cr0 = regs.cr0 | CR0_ET_NE;
  const protectedMode = (cr0 & CR0_PE) !== 0n;
  const longMode = (cr0 & CR0_PG) !== 0n && (regs.ia32Efer & EFER_LME) !== 0n;
  view.setBigUint64(S.RIP, regs.rip, true);
  view.setBigUint64(S.CR0, cr0, true);
  view.setBigUint64(S.CR2, 0n, true);
  view.setBigUint64(S.CR3, regs.cr3, true);
  view.setBigUint64(S.CR4, regs.cr4, true);
  view.setBigUint64(S.IA32_EFER, longMode ? regs.ia32Efer | EFER_LMA : regs.ia32Efer & ~EFER_LMA, true);
  view.setBigUint64(S.GDTR_BASE, regs.gdt.base, true);
  view.setUint32(S.GDTR_LIMIT, regs.gdt.limit, true);
  view.setBigUint64(S.IDTR_BASE, regs.idt.base, true);
  view.setUint32(S.IDTR_LIMIT, regs.idt.limit, true);
  setSegment(view, CS, regs.csSel, regs.csBase, regs.csLimit, regs.csAr);
  for (const index of [ES, SS, DS, FS, GS]) {
    if (protectedMode) setSegment(view, index, regs.dataSel, 0n, 0xffff_ffff, FLAT_DATA_AR);
    else setSegment(view, index, regs.dataSel, BigInt(regs.dataSel << 4), 0xffff, REAL_DATA_AR);
  }
  setSegment(view, LDTR, 0, 0n, 0, UNUSABLE_AR);
  setSegment(view, TR, 0, 0n, 0xffff, BUSY_TSS_AR);
  view.setBigUint64(S.DR + 7 * 8, DR7_RESET, true);
  view.setUint32(S.CPL, protectedMode ? (regs.csAr >>> 5) & 3 : 0, true);
  view.setUint32(S.INTERRUPTIBILITY, 0, true);
  core.setFlags(Number((regs.rflags ?? 0n) & 0x3f_ffffn | RFLAGS_FIXED));
  core.syncAfterStateWrite();
  core.flushTlb();
}

/** Real mode at vector << 12. */
export function loadSipi(core: VcpuCore, vector: number): void {
  const view = core.view;
  setSegment(view, CS, vector << 8, BigInt(vector << 12), 0xffff, REAL_CODE_AR);
  for (const index of [ES, SS, DS, FS, GS]) setSegment(view, index, 0, 0n, 0xffff, REAL_DATA_AR);
  view.setBigUint64(S.RIP, 0n, true);
  view.setBigUint64(S.CR0, CR0_ET_NE, true);
  core.setFlags(Number(RFLAGS_FIXED));
  core.syncAfterStateWrite();
  core.flushTlb();
}
