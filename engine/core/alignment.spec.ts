/** Alignment checks at CPL 3 with CR0.AM and RFLAGS.AC: SDM vol. 3, 6.15 (interrupt 17), table of alignment by data type. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadCoreModule } from './core.ts';
import { CODE, CoreTestMachine, DATA, STACK } from './core_test_machine.ts';
import { S } from './gen/state.ts';
import { J } from './jit/layout.ts';

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const ALIGNMENT = -1 - 17;
/** HLT at CPL 3: the instruction before it was carried out. */
const ENDED = -1 - 13;
const RSP = 4;
const AC_FLAG = 0x4_0000;
const NOT_ENTERED = 0x7fff_ffff;

const bytes = (hex: string): number[] => (hex.match(/[0-9a-f]{2}/g) ?? []).map((b) => parseInt(b, 16));

/** Runs one instruction, RBX, RSI and RDI at DATA + offset; the second time for certain compiled when the JIT is on. */
function outcome(hex: string, offset: number, jit: 'off' | 'on', { user = true, flags = AC_FLAG, stack = STACK } = {}): { left: number; rip: number; compiled: boolean } {
  const m = new CoreTestMachine(module, undefined, { jit, jitThreshold: 1 });
  m.long64(user);
  m.load(bytes(hex));
  let left = 0;
  for (let pass = 0; pass < 2; pass += 1) {
    m.core.setU64(S.RIP, BigInt(CODE));
    for (const register of [3, 6, 7]) m.setReg(register, BigInt(DATA + offset));
    m.setReg(1, 2n);
    m.setReg(RSP, BigInt(stack));
    m.core.setU16(S.FCW, 0x37f);
    m.core.setU16(S.FTW, 0xffff);
    m.core.setFlags(2 | flags);
    m.core.setU32(J.LEFT, NOT_ENTERED);
    left = m.run();
  }
  return { left, rip: m.rip, compiled: m.core.u32(J.LEFT) !== NOT_ENTERED };
}

/** [what, code, offset that faults, offset that does not] */
const OPERANDS: ReadonlyArray<readonly [string, string, number, number]> = [
  ['a word', '66 8b 03', 1, 2],
  ['a doubleword', '8b 03', 2, 4],
  ['a quadword', '48 8b 03', 4, 8],
  ['a stored word', '66 89 03', 1, 2],
  ['a stored doubleword', '89 03', 1, 4],
  ['a stored quadword', '48 89 03', 4, 8],
  ['a read-modify-write', '01 03', 2, 4],
  ['a LOCKed doubleword', 'f0 83 03 01', 2, 4],
  ['XCHG', '48 87 03', 4, 8],
  ['MOVSS', 'f3 0f 10 03', 2, 4],
  ['MOVSD', 'f2 0f 10 03', 4, 8],
  ['MOVQ to memory', '66 0f d6 03', 4, 8],
  ['PMOVZXBW', '66 0f 38 30 03', 4, 8],
  ['a double extended value', 'db 2b', 4, 8],
  ['FNSTENV', 'd9 33', 2, 4],
  ['FNSAVE, by its doublewords', 'dd 33', 2, 4],
  ['FNSTENV with 16-bit operands', '66 d9 33', 1, 2],
  ['MASKMOVDQU', '66 0f f7 c9', 4, 8],
  ['a bit string', '0f ab 0b', 2, 4],
  ['MOVSQ, repeated', 'f3 48 a5', 4, 8],
  ['LODSD', 'ad', 2, 4],
];

describe.each(['off', 'on'] as const)('JIT %s', (jit) => {
  test.each(OPERANDS)('%s: #AC(0) at the instruction for an odd address, none for an aligned one', (_, hex, odd, even) => {
    const fault = outcome(hex, odd, jit);
    expect(fault.left).toBe(ALIGNMENT);
    expect(fault.rip).toBe(CODE);
    expect(outcome(hex, even, jit).left).toBe(ENDED);
    if (jit === 'on') expect(fault.compiled).toBe(true);
  });

  test.each(OPERANDS)('%s: no #AC at CPL 0, nor with RFLAGS.AC clear', (_, hex, odd) => {
    expect(outcome(hex, odd, jit, { user: false }).left).toBe(12); // HLT
    expect(outcome(hex, odd, jit, { flags: 0 }).left).toBe(ENDED);
  });

  test('16-byte operands of MOVUPS and bytes have no alignment to be checked', () => {
    for (const hex of ['0f 10 03', '0f 11 03', 'f2 0f f0 03', '8a 03', '88 03', 'a4']) expect(outcome(hex, 1, jit).left).toBe(ENDED);
  });

  test('pushes, pops, calls and returns check the stack pointer', () => {
    for (const hex of ['50', '58', '9c', '9d', 'e8 00 00 00 00', 'c3', 'c8 08 00 00', '66 50']) {
      expect(outcome(hex, 0, jit, { stack: STACK - (hex === '66 50' ? 9 : 12) }).left).toBe(ALIGNMENT);
    }
  });

  test('FXSAVE: #AC for an area not on four bytes, #GP for one not on sixteen', () => {
    expect(outcome('0f ae 03', 2, jit).left).toBe(ALIGNMENT);
    const general = outcome('0f ae 03', 4, jit);
    expect([general.left, general.rip]).toEqual([-1 - 13, CODE]);
    expect(outcome('0f ae 03', 2, jit, { flags: 0 }).rip).toBe(CODE);
  });

  test('an address that is not canonical is #GP before it is unaligned', () => {
    const m = new CoreTestMachine(module, undefined, { jit, jitThreshold: 1 });
    m.long64(true);
    m.load(bytes('48 8b 03'));
    m.setReg(3, 0x8000_0000_0000_0001n);
    m.core.setFlags(2 | AC_FLAG);
    expect(m.run()).toBe(-1 - 13);
    expect(m.rip).toBe(CODE);
  });
});
