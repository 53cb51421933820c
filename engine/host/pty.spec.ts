import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tty from 'node:tty';
import { expect, test } from 'vitest';
import type { CharBackend } from '../devicemodel/backends_if.ts';
import { OUTPUT_BYTES } from './char_stream.ts';
import { createHostBackends } from './index.ts';
import { openPty } from './pty.ts';
import { openTty } from './tty.ts';

const onUnix = test.skipIf(process.platform === 'win32');
const bytes = (text: string) => new TextEncoder().encode(text);

/** A terminal program on the node: reads all it gets. */
class Terminal {
  readonly stream: tty.ReadStream;
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #wanted = { length: 0, done: () => undefined as void };
  constructor(node: string) {
    this.stream = new tty.ReadStream(fs.openSync(node, fs.constants.O_RDWR | fs.constants.O_NOCTTY));
    this.stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#length >= this.#wanted.length) this.#wanted.done();
    });
    this.stream.on('error', () => undefined);
  }
  get length(): number { return this.#length; }
  get all(): Buffer { return Buffer.concat(this.#chunks); }
  async until(length: number): Promise<Buffer> {
    if (this.#length < length) await new Promise<void>((done) => { this.#wanted = { length, done }; });
    return this.all;
  }
  close(): Promise<void> { return this.stream.closed ? Promise.resolve() : new Promise((resolve) => { this.stream.once('close', () => resolve()); this.stream.destroy(); }); }
}

/** Reads the guest's side until `length` bytes have come. */
function guestReads(backend: CharBackend, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let have = 0;
    const take = () => {
      for (let chunk = backend.read(1000); chunk.length > 0; chunk = backend.read(1000)) { chunks.push(chunk.slice()); have += chunk.length; }
      if (have >= length) { stop(); resolve(Buffer.concat(chunks)); }
    };
    const stop = backend.onReady(take);
    take();
  });
}

onUnix('a terminal on the printed node sees output byte for byte, and what it types arrives raw', async () => {
  const pty = await openPty('virtio-console pty_port');
  expect(pty.where).toMatch(/^\/dev\//);
  const terminal = new Terminal(pty.where);
  const sent = 'login: \r\n\n\x04\x03';
  expect(pty.write(bytes(sent))).toBe(sent.length);
  expect((await terminal.until(sent.length)).toString()).toBe(sent);
  terminal.stream.write('root\r\x03');
  expect((await guestReads(pty, 6)).toString()).toBe('root\r\x03');
  await terminal.close();
  await pty.close();
});

onUnix('output of before the first terminal waits for it', async () => {
  const pty = await openPty('virtio-console a');
  pty.write(bytes('booted\n'));
  const terminal = new Terminal(pty.where);
  expect((await terminal.until(7)).toString()).toBe('booted\n');
  await terminal.close();
  await pty.close();
});

onUnix('terminals come and go; the master lives on', async () => {
  const pty = await openPty('virtio-console a');
  for (const text of ['first', 'other', 'third']) {
    const terminal = new Terminal(pty.where);
    pty.write(bytes(text));
    expect((await terminal.until(5)).toString()).toBe(text);
    terminal.stream.write(text);
    expect((await guestReads(pty, 5)).toString()).toBe(text);
    await terminal.close();
    expect(pty.error).toBeUndefined();
  }
  await pty.close();
});

onUnix('a flood without a reader blocks nothing and keeps the newest bytes', async () => {
  const pty = await openPty('virtio-console a');
  const line = bytes(`${'x'.repeat(4095)}\n`);
  for (let i = 0; i < 2560; i++) expect(pty.write(line)).toBe(4096); // 10 MiB
  pty.write(bytes('the end'));
  expect(pty.droppedBytes).toBeGreaterThan(8 << 20);
  const terminal = new Terminal(pty.where);
  const seen = await terminal.until(OUTPUT_BYTES);
  expect(seen.length).toBeGreaterThanOrEqual(OUTPUT_BYTES);
  while (!terminal.all.subarray(-7).equals(Buffer.from('the end'))) await terminal.until(terminal.length + 1);
  await terminal.close();
  await pty.close();
}, 20_000);

onUnix('a reader that keeps up loses nothing of 10 MiB', async () => {
  const pty = await openPty('virtio-console a');
  const reader = spawn('sh', ['-c', 'head -c 10485760 | cksum'], { stdio: [fs.openSync(pty.where, 'r'), 'pipe', 'inherit'] });
  let sum = '';
  reader.stdout?.on('data', (chunk: Buffer) => { sum += chunk.toString(); });
  const over = new Promise<void>((resolve) => reader.on('close', () => resolve()));
  const chunk = new Uint8Array(65536).fill(0x61);
  for (let i = 0; i < 160; i++) {
    pty.write(chunk);
    while (pty.pendingBytes > OUTPUT_BYTES / 2) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await over;
  const whole = spawn('cksum', { stdio: ['pipe', 'pipe', 'inherit'] });
  let expected = '';
  whole.stdout?.on('data', (part: Buffer) => { expected += part.toString(); });
  whole.stdin?.end(Buffer.alloc(10485760, 0x61));
  await new Promise<void>((resolve) => whole.on('close', () => resolve()));
  expect(sum).toBe(expected);
  expect(pty.droppedBytes).toBe(0);
  await pty.close();
}, 30_000);

onUnix('a writer that waits while the reader is busy loses nothing, however fast it is', async () => {
  const pty = await openPty('virtio-console a');
  let wake = (): void => undefined;
  pty.onReady(() => wake());
  const terminal = new Terminal(pty.where);
  const chunk = Uint8Array.from({ length: 65536 }, (_, i) => i & 0xff);
  for (let i = 0; i < 160; i++) {
    while (pty.busy) await new Promise<void>((resolve) => { wake = resolve; });
    pty.write(chunk);
    if (i === 0) await terminal.until(1); // it reads: from here on it is worth waiting for
  }
  const all = await terminal.until(160 * 65536);
  expect(all.every((byte, i) => byte === (i & 0xff))).toBe(true);
  expect(pty.droppedBytes).toBe(0);
  await terminal.close();
  await pty.close();
}, 20_000);

onUnix('a reader that stopped is waited for once, then no more', async () => {
  const pty = await openPty('virtio-console a');
  let wake = (): void => undefined;
  pty.onReady(() => wake());
  const chunk = new Uint8Array(65536);
  while (!pty.busy && pty.droppedBytes === 0) pty.write(chunk);
  while (pty.busy) await new Promise<void>((resolve) => { wake = resolve; });
  for (let i = 0; i < 64; i++) {
    expect(pty.busy).toBe(false);
    pty.write(chunk);
  }
  expect(pty.droppedBytes).toBeGreaterThan(0);
  await pty.close();
}, 20_000);

onUnix('a large paste waits while the guest has no room and arrives whole', async () => {
  const pty = await openPty('virtio-console a');
  const terminal = new Terminal(pty.where);
  const paste = Buffer.from(Array.from({ length: 300_000 }, (_, i) => 32 + (i % 90)));
  pty.pauseInput(true);
  terminal.stream.write(paste);
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  pty.pauseInput(false);
  expect((await guestReads(pty, paste.length)).equals(paste)).toBe(true);
  await terminal.close();
  await pty.close();
}, 20_000);

onUnix('what was written just before close still reaches a terminal', async () => {
  const pty = await openPty('virtio-console a');
  const terminal = new Terminal(pty.where);
  pty.write(bytes('reboot: Power down\r\n'));
  await pty.close();
  expect((await terminal.until(20)).toString()).toBe('reboot: Power down\r\n');
  await terminal.close();
});

onUnix('close gives both descriptors back', async () => {
  const open = () => fs.readdirSync('/proc/self/fd').length;
  await (await openPty('virtio-console a')).close(); // first use opens what stays
  const before = open();
  for (let i = 0; i < 5; i++) await (await openPty('virtio-console a')).close();
  expect(open()).toBe(before);
});

onUnix('a link in the runtime folder names the node while it is open', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'acrn-pty-'));
  const host = createHostBackends({ vmName: 'vm1', runtimeDir: dir });
  const link = path.join(dir, 'vm1-pty_port');
  fs.symlinkSync('/dev/pts/stale', link);
  const pty = await host.openChar({ kind: 'pty' }, 'virtio-console pty_port');
  expect(fs.readlinkSync(link)).toBe(pty.where);
  await pty.close();
  expect(fs.existsSync(link)).toBe(false);
  fs.rmSync(dir, { recursive: true });
});

onUnix('the tty backend speaks raw on an existing terminal and refuses what is none', async () => {
  const line = await openPty('the other end');
  const port = await openTty(line.where, 'virtio-console tty_port');
  port.write(bytes('out\n'));
  expect((await guestReads(line, 4)).toString()).toBe('out\n');
  line.write(bytes('in\r'));
  expect((await guestReads(port, 3)).toString()).toBe('in\r');
  await port.close();
  await line.close();
  await expect(openTty('/dev/null', 'virtio-console tty_port')).rejects.toThrow('it is not a tty');
  await expect(openTty('/dev/no-such-tty', 'virtio-console tty_port')).rejects.toMatchObject({ code: 'TTY_OPEN' });
});
