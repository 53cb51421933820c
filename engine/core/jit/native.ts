/**
 * What V8's optimising compiler has made of a module, as bytes, and the module from them. V8 has both for browsers' caches of code, but Node
 * gives no way to them; so its test functions are used, which module.ts prepareV8 allows. Where there are none, modules are compiled anew.
 */
interface Natives {
  serialize(module: WebAssembly.Module): ArrayBuffer;
  /** Undefined for the bytes of another V8, other flags or another kind of CPU. Damaged ones are not found out. */
  deserialize(native: ArrayBuffer, wasm: Uint8Array<ArrayBuffer>): WebAssembly.Module | undefined;
}

function findNatives(): Natives | undefined {
  try {
    const make = (parameters: string, call: string): CallableFunction => new Function(...parameters.split(' '), `return ${call}`);
    return {
      serialize: make('module', '%SerializeWasmModule(module)') as Natives['serialize'],
      deserialize: make('native wasm', '%DeserializeWasmModule(native, wasm)') as Natives['deserialize'],
    };
  } catch {
    return undefined;
  }
}

let natives: Natives | undefined | null = null;
const found = (): Natives | undefined => natives === null ? natives = findNatives() : natives;

/** The optimised code of a module; of what is not optimised it says nothing. */
export function nativeCode(module: WebAssembly.Module): Uint8Array<ArrayBuffer> | undefined {
  const bytes = found()?.serialize(module);
  return bytes === undefined ? undefined : new Uint8Array(bytes);
}

/** The module with code that nativeCode() has given for the same bytes; undefined when this V8 cannot use it. Flags of V8 must be what they were. */
export function withNativeCode(wasm: Uint8Array<ArrayBuffer>, native: Uint8Array<ArrayBuffer>): WebAssembly.Module | undefined {
  return found()?.deserialize(native.slice().buffer, wasm);
}
