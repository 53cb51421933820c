import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { forkSpawner, utilitySpawner } from './engine_host.ts';
import type { NucChildHandlers } from './engine_host.ts';

const ENTRY = new URL('../test/e2e/fake/nuc_process.ts', import.meta.url);

function watch() {
  const messages: unknown[] = [];
  const lines: string[] = [];
  let ended!: (end: unknown) => void;
  const exit = new Promise((resolve) => { ended = resolve; });
  let wake = (): void => {};
  const handlers: NucChildHandlers = { message: (message) => { messages.push(message); wake(); }, line: (line) => lines.push(line), exit: (end) => ended(end) };
  return { handlers, messages, lines, exit, next: () => new Promise<void>((resolve) => { wake = resolve; }) };
}

test('a forked NUC answers, and its end by SIGKILL is told as such', async () => {
  const seen = watch();
  const child = forkSpawner(ENTRY)(seen.handlers);
  const answered = seen.next();
  child.post({ id: 1, command: 'nuc.start', request: { memoryMiB: 512, pcpus: 4, runtimeDir: '/tmp' } });
  await answered;
  expect(seen.messages.length).toBeGreaterThan(0);
  child.kill(true);
  expect(await seen.exit).toEqual({ code: null, signal: 'SIGKILL' });
  child.post({ id: 2, command: 'vm.pause', request: { name: 'x' } }); // nobody is there, and nothing throws
});

test('a forked module that does not load ends with its code and its error in the log', async () => {
  const seen = watch();
  forkSpawner(new URL('./no_such_module.ts', import.meta.url))(seen.handlers);
  expect(await seen.exit).toMatchObject({ code: 1 });
  expect(seen.lines.join('\n')).toContain('no_such_module.ts');
});

test('the utility process is started as the service NUC with its output piped, and told apart by its exit code', async () => {
  const child = Object.assign(new EventEmitter(), { pid: undefined as number | undefined, stdout: new PassThrough(), stderr: new PassThrough(), posted: [] as unknown[], killed: 0, postMessage(message: unknown) { this.posted.push(message); }, kill() { this.killed += 1; return true; } });
  const calls: unknown[] = [];
  const seen = watch();
  const nuc = utilitySpawner({ fork: (...args) => { calls.push(args); return child; } }, new URL('file:///app/nuc.js'))(seen.handlers);
  expect(calls).toEqual([['/app/nuc.js', [], { serviceName: 'NUC', stdio: 'pipe' }]]);
  nuc.post({ id: 1, command: 'vm.pause', request: { name: 'x' } });
  expect(child.posted.length).toBe(1);
  child.emit('message', { hello: 1 });
  expect(seen.messages).toEqual([{ hello: 1 }]);
  nuc.kill(false);
  expect(child.killed).toBe(1);
  child.emit('exit', 9);
  expect(await seen.exit).toEqual({ code: 9, signal: null });
  nuc.post({ id: 2, command: 'vm.pause', request: { name: 'x' } });
  expect(child.posted.length).toBe(1); // nothing is sent to the dead
});
