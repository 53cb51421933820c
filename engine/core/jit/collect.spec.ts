import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ModuleCollector } from './collect.ts';
import { prepareV8 } from './module.ts';

prepareV8();

/** A module that nothing holds on to. */
const garbage = (): WeakRef<WebAssembly.Module> => new WeakRef(new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)));

test('what was dropped is gone after the 32nd time, and not before', async () => {
  const module = garbage();
  await setImmediate(); // a WeakRef holds its object until the present turn ends
  const collector = new ModuleCollector(0);
  for (let n = 0; n < 31; n += 1) collector.dropped();
  expect(module.deref()).toBeDefined();
  await setImmediate();
  collector.dropped();
  expect(module.deref()).toBeUndefined();
});

test('there is no second collection within the gap', async () => {
  const collector = new ModuleCollector(3_600_000);
  const module = garbage();
  await setImmediate();
  for (let n = 0; n < 100; n += 1) collector.dropped();
  expect(module.deref()).toBeDefined();
});
