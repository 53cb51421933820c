/** Time and randomness of this computer. */
import { randomFillSync } from 'node:crypto';

const NS_PER_MS = 1e6;
/** setTimeout's own limit. */
const LONGEST_MS = 2 ** 31 - 1;
/** Below this a timer would oversleep more than it sleeps: the next turn of the event loop is nearer. */
const NEXT_TURN_NS = 500_000;

export function wallClockMs(): number { return Date.now(); }
export function monotonicNs(): number { return performance.now() * NS_PER_MS; }
export function random(into: Uint8Array): void { randomFillSync(into); }

/** Calls back once after `delayNs`; returns its cancellation. Node's resolution is a millisecond; nothing fires early. */
export function setTimer(delayNs: number, fire: () => void): () => void {
  if (!(delayNs > NEXT_TURN_NS)) {
    const immediate = setImmediate(fire);
    return () => clearImmediate(immediate);
  }
  const due = monotonicNs() + delayNs;
  let timeout: NodeJS.Timeout;
  const arm = () => {
    const left = Math.ceil((due - monotonicNs()) / NS_PER_MS);
    if (left <= 0) fire();
    else timeout = setTimeout(arm, Math.min(left, LONGEST_MS));
  };
  timeout = setTimeout(arm, Math.min(Math.ceil(delayNs / NS_PER_MS), LONGEST_MS));
  return () => clearTimeout(timeout);
}
