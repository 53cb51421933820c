/** Where the compiled core is: in a checkout, or beside this file in an installation. */
export const CORE_PLACES: readonly URL[] = [new URL('../../build/core.wasm', import.meta.url), new URL('core.wasm', import.meta.url)];
