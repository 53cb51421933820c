/**
 * acrn-dm: runs one VM on a NUC of its own until the guest powers off.
 *
 * @spec reference: acrn-dm's command line, messages and exit codes (1.2), signals (8)
 */
import { statSync } from 'node:fs';
import { exitCodeOf } from '../devicemodel/core/main.ts';
import { OptionsExit, parseOptions } from '../devicemodel/core/options.ts';
import type { AcrnDmOptions } from '../devicemodel/core/options.ts';
import { CheckImageError } from '../devicemodel/core/sw_load.ts';
import { HostError } from '../lib/errors.ts';
import { whenParentEnds } from '../host/parent.ts';
import { Machine } from '../machine/machine.ts'; // not by index.ts: what is not loaded takes no time to start
import { NUC_PCPUS, nucMemoryMiB } from '../machine/nuc_memory.ts';
import { codeDir, dataDir, runtimeDir } from '../machine/paths.ts';

const EXIT_FAILURE = 1;
const KEEP_ALIVE_MS = 60_000;

/** In a terminal that acrn-dm has put into raw mode a line feed alone does not return the carriage. */
function print(line: string): void {
  process.stdout.write(process.stdin.isRaw ? `${line}\r\n` : `${line}\n`);
}

function printError(line: string): void {
  process.stderr.write(process.stdin.isRaw ? `${line}\r\n` : `${line}\n`);
}

/** Whatever happens, the terminal is usable afterwards. */
function restoreTerminal(): void {
  if (process.stdin.isTTY && process.stdin.isRaw) process.stdin.setRawMode(false);
}

/** check_image for files named on the command line, before anything is created. */
function checkImages(options: AcrnDmOptions): void {
  const check = (path: string | undefined, exitCode: 10 | 11): void => {
    if (path === undefined) return;
    const info = statSync(path, { throwIfNoEntry: false });
    if (info === undefined) throw new CheckImageError(path, exitCode, 'there is no such file');
    if (!info.isFile()) throw new CheckImageError(path, exitCode, 'it is not a file');
    if (info.size === 0) throw new CheckImageError(path, exitCode, 'the file is empty');
  };
  check(options.kernel, 10);
  check(options.elf, 10);
  check(options.ramdisk, 11);
}

/** How VMs of this program are run: the one place that knows the machine. */
function createMachine({ jit }: AcrnDmOptions): Machine {
  return new Machine({ memoryMiB: nucMemoryMiB(dataDir()), pcpus: NUC_PCPUS, runtimeDir: runtimeDir(), codeDir: codeDir(), jit, hasTerminal: true, log: print }, { changed: () => {}, stats: () => {} });
}

async function runVm(options: AcrnDmOptions): Promise<number> {
  const machine = createMachine(options);
  const alive = setInterval(() => {}, KEEP_ALIVE_MS); // sleeping vCPUs hold no handle of the event loop
  const name = options.vmName;
  let early = false; // a signal before the VM runs ends it as soon as it does
  let stop = (_force: boolean): void => { early = true; };
  process.on('SIGINT', () => stop(true));
  process.on('SIGHUP', () => stop(true));
  whenParentEnds(() => stop(true));
  let asked = false; // a guest without ACPI takes no notice of its power button: the second SIGTERM does not ask
  process.on('SIGTERM', () => {
    stop(asked);
    asked = true;
  });
  try {
    const { stopped } = await machine.start(options, print);
    stop = (force) => {
      machine.stop(name, force).catch((error: unknown) => printError(`acrn-dm: ${error instanceof Error ? error.message : String(error)}`));
    };
    if (early) stop(true);
    const { how, detail } = await stopped;
    if (how === 'poweroff') return 0;
    printError(`acrn-dm: ${name} ended: ${how}: ${detail}`);
    return EXIT_FAILURE;
  } finally {
    await machine.close();
    clearInterval(alive);
  }
}

async function main(argv: string[]): Promise<number> {
  try {
    const notices: string[] = [];
    let options: AcrnDmOptions;
    try {
      options = parseOptions(argv, notices);
    } finally {
      notices.forEach(print);
    }
    checkImages(options);
    return await runVm(options);
  } catch (error) {
    restoreTerminal();
    if (error instanceof OptionsExit) {
      error.stdout.forEach(print);
      error.stderr.forEach(printError);
      return error.code;
    }
    if (error instanceof HostError || error instanceof CheckImageError) {
      printError(error.message);
      if (error instanceof CheckImageError) printError(`acrn-dm: ${error.why}`);
      if (error instanceof HostError && error.code === 'SW_LOAD') printError('acrn_sw_load failed, error=-1');
      return exitCodeOf(error);
    }
    printError(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return EXIT_FAILURE;
  }
}

process.on('exit', restoreTerminal);
process.on('uncaughtException', (error) => {
  restoreTerminal();
  printError(`acrn-dm: ${error.stack ?? error.message}`);
  process.exit(EXIT_FAILURE);
});
process.exitCode = await main(process.argv.slice(2));
process.exit();
