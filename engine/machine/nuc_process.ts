/**
 * The NUC process: one Machine, driven by messages (contract/nuc_protocol.ts) over Electron's parentPort or, as a
 * plain child process, Node's IPC channel. It ends when its parent does.
 */
import { flushCompileCache } from 'node:module';
import type { z } from 'zod';
import { type FromNuc, type NucCommandName, type NucReplies, nucRequests, type NucRequest } from '../contract/nuc_protocol.ts';
import { optionsFromDefinition } from '../devicemodel/core/options.ts';
import { HostError } from '../lib/errors.ts';
import { Machine } from './machine.ts';
import { codeDir } from './paths.ts';

/** Electron's utility process has this in place of process.send. */
interface ParentPort { on(event: 'message', listener: (event: { data: unknown }) => void): void; postMessage(message: unknown): void }
const parentPort = (process as unknown as { parentPort?: ParentPort }).parentPort;

const send = (message: FromNuc): void => {
  if (parentPort) parentPort.postMessage(message);
  else process.send?.(message);
};
const log = (line: string): void => send({ event: 'log', data: { line } });

let machine: Machine | undefined;

function theMachine(): Machine {
  if (machine) return machine;
  throw new HostError('NUC_DOWN', { what: 'The NUC is not started', why: 'no nuc.start has been received', todo: 'Send nuc.start first' });
}

const handlers: { [K in NucCommandName]: (request: NucRequest<K>) => Promise<NucReplies[K]> } = {
  'nuc.start': async (request) => {
    machine = new Machine({ ...request, codeDir: codeDir(), hasTerminal: false, log }, {
      changed: (vm) => send({ event: 'vm.changed', data: vm }),
      output: (name, consoleId, data) => send({ event: 'console.output', data: { name, consoleId, data } }),
      stats: (stats) => send({ event: 'vm.stats', data: stats }),
    });
    return {};
  },
  'vm.start': async ({ definition }) => {
    const { vm } = await theMachine().start(optionsFromDefinition(definition), (line) => log(`${definition.name}: ${line}`));
    flushCompileCache(); // now that all of it is loaded, and in case we are killed
    return vm;
  },
  'vm.stop': ({ name, force }) => theMachine().stop(name, force),
  'vm.reset': ({ name }) => theMachine().reset(name),
  'vm.pause': ({ name }) => theMachine().pause(name),
  'vm.resume': ({ name }) => theMachine().resume(name),
  'console.attach': async ({ name, consoleId }) => ({ scrollback: await theMachine().console(name, consoleId).attach() }),
  'console.detach': async ({ name, consoleId }) => {
    theMachine().console(name, consoleId).detach();
    return {};
  },
  'console.write': async ({ name, consoleId, data }) => ({ taken: theMachine().console(name, consoleId).write(data) }),
};

async function dispatch(message: unknown): Promise<void> {
  const { id, command, request } = (message ?? {}) as { id?: unknown; command?: unknown; request?: unknown };
  if (typeof id !== 'number' || typeof command !== 'string' || !Object.hasOwn(nucRequests, command)) return log(`ignored a message that is no command: ${JSON.stringify(message)?.slice(0, 200)}`);
  const name = command as NucCommandName;
  try {
    const parsed = (nucRequests[name] as z.ZodType).parse(request);
    const reply = await (handlers[name] as (r: unknown) => Promise<unknown>)(parsed);
    send({ id, command: name, reply } as FromNuc);
  } catch (error) {
    const known = error instanceof HostError;
    if (!known) log(`${command} failed: ${(error as Error)?.stack ?? error}`);
    send({
      id,
      problem: known
        ? { code: error.code, what: error.what, why: error.why, todo: error.todo }
        : { code: 'INTERNAL', what: `${command} failed`, why: (error as Error)?.message ?? String(error), todo: 'See the log of the NUC process' },
    });
  }
}

/** Longer than any VM needs to let go of its disks. */
const END_LIMIT_MS = 4000;

async function end(): Promise<void> {
  setTimeout(() => process.exit(1), END_LIMIT_MS);
  await machine?.close().catch((error: unknown) => log(`closing: ${(error as Error).message}`));
  process.exit(0);
}

if (parentPort) parentPort.on('message', (event) => void dispatch(event.data));
else {
  process.on('message', (message) => void dispatch(message));
  process.on('disconnect', () => void end());
}
process.on('SIGTERM', () => void end());
process.on('SIGINT', () => {}); // Ctrl-C in the parent's terminal reaches the parent, which ends us in order
