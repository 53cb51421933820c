/**
 * The NUC process: one child per emulated board, spawned as Electron's utility process or by child_process.fork.
 *
 * @spec   engine/contract/nuc_protocol.ts
 * @cover  #Y both spawners, log lines of stdout and stderr, end by code and by signal
 * @differ A utility process reports no signal; an end by signal is told by its exit code there.
 */
import { fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Readable } from 'node:stream';
import type { ToNuc } from '../engine/contract/nuc_protocol.ts';
import { ALLOCATOR_ENVIRONMENT } from '../engine/index.ts';

export interface NucChildHandlers {
  message(message: unknown): void;
  /** A line the process wrote to stdout or stderr. */
  line(line: string): void;
  /** Called once; `code` or `signal` says how it ended, `error` that it could not be started. */
  exit(end: { code: number | null; signal: string | null; error?: string }): void;
}

export interface NucChild {
  readonly pid: number | undefined;
  post(message: ToNuc): void;
  /** Asks it to end; `force` ends it at once. */
  kill(force: boolean): void;
}

const environment = (): NodeJS.ProcessEnv => ({ ...ALLOCATOR_ENVIRONMENT, ...process.env });

export type NucSpawner = (handlers: NucChildHandlers) => NucChild;

/** Runs the entry as a plain child process: `npm run serve` and tests. */
export function forkSpawner(entry: URL): NucSpawner {
  return (handlers) => {
    const child = fork(fileURLToPath(entry), [], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2'], // MiB; of its threads the engine sees to itself
      env: environment(),
    });
    let ended = false;
    const end = (how: Parameters<NucChildHandlers['exit']>[0]): void => {
      if (ended) return;
      ended = true;
      handlers.exit(how);
    };
    child.on('message', (message) => handlers.message(message));
    forwardLines(child.stdout, handlers);
    forwardLines(child.stderr, handlers);
    child.on('error', (error) => { if (child.pid === undefined) end({ code: null, signal: null, error: error.message }); });
    // 'close' follows the last line of stdout and stderr, so that the log is whole; a grandchild that keeps a pipe
    // open must not delay the news, hence the turn after 'exit'.
    child.on('exit', (code, signal) => setTimeout(() => end({ code, signal }), 50).unref());
    child.on('close', (code, signal) => end({ code, signal }));
    return {
      pid: child.pid,
      // The callback takes the error of a child that is gone; its end is reported by 'exit'.
      post: (message) => { if (child.connected) child.send(message, () => {}); },
      kill: (force) => { child.kill(force ? 'SIGKILL' : 'SIGTERM'); },
    };
  };
}

/** The part of Electron's utilityProcess that is used here. */
export interface UtilityProcessApi {
  fork(path: string, args: string[], options: { serviceName: string; stdio: 'pipe'; env: NodeJS.ProcessEnv }): UtilityChild;
}
export interface UtilityChild {
  readonly pid: number | undefined;
  readonly stdout: unknown;
  readonly stderr: unknown;
  postMessage(message: unknown): void;
  kill(): boolean;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
}

/** Runs the entry in Electron's utility process. */
export function utilitySpawner(utilityProcess: UtilityProcessApi, entry: URL): NucSpawner {
  return (handlers) => {
    const child = utilityProcess.fork(fileURLToPath(entry), [], { serviceName: 'NUC', stdio: 'pipe', env: environment() });
    let alive = true;
    child.on('message', (message) => handlers.message(message));
    forwardLines(child.stdout as Readable | null, handlers);
    forwardLines(child.stderr as Readable | null, handlers);
    child.on('exit', (code) => {
      if (!alive) return;
      alive = false;
      handlers.exit({ code, signal: null });
    });
    return {
      get pid() { return child.pid; },
      post: (message) => { if (alive) child.postMessage(message); },
      kill: (force) => {
        if (!alive) return;
        if (force && child.pid !== undefined) process.kill(child.pid, 'SIGKILL');
        else child.kill();
      },
    };
  };
}

function forwardLines(stream: Readable | null, handlers: NucChildHandlers): void {
  if (stream === null) return;
  createInterface({ input: stream }).on('line', (line) => handlers.line(line));
}
