import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { definition } from '../test/e2e/fake/fake_engine.ts';
import { harness } from '../test/e2e/fake/harness.ts';
import { WebHost } from './web_host.ts';

let folder: string;
const hosts: WebHost[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'page-'));
  mkdirSync(join(folder, 'page/assets'), { recursive: true });
  writeFileSync(join(folder, 'page/index.html'), '<meta name="acrn-csp-nonce" content="__ACRN_CSP_NONCE__">');
  writeFileSync(join(folder, 'page/assets/app-123.js'), 'export {};');
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'page/notes.map'), 'source map');
});
afterEach(async () => { for (const host of hosts.splice(0)) await host.close(); });
afterAll(() => rmSync(folder, { recursive: true }));

async function open() {
  const h = await harness();
  const links: string[] = [];
  const host = new WebHost({ services: h.services, pageDir: join(folder, 'page'), port: 0, onNewLink: (link) => links.push(link) });
  hosts.push(host);
  const link = await host.listen();
  return { h, host, link, links, port: Number(new URL(link).port) };
}

interface Answer { status: number; headers: Record<string, string | string[] | undefined>; body: string }

/** Unlike fetch this sends the path and the headers as they are given. */
function get(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => { body += chunk.toString(); });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    }).on('error', reject).end();
  });
}

async function login(link: string): Promise<string> {
  const { port, pathname } = new URL(link);
  const { headers } = await get(Number(port), pathname);
  return String(headers['set-cookie']?.[0]).split(';', 1)[0] ?? '';
}

/** 'open', or the HTTP status that refused it. */
function socket(port: number, headers: Record<string, string>, path = '/api'): Promise<{ answer: string; client: WebSocket }> {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  return new Promise((resolve) => {
    client.on('open', () => resolve({ answer: 'open', client }));
    client.on('unexpected-response', (_request, response) => { client.terminate(); resolve({ answer: String(response.statusCode), client }); });
    client.on('error', () => {});
  });
}

test('nothing is served without a session: not the page, not its files', async () => {
  const { port } = await open();
  for (const path of ['/', '/index.html', '/assets/app-123.js', '/nothing']) expect((await get(port, path)).status).toBe(401);
});

test('the link works once and gives a cookie that scripts cannot read and other sites cannot send', async () => {
  const { link, links, port } = await open();
  const first = await get(port, new URL(link).pathname);
  expect(first.status).toBe(200);
  expect(first.headers['set-cookie']?.[0]).toMatch(new RegExp(`^acrn_session_${port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`));
  expect((await get(port, new URL(link).pathname)).status).toBe(401);
  expect(links.length).toBe(1);
  expect((await get(port, new URL(links[0] ?? '').pathname)).status).toBe(200);
});

test('a wrong token is refused, whatever its length', async () => {
  const { port } = await open();
  for (const token of ['', 'x', 'A'.repeat(43), 'A'.repeat(5000), '%00', '..']) expect((await get(port, `/open/${token}`)).status).toBe(401);
});

test('the page comes with a policy of default-src none, no inline scripts, and its own nonce', async () => {
  const { link, port } = await open();
  const Cookie = await login(link);
  const [one, two] = [await get(port, '/', { Cookie }), await get(port, '/', { Cookie })];
  const csp = String(one.headers['content-security-policy']);
  expect(csp).toContain("default-src 'none'");
  expect(csp).toContain("script-src 'self';");
  expect(csp).toContain(`connect-src ws://127.0.0.1:${port}/api`);
  expect(csp).not.toContain('unsafe');
  const nonce = /'nonce-([^']+)'/.exec(csp)?.[1];
  expect(one.body).toBe(`<meta name="acrn-csp-nonce" content="${nonce}">`);
  expect(two.body).not.toBe(one.body);
  expect(one.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' });
});

test('no path leaves the folder of the page', async () => {
  const { link, port } = await open();
  const Cookie = await login(link);
  for (const path of ['/../secret.txt', '/assets/../../secret.txt', '/%2e%2e/secret.txt', '/..%2fsecret.txt', '//etc/passwd', '/assets/..\\..\\secret.txt', '/secret.txt', '/notes.map', '/.%00./secret.txt', '/__proto__', '/constructor']) {
    expect((await get(port, path, { Cookie })).status, path).toBe(404);
  }
  expect((await get(port, '/assets/app-123.js', { Cookie })).headers['content-type']).toBe('text/javascript; charset=utf-8');
});

test('another host name at this address is refused (DNS rebinding)', async () => {
  const { link, port } = await open();
  const Cookie = await login(link);
  for (const Host of ['evil.example', `evil.example:${port}`, '127.0.0.1', `127.0.0.1:${port + 1}`, `127.0.0.1.evil.example:${port}`]) expect((await get(port, '/', { Cookie, Host })).status, Host).toBe(403);
  expect((await get(port, '/', { Cookie, Host: `localhost:${port}` })).status).toBe(200);
});

test('requests of other sites and other methods are refused', async () => {
  const { link, port } = await open();
  const Cookie = await login(link);
  expect((await get(port, '/', { Cookie, Origin: 'https://evil.example' })).status).toBe(403);
  expect((await get(port, '/', { Cookie, 'Sec-Fetch-Site': 'cross-site' })).status).toBe(403);
  expect((await get(port, '/', { Cookie }, 'POST')).status).toBe(405);
});

test('the socket opens for the page alone: right Host, right Origin, session, address', async () => {
  const { link, port } = await open();
  const Cookie = await login(link);
  const Origin = `http://127.0.0.1:${port}`;
  expect((await socket(port, { Origin })).answer).toBe('401');
  expect((await socket(port, { Origin, Cookie: `acrn_session_${port}=wrong` })).answer).toBe('401');
  expect((await socket(port, { Cookie })).answer).toBe('403');
  expect((await socket(port, { Cookie, Origin: 'http://evil.example' })).answer).toBe('403');
  expect((await socket(port, { Cookie, Origin: 'null' })).answer).toBe('403');
  expect((await socket(port, { Cookie, Origin: `http://localhost:${port}` })).answer).toBe('403');
  expect((await socket(port, { Cookie, Origin: 'http://evil.example', Host: 'evil.example' })).answer).toBe('403');
  expect((await socket(port, { Cookie, Origin }, '/other')).answer).toBe('404');
  expect((await socket(port, { Cookie, Origin })).answer).toBe('open');
});

test('calls are answered, events arrive, problems carry what, why and what to do', async () => {
  const { h, link, port } = await open();
  await h.engine.store.create(definition('vm1'));
  const { client } = await socket(port, { Cookie: await login(link), Origin: `http://127.0.0.1:${port}` });
  const messages: Array<Record<string, unknown>> = [];
  client.on('message', (data: Buffer) => { messages.push(JSON.parse(data.toString()) as Record<string, unknown>); });
  client.send(JSON.stringify({ id: 1, call: 'app.info', request: {} }));
  client.send(JSON.stringify({ id: 2, call: 'vm.start', request: { name: 'vm1' } }));
  client.send(JSON.stringify({ id: 3, call: 'vm.start', request: { name: 'nobody' } }));
  await expect.poll(() => messages.filter((message) => 'id' in message).length).toBe(3);
  expect(messages.find(({ id }) => id === 1)).toMatchObject({ reply: { version: '1.2.3', host: 'serve' } });
  expect(messages.find(({ id }) => id === 2)).toMatchObject({ reply: { name: 'vm1', state: 'starting' } });
  expect(messages.find(({ id }) => id === 3)).toMatchObject({ problem: { code: 'NO_VM' } });
  expect(messages.some(({ event }) => event === 'nuc.changed')).toBe(true);
});

test.each(['', '{', '[]', 'null', '{"id":1}', '{"id":"1","call":"app.info","request":{}}', '{"id":1,"call":"app.info","request":{},"more":1}', '{"id":-1,"call":"app.info","request":{}}'])('a message that is no call closes the socket: %s', async (text) => {
  const { link, port } = await open();
  const { client } = await socket(port, { Cookie: await login(link), Origin: `http://127.0.0.1:${port}` });
  const closed = new Promise((resolve) => { client.on('close', resolve); });
  client.send(text);
  expect(await closed).toBe(1008);
});

test('a message above a megabyte closes the socket', async () => {
  const { link, port } = await open();
  const { client } = await socket(port, { Cookie: await login(link), Origin: `http://127.0.0.1:${port}` });
  const closed = new Promise((resolve) => { client.on('close', resolve); });
  client.send('x'.repeat((1 << 20) + 1));
  expect(await closed).toBe(1009);
});

test('bytes that are not HTTP do no harm', async () => {
  const { link, port } = await open();
  const raw = connect(port, '127.0.0.1');
  const closed = new Promise((resolve) => { raw.on('close', resolve); });
  raw.on('error', () => {});
  raw.write('\x00\xff GET / NOTHTTP\r\n\r\n');
  raw.resume();
  await closed;
  expect((await get(port, new URL(link).pathname)).status).toBe(200);
});
