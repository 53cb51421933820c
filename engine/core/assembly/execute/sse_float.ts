/**
 * SSE floating-point arithmetic, comparison and rounding.
 *
 * @spec   SDM vol. 2; rows: engine/core/tables/opcodes/sse_float.ts
 * @cover  #Y all rows, all rounding modes, DAZ, FTZ, exact exception flags, unmasked exceptions
 */
import { raise, UD } from '../fault';
import {
  OP_ADDPD, OP_ADDPS, OP_ADDSD, OP_ADDSS, OP_ADDSUBPD, OP_ADDSUBPS, OP_CMPPD, OP_CMPPS, OP_CMPSD_XMM, OP_CMPSS, OP_COMISD, OP_COMISS,
  OP_DIVPD, OP_DIVPS, OP_DIVSD, OP_DIVSS, OP_DPPD, OP_DPPS, OP_HADDPD, OP_HADDPS, OP_HSUBPD, OP_HSUBPS, OP_MAXPD, OP_MAXPS, OP_MAXSD,
  OP_MAXSS, OP_MINPD, OP_MINPS, OP_MINSD, OP_MINSS, OP_MULPD, OP_MULPS, OP_MULSD, OP_MULSS, OP_RCPPS, OP_RCPSS, OP_ROUNDPD, OP_ROUNDPS,
  OP_ROUNDSD, OP_ROUNDSS, OP_RSQRTPS, OP_RSQRTSS, OP_SQRTPD, OP_SQRTPS, OP_SQRTSD, OP_SQRTSS, OP_SUBPD, OP_SUBPS, OP_SUBSD, OP_SUBSS,
  OP_UCOMISD, OP_UCOMISS,
} from '../gen/ops';
import { addFloat, compareFlags, compareFloat, divFloat, isPeculiar, maxFloat, minFloat, mulFloat, sqrtFloat, subFloat, toFloat } from '../sse/arithmetic';
import { reciprocal, reciprocalRoot } from '../sse/approximate';
import { signal } from '../sse/mxcsr';
import { checkSse, destination, imm8, setStatusFlags, source128, source32, source64 } from '../sse/operand';
import { roundFloat } from '../sse/round';
import { isNan, operand } from '../sse/soft';
import { ADD, addSub32, addSub64, compare32, compare64, DIV, dot32, dot64, MAX, MIN, MUL, packed32, packed64, SQRT, SUB } from '../sse/vector';

const ZF_PF_CF: u32 = 0x45;
const ZF: u32 = 0x40;
const CF: u32 = 1;

// @ts-ignore: decorator
@inline function put64(d: usize, v: u64): void { signal(); store<u64>(d, v); }
// @ts-ignore: decorator
@inline function put32(d: usize, v: u64): void { signal(); store<u32>(d, <u32>v); }
// @ts-ignore: decorator
@inline function put128(d: usize, v: v128): void { signal(); store<v128>(d, v); }
// @ts-ignore: decorator
@inline function arithmetic64(op: u32, rec: usize): void { const s = source128(rec); const d = destination(rec); put128(d, packed64(op, load<v128>(d), s)); }
// @ts-ignore: decorator
@inline function arithmetic32(op: u32, rec: usize): void { const s = source128(rec); const d = destination(rec); put128(d, packed32(op, load<v128>(d), s)); }

export function execSseFloat(op: u32, rec: usize): void {
  checkSse();
  const d = destination(rec);
  switch (op) {
    case OP_ADDSD: { const s = source64(rec); put64(d, addFloat<f64>(load<u64>(d), s)); break; }
    case OP_SUBSD: { const s = source64(rec); put64(d, subFloat<f64>(load<u64>(d), s)); break; }
    case OP_MULSD: { const s = source64(rec); put64(d, mulFloat<f64>(load<u64>(d), s)); break; }
    case OP_DIVSD: { const s = source64(rec); put64(d, divFloat<f64>(load<u64>(d), s)); break; }
    case OP_SQRTSD: put64(d, sqrtFloat<f64>(source64(rec))); break;
    case OP_MINSD: { const s = source64(rec); put64(d, minFloat<f64>(load<u64>(d), s)); break; }
    case OP_MAXSD: { const s = source64(rec); put64(d, maxFloat<f64>(load<u64>(d), s)); break; }
    case OP_ADDSS: { const s = source32(rec); put32(d, addFloat<f32>(<u64>load<u32>(d), <u64>s)); break; }
    case OP_SUBSS: { const s = source32(rec); put32(d, subFloat<f32>(<u64>load<u32>(d), <u64>s)); break; }
    case OP_MULSS: { const s = source32(rec); put32(d, mulFloat<f32>(<u64>load<u32>(d), <u64>s)); break; }
    case OP_DIVSS: { const s = source32(rec); put32(d, divFloat<f32>(<u64>load<u32>(d), <u64>s)); break; }
    case OP_SQRTSS: put32(d, sqrtFloat<f32>(<u64>source32(rec))); break;
    case OP_MINSS: { const s = source32(rec); put32(d, minFloat<f32>(<u64>load<u32>(d), <u64>s)); break; }
    case OP_MAXSS: { const s = source32(rec); put32(d, maxFloat<f32>(<u64>load<u32>(d), <u64>s)); break; }
    case OP_ADDPD: arithmetic64(ADD, rec); break;
    case OP_SUBPD: arithmetic64(SUB, rec); break;
    case OP_MULPD: arithmetic64(MUL, rec); break;
    case OP_DIVPD: arithmetic64(DIV, rec); break;
    case OP_MINPD: arithmetic64(MIN, rec); break;
    case OP_MAXPD: arithmetic64(MAX, rec); break;
    case OP_SQRTPD: arithmetic64(SQRT, rec); break;
    case OP_ADDPS: arithmetic32(ADD, rec); break;
    case OP_SUBPS: arithmetic32(SUB, rec); break;
    case OP_MULPS: arithmetic32(MUL, rec); break;
    case OP_DIVPS: arithmetic32(DIV, rec); break;
    case OP_MINPS: arithmetic32(MIN, rec); break;
    case OP_MAXPS: arithmetic32(MAX, rec); break;
    case OP_SQRTPS: arithmetic32(SQRT, rec); break;
    case OP_COMISD:
    case OP_UCOMISD: compare<f64>(load<u64>(d), source64(rec), op == OP_COMISD); break;
    case OP_COMISS:
    case OP_UCOMISS: compare<f32>(<u64>load<u32>(d), <u64>source32(rec), op == OP_COMISS); break;
    case OP_CMPSD_XMM: {
      const s = source64(rec);
      put64(d, compareFloat<f64>(load<u64>(d), s, imm8(rec) & 7) ? 0xffffffffffffffff : 0);
      break;
    }
    case OP_CMPSS: {
      const s = source32(rec);
      put32(d, compareFloat<f32>(<u64>load<u32>(d), <u64>s, imm8(rec) & 7) ? 0xffffffff : 0);
      break;
    }
    case OP_CMPPD: { const s = source128(rec); put128(d, compare64(imm8(rec) & 7, load<v128>(d), s)); break; }
    case OP_CMPPS: { const s = source128(rec); put128(d, compare32(imm8(rec) & 7, load<v128>(d), s)); break; }
    case OP_HADDPD: { const s = source128(rec); const a = load<v128>(d); put128(d, packed64(ADD, i64x2.shuffle(a, s, 0, 2), i64x2.shuffle(a, s, 1, 3))); break; }
    case OP_HSUBPD: { const s = source128(rec); const a = load<v128>(d); put128(d, packed64(SUB, i64x2.shuffle(a, s, 0, 2), i64x2.shuffle(a, s, 1, 3))); break; }
    case OP_HADDPS: { const s = source128(rec); const a = load<v128>(d); put128(d, packed32(ADD, i32x4.shuffle(a, s, 0, 2, 4, 6), i32x4.shuffle(a, s, 1, 3, 5, 7))); break; }
    case OP_HSUBPS: { const s = source128(rec); const a = load<v128>(d); put128(d, packed32(SUB, i32x4.shuffle(a, s, 0, 2, 4, 6), i32x4.shuffle(a, s, 1, 3, 5, 7))); break; }
    case OP_ADDSUBPD: { const s = source128(rec); put128(d, addSub64(load<v128>(d), s)); break; }
    case OP_ADDSUBPS: { const s = source128(rec); put128(d, addSub32(load<v128>(d), s)); break; }
    case OP_DPPD: { const s = source128(rec); put128(d, dot64(load<v128>(d), s, imm8(rec))); break; }
    case OP_DPPS: { const s = source128(rec); put128(d, dot32(load<v128>(d), s, imm8(rec))); break; }
    case OP_ROUNDSD: put64(d, roundFloat<f64>(source64(rec), imm8(rec))); break;
    case OP_ROUNDSS: put32(d, roundFloat<f32>(<u64>source32(rec), imm8(rec))); break;
    case OP_ROUNDPD: {
      const s = source128(rec);
      const imm = imm8(rec);
      const low = roundFloat<f64>(i64x2.extract_lane(s, 0), imm);
      const high = roundFloat<f64>(i64x2.extract_lane(s, 1), imm);
      put128(d, i64x2.replace_lane(i64x2.splat(<i64>low), 1, <i64>high));
      break;
    }
    case OP_ROUNDPS: {
      const s = source128(rec);
      const imm = imm8(rec);
      let r = i32x4.splat(<i32>roundFloat<f32>(<u64><u32>i32x4.extract_lane(s, 0), imm));
      r = i32x4.replace_lane(r, 1, <i32>roundFloat<f32>(<u64><u32>i32x4.extract_lane(s, 1), imm));
      r = i32x4.replace_lane(r, 2, <i32>roundFloat<f32>(<u64><u32>i32x4.extract_lane(s, 2), imm));
      r = i32x4.replace_lane(r, 3, <i32>roundFloat<f32>(<u64><u32>i32x4.extract_lane(s, 3), imm));
      put128(d, r);
      break;
    }
    case OP_RCPSS: store<u32>(d, reciprocal(source32(rec))); break;
    case OP_RSQRTSS: store<u32>(d, reciprocalRoot(source32(rec))); break;
    case OP_RCPPS: {
      const s = source128(rec);
      let r = i32x4.splat(<i32>reciprocal(i32x4.extract_lane(s, 0)));
      r = i32x4.replace_lane(r, 1, <i32>reciprocal(i32x4.extract_lane(s, 1)));
      r = i32x4.replace_lane(r, 2, <i32>reciprocal(i32x4.extract_lane(s, 2)));
      store<v128>(d, i32x4.replace_lane(r, 3, <i32>reciprocal(i32x4.extract_lane(s, 3))));
      break;
    }
    case OP_RSQRTPS: {
      const s = source128(rec);
      let r = i32x4.splat(<i32>reciprocalRoot(i32x4.extract_lane(s, 0)));
      r = i32x4.replace_lane(r, 1, <i32>reciprocalRoot(i32x4.extract_lane(s, 1)));
      r = i32x4.replace_lane(r, 2, <i32>reciprocalRoot(i32x4.extract_lane(s, 2)));
      store<v128>(d, i32x4.replace_lane(r, 3, <i32>reciprocalRoot(i32x4.extract_lane(s, 3))));
      break;
    }
    default: raise(UD);
  }
}

/** COMISx and UCOMISx: ZF PF CF tell unordered (111), greater (000), less (001), equal (100). */
// @ts-ignore: decorator
@inline function compare<T>(first: u64, second: u64, signaling: bool): void {
  if (isPeculiar<T>(first) || isPeculiar<T>(second)) {
    compareFlags<T>(first, second, signaling);
    signal();
    if (isNan<T>(first) || isNan<T>(second)) { setStatusFlags(ZF_PF_CF); return; }
  }
  const a = toFloat<T>(operand<T>(first));
  const b = toFloat<T>(operand<T>(second));
  setStatusFlags(a > b ? 0 : a < b ? CF : ZF);
}
