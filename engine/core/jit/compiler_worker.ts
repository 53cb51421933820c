/**
 * A thread that compiles the regions that pCPUs ask for, several to a module. A NUC has one for baseline code and one for optimised
 * code (compiler_service.ts).
 */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { CompiledRegion, CompileRequest, DecoderExports, LoadRequest } from './batch.ts';
import { Workspace, compileBatch } from './batch.ts';
import { ModuleCollector } from './collect.ts';
import type { CompiledModule, KeptList } from './compiler.ts';
import { Keeper, type Compiled } from './keeper.ts';
import { RECORDS_BASE, RECORDS_END, SCRATCH_RECORD, SCRATCH_STRIDE } from './layout.ts';
import { CodeStore } from './store.ts';
import { compileBaseline } from './tiers.ts';

/** `kept`: from the thread that optimises to the one that keeps what was compiled, in `keepIn`. */
export interface CompilerWorkerData { module: WebAssembly.Module; memory: WebAssembly.Memory; control: MessagePort; optimise: boolean; keepIn: string | undefined; restMs: number; kept: MessagePort }
/** A pCPU's link arrives through the control port. */
export interface Connect { port: MessagePort; ready: Int32Array }

/** How long a thread that ends may write what it has compiled. */
const FINISH_MS = 1000;
/** Functions that are kept for other pCPUs. */
const KEPT = 64;
/** Functions in one module at most: V8 optimises for milliseconds, and each is to be there when it is. */
const BATCH = { baseline: 16, optimised: 1 };
/** Behind those of pCPUs that compile themselves. */
const OPTIMISER_SCRATCH = SCRATCH_RECORD + 15 * SCRATCH_STRIDE;

interface Finished { readonly module: WebAssembly.Module; readonly values: readonly number[]; readonly fn: number; readonly region: CompiledRegion }
interface Waiting { readonly request: CompileRequest | LoadRequest; readonly to: Connect }
interface Asked extends Waiting { readonly request: CompileRequest }

const { module, memory, control, optimise, keepIn, restMs, kept } = workerData as CompilerWorkerData;
const unused = (): never => { throw new Error('the compiler executes nothing'); };
const core = new WebAssembly.Instance(module, {
  env: { memory }, host: { unwind: unused, vmexit: unused, timeNs: unused, enter: unused, hot: unused, warm: unused },
}).exports as unknown as DecoderExports;
const share = (RECORDS_END - RECORDS_BASE) / 4;
const recordsAt = RECORDS_BASE + (optimise ? share : 0);
const work = new Workspace(core, memory.buffer, optimise ? OPTIMISER_SCRATCH : SCRATCH_RECORD, recordsAt, recordsAt + share);
const most = optimise ? BATCH.optimised : BATCH.baseline;
/** What was compiled last of the same pages, for the other pCPUs. */
const finished = new Map<string, Finished>();
const waiting: Waiting[] = [];
const links: Connect[] = [];
let scheduled = false;

function openKeeper(): Keeper | undefined {
  if (optimise || keepIn === undefined) return undefined;
  const log = (line: string): void => parentPort!.postMessage(line);
  try {
    return new Keeper(new CodeStore(keepIn), work, () => waiting.length > 0, restMs, () => { for (const to of links) tellKept(to); }, log);
  } catch (error) {
    log(`compiled code is not kept: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
const keeper = openKeeper();

function tellKept(to: Connect): void {
  const list: KeptList = { kept: keeper!.store.kept };
  to.port.postMessage(list);
  Atomics.add(to.ready, 0, 1);
}

const keyOf = ({ mode, features, pages }: CompileRequest | CompiledRegion, distances: readonly number[]): string => `${mode} ${features} ${pages.map(({ page }) => page).join()} ${distances.join()}`;

/** A module is the pCPUs' once it is posted. */
const collector = new ModuleCollector(2_000);

function answer(to: Connect, message: CompiledModule): void {
  to.port.postMessage(message);
  Atomics.add(to.ready, 0, 1);
  collector.dropped();
}

const refuse = (to: Connect, requests: CompiledModule['requests']): void => answer(to, { requests, module: undefined, values: [], regions: [], functions: [] });

function keepForOthers(last: Finished): void {
  if (links.length < 2) return;
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

function load(request: LoadRequest, to: Connect): void {
  const loaded = keeper?.load(request);
  if (loaded === undefined) refuse(to, [request]);
  else answer(to, { requests: [{ ...request, chosen: loaded.choice }], module: loaded.module, values: loaded.values, regions: [loaded.region], functions: [0] });
}

/** Compiles what one pCPU has asked for. */
function compile(requests: readonly CompileRequest[], to: Connect): void {
  const built = compileBatch(requests, optimise, work);
  if (built === undefined) {
    refuse(to, requests);
    return;
  }
  const { bytes, regions, places, values, sources, asked } = built;
  const compiled = optimise ? new WebAssembly.Module(bytes) : compileBaseline(bytes);
  regions.forEach((region, fn) => keepForOthers({ module: compiled, values, fn, region }));
  answer(to, { requests, module: compiled, values, regions, functions: regions.map((_, n) => n) });
  if (keepIn === undefined) return;
  regions.forEach((region, n) => {
    const result: Compiled = { request: asked[n], region, source: sources[n], built: regions.length === 1 ? { bytes, places } : undefined, module: optimise ? compiled : undefined };
    if (optimise) kept.postMessage(result);
    else keeper?.keep(result);
  });
}

function compileWaiting(): void {
  scheduled = false;
  const batch: Asked[] = [];
  while (batch.length < most && waiting.length > 0) {
    const { request, to } = waiting.shift()!;
    if ('choices' in request) {
      load(request, to);
      continue;
    }
    const last = known(request);
    if (last === undefined) batch.push({ request, to });
    else answer(to, { requests: [request], module: last.module, values: last.values, regions: [last.region], functions: [last.fn] });
  }
  // A pCPU's requests are answered together; pages that two pCPUs ask for at once are compiled for both.
  for (const to of new Set(batch.map((w) => w.to))) compile(batch.filter((w) => w.to === to).map((w) => w.request), to);
  if (waiting.length > 0) schedule();
}

function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(compileWaiting);
}

control.on('message', (to: Connect | 'finish') => {
  if (to === 'finish') {
    keeper?.finish(FINISH_MS);
    process.exit();
  }
  links.push(to);
  if (keeper !== undefined) tellKept(to);
  to.port.on('message', (request: CompileRequest | LoadRequest) => {
    waiting.push({ request, to });
    schedule();
  });
});
if (keeper === undefined && !optimise) kept.close();
if (keeper !== undefined) kept.on('message', (compiled: Compiled) => keeper.keep(compiled));

flushCompileCache(); // the thread is ended, not left, and what it has compiled would be lost
