/** Runs acrn-dm as a person would and talks to its consoles as a terminal program would. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, copyFileSync, mkdtempSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReadStream } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { spawn as spawnInTerminal } from 'node-pty';
import { guestImages } from '../../engine/index.ts';

/** Text that arrives over time, and waiting for a pattern in it. */
export class Transcript {
  text = '';
  #from = 0;
  #wake: () => void = () => {};
  #ended = false;

  add(chunk: string): void {
    this.text += chunk;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Resolves with the match in what came after the last match; rejects when the stream ends without it. */
  async expect(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text.slice(this.#from));
      if (match) {
        this.#from += match.index + match[0].length;
        return match;
      }
      if (this.#ended) throw new Error(`${pattern} never came. Last output:\n${this.text.slice(-2000)}`);
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
  }
}

/** An open terminal device, raw, as minicom holds it. */
export class Terminal {
  readonly transcript = new Transcript();
  readonly #fd: number;
  readonly #stream: ReadStream;

  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
    execFileSync('stty', ['-F', path, 'raw', '-echo']);
    this.#stream = new ReadStream(openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
    this.#stream.on('data', (chunk) => this.transcript.add(chunk.toString('latin1')));
    this.#stream.on('error', () => this.transcript.end());
    this.#stream.on('end', () => this.transcript.end());
  }

  type(text: string): void {
    writeSync(this.#fd, text);
  }

  /** Types a command line and returns what it printed, up to the next prompt. */
  async command(line: string): Promise<string> {
    // The terminal shows the line as well, wrapped somewhere, and perhaps twice; `$?` is a number in what it printed only.
    this.type(`echo "from:$?:"; ${line}; echo "done:$?:"\n`);
    const match = await this.transcript.expect(/from:\d+:\r?\n([\s\S]*?)done:\d+:\r?\n/);
    return match[1].replaceAll('\r', '');
  }

  close(): void {
    this.#stream.destroy();
    closeSync(this.#fd);
  }
}

export interface DmRun {
  process: ChildProcessWithoutNullStreams;
  /** stdout and stderr */
  output: Transcript;
  exit: Promise<number>;
}

const SHIM = fileURLToPath(new URL('../../engine/cli/bin/acrn-dm.mjs', import.meta.url));
const ACRNCTL = fileURLToPath(new URL('../../engine/cli/bin/acrnctl.mjs', import.meta.url));

/** A fresh folder with a copy of the default root image, and the environment that keeps this run to itself. */
export function workplace(): { dir: string; image: string; env: NodeJS.ProcessEnv } {
  const dir = mkdtempSync(join(tmpdir(), 'acrn-guest-'));
  const image = join(dir, 'uos.img');
  copyFileSync(guestImages().disk, image, constants.COPYFILE_FICLONE);
  return { dir, image, env: { ...process.env, ACRN_DESKTOP_RUNTIME: join(dir, 'run'), ACRN_DESKTOP_DATA: join(dir, 'data') } };
}

/** Starts acrn-dm with these arguments. */
export function acrnDm(args: string[], env: NodeJS.ProcessEnv): DmRun {
  const child = spawn(process.execPath, [SHIM, ...args], { env });
  const output = new Transcript();
  child.stdout.on('data', (chunk: Buffer) => output.add(chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => output.add(chunk.toString('utf8')));
  const exit = new Promise<number>((resolve) => child.on('close', (code, signal) => {
    output.end();
    resolve(code ?? (signal ? 128 : 1));
  }));
  return { process: child, output, exit };
}

/** Starts acrn-dm with a terminal of its own as stdin and stdout, as in a terminal window. */
export function acrnDmInTerminal(args: string[], env: NodeJS.ProcessEnv): { output: Transcript; type(text: string): void; exit: Promise<number> } {
  const terminal = spawnInTerminal(process.execPath, [SHIM, ...args], { env });
  const output = new Transcript();
  terminal.onData((text) => output.add(text));
  const exit = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => {
    output.end();
    resolve(exitCode);
  }));
  return { output, type: (text) => terminal.write(text), exit };
}

/** Runs acrnctl to its end. */
export async function acrnctl(args: string[], env: NodeJS.ProcessEnv): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [ACRNCTL, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString('utf8'); });
  child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString('utf8'); });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)));
  return { code, stdout, stderr };
}

/** The command line of the README's first example. */
export function sampleArguments(image: string, options: { memory?: string; bootargs?: string } = {}): string[] {
  const { kernel, ramdisk } = guestImages();
  return [
    '-A', '-m', options.memory ?? '512M',
    '-s', '0:0,hostbridge', '-s', `1,virtio-blk,${image}`, '-s', '2,virtio-rnd', '-s', '3,virtio-console,@pty:pty_port',
    '-k', kernel, '-r', ramdisk, '-B', options.bootargs ?? 'root=/dev/vda rw console=hvc0', 'vm1',
  ];
}

/** Waits for the printed PTY and opens it. */
export async function openPty(run: DmRun): Promise<Terminal> {
  const [, path] = await run.output.expect(/virt-console backend redirected to (\/dev\/pts\/\d+)/);
  return new Terminal(path);
}

/** A file's contents inside an ext4 image, by e2fsprogs. */
export function fileInImage(image: string, path: string): string {
  return execFileSync('/sbin/debugfs', ['-R', `cat ${path}`, image], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}
