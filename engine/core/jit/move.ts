/**
 * Moves, conversions, exchanges, conditional moves and sets, and the stack.
 *
 * @spec SDM vol. 2
 */
import { OP } from '../gen/ops.ts';
import { S } from '../gen/state.ts';
import type { Row } from './alu.ts';
import { fetched, lockedAddress, modify } from './alu.ts';
import type { Emitter } from './emitter.ts';
import { L } from './emitter.ts';
import type { FlagState } from './flags.ts';
import { LAZY, lazy, pushCondition, setKnown } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { LOCK, MEM, STAYS } from './instruction.ts';
import { ATOMIC, O } from './wasm.ts';

const RAX = 0; const RDX = 2; const RSP = 4; const RBP = 5;
const log2 = (size: number): number => 31 - Math.clz32(size);
const memory = (i: Instruction): boolean => (i.flags & MEM) !== 0;

/** Stores what `value` pushes to the r/m operand. */
function toRm(e: Emitter, i: Instruction, size: number, value: () => void): void {
  if (!memory(i)) {
    value();
    e.put(i.rm, size);
    return;
  }
  const offset = e.access(i, size, true);
  value();
  e.store(size, offset);
}

/** Pushes `size` zero- or sign-extended bytes of the r/m operand as i64. */
function extended(e: Emitter, i: Instruction, size: number, signed: boolean): void {
  const { code } = e;
  if (memory(i)) {
    const offset = e.access(i, size, false);
    const loads = signed ? [O.I64_LOAD8_S, O.I64_LOAD16_S, O.I64_LOAD32_S] : [O.I64_LOAD8_U, O.I64_LOAD16_U, O.I64_LOAD32_U];
    code.memory(loads[log2(size)], offset);
    return;
  }
  if (size === 1 && i.rm >= 16) {
    e.get64(i.rm - 16);
    code.i64(8).op(O.I64_SHR_U);
  } else {
    e.get64(i.rm);
  }
  if (signed) code.op([O.I64_EXTEND8, O.I64_EXTEND16, O.I64_EXTEND32][log2(size)]);
  else code.i64([0xffn, 0xffffn, 0xffff_ffffn][log2(size)]).op(O.I64_AND);
}

/** Pops an i64 into the destination register of `size` bytes. */
function putWide(e: Emitter, reg: number, size: number, upperIsClear: boolean): void {
  if (size === 8) {
    e.set64(reg);
  } else if (size === 4) {
    if (!upperIsClear) e.code.i64(0xffff_ffffn).op(O.I64_AND);
    e.set64(reg);
  } else {
    e.code.op(O.I32_WRAP);
    e.put(reg, size);
  }
}

function load(e: Emitter, i: Instruction): void {
  if (memory(i) && i.size === 4) {
    extended(e, i, 4, false);
    e.set64(i.reg);
    return;
  }
  e.rm(i, i.size);
  e.put(i.reg, i.size);
}

function lea(e: Emitter, i: Instruction): void {
  e.effective(i);
  putWide(e, i.reg, i.size, i.address === 4);
}

function exchange(e: Emitter, i: Instruction): void {
  const { code } = e;
  const { size } = i;
  const t = size === 8 ? L.W0 : L.T0;
  if (memory(i)) {
    lockedAddress(e, i, size);
    code.get(L.P);
    e.get(i.reg, size);
    code.atomicRmw(ATOMIC.XCHG, log2(size));
    e.put(i.reg, size);
    return;
  }
  e.get(i.rm, size);
  code.set(t);
  e.get(i.reg, size);
  e.put(i.rm, size);
  code.get(t);
  e.put(i.reg, size);
}

function exchangeAccumulator(e: Emitter, i: Instruction): void {
  if (i.reg === RAX) return;
  const t = i.size === 8 ? L.W0 : L.T0;
  e.get(RAX, i.size);
  e.code.set(t);
  e.get(i.reg, i.size);
  e.put(RAX, i.size);
  e.code.get(t);
  e.put(i.reg, i.size);
}

function exchangeAdd(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const wide = size === 8;
  const old = wide ? L.W0 : L.T0; const v = wide ? L.W1 : L.T1; const sum = wide ? L.W2 : L.T2;
  const add = (): void => {
    code.get(old).get(v).op(wide ? O.I64_ADD : O.I32_ADD);
    fetched(e, size);
    code.set(sum);
  };
  if (memory(i) && (i.flags & LOCK) !== 0) {
    lockedAddress(e, i, size);
    e.get(i.reg, size);
    code.set(v);
    code.get(L.P).get(v).atomicRmw(ATOMIC.ADD, log2(size));
    fetched(e, size);
    code.set(old);
    add();
    code.get(old);
    e.put(i.reg, size);
  } else {
    modify(e, i, size, () => {
      e.get(i.reg, size);
      code.set(v);
      add();
      code.get(old);
      e.put(i.reg, size);
      code.get(sum);
    });
  }
  if (!f.live) return;
  for (const [from, to] of [[old, L.LA], [v, L.LB], [sum, L.LR]]) {
    code.get(from);
    if (!wide) code.op(size === 4 ? O.I64_EXTEND_U : O.I64_EXTEND_S);
    code.set(to);
  }
  setKnown(e, f, lazy(LAZY.ADD, size));
}

function compareExchange(e: Emitter, i: Instruction, f: FlagState): void {
  const { code } = e;
  const { size } = i;
  const wide = size === 8;
  const old = wide ? L.W0 : L.T0; const expected = wide ? L.W1 : L.T1;
  const equal = (): void => { code.get(old).get(expected).op(wide ? O.I64_EQ : O.I32_EQ); };
  if (memory(i) && (i.flags & LOCK) !== 0) {
    lockedAddress(e, i, size);
    e.get(RAX, size);
    code.set(expected);
    code.get(L.P).get(expected);
    // A compare-exchange below 4 bytes compares zero-extended values.
    if (size < 4) code.i32(size === 1 ? 0xff : 0xffff).op(O.I32_AND);
    e.get(i.reg, size);
    if (size < 4) code.i32(size === 1 ? 0xff : 0xffff).op(O.I32_AND);
    code.atomicRmw(ATOMIC.CMPXCHG, log2(size));
    fetched(e, size);
    code.set(old);
  } else if (memory(i)) {
    modify(e, i, size, () => {
      e.get(RAX, size);
      code.set(expected);
      e.get(i.reg, size);
      code.get(old);
      equal();
      code.op(O.SELECT);
    });
  } else {
    e.get(i.rm, size);
    code.set(old);
    e.get(RAX, size);
    code.set(expected);
    equal();
    code.if(); // else not even bits 63:32 change
    e.get(i.reg, size);
    e.put(i.rm, size);
    code.end();
  }
  if (f.live) {
    for (const [from, to] of [[expected, L.LA], [old, L.LB]]) {
      code.get(from);
      if (!wide) code.op(size === 4 ? O.I64_EXTEND_U : O.I64_EXTEND_S);
      code.set(to);
    }
    code.get(expected).get(old).op(wide ? O.I64_SUB : O.I32_SUB);
    fetched(e, size);
    if (!wide) code.op(size === 4 ? O.I64_EXTEND_U : O.I64_EXTEND_S);
    code.set(L.LR);
    setKnown(e, f, lazy(LAZY.SUB, size));
  }
  equal();
  code.op(O.I32_EQZ).if();
  code.get(old);
  e.put(RAX, size);
  code.end();
}

function byteSwap(e: Emitter, i: Instruction): void {
  const { code } = e;
  if (i.size === 2) {
    code.i32(0);
    e.put(i.reg, 2);
    return;
  }
  if (i.size === 4) {
    const rotated = (by: number, mask: number): void => { e.get(i.reg, 4); code.i32(by).op(O.I32_ROTL).i32(mask).op(O.I32_AND); };
    rotated(8, 0x00ff00ff);
    rotated(24, 0xff00ff00 | 0);
    code.op(O.I32_OR);
    e.put(i.reg, 4);
    return;
  }
  const step = (mask: bigint, shift: number): void => {
    code.get(L.W0).i64(shift).op(O.I64_SHR_U).i64(mask).op(O.I64_AND);
    code.get(L.W0).i64(mask).op(O.I64_AND).i64(shift).op(O.I64_SHL).op(O.I64_OR);
  };
  e.get64(i.reg);
  code.set(L.W0);
  step(0x00ff00ff00ff00ffn, 8);
  code.set(L.W0);
  step(0x0000ffff0000ffffn, 16);
  code.i64(32).op(O.I64_ROTL);
  e.set64(i.reg);
}

function convert(e: Emitter, i: Instruction): void {
  const { size } = i;
  if (i.op === OP.CBW) {
    e.get(RAX, size >> 1);
    if (size === 8) e.code.op(O.I64_EXTEND_S);
    e.put(RAX, size);
  } else {
    e.get(RAX, size);
    if (size === 8) e.code.i64(63).op(O.I64_SHR_S); else e.code.i32(31).op(O.I32_SHR_S);
    e.put(RDX, size);
  }
}

function conditionalMove(e: Emitter, i: Instruction, f: FlagState): void {
  const { size } = i;
  e.rm(i, size);
  e.get(i.reg, size);
  pushCondition(e, f, i.op - OP.CMOVO);
  e.code.op(O.SELECT);
  e.put(i.reg, size);
}

// ---- stack, operands of the mode's width: 8 bytes in 64-bit mode, 4 bytes otherwise

/** Stores what `value` pushes (`size` bytes, in the form of `get`) below the stack pointer, which moves. */
export function push(e: Emitter, size: number, value: () => void): void {
  const run = e.stackRun;
  if (run !== undefined) {
    const offset = e.stackRunAccess(run, size);
    value();
    e.store(size, offset);
    e.addToStack(-size);
    return;
  }
  const offset = e.stackAccess(-size, size, true);
  if (offset !== undefined) {
    value();
    e.store(size, offset);
    e.addToStack(-size);
    return;
  }
  e.stackAddress(RSP, -size);
  e.translate(size, true);
  value();
  e.store(size);
  e.moveStack(0);
}

function pushOperand(e: Emitter, i: Instruction): void {
  const { size } = i;
  if (i.op === OP.PUSH_I) {
    push(e, size, () => e.immediate(i, size));
  } else if (i.op === OP.PUSH_G) {
    push(e, size, () => e.get(i.reg, size));
  } else {
    const t = size === 8 ? L.W0 : L.T1;
    e.rm(i, size);
    e.code.set(t);
    push(e, size, () => { e.code.get(t); });
  }
}

const pushSegment = (segment: number) => (e: Emitter, i: Instruction): void => {
  push(e, i.size, () => {
    e.code.get(L.CPU).memory(i.size === 8 ? O.I64_LOAD16_U : O.I32_LOAD16_U, S.SEG_SELECTOR + segment * 2);
  });
};

/** Pushes the top of the stack, or what is at RBP, zero-extended to i64. */
function loadStack(e: Emitter, r: number, size: number): void {
  e.stackAddress(r, 0);
  e.translate(size, false);
  e.code.memory(size === 8 ? O.I64_LOAD : O.I64_LOAD32_U, 0);
}

/** Takes `size` bytes from the stack, zero-extended, to the local W0; the stack pointer moves by them and `more`, after `check`. */
export function pop(e: Emitter, size: number, more = 0, check = (): void => {}): void {
  const { code, stackRun: run } = e;
  if (run !== undefined) {
    const offset = e.stackRunAccess(run, size);
    code.memory(size === 8 ? O.I64_LOAD : O.I64_LOAD32_U, offset).set(L.W0);
    check();
    e.addToStack(size + more);
    return;
  }
  const offset = e.stackAccess(0, size, false);
  if (offset !== undefined) {
    code.memory(size === 8 ? O.I64_LOAD : O.I64_LOAD32_U, offset).set(L.W0);
    check();
    e.addToStack(size + more);
    return;
  }
  loadStack(e, RSP, size);
  code.set(L.W0);
  check();
  e.moveStack(size + more);
}

function popRegister(e: Emitter, i: Instruction): void {
  pop(e, i.size);
  e.code.get(L.W0);
  e.set64(i.reg);
}

function leave(e: Emitter, i: Instruction): void {
  loadStack(e, RBP, i.size);
  e.set64(RBP);
  e.moveStack(i.size);
}

const word = (i: Instruction): boolean => i.size >= 4;

/** MOV between the accumulator and an address in the instruction. */
function moveAbsolute(e: Emitter, i: Instruction): void {
  const operand = { ...i, disp: i.small, moves: STAYS };
  if (i.op === OP.MOV_AO) {
    e.loadOperand(operand, i.size);
    e.put(RAX, i.size);
  } else {
    const offset = e.access(operand, i.size, true);
    e.get(RAX, i.size);
    e.store(i.size, offset);
  }
}

export const MOVE_ROWS = new Map<number, Row>([
  [OP.MOV_EG, { emit: (e, i) => toRm(e, i, i.size, () => e.get(i.reg, i.size)) }],
  [OP.MOV_GE, { emit: load }],
  [OP.MOV_GI, { emit: (e, i) => { if (i.size === 4) { e.code.i64(i.imm & 0xffff_ffffn); e.set64(i.reg); } else { e.immediate(i, i.size); e.put(i.reg, i.size); } }, immediate: true }],
  [OP.MOV_EI, { emit: (e, i) => toRm(e, i, i.size, () => e.immediate(i, i.size)), immediate: true }],
  [OP.MOVSXD, { emit: (e, i) => { extended(e, i, i.size === 2 ? 2 : 4, true); putWide(e, i.reg, i.size, false); } }],
  [OP.MOVZX_B, { emit: (e, i) => { extended(e, i, 1, false); putWide(e, i.reg, i.size, true); } }],
  [OP.MOVZX_W, { emit: (e, i) => { extended(e, i, 2, false); putWide(e, i.reg, i.size, true); } }],
  [OP.MOVSX_B, { emit: (e, i) => { extended(e, i, 1, true); putWide(e, i.reg, i.size, false); } }],
  [OP.MOVSX_W, { emit: (e, i) => { extended(e, i, 2, true); putWide(e, i.reg, i.size, false); } }],
  [OP.MOV_AO, { emit: moveAbsolute, when: (i) => i.address === 4 }],
  [OP.MOV_OA, { emit: moveAbsolute, when: (i) => i.address === 4 }],
  [OP.LEA, { emit: lea }],
  [OP.NOP, { emit: () => {} }],
  [OP.XCHG_EG, { emit: exchange, lock: true }],
  [OP.XCHG_AG, { emit: exchangeAccumulator }],
  [OP.XADD, { emit: exchangeAdd, sets: true, lock: true }],
  [OP.CMPXCHG, { emit: compareExchange, sets: true, lock: true }],
  [OP.BSWAP, { emit: byteSwap }],
  [OP.CBW, { emit: convert }],
  [OP.CWD, { emit: convert }],
  [OP.PUSH_G, { emit: pushOperand, when: word }],
  [OP.PUSH_I, { emit: pushOperand, when: word, immediate: true }],
  [OP.PUSH_E, { emit: pushOperand, when: word }],
  [OP.POP_G, { emit: popRegister, when: word }],
  [OP.LEAVE, { emit: leave, when: word }],
]);
[OP.PUSH_ES, OP.PUSH_CS, OP.PUSH_SS, OP.PUSH_DS, OP.PUSH_FS, OP.PUSH_GS].forEach((op, segment) => {
  MOVE_ROWS.set(op, { emit: pushSegment(segment), when: word, misses: true });
});
for (let cc = 0; cc < 16; cc += 1) {
  MOVE_ROWS.set(OP.CMOVO + cc, { emit: conditionalMove, reads: true });
  MOVE_ROWS.set(OP.SETO + cc, { emit: (e, i, f) => toRm(e, i, 1, () => pushCondition(e, f, cc)), reads: true });
}
