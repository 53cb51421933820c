/**
 * Where jumps to compiled code have led that are not simply branches of its own, by linear address: one look instead of one into
 * the TLB and one into the table of entries, or into the decoded blocks.
 *
 * Slot, 32 bytes: u64 linear address ^ key, u32 function and entry as in the table of entries, u32 generation of the page, u32
 * where it is counted. The key says what else an address depends on: privilege and mode, and how often translations or entries
 * were given up. It is all in bits 48 to 62, so that two addresses that differ in bits 47 to 0 or in bit 63 never match.
 */
import { MODE_CS32, MODE_FLAT, MODE_LONG, MODE_LONG64, MODE_PROTECTED, MODE_SS32, MODE_V86, cpu, mode } from './cpu';
import { S_MMU_CONTEXT } from './gen/state';

// Offsets in a pCPU block: engine/core/jit/layout.ts.
const J_JUMP_KEY: usize = 0xf28;
const J_JUMPS: usize = 0x1d_0000;
const JUMP_SLOTS: usize = 0x800;
const SLOT_SIZE_LOG2: usize = 5;

/** Of the key's 15 bits those that count, above two of the context and two of the mode. 0: nothing is found, as in modes that are not compiled. */
const EPOCHS: u32 = 0x800;
const EPOCH_SHIFT: u32 = 4;

let epoch: u32 = 1;

/** Flat 32-bit code: engine/core/jit/layout.ts isCompiled. */
const FLAT32: u32 = MODE_CS32 | MODE_SS32 | MODE_PROTECTED | MODE_FLAT;

// @ts-ignore: decorator
@inline function slotOf(target: u64): usize {
  const at = <u32>target;
  return cpu + J_JUMPS + (<usize>((at ^ (at >> 8)) & <u32>(JUMP_SLOTS - 1)) << SLOT_SIZE_LOG2);
}

/** The slot that knows where a jump to `target` leads, 0: none. */
export function knownJump(target: u64): usize {
  const slot = slotOf(target);
  if (load<u64>(slot) != (target ^ load<u64>(cpu, J_JUMP_KEY))) return 0;
  const generationAt = <usize>load<u32>(slot, 16);
  return generationAt != 0 && load<u32>(generationAt) == load<u32>(slot, 12) ? slot : 0;
}

/** After a change of privilege, alignment checks or mode. */
export function selectJumps(): void {
  const m = mode();
  const compiled = (m & MODE_LONG64) != 0 || (m & (FLAT32 | MODE_V86)) == FLAT32;
  const bits = load<u32>(cpu, S_MMU_CONTEXT) | (m & MODE_LONG64 ? 4 : 0) | (m & MODE_LONG ? 8 : 0);
  store<u16>(cpu, <u16>((compiled ? epoch << EPOCH_SHIFT : 0) | bits), J_JUMP_KEY + 6);
}

/** After a change of what is mapped where, or of what is compiled. */
export function forgetJumps(): void {
  if (++epoch == EPOCHS) {
    memory.fill(cpu + J_JUMPS, 0, JUMP_SLOTS << SLOT_SIZE_LOG2);
    epoch = 1;
  }
  selectJumps();
}

/** Keeps where a jump to a canonical address leads; its slot. `generationAt` is the address of its page's generation. */
export function rememberJump(target: u64, code: u32, generation: u32, generationAt: usize): usize {
  const slot = slotOf(target);
  store<u64>(slot, target ^ load<u64>(cpu, J_JUMP_KEY));
  store<u32>(slot, code, 8);
  store<u32>(slot, generation, 12);
  store<u32>(slot, <u32>generationAt, 16);
  return slot;
}
