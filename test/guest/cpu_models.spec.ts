/** What Linux makes of the CPU models, and of ACRN's `noxsave`. */
import { expect, onTestFinished, test } from 'vitest';
import { acrnDm, openPty, sampleArguments, workplace } from './harness.ts';

const PROMPT = /uos:[^\n]*# /;
const TROUBLE = /Call Trace|WARNING: |BUG: |FW BUG|unchecked MSR access|tsc: Fast TSC calibration failed/;
/** Names of /proc/cpuinfo: the psABI's levels, and what the NUC's model has beyond. */
const V1 = ['cmov', 'cx8', 'fpu', 'fxsr', 'mmx', 'syscall', 'sse', 'sse2'];
const V2 = ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3'];
const NUC = [
  'movbe', 'bmi1', 'bmi2', 'abm', 'adx', 'aes', 'pclmulqdq', 'sha_ni', 'rdrand', 'rdseed', 'fsgsbase', 'invpcid', 'pcid', 'smep', 'smap', 'umip', 'pdpe1gb',
];
const PLATFORM = ['nx', 'rdtscp', 'constant_tsc', 'nonstop_tsc', 'tsc_adjust', 'tsc_deadline_timer', 'tsc_known_freq', 'x2apic', 'hypervisor'];
const XSAVE = ['xsave', 'xsaveopt'];
const NEVER = ['avx', 'avx2', 'fma', 'f16c', 'avx512f', 'monitor', 'vmx', 'xsavec', 'xsaves'];

test.each([
  ['v1', '', [...PLATFORM, ...V1], [...V2, ...NUC, ...XSAVE, ...NEVER]],
  ['v2', '', [...PLATFORM, ...V1, ...V2], [...NUC, ...XSAVE, ...NEVER]],
  ['nuc', '', [...PLATFORM, ...V1, ...V2, ...NUC, ...XSAVE], NEVER],
  ['nuc', ' noxsave', [...PLATFORM, ...V1, ...V2, ...NUC], [...XSAVE, ...NEVER]],
] as const)('Linux with --cpu_model %s%s sees what it offers, and nothing else', async (model, bootargs, offered, absent) => {
  const { image, env } = workplace();
  const run = acrnDm(['--cpu_model', model, ...sampleArguments(image, { bootargs: `root=/dev/vda rw console=hvc0${bootargs}` })], env);
  onTestFinished(() => { run.process.kill('SIGKILL'); });
  const tty = await openPty(run);
  await tty.transcript.expect(PROMPT);
  const cpuinfo = await tty.command('cat /proc/cpuinfo');
  const flags = new Set(/^flags\s*: (.*)$/m.exec(cpuinfo)![1].trim().split(' '));
  expect(offered.filter((flag) => !flags.has(flag))).toEqual([]);
  expect(absent.filter((flag) => flags.has(flag))).toEqual([]);
  const messages = await tty.command('dmesg');
  expect(messages).toMatch(/tsc: Detected .* MHz (processor|TSC)/);
  expect(messages.split('\n').filter((line) => TROUBLE.test(line))).toEqual([]);
  tty.type('poweroff\n');
  expect(await run.exit).toBe(0);
  tty.close();
});
