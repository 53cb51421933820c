/** The core's exports to core.ts. */
import { initBlocks, dropBlocks } from './block';
import { unlockBus } from './buslock';
import { cpu, instrRip, setCpu } from './cpu';
import { leaveRun } from './code_page';
import { decodeInstruction, decodedEnds } from './decode';
import { STAY, leaveReason, takeLeaveReason } from './exit';
import { deliverFault } from './fault';
import { readFlags, writeFlags } from './flags';
import { PCPU_BASE, PCPU_STRIDE, S_BLOCK, S_CUR_OP, S_INSTRUCTIONS, S_LEAVE_BLOCK, S_PCPU_ID } from './gen/state';
import { setRamSize } from './ept';
import { debugTranslate, flushTlb } from './mmu';
import { REC_SIZE } from './record';
import { syncState } from './sync';
import { updateBreakpoints } from './debug';
import { undoRsp } from './unwind';
import { selectPcid } from './walk_cache';

export { setFeatures } from './features';
export { pageBehind } from './block';
export { replay, run } from './run';
export { setTurns } from './turns';
export { cryptoResult } from './execute/crypto';
export { setShadowing, shadowCount, shadowsDiffer, unexpectedWrite } from './shadow';
export {
  alignmentCheck, arithmetic64, codeAt, currentCode, decodeCrossingForJit, decodeForJit, executeRecord, findJump, forgetEntries, hotBlocks, installEntry, isMapped, lazyCondition, lazyStatus, markCode, pageHash, recallWindow, removeEntry, rewindCompiled, sampleStep, setJitThreshold, translateRead, translateWrite,
} from './jit';
export { x87Compare, x87CompareMemory, x87Load, x87Operate, x87OperateMemory, x87Store } from './jit_x87';

/** Nothing here asserts; a trap of the compiler's own is an engine bug and ends in `unreachable`. */
export function abort(message: usize, file: usize, line: u32, column: u32): void { unreachable(); }

/** Makes this instance serve a pCPU; everything cached is empty afterwards, the architectural state is left alone. */
export function init(pcpuId: u32, ramBytes: u32): void {
  setCpu(<usize>(PCPU_BASE + pcpuId * PCPU_STRIDE));
  store<u32>(cpu, pcpuId, S_PCPU_ID);
  setRamSize(ramBytes);
  initBlocks();
  stateWritten();
}

/** The host wrote control registers, segments or debug registers. */
export function stateWritten(): void {
  syncState();
  updateBreakpoints();
  flushTlb();
}

/**
 * A fault has unwound the stack: counts what ran before it in its block, undoes what it left half done, delivers it.
 * Returns the reason to leave run() at once (exception bitmap, triple fault), or STAY.
 */
export function unwound(): u32 {
  const first = load<u32>(cpu, S_BLOCK);
  if (first != 0) {
    const done = (load<u32>(cpu, S_CUR_OP) - first) / <u32>REC_SIZE;
    store<u64>(cpu, load<u64>(cpu, S_INSTRUCTIONS) + <u64>done, S_INSTRUCTIONS);
    store<u32>(cpu, 0, S_BLOCK);
  }
  undoRsp();
  deliverFault();
  if (leaveReason == STAY) return STAY;
  leaveRun();
  return takeLeaveReason();
}

/** An error of the engine's own has ended run(): other pCPUs must not wait for this one. */
export function abandoned(): void {
  unlockBus();
  leaveRun();
}

/** What stateWritten() does, but for translations: lock-step checking takes care of those. */
export function stateRestored(): void {
  syncState();
  updateBreakpoints();
  selectPcid();
}

export function getFlags(): u32 { return readFlags(); }
export function setFlags(value: u32): void { writeFlags(value); syncState(); }
export function flushTranslations(): void { flushTlb(); }
export function dropDecoded(): void { dropBlocks(); }
export function translateForDebugger(gva: u64, write: bool): usize { return debugTranslate(gva, write); }
export function instructionPointer(): u64 { return instrRip(); }
/** For tests of the decoder: decodes at `at` into the record `rec`; the length, plus 0x100 when a block ends here. */
export function decodeAt(rec: usize, at: usize, mode: u32): u32 { return decodeInstruction(rec, at, mode, 0) | (decodedEnds ? 0x100 : 0); }
