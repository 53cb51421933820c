import { beforeAll, describe, expect, test } from 'vitest';
import { loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { inBothModes } from './jit_both_test_machine.ts';
import { CODE, DATA, type JitMachine } from './jit_test_machine.ts';
import { J } from './jit/layout.ts';
import { layout } from './tables/layout.ts';

const EXCEPTION = 0;
const CODE_TABLE = 0x4000; // the page table of the first 2 MiB
const DATA_TABLE = 0x5000; // of the next

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');

const both = (code: Buffer, prepare: (m: JitMachine) => void, reason?: number): JitMachine => inBothModes(module, '64', code, prepare, reason);

describe('an instruction that continues on the next page is compiled', () => {
  /** again: jmp 0xffd ... 0xffd: add rax,imm32, its last byte at 0x1002; `rest` behind it ends with a jump to 0x1 less. */
  function crossing(head: string, rest: string, imm = '05000000'): Buffer {
    const code = Buffer.alloc(0x2000, 0xf4);
    bytes(head).copy(code, 0);
    bytes(`4805${imm}`).copy(code, 0xffd);
    bytes(rest).copy(code, 0x1003);
    return code;
  }
  /** jmp to 0xffd from offset `at`. */
  const jump = (at: number): string => {
    const rel = Buffer.alloc(4);
    rel.writeInt32LE(0xffd - at - 5);
    return `e9${rel.toString('hex')}`;
  };
  /** dec rbp; jnz to offset 0; hlt, at 0x1003. */
  const LOOP = '48ffcd 0f85f4efffff f4';

  test('and leaves compiled code for nothing', () => {
    const m = both(crossing(jump(0), LOOP), (on) => { on.setGpr(0, 0n); on.setGpr(5, 20_000n); });
    expect(m.gpr(0)).toBe(100_000n);
    expect(m.core.u64(J.ENTERED)).toBeLessThan(1000n);
    expect(m.core.u64(J.EXECUTED)).toBeGreaterThan(75_000n);
  });

  test('a store into its second part takes effect', () => {
    // inc ecx; cmp ecx,2000; jne on; mov byte [0x1000], 7 (the second byte of imm32 is the first of the page); on: jmp
    // At 0xfff lies the immediate's first byte: 05; behind it 00 00 00 on the next page.
    const head = `ffc1 81f9d0070000 7507 c605ef0f000007 ${jump(17)}`;
    const m = both(crossing(head, LOOP), (on) => { on.setGpr(0, 0n); on.setGpr(1, 0n); on.setGpr(5, 4000n); });
    expect(m.gpr(0)).toBe(1999n * 5n + 2001n * 0x705n);
  });

  test('its second part is the one that is mapped behind the first', () => {
    // inc ecx; cmp ecx,2000; jne on; mov [r8],r9; invlpg [rsi]; on: jmp
    const head = `ffc1 81f9d0070000 7506 4d8908 0f013e ${jump(16)}`;
    const m = both(crossing(head, LOOP), (on) => {
      on.put(bytes(`000900${LOOP}`), CODE + 0x5000);
      on.setGpr(0, 0n);
      on.setGpr(1, 0n);
      on.setGpr(5, 4000n);
      on.setGpr(6, BigInt(CODE + 0x1000));
      on.setGpr(8, BigInt(CODE_TABLE + ((CODE + 0x1000) >> 12) * 8));
      on.setGpr(9, BigInt(CODE + 0x5000 | 3));
    });
    expect(m.gpr(0)).toBe(1999n * 5n + 2001n * 0x90005n);
  });

  test('where nothing is mapped behind the first part the fetch faults', () => {
    const head = `ffc1 81f9d0070000 7506 4d8908 0f013e ${jump(16)}`;
    const m = both(crossing(head, LOOP), (on) => {
      on.setGpr(0, 0n);
      on.setGpr(1, 0n);
      on.setGpr(5, 4000n);
      on.setGpr(6, BigInt(CODE + 0x1000));
      on.setGpr(8, BigInt(CODE_TABLE + ((CODE + 0x1000) >> 12) * 8));
      on.setGpr(9, 0n);
    }, EXCEPTION);
    expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 0xffd));
    expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(BigInt(CODE + 0x1000));
    expect(m.gpr(0)).toBe(1999n * 5n);
  });
});

describe('accesses of a block through one register', () => {
  // again: mov rax,[rsi+8]; mov [rsi+16],rax; add rdx,[rsi-40]; mov [rsi+0x38],edx; movzx ecx,byte [rsi+0x41]; xor [rsi+0x20],cl;
  //        movups xmm0,[rsi-16]; movups [rsi+0x48],xmm0; add rsi,24; dec rbp; jnz again; hlt
  const WALK = '488b4608 48894610 480356d8 895638 0fb64e41 304e20 0f1046f0 0f114648 4883c618 48ffcd 75d9 f4';
  const fill = (m: JitMachine): void => { for (let i = 0; i < 0x4000; i += 1) m.ram[DATA + i] = (i * 37 + (i >> 8)) & 0xff; };
  const entry = (page: number): number => DATA_TABLE + page * 8;

  test('are right wherever the register points, across pages that do not lie together', () => {
    const m = both(bytes(WALK), (on) => {
      fill(on);
      on.ram.writeBigUInt64LE(BigInt(DATA + 0x3000 | 3), entry(1)); // the second page's linear address leads to the fourth
      on.core.syncAfterStateWrite();
      on.setGpr(2, 1n);
      on.setGpr(5, 330n);
      on.setGpr(6, BigInt(DATA + 40));
    });
    expect(m.core.u64(J.EXECUTED)).toBeGreaterThan(2500n);
  });

  test('see a page that is mapped elsewhere between two blocks', () => {
    // again: mov rax,[rsi]; add rbx,rax; mov [rsi+8],rbx; xchg r9,r10; mov [r8],r9; invlpg [rsi]; dec rbp; jnz again; hlt
    const m = both(bytes('488b06 4801c3 48895e08 4d87d1 4d8908 0f013e 48ffcd 75e9 f4'), (on) => {
      on.ram.writeBigUInt64LE(7n, DATA);
      on.ram.writeBigUInt64LE(0x1234n, DATA + 0x1000);
      on.setGpr(3, 0n);
      on.setGpr(5, 1000n);
      on.setGpr(6, BigInt(DATA));
      on.setGpr(8, BigInt(entry(0)));
      on.setGpr(9, BigInt(DATA | 3));
      on.setGpr(10, BigInt(DATA + 0x1000 | 3));
    });
    expect(m.gpr(3)).toBe(500n * (7n + 0x1234n));
  });

  test('fault one by one where only some of them are allowed', () => {
    // again: mov rax,[rsi]; inc rbx; mov [rsi+8],rax; add rsi,0x1000; dec rbp; jnz again; hlt
    const m = both(bytes('488b06 48ffc3 48894608 4881c600100000 48ffcd 75eb f4'), (on) => {
      on.core.setU64(S.CR0, 0x8001_0033n);
      on.ram.writeBigUInt64LE(BigInt(DATA + 0x2000 | 1), entry(2)); // read-only
      on.core.syncAfterStateWrite();
      // The loop is hot before it comes to that page: the first pages again and again.
      for (let k = 3; k < 500; k += 1) on.ram.writeBigUInt64LE(BigInt(DATA + 0x1000 | 3), entry(k));
      on.ram.writeBigUInt64LE(BigInt(DATA + 0x2000 | 1), entry(450));
      on.ram.writeBigUInt64LE(BigInt(DATA + 0x2000 | 3), entry(2));
      on.core.syncAfterStateWrite();
      on.setGpr(3, 0n);
      on.setGpr(5, 500n);
      on.setGpr(6, BigInt(DATA));
    }, EXCEPTION);
    expect(m.gpr(3)).toBe(451n);
    expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(BigInt(DATA + 450 * 0x1000 + 8));
  });

  test('of the stack pointer go on behind pushes and pops', () => {
    // again: mov [rsp-8],rbp; push rdx; mov rax,[rsp+8]; inc rdx; pop rcx; add rbx,rcx; mov [rsp+16],rbx; sub rsp,8; cmp rsp,r8; ja on; mov rsp,r9; on: dec rbp; jnz again; hlt
    const m = both(bytes('48896c24f8 52 488b442408 48ffc2 59 4801cb 48895c2410 4883ec08 4c39c4 7703 4c89cc 48ffcd 75d8 f4'), (on) => {
      fill(on);
      on.setGpr(2, 3n);
      on.setGpr(3, 0n);
      on.setGpr(4, BigInt(DATA + 0x3000));
      on.setGpr(5, 3000n);
      on.setGpr(8, BigInt(DATA + 0x800));
      on.setGpr(9, BigInt(DATA + 0x3000));
    });
    expect(m.gpr(3)).toBe(BigInt((3 + 3002) * 3000 / 2));
  });
});

test('a block that the page falls into with known flags is an entry for the other page that goes on there', () => {
  // 0: dec ebp; on: jz out; test ebp,1; jz again; jmp 0x1000; out: hlt   0x1000: dec ebp; jmp on; again: jmp 0
  const code = Buffer.alloc(0x2000, 0xf4);
  bytes('ffcd 7411 f7c501000000 0f84f70f0000 e9eb0f0000 f4').copy(code, 0);
  bytes('ffcd e9fbefffff e9f4efffff').copy(code, 0x1000);
  const m = both(code, (on) => {
    on.setGpr(5, 60_000n);
    if (on.core.jit !== undefined) on.core.jit.limits.region.pages = 1; // or the two become one function
  });
  expect(m.gpr(5)).toBe(0n);
  const interpreted = m.core.u64(S.INSTRUCTIONS) - m.core.u64(J.EXECUTED);
  expect(interpreted).toBeLessThan(2_000n);
});

describe('pages that code was in, and that are data now', () => {
  test.each([
    ['stores', '488907 48898700100000'], // again: mov [rdi],rax; mov [rdi+0x1000],rax; dec rbp; jnz again; hlt
    ['read-modify-writes', '48ff07 48ff8700100000'], //   inc qword [rdi]; inc qword [rdi+0x1000]
  ])('are written without the interpreter soon, also in turn: %s', (_, writes) => {
    const marks = [DATA, DATA + 0x1000].map((page) => layout.PAGE_CODE_BASE + (page >> 12));
    const m = both(bytes(`${writes} 48ffcd 75f1 f4`), (on) => {
      for (const mark of marks) new Uint8Array(on.core.memory.buffer)[mark] = 1;
      on.setGpr(5, 4000n);
      on.setGpr(7, BigInt(DATA));
    });
    expect(marks.map((mark) => new Uint8Array(m.core.memory.buffer)[mark])).toEqual([0, 0]);
    expect(m.core.u64(J.EXECUTED)).toBeGreaterThan(15_000n);
  });
});

describe('a function whose pushes cross from one stack page to another', () => {
  // again: cmp rbp,1000; jne on; mov [r8],r9; invlpg [rsi]; on: call f; dec rbp; jnz again; hlt
  // f: push rbx; push r12; push r13; push r14; inc rbx; lea r12,[r12+rbx]; add r13,1; pop r14; pop r13; pop r12; pop rbx; inc rbx; ret
  const CALLS = bytes('4881fde8030000 7506 4d8908 0f013e e806000000 48ffcd 75e7 f4 53 4154 4155 4156 48ffc3 4d8d241c 4983c501 415e 415d 415c 5b 48ffc3 c3');
  /** The stack pointer `into` bytes into the second page of DATA; below it is another page than the one in front. */
  const prepare = (m: JitMachine, into: number, entry: number): void => {
    m.ram.writeBigUInt64LE(BigInt(DATA + 0x3000 | 3), DATA_TABLE);
    m.core.syncAfterStateWrite();
    m.setGpr(3, 0n);
    m.setGpr(4, BigInt(DATA + 0x1000 + into));
    m.setGpr(5, 3000n);
    m.setGpr(6, BigInt(DATA));
    m.setGpr(8, BigInt(entry));
    m.setGpr(9, 0n);
    for (const r of [12, 13, 14]) m.setGpr(r, BigInt(r));
  };

  test.each([8, 16, 24, 32])('stays in compiled code, %i bytes behind where the pages meet', (into) => {
    const m = both(CALLS, (on) => prepare(on, into, DATA + 0x2000));
    expect(m.gpr(3)).toBe(3000n);
    expect(m.ram.readBigUInt64LE(DATA + 0x3000 + 0x1000 + into - 40)).toBe(14n);
    expect(m.core.u64(J.ENTERED)).toBeLessThan(1000n);
    expect(m.core.u64(J.EXECUTED)).toBeGreaterThan(50_000n);
  });

  test('finds the pushes before the one that faults done', () => {
    const m = both(CALLS, (on) => prepare(on, 24, DATA_TABLE), EXCEPTION);
    expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(BigInt(DATA + 0xff8));
    expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 29));
    expect(m.gpr(4)).toBe(BigInt(DATA + 0x1000));
    expect(m.gpr(3)).toBe(2000n);
    expect(m.core.u64(J.EXECUTED)).toBeGreaterThan(30_000n);
  });
});
