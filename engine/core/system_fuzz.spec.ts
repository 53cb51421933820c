import { beforeAll, expect, test } from 'vitest';
import fc from 'fast-check';
import { S } from './gen/state.ts';
import { GDT, IDT, KERNEL_CODE, LDT, PML4, PT, SystemMachine, TSS, USER_CODE } from './system_test_machine.ts';

let m: SystemMachine;
beforeAll(async () => { m = await SystemMachine.create(); });

/** Openings of system instructions; random bytes follow as ModRM, displacement and more code. */
const openings = [
  [0x0f, 0x00], [0x0f, 0x01], [0x0f, 0x02], [0x0f, 0x03], [0x0f, 0x05], [0x0f, 0x06], [0x0f, 0x07], [0x0f, 0x09], [0x0f, 0x20], [0x0f, 0x21], [0x0f, 0x22],
  [0x0f, 0x23], [0x0f, 0x30], [0x0f, 0x32], [0x0f, 0x34], [0x0f, 0x35], [0x0f, 0xa1], [0x0f, 0xa9], [0x0f, 0xae], [0x0f, 0xb2], [0x0f, 0xb4], [0x0f, 0xc7],
  [0x48, 0xcf], [0x48, 0xcb], [0x66, 0xcf], [0x66, 0x0f, 0x38, 0x82], [0x6c], [0xf3, 0x6d], [0x6e], [0xf3, 0x6f], [0x8c], [0x8e], [0x9a], [0xc4], [0xc5],
  [0xca], [0xcb], [0xcc], [0xcd], [0xce], [0xcf], [0xe4], [0xef], [0xea], [0xf1], [0xf4], [0xfa], [0xfb], [0xff, 0x1f], [0xff, 0x2f], [0x07], [0x17], [0x63],
];
const REASONS = new Set([0, 1, 2, 7, 12, 18, 48, 0x100]);

test('no system instruction on hostile tables, registers and page tables does more than leave with a reason', () => {
  const words = fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 24, maxLength: 24 });
  const scene = fc.record({
    mode: fc.constantFrom('long', 'user', 'protected', 'protected user', 'real'),
    opening: fc.constantFrom(...openings), tail: fc.uint8Array({ minLength: 12, maxLength: 12 }),
    registers: fc.array(fc.oneof(fc.constantFrom(0n, 8n, 0x10n, 0x23n, 0x2bn, 0x30n, 0x48n, 0x50n, 0x1000n, 0x10_0000n, 0xc000_0080n), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })), { minLength: 16, maxLength: 16 }),
    words, where: fc.array(fc.constantFrom(GDT, GDT + 0x48, IDT, IDT + 0x60, TSS, TSS + 0x20, LDT, PML4, PT, 0x10_0000), { minLength: 3, maxLength: 3 }),
    flags: fc.integer({ min: 0, max: 0x3f_ffff }),
  });
  fc.assert(fc.property(scene, (s) => {
    if (s.mode === 'long' || s.mode === 'user') m.long(s.mode === 'user' ? 3 : 0);
    else if (s.mode === 'real') m.real();
    else m.protected32(s.mode === 'protected' ? 0 : 3);
    const { core } = m;
    const cpl = s.mode.endsWith('user') ? 3 : 0;
    const rsp = m.gpr(4);
    s.registers.forEach((v, i) => m.setGpr(i, v));
    if (s.tail[0] & 1) m.setGpr(4, rsp);
    s.words.forEach((w, i) => m.setU64((s.where[i >> 3] ?? 0) + (i & 7) * 8, w));
    core.setU32(S.GDTR_LIMIT, 0xfff);
    m.put(cpl ? USER_CODE : KERNEL_CODE, [...s.opening, ...s.tail]);
    core.setFlags(s.flags & ~0x2_0000 | 2);
    core.setU64(S.RIP, BigInt(s.mode === 'real' ? 0 : cpl ? USER_CODE : KERNEL_CODE));
    core.syncAfterStateWrite();
    for (let i = 0; i < 4; i += 1) {
      const reason = core.run(200);
      expect(REASONS.has(reason), `reason ${reason}`).toBe(true);
      if (reason !== 0x100) break;
    }
    expect(core.u32(S.CPL)).toBeLessThan(4);
    expect(core.u32(S.GPR + 16 * 8)).toBe(0);
  }), { seed: 4711, numRuns: 1500 });
}, 60_000);
