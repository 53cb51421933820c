/** The consoles that have been looked at, kept while the page lives so that nothing is lost between views. */
import type { Transport } from '../../transport.ts';
import { ConsoleSession } from './console_session.ts';

const sessions = new Map<string, ConsoleSession>();

export function sessionOf(engine: Transport, name: string, consoleId: string): ConsoleSession {
  const key = `${name}\n${consoleId}`;
  const known = sessions.get(key);
  if (known !== undefined) return known;
  const session = new ConsoleSession(engine, name, consoleId);
  sessions.set(key, session);
  return session;
}

/** Consoles of this VM that were looked at. */
export function openSessions(name: string): ConsoleSession[] { return [...sessions.values()].filter((session) => session.name === name); }

/** Lets go of the consoles of VMs that are no more. */
export function keepSessions(names: readonly string[]): void {
  for (const [key, session] of sessions) {
    if (names.includes(session.name)) continue;
    session.close();
    sessions.delete(key);
  }
}
