import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadCoreModule } from './core.ts';
import { CODE, CoreTestMachine, DATA, STACK } from './core_test_machine.ts';
import { OP } from './gen/ops.ts';
import { S } from './gen/state.ts';
import { layout } from './tables/layout.ts';

const HLT = 12;
const BUDGET = 0x100;
const CF = 1; const PF = 4; const AF = 0x10; const ZF = 0x40; const SF = 0x80; const OF = 0x800;
const STATUS = CF | PF | AF | ZF | SF | OF;
const RAX = 0; const RCX = 1; const RDX = 2; const RBX = 3; const RSP = 4; const RSI = 6; const RDI = 7;

let m: CoreTestMachine;
let module: WebAssembly.Module;
beforeAll(async () => {
  m = await CoreTestMachine.create();
  module = await loadCoreModule();
}, 180_000);

function randoms(seed: number): () => bigint {
  let x = BigInt(seed) | 1n;
  const interesting = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
  let n = 0;
  return () => {
    x = BigInt.asUintN(64, x * 6364136223846793005n + 1442695040888963407n);
    n += 1;
    return n % 3 === 0 ? interesting[Number(x >> 40n) % interesting.length] : x ^ (x >> 29n);
  };
}

const parity = (v: bigint) => { let p = 1; for (let b = v & 0xffn; b; b >>= 1n) p ^= Number(b & 1n); return p; };
function szp(r: bigint, bits: number): number {
  return (r === 0n ? ZF : 0) | ((r >> BigInt(bits - 1)) & 1n ? SF : 0) | (parity(r) ? PF : 0);
}
/** ADD OR ADC SBB AND SUB XOR CMP as the SDM describes them, on plain integers. */
function model(kind: number, a: bigint, b: bigint, carry: bigint, bits: number): { r: bigint; flags: number } {
  const wrap = (v: bigint) => BigInt.asUintN(bits, v);
  const top = BigInt(bits - 1);
  const sign = (v: bigint) => (v >> top) & 1n;
  const c = kind === 2 || kind === 3 ? carry : 0n;
  if (kind === 0 || kind === 2) {
    const r = wrap(a + b + c);
    return { r, flags: szp(r, bits) | (a + b + c > wrap(-1n) ? CF : 0) | (sign(a) === sign(b) && sign(r) !== sign(a) ? OF : 0) | ((a ^ b ^ r) & 0x10n ? AF : 0) };
  }
  if (kind === 1 || kind === 4 || kind === 6) {
    const r = kind === 1 ? a | b : kind === 4 ? a & b : a ^ b;
    return { r, flags: szp(r, bits) };
  }
  const r = wrap(a - b - c);
  return { r, flags: szp(r, bits) | (a < b + c ? CF : 0) | (sign(a) !== sign(b) && sign(r) !== sign(a) ? OF : 0) | ((a ^ b ^ r) & 0x10n ? AF : 0) };
}

const SIZES = [{ bits: 8, prefix: [], w: 0 }, { bits: 16, prefix: [0x66], w: 1 }, { bits: 32, prefix: [], w: 1 }, { bits: 64, prefix: [0x48], w: 1 }];
const merge = (old: bigint, r: bigint, bits: number) => (bits >= 32 ? r : (old & ~((1n << BigInt(bits)) - 1n)) | r);

describe('binary arithmetic', () => {
  for (const { bits, prefix, w } of SIZES) {
    test(`ADD OR ADC SBB AND SUB XOR CMP of ${bits} bits give the SDM's result and flags in register, immediate and memory forms`, () => {
      m.long64();
      const next = randoms(bits);
      for (let n = 0; n < 1200; n += 1) {
        const kind = n & 7;
        const a = next();
        const b = next();
        const form = (n >> 3) % 6;
        const carry = n % 5 === 0 ? 1n : 0n;
        const mask = (1n << BigInt(bits)) - 1n;
        const imm = BigInt.asIntN(8, b);
        const expected = model(kind, a & mask, form === 1 || form === 4 ? BigInt.asUintN(bits, imm) : b & mask, carry, bits);
        const written = kind === 7 ? a & mask : expected.r;
        m.core.setFlags(2 | Number(carry));
        m.setReg(RAX, a);
        m.setReg(RCX, b);
        m.setReg(RBX, BigInt(DATA));
        m.data.setBigUint64(DATA, form === 5 ? b : a, true);
        const op = kind * 8;
        if (form === 0) m.load([...prefix, op + w, 0xc8]); //                           op rAX, rCX
        else if (form === 1) m.load([...prefix, w ? 0x83 : 0x80, 0xc0 + op, Number(imm & 0xffn)]); // op rAX, imm8
        else if (form === 2) m.load([...prefix, op + 2 + w, 0xc1]); //                  op rAX, rCX by the other opcode
        else if (form === 3) m.load([...prefix, op + w, 0x0b]); //                      op [rBX], rCX
        else if (form === 4) m.load([...prefix, w ? 0x83 : 0x80, op + 3, Number(imm & 0xffn)]); // op [rBX], imm8
        else m.load([...prefix, op + 2 + w, 0x03]); //                                  op rAX, [rBX]
        expect(m.run()).toBe(HLT);
        const got = form === 3 || form === 4 ? m.data.getBigUint64(DATA, true) & mask : m.reg(RAX);
        const want = form === 3 || form === 4 ? written : kind === 7 ? a : merge(a, expected.r, bits);
        const flags = m.core.flags() & STATUS;
        if (got !== want || flags !== expected.flags) {
          expect({ kind, form, a, b, carry, got, flags }).toEqual({ kind, form, a, b, carry, got: want, flags: expected.flags });
        }
      }
    });
  }

  test('INC and DEC keep CF and set the other status flags', () => {
    m.long64();
    for (const carry of [0, 1]) {
      m.core.setFlags(2 | carry);
      m.setReg(RAX, 0x7fffffffn);
      m.load([0xff, 0xc0]); // inc eax
      expect(m.run()).toBe(HLT);
      expect(m.reg(RAX)).toBe(0x80000000n);
      expect(m.core.flags() & STATUS).toBe(carry | OF | SF | AF | PF);
      m.load([0x48, 0xff, 0xc8]); // dec rax
      m.setReg(RAX, 1n);
      expect(m.run()).toBe(HLT);
      expect(m.core.flags() & STATUS).toBe(carry | ZF | PF);
    }
  });

  test('A 32-bit result clears bits 63:32, 8- and 16-bit results leave them', () => {
    m.long64();
    m.setReg(RAX, 0x1122334455667788n);
    m.load([0x31, 0xc0]); // xor eax, eax
    m.run();
    expect(m.reg(RAX)).toBe(0n);
    m.setReg(RAX, 0x1122334455667788n);
    m.load([0xb4, 0x99]); // mov ah, 99h
    m.run();
    expect(m.reg(RAX)).toBe(0x1122334455669988n);
    m.load([0x66, 0xb8, 0x01, 0x00]); // mov ax, 1
    m.run();
    expect(m.reg(RAX)).toBe(0x1122334455660001n);
  });
});

describe('shifts', () => {
  for (const { bits, prefix, w } of SIZES) {
    test(`SHL SHR SAR ROL ROR of ${bits} bits by CL and by immediate match plain integer arithmetic`, () => {
      m.long64();
      const next = randoms(bits + 1);
      const B = BigInt(bits);
      const mask = (1n << B) - 1n;
      for (let n = 0; n < 600; n += 1) {
        const kind = [0, 1, 4, 5, 7][n % 5];
        const a = next();
        const raw = Number(next() & 0x7fn);
        const count = BigInt(raw & (bits === 64 ? 63 : 31));
        const u = a & mask;
        const s = BigInt.asIntN(bits, u);
        const k = count % B;
        let r = u;
        let cf = 0n;
        if (count !== 0n) {
          if (kind === 0) { r = ((u << k) | (u >> (B - k))) & mask; cf = r & 1n; }
          else if (kind === 1) { r = ((u >> k) | (u << (B - k))) & mask; cf = r >> (B - 1n); }
          else if (kind === 4) { r = (u << count) & mask; cf = count > B ? 0n : (u >> (B - count)) & 1n; }
          else if (kind === 5) { r = u >> count; cf = (u >> (count - 1n)) & 1n; }
          else { r = BigInt.asUintN(bits, s >> count); cf = (s >> (count - 1n)) & 1n; }
        }
        m.core.setFlags(2);
        m.setReg(RAX, a);
        m.setReg(RCX, BigInt(raw));
        if (n & 1) m.load([...prefix, 0xd2 + w, 0xc0 + kind * 8]);
        else m.load([...prefix, 0xc0 + w, 0xc0 + kind * 8, raw]);
        expect(m.run()).toBe(HLT);
        expect({ kind, a, raw, r: m.reg(RAX) }).toEqual({ kind, a, raw, r: bits === 32 ? r : merge(a, r, bits) });
        if (count !== 0n) expect({ kind, a, raw, cf: m.core.flags() & CF }).toEqual({ kind, a, raw, cf: Number(cf) });
        else expect(m.core.flags() & STATUS).toBe(0);
      }
    });
  }
});

describe('multiplication and division', () => {
  test('MUL and IMUL of 64 bits give 128-bit products, DIV and IDIV take them back', () => {
    m.long64();
    const next = randoms(99);
    for (let n = 0; n < 400; n += 1) {
      const a = next();
      const b = next();
      m.setReg(RAX, a);
      m.setReg(RCX, b);
      m.load([0x48, 0xf7, n & 1 ? 0xe9 : 0xe1]); // imul/mul rcx
      expect(m.run()).toBe(HLT);
      const product = n & 1 ? BigInt.asIntN(64, a) * BigInt.asIntN(64, b) : a * b;
      expect((m.reg(RDX) << 64n) | m.reg(RAX)).toBe(BigInt.asUintN(128, product));
      const fits = n & 1 ? BigInt.asIntN(64, product) === product : product >> 64n === 0n;
      expect(m.core.flags() & (CF | OF)).toBe(fits ? 0 : CF | OF);
    }
    for (let n = 0; n < 600; n += 1) {
      const signed = (n & 1) !== 0;
      const high = n % 3 === 0 ? next() : next() >> BigInt(n % 64);
      const low = next();
      const b = next();
      m.setReg(RDX, high);
      m.setReg(RAX, low);
      m.setReg(RCX, b);
      m.load([0x48, 0xf7, signed ? 0xf9 : 0xf1]);
      const dividend = signed ? BigInt.asIntN(128, (high << 64n) | low) : (high << 64n) | low;
      const divisor = signed ? BigInt.asIntN(64, b) : b;
      const quotient = divisor === 0n ? undefined : dividend / divisor;
      const reason = m.run();
      const legal = quotient !== undefined && (signed ? BigInt.asIntN(64, quotient) === quotient : quotient >> 64n === 0n);
      if (!legal) {
        expect({ reason, rip: m.rip, rax: m.reg(RAX), rdx: m.reg(RDX) }).toEqual({ reason: -1, rip: CODE, rax: low, rdx: high });
      } else {
        expect({ high, low, b, reason, q: m.reg(RAX), r: m.reg(RDX) })
          .toEqual({ high, low, b, reason: HLT, q: BigInt.asUintN(64, quotient), r: BigInt.asUintN(64, dividend % divisor) });
      }
    }
  });

  test('AAM of base 0 and IDIV of the most negative number by -1 raise #DE', () => {
    m.long64();
    m.setReg(RAX, 1n << 31n);
    m.setReg(RDX, 0xffffffffn);
    m.setReg(RCX, 0xffffffffn);
    m.load([0xf7, 0xf9]); // idiv ecx
    expect(m.run()).toBe(-1);
    m.flat32().load([0xd4, 0x00]);
    expect(m.run()).toBe(-1);
  });
});

describe('branches and stack', () => {
  test('Every condition of Jcc, SETcc and CMOVcc follows the flags, lazily held or not', () => {
    m.long64();
    const holds = (cc: number, f: number): boolean => {
      const of = (f & OF) !== 0; const sf = (f & SF) !== 0; const zf = (f & ZF) !== 0; const cf = (f & CF) !== 0; const pf = (f & PF) !== 0;
      const base = [of, cf, zf, cf || zf, sf, pf, sf !== of, zf || sf !== of][cc >> 1];
      return base !== ((cc & 1) === 1);
    };
    const next = randoms(5);
    for (let n = 0; n < 320; n += 1) {
      const cc = n & 15;
      const a = next() & 0xffffffffn;
      const b = next() & 0xffffffffn;
      // cmp ecx, edx; setcc al; mov ebx, 0; cmovcc rbx, rsi; jcc +5; mov edi, 1
      m.setReg(RAX, 0n);
      m.setReg(RCX, a);
      m.setReg(RDX, b);
      m.setReg(RSI, 7n);
      m.setReg(RDI, 0n);
      m.load([0x39, 0xd1, 0x0f, 0x90 + cc, 0xc0, 0xbb, 0, 0, 0, 0, 0x48, 0x0f, 0x40 + cc, 0xde, 0x70 + cc, 5, 0xbf, 1, 0, 0, 0]);
      expect(m.run()).toBe(HLT);
      const yes = holds(cc, model(7, a, b, 0n, 32).flags);
      expect({ cc, a, b, set: m.reg(RAX), moved: m.reg(RBX), fell: m.reg(RDI) }).toEqual({ cc, a, b, set: yes ? 1n : 0n, moved: yes ? 7n : 0n, fell: yes ? 0n : 1n });
    }
  });

  test('CALL pushes the return address, RET n pops it and its arguments', () => {
    m.long64();
    m.setReg(RSP, BigInt(STACK));
    m.ram.set([0xc2, 0x08, 0x00], CODE + 0x100); // ret 8
    m.load([0x6a, 0xff, 0xe8, 0xf9, 0, 0, 0]); // push -1; call +0xf9
    expect(m.run()).toBe(HLT);
    expect(m.reg(RSP)).toBe(BigInt(STACK));
    expect(m.data.getBigUint64(STACK - 8, true)).toBe(0xffffffffffffffffn);
    expect(m.data.getBigUint64(STACK - 16, true)).toBe(BigInt(CODE + 7));
  });

  test('ENTER builds a frame that LEAVE removes; POP to memory uses the stack pointer after the pop', () => {
    m.long64();
    m.setReg(RSP, BigInt(STACK));
    m.setReg(5, 0x1234n);
    m.load([0xc8, 0x20, 0x00, 0x00, 0x90, 0xc9]); // enter 0x20, 0; nop; leave
    expect(m.run()).toBe(HLT);
    expect(m.reg(RSP)).toBe(BigInt(STACK));
    expect(m.reg(5)).toBe(0x1234n);
    m.load([0x6a, 0x55, 0x8f, 0x44, 0x24, 0x08]); // push 0x55; pop [rsp+8]
    expect(m.run()).toBe(HLT);
    expect(m.data.getBigUint64(STACK + 8, true)).toBe(0x55n);
  });

  test('In real mode the stack pointer and IP are 16 bits wide', () => {
    m.real16();
    m.setReg(RSP, 0xabcd0000n);
    m.load([0x6a, 0x7f]); // push 7fh
    expect(m.run()).toBe(HLT);
    expect(m.reg(RSP)).toBe(0xabcdfffen);
    expect(m.data.getUint16(0xfffe, true)).toBe(0x7f);
  });

  test('POPF at CPL 3 with IOPL 0 cannot change IF or IOPL', () => {
    m.long64(true);
    m.core.setFlags(0x202);
    m.setReg(RSP, BigInt(STACK));
    m.load([0x6a, 0x00, 0x9d, 0x0f, 0x0b]); // push 0; popf; ud2
    expect(m.run()).toBe(-7);
    expect(m.core.flags()).toBe(0x202);
    m.load([0x68, 0xff, 0x7f, 0, 0, 0x9d, 0x0f, 0x0b].with(2, 0x7e)); // push 7eff: TF clear
    expect(m.run()).toBe(-7);
    expect(m.core.flags() & 0x3300).toBe(0x200);
  });
});

describe('string operations', () => {
  test('REP MOVSB copies forwards byte by byte where source and destination overlap', () => {
    m.long64();
    for (let i = 0; i < 0x3000; i += 1) m.ram[DATA + i] = 0;
    m.ram.set([1, 2, 3], DATA);
    m.setReg(RSI, BigInt(DATA));
    m.setReg(RDI, BigInt(DATA + 3));
    m.setReg(RCX, 0x2000n);
    m.load([0xf3, 0xa4]);
    expect(m.run()).toBe(HLT);
    expect(m.reg(RCX)).toBe(0n);
    expect(m.reg(RDI)).toBe(BigInt(DATA + 3 + 0x2000));
    for (let i = 0; i < 0x2003; i += 1) if (m.ram[DATA + i] !== 1 + (i % 3)) expect([i, m.ram[DATA + i]]).toEqual([i, 1 + (i % 3)]);
  });

  test('REP MOVSQ and REP STOSD cross pages at any alignment, upwards and downwards', () => {
    m.long64();
    const source = DATA + 0x10ffd;
    const target = DATA + 0x20ff9;
    for (let i = 0; i < 0x4000; i += 1) m.ram[source + i] = i * 7;
    for (const down of [false, true]) {
      m.ram.fill(0, target - 8, target + 0x4008);
      const start = down ? 0x3ff8 : 0;
      m.setReg(RSI, BigInt(source + start));
      m.setReg(RDI, BigInt(target + start));
      m.setReg(RCX, 0x800n);
      m.load([down ? 0xfd : 0xfc, 0xf3, 0x48, 0xa5, 0xfc]);
      expect(m.run()).toBe(HLT);
      expect(m.ram.slice(target, target + 0x4000)).toEqual(m.ram.slice(source, source + 0x4000));
      expect([m.ram[target - 1], m.ram[target + 0x4000]]).toEqual([0, 0]);
    }
    m.setReg(RAX, 0x04030201n);
    m.setReg(RDI, BigInt(target));
    m.setReg(RCX, 0xc00n);
    m.load([0xf3, 0xab]);
    expect(m.run()).toBe(HLT);
    for (let i = 0; i < 0x3000; i += 1) if (m.ram[target + i] !== 1 + (i & 3)) expect([i, m.ram[target + i]]).toEqual([i, 1 + (i & 3)]);
  });

  test('REPNE SCASB and REPE CMPSB stop at the first hit with RCX counting what is left', () => {
    m.long64();
    m.ram.fill(0x41, DATA, DATA + 0x2000);
    m.ram[DATA + 0x1234] = 0;
    m.setReg(RAX, 0n);
    m.setReg(RDI, BigInt(DATA));
    m.setReg(RCX, 0xffffffffffffffffn);
    m.load([0xf2, 0xae]);
    expect(m.run()).toBe(HLT);
    expect(m.reg(RCX)).toBe(0xffffffffffffffffn - 0x1235n);
    expect(m.core.flags() & ZF).toBe(ZF);
    m.ram.fill(0x41, DATA + 0x3000, DATA + 0x5000);
    m.setReg(RSI, BigInt(DATA));
    m.setReg(RDI, BigInt(DATA + 0x3000));
    m.setReg(RCX, 0x2000n);
    m.load([0xf3, 0xa6]);
    expect(m.run()).toBe(HLT);
    expect(m.reg(RSI)).toBe(BigInt(DATA + 0x1235));
    expect(m.core.flags() & (ZF | CF)).toBe(CF); // 0 below 41h
  });

  test('A fault in the middle of REP STOSB leaves the registers at the element that faulted', () => {
    m.long64();
    const end = 1 << 30; // nothing is mapped from 1 GiB on; RAM ends far below, so move the hole: unmap one page's region
    m.data.setBigUint64(0x3000 + 8 * 3, 0n, true); // 6 MiB..8 MiB
    m.core.flushTlb();
    m.setReg(RDI, 0x5fff00n);
    m.setReg(RCX, 0x1000n);
    m.load([0xf3, 0xaa]);
    expect(m.run()).toBe(-15);
    expect([m.reg(RDI), m.reg(RCX), m.rip]).toEqual([0x600000n, 0xf00n, CODE]);
    expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(0x600000n);
    expect(m.core.u32(S.EXIT_INTR_ERROR_CODE)).toBe(2);
    expect(end).toBeGreaterThan(0);
    m.long64();
    m.core.flushTlb();
  });
});

describe('precision of faults and of code changes', () => {
  test('A page fault in the middle of a block shows RIP, registers and flags of the faulting instruction', () => {
    m.long64();
    m.core.setFlags(2);
    m.setReg(RAX, 0n);
    m.setReg(RCX, 5n);
    m.setReg(RBX, 0x40000000n); // not mapped
    const before = m.core.u64(S.INSTRUCTIONS);
    m.load([0xff, 0xc0, 0x83, 0xe9, 0x05, 0x03, 0x03, 0xff, 0xc0]); // inc eax; sub ecx, 5; add eax, [rbx]; inc eax
    expect(m.run()).toBe(-15);
    expect([m.rip, m.reg(RAX), m.reg(RCX)]).toEqual([CODE + 5, 1n, 0n]);
    expect(m.core.flags() & STATUS).toBe(ZF | PF);
    expect(m.core.u64(S.INSTRUCTIONS) - before).toBe(2n);
  });

  test('An undefined opcode raises #UD when it is reached, not when it is decoded', () => {
    m.long64();
    m.setReg(RAX, 0n);
    m.load([0xff, 0xc0, 0xeb, 0x02, 0x0f, 0xff]); // inc eax; jmp over; ud0
    expect(m.run()).toBe(HLT);
    m.load([0xff, 0xc0, 0x06]); // push es does not exist in 64-bit mode
    expect(m.run()).toBe(-7);
    expect(m.rip).toBe(CODE + 2);
  });

  test('LOCK is an undefined opcode without a memory destination and on instructions that do not allow it', () => {
    m.long64();
    m.setReg(RBX, BigInt(DATA));
    m.load([0xf0, 0x01, 0xc8]); // lock add eax, ecx
    expect(m.run()).toBe(-7);
    m.load([0xf0, 0x8b, 0x03]); // lock mov eax, [rbx]
    expect(m.run()).toBe(-7);
    m.load([0xf0, 0x01, 0x0b]); // lock add [rbx], ecx
    expect(m.run()).toBe(HLT);
  });

  test('An instruction of more than 15 bytes raises #GP', () => {
    m.long64();
    m.load([...Array(14).fill(0x66), 0x90]);
    expect(m.run()).toBe(HLT);
    m.load([...Array(15).fill(0x66), 0x90]);
    expect(m.run()).toBe(-14);
  });

  test('An instruction may cross a page, and faults only if the second page is really missing', () => {
    m.long64();
    for (let cut = 1; cut < 7; cut += 1) {
      m.setReg(RAX, 0n);
      m.load([0x48, 0xc7, 0xc0, 0x78, 0x56, 0x34, 0x12], 0x10000 - cut); // mov rax, 12345678h
      expect(m.run()).toBe(HLT);
      expect(m.reg(RAX)).toBe(0x12345678n);
    }
    m.data.setBigUint64(0x3000 + 8 * 3, 0n, true); // no 6 MiB..8 MiB
    m.core.flushTlb();
    m.load([0x48, 0xc7, 0xc0, 0x78], 0x600000 - 4);
    expect(m.run()).toBe(-15);
    expect([m.rip, m.core.u64(S.EXIT_QUALIFICATION)]).toEqual([0x5ffffc, 0x600000n]);
    m.load([0x90, 0x90], 0x600000 - 3); // ends with the page: no fault
    expect(m.run()).toBe(HLT);
    m.long64();
    m.core.flushTlb();
  });

  test('Code that changes the instruction after itself runs the new one', () => {
    m.long64();
    m.setReg(RCX, 3n);
    m.setReg(RDX, 0n);
    // loop: inc byte [rip+1] (the immediate of the next add); add edx, imm8; dec ecx; jnz loop
    m.load([0xfe, 0x05, 0x02, 0, 0, 0, 0x83, 0xc2, 0x00, 0xff, 0xc9, 0x75, 0xf3]);
    expect(m.run()).toBe(HLT);
    expect(m.reg(RDX)).toBe(1n + 2n + 3n);
  });

  test('Code written by the host between runs is seen after dropDecoded or a page generation', () => {
    m.long64();
    m.setReg(RAX, 0n);
    m.setReg(RBX, BigInt(CODE + 0x800));
    // the guest writes "inc eax; ret" there, calls it, writes "dec eax; ret", calls it again
    m.load([0xc7, 0x03, 0xff, 0xc0, 0xc3, 0x90, 0xff, 0xd3, 0xff, 0xd3, 0xc7, 0x03, 0xff, 0xc8, 0xc3, 0x90, 0xff, 0xd3]);
    expect(m.run()).toBe(HLT);
    expect(m.reg(RAX)).toBe(1n);
  });
});

describe('atomic and exchange instructions', () => {
  test.each([
  ['ADD to memory', [0x83, 0x07, 0x01], 0x3000], ['LOCK ADD', [0xf0, 0x83, 0x07, 0x01], 0x5000], ['XCHG of an unaligned doubleword', [0x87, 0x07], 0x7001],
  ['LOCK ADD across a page\'s end', [0xf0, 0x83, 0x07, 0x01], 0xaffe], ['LOCK CMPXCHG16B', [0xf0, 0x48, 0x0f, 0xc7, 0x0f], 0xd010],
  ['REP STOSB', [0xf3, 0xaa], 0xf000],
] as const)('%s in pages with code voids what was decoded from them, before it and once more when it is done', (_, code, offset) => {
  m.long64().load(code);
  const target = DATA + offset; // pages of its own: what is void once more may be so at the next run
  m.setReg(RDI, BigInt(target));
  m.setReg(RCX, 2n);
  const pages = new Set([target >> 12, (target + 3) >> 12]);
  const marks = new Uint8Array(m.core.memory.buffer, layout.PAGE_CODE_BASE);
  const generations = new Int32Array(m.core.memory.buffer, layout.PAGE_GENERATION_BASE);
  for (const page of pages) marks[page] = 2; // another pCPU has decoded code of it
  m.core.flushTlb();
  const before = [...pages].map((page) => generations[page]);
  expect(m.core.run(1)).toBe(BUDGET);
  expect([...pages].map((page, i) => generations[page] - before[i] >= 2)).toEqual([...pages].map(() => true));
  for (const page of pages) marks[page] = 0;
});

test('XADD, CMPXCHG, XCHG with LOCK work aligned, unaligned and across a page', () => {
    m.long64();
    for (const at of [DATA, DATA + 1, DATA + 0xffe]) {
      m.data.setUint32(at, 10, true);
      m.setReg(RBX, BigInt(at));
      m.setReg(RCX, 5n);
      m.load([0xf0, 0x0f, 0xc1, 0x0b]); // lock xadd [rbx], ecx
      expect(m.run()).toBe(HLT);
      expect([m.data.getUint32(at, true), m.reg(RCX)]).toEqual([15, 10n]);
      m.setReg(RAX, 15n);
      m.setReg(RDX, 99n);
      m.load([0xf0, 0x0f, 0xb1, 0x13]); // lock cmpxchg [rbx], edx
      expect(m.run()).toBe(HLT);
      expect([m.data.getUint32(at, true), m.core.flags() & ZF]).toEqual([99, ZF]);
      m.setReg(RAX, 1n);
      expect(m.load([0xf0, 0x0f, 0xb1, 0x13]).run()).toBe(HLT);
      expect([m.reg(RAX), m.core.flags() & ZF]).toEqual([99n, 0]);
      m.setReg(RDX, 7n);
      expect(m.load([0x87, 0x13]).run()).toBe(HLT); // xchg [rbx], edx
      expect([m.data.getUint32(at, true), m.reg(RDX)]).toEqual([7, 99n]);
    }
  });

  test('CMPXCHG16B wants 16-byte alignment and exchanges RCX:RBX', () => {
    m.long64();
    m.data.setBigUint64(DATA, 1n, true);
    m.data.setBigUint64(DATA + 8, 2n, true);
    m.setReg(RDI, BigInt(DATA));
    m.setReg(RAX, 1n);
    m.setReg(RDX, 2n);
    m.setReg(RBX, 3n);
    m.setReg(RCX, 4n);
    m.load([0xf0, 0x48, 0x0f, 0xc7, 0x0f]);
    expect(m.run()).toBe(HLT);
    expect([m.data.getBigUint64(DATA, true), m.data.getBigUint64(DATA + 8, true)]).toEqual([3n, 4n]);
    m.setReg(RDI, BigInt(DATA + 8));
    m.load([0xf0, 0x48, 0x0f, 0xc7, 0x0f]);
    expect(m.run()).toBe(-14);
  });

  test('BTS with a register offset reaches bits before and behind the operand', () => {
    m.long64();
    m.ram.fill(0, DATA - 64, DATA + 64);
    m.setReg(RBX, BigInt(DATA));
    m.setReg(RCX, -65n);
    m.load([0x48, 0x0f, 0xab, 0x0b]);
    expect(m.run()).toBe(HLT);
    expect(m.data.getBigUint64(DATA - 16, true)).toBe(1n << 63n);
    m.setReg(RCX, 200n);
    m.load([0x48, 0x0f, 0xab, 0x0b]);
    m.run();
    expect(m.data.getBigUint64(DATA + 24, true)).toBe(1n << 8n);
  });
});

describe('events', () => {
  test('run() returns 1 at the next block boundary while EVENT_FLAGS is not zero', () => {
    m.long64();
    m.load([0xeb, 0xfe]); // jmp $
    expect(m.run(50_000)).toBe(BUDGET);
    m.core.setU32(S.EVENT_FLAGS, 1);
    expect(m.run(50_000)).toBe(1);
    m.core.setU32(S.EVENT_FLAGS, 0);
  });

  test('With an interrupt window wanted run() returns 7 one instruction after STI', () => {
    m.long64();
    m.core.setFlags(2);
    m.setReg(RAX, 0n);
    m.core.setU32(S.EVENT_FLAGS, 256);
    m.load([0xfb, 0xff, 0xc0, 0xff, 0xc0]); // sti; inc eax; inc eax
    expect(m.run()).toBe(7);
    expect([m.rip, m.reg(RAX)]).toEqual([CODE + 3, 1n]);
    m.core.setU32(S.EVENT_FLAGS, 0);
  });

  test('RFLAGS.TF raises #DB after the next instruction', () => {
    m.long64();
    m.setReg(RAX, 0n);
    m.core.setFlags(0x102);
    m.load([0xff, 0xc0, 0xff, 0xc0]);
    expect(m.run()).toBe(-2);
    expect([m.rip, m.reg(RAX)]).toEqual([CODE + 2, 1n]);
    m.core.setFlags(2);
  });

  test('A budget of n instructions is kept within a block', () => {
    m.long64();
    m.core.setFlags(2);
    m.load([0xff, 0xc0, 0xeb, 0xfc]);
    const before = m.core.u64(S.INSTRUCTIONS);
    expect(m.core.run(1000)).toBe(BUDGET);
    const ran = Number(m.core.u64(S.INSTRUCTIONS) - before);
    expect(ran).toBeGreaterThanOrEqual(1000);
    expect(ran).toBeLessThan(1100);
  });
});

test('The opcode table names every operation once', () => {
  expect(new Set(Object.values(OP)).size).toBe(Object.keys(OP).length);
});

test('a process that has nothing else to do gets the core', () => {
  const program = `const { loadCoreModule } = await import(${JSON.stringify(new URL('core.ts', import.meta.url).href)});
    console.log((await loadCoreModule()) instanceof WebAssembly.Module);`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(stderr).not.toContain('unsettled');
  expect(stdout.trim()).toBe('true');
});

describe('more code than the cache of decoded blocks holds', () => {
  const BLOCKS = 60_000;
  const SPACE = 16;
  const FIRST = 0x10_0000;
  /** Where the n-th block that is executed lies: blocks that follow each other are far apart. */
  const at = (n: number): number => FIRST + (n * 7919 % BLOCKS) * SPACE;

  /** ADD RBX, 1 in each block and a jump to the next; the last block goes on at CODE. */
  function chain(): CoreTestMachine {
    const machine = new CoreTestMachine(module);
    const { data, ram } = machine;
    for (let n = 0; n < BLOCKS; n += 1) {
      ram.set([0x48, 0x81, 0xc3, 1, 0, 0, 0, 0xe9], at(n));
      data.setInt32(at(n) + 8, (n + 1 < BLOCKS ? at(n + 1) : CODE) - at(n) - 12, true);
    }
    return machine.long64();
  }

  test('what a block goes on with is right when parts of the cache are filled anew', () => {
    const machine = chain();
    // DEC RCX; JZ to HLT; JMP first block
    machine.load([0x48, 0xff, 0xc9, 0x74, 5, 0xe9, ...new Uint8Array(Int32Array.of(at(0) - CODE - 10).buffer)]);
    machine.setReg(RCX, 4n);
    expect(machine.run(10_000_000)).toBe(HLT);
    expect(machine.reg(RBX)).toBe(BigInt(3 * BLOCKS));
  });

  test('the oldest blocks are dropped, not all of them', () => {
    const machine = chain();
    machine.load([]);
    machine.core.setU64(S.RIP, BigInt(at(0)));
    expect(machine.run(10_000_000)).toBe(HLT);
    // Behind the core's back: what is in the cache does not see it.
    const isKept = (n: number): boolean => {
      machine.ram.set([0xcc], at(n));
      machine.core.setU64(S.RIP, BigInt(at(n)));
      return machine.run(1) !== -1 - 3;
    };
    expect([0, 1000, BLOCKS / 2, BLOCKS - 1000, BLOCKS - 1].map(isKept)).toEqual([false, false, true, true, true]);
  });
});
