/** tty backend: an existing terminal device (a serial port, another terminal), in raw mode. */
import fs from 'node:fs';
import nodeTty from 'node:tty';
import { HostError } from '../lib/errors.ts';
import { CharStream } from './char_stream.ts';
import { cannotOpen } from './host_errors.ts';
import { makeRaw } from './pty.ts';

/** Throws HostError when `path` is not a terminal that this user may open. */
export async function openTty(path: string, owner: string): Promise<CharStream> {
  const { O_RDWR, O_NOCTTY, O_NONBLOCK } = fs.constants;
  let fd: number;
  try {
    fd = fs.openSync(path, O_RDWR | O_NOCTTY | O_NONBLOCK); // without O_NONBLOCK a modem line waits for its carrier
  } catch (error) {
    throw cannotOpen('TTY_OPEN', owner, path, error);
  }
  try {
    if (!nodeTty.isatty(fd)) throw new HostError('TTY_OPEN', { what: `${owner} cannot use ${path}`, why: 'it is not a tty', todo: 'Choose a terminal device such as /dev/ttyS0 or /dev/pts/4.' });
    await makeRaw(path, owner);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  const backend = new CharStream(path);
  backend.attach(new nodeTty.ReadStream(fd), (error) => backend.fail(error ?? Object.assign(new Error('the terminal hung up'), { code: 'EIO', errno: -5 })));
  return backend;
}
