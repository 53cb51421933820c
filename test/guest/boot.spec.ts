/** The sample User OS from a command line to a shell on a real PTY and back to power-off, with nothing faked. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { acrnDm, acrnDmInTerminal, fileInImage, openPty, sampleArguments, workplace } from './harness.ts';

const PROMPT = /uos:[^\n]*# /;

async function session(image: string, env: NodeJS.ProcessEnv, memory: string, marker: string) {
  const run = acrnDm(sampleArguments(image, { memory }), env);
  const tty = await openPty(run);
  await tty.transcript.expect(PROMPT);
  const uname = await tty.command('uname -a');
  const cpuinfo = await tty.command('cat /proc/cpuinfo');
  const disk = await tty.command('dd if=/dev/vda bs=1024 skip=1 count=1 2>/dev/null | hexdump -C | head -4');
  const random = await tty.command('dd if=/dev/hwrng bs=16 count=1 2>/dev/null | hexdump -C | head -1');
  const memTotal = await tty.command('grep MemTotal /proc/meminfo');
  await tty.command(`echo ${marker} > /root/${marker} && sync`);
  tty.type('poweroff\n');
  const code = await run.exit;
  tty.close();
  return { uname, cpuinfo, disk, random, memTotal, code, output: run.output.text };
}

test('the sample UOS boots to a shell on its PTY, works, powers off, and its file is on the image; twice', async () => {
  const { image, env } = workplace();
  for (const marker of ['first', 'second']) {
    const seen = await session(image, env, '512M', marker);
    expect(seen.uname).toMatch(/^Linux uos 6\.1\.\S+-cloud-amd64 .*x86_64 GNU\/Linux/);
    expect(seen.cpuinfo).toContain('ACRN Desktop');
    expect(seen.disk).toMatch(/^00000030 .* 53 ef /m); // ext4 superblock magic at offset 0x38 of the second KiB
    expect(seen.random).toMatch(/^00000000( +[0-9a-f]{2}){16}/m);
    expect(seen.code).toBe(0);
    expect(seen.output).toContain('vm_create: vm1');
    expect(seen.output).toContain('VM loop exit');
    expect(fileInImage(image, `/root/${marker}`)).toBe(`${marker}\n`);
  }
  execFileSync('/sbin/e2fsck', ['-fn', image], { stdio: 'ignore' }); // throws when the file system is not clean
});

test.each([['128M', 60_000, 131_072], ['1168M', 1_000_000, 1_196_032]])('a UOS with -m %s sees its memory', async (memory, atLeastKib, atMostKib) => {
  const { image, env } = workplace();
  const seen = await session(image, env, memory, 'memory');
  const kib = Number(/MemTotal: +(\d+) kB/.exec(seen.memTotal)?.[1]);
  expect(kib).toBeGreaterThan(atLeastKib);
  expect(kib).toBeLessThan(atMostKib);
  expect(seen.code).toBe(0);
});

test('a terminal program can leave the PTY and come back to the same guest', async () => {
  const { image, env } = workplace();
  const run = acrnDm(sampleArguments(image), env);
  const first = await openPty(run);
  await first.transcript.expect(PROMPT);
  await first.command('export KEPT=still-here');
  first.close();
  const path = /redirected to (\S+)/.exec(run.output.text)![1];
  const { Terminal } = await import('./harness.ts');
  const second = new Terminal(path);
  expect(await second.command('echo $KEPT')).toBe('still-here\n');
  second.type('poweroff\n');
  expect(await run.exit).toBe(0);
  second.close();
});

test('com1 on stdio gives ttyS0 on the terminal', async () => {
  const { image, env } = workplace();
  const args = sampleArguments(image, { bootargs: 'root=/dev/vda rw console=ttyS0' });
  args.splice(args.indexOf('-k'), 0, '-s', '4:0,lpc', '-l', 'com1,stdio');
  const run = acrnDmInTerminal(args, env);
  await run.output.expect(/Linux version 6\.1/);
  await run.output.expect(PROMPT);
  run.type('tty\n');
  await run.output.expect(/\/dev\/ttyS0/);
  run.type('poweroff\n');
  expect(await run.exit).toBe(0);
});

test('the guest kernel is Debian\'s, byte for byte', async () => {
  const { guestImages } = await import('../../engine/index.ts');
  const manifest = JSON.parse(readFileSync(guestImages().kernel.replace(/vmlinuz$/, 'manifest.json'), 'utf8'));
  expect(manifest.packages[0].name).toMatch(/^linux-image-.*-cloud-amd64$/);
  expect(manifest.packages[0].sha256).toMatch(/^[0-9a-f]{64}$/);
});
