import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import { ALLOCATOR_ENVIRONMENT } from '../engine/index.ts';
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
  expect(calls).toEqual([['/app/nuc.js', [], { serviceName: 'NUC', stdio: 'pipe', env: { ...process.env, ...ALLOCATOR_ENVIRONMENT } }]]);
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

/** Whether a process is there; one that only waits to be reaped is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test.runIf(process.platform === 'linux')('the NUC process ends when whoever started it is killed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'acrn-nuc-'));
  const program = `
    const { forkSpawner } = await import(${JSON.stringify(new URL('./engine_host.ts', import.meta.url).href)});
    const child = forkSpawner(new URL(${JSON.stringify(new URL('../engine/machine/nuc_process.ts', import.meta.url).href)}))({ message: () => console.log(child.pid), line: () => {}, exit: () => {} });
    child.post({ id: 1, command: 'nuc.start', request: { memoryMiB: 512, pcpus: 4, runtimeDir: ${JSON.stringify(dir)} } });`;
  const parent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number.parseInt(line.toString(), 10); // more lines may have come with the first
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000, interval: 20 });
  rmSync(dir, { recursive: true });
}, 30_000);

test.runIf(process.platform === 'linux')('a program started with a channel hears of the end of its parent', async () => {
  const url = new URL('../engine/host/parent.ts', import.meta.url).href;
  const inner = `const { whenParentEnds } = await import(${JSON.stringify(url)}); whenParentEnds(() => process.exit(0)); setInterval(() => {}, 1000); console.log(process.pid);`;
  const outer = `require('node:child_process').spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', ${JSON.stringify(inner)}], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });`;
  const parent = spawn(process.execPath, ['-e', outer], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number.parseInt(line.toString(), 10); // more lines may have come with the first
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000, interval: 20 });
}, 30_000);
