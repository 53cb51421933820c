import { beforeAll, describe, expect, test } from 'vitest';
import { loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { inBothModes, vector } from './jit_both_test_machine.ts';
import { CODE, STACK, type JitMachine } from './jit_test_machine.ts';
import { J } from './jit/layout.ts';

const EXCEPTION = 0;
const GP = 13; const PF = 14;
const CODE_TABLE = 0x4000; // the page table of the first 2 MiB
const CALLED = CODE + 0x1000;

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');
/** add rax,imm8; ret */
const adds = (imm: string): Buffer => bytes(`4883c0${imm} c3`);

/** `again` at CODE, what it calls at CALLED. */
function withCalled(again: string): Buffer {
  const code = Buffer.alloc(0x2000, 0xf4);
  bytes(again).copy(code, 0);
  adds('05').copy(code, 0x1000);
  return code;
}

describe.each([
  ['in one function with what they lead to', 24, false], ['in one optimised function with what they lead to', 24, true], ['from function to function', 1, false],
])('jumps %s', (_name, pages, optimiseAtOnce) => {
  const both = (code: Buffer, prepare: (m: JitMachine) => void, reason?: number): JitMachine => inBothModes(module, '64', code, (m) => {
    if (m.core.jit !== undefined) {
      m.core.jit.limits.region.pages = pages;
      m.core.jit.limits.optimiseAtOnce = optimiseAtOnce;
    }
    m.setGpr(0, 0n);
    m.setGpr(3, BigInt(CALLED));
    prepare(m);
  }, reason);

  /** CALLED's page is, by turns, where it was and another that adds 9; R8 points to its entry. */
  const twoPages = (m: JitMachine): void => {
    m.put(adds('09'), CODE + 0x5000);
    m.setGpr(8, BigInt(CODE_TABLE + (CALLED >> 12) * 8));
    m.setGpr(9, BigInt(CALLED | 3));
    m.setGpr(10, BigInt(CODE + 0x5000 | 3));
    m.setGpr(11, m.core.u64(S.CR3));
    m.setGpr(5, 4000n);
  };

  test.each([
    // again: call; xchg r9,r10; mov [r8],r9; invlpg [rbx] or mov cr3,r11; dec rbp; jnz again; hlt
    ['INVLPG, through a register', 'ffd3 4d87d1 4d8908 0f013b 48ffcd 75f0 f4'],
    ['INVLPG, direct', 'e8fb0f0000 4d87d1 4d8908 0f013b 48ffcd 75ed f4'],
    ['MOV CR3, through a register', 'ffd3 4d87d1 4d8908 410f22db 48ffcd 75ef f4'],
    ['MOV CR3, direct', 'e8fb0f0000 4d87d1 4d8908 410f22db 48ffcd 75ec f4'],
  ])('lead to what is mapped there now: %s', (_by, again) => {
    const m = both(withCalled(again), twoPages);
    expect(m.gpr(0)).toBe(2000n * (5n + 9n));
  });

  test.each([
    // again: call; inc ecx; test cl,63; jnz on; xchg r9,r10; mov [rbx+3],r9b; on: dec rbp; jnz again; hlt
    ['through a register', 'ffd3 ffc1 f6c13f 7507 4d87d1 44884b03 48ffcd 75eb f4'],
    ['direct', 'e8fb0f0000 ffc1 f6c13f 7507 4d87d1 44884b03 48ffcd 75e8 f4'],
  ])('lead to the code that is there now: %s', (_how, again) => {
    const m = both(withCalled(again), (on) => {
      on.setGpr(1, 0n);
      on.setGpr(5, 6400n);
      on.setGpr(9, 5n);
      on.setGpr(10, 9n);
    });
    expect(m.gpr(0)).toBe(64n * 50n * (5n + 9n));
  });

  // again: call CALLED; xchg r9,r10; mov [r8],r9; mov ecx,flushes; inner: mov cr3,r11; dec ecx; jnz inner; dec rbp; jnz again; hlt
  test.each([2045, 2046, 2047, 2048, 4094, 4095])('lead to what is mapped there now after %i flushes: keys come again for slots, never for pages', (flushes) => {
    const count = Buffer.alloc(4);
    count.writeUInt32LE(flushes);
    const again = (call: string, back: string): Buffer => withCalled(`${call} 4d87d1 4d8908 b9${count.toString('hex')} 410f22db ffc9 75f8 48ffcd 75${back} f4`);
    for (const code of [again('e8fb0f0000', 'e3'), again('ffd3', 'e6')]) {
      const m = both(code, (on) => { twoPages(on); on.setGpr(5, 40n); });
      expect(m.gpr(0)).toBe(20n * (5n + 9n));
    }
  });

  test('go on where they should when all keys are used up: the functions are forgotten', () => {
    const m = both(withCalled('ffd3 e8f90f0000 48ffcd 75f4 f4'), (on) => {
      on.setGpr(5, 40_000n);
      if (on.core.jit === undefined) return;
      do on.core.run(10_000); while (on.core.jit.statistics.functions === 0);
      expect(on.core.jit.statistics.flushes).toBe(0);
      on.core.setU32(J.KEYS_SPENT, 1);
      on.core.syncAfterStateWrite();
    });
    expect(m.gpr(0)).toBe(400_000n);
    expect(m.core.jit!.statistics.flushes).toBe(1);
    expect(m.core.u32(J.KEYS_SPENT)).toBe(0);
  });

  test('that lead to the same places again and again stay in compiled code', () => {
    const m = both(withCalled('ffd3 e8f90f0000 48ffcd 75f4 f4'), (on) => { on.setGpr(5, 40_000n); });
    expect(m.gpr(0)).toBe(400_000n);
    expect(m.core.u64(S.INSTRUCTIONS) - m.core.u64(J.EXECUTED)).toBeLessThan(1000n);
    expect(m.core.u64(J.ENTERED)).toBeLessThan(500n);
  });
});

describe('RET', () => {
  // 0: dec rbp; cmovz r12,r13; push r12; 9: ret; 10: jmp 0
  const RETURNS = bytes('48ffcd 4d0f44e5 4154 c3 ebf4');
  const RET_AT = BigInt(CODE + 9);
  const prepare = (to: bigint) => (m: JitMachine): void => {
    m.setGpr(5, 3000n);
    m.setGpr(12, BigInt(CODE + 10));
    m.setGpr(13, to);
  };
  const asUser = (m: JitMachine): void => {
    for (const table of [0x1000, 0x2000, 0x3000, 0x3008]) m.ram.writeBigUInt64LE(m.ram.readBigUInt64LE(table) | 7n, table);
    for (let at = CODE_TABLE; at < 0x6000; at += 8) m.ram.writeBigUInt64LE(m.ram.readBigUInt64LE(at) | 7n, at);
    m.core.setU32(S.SEG_ATTR + 4, 0xa0fb);
    m.core.setU32(S.SEG_ATTR + 8, 0xc0f3);
    m.core.syncAfterStateWrite();
  };

  describe.each([['supervisor', () => {}], ['user', asUser]])('by the %s', (_who, become) => {
    test.each([0x8000_0000_0000n, 0xffff_7fff_ffff_f000n, 0xdead_0000_0010_000an])('to %s, which is not canonical, is #GP(0) and pops nothing', (to) => {
      const m = inBothModes(module, '64', RETURNS, (on) => { become(on); prepare(to)(on); }, EXCEPTION, 1000);
      expect(vector(m)).toBe(GP);
      expect(m.core.u64(S.RIP)).toBe(RET_AT);
      expect(m.gpr(4)).toBe(BigInt(STACK - 8));
    });

    test.each([0xffff_8000_0000_0000n, 0x7fff_ffff_f000n])('to %s, where nothing is, is a page fault there', (to) => {
      const m = inBothModes(module, '64', RETURNS, (on) => { become(on); prepare(to)(on); }, EXCEPTION, 1000);
      expect(vector(m)).toBe(PF);
      expect(m.core.u64(S.RIP)).toBe(to);
      expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(to);
      expect(m.gpr(4)).toBe(BigInt(STACK));
    });
  });
});
