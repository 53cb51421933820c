/**
 * Where jumps to compiled code have led that are not simply branches of its own, by linear address: one look instead of one into
 * the TLB and one into the table of entries, or into the decoded blocks. And the keys by which that, and what functions know of
 * where their pages are mapped, is forgotten.
 *
 * Slot, 32 bytes: u64 linear address ^ JUMP_KEY, u32 function and entry as in the table of entries, u32 generation of the page,
 * u32 where it is counted. A function knows a page as its linear address ^ PAGE_KEY. The keys say what else an address depends on:
 * privilege and mode, and how often translations or entries were given up. JUMP_KEY is in bits 48 to 62, PAGE_KEY in bits 0 to 11
 * as well, so that two addresses that differ in the others, or in bit 63, never match.
 */
import { MODE_CS32, MODE_FLAT, MODE_LONG, MODE_LONG64, MODE_PROTECTED, MODE_SS32, MODE_V86, cpu, mode } from './cpu';
import { S_MMU_CONTEXT } from './gen/state';
import { CONTEXT_ALIGNED, CONTEXT_USER } from './paging';

// Offsets in a pCPU block: engine/core/jit/layout.ts.
const J_JUMP_KEY: usize = 0xf28;
const J_PAGE_KEY: usize = 0xf38;
const J_KEYS_SPENT: usize = 0xf34;
const J_JUMPS: usize = 0x1d_0000;
/** One byte for each of the pages that lie so many pages apart, the supervisor's and then the user's: low byte of the count at which one of them came to be known. */
const J_KNOWN_PAGES: usize = 0x1f_0000;
const JUMP_SLOTS: usize = 0x1000;
const SLOT_SIZE_LOG2: usize = 5;
const KNOWN_PAGES: usize = 0x1000;

/** Above four bits of context and mode, JUMP_KEY has 11 bits of a count and PAGE_KEY all 23. A count is 0 where nothing is to be found. */
const COUNT_SHIFT: u32 = 4;
const JUMP_COUNTS: u32 = 0x800;
const COUNTS: u32 = 0x80_0000;

/** How often what the supervisor's, the user's jumps lead to was given up. */
let supervisorCount: u32 = 1;
let userCount: u32 = 1;
/** Some of the supervisor's jumps lead to pages that are not global. */
let localSupervisor: bool = false;

/** Flat 32-bit code: engine/core/jit/layout.ts isCompiled. */
const FLAT32: u32 = MODE_CS32 | MODE_SS32 | MODE_PROTECTED | MODE_FLAT;

// @ts-ignore: decorator
@inline function isUser(): bool {
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  return context == CONTEXT_USER || context == CONTEXT_ALIGNED;
}

// @ts-ignore: decorator
@inline function slotOf(target: u64): usize {
  const at = <u32>target;
  return cpu + J_JUMPS + (<usize>((at ^ (at >> 12)) & <u32>(JUMP_SLOTS - 1)) << SLOT_SIZE_LOG2);
}

// @ts-ignore: decorator
@inline function knownPage(gva: u64, user: bool): usize { return cpu + J_KNOWN_PAGES + (user ? KNOWN_PAGES : 0) + (<usize>(gva >> 12) & (KNOWN_PAGES - 1)); }

/** After a change of privilege, alignment checks or mode. */
export function selectJumps(): void {
  const m = mode();
  const compiled = (m & MODE_LONG64) != 0 || (m & (FLAT32 | MODE_V86)) == FLAT32;
  const count: u32 = !compiled || load<u32>(cpu, J_KEYS_SPENT) != 0 ? 0 : isUser() ? userCount : supervisorCount;
  const context = load<u32>(cpu, S_MMU_CONTEXT);
  const bits = (context == CONTEXT_ALIGNED ? 3 : context) | (m & MODE_LONG64 ? 4 : 0) | (m & MODE_LONG ? 8 : 0);
  store<u64>(cpu, <u64>((count & (JUMP_COUNTS - 1)) << COUNT_SHIFT | bits) << 48, J_JUMP_KEY);
  store<u64>(cpu, <u64>(count >> 8) << 48 | <u64>((count & 0xff) << COUNT_SHIFT | bits), J_PAGE_KEY);
}

function emptySlots(): void { memory.fill(cpu + J_JUMPS, 0, JUMP_SLOTS << SLOT_SIZE_LOG2); }

/** The count behind this one. All are used once only, but for those of slots, which are emptied before. */
function next(count: u32): u32 {
  count++;
  if ((count & (JUMP_COUNTS - 1)) != 0) return count;
  emptySlots();
  // After millions: until the compiler has forgotten all functions nothing is known (JitCompiler.poll).
  if (count >= COUNTS) store<u32>(cpu, 1, J_KEYS_SPENT);
  return count + 1;
}

/** No function is left that knows anything. */
export function renewKeys(): void {
  emptySlots();
  store<u32>(cpu, 0, J_KEYS_SPENT);
  supervisorCount = 1;
  userCount = 1;
  selectJumps();
}

function forgetSupervisor(): void {
  supervisorCount = next(supervisorCount);
  localSupervisor = false;
}

/** After a change of what is mapped where, or of what is compiled. */
export function forgetJumps(): void {
  forgetSupervisor();
  userCount = next(userCount);
  selectJumps();
}

/** After a change of what is mapped where, but for global pages. */
export function forgetLocalJumps(): void {
  if (localSupervisor) forgetSupervisor();
  userCount = next(userCount);
  selectJumps();
}

/** After a change of what is mapped in one page of 4 KiB. */
export function forgetJumpsTo(gva: u64): void {
  if (load<u8>(knownPage(gva, false)) == <u8>supervisorCount) forgetSupervisor();
  if (load<u8>(knownPage(gva, true)) == <u8>userCount) userCount = next(userCount);
  selectJumps();
}

/** A page is about to be known by its address and a key; false: it cannot be. */
export function rememberPage(gva: u64, global: bool): bool {
  if ((load<u64>(cpu, J_JUMP_KEY) >> (48 + COUNT_SHIFT)) == 0) return false;
  const user = isUser();
  store<u8>(knownPage(gva, user), <u8>(user ? userCount : supervisorCount));
  if (!user && !global) localSupervisor = true;
  return true;
}

/** The slot that knows where a jump to `target` leads, 0: none. */
export function knownJump(target: u64): usize {
  const slot = slotOf(target);
  if (load<u64>(slot) != (target ^ load<u64>(cpu, J_JUMP_KEY))) return 0;
  const generationAt = <usize>load<u32>(slot, 16);
  return generationAt != 0 && load<u32>(generationAt) == load<u32>(slot, 12) ? slot : 0;
}

/** Keeps where a jump to a canonical address leads; its slot. `generationAt` is the address of its page's generation. */
export function rememberJump(target: u64, global: bool, code: u32, generation: u32, generationAt: usize): usize {
  const slot = slotOf(target);
  store<u64>(slot, rememberPage(target, global) ? target ^ load<u64>(cpu, J_JUMP_KEY) : 0);
  store<u32>(slot, code, 8);
  store<u32>(slot, generation, 12);
  store<u32>(slot, <u32>generationAt, 16);
  return slot;
}
