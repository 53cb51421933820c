/** acrnctl against real VMs, and a second reader of the same folders that sees every change at once, as the window does. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { guestImages, RuntimeRegistry, VmStore } from '../../engine/index.ts';
import { acrnctl, Terminal, workplace } from './harness.ts';

const PROMPT = /uos:[^\n]*# /;

function tools(env: NodeJS.ProcessEnv) {
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await acrnctl(args, env);
    expect([args, code, stderr]).toEqual([args, 0, '']);
    return stdout;
  };
  const openConsole = (name: string): Terminal => {
    const { consoles } = JSON.parse(readFileSync(join(env.ACRN_DESKTOP_RUNTIME!, 'vms', `${name}.json`), 'utf8')) as { consoles: Array<{ where: string }> };
    return new Terminal(consoles[0].where);
  };
  return { run, openConsole };
}

test('a VM is created, started, paused, continued, reset, stopped by its power button and deleted', async () => {
  const { env } = workplace();
  const { run, openConsole } = tools(env);
  const store = new VmStore(env.ACRN_DESKTOP_DATA!);
  const registry = new RuntimeRegistry(env.ACRN_DESKTOP_RUNTIME!);
  let changes = 0;
  const unwatch = [store.watch(() => { changes += 1; }), registry.watch(() => { changes += 1; })];

  expect(await run('list')).toBe('There are no VMs\n');
  expect(await run('create', 'vm1', '-m', '256M', '--cpus', '3')).toBe('vm1 created\n');
  await expect.poll(() => changes).toBeGreaterThan(0); // told, not looked for
  expect(await store.read('vm1')).toMatchObject({ memoryMiB: 256, cpuAffinity: [3], kernel: guestImages().kernel });
  expect(await run('list')).toBe('vm1\t\tstopped\n');

  changes = 0;
  expect(await run('start', 'vm1')).toMatch(/vm_create: vm1[\s\S]*virt-console backend redirected to \/dev\/pts\/\d+/);
  await expect.poll(() => changes).toBeGreaterThan(0);
  expect(await registry.list()).toMatchObject([{ name: 'vm1', cpuAffinity: [3], memoryMiB: 256 }]);
  expect(await run('list')).toBe('vm1\t\tstarted\n');
  const again = await acrnctl(['start', 'vm1'], env);
  expect([again.code, again.stderr]).toEqual([255, "can't start vm1(started)\n"]);
  const kept = await acrnctl(['del', 'vm1'], env);
  expect([kept.code, kept.stderr]).toEqual([255, "can't delete vm1(started)\n"]);

  const tty = openConsole('vm1');
  await tty.transcript.expect(PROMPT);
  await run('pause', 'vm1');
  expect(await run('list')).toBe('vm1\t\tpaused\n');
  await run('continue', 'vm1');
  expect(await tty.command('echo on-$((40+2))')).toMatch(/on-42\n$/);
  await tty.command('echo lost > /tmp/lost');
  await run('reset', 'vm1');
  await tty.transcript.expect(/ACRN-UOS-READY/);
  await tty.transcript.expect(PROMPT);
  expect(await tty.command('ls /tmp/lost')).toMatch(/No such file/);

  await run('stop', 'vm1');
  expect(await run('list')).toBe('vm1\t\tstopped\n'); // stop returns when the VM has stopped
  tty.close();
  expect(readFileSync(join(env.ACRN_DESKTOP_RUNTIME!, 'log/vm1.log'), 'utf8')).toContain('VM loop exit');

  changes = 0;
  await run('del', 'vm1');
  await expect.poll(() => changes).toBeGreaterThan(0);
  expect(await run('list')).toBe('There are no VMs\n');
  expect(existsSync(join(env.ACRN_DESKTOP_DATA!, 'images/vm1.img'))).toBe(true); // a disk is never deleted
  for (const stop of unwatch) stop();
});

test("a launch script in the form of ACRN's is added and runs; stop tells when the guest is deaf, stop -f pulls the plug", async () => {
  const { dir, image, env } = workplace();
  const { run } = tools(env);
  const { kernel, ramdisk } = guestImages();
  const script = join(dir, 'launch_uos.sh');
  writeFileSync(script, `#!/bin/bash
# offline SOS CPUs except BSP before launching the UOS
for i in \`ls -d /sys/devices/system/cpu/cpu[1-99]\`; do
  touch ${dir}/was-run
done

function launch_uos()
{
vm_name=post_vm$1
mac=$(cat /sys/class/net/e*/address)

#check if the vm is running or not
vm_ps=$(pgrep -a -f acrn-dm)
result=$(echo $vm_ps | grep -w "\${vm_name}")
if [[ "$result" != "" ]]; then
  echo "$vm_name is running, can't create twice!"
  exit
fi

#for memsize setting
mem_size=256M

acrn-dm -A -m $mem_size -s 0:0,hostbridge \\
  -s 2,virtio-blk,${image} \\
  -s 3,virtio-console,@pty:pty_port \\
  -k ${kernel} \\
  -r ${ramdisk} \\
  --cpu_affinity 2 \\
  -B "root=/dev/vda rw console=hvc0 acpi=off" \\
  $vm_name
}

launch_uos 1
`);
  expect(await run('add', script)).toBe('post_vm1 added\n');
  expect(existsSync(join(dir, 'was-run'))).toBe(false); // the script was read, not run
  const twice = await acrnctl(['add', script], env);
  expect([twice.code, twice.stderr]).toEqual([255, `post_vm1(stopped) already exist, can't add ${script}\n`]);
  expect(await new VmStore(env.ACRN_DESKTOP_DATA!).read('post_vm1')).toMatchObject({ memoryMiB: 256, cpuAffinity: [2], bootargs: 'root=/dev/vda rw console=hvc0 acpi=off' });
  await run('start', 'post_vm1');
  const deaf = await acrnctl(['stop', 'post_vm1'], env);
  expect(deaf.code).toBe(255);
  expect(deaf.stderr).toContain('"acrnctl stop -f post_vm1" pulls the plug');
  expect(await run('list')).toBe('post_vm1\t\tstarted\n');
  await run('stop', '-f', 'post_vm1');
  expect(await run('list')).toBe('post_vm1\t\tstopped\n');
  await run('del', 'post_vm1');
});
