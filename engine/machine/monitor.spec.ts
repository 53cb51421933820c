import { mkdtempSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { askMonitor, DM_QUERY, DM_STOP, type MonitorHandlers, openMonitor } from './monitor.ts';

const handlers = (over: Partial<MonitorHandlers> = {}): MonitorHandlers => ({
  stop: async () => 0, pause: async () => 0, resume: async () => 0, reset: async () => 0, state: () => 0, ...over,
});
const freshDir = () => mkdtempSync(join(tmpdir(), 'acrn-mon-'));

test('stop reaches the VM with its force flag and its result comes back', async () => {
  const dir = freshDir();
  let forced: boolean | undefined;
  const close = await openMonitor(dir, 'vm1', handlers({ stop: async (force) => { forced = force; return -3; } }));
  expect(await askMonitor(dir, 'vm1', DM_STOP, 1)).toBe(-3);
  expect(forced).toBe(true);
  close();
});

test('a VM does not answer for another whose name begins alike', async () => {
  const dir = freshDir();
  const close = await openMonitor(dir, 'vm10', handlers());
  await expect(askMonitor(dir, 'vm1', DM_QUERY)).rejects.toMatchObject({ code: 'VM_NOT_RUNNING' });
  close();
});

test('a VM that does not answer in time is told from one that does not run', async () => {
  const dir = freshDir();
  const close = await openMonitor(dir, 'vm1', handlers({ pause: () => new Promise(() => {}) }));
  await expect(askMonitor(dir, 'vm1', 4, 0, 50)).rejects.toMatchObject({ code: 'VM_NOT_ANSWERING' });
  close();
});

test('a client that sends rubbish is disconnected and others are served', async () => {
  const dir = freshDir();
  const close = await openMonitor(dir, 'vm1', handlers({ state: () => 4 }));
  const [file] = readdirSync(join(dir, 'mngr'));
  const rubbish = connect(join(dir, 'mngr', file));
  rubbish.write(Buffer.alloc(300, 0xaa));
  await new Promise((done) => rubbish.once('close', done));
  expect(await askMonitor(dir, 'vm1', DM_QUERY)).toBe(4);
  close();
});
