/** File backend: output is appended; there is no input. */
import fs from 'node:fs';
import type { CharBackend } from '../devicemodel/backends_if.ts';
import { cannotOpen, errnoText } from './host_errors.ts';

const NOTHING = new Uint8Array(0);

/** Throws HostError when the file cannot be created or appended to. */
export function openFile(path: string, owner: string): CharBackend {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = fs.constants;
  let fd: number;
  try {
    fd = fs.openSync(path, O_WRONLY | O_APPEND | O_CREAT | (O_NONBLOCK ?? 0), 0o666);
  } catch (error) {
    throw cannotOpen('CHAR_FILE_OPEN', owner, path, error);
  }
  return new FileBackend(path, fd);
}

class FileBackend implements CharBackend {
  readonly where: string;
  error: string | undefined;
  #fd: number;

  constructor(where: string, fd: number) {
    this.where = where;
    this.#fd = fd;
  }

  /** Into the page cache, at once: a file backend loses nothing. */
  write(bytes: Uint8Array): number {
    if (this.error !== undefined || this.#fd < 0) return -1;
    let done = 0;
    try {
      while (done < bytes.length) done += fs.writeSync(this.#fd, bytes, done);
    } catch (error) {
      const system = error as NodeJS.ErrnoException;
      if (system.code === 'EAGAIN') return done; // a FIFO whose reader is slow
      this.error = errnoText(system);
      return -1;
    }
    return done;
  }

  read(): Uint8Array { return NOTHING; }
  onReady(): () => void { return () => undefined; }
  pauseInput(): void { /* no input */ }

  async close(): Promise<void> {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    fs.closeSync(fd);
  }
}
