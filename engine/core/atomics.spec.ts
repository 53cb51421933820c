/** LOCKed instructions of pCPUs on threads of their own, on the same bytes: SDM vol. 3, 9.1.2. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AtomicsWork } from './atomics_test_worker.ts';
import { createMemory, loadCoreModule } from './core.ts';
import { CODE, DATA } from './core_test_machine.ts';
import { layout } from './tables/layout.ts';

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const RAM_BYTES = 8 << 20;
const TIMES = 60_000;
const HLT = 12;
const RCX = 1; const RBX = 3; const RDI = 7;
const PAGE_END = DATA + 0x1000;

interface Thread { code: string; registers: Record<number, bigint> }

/** Runs the threads to their ends; the memory. */
async function together(jit: 'off' | 'on', threads: readonly Thread[]): Promise<DataView> {
  const memory = createMemory(RAM_BYTES);
  const ram = new DataView(memory.buffer, layout.RAM_BASE, RAM_BYTES);
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  const ends = threads.map(async ({ code, registers }, n) => {
    const at = CODE + n * 0x1000;
    Buffer.from(code.replaceAll(' ', ''), 'hex').forEach((b, i) => ram.setUint8(at + i, b));
    const work: AtomicsWork = { module, memory, pcpuId: n, jit, at, registers, waiting, threads: threads.length };
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
    const ram = await together(jit, [{ code: ADD_DOUBLEWORD, registers: times(PAGE_END - 2) }, { code: ADD_DOUBLEWORD, registers: times(PAGE_END - 2) }]);
    expect(ram.getUint32(PAGE_END - 2, true)).toBe(2 * TIMES);
  });

  test('quadwords across a page\'s end and the doubleword behind it', async () => {
    const ram = await together(jit, [{ code: ADD_QUADWORD, registers: times(PAGE_END - 6) }, { code: ADD_DOUBLEWORD, registers: times(PAGE_END + 2) }]);
    expect(ram.getUint32(PAGE_END - 6, true)).toBe(TIMES);
    expect(ram.getUint32(PAGE_END + 2, true)).toBe(TIMES);
  });

  test('CMPXCHG16B and a doubleword of its low half', async () => {
    const ram = await together(jit, [
      { code: ADD_HIGH_OF_16, registers: { 6: BigInt(TIMES), [RDI]: BigInt(DATA) } }, { code: ADD_DOUBLEWORD, registers: times(DATA + 4) },
    ]);
    expect(ram.getBigUint64(DATA + 8, true)).toBe(BigInt(TIMES));
    expect(ram.getUint32(DATA + 4, true)).toBe(TIMES);
  });
});
