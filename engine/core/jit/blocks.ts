/**
 * Basic blocks of a page: which instructions are compiled, where control may go inside the page, and what is known about
 * the flags where a block begins.
 */
import { OP } from '../gen/ops.ts';
import type { Row } from './alu.ts';
import { UNKNOWN } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { nextOffset } from './instruction.ts';
import { isJcc, isTransfer, mayMiss, rowOf, setsFlags } from './rows.ts';

export type Ending = 'fall' | 'transfer' | 'execute';

export interface Block {
  readonly offset: number;
  readonly instructions: readonly Instruction[];
  readonly rows: ReadonlyArray<Row | undefined>;
  readonly ending: Ending;
  /** Offset of the byte behind the last instruction. */
  readonly end: number;
  index: number;
  entry: boolean;
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

/** Decodes the instruction at an offset of the page; undefined when it is not wholly in the page or cannot be compiled. */
export type Decode = (offset: number) => Instruction | undefined;

/** Longest straight run of instructions in one block. */
const MAX_BLOCK = 200;

export function findBlocks(leaders: ReadonlySet<number>, decode: Decode, limit: number): Block[] {
  const blocks = new Map<number, Block>();
  const pending = [...leaders].sort((a, b) => a - b);
  let total = 0;
  while (pending.length > 0) {
    const offset = pending.shift()!;
    if (offset >= 0x1000 || blocks.has(offset) || total >= limit) continue;
    const instructions: Instruction[] = [];
    const rows: Array<Row | undefined> = [];
    let ending: Ending = 'fall';
    let at = offset;
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
        if (!i.ends) pending.unshift(at);
        break;
      }
      if (at >= 0x1000 || leaders.has(at) || instructions.length >= MAX_BLOCK) break;
    }
    if (instructions.length === 0) continue;
    const { needsFlags, liveAfter } = flagLiveness(instructions, rows);
    blocks.set(offset, { offset, instructions, rows, ending, end: at, index: 0, entry: leaders.has(offset), needsFlags, liveAfter, known: UNKNOWN, loop: undefined });
  }
  const sorted = [...blocks.values()].sort((a, b) => a.offset - b.offset);
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

/** Offset of a direct branch's target, which may lie outside of the page. */
export const targetOf = (i: Instruction): number => nextOffset(i) + Number(i.imm);

/** Offsets in the page at which control may go on after the block. */
export function successors(b: Block): number[] {
  const last = b.instructions[b.instructions.length - 1];
  if (b.ending === 'transfer') {
    if (isJcc(last)) return [targetOf(last), b.end];
    return last.op === OP.JMP_J || last.op === OP.CALL_J ? [targetOf(last)] : [];
  }
  if (b.ending === 'execute' && last.ends) return [];
  return [b.end];
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
