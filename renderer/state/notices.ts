/** Short messages about what just happened; problems stay until they are closed. */
import { useSyncExternalStore } from 'react';
import type { Problem } from '../../engine/contract/engine_api.ts';
import { problemOf } from '../transport.ts';

export interface Notice { id: number; problem: Problem }

let notices: readonly Notice[] = [];
let nextId = 1;
const listeners = new Set<() => void>();
const MOST = 4;

function set(next: readonly Notice[]): void {
  notices = next;
  for (const listener of listeners) listener();
}

export function tellProblem(error: unknown): void {
  set([...notices, { id: nextId++, problem: problemOf(error) }].slice(-MOST));
}
export function closeNotice(id: number): void { set(notices.filter((notice) => notice.id !== id)); }
export function useNotices(): readonly Notice[] {
  return useSyncExternalStore((listener) => { listeners.add(listener); return () => { listeners.delete(listener); }; }, () => notices);
}
