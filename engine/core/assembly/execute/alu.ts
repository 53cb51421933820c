/**
 * ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT ADCX ADOX.
 *
 * @spec SDM vol. 2
 */
import { cpu } from '../cpu';
import {
  CF, LAZY_ADC, LAZY_ADD, LAZY_DEC, LAZY_INC, LAZY_SBB, LAZY_SUB, OF, carryFlag, readFlags, setLazy, setLazyLogic,
} from '../flags';
import {
  OP_ADCX, OP_ADD_EG, OP_ADOX, OP_CMP_EI, OP_DEC, OP_DEC_G, OP_INC, OP_INC_G, OP_NEG, OP_NOT, OP_TEST_AI, OP_TEST_EG, OP_TEST_EI,
} from '../gen/ops';
import { S_FLAGS } from '../gen/state';
import { recImm, recReg, recSize } from '../record';
import { extend, readReg, readRm, rmwLoad, rmwStore, unsigned, writeReg } from './int_operand';

const ALU_ADD: u32 = 0; const ALU_OR: u32 = 1; const ALU_ADC: u32 = 2; const ALU_SBB: u32 = 3;
const ALU_AND: u32 = 4; const ALU_SUB: u32 = 5; const ALU_XOR: u32 = 6; const ALU_CMP: u32 = 7;

/** kind as in bits 5:3 of the opcode; carry is CF before, for ADC and SBB. Sets the flags, returns the result. */
export function alu(kind: u32, size: u32, a: i64, b: i64, carry: u32): i64 {
  let r: i64;
  switch (kind) {
    case ALU_ADD:
      r = extend(a + b, size);
      setLazy(LAZY_ADD, r, a, b);
      return r;
    case ALU_ADC:
      r = extend(a + b + <i64>carry, size);
      setLazy(carry ? LAZY_ADC : LAZY_ADD, r, a, b);
      return r;
    case ALU_SBB:
      r = extend(a - b - <i64>carry, size);
      setLazy(carry ? LAZY_SBB : LAZY_SUB, r, a, b);
      return r;
    case ALU_OR: r = a | b; break;
    case ALU_AND: r = a & b; break;
    case ALU_XOR: r = a ^ b; break;
    default:
      r = extend(a - b, size);
      setLazy(LAZY_SUB, r, a, b);
      return r;
  }
  setLazyLogic(r);
  return r;
}

export function execAlu(op: u32, rec: usize): void {
  const size = recSize(rec);
  if (op <= OP_CMP_EI) {
    const kind = (op - OP_ADD_EG) >> 2;
    const carry = kind == ALU_ADC || kind == ALU_SBB ? carryFlag() : 0;
    switch ((op - OP_ADD_EG) & 3) {
      case 0: modify(kind, rec, size, readReg(recReg(rec), size), carry); break;
      case 1: {
        const reg = recReg(rec);
        const r = alu(kind, size, readReg(reg, size), readRm(rec, size), carry);
        if (kind != ALU_CMP) writeReg(reg, size, r);
        break;
      }
      case 2: {
        const r = alu(kind, size, readReg(0, size), extend(recImm(rec), size), carry);
        if (kind != ALU_CMP) writeReg(0, size, r);
        break;
      }
      default: modify(kind, rec, size, extend(recImm(rec), size), carry); break;
    }
    return;
  }
  switch (op) {
    case OP_TEST_EG: setLazyLogic(readRm(rec, size) & readReg(recReg(rec), size)); break;
    case OP_TEST_AI: setLazyLogic(readReg(0, size) & extend(recImm(rec), size)); break;
    case OP_TEST_EI: setLazyLogic(readRm(rec, size) & extend(recImm(rec), size)); break;
    case OP_INC_G: writeReg(recReg(rec), size, increment(size, readReg(recReg(rec), size))); break;
    case OP_DEC_G: writeReg(recReg(rec), size, decrement(size, readReg(recReg(rec), size))); break;
    case OP_INC: while (!rmwStore(rec, size, increment(size, rmwLoad(rec, size)))) {} break;
    case OP_DEC: while (!rmwStore(rec, size, decrement(size, rmwLoad(rec, size)))) {} break;
    case OP_NOT: while (!rmwStore(rec, size, ~rmwLoad(rec, size))) {} break;
    case OP_NEG: while (!rmwStore(rec, size, alu(ALU_SUB, size, 0, rmwLoad(rec, size), 0))) {} break;
    default: addWithFlag(op, rec, size); break;
  }
}

function modify(kind: u32, rec: usize, size: u32, b: i64, carry: u32): void {
  if (kind == ALU_CMP) {
    alu(kind, size, readRm(rec, size), b, 0);
    return;
  }
  // The flags of a try that lost the race are overwritten by the next one.
  while (!rmwStore(rec, size, alu(kind, size, rmwLoad(rec, size), b, carry))) {}
}

/** INC and DEC keep CF: it moves from the lazy state to FLAGS. Only after the operand was read: reading may fault. */
function increment(size: u32, a: i64): i64 {
  keepCarry();
  const r = extend(a + 1, size);
  setLazy(LAZY_INC, r, a, 1);
  return r;
}

function decrement(size: u32, a: i64): i64 {
  keepCarry();
  const r = extend(a - 1, size);
  setLazy(LAZY_DEC, r, a, 1);
  return r;
}

// @ts-ignore: decorator
@inline function keepCarry(): void {
  store<u32>(cpu, (load<u32>(cpu, S_FLAGS) & ~CF) | carryFlag(), S_FLAGS);
}

/** ADCX adds with and into CF alone, ADOX with and into OF alone. */
function addWithFlag(op: u32, rec: usize, size: u32): void {
  const b = unsigned(readRm(rec, size), size);
  const reg = recReg(rec);
  const a = unsigned(readReg(reg, size), size);
  const flags = readFlags();
  const bit = op == OP_ADCX ? CF : OF;
  const carry = (flags & bit) != 0;
  const r = unsigned(<i64>(a + b + <u64>carry), size);
  const out = carry ? r <= a : r < a;
  store<u32>(cpu, out ? flags | bit : flags & ~bit, S_FLAGS);
  writeReg(reg, size, <i64>r);
}
