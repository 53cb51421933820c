/** Modules of compiled code: regions' functions with what they import, and the door from the core into the table. */
import { setFlagsFromString } from 'node:v8';
import type { Helpers } from './emitter.ts';
import type { CompiledFunction, Region } from './function.ts';
import { compileRegion } from './function.ts';
import type { Instruction } from './instruction.ts';
import { MEMORY_PAGES } from './layout.ts';
import { ModulePlaces, type Place } from './places.ts';
import { HINT_OPTIMISED } from './tiers.ts';
import { Code, I32, I64, ModuleBuilder, O, V128 } from './wasm.ts';

/** (cpu, rip, entry, index in the table): every function in the table. */
const FUNCTION_PARAMS = [I32, I64, I32, I32];
const FLAG_PARAMS = [I32, I64, I64, I64, I32];

/**
 * What V8 has to be told before the first module is compiled. Branch hints are read: rare paths then cost hot ones no registers. So are
 * compilation hints (tiers.ts).
 * And baseline code is made at once: of the core because what is made of it later might not count its executions (tiers.ts), of
 * compiled code on the compiler's thread, not by the pCPU that calls a function first. ModuleCollector needs the collector's function, native.ts V8's test functions.
 * All of it before the first thread is started: Node keeps compiled scripts by what flags V8 has, and a thread that finds none of its own
 * loads Node's compiler of TypeScript, 11 MiB.
 */
export function prepareV8(): void {
  setFlagsFromString('--expose-gc');
  setFlagsFromString('--experimental-wasm-branch-hinting');
  setFlagsFromString('--no-wasm-lazy-compilation');
  setFlagsFromString('--experimental-wasm-compilation-hints');
  setFlagsFromString('--allow-natives-syntax');
}

/** Name under which a module exports the function of its n-th region. */
export const exportName = (n: number): string => `r${n}`;

/** A module's bytes, where each of its functions may be entered, and what its globals are to be set to. */
export interface BuiltModule { readonly bytes: Uint8Array<ArrayBuffer>; readonly entries: ReadonlyArray<CompiledFunction['entries']>; readonly places: readonly Place[] }

/** Compiles regions to one module; `optimise`: V8 makes optimised code at once (tiers.ts). `record` stores an instruction for the interpreter's routines. */
export function buildModule(regions: readonly Region[], optimise: boolean, record: (i: Instruction) => number): BuiltModule {
  const m = new ModuleBuilder();
  const helpers: Helpers = {
    read: m.import('translateRead', [I64, I32, I64], [I32]),
    write: m.import('translateWrite', [I64, I32, I64], [I32]),
    window: m.import('recallWindow', [I64, I32, I32, I64], [I32]),
    findJump: m.import('findJump', [I64], [I32]),
    isMapped: m.import('isMapped', [I64, I32], [I32]),
    execute: m.import('executeRecord', [I32, I32], [I32]),
    status: m.import('lazyStatus', FLAG_PARAMS, [I32]),
    condition: m.import('lazyCondition', [I32, ...FLAG_PARAMS], [I32]),
    arithmetic64: m.import('arithmetic64', [I32, I64, I64], [I64]),
    cryptoResult: m.import('cryptoResult', [I32, V128, V128, V128, I32], [V128]),
    sampleStep: m.import('sampleStep', [I64, I64, I32], []),
    alignmentCheck: m.import('alignmentCheck', [I32], []),
    x87Operate: m.import('x87Operate', [I32, I32, I64, I32, I64], [I64]),
    x87OperateMemory: m.import('x87OperateMemory', [I32, I32, I64, I32, I64], [I64]),
    x87Load: m.import('x87Load', [I32, I64], [I64]),
    x87Store: m.import('x87Store', [I32, I32, I64], [I64]),
    x87Compare: m.import('x87Compare', [I32, I64, I32, I64, I32], [I32]),
    x87CompareMemory: m.import('x87CompareMemory', [I32, I64, I32, I64], [I32]),
  };
  const functionType = m.type(FUNCTION_PARAMS, []);
  const places = new ModulePlaces(m, record);
  const entries = regions.map((region, n) => {
    const compiled = compileRegion(region, helpers, functionType, optimise, {
      record: (i) => places.record(i),
      page: (page, behind) => places.page(n, page, behind),
      distance: () => places.distance(),
    });
    m.export(exportName(n), m.function(functionType, compiled.locals, compiled.code));
    return compiled.entries;
  });
  return { bytes: m.build(MEMORY_PAGES, optimise ? HINT_OPTIMISED : undefined), entries, places: places.list };
}

/** The functions that a module takes from the core. */
export interface CoreFunctions {
  readonly translateRead: CallableFunction;
  readonly translateWrite: CallableFunction;
  readonly recallWindow: CallableFunction;
  readonly findJump: CallableFunction;
  readonly isMapped: CallableFunction;
  readonly executeRecord: CallableFunction;
  readonly lazyStatus: CallableFunction;
  readonly lazyCondition: CallableFunction;
  readonly arithmetic64: CallableFunction;
  readonly cryptoResult: CallableFunction;
  readonly sampleStep: CallableFunction;
  readonly alignmentCheck: CallableFunction;
  readonly x87Operate: CallableFunction;
  readonly x87OperateMemory: CallableFunction;
  readonly x87Load: CallableFunction;
  readonly x87Store: CallableFunction;
  readonly x87Compare: CallableFunction;
  readonly x87CompareMemory: CallableFunction;
}

/** (fn, cpu, rip, entry): calls the table's function `fn`. */
export function buildDoor(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  const functionType = m.type(FUNCTION_PARAMS, []);
  const code = new Code();
  code.get(1).get(2).get(3).get(0).get(0).op(O.CALL_INDIRECT);
  code.unsigned(functionType);
  code.u8(0);
  m.export('enter', m.function(m.type([I32, I32, I64, I32], []), [], code));
  return m.build(MEMORY_PAGES);
}
