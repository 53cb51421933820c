/**
 * Which functions V8 optimises. By itself V8 takes a function for hot once what it has run, guessed from the function's size
 * each time it returns, reaches a budget. Ours are large and return often, so that V8 would optimise nearly all of
 * them, the largest first: seventy times the work of baseline code, on cores that guests want. So the budget of
 * baseline modules is out of reach, and JitCompiler's samples tell where time goes: those functions are compiled anew, in a
 * module whose budget the first return uses up. V8 then optimises them in the background.
 */
import { setFlagsFromString } from 'node:v8';

/** V8's own budget, for every module but ours. */
const DEFAULT_BUDGET = 13_000_000;
const AT_ONCE = 1;

/** A custom section, `o`. V8 knows modules by their bytes: without it, it would hand out the baseline one of the same function again. */
const MARK = [0, 2, 1, 0x6f];

function marked(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length + MARK.length);
  out.set(bytes);
  out.set(MARK, bytes.length);
  return out;
}

/** Makes a module whose functions V8 optimises at once, or never. A module keeps what the flags say when it is made. */
export function compileModule(bytes: Uint8Array<ArrayBuffer>, optimise: boolean): WebAssembly.Module {
  if (optimise) {
    setFlagsFromString(`--wasm-tiering-budget=${AT_ONCE}`);
  } else {
    setFlagsFromString('--no-wasm-dynamic-tiering');
    setFlagsFromString('--no-wasm-tier-up');
  }
  try {
    return new WebAssembly.Module(optimise ? marked(bytes) : bytes);
  } finally {
    setFlagsFromString(`--wasm-tiering-budget=${DEFAULT_BUDGET}`);
    setFlagsFromString('--wasm-dynamic-tiering');
    setFlagsFromString('--wasm-tier-up');
  }
}
