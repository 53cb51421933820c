/**
 * Conversions between integers, single and double precision.
 *
 * @spec  SDM vol. 2: CVT*; rows: engine/core/tables/opcodes/sse_convert.ts
 * @cover #Y all rows, the MMX forms included
 */
import { gpr32, gpr64, setGpr32, setGpr64 } from '../cpu';
import { raise, UD } from '../fault';
import {
  OP_CVTDQ2PD, OP_CVTDQ2PS, OP_CVTPD2DQ, OP_CVTPD2PI, OP_CVTPD2PS, OP_CVTPI2PD, OP_CVTPI2PS, OP_CVTPS2DQ, OP_CVTPS2PD, OP_CVTPS2PI,
  OP_CVTSD2SI, OP_CVTSD2SS, OP_CVTSI2SD, OP_CVTSI2SS, OP_CVTSS2SD, OP_CVTSS2SI, OP_CVTTPD2DQ, OP_CVTTPD2PI, OP_CVTTPS2DQ, OP_CVTTPS2PI,
  OP_CVTTSD2SI, OP_CVTTSS2SI,
} from '../gen/ops';
import { linear, read32, read64 } from '../mmu';
import { isMem, recFlags, recReg, recRm, REC_REXW } from '../record';
import { fromInteger, narrow, widen } from '../sse/convert';
import { RC_ZERO, roundingControl, signal } from '../sse/mxcsr';
import { checkMmx, checkSse, destination, enterMmx, mmx, setMmx, source128, source32, source64 } from '../sse/operand';
import { toInt32, toInt64, widened } from '../sse/round';

// @ts-ignore: decorator
@inline function pair64(low: u64, high: u64): v128 { return i64x2.replace_lane(i64x2.splat(<i64>low), 1, <i64>high); }
// @ts-ignore: decorator
@inline function pair32(low: u64, high: u64): u64 { return low | high << 32; }

export function execSseConvert(op: u32, rec: usize): void {
  checkSse();
  const d = destination(rec);
  switch (op) {
    case OP_CVTSI2SD: {
      if ((recFlags(rec) & REC_REXW) != 0) {
        const r = fromInteger<f64>(isMem(rec) ? read64(linear(rec, 8, false)) : gpr64(recRm(rec)));
        signal();
        store<u64>(d, r);
      } else {
        const v = isMem(rec) ? read32(linear(rec, 4, false)) : gpr32(recRm(rec));
        store<f64>(d, <f64><i32>v);
      }
      break;
    }
    case OP_CVTSI2SS: {
      const v: i64 = (recFlags(rec) & REC_REXW) != 0
        ? <i64>(isMem(rec) ? read64(linear(rec, 8, false)) : gpr64(recRm(rec)))
        : <i64><i32>(isMem(rec) ? read32(linear(rec, 4, false)) : gpr32(recRm(rec)));
      const r = fromInteger<f32>(v);
      signal();
      store<u32>(d, <u32>r);
      break;
    }
    case OP_CVTTSD2SI: toRegister(rec, source64(rec), RC_ZERO); break;
    case OP_CVTSD2SI: toRegister(rec, source64(rec), roundingControl()); break;
    case OP_CVTTSS2SI: toRegister(rec, widened(source32(rec)), RC_ZERO); break;
    case OP_CVTSS2SI: toRegister(rec, widened(source32(rec)), roundingControl()); break;
    case OP_CVTSS2SD: {
      const r = widen(<u64>source32(rec));
      signal();
      store<u64>(d, r);
      break;
    }
    case OP_CVTSD2SS: {
      const r = narrow(source64(rec));
      signal();
      store<u32>(d, <u32>r);
      break;
    }
    case OP_CVTPS2PD: {
      const s = source64(rec);
      const r = pair64(widen(s & 0xffffffff), widen(s >> 32));
      signal();
      store<v128>(d, r);
      break;
    }
    case OP_CVTPD2PS: {
      const s = source128(rec);
      const r = pair32(narrow(i64x2.extract_lane(s, 0)), narrow(i64x2.extract_lane(s, 1)));
      signal();
      store<v128>(d, pair64(r, 0));
      break;
    }
    case OP_CVTDQ2PD: {
      const s = source64(rec);
      store<v128>(d, f64x2.convert_low_i32x4_s(i64x2.splat(s)));
      break;
    }
    case OP_CVTDQ2PS: {
      const s = source128(rec);
      const r = pair64(
        pair32(fromInteger<f32>(i32x4.extract_lane(s, 0)), fromInteger<f32>(i32x4.extract_lane(s, 1))),
        pair32(fromInteger<f32>(i32x4.extract_lane(s, 2)), fromInteger<f32>(i32x4.extract_lane(s, 3))));
      signal();
      store<v128>(d, r);
      break;
    }
    case OP_CVTPS2DQ:
    case OP_CVTTPS2DQ: {
      const s = source128(rec);
      const rc = op == OP_CVTPS2DQ ? roundingControl() : RC_ZERO;
      const r = pair64(singlesToInts(i64x2.extract_lane(s, 0), rc), singlesToInts(i64x2.extract_lane(s, 1), rc));
      signal();
      store<v128>(d, r);
      break;
    }
    case OP_CVTPD2DQ:
    case OP_CVTTPD2DQ: {
      const s = source128(rec);
      const rc = op == OP_CVTPD2DQ ? roundingControl() : RC_ZERO;
      const r = doublesToInts(s, rc);
      signal();
      store<v128>(d, pair64(r, 0));
      break;
    }
    // The transition to MMX is made when the MMX register is used, even by an instruction that then raises #XM.
    case OP_CVTPI2PS: {
      const s = packedIntegers(rec);
      const r = pair32(fromInteger<f32>(<i64><i32>s), fromInteger<f32>(<i64>s >> 32));
      signal();
      store<u64>(d, r);
      break;
    }
    case OP_CVTPI2PD:
      store<v128>(d, f64x2.convert_low_i32x4_s(i64x2.splat(packedIntegers(rec))));
      break;
    case OP_CVTPS2PI:
    case OP_CVTTPS2PI: {
      checkMmx();
      const s = source64(rec);
      enterMmx();
      const r = singlesToInts(s, op == OP_CVTPS2PI ? roundingControl() : RC_ZERO);
      signal();
      setMmx(recReg(rec), r);
      break;
    }
    case OP_CVTPD2PI:
    case OP_CVTTPD2PI: {
      checkMmx();
      const s = source128(rec);
      enterMmx();
      const r = doublesToInts(s, op == OP_CVTPD2PI ? roundingControl() : RC_ZERO);
      signal();
      setMmx(recReg(rec), r);
      break;
    }
    default: raise(UD);
  }
}

/** mm/m64 of CVTPI2PS and CVTPI2PD: memory leaves the x87 state alone, as processors do for both. */
function packedIntegers(rec: usize): u64 {
  if (isMem(rec)) return read64(linear(rec, 8, false));
  checkMmx();
  enterMmx();
  return mmx(recRm(rec));
}

/** A double to the general register, 32 or 64 bits wide by REX.W. */
function toRegister(rec: usize, bits: u64, rc: u32): void {
  if ((recFlags(rec) & REC_REXW) != 0) {
    const r = toInt64(bits, rc);
    signal();
    setGpr64(recReg(rec), r);
  } else {
    const r = toInt32(bits, rc);
    signal();
    setGpr32(recReg(rec), r);
  }
}

function singlesToInts(s: u64, rc: u32): u64 {
  return pair32(<u64>toInt32(widened(<u32>s), rc), <u64>toInt32(widened(<u32>(s >> 32)), rc));
}

function doublesToInts(s: v128, rc: u32): u64 {
  return pair32(<u64>toInt32(i64x2.extract_lane(s, 0), rc), <u64>toInt32(i64x2.extract_lane(s, 1), rc));
}
