import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { vmDefinition } from '../engine/contract/vm_definition.ts';
import { commandLine, commandLineParts, quote } from './command_line.ts';

const definition = vmDefinition.parse({
  format: 1, name: 'vm1', cpuAffinity: [1, 2], memoryMiB: 512, kernel: '/boot/vm linuz', ramdisk: '/boot/initrd', bootargs: 'root=/dev/vda rw',
  lpc: { com1: 'stdio' }, devices: [{ slot: '0:0', device: 'hostbridge' }, { slot: '5', device: 'virtio-console', config: '@pty:pty_port' }],
});

test('a definition is one acrn-dm command line, the name last', () => {
  expect(commandLineParts(definition)).toEqual([
    'acrn-dm', '-A', '-m 512M', '--cpu_affinity 1,2', '-s 0:0,hostbridge', '-s 5,virtio-console,@pty:pty_port', '-l com1,stdio',
    "-k '/boot/vm linuz'", '-r /boot/initrd', "-B 'root=/dev/vda rw'", 'vm1',
  ]);
  expect(commandLine(definition)).toContain(' \\\n  -k ');
});

test('the default UUID is left out, another one is given', () => {
  expect(commandLineParts({ ...definition, uuid: '495ae2e5-2603-4d64-af76-d4bc5a8ec0e5' })).toContain('-U 495ae2e5-2603-4d64-af76-d4bc5a8ec0e5');
});

test('a shell reads each quoted word as it was', () => {
  const words = fc.sample(fc.string({ maxLength: 20 }).filter((word) => !word.includes('\0') && !word.endsWith('\n')), { numRuns: 60, seed: 5 });
  const script = words.map((word) => `printf '%s\\0' ${quote(word)}`).join('\n');
  expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(words);
});
