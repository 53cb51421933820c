/**
 * VM-exit dispatch. Handlers run in the middle of the exiting instruction, on the vCPU's thread; the core advances RIP.
 *
 * @spec   SDM vol. 3, appendix C (reasons), 28.2.1 (qualifications)
 * @cover  #Y CPUID, RDMSR/WRMSR, I/O, EPT violation, CR access, XSETBV, WBINVD/INVD, VMCALL, RDRAND/RDSEED, VMX instructions
 *         #N task switch, SMI, RSM, MTF, PML and the other reasons this core never gives: logged, as ACRN does
 */
import { S } from '../../../../core/gen/state.ts';
import { openBus } from '../../../../lib/bits.ts';
import { REQ_MMIO, REQ_PORTIO } from '../../../dm/io_req.ts';
import { VIOAPIC_BASE, VIOAPIC_SIZE } from '../../../dm/vioapic.ts';
import { userVmHypercall } from '../../../common/hypercall.ts';
import { EXIT, exitName, type ExitReason } from './exit_reasons.ts';
import { CR4_OSXSAVE, crAccess, xsetbv } from './virtual_cr.ts';
import type { Vcpu } from './vcpu.ts';
import { EXIT_CONTINUE, EXIT_INJECT, EXIT_LEAVE } from './vcpu_if.ts';
import { GP_EVENT, UD_EVENT, type EntryEvent } from './virq.ts';
import { DEFAULT_APIC_BASE } from './vlapic_regs.ts';

type Handler = (vcpu: Vcpu) => number;

const RAX = 0; const RCX = 1; const RDX = 2; const RBX = 3;
const LOW32 = 0xffff_ffffn;

function inject(vcpu: Vcpu, event: EntryEvent): number {
  vcpu.core.view.setUint32(S.ENTRY_INTR_INFO, event.info, true);
  vcpu.core.view.setUint32(S.ENTRY_ERROR_CODE, event.errorCode, true);
  return EXIT_INJECT;
}

function cpuidExit(vcpu: Vcpu): number {
  const result = vcpu.cpuid.read(vcpu.gpr32(RAX), vcpu.gpr32(RCX), {
    apicId: vcpu.vcpuId,
    vcpuCount: vcpu.pcpus.length,
    osxsave: (vcpu.core.view.getBigUint64(S.CR4, true) & CR4_OSXSAVE) !== 0n,
    limitCpuid: vcpu.msrs.limitCpuid,
    xdDisable: vcpu.msrs.xdDisable,
  });
  vcpu.setGpr32(RAX, result.eax);
  vcpu.setGpr32(RBX, result.ebx);
  vcpu.setGpr32(RCX, result.ecx);
  vcpu.setGpr32(RDX, result.edx);
  return EXIT_CONTINUE;
}

function rdmsrExit(vcpu: Vcpu): number {
  const value = vcpu.msrs.read(vcpu.gpr32(RCX));
  if (value === undefined) return inject(vcpu, GP_EVENT);
  vcpu.setGpr(RAX, value & LOW32);
  vcpu.setGpr(RDX, (value >> 32n) & LOW32);
  return EXIT_CONTINUE;
}

function wrmsrExit(vcpu: Vcpu): number {
  const value = (BigInt(vcpu.gpr32(RDX)) << 32n) | BigInt(vcpu.gpr32(RAX));
  return vcpu.msrs.write(vcpu.gpr32(RCX), value) ? EXIT_CONTINUE : inject(vcpu, GP_EVENT);
}

function isVpicPort(port: number): boolean {
  return port === 0x20 || port === 0x21 || port === 0xa0 || port === 0xa1 || port === 0x4d0 || port === 0x4d1;
}

/** pio_instr_vmexit_handler */
function pioExit(vcpu: Vcpu): number {
  const view = vcpu.core.view;
  const qualification = view.getUint32(S.EXIT_QUALIFICATION, true);
  const port = qualification >>> 16;
  const size = (qualification & 7) + 1;
  const read = (qualification & 8) !== 0;
  if (size === 1) {
    if (!read) {
      if (vcpu.ports.write(port, view.getUint8(S.EXIT_DATA))) return EXIT_CONTINUE;
    } else {
      const byte = vcpu.ports.read(port);
      if (byte >= 0) {
        view.setUint32(S.EXIT_DATA, byte, true);
        view.setUint32(S.EXIT_DATA + 4, 0, true);
        return EXIT_CONTINUE;
      }
    }
  }
  if (isVpicPort(port)) {
    if (read) view.setBigUint64(S.EXIT_DATA, BigInt(size === 1 ? vcpu.vm.vpic.portRead(port) : 0xffff_ffff), true);
    else if (size === 1) vcpu.vm.vpic.portWrite(port, view.getUint8(S.EXIT_DATA));
    return EXIT_CONTINUE;
  }
  const value = view.getBigUint64(S.EXIT_DATA, true) & openBus(size);
  if (!read && vcpu.ioeventfd.fire('pio', port, size, value)) return EXIT_CONTINUE;
  const start = vcpu.nowNs();
  const answer = vcpu.ioreq.pciConfigPort(port, size, !read, value) ?? vcpu.ioreq.request(REQ_PORTIO, port, size, !read, value);
  vcpu.countWait(vcpu.nowNs() - start);
  if (read) view.setBigUint64(S.EXIT_DATA, answer, true);
  return EXIT_CONTINUE;
}

/** ept_violation_vmexit_handler: everything in a VM's address space that is not its RAM is a device, or nothing. */
function eptViolationExit(vcpu: Vcpu): number {
  const view = vcpu.core.view;
  const qualification = view.getUint32(S.EXIT_QUALIFICATION, true);
  if ((qualification & 4) !== 0) return inject(vcpu, UD_EVENT); // no code outside RAM: the bus floats to FF FF, which is #UD
  const write = (qualification & 2) !== 0;
  const gpa = Number(view.getBigUint64(S.EXIT_GPA, true));
  const size = view.getUint32(S.EXIT_SIZE, true);
  const offset = gpa & 0xfff;
  const page = gpa - offset;
  if (page === DEFAULT_APIC_BASE && vcpu.vlapic.xapic) {
    if (write) vcpu.vlapic.mmioWrite(offset, size, view.getUint32(S.EXIT_DATA, true));
    else view.setBigUint64(S.EXIT_DATA, vcpu.vlapic.mmioRead(offset, size), true);
    return EXIT_CONTINUE;
  }
  if (page >= VIOAPIC_BASE && page < VIOAPIC_BASE + VIOAPIC_SIZE) {
    if (write) vcpu.vm.vioapic.mmioWrite(offset, size, view.getUint32(S.EXIT_DATA, true));
    else view.setBigUint64(S.EXIT_DATA, vcpu.vm.vioapic.mmioRead(offset, size), true);
    return EXIT_CONTINUE;
  }
  const value = view.getBigUint64(S.EXIT_DATA, true) & openBus(size);
  if (write && vcpu.ioeventfd.fire('mmio', gpa, size, value)) return EXIT_CONTINUE;
  const start = vcpu.nowNs();
  const answer = vcpu.ioreq.request(REQ_MMIO, gpa, size, write, value);
  vcpu.countWait(vcpu.nowNs() - start);
  if (!write) view.setBigUint64(S.EXIT_DATA, answer, true);
  return EXIT_CONTINUE;
}

function crAccessExit(vcpu: Vcpu): number {
  return crAccess(vcpu, vcpu.core.view.getUint32(S.EXIT_QUALIFICATION, true)) ? EXIT_CONTINUE : inject(vcpu, GP_EVENT);
}

function xsetbvExit(vcpu: Vcpu): number {
  const value = (BigInt(vcpu.gpr32(RDX)) << 32n) | BigInt(vcpu.gpr32(RAX));
  return xsetbv(vcpu, vcpu.gpr32(RCX), value) ? EXIT_CONTINUE : inject(vcpu, GP_EVENT);
}

function randomExit(vcpu: Vcpu): number {
  vcpu.core.view.setBigUint64(S.EXIT_DATA, vcpu.host.random(), true);
  return EXIT_CONTINUE;
}

const vmcallExit: Handler = (vcpu) => inject(vcpu, userVmHypercall(vcpu.core.view.getUint32(S.CPL, true)));
const undefinedExit: Handler = (vcpu) => inject(vcpu, UD_EVENT);
const gpExit: Handler = (vcpu) => inject(vcpu, GP_EVENT);
/** pause_vmexit_handler */
const pauseExit: Handler = (vcpu) => { vcpu.yieldCore(); return EXIT_CONTINUE; };
/** Caches are coherent here: nothing to write back. */
const nothingToDo: Handler = () => EXIT_CONTINUE;
const leave: Handler = () => EXIT_LEAVE;

/** unhandled_vmexit_handler: logged, RIP advances, not fatal. */
function unhandledExit(vcpu: Vcpu): number {
  const view = vcpu.core.view;
  vcpu.log(`Error: Unhandled VM exit condition from guest at 0x${view.getBigUint64(S.RIP, true).toString(16)}`);
  vcpu.log(`Exit Reason: 0x${view.getUint32(S.EXIT_REASON, true).toString(16)} (${exitName(view.getUint32(S.EXIT_REASON, true))})`);
  vcpu.log(`Exit qualification: 0x${view.getBigUint64(S.EXIT_QUALIFICATION, true).toString(16)}`);
  return EXIT_CONTINUE;
}

/** A reason without a handler does not compile. */
const dispatchTable: Record<ExitReason, Handler> = {
  [EXIT.EXCEPTION_OR_NMI]: unhandledExit,
  [EXIT.EXTERNAL_INTERRUPT]: leave,
  [EXIT.TRIPLE_FAULT]: leave,
  [EXIT.INIT_SIGNAL]: undefinedExit,
  [EXIT.STARTUP_IPI]: unhandledExit,
  [EXIT.IO_SMI]: unhandledExit,
  [EXIT.OTHER_SMI]: unhandledExit,
  [EXIT.INTERRUPT_WINDOW]: leave,
  [EXIT.NMI_WINDOW]: leave,
  [EXIT.TASK_SWITCH]: unhandledExit,
  [EXIT.CPUID]: cpuidExit,
  [EXIT.GETSEC]: undefinedExit,
  [EXIT.HLT]: leave,
  [EXIT.INVD]: nothingToDo,
  [EXIT.INVLPG]: unhandledExit,
  [EXIT.RDPMC]: gpExit,
  [EXIT.RDTSC]: unhandledExit,
  [EXIT.RSM]: undefinedExit,
  [EXIT.VMCALL]: vmcallExit,
  [EXIT.VMCLEAR]: undefinedExit,
  [EXIT.VMLAUNCH]: undefinedExit,
  [EXIT.VMPTRLD]: undefinedExit,
  [EXIT.VMPTRST]: undefinedExit,
  [EXIT.VMREAD]: undefinedExit,
  [EXIT.VMRESUME]: undefinedExit,
  [EXIT.VMWRITE]: undefinedExit,
  [EXIT.VMXOFF]: undefinedExit,
  [EXIT.VMXON]: undefinedExit,
  [EXIT.CR_ACCESS]: crAccessExit,
  [EXIT.DR_ACCESS]: unhandledExit,
  [EXIT.IO_INSTRUCTION]: pioExit,
  [EXIT.RDMSR]: rdmsrExit,
  [EXIT.WRMSR]: wrmsrExit,
  [EXIT.ENTRY_FAILURE_INVALID_GUEST_STATE]: unhandledExit,
  [EXIT.ENTRY_FAILURE_MSR_LOADING]: unhandledExit,
  [EXIT.MWAIT]: undefinedExit,
  [EXIT.MONITOR_TRAP]: unhandledExit,
  [EXIT.MONITOR]: undefinedExit,
  [EXIT.PAUSE]: pauseExit,
  [EXIT.ENTRY_FAILURE_MACHINE_CHECK]: unhandledExit,
  [EXIT.TPR_BELOW_THRESHOLD]: leave,
  [EXIT.APIC_ACCESS]: unhandledExit,
  [EXIT.VIRTUALIZED_EOI]: unhandledExit,
  [EXIT.GDTR_IDTR_ACCESS]: unhandledExit,
  [EXIT.LDTR_TR_ACCESS]: unhandledExit,
  [EXIT.EPT_VIOLATION]: eptViolationExit,
  [EXIT.EPT_MISCONFIGURATION]: leave,
  [EXIT.INVEPT]: undefinedExit,
  [EXIT.RDTSCP]: unhandledExit,
  [EXIT.VMX_PREEMPTION_TIMER_EXPIRED]: leave,
  [EXIT.INVVPID]: undefinedExit,
  [EXIT.WBINVD]: nothingToDo,
  [EXIT.XSETBV]: xsetbvExit,
  [EXIT.APIC_WRITE]: unhandledExit,
  [EXIT.RDRAND]: randomExit,
  [EXIT.INVPCID]: unhandledExit,
  [EXIT.VMFUNC]: undefinedExit,
  [EXIT.ENCLS]: undefinedExit,
  [EXIT.RDSEED]: randomExit,
  [EXIT.PAGE_MODIFICATION_LOG_FULL]: unhandledExit,
  [EXIT.XSAVES]: undefinedExit,
  [EXIT.XRSTORS]: undefinedExit,
};
const dispatch: ReadonlyArray<Handler | undefined> = Array.from({ length: 80 }, (_, reason) => dispatchTable[reason as ExitReason]);

/** vmexit_handler: CoreHost.vmexit of the vCPU's core. */
export function vmexitHandler(vcpu: Vcpu, reason: number): number {
  vcpu.countExit(reason < 80 ? reason : 79);
  return (dispatch[reason] ?? unhandledExit)(vcpu);
}
