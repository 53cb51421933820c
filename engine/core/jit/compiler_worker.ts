/**
 * A thread that compiles the regions that pCPUs ask for, several to a module. A NUC has one for baseline code and one for optimised
 * code (compiler_service.ts).
 */
import { flushCompileCache } from 'node:module';
import { workerData, type MessagePort } from 'node:worker_threads';
import type { CompiledRegion, CompileRequest, DecoderExports } from './batch.ts';
import { RecordPool, compileBatch } from './batch.ts';
import { ModuleCollector } from './collect.ts';
import type { CompiledModule } from './compiler.ts';
import { RECORDS_BASE, RECORDS_END, SCRATCH_RECORD, SCRATCH_STRIDE } from './layout.ts';
import { compileBaseline } from './tiers.ts';

export interface CompilerWorkerData { module: WebAssembly.Module; memory: WebAssembly.Memory; control: MessagePort; optimise: boolean }
/** A pCPU's link arrives through the control port. */
export interface Connect { port: MessagePort; ready: Int32Array }

/** Functions that are kept for other pCPUs. */
const KEPT = 64;
/** Functions in one module at most: V8 optimises for milliseconds, and each is to be there when it is. */
const BATCH = { baseline: 16, optimised: 1 };
/** Behind those of pCPUs that compile themselves. */
const OPTIMISER_SCRATCH = SCRATCH_RECORD + 15 * SCRATCH_STRIDE;

interface Finished { readonly module: WebAssembly.Module; readonly fn: number; readonly region: CompiledRegion }
interface Waiting { readonly request: CompileRequest; readonly to: Connect }

const { module, memory, control, optimise } = workerData as CompilerWorkerData;
const unused = (): never => { throw new Error('the compiler executes nothing'); };
const core = new WebAssembly.Instance(module, {
  env: { memory }, host: { unwind: unused, vmexit: unused, timeNs: unused, enter: unused, hot: unused },
}).exports as unknown as DecoderExports;
const view = new DataView(memory.buffer);
const share = (RECORDS_END - RECORDS_BASE) / 4;
const recordsAt = RECORDS_BASE + (optimise ? share : 0);
const records = new RecordPool(memory.buffer, recordsAt, recordsAt + share);
const scratch = optimise ? OPTIMISER_SCRATCH : SCRATCH_RECORD;
const most = optimise ? BATCH.optimised : BATCH.baseline;
/** What was compiled last of the same pages, for the other pCPUs. */
const finished = new Map<string, Finished>();
const waiting: Waiting[] = [];
let pcpus = 0;
let scheduled = false;

const keyOf = ({ mode, features, pages }: CompileRequest | CompiledRegion, distances: readonly number[]): string => `${mode} ${features} ${pages.map(({ page }) => page).join()} ${distances.join()}`;

/** A module is the pCPUs' once it is posted. */
const collector = new ModuleCollector(2_000);

function answer(to: Connect, message: CompiledModule): void {
  to.port.postMessage(message);
  Atomics.add(to.ready, 0, 1);
  collector.dropped();
}

function keep(last: Finished): void {
  if (pcpus < 2) return;
  const key = keyOf(last.region, last.region.distances);
  finished.delete(key); // to the end of the order
  finished.set(key, last);
  if (finished.size > KEPT) finished.delete(finished.keys().next().value!);
}

function known(request: CompileRequest): Finished | undefined {
  const last = finished.get(keyOf(request, request.pages.map((p) => p.distance)));
  const same = last?.region.pages.every(({ generation, leaders, behind, entries }, n) => {
    const asked = request.pages[n];
    const sameBehind = asked.behind === undefined || (asked.behind.page === behind?.page && asked.behind.generation === behind.generation);
    const joined = asked.joints.every((offset) => entries[leaders.indexOf(offset)] >= 0);
    return sameBehind && joined && generation === asked.generation && asked.leaders.every((offset) => leaders.includes(offset));
  });
  return same === true ? last : undefined;
}

function compileWaiting(): void {
  scheduled = false;
  const batch: Waiting[] = [];
  while (batch.length < most && waiting.length > 0) {
    const next = waiting.shift()!;
    const last = known(next.request);
    if (last !== undefined) answer(next.to, { requests: [next.request], module: last.module, regions: [last.region], functions: [last.fn] });
    else batch.push(next);
  }
  if (batch.length > 0) {
    // A pCPU's requests are answered together; pages that two pCPUs ask for at once are compiled for both.
    for (const to of new Set(batch.map((w) => w.to))) {
      const requests = batch.filter((w) => w.to === to).map((w) => w.request);
      const built = compileBatch(requests, optimise, core, view, scratch, records);
      if (built === undefined) {
        answer(to, { requests, module: undefined, regions: [], functions: [] });
        continue;
      }
      const compiled = optimise ? new WebAssembly.Module(built.bytes) : compileBaseline(built.bytes);
      built.regions.forEach((region, fn) => keep({ module: compiled, fn, region }));
      answer(to, { requests, module: compiled, regions: built.regions, functions: built.regions.map((_, n) => n) });
    }
  }
  if (waiting.length > 0) schedule();
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(compileWaiting);
}

control.on('message', (to: Connect) => {
  pcpus += 1;
  to.port.on('message', (request: CompileRequest) => {
    waiting.push({ request, to });
    schedule();
  });
});

flushCompileCache(); // the thread is ended, not left, and what it has compiled would be lost
