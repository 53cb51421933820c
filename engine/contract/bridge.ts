/** What the preload script puts on `window.acrn`. Errors do not survive the bridge with their fields, answers do. */
import type { Problem } from './engine_api.ts';

export type BridgeAnswer = { reply: unknown } | { problem: Problem };

export interface EngineBridge {
  call(name: string, request: unknown): Promise<BridgeAnswer>;
  on(name: string, listener: (event: unknown) => void): () => void;
}
