import { beforeAll, describe, expect, test } from 'vitest';
import { S } from './gen/state.ts';
import { DATA, P, PD, PML4, PS, PT, RW, SystemMachine } from './system_test_machine.ts';

const NOFLUSH = 1n << 63n;
const CR4_PCIDE = 0x2_06b0n;
const OTHER = DATA + 0x1000;
const DESCRIPTOR = DATA + 0x2000;

let m: SystemMachine;
beforeAll(async () => { m = await SystemMachine.create(); });

const HERE = '41 0f 22 d8'; //  mov cr3, r8: PCID 1, kept
const THERE = '41 0f 22 d9'; // mov cr3, r9: PCID 2, kept
const READ = '48 8b 06'; //     mov rax, [rsi]
const REMAP = '48 89 1f'; //    mov [rdi], rbx: the entry that maps DATA
const INVPCID = '66 41 0f 38 82 12'; // invpcid rdx, [r10]

/** What PCID 1 reads at DATA after it has read it, PCID 2 has mapped OTHER there and done this, and PCID 1 is back. */
function readsAfter(invalidation: string, { type = 0n, pcid = 1n, address = BigInt(DATA), back = HERE, large = false } = {}): string {
  m.long(0, CR4_PCIDE);
  m.core.setU64(S.CR3, BigInt(PML4) | 1n);
  m.setU64(DATA, 0xaaaan);
  m.setU64(OTHER, 0xbbbbn);
  m.setU64(DESCRIPTOR, pcid);
  m.setU64(DESCRIPTOR + 8, address);
  m.setGpr(6, BigInt(DATA));
  m.setGpr(7, BigInt(PT + (DATA >> 12) * 8));
  m.setGpr(3, BigInt(OTHER) | P | RW);
  if (large) { // GVA 4 MiB is a large page at GPA 0, then at 2 MiB
    m.setU64(PD + 16, P | RW | PS);
    m.setU64(0x20_0000 + DATA, 0xbbbbn);
    m.setGpr(6, BigInt(0x40_0000 + DATA));
    m.setGpr(7, BigInt(PD + 16));
    m.setGpr(3, 0x20_0000n | P | RW | PS);
  }
  m.setGpr(2, type);
  m.setGpr(8, BigInt(PML4) | 1n | NOFLUSH);
  m.setGpr(9, BigInt(PML4) | 2n | NOFLUSH);
  m.setGpr(10, BigInt(DESCRIPTOR));
  m.setGpr(11, BigInt(PML4) | 1n);
  m.setGpr(12, CR4_PCIDE & ~0x80n);
  m.setGpr(13, CR4_PCIDE);
  m.run(`${READ} ${THERE} ${REMAP} ${invalidation} ${back} ${READ}`);
  expect(m.vector).toBeUndefined();
  return { 0xaaaa: 'old', 0xbbbb: 'new' }[Number(m.gpr(0))] ?? 'neither';
}

describe('translations of a PCID', () => {
  test('are kept while another one runs', () => expect(readsAfter('')).toBe('old'));
  test('are gone after MOV to CR3 without bit 63', () => expect(readsAfter('', { back: '41 0f 22 db' })).toBe('new'));
  test.each([0n, 1n, 2n, 3n])('are gone after INVPCID of type %s for them', (type) => expect(readsAfter(INVPCID, { type })).toBe('new'));
  test.each([0n, 1n])('are kept after INVPCID of type %s for another PCID', (type) => {
    expect(readsAfter(INVPCID, { type, pcid: 3n, address: BigInt(OTHER) })).toBe('old');
  });
  test('are gone when CR4.PGE is cleared', () => expect(readsAfter('41 0f 22 e4 41 0f 22 e5')).toBe('new'));
  test('of a large page are gone by any address in it', () => {
    expect(readsAfter('', { large: true })).toBe('old');
    expect(readsAfter(INVPCID, { large: true, address: 0x40_0000n })).toBe('new');
    expect(readsAfter(`${HERE} 0f 01 3e ${THERE}`, { large: true })).toBe('new'); // invlpg [rsi]
    expect(readsAfter(`${HERE} 0f 01 be 00 10 00 00 ${THERE}`, { large: true })).toBe('new'); // invlpg [rsi + 0x1000]
  });
  test('of a small page are gone after INVLPG of it', () => expect(readsAfter(`${HERE} 0f 01 3e ${THERE}`)).toBe('new'));
  test('are of its rights: a page read before is still checked, and marked dirty, when it is written', () => {
    m.long(0, CR4_PCIDE);
    m.core.setU64(S.CR3, BigInt(PML4) | 1n);
    m.setGpr(6, BigInt(DATA));
    m.setGpr(8, BigInt(PML4) | 1n | NOFLUSH);
    m.setGpr(9, BigInt(PML4) | 2n | NOFLUSH);
    m.run(`${READ} ${THERE} ${HERE} 48 89 06`);
    expect(m.pte(DATA) & 0x60n).toBe(0x60n);
    m.setPte(DATA, BigInt(DATA) | P);
    m.core.setU64(S.CR0, m.core.u64(S.CR0) | 0x1_0000n); // WP
    m.core.flushTlb();
    m.core.setU64(S.CR3, BigInt(PML4) | 1n);
    m.run(`${READ} ${THERE} ${HERE} 48 89 06`);
    expect(m.vector).toBe(14);
  });
});
