import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { CODE, DATA, JitMachine } from './jit_test_machine.ts';
import type { CompilerLink } from './jit/compiler.ts';
import { CompilerService } from './jit/compiler_service.ts';
import { isSameCode, type Site } from './jit/relocation.ts';
import { addKept, keptShape, type Kept } from './jit/store.ts';

const SLICE = 16_384;
const WHEN_KEPT = { timeout: 30_000, interval: 50 };

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');
const folderFor = (): string => mkdtempSync(join(tmpdir(), 'acrn-keep-'));

/** The files of functions in a folder. */
function files(folder: string): string[] {
  return readdirSync(folder).flatMap((own) => readdirSync(join(folder, own)).filter((name) => !name.startsWith('new-')).map((name) => join(folder, own, name)));
}

/** A machine beside compiler threads that keep what they compile in a folder; they have said what is kept already. */
async function machine(folder: string): Promise<JitMachine> {
  let link: CompilerLink;
  const m = new JitMachine(module, 'on', 16, '64', (memory) => {
    const service = new CompilerService(module, memory, (line) => { throw new Error(line); }, { keepIn: folder, restMs: 20 });
    onTestFinished(() => service.close());
    return link = service.connect();
  });
  await expect.poll(() => Atomics.load(link.ready, 0), WHEN_KEPT).toBe(1);
  return m;
}

const statistics = (m: JitMachine): NonNullable<JitMachine['core']['jit']>['statistics'] => m.core.jit!.statistics;

/** Runs until something holds; fails after so many slices of an endless loop. */
function until(m: JitMachine, holds: () => boolean): void {
  for (let turns = 0; turns < 500_000; turns += 1) {
    if (holds()) return;
    m.core.run(4 * SLICE);
    expect(m.exits).toEqual([]);
  }
  throw new Error(`not so: ${JSON.stringify(statistics(m))}`);
}

/** Has an endless loop optimised, and waits until that is in a file. */
async function keep(folder: string, prepare: (m: JitMachine) => void): Promise<JitMachine> {
  const m = await machine(folder);
  prepare(m);
  until(m, () => statistics(m).optimised === 1 && statistics(m).functions === 2);
  await expect.poll(() => files(folder).filter((name) => /-o[0-9a-f]{8}_/.test(name)).length, WHEN_KEPT).toBeGreaterThan(0);
  return m;
}

/** Runs for a while; what was compiled anew and what was found. */
async function again(folder: string, prepare: (m: JitMachine) => void): Promise<{ m: JitMachine; found: number; asked: number }> {
  const m = await machine(folder);
  prepare(m);
  until(m, () => statistics(m).functions >= 1);
  for (let n = 0; n < 4; n += 1) m.core.run(SLICE);
  return { m, found: statistics(m).loaded, asked: statistics(m).requests };
}

const LOOP = 'ffc0 01c3 ebfa'; // again: inc eax; add ebx,eax; jmp again
/** The sum that LOOP has made by the time EAX is so much. */
const sumTo = (n: bigint): bigint => BigInt.asUintN(32, (n * (n + 1n)) / 2n);

function loopAt(at: number, code = LOOP): (m: JitMachine) => void {
  return (m) => {
    m.put(bytes(code), at);
    m.setGpr(0, 0n);
    m.setGpr(3, 0n);
    m.start(at);
  };
}

describe('compiled code is kept from one start to the next', () => {
  test('and serves at other addresses', async () => {
    const folder = folderFor();
    await keep(folder, loopAt(CODE));
    const { m, found, asked } = await again(folder, loopAt(CODE + 0x7000));
    expect({ found, asked }).toEqual({ found: 1, asked: 0 });
    const turns = m.gpr(0);
    expect(turns).toBeGreaterThan(BigInt(SLICE));
    if (m.core.u64(S.RIP) === BigInt(CODE + 0x7000)) expect(m.gpr(3)).toBe(sumTo(turns));
  });

  test('a function of two pages with an instruction that continues from one to the other, too', async () => {
    const folder = folderFor();
    /** again: jmp 0xffd ... 0xffd: add rax,5, its last bytes at 0x1000; inc rcx; jmp again. */
    const across = (at: number) => (m: JitMachine): void => {
      m.put(bytes('e9f80f0000'), at);
      m.put(bytes('480505000000 48ffc1 e9f5efffff'), at + 0xffd);
      m.setGpr(0, 0n);
      m.setGpr(1, 0n);
      m.start(at);
    };
    const first = await machine(folder);
    across(CODE)(first);
    first.core.jit!.limits.region.notes = 4;
    until(first, () => files(folder).some((name) => /-o[0-9a-f]{8}_0x_1$/.test(name)));
    const second = await machine(folder);
    across(CODE + 0x1_0000)(second);
    until(second, () => statistics(second).loaded === 1);
    for (let n = 0; n < 40; n += 1) second.core.run(SLICE);
    expect(statistics(second)).toMatchObject({ loaded: 1, requests: 0 });
    expect(second.gpr(1)).toBeGreaterThan(100_000n);
    expect(second.gpr(0) / 5n - second.gpr(1)).toBeLessThanOrEqual(1n);
  });

  test('but not for other code', async () => {
    const folder = folderFor();
    await keep(folder, loopAt(CODE));
    const { m, found } = await again(folder, loopAt(CODE, 'ffc0 29c3 ebfa')); // sub ebx,eax
    expect(found).toBe(0);
    expect(m.gpr(3)).not.toBe(sumTo(m.gpr(0)));
  });

  test('nor for a page with the same code and something else on it that was code', async () => {
    const folder = folderFor();
    await keep(folder, loopAt(CODE, `${LOOP} 90`));
    const { found } = await again(folder, loopAt(CODE, `${LOOP} 91`));
    expect(found).toBe(0); // the hash is another one
  });

  test('a damaged file is not used', async () => {
    const folder = folderFor();
    await keep(folder, loopAt(CODE));
    for (const file of files(folder)) {
      const content = readFileSync(file);
      content[content.length - 40] ^= 1;
      writeFileSync(file, content);
    }
    const { m, found, asked } = await again(folder, loopAt(CODE));
    expect(found).toBe(0);
    expect(asked).toBeGreaterThan(0);
    expect(m.gpr(0)).toBeGreaterThan(BigInt(SLICE));
  });

  test('what others have put into the folder is left alone', async () => {
    const folder = folderFor();
    await keep(folder, loopAt(CODE));
    const own = join(folder, readdirSync(folder)[0]);
    writeFileSync(join(own, 'note.txt'), 'not ours');
    writeFileSync(join(own, `${'0'.repeat(16)}-1-1-o00000000_0`), 'too short');
    expect((await again(folder, loopAt(CODE))).found).toBe(1);
    expect(readFileSync(join(own, 'note.txt'), 'utf8')).toBe('not ours');
  });
});

describe('a kernel that was moved has its compiled code again', () => {
  const IMAGE = 0xffff_ffff_8120_0000n;
  const TABLES = 0x50_0000;
  const PER_CPU = 0x1000;

  /** Maps a page of the image; its tables lie behind what is mapped one to one. */
  function map(m: JitMachine, linear: bigint, at: number): void {
    const root = Number(m.core.u64(S.CR3));
    const index = (shift: bigint): number => Number(linear >> shift & 511n) * 8;
    m.ram.writeBigUInt64LE(BigInt(TABLES | 3), root + index(39n));
    m.ram.writeBigUInt64LE(BigInt(TABLES + 0x1000 | 3), TABLES + index(30n));
    m.ram.writeBigUInt64LE(BigInt(TABLES + 0x2000 | 3), TABLES + 0x1000 + index(21n));
    m.ram.writeBigUInt64LE(BigInt(at | 3), TABLES + 0x2000 + index(12n));
  }

  interface Kernel { readonly code: Buffer; readonly data: bigint }

  /** The code of a kernel that is so far from where it was linked. Each value that moves is made from an address. */
  function kernel(distance: bigint, immediateMoves = true): Kernel {
    const at = IMAGE + distance;
    const data = at + 0x3000n;
    const code = Buffer.alloc(0x40, 0x90);
    let end = 0;
    const put = (hex: string): void => { end += bytes(hex).copy(code, end); };
    const dword = (value: bigint): void => { end = code.writeInt32LE(Number(BigInt.asIntN(32, value)), end); };
    put('48c7c0'); dword(immediateMoves ? data : IMAGE + 0x3000n); //  mov rax, data
    put('488b1c25'); dword(data); //                                   mov rbx, [data]
    put('488b0c25'); dword(data + 8n); //                              mov rcx, [data+8]
    put('65488b15'); dword(BigInt(PER_CPU) - (at + BigInt(end) + 4n)); // mov rdx, gs:[rip + per-CPU variable]
    put('48be'); end = code.writeBigInt64LE(BigInt.asIntN(64, data + 16n), end); // movabs rsi, data+16
    put('49c7c0000000 80'); //                                         mov r8, -0x80000000: a constant
    put('48ffc7'); //                                                  inc rdi
    put(`eb${(256 - end - 2).toString(16)}`); //                       jmp to the first
    return { code, data };
  }

  function boot(distance: bigint, immediateMoves = true): (m: JitMachine) => void {
    return (m) => {
      const { code, data } = kernel(distance, immediateMoves);
      const linear = IMAGE + distance;
      map(m, linear, CODE);
      map(m, data, DATA);
      m.put(code, CODE);
      m.ram.writeBigUInt64LE(0x1111n, DATA);
      m.ram.writeBigUInt64LE(0x2222n, DATA + 8);
      m.core.setU64(S.SEG_BASE + 5 * 8, BigInt(DATA + 0x100 - PER_CPU));
      m.ram.writeBigUInt64LE(0x3333n, DATA + 0x100);
      m.setGpr(7, 0n);
      m.start();
      m.core.setU64(S.RIP, linear);
      m.core.syncAfterStateWrite();
    };
  }

  const registers = (m: JitMachine): bigint[] => [0, 3, 1, 2, 6, 8].map((r) => m.gpr(r));
  const expected = (data: bigint): bigint[] => [data, 0x1111n, 0x2222n, 0x3333n, data + 16n, 0xffff_ffff_8000_0000n];

  test.each([0n, 0x20_0000n, 0x3a0_0000n, 0x2d80_0000n, -0x20_0000n])('%s bytes from where it was', async (distance) => {
    const folder = folderFor();
    const first = await keep(folder, boot(0n));
    expect(registers(first)).toEqual(expected(kernel(0n).data));
    const { m, found, asked } = await again(folder, boot(distance));
    expect({ found, asked }).toEqual({ found: 1, asked: 0 });
    expect(m.gpr(7)).toBeGreaterThan(1000n);
    expect(registers(m)).toEqual(expected(kernel(distance).data));
  });

  /** Boots a kernel with other code, made from the address of its data. */
  const bootWith = (code: (data: bigint) => Buffer, distance: bigint) => (m: JitMachine): void => {
    boot(distance)(m);
    m.put(code(IMAGE + distance + 0x3000n), CODE);
    m.setGpr(10, 3n);
    m.ram.writeBigUInt64LE(0x5555n + distance, DATA);
  };

  test('with the address of an instruction that the interpreter executes', async () => {
    /** mov rax, [data], without ModRM; inc rdi; jmp to the first. */
    const code = (data: bigint): Buffer => {
      const all = bytes('48a10000000000000000 48ffc7 ebf1');
      all.writeBigInt64LE(BigInt.asIntN(64, data), 2);
      return all;
    };
    const folder = folderFor();
    await keep(folder, bootWith(code, 0n));
    const { m, found } = await again(folder, bootWith(code, 0x20_0000n));
    expect(found).toBe(1);
    expect(m.gpr(7)).toBeGreaterThan(1000n);
    expect(m.gpr(0)).toBe(0x20_5555n);
  });

  test('but not where a factor has moved, which compiled code has as a constant', async () => {
    /** imul r9, r10, data; inc rdi; jmp to the first. */
    const code = (data: bigint): Buffer => {
      const all = bytes('4d69ca00000000 48ffc7 ebf4');
      all.writeInt32LE(Number(BigInt.asIntN(32, data)), 3);
      return all;
    };
    const folder = folderFor();
    await keep(folder, bootWith(code, 0n));
    const { m, found } = await again(folder, bootWith(code, 0x20_0000n));
    expect(found).toBe(0);
    expect(m.gpr(9)).toBe(BigInt.asUintN(64, (IMAGE + 0x20_3000n) * 3n));
  });

  test('but not where a value has not moved with it', async () => {
    const folder = folderFor();
    await keep(folder, boot(0n));
    const { m, found } = await again(folder, boot(0x20_0000n, false));
    expect(found).toBe(0);
    expect(m.gpr(0)).toBe(IMAGE + 0x3000n);
  });
});

describe('code is the same', () => {
  const PAGE = 64;
  const arbitrary = fc.record({
    page: fc.uint8Array({ minLength: PAGE, maxLength: PAGE }), from: fc.nat(PAGE - 17), length: fc.integer({ min: 8, max: 16 }), sign: fc.constantFrom(-1 as const, 1 as const),
    wide: fc.boolean(), distance: fc.integer({ min: -512, max: 512 }).map((n) => n * 0x20_0000),
  });
  /** A page whose value moves, and the page with it moved. */
  function moved({ page, from, length, sign, wide, distance }: { page: Uint8Array; from: number; length: number; sign: -1 | 1; wide: boolean; distance: number }): { ranges: Uint16Array; sites: Site[]; there: Buffer } {
    const there = Buffer.from(page);
    if (wide) there.writeBigInt64LE(BigInt.asIntN(64, there.readBigInt64LE(from) + BigInt(sign * distance)), from);
    else there.writeInt32LE((there.readInt32LE(from) + sign * distance) | 0, from);
    return { ranges: Uint16Array.of(from, from + length), sites: [{ offset: from, bytes: wide ? 8 : 4, sign }], there };
  }

  test('where values have moved by the distance, and whatever else is on the page', () => {
    fc.assert(fc.property(arbitrary, fc.uint8Array({ minLength: PAGE, maxLength: PAGE }), (code, others) => {
      const { ranges, sites, there } = moved(code);
      const [from, to] = ranges;
      const page = Buffer.from(others);
      there.copy(page, from, from, to);
      expect(isSameCode(code.page, page, ranges, sites, code.distance)).toBe(true);
    }));
  });

  test('and not where any bit of it is another one', () => {
    fc.assert(fc.property(arbitrary, fc.nat(), fc.nat(7), (code, n, bit) => {
      const { ranges, sites, there } = moved(code);
      there[ranges[0] + n % code.length] ^= 1 << bit;
      expect(isSameCode(code.page, there, ranges, sites, code.distance)).toBe(false);
    }));
  });
});

test('a name says what a file is for, or it is no file of ours', () => {
  const kept = new Map<string, Kept>();
  const name = `${'0123456789abcdef'}-89-1f-odeadbeef_-3x_0_2x`;
  addKept(kept, name);
  expect([...kept]).toEqual([['0123456789abcdef-89-1f', { optimised: [name], baseline: [] }]]);
  expect(keptShape(name)).toEqual([{ distance: -3, behind: true }, { distance: 0, behind: false }, { distance: 2, behind: true }]);
  fc.assert(fc.property(fc.string(), (text) => { addKept(kept, text); }));
  expect(kept.size).toBe(1);
});
