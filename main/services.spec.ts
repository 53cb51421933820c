import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandRequests } from '../engine/contract/engine_api.ts';
import type { VmInfo } from '../engine/contract/engine_api.ts';
import { definition } from '../test/e2e/fake/fake_engine.ts';
import { harness } from '../test/e2e/fake/harness.ts';

const problemOf = async (call: Promise<unknown>) => call.then(() => undefined, (error: { problem: { code: string; what: string; why: string; todo: string } }) => error.problem);

async function withRunningVm() {
  const h = await harness();
  await h.engine.store.create(definition('vm1', { cpuAffinity: [1, 2], memoryMiB: 512 }));
  const client = h.client();
  await client.session.call('vm.start', { name: 'vm1' });
  h.process.runLater();
  return { h, client };
}

test('the list shows definitions that can be read and those that cannot', async () => {
  const h = await harness();
  await h.engine.store.create(definition('vm2'));
  h.engine.store.files.set('bad', { name: 'bad', path: '/vms/bad.json', problem: { code: 'X', what: 'bad.json', why: 'not JSON', todo: 'Correct it' } });
  const list = await h.client().session.call('vm.list', {}) as VmInfo[];
  expect(list.map(({ name, state, problem }) => [name, state, problem?.why])).toEqual([['bad', 'stopped', 'not JSON'], ['vm2', 'stopped', undefined]]);
});

test('no NUC process runs before the first VM is started', async () => {
  const h = await harness();
  await h.client().session.call('vm.list', {});
  expect(h.processes.length).toBe(0);
  expect(await h.client().session.call('nuc.info', {})).toMatchObject({ state: 'down', memoryMiB: 2048, memoryUsedMiB: 0 });
});

test('starting a VM starts the NUC with the memory of the settings and announces starting, then running', async () => {
  const { h, client } = await withRunningVm();
  expect(h.process.received[0]).toMatchObject({ command: 'nuc.start', request: { memoryMiB: 2048, pcpus: 4 } });
  const states = client.all('vm.changed').filter(({ name }) => name === 'vm1').map(({ state }) => state);
  expect(states.filter((state, at) => state !== states[at - 1])).toEqual(['stopped', 'starting', 'running']);
});

test('two VMs started at once share one NUC process', async () => {
  const h = await harness();
  await h.engine.store.create(definition('vm1', { cpuAffinity: [1] }));
  await h.engine.store.create(definition('vm2', { cpuAffinity: [2] }));
  const { session } = h.client();
  await Promise.all([session.call('vm.start', { name: 'vm1' }), session.call('vm.start', { name: 'vm2' })]);
  expect(h.processes.length).toBe(1);
});

test('the NUC shows which vCPU of which VM is on each pCPU, and the memory in use', async () => {
  const { client } = await withRunningVm();
  expect(client.last('nuc.changed')).toEqual({
    state: 'up', detail: '', memoryMiB: 2048, memoryUsedMiB: 512,
    pcpus: [{ id: 0 }, { id: 1, vm: 'vm1', vcpuId: 0 }, { id: 2, vm: 'vm1', vcpuId: 1 }, { id: 3 }],
  });
});

test('a VM whose pCPU is taken does not start, and says by whom', async () => {
  const { h, client } = await withRunningVm();
  await h.engine.store.create(definition('vm2', { cpuAffinity: [2] }));
  expect(await problemOf(client.session.call('vm.start', { name: 'vm2' }))).toMatchObject({ code: 'BAD_DEFINITION', why: expect.stringContaining('in use by vm1') });
});

test('a VM that acrn-dm cannot start is crashed with the reason', async () => {
  const h = await harness();
  await h.engine.store.create(definition('vm1', { bootargs: 'fail' }));
  const client = h.client();
  expect(await problemOf(client.session.call('vm.start', { name: 'vm1' }))).toMatchObject({ why: 'the kernel was not found' });
  expect(client.last('vm.changed')).toMatchObject({ name: 'vm1', state: 'crashed', problem: { why: 'the kernel was not found' } });
});

test.each([
  ['vm.start', {}], ['vm.resume', {}], ['vm.delete', {}], ['vm.update', { definition: {} }],
])('%s of a running VM is refused by its state', async (command, more) => {
  const { client } = await withRunningVm();
  expect(await problemOf(client.session.call(command, { name: 'vm1', ...more }))).toMatchObject({ code: 'VM_STATE', why: 'it is running' });
});

test.each([['vm.pause', {}], ['vm.reset', {}], ['vm.resume', {}], ['vm.stop', { force: false }], ['vm.stop', { force: true }]])('%s of a stopped VM is refused by its state', async (command, more) => {
  const h = await harness();
  await h.engine.store.create(definition('vm1'));
  const { session } = h.client();
  await session.call('vm.list', {});
  expect(await problemOf(session.call(command, { name: 'vm1', ...more }))).toMatchObject({ code: 'VM_STATE', why: 'it is stopped' });
});

test('pause, resume and stop go through their states', async () => {
  const { h, client } = await withRunningVm();
  expect(await client.session.call('vm.pause', { name: 'vm1' })).toMatchObject({ state: 'paused' });
  expect(await client.session.call('vm.resume', { name: 'vm1' })).toMatchObject({ state: 'running' });
  expect(await client.session.call('vm.stop', { name: 'vm1', force: false })).toMatchObject({ state: 'stopping' });
  h.process.runLater();
  expect(client.last('vm.changed')).toMatchObject({ state: 'stopped', detail: 'powered off', consoles: [] });
});

test('a NUC process that dies leaves its VMs crashed and its last lines in view', async () => {
  const { h, client } = await withRunningVm();
  h.process.line('mmu: assertion failed');
  h.process.die({ code: null, signal: 'SIGKILL' });
  expect(client.last('nuc.changed')).toMatchObject({ state: 'crashed', memoryUsedMiB: 0 });
  expect(client.last('nuc.changed')?.detail).toMatch(/^it was ended by SIGKILL\n(.*\n)*mmu: assertion failed$/);
  expect(client.last('vm.changed')).toMatchObject({ name: 'vm1', state: 'crashed', problem: { code: 'NUC_CRASHED', why: expect.stringContaining('SIGKILL') } });
});

test('a request under way fails when the NUC dies', async () => {
  const { h, client } = await withRunningVm();
  h.process.nuc.receive = () => {};
  const stopping = problemOf(client.session.call('vm.stop', { name: 'vm1', force: false }));
  await Promise.resolve();
  h.process.die({ code: 7, signal: null });
  expect(await stopping).toMatchObject({ code: 'NUC_GONE', why: 'it ended with exit code 7' });
});

test('nuc.restart starts a fresh process after a crash, and the VM starts on it', async () => {
  const { h, client } = await withRunningVm();
  h.process.die({ code: 3, signal: null });
  expect(await client.session.call('nuc.restart', {})).toMatchObject({ state: 'up', detail: '' });
  expect(h.processes.length).toBe(2);
  await client.session.call('vm.start', { name: 'vm1' });
  h.process.runLater();
  expect(client.last('vm.changed')).toMatchObject({ state: 'running', problem: undefined });
});

test('a NUC that dies while it starts is crashed, and the start is refused', async () => {
  const h = await harness();
  await h.engine.store.create(definition('vm1'));
  const client = h.client();
  h.options.mute = true;
  const starting = problemOf(client.session.call('vm.start', { name: 'vm1' }));
  await expect.poll(() => h.processes.length).toBe(1);
  h.process.die({ code: 1, signal: null });
  expect(await starting).toMatchObject({ code: 'NUC_GONE' });
  expect(client.last('nuc.changed')).toMatchObject({ state: 'crashed' });
});

async function withExternalVm() {
  const h = await harness();
  const client = h.client();
  h.engine.registry.set([{ name: 'cli', pid: 77, cpuAffinity: [3], memoryMiB: 256, consoles: [{ id: 'com1', title: 'ttyS0', kind: 'stdio', where: '' }], startedAt: 5 }]);
  await expect.poll(() => client.last('vm.changed')?.name).toBe('cli');
  return { h, client };
}

test('a VM of another process is shown and holds its pCPUs and memory', async () => {
  const { client } = await withExternalVm();
  expect(client.last('vm.changed')).toMatchObject({ external: true, state: 'running', startedAt: 5 });
  expect(client.last('nuc.changed')).toMatchObject({ memoryUsedMiB: 256, pcpus: [{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3, vm: 'cli', vcpuId: 0 }] });
});

test('a VM of another process is paused, resumed, reset and stopped by its monitor', async () => {
  const { h, client } = await withExternalVm();
  expect(await client.session.call('vm.pause', { name: 'cli' })).toMatchObject({ state: 'paused' });
  expect(await client.session.call('vm.resume', { name: 'cli' })).toMatchObject({ state: 'running' });
  await client.session.call('vm.reset', { name: 'cli' });
  expect(await client.session.call('vm.stop', { name: 'cli', force: true })).toMatchObject({ state: 'stopped' });
  expect(h.engine.external.asked).toEqual(['pause cli', 'resume cli', 'reset cli', 'forceOff cli']);
  expect(client.last('vm.removed')).toEqual({ name: 'cli' });
});

test('a VM of another process is not deleted, and its consoles are open there', async () => {
  const { client } = await withExternalVm();
  expect(await problemOf(client.session.call('vm.delete', { name: 'cli' }))).toMatchObject({ code: 'VM_STATE', why: 'it is running in another process' });
  expect(await problemOf(client.session.call('console.attach', { name: 'cli', consoleId: 'com1' }))).toMatchObject({ code: 'VM_EXTERNAL' });
});

test('a process that was killed takes its VM from the list although nothing announced it', async () => {
  const { h, client } = await withExternalVm();
  h.engine.registry.vms = [];
  h.flush();
  await expect.poll(() => client.last('vm.removed')?.name).toBe('cli');
});

test('a file that is added to or taken from the store is announced', async () => {
  const h = await harness();
  const client = h.client();
  await h.engine.store.create(definition('vm9'));
  await expect.poll(() => client.last('vm.changed')?.name).toBe('vm9');
  await h.engine.store.delete('vm9');
  await expect.poll(() => client.last('vm.removed')?.name).toBe('vm9');
});

test('a definition with problems is neither created nor used, and names its fields', async () => {
  const h = await harness();
  const { session } = h.client();
  expect(await session.call('vm.validate', { definition: { ...definition('vm1'), memoryMiB: 5 } })).toMatchObject([{ path: 'memoryMiB' }]);
  expect(await problemOf(session.call('vm.create', { definition: { ...definition('vm1'), memoryMiB: 5 } }))).toMatchObject({ code: 'BAD_DEFINITION', why: expect.stringContaining('memoryMiB') });
  expect(h.engine.store.files.size).toBe(0);
});

test('a VM can be renamed to its own name and not to another one that exists', async () => {
  const h = await harness();
  await h.engine.store.create(definition('a'));
  await h.engine.store.create(definition('b'));
  const { session } = h.client();
  expect(await session.call('vm.validate', { definition: definition('a'), replaces: 'a' })).toEqual([]);
  expect(await session.call('vm.validate', { definition: definition('b'), replaces: 'a' })).toMatchObject([{ path: 'name' }]);
});

test('a console gives its scrollback, then what follows, in batches', async () => {
  const { h, client } = await withRunningVm();
  const { scrollback } = await client.session.call('console.attach', { name: 'vm1', consoleId: 'com1' }) as { scrollback: string };
  expect(scrollback).toContain('Linux version');
  h.process.nuc.output('vm1', 'com1', 'one ');
  h.process.nuc.output('vm1', 'com1', 'two');
  expect(client.output()).toBe('');
  h.flush();
  expect(client.all('console.output')).toEqual([{ name: 'vm1', consoleId: 'com1', data: 'one two' }]);
});

test('what is typed goes to the guest and its echo comes back', async () => {
  const { h, client } = await withRunningVm();
  await client.session.call('console.attach', { name: 'vm1', consoleId: 'com1' });
  expect(await client.session.call('console.write', { name: 'vm1', consoleId: 'com1', data: 'echo hi\r' })).toEqual({ taken: 8 });
  h.flush();
  expect(client.output()).toContain('hi\r\n');
});

test('a console that does not exist is refused by name', async () => {
  const { client } = await withRunningVm();
  expect(await problemOf(client.session.call('console.attach', { name: 'vm1', consoleId: 'com7' }))).toMatchObject({ code: 'NO_CONSOLE', what: 'vm1 has no console com7' });
});

test('unknown commands, inherited names and malformed requests are refused', async () => {
  const { session } = (await harness()).client();
  for (const name of ['toString', '__proto__', 'constructor', 'vm.explode', 7, null, undefined]) {
    expect(await problemOf(session.call(name, {}))).toMatchObject({ code: 'BAD_REQUEST' });
  }
  expect(await problemOf(session.call('vm.start', { name: '../../etc/passwd' }))).toMatchObject({ code: 'BAD_REQUEST' });
  expect(await problemOf(session.call('vm.start', { name: 'vm1', extra: 1 }))).toMatchObject({ code: 'BAD_REQUEST' });
});

test('no request, however formed, is answered by anything but a reply or a Problem', async () => {
  const h = await harness();
  const { session } = h.client();
  await fc.assert(fc.asyncProperty(fc.constantFrom(...Object.keys(commandRequests), 'x'), fc.anything(), async (name, request) => {
    const problem = await problemOf(session.call(name, request));
    if (problem !== undefined) expect(Object.keys(problem).sort()).toEqual(['code', 'todo', 'what', 'why']);
  }), { numRuns: 200, seed: 42 });
  await h.services.close();
});

test('closing ends the NUC process without calling it a crash', async () => {
  const { h, client } = await withRunningVm();
  await h.services.close();
  expect(h.process.alive).toBe(false);
  expect(client.last('nuc.changed')).toMatchObject({ state: 'down' });
  expect(client.last('vm.changed')).toMatchObject({ state: 'stopped' });
});
