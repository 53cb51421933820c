/**
 * acrnctl: lists, adds, starts, stops and deletes VM definitions; the window sees the same ones.
 *
 * @spec ACRN 2.2 `misc/acrn-manager/acrnctl.c`: sub-commands, outputs, exit codes
 * @cover  #Y list, add, start, stop, del, pause, continue, suspend, resume, reset   #N blkrescan
 * @differ Root is not needed. `add` keeps a definition instead of a copy of the script. `create` is ours: it makes a
 *         definition (and a disk from the default guest) from options, without a script. `stop` returns when the VM
 *         has stopped, ACRN's as soon as the request is taken.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { definitionFromOptions, optionsToArguments, optionsFromDefinition, parseOptions } from '../devicemodel/core/options.ts';
import type { VmDefinition } from '../contract/vm_definition.ts';
import { ALLOCATOR_ENVIRONMENT } from './bin/node24.mjs';
import { readLaunchScript } from './launch_script.ts';
import {
  askMonitor, checkDefinition, dataDir, defaultDefinition, DM_QUERY, DM_RESET, DM_RESUME, DM_STOP, DM_SUSPEND,
  HostError, makeDisk, MNGR_ENOTSUP, NUC_PCPUS, nucMemoryMiB, QUERY_SUSPENDED, runtimeDir, RuntimeRegistry, VmStore,
} from '../index.ts';

const COMMANDS: Record<string, { help: string; run(args: string[]): Promise<number> }> = {
  list: { help: 'List all virtual machines added', run: list },
  start: { help: 'Start virtual machine VM_NAME', run: (args) => eachName(args, start) },
  stop: { help: 'Stop virtual machine VM_NAME, [--force/-f, force to stop VM]', run: stop },
  del: { help: 'Delete virtual machine VM_NAME', run: (args) => eachName(args, del) },
  add: { help: 'Add one virtual machine with SCRIPTS and OPTIONS', run: add },
  create: { help: 'Create virtual machine VM_NAME from options: --cpus 1,2 -m 512M -k bzImage -r initrd -d disk.img -B "bootargs"', run: create },
  pause: { help: 'Block all vCPUs of virtual machine VM_NAME', run: (args) => eachName(args, (n) => change(n, DM_SUSPEND, 'started', 'pause')) },
  continue: { help: 'Start virtual machine from pause state', run: (args) => eachName(args, (n) => change(n, DM_RESUME, 'paused', 'continue')) },
  suspend: { help: 'Switch virtual machine to suspend state', run: (args) => eachName(args, (n) => change(n, DM_SUSPEND, 'started', 'suspend')) },
  resume: { help: 'Resume virtual machine from suspend state', run: (args) => eachName(args.slice(0, 1), (n) => change(n, DM_RESUME, 'paused', 'resume')) },
  reset: { help: 'Stop and then start virtual machine VM_NAME', run: (args) => eachName(args, (n) => change(n, DM_RESET, 'started', 'reset')) },
};
const ANSWER_MS = 5_000;
/** ACRN's STOP_TIMEOUT. */
const STOP_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 60_000;

const print = (line: string): void => console.log(line);
const store = (): VmStore => new VmStore(dataDir());
const registry = (): RuntimeRegistry => new RuntimeRegistry(runtimeDir());

function usage(): void {
  print('Usage: acrnctl SUB-CMD { VM_NAME | SCRIPTS OPTIONS | help }');
  for (const [name, { help }] of Object.entries(COMMANDS)) print(`\t${name.padEnd(12)}${help}`);
}

type State = 'stopped' | 'started' | 'paused' | 'broken' | 'unknown';

/** State of one VM as acrnctl words it; undefined when there is no such VM. */
async function stateOf(name: string): Promise<State | undefined> {
  const running = (await registry().list()).some((vm) => vm.name === name);
  if (running) return askMonitor(runtimeDir(), name, DM_QUERY).then((mode) => (mode === QUERY_SUSPENDED ? 'paused' : 'started'), () => 'unknown');
  const stored = (await store().list()).find((vm) => vm.name === name);
  return stored && (stored.problem ? 'broken' : 'stopped');
}

async function list(): Promise<number> {
  const names = new Set([...(await store().list()).map((vm) => vm.name), ...(await registry().list()).map((vm) => vm.name)]);
  if (names.size === 0) print('There are no VMs');
  for (const name of [...names].sort()) print(`${name}\t\t${await stateOf(name)}`);
  return 0;
}

async function eachName(names: string[], act: (name: string) => Promise<number>): Promise<number> {
  if (names.length === 0) {
    usage();
    return 255;
  }
  let worst = 0;
  for (const name of names) worst = (await act(name)) || worst;
  return worst;
}

const fail = (line: string): number => {
  console.error(line);
  return 255;
};

/** Starts acrn-dm in the background; its output goes to <runtime>/log/<name>.log. */
async function start(name: string): Promise<number> {
  const state = await stateOf(name);
  if (!state) return fail(`can't find ${name}`);
  if (state !== 'stopped') return fail(`can't start ${name}(${state})`);
  const definition = await store().read(name);
  const existing: VmDefinition[] = [];
  const running = await registry().list();
  const { problems } = checkDefinition(definition, { nucMemoryMiB: nucMemoryMiB(dataDir()), pcpus: NUC_PCPUS, existing, running });
  if (problems.length > 0) return fail(problems.map((p) => `can't start ${name}: ${p.path}: ${p.message}`).join('\n'));
  const logDir = join(runtimeDir(), 'log');
  mkdirSync(logDir, { recursive: true, mode: 0o700 });
  const logPath = join(logDir, `${name}.log`);
  const log = openSync(logPath, 'w', 0o600);
  const child = spawn(process.execPath, [fileURLToPath(new URL('./acrn_dm.ts', import.meta.url)), ...optionsToArguments(optionsFromDefinition(definition))], {
    detached: true,
    env: { ...ALLOCATOR_ENVIRONMENT, ...process.env },
    stdio: ['ignore', log, log],
  });
  const ended = new Promise<number>((done) => child.once('exit', (code) => done(code ?? 1)));
  const answered = waitForMonitor(name, Date.now() + START_TIMEOUT_MS);
  const outcome = await Promise.race([ended.then((code) => ({ code })), answered.then((up) => ({ up }))]);
  child.unref();
  print(readFileSync(logPath, 'utf8').trimEnd());
  if ('code' in outcome) return fail(`can't start ${name}: acrn-dm ended with ${outcome.code}`);
  return outcome.up ? 0 : fail(`can't start ${name}: no answer within ${START_TIMEOUT_MS / 1000} s; see ${logPath}`);
}

/** Resolves when the VM's monitor answers; false at the deadline. Woken by the registry folder, not by a clock. */
function waitForMonitor(name: string, deadline: number): Promise<boolean> {
  return new Promise((done) => {
    const finish = (up: boolean) => {
      stop();
      clearInterval(poll);
      done(up);
    };
    const look = () => {
      if (Date.now() > deadline) finish(false);
      else askMonitor(runtimeDir(), name, DM_QUERY).then(() => finish(true), () => {});
    };
    const stop = registry().watch(look);
    const poll = setInterval(look, 500); // the socket opens after the registry's last change
    look();
  });
}

async function stop(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { force: { type: 'boolean', short: 'f' } } });
  return eachName(positionals, async (name) => {
    const state = await stateOf(name);
    if (!state) return fail(`can't find ${name}`);
    if (state === 'stopped' || state === 'broken') return fail(`${name} is already (${state})`);
    const answer = await askMonitor(runtimeDir(), name, DM_STOP, values.force ? 1 : 0, ANSWER_MS);
    if (answer === -MNGR_ENOTSUP) return fail(`can't stop ${name}: its guest does not listen to the power button; "acrnctl stop -f ${name}" pulls the plug`);
    if (answer !== 0) return fail(`Error happens when try to stop vm. errno(${-answer})`);
    if (await waitForEnd(name, STOP_TIMEOUT_MS)) return 0;
    return fail(`Failed to stop ${name} in ${STOP_TIMEOUT_MS / 1000}s: its guest has not powered off; "acrnctl stop -f ${name}" pulls the plug`);
  });
}

/** Resolves when the VM has left the registry; false after `limitMs`. */
function waitForEnd(name: string, limitMs: number): Promise<boolean> {
  return new Promise((done) => {
    const finish = (ended: boolean): void => {
      unwatch();
      clearInterval(poll);
      clearTimeout(limit);
      done(ended);
    };
    const look = (): void => { registry().list().then((vms) => { if (!vms.some((vm) => vm.name === name)) finish(true); }, () => {}); };
    const unwatch = registry().watch(look);
    const poll = setInterval(look, 1000); // a process that is killed leaves its entry behind
    const limit = setTimeout(() => finish(false), limitMs);
    look();
  });
}

async function del(name: string): Promise<number> {
  const state = await stateOf(name);
  if (!state) return fail(`can't find ${name}`);
  if (state !== 'stopped' && state !== 'broken') return fail(`can't delete ${name}(${state})`);
  await store().delete(name);
  return 0;
}

async function change(name: string, message: number, wanted: State, verb: string): Promise<number> {
  const state = await stateOf(name);
  if (!state) return fail(`Can't find vm ${name}`);
  const allowed = state === wanted || (verb === 'reset' && state === 'paused');
  if (!allowed) return fail(`${name} current state ${state}, can't ${verb}`);
  const answer = await askMonitor(runtimeDir(), name, message, 0, ANSWER_MS);
  return answer === 0 ? 0 : fail(`${name}: can't ${verb}, errno(${-answer})`);
}

async function add(args: string[]): Promise<number> {
  const [script, ...options] = args;
  if (script === undefined) {
    usage();
    return 255;
  }
  const { command, skipped } = readLaunchScript(readFileSync(script, 'utf8'), options);
  if (command === undefined) return fail(`No 'acrn-dm' found in ${script}, expecting 'acrn-dm' command to get vmname.`);
  const definition = absolutePaths(definitionFromOptions(parseOptions(command)));
  const state = await stateOf(definition.name);
  if (state) return fail(`${definition.name}(${state}) already exist, can't add ${args.join(' ')}`);
  await store().create(definition);
  for (const text of skipped) print(`not run, taken as empty: ${text}`);
  print(`${definition.name} added`);
  return 0;
}

async function create(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      cpus: { type: 'string' }, memsize: { type: 'string', short: 'm' }, kernel: { type: 'string', short: 'k' }, ramdisk: { type: 'string', short: 'r' },
      disk: { type: 'string', short: 'd' }, bootargs: { type: 'string', short: 'B' },
    },
  });
  const [name] = positionals;
  if (!name) {
    usage();
    return 255;
  }
  const stored = await store().list();
  const taken = stored.flatMap((vm) => vm.definition?.cpuAffinity ?? []);
  const firstFree = [1, 2, 3, 0].find((id) => !taken.includes(id)) ?? 1;
  const cpus = values.cpus ? values.cpus.split(',').map(Number) : [firstFree];
  const defaults = defaultDefinition(name, values.disk ? resolve(values.disk) : join(dataDir(), 'images', `${name}.img`), cpus);
  const draft = {
    ...defaults,
    bootargs: values.bootargs ?? defaults.bootargs,
    ...(values.memsize ? { memoryMiB: parseOptions(['-m', values.memsize, name]).memoryBytes / 2 ** 20 } : {}),
    ...(values.kernel ? { kernel: resolve(values.kernel) } : {}),
    ...(values.ramdisk ? { ramdisk: resolve(values.ramdisk) } : {}),
  };
  const context = { nucMemoryMiB: nucMemoryMiB(dataDir()), pcpus: NUC_PCPUS, existing: stored, running: [] };
  const { problems } = checkDefinition(draft, context);
  const diskIsOurs = (message: string) => !values.disk && message.includes('there is no such file') && message.includes('.img');
  const real = problems.filter((p) => !diskIsOurs(p.message));
  if (real.length > 0) return fail(real.map((p) => `can't create ${name}: ${p.path}: ${p.message}`).join('\n'));
  if (!values.disk) await makeDisk(dataDir(), name);
  const { definition } = checkDefinition(draft, context);
  if (!definition) return fail(`can't create ${name}: its disk image could not be made`);
  await store().create(definition);
  print(`${name} created`);
  return 0;
}

/** Paths of a script are relative to where it is run: kept absolute, so that the VM starts from anywhere. */
function absolutePaths(definition: VmDefinition): VmDefinition {
  return {
    ...definition,
    kernel: resolve(definition.kernel),
    ...(definition.ramdisk ? { ramdisk: resolve(definition.ramdisk) } : {}),
    devices: definition.devices.map((d) => {
      if (d.device !== 'virtio-blk' || !d.config) return d;
      const [boot, rest] = d.config.startsWith('b,') ? ['b,', d.config.slice(2)] : ['', d.config];
      const [path, ...options] = rest.split(',');
      return path === 'nodisk' ? d : { ...d, config: [`${boot}${resolve(path)}`, ...options].join(',') };
    }),
  };
}

async function main(argv: string[]): Promise<number> {
  const [command, ...args] = argv;
  if (!command || command === 'help') {
    usage();
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, command)) {
    print(`Unknown command: ${command}`);
    usage();
    return 255;
  }
  try {
    return await COMMANDS[command].run(args);
  } catch (error) {
    return fail(`acrnctl: ${error instanceof HostError || error instanceof Error ? error.message : error}`);
  }
}

process.exitCode = await main(process.argv.slice(2));
