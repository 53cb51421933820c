import { expect, test } from 'vitest';
import { formatMemory, formatRate, formatUptime } from './format.ts';
import { hashOf, parseRoute } from './router.ts';
import type { Route } from './router.ts';

test('every place has an address that leads back to it', () => {
  const routes: Route[] = [{ view: 'vms' }, { view: 'vm', name: 'a.b' }, { view: 'new' }, { view: 'edit', name: 'vm 1' }, { view: 'nuc' }, { view: 'consoles', name: 'vm1', consoleId: 'virtio-console:pty/0' }, { view: 'consoles', name: undefined, consoleId: undefined }];
  for (const route of routes) expect(parseRoute(hashOf(route))).toEqual(route);
});

test('an address that leads nowhere leads to the VMs', () => {
  for (const hash of ['', '#', '#/', '#/what', '#/edit', '#/edit/']) expect(parseRoute(hash)).toEqual({ view: 'vms' });
  expect(parseRoute('#/vms/%E0%A4%A')).toEqual({ view: 'vm', name: '%E0%A4%A' });
});

test('memory, uptime and rates read as people say them', () => {
  expect([512, 1024, 1280, 1536, 3072].map(formatMemory)).toEqual(['512 MiB', '1 GiB', '1.25 GiB', '1.5 GiB', '3 GiB']);
  expect([0, 59_999, 61_000, 3_600_000, 90_000_000].map(formatUptime)).toEqual(['0 s', '59 s', '1 min 1 s', '1 h 0 min', '1 d 1 h']);
  expect([0, 999, 1500, 15_000, 2_500_000].map(formatRate)).toEqual(['0', '999', '1.5 k', '15 k', '2.5 M']);
});
