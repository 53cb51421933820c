/**
 * Fans console output out to clients: the NUC sends each console's bytes once, each client gets them in batches,
 * and a client that does not keep up loses its own oldest bytes, never another's.
 *
 * @spec   design.md section 6
 * @cover  #Y reference counts per client, batching, back-pressure with a visible note, detach on disconnect
 * @differ Nothing is resent to a client that fell behind by more than QUEUE_BYTES; it is told how much it missed.
 */
export const BATCH_MS = 10;
const HELD_BACK_MS = 50;
/** A client with more than this on its way gets nothing new until it has read some. */
const CLIENT_HIGH_BYTES = 512 * 1024;
const QUEUE_BYTES = 256 * 1024;
/** One event; keeps a message well below a megabyte. */
const CHUNK_BYTES = 64 * 1024;

export interface ConsoleClient {
  output(name: string, consoleId: string, data: string): void;
  /** Bytes handed over that have not left yet. */
  bufferedBytes(): number;
}

export interface ConsoleSource {
  /** Calls `onReply` in the turn of the reply, so that no output is lost or doubled between both. */
  attach(name: string, consoleId: string, onReply: (scrollback: string) => void): Promise<void>;
  /** Once for every attach. */
  detach(name: string, consoleId: string): void;
}

/** Calls back once after `ms`; tests bring their own. */
export type Schedule = (callback: () => void, ms: number) => void;

interface Subscription {
  name: string;
  consoleId: string;
  count: number;
  queue: string[];
  queuedBytes: number;
  droppedBytes: number;
}

const keyOf = (name: string, consoleId: string): string => `${name}\n${consoleId}`;

export class ConsoleHub {
  readonly #source: ConsoleSource;
  readonly #schedule: Schedule;
  readonly #clients = new Map<ConsoleClient, Map<string, Subscription>>();
  #scheduled = false;

  constructor(source: ConsoleSource, schedule: Schedule) {
    this.#source = source;
    this.#schedule = schedule;
  }

  async attach(client: ConsoleClient, name: string, consoleId: string): Promise<{ scrollback: string }> {
    const key = keyOf(name, consoleId);
    let scrollback = '';
    let present = true;
    await this.#source.attach(name, consoleId, (bytes) => {
      scrollback = bytes;
      const subscriptions = this.#clients.get(client);
      if (subscriptions === undefined) { present = false; return; }
      const existing = subscriptions.get(key);
      if (existing !== undefined) {
        this.#send(client, existing); // what came before the snapshot leaves before the snapshot
        existing.count += 1;
      } else {
        subscriptions.set(key, { name, consoleId, count: 1, queue: [], queuedBytes: 0, droppedBytes: 0 });
      }
    });
    if (!present) this.#source.detach(name, consoleId);
    return { scrollback };
  }

  detach(client: ConsoleClient, name: string, consoleId: string): void {
    const key = keyOf(name, consoleId);
    const subscription = this.#clients.get(client)?.get(key);
    if (subscription === undefined) return;
    subscription.count -= 1;
    if (subscription.count === 0) this.#clients.get(client)?.delete(key);
    this.#source.detach(name, consoleId);
  }

  add(client: ConsoleClient): void { this.#clients.set(client, new Map()); }

  remove(client: ConsoleClient): void {
    const subscriptions = this.#clients.get(client);
    if (subscriptions === undefined) return;
    this.#clients.delete(client);
    for (const { name, consoleId, count } of subscriptions.values()) {
      for (let each = 0; each < count; each += 1) this.#source.detach(name, consoleId);
    }
  }

  /** The VM ended, or the NUC did: whatever is queued still goes out, then nobody is attached to it. */
  forget(name: string): void {
    for (const [client, subscriptions] of this.#clients) {
      for (const [key, subscription] of subscriptions) {
        if (subscription.name !== name) continue;
        this.#send(client, subscription);
        subscriptions.delete(key);
      }
    }
  }

  output(name: string, consoleId: string, data: string): void {
    const key = keyOf(name, consoleId);
    for (const subscriptions of this.#clients.values()) {
      const subscription = subscriptions.get(key);
      if (subscription === undefined) continue;
      subscription.queue.push(data);
      subscription.queuedBytes += data.length;
      trim(subscription);
      this.#wake(BATCH_MS);
    }
  }

  #wake(ms: number): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => { this.#scheduled = false; this.#flush(); }, ms);
  }

  #flush(): void {
    let heldBack = false;
    for (const [client, subscriptions] of this.#clients) {
      for (const subscription of subscriptions.values()) {
        if (subscription.queuedBytes === 0) continue;
        if (client.bufferedBytes() > CLIENT_HIGH_BYTES) { heldBack = true; continue; }
        this.#send(client, subscription);
      }
    }
    if (heldBack) this.#wake(HELD_BACK_MS);
  }

  #send(client: ConsoleClient, subscription: Subscription): void {
    if (subscription.queuedBytes === 0) return;
    const { name, consoleId, droppedBytes } = subscription;
    const data = subscription.queue.join('');
    subscription.queue = [];
    subscription.queuedBytes = 0;
    subscription.droppedBytes = 0;
    if (droppedBytes > 0) client.output(name, consoleId, `\r\n\x1b[0;7m ${droppedBytes} bytes were not shown: this window could not keep up \x1b[0m\r\n`);
    for (let at = 0; at < data.length; at += CHUNK_BYTES) client.output(name, consoleId, data.slice(at, at + CHUNK_BYTES));
  }
}

function trim(subscription: Subscription): void {
  while (subscription.queuedBytes > QUEUE_BYTES) {
    const oldest = subscription.queue[0] ?? '';
    const excess = subscription.queuedBytes - QUEUE_BYTES;
    const dropped = Math.min(oldest.length, excess);
    if (dropped === oldest.length) subscription.queue.shift();
    else subscription.queue[0] = oldest.slice(dropped);
    subscription.queuedBytes -= dropped;
    subscription.droppedBytes += dropped;
  }
}
