/**
 * Serves the application's page and its services to a browser on this computer: HTTP and one WebSocket on loopback.
 *
 * @spec   RFC 6455, RFC 6265bis (SameSite), Fetch Metadata
 * @cover  #Y one-time link exchanged for a session cookie, Host and Origin checks, CSP, no path reaches the disk
 * @differ The link answers with a page that moves on by itself, not with a redirect: a SameSite=Strict cookie is not
 *         sent along a redirect chain that another site began.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { toProblem } from './problems.ts';
import type { Services, Session } from './services.ts';
import { newNonce, policyHeaders, readPageFiles, withNonce } from './web_policy.ts';
import type { PageFile } from './web_policy.ts';

const HOST = '127.0.0.1';
const MAX_MESSAGE_BYTES = 1 << 20;
const MAX_SESSIONS = 64;
const SOCKET_PATH = '/api';

const callMessage = z.strictObject({ id: z.int().min(0), call: z.string().max(64), request: z.unknown() });

export interface WebHostOptions {
  services: Services;
  /** Folder of the built page. */
  pageDir: string;
  /** 0: any free port. */
  port: number;
  /** A link was used; the one for the next browser. */
  onNewLink?: (link: string) => void;
}

export class WebHost {
  readonly #options: WebHostOptions;
  readonly #files: Map<string, PageFile>;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #sessions = new Set<string>(); // sha-256 of each cookie value
  #token = randomBytes(32).toString('base64url');
  #port = 0;

  constructor(options: WebHostOptions) {
    this.#options = options;
    this.#files = readPageFiles(options.pageDir);
    this.#server = createServer((request, response) => this.#onRequest(request, response));
    this.#server.headersTimeout = 10_000;
    this.#server.requestTimeout = 20_000;
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  /** @returns the link to open; it works once. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, HOST, resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    return this.link;
  }

  get link(): string { return `http://${HOST}:${this.#port}/open/${this.#token}`; }
  get origin(): string { return `http://${HOST}:${this.#port}`; }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => { this.#server.close(() => resolve()); });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const nonce = newNonce();
    for (const [header, value] of Object.entries(policyHeaders(nonce, [`ws://${request.headers.host ?? ''}${SOCKET_PATH}`]))) {
      if (isHeaderSafe(value)) response.setHeader(header, value);
    }
    response.setHeader('Cache-Control', 'no-store');
    if (!this.#isOurHost(request)) return answer(response, 403, 'This address is not served here.');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return answer(response, 405, 'Only GET is served.');
    }
    const { origin } = request.headers;
    if (origin !== undefined && !this.#isOurOrigin(request)) return answer(response, 403, 'Requests of other sites are refused.');
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (path.startsWith('/open/')) return this.#onLink(path.slice('/open/'.length), response);
    const site = request.headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return answer(response, 403, 'Requests of other sites are refused.');
    if (!this.#hasSession(request)) return answer(response, 401, 'Open ACRN Desktop with the link that was printed in the terminal. Each link works once.');
    const file = this.#files.get(path);
    if (file === undefined) return answer(response, 404, 'There is no such file.');
    response.setHeader('Content-Type', file.type);
    if (file.immutable) response.setHeader('Cache-Control', 'private, max-age=31536000, immutable');
    const body = withNonce(file, nonce);
    response.setHeader('Content-Length', body.length);
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  /** Exchanges the link's token for a session. */
  #onLink(token: string, response: ServerResponse): void {
    if (!sameSecret(token, this.#token)) return answer(response, 401, 'This link has been used, or belongs to an earlier run. Take the newest one from the terminal.');
    this.#token = randomBytes(32).toString('base64url');
    const cookie = randomBytes(32).toString('base64url');
    this.#sessions.add(digest(cookie));
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(this.#sessions.values().next().value ?? '');
    response.setHeader('Set-Cookie', `${this.#cookieName}=${cookie}; Path=/; HttpOnly; SameSite=Strict`);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><link rel="icon" type="image/svg+xml" href="/icon.svg"><title>ACRN Desktop</title></head><body><p>Opening ACRN Desktop. <a href="/">Continue</a></p></body></html>');
    this.#options.onNewLink?.(this.link);
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const refuse = (status: string): void => { socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`); };
    if (!this.#isOurHost(request)) return refuse('403 Forbidden');
    if (!this.#isOurOrigin(request)) return refuse('403 Forbidden');
    if (!this.#hasSession(request)) return refuse('401 Unauthorized');
    if (request.url !== SOCKET_PATH) return refuse('404 Not Found');
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#onSocket(client));
  }

  #onSocket(socket: WebSocket): void {
    const send = (message: unknown): void => { if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message)); };
    const session: Session = this.#options.services.connect({
      send: (event, data) => send({ event, data }),
      bufferedBytes: () => socket.bufferedAmount,
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => session.close());
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? undefined : parseCall(data.toString());
      if (message === undefined) return socket.close(1008, 'not a call of the contract');
      session.call(message.call, message.request).then(
        (reply) => send({ id: message.id, reply }),
        (error: unknown) => send({ id: message.id, problem: toProblem(error) }),
      );
    });
  }

  /** DNS rebinding: a page of another site may point its own name at this address, but sends that name. */
  #isOurHost(request: IncomingMessage): boolean {
    return request.headers.host === `${HOST}:${this.#port}` || request.headers.host === `localhost:${this.#port}`;
  }

  #isOurOrigin(request: IncomingMessage): boolean {
    return request.headers.origin === `http://${request.headers.host}`;
  }

  #hasSession(request: IncomingMessage): boolean {
    for (const pair of (request.headers.cookie ?? '').split(';')) {
      const at = pair.indexOf('=');
      if (pair.slice(0, at).trim() === this.#cookieName && this.#sessions.has(digest(pair.slice(at + 1).trim()))) return true;
    }
    return false;
  }

  /** Cookies know no ports: the name keeps two servers of one user apart. */
  get #cookieName(): string { return `acrn_session_${this.#port}`; }
}

function parseCall(text: string): z.infer<typeof callMessage> | undefined {
  try {
    return callMessage.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function digest(secret: string): string { return createHash('sha256').update(secret).digest('hex'); }

function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}

/** The Host header comes from outside and ends up in a header of ours. */
function isHeaderSafe(value: string): boolean { return /^[\x20-\x7e]*$/.test(value); }

function answer(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`${text}\n`);
}
