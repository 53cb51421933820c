/**
 * One guest console's fan-out: bytes go to any number of viewers, and a headless terminal keeps the screen and its
 * scrollback, so that a viewer can come, go and come again.
 *
 * A viewer gets output in batches. When a guest floods, a batch holds the newest MAX_BATCH bytes and says how many
 * were left out, and the next one waits until a person could have followed: keeping the screen must not slow down the
 * device, with which it shares a thread. The host node (PTY, file, socket) is a separate path and loses nothing here.
 */
import headless from '@xterm/headless';
import { SerializeAddon } from '@xterm/addon-serialize';

const SCROLLBACK_LINES = 5000;
const BATCH_MS = 12;
const MAX_BATCH = 256 << 10;
/** The most that is parsed in the long run. */
const BYTES_PER_MS = 2000;

/** A byte stream as a string of one char per byte, the form in which console data crosses processes. */
export const toBinaryString = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
export const fromBinaryString = (data: string): Uint8Array => Buffer.from(data, 'latin1');

export class ConsoleHub {
  readonly #terminal = new headless.Terminal({ cols: 80, rows: 25, scrollback: SCROLLBACK_LINES, allowProposedApi: true, logLevel: 'off' });
  readonly #serializer = new SerializeAddon();
  readonly #inject: (bytes: Uint8Array) => number;
  readonly #deliver: (data: string) => void;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #skipped = 0;
  #timer: NodeJS.Timeout | undefined;
  #batchMs = BATCH_MS;
  #viewers = 0;
  /** Snapshots being taken: output waits, so that each byte is in a snapshot or follows it, never both or neither. */
  #snapshots = 0;
  #closed = false;
  readonly #whenClosed = Promise.withResolvers<void>();

  /**
   * @param inject types bytes into the console as its node would
   * @param deliver takes batches while at least one viewer is attached
   */
  constructor(inject: (bytes: Uint8Array) => number, deliver: (data: string) => void) {
    this.#inject = inject;
    this.#deliver = deliver;
    this.#terminal.loadAddon(this.#serializer);
  }

  /** Guest output. The bytes are copied. */
  output(bytes: Uint8Array): void {
    if (this.#closed) return;
    const kept = bytes.length > MAX_BATCH ? bytes.subarray(bytes.length - MAX_BATCH) : bytes;
    this.#skipped += bytes.length - kept.length;
    this.#pending.push(Uint8Array.from(kept));
    this.#pendingBytes += kept.length;
    while (this.#pendingBytes - this.#pending[0].length >= MAX_BATCH) {
      const dropped = this.#pending.shift()!;
      this.#pendingBytes -= dropped.length;
      this.#skipped += dropped.length;
    }
    this.#schedule();
  }

  /** Screen and scrollback as a terminal byte stream; output follows through `deliver` until detach(). */
  async attach(): Promise<string> {
    this.#flush();
    this.#snapshots += 1;
    await Promise.race([new Promise<void>((resolve) => this.#terminal.write('', resolve)), this.#whenClosed.promise]);
    if (this.#closed) return '';
    this.#snapshots -= 1;
    this.#viewers += 1;
    this.#schedule();
    return toBinaryString(Buffer.from(this.#serializer.serialize({ scrollback: SCROLLBACK_LINES }), 'utf8'));
  }

  detach(): void {
    this.#viewers = Math.max(0, this.#viewers - 1);
  }

  /** @returns how many bytes the device took */
  write(data: string): number {
    return this.#inject(fromBinaryString(data));
  }

  close(): void {
    this.#snapshots = 0;
    this.#flush();
    this.#closed = true;
    this.#whenClosed.resolve();
    this.#terminal.dispose();
  }

  #schedule(): void {
    if (this.#pendingBytes > 0) this.#timer ??= setTimeout(() => this.#flush(), this.#batchMs);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pendingBytes === 0 || this.#snapshots > 0) return;
    const bytes = Buffer.concat(this.#pending);
    const notice = this.#skipped > 0 ? `\r\n[${this.#skipped} bytes not shown]\r\n` : '';
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#skipped = 0;
    this.#batchMs = Math.max(BATCH_MS, bytes.length / BYTES_PER_MS);
    if (notice) this.#terminal.write(notice);
    this.#terminal.write(bytes);
    if (this.#viewers > 0) this.#deliver(notice + toBinaryString(bytes));
  }
}
