/** acrn-dm and acrnctl with input that cannot work: each its own message and exit code, and nothing left half-created. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { guestImages } from '../../engine/index.ts';
import { faultingKernel } from './faulting_kernel.ts';
import { acrnctl, acrnDm, openPty, sampleArguments, workplace } from './harness.ts';

/** The sample's command line with one value changed. */
function changed(image: string, option: string, value: string): string[] {
  const args = sampleArguments(image);
  args[args.indexOf(option) + 1] = value;
  return args;
}

async function failure(args: string[], env: NodeJS.ProcessEnv): Promise<{ code: number; text: string }> {
  const run = acrnDm(args, env);
  const code = await run.exit;
  return { code, text: run.output.text };
}

/** No VM is entered, no socket or PTY link is left. */
function expectNothingLeft({ ACRN_DESKTOP_RUNTIME: runtime = '' }: NodeJS.ProcessEnv): void {
  const left = existsSync(runtime) ? readdirSync(runtime, { recursive: true }).map(String).filter((path) => /\.(json|socket)$|pty_port/.test(path)) : [];
  expect(left).toEqual([]);
}

test('a missing or empty kernel is exit code 10, a ramdisk 11, as in ACRN', async () => {
  const { dir, image, env } = workplace();
  const empty = join(dir, 'empty');
  writeFileSync(empty, '');
  for (const [option, path, code] of [['-k', '/no/such/kernel', 10], ['-k', empty, 10], ['-k', dir, 10], ['-r', '/no/such/ramdisk', 11], ['-r', empty, 11]] as const) {
    const seen = await failure(changed(image, option, path), env);
    expect([path, seen.code]).toEqual([path, code]);
    const why = path === empty ? 'the file is empty' : path === dir ? 'it is not a file' : 'there is no such file';
    expect(seen.text).toContain(`SW_LOAD: check_image failed for '${path}'\nacrn-dm: ${why}\n`);
  }
  expectNothingLeft(env);
});

test('a file that is no kernel is refused by the loader with exit code 1', async () => {
  const { dir, image, env } = workplace();
  const text = join(dir, 'text');
  writeFileSync(text, 'not a kernel\n'.repeat(1000));
  const seen = await failure(changed(image, '-k', text), env);
  expect(seen.code).toBe(1);
  expect(seen.text).toContain(text);
  expect(seen.text).toContain('acrn_sw_load failed, error=-1');
  expectNothingLeft(env);
});

test('memory: larger than the NUC is exit code 1, no size at all 64', async () => {
  const { image, env } = workplace();
  const large = await failure(changed(image, '-m', '16G'), env);
  expect(large.code).toBe(1);
  expect(large.text).toMatch(/16384 MiB/);
  for (const bad of ['64M', '512', 'much']) {
    const seen = await failure(changed(image, '-m', bad), env);
    expect([bad, seen.code]).toEqual([bad, 64]);
    expect(seen.text).toContain(`invalid memsize '${bad}'`);
  }
  expectNothingLeft(env);
});

test('an unknown device, a slot taken twice and a bad slot are exit code 1, by their names', async () => {
  const { image, env } = workplace();
  const cases: Array<[string, RegExp]> = [
    ['7,virtio-nothing', /pci slot 7:0: unknown device "virtio-nothing"/],
    ['3,virtio-rnd', /pci slot 3:0 already occupied!/],
    ['77,virtio-rnd', /Invalid PCI slot info field "77[^"]*"/],
  ];
  for (const [slot, message] of cases) {
    const args = sampleArguments(image);
    args.splice(args.indexOf('-k'), 0, '-s', slot);
    const seen = await failure(args, env);
    expect([slot, seen.code]).toEqual([slot, 1]);
    expect(seen.text).toMatch(message);
  }
  expectNothingLeft(env);
});

test('a disk image that is missing or not whole sectors is exit code 1', async () => {
  const { dir, image, env } = workplace();
  const odd = join(dir, 'odd.img');
  writeFileSync(odd, Buffer.alloc(1000));
  for (const [path, why] of [[join(dir, 'none.img'), /ENOENT|no such file/i], [odd, /1000 bytes is not a whole number of 512-byte sectors/]] as const) {
    const seen = await failure(sampleArguments(image).map((argument) => argument.replace(image, path)), env);
    expect([path, seen.code]).toEqual([path, 1]);
    expect(seen.text).toContain(path);
    expect(seen.text).toMatch(why);
  }
  expectNothingLeft(env);
});

test('an image that may not be written is given read-only, as in ACRN, and that is said; acrnctl refuses it', async () => {
  const { dir, image, env } = workplace();
  const readonly = process.getuid?.() === 0 ? '/sys/devices/system/cpu/online' : join(dir, 'readonly.img');
  if (process.getuid?.() !== 0) {
    writeFileSync(readonly, Buffer.alloc(4096));
    chmodSync(readonly, 0o444);
  }
  const run = acrnDm(sampleArguments(image).map((argument) => argument.replace(image, readonly)), env);
  await run.output.expect(/virtio-blk: \S+ may not be written: the guest has it read-only/);
  await run.output.expect(/add_cpu/);
  run.process.kill('SIGINT');
  expect(await run.exit).toBe(0);
  expectNothingLeft(env);
  const created = await acrnctl(['create', 'vm2', '-d', readonly], env);
  expect(created.code).toBe(255);
  expect(created.stderr).toContain(`${readonly}: it may not be written`);
});

test('usage errors: no VM name, an unknown option, a name too long', async () => {
  const { image, env } = workplace();
  expect((await failure(sampleArguments(image).slice(0, -1), env)).code).toBe(1);
  expect((await failure(['--no-such-option', 'vm1'], env)).code).toBe(1);
  expect((await failure([...sampleArguments(image).slice(0, -1), 'v'.repeat(128)], env)).code).toBe(1);
  expectNothingLeft(env);
});

test('a pCPU, a name and an image that another acrn-dm has are refused, and the first VM goes on', async () => {
  const { dir, image, env } = workplace();
  const args = sampleArguments(image);
  args.splice(args.indexOf('-k'), 0, '--cpu_affinity', '2');
  const first = acrnDm(args, env);
  const tty = await openPty(first);
  const other = (name: string, cpu: string, disk: string): string[] => {
    const list = sampleArguments(disk);
    list.splice(list.indexOf('-k'), 0, '--cpu_affinity', cpu);
    list[list.length - 1] = name;
    return list;
  };
  const second = join(dir, 'second.img');
  execFileSync('cp', ['--sparse=always', image, second]);
  const taken = await failure(other('vm2', '2', second), env);
  expect(taken.code).toBe(1);
  expect(taken.text).toMatch(/pCPU 2.*VM vm1/s);
  const twice = await failure(other('vm1', '3', second), env);
  expect(twice.code).toBe(1);
  expect(twice.text).toContain("can't create twice");
  const shared = await failure(other('vm3', '3', image), env);
  expect(shared.code).toBe(1);
  expect(shared.text).toContain(image);
  expect(await acrnctl(['list'], env)).toMatchObject({ stdout: 'vm1\t\tstarted\n' });
  await tty.transcript.expect(/uos:[^\n]*# /);
  tty.type('poweroff\n');
  expect(await first.exit).toBe(0);
  tty.close();
  expectNothingLeft(env);
});

test('a guest that triple-faults ends acrn-dm with exit code 1 and says so', async () => {
  const { dir, env } = workplace();
  const elf = join(dir, 'fault.elf');
  writeFileSync(elf, faultingKernel());
  const seen = await failure(['-m', '128M', '-s', '0:0,hostbridge', '-E', elf, 'fault'], env);
  expect(seen.code).toBe(1);
  expect(seen.text).toMatch(/fault ended: triplefault: /);
  expectNothingLeft(env);
});

test('a killed acrn-dm leaves an image that the next one uses, and nothing that is in its way', async () => {
  const { image, env } = workplace();
  const first = acrnDm(sampleArguments(image), env);
  const tty = await openPty(first);
  await tty.transcript.expect(/uos:[^\n]*# /);
  await tty.command('echo survived > /root/survived && sync');
  const { pid } = JSON.parse(execFileSync('cat', [join(env.ACRN_DESKTOP_RUNTIME!, 'vms/vm1.json')], { encoding: 'utf8' })) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await first.exit;
  tty.close();
  expect(await acrnctl(['list'], env)).toMatchObject({ stdout: 'There are no VMs\n' });
  const second = acrnDm(sampleArguments(image), env);
  const again = await openPty(second);
  await again.transcript.expect(/uos:[^\n]*# /);
  expect(await again.command('cat /root/survived')).toBe('survived\n');
  again.type('poweroff\n');
  expect(await second.exit).toBe(0);
  again.close();
  execFileSync('/sbin/e2fsck', ['-fn', image], { stdio: 'ignore' });
});

test('acrnctl: unknown names, wrong states and broken definitions are told, with exit code 255', async () => {
  const { dir, env } = workplace();
  const vms = join(env.ACRN_DESKTOP_DATA!, 'vms');
  mkdirSync(vms, { recursive: true });
  writeFileSync(join(vms, 'broken.json'), '{ "format": 1 ');
  const says = async (args: string[], message: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await acrnctl(args, env);
    expect([args, code]).toEqual([args, 255]);
    expect(stdout + stderr).toMatch(message);
  };
  expect((await acrnctl(['list'], env)).stdout).toBe('broken\t\tbroken\n');
  await says(['start', 'nobody'], /can't find nobody/);
  await says(['start', 'broken'], /can't start broken\(broken\)/);
  await says(['stop', 'broken'], /broken is already \(broken\)/);
  await says(['stop', 'nobody'], /can't find nobody/);
  await says(['pause', 'nobody'], /Can't find vm nobody/);
  await says(['bogus'], /Unknown command: bogus/);
  await says(['create', 'bad name'], /a VM name has 1 to 127/);
  await says(['create', 'big', '-m', '16G'], /the NUC has \d+ MiB, less than the 16384 MiB/);
  await says(['create', 'nokernel', '-k', join(dir, 'none')], /there is no such file/);
  await says(['create', 'nocpu', '--cpus', '9'], /cpuAffinity/);
  await says(['add', join(dir, 'none.sh')], /none\.sh/);
  const script = join(dir, 'nothing.sh');
  writeFileSync(script, 'echo hello\n');
  await says(['add', script], /No 'acrn-dm' found in/);
  expect(readdirSync(vms)).toEqual(['broken.json']);
  expect(existsSync(join(env.ACRN_DESKTOP_DATA!, 'images'))).toBe(false); // no disk of a VM that was not made
  expect((await acrnctl(['del', 'broken'], env)).code).toBe(0);
  expect(readdirSync(vms)).toEqual([]);
  expect(existsSync(guestImages().kernel)).toBe(true);
});
