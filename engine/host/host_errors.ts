/** Host errors in words. */
import { HostError } from '../lib/errors.ts';

/** '5 (EIO)': the number ACRN prints and the name people look up. */
export function errnoText(error: NodeJS.ErrnoException): string {
  const name = error.code ?? error.message;
  return error.errno === undefined ? name : `${Math.abs(error.errno)} (${name})`;
}

/** Advice for the common reasons a node cannot be opened. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path: there is no such file or directory.',
  EACCES: 'Give yourself access to it, or choose another path.',
  EPERM: 'Give yourself access to it, or choose another path.',
  EISDIR: 'Choose a file, not a directory.',
  ENOTDIR: 'Check the path: a part of it is not a directory.',
  EADDRINUSE: 'Something else listens there: stop it, or choose another.',
  ENXIO: 'Nobody has the other end open: start the reader first.',
  ENOSPC: 'Make room on that disk.',
  EBUSY: 'Another program has it open: close that first.',
};

/** Wraps a system error of opening `where` for `owner`. */
export function cannotOpen(code: string, owner: string, where: string, error: unknown): HostError {
  if (error instanceof HostError) return error;
  const system = error as NodeJS.ErrnoException;
  return new HostError(code, {
    what: `${owner} cannot use ${where}`,
    why: system.message ?? String(error),
    todo: ADVICE[system.code ?? ''] ?? 'Choose another path or backend.',
  });
}
