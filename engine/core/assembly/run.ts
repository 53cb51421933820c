/**
 * The run loop: finds the block at RIP, executes its records, looks at the event flags between blocks.
 *
 * Specialised handlers (hot.ts) do the common case inline: on anything unusual, such as a TLB miss, the instruction is
 * executed by its family instead, which has all checks. Nothing has been changed by then.
 *
 * @spec   SDM vol. 3, 6.8.3 and 25.4.2 (blocking by STI and MOV SS), 17.3.1 (debug exceptions), 26.7.5 (interrupt window)
 */
import {
  EVENT_CODE, EVENT_NMI_WINDOW, EVENT_TLB_FLUSH, EVENT_WINDOW, MODE_LONG64, RAX, RBP, RDX, RSP, CS, cpu, gpr8, interruptibility, mode, segBase,
  segLimit, setGpr8, setInterruptibility,
} from './cpu';
import {
  B_BIAS, B_BYTES, B_FIRST, B_JIT, B_KEY, B_MODE, B_RECORDS, B_SECOND, cacheEpoch, decodeSingle, findBlock, isCurrent, scratch,
} from './block';
import { enterRun, leaveRun } from './code_page';
import { codeBreakpoint, codeBreakpointsOn, pendingDebug, stepSuppressed, suppressStep } from './debug';
import { multiplyTruncated } from './execute/muldiv';
import { shift } from './execute/shift';
import { STAY, leaveReason, takeLeaveReason } from './exit';
import { GP, deliverDebugTrap, deliverEvent, raiseDebugFault, raiseError } from './fault';
import {
  IF, LAZY_DEC, LAZY_INC, OF, RF, TF, condition, overflowFlag, parityFlag, setLazy, setLazyLogic, setResultFlags, signFlag, zeroFlag,
} from './flags';
import { execute } from './gen/dispatch';
import {
  S_BLOCK, S_BLOCK_RIP, S_CUR_OP, S_ENTRY_ERROR_CODE, S_ENTRY_INSTRUCTION_LENGTH, S_ENTRY_INTR_INFO, S_EVENT_FLAGS, S_FLAGS, S_GPR, S_INSTRUCTIONS,
  S_LEAVE_BLOCK, S_RIP,
} from './gen/state';
import {
  HOT_ALU, HOT_CALL, HOT_CALL_R, HOT_CDQ, HOT_CDQE, HOT_CMOV_M, HOT_CMOV_R, HOT_CMP8, HOT_CQO, HOT_DEC, HOT_END, HOT_IMUL, HOT_IMUL_I, HOT_INC,
  HOT_JCC, HOT_JMP, HOT_JMP_R, HOT_LEA, HOT_LEAVE, HOT_LOAD, HOT_MOV8_RI, HOT_MOV8_RR, HOT_MOVSX16_M, HOT_MOVSX16_R, HOT_MOVSX8_M, HOT_MOVSX8_R,
  HOT_MOVSXD_M, HOT_MOVSXD_R, HOT_MOVZX16_M, HOT_MOVZX16_R, HOT_MOVZX8_M, HOT_MOVZX8_R, HOT_MOV_RI, HOT_MOV_RR, HOT_MUL_M, HOT_MUL_R, HOT_NEG,
  HOT_NOP, HOT_NOT, HOT_POP, HOT_PUSH, HOT_PUSH_I, HOT_RET, HOT_ROL, HOT_ROR, HOT_SAR, HOT_SET, HOT_SHL, HOT_SHR, HOT_STORE, HOT_STORE_I, HOT_TEST,
  HOT_TEST8, HOT_ZERO,
} from './hot';
import {
  address, alu, below, belowOrEqual, canonical, first, fix8, hit, jump, keepCarry, less, lessOrEqual, multiply64, offsetOnly, reg32, reg64, second,
  set32, set64,
} from './hot_operands';
import { JIT_INTERPRET, JIT_STATE, compiledCode, countBlock, countCrossingBlock, enterCompiled, jitThreshold, knownCode, promoteEntry } from './jit';
import { fetchAddress, handleMmuEvents } from './mmu';
import { REC_SIZE, recImm, recLength, recOffset, recOp } from './record';
import { E_READ, E_WRITE, tlbEpoch } from './tlb';

export const LEAVE_EVENT: u32 = 1;
export const LEAVE_WINDOW: u32 = 7;
export const LEAVE_NMI_WINDOW: u32 = 8;
export const LEAVE_BUDGET: u32 = 0x100;
const NO_PAGE: u64 = 0xffff_ffff_ffff_ffff;
const SHADOWS: u32 = 3; // interruptibility bits 0 (STI) and 1 (MOV SS)
const BLOCKED_BY_NMI: u32 = 8;

/** Executes the record by its family; true when the block ends after it (RIP is then in S_RIP). */
function general(c: usize, rec: usize): bool {
  store<u32>(c, <u32>rec, S_CUR_OP);
  store<u64>(c, load<u64>(c, S_BLOCK_RIP) + <u64>(recOffset(rec) + recLength(rec)), S_RIP);
  execute(recOp(rec), rec);
  return load<u32>(c, S_LEAVE_BLOCK) != 0;
}

/** Instructions must go one at a time, or something else is due before the next. */
function needsCare(c: usize): bool {
  return ((load<u32>(c, S_FLAGS) & (TF | RF)) | (interruptibility() & SHADOWS) | pendingDebug) != 0 || codeBreakpointsOn || leaveReason != STAY;
}

/** What is due at the instruction boundary S_RIP: a reason to leave, or STAY. */
function boundary(c: usize): u32 {
  if (leaveReason != STAY) return takeLeaveReason();
  if (pendingDebug != 0 && (interruptibility() & 2) == 0) {
    deliverDebugTrap(false);
    if (leaveReason != STAY) return takeLeaveReason();
  }
  let events = atomic.load<i32>(c + S_EVENT_FLAGS);
  if (events & (EVENT_TLB_FLUSH | EVENT_CODE)) {
    handleMmuEvents();
    events &= ~(EVENT_TLB_FLUSH | EVENT_CODE);
  }
  if (events & ~(EVENT_WINDOW | EVENT_NMI_WINDOW)) return LEAVE_EVENT;
  if (events & EVENT_NMI_WINDOW && (interruptibility() & (SHADOWS | BLOCKED_BY_NMI)) == 0) return LEAVE_NMI_WINDOW;
  if (events & EVENT_WINDOW && (load<u32>(c, S_FLAGS) & IF) != 0 && (interruptibility() & SHADOWS) == 0) return LEAVE_WINDOW;
  return STAY;
}

/** Executes one instruction at S_RIP with everything that may follow it. */
function step(c: usize): void {
  const rip = load<u64>(c, S_RIP);
  const flags = load<u32>(c, S_FLAGS);
  const m = mode();
  store<u32>(c, 0, S_BLOCK);
  if (codeBreakpointsOn && (flags & RF) == 0) {
    const bits = codeBreakpoint(m & MODE_LONG64 ? rip : (segBase(CS) + rip) & 0xffff_ffff);
    if (bits) raiseDebugFault(bits, true);
  }
  const at = fetchAddress(rip);
  if (at == 0) return; // the hypervisor was told
  const block = decodeSingle(at, m, rip);
  const rec = block + B_RECORDS;
  store<u64>(c, rip, S_BLOCK_RIP);
  store<u64>(c, rip + <u64>load<u32>(block, B_BIAS), S_GPR + 17 * 8);
  store<u32>(c, <u32>rec, S_BLOCK);
  if ((m & MODE_LONG64) == 0 && rip + <u64>load<u32>(block, B_BYTES) - 1 > <u64>segLimit(CS)) {
    store<u32>(c, <u32>rec, S_CUR_OP);
    raiseError(GP, 0);
  }
  store<u32>(c, flags & ~RF, S_FLAGS);
  setInterruptibility(interruptibility() & ~SHADOWS);
  suppressStep(false);
  general(c, rec);
  store<u32>(c, 0, S_LEAVE_BLOCK);
  store<u32>(c, 0, S_BLOCK);
  store<u64>(c, load<u64>(c, S_INSTRUCTIONS) + 1, S_INSTRUCTIONS);
  if ((flags & TF) != 0 && (interruptibility() & 2) == 0 && !stepSuppressed) deliverDebugTrap(true);
}

/** For lock-step checking: executes exactly so many instructions, whatever waits at their boundaries. */
export function replay(instructions: u32): void {
  for (let i: u32 = 0; i < instructions; i++) step(cpu);
}

/**
 * Runs until something needs the hypervisor, or about `budget` instructions. Returns the reason. Faults unwind through
 * here; the host then calls unwound() and runs again.
 */
export function run(budget: u32): u32 {
  const c = cpu;
  enterRun();
  const info = load<u32>(c, S_ENTRY_INTR_INFO);
  if (<i32>info < 0 && leaveReason == STAY) {
    store<u32>(c, 0, S_ENTRY_INTR_INFO);
    store<u32>(c, 0, S_BLOCK);
    deliverEvent(info, load<u32>(c, S_ENTRY_ERROR_CODE), load<u32>(c, S_ENTRY_INSTRUCTION_LENGTH));
  }
  const limit = load<u64>(c, S_INSTRUCTIONS) + <u64>budget;
  store<u32>(c, 0, S_LEAVE_BLOCK);
  let care = needsCare(c);
  let rip = load<u64>(c, S_RIP);
  let modeWord = mode();
  let mask: u64 = modeWord & MODE_LONG64 ? 0xffff_ffff_ffff_ffff : 0xffff_ffff;
  let page = NO_PAGE;
  let pageAt: usize = 0;
  let epoch: u32 = 0;
  let cache = cacheEpoch;
  let previous: usize = 0;
  let interpret = false; // compiled code has left the next instruction to the interpreter
  let seek = jitThreshold != 0; // the next instruction does not follow interpreted ones

  while (true) {
    if (care || atomic.load<i32>(c + S_EVENT_FLAGS) != 0) {
      store<u64>(c, rip, S_RIP);
      store<u32>(c, 0, S_BLOCK);
      const reason = boundary(c);
      if (reason != STAY) {
        leaveRun();
        return reason;
      }
      if (needsCare(c)) {
        step(c);
        care = true;
      } else {
        care = false;
      }
      rip = load<u64>(c, S_RIP);
      modeWord = mode();
      mask = modeWord & MODE_LONG64 ? 0xffff_ffff_ffff_ffff : 0xffff_ffff;
      page = NO_PAGE;
      previous = 0;
      seek = jitThreshold != 0 && !interpret;
      if (care) {
        if (load<u64>(c, S_INSTRUCTIONS) >= limit && leaveReason == STAY) {
          leaveRun();
          return LEAVE_BUDGET;
        }
        continue;
      }
    }
    if (load<u64>(c, S_INSTRUCTIONS) >= limit) {
      store<u64>(c, rip, S_RIP);
      leaveRun();
      return LEAVE_BUDGET;
    }

    // --- its compiled code, where that was entered before
    let block: usize = 0;
    let code = seek ? knownCode(rip) : 0;
    if (code == 0) {
      // --- the block at rip
      let at: usize;
      if (rip >> 12 == page && tlbEpoch == epoch) {
        at = pageAt + (<usize>rip & 0xfff);
      } else {
        store<u64>(c, rip, S_RIP);
        store<u32>(c, 0, S_BLOCK);
        at = fetchAddress(rip);
        if (at == 0) { // the hypervisor was told, and may have moved RIP
          store<u64>(c, load<u64>(c, S_INSTRUCTIONS) + 1, S_INSTRUCTIONS);
          rip = load<u64>(c, S_RIP);
          care = true;
          continue;
        }
        page = rip >> 12;
        pageAt = at - (<usize>rip & 0xfff);
        epoch = tlbEpoch;
        if ((modeWord & MODE_LONG64) == 0 && (segBase(CS) & 0xfff) != 0) page = NO_PAGE; // offset and linear page differ
      }
      if (previous != 0 && cache == cacheEpoch) {
        block = <usize>load<u32>(previous, B_FIRST);
        if (block == 0 || load<u32>(block, B_KEY) != <u32>at || load<u32>(block, B_MODE) != modeWord) {
          block = <usize>load<u32>(previous, B_SECOND);
          if (block != 0 && (load<u32>(block, B_KEY) != <u32>at || load<u32>(block, B_MODE) != modeWord)) block = 0;
        }
      }
      if (block == 0 || !isCurrent(block)) {
        store<u64>(c, rip, S_RIP);
        store<u32>(c, 0, S_BLOCK);
        block = findBlock(at, modeWord, rip);
        if (cache != cacheEpoch) {
          cache = cacheEpoch;
          previous = 0;
        }
        if (block == scratch) {
          page = NO_PAGE;
        } else if (previous != 0) {
          store<u32>(previous, load<u32>(previous, B_FIRST), B_SECOND);
          store<u32>(previous, <u32>block, B_FIRST);
        }
      }
      if ((modeWord & MODE_LONG64) == 0 && rip + <u64>load<u32>(block, B_BYTES) - 1 > <u64>segLimit(CS)) {
        store<u64>(c, rip, S_RIP);
        step(c); // one instruction: up to the limit it is legal
        rip = load<u64>(c, S_RIP);
        care = true;
        continue;
      }
      if (jitThreshold != 0) {
        seek = interpret;
        if (!interpret) code = compiledCode(block);
        interpret = false;
        if (code != 0) promoteEntry(block, at, modeWord, rip);
        else if (block == scratch) countCrossingBlock(at, modeWord, rip);
        else countBlock(block, at, modeWord, rip);
      }
    }
    if (code != 0) {
      store<u32>(c, 0, S_BLOCK);
      const why = enterCompiled(code, rip, <i32>(limit - load<u64>(c, S_INSTRUCTIONS)));
      previous = 0;
      rip = load<u64>(c, S_RIP);
      interpret = why == JIT_INTERPRET;
      seek = !interpret;
      if (why != JIT_STATE) continue;
      store<u32>(c, 0, S_LEAVE_BLOCK);
      modeWord = mode();
      mask = modeWord & MODE_LONG64 ? 0xffff_ffff_ffff_ffff : 0xffff_ffff;
      rip &= mask;
      page = NO_PAGE;
      care = needsCare(c);
      continue;
    }
    store<u64>(c, rip, S_BLOCK_RIP);
    store<u64>(c, rip + <u64>load<u32>(block, B_BIAS), S_GPR + 17 * 8);
    let rec = block + B_RECORDS;
    store<u32>(c, <u32>rec, S_BLOCK);
    let ended = false;

    while (true) {
      switch (<i32>load<u16>(rec, 30)) {
        case HOT_END:
          rip = (rip + <u64>load<u16>(rec, 24)) & mask;
          rec -= REC_SIZE;
          ended = true;
          break;
        case HOT_NOP: rec += REC_SIZE; continue;
        case HOT_ZERO:
          set64(c, first(rec), 0);
          setLazyLogic(0);
          rec += REC_SIZE;
          continue;
        case HOT_ALU + 0: set32(c, first(rec), alu(c, 0, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 1: set64(c, first(rec), alu(c, 0, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 2: set32(c, first(rec), alu(c, 0, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 3: set64(c, first(rec), alu(c, 0, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 4: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 0, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 5: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 0, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 6: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 0, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 7: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 0, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 8: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 0, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 9: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 0, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 10: set32(c, first(rec), alu(c, 1, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 11: set64(c, first(rec), alu(c, 1, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 12: set32(c, first(rec), alu(c, 1, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 13: set64(c, first(rec), alu(c, 1, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 14: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 1, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 15: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 1, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 16: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 1, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 17: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 1, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 18: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 1, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 19: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 1, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 20: set32(c, first(rec), alu(c, 2, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 21: set64(c, first(rec), alu(c, 2, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 22: set32(c, first(rec), alu(c, 2, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 23: set64(c, first(rec), alu(c, 2, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 24: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 2, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 25: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 2, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 26: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 2, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 27: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 2, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 28: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 2, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 29: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 2, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 30: set32(c, first(rec), alu(c, 3, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 31: set64(c, first(rec), alu(c, 3, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 32: set32(c, first(rec), alu(c, 3, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 33: set64(c, first(rec), alu(c, 3, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 34: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 3, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 35: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 3, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 36: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 3, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 37: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 3, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 38: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 3, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 39: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 3, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 40: set32(c, first(rec), alu(c, 4, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 41: set64(c, first(rec), alu(c, 4, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 42: set32(c, first(rec), alu(c, 4, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 43: set64(c, first(rec), alu(c, 4, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 44: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 4, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 45: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 4, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 46: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 4, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 47: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 4, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 48: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 4, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 49: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 4, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 50: set32(c, first(rec), alu(c, 5, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 51: set64(c, first(rec), alu(c, 5, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 52: set32(c, first(rec), alu(c, 5, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 53: set64(c, first(rec), alu(c, 5, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 54: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 5, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 55: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 5, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 56: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 5, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 57: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 5, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 58: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 5, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 59: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 5, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 60: set32(c, first(rec), alu(c, 6, false, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 61: set64(c, first(rec), alu(c, 6, true, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_ALU + 62: set32(c, first(rec), alu(c, 6, false, reg32(c, first(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 63: set64(c, first(rec), alu(c, 6, true, reg64(c, first(rec)), <i64>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 64: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set32(c, first(rec), alu(c, 6, false, reg32(c, first(rec)), <i64>load<i32>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 65: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), alu(c, 6, true, reg64(c, first(rec)), load<i64>(p)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 66: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 6, false, <i64>load<i32>(p), reg32(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 67: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 6, true, load<i64>(p), reg64(c, first(rec))));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 68: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<i32>(p, <i32>alu(c, 6, false, <i64>load<i32>(p), <i64><i32>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 69: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, alu(c, 6, true, load<i64>(p), <i64>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 70: alu(c, 7, false, reg32(c, first(rec)), reg32(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 71: alu(c, 7, true, reg64(c, first(rec)), reg64(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_ALU + 72: alu(c, 7, false, reg32(c, first(rec)), <i64><i32>recImm(rec)); rec += REC_SIZE; continue;
        case HOT_ALU + 73: alu(c, 7, true, reg64(c, first(rec)), <i64>recImm(rec)); rec += REC_SIZE; continue;
        case HOT_ALU + 74: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          alu(c, 7, false, reg32(c, first(rec)), <i64>load<i32>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 75: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          alu(c, 7, true, reg64(c, first(rec)), load<i64>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 76: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          alu(c, 7, false, <i64>load<i32>(p), reg32(c, first(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 77: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          alu(c, 7, true, load<i64>(p), reg64(c, first(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 78: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          alu(c, 7, false, <i64>load<i32>(p), <i64><i32>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_ALU + 79: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          alu(c, 7, true, load<i64>(p), <i64>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_TEST: setLazyLogic(reg32(c, first(rec)) & reg32(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_TEST + 1: setLazyLogic(reg64(c, first(rec)) & reg64(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_TEST + 2: setLazyLogic(reg32(c, first(rec)) & <i64><i32>recImm(rec)); rec += REC_SIZE; continue;
        case HOT_TEST + 3: setLazyLogic(reg64(c, first(rec)) & <i64>recImm(rec)); rec += REC_SIZE; continue;
        case HOT_TEST + 4: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          setLazyLogic(<i64>load<i32>(p) & reg32(c, first(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_TEST + 5: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          setLazyLogic(load<i64>(p) & reg64(c, first(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_TEST + 6: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          setLazyLogic(<i64>load<i32>(p) & <i64><i32>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_TEST + 7: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          setLazyLogic(load<i64>(p) & <i64>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_CMP8: alu(c, 7, true, <i64><i8>gpr8(first(rec)), <i64><i8>gpr8(second(rec))); fix8(c); rec += REC_SIZE; continue;
        case HOT_CMP8 + 1: alu(c, 7, true, <i64><i8>gpr8(first(rec)), <i64><i8>recImm(rec)); fix8(c); rec += REC_SIZE; continue;
        case HOT_CMP8 + 2: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          alu(c, 7, true, <i64><i8>gpr8(first(rec)), <i64>load<i8>(p));
          fix8(c);
          rec += REC_SIZE;
          continue;
        }
        case HOT_CMP8 + 3: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          alu(c, 7, true, <i64>load<i8>(p), <i64><i8>gpr8(first(rec)));
          fix8(c);
          rec += REC_SIZE;
          continue;
        }
        case HOT_CMP8 + 4: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          alu(c, 7, true, <i64>load<i8>(p), <i64><i8>recImm(rec));
          fix8(c);
          rec += REC_SIZE;
          continue;
        }
        case HOT_TEST8: setLazyLogic(<i64><i8>(gpr8(first(rec)) & gpr8(second(rec)))); rec += REC_SIZE; continue;
        case HOT_TEST8 + 1: setLazyLogic(<i64><i8>(gpr8(first(rec)) & <u8>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_TEST8 + 2: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          setLazyLogic(<i64><i8>(load<u8>(p) & <u8>recImm(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOV_RR: set32(c, first(rec), reg32(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_MOV_RR + 1: set64(c, first(rec), reg64(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_MOV_RI: set64(c, first(rec), recImm(rec)); rec += REC_SIZE; continue;
        case HOT_MOV8_RR: setGpr8(first(rec), gpr8(second(rec))); rec += REC_SIZE; continue;
        case HOT_MOV8_RI: setGpr8(first(rec), <u8>recImm(rec)); rec += REC_SIZE; continue;
        case HOT_LOAD: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          setGpr8(first(rec), load<u8>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_LOAD + 1: {
          const p = hit(address(c, rec, mask), 1, E_READ);
          if (p == 0) break;
          store<u16>(c + (<usize>first(rec) << 3), load<u16>(p), S_GPR);
          rec += REC_SIZE;
          continue;
        }
        case HOT_LOAD + 2: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set64(c, first(rec), <i64>load<u32>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_LOAD + 3: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          set64(c, first(rec), load<i64>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE: {
          const p = hit(address(c, rec, mask), 0, E_WRITE);
          if (p == 0) break;
          store<u8>(p, gpr8(first(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE + 1: {
          const p = hit(address(c, rec, mask), 1, E_WRITE);
          if (p == 0) break;
          store<u16>(p, load<u16>(c + (<usize>first(rec) << 3), S_GPR));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE + 2: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<u32>(p, load<u32>(c + (<usize>first(rec) << 3), S_GPR));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE + 3: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, reg64(c, first(rec)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE_I: {
          const p = hit(address(c, rec, mask), 0, E_WRITE);
          if (p == 0) break;
          store<u8>(p, <u8>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE_I + 1: {
          const p = hit(address(c, rec, mask), 1, E_WRITE);
          if (p == 0) break;
          store<u16>(p, <u16>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE_I + 2: {
          const p = hit(address(c, rec, mask), 3, E_WRITE);
          if (p == 0) break;
          store<u32>(p, <u32>recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_STORE_I + 3: {
          const p = hit(address(c, rec, mask), 7, E_WRITE);
          if (p == 0) break;
          store<u64>(p, recImm(rec));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVZX8_R: set64(c, first(rec), <i64>gpr8(second(rec))); rec += REC_SIZE; continue;
        case HOT_MOVZX8_M: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          set64(c, first(rec), <i64>load<u8>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVZX16_R: set64(c, first(rec), <i64>load<u16>(c + (<usize>second(rec) << 3), S_GPR)); rec += REC_SIZE; continue;
        case HOT_MOVZX16_M: {
          const p = hit(address(c, rec, mask), 1, E_READ);
          if (p == 0) break;
          set64(c, first(rec), <i64>load<u16>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVSX8_R: set32(c, first(rec), <i64><i8>gpr8(second(rec))); rec += REC_SIZE; continue;
        case HOT_MOVSX8_R + 1: set64(c, first(rec), <i64><i8>gpr8(second(rec))); rec += REC_SIZE; continue;
        case HOT_MOVSX8_M: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          set32(c, first(rec), <i64>load<i8>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVSX8_M + 1: {
          const p = hit(address(c, rec, mask), 0, E_READ);
          if (p == 0) break;
          set64(c, first(rec), <i64>load<i8>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVSX16_R: set32(c, first(rec), <i64>load<i16>(c + (<usize>second(rec) << 3), S_GPR)); rec += REC_SIZE; continue;
        case HOT_MOVSX16_R + 1: set64(c, first(rec), <i64>load<i16>(c + (<usize>second(rec) << 3), S_GPR)); rec += REC_SIZE; continue;
        case HOT_MOVSX16_M: {
          const p = hit(address(c, rec, mask), 1, E_READ);
          if (p == 0) break;
          set32(c, first(rec), <i64>load<i16>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVSX16_M + 1: {
          const p = hit(address(c, rec, mask), 1, E_READ);
          if (p == 0) break;
          set64(c, first(rec), <i64>load<i16>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_MOVSXD_R: set64(c, first(rec), reg32(c, second(rec))); rec += REC_SIZE; continue;
        case HOT_MOVSXD_M: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          set64(c, first(rec), <i64>load<i32>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_LEA: set32(c, first(rec), offsetOnly(c, rec)); rec += REC_SIZE; continue;
        case HOT_LEA + 1: set64(c, first(rec), offsetOnly(c, rec)); rec += REC_SIZE; continue;
        case HOT_PUSH: {
          const sp = <u64>reg64(c, RSP) - 8;
          const p = hit(sp, 7, E_WRITE);
          if (p == 0) break;
          store<i64>(p, reg64(c, first(rec)));
          set64(c, RSP, sp);
          rec += REC_SIZE;
          continue;
        }
        case HOT_PUSH_I: {
          const sp = <u64>reg64(c, RSP) - 8;
          const p = hit(sp, 7, E_WRITE);
          if (p == 0) break;
          store<u64>(p, recImm(rec));
          set64(c, RSP, sp);
          rec += REC_SIZE;
          continue;
        }
        case HOT_POP: {
          const sp = <u64>reg64(c, RSP);
          const p = hit(sp, 7, E_READ);
          if (p == 0) break;
          const v = load<i64>(p);
          set64(c, RSP, sp + 8);
          set64(c, first(rec), v);
          rec += REC_SIZE;
          continue;
        }
        case HOT_LEAVE: {
          const sp = <u64>reg64(c, RBP);
          const p = hit(sp, 7, E_READ);
          if (p == 0) break;
          set64(c, RBP, load<i64>(p));
          set64(c, RSP, sp + 8);
          rec += REC_SIZE;
          continue;
        }
        case HOT_CALL: {
          const sp = <u64>reg64(c, RSP) - 8;
          const p = hit(sp, 7, E_WRITE);
          const target = rip + <u64><i64>load<i32>(rec, 8);
          if (p == 0 || !canonical(target)) break;
          store<u64>(p, rip + <u64>(recOffset(rec) + recLength(rec)));
          set64(c, RSP, sp);
          rip = target;
          ended = true;
          break;
        }
        case HOT_CALL_R: {
          const sp = <u64>reg64(c, RSP) - 8;
          const p = hit(sp, 7, E_WRITE);
          const target = <u64>reg64(c, first(rec));
          if (p == 0 || !canonical(target)) break;
          store<u64>(p, rip + <u64>(recOffset(rec) + recLength(rec)));
          set64(c, RSP, sp);
          rip = target;
          ended = true;
          break;
        }
        case HOT_RET: {
          const sp = <u64>reg64(c, RSP);
          const p = hit(sp, 7, E_READ);
          if (p == 0) break;
          const target = load<u64>(p);
          if (!canonical(target)) break;
          set64(c, RSP, sp + 8);
          rip = target;
          ended = true;
          break;
        }
        case HOT_JMP: {
          const target = (rip + <u64><i64>load<i32>(rec, 8)) & mask;
          if (!canonical(target)) break;
          rip = target;
          ended = true;
          break;
        }
        case HOT_JMP_R: {
          const target = <u64>reg64(c, first(rec));
          if (!canonical(target)) break;
          rip = target;
          ended = true;
          break;
        }
        case HOT_JCC: rip = jump(rec, rip, mask, overflowFlag()); ended = true; break;
        case HOT_JCC + 1: rip = jump(rec, rip, mask, !overflowFlag()); ended = true; break;
        case HOT_JCC + 2: rip = jump(rec, rip, mask, below()); ended = true; break;
        case HOT_JCC + 3: rip = jump(rec, rip, mask, !below()); ended = true; break;
        case HOT_JCC + 4: rip = jump(rec, rip, mask, zeroFlag()); ended = true; break;
        case HOT_JCC + 5: rip = jump(rec, rip, mask, !zeroFlag()); ended = true; break;
        case HOT_JCC + 6: rip = jump(rec, rip, mask, belowOrEqual()); ended = true; break;
        case HOT_JCC + 7: rip = jump(rec, rip, mask, !belowOrEqual()); ended = true; break;
        case HOT_JCC + 8: rip = jump(rec, rip, mask, signFlag()); ended = true; break;
        case HOT_JCC + 9: rip = jump(rec, rip, mask, !signFlag()); ended = true; break;
        case HOT_JCC + 10: rip = jump(rec, rip, mask, parityFlag()); ended = true; break;
        case HOT_JCC + 11: rip = jump(rec, rip, mask, !parityFlag()); ended = true; break;
        case HOT_JCC + 12: rip = jump(rec, rip, mask, less()); ended = true; break;
        case HOT_JCC + 13: rip = jump(rec, rip, mask, !less()); ended = true; break;
        case HOT_JCC + 14: rip = jump(rec, rip, mask, lessOrEqual()); ended = true; break;
        case HOT_JCC + 15: rip = jump(rec, rip, mask, !lessOrEqual()); ended = true; break;
        case HOT_CMOV_R: {
          const i = first(rec);
          set32(c, i, condition(second(rec)) ? reg32(c, load<u8>(rec, 4)) : reg32(c, i));
          rec += REC_SIZE;
          continue;
        }
        case HOT_CMOV_R + 1: {
          if (condition(second(rec))) set64(c, first(rec), reg64(c, load<u8>(rec, 4)));
          rec += REC_SIZE;
          continue;
        }
        case HOT_CMOV_M: {
          const p = hit(address(c, rec, mask), 3, E_READ);
          if (p == 0) break;
          const i = first(rec);
          set32(c, i, condition(second(rec)) ? <i64>load<i32>(p) : reg32(c, i));
          rec += REC_SIZE;
          continue;
        }
        case HOT_CMOV_M + 1: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          if (condition(second(rec))) set64(c, first(rec), load<i64>(p));
          rec += REC_SIZE;
          continue;
        }
        case HOT_SET: setGpr8(first(rec), <u8>condition(second(rec))); rec += REC_SIZE; continue;
        case HOT_INC: {
          const a = reg32(c, first(rec));
          keepCarry(c);
          const r = <i64><i32>(a + 1);
          setLazy(LAZY_INC, r, a, 1);
          set32(c, first(rec), r);
          rec += REC_SIZE;
          continue;
        }
        case HOT_INC + 1: {
          const a = reg64(c, first(rec));
          keepCarry(c);
          setLazy(LAZY_INC, a + 1, a, 1);
          set64(c, first(rec), a + 1);
          rec += REC_SIZE;
          continue;
        }
        case HOT_DEC: {
          const a = reg32(c, first(rec));
          keepCarry(c);
          const r = <i64><i32>(a - 1);
          setLazy(LAZY_DEC, r, a, 1);
          set32(c, first(rec), r);
          rec += REC_SIZE;
          continue;
        }
        case HOT_DEC + 1: {
          const a = reg64(c, first(rec));
          keepCarry(c);
          setLazy(LAZY_DEC, a - 1, a, 1);
          set64(c, first(rec), a - 1);
          rec += REC_SIZE;
          continue;
        }
        case HOT_NEG: set32(c, first(rec), alu(c, 5, false, 0, reg32(c, first(rec)))); rec += REC_SIZE; continue;
        case HOT_NEG + 1: set64(c, first(rec), alu(c, 5, true, 0, reg64(c, first(rec)))); rec += REC_SIZE; continue;
        case HOT_NOT: set32(c, first(rec), ~reg32(c, first(rec))); rec += REC_SIZE; continue;
        case HOT_NOT + 1: set64(c, first(rec), ~reg64(c, first(rec))); rec += REC_SIZE; continue;
        case HOT_SHL: {
          const n = second(rec);
          const u = <u32>reg32(c, first(rec));
          const r = u << n;
          const cf = (u >> (32 - n)) & 1;
          setResultFlags(<i64><i32>r, cf | ((r >> 31) ^ cf ? OF : 0));
          set32(c, first(rec), <i64>r);
          rec += REC_SIZE;
          continue;
        }
        case HOT_SHL + 1: {
          const n = <u64>second(rec);
          const u = <u64>reg64(c, first(rec));
          const r = u << n;
          const cf = <u32>(u >> (64 - n)) & 1;
          setResultFlags(r, cf | (<u32>(r >> 63) ^ cf ? OF : 0));
          set64(c, first(rec), r);
          rec += REC_SIZE;
          continue;
        }
        case HOT_SHR: {
          const n = second(rec);
          const u = <u32>reg32(c, first(rec));
          const r = u >> n;
          setResultFlags(<i64><i32>r, ((u >> (n - 1)) & 1) | (((r << 1) ^ r) >> 31 ? OF : 0));
          set32(c, first(rec), <i64>r);
          rec += REC_SIZE;
          continue;
        }
        case HOT_SHR + 1: {
          const n = <u64>second(rec);
          const u = <u64>reg64(c, first(rec));
          const r = u >> n;
          setResultFlags(r, (<u32>(u >> (n - 1)) & 1) | (((r << 1) ^ r) >> 63 ? OF : 0));
          set64(c, first(rec), r);
          rec += REC_SIZE;
          continue;
        }
        case HOT_SAR: {
          const n = <i64>second(rec);
          const u = reg32(c, first(rec));
          setResultFlags(u >> n, <u32>(u >> (n - 1)) & 1);
          set32(c, first(rec), u >> n);
          rec += REC_SIZE;
          continue;
        }
        case HOT_SAR + 1: {
          const n = <i64>second(rec);
          const u = reg64(c, first(rec));
          setResultFlags(u >> n, <u32>(u >> (n - 1)) & 1);
          set64(c, first(rec), u >> n);
          rec += REC_SIZE;
          continue;
        }
        case HOT_ROL: set32(c, first(rec), shift(0, 4, reg32(c, first(rec)), second(rec))); rec += REC_SIZE; continue;
        case HOT_ROL + 1: set64(c, first(rec), shift(0, 8, reg64(c, first(rec)), second(rec))); rec += REC_SIZE; continue;
        case HOT_ROR: set32(c, first(rec), shift(1, 4, reg32(c, first(rec)), second(rec))); rec += REC_SIZE; continue;
        case HOT_ROR + 1: set64(c, first(rec), shift(1, 8, reg64(c, first(rec)), second(rec))); rec += REC_SIZE; continue;
        case HOT_IMUL: set32(c, first(rec), multiplyTruncated(4, reg32(c, first(rec)), reg32(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_IMUL + 1: set64(c, first(rec), multiplyTruncated(8, reg64(c, first(rec)), reg64(c, second(rec)))); rec += REC_SIZE; continue;
        case HOT_IMUL_I: set32(c, first(rec), multiplyTruncated(4, reg32(c, second(rec)), <i64><i32>recImm(rec))); rec += REC_SIZE; continue;
        case HOT_IMUL_I + 1: set64(c, first(rec), multiplyTruncated(8, reg64(c, second(rec)), recImm(rec))); rec += REC_SIZE; continue;
        case HOT_CDQE: set64(c, RAX, reg32(c, RAX)); rec += REC_SIZE; continue;
        case HOT_CDQ: set32(c, RDX, reg32(c, RAX) >> 63); rec += REC_SIZE; continue;
        case HOT_CQO: set64(c, RDX, reg64(c, RAX) >> 63); rec += REC_SIZE; continue;
        case HOT_MUL_R: multiply64(c, <u64>reg64(c, first(rec))); rec += REC_SIZE; continue;
        case HOT_MUL_M: {
          const p = hit(address(c, rec, mask), 7, E_READ);
          if (p == 0) break;
          multiply64(c, load<u64>(p));
          rec += REC_SIZE;
          continue;
        }
        default: break;
      }
      if (ended) break;
      if (!general(c, rec)) {
        rec += REC_SIZE;
        continue;
      }
      rip = load<u64>(c, S_RIP);
      break;
    }

    // --- end of the block
    store<u64>(c, load<u64>(c, S_INSTRUCTIONS) + <u64>((rec - <usize>load<u32>(c, S_BLOCK)) / REC_SIZE + 1), S_INSTRUCTIONS);
    previous = block == scratch ? 0 : block;
    if (!ended) {
      store<u32>(c, 0, S_BLOCK);
      store<u32>(c, 0, S_LEAVE_BLOCK);
      rip &= mask;
      const now = mode();
      if (now != modeWord) {
        modeWord = now;
        mask = modeWord & MODE_LONG64 ? 0xffff_ffff_ffff_ffff : 0xffff_ffff;
        rip = load<u64>(c, S_RIP);
      }
      page = NO_PAGE;
      care = needsCare(c);
    }
  }
}
