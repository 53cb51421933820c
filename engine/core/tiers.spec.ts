import { setFlagsFromString } from 'node:v8';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { Core, createMemory, loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import type { CompileRequest } from './jit/batch.ts';
import type { CompiledModule, CompilerLink } from './jit/compiler.ts';
import { CompilerService } from './jit/compiler_service.ts';
import { J, MAX_FUNCTIONS } from './jit/layout.ts';
import { HINT_OPTIMISED, compileBaseline } from './jit/tiers.ts';
import { Code, I32, ModuleBuilder, O } from './jit/wasm.ts';
import { FEATURES, type Feature } from './tables/features.ts';
import { layout } from './tables/layout.ts';

const RAM_BYTES = 4 << 20;
const LOOP = 0x1000;
const OTHER = 0x3000;
const STRAIGHT = 0x10_0000;
const RECORD_BYTES = 32;
const BUDGET = 0x100;
const SLICE = 16_384;

/** A pCPU in flat protected mode without paging, beside the compilers' threads or what stands for them. */
async function machine(link?: CompilerLink, memory = createMemory(RAM_BYTES)): Promise<Core> {
  const module = await loadCoreModule();
  let compiler = link;
  if (compiler === undefined) {
    const service = new CompilerService(module, memory, (line) => { throw new Error(line); });
    onTestFinished(() => service.close());
    compiler = service.connect();
  }
  const core = new Core(module, memory, 0, { vmexit: () => 2, timeNs: () => 0 }, { jit: 'on', jitThreshold: 16, compiler });
  core.reset();
  core.setU64(S.CR0, 0x31n);
  for (let i = 0; i < 6; i += 1) {
    core.setU64(S.SEG_BASE + i * 8, 0n);
    core.setU32(S.SEG_LIMIT + i * 4, 0xffff_ffff);
    core.setU32(S.SEG_ATTR + i * 4, i === 1 ? 0xc09b : 0xc093);
  }
  core.setU64(S.RIP, BigInt(LOOP));
  core.setU64(S.GPR + 8 * 4, 0x8000n);
  core.syncAfterStateWrite();
  return core;
}

function put(core: Core, at: number, hex: string): void {
  Buffer.from(core.memory.buffer, layout.RAM_BASE, RAM_BYTES).set(Buffer.from(hex.replace(/\s/g, ''), 'hex'), at);
}

/** Runs slices until something holds; fails after so many of them. */
function until(core: Core, holds: () => boolean): void {
  for (let turns = 0; turns < 500_000; turns += 1) {
    if (holds()) return;
    expect(core.run(4 * SLICE)).toBe(BUDGET);
  }
  throw new Error(`not so: ${JSON.stringify(core.jit!.statistics)}`);
}

test('a function that slices keep ending in is compiled anew to be optimised, once', async () => {
  const core = await machine();
  put(core, LOOP, '40 01c3 ebfb'); // again: inc eax; add ebx,eax; jmp again
  const { jit } = core;
  until(core, () => jit!.statistics.functions === 1);
  until(core, () => jit!.statistics.functions === 2);
  expect(jit!.statistics).toMatchObject({ optimised: 1, requests: 2 });
  expect(jit!.live).toBe(1); // the first one is gone
  const executed = core.u64(J.EXECUTED);
  for (let n = 0; n < 250; n += 1) core.run(4 * SLICE);
  expect(core.u64(J.EXECUTED) - executed).toBeGreaterThan(900n * BigInt(SLICE));
  expect(jit!.statistics).toMatchObject({ optimised: 1, functions: 2 });
});

/** Other code, run once on the way to LOOP, for which all is dropped that the interpreter had decoded; how many instructions it has. */
function putStraight(core: Core): number {
  const bytes = layout.DECODE_STRIDE / RECORD_BYTES + 0x1000;
  put(core, STRAIGHT, `${'40'.repeat(bytes)} e9`); // inc eax, ...; jmp LOOP
  new DataView(core.memory.buffer).setInt32(layout.RAM_BASE + STRAIGHT + bytes + 1, LOOP - (STRAIGHT + bytes + 5), true);
  return bytes + 1;
}

test('what was compiled goes on at once where the interpreter has dropped it since', async () => {
  const core = await machine();
  const { jit } = core;
  jit!.limits.slices = Infinity; // nothing is optimised
  put(core, LOOP, '40 01c3 ebfb');
  until(core, () => jit!.statistics.functions === 1);
  const instructions = putStraight(core);
  core.setU64(S.RIP, BigInt(STRAIGHT));
  const [all, compiled] = [core.u64(S.INSTRUCTIONS), core.u64(J.EXECUTED)];
  for (let n = 0; n < 100; n += 1) core.run(4 * SLICE);
  expect(core.u64(S.RIP)).toBeLessThan(BigInt(LOOP + 5));
  expect(core.u64(S.INSTRUCTIONS) - all - (core.u64(J.EXECUTED) - compiled)).toBeLessThanOrEqual(BigInt(instructions + 2 * 3)); // two turns of the loop
});

test('what was compiled is optimised even where the interpreter has dropped it since, and once', async () => {
  const core = await machine();
  const { jit } = core;
  put(core, LOOP, '40 01c3 ebfb');
  put(core, LOOP + 0x100, '43 01d8 ebfb'); // the same with other registers
  const startAt = (rip: number): void => core.setU64(S.RIP, BigInt(rip));
  const { slices } = jit!.limits;
  jit!.limits.slices = Infinity; // nothing is optimised yet
  startAt(LOOP + 0x100);
  until(core, () => jit!.statistics.functions === 1);
  putStraight(core);
  startAt(STRAIGHT);
  until(core, () => jit!.statistics.functions === 2);
  jit!.limits.slices = slices;
  until(core, () => jit!.statistics.functions === 3);
  for (const loop of [LOOP, LOOP + 0x100, LOOP]) {
    startAt(loop);
    for (let n = 0; n < 300; n += 1) core.run(4 * SLICE);
  }
  expect(jit!.statistics).toMatchObject({ optimised: 1, functions: 3 });
  expect(jit!.live).toBe(1);
});

test('a block beside an optimised function has it optimised anew for its own time only', async () => {
  const core = await machine();
  const { jit } = core;
  put(core, LOOP, '40 01c3 ebfb');
  put(core, LOOP + 0x100, '43 01d8 ebfb');
  const runAt = (rip: number, slices: number): void => {
    core.setU64(S.RIP, BigInt(rip));
    for (let n = 0; n < slices; n += 1) core.run(4 * SLICE);
  };
  jit!.limits.slices = 1; // an instruction: some slices more or less make no difference
  until(core, () => jit!.statistics.functions === 2);
  core.setU64(S.RIP, BigInt(LOOP + 0x100));
  until(core, () => jit!.statistics.functions === 3); // baseline code beside it
  const { optimised } = jit!.statistics;
  expect(optimised).toBe(1);
  runAt(LOOP, 1000);
  expect(jit!.statistics).toMatchObject({ optimised, functions: 3 });
  core.setU64(S.RIP, BigInt(LOOP + 0x100));
  until(core, () => jit!.statistics.functions === 4);
  expect(jit!.statistics.optimised).toBe(2);
  expect(jit!.live).toBe(1);
});

test('a function that takes little of the time stays as it is', async () => {
  const core = await machine();
  // again: mov ecx,100000; inner: inc eax; dec ecx; jnz inner; call OTHER; jmp again
  put(core, LOOP, 'b9a0860100 40 49 75fc e8f21f0000 ebf0');
  put(core, OTHER, '43 c3'); // inc ebx; ret
  const { jit } = core;
  until(core, () => jit!.statistics.functions >= 3);
  expect(jit!.statistics.optimised).toBe(1);
});

test('a page does not wait for what could not be compiled', async () => {
  const channels = [new MessageChannel(), new MessageChannel()];
  onTestFinished(() => { for (const { port1, port2 } of channels) { port1.close(); port2.close(); } });
  const ready = new Int32Array(new SharedArrayBuffer(4));
  const compiler = channels[0].port1;
  const core = await machine({ compiler: channels[0].port2, optimiser: channels[1].port2, ready });
  put(core, LOOP, '40 01c3 ebfb');
  put(core, LOOP + 0x100, '43 01d8 ebfb');
  const asked = (): CompileRequest => {
    let received: ReturnType<typeof receiveMessageOnPort>;
    until(core, () => (received = receiveMessageOnPort(compiler)) !== undefined);
    return received!.message as CompileRequest;
  };
  const first = asked();
  expect([...first.pages[0].leaders]).toContain(0);
  compiler.postMessage({ requests: [first], module: undefined, values: [], regions: [], functions: [] } satisfies CompiledModule);
  Atomics.add(ready, 0, 1);
  core.setU64(S.RIP, BigInt(LOOP + 0x100));
  expect([...asked().pages[0].leaders]).toEqual([0x100]);
});

test('a module with the hint has optimised code at once, one without has baseline code for good', async () => {
  await loadCoreModule(); // allows hints
  setFlagsFromString('--allow-natives-syntax');
  const tier = new Function('f', 'return %IsTurboFanFunction(f) ? "optimised" : %IsLiftoffFunction(f) ? "baseline" : "none"') as (f: unknown) => string;
  const make = (hint?: number): Uint8Array<ArrayBuffer> => {
    const m = new ModuleBuilder();
    const code = new Code();
    code.get(0).i32(1).op(O.I32_ADD);
    m.export('f', m.function(m.type([I32], [I32]), [], code));
    return m.build(1, hint);
  };
  const run = (module: WebAssembly.Module): string => {
    const env = { memory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), table: new WebAssembly.Table({ initial: MAX_FUNCTIONS, maximum: MAX_FUNCTIONS, element: 'anyfunc' }) };
    const f = new WebAssembly.Instance(module, { env }).exports.f as (n: number) => number;
    for (let n = 0; n < 100_000; n += 1) f(n);
    return tier(f);
  };
  expect(run(new WebAssembly.Module(make(HINT_OPTIMISED)))).toBe('optimised');
  expect(run(compileBaseline(make()))).toBe('baseline');
});

test('a compiler thread gives a pCPU what its CPUID features make of the code, also when it has compiled the same for others', async () => {
  const module = await loadCoreModule();
  const memory = createMemory(RAM_BYTES);
  const service = new CompilerService(module, memory, (line) => { throw new Error(line); });
  onTestFinished(() => service.close());
  service.connect(); // of another pCPU: the thread keeps what it compiled
  const core = await machine(service.connect(), memory);
  put(core, LOOP, 'bb00010000 f30fbdc3 ebf5'); // again: mov ebx,0x100; lzcnt eax,ebx; jmp again
  const all = Object.keys(FEATURES) as Feature[];
  for (const [features, zeros] of [[all, 23], [all.filter((f) => f !== 'lzcnt'), 8], [all, 23]] as const) {
    core.offer(features);
    const functions = core.jit!.statistics.functions;
    until(core, () => core.jit!.statistics.functions > functions);
    core.run(4 * SLICE);
    expect(core.u32(S.GPR)).toBe(zeros);
  }
});
