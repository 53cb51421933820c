/**
 * Baseline code or optimised code: whose modules V8 makes how. By itself V8 takes a function for hot once what it has run, guessed
 * from the function's size each time it returns, reaches a budget. Ours are large and return often, so that V8 would optimise
 * nearly all of them, the largest first: seventy times the work of baseline code, on cores that guests want. So baseline modules are
 * made with tiering off, and JitCompiler's samples tell where time goes: those functions are compiled anew, in a module whose
 * compilation hints say that its first code is optimised code. What ran before goes on running until that is there.
 */
import { setFlagsFromString } from 'node:v8';

/** Of the section compilationHints, which prepareV8 has V8 look at: compile eagerly, the first tier and the last one being the optimising compiler's. */
export const HINT_OPTIMISED = 2 | 2 << 2 | 2 << 4;

/** Makes a module whose functions stay as V8's baseline compiler has made them. A module keeps what the flags say when it is made. */
export function compileBaseline(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  setFlagsFromString('--no-wasm-dynamic-tiering');
  setFlagsFromString('--no-wasm-tier-up');
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    setFlagsFromString('--wasm-dynamic-tiering');
    setFlagsFromString('--wasm-tier-up');
  }
}
