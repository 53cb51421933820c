/**
 * One writer per disk image, over all processes of this computer, without litter after a crash: the lock is a listening
 * endpoint that the kernel takes down with its owner (an abstract UNIX socket on Linux, a named pipe on Windows).
 * Whoever is refused asks the endpoint who holds it. Elsewhere (macOS) it is a socket in the temporary folder, taken
 * over when nobody answers. Several devices of this process may write disjoint ranges of one image.
 */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { HostError } from '../lib/errors.ts';

const ANSWER_MS = 500;

interface Claim { readonly start: number; readonly end: number; readonly owner: string }
interface Held { readonly claims: Claim[]; readonly server: Promise<net.Server> }
const held = new Map<string, Held>();

/** Claims bytes [start, end) of the file `identity` (device and inode); returns the release. Throws DISK_IN_USE. */
export async function lockDisk(identity: string, file: string, owner: string, start: number, end: number): Promise<() => Promise<void>> {
  const claim: Claim = { start, end, owner };
  const existing = held.get(identity);
  if (existing !== undefined) {
    const other = existing.claims.find((taken) => start < taken.end && taken.start < end);
    if (other !== undefined) throw inUse(file, owner, `${other.owner} of this process`);
  }
  const entry: Held = existing ?? { claims: [], server: acquire(endpoint(identity), file, owner) };
  entry.claims.push(claim);
  held.set(identity, entry);
  const release = async () => {
    const at = entry.claims.indexOf(claim);
    if (at < 0) return;
    entry.claims.splice(at, 1);
    if (entry.claims.length > 0) return;
    held.delete(identity);
    const server = await entry.server;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  try {
    await entry.server;
  } catch (error) {
    entry.claims.splice(entry.claims.indexOf(claim), 1);
    if (held.get(identity) === entry) held.delete(identity);
    throw error;
  }
  return release;
}

function endpoint(identity: string): string {
  const name = `acrn-disk-${identity}`;
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return path.join(os.tmpdir(), `${name}.sock`);
}

async function acquire(at: string, file: string, owner: string): Promise<net.Server> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await listen(at, `${owner} in process ${process.pid}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    const holder = await ask(at);
    if (holder !== undefined || attempt > 0) throw inUse(file, owner, holder ?? 'another process');
    if (path.isAbsolute(at) && process.platform !== 'win32') fs.rmSync(at, { force: true }); // left by a crash
  }
}

function listen(at: string, who: string): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(who);
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      resolve(server);
    });
  });
}

/** Who holds the lock; undefined when nobody listens. */
function ask(at: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.createConnection({ path: at });
    socket.setTimeout(ANSWER_MS, () => { socket.destroy(); resolve('another process'); });
    socket.on('data', (chunk) => { answer += chunk.toString('utf8').slice(0, 200); });
    socket.on('end', () => resolve(answer === '' ? 'another process' : answer));
    socket.on('error', () => resolve(undefined));
  });
}

function inUse(file: string, owner: string, holder: string): HostError {
  return new HostError('DISK_IN_USE', { what: `${owner} cannot write ${file}`, why: `it is in use by ${holder}`, todo: 'Stop that VM first, or give this one its own image or the option ro.' });
}
