import { beforeAll, describe, expect, test } from 'vitest';
import { Batch, CODE_ADDRESS, FX, IN, WINDOW_BYTES } from '../../test/differential/case.ts';
import { generateCase, loadSources, type Source } from '../../test/differential/generate.ts';
import { Random } from '../../test/differential/random.ts';
import { generateSequence, sequencePool } from '../../test/differential/sequence.ts';
import { loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { compiledInstructions, inBothModes } from './jit_both_test_machine.ts';
import { CODE, DATA, JitMachine, MAPPED, STACK } from './jit_test_machine.ts';
import { J } from './jit/layout.ts';

const HLT = 12;
const BUDGET = 0x100;
const EXTERNAL_INTERRUPT = 1;

let module: WebAssembly.Module;
let sources: Source[];
beforeAll(async () => {
  module = await loadCoreModule();
  ({ sources } = await loadSources({ has: () => true } as unknown as ReadonlySet<string>));
});

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');

/** Puts a case's state into a machine. */
function load(m: JitMachine, b: Batch): void {
  const o = b.offset(0);
  const { core, ram } = m;
  ram.fill(0, DATA, DATA + 4096 - WINDOW_BYTES);
  b.bytes.copy(ram, DATA + 4096 - WINDOW_BYTES, o + IN.WINDOW, o + IN.BYTES);
  const state = Buffer.from(core.memory.buffer, core.view.byteOffset, 0x1000);
  b.bytes.copy(state, S.GPR, o + IN.GPR, o + IN.GPR + 128);
  const fx = o + IN.FX;
  b.bytes.copy(state, S.XMM, fx + FX.XMM, fx + FX.XMM + 256);
  core.setU32(S.MXCSR, b.bytes.readUInt32LE(fx + FX.MXCSR));
  const fcw = b.bytes.readUInt16LE(fx + FX.FCW) & 0x1f3f | 0x40;
  core.setU16(S.FCW, fcw);
  core.setU16(S.FSW, b.bytes.readUInt16LE(fx + FX.FSW) & 0x7f00 | b.bytes.readUInt16LE(fx + FX.FSW) & fcw & 0x7f);
  const inUse = b.bytes.readUInt8(fx + FX.FTW);
  core.setU16(S.FTW, [0, 1, 2, 3, 4, 5, 6, 7].reduce((tags, i) => inUse >> i & 1 ? tags : tags | 3 << i * 2, 0));
  b.bytes.copy(state, S.FPR, fx + FX.ST, fx + FX.ST + 128);
  for (const field of [S.FOP, S.FCS, S.FDS]) core.setU16(field, 0);
  for (const field of [S.FIP, S.FDP]) core.setU64(field, 0n);
  core.setU64(S.RIP, BigInt(CODE_ADDRESS));
  for (const field of [S.INTERRUPTIBILITY, S.EXIT_INTR_INFO]) core.setU32(field, 0);
  for (const field of [S.INSTRUCTIONS, S.EXIT_QUALIFICATION]) core.setU64(field, 0n);
  core.setFlags(Number(b.bytes.readBigUInt64LE(o + IN.RFLAGS)));
}

/** Runs a case twice on a machine, so that the second run is compiled code, and tells what is left. */
function outcome(m: JitMachine, b: Batch): string {
  const code = Buffer.alloc(320, 0xf4);
  b.code(0).copy(code);
  m.put(code, CODE + 0x100);
  let reason = 0;
  for (let pass = 0; pass < 2; pass += 1) {
    load(m, b);
    reason = m.core.run(10_000);
  }
  const mxcsr = m.core.u32(S.MXCSR).toString(16);
  const x87 = [S.FCW, S.FSW, S.FTW, S.FOP, S.FCS, S.FDS].map((field) => m.core.u16(field).toString(16)).join(' ');
  const registers = Buffer.from(m.core.memory.buffer, m.core.view.byteOffset + S.FPR, 128).toString('hex');
  return `code ${b.code(0).toString('hex')}\nreason ${reason} vector ${m.core.u32(S.EXIT_INTR_INFO).toString(16)} mxcsr ${mxcsr}\nx87 ${x87} ${m.core.u64(S.FIP).toString(16)} ${m.core.u64(S.FDP).toString(16)} ${registers}\n${m.state()}\n${m.ram.toString('hex', DATA, DATA + 4096)}`;
}

function compare(count: number, make: (b: Batch) => void): void {
  const pairs = (['64', 'compatibility'] as const).map((width) => {
    const compiler = new JitMachine(module, 'on', 1, width);
    compiler.core.jit!.limits.compilations = Infinity;
    return { interpreter: new JitMachine(module, 'off', 1, width), compiler };
  });
  for (let n = 0; n < count; n += 1) {
    const b = new Batch(1);
    make(b);
    const { interpreter, compiler } = pairs[b.mode(0)];
    expect(outcome(compiler, b)).toBe(outcome(interpreter, b));
  }
  expect(compiledInstructions(pairs[0].compiler) + compiledInstructions(pairs[1].compiler)).toBeGreaterThan(count / 2);
  expect(compiledInstructions(pairs[1].compiler)).toBeGreaterThan(0);
}

describe('compiled code leaves registers, flags, memory, faults and the instruction count as the interpreter does', () => {
  for (const family of ['alu', 'shift', 'muldiv', 'bit', 'mov', 'stack', 'branch', 'string', 'sse', 'sse_integer', 'sse_float', 'sse_convert', 'x87']) {
    test(`single instructions: ${family}`, () => {
      const r = new Random(0x11 + family.length);
      const source = sources.find((s) => s.family === family)!;
      compare(150, (b) => generateCase(b, source, r.pick(source.forms), r));
    });
  }

  test('sequences', () => {
    const r = new Random(0x77);
    const pool = sequencePool(sources, 'sequence');
    compare(250, (b) => generateSequence(b, 'sequence', pool, r));
  });

  test('sequences on the x87 stack', () => {
    const r = new Random(0x87);
    const pool = sequencePool(sources, 'x87_sequence');
    compare(250, (b) => generateSequence(b, 'x87_sequence', pool, r));
  });
});

const both = (code: Buffer, prepare: (m: JitMachine) => void, reason?: number): JitMachine => inBothModes(module, '64', code, prepare, reason);

test('a loop over memory counts every instruction', () => {
  // again: mov rax,[rsi+rcx*8]; add rax,rbx; xor rdx,rax; mov [rdi+rcx*8],rdx; inc rcx; and rcx,0x1ff; dec rbp; jnz again; hlt
  const m = both(bytes('488b04ce 4801d8 4831c2 488914cf 48ffc1 4881e1ff010000 48ffcd 75e3 f4'), (on) => {
    on.setGpr(6, BigInt(DATA));
    on.setGpr(7, BigInt(DATA + 0x2000));
    on.setGpr(3, 0x12345678n);
    on.setGpr(5, 50_000n);
  });
  expect(m.core.u64(S.INSTRUCTIONS)).toBe(400_001n);
});

test('a page fault in a compiled loop shows the state in front of the faulting instruction', () => {
  // again: add rax,3; mov [rdi],rax; add rdi,8; jmp again
  const m = both(bytes('4883c003 488907 4883c708 ebf3'), (on) => on.setGpr(7, BigInt(MAPPED - 0x3004)), 0);
  expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 4));
  expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(BigInt(MAPPED));
});

test('a store into the page that is running takes effect on the next instruction', () => {
  // again: mov [rip+1 -> imm of add],cl; add eax,imm32; inc ecx; cmp ecx,200; jne again; hlt
  both(bytes('880d01000000 0500000000 ffc1 81f9c8000000 75e9 f4'), () => {});
});

test('flags of rotates are there for whatever looks at them, and for faults', () => {
  const rotates = ['c1c803', 'c1c003', '48c1c803', '66c1c803', 'c0c803', 'd1c8', '48d1c0', 'c1c820', '66c1c010', 'c10e03', 'd106'];
  // adc, setz, cmovz, inc, bt, shl cl, ror cl, stc, cmc, pushf, lahf, mul, add, xadd, cmpxchg, jnz, shr, neg, xor, div, ror, clc, mov from and to
  // unmapped memory, and ror there
  const followers = ['83d001', '0f94c0', '0f44c1', 'ffc0', '0fbae003', 'd3e0', 'd3c8', 'f9', 'f5', '9c58', '9f', 'f7e1', '0306', '0fc1c8', '0fb1c8', '7500', 'c1e803', 'f7d8',
    '3106', 'f7f1', 'c1c805', 'f8', '8b07', '8907', 'c10f05'];
  const interpreter = new JitMachine(module, 'off');
  const compiler = new JitMachine(module, 'on', 1);
  compiler.core.jit!.limits.compilations = Infinity;
  const run = (m: JitMachine, code: Buffer): string => {
    m.put(code);
    for (let pass = 0; pass < 2; pass += 1) {
      m.start(CODE, 0x8d7);
      m.core.setU64(S.INSTRUCTIONS, 0n);
      m.ram.fill(0x5a, DATA, DATA + 16);
      [0x8000_0000_9234_5678n, 3n, 0n, 0n].forEach((v, r) => m.setGpr(r, v));
      m.setGpr(6, BigInt(DATA));
      m.setGpr(7, BigInt(MAPPED));
      m.core.run(1000);
    }
    return `${code.toString('hex')}\n${m.state()}\n${m.ram.toString('hex', DATA, DATA + 16)}`;
  };
  for (const before of ['', '01c8', '31c9', '48ffc8', 'c1e805']) {
    for (const a of rotates) for (const b of followers) for (const c of ['', 'd1c0']) {
      const code = Buffer.concat([bytes(before + a + c + b), Buffer.alloc(16, 0xf4)]);
      expect(run(compiler, code)).toBe(run(interpreter, code));
    }
  }
  expect(compiledInstructions(compiler)).toBeGreaterThan(5000);
});

test('calls, returns and indirect jumps between pages', () => {
  const code = Buffer.alloc(0x2000, 0xf4);
  // again: call 0x1000; call [rdi]; dec rbp; jnz again; hlt
  bytes('e8fb0f0000 ff17 48ffcd 75f4 f4').copy(code, 0);
  bytes('4801d8 c3').copy(code, 0x1000); //             add rax,rbx; ret
  bytes('4829ca 4c8d1d03000000 41ffe3 4883c207 c3').copy(code, 0x1100);
  const m = both(code, (on) => {
    on.ram.writeBigUInt64LE(BigInt(CODE + 0x1100), DATA);
    on.setGpr(7, BigInt(DATA));
    on.setGpr(3, 5n);
    on.setGpr(1, 2n);
    on.setGpr(5, 10_000n);
  });
  expect(m.gpr(0)).toBe(50_000n);
});

test('pushes and pops in a row, within a page of the stack and across two', () => {
  // again: push rax; lea rdx,[rsp]; push rbx; push 5; push rcx; pop rsi; pop rdi; pop r8; pop rax; add rax,rdi; sub rsp,0x28; dec rbp; jnz again; hlt
  const m = both(bytes('50 488d1424 53 6a05 51 5e 5f 4158 58 4801f8 4883ec28 48ffcd 75e6 f4'), (on) => {
    on.setGpr(0, 1n);
    on.setGpr(1, 0x1234n);
    on.setGpr(3, 0x5678n);
    on.setGpr(5, 1000n);
  });
  expect(m.gpr(0)).toBe(5001n);
  expect(m.gpr(4)).toBe(BigInt(STACK - 1000 * 0x28));
});

test('a fault in the middle of pushes in a row shows what the ones before it have done', () => {
  // again: mov rsp,r9; push rax; push rbx; push rcx; dec rbp; cmovz r9,r10; jmp again
  const m = both(bytes('4c89cc 50 53 51 48ffcd 4d0f44ca ebf1'), (on) => {
    on.setGpr(0, 0x1111n);
    on.setGpr(3, 0x2222n);
    on.setGpr(5, 100n);
    on.setGpr(9, BigInt(STACK));
    on.setGpr(10, 0x3000_0010n); // the page below is not mapped
  }, 0);
  expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 5));
  expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(0x2fff_fff8n);
  expect(m.gpr(4)).toBe(0x3000_0000n);
  expect(m.ram.readBigUInt64LE(DATA)).toBe(0x2222n);
});

test('an endless compiled loop ends with its budget and for an event', () => {
  const m = new JitMachine(module, 'on', 4);
  m.put(bytes('ffc0 ebfc'));
  m.start();
  expect(m.core.run(1_000_000)).toBe(BUDGET);
  const ran = Number(m.core.u64(S.INSTRUCTIONS));
  expect(ran).toBeGreaterThanOrEqual(1_000_000);
  expect(ran).toBeLessThan(1_010_000);
  expect(compiledInstructions(m)).toBeGreaterThan(900_000);
  m.core.setU32(S.EVENT_FLAGS, 1);
  expect(m.core.run(1_000_000)).toBe(EXTERNAL_INTERRUPT);
});

test('a full table is emptied and filled anew', () => {
  const m = new JitMachine(module, 'on', 2);
  m.core.jit!.limits.functions = 3;
  const code = Buffer.alloc(0x8000, 0xf4);
  // Page n: add rax,n; jump to the next page; the last one counts down and starts again.
  for (let page = 0; page < 8; page += 1) {
    bytes('4883c001').copy(code, page * 0x1000);
    if (page < 7) bytes('e9f70f0000').copy(code, page * 0x1000 + 4);
    else bytes('48ffcd 0f85f38fffff f4').copy(code, page * 0x1000 + 4);
  }
  m.put(code);
  m.start();
  m.setGpr(5, 500n);
  m.setGpr(0, 0n);
  let left: number;
  do left = m.core.run(100_000); while (left === BUDGET);
  expect(left).toBe(HLT);
  expect(m.gpr(0)).toBe(4000n);
  expect(m.core.jit!.statistics.flushes).toBeGreaterThan(1);
});

test('pages that share a TLB entry are found, and a changed page-table entry is seen after INVLPG', () => {
  const far = 0x2000_1000; // shares its TLB entry with CODE's neighbour
  const entry = 0x6008; //    page-table entry of `far`
  // again: mov [r8],r9; invlpg [rsi]; mov rax,[rsi]; add rbx,rax; mov [rdi],rbx; the same with r10; dec rbp; jnz again; hlt
  const m = both(bytes('4d8908 0f013e 488b06 4801c3 48891f 4d8910 0f013e 488b06 4801c3 48891f 48ffcd 75dd f4'), (on) => {
    on.ram.writeBigUInt64LE(7n, DATA);
    on.ram.writeBigUInt64LE(0x1234n, DATA + 0x1000);
    on.setGpr(3, 0n);
    on.setGpr(5, 2000n);
    on.setGpr(6, BigInt(far));
    on.setGpr(7, BigInt(CODE + 0x1000));
    on.setGpr(8, BigInt(entry));
    on.setGpr(9, BigInt(DATA + 0x1000 | 3));
    on.setGpr(10, BigInt(DATA | 3));
  });
  expect(m.gpr(3)).toBe(2000n * (0x1234n + 7n));
  expect(compiledInstructions(m)).toBeGreaterThan(20_000);
});

test('REP MOVSB between pages that share a TLB entry copies every byte', () => {
  // again: mov rsi,r8; mov rdi,r9; mov rcx,r10; rep movsb; dec rbp; jnz again; hlt
  const m = both(bytes('4c89c6 4c89cf 4c89d1 f3a4 48ffcd 75f0 f4'), (on) => {
    on.ram.writeBigUInt64LE(BigInt(DATA | 3), 0x6008);
    for (let i = 0; i < 3000; i += 1) on.ram[DATA + i] = (i * 37) & 0xff;
    on.setGpr(5, 200n);
    on.setGpr(8, 0x2000_1000n);
    on.setGpr(9, BigInt(CODE + 0x1000));
    on.setGpr(10, 3000n);
  });
  expect(m.ram.compare(m.ram, DATA, DATA + 3000, CODE + 0x1000, CODE + 0x1000 + 3000)).toBe(0);
});

describe('pages with many steps between them become one function', () => {
  const SECOND = CODE + 0x1000;
  const OTHER = CODE + 0x5000;

  /** What is added by the second page's code, which the first page calls 4,000 times: add rax,imm32; ret. */
  const adding = (n: number): Buffer => bytes(`4805${n.toString(16).padStart(2, '0')}000000 c3`);
  const prepare = (m: JitMachine): void => {
    m.put(adding(3), SECOND);
    m.put(adding(7), OTHER);
    m.setGpr(0, 0n);
    m.setGpr(1, 0n);
    m.setGpr(6, BigInt(SECOND));
    m.setGpr(8, 0x4808n); // page-table entry of SECOND
    m.setGpr(9, BigInt(OTHER | 3));
  };
  const expectJoined = (m: JitMachine): void => expect(m.core.jit!.statistics.regions).toBeGreaterThan(0);

  test('steps between them are not noted any more', () => {
    const code = Buffer.alloc(0x3000, 0xf4);
    bytes('e8fb0f0000 ffd7 48ffcd 75f4 f4').copy(code, 0); // again: call 0x1000; call rdi; dec rbp; jnz again; hlt
    bytes('4801d8 0f84f70f0000 e9f20f0000').copy(code, 0x1000); // add rax,rbx; jz 0x2000; jmp 0x2000
    bytes('48ffc2 c3').copy(code, 0x2000); // inc rdx; ret
    const m = both(code, (on) => {
      on.setGpr(0, 0n);
      on.setGpr(2, 0n);
      on.setGpr(3, 5n);
      on.setGpr(5, 10_000n);
      on.setGpr(7, BigInt(CODE + 0x2000));
    });
    expect(m.gpr(0)).toBe(50_000n);
    expect(m.gpr(2)).toBe(20_000n);
    expectJoined(m);
    expect(m.core.u32(J.STEPS_NOTED)).toBeLessThan(4000); // of some 50,000 steps every fifth is
  });

  test('a store into another of them takes effect on the next instruction', () => {
    // again: call SECOND; inc ecx; cmp ecx,2000; jne on; mov byte [SECOND + 2],7; on: cmp ecx,4000; jne again; hlt
    const m = both(bytes('e8fb0f0000 ffc1 81f9d0070000 7507 c605ec0f000007 81f9a00f0000 75e2 f4'), prepare);
    expect(m.gpr(0)).toBe(2000n * 3n + 2000n * 7n);
    expectJoined(m);
  });

  test('a page that is mapped elsewhere from now on is not run any more', () => {
    // again: call SECOND; inc ecx; cmp ecx,2000; jne on; mov [r8],r9; invlpg [rsi]; on: cmp ecx,4000; jne again; hlt
    const m = both(bytes('e8fb0f0000 ffc1 81f9d0070000 7506 4d8908 0f013e 81f9a00f0000 75e3 f4'), prepare);
    expect(m.gpr(0)).toBe(2000n * 3n + 2000n * 7n);
    expectJoined(m);
  });

  test('what a device or another pCPU has written to one of them is run from then on', () => {
    const m = new JitMachine(module, 'on', 4);
    m.put(bytes('e8fb0f0000 ebf9')); // again: call SECOND; jmp again
    prepare(m);
    m.start();
    m.core.run(100_000);
    expectJoined(m);
    m.put(adding(0), SECOND);
    m.core.run(1);
    const sum = m.gpr(0);
    m.core.run(100_000);
    expect(m.gpr(0)).toBe(sum);
  });

  test('the budget and events end a loop that runs through them', () => {
    const m = new JitMachine(module, 'on', 4);
    m.put(bytes('e9fb0f0000'));
    m.put(bytes('e9fbefffff'), SECOND);
    m.start();
    expect(m.core.run(1_000_000)).toBe(BUDGET);
    expect(Number(m.core.u64(S.INSTRUCTIONS))).toBeLessThan(1_010_000);
    expectJoined(m);
    m.core.setU32(S.EVENT_FLAGS, 1);
    expect(m.core.run(1_000_000)).toBe(EXTERNAL_INTERRUPT);
  });
});

/** Runs `megabytes` of code that no two pages of are alike, 200 pages at a time, each page twice as compiled code. */
function runDistinctCode(m: JitMachine, megabytes: number, watch: () => void): void {
  const pages = 200;
  const code = Buffer.alloc(pages * 4096);
  let n = 0;
  for (let done = 0; done < megabytes * 256; done += pages) {
    let sum = 0n;
    for (let page = 0; page < pages; page += 1) {
      let at = page * 4096;
      for (let k = 0; k < 670; k += 1, at += 6) { // add rax,imm32
        n = (n + 0x9e3779b1) | 0;
        code.writeUInt16LE(0x0548, at);
        code.writeInt32LE(n, at + 2);
        sum += BigInt(n);
      }
      if (page < pages - 1) bytes('e9').copy(code, at); // jmp next page
      else bytes('48ffcd 0f85').copy(code, at); //         dec rbp; jnz first page
      at += page < pages - 1 ? 1 : 5;
      code.writeInt32LE((page < pages - 1 ? (page + 1) * 4096 : 0) - at - 4, at);
      code[at + 4] = 0xf4;
    }
    m.put(code);
    m.start();
    m.setGpr(0, 0n);
    m.setGpr(5, 4n);
    let left: number;
    do left = m.core.run(1_000_000); while (left === BUDGET);
    expect(left).toBe(HLT);
    expect(m.gpr(0)).toBe(BigInt.asUintN(64, sum * 4n));
    watch();
  }
}

test('the code cache is bounded: it is emptied when it is full, and code goes on being compiled', () => {
  const m = new JitMachine(module, 'on', 2);
  m.core.jit!.limits.instructions = 100 * 670;
  m.core.jit!.limits.compilations = Infinity;
  let ran = 0;
  runDistinctCode(m, 2, () => {
    expect(m.core.jit!.live).toBeLessThanOrEqual(100);
    expect(compiledInstructions(m) - ran).toBeGreaterThan(100 * 670);
    ran = compiledInstructions(m);
  });
  expect(m.core.jit!.statistics.flushes).toBeGreaterThan(1);
});

test('code that others have taken the place of is forgotten without emptying the cache', () => {
  const m = new JitMachine(module, 'on', 2);
  m.core.jit!.limits.compilations = Infinity;
  runDistinctCode(m, 3, () => { expect(m.core.jit!.live).toBeLessThanOrEqual(200); });
  expect(m.core.jit!.statistics.functions).toBeGreaterThan(600);
  expect(m.core.jit!.statistics.flushes).toBe(0);
});

test.skipIf(process.env['ACRN_TEST_FULL'] !== '1')('200 MB of distinct code: memory stays bounded', { timeout: 1_200_000 }, () => {
  const m = new JitMachine(module, 'on', 2);
  m.core.jit!.limits.compilations = Infinity;
  const start = process.memoryUsage().rss;
  let most = 0;
  runDistinctCode(m, 200, () => { most = Math.max(most, process.memoryUsage().rss - start); });
  expect(m.core.jit!.statistics.instructions).toBeGreaterThan(200 * 256 * 670 * 0.9);
  expect(most / 2 ** 20).toBeLessThan(350);
});
