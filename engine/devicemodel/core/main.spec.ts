import { expect, test } from 'vitest';
import { HostError } from '../../lib/errors.ts';
import { FakeHost, FakeVhm } from '../testing/fake_vhm.ts';
import type { FakeVm } from '../testing/fake_vhm.ts';
import { runDeviceModel } from './main.ts';
import { parseOptions } from './options.ts';

/** A multiboot-less ELF32 file with one HLT at 1 MiB. */
function kernel(): Uint8Array {
  const bytes = new Uint8Array(85);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(24, 0x100000, true);
  view.setUint32(28, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 1, true);
  [1, 84, 0x100000, 0x100000, 1, 1, 7, 4096].forEach((value, i) => view.setUint32(52 + i * 4, value, true));
  bytes[84] = 0xf4;
  return bytes;
}

async function start(extra: string[] = [], vhm = new FakeVhm()) {
  const host = new FakeHost();
  const lines: string[] = [];
  const opened: string[] = [];
  const argv = ['-A', '-m', '128M', '-s', '0:0,hostbridge', '-s', '31,lpc', '-l', 'com1,stdio', '-s', '5,virtio-rnd', '-k', 'k', ...extra, 'vm1'];
  const handle = await runDeviceModel({ options: parseOptions(argv), vhm, host, print: (line) => lines.push(line), readFile: async () => kernel(), onConsole: (console) => opened.push(console.id) });
  const vm = (): FakeVm => vhm.vms.at(-1)!;
  return { handle, vhm, host, lines, opened, vm };
}

test('a VM is built in ACRN\'s order and then runs', async () => {
  const { lines, vm, handle } = await start();
  const steps = ['vm_create: vm1', 'VHM api version 1.0', 'vm_setup_memory: size=0x8000000', 'vm_init_vdevs', 'pci init hostbridge', 'pci init virtio-rnd', 'pci init lpc', 'acrn_sw_load', 'add_cpu'];
  expect(lines.filter((line) => steps.includes(line))).toEqual(steps);
  expect(vm().calls).toEqual(['setBspRegs', 'run']);
  expect(vm().memory.view(0xf2400, 8)!.reduce((text, byte) => text + String.fromCharCode(byte), '')).toBe('RSD PTR ');
  expect(handle.consoles.map(({ id, title, kind }) => ({ id, title, kind }))).toEqual([{ id: 'com1', title: 'ttyS0', kind: 'stdio' }]);
  await handle.forceOff();
});

test('S5 powers off: everything is closed, the VM destroyed, and stopped tells it', async () => {
  const { vm, handle, lines, host } = await start();
  vm().out(0xb2, 0xa0);
  vm().out(0x404, 0x3400, 2);
  expect(await handle.stopped).toEqual({ how: 'poweroff', detail: 'asked for by the guest' });
  expect(vm().calls.slice(-2)).toEqual(['pause', 'destroy']);
  expect(host.chars[0].backend.closed).toBe(true);
  expect(host.timers).toBe(0);
  expect(lines.slice(-2)).toEqual(['VM state changed from[ RUNNING ] to [ POWEROFF ]', 'VM loop exit']);
  expect(handle.state).toBe('stopped');
});

test('a system reset keeps the VM, resets the vCPUs and loads the software again', async () => {
  const { vm, vhm, handle } = await start();
  vm().memory.view(0x100000, 1)![0] = 0;
  vm().out(0xcf9, 0x06);
  await handle.pause();
  expect(vhm.vms.length).toBe(1);
  expect(vm().calls).toEqual(['setBspRegs', 'run', 'pause', 'reset', 'setBspRegs', 'run', 'pause']);
  expect(vm().memory.view(0x100000, 1)![0]).toBe(0xf4);
  await handle.forceOff();
});

test('a full reset destroys the VM and creates it again with the same consoles', async () => {
  const { vm, vhm, handle, opened } = await start();
  vm().out(0xcf9, 0x0e);
  await handle.pause();
  expect(vhm.vms.length).toBe(2);
  expect(vhm.vms[0].calls.at(-1)).toBe('destroy');
  expect(vhm.vms[1].calls).toEqual(['setBspRegs', 'run', 'pause']);
  expect(opened).toEqual(['com1', 'com1']);
  expect(handle.consoles.length).toBe(1);
  await handle.forceOff();
});

test('the power button reaches a guest in ACPI mode only', async () => {
  const { vm, handle } = await start();
  expect(handle.powerButton()).toBe(false);
  vm().out(0xb2, 0xa0);
  vm().out(0x402, 0x100, 2);
  expect(handle.powerButton()).toBe(true);
  expect(vm().irqs.at(-1)).toBe('9 set-high');
  await handle.forceOff();
});

test('pause and resume', async () => {
  const { vm, handle } = await start();
  await handle.pause();
  expect(handle.state).toBe('paused');
  await handle.resume();
  expect(vm().calls.slice(-2)).toEqual(['pause', 'resume']);
  await handle.forceOff();
});

test('S3 waits for resume and wakes in real mode at the FACS waking vector', async () => {
  const { vm, handle } = await start();
  vm().out(0xb2, 0xa0);
  new DataView(vm().memory.view(0xf27c0, 64)!.buffer, 0xf27c0).setUint32(12, 0x9a020, true);
  vm().out(0x404, 0x2c00, 2);
  await handle.pause();
  expect(handle.state).toBe('suspended');
  await handle.resume();
  expect(vm().regs).toMatchObject({ csSel: 0x9a02, csBase: 0x9a020n, rip: 0n, cr0: 0x60000010n });
  expect(vm().in(0x400, 2) & 0x8000).toBe(0x8000);
  await handle.forceOff();
});

test('a triple fault ends the VM and is told', async () => {
  const { vm, handle, lines } = await start();
  vm().end('triplefault', 'vCPU 0 at RIP 0x1234');
  expect(await handle.stopped).toEqual({ how: 'triplefault', detail: 'vCPU 0 at RIP 0x1234' });
  expect(lines).toContain('VM state changed from[ RUNNING ] to [ TRIPLEFAULT ]');
});

test('without cpu_affinity the first free pCPU is taken; none free is an error', async () => {
  const { handle } = await start([], new FakeVhm(4, [0, 1]));
  await handle.forceOff();
  await expect(start([], new FakeVhm(2, [0, 1]))).rejects.toMatchObject({ code: 'PCPU_TAKEN' });
});

test('a failure on the way tears everything down again', async () => {
  const vhm = new FakeVhm();
  await expect(start(['-s', '7,virtio-flux'], vhm)).rejects.toMatchObject({ what: 'pci slot 7:0: unknown device "virtio-flux"' });
  expect(vhm.vms[0].calls).toEqual(['destroy']);
  await expect(start(['-s', '7,passthru,0/2/0'])).rejects.toBeInstanceOf(HostError);
  const host = new FakeHost();
  const failing = runDeviceModel({ options: parseOptions(['-s', '31,lpc', '-l', 'com1,stdio', '-k', 'k', 'vm1']), vhm, host, print: () => {}, readFile: async () => { throw new Error('ENOENT'); } });
  await expect(failing).rejects.toThrow("SW_LOAD: check_image failed for 'k'");
  expect(host.chars[0].backend.closed).toBe(true);
  expect(vhm.vms.at(-1)!.calls).toEqual(['destroy']);
});

test('stdio can be given once', async () => {
  await expect(start(['-s', '8,virtio-console,@stdio:s'])).rejects.toThrow('stdio is used by other device');
});

test('without devices behind an address the guest reads ones', async () => {
  const { vm, handle } = await start();
  expect(vm().in(0x1234, 4)).toBe(0xffffffff);
  expect(vm().mmioRead(0xd0000000, 8)).toBe(0xffffffffffffffffn);
  await handle.forceOff();
});
