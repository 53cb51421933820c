/**
 * x87 loads, stores, arithmetic and comparisons. The arithmetic is the core's (assembly/jit_x87.ts), exact in 64 bits of
 * precision; the register stack is in locals (x87_stack.ts).
 *
 * @spec  SDM vol. 2, FADD to FXCH
 * @cover #Y what is listed in X87_ROWS   #N m80 and BCD operands, FCMOVcc, transcendental functions, control and environment but FNSTSW AX:
 *        the interpreter's routines
 */
import { OP } from '../gen/ops.ts';
import type { Row, Translator } from './alu.ts';
import type { Emitter } from './emitter.ts';
import { L } from './emitter.ts';
import { LAZY, setKnown } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { J } from './layout.ts';
import { O } from './wasm.ts';

/** Formats of memory operands, as in assembly/jit_x87.ts. */
const FORMAT = { F32: 0, F64: 1, I32: 2, I16: 3, I64: 4 } as const;
const BYTES = [4, 8, 4, 2, 8];
const KIND_SQRT = 8;
const KIND_ROUND = 9;
const PARITY_CARRY_ZERO = 0x45;

const escape = (i: Instruction): number => i.bytes[26];
const digit = (i: Instruction): number => i.bytes[27] >> 3 & 7;
const register = (i: Instruction): number => i.bytes[27] & 7;
const isCompare = (i: Instruction): boolean => (digit(i) & 6) === 2;

/** Pushes the memory operand's bits as i64. */
function operand(e: Emitter, i: Instruction, format: number): void {
  e.accessAt(i, BYTES[format], false);
  e.code.memory([O.I64_LOAD32_U, O.I64_LOAD, O.I64_LOAD32_U, O.I64_LOAD16_U, O.I64_LOAD][format], 0);
}

/** Loads and arithmetic check first, so that whatever leaves to the interpreter sees the state in front of the instruction. */
const load = (format: number): Translator => (e, i) => {
  const x = e.x87();
  const { code } = e;
  x.needRoom();
  operand(e, i, format);
  code.set(L.W0);
  x.note(i, L.EA);
  if (format !== FORMAT.F64) {
    code.i32(format).get(L.W0).call(e.helpers.x87Load);
    x.takeResult(...x.push());
    return;
  }
  // Ordinary numbers are widened here.
  const [se, sig] = x.push();
  code.get(L.W0).i64(52).op(O.I64_SHR_U).op(O.I32_WRAP).i32(0x7ff).op(O.I32_AND).tee(L.T1);
  code.i32(1).op(O.I32_SUB).i32(0x7fe).op(O.I32_LT_U).likely().if();
  code.get(L.W0).i64(48).op(O.I64_SHR_U).op(O.I32_WRAP).i32(0x8000).op(O.I32_AND).get(L.T1).i32(0x3fff - 0x3ff).op(O.I32_ADD).op(O.I32_OR).set(se);
  code.get(L.W0).i64(11).op(O.I64_SHL).i64(-(1n << 63n)).op(O.I64_OR).set(sig);
  code.i32(0);
  x.takeStatus();
  code.else();
  code.i32(format).get(L.W0).call(e.helpers.x87Load);
  x.takeResult(se, sig);
  code.end();
};

const store = (format: number, pops: (i: Instruction) => boolean): Translator => (e, i) => {
  const x = e.x87();
  const { code } = e;
  x.need(0);
  e.accessAt(i, BYTES[format], true);
  code.set(L.P);
  const [se, sig] = x.value(0);
  code.get(L.P).i32(format).get(se).get(sig).call(e.helpers.x87Store);
  code.memory([O.I64_STORE32, O.I64_STORE, O.I64_STORE32, O.I64_STORE16, O.I64_STORE][format], 0);
  x.note(i, L.EA);
  code.get(L.CPU).memory(O.I32_LOAD, J.X87).i32(16).op(O.I32_SHR_U);
  x.takeStatus();
  if (pops(i)) x.pop();
};

/** Pops CF, PF and ZF of a comparison with exceptions above them, as C0, C2 and C3. */
function condition(e: Emitter): void {
  const { code } = e;
  code.tee(L.T0).i32(PARITY_CARRY_ZERO).op(O.I32_AND).i32(8).op(O.I32_SHL).get(L.T0).i32(16).op(O.I32_SHR_U).op(O.I32_OR);
  e.x87().takeCondition();
}

const arithmeticMemory = (format: number): Translator => (e, i) => {
  const x = e.x87();
  const { code } = e;
  x.need(0);
  operand(e, i, format);
  code.set(L.W0);
  x.note(i, L.EA);
  const [se, sig] = x.value(0);
  if (isCompare(i)) {
    code.get(se).get(sig).i32(format).get(L.W0).call(e.helpers.x87CompareMemory);
    condition(e);
    if (digit(i) === 3) x.pop();
    return;
  }
  code.i32(digit(i)).get(se).get(sig).i32(format).get(L.W0).call(e.helpers.x87OperateMemory);
  x.takeResult(...x.target(0));
};

/** Pushes the values of ST(0) and ST(i). */
function values(e: Emitter, i: number): void {
  const x = e.x87();
  const a = x.value(0); const b = x.value(i);
  e.code.get(a[0]).get(a[1]).get(b[0]).get(b[1]);
}

const arithmetic = (to: (i: Instruction) => number, pops: boolean): Translator => (e, i) => {
  const x = e.x87();
  const other = register(i);
  x.need(0);
  x.need(other);
  x.note(i);
  if (isCompare(i)) {
    compare(e, other, false, digit(i) & 1);
    return;
  }
  // The values may have to be loaded first, which uses a temporary.
  x.value(0);
  x.value(other);
  e.code.i32(digit(i));
  values(e, other);
  e.code.call(e.helpers.x87Operate);
  x.takeResult(...x.target(to(i)));
  if (pops) x.pop();
};

/** Compares ST(0) with ST(i), both in use. */
function compare(e: Emitter, i: number, quiet: boolean, pops: number): void {
  const x = e.x87();
  values(e, i);
  e.code.i32(quiet ? 1 : 0).call(e.helpers.x87Compare);
  condition(e);
  for (let n = 0; n < pops; n += 1) x.pop();
}

const compareStack = (other: (i: Instruction) => number, quiet: boolean, pops: (i: Instruction) => number): Translator => (e, i) => {
  const x = e.x87();
  x.need(0);
  x.need(other(i));
  x.note(i);
  compare(e, other(i), quiet, pops(i));
};

/** FCOMI and FUCOMI, which leave C1. */
const compareFlags = (quiet: boolean): Translator => (e, i, f) => {
  const x = e.x87();
  const { code } = e;
  x.need(0);
  x.need(register(i));
  x.note(i);
  values(e, register(i));
  code.i32(quiet ? 1 : 0).call(e.helpers.x87Compare).tee(L.T0).i32(16).op(O.I32_SHR_U);
  x.takeExceptions();
  if (f.live) {
    code.get(L.T0).i32(PARITY_CARRY_ZERO).op(O.I32_AND).set(L.STATUS);
    setKnown(e, f, LAZY.NONE);
  }
  if (escape(i) === 0xdf) x.pop();
};

const unary = (kind: number): Translator => (e, i) => {
  const x = e.x87();
  x.need(0);
  x.note(i);
  const [se, sig] = x.value(0);
  e.code.i32(kind).get(se).get(sig).i32(0).i64(0).call(e.helpers.x87Operate);
  x.takeResult(...x.target(0));
};

/** FCHS and FABS: the sign bit and nothing else. */
const sign = (change: (e: Emitter) => void): Translator => (e, i) => {
  const x = e.x87();
  x.need(0);
  x.note(i);
  e.code.get(x.value(0)[0]);
  change(e);
  e.code.set(x.target(0)[0]);
  x.clearC1();
};

function copy(e: Emitter, from: readonly [number, number], to: readonly [number, number]): void {
  e.code.get(from[0]).set(to[0]).get(from[1]).set(to[1]);
}

const loadRegister: Translator = (e, i) => {
  const x = e.x87();
  x.need(register(i));
  x.needRoom();
  x.note(i);
  copy(e, x.value(register(i)), x.push());
  x.clearC1();
};

const storeRegister: Translator = (e, i) => {
  const x = e.x87();
  x.need(0);
  x.note(i);
  const from = x.value(0);
  if (register(i) !== 0) copy(e, from, x.target(register(i)));
  x.clearC1();
  if (digit(i) === 3) x.pop();
};

const exchange: Translator = (e, i) => {
  const x = e.x87();
  x.need(0);
  x.need(register(i));
  x.note(i);
  x.exchange(register(i));
  x.clearC1();
};

/** Constants rounded to nearest: FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ. */
const CONSTANTS: ReadonlyArray<readonly [se: number, sig: bigint]> = [
  [0x3fff, 0x8000_0000_0000_0000n], [0x4000, 0xd49a_784b_cd1b_8afen], [0x3fff, 0xb8aa_3b29_5c17_f0bcn], [0x4000, 0xc90f_daa2_2168_c235n],
  [0x3ffd, 0x9a20_9a84_fbcf_f799n], [0x3ffe, 0xb172_17f7_d1cf_79acn], [0, 0n],
];

const loadConstant: Translator = (e, i) => {
  const x = e.x87();
  x.needRoom();
  x.note(i);
  const [se, sig] = x.push();
  const constant = CONSTANTS[register(i)];
  e.code.i32(constant[0]).set(se).i64(BigInt.asIntN(64, constant[1])).set(sig);
  x.clearC1();
};

const statusWord: Translator = (e) => {
  e.x87().pushStatusWord();
  e.put(0, 2);
};

/** Every row `misses`: the stack's tags are looked at. */
export const X87_ROWS = new Map<number, Row>();
const row = (op: number, emit: Translator, more: Partial<Row> = {}): void => { X87_ROWS.set(op, { emit, misses: true, ...more }); };
const popsByDigit = (i: Instruction): boolean => (digit(i) & 1) !== 0;
const isPlainStore = (i: Instruction): boolean => escape(i) === 0xdd;
const isNoCompare = (i: Instruction): boolean => !isCompare(i);

row(OP.FLD_M32, load(FORMAT.F32));
row(OP.FLD_M64, load(FORMAT.F64));
row(OP.FILD_M16, load(FORMAT.I16));
row(OP.FILD_M32, load(FORMAT.I32));
row(OP.FILD_M64, load(FORMAT.I64));
row(OP.FST_M32, store(FORMAT.F32, popsByDigit));
row(OP.FST_M64, store(FORMAT.F64, popsByDigit));
row(OP.FIST_M16, store(FORMAT.I16, popsByDigit));
row(OP.FIST_M32, store(FORMAT.I32, popsByDigit));
row(OP.FISTP_M64, store(FORMAT.I64, () => true));
row(OP.FARITH_M32, arithmeticMemory(FORMAT.F32));
row(OP.FARITH_M64, arithmeticMemory(FORMAT.F64));
row(OP.FARITH_I32, arithmeticMemory(FORMAT.I32));
row(OP.FARITH_I16, arithmeticMemory(FORMAT.I16));
row(OP.FARITH_ST0, arithmetic(() => 0, false));
row(OP.FARITH_STI, arithmetic(register, false), { when: isNoCompare });
row(OP.FARITH_STIP, arithmetic(register, true), { when: isNoCompare });
row(OP.FLD_STI, loadRegister);
row(OP.FST_STI, storeRegister, { when: isPlainStore });
row(OP.FXCH, exchange);
row(OP.FLD_CONSTANT, loadConstant);
row(OP.FCHS, sign((e) => { e.code.i32(0x8000).op(O.I32_XOR); }));
row(OP.FABS, sign((e) => { e.code.i32(0x7fff).op(O.I32_AND); }));
row(OP.FSQRT, unary(KIND_SQRT));
row(OP.FRNDINT, unary(KIND_ROUND));
row(OP.FUCOM, compareStack(register, true, (i) => digit(i) & 1));
row(OP.FCOMPP, compareStack(() => 1, false, () => 2));
row(OP.FUCOMPP, compareStack(() => 1, true, () => 2));
row(OP.FCOMI, compareFlags(false), { sets: true });
row(OP.FUCOMI, compareFlags(true), { sets: true });
row(OP.FNSTSW_AX, statusWord);
