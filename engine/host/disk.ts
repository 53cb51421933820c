/**
 * Raw disk images and block devices: positional I/O. Small transfers are done at once as long as they are quick, which
 * they are while the host's page cache has the data; a slow one sends those that follow through the thread pool.
 *
 * @cover  #Y sparse images, read-only fallback, range, fdatasync shared by concurrent flushes, hole punching on Linux
 *         #N qcow2 and other formats
 */
import { spawn } from 'node:child_process';
import { readSync, readvSync, writeSync, writevSync } from 'node:fs';
import fs from 'node:fs/promises';
import type { BlockBackend } from '../devicemodel/backends_if.ts';
import { HostError } from '../lib/errors.ts';
import { lockDisk } from './disk_lock.ts';
import { cannotOpen } from './host_errors.ts';

const SECTOR_BYTES = 512;
/** A transfer up to this size is tried at once: handing it to another thread and back costs more than a copy. */
const QUICK_BYTES = 1 << 20;
/** Longer than this, and at less than this rate, and the disk itself was asked. */
const QUICK_MS = 1;
const QUICK_BYTES_PER_MS = 500_000;
/** IOV_MAX */
const MAX_PIECES = 1024;
/** Transfers that go through the thread pool after a slow one. */
const POOLED_AFTER_SLOW = 16;
const READ_ONLY_REASONS = new Set(['EACCES', 'EPERM', 'EROFS', 'ETXTBSY']);

export interface DiskOptions { readonly readOnly: boolean; readonly owner: string; readonly range?: { readonly start: number; readonly length: number } }

/** Throws HostError: DISK_OPEN, DISK_NOT_A_DISK, DISK_NOT_WHOLE_SECTORS, DISK_RANGE, DISK_IN_USE. */
export async function openDisk(path: string, options: DiskOptions): Promise<BlockBackend> {
  const { owner, range } = options;
  const { handle, readOnly } = await openHandle(path, options);
  try {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile() && !stat.isBlockDevice()) {
      throw new HostError('DISK_NOT_A_DISK', { what: `${owner} cannot use ${path}`, why: 'it is neither a file nor a block device', todo: 'Choose a raw disk image.' });
    }
    const wholeBytes = stat.isFile() ? Number(stat.size) : await blockDeviceBytes(stat.rdev, path, owner);
    checkSectors(owner, path, wholeBytes);
    const start = range?.start ?? 0;
    const sizeBytes = range?.length ?? wholeBytes;
    if (start < 0 || sizeBytes <= 0 && range !== undefined || start + sizeBytes > wholeBytes) {
      throw new HostError('DISK_RANGE', {
        what: `${owner} cannot use range ${start / SECTOR_BYTES}/${sizeBytes / SECTOR_BYTES} of ${path}`,
        why: `the image ends at sector ${wholeBytes / SECTOR_BYTES}`,
        todo: 'Give a range inside the image.',
      });
    }
    const unlock = readOnly ? undefined : await lockDisk(`${stat.dev}-${stat.isFile() ? stat.ino : stat.rdev}`, path, owner, start, start + sizeBytes);
    return new RawDisk(handle, path, owner, start, sizeBytes, readOnly, unlock);
  } catch (error) {
    await handle.close();
    throw cannotOpen('DISK_OPEN', owner, path, error);
  }
}

/** The size check, with the command that mends it. */
export function checkSectors(owner: string, path: string, bytes: number): void {
  if (bytes % SECTOR_BYTES === 0) return;
  throw new HostError('DISK_NOT_WHOLE_SECTORS', {
    what: `${owner} cannot use ${path}`,
    why: `${bytes} bytes is not a whole number of ${SECTOR_BYTES}-byte sectors`,
    todo: `Grow the image: truncate -s %${SECTOR_BYTES} "${path}"`,
  });
}

async function openHandle(path: string, options: DiskOptions): Promise<{ handle: fs.FileHandle; readOnly: boolean }> {
  if (!options.readOnly) {
    try {
      return { handle: await fs.open(path, 'r+'), readOnly: false };
    } catch (error) {
      if (!READ_ONLY_REASONS.has((error as NodeJS.ErrnoException).code ?? '')) throw cannotOpen('DISK_OPEN', options.owner, path, error);
    }
  }
  try {
    return { handle: await fs.open(path, 'r'), readOnly: true };
  } catch (error) {
    throw cannotOpen('DISK_OPEN', options.owner, path, error);
  }
}

/** Linux tells a block device's size in sectors of 512 bytes. */
async function blockDeviceBytes(rdev: bigint, path: string, owner: string): Promise<number> {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  try {
    return Number((await fs.readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')).trim()) * SECTOR_BYTES;
  } catch (error) {
    throw cannotOpen('DISK_OPEN', owner, path, error);
  }
}

class RawDisk implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly #handle: fs.FileHandle;
  readonly #path: string;
  readonly #owner: string;
  readonly #start: number;
  readonly #unlock: (() => Promise<void>) | undefined;
  #closed = false;
  #pooled = 0;
  #punchWorks = process.platform === 'linux';
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  constructor(handle: fs.FileHandle, path: string, owner: string, start: number, sizeBytes: number, readOnly: boolean, unlock: (() => Promise<void>) | undefined) {
    this.#handle = handle;
    this.#path = path;
    this.#owner = owner;
    this.#start = start;
    this.sizeBytes = sizeBytes;
    this.readOnly = readOnly;
    this.#unlock = unlock;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length, 'read');
    for (let done = 0; done < into.length;) {
      const at = this.#start + offset + done;
      const left = into.length - done;
      const bytesRead = this.#isQuick(left)
        ? this.#atOnce('read', left, () => readSync(this.#handle.fd, into, done, left, at))
        : (await this.#io('read', () => this.#handle.read(into, done, left, at))).bytesRead;
      if (bytesRead === 0) throw this.#error('read', 'the image became shorter while in use');
      done += bytesRead;
    }
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    this.#check(offset, from.length, 'write');
    if (this.readOnly) throw this.#error('write', 'it is open read-only');
    for (let done = 0; done < from.length;) {
      const at = this.#start + offset + done;
      const left = from.length - done;
      done += this.#isQuick(left)
        ? this.#atOnce('write', left, () => writeSync(this.#handle.fd, from, done, left, at))
        : (await this.#io('write', () => this.#handle.write(from, done, left, at))).bytesWritten;
    }
  }

  readAtOnce(offset: number, into: readonly Uint8Array[]): boolean {
    return this.#vector('read', offset, into, (at) => readvSync(this.#handle.fd, into, at));
  }

  writeAtOnce(offset: number, from: readonly Uint8Array[]): boolean {
    return !this.readOnly && this.#vector('write', offset, from, (at) => writevSync(this.#handle.fd, from, at));
  }

  /** One system call for all pieces; a short one or an error is for the long way to meet again. */
  #vector(verb: string, offset: number, pieces: readonly Uint8Array[], transfer: (at: number) => number): boolean {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#closed || pieces.length > MAX_PIECES || offset + bytes > this.sizeBytes || this.#pooled > 0 || !this.#isQuick(bytes)) return false;
    try {
      return this.#atOnce(verb, bytes, () => transfer(this.#start + offset)) === bytes;
    } catch {
      return false;
    }
  }

  /** Callers that come while a sync runs share the next one: theirs began before their writes ended. */
  flush(): Promise<void> {
    if (this.#syncing === undefined) {
      this.#syncing = this.#io('flush', () => this.#handle.datasync()).finally(() => { this.#syncing = undefined; });
      return this.#syncing;
    }
    this.#nextSync ??= this.#syncing.catch(() => undefined).then(() => {
      this.#nextSync = undefined;
      return this.flush();
    });
    return this.#nextSync;
  }

  async discard(offset: number, length: number): Promise<void> {
    this.#check(offset, length, 'discard');
    if (this.readOnly || !this.#punchWorks || length === 0) return;
    this.#punchWorks = await punchHole(this.#handle.fd, this.#start + offset, length);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await (this.#nextSync ?? this.#syncing)?.catch(() => undefined);
      await this.#handle.close();
    } finally {
      await this.#unlock?.();
    }
  }

  #check(offset: number, length: number, verb: string): void {
    if (this.#closed) throw this.#error(verb, 'it is closed');
    if (!(offset >= 0 && length >= 0 && offset + length <= this.sizeBytes)) throw this.#error(verb, `bytes ${offset} to ${offset + length} are outside its ${this.sizeBytes} bytes`);
  }

  #isQuick(bytes: number): boolean {
    if (bytes > QUICK_BYTES) return false;
    if (this.#pooled === 0) return true;
    this.#pooled -= 1;
    return false;
  }

  #atOnce(verb: string, bytes: number, action: () => number): number {
    const start = performance.now();
    try {
      return action();
    } catch (error) {
      throw this.#error(verb, (error as Error).message);
    } finally {
      if (performance.now() - start > QUICK_MS + bytes / QUICK_BYTES_PER_MS) this.#pooled = POOLED_AFTER_SLOW;
    }
  }

  async #io<T>(verb: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw this.#error(verb, (error as Error).message);
    }
  }

  #error(verb: string, why: string): HostError {
    return new HostError('DISK_IO', { what: `${this.#owner}: ${verb} of ${this.#path} failed`, why, todo: 'Check the disk that holds the image.' });
  }
}

/** Node has no fallocate(2): the program of the same name gets the open file. False when it or the file system cannot. */
function punchHole(fd: number, offset: number, length: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn('fallocate', ['--punch-hole', '--offset', String(offset), '--length', String(length), '/dev/fd/3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}
