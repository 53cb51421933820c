/**
 * Cases of several instructions in a row: flags that one instruction leaves and the next one reads, partial registers,
 * faults in the middle of a block.
 */
import type { Form } from '../../engine/core/tables/encoding.ts';
import { type Batch, CODE_ADDRESS, CODE_BYTES, IN } from './case.ts';
import { Encoder, segmentBases } from './encode.ts';
import type { Source } from './generate.ts';
import { Random, integer } from './random.ts';
import { fillState } from './state.ts';
import { AF, CF, OF, STATUS, undefinedAfter } from './undefined.ts';

/** Status flags that an op always defines; ops not named here define none and read none, or are READERS. */
const DEFINES: ReadonlyArray<readonly [RegExp, number]> = [
  [/^(ADD|ADC|SUB|SBB|CMP|NEG|XADD|CMPXCHG)(_|$)/, STATUS], [/^(INC|DEC)(_G)?$/, STATUS & ~CF], [/^(AND|OR|XOR|TEST)_/, STATUS & ~AF],
  [/^(STC|CLC)$/, CF], [/^POPCNT$/, STATUS], [/^SAHF$/, STATUS & ~OF], [/^I?MUL(_|$)/, CF | OF], [/^(U?COMIS|PTEST)/, STATUS],
];
const READERS = /^(ADC|SBB|RC[LR]|CMOV|SET|J|LOOP|LAHF|PUSHF|CMC|ADCX|ADOX)/;
/** Count in CL: with a count of zero no flag changes, else some are undefined. */
const BY_CL = /_(EC|C)$/;

const INTEGER = /^(ADD|OR|ADC|SBB|AND|SUB|XOR|CMP|TEST|INC|DEC|NOT|NEG|RO[LR]|RC[LR]|SH[LR]|SA[LR]|MOV_(EG|GE|GI|EI)|MOVSXD|MOV[SZ]X|LEA|XCHG|XADD|CMPXCHG|BSWAP|CBW|CWD|CMOV|SET|MUL|IMUL|DIV|IDIV|POPCNT|BT[SRC]?_EI|PUSH_G|POP_G|PUSH_I|PUSHF|SAHF|LAHF|CMC|CLC|STC|NOP)/;
const VECTOR = /^(P(ADD|SUB|AND|OR|XOR|CMP|UNPCK|SHUFD)[A-Z0-9]*_?X?M?M?|MOVD_XMM|MOVQ_XMM|MOVDQU|PTEST|PMOVMSKB_XMM)/;
const X87 = /^(FARITH|FLD_|FST_|FXCH|FCHS|FABS|FSQRT|FCOM|FUCOM|FTST|FXAM|FILD|FIST|FISTTP|FCMOVCC|FINCSTP|FDECSTP|FFREE|FNSTSW|FNSTCW|FLDCW|FNCLEX|FRNDINT|FSCALE|FPREM|FXTRACT|FWAIT|EMMS|PADD|PXOR|MOVQ_MMX)/;

export type SequenceKind = 'sequence' | 'x87_sequence';

/** The forms a sequence is drawn from. */
export function sequencePool(sources: readonly Source[], kind: SequenceKind): Form[] {
  const families = kind === 'sequence' ? /^(alu|shift|mov|muldiv|bit|stack|sse|sse_integer|sse4)$/ : /^(x87|mmx)$/;
  return sources.filter((s) => families.test(s.family)).flatMap((s) => s.forms).filter((f) => {
    const { op, mode } = f.row;
    if (mode === 'i64' || f.imm === 8) return false; // 8: memory offset
    return kind === 'sequence' ? (INTEGER.test(op) && !/^CMPXCHG\d/.test(op)) || VECTOR.test(op) : X87.test(op);
  });
}

export function generateSequence(batch: Batch, kind: SequenceKind, pool: readonly Form[], r: Random, bits16 = false): void {
  const mode = bits16 ? 2 : r.chance(0.15) ? 1 : 0;
  const o = batch.offset(batch.count);
  const b = batch.bytes;
  b.fill(0, o, o + CODE_BYTES);
  const gpr = new BigUint64Array(16);
  for (let i = 0; i < 16; i += 1) gpr[i] = integer(r);
  const none = new Set<number>();
  const wanted = 2 + r.below(5);
  const ops: string[] = [];
  let length = 0;
  const bases = segmentBases(r);
  b.writeBigUInt64LE(bases[0], o + IN.FS_BASE);
  b.writeBigUInt64LE(bases[1], o + IN.GS_BASE);
  let undefined_ = 0;
  fillState(b.subarray(o, o + IN.BYTES), gpr, kind, r.pick(pool), mode, r);
  for (let tries = 0; ops.length < wanted && tries < 60; tries += 1) {
    const form = r.pick(pool);
    const { op } = form.row;
    if (mode !== 0 && (form.row.mode === 'o64' || form.rexW === 'W1')) continue;
    if (undefined_ !== 0 && READERS.test(op)) continue;
    const encoder = new Encoder(form, mode, r, gpr, none, CODE_ADDRESS + length, true, bases);
    const bytes = encoder.encode(kind);
    if (/^SH[LR]D_/.test(op) && encoder.operandBytes === 2) continue; // a count above 16 leaves the result undefined
    if (length + bytes.length > CODE_BYTES - 2) break;
    bytes.copy(b, o + length);
    length += bytes.length;
    ops.push(op);
    if (BY_CL.test(op)) { undefined_ = STATUS; continue; }
    const defined = DEFINES.find(([name]) => name.test(op))?.[1] ?? 0;
    undefined_ = (undefined_ & ~defined) | undefinedAfter(op, encoder.operandBytes, /_E1$/.test(op) ? 1 : Number(encoder.immediate & 0xffn)).flags;
  }
  if (mode !== 0) for (let i = 0; i < 16; i += 1) gpr[i] = i < 8 ? gpr[i] & 0xffff_ffffn : 0n;
  b.writeUInt32LE(length, o + IN.LENGTH);
  b.writeUInt32LE(mode, o + IN.MODE);
  for (let i = 0; i < 16; i += 1) b.writeBigUInt64LE(gpr[i], o + IN.GPR + i * 8);
  b.writeBigUInt64LE(BigInt(0x202 | (r.u32() & STATUS) | (r.chance(0.02) ? 0x4_0000 : 0)), o + IN.RFLAGS);
  batch.infos.push({
    family: kind, ops, undefinedFlags: undefined_, undefinedResult: false, x87Ulps: 0, approximate: false, image: 0, wordSize: 4, maskFaultFlags: true,
  });
}
