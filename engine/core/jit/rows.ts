/** Everything that is translated, by Op id; what is not here is executed by the interpreter's routines. */
import { OP } from '../gen/ops.ts';
import type { Row } from './alu.ts';
import { ALU_ROWS } from './alu.ts';
import type { Instruction } from './instruction.ts';
import { LOCK, MEM, crossesPage } from './instruction.ts';
import { MOVE_ROWS } from './move.ts';
import { SSE_ROWS } from './sse.ts';
import { SYSTEM_ROWS } from './system.ts';
import { X87_ROWS } from './x87.ts';

const ROWS = new Map<number, Row>([...ALU_ROWS, ...MOVE_ROWS, ...SSE_ROWS, ...SYSTEM_ROWS, ...X87_ROWS]);

/** Op ids that have a translation, in all or some of their forms; docs/cpu-coverage.md names them. */
export const TRANSLATED: ReadonlySet<number> = new Set(ROWS.keys());

/** The instruction's translation, undefined when it is left to the interpreter. */
export function rowOf(i: Instruction): Row | undefined {
  const row = ROWS.get(i.op);
  if (row === undefined) return undefined;
  if ((i.flags & LOCK) !== 0 && row.lock !== true) return undefined;
  if (i.address === 2) return undefined;
  if (row.when !== undefined && !row.when(i)) return undefined;
  if (i.ends && row.goesOn !== true) return undefined;
  return row;
}

/** The control transfers that end a block inside compiled code; with 16-bit operands they are the interpreter's. */
export const isJcc = (i: Instruction): boolean => i.op >= OP.JO && i.op <= OP.JNLE && i.size >= 4;
export function isTransfer(i: Instruction): boolean {
  if (isJcc(i)) return true;
  switch (i.op) {
    case OP.JMP_J: case OP.CALL_J: case OP.RET: case OP.RET_I: case OP.JMP_E: case OP.CALL_E: return i.size >= 4 && i.address !== 2;
    default: return false;
  }
}

const STACK_OPS = new Set<number>([OP.PUSH_G, OP.PUSH_I, OP.PUSH_E, OP.POP_G, OP.LEAVE, OP.CALL_J, OP.CALL_E, OP.RET, OP.RET_I]);

/** May leave to the interpreter in its middle: the flags must be what they were before it. */
export function mayMiss(i: Instruction, row: Row | undefined): boolean {
  if (row?.misses === true || SSE_ROWS.has(i.op) || crossesPage(i)) return true;
  if (STACK_OPS.has(i.op) || i.op === OP.JMP_E) return true;
  return (i.flags & MEM) !== 0 && i.op !== OP.LEA && i.op !== OP.NOP;
}

/** Replaces every status flag. */
export function setsFlags(i: Instruction, row: Row): boolean {
  return typeof row.sets === 'function' ? row.sets(i) : row.sets === true;
}
