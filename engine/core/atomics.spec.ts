/** LOCKed instructions of pCPUs on threads of their own, on the same bytes: SDM vol. 3, 9.1.2. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AtomicsWork } from './atomics_test_worker.ts';
import { createMemory, loadCoreModule } from './core.ts';
import { CODE, DATA } from './core_test_machine.ts';
import { S } from './gen/state.ts';
import { forgetPresence } from './presence.ts';
import { layout } from './tables/layout.ts';

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const RAM_BYTES = 8 << 20;
const TIMES = 60_000;
const HLT = 12;
const RCX = 1; const RDX = 2; const RBX = 3; const RSI = 6; const RDI = 7; const R9 = 9;
const PAGE_END = DATA + 0x1000;

interface Thread { code: string; registers: Record<number, bigint> }

/** Runs the threads to their ends; the memory. */
async function together(jit: 'off' | 'on', threads: readonly Thread[], memory = createMemory(RAM_BYTES), turns = false): Promise<DataView> {
  const ram = new DataView(memory.buffer, layout.RAM_BASE, RAM_BYTES);
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  const ends = threads.map(async ({ code, registers }, n) => {
    const at = CODE + n * 0x1000;
    Buffer.from(code.replaceAll(' ', ''), 'hex').forEach((b, i) => ram.setUint8(at + i, b));
    const work: AtomicsWork = { module, memory, pcpuId: n, jit, at, registers, waiting, threads: threads.length, turns };
    const worker = new Worker(new URL('./atomics_test_worker.ts', import.meta.url), { workerData: work });
    const [left] = await once(worker, 'message');
    await worker.terminate();
    return left as number;
  });
  expect(await Promise.all(ends)).toEqual(threads.map(() => HLT));
  return ram;
}

// again: OP; dec ecx; jnz again; hlt
const loop = (op: string): string => {
  const bytes = op.replaceAll(' ', '').length / 2;
  return `${op} ffc9 75${(256 - bytes - 4).toString(16)} f4`;
};
const ADD_QUADWORD = loop('f048830701'); //   lock add qword [rdi], 1
const ADD_DOUBLEWORD = loop('f0830701'); //   lock add dword [rdi], 1
const XADD_WORD = loop('bb01000000 66f00fc11f'); // mov ebx, 1; lock xadd [rdi], bx
// retry: mov rax,[rdi]; mov rdx,[rdi+8]; mov rbx,rax; lea rcx,[rdx+1]; lock cmpxchg16b [rdi]; jnz retry; dec esi; jnz retry; hlt
const ADD_HIGH_OF_16 = '488b07 488b5708 4889c3 488d4a01 f0480fc70f 75eb ffce 75e7 f4';

// Both halves of the operand count alike, so that plain loads can tell a mixture of two values: the half that was read second
// must not be older than the other, whichever is read first (SDM vol. 3, 9.2.2: loads are not reordered with loads).
const HALVES = 3_000;
/** CMPXCHG16B's exchanges follow each other at once: without a stop the halves are seldom seen apart. */
const HALVES_OF_16 = 50_000;
const DONE = DATA + 0x3000;
const MIXED = DATA + 0x4000;
const SET_DONE = 'c70601000000 f4'; // mov dword [rsi], 1; hlt
const ADD_BOTH_WORDS = `f0810701000100 ffc9 75f5 ${SET_DONE}`; // again: lock add dword [rdi], 0x10001; dec ecx; jnz again
const ADD_BOTH_DOUBLEWORDS = `f048011f ffc9 75f8 ${SET_DONE}`; // again: lock add [rdi], rbx; dec ecx; jnz again
// again: mov rax, r8; xchg [rdi], rax; add r8, rbx; dec ecx; jnz again
const EXCHANGE_BOTH_DOUBLEWORDS = `4c89c0 488707 4901d8 ffc9 75f3 ${SET_DONE}`;
const SET_MIXED = 'c70201000000 f4'; // mov dword [rdx], 1; hlt
// again: mov ax, [rdi]; mov bx, [rdi+2]; cmp bx, ax; jb mixed; mov bx, [rdi+2]; mov ax, [rdi]; cmp ax, bx; jb mixed
const CHECK_WORDS = '668b07 668b5f02 6639c3 7212 668b5f02 668b07 6639d8 7206';
const CHECK_DOUBLEWORDS = '8b07 8b5f04 39c3 720f 8b5f04 8b07 39d8 7206'; // the same with eax, ebx and [rdi+4]
const READ_WORDS = `${CHECK_WORDS} 833e00 74e3 f4 ${SET_MIXED}`; // cmp dword [rsi], 0; jz again; hlt
const READ_DOUBLEWORDS = `${CHECK_DOUBLEWORDS} 833e00 74e9 f4 ${SET_MIXED}`;
// again: mov rax, [rdi]; mov rdx, [rdi+8]; lea rbx, [rax+1]; lea rcx, [rdx+1]; lock cmpxchg16b [rdi]; jnz again; dec r9d; jnz again
const COUNT_BOTH_QUADWORDS = `488b07 488b5708 488d5801 488d4a01 f0480fc70f 75ea 41ffc9 75e5 ${SET_DONE}`;
const CHECK_QUADWORDS = '488b07 488b5f08 4839c3 7212 488b5f08 488b07 4839d8 7206'; // as above with rax, rbx and [rdi+8]
const READ_QUADWORDS = `${CHECK_QUADWORDS} 833e00 74e3 f4 ${SET_MIXED}`;
// again: lock add dword [rdi], 0x10001; (check); dec ecx; nop; jnz again; hlt
const ADD_AND_READ_WORDS = `f0810701000100 ${CHECK_WORDS} ffc9 90 75dc f4 ${SET_MIXED}`;

/** LOCKed instructions that add 1 to what is at [rdi], no single atomic of WebAssembly's. */
const ADDING = [
  ['a split LOCK', 'f0830701 90f4', PAGE_END - 2], //       lock add dword [rdi], 1; nop; hlt
  ['LOCK CMPXCHG16B', 'f0480fc70f f4', DATA], //            lock cmpxchg16b [rdi]; hlt
] as const;

/** A pCPU that adds once, on its own thread; what is there after a while, and in the end. */
async function addWhile(jit: 'off' | 'on', memory: WebAssembly.Memory, code: string, address: number, until: () => void): Promise<{ before: number; after: number }> {
  const ram = new DataView(memory.buffer, layout.RAM_BASE, RAM_BYTES);
  Buffer.from(code.replaceAll(' ', ''), 'hex').forEach((b, i) => ram.setUint8(CODE + i, b));
  const registers = { [RDX]: 0n, [RBX]: 1n, [RCX]: 0n, [RDI]: BigInt(address) };
  const work: AtomicsWork = { module, memory, pcpuId: 0, jit, at: CODE, registers, waiting: new Int32Array(new SharedArrayBuffer(4)), threads: 1 };
  const worker = new Worker(new URL('./atomics_test_worker.ts', import.meta.url), { workerData: work });
  const words = new Int32Array(memory.buffer);
  const left = once(worker, 'message');
  while (Atomics.load(words, layout.BUS_STOP / 4) === 0) await new Promise(setImmediate);
  const before = ram.getUint32(address, true);
  until();
  expect(await left).toEqual([HLT]);
  await worker.terminate();
  return { before, after: ram.getUint32(address, true) };
}

const times = (at: number): Record<number, bigint> => ({ [RCX]: BigInt(TIMES), [RDI]: BigInt(at), [RBX]: 1n });

describe.each(['off', 'on'] as const)('JIT %s: no thread loses another one\'s', (jit) => {
  test('aligned quadword and doubleword across its end', async () => {
    const ram = await together(jit, [{ code: ADD_QUADWORD, registers: times(DATA) }, { code: ADD_DOUBLEWORD, registers: times(DATA + 6) }]);
    expect(ram.getUint32(DATA, true)).toBe(TIMES);
    expect(ram.getUint32(DATA + 6, true)).toBe(TIMES);
  });

  test('aligned doubleword and unaligned word inside of it', async () => {
    const ram = await together(jit, [{ code: ADD_DOUBLEWORD, registers: times(DATA) }, { code: XADD_WORD, registers: times(DATA + 3) }]);
    expect(ram.getUint32(DATA, true) & 0xff_ffff).toBe(TIMES);
    expect(ram.getUint16(DATA + 3, true)).toBe(TIMES);
  });

  test('the same doubleword across a page\'s end', async () => {
    const thread = { code: ADD_DOUBLEWORD, registers: { ...times(PAGE_END - 2), [RCX]: BigInt(HALVES) } };
    const ram = await together(jit, [thread, thread]);
    expect(ram.getUint32(PAGE_END - 2, true)).toBe(2 * HALVES);
  });

  test('quadwords across a page\'s end and the doubleword behind it', async () => {
    const ram = await together(jit, [{ code: ADD_QUADWORD, registers: times(PAGE_END - 6) }, { code: ADD_DOUBLEWORD, registers: times(PAGE_END + 2) }]);
    expect(ram.getUint32(PAGE_END - 6, true)).toBe(TIMES);
    expect(ram.getUint32(PAGE_END + 2, true)).toBe(TIMES);
  });

  test('CMPXCHG16B and a doubleword of its low half', async () => {
    const ram = await together(jit, [
      { code: ADD_HIGH_OF_16, registers: { [RSI]: BigInt(TIMES), [RDI]: BigInt(DATA) } }, { code: ADD_DOUBLEWORD, registers: times(DATA + 4) },
    ]);
    expect(ram.getBigUint64(DATA + 8, true)).toBe(BigInt(TIMES));
    expect(ram.getUint32(DATA + 4, true)).toBe(TIMES);
  });

  test.each([
    ['words across a quadword\'s end', ADD_BOTH_WORDS, READ_WORDS, DATA + 6],
    ['words across a page\'s end', ADD_BOTH_WORDS, READ_WORDS, PAGE_END - 2],
    ['doublewords across a quadword\'s end', ADD_BOTH_DOUBLEWORDS, READ_DOUBLEWORDS, DATA + 4],
    ['doublewords across a page\'s end', ADD_BOTH_DOUBLEWORDS, READ_DOUBLEWORDS, PAGE_END - 4],
    ['exchanged doublewords across a quadword\'s end', EXCHANGE_BOTH_DOUBLEWORDS, READ_DOUBLEWORDS, DATA + 4],
    ['the quadwords of CMPXCHG16B', COUNT_BOTH_QUADWORDS, READ_QUADWORDS, DATA],
  ])('plain loads never see one half of a LOCKed access without the other: %s', async (_, writer, reader, at) => {
    const registers = { [RCX]: BigInt(HALVES), [RBX]: 0x1_0000_0001n, [RSI]: BigInt(DONE), [RDI]: BigInt(at), [RDX]: BigInt(MIXED), [R9]: BigInt(HALVES_OF_16) };
    const ram = await together(jit, [{ code: writer, registers }, { code: reader, registers }]);
    expect(ram.getUint32(MIXED, true)).toBe(0);
  });

  test('four pCPUs add to both words of a split doubleword and look at them with plain loads', async () => {
    const registers = { [RCX]: BigInt(HALVES), [RDI]: BigInt(PAGE_END - 2), [RDX]: BigInt(MIXED) };
    const thread = { code: ADD_AND_READ_WORDS, registers };
    const ram = await together(jit, [thread, thread, thread, thread]);
    expect(ram.getUint32(MIXED, true)).toBe(0);
    expect(ram.getUint32(PAGE_END - 2, true)).toBe(4 * HALVES * 0x1_0001);
  });

  test.each(ADDING)('%s asks a pCPU in guest code to leave it, and waits until it has', async (_, code, at) => {
    const memory = createMemory(RAM_BYTES);
    const words = new Int32Array(memory.buffer);
    const other = layout.PCPU_BASE + 2 * layout.PCPU_STRIDE;
    Atomics.store(words, (other + layout.PRESENT_OFFSET) / 4, 1);
    const values = await addWhile(jit, memory, code, at, () => {
      while (Atomics.load(words, (other + S.EVENT_FLAGS) / 4) === 0); // EVENT_CODE
      Atomics.store(words, (other + layout.PRESENT_OFFSET) / 4, 0);
    });
    expect(values).toEqual({ before: 0, after: 1 });
    expect([words[layout.BUS_STOP / 4], words[layout.BUS_LOCK / 4]]).toEqual([0, 0]);
  });

  test.each(ADDING)('%s does not wait for a pCPU whose thread has ended in guest code', async (_, code, at) => {
    const memory = createMemory(RAM_BYTES);
    const words = new Int32Array(memory.buffer);
    Atomics.store(words, (layout.PCPU_BASE + 2 * layout.PCPU_STRIDE + layout.PRESENT_OFFSET) / 4, 1);
    expect(await addWhile(jit, memory, code, at, () => forgetPresence(memory.buffer, 2))).toEqual({ before: 0, after: 1 });
  });

  test.each(ADDING)('%s neither stops nor waits for a pCPU with another EPTP', async (_, code, at) => {
    const memory = createMemory(RAM_BYTES);
    const view = new DataView(memory.buffer);
    const words = new Int32Array(memory.buffer);
    const [foreign, own] = [1, 2].map((pcpuId) => layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE) as [number, number];
    view.setBigUint64(foreign + S.EPTP, 0x1_0000_001en, true);
    for (const pcpu of [foreign, own]) Atomics.store(words, (pcpu + layout.PRESENT_OFFSET) / 4, 1);
    Atomics.store(words, (foreign + layout.HELD_UP_OFFSET) / 4, 1);
    view.setUint8(layout.PAGE_CODE_BASE + (CODE >> 12), 1 << 1); // marked already: that asks nobody for anything
    const values = await addWhile(jit, memory, code, at, () => {
      while (Atomics.load(words, (own + S.EVENT_FLAGS) / 4) === 0);
      Atomics.store(words, (own + layout.PRESENT_OFFSET) / 4, 0);
    });
    expect(values).toEqual({ before: 0, after: 1 });
    expect(view.getUint32(foreign + S.EVENT_FLAGS, true)).toBe(0);
  });

  test('a stop by a pCPU with another EPTP holds nobody up', async () => {
    const memory = createMemory(RAM_BYTES);
    const view = new DataView(memory.buffer);
    view.setBigUint64(layout.PCPU_BASE + 2 * layout.PCPU_STRIDE + S.EPTP, 0x1_0000_001en, true);
    view.setUint32(layout.BUS_STOP, 3, true);
    const ram = await together(jit, [{ code: ADD_QUADWORD, registers: times(DATA) }], memory);
    expect(ram.getUint32(DATA, true)).toBe(TIMES);
  });
});

test('setting the accessed bit of a segment descriptor takes back nothing that another processor writes into it', async () => {
  const memory = createMemory(RAM_BYTES);
  const ram = new DataView(memory.buffer, layout.RAM_BASE, RAM_BYTES);
  const gdt = DATA + 0x5000;
  // lgdt [rdx]; mov eax, 8; again: mov ds, eax; cmp dword [rsi], 0; jz again; hlt
  Buffer.from('0f0112 b808000000 8ed8 833e00 74f9 f4'.replaceAll(' ', ''), 'hex').forEach((b, i) => ram.setUint8(CODE + i, b));
  ram.setBigUint64(gdt + 8, 0x00cf_9200_0000_ffffn, true);
  ram.setUint16(gdt + 0x100, 15, true);
  ram.setBigUint64(gdt + 0x102, BigInt(gdt), true);
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  const work: AtomicsWork = { module, memory, pcpuId: 0, jit: 'off', at: CODE, registers: { [RSI]: BigInt(DONE), [RDX]: BigInt(gdt + 0x100) }, waiting, threads: 1 };
  const worker = new Worker(new URL('./atomics_test_worker.ts', import.meta.url), { workerData: work });
  const left = once(worker, 'message');
  while (Atomics.load(waiting, 0) === 0) await new Promise(setImmediate);
  const type = new Uint8Array(memory.buffer, layout.RAM_BASE + gdt + 8 + 5, 1);
  let lost = 0;
  for (let i = 0; i < 200_000; i += 1) {
    Atomics.store(type, 0, 0x92); // writable data, not accessed, DPL 0
    for (let spin = i & 255; spin > 0; spin -= 1) Atomics.load(waiting, 0);
    Atomics.or(type, 0, 0x60); // DPL 3
    for (let spin = 0; spin < 300; spin += 1) Atomics.load(waiting, 0);
    if ((Atomics.load(type, 0) & 0x60) !== 0x60) lost += 1;
  }
  ram.setUint32(DONE, 1, true);
  expect(await left).toEqual([HLT]);
  await worker.terminate();
  expect(lost).toBe(0);
});

test('no accessed flag appears in a paging-structure entry that another processor has cleared', async () => {
  const memory = createMemory(RAM_BYTES);
  const ram = new DataView(memory.buffer, layout.RAM_BASE, RAM_BYTES);
  // again: invlpg [rdi]; mov al, [rdi]; cmp dword [rsi], 0; jz again; hlt
  Buffer.from('0f013f 8a07 833e00 74f6 f4'.replaceAll(' ', ''), 'hex').forEach((b, i) => ram.setUint8(CODE + i, b));
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  const work: AtomicsWork = { module, memory, pcpuId: 0, jit: 'off', at: CODE, registers: { [RSI]: BigInt(DONE), [RDI]: 0x40_0000n }, waiting, threads: 2, again: true };
  const worker = new Worker(new URL('./atomics_test_worker.ts', import.meta.url), { workerData: work });
  const left = once(worker, 'message');
  while (Atomics.load(waiting, 0) === 0) await new Promise(setImmediate);
  // 4 MiB and up by a page table at 0x5000: its entry in the page directory at 0x3000 comes and goes.
  ram.setBigUint64(0x5000, 0x40_0003n, true);
  const entries = new BigInt64Array(memory.buffer, layout.RAM_BASE + 0x3000 + 8 * 2, 1);
  Atomics.store(entries, 0, 0n);
  Atomics.add(waiting, 0, 1);
  Atomics.notify(waiting, 0);
  const left0 = new Set<bigint>();
  for (let i = 0; i < 200_000; i += 1) {
    Atomics.store(entries, 0, 0x5003n);
    for (let spin = i & 255; spin > 0; spin -= 1) Atomics.load(waiting, 0);
    Atomics.store(entries, 0, 0n);
    for (let spin = 0; spin < 500; spin += 1) Atomics.load(waiting, 0);
    left0.add(Atomics.load(entries, 0));
  }
  ram.setBigUint64(0x3000 + 8 * 2, 0x5003n, true);
  ram.setUint32(DONE, 1, true);
  expect(await left).toEqual([HLT]);
  await worker.terminate();
  expect([...left0]).toEqual([0n]);
});

test('the bus is free again when the thread of the pCPU that had stopped the others ends', () => {
  const { buffer } = createMemory(RAM_BYTES);
  const words = new Int32Array(buffer);
  words[layout.BUS_LOCK / 4] = words[layout.BUS_STOP / 4] = 3;
  forgetPresence(buffer, 1);
  expect([words[layout.BUS_LOCK / 4], words[layout.BUS_STOP / 4]]).toEqual([3, 3]);
  forgetPresence(buffer, 2);
  expect([words[layout.BUS_LOCK / 4], words[layout.BUS_STOP / 4]]).toEqual([0, 0]);
});

describe.each(['off', 'on'] as const)('JIT %s: pCPUs that take turns, as on hosts that reorder what x86 does not (SDM vol. 3, 9.2.2)', (jit) => {
  const PLAIN_ADD = loop('830701'); //        add dword [rdi], 1
  const PLAIN_ADD_QUADWORD = loop('48830701');

  test('run one at a time: adds without LOCK lose nothing', async () => {
    const thread = { code: PLAIN_ADD, registers: { ...times(DATA), [RCX]: 400_000n } };
    const ram = await together(jit, [thread, thread, thread], createMemory(RAM_BYTES), true);
    expect(ram.getUint32(DATA, true)).toBe(1_200_000);
  });

  test('and so do LOCKed ones across a page\'s end, which stop the others', async () => {
    const locked = { code: ADD_DOUBLEWORD, registers: { ...times(PAGE_END - 2), [RCX]: BigInt(HALVES) } };
    const plain = { code: PLAIN_ADD_QUADWORD, registers: times(DATA) };
    const ram = await together(jit, [locked, locked, plain], createMemory(RAM_BYTES), true);
    expect(ram.getUint32(PAGE_END - 2, true)).toBe(2 * HALVES);
    expect(ram.getUint32(DATA, true)).toBe(TIMES);
  });

  test('the turn of a pCPU whose thread has ended goes to another', async () => {
    const memory = createMemory(RAM_BYTES);
    const words = new Int32Array(memory.buffer);
    Atomics.store(words, layout.TURNS / 4, 3 + 1);
    const ended = together(jit, [{ code: PLAIN_ADD, registers: times(DATA) }], memory, true);
    while (Atomics.load(words, (layout.PCPU_BASE + layout.WANTS_LOCK_OFFSET) / 4) === 0) await new Promise(setImmediate);
    expect(new DataView(memory.buffer, layout.RAM_BASE).getUint32(DATA, true)).toBe(0);
    forgetPresence(memory.buffer, 3);
    expect((await ended).getUint32(DATA, true)).toBe(TIMES);
  });
});
