/**
 * The engine from the page's side: Electron's bridge where there is one, else a WebSocket to the server of the page.
 *
 * @spec   engine/contract/engine_api.ts
 * @cover  #Y calls, events, reconnect with growing delay; open calls fail when the connection does
 * @differ none
 */
import type { CommandName, CommandReplies, EngineApi, EventName, Events, Problem } from '../engine/contract/engine_api.ts';
import type { EngineBridge } from '../engine/contract/bridge.ts';

export type Connection = 'connecting' | 'open' | 'lost';

export interface Transport extends EngineApi {
  connection(): Connection;
  /** Called at every change; after each 'open' the listener reads everything anew. */
  onConnection(listener: (connection: Connection) => void): () => void;
}

/** EngineApi rejects with this. */
export class EngineError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(`${problem.what}: ${problem.why}`);
    this.name = 'EngineError';
    this.problem = problem;
  }
}

export function problemOf(error: unknown): Problem {
  if (error instanceof EngineError) return error.problem;
  return { code: 'INTERNAL', what: 'Something went wrong', why: error instanceof Error ? error.message : String(error), todo: 'Try again' };
}

export function openTransport(): Transport {
  const bridge = (window as { acrn?: EngineBridge }).acrn;
  return bridge === undefined ? new SocketTransport(`ws://${location.host}/api`) : new BridgeTransport(bridge);
}

type Listeners = { [K in EventName]?: Set<(event: Events[K]) => void> };

function addListener<K extends EventName>(listeners: Listeners, name: K, listener: (event: Events[K]) => void): () => void {
  const known = (listeners[name] ??= new Set() as never) as Set<(event: Events[K]) => void>;
  known.add(listener);
  return () => { known.delete(listener); };
}

class BridgeTransport implements Transport {
  readonly #bridge: EngineBridge;
  constructor(bridge: EngineBridge) { this.#bridge = bridge; }

  async call<K extends CommandName>(name: K, request: never): Promise<CommandReplies[K]> {
    const answer = await this.#bridge.call(name, request);
    if ('problem' in answer) throw new EngineError(answer.problem);
    return answer.reply as CommandReplies[K];
  }
  on<K extends EventName>(name: K, listener: (event: Events[K]) => void): () => void {
    return this.#bridge.on(name, listener as (event: unknown) => void);
  }
  connection(): Connection { return 'open'; }
  onConnection(): () => void { return () => {}; }
}

interface OpenCall { resolve: (reply: never) => void; reject: (error: Error) => void }

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5000;

export class SocketTransport implements Transport {
  readonly #address: string;
  readonly #listeners: Listeners = {};
  readonly #connectionListeners = new Set<(connection: Connection) => void>();
  readonly #open = new Map<number, OpenCall>();
  #waiting: string[] = [];
  #socket: WebSocket | undefined;
  #connection: Connection = 'connecting';
  #retryMs = FIRST_RETRY_MS;
  #nextId = 1;

  constructor(address: string) {
    this.#address = address;
    this.#connect();
  }

  call<K extends CommandName>(name: K, request: unknown): Promise<CommandReplies[K]> {
    if (this.#connection === 'lost') return Promise.reject(connectionLost(name));
    const id = this.#nextId++;
    const message = JSON.stringify({ id, call: name, request });
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve: resolve as (reply: never) => void, reject });
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
      else this.#waiting.push(message);
    });
  }

  on<K extends EventName>(name: K, listener: (event: Events[K]) => void): () => void { return addListener(this.#listeners, name, listener); }
  connection(): Connection { return this.#connection; }
  onConnection(listener: (connection: Connection) => void): () => void {
    this.#connectionListeners.add(listener);
    return () => { this.#connectionListeners.delete(listener); };
  }

  #connect(): void {
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#retryMs = FIRST_RETRY_MS;
      for (const message of this.#waiting.splice(0)) socket.send(message);
      this.#set('open');
    };
    socket.onmessage = ({ data }) => this.#onMessage(String(data));
    socket.onclose = () => {
      this.#waiting = [];
      for (const { reject } of this.#open.values()) reject(connectionLost('The request'));
      this.#open.clear();
      this.#set('lost');
      setTimeout(() => this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    };
  }

  #onMessage(text: string): void {
    const message = JSON.parse(text) as { id: number; reply?: unknown; problem?: Problem } | { event: EventName; data: never };
    if ('event' in message) {
      for (const listener of this.#listeners[message.event] ?? []) listener(message.data);
      return;
    }
    const open = this.#open.get(message.id);
    if (open === undefined) return;
    this.#open.delete(message.id);
    if (message.problem !== undefined) open.reject(new EngineError(message.problem));
    else open.resolve(message.reply as never);
  }

  #set(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    for (const listener of this.#connectionListeners) listener(connection);
  }
}

function connectionLost(what: string): EngineError {
  return new EngineError({ code: 'CONNECTION_LOST', what: `${what} was not answered`, why: 'the connection to ACRN Desktop is lost', todo: 'It reconnects by itself; if the server was ended, start it again' });
}
