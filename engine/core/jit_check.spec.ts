/** Lock-step checking: silent where compiled code is right, and loud where it is not. */
import { beforeAll, expect, test } from 'vitest';
import { EXIT, loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { JitDifference } from './jit/check.ts';
import { CODE, DATA, JitMachine } from './jit_test_machine.ts';

const { BUDGET, HLT } = EXIT;
let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function run(m: JitMachine): number {
  let reason: number;
  do reason = m.core.run(100_000); while (reason === BUDGET);
  return reason;
}

/** What is added, so that both halves change. */
const STEP = (1n << 33n) + 1n;
/** again: add rax,rbx; mov [rdi],rax; push rax; pop rdx; dec ecx; jnz again; hlt */
const LOOP = bytes('4801d8 488907 50 5a ffc9 75f4 f4');

function looping(): JitMachine {
  const m = new JitMachine(module, 'check', 4);
  m.put(LOOP);
  m.start();
  m.setGpr(0, 0n);
  m.setGpr(1, 5000n);
  m.setGpr(3, STEP);
  m.setGpr(7, BigInt(DATA));
  return m;
}

test('code that is compiled rightly runs to its end, each instruction once', () => {
  const m = looping();
  expect(run(m)).toBe(HLT);
  expect(m.gpr(0)).toBe(5000n * STEP);
  expect(m.ram.readBigUInt64LE(DATA)).toBe(5000n * STEP);
  expect(m.core.u64(S.INSTRUCTIONS)).toBe(5000n * 6n + 1n);
  expect(m.core.lockStep!.statistics.instructions).toBeGreaterThan(25_000);
  expect(m.core.lockStep!.statistics.cutShort).toBe(0);
});

/** Swaps a WebAssembly opcode in what is compiled. */
function miscompile(m: JitMachine, from: readonly number[], to: readonly number[]): void {
  m.core.jit!.onModule = (module) => {
    for (let at = module.indexOf(from[0]); at >= 0; at = module.indexOf(from[0], at + 1)) {
      if (from.every((byte, i) => module[at + i] === byte)) module.set(to, at);
    }
  };
}

test('a wrong register is found', () => {
  const m = looping();
  miscompile(m, [0x7c, 0x21], [0x7d, 0x21]); // i64.add; local.set: i64.sub
  let difference: unknown;
  try { run(m); } catch (error) { difference = error; }
  expect(difference).toBeInstanceOf(JitDifference);
  expect((difference as Error).message).toMatch(/compiled [0-9a-f]+, interpreted [0-9a-f]+[^]*add rax,rbx/);
});

test('a wrong byte in memory is found', () => {
  const m = looping();
  miscompile(m, [0x37, 0x00, 0x00], [0x3e, 0x00, 0x00]); // i64.store at offset 0: i64.store32
  expect(() => run(m)).toThrow(/HPA 20000[4-7]: compiled [0-9a-f]+, interpreted [0-9a-f]+/);
});

test('a switch of PCID that is taken back and done again mixes up no translations', () => {
  const m = looping();
  const OTHER = 0x2_0000; // a second set of tables, where DATA is two pages further on
  const NOFLUSH = 1n << 63n;
  for (const [at, to] of [[OTHER, 0x2_1000], [0x2_1000, 0x2_2000], [0x2_2000, 0x4000], [0x2_2008, 0x2_3000], [0x2_3000, DATA + 0x2000], [0x2_3008, DATA + 0x3000]]) {
    m.ram.writeBigUInt64LE(BigInt(to | 3), at);
  }
  m.ram.writeBigUInt64LE(1n, DATA + 0xffc);
  m.ram.writeBigUInt64LE(2n, DATA + 0x2ffc);
  m.core.setU64(S.CR4, m.core.u64(S.CR4) | 0x2_0000n); // PCIDE
  const here = m.core.u64(S.CR3) | 1n;
  m.core.setU64(S.CR3, here);
  m.core.syncAfterStateWrite();
  m.setGpr(2, 0n);
  m.setGpr(6, 0n);
  m.setGpr(7, BigInt(DATA + 0xffc)); // across two pages: the interpreter reads it, with what translations there are
  m.setGpr(8, here | NOFLUSH);
  m.setGpr(9, BigInt(OTHER) | 2n | NOFLUSH);
  // again: mov cr3,r8; mov rax,[rdi]; mov cr3,r9; mov rbx,[rdi]; add rsi,rax; add rdx,rbx; dec ecx; jnz again; hlt
  m.put(bytes('410f22d8 488b07 410f22d9 488b1f 4801c6 4801da ffc9 75e8 f4'));
  expect(run(m)).toBe(HLT);
  expect([m.gpr(6), m.gpr(2)]).toEqual([5000n, 10_000n]);
  expect(m.core.lockStep!.statistics.compared).toBeGreaterThan(1000);
});

test('what reaches out of the CPU is left to the interpreter, and happens once', () => {
  const m = new JitMachine(module, 'check', 4);
  m.put(bytes('4801ca e680 ffc9 75f7 f4')); // again: add rdx,rcx; out 0x80,al; dec ecx; jnz again; hlt
  m.start();
  m.setGpr(1, 200n);
  m.setGpr(2, 0n);
  while (run(m) !== HLT);
  expect(m.gpr(2)).toBe(200n * 201n / 2n);
  expect(m.exits.filter((reason) => reason === EXIT.IO_INSTRUCTION)).toHaveLength(200);
  expect(m.core.lockStep!.statistics.cutShort).toBeGreaterThan(0);
});

test('a function of several pages is compared like any other', () => {
  const m = new JitMachine(module, 'check', 4);
  m.put(bytes('e8fb0f0000 ffc9 75f7 f4')); // again: call 0x1000; dec ecx; jnz again; hlt
  m.put(bytes('4801d8 488907 c3'), CODE + 0x1000); // add rax,rbx; mov [rdi],rax; ret
  m.start();
  m.setGpr(0, 0n);
  m.setGpr(1, 5000n);
  m.setGpr(3, STEP);
  m.setGpr(7, BigInt(DATA));
  expect(run(m)).toBe(HLT);
  expect(m.ram.readBigUInt64LE(DATA)).toBe(5000n * STEP);
  expect(m.core.jit!.statistics.regions).toBeGreaterThan(0);
  expect(m.core.lockStep!.statistics.instructions).toBeGreaterThan(25_000);
});
