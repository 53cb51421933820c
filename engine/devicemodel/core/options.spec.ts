import fc from 'fast-check';
import { expect, test } from 'vitest';
import { vmDefinition } from '../../contract/vm_definition.ts';
import { OptionsExit, definitionFromOptions, optionsFromDefinition, optionsToArguments, parseMemsize, parseOptions, parseSlot } from './options.ts';

function failure(...argv: string[]): OptionsExit {
  try {
    parseOptions(argv);
  } catch (error) {
    if (error instanceof OptionsExit) return error;
    throw error;
  }
  throw new Error('accepted');
}

test('the launch script\'s command line is understood', () => {
  const notices: string[] = [];
  const options = parseOptions(['-A', '-m', '512M', '-s', '0:0,hostbridge', '-s', '1,virtio-blk,./uos.img', '-s', '3,virtio-console,@pty:pty_port', '-k', 'bzImage', '-r', 'initrd.img', '-B', 'root=/dev/vda rw console=hvc0', 'vm1'], notices);
  expect(options).toMatchObject({ vmName: 'vm1', memoryBytes: 512 * 2 ** 20, acpi: true, mptgen: true, kernel: 'bzImage', ramdisk: 'initrd.img', bootargs: 'root=/dev/vda rw console=hvc0', cpuAffinity: [], uuid: 'd2795438-25d6-11e8-864e-cb7a18b34643' });
  expect(options.slots).toEqual([
    { bus: 0, slot: 0, func: 0, device: 'hostbridge', config: undefined },
    { bus: 0, slot: 1, func: 0, device: 'virtio-blk', config: './uos.img' },
    { bus: 0, slot: 3, func: 0, device: 'virtio-console', config: '@pty:pty_port' },
  ]);
  expect(notices).toEqual(['SW_LOAD: get kernel path bzImage', 'SW_LOAD: get ramdisk path initrd.img', 'SW_LOAD: get bootargs root=/dev/vda rw console=hvc0']);
});

test('memory defaults to 256 MiB; a size needs K, M or G and at least 128 MiB', () => {
  expect(parseOptions(['vm1']).memoryBytes).toBe(256 * 2 ** 20);
  expect([parseMemsize('1024M'), parseMemsize('2g'), parseMemsize('2097152K')]).toEqual([2 ** 30, 2 ** 31, 2 ** 31]);
});

test.each([
  ['12Q', "there is no unit 'Q'"], ['512b', "there is no unit 'b'"], ['512MB', "there is no unit 'MB'"], ['1024', 'the unit is missing'],
  ['', 'not a whole number with a unit'], ['M', 'not a whole number with a unit'], ['-512M', 'not a whole number with a unit'], ['1.5G', 'not a whole number with a unit'],
  ['127M', 'less than 128M'], ['0G', 'less than 128M'], ['131073K', 'not a multiple of 4K'], ['99999999999999G', 'more than any computer has'],
])('-m %s is refused: what is wrong with it, and what is accepted', (text, wrong) => {
  expect(parseMemsize(text)).toBe(wrong);
  const accepted = 'give a whole number with K, M or G, a multiple of 4K, from 128M to what the NUC has free';
  expect(failure('-m', text, 'vm1')).toMatchObject({ code: 64, stderr: [`acrn-dm: invalid memsize '${text}': ${wrong}; ${accepted}`] });
});

test('long options may be abbreviated while they are unique', () => {
  expect(parseOptions(['--mem', '1G', '--debug', '--cpu_a=1,3', 'vm1'])).toMatchObject({ memoryBytes: 2 ** 30, debugexit: true, cpuAffinity: [1, 3] });
  expect(failure('--m', 'vm1').stderr[0]).toMatch(/^acrn-dm: option '--m' is ambiguous; possibilities: '--memsize' '--mptgen'/);
  expect(failure('--nothing', 'vm1').stderr[0]).toBe("acrn-dm: unrecognized option '--nothing'");
  expect(failure('--acpi=1', 'vm1').stderr[0]).toBe("acrn-dm: option '--acpi' doesn't allow an argument");
  expect(failure('vm1', '--memsize').stderr[0]).toBe("acrn-dm: option '--memsize' requires an argument");
  expect(failure('-z', 'vm1').stderr[0]).toBe("acrn-dm: invalid option -- 'z'");
  expect(failure('vm1', '-m').stderr[0]).toBe("acrn-dm: option requires an argument -- 'm'");
});

test('exactly one VM name is wanted, of at most 127 characters', () => {
  expect(failure()).toMatchObject({ code: 1 });
  expect(failure('a', 'b')).toMatchObject({ code: 1 });
  expect(parseOptions(['v'.repeat(127)]).vmName.length).toBe(127);
  expect(failure('v'.repeat(128)).code).toBe(1);
  expect(failure('../x').code).toBe(1);
});

test('-h and -v end well', () => {
  expect(failure('-h')).toMatchObject({ code: 0 });
  expect(failure('-v').stdout[0]).toMatch(/^DM version is: /);
});

test('slots: three forms, equal separators, decimal numbers, ACRN\'s messages', () => {
  expect(parseSlot('2:3:1,virtio-blk,b,/x,ro')).toEqual({ bus: 2, slot: 3, func: 1, device: 'virtio-blk', config: '/x,ro' });
  expect(parseSlot('31/7,lpc')).toMatchObject({ bus: 0, slot: 31, func: 7 });
  expect(parseSlot('5.1,uart')).toMatchObject({ slot: 5, func: 1 });
  for (const bad of ['32,lpc', '0:8,lpc', '1f,lpc', '3', '3,', ',lpc', '256:0:0,lpc', '1:2:3:4,lpc']) expect(failure('-s', bad, 'vm1')).toMatchObject({ code: 1, stderr: [`Invalid PCI slot info field "${bad}"`] });
  expect(failure('-s', '3,virtio-rnd', '-s', '0:3:0,virtio-blk,x', 'vm1')).toMatchObject({ code: 1, stderr: ['pci slot 3:0 already occupied!'] });
});

test('-l takes com1 and com2 in either case and nothing else', () => {
  expect(parseOptions(['-l', 'COM1,stdio', '-l', 'com2,/dev/ttyS3', 'vm1']).lpc).toEqual({ com1: 'stdio', com2: '/dev/ttyS3' });
  expect(failure('-l', 'com3,stdio', 'vm1')).toMatchObject({ code: 64, stderr: ["acrn-dm: invalid lpc device configuration 'com3,stdio'"] });
});

test('cpu_affinity is a list of pCPUs and ranges without repetition', () => {
  expect(parseOptions(['--cpu_affinity', '0-2', 'vm1']).cpuAffinity).toEqual([0, 1, 2]);
  for (const bad of ['', '2-1', '1,1', 'a', '1,', '99']) expect(failure('--cpu_affinity', bad, 'vm1').code).toBe(64);
});

test('options without effect are said to have none, impossible ones are refused with one line', () => {
  const notices: string[] = [];
  parseOptions(['-G', '64 448 8', '--mac_seed', 'x', 'vm1'], notices);
  expect(notices.length).toBe(2);
  const refused = failure('--ovmf', 'OVMF.fd', 'vm1');
  expect(refused.code).toBe(1);
  expect(refused.stderr.length).toBe(1);
});

test('a definition becomes options with a host bridge, and with an lpc bridge when a COM port is used', () => {
  const definition = vmDefinition.parse({
    format: 1, name: 'vm1', cpuAffinity: [1], memoryMiB: 512, kernel: '/k', ramdisk: '/r', bootargs: 'console=hvc0', lpc: { com1: 'stdio' },
    devices: [{ slot: '1', device: 'virtio-blk', config: '/disk.img,ro' }],
  });
  const options = optionsFromDefinition(definition);
  expect(options.slots.map((slot) => `${slot.slot} ${slot.device}`)).toEqual(['0 hostbridge', '1 virtio-blk', '31 lpc']);
  const again = definitionFromOptions(options);
  expect(optionsFromDefinition(again)).toEqual(options);
});

test('options written as a command line parse back to themselves', () => {
  const options = parseOptions(['-A', '-W', '-Y', '-m', '300000K', '-s', '1:2:3,virtio-blk,/a b,ro', '-l', 'com2,pty', '-k', '-odd', '-B', 'a=b "c"', '--cpu_model', 'v2', '--debugexit', '--cpu_affinity', '2,0', '--', 'vm_1']);
  expect(parseOptions(optionsToArguments(options))).toEqual(options);
});

test('no argument list makes the parser fail in another way than OptionsExit', () => {
  const word = fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('-A', '-s', '-m', '--', '-', '--k', '--cpu_affinity=', '-s1,lpc', '512M', '0:0,hostbridge', '-lcom1,x', '--uuid'));
  fc.assert(fc.property(fc.array(word, { maxLength: 10 }), (argv) => {
    try {
      expect(parseOptions(argv).vmName).toMatch(/^[A-Za-z0-9_-]/);
    } catch (error) {
      expect(error).toBeInstanceOf(OptionsExit);
    }
  }), { seed: 5, numRuns: 2000 });
});
