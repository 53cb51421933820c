import { beforeAll, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { EXIT } from './core.ts';
import { S } from './gen/state.ts';
import { A, D, DATA, G, KERNEL_CODE, P, PD, PDPT, PML4, PS, PT, RW, SystemMachine, US, XD } from './system_test_machine.ts';

const LOAD = '8a07'; //   mov al, [rdi]
const STORE = '8807'; //  mov [rdi], al
const JUMP = 'ffe7'; //   jmp rdi
const RDI = 7;
const SMEP = 1n << 20n; const SMAP = 1n << 21n; const BASIC = 0x6b0n;

let m: SystemMachine;
beforeAll(async () => { m = await SystemMachine.create(); });

/** Runs one access to the DATA page at a privilege level; the page-fault error code, or undefined. */
function access(hex: string, entry: bigint, cpl: 0 | 3 = 0, cr4 = BASIC, flags = 2): bigint | undefined {
  m.long(cpl, cr4);
  m.setPte(DATA, entry);
  m.put(DATA, [0x0f, 0x01, 0xc1]);
  m.setGpr(RDI, BigInt(DATA));
  m.core.setFlags(flags);
  expect(m.run(hex)).toBe(EXIT.VMCALL);
  if (m.vector === undefined) return undefined;
  expect(m.vector).toBe(14);
  expect(m.core.u64(S.CR2)).toBe(BigInt(DATA));
  return m.frame(1)[0];
}
const page = BigInt(DATA);

test('a page that is not present gives error code 0 to a kernel read, 2 to its write, 4 and 6 to the user, CR2 the address', () => {
  expect(access(LOAD, 0n)).toBe(0n);
  expect(access(STORE, 0n)).toBe(2n);
  expect(access(LOAD, 0n, 3)).toBe(4n);
  expect(access(STORE, 0n, 3)).toBe(6n);
});

test('protection violations set P: user access to a supervisor page is 5 or 7, a write to a read-only page 7 or, under CR0.WP, 3', () => {
  expect(access(LOAD, page | P | RW, 3)).toBe(5n);
  expect(access(STORE, page | P | RW, 3)).toBe(7n);
  expect(access(STORE, page | P | US, 3)).toBe(7n);
  expect(access(STORE, page | P)).toBe(3n);
  expect(access(STORE, page | P | RW)).toBeUndefined();
});

test('the supervisor may write read-only pages while CR0.WP is clear', () => {
  m.long();
  m.core.setU64(S.CR0, 0x8000_0031n);
  m.setPte(DATA, page | P);
  m.setGpr(RDI, page);
  m.setGpr(0, 0x5an);
  m.run(STORE);
  expect(m.vector).toBeUndefined();
  expect(m.ram.getUint8(DATA)).toBe(0x5a);
});

test('an instruction fetch from an execute-disable page is 0x11 for the supervisor and 0x15 for the user', () => {
  expect(access(JUMP, page | P | XD)).toBe(0x11n);
  expect(access(JUMP, page | P | US | XD, 3)).toBe(0x15n);
  expect(access(JUMP, page | P | US, 3)).toBeUndefined();
});

test('a reserved bit is reported with RSVD and P', () => {
  expect(access(LOAD, page | P | 1n << 45n)).toBe(9n);
  expect(access(STORE, page | P | US | 1n << 51n, 3)).toBe(0xfn);
});

test('SMEP keeps the supervisor from user code, SMAP from user data unless AC is set', () => {
  expect(access(JUMP, page | P | US, 0, BASIC | SMEP)).toBe(0x11n);
  expect(access(JUMP, page | P | US, 0, BASIC)).toBeUndefined();
  expect(access(LOAD, page | P | US, 0, BASIC | SMAP)).toBe(1n);
  expect(access(LOAD, page | P | US, 0, BASIC | SMAP, 0x4_0002)).toBeUndefined();
  expect(access(`0f01cb ${LOAD} 0f01ca ${LOAD}`, page | P | US, 0, BASIC | SMAP)).toBe(1n);
  expect(m.frame(2)[1]).toBe(BigInt(KERNEL_CODE + 8));
});

test('reads set the accessed flags of all levels, the first write the dirty flag too, a faulting access none', () => {
  access(LOAD, page | P | RW);
  expect(m.pte(DATA)).toBe(page | P | RW | A);
  expect([PML4, PDPT, PD].map((t) => m.u64(t) & A)).toEqual([A, A, A]);
  access(`${LOAD} ${STORE}`, page | P | RW);
  expect(m.pte(DATA)).toBe(page | P | RW | A | D);
  access(STORE, page | P);
  expect(m.pte(DATA)).toBe(page | P);
});

test('a non-canonical address raises #GP(0), through RBP and RSP #SS(0)', () => {
  for (const [hex, vector] of [[LOAD, 13], ['8a4500', 12], ['8a0424', 12], ['50', 12], ['58', 12]] as const) {
    m.long();
    for (const r of [4, 5, 7]) m.setGpr(r, 0x8000_0000_0100n);
    m.setGate64(12, { ist: 1 }); m.setGate64(13, { ist: 1 });
    m.run(hex);
    expect([hex, m.vector, m.frame(1)[0]]).toEqual([hex, vector, 0n]);
  }
});

test('an access that ends beyond the canonical addresses is #GP(0) or #SS(0) as one that begins there, whatever its first page is', () => {
  // mov rax,[rdi]; mov [rdi],rax; mov rax,[rbp]; movups xmm0,[rdi]; movups [rdi],xmm0; lock add [rdi],rax; pop; push
  for (const [hex, vector, below] of [
    ['488b07', 13, 4n], ['488907', 13, 4n], ['488b4500', 12, 4n], ['0f1007', 13, 4n], ['0f1107', 13, 4n], ['f0480107', 13, 4n], ['58', 12, 4n], ['50', 12, -4n],
  ] as const) {
    m.long();
    m.core.setU64(S.CR4, m.core.u64(S.CR4) | 0x600n); // OSFXSR OSXMMEXCPT
    m.core.syncAfterStateWrite();
    for (const r of [4, 5, 7]) m.setGpr(r, 0x8000_0000_0000n - below);
    m.setGate64(12, { ist: 1 }); m.setGate64(13, { ist: 1 }); m.setGate64(14, { ist: 1 });
    m.run(hex);
    expect([hex, m.vector, m.frame(1)[0]]).toEqual([hex, vector, 0n]);
  }
});

test('an access across two pages faults at the first byte of the page that is missing and writes nothing', () => {
  m.long();
  m.setPte(DATA + 0x1000, 0n);
  m.setGpr(RDI, page + 0xffdn);
  m.setGpr(0, 0x1122_3344_5566_7788n);
  m.run('488907'); // mov [rdi], rax
  expect(m.vector).toBe(14);
  expect(m.core.u64(S.CR2)).toBe(page + 0x1000n);
  expect(m.u32(DATA + 0xffc)).toBe(0);
});

test('an access across two pages reaches both, wherever they lie', () => {
  m.long();
  m.setPte(DATA + 0x1000, page + 0x5000n | P | RW);
  m.setGpr(RDI, page + 0xffdn);
  m.setGpr(0, 0x1122_3344_5566_7788n);
  m.run('488907 488b0f'); // mov [rdi], rax; mov rcx, [rdi]
  expect(m.gpr(1)).toBe(0x1122_3344_5566_7788n);
  expect(m.ram.getUint8(DATA + 0xffd)).toBe(0x88);
  expect(m.u32(DATA + 0x5000)).toBe(0x2233_4455);
});

test('a cached translation survives a change of the entry until INVLPG', () => {
  m.long();
  m.ram.setUint8(DATA, 1);
  m.ram.setUint8(DATA + 0x3000, 2);
  m.setGpr(RDI, page);
  m.setGpr(6, BigInt(PT + (DATA >> 12) * 8));
  m.setGpr(2, page + 0x3000n | P | RW);
  m.run(`8a07 488916 8a27 0f013f 8a1f`); // mov al,[rdi]; mov [rsi],rdx; mov ah,[rdi]; invlpg [rdi]; mov bl,[rdi]
  expect(m.gpr(0) & 0xffffn).toBe(0x0101n);
  expect(m.gpr(3) & 0xffn).toBe(2n);
});

test('MOV CR3 drops translations except those of global pages', () => {
  for (const global of [0n, G]) {
    m.long();
    m.ram.setUint8(DATA, 1);
    m.ram.setUint8(DATA + 0x3000, 2);
    m.setPte(DATA, page | P | RW | global);
    m.setGpr(RDI, page);
    m.setGpr(6, BigInt(PT + (DATA >> 12) * 8));
    m.setGpr(2, page + 0x3000n | P | RW | global);
    m.setGpr(0, BigInt(PML4));
    m.run(`8a0f 488916 0f22d8 8a1f`); // mov cl,[rdi]; mov [rsi],rdx; mov cr3,rax; mov bl,[rdi]
    expect(m.gpr(3) & 0xffn).toBe(global ? 1n : 2n);
  }
});

test('INVLPG of one address drops a 2 MiB page everywhere', () => {
  m.long();
  m.ram.setUint8(0x20_0000, 1); m.ram.setUint8(0x20_5000, 1);
  m.ram.setUint8(0x40_0000, 2); m.ram.setUint8(0x40_5000, 2);
  m.setGpr(RDI, 0x20_0000n);
  m.setGpr(5, 0x20_5000n);
  m.setGpr(6, BigInt(PD + 8));
  m.setGpr(2, 0x40_0000n | P | RW | PS);
  m.run('8a07 8a4500 488916 0f013f 8a1f 8a4d00'); // read both, remap, invlpg [rdi], read both
  expect([m.gpr(3) & 0xffn, m.gpr(1) & 0xffn]).toEqual([2n, 2n]);
});

test('32-bit paging: PSE pages, read-only pages and error codes', () => {
  m.protected32();
  m.ram.setUint32(PML4, 0x87, true); //                4 MiB page at 0
  m.ram.setUint32(PML4 + 4, 0x40_0085, true); //       4 MiB read-only
  m.ram.setUint32(PML4 + 8, PT | 7, true);
  m.ram.setUint32(PT, DATA | 5, true);
  m.core.setU64(S.CR0, 0x8001_0031n); m.core.setU64(S.CR3, BigInt(PML4)); m.core.setU64(S.CR4, 0x10n);
  m.ram.setUint8(0x40_0123, 7); m.ram.setUint8(DATA + 5, 8);
  m.setGpr(RDI, 0x40_0123n); m.setGpr(6, 0x80_0005n);
  m.run('8a07 8a26 8807'); // mov al,[edi]; mov ah,[esi]; mov [edi],al
  expect(m.gpr(0) & 0xffffn).toBe(0x0807n);
  expect(m.vector).toBe(14);
  expect(m.frame32(1)).toEqual([3]);
  expect(m.u32(PT) & 0x60).toBe(0x20);
});

test('PAE paging uses the PDPTEs that MOV CR3 loaded, and MOV CR3 refuses reserved bits in them', () => {
  m.protected32();
  m.setU64(PDPT, BigInt(PD) | P);
  m.setU64(PD, 0n | P | RW | PS);
  m.core.setU64(S.CR4, 0x20n);
  m.setGpr(0, BigInt(PDPT)); m.setGpr(1, 0x8001_0031n); m.setGpr(RDI, BigInt(DATA)); m.setGpr(6, 0x4000_0000n);
  m.ram.setUint8(DATA, 9);
  m.run('0f22d8 0f22c1 8a17 8a1e'); // mov cr3,eax; mov cr0,ecx; mov dl,[edi]; mov bl,[esi]
  expect(m.gpr(2) & 0xffn).toBe(9n);
  expect(m.vector).toBe(14);
  expect(m.frame32(1)).toEqual([0]);
  m.setU64(PDPT + 8, 0x20n | P | 2n);
  m.setGpr(0, BigInt(PDPT));
  m.run('0f22d8');
  expect([m.vector, m.frame32(1)[0]]).toEqual([13, 0]);
});

test('code that overwrites itself executes the new bytes', () => {
  m.long();
  m.setGpr(RDI, BigInt(KERNEL_CODE + 7));
  m.run('c64701c3 90 90 90 fec0'); // mov byte [rdi+1], 0xc3; nops; inc al -> inc bl
  expect([m.gpr(0) & 0xffn, m.gpr(3) & 0xffn]).toEqual([0n, 1n]);
});

test('a loop whose body is rewritten on every pass runs the newest body each time', () => {
  m.long();
  m.setGpr(1, 100n);
  m.setGpr(RDI, BigInt(KERNEL_CODE));
  // again: mov eax, imm32(0); add ebx, eax; inc dword [rdi+1]; dec ecx; jnz again   => sum of 0..99
  m.run('b800000000 01c3 ff4701 ffc9 75f2');
  expect(m.gpr(3)).toBe(4950n);
});

test('a write through a translation cached earlier voids the code that another pCPU decoded since', async () => {
  m.long();
  m.put(DATA, [0xb8, 1, 0, 0, 0, 0x0f, 0x01, 0xc1]); // mov eax,1; vmcall
  const other = await m.sibling(1);
  const execute = (): bigint => {
    other.setU64(S.RIP, page);
    expect(other.run(100)).toBe(EXIT.VMCALL);
    return other.u64(S.GPR);
  };
  m.put(KERNEL_CODE, [0x88, 0x07, 0x0f, 0x01, 0xc1]); // mov [rdi],al; vmcall
  const write = (offset: number, value: number): void => {
    m.setGpr(RDI, page + BigInt(offset));
    m.setGpr(0, BigInt(value));
    m.core.setU64(S.RIP, BigInt(KERNEL_CODE));
    expect(m.core.run(100)).toBe(EXIT.VMCALL);
  };
  write(0x800, 0); // caches a write translation of the page
  expect(execute()).toBe(1n);
  write(1, 2);
  expect(execute()).toBe(2n);
  for (let i = 0; i < 60; i += 1) { // a page written again and again stops being watched, and is watched again once it runs
    write(0x800 + i, i);
    if (i % 31 === 0) write(1, i);
  }
  expect(execute()).toBe(31n);
  write(1, 77);
  expect(execute()).toBe(77n);
});

// ---- EPT

/** Identity EPT of 2 MiB pages for 6 MiB, 4 KiB pages for the first 2 MiB. */
function ept(): { set: (gpa: number, entry: bigint) => void; get: (gpa: number) => bigint } {
  const base = 0x70_0000;
  m.setU64(base, BigInt(base + 0x1000) | 7n);
  m.setU64(base + 0x1000, BigInt(base + 0x2000) | 7n);
  m.setU64(base + 0x2000, BigInt(base + 0x3000) | 7n);
  for (let i = 1; i < 3; i += 1) m.setU64(base + 0x2000 + i * 8, BigInt(i << 21) | 0xb7n);
  for (let i = 0; i < 512; i += 1) m.setU64(base + 0x3000 + i * 8, BigInt(i << 12) | 0x37n);
  m.core.setU64(S.EPTP, BigInt(base) | 0x5en);
  const at = (gpa: number): number => base + 0x3000 + (gpa >> 12) * 8;
  return { set: (gpa, entry) => m.setU64(at(gpa), entry), get: (gpa) => m.u64(at(gpa)) };
}

test('with EPT guest pages go through both translations', () => {
  m.long();
  const e = ept();
  e.set(DATA, BigInt(DATA + 0x4000) | 0x37n);
  m.ram.setUint8(DATA + 0x4000, 0x77);
  m.setGpr(RDI, page);
  m.run(LOAD);
  expect(m.gpr(0)).toBe(0x77n);
  expect(e.get(DATA) & 0x300n).toBe(0x100n);
  m.setGpr(RDI, page);
  m.run(STORE);
  expect(e.get(DATA) & 0x300n).toBe(0x300n);
});

test('with accessed and dirty flags for EPT, reading a paging structure counts as a write of its page', () => {
  m.long();
  const e = ept();
  m.setGpr(RDI, page);
  m.run(LOAD);
  expect([PML4, PDPT, PD, PT].map((table) => e.get(table) & 0x300n)).toEqual([0x300n, 0x300n, 0x300n, 0x300n]);
  expect(e.get(DATA) & 0x300n).toBe(0x100n);
  m.long();
  const without = ept();
  m.core.setU64(S.EPTP, m.core.u64(S.EPTP) & ~0x40n);
  m.setGpr(RDI, page);
  m.run(LOAD);
  expect([PML4, PDPT, PD, PT, DATA].map((at) => without.get(at) & 0x300n)).toEqual([0n, 0n, 0n, 0n, 0n]);
});

describe('the flush that stands for INVEPT drops what was translated through EPT', () => {
  const EVENT_TLB_FLUSH = 16;
  const RSI = 6;
  const absent = page + 0x6000n;

  /** What AL is before and after the EPT changes in the middle of a run, in the exit of a violation. */
  function around(change: (e: ReturnType<typeof ept>) => void, flush: () => void): [bigint, bigint] {
    m.long();
    const e = ept();
    m.ram.setUint8(DATA, 0x11);
    m.ram.setUint8(DATA + 0x4000, 0x22);
    e.set(Number(absent), 0n);
    m.setGpr(RDI, page);
    m.setGpr(RSI, absent);
    m.onExit = () => {
      change(e);
      flush();
      return 0n;
    };
    expect(m.run('0fb607 89c3 8b0e 0fb607')).toBe(EXIT.VMCALL); // movzx eax,[rdi]; mov ebx,eax; mov ecx,[rsi]; movzx eax,[rdi]
    return [m.gpr(3), m.gpr(0)];
  }
  const data = (e: ReturnType<typeof ept>): void => { e.set(DATA, BigInt(DATA + 0x4000) | 0x37n); };
  /** The same page table elsewhere, with another page in it. */
  const table = (e: ReturnType<typeof ept>): void => {
    const copy = DATA + 0x5000;
    for (let i = 0; i < 512; i += 1) m.setU64(copy + i * 8, m.u64(PT + i * 8));
    const entry = copy + Number((page >> 12n) & 0x1ffn) * 8;
    m.setU64(entry, BigInt(DATA + 0x4000) | m.u64(entry) & 0xfffn);
    e.set(PT, BigInt(copy) | 0x37n);
  };

  test.each([['of data', data], ['of paging structures', table]])('%s', (_name, change) => {
    expect(around(change, () => m.core.flushTlb())).toEqual([0x11n, 0x22n]);
    expect(around(change, () => m.core.setU32(S.EVENT_FLAGS, m.core.u32(S.EVENT_FLAGS) | EVENT_TLB_FLUSH))).toEqual([0x11n, 0x22n]);
    expect(m.core.u32(S.EVENT_FLAGS) & EVENT_TLB_FLUSH).toBe(0);
    // Without it the processor may go on with what it has, and this one does: the flush is what is seen above.
    expect(around(change, () => {})).toEqual([0x11n, 0x11n]);
  });
});

test('an EPT violation of a read asks the hypervisor for the data and goes on with its answer', () => {
  m.long();
  ept().set(DATA, 0n);
  m.onExit = () => 0x1234_5678n;
  m.setGpr(RDI, page + 0x20n);
  expect(m.run('8b07 89c3')).toBe(EXIT.VMCALL); // mov eax,[rdi]; mov ebx,eax
  expect(m.gpr(3)).toBe(0x1234_5678n);
  expect(m.exits).toMatchObject([{ reason: 48, gpa: page + 0x20n, size: 4, qualification: 0x181n }]);
});

test('an EPT violation of a write hands the data over; a page readable only is reported so', () => {
  m.long();
  ept().set(DATA, page | 1n | 0x30n);
  m.setGpr(RDI, page + 8n);
  m.setGpr(0, 0xabcdn);
  m.run('668907'); // mov [rdi], ax
  expect(m.exits).toMatchObject([{ reason: 48, gpa: page + 8n, size: 2, data: 0xabcdn, qualification: 0x18an }]);
  expect(m.u16(DATA + 8)).toBe(0);
});

test('device memory that nobody answers for reads as all ones', () => {
  m.long();
  ept().set(DATA, 0n);
  m.setGpr(RDI, page);
  m.run(LOAD);
  expect(m.gpr(0) & 0xffn).toBe(0xffn);
});

test('the hypervisor may answer an EPT violation with a fault of the instruction', () => {
  m.long();
  ept().set(DATA, 0n);
  m.setGpr(RDI, page);
  m.fault = 0x8000_0b0d; // #GP, error code valid
  m.run(LOAD);
  expect([m.vector, m.frame(2)]).toEqual([13, [0n, BigInt(KERNEL_CODE)]]);
});

test('guest paging structures outside of RAM read as all ones and fault as reserved', () => {
  m.long();
  m.setU64(PD + 16, 0x7f_0000_0000n | P | RW); // a page table at 508 GiB
  m.setGpr(RDI, 0x40_0000n);
  m.run(LOAD);
  expect([m.vector, m.frame(1)[0]]).toEqual([14, 9n]);
});

// ---- property: the error code of any leaf entry, any access, against the rules of SDM 4.6 and 4.7

test('any leaf entry and any access give the access rights and error code of SDM 4.6 and 4.7', () => {
  const bits = fc.record({
    p: fc.boolean(), rw: fc.boolean(), us: fc.boolean(), xd: fc.boolean(), rsvd: fc.boolean(), upperRw: fc.boolean(), upperUs: fc.boolean(), upperXd: fc.boolean(),
    user: fc.boolean(), kind: fc.constantFrom('read', 'write', 'fetch'), wp: fc.boolean(), smep: fc.boolean(), smap: fc.boolean(), ac: fc.boolean(),
  });
  fc.assert(fc.property(bits, (b) => {
    m.long(b.user ? 3 : 0, BASIC | (b.smep ? SMEP : 0n) | (b.smap ? SMAP : 0n));
    // The upper level is a PDE of its own, for 4 MiB to 6 MiB.
    const table = 0x1_4000;
    m.setU64(PD + 16, BigInt(table) | P | (b.upperRw ? RW : 0n) | (b.upperUs ? US : 0n) | (b.upperXd ? XD : 0n));
    m.setU64(table, BigInt(DATA) | (b.p ? P : 0n) | (b.rw ? RW : 0n) | (b.us ? US : 0n) | (b.xd ? XD : 0n) | (b.rsvd ? 1n << 46n : 0n));
    m.put(DATA, [0x0f, 0x01, 0xc1]);
    m.core.setU64(S.CR0, b.wp ? 0x8001_0031n : 0x8000_0031n);
    m.setGpr(RDI, 0x40_0000n);
    m.core.setFlags(b.ac ? 0x4_0002 : 2);
    m.run(b.kind === 'read' ? LOAD : b.kind === 'write' ? STORE : JUMP);
    const rw = b.rw && b.upperRw; const us = b.us && b.upperUs; const xd = b.xd || b.upperXd;
    let allowed: boolean;
    if (b.user) allowed = us && (b.kind === 'write' ? rw : b.kind === 'fetch' ? !xd : true);
    else if (b.kind === 'fetch') allowed = !xd && !(us && b.smep);
    else allowed = !(us && b.smap && !b.ac) && (b.kind === 'read' || rw || !b.wp);
    const access = (b.kind === 'write' ? 2 : 0) | (b.user ? 4 : 0) | (b.kind === 'fetch' ? 16 : 0);
    const expected = !b.p ? access : b.rsvd ? access | 9 : allowed ? undefined : access | 1;
    expect(m.vector === undefined ? undefined : Number(m.frame(1)[0])).toBe(expected);
  }), { seed: 20260704, numRuns: 300 });
});
