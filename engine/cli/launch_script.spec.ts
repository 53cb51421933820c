import { expect, test } from 'vitest';
import { readLaunchScript } from './launch_script.ts';

test('a plain command over several lines', () => {
  const { command } = readLaunchScript('#!/bin/sh\nacrn-dm -A -m 512M \\\n  -s 0:0,hostbridge \\\n  -B "root=/dev/vda rw" vm1\n');
  expect(command).toEqual(['-A', '-m', '512M', '-s', '0:0,hostbridge', '-B', 'root=/dev/vda rw', 'vm1']);
});

test('a function with an argument, variables, comments and redirections, as the launch scripts of ACRN have them', () => {
  const script = [
    '#!/bin/bash',
    'offline_path="/sys/class/vhm/acrn_vhm"',
    'function launch_uos()',
    '{',
    'vm_name=post_vm$1',
    'mac=$(cat /sys/class/net/e*/address)',
    'mac_seed=${mac:9:8}-${vm_name}',
    '#check if the vm is running or not',
    'vm_ps=$(pgrep -a -f acrn-dm)',
    'if [[ "$vm_ps" != "" ]]; then',
    '  echo "$vm_name is running, can\'t create twice!"',
    '  exit',
    'fi',
    'logger_setting="--logger_setting console,level=4;kmsg,level=3"',
    'mem_size=${2:-1024M} # memory',
    'acrn-dm -A -m $mem_size -s 0:0,hostbridge \\',
    "   -s 4,virtio-blk,'/home/my images/uos.img' --mac_seed $mac_seed \\",
    '   $logger_setting "$vm_name" > /dev/null 2>&1',
    '}',
    'for i in `ls -d /sys/devices/system/cpu/cpu[1-99]`; do',
    '  echo 0 > $i/online',
    'done',
    'launch_uos 1',
  ].join('\n');
  const { command, skipped } = readLaunchScript(script);
  expect(command).toEqual([
    '-A', '-m', '1024M', '-s', '0:0,hostbridge', '-s', '4,virtio-blk,/home/my images/uos.img', '--mac_seed', '-post_vm1',
    '--logger_setting', 'console,level=4;kmsg,level=3', 'post_vm1',
  ]);
  expect(skipped).toEqual(['$(cat /sys/class/net/e*/address)']); // and not those that nothing depends on
});

test("the script's own arguments are $1 and on", () => {
  expect(readLaunchScript('sudo /usr/bin/acrn-dm -m 256M vm$1', ['7']).command).toEqual(['-m', '256M', 'vm7']);
});

test('quotes keep blanks, escapes keep dollars, single quotes keep everything', () => {
  expect(readLaunchScript('x="a b"\nacrn-dm $x "$x" \'$x\' \\$x "" vm').command).toEqual(['a', 'b', 'a b', '$x', '$x', '', 'vm']);
});

test('a script without acrn-dm has no command; the name in a comment or a string is none', () => {
  expect(readLaunchScript('# acrn-dm vm1\necho "acrn-dm vm1"\nls\n').command).toBeUndefined();
});

test('a function that calls itself comes to an end', () => {
  expect(readLaunchScript('f()\n{\nf\n}\nf\n').command).toBeUndefined();
});
