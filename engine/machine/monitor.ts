/**
 * The device model's monitor socket, by which acrnctl and the window reach a running VM of any process.
 *
 * @spec ACRN 2.2 `acrn_mngr`: unix stream socket `<vm>.monitor.<pid>.socket`, 280-byte messages
 * @cover  #Y stop, pause/continue as suspend/resume, query   #N blkrescan, timers
 * @differ The folder is this user's runtime folder, not /run/acrn; a VM's name is matched whole, not by prefix.
 */
import { readdirSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { HostError } from '../lib/errors.ts';

const MNGR_MSG_MAGIC = 0x67736d206d6d76n;
const MESSAGE_BYTES = 280; // magic u64, msgid u32, padding, timestamp u64, union of 256
const UNION_OFFSET = 24;
const REPLY_TIMEOUT_MS = 1000; // ACRN's for VM messages

export const DM_STOP = 3;
export const DM_SUSPEND = 4;
export const DM_RESUME = 5;
export const DM_QUERY = 6;
/** Our own, past ACRN's numbers: reset in place. */
export const DM_RESET = 64;

/** ACRN's VM suspend modes as DM_QUERY answers them. */
export const QUERY_RUNNING = 0;
export const QUERY_SUSPENDED = 4;

/** Answer, negated, to DM_STOP when the guest would not notice its power button. */
export const MNGR_ENOTSUP = 95;

export interface MonitorHandlers {
  /** 0 or a negative errno */
  stop(force: boolean): Promise<number>;
  pause(): Promise<number>;
  resume(): Promise<number>;
  reset(): Promise<number>;
  state(): number;
}

function encode(msgid: number, value: number, value2 = 0): Buffer {
  const message = Buffer.alloc(MESSAGE_BYTES);
  message.writeBigUInt64LE(MNGR_MSG_MAGIC, 0);
  message.writeUInt32LE(msgid, 8);
  message.writeBigUInt64LE(BigInt(Math.floor(Date.now() / 1000)), 16);
  message.writeInt32LE(value, UNION_OFFSET);
  message.writeInt32LE(value2, UNION_OFFSET + 4);
  return message;
}

function decode(message: Buffer): { msgid: number; value: number } | undefined {
  if (message.length < MESSAGE_BYTES || message.readBigUInt64LE(0) !== MNGR_MSG_MAGIC) return undefined;
  return { msgid: message.readUInt32LE(8), value: message.readInt32LE(UNION_OFFSET) };
}

const folder = (runtimeDir: string): string => join(runtimeDir, 'mngr');

/** Opens the socket of VM `name`; resolves to its closing. A client that sends anything else is disconnected. */
export async function openMonitor(runtimeDir: string, name: string, handlers: MonitorHandlers): Promise<() => void> {
  mkdirSync(folder(runtimeDir), { recursive: true, mode: 0o700 });
  const path = join(folder(runtimeDir), `${name}.monitor.${process.pid}.socket`);
  rmSync(path, { force: true });
  const answer = async (msgid: number, value: number): Promise<number> => {
    switch (msgid) {
      case DM_STOP: return handlers.stop(value !== 0);
      case DM_SUSPEND: return handlers.pause();
      case DM_RESUME: return handlers.resume();
      case DM_RESET: return handlers.reset();
      case DM_QUERY: return handlers.state();
      default: return -1;
    }
  };
  const server: Server = createServer((socket) => {
    let pending = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      while (pending.length >= MESSAGE_BYTES) {
        const request = decode(pending.subarray(0, MESSAGE_BYTES));
        pending = pending.subarray(MESSAGE_BYTES);
        if (!request) return socket.destroy();
        answer(request.msgid, request.value).catch(() => -1).then((value) => socket.writable && socket.write(encode(request.msgid, value)));
      }
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  server.unref();
  const close = (): void => {
    process.off('exit', close);
    server.close();
    rmSync(path, { force: true });
  };
  process.on('exit', close);
  return close;
}

/**
 * Sends one message to VM `name` and returns the answer's value. Throws HostError VM_NOT_RUNNING when nobody listens,
 * VM_NOT_ANSWERING after one second.
 */
export async function askMonitor(runtimeDir: string, name: string, msgid: number, value = 0, timeoutMs = REPLY_TIMEOUT_MS): Promise<number> {
  const notRunning = (why: string) => new HostError('VM_NOT_RUNNING', { what: `VM ${name} cannot be reached`, why, todo: 'See "acrnctl list" for the running VMs' });
  const pattern = new RegExp(`^${name.replaceAll('.', '\\.')}\\.monitor\\.\\d+\\.socket$`);
  let files: string[] = [];
  try {
    files = readdirSync(folder(runtimeDir)).filter((f) => pattern.test(f));
  } catch { /* no folder: nothing runs */ }
  let failure = notRunning('it has no monitor socket');
  for (const file of files) {
    try {
      return await exchange(join(folder(runtimeDir), file), encode(msgid, value), timeoutMs);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      failure = code === 'ETIMEDOUT'
        ? new HostError('VM_NOT_ANSWERING', { what: `VM ${name} does not answer`, why: `no reply within ${timeoutMs} ms`, todo: 'Force it off, or end its process' })
        : notRunning(`its monitor socket says ${code}`);
    }
  }
  throw failure;
}

function exchange(path: string, message: Buffer, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect(path, () => socket.write(message));
    const fail = (code: string) => { socket.destroy(); reject(Object.assign(new Error(code), { code })); };
    socket.setTimeout(timeoutMs, () => fail('ETIMEDOUT'));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'EIO'));
    socket.on('close', () => fail('ECONNRESET'));
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      const reply = decode(received);
      if (!reply) return received.length >= MESSAGE_BYTES ? fail('EBADMSG') : undefined;
      socket.removeAllListeners('close');
      socket.end();
      resolve(reply.value);
    });
  });
}
