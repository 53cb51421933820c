/**
 * Exceptions: raising them from anywhere, and their escalation to double and triple faults.
 *
 * `raise*` never return: the host unwinds the WebAssembly stack to run(), then calls deliverFault(). So an
 * instruction must not change architectural state before its last access that can fault. Delivery itself may raise
 * again; the host then calls deliverFault() again.
 *
 * @spec   SDM vol. 3 chapter 6; table 6-5 (double fault conditions); 25.2 and 28.2 (exception bitmap, triple fault exits)
 * @cover  #Y escalation, exception bitmap, event injection
 */
import { cpu, instrRip, setActivity } from './cpu';
import { unlockBus } from './buslock';
import { EVENT_HARDWARE, EVENT_SOFTWARE, EVENT_SOFTWARE_EXCEPTION, deliver } from './deliver';
import { DR6_BS, betweenIterations, pendingDebug, recordDebug, setBetweenIterations, setPendingDebug, suppressStep } from './debug';
import { EXIT_EXCEPTION_NMI, EXIT_TRIPLE_FAULT, requestLeave } from './exit';
import {
  S_CR2, S_CUR_OP, S_EXCEPTION_BITMAP, S_EXIT_INSTRUCTION_LENGTH, S_EXIT_INTR_ERROR_CODE, S_EXIT_INTR_INFO, S_EXIT_QUALIFICATION, S_FAULT_ERROR, S_FAULT_HAS_ERROR,
  S_FAULT_VECTOR, S_INSTRUCTIONS, S_IDT_VECTORING_ERROR_CODE, S_IDT_VECTORING_INFO, S_RIP,
} from './gen/state';
import { recLength } from './record';
import { undoRsp } from './unwind';

export const DE: u32 = 0; export const DB: u32 = 1; export const NMI: u32 = 2; export const BP: u32 = 3; export const OF: u32 = 4;
export const BR: u32 = 5; export const UD: u32 = 6; export const NM: u32 = 7; export const DF: u32 = 8; export const TS: u32 = 10;
export const NP: u32 = 11; export const SSF: u32 = 12; export const GP: u32 = 13; export const PF: u32 = 14; export const MF: u32 = 16;
export const AC: u32 = 17; export const MC: u32 = 18; export const XM: u32 = 19;

/** Unwinds to run(); provided by core.ts. Never returns. */
@external('host', 'unwind')
declare function hostUnwind(): void;
/** Gives up what is on the WebAssembly stack. Only compiled code under check may, see shadow.ts; a fault raises instead. */
export function unwind(): void { hostUnwind(); }

/** Linear address of the page fault being raised: CR2 changes only when the fault is delivered. */
let faultAddress: u64 = 0;
/** The fault belongs to the instruction at S_RIP, whose bytes could not be fetched. */
let atFetch: bool = false;

/** Event type of the fault being raised: other than a hardware exception only for INT1, INT3 and INTO that exit. */
let raisedType: u32 = EVENT_HARDWARE;

// The event whose delivery is under way, for faults met while delivering it.
let nested: bool = false;
let nestedInfo: u32 = 0;
let nestedError: u32 = 0;
let nestedRip: u64 = 0;

/** Raises a fault without error code. Never returns. */
export function raise(vector: u32): void {
  store<u32>(cpu, vector, S_FAULT_VECTOR);
  store<u32>(cpu, 0, S_FAULT_HAS_ERROR);
  hostUnwind();
}

/** Raises a fault with an error code. Never returns. */
export function raiseError(vector: u32, errorCode: u32): void {
  store<u32>(cpu, vector, S_FAULT_VECTOR);
  store<u32>(cpu, errorCode, S_FAULT_ERROR);
  store<u32>(cpu, 1, S_FAULT_HAS_ERROR);
  hostUnwind();
}

/** Raises #PF; gva goes to CR2. Never returns. */
export function raisePageFault(gva: u64, errorCode: u32): void {
  faultAddress = gva;
  raiseError(PF, errorCode);
}

/** Raises a fault of fetching the instruction at S_RIP. Never returns. */
export function raiseFetchFault(vector: u32, errorCode: u32, gva: u64): void {
  faultAddress = gva;
  atFetch = true;
  raiseError(vector, errorCode);
}

/** From here on (or no longer) faults belong to the instruction at S_RIP: a task switch has left the one that made it. */
export function faultsAtRip(at: bool): void { atFetch = at; }

/** Raises a fault without error code of the instruction at S_RIP, before it is decoded (instruction breakpoint). */
export function raiseAtRip(vector: u32): void {
  atFetch = true;
  raise(vector);
}

// @ts-ignore: decorator
@inline function contributory(vector: u32): bool { return vector == DE || (vector >= TS && vector <= GP); }

/** Interruption information of a hardware exception. */
function hardwareInfo(vector: u32, hasError: bool): u32 {
  return 0x8000_0000 | (hasError ? 0x800 : 0) | (EVENT_HARDWARE << 8) | vector;
}

/** INSTRUCTIONS at the last delivery. */
let deliveredAt: u64 = <u64>-1;

/** A handler that faults at once must not run forever inside one budget: delivery without progress counts as an instruction. */
function countFruitless(): void {
  let retired = load<u64>(cpu, S_INSTRUCTIONS);
  if (retired == deliveredAt) store<u64>(cpu, ++retired, S_INSTRUCTIONS);
  deliveredAt = retired;
}

/** Delivers the fault recorded by raise: called by the host after it has unwound the stack. */
export function deliverFault(): void {
  unlockBus();
  undoRsp();
  countFruitless();
  let vector = load<u32>(cpu, S_FAULT_VECTOR);
  let hasError = load<u32>(cpu, S_FAULT_HAS_ERROR) != 0;
  let error = hasError ? load<u32>(cpu, S_FAULT_ERROR) : 0;
  const rip = atFetch ? load<u64>(cpu, S_RIP) : nested ? nestedRip : instrRip();
  // Every fault saves RF set, but for an instruction breakpoint (SDM vol. 3, 17.3.1.1).
  const resume = !(vector == DB && atFetch);
  atFetch = false;
  const type = raisedType;
  raisedType = EVENT_HARDWARE;
  // The traps of an instruction that does not complete are not due.
  setPendingDebug(0);
  const whileDelivering = nested;
  nested = false;
  if ((load<u32>(cpu, S_EXCEPTION_BITMAP) >> vector) & 1) {
    exceptionExit(vector, hasError, error, rip, whileDelivering);
    if (type != EVENT_HARDWARE) store<u32>(cpu, 0x8000_0000 | (type << 8) | vector, S_EXIT_INTR_INFO);
    return;
  }
  if (whileDelivering && ((nestedInfo >> 8) & 7) == EVENT_HARDWARE) {
    const first = nestedInfo & 0xff;
    if (first == DF && (contributory(vector) || vector == PF)) {
      tripleFault(rip);
      return;
    }
    if ((contributory(first) && contributory(vector)) || (first == PF && (contributory(vector) || vector == PF))) {
      vector = DF;
      hasError = true;
      error = 0;
      if ((load<u32>(cpu, S_EXCEPTION_BITMAP) >> DF) & 1) {
        exceptionExit(vector, hasError, error, rip, true);
        return;
      }
    }
  }
  if (vector == PF) store<u64>(cpu, faultAddress, S_CR2);
  begin(hardwareInfo(vector, hasError), error, rip);
  deliver(vector, EVENT_HARDWARE, hasError, error, rip, resume);
  nested = false;
}

function begin(info: u32, error: u32, rip: u64): void {
  nested = true;
  nestedInfo = info;
  nestedError = error;
  nestedRip = rip;
}

function exceptionExit(vector: u32, hasError: bool, error: u32, rip: u64, whileDelivering: bool): void {
  store<u32>(cpu, hardwareInfo(vector, hasError), S_EXIT_INTR_INFO);
  store<u32>(cpu, error, S_EXIT_INTR_ERROR_CODE);
  store<u64>(cpu, vector == PF ? faultAddress : 0, S_EXIT_QUALIFICATION);
  store<u32>(cpu, whileDelivering ? nestedInfo : 0, S_IDT_VECTORING_INFO);
  store<u32>(cpu, whileDelivering ? nestedError : 0, S_IDT_VECTORING_ERROR_CODE);
  store<u64>(cpu, rip, S_RIP);
  requestLeave(EXIT_EXCEPTION_NMI);
}

function tripleFault(rip: u64): void {
  store<u64>(cpu, rip, S_RIP);
  setActivity(2);
  requestLeave(EXIT_TRIPLE_FAULT);
}

/**
 * Injects an event at the instruction boundary S_RIP: `info` as in SDM 25.8.3 (vector, type, error code valid, valid).
 * Software events return to S_RIP + instrLength.
 */
export function deliverEvent(info: u32, error: u32, instrLength: u32): void {
  const vector = info & 0xff;
  const type = (info >> 8) & 7;
  const rip = load<u64>(cpu, S_RIP);
  const software = type >= EVENT_SOFTWARE && type <= EVENT_SOFTWARE_EXCEPTION;
  setActivity(0);
  begin(info, error, rip);
  const resume = betweenIterations || (type == EVENT_HARDWARE && vector != DB);
  setBetweenIterations(false);
  deliver(vector, type, (info & 0x800) != 0, error, software ? rip + <u64>instrLength : rip, resume);
  nested = false;
}

/** INT n, INT3, INTO, INT1 of the running instruction: a nested fault returns to the instruction itself. */
export function softwareInterrupt(vector: u32, type: u32, returnRip: u64): void {
  // The exception bitmap covers all of these but INT n (SDM 26.2, 28.2.2: RIP stays at the instruction).
  if (type != EVENT_SOFTWARE && (load<u32>(cpu, S_EXCEPTION_BITMAP) >> vector) & 1) {
    store<u32>(cpu, recLength(<usize>load<u32>(cpu, S_CUR_OP)), S_EXIT_INSTRUCTION_LENGTH);
    raisedType = type;
    raise(vector);
  }
  begin(0x8000_0000 | (type << 8) | vector, 0, instrRip());
  deliver(vector, type, false, 0, returnRip, false);
  nested = false;
  suppressStep(true);
}

/**
 * Delivers the debug traps due at the instruction boundary S_RIP: data and I/O breakpoints noted by the instruction,
 * single step when `step`, task switch.
 */
export function deliverDebugTrap(step: bool): void {
  const bits = pendingDebug | (step ? DR6_BS : 0);
  if (bits == 0) return;
  setPendingDebug(0);
  const rip = load<u64>(cpu, S_RIP);
  if ((load<u32>(cpu, S_EXCEPTION_BITMAP) >> DB) & 1) {
    exceptionExit(DB, false, 0, rip, false);
    store<u64>(cpu, <u64>bits, S_EXIT_QUALIFICATION);
    return;
  }
  recordDebug(bits);
  begin(hardwareInfo(DB, false), 0, rip);
  const resume = betweenIterations;
  setBetweenIterations(false);
  deliver(DB, EVENT_HARDWARE, false, 0, rip, resume);
  nested = false;
}

/** Raises the fault-class #DB of an instruction breakpoint at S_RIP, or of general detect. Never returns. */
export function raiseDebugFault(bits: u32, fetch: bool): void {
  if (!((load<u32>(cpu, S_EXCEPTION_BITMAP) >> DB) & 1)) recordDebug(bits);
  if (fetch) raiseAtRip(DB);
  else raise(DB);
}
