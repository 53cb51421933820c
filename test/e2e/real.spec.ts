/** The window with the real engine: from a newcomer's first start to a shell, and whatever may go wrong. Nothing is faked. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { guestImages } from '../../engine/index.ts';
import { faultingKernel } from '../guest/faulting_kernel.ts';
import { acrnDm, fileInImage, sampleArguments, Terminal } from '../guest/harness.ts';
import { hasBrowser, isBuilt, openServed, terminalText } from './page.ts';
import type { Served } from './page.ts';

const SHOTS = fileURLToPath(new URL('../../build/screenshots/', import.meta.url));
const BOOT_MS = 120_000;
const PROMPT = /uos:\S*# ?\s*$/;
const run = test.skipIf(!hasBrowser || !isBuilt);
let dir: string;
let env: Record<string, string>;
let served: Served;

beforeEach(async () => {
  mkdirSync(SHOTS, { recursive: true });
  dir = mkdtempSync(join(tmpdir(), 'acrn-real-'));
  env = { ACRN_DESKTOP_RUNTIME: join(dir, 'run'), ACRN_DESKTOP_DATA: join(dir, 'data') };
  if (hasBrowser && isBuilt) served = await openServed(new URL('../../main/serve.ts', import.meta.url), ['--no-open'], env);
});
afterEach(async (context) => {
  if (served !== undefined) {
    if (context.task.result?.state === 'fail') await served.page.screenshot({ path: `${SHOTS}real-failed.png` });
    await served.close();
  }
  rmSync(dir, { recursive: true, force: true });
});

const poll = (read: () => unknown, timeout = 20_000) => expect.poll(read, { timeout, interval: 100 });
const stateOf = (name: string) => served.page.locator(`[data-vm="${name}"] [data-state]`).first().getAttribute('data-state');
const button = (name: string) => served.page.getByRole('button', { name, exact: true });
const open = (hash: string) => served.page.goto(`${served.origin}/#${hash}`);
const image = (name: string) => join(dir, 'data/images', `${name}.img`);
const entry = (name: string) => JSON.parse(readFileSync(join(dir, 'run/vms', `${name}.json`), 'utf8')) as { pid: number; cpuAffinity: number[] };

/** Opens the console of a VM that has just been started and waits for its shell. */
async function shell(name: string): Promise<void> {
  await open(`/consoles/${name}`);
  await served.page.getByText(`Waiting for the first output of ${name}`).waitFor();
  await poll(() => terminalText(served.page), BOOT_MS).toMatch(PROMPT);
}

/** Types a line into the console in view. */
async function type(line: string): Promise<void> {
  await served.page.locator('.xterm-helper-textarea').focus();
  await served.page.keyboard.type(`${line}\r`);
}

async function ptyInView(): Promise<string> {
  const label = await served.page.getByRole('button', { name: /^Copy \/dev\/pts\// }).first().getAttribute('aria-label');
  return label!.replace('Copy ', '');
}

run('a newcomer starts the sample, works in its console and on its PTY, and powers it off', async () => {
  const { page, complaints } = served;
  expect(await stateOf('uos1')).toBe('stopped');
  await button('Start uos1').click();
  await shell('uos1');
  await type('uname -a');
  await poll(() => terminalText(page)).toMatch(/Linux uos 6\.1\.\S+-cloud-amd64 .*x86_64 GNU\/Linux/);

  // the same guest on its PTY, beside the window, and again after leaving
  const pty = await ptyInView();
  expect(await page.getByText(`screen ${pty}`).count()).toBe(1);
  const first = new Terminal(pty);
  expect(await first.command('echo from-$((40+2))')).toMatch(/from-42\n$/); // after what the PTY kept of the boot
  await poll(() => terminalText(page)).toContain('from-42');
  first.close();
  const second = new Terminal(pty);
  expect(await second.command('echo again; tty')).toBe('again\n/dev/hvc0\n');
  second.close();
  if (existsSync('/usr/bin/screen')) await talkByScreen(pty);

  await open('/vms');
  await button('Pause uos1').click();
  await poll(() => stateOf('uos1')).toBe('paused');
  await button('Resume uos1').click();
  await poll(() => stateOf('uos1')).toBe('running');

  await open('/consoles/uos1');
  await type('echo kept > /root/kept; sync; poweroff');
  await page.getByText('uos1 is stopped: the guest powered off.').waitFor();
  expect(fileInImage(image('uos1'), '/root/kept')).toBe('kept\n');
  await page.screenshot({ path: `${SHOTS}real-stopped.png` });
  expect(complaints).toEqual([]);
});

/** GNU screen on the same PTY: what it types is seen in the window and the other way round, also after leaving. */
async function talkByScreen(pty: string): Promise<void> {
  const { page } = served;
  const session = `acrn-test-${process.pid}`;
  const folder = join(dir, 'screen');
  mkdirSync(folder, { mode: 0o700 });
  const screen = (...args: string[]) => execFileSync('screen', args, { env: { ...process.env, SCREENDIR: folder, TERM: 'vt100' } });
  const hardcopy = join(dir, 'hardcopy');
  screen('-dmS', session, pty);
  screen('-S', session, '-X', 'stuff', 'echo by-$((6*7))-screen\r');
  await poll(() => terminalText(page)).toContain('by-42-screen');
  await type('echo by-$((6*7))-window');
  await poll(() => {
    screen('-S', session, '-X', 'hardcopy', hardcopy);
    return existsSync(hardcopy) ? readFileSync(hardcopy, 'latin1') : '';
  }).toContain('by-42-window');
  screen('-S', session, '-X', 'quit');
  screen('-dmS', session, pty);
  screen('-S', session, '-X', 'stuff', 'echo back-$((6*7))\r');
  await poll(() => terminalText(page)).toContain('back-42');
  screen('-S', session, '-X', 'quit');
}

run('a UOS made by the form runs beside the sample; the power button and Reset work', async () => {
  const { page } = served;
  await button('Start uos1').click();
  await open('/new');
  const field = page.getByLabel('Name', { exact: true });
  await field.waitFor();
  await field.fill('second');
  await button('Create and start').click();
  await shell('second');
  await type('uname -a; grep -c processor /proc/cpuinfo');
  await poll(() => terminalText(page)).toMatch(/Linux uos 6\.1[^\n]*\s+1\s/);
  expect(new Set([...entry('uos1').cpuAffinity, ...entry('second').cpuAffinity]).size).toBe(2);
  await open('/nuc');
  await page.getByText('2 of 4 in use').waitFor();

  await open('/consoles/second');
  await type('clear');
  await poll(() => terminalText(page)).not.toContain('ACRN-UOS-READY');
  await open('/vms');
  await button('Reset second').click();
  await button('Reset').click();
  await open('/consoles/second');
  await poll(() => terminalText(page), BOOT_MS).toContain('ACRN-UOS-READY');
  await poll(() => terminalText(page), BOOT_MS).toMatch(PROMPT);

  await open('/vms');
  await button('Stop uos1').click();
  await poll(() => stateOf('uos1')).toBe('stopped');
  await button('Stop second').click();
  await poll(() => stateOf('second')).toBe('stopped');
  for (const name of ['uos1', 'second']) execFileSync('/sbin/e2fsck', ['-fn', image(name)], { stdio: 'ignore' });
});

run('a NUC process that is killed is told by a banner; after a restart the VM runs again with all that was synced', async () => {
  const { page } = served;
  await button('Start uos1').click();
  await shell('uos1');
  await type('echo before > /root/before; sync; echo synced-$((1+1))');
  await poll(() => terminalText(page)).toContain('synced-2');
  process.kill(entry('uos1').pid, 'SIGKILL');
  const banner = page.locator('[data-banner=nuc-crashed]');
  await banner.waitFor();
  expect(await banner.innerText()).toContain('It was ended by SIGKILL.');
  await page.getByText('uos1 ended with the NUC').first().waitFor();
  await page.screenshot({ path: `${SHOTS}real-nuc-killed.png` });
  await banner.getByRole('button', { name: 'Restart the NUC' }).click();
  await banner.waitFor({ state: 'detached' });
  await open('/vms');
  await button('Start uos1').click();
  await shell('uos1');
  await type('cat /root/before; mount | grep -c "vda.*rw,"');
  await poll(() => terminalText(page)).toMatch(/\nbefore\s+1\s/);
  await type('poweroff');
  await page.getByText('uos1 is stopped: the guest powered off.').waitFor();
  execFileSync('/sbin/e2fsck', ['-fn', image('uos1')], { stdio: 'ignore' });
});

run('bad input has its own message at its own field, and nothing is created', async () => {
  const { page } = served;
  const text = join(dir, 'text');
  writeFileSync(text, 'x'.repeat(4096));
  const odd = join(dir, 'odd.img');
  writeFileSync(odd, Buffer.alloc(1000));
  await open('/new');
  const kernel = page.getByLabel('Kernel', { exact: true });
  await kernel.waitFor();
  const images = guestImages();

  await kernel.fill(join(dir, 'missing'));
  await page.getByText(`${join(dir, 'missing')}: there is no such file`).first().waitFor();
  await kernel.fill(text);
  await page.getByText(`${text}: it is neither a Linux bzImage nor an ELF kernel`).first().waitFor();
  await kernel.fill(images.kernel);
  await page.getByText('neither a Linux bzImage').waitFor({ state: 'detached' });

  const memory = page.getByRole('textbox', { name: 'Memory in MiB' });
  await memory.fill('65536');
  await page.getByText(/the NUC has \d+ MiB, less than the 65536 MiB asked for/).waitFor();
  await memory.fill('512');

  const disk = page.getByLabel('Disk image');
  await disk.fill(odd);
  await page.getByText('1000 bytes is not a whole number of 512-byte sectors').waitFor();
  const unwritable = process.getuid?.() === 0 ? '/sys/devices/system/cpu/online' : join(dir, 'readonly.img');
  if (process.getuid?.() !== 0) { writeFileSync(unwritable, Buffer.alloc(4096)); chmodSync(unwritable, 0o444); }
  await disk.fill(unwritable);
  await page.getByText(`${unwritable}: it may not be written`).waitFor();
  await disk.fill(images.disk);

  await page.getByRole('combobox', { name: 'Name of device 3' }).fill('virtio-nothing');
  await page.keyboard.press('Escape');
  await page.getByText('unknown device "virtio-nothing"').waitFor();
  await button('Create').click();
  await page.getByText('One field needs another value.').waitFor();
  await page.screenshot({ path: `${SHOTS}real-bad-device.png` });
  expect(existsSync(join(dir, 'data/vms/vm1.json')) || existsSync(image('vm1'))).toBe(false);
});

run('a broken definition file is shown with its reason, left as it is, and can be deleted', async () => {
  const { page } = served;
  const path = join(dir, 'data/vms/broken.json');
  writeFileSync(path, '{ "format": 1, "name": "broken", "memoryMiB": "much" }');
  await page.locator('[data-vm=broken]').waitFor(); // without a reload
  await page.getByText(`VM definition ${path} cannot be used`).first().waitFor();
  expect(await button('Start broken').isDisabled()).toBe(true);
  await open('/vms/broken');
  await page.getByText(/memoryMiB: .*expected number/).first().waitFor();
  expect(readFileSync(path, 'utf8')).toContain('"much"');
  await button('More actions for broken').click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await button('Delete broken').click();
  await poll(() => existsSync(path)).toBe(false);
});

run('a VM of acrn-dm on a command line is shown at once, keeps its pCPU, and is stopped from the window', async () => {
  const { page } = served;
  const disk = join(dir, 'outside.img');
  copyFileSync(guestImages().disk, disk);
  const args = sampleArguments(disk);
  args.splice(args.indexOf('-k'), 0, '--cpu_affinity', '1');
  args[args.length - 1] = 'outside';
  const dm = acrnDm(args, { ...process.env, ...env });
  await page.locator('[data-vm=outside]').waitFor();
  await poll(() => stateOf('outside')).toBe('running');
  await button('Start uos1').click();
  await page.getByText('pCPU 1 is taken by VM outside').first().waitFor();
  expect(await stateOf('uos1')).toBe('stopped');
  expect(existsSync(join(dir, 'run/vms/uos1.json'))).toBe(false);
  await dm.output.expect(/redirected to/);
  await button('More actions for outside').click();
  await page.getByRole('menuitem', { name: 'Force off' }).click();
  await button('Force off').click();
  expect(await dm.exit).toBe(0);
  await page.locator('[data-vm=outside]').waitFor({ state: 'detached' });
  execFileSync('/sbin/e2fsck', ['-fn', disk], { stdio: 'ignore' });
});

run('a guest that triple-faults is shown as crashed, with the reason, and leaves its pCPU free', async () => {
  const { page } = served;
  const elf = join(dir, 'fault.elf');
  writeFileSync(elf, faultingKernel());
  const definition = { format: 1, name: 'fault', cpuAffinity: [2], memoryMiB: 128, kernel: elf, bootargs: '', devices: [{ slot: '0:0', device: 'hostbridge' }] };
  writeFileSync(join(dir, 'data/vms/fault.json'), JSON.stringify(definition));
  await button('Start fault').click();
  await poll(() => stateOf('fault')).toBe('crashed');
  await open('/vms/fault');
  await page.getByText(/triple fault/i).first().waitFor();
  await page.screenshot({ path: `${SHOTS}real-triple-fault.png` });
  expect(existsSync(join(dir, 'run/vms/fault.json'))).toBe(false);
});
