import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CharStream } from './char_stream.ts';
import { createHostBackends } from './index.ts';
import { openSocketClient, openSocketServer, openTcpServer } from './socket.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'acrn-sock-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
const bytes = (text: string) => new TextEncoder().encode(text);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}
async function connect(where: net.NetConnectOpts): Promise<{ socket: net.Socket; text: () => string; over: () => boolean }> {
  const socket = net.createConnection(where);
  let text = '';
  let over = false;
  socket.on('data', (chunk) => { text += chunk.toString(); });
  socket.on('close', () => { over = true; });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return { socket, text: () => text, over: () => over };
}

test('a server loses output without a client, serves one, and welcomes the next after it left', async () => {
  const at = path.join(dir, 'a');
  const server = await openSocketServer(at, 'virtio-console a');
  expect(server.write(bytes('nobody'))).toBe(0);
  for (const word of ['one', 'two']) {
    const client = await connect({ path: at });
    await until(() => server.connected);
    server.write(bytes(word));
    await until(() => client.text() === word);
    client.socket.write('typed');
    let got = '';
    await until(() => { got += new TextDecoder().decode(server.read(100)); return got === 'typed'; });
    client.socket.end();
    await until(() => !server.connected);
  }
  expect(server.error).toBeUndefined();
  await server.close();
  expect(fs.existsSync(at)).toBe(false);
});

test('a newcomer replaces the client', async () => {
  const at = path.join(dir, 'b');
  const server = await openSocketServer(at, 'virtio-console b');
  const first = await connect({ path: at });
  await until(() => server.connected);
  const second = await connect({ path: at });
  await until(first.over);
  server.write(bytes('hello'));
  await until(() => second.text() === 'hello');
  await server.close();
  await until(second.over);
});

test('a stale socket is unlinked; any other file is not', async () => {
  const file = path.join(dir, 'precious');
  fs.writeFileSync(file, 'data');
  await expect(openSocketServer(file, 'virtio-console c')).rejects.toMatchObject({ code: 'SOCKET_PATH' });
  expect(fs.readFileSync(file, 'utf8')).toBe('data');
});

test('a client that does not read never blocks; the oldest bytes go', async () => {
  const at = path.join(dir, 'd');
  const server = await openSocketServer(at, 'virtio-console d');
  const client = net.createConnection({ path: at });
  await until(() => server.connected);
  const chunk = new Uint8Array(65536);
  for (let i = 0; i < 100; i++) expect(server.write(chunk)).toBe(65536);
  expect(server.droppedBytes).toBeGreaterThan(4 << 20);
  client.destroy();
  await server.close();
});

test('a client connects, exchanges bytes, and is lost for good when the server goes', async () => {
  const at = path.join(dir, 'e');
  const server = await openSocketServer(at, 'peer');
  const client = await openSocketClient(at, 'virtio-console e');
  await until(() => server.connected);
  client.write(bytes('up'));
  let got = '';
  await until(() => { got += new TextDecoder().decode(server.read(10)); return got === 'up'; });
  await server.close();
  await until(() => client.error !== undefined);
  expect(client.write(bytes('x'))).toBe(-1);
  await client.close();
  await expect(openSocketClient(path.join(dir, 'none'), 'virtio-console e')).rejects.toMatchObject({ code: 'SOCKET_PATH' });
});

test('a refused connection leaves a backend with its error', async () => {
  const at = path.join(dir, 'dead');
  fs.writeFileSync(at, '');
  const client = await openSocketClient(at, 'virtio-console f');
  expect(client.error).toMatch(/ECONNREFUSED|ENOTSOCK/);
  await client.close();
});

test('TCP listens on the loopback address only', async () => {
  const server = await openTcpServer(0, 'com1');
  expect(server.where).toMatch(/^127\.0\.0\.1:\d+$/);
  const client = await connect({ host: '127.0.0.1', port: Number(server.where.split(':')[1]) });
  await until(() => server.connected);
  server.write(bytes('tcp'));
  await until(() => client.text() === 'tcp');
  await server.close();
});

test('on Windows a pty is a named pipe called acrn-<vm>-<port>', async () => {
  const host = createHostBackends({ vmName: 'vm1', platform: 'win32', pipePrefix: `${dir}/` });
  const pipe = await host.openChar({ kind: 'pty' }, 'virtio-console pty_port');
  expect(pipe).toBeInstanceOf(CharStream);
  expect(pipe.where).toBe(path.join(dir, 'acrn-vm1-pty_port'));
  const client = await connect({ path: pipe.where });
  await until(() => pipe.write(bytes('x')) === 1);
  await until(() => client.text().includes('x'));
  await pipe.close();
});
