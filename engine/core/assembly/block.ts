/**
 * The cache of decoded blocks of this pCPU, keyed by the wasm address of the first byte and the mode word.
 *
 * A block never leaves its page. It is valid while the page's generation is what it was before the page was marked
 * (code_page.ts). The region has four parts that are filled in turn; when all are full, the oldest part's blocks are dropped.
 *
 * @spec   SDM vol. 3, 9.1.3 handling self- and cross-modifying code
 */
import { cpu } from './cpu';
import { decodeInstruction, decodedEnds, decodedFarRipRelative } from './decode';
import { DECODE_BASE, DECODE_STRIDE, PAGE_GENERATION_BASE, RAM_BASE, S_PCPU_ID } from './gen/state';
import { HOT_END, specialise } from './hot';
import { fetchAddress, markCodePage } from './mmu';
import { REC_SIZE } from './record';

// Header of a block, in front of its records.
export const B_KEY: usize = 0; //         wasm address of the first byte; 0: dead
export const B_MODE: usize = 4;
export const B_GENERATION: usize = 8;
export const B_GENERATION_AT: usize = 12; // where the page's generation is counted
export const B_NEXT: usize = 16; //       next block in the hash bucket
export const B_FIRST: usize = 20; //      the two blocks that followed last
export const B_SECOND: usize = 24;
export const B_BIAS: usize = 28; //       what RIP-relative operands count from, as a distance from the block
export const B_BYTES: usize = 32;
export const B_COUNT: usize = 36; //     executions by the interpreter
export const B_JIT: usize = 40; //       compiled code: index in the table, 0 none; and the entry to use there
export const B_JIT_ENTRY: usize = 44;
const B_END: usize = 48; //              one past its last record: where the next block of the part begins
export const B_RECORDS: usize = 64;

const BUCKETS: u32 = 0x10000;
const MAX_INSTRUCTIONS: u32 = 96;
const SCRATCH_OFFSET: usize = 0x40000;
const POOL_OFFSET: usize = 0x42000;
const PARTS: usize = 4;
const PART_BYTES: usize = (DECODE_STRIDE - POOL_OFFSET) / PARTS & ~63;
const LARGEST: usize = B_RECORDS + REC_SIZE * (<usize>MAX_INSTRUCTIONS + 2);

let buckets: usize = 0;
/** Where the next block goes, and the part that it is in. */
let pool: usize = 0;
let part: usize = 0;
/** Behind the instruction that crosses a page: for each part, one past its last block. */
let partEnds: usize = 0;
/** The block that is never cached: decoded anew each time. */
export let scratch: usize = 0;
let crossing: usize = 0;
/** Counts how often blocks were dropped: pointers to blocks from before are void. */
export let cacheEpoch: u32 = 0;

/** Called once the pCPU is known. */
export function initBlocks(): void {
  const base = DECODE_BASE + <usize>load<u32>(cpu, S_PCPU_ID) * DECODE_STRIDE;
  buckets = base;
  scratch = base + SCRATCH_OFFSET;
  crossing = scratch + 0x1f00;
  partEnds = scratch + 0x1f80;
  dropBlocks();
}

function partAt(n: usize): usize { return buckets + POOL_OFFSET + n * PART_BYTES; }

/** Forgets every block. */
export function dropBlocks(): void {
  memory.fill(buckets, 0, <usize>BUCKETS << 2);
  for (let n: usize = 0; n < PARTS; n++) store<u32>(partEnds + (n << 2), <u32>partAt(n));
  part = 0;
  pool = partAt(0);
  cacheEpoch++;
}

/** Goes on with the part that was filled longest ago; forgets its blocks, and dead ones on the way. */
function nextPart(): void {
  store<u32>(partEnds + (part << 2), <u32>pool);
  part = (part + 1) % PARTS;
  pool = partAt(part);
  store<u32>(partEnds + (part << 2), <u32>pool);
  memory.fill(buckets, 0, <usize>BUCKETS << 2);
  for (let n: usize = 0; n < PARTS; n++) {
    const partEnd = <usize>load<u32>(partEnds + (n << 2));
    for (let block = partAt(n); block < partEnd; block = <usize>load<u32>(block, B_END)) {
      if (load<u32>(block, B_KEY) == 0) continue;
      if (<usize>load<u32>(block, B_FIRST) - pool < PART_BYTES) store<u32>(block, 0, B_FIRST);
      if (<usize>load<u32>(block, B_SECOND) - pool < PART_BYTES) store<u32>(block, 0, B_SECOND);
      addToBucket(block, <usize>load<u32>(block, B_KEY), load<u32>(block, B_MODE));
    }
  }
  cacheEpoch++;
}

function addToBucket(block: usize, at: usize, mode: u32): void {
  const bucket = bucketOf(at, mode);
  store<u32>(block, load<u32>(bucket), B_NEXT);
  store<u32>(bucket, <u32>block);
}

// @ts-ignore: decorator
@inline function bucketOf(at: usize, mode: u32): usize {
  return buckets + (((at ^ (at >> 13) ^ <usize>(mode << 5)) & <usize>(BUCKETS - 1)) << 2);
}

// @ts-ignore: decorator
@inline export function isCurrent(block: usize): bool { return load<u32>(load<u32>(block, B_GENERATION_AT)) == load<u32>(block, B_GENERATION); }

/** The block that starts at `at` if it has been decoded, current or not; 0 otherwise. */
export function peekBlock(at: usize, mode: u32): usize {
  let block = <usize>load<u32>(bucketOf(at, mode));
  while (block != 0 && (<usize>load<u32>(block, B_KEY) != at || load<u32>(block, B_MODE) != mode)) block = <usize>load<u32>(block, B_NEXT);
  return block;
}

// engine/core/jit/layout.ts J.BEHIND.
const J_BEHIND: usize = 0x1b_0000;
const BEHIND_SLOTS: usize = 0x2000;

// @ts-ignore: decorator
@inline function behindSlot(page: usize): usize { return cpu + J_BEHIND + (((page >> 12) & (BEHIND_SLOTS - 1)) << 4); }

/** Counts an execution of the instruction at `at`, which continues on another page; how many there were. */
export function countCrossing(at: usize): u32 {
  const slot = behindSlot(at);
  if (load<u32>(slot) != (<u32>at & ~0xfff)) return 0;
  const n = load<u32>(slot, 8) + 1;
  store<u32>(slot, n, 8);
  return n;
}

/** The page (wasm addresses) that an instruction of this page was last seen to continue in, plus the instruction's offset; 0: none is known. */
export function pageBehind(page: usize): usize {
  const slot = behindSlot(page);
  return load<u32>(slot) == <u32>page ? <usize>load<u32>(slot, 4) : 0;
}

/** The block that starts at `at`; decoded if need be. rip is its address, for instructions that cross the page. */
export function findBlock(at: usize, mode: u32, rip: u64): usize {
  const bucket = bucketOf(at, mode);
  let previous: usize = 0;
  let block = <usize>load<u32>(bucket);
  while (block != 0) {
    const next = <usize>load<u32>(block, B_NEXT);
    const key = <usize>load<u32>(block, B_KEY);
    if (key == at && load<u32>(block, B_MODE) == mode) {
      if (isCurrent(block)) return block;
      store<u32>(block, 0, B_KEY);
      if (previous) store<u32>(previous, next, B_NEXT);
      else store<u32>(bucket, next);
    } else {
      previous = block;
    }
    block = next;
  }
  return newBlock(at, mode, rip);
}

function newBlock(at: usize, mode: u32, rip: u64): usize {
  const generationAt = PAGE_GENERATION_BASE + (((at - RAM_BASE) >> 12) << 2);
  const generation = atomic.load<u32>(generationAt);
  const cached = at >= RAM_BASE && markCodePage(at);
  if (cached && pool + LARGEST > partAt(part) + PART_BYTES) nextPart();
  let block = cached ? pool : scratch;
  if (decodeBlock(block, at, mode, cached ? MAX_INSTRUCTIONS : 16) == 0) {
    block = scratch;
    decodeCrossing(block, at, mode, rip);
    return block;
  }
  if (!cached) return block;
  store<u32>(block, <u32>at, B_KEY);
  store<u32>(block, generation, B_GENERATION);
  store<u32>(block, <u32>generationAt, B_GENERATION_AT);
  store<u32>(block, <u32>end, B_END);
  addToBucket(block, at, mode);
  pool = end;
  return block;
}

/** One past the last record of the block just decoded. */
let end: usize = 0;

function clearHeader(block: usize, mode: u32): void {
  memory.fill(block, 0, B_RECORDS);
  store<u32>(block, mode, B_MODE);
}

function writeEnd(rec: usize, offset: u32): void {
  store<u64>(rec, 0, 0);
  store<u64>(rec, 0, 8);
  store<u64>(rec, 0, 16);
  store<u32>(rec, offset, 24);
  store<u32>(rec, HOT_END << 16, 28);
  end = rec + REC_SIZE;
}

/** Decodes up to `most` instructions that lie wholly in the page; returns how many. */
function decodeBlock(block: usize, at: usize, mode: u32, most: u32): u32 {
  clearHeader(block, mode);
  const room: u32 = 0x1000 - <u32>(at & 0xfff);
  let rec = block + B_RECORDS;
  let offset: u32 = 0;
  let count: u32 = 0;
  while (count < most) {
    const length = decodeInstruction(rec, at + offset, mode, offset);
    if (offset + length > room) break;
    if (decodedFarRipRelative) {
      if (count != 0) break;
      store<u32>(block, length, B_BIAS);
    }
    specialise(rec, mode);
    offset += length;
    count++;
    rec += REC_SIZE;
    if (decodedEnds || decodedFarRipRelative || offset == room) break;
  }
  store<u32>(block, offset, B_BYTES);
  writeEnd(rec, offset);
  return count;
}

/** Decodes the one instruction at `at`, which continues in the next page; raises the fault of fetching that page. */
function decodeCrossing(block: usize, at: usize, mode: u32, rip: u64): void {
  const room: u32 = 0x1000 - <u32>(at & 0xfff);
  // Fetching the second page may take an exit; the first part was valid when it began.
  const second = fetchAddress(rip + <u64>room);
  memory.copy(crossing, at, room);
  if (second != 0) {
    memory.copy(crossing + room, second, 16);
    // Where addresses end no instruction goes on legally.
    if (at >= RAM_BASE && second >= RAM_BASE && <u32>(rip + <u64>room) != 0) {
      const slot = behindSlot(at);
      if (load<u32>(slot) != (<u32>at & ~0xfff)) store<u32>(slot, 0, 8);
      store<u32>(slot, <u32>at & ~0xfff);
      store<u32>(slot, (<u32>second & ~0xfff) | (<u32>at & 0xfff), 4);
    }
  } else {
    memory.fill(crossing + room, 0xff, 16);
  }
  clearHeader(block, mode);
  const rec = block + B_RECORDS;
  const length = decodeInstruction(rec, crossing, mode, 0);
  if (decodedFarRipRelative) store<u32>(block, length, B_BIAS);
  specialise(rec, mode);
  store<u32>(block, length, B_BYTES);
  writeEnd(rec + REC_SIZE, length);
}

/** Decodes the one instruction at `at` into the scratch block, for single steps. */
export function decodeSingle(at: usize, mode: u32, rip: u64): usize {
  if (decodeBlock(scratch, at, mode, 1) == 0) decodeCrossing(scratch, at, mode, rip);
  return scratch;
}
