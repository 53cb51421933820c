/** A pCPU whose thread has ended: nobody may wait for it any more (assembly/buslock.ts). */
import { layout } from './tables/layout.ts';

/** To be called once, after the thread has ended and before it has a successor. */
export function forgetPresence(buffer: ArrayBufferLike, pcpuId: number): void {
  const words = new Int32Array(buffer);
  const set = (at: number, value: number): void => {
    Atomics.store(words, at / 4, value);
    Atomics.notify(words, at / 4);
  };
  const block = layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE;
  for (const offset of [layout.PRESENT_OFFSET, layout.WANTS_LOCK_OFFSET, layout.HELD_UP_OFFSET]) set(block + offset, 0);
  const turns = Array.from({ length: layout.TURN_COUNT }, (_, n) => layout.TURNS + n * 4);
  for (const word of [layout.BUS_STOP, layout.BUS_LOCK, ...turns]) if (Atomics.load(words, word / 4) === pcpuId + 1) set(word, 0);
}
