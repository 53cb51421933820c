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
  for (const offset of [layout.PRESENT_OFFSET, layout.WANTS_BUS_OFFSET, layout.WANTS_TURN_OFFSET, layout.HELD_UP_OFFSET]) set(block + offset, 0);
  if (Atomics.load(words, layout.BUS_STOP / 4) === pcpuId + 1) set(layout.BUS_STOP, 0);
  for (let turn = layout.TURNS; turn < layout.TURNS + 256; turn += 4) if (Atomics.load(words, turn / 4) === pcpuId + 1) set(turn, 0);
  if (Atomics.load(words, layout.BUS_LOCK / 4) === pcpuId + 1) set(layout.BUS_LOCK, 0);
}
