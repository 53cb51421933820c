import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RuntimeRegistry } from './registry.ts';

const fresh = () => new RuntimeRegistry(mkdtempSync(join(tmpdir(), 'acrn-run-')));
const vm = (name: string, cpuAffinity: number[]) => ({ name, cpuAffinity, memoryMiB: 256 });

test('a running VM is listed until it is removed', async () => {
  const registry = fresh();
  const entry = await registry.enter(vm('vm1', [1]));
  expect((await registry.list()).map((r) => [r.name, r.pid])).toEqual([['vm1', process.pid]]);
  entry.remove();
  expect(await registry.list()).toEqual([]);
});

test('a pCPU belongs to one VM, and the refusal names the holder and the free ones', async () => {
  const registry = fresh();
  await registry.enter(vm('vm1', [1, 2]));
  await expect(registry.enter(vm('vm2', [2]))).rejects.toMatchObject({ code: 'PCPU_TAKEN', why: expect.stringContaining('vm1'), todo: 'Free pCPUs: 0, 3' });
  expect((await registry.list()).length).toBe(1);
});

test('a VM runs once', async () => {
  const registry = fresh();
  await registry.enter(vm('vm1', [1]));
  await expect(registry.enter(vm('vm1', [2]))).rejects.toMatchObject({ code: 'VM_RUNNING' });
});

test('entries of processes that are gone are swept away, a recycled pid included', async () => {
  const registry = fresh();
  const entry = { name: 'dead', pid: 2 ** 22 - 1, processStart: '1', cpuAffinity: [1], memoryMiB: 1, consoles: [], startedAt: 0 };
  writeFileSync(join(registry.dir, 'dead.json'), JSON.stringify(entry));
  writeFileSync(join(registry.dir, 'recycled.json'), JSON.stringify({ ...entry, name: 'recycled', pid: process.pid }));
  writeFileSync(join(registry.dir, 'broken.json'), '{');
  expect(await registry.list()).toEqual([]);
  expect(readdirSync(registry.dir)).toEqual([]);
});

test.skipIf(process.platform !== 'linux')('a process that has ended and only waits for its parent runs no VM', async () => {
  const registry = fresh();
  // The shell turns into cat, which never asks how its child ended. The child alone keeps descriptor 3 open, until it ends.
  const parent = spawn('sh', ['-c', 'read word <&3 & echo $!; exec cat 3>&-'], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] });
  try {
    const pid = Number(String((await once(parent.stdout!, 'data'))[0]));
    parent.stdin!.write('are you cat?');
    await once(parent.stdout!, 'data');
    const child = parent.stdio[3] as Socket;
    child.write('end\n');
    await once(child.resume(), 'end');
    const processStart = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')[19];
    writeFileSync(join(registry.dir, 'killed.json'), JSON.stringify({ name: 'killed', pid, processStart, cpuAffinity: [1], memoryMiB: 1, consoles: [], startedAt: 0 }));
    expect(await registry.list()).toEqual([]);
  } finally {
    parent.kill('SIGKILL');
  }
});

test('of two VMs that enter at the same moment for one pCPU, one has it', async () => {
  const registry = fresh();
  const other = new RuntimeRegistry(join(registry.dir, '..'));
  const outcomes = await Promise.allSettled([registry.enter(vm('vm1', [2])), other.enter(vm('vm2', [2, 3]))]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect((await registry.list()).length).toBe(1);
});

test('an update leaves nothing behind that a removal has taken away', async () => {
  const registry = fresh();
  const entry = await registry.enter(vm('vm1', [1]));
  entry.update([{ id: 'com1', title: 'ttyS0', kind: 'pty', where: '/dev/pts/9' }]);
  expect((await registry.list())[0].consoles).toMatchObject([{ where: '/dev/pts/9' }]);
  entry.remove();
  entry.update([]);
  expect(readdirSync(registry.dir)).toEqual([]);
});
