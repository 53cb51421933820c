/** A pCPU of its own thread: runs code to its HLT. Started by atomics.spec.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { EXIT } from './core.ts';
import { CoreTestMachine } from './core_test_machine.ts';
import { S } from './gen/state.ts';

/** What the thread does, and the flag for which all threads wait before they begin. `again`: faults are tried again. */
export interface AtomicsWork { module: WebAssembly.Module; memory: WebAssembly.Memory; pcpuId: number; jit: 'off' | 'on'; at: number; registers: Record<number, bigint>; waiting: Int32Array; threads: number; again?: boolean; turns?: boolean }

const { module, memory, pcpuId, jit, at, registers, waiting, threads, again, turns } = workerData as AtomicsWork;
const m = new CoreTestMachine(module, undefined, { jit, jitThreshold: 64, ...(turns !== undefined && { turns }) }, { memory, pcpuId });
m.long64();
m.core.setU64(S.RIP, BigInt(at));
for (const [register, value] of Object.entries(registers)) m.setReg(Number(register), value);
Atomics.add(waiting, 0, 1);
Atomics.notify(waiting, 0);
for (let ready = Atomics.load(waiting, 0); ready < threads; ready = Atomics.load(waiting, 0)) Atomics.wait(waiting, 0, ready);
let left: number;
do left = m.core.run(1_000_000); while (left === EXIT.BUDGET || left === EXIT.EXTERNAL_INTERRUPT || (again === true && left === EXIT.EXCEPTION_NMI));
parentPort!.postMessage(left);
