/**
 * Socket backends: UNIX domain socket as server or client, loopback TCP, and on Windows a named pipe in place of a pty.
 * A server has one peer; a newcomer replaces it, and when it leaves the next one is welcome.
 *
 * @differ ACRN's server stops listening when its client leaves while the guest has no buffers; ours never does.
 */
import fs from 'node:fs';
import net from 'node:net';
import { HostError } from '../lib/errors.ts';
import { CharStream } from './char_stream.ts';
import { cannotOpen, errnoText } from './host_errors.ts';

const BACKLOG = 64;
const LOOPBACK = '127.0.0.1';

/** Named pipes live in a name space of their own: nothing to unlink. */
function isPipeName(path: string): boolean { return path.startsWith('\\\\.\\pipe\\') || path.startsWith('\\\\?\\pipe\\'); }

/** unlink + bind + listen(64). Only a socket is ever unlinked. */
export async function openSocketServer(path: string, owner: string): Promise<CharStream> {
  if (!isPipeName(path)) {
    const existing = fs.lstatSync(path, { throwIfNoEntry: false });
    if (existing?.isSocket() === true) fs.unlinkSync(path);
    else if (existing !== undefined) {
      throw new HostError('SOCKET_PATH', { what: `${owner} cannot listen on ${path}`, why: 'a file of that name exists and is not a socket', todo: 'Choose another path or remove it.' });
    }
  }
  return listen({ path, backlog: BACKLOG }, path, owner);
}

/** Loopback only: a console has no password. Port 0 picks a free one, told in `where`. */
export async function openTcpServer(port: number, owner: string): Promise<CharStream> {
  return listen({ host: LOOPBACK, port, backlog: BACKLOG }, undefined, owner);
}

async function listen(at: net.ListenOptions, where: string | undefined, owner: string): Promise<CharStream> {
  const server = net.createServer({ noDelay: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, resolve);
    });
  } catch (error) {
    throw cannotOpen('SOCKET_LISTEN', owner, where ?? `${LOOPBACK}:${at.port}`, error);
  }
  const address = server.address();
  const backend = new CharStream(where ?? `${LOOPBACK}:${address !== null && typeof address === 'object' ? address.port : at.port}`);
  server.on('error', () => undefined); // a connection that could not be accepted; the server goes on
  server.on('connection', (socket) => {
    if (backend.closed) socket.destroy();
    else backend.attach(socket, () => undefined);
  });
  backend.onClose = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return backend;
}

/** A failure to connect leaves a backend that loses all output, with `error` saying why, as in ACRN. */
export async function openSocketClient(path: string, owner: string): Promise<CharStream> {
  if (!isPipeName(path) && !fs.existsSync(path)) {
    throw new HostError('SOCKET_PATH', { what: `${owner} cannot connect to ${path}`, why: 'there is no such socket', todo: 'Start its server first, or use the role "server".' });
  }
  const backend = new CharStream(path);
  const socket = net.createConnection({ path });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', resolve);
    });
  } catch (error) {
    socket.destroy();
    backend.error = errnoText(error as NodeJS.ErrnoException);
    return backend;
  }
  socket.removeAllListeners('error');
  backend.attach(socket, (error) => backend.fail(error ?? Object.assign(new Error('the server closed the connection'), { code: 'ECONNRESET', errno: -104 })));
  return backend;
}
