/**
 * Near branches and BOUND.
 *
 * @spec SDM vol. 2, Jcc JCXZ LOOP JMP CALL RET BOUND; vol. 1, 6.4
 */
import { CS, MODE_LONG64, RCX, gpr16, gpr32, gpr64, jumpTo, mode, nextRip, segLimit, setGpr16, setGpr32, setGpr64 } from '../cpu';
import { BR, GP, raise, raiseError } from '../fault';
import { condition, zeroFlag } from '../flags';
import {
  OP_BOUND, OP_CALL_E, OP_CALL_J, OP_JMP_E, OP_JMP_J, OP_JNLE, OP_JO, OP_JRCXZ, OP_LOOP, OP_LOOPE, OP_LOOPNE, OP_RET, OP_RET_I,
} from '../gen/ops';
import { adjustStack, linear, push, stackRead } from '../mmu';
import { recAddressSize, recImm, recReg, recSize } from '../record';
import { readMem, readReg, readRm } from './int_operand';

/** Truncates a branch target to the operand size and checks it against the code segment. */
function checked(target: u64, size: u32): u64 {
  if (mode() & MODE_LONG64) {
    if (<u64>((<i64>target << 16) >> 16) != target) raiseError(GP, 0);
    return target;
  }
  const offset = size == 2 ? target & 0xffff : target & 0xffff_ffff;
  if (<u32>offset > segLimit(CS)) raiseError(GP, 0);
  return offset;
}

export function execBranch(op: u32, rec: usize): void {
  const size = recSize(rec);
  if (op >= OP_JO && op <= OP_JNLE) {
    if (condition(op - OP_JO)) jumpTo(checked(nextRip() + recImm(rec), size));
    else jumpTo(nextRip());
    return;
  }
  switch (op) {
    case OP_JMP_J: jumpTo(checked(nextRip() + recImm(rec), size)); break;
    case OP_JMP_E: jumpTo(checked(readRm(rec, size), size)); break;
    case OP_CALL_J: {
      const target = checked(nextRip() + recImm(rec), size);
      push(nextRip(), size);
      jumpTo(target);
      break;
    }
    case OP_CALL_E: {
      const target = checked(readRm(rec, size), size);
      push(nextRip(), size);
      jumpTo(target);
      break;
    }
    case OP_RET:
    case OP_RET_I: {
      const target = checked(stackRead(0, size), size);
      adjustStack(size + (op == OP_RET_I ? <u32>recImm(rec) : 0));
      jumpTo(target);
      break;
    }
    case OP_JRCXZ: {
      const count = counter(recAddressSize(rec));
      jumpTo(count == 0 ? checked(nextRip() + recImm(rec), size) : nextRip());
      break;
    }
    case OP_LOOP:
    case OP_LOOPE:
    case OP_LOOPNE: {
      const width = recAddressSize(rec);
      const count = counter(width) - 1;
      const left = width == 8 ? count : width == 4 ? count & 0xffff_ffff : count & 0xffff;
      const taken = left != 0 && (op == OP_LOOP || zeroFlag() == (op == OP_LOOPE));
      const target = taken ? checked(nextRip() + recImm(rec), size) : nextRip();
      if (width == 8) setGpr64(RCX, left);
      else if (width == 4) setGpr32(RCX, <u32>left);
      else setGpr16(RCX, <u16>left);
      jumpTo(target);
      break;
    }
    case OP_BOUND: {
      const index = readReg(recReg(rec), size);
      const at = linear(rec, size, false);
      const least = readMem(at, size);
      linear(rec, size << 1, false);
      if (index < least || index > readMem(at + <u64>size, size)) raise(BR);
      break;
    }
  }
}

// @ts-ignore: decorator
@inline function counter(width: u32): u64 { return width == 8 ? gpr64(RCX) : width == 4 ? <u64>gpr32(RCX) : <u64>gpr16(RCX); }
