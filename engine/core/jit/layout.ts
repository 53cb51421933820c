/**
 * Addresses shared by compiled code, the JIT's half of the core (assembly/jit.ts) and the compiler.
 */

/** Offsets inside a pCPU block, behind the state that tables/state.ts lays out. */
export const J = {
  /** i32 instructions left of the slice, exact whenever compiled code is not running. */
  LEFT: 0xf00,
  /** Why compiled code returned: EXIT_*. */
  EXIT: 0xf04,
  /** u64 instructions executed by compiled code, and times it was entered from the run loop. */
  EXECUTED: 0xf08,
  ENTERED: 0xf10,
  /** What x87 arithmetic has made beside a significand: assembly/jit_x87.ts. */
  X87: 0xf60,
  /** i32 steps between functions until one is noted, u32 about how many lie between two notes, u32 notes so far. */
  STEPS: 0xf18,
  STEP_INTERVAL: 0xf1c,
  STEPS_NOTED: 0xf20,
  /** Entry points by wasm address, in sets of two slots, 1 MiB; 16 bytes a slot: u32 address, u32 mode, u32 table index and entry << FN_BITS, u32 generation of the page. */
  ENTRIES: 0x8_0000,
  /** The compiler's list of a page's blocks, u16 each. */
  LIST: 0x18_0000,
  /** The last notes of steps, 32 bytes each: u64 linear page and target page, u32 their wasm addresses, u32 mode. */
  NOTES: 0x18_8000,
  /** u32 the status flags that are no lazy ones, from one compiled function to the next. */
  STATUS: 0xf30,
  /** u64 each: what linear addresses in the jump cache, and of pages that functions know, are combined with (assembly/jump_cache.ts). */
  JUMP_KEY: 0xf28,
  PAGE_KEY: 0xf38,
  /** u32, 1: the keys are used up, and all functions have to be forgotten. */
  KEYS_SPENT: 0xf34,
  /** The jump cache, 128 KiB: u64 linear address ^ key, u32 as in the table of entries, u32 generation of the page, u32 where that is counted. */
  JUMPS: 0x1d_0000,
  /** Pages that the keys may be in use for, 8 KiB. */
  KNOWN_PAGES: 0x1f_0000,
  /** What page walks have found, 64 KiB, and the epochs of PCIDs, 16 KiB (assembly/walk_cache.ts). */
  WALKS: 0x19_0000,
  PCID_EPOCHS: 0x1a_0000,
  /** Pages that instructions were seen to continue in, 16 bytes each: u32 page, u32 the one behind with the instruction's offset, u32 executions (assembly/block.ts). */
  BEHIND: 0x1b_0000,
} as const;

/** Bits of the CPU's mode word (assembly/cpu.ts). */
export const MODE_LONG64 = 1;
export const MODE_USER = 32;
const MODE_CS32 = 2; const MODE_SS32 = 4; const MODE_PROTECTED = 8; const MODE_V86 = 16; const MODE_FLAT = 64;
const FLAT32 = MODE_CS32 | MODE_SS32 | MODE_PROTECTED | MODE_FLAT;

/** Code of this mode is compiled: 64-bit mode, and 32-bit code whose segments (FS and GS aside) are flat. */
export const isCompiled = (mode: number): boolean => (mode & MODE_LONG64) !== 0 || (mode & (FLAT32 | MODE_V86)) === FLAT32;

export const NOTES = 64;

/** Bits of a function's index in the table. */
export const FN_BITS = 12;

/** Places in the table. It never grows: V8 need not load its size. */
export const MAX_FUNCTIONS = 1 << FN_BITS;

/** Slots of the jump cache; the hash is (rip ^ rip >> 12) & (JUMP_SLOTS - 1). */
export const JUMP_SLOTS = 0x1000;


/** RIP is where to go on: no compiled code there, budget used up, or an event. */
export const EXIT_LOOKUP = 0;
/** The instruction at RIP must be interpreted. */
export const EXIT_INTERPRET = 1;
/** An instruction that may have changed anything has ended the block. */
export const EXIT_STATE = 2;

/** Records of the instructions that compiled code leaves to the interpreter's routines. */
export const RECORDS_BASE = 0x0a20_0000;
export const RECORDS_END = 0x0c20_0000;
/** Of each share of them, what the compiler's copies of code take: MAX_REGION_PAGES pages, and 16 bytes behind each. */
export const CODE_COPIES = 0x2_0000;
export const MAX_REGION_PAGES = 24;
/** Where the compiler decodes; pCPUs that compile themselves do so this much further on each. */
export const SCRATCH_RECORD = 0x0c20_0000;
export const SCRATCH_STRIDE = 0x100;

/** The memory type that modules import: any shared memory of a NUC fits. */
export const MEMORY_PAGES = 65536;
