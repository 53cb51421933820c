/**
 * The core's half of compiled code: entering it, counting what is worth compiling, and the routines it calls.
 *
 * Compiled code (engine/core/jit) runs with the guest's registers in locals. It looks translations up in the software TLB
 * itself; on a miss it asks translateRead or translateWrite, which fill the TLB but never fault: what cannot be done
 * simply (faults, device memory, page crossings, writes to code) makes it return here, and the interpreter executes that
 * instruction.
 */
import { MODE_LONG, cpu, mode } from './cpu';
import { B_COUNT, B_GENERATION, B_GENERATION_AT, B_JIT, B_JIT_ENTRY, countCrossing, isCurrent, peekBlock } from './block';
import { isCodePage, markCodePage } from './code_page';
import { dataBreakpointsOn, pageHasDataBreakpoint } from './debug';
import { decodeInstruction, decodedEnds, decodedFarRipRelative } from './decode';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, eptDirty, eptPage, eptRights, eptTranslate } from './ept';
import {
  AC, AF, CF, LAZY_ADC, LAZY_ADD, LAZY_DEC, LAZY_INC, LAZY_LOGIC, LAZY_NONE, LAZY_RESULT, LAZY_SBB, LAZY_SUB, OF, PF, SF, ZF,
} from './flags';
import { execute } from './gen/dispatch';
import { PAGE_GENERATION_BASE, RAM_BASE, S_BLOCK_RIP, S_CUR_OP, S_FLAGS, S_INSTRUCTIONS, S_LEAVE_BLOCK, S_MMU_CONTEXT, S_RIP } from './gen/state';
import { forgetJumps, knownJump, rememberJump, rememberPage, renewKeys } from './jump_cache';
import { peekFetchAddress, shadowAccess } from './mmu';
import { CONTEXT_ALIGNED, canonical, walk, walkGlobal, walkGpa, walkLarge, walkRights } from './paging';
import { recLength, recOffset, recOp } from './record';
import { SHADOW_OFF, shadowing } from './shadow';
import { addFloat, divFloat, mulFloat, sqrtFloat, subFloat } from './sse/arithmetic';
import { signal } from './sse/mxcsr';
import { syncAlignmentCheck } from './sync';
import { E_ADDEND, E_EXEC, entryOf, fillTlb, isGlobal, tlb } from './tlb';
import { recallWalk, rememberWalk } from './walk_cache';

/** Calls a function of the table of compiled code: (cpu, rip, entry). */
@external('host', 'enter')
declare function hostEnter(fn: u32, c: usize, rip: u64, entry: u32): void;

/** The block at this wasm address, `rip` in linear addresses, has become worth compiling. */
@external('host', 'hot')
declare function hostHot(at: usize, modeWord: u32, rip: u64): void;

/** The block runs again and again: if compiled code of it was kept, that should be fetched. */
@external('host', 'warm')
declare function hostWarm(at: usize, modeWord: u32, rip: u64): void;

// Offsets in a pCPU block: engine/core/jit/layout.ts.
const J_LEFT: usize = 0xf00;
const J_EXIT: usize = 0xf04;
const J_EXECUTED: usize = 0xf08;
const J_ENTERED: usize = 0xf10;
const J_STEPS: usize = 0xf18;
const J_STEP_INTERVAL: usize = 0xf1c;
const J_STEPS_NOTED: usize = 0xf20;
const J_STATUS: usize = 0xf30;
const J_NOTES: usize = 0x18_8000;
const NOTES: u32 = 64;
const FN_BITS: u32 = 12;
const J_ENTRIES: usize = 0x8_0000;
/** Sets of two slots. */
const ENTRY_SETS: usize = 0x8000;
const SLOT_SIZE: usize = 16;

export const JIT_INTERPRET: u32 = 1;
export const JIT_STATE: u32 = 2;

/** Executions of a block after which it is compiled, a power of two; 0: nothing is compiled. */
export let jitThreshold: u32 = 0;
export function setJitThreshold(executions: u32): void { jitThreshold = executions; }

/** Executions of a block after which kept code is looked for. */
const WARM: u32 = 8;

/** Instructions that were left when INSTRUCTIONS was last exact. */
let startLeft: i32 = 0;

/** Before instructions that compiled code has executed are executed once more: as if it had not run. */
export function rewindCompiled(left: i32): void { startLeft = left; }

/** The first of the two slots of the table of entries for code at a wasm address. */
// @ts-ignore: decorator
@inline function entrySet(at: usize): usize { return cpu + J_ENTRIES + (((at ^ (at >> 12)) & (ENTRY_SETS - 1)) << 5); }

/** Slot of the code at a wasm address, whatever its generation; 0: none. */
function slotOf(at: usize, modeWord: u32): usize {
  let slot = entrySet(at);
  if (load<u32>(slot) == <u32>at && load<u32>(slot, 4) == modeWord) return slot;
  slot += SLOT_SIZE;
  return load<u32>(slot) == <u32>at && load<u32>(slot, 4) == modeWord ? slot : 0;
}

/** Function and entry, as tables hold them, of the code at a wasm address as it is now; 0: none. */
function entryAt(at: usize, modeWord: u32, generation: u32): u32 {
  const slot = slotOf(at, modeWord);
  return slot != 0 && load<u32>(slot, 12) == generation ? load<u32>(slot, 8) : 0;
}

/** Function and entry, as tables hold them, of the block's compiled code; 0: it has none. */
// @ts-ignore: decorator
@inline export function compiledCode(block: usize): u32 {
  const fn = load<u32>(block, B_JIT);
  return fn == 0 ? 0 : fn | load<u32>(block, B_JIT_ENTRY) << FN_BITS;
}

/** The same of what is known to be at `rip`, without a look at its block. */
// @ts-ignore: decorator
@inline export function knownCode(rip: u64): u32 {
  const slot = knownJump(rip);
  return slot == 0 ? 0 : load<u32>(slot, 8);
}

/** Runs compiled code until it returns; the reason. INSTRUCTIONS and S_RIP are exact then. */
export function enterCompiled(code: u32, rip: u64, left: i32): u32 {
  const c = cpu;
  startLeft = left;
  store<i32>(c, left, J_LEFT);
  store<u32>(c, load<u32>(c, S_FLAGS) & (CF | PF | AF | ZF | SF | OF), J_STATUS);
  hostEnter(code & ((1 << FN_BITS) - 1), c, rip, code >> FN_BITS);
  store<u64>(c, load<u64>(c, S_INSTRUCTIONS) + <u64><i64>(startLeft - load<i32>(c, J_LEFT)), S_INSTRUCTIONS);
  store<u64>(c, load<u64>(c, J_EXECUTED) + <u64><i64>(left - load<i32>(c, J_LEFT)), J_EXECUTED);
  store<u64>(c, load<u64>(c, J_ENTERED) + 1, J_ENTERED);
  return load<u32>(c, J_EXIT);
}

/** A block without compiled code is about to be interpreted. */
// @ts-ignore: decorator
@inline export function countBlock(block: usize, at: usize, modeWord: u32, rip: u64): void {
  const n = load<u32>(block, B_COUNT) + 1;
  store<u32>(block, n, B_COUNT);
  if (n == 1 && adoptEntry(block, at, modeWord)) return;
  if (n == WARM) hostWarm(at, modeWord, rip);
  if ((n & (jitThreshold - 1)) == 0) hostHot(at, modeWord, rip);
}

/** The block was decoded anew since it was compiled: that is its compiled code again, from the next time on. */
function adoptEntry(block: usize, at: usize, modeWord: u32): bool {
  const code = entryAt(at, modeWord, load<u32>(block, B_GENERATION));
  if (code == 0) return false;
  store<u32>(block, code & ((1 << FN_BITS) - 1), B_JIT);
  store<u32>(block, code >> FN_BITS, B_JIT_ENTRY);
  return true;
}

/** An instruction that continues on another page is about to be interpreted: no block of it is kept. */
export function countCrossingBlock(at: usize, modeWord: u32, rip: u64): void {
  const n = countCrossing(at);
  if (n != 0 && (n & (jitThreshold - 1)) == 0) hostHot(at, modeWord, rip);
}

// ---- called by compiled code

/** Executes a record whose offset counts from S_BLOCK_RIP; 1 when the block must end after it. */
export function executeRecord(rec: usize, left: i32): u32 {
  const c = cpu;
  // The instruction itself has been taken off already, but counts once it is complete.
  store<u64>(c, load<u64>(c, S_INSTRUCTIONS) + <u64><i64>(startLeft - left - 1), S_INSTRUCTIONS);
  startLeft = left + 1;
  store<u32>(c, <u32>rec, S_CUR_OP);
  store<u64>(c, load<u64>(c, S_BLOCK_RIP) + <u64>(recOffset(rec) + recLength(rec)), S_RIP);
  execute(recOp(rec), rec);
  return u32(load<u32>(c, S_LEAVE_BLOCK) != 0);
}

/** wasm address for a read of `size` bytes, with the TLB filled; 0: the interpreter must do it. */
export function translateRead(gva: u64, size: u32, _tag: u64): usize { return translateQuietly(gva, size, ACCESS_READ); }
export function translateWrite(gva: u64, size: u32, _tag: u64): usize { return translateQuietly(gva, size, ACCESS_WRITE); }

/** wasm address of the code at a linear address; 0 when it cannot be fetched from without more ado. */
export function codeAt(target: u64): usize {
  const e = entryOf(tlb, target);
  if (load<u64>(e, E_EXEC) == (target & ~0xfff)) return <usize>(<u32>target + load<u32>(e, E_ADDEND));
  return shadowing == SHADOW_OFF ? translateQuietly(target, 1, ACCESS_FETCH) : 0;
}

/** Whether the code page at a wasm address is the one at a linear address, and will be until PAGE_KEY changes. */
export function isMapped(linearPage: u64, page: usize): u32 {
  return u32(codeAt(linearPage) == page && rememberPage(linearPage, isGlobal(entryOf(tlb, linearPage))));
}

/** Slot of the jump cache for a jump to `target`, which did not have it; 0: the run loop must go on there. */
export function findJump(target: u64): usize {
  const at = codeAt(target);
  if (at == 0) return 0;
  const generationAt = PAGE_GENERATION_BASE + (((at - RAM_BASE) >> 12) << 2);
  const generation = load<u32>(generationAt);
  const code = entryAt(at, mode(), generation);
  return code == 0 ? 0 : rememberJump(target, isGlobal(entryOf(tlb, target)), code, generation, generationAt);
}

/** A jump from the interpreter to compiled code. */
function remember(rip: u64, code: u32, generation: u32, generationAt: usize): void {
  const e = entryOf(tlb, rip);
  rememberJump(rip, load<u64>(e, E_EXEC) == (rip & ~0xfff) && isGlobal(e), code, generation, generationAt);
}

function translateQuietly(gva: u64, size: u32, access: u32): usize {
  if ((<u32>gva & 0xfff) + size > 0x1000) return 0;
  if (mode() & MODE_LONG && !canonical(gva)) return 0;
  if (dataBreakpointsOn && pageHasDataBreakpoint(gva)) return 0;
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  if (context == CONTEXT_ALIGNED && <u32>gva & (size - 1)) return 0;
  const known = recallWalk(gva, access, context);
  if (known != 0) return access == ACCESS_WRITE && isCodePage(known) ? 0 : known;
  if (!walk(gva, access, context, true)) return 0;
  if (!eptTranslate(walkGpa, access)) return 0;
  const page = eptPage;
  const rights = walkRights & eptRights;
  const codePage = isCodePage(page);
  rememberWalk(gva, context);
  if (shadowing != SHADOW_OFF) {
    if (access == ACCESS_WRITE && codePage) return 0;
    return shadowAccess(context, gva, page, access, (rights & 1) != 0, (rights & 2) != 0 && eptDirty && !codePage);
  }
  fillTlb(context, gva & ~0xfff, page, (rights & 1) != 0, (rights & 2) != 0 && eptDirty && !codePage, (rights & 4) != 0, walkGlobal, walkLarge);
  return access == ACCESS_WRITE && codePage ? 0 : page + (<usize>gva & 0xfff);
}

/**
 * wasm address of `last` + 1 bytes in one page when a page walk that allows the access is remembered; otherwise 0. Nothing
 * happens to the page tables: it is for accesses that may yet not be made.
 */
export function recallWindow(gva: u64, last: u32, write: u32, _tag: u64): usize {
  if ((<u32>gva & 0xfff) + last > 0xfff) return 0;
  if (mode() & MODE_LONG && !canonical(gva)) return 0;
  if (dataBreakpointsOn && pageHasDataBreakpoint(gva)) return 0;
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  if (context == CONTEXT_ALIGNED) return 0;
  const known = recallWalk(gva, write ? ACCESS_WRITE : ACCESS_READ, context);
  return known != 0 && write && isCodePage(known) ? 0 : known;
}

/** LOP says that the operands count in their low 32 bits only. */
const WORD32: u32 = 0x20;

/** The six status flags of a lazy state held in compiled code. */
export function lazyStatus(lop: u32, r: i64, a: i64, b: i64, status: u32): u32 {
  if (lop & WORD32) {
    r = <i64><i32>r;
    a = <i64><i32>a;
    b = <i64><i32>b;
  }
  const op = lop & 0x1f;
  if (op == LAZY_NONE) return status;
  let out: u32 = (r == 0 ? ZF : 0) | (r < 0 ? SF : 0) | (popcnt<u32>(<u32>r & 0xff) & 1 ? 0 : PF);
  if (op == LAZY_LOGIC) return out;
  if (op == LAZY_RESULT) return out | (status & (CF | OF | AF));
  out |= <u32>(a ^ b ^ r) & AF;
  if (op == LAZY_ADD || op == LAZY_ADC || op == LAZY_INC) {
    if (((a ^ r) & (b ^ r)) < 0) out |= OF;
  } else if (((a ^ b) & (a ^ r)) < 0) {
    out |= OF;
  }
  switch (op) {
    case LAZY_ADD: return out | u32(<u64>r < <u64>a);
    case LAZY_ADC: return out | u32(<u64>r <= <u64>a);
    case LAZY_SUB: return out | u32(<u64>a < <u64>b);
    case LAZY_SBB: return out | u32(<u64>a <= <u64>b);
    default: return out | (status & CF);
  }
}

/** Condition code 0-15 on such a state. */
export function lazyCondition(cc: u32, lop: u32, r: i64, a: i64, b: i64, status: u32): u32 {
  const s = lazyStatus(lop, r, a, b, status);
  let holds: bool;
  switch (cc >> 1) {
    case 0: holds = (s & OF) != 0; break;
    case 1: holds = (s & CF) != 0; break;
    case 2: holds = (s & ZF) != 0; break;
    case 3: holds = (s & (CF | ZF)) != 0; break;
    case 4: holds = (s & SF) != 0; break;
    case 5: holds = (s & PF) != 0; break;
    case 6: holds = ((s & SF) != 0) != ((s & OF) != 0); break;
    default: holds = (s & ZF) != 0 || ((s & SF) != 0) != ((s & OF) != 0); break;
  }
  return u32(holds) ^ (cc & 1);
}

/** Double-precision ADD SUB MUL DIV SQRT (of b's place nothing is read) with all exceptions masked; sets MXCSR's flags. */
export function arithmetic64(kind: u32, a: u64, b: u64): u64 {
  let r: u64;
  switch (kind) {
    case 0: r = addFloat<f64>(a, b); break;
    case 1: r = subFloat<f64>(a, b); break;
    case 2: r = mulFloat<f64>(a, b); break;
    case 3: r = divFloat<f64>(a, b); break;
    default: r = sqrtFloat<f64>(a); break;
  }
  signal();
  return r;
}

/** STAC and CLAC at CPL 0. */
export function alignmentCheck(allowed: u32): void {
  const flags = load<u32>(cpu, S_FLAGS);
  store<u32>(cpu, allowed ? flags | AC : flags & ~AC, S_FLAGS);
  syncAlignmentCheck();
}

/**
 * A sample of the steps from one compiled function to another: from code in the linear page `page`, which ran, to `target`,
 * whose slot of the jump cache is given. The compiler makes one function of pages with many steps between them.
 */
export function sampleStep(page: u64, target: u64, slot: usize): void {
  const c = cpu;
  const noted = load<u32>(c, J_STEPS_NOTED);
  const interval = load<u32>(c, J_STEP_INTERVAL);
  // The distance varies, lest a loop show one of its steps only.
  store<u32>(c, interval + ((noted * 0x9e37_79b1) >> 16) % (interval + 1), J_STEPS);
  const e = entryOf(tlb, page);
  if (load<u64>(e, E_EXEC) != page) return;
  const note = c + J_NOTES + (<usize>(noted % NOTES) << 5);
  store<u64>(note, page);
  store<u64>(note, target & ~0xfff, 8);
  store<u32>(note, <u32>page + load<u32>(e, E_ADDEND), 16);
  store<u32>(note, <u32>(RAM_BASE + ((<usize>load<u32>(slot, 16) - PAGE_GENERATION_BASE) << 10)), 20);
  store<u32>(note, mode(), 24);
  store<u32>(c, noted + 1, J_STEPS_NOTED);
}

// ---- called by the compiler

/** wasm address of the code that is next; 0 when it cannot be fetched from without more ado. */
export function currentCode(): usize { return peekFetchAddress(load<u64>(cpu, S_RIP)); }

/** Writes the offsets (u16) of the blocks of a page that ran at least `least` times to `out`; returns how many. */
export function hotBlocks(page: usize, modeWord: u32, least: u32, out: usize): u32 {
  let n: u32 = 0;
  for (let offset: usize = 0; offset < 0x1000; offset++) {
    const block = peekBlock(page + offset, modeWord);
    if (block == 0 || !isCurrent(block) || (load<u32>(block, B_COUNT) < least && load<u32>(block, B_JIT) == 0)) continue;
    store<u16>(out + (<usize>n << 1), <u16>offset);
    n++;
  }
  return n;
}

/** A hash of a page's bytes. It says where kept code may be found, not that it is the page's. */
export function pageHash(page: usize): u64 {
  let h: u64 = 0x9e37_79b9_7f4a_7c15;
  for (let at = page; at < page + 0x1000; at += 8) h = rotl<u64>(h ^ load<u64>(at), 29) * 0xbf58_476d_1ce4_e5b9;
  return h ^ (h >> 32);
}

/** Decodes the instruction at `offset` of a page, as if a block began with the page: length, 0x100 ends, 0x200 too far. */
export function decodeForJit(rec: usize, page: usize, offset: u32, modeWord: u32): u32 {
  return decodeInstruction(rec, page + offset, modeWord, offset) | (decodedEnds ? 0x100 : 0) | (decodedFarRipRelative ? 0x200 : 0);
}

/** The same of an instruction that continues on the page `behind`; `bytes` is room for 32 of them. */
export function decodeCrossingForJit(rec: usize, bytes: usize, page: usize, behind: usize, offset: u32, modeWord: u32): u32 {
  const room: u32 = 0x1000 - offset;
  memory.copy(bytes, page + offset, room < 16 ? room : 16);
  if (room < 16) memory.copy(bytes + room, behind, 16);
  return decodeInstruction(rec, bytes, modeWord, offset) | (decodedEnds ? 0x100 : 0) | (decodedFarRipRelative ? 0x200 : 0);
}

/** Marks a page as one that holds code; false: it cannot be cached now. */
export function markCode(page: usize): bool { return markCodePage(page); }

function setEntry(at: usize, modeWord: u32, generation: u32, code: u32): void {
  let slot = slotOf(at, modeWord);
  if (slot == 0) {
    slot = entrySet(at);
    memory.copy(slot + SLOT_SIZE, slot, SLOT_SIZE);
  }
  store<u32>(slot, <u32>at);
  store<u32>(slot, modeWord, 4);
  store<u32>(slot, code, 8);
  store<u32>(slot, generation, 12);
}

/** Makes the table's function `fn` the code of the block at `at`, entered with `entry`; entry -1: never by itself. */
export function installEntry(at: usize, modeWord: u32, generation: u32, fn: u32, entry: i32): void {
  forgetJumps();
  const block = peekBlock(at, modeWord);
  if (block != 0 && load<u32>(block, B_GENERATION) == generation) {
    store<u32>(block, entry < 0 ? 0 : fn, B_JIT);
    store<u32>(block, <u32>entry, B_JIT_ENTRY);
  }
  if (entry >= 0) setEntry(at, modeWord, generation, fn | <u32>entry << FN_BITS);
}

/** The table's function `fn` is not the code of the block at `at` any more. */
export function removeEntry(at: usize, modeWord: u32, fn: u32): void {
  forgetJumps();
  const block = peekBlock(at, modeWord);
  if (block != 0 && load<u32>(block, B_JIT) == fn) store<u32>(block, 0, B_JIT);
  const slot = slotOf(at, modeWord);
  if (slot != 0 && (load<u32>(slot, 8) & ((1 << FN_BITS) - 1)) == fn) store<u64>(slot, 0);
}

/** A block that has compiled code was entered from the interpreter: compiled code, and the run loop, find it the next time. */
export function promoteEntry(block: usize, at: usize, modeWord: u32, rip: u64): void {
  const generation = load<u32>(block, B_GENERATION);
  const code = compiledCode(block);
  if (entryAt(at, modeWord, generation) == 0) setEntry(at, modeWord, generation, code);
  remember(rip, code, generation, load<u32>(block, B_GENERATION_AT));
}

/** Forgets all compiled code of this pCPU. The blocks must be dropped as well. */
export function forgetEntries(): void {
  memory.fill(cpu + J_ENTRIES, 0, ENTRY_SETS << 5);
  renewKeys();
}
