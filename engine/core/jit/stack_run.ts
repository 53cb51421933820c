/**
 * Runs of pushes or pops, as functions begin and end with: their stretch of the stack is looked up once. Where it crosses a
 * page each access is translated by the core.
 */
import { OP } from '../gen/ops.ts';
import type { Instruction } from './instruction.ts';
import { isMemory } from './instruction.ts';

export interface StackRun {
  readonly pushes: boolean;
  /** Of the whole run, and of the instructions so far. */
  readonly bytes: number;
  done: number;
}

const RSP = 4;
const WIDTH = 8;
/** Instructions that are looked at. */
const LONGEST = 16;

const isPush = (i: Instruction): boolean => i.size === WIDTH && (i.op === OP.PUSH_G || i.op === OP.PUSH_I || i.op === OP.CALL_J);
const isPop = (i: Instruction): boolean => i.size === WIDTH && (i.op === OP.POP_G && i.reg !== RSP || i.op === OP.RET || i.op === OP.RET_I);

/** May stand between the instructions of a run: moves data, and certainly neither the stack pointer nor what is mapped. */
function isBetween(i: Instruction): boolean {
  switch (i.op) {
    case OP.MOV_EG: case OP.MOV_GE: case OP.LEA: case OP.MOV_GI: case OP.XOR_EG: case OP.XOR_GE: case OP.NOP:
      return i.size >= 4 && i.reg !== RSP && (isMemory(i) || i.rm !== RSP);
    default: return false;
  }
}

/** The run that begins with the instruction at `k`, of two pushes or pops or more; undefined when there is none. */
export function stackRunAt(instructions: readonly Instruction[], k: number): StackRun | undefined {
  const pushes = isPush(instructions[k]);
  if (!pushes && !isPop(instructions[k])) return undefined;
  let count = 0;
  for (let n = k; n < Math.min(instructions.length, k + LONGEST); n += 1) {
    const i = instructions[n];
    if (pushes ? isPush(i) : isPop(i)) count += 1;
    else if (!isBetween(i)) break;
  }
  return count < 2 ? undefined : { pushes, bytes: count * WIDTH, done: 0 };
}
