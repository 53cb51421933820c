import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hasBrowser, isBuilt, openServed, terminalText } from './page.ts';
import type { Served } from './page.ts';

const SHOTS = fileURLToPath(new URL('../../build/screenshots/', import.meta.url));
const run = test.skipIf(!hasBrowser || !isBuilt);
let served: Served;
const poll = (read: () => Promise<unknown>) => expect.poll(read, { timeout: 15_000 });

beforeAll(() => { mkdirSync(SHOTS, { recursive: true }); });
beforeEach(async () => { if (hasBrowser && isBuilt) served = await openServed(new URL('./fake/serve.ts', import.meta.url)); });
afterEach(async (context) => {
  if (served === undefined) return;
  if (context.task.result?.state === 'fail') await served.page.screenshot({ path: `${SHOTS}failed.png` });
  await served.close();
});
afterAll(async () => { await served?.close().catch(() => {}); });

async function createAndStart(name?: string): Promise<void> {
  const { page, origin } = served;
  await page.goto(`${origin}/#/new`);
  const field = page.getByLabel('Name', { exact: true });
  await field.waitFor();
  if (name !== undefined) await field.fill(name);
  await page.getByRole('button', { name: 'Create and start' }).click();
  await poll(() => terminalText(page)).toContain('root@');
}

run('without VMs the list says what to do', async () => {
  const { page } = served;
  await page.getByText('No virtual machines yet').waitFor();
  await page.screenshot({ path: `${SHOTS}empty.png` });
  await page.getByRole('button', { name: 'New VM' }).first().click();
  await page.getByRole('heading', { name: 'New virtual machine' }).waitFor();
});

run('a VM is created by the form, starts, and its console echoes what is typed', async () => {
  const { page, complaints } = served;
  await createAndStart('demo');
  expect(await page.getByRole('tab', { name: /demo/ }).getAttribute('aria-selected')).toBe('true');
  await page.getByRole('button', { name: 'Copy /dev/pts/3', exact: true }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('/dev/pts/3');
  await page.getByRole('button', { name: 'Copy minicom -D /dev/pts/3' }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('minicom -D /dev/pts/3');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('echo smørrebrød\r');
  await poll(() => terminalText(page)).toMatch(/# echo smørrebrød\s+smørrebrød/);
  expect(complaints).toEqual([]); // not even a policy violation
});

run('the form shows problems at their fields and creates nothing until they are gone', async () => {
  const { page, origin } = served;
  await page.goto(`${origin}/#/new`);
  const name = page.getByLabel('Name', { exact: true });
  await name.waitFor();
  await name.fill('no spaces please');
  await page.getByText(/a VM name has 1 to 127/).waitFor();
  await page.getByRole('checkbox', { name: /pCPU 1/ }).click(); // the only one chosen
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByText('2 fields need another value.').waitFor();
  await page.screenshot({ path: `${SHOTS}create-problems.png` });
  await name.fill('fine');
  await page.getByRole('checkbox', { name: /pCPU 2/ }).click();
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('heading', { name: 'fine' }).waitFor();
});

run('devices are added and removed, and the command line follows', async () => {
  const { page, origin } = served;
  await page.goto(`${origin}/#/new`);
  await page.getByRole('button', { name: 'Add device' }).click();
  await page.getByRole('menuitem', { name: /Network/ }).click();
  const command = page.getByLabel('acrn-dm command line');
  await poll(() => command.innerText()).toContain('-s 6,virtio-net,tap0');
  await page.getByLabel('COM1').fill('tcp:4000');
  await poll(() => command.innerText()).toContain('-s 1:0,lpc');
  expect(await command.innerText()).toContain('-l com1,tcp:4000');
  await page.getByRole('button', { name: /Remove device .*virtio-rnd/ }).click();
  await poll(() => command.innerText()).not.toContain('virtio-rnd');
});

run('pause, resume and stop are offered by the state of the VM', async () => {
  const { page, origin } = served;
  await createAndStart('vm1');
  await page.goto(`${origin}/#/vms`);
  const state = page.locator('[data-vm=vm1] [data-state]').first();
  const button = (name: string) => page.getByRole('button', { name: `${name} vm1`, exact: true });
  await poll(() => state.innerText()).toBe('Running');
  expect([await button('Start').isDisabled(), await button('Stop').isDisabled(), await button('Pause').isDisabled()]).toEqual([true, false, false]);
  await button('Pause').click();
  await poll(() => state.innerText()).toBe('Paused');
  await button('Resume').click();
  await poll(() => state.innerText()).toBe('Running');
  await button('Stop').click();
  await poll(() => state.innerText()).toBe('Stopped');
  expect([await button('Start').isDisabled(), await button('Stop').isDisabled()]).toEqual([false, true]);
});

run('deleting asks with the name of the VM, and Cancel keeps it', async () => {
  const { page, origin } = served;
  await page.goto(`${origin}/#/new`);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('heading', { name: 'vm1' }).waitFor();
  const ask = async (): Promise<void> => {
    await page.getByRole('button', { name: 'More actions for vm1' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
  };
  await ask();
  await page.getByRole('dialog', { name: 'Delete vm1?' }).getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await ask();
  await page.getByRole('button', { name: 'Delete vm1', exact: true }).click();
  await page.getByText('No virtual machines yet').waitFor();
});

run('a NUC that dies shows a banner with its log, and Restart brings it back', async () => {
  const { page, origin } = served;
  await createAndStart('vm1');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('kill-nuc\r');
  const banner = page.locator('[data-banner=nuc-crashed]');
  await banner.waitFor();
  expect(await banner.innerText()).toContain('It ended with exit code 3.');
  await banner.getByText('Last lines of its log').click();
  expect(await banner.innerText()).toContain('fatal: the fake NUC was told to die');
  await page.getByText('vm1 ended with the NUC').first().waitFor();
  await banner.getByRole('button', { name: 'Restart the NUC' }).click();
  await banner.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Start vm1' }).click();
  await poll(() => terminalText(page)).toMatch(/Welcome to vm1[\s\S]*#\s*$/);
  await page.goto(`${origin}/#/nuc`);
  await page.getByText('1 of 4 in use').waitFor();
});

run('scrollback survives a reload of the page', async () => {
  const { page } = served;
  await createAndStart('vm1');
  await page.reload();
  await poll(() => terminalText(page)).toContain('Welcome to vm1');
});

run('search finds text in the console', async () => {
  const { page } = served;
  await createAndStart('vm1');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.press('Control+Shift+KeyF');
  await page.getByLabel('Search text').fill('Welcome');
  await page.locator('.xterm-decoration-container > div').first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByLabel('Search text').waitFor({ state: 'detached' });
});

run('statistics appear while a VM runs', async () => {
  const { page, origin } = served;
  await createAndStart('vm1');
  await page.goto(`${origin}/#/vms/vm1`);
  await page.getByText('IO_INSTRUCTION').waitFor();
  await page.getByText('MIPS').first().waitFor();
});

run('the whole application works from the keyboard', async () => {
  const { page, origin } = served;
  await createAndStart('vm1');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.press('Control+F6');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('tab');
  await page.goto(`${origin}/#/vms`);
  await page.getByRole('heading', { name: 'Virtual machines' }).waitFor();
  const seen = new Set<string>();
  for (let at = 0; at < 24; at += 1) {
    await page.keyboard.press('Tab');
    seen.add(await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? ''));
  }
  for (const name of ['New VM', 'vm1', 'Stop vm1', 'Pause vm1', 'More actions for vm1']) expect([...seen]).toContain(name);
});

run('the page reconnects by itself when its socket breaks, and its consoles go on', async () => {
  const { page } = served;
  await page.addInitScript(() => {
    const sockets: WebSocket[] = [];
    Object.assign(window, { sockets, WebSocket: class extends WebSocket { constructor(address: string) { super(address); sockets.push(this); } } });
  });
  await page.reload();
  await createAndStart('vm1');
  await page.evaluate(() => (window as unknown as { sockets: WebSocket[] }).sockets.at(-1)?.close());
  await poll(() => page.evaluate(() => (window as unknown as { sockets: WebSocket[] }).sockets.length)).toBeGreaterThan(1);
  await page.locator('.xterm-helper-textarea').focus();
  await poll(async () => {
    await page.keyboard.type('echo again\r');
    return terminalText(page);
  }).toMatch(/\nagain\s/);
  expect((await terminalText(page)).match(/Welcome to vm1/g)?.length).toBe(1); // the scrollback replaced the screen
});

run('a second browser without the newest link sees nothing', async () => {
  const { context, origin, link } = served;
  const other = await context.browser()!.newContext();
  const page = await other.newPage();
  expect((await page.goto(origin))?.status()).toBe(401);
  expect((await page.goto(link()))?.status()).toBe(200);
  await page.getByText('No virtual machines yet').waitFor();
  await other.close();
});
