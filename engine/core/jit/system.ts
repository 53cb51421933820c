/**
 * What kernels do at every turn: interrupt flag, flag register, GS base, fences, user access; and division.
 *
 * Anything but CPL 0 is left to the interpreter, and so is setting IF while an event waits: STI's shadow and the window
 * exit are its business. Without an event there is nothing that the shadow could hold back.
 *
 * @spec SDM vol. 2, CLI STI PUSHF POPF SWAPGS CLAC STAC, DIV IDIV; vol. 3, 6.8.3
 */
import { OP } from '../gen/ops.ts';
import { S } from '../gen/state.ts';
import type { Row, Translator } from './alu.ts';
import type { Emitter } from './emitter.ts';
import { L, selectTlb } from './emitter.ts';
import { CF, LAZY, STATUS, pushCarry, pushStatus, replaceStatus, setKnown } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { push } from './move.ts';
import { O } from './wasm.ts';

const IF = 0x200; const DF = 0x400; const RF = 0x1_0000; const VM = 0x2_0000;
/** TF DF IOPL NT AC ID: changing one of them changes more than a bit. */
const CHANGES_MODE = 0x100 | DF | 0x3000 | 0x4000 | 0x4_0000 | 0x20_0000;
const VIRTUAL = 0x8_0000 | 0x10_0000; // VIF VIP
const RAX = 0; const RDX = 2; const RSP = 4; const GS = 5;

function flags(e: Emitter): void { e.code.get(L.CPU).memory(O.I32_LOAD, S.FLAGS); }

function needKernel(e: Emitter): void {
  e.code.get(L.CPU).memory(O.I32_LOAD, S.CPL);
  e.missIf();
}

function events(e: Emitter): void { e.code.get(L.CPU).atomic(0x10, 2, S.EVENT_FLAGS); }

/** FLAGS = FLAGS & ~clear | set. */
function changeFlags(e: Emitter, clear: number, set: number): void {
  e.code.get(L.CPU);
  flags(e);
  e.code.i32(~clear).op(O.I32_AND).i32(set).op(O.I32_OR).memory(O.I32_STORE, S.FLAGS);
}

const clearInterrupt: Translator = (e) => {
  needKernel(e);
  changeFlags(e, IF, 0);
};

const setInterrupt: Translator = (e) => {
  needKernel(e);
  events(e);
  e.missIf();
  changeFlags(e, 0, IF);
};

const swapGs: Translator = (e) => {
  needKernel(e);
  const base = S.SEG_BASE + GS * 8;
  e.code.get(L.CPU).memory(O.I64_LOAD, base).set(L.W0);
  e.code.get(L.CPU).get(L.CPU).memory(O.I64_LOAD, S.IA32_KERNEL_GS_BASE).memory(O.I64_STORE, base);
  e.code.get(L.CPU).get(L.W0).memory(O.I64_STORE, S.IA32_KERNEL_GS_BASE);
};

const pushFlags: Translator = (e, i) => {
  push(e, i.size, () => {
    flags(e);
    e.code.i32(~(STATUS | VM | RF)).op(O.I32_AND);
    pushStatus(e);
    e.code.op(O.I32_OR);
    if (i.size === 8) e.code.op(O.I64_EXTEND_U);
  });
};

const popFlags: Translator = (e, i, f) => {
  const { code } = e;
  needKernel(e);
  e.stackAddress(RSP, 0);
  e.translate(i.size, false);
  code.memory(O.I32_LOAD, 0).tee(L.T0);
  flags(e);
  code.tee(L.T1).op(O.I32_XOR).i32(CHANGES_MODE).op(O.I32_AND);
  code.get(L.T1).i32(VIRTUAL | RF | VM).op(O.I32_AND).op(O.I32_OR);
  code.get(L.T0).i32(IF).op(O.I32_AND).i32(0).op(O.I32_NE);
  events(e);
  code.i32(0).op(O.I32_NE).op(O.I32_AND).op(O.I32_OR);
  e.missIf();
  code.get(L.CPU).get(L.T1).i32(~IF).op(O.I32_AND).get(L.T0).i32(IF).op(O.I32_AND).op(O.I32_OR).memory(O.I32_STORE, S.FLAGS);
  e.moveStack(i.size);
  code.get(L.T0).i32(STATUS).op(O.I32_AND).set(L.STATUS);
  setKnown(e, f, LAZY.NONE);
};

const userAccess = (allowed: number): Translator => (e) => {
  needKernel(e);
  e.code.i32(allowed).call(e.helpers.alignmentCheck);
  selectTlb(e.code);
  e.forgetWindows();
};

const carryFlag = (op: number): Translator => (e, _i, f) => {
  if (!f.live) return;
  if (op === OP.CMC) {
    pushCarry(e, f);
    e.code.i32(1).op(O.I32_XOR);
  } else {
    e.code.i32(op === OP.STC ? 1 : 0);
  }
  replaceStatus(e, f, CF);
};

/** DIV and IDIV of 4 and 8 bytes while the quotient comes out of a 64-bit division; #DE is the interpreter's. */
const divide: Translator = (e, i) => {
  const { code } = e;
  const signed = i.op === OP.IDIV;
  const { size } = i;
  e.rm(i, size);
  if (size === 4) code.op(signed ? O.I64_EXTEND_S : O.I64_EXTEND_U);
  code.set(L.W1);
  if (size === 8) {
    e.get64(RAX);
    code.set(L.W0);
    e.get64(RDX);
    if (signed) code.get(L.W0).i64(63).op(O.I64_SHR_S); else code.i64(0);
    code.op(O.I64_NE).get(L.W1).op(O.I64_EQZ).op(O.I32_OR);
  } else {
    e.get64(RDX);
    code.i64(32).op(O.I64_SHL);
    e.get64(RAX);
    code.i64(0xffff_ffffn).op(O.I64_AND).op(O.I64_OR).set(L.W0);
    code.get(L.W1).op(O.I64_EQZ);
  }
  // -2^63 / -1 traps
  if (signed) code.get(L.W1).i64(-1).op(O.I64_EQ).get(L.W0).i64(-(1n << 63n)).op(O.I64_EQ).op(O.I32_AND).op(O.I32_OR);
  e.missIf();
  code.get(L.W0).get(L.W1).op(signed ? O.I64_DIV_S : O.I64_DIV_U).set(L.W2);
  if (size === 4) {
    code.get(L.W2);
    if (signed) code.get(L.W2).op(O.I64_EXTEND32).op(O.I64_NE); else code.i64(32).op(O.I64_SHR_U).i64(0).op(O.I64_NE);
    e.missIf();
  }
  code.get(L.W0).get(L.W1).op(signed ? O.I64_REM_S : O.I64_REM_U);
  if (size === 4) code.i64(0xffff_ffffn).op(O.I64_AND);
  e.set64(RDX);
  code.get(L.W2);
  if (size === 4) code.i64(0xffff_ffffn).op(O.I64_AND);
  e.set64(RAX);
};

const nothing: Translator = () => {};
const word = (i: Instruction): boolean => i.size >= 4;

/** `misses` on all that may leave to the interpreter without a memory operand. */
export const SYSTEM_ROWS = new Map<number, Row>([
  [OP.CLI, { emit: clearInterrupt, misses: true }],
  [OP.STI, { emit: setInterrupt, misses: true, goesOn: true }],
  [OP.SWAPGS, { emit: swapGs, misses: true }],
  [OP.PUSHF, { emit: pushFlags, when: word, reads: true, misses: true }],
  [OP.POPF, { emit: popFlags, when: word, sets: true, misses: true, goesOn: true }],
  [OP.CLAC, { emit: userAccess(0), misses: true, goesOn: true }],
  [OP.STAC, { emit: userAccess(1), misses: true, goesOn: true }],
  [OP.MFENCE, { emit: (e) => { e.code.fence(); } }],
  [OP.LFENCE, { emit: nothing }],
  [OP.SFENCE, { emit: nothing }],
  [OP.CLD, { emit: (e) => changeFlags(e, DF, 0) }],
  [OP.STD, { emit: (e) => changeFlags(e, 0, DF) }],
  [OP.CLC, { emit: carryFlag(OP.CLC), reads: true }],
  [OP.STC, { emit: carryFlag(OP.STC), reads: true }],
  [OP.CMC, { emit: carryFlag(OP.CMC), reads: true }],
  [OP.DIV, { emit: divide, when: word, misses: true }],
  [OP.IDIV, { emit: divide, when: word, misses: true }],
]);
