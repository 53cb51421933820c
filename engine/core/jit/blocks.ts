/**
 * Basic blocks of a region, which is one code page or several that call each other: which instructions are compiled, where
 * control may go inside the region, and what is known about the flags where a block begins.
 *
 * A position is the number of a page in the region times 4096 plus the offset in it. Pages are in the order of their
 * linear addresses, so that a branch forward goes to a higher position.
 */
import { OP } from '../gen/ops.ts';
import type { Row } from './alu.ts';
import { UNKNOWN } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { nextOffset } from './instruction.ts';
import { isJcc, isTransfer, mayMiss, rowOf, setsFlags } from './rows.ts';

export type Ending = 'fall' | 'transfer' | 'execute';

/** A page of a region. */
export interface CodePage {
  /** wasm address of the page. */
  readonly page: number;
  /** Linear distance from the region's first page, in pages: where direct branches find it. */
  readonly distance: number;
  /** The page's generation when its blocks were decoded. */
  readonly generation: number;
  /** Offsets of the blocks that have run. */
  readonly leaders: Uint16Array;
  /** The page that the instruction at an offset was seen to continue in. */
  readonly behind: { readonly page: number; readonly generation: number; readonly offset: number } | undefined;
  /** Leaders that other code goes on at: entries, whatever the page's own blocks know about the flags there. */
  readonly joints: readonly number[];
}

const PAGE = 0x1000;

/** The position that code on page `n` calls `offset` (any number of pages away); undefined outside of the region. */
export function positionOf(pages: readonly CodePage[], n: number, offset: number): number | undefined {
  if (offset >= 0 && offset < PAGE) return n * PAGE + offset;
  const distance = pages[n].distance + Math.floor(offset / PAGE);
  const other = pages.findIndex((p) => p.distance === distance);
  return other < 0 ? undefined : other * PAGE + (offset & PAGE - 1);
}

export interface Block {
  readonly position: number;
  /** Number of the page. */
  readonly page: number;
  readonly instructions: readonly Instruction[];
  readonly rows: ReadonlyArray<Row | undefined>;
  readonly ending: Ending;
  /** Offset of the byte behind the last instruction: 0x1000 where the next page begins. */
  readonly end: number;
  index: number;
  /** May be entered from anywhere. */
  entry: boolean;
  /** Of CodePage.joints. */
  readonly joint: boolean;
  /** Some instruction looks at flags made before the block. */
  readonly needsFlags: boolean;
  /** For each instruction: something may still see the flags as they are after it. */
  readonly liveAfter: readonly boolean[];
  /** Known LOP at the block's begin. */
  known: number;
  /** The innermost loop that the block belongs to, when it can be one of WebAssembly's. */
  loop: Loop | undefined;
}

/** A loop that is entered at its first block only: blocks `first` to `last` by index. */
export interface Loop { readonly first: number; readonly last: number }

/** Decodes the instruction at a position; undefined when it is not wholly in the page or cannot be compiled. */
export type Decode = (position: number) => Instruction | undefined;

/** Longest straight run of instructions in one block. */
const MAX_BLOCK = 200;

export function findBlocks(pages: readonly CodePage[], decode: Decode, limit: number): Block[] {
  const leaders = new Set(pages.flatMap((p, n) => [...p.leaders].map((offset) => n * PAGE + offset)));
  const joints = new Set(pages.flatMap((p, n) => p.joints.map((offset) => n * PAGE + offset)));
  const blocks = new Map<number, Block>();
  const pending = [...leaders].sort((a, b) => a - b);
  let total = 0;
  while (pending.length > 0) {
    const position = pending.shift()!;
    if (blocks.has(position) || total >= limit) continue;
    const page = Math.floor(position / PAGE);
    const instructions: Instruction[] = [];
    const rows: Array<Row | undefined> = [];
    let ending: Ending = 'fall';
    let at = position;
    for (;;) {
      const i = decode(at);
      if (i === undefined) break;
      instructions.push(i);
      at += i.length;
      total += 1;
      if (isTransfer(i)) {
        rows.push(undefined);
        ending = 'transfer';
        break;
      }
      const row = rowOf(i);
      rows.push(row);
      if (row === undefined) {
        ending = 'execute';
        if (!i.ends && at < (page + 1) * PAGE) pending.unshift(at);
        break;
      }
      if (at >= (page + 1) * PAGE || leaders.has(at) || instructions.length >= MAX_BLOCK) break;
    }
    if (instructions.length === 0) continue;
    const { needsFlags, liveAfter } = flagLiveness(instructions, rows);
    blocks.set(position, { position, page, instructions, rows, ending, end: at - page * PAGE, index: 0, entry: leaders.has(position), joint: joints.has(position), needsFlags, liveAfter, known: UNKNOWN, loop: undefined });
  }
  const sorted = [...blocks.values()].sort((a, b) => a.position - b.position);
  sorted.forEach((b, i) => { b.index = i; });
  return sorted;
}

function flagLiveness(instructions: readonly Instruction[], rows: ReadonlyArray<Row | undefined>): { needsFlags: boolean; liveAfter: boolean[] } {
  const liveAfter = new Array<boolean>(instructions.length);
  let live = true;
  let needs = true; // the end of the block shows the flags to others
  for (let n = instructions.length - 1; n >= 0; n -= 1) {
    const i = instructions[n];
    const row = rows[n];
    liveAfter[n] = live;
    if (row !== undefined && setsFlags(i, row)) live = false;
    if (row === undefined || row.reads === true || mayMiss(i, row)) live = true;
  }
  // Only readers proper count for the entry: a block that merely passes flags on may be entered with any.
  needs = false;
  for (let n = 0; n < instructions.length; n += 1) {
    const i = instructions[n];
    const row = rows[n];
    if (row === undefined ? isJcc(i) : row.reads === true) { needs = true; break; }
    if (row === undefined || setsFlags(i, row)) break;
  }
  return { needsFlags: needs, liveAfter };
}

/** What the code's own page calls the target of a direct branch, which may lie outside of it. */
export const targetOf = (i: Instruction): number => nextOffset(i) + Number(i.imm);

/** Positions in the region at which control may go on after the block. */
function successors(b: Block, pages: readonly CodePage[]): number[] {
  const last = b.instructions[b.instructions.length - 1];
  let offsets: number[] = [b.end];
  if (b.ending === 'transfer') {
    if (isJcc(last)) offsets = [targetOf(last), b.end];
    else offsets = last.op === OP.JMP_J || last.op === OP.CALL_J ? [targetOf(last)] : [];
  } else if (b.ending === 'execute' && last.ends) {
    offsets = [];
  }
  return offsets.map((offset) => positionOf(pages, b.page, offset)).filter((position) => position !== undefined);
}

/** For each block by index, the indices of those that go on with it. */
export function predecessorsOf(blocks: readonly Block[], pages: readonly CodePage[]): number[][] {
  const byPosition = new Map(blocks.map((b) => [b.position, b.index]));
  const predecessors: number[][] = blocks.map(() => []);
  for (const b of blocks) {
    for (const s of successors(b, pages)) {
      const t = byPosition.get(s);
      if (t !== undefined) predecessors[t].push(b.index);
    }
  }
  return predecessors;
}

/** May be somewhere else between two instructions and come back: its successor must be an entry. */
function leaves(b: Block): boolean {
  const last = b.instructions[b.instructions.length - 1];
  return b.ending === 'execute' || (b.ending === 'transfer' && (last.op === OP.CALL_J || last.op === OP.CALL_E));
}

/**
 * Marks the innermost loops whose other blocks are reached through the first one only; these others cannot be entered
 * any more. What leaves such a block in its middle is interpreted until the loop begins anew.
 */
export function findLoops(blocks: readonly Block[], predecessors: ReadonlyArray<readonly number[]>): void {
  const last = new Map<number, number>();
  for (const b of blocks) for (const p of predecessors[b.index]) if (p >= b.index) last.set(b.index, Math.max(p, last.get(b.index) ?? 0));
  for (const [first, end] of last) {
    let fits = true;
    for (let k = first; k <= end && fits; k += 1) {
      if (k > first && (last.has(k) || predecessors[k].length === 0)) fits = false;
      if (k > first && predecessors[k].some((p) => p < first || p > end)) fits = false;
      if (leaves(blocks[k])) fits = false;
    }
    if (!fits) continue;
    const loop: Loop = { first, last: end };
    for (let k = first; k <= end; k += 1) {
      blocks[k].loop = loop;
      if (k > first) blocks[k].entry = false;
    }
  }
}
