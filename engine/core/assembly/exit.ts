/**
 * VM exits: the synchronous door to the hypervisor, and the request to leave run().
 *
 * @spec   SDM vol. 3 chapter 28 (VM exits), appendix C (basic exit reasons)
 * @cover  #Y synchronous exits, events returned by the hypervisor, leaving run() after the instruction
 * @differ The hypervisor answers most exits by a call made in the middle of the instruction, not by a mode switch.
 *
 * What run() owes this layer. After choosing the pCPU block: initMmu(ramBytes) (mmu.ts). At its start: LEAVE_BLOCK = 0,
 * enterRun() (code_page.ts); a pending leaveReason is returned at once; a valid ENTRY_INTR_INFO is cleared and given to
 * deliverEvent (fault.ts). With S_RIP = start of the instruction it decodes next, it fetches by fetchAddress, and looks
 * beyond that instruction by peekFetchAddress; it reads PAGE_GENERATION before markCodePage. Whenever LEAVE_BLOCK is
 * set after an instruction: S_RIP holds the next RIP when the instruction set it (jumpTo, leaveBlock), otherwise (a write
 * to code, a breakpoint, a request to leave) it is the following instruction; then deliverDebugTrap(TF was set) when
 * pendingDebug or TF ask for it, and takeLeaveReason(). While codeBreakpointsOn each instruction starts with
 * `if (!RF && (bits = codeBreakpoint(linear RIP))) raiseDebugFault(bits, true)`. At its end: leaveRun(). After an
 * unwind the host calls deliverFault() until it returns normally, then run() again.
 */
import { cpu, instrRip, nextRip } from './cpu';
import { enterRun, leaveRun } from './code_page';
import { raise, raiseError } from './fault';
import {
  S_ENTRY_ERROR_CODE, S_ENTRY_INTR_INFO, S_EVENT_FLAGS, S_EXIT_INSTRUCTION_LENGTH, S_EXIT_QUALIFICATION, S_EXIT_REASON, S_INSTRUCTIONS,
  S_LEAVE_BLOCK, S_PROC_CTLS2, S_RIP,
} from './gen/state';

/** Answers the exit described in the S_EXIT_* fields: 0 go on, 1 raise the event in ENTRY_INTR_INFO, 2 leave run(). */
@external('host', 'vmexit')
declare function hostVmexit(reason: i32): i32;

/** Nanoseconds since an epoch that all pCPUs of the NUC share. */
@external('host', 'timeNs')
export declare function hostTimeNs(): f64;

export const EXIT_EXCEPTION_NMI: u32 = 0;
export const EXIT_TRIPLE_FAULT: u32 = 2;
export const EXIT_TASK_SWITCH: u32 = 9;
export const EXIT_CPUID: u32 = 10;
export const EXIT_HLT: u32 = 12;
export const EXIT_INVD: u32 = 13;
export const EXIT_INVLPG: u32 = 14;
export const EXIT_RDTSC: u32 = 16;
export const EXIT_VMCALL: u32 = 18;
export const EXIT_CR_ACCESS: u32 = 28;
export const EXIT_DR_ACCESS: u32 = 29;
export const EXIT_IO_INSTRUCTION: u32 = 30;
export const EXIT_RDMSR: u32 = 31;
export const EXIT_WRMSR: u32 = 32;
export const EXIT_PAUSE: u32 = 40;
export const EXIT_EPT_VIOLATION: u32 = 48;
export const EXIT_EPT_MISCONFIGURATION: u32 = 49;
export const EXIT_WBINVD: u32 = 54;
export const EXIT_XSETBV: u32 = 55;
export const EXIT_RDRAND: u32 = 57;
export const EXIT_RDSEED: u32 = 61;

/** No leave requested. */
export const STAY: u32 = 0xffff_ffff;

/** Exit reason run() must return with once the current instruction is finished; STAY when there is none. */
export let leaveReason: u32 = STAY;

/** Makes run() return `reason` after the current instruction (or before the next, outside of one). */
export function requestLeave(reason: u32): void {
  leaveReason = reason;
  store<u32>(cpu, 1, S_LEAVE_BLOCK);
}

/** The pending leave reason, taken: STAY when run() may go on. */
export function takeLeaveReason(): u32 {
  const reason = leaveReason;
  leaveReason = STAY;
  return reason;
}

/**
 * Exits to the hypervisor in the middle of an instruction; the caller has filled the S_EXIT_* fields it needs. Returns
 * to let the instruction finish, or raises the fault the hypervisor asked for. RIP is exact for the hypervisor; when
 * it writes another RIP, execution continues there.
 */
export function vmexit(reason: u32): bool {
  const rip = instrRip();
  const before = load<u64>(cpu, S_RIP);
  store<u32>(cpu, reason, S_EXIT_REASON);
  store<u32>(cpu, <u32>(nextRip() - rip), S_EXIT_INSTRUCTION_LENGTH);
  store<u64>(cpu, rip, S_RIP);
  leaveRun();
  const answer = hostVmexit(reason);
  enterRun();
  const after = load<u64>(cpu, S_RIP);
  if (after == rip) {
    store<u64>(cpu, before, S_RIP);
  } else {
    store<u32>(cpu, 1, S_LEAVE_BLOCK);
  }
  if (answer == 1) {
    const info = load<u32>(cpu, S_ENTRY_INTR_INFO);
    store<u32>(cpu, 0, S_ENTRY_INTR_INFO);
    if (info & 0x800) raiseError(info & 0xff, load<u32>(cpu, S_ENTRY_ERROR_CODE));
    raise(info & 0xff);
  } else if (answer == 2) {
    if (load<u32>(cpu, S_LEAVE_BLOCK) == 0) store<u64>(cpu, rip + <u64>load<u32>(cpu, S_EXIT_INSTRUCTION_LENGTH), S_RIP);
    requestLeave(reason);
  } else if (load<i32>(cpu, S_EVENT_FLAGS) != 0) {
    // What the access made pending, an interrupt to itself for one, is due before the next instruction.
    store<u32>(cpu, 1, S_LEAVE_BLOCK);
  }
  return true;
}

/** vmexit with an exit qualification. */
// @ts-ignore: decorator
@inline export function vmexitQualified(reason: u32, qualification: u64): bool {
  store<u64>(cpu, qualification, S_EXIT_QUALIFICATION);
  return vmexit(reason);
}

/** PAUSE-loop exiting (SDM 25.1.3): this many PAUSEs, with at most so many instructions to each, are a spin loop. */
const PLE_WINDOW: u32 = 256;
const PLE_GAP: u64 = 128;
const PLE_EXITING: u32 = 1 << 10; // secondary controls
let pauses: u32 = 0;
let spinStart: u64 = 0;

/** PAUSE: tells the hypervisor of a vCPU that spins, so that the one it waits for gets the host's core. */
export function pause(): void {
  if (!(load<u32>(cpu, S_PROC_CTLS2) & PLE_EXITING)) return;
  if (pauses == 0) spinStart = load<u64>(cpu, S_INSTRUCTIONS);
  if (++pauses < PLE_WINDOW) return;
  pauses = 0;
  if (load<u64>(cpu, S_INSTRUCTIONS) - spinStart <= PLE_GAP * PLE_WINDOW) vmexit(EXIT_PAUSE);
}
