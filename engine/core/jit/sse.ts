/**
 * SSE and SSE2 moves, logic, integer arithmetic and double-precision arithmetic on v128 locals.
 *
 * Whether SSE may be used at all is looked at once a block: what could change it ends a block. Double-precision results
 * are WebAssembly's own while MXCSR asks for nearest rounding with all exceptions masked, PE is set already and all
 * numbers are ordinary (assembly/sse/arithmetic.ts); otherwise the core's arithmetic is called.
 *
 * @spec  SDM vol. 2; vol. 1, 11.5
 * @cover #Y what is listed in SSE_ROWS   #P AES, CLMUL, SHA: calls of the core   #N single precision, MMX, SSE4.2 text: the interpreter's routines
 */
import { OP } from '../gen/ops.ts';
import { S } from '../gen/state.ts';
import type { Row, Translator } from './alu.ts';
import type { Emitter } from './emitter.ts';
import { L } from './emitter.ts';
import { LAZY, setKnown } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { MEM } from './instruction.ts';
import { I64, O } from './wasm.ts';

const REXW = 16;
const CR0_EM_TS = 0xc;
const CR4_OSFXSR = 1 << 9;

const memory = (i: Instruction): boolean => (i.flags & MEM) !== 0;

/** #UD and #NM are the interpreter's. */
function checkSse(e: Emitter): void {
  if (e.sseChecked) return;
  e.sseChecked = true;
  e.code.get(L.CPU).memory(O.I32_LOAD, S.CR0).i32(CR0_EM_TS).op(O.I32_AND)
    .get(L.CPU).memory(O.I32_LOAD, S.CR4).i32(CR4_OSFXSR).op(O.I32_AND).op(O.I32_EQZ).op(O.I32_OR);
  e.missIf();
}

/** Of the address that is pushed and lacks an offset, which says as much as the linear one, pages being what they are. */
function aligned(e: Emitter, offset: number): void {
  e.code.tee(L.P).get(L.P).i32(offset).op(O.I32_ADD).i32(15).op(O.I32_AND);
  e.missIf();
}

/** Pushes xmm or m128. */
function source128(e: Emitter, i: Instruction, mustAlign: boolean): void {
  if (!memory(i)) {
    e.code.get(e.vector(i.rm));
    return;
  }
  const offset = e.access(i, 16, false);
  if (mustAlign) aligned(e, offset);
  e.code.simdMemory(0, offset);
}

/** Pushes the low 8 bytes of xmm, or m64, as i64. */
function source64(e: Emitter, i: Instruction): void {
  if (memory(i)) e.loadOperand(i, 8);
  else e.code.get(e.vector(i.rm)).simdLane(29, 0);
}

const loads = (mustAlign: boolean): Translator => (e, i) => {
  checkSse(e);
  source128(e, i, mustAlign);
  e.setVector(i.reg);
};

const stores = (mustAlign: boolean): Translator => (e, i) => {
  checkSse(e);
  if (!memory(i)) {
    e.code.get(e.vector(i.reg));
    e.setVector(i.rm);
    return;
  }
  const offset = e.access(i, 16, true);
  if (mustAlign) aligned(e, offset);
  e.code.get(e.vector(i.reg)).simdMemory(11, offset);
};

/** MOVSS and MOVSD into a register: from memory the rest becomes zero, from a register it stays. */
const loadScalar = (size: number): Translator => (e, i) => {
  checkSse(e);
  const { code } = e;
  if (memory(i)) {
    const offset = e.access(i, size, false);
    code.simdMemory(size === 8 ? 93 : 92, offset);
  } else {
    code.get(e.vector(i.reg)).get(e.vector(i.rm)).simdLane(size === 8 ? 29 : 27, 0).simdLane(size === 8 ? 30 : 28, 0);
  }
  e.setVector(i.reg);
};

const storeScalar = (size: number): Translator => (e, i) => {
  checkSse(e);
  const { code } = e;
  if (memory(i)) {
    const offset = e.access(i, size, true);
    code.get(e.vector(i.reg)).simdMemoryLane(size === 8 ? 91 : 90, offset, 0);
  } else {
    code.get(e.vector(i.rm)).get(e.vector(i.reg)).simdLane(size === 8 ? 29 : 27, 0).simdLane(size === 8 ? 30 : 28, 0);
    e.setVector(i.rm);
  }
};

/** MOVLPx and MOVHPx; MOVHLPS and MOVLHPS. */
const loadHalf = (lane: number): Translator => (e, i) => {
  checkSse(e);
  const offset = e.access(i, 8, false);
  e.code.get(e.vector(i.reg)).simdMemoryLane(87, offset, lane);
  e.setVector(i.reg);
};
const storeHalf = (lane: number): Translator => (e, i) => {
  checkSse(e);
  const offset = e.access(i, 8, true);
  e.code.get(e.vector(i.reg)).simdMemoryLane(91, offset, lane);
};
const moveHalf = (to: number, from: number): Translator => (e, i) => {
  checkSse(e);
  e.code.get(e.vector(i.reg)).get(e.vector(i.rm)).simdLane(29, from).simdLane(30, to);
  e.setVector(i.reg);
};

/** Pops an i64 into the low half; the upper one becomes zero. */
function putZeroExtended(e: Emitter, reg: number): void {
  const t = e.vectorTemp(0);
  e.code.set(L.W0).v128([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).get(L.W0).simdLane(30, 0).set(t).get(t);
  e.setVector(reg);
}

const moveIn: Translator = (e, i) => {
  checkSse(e);
  const wide = (i.flags & REXW) !== 0;
  e.rm(i, wide ? 8 : 4);
  if (!wide) e.code.op(O.I64_EXTEND_U);
  putZeroExtended(e, i.reg);
};

const moveOut: Translator = (e, i) => {
  checkSse(e);
  const { code } = e;
  const size = (i.flags & REXW) !== 0 ? 8 : 4;
  const lane = size === 8 ? 29 : 27;
  if (memory(i)) {
    const offset = e.access(i, size, true);
    code.get(e.vector(i.reg)).simdLane(lane, 0);
    e.store(size, offset);
  } else {
    code.get(e.vector(i.reg)).simdLane(lane, 0);
    e.put(i.rm, size);
  }
};

const loadQuad: Translator = (e, i) => {
  checkSse(e);
  source64(e, i);
  putZeroExtended(e, i.reg);
};

const storeQuad: Translator = (e, i) => {
  checkSse(e);
  if (memory(i)) {
    const offset = e.access(i, 8, true);
    e.code.get(e.vector(i.reg)).simdMemoryLane(91, offset, 0);
  } else {
    e.code.get(e.vector(i.reg)).simdLane(29, 0);
    putZeroExtended(e, i.rm);
  }
};

/** xmm, xmm/m128 (aligned) by one WebAssembly instruction. */
const binary = (o: number): Translator => (e, i) => {
  checkSse(e);
  const t = e.vectorTemp(0);
  source128(e, i, true);
  e.code.set(t).get(e.vector(i.reg)).get(t).simd(o);
  e.setVector(i.reg);
};

/** The same with the operands exchanged. */
const swapped = (o: number): Translator => (e, i) => {
  checkSse(e);
  source128(e, i, true);
  e.code.get(e.vector(i.reg)).simd(o);
  e.setVector(i.reg);
};

const unary = (o: number): Translator => (e, i) => {
  checkSse(e);
  source128(e, i, true);
  e.code.simd(o);
  e.setVector(i.reg);
};

/** Bytes of the destination picked by the source: zero where bit 7 is set, as swizzle gives for an index above 15. */
const pickBytes: Translator = (e, i) => {
  checkSse(e);
  const t = e.vectorTemp(0);
  source128(e, i, true);
  e.code.set(t).get(e.vector(i.reg)).get(t).i32(0x8f8f_8f8f | 0).simd(17).simd(78).simd(14);
  e.setVector(i.reg);
};

/** AES, SHA and carry-less products: the core's own function of the operands. */
const cryptography: Translator = (e, i) => {
  checkSse(e);
  const t = e.vectorTemp(0);
  source128(e, i, true);
  e.code.set(t).i32(i.op).get(e.vector(i.reg)).get(t).get(e.vector(0)).i32(i.small & 0xff).call(e.helpers.cryptoResult);
  e.setVector(i.reg);
};

/** A shuffle of the destination (bytes 0-15) and the source (16-31). */
const shuffled = (lanes: (imm: number) => number[]): Translator => (e, i) => {
  checkSse(e);
  const t = e.vectorTemp(0);
  source128(e, i, true);
  e.code.set(t).get(e.vector(i.reg)).get(t).shuffle(lanes(i.small & 0xff));
  e.setVector(i.reg);
};

/** Bytes of lanes of `size` bytes. */
const lanesOf = (size: number, picks: readonly number[]): number[] => picks.flatMap((p) => Array.from({ length: size }, (_, k) => p * size + k));
const interleave = (size: number, high: boolean): number[] => {
  const n = 16 / size;
  const from = high ? n / 2 : 0;
  return lanesOf(size, Array.from({ length: n }, (_, k) => (k & 1 ? n : 0) + from + (k >> 1)));
};
const two = (imm: number, k: number): number => imm >> (k * 2) & 3;

/** Shifts by an immediate of lanes of `bits`: a count beyond gives zero, or the sign. */
const shiftImmediate = (o: number, bits: number, arithmetic: boolean): Translator => (e, i) => {
  checkSse(e);
  const { code } = e;
  const n = i.small & 0xff;
  if (n >= bits && !arithmetic) code.v128(new Array<number>(16).fill(0));
  else code.get(e.vector(i.rm)).i32(Math.min(n, bits - 1)).simd(o);
  e.setVector(i.rm);
};

/** PSLLDQ and PSRLDQ. */
const shiftBytes = (left: boolean): Translator => (e, i) => {
  checkSse(e);
  const n = Math.min(i.small & 0xff, 16);
  e.code.get(e.vector(i.rm)).v128(new Array<number>(16).fill(0));
  e.code.shuffle(Array.from({ length: 16 }, (_, k) => left ? (k < n ? 16 : k - n) : k + n < 16 ? k + n : 16));
  e.setVector(i.rm);
};

const bitmask = (o: number): Translator => (e, i) => {
  checkSse(e);
  e.code.get(e.vector(i.rm)).simd(o);
  e.put(i.reg, 4);
};

const multiplyUnsigned: Translator = (e, i) => {
  checkSse(e);
  const t = e.vectorTemp(0);
  const { code } = e;
  const low = (): void => { code.i64(0xffff_ffffn).simd(18).simd(78); };
  source128(e, i, true);
  low();
  code.set(t).get(e.vector(i.reg));
  low();
  code.get(t).simd(213);
  e.setVector(i.reg);
};

const alignRight: Translator = (e, i) => {
  checkSse(e);
  const n = i.small & 0xff;
  const { code } = e;
  if (n >= 32) { // the address is looked at all the same
    source128(e, i, true);
    code.op(O.DROP).v128(new Array<number>(16).fill(0));
  } else if (n >= 16) {
    source128(e, i, true);
    code.op(O.DROP).get(e.vector(i.reg)).v128(new Array<number>(16).fill(0)).shuffle(Array.from({ length: 16 }, (_, k) => Math.min(k + n - 16, 16)));
  } else {
    source128(e, i, true);
    code.get(e.vector(i.reg)).shuffle(Array.from({ length: 16 }, (_, k) => k + n));
  }
  e.setVector(i.reg);
};

const insertWord: Translator = (e, i) => {
  checkSse(e);
  e.rm(i, memory(i) ? 2 : 4);
  e.code.set(L.T0).get(e.vector(i.reg)).get(L.T0).simdLane(26, i.small & 7);
  e.setVector(i.reg);
};
const extractWord: Translator = (e, i) => {
  checkSse(e);
  e.code.get(e.vector(i.rm)).simdLane(25, i.small & 7);
  e.put(i.reg, 4);
};

// ---- double precision

const PLAIN_MASK = 0x7f80;
const PLAIN = 0x1f80;
const PE = 0x20;

/** Anything but nearest rounding with all exceptions masked is the interpreter's. */
function checkRounding(e: Emitter): void {
  checkSse(e);
  if (e.roundingChecked) return;
  e.roundingChecked = true;
  e.code.get(L.CPU).memory(O.I32_LOAD, S.MXCSR).i32(PLAIN_MASK).op(O.I32_AND).i32(PLAIN).op(O.I32_NE);
  e.missIf();
}

const MAGNITUDE_1 = 1n << 53n; // smallest normal number, without its sign, times two
const ORDINARY = 0x7fen << 53n;

/** Kinds of core arithmetic (assembly/jit.ts arithmetic64). */
const KIND = { ADD: 0, SUB: 1, MUL: 2, DIV: 3, SQRT: 4 } as const;
const OPCODES = [O.F64_ADD, O.F64_SUB, O.F64_MUL, O.F64_DIV];

/** Operands (bits) in W0 and W1; leaves the result's bits on the stack. */
function arithmetic(e: Emitter, kind: number): void {
  const { code } = e;
  const notDenormal = (local: number): void => { code.get(local).i64(1).op(O.I64_SHL).i64(1).op(O.I64_SUB).i64(MAGNITUDE_1 - 1n).op(O.I64_GE_U); };
  if (kind === KIND.SQRT) code.get(L.W0).op(O.F64_REINTERPRET).op(O.F64_SQRT);
  else code.get(L.W0).op(O.F64_REINTERPRET).get(L.W1).op(O.F64_REINTERPRET).op(OPCODES[kind]);
  code.op(O.I64_REINTERPRET).tee(L.W2);
  code.i64(1).op(O.I64_SHL).i64(MAGNITUDE_1).op(O.I64_SUB).i64(ORDINARY).op(O.I64_LT_U);
  notDenormal(L.W0);
  code.op(O.I32_AND);
  if (kind !== KIND.SQRT) {
    notDenormal(L.W1);
    code.op(O.I32_AND);
  }
  code.get(L.CPU).memory(O.I32_LOAD, S.MXCSR).i32(PE).op(O.I32_AND).i32(5).op(O.I32_SHR_U).op(O.I32_AND);
  code.if(I64);
  code.get(L.W2);
  code.else();
  code.i32(kind).get(L.W0).get(L.W1).call(e.helpers.arithmetic64);
  code.end();
}

const scalarDouble = (kind: number): Translator => (e, i) => {
  checkRounding(e);
  const { code } = e;
  source64(e, i);
  if (kind === KIND.SQRT) {
    code.set(L.W0);
  } else {
    code.set(L.W1).get(e.vector(i.reg)).simdLane(29, 0).set(L.W0);
  }
  arithmetic(e, kind);
  code.set(L.W2).get(e.vector(i.reg)).get(L.W2).simdLane(30, 0);
  e.setVector(i.reg);
};

const packedDouble = (kind: number): Translator => (e, i) => {
  checkRounding(e);
  const { code } = e;
  const s = e.vectorTemp(0);
  source128(e, i, true);
  code.set(s);
  for (const lane of [0, 1]) {
    if (kind === KIND.SQRT) code.get(s).simdLane(29, lane).set(L.W0);
    else code.get(e.vector(i.reg)).simdLane(29, lane).set(L.W0).get(s).simdLane(29, lane).set(L.W1);
    arithmetic(e, kind);
    code.set(L.W2).get(e.vector(i.reg)).get(L.W2).simdLane(30, lane);
    e.setVector(i.reg);
  }
};

/** COMISD and UCOMISD; NaNs and denormals are the interpreter's. */
const compareDouble: Translator = (e, i, f) => {
  checkRounding(e);
  const { code } = e;
  source64(e, i);
  code.set(L.W1).get(e.vector(i.reg)).simdLane(29, 0).set(L.W0);
  // Ordinary numbers and zeros only.
  for (const local of [L.W0, L.W1]) {
    code.get(local).i64(1).op(O.I64_SHL).i64(1).op(O.I64_SUB).i64(MAGNITUDE_1 - 1n).op(O.I64_LT_U);
    code.get(local).i64(1).op(O.I64_SHL).i64(0x7ffn << 53n).op(O.I64_GT_U).op(O.I32_OR);
    if (local === L.W1) code.op(O.I32_OR);
  }
  e.missIf();
  if (!f.live) return;
  code.get(L.W0).op(O.F64_REINTERPRET).get(L.W1).op(O.F64_REINTERPRET).op(O.F64_LT);
  code.get(L.W0).op(O.F64_REINTERPRET).get(L.W1).op(O.F64_REINTERPRET).op(O.F64_EQ).i32(6).op(O.I32_SHL).op(O.I32_OR).set(L.STATUS);
  setKnown(e, f, LAZY.NONE);
};

/** CVTSI2SD from 32 bits: always exact. */
const fromInt32: Translator = (e, i) => {
  checkSse(e);
  e.rm(i, 4);
  e.code.op(O.F64_CONVERT_I32_S).op(O.I64_REINTERPRET).set(L.W0).get(e.vector(i.reg)).get(L.W0).simdLane(30, 0);
  e.setVector(i.reg);
};

export const SSE_ROWS = new Map<number, Row>();
const row = (ops: readonly number[], emit: Translator, more: Partial<Row> = {}): void => { for (const op of ops) SSE_ROWS.set(op, { emit, ...more }); };

row([OP.MOVUPS_LOAD, OP.MOVUPD_LOAD, OP.MOVDQU_LOAD, OP.LDDQU], loads(false));
row([OP.MOVAPS_LOAD, OP.MOVAPD_LOAD, OP.MOVDQA_LOAD], loads(true));
row([OP.MOVUPS_STORE, OP.MOVUPD_STORE, OP.MOVDQU_STORE], stores(false));
row([OP.MOVAPS_STORE, OP.MOVAPD_STORE, OP.MOVDQA_STORE, OP.MOVNTPS, OP.MOVNTPD, OP.MOVNTDQ], stores(true));
row([OP.MOVSS_LOAD], loadScalar(4));
row([OP.MOVSD_LOAD], loadScalar(8));
row([OP.MOVSS_STORE], storeScalar(4));
row([OP.MOVSD_STORE], storeScalar(8));
row([OP.MOVLPS_LOAD, OP.MOVLPD_LOAD], loadHalf(0), { when: memory });
row([OP.MOVHPS_LOAD, OP.MOVHPD_LOAD], loadHalf(1), { when: memory });
row([OP.MOVLPS_STORE, OP.MOVLPD_STORE], storeHalf(0), { when: memory });
row([OP.MOVHPS_STORE, OP.MOVHPD_STORE], storeHalf(1), { when: memory });
row([OP.MOVHLPS], moveHalf(0, 1), { when: (i) => !memory(i) });
row([OP.MOVLHPS], moveHalf(1, 0), { when: (i) => !memory(i) });
row([OP.MOVD_XMM_LOAD], moveIn);
row([OP.MOVD_XMM_STORE], moveOut);
row([OP.MOVQ_XMM_LOAD], loadQuad);
row([OP.MOVQ_XMM_STORE], storeQuad);
row([OP.MOVMSKPS], bitmask(164));
row([OP.MOVMSKPD], bitmask(196));
row([OP.PMOVMSKB_XMM], bitmask(100));
row([OP.PINSRW_XMM], insertWord);
row([OP.PEXTRW_XMM], extractWord);
row([OP.ANDPS, OP.ANDPD, OP.PAND_XMM], binary(78));
row([OP.ANDNPS, OP.ANDNPD, OP.PANDN_XMM], swapped(79));
row([OP.ORPS, OP.ORPD, OP.POR_XMM], binary(80));
row([OP.XORPS, OP.XORPD, OP.PXOR_XMM], binary(81));
for (const [op, o] of [
  [OP.PCMPEQB_XMM, 35], [OP.PCMPGTB_XMM, 39], [OP.PCMPEQW_XMM, 45], [OP.PCMPGTW_XMM, 49], [OP.PCMPEQD_XMM, 55], [OP.PCMPGTD_XMM, 59], [OP.PCMPEQQ, 214], [OP.PCMPGTQ, 217],
  [OP.PACKSSWB_XMM, 101], [OP.PACKUSWB_XMM, 102], [OP.PACKSSDW_XMM, 133], [OP.PACKUSDW, 134],
  [OP.PADDB_XMM, 110], [OP.PADDSB_XMM, 111], [OP.PADDUSB_XMM, 112], [OP.PSUBB_XMM, 113], [OP.PSUBSB_XMM, 114], [OP.PSUBUSB_XMM, 115],
  [OP.PMINSB, 118], [OP.PMINUB_XMM, 119], [OP.PMAXSB, 120], [OP.PMAXUB_XMM, 121], [OP.PAVGB_XMM, 123],
  [OP.PADDW_XMM, 142], [OP.PADDSW_XMM, 143], [OP.PADDUSW_XMM, 144], [OP.PSUBW_XMM, 145], [OP.PSUBSW_XMM, 146], [OP.PSUBUSW_XMM, 147], [OP.PMULLW_XMM, 149],
  [OP.PMINSW_XMM, 150], [OP.PMINUW, 151], [OP.PMAXSW_XMM, 152], [OP.PMAXUW, 153], [OP.PAVGW_XMM, 155],
  [OP.PADDD_XMM, 174], [OP.PSUBD_XMM, 177], [OP.PMULLD, 181], [OP.PMINSD, 182], [OP.PMINUD, 183], [OP.PMAXSD, 184], [OP.PMAXUD, 185], [OP.PMADDWD_XMM, 186],
  [OP.PADDQ_XMM, 206], [OP.PSUBQ_XMM, 209],
]) row([op], binary(o));
row([OP.PABSB_XMM], unary(96));
row([OP.PABSW_XMM], unary(128));
row([OP.PABSD_XMM], unary(160));
row([OP.PMULUDQ_XMM], multiplyUnsigned);
row([OP.PALIGNR_XMM], alignRight);
row([OP.PSHUFB_XMM], pickBytes);
row([
  OP.AESENC, OP.AESENCLAST, OP.AESDEC, OP.AESDECLAST, OP.AESIMC, OP.AESKEYGENASSIST, OP.PCLMULQDQ,
  OP.SHA1RNDS4, OP.SHA1NEXTE, OP.SHA1MSG1, OP.SHA1MSG2, OP.SHA256RNDS2, OP.SHA256MSG1, OP.SHA256MSG2,
], cryptography);
row([OP.UNPCKLPS, OP.PUNPCKLDQ_XMM], shuffled(() => interleave(4, false)));
row([OP.UNPCKHPS, OP.PUNPCKHDQ_XMM], shuffled(() => interleave(4, true)));
row([OP.UNPCKLPD, OP.PUNPCKLQDQ], shuffled(() => interleave(8, false)));
row([OP.UNPCKHPD, OP.PUNPCKHQDQ], shuffled(() => interleave(8, true)));
row([OP.PUNPCKLBW_XMM], shuffled(() => interleave(1, false)));
row([OP.PUNPCKHBW_XMM], shuffled(() => interleave(1, true)));
row([OP.PUNPCKLWD_XMM], shuffled(() => interleave(2, false)));
row([OP.PUNPCKHWD_XMM], shuffled(() => interleave(2, true)));
row([OP.SHUFPS], shuffled((m) => lanesOf(4, [two(m, 0), two(m, 1), 4 + two(m, 2), 4 + two(m, 3)])));
row([OP.SHUFPD], shuffled((m) => lanesOf(8, [m & 1, 2 + (m >> 1 & 1)])));
row([OP.PSHUFD], shuffled((m) => lanesOf(4, [4 + two(m, 0), 4 + two(m, 1), 4 + two(m, 2), 4 + two(m, 3)])));
row([OP.PSHUFLW], shuffled((m) => lanesOf(2, [8 + two(m, 0), 8 + two(m, 1), 8 + two(m, 2), 8 + two(m, 3), 12, 13, 14, 15])));
row([OP.PSHUFHW], shuffled((m) => lanesOf(2, [8, 9, 10, 11, 12 + two(m, 0), 12 + two(m, 1), 12 + two(m, 2), 12 + two(m, 3)])));
row([OP.PSLLW_XMM_IMM], shiftImmediate(139, 16, false));
row([OP.PSRAW_XMM_IMM], shiftImmediate(140, 16, true));
row([OP.PSRLW_XMM_IMM], shiftImmediate(141, 16, false));
row([OP.PSLLD_XMM_IMM], shiftImmediate(171, 32, false));
row([OP.PSRAD_XMM_IMM], shiftImmediate(172, 32, true));
row([OP.PSRLD_XMM_IMM], shiftImmediate(173, 32, false));
row([OP.PSLLQ_XMM_IMM], shiftImmediate(203, 64, false));
row([OP.PSRLQ_XMM_IMM], shiftImmediate(205, 64, false));
row([OP.PSLLDQ], shiftBytes(true));
row([OP.PSRLDQ], shiftBytes(false));
row([OP.ADDSD], scalarDouble(KIND.ADD));
row([OP.SUBSD], scalarDouble(KIND.SUB));
row([OP.MULSD], scalarDouble(KIND.MUL));
row([OP.DIVSD], scalarDouble(KIND.DIV));
row([OP.SQRTSD], scalarDouble(KIND.SQRT));
row([OP.ADDPD], packedDouble(KIND.ADD));
row([OP.SUBPD], packedDouble(KIND.SUB));
row([OP.MULPD], packedDouble(KIND.MUL));
row([OP.DIVPD], packedDouble(KIND.DIV));
row([OP.SQRTPD], packedDouble(KIND.SQRT));
row([OP.COMISD, OP.UCOMISD], compareDouble, { sets: true });
row([OP.CVTSI2SD], fromInt32, { when: (i) => (i.flags & REXW) === 0 });
