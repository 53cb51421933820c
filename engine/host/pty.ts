/**
 * PTY backend: a bare pseudo terminal pair with no process on it. People attach and leave with any terminal program.
 *
 * Only node-pty's native `open(cols, rows)` is used. Its terminal object is never made: it reads its own slave, and
 * its kill() and destroy() signal pid -1. The slave is put in raw mode before any output, and stays open here, unread,
 * so that a terminal program that leaves does not hang up the master.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import tty from 'node:tty';
import { HostError } from '../lib/errors.ts';
import { CharStream } from './char_stream.ts';
import { FdSink } from './fd_sink.ts';
import { cannotOpen } from './host_errors.ts';

const COLUMNS = 80;
const ROWS = 25;
const LINGER_MS = 20;
/** Where node-pty 1.1 keeps its binding, as its own loader looks for it. */
const BINDING_DIRS = ['build/Release', 'build/Debug', `prebuilds/${process.platform}-${process.arch}`];

interface PtyPair { readonly master: number; readonly slave: number; readonly pty: string }
interface PtyBinding { open(columns: number, rows: number): PtyPair }

let binding: PtyBinding | undefined;

function loadBinding(): PtyBinding {
  if (binding !== undefined) return binding;
  const require = createRequire(import.meta.url);
  const tried: string[] = [];
  for (const root of packageRoots(require)) {
    for (const dir of BINDING_DIRS) {
      const file = path.join(root, dir, 'pty.node');
      tried.push(file);
      if (!fs.existsSync(file)) continue;
      const loaded = require(file) as Partial<PtyBinding>;
      if (typeof loaded.open !== 'function') throw new HostError('PTY_BINDING', { what: file, why: 'it has no open()', todo: 'Install node-pty 1.1.0.' });
      binding = loaded as PtyBinding;
      return binding;
    }
  }
  throw new HostError('PTY_BINDING', { what: 'node-pty', why: `its native module was not found in ${tried.join(', ')}`, todo: 'Run npm install again with a C++ compiler present.' });
}

/** node-pty's folder; native files of a packed application lie beside the archive, not in it. */
function packageRoots(require: NodeJS.Require): string[] {
  const roots: string[] = [];
  try { roots.push(path.dirname(require.resolve('node-pty/package.json'))); } catch { /* not resolvable from here: the lookup below remains */ }
  for (let dir = import.meta.dirname; ; dir = path.dirname(dir)) {
    roots.push(path.join(dir, 'node_modules', 'node-pty'));
    if (dir === path.dirname(dir)) break;
  }
  return [...new Set(roots.flatMap((root) => [root.replace(/app\.asar([\\/])/, 'app.asar.unpacked$1'), root]))];
}

/** Raw mode, no echo, on the terminal at `node`: cfmakeraw, which Node's own setRawMode is not (it leaves OPOST on). */
export function makeRaw(node: string, owner: string): Promise<void> {
  const flag = process.platform === 'linux' ? '-F' : '-f';
  return new Promise((resolve, reject) => {
    execFile('stty', [flag, node, 'raw', '-echo', 'clocal'], { timeout: 5000 }, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new HostError('TTY_RAW', { what: `${owner} cannot put ${node} in raw mode`, why: stderr.trim() || error.message, todo: 'Check that stty is installed and that the device is yours.' }));
    });
  });
}

/** @param publishAs path of a symbolic link to the slave, kept while the backend is open */
export async function openPty(owner: string, publishAs?: string): Promise<CharStream> {
  let pair: PtyPair;
  try {
    pair = loadBinding().open(COLUMNS, ROWS);
  } catch (error) {
    throw cannotOpen('PTY_OPEN', owner, 'a new pseudo terminal', error);
  }
  try {
    await makeRaw(pair.pty, owner);
  } catch (error) {
    fs.closeSync(pair.slave);
    fs.closeSync(pair.master);
    throw error;
  }
  const backend = new CharStream(pair.pty);
  backend.lingerMs = LINGER_MS;
  backend.attach(new tty.ReadStream(pair.master), (error) => backend.fail(error ?? new Error('the pseudo terminal is gone')), new FdSink(pair.master));
  const unpublish = publishAs === undefined ? () => undefined : publish(pair.pty, publishAs);
  backend.onClose = () => {
    unpublish();
    fs.closeSync(pair.slave);
  };
  return backend;
}

/** Points `link` at `target`; a stale link is replaced, anything else is left alone. Publishing is a convenience: it never fails an open. */
function publish(target: string, link: string): () => void {
  const temporary = `${link}.${process.pid}.new`;
  try {
    fs.mkdirSync(path.dirname(link), { recursive: true, mode: 0o700 });
    const existing = fs.lstatSync(link, { throwIfNoEntry: false });
    if (existing !== undefined && !existing.isSymbolicLink()) return () => undefined;
    fs.rmSync(temporary, { force: true });
    fs.symlinkSync(target, temporary);
    fs.renameSync(temporary, link);
  } catch {
    return () => undefined;
  }
  return () => {
    try { if (fs.readlinkSync(link) === target) fs.unlinkSync(link); } catch { /* someone else removed it */ }
  };
}
