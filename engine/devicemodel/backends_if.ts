/** What devices need from this computer; engine/host implements it. No Node types here. */

/** A character device's other end: stdio, tty, pty, file, socket. */
export interface CharBackend {
  /** How a person finds it, e.g. /dev/pts/4, a file or socket path, 'stdio'. */
  readonly where: string;
  /** Takes what it can now and returns how many bytes that was; never blocks. -1: lost for good, with `error` set. */
  write(bytes: Uint8Array): number;
  /** A reader that keeps reading has plenty to read: what is not written now reaches it later, what is may push out older
   *  output. Turns false again soon, whatever the reader does, and onReady's listener is then called. */
  readonly busy?: boolean;
  /** At most max bytes that have arrived; empty when none. */
  read(max: number): Uint8Array;
  /** Called when read() has bytes again, or a client came or went. One listener; returns its own removal. */
  onReady(wake: () => void): () => void;
  /** Stops and starts reading from the host side (flow control while the guest has no room). */
  pauseInput(paused: boolean): void;
  readonly error: string | undefined;
  close(): Promise<void>;
}

/** A disk image. All offsets and lengths in bytes, within sizeBytes; errors reject with HostError. */
export interface BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, from: Uint8Array): Promise<void>;
  /**
   * The same in one go, to or from pieces of guest memory, before it returns. False: nothing may be relied on, take the
   * long way, which also tells what is wrong.
   */
  readAtOnce?(offset: number, into: readonly Uint8Array[]): boolean;
  writeAtOnce?(offset: number, from: readonly Uint8Array[]): boolean;
  /** Everything written so far is on the host's disk when this resolves (fdatasync). */
  flush(): Promise<void>;
  /** Punches a hole where the host can; a no-op otherwise. */
  discard(offset: number, length: number): Promise<void>;
  close(): Promise<void>;
}

export type CharBackendSpec =
  | { kind: 'stdio' }
  | { kind: 'pty' }
  | { kind: 'tty'; path: string }
  | { kind: 'file'; path: string }
  | { kind: 'socket'; path: string; role: 'server' | 'client' }
  | { kind: 'tcp'; port: number };

export interface HostBackends {
  /** `owner` names the device in messages, e.g. 'virtio-console pty_port' or 'com1'. Throws HostError. */
  openChar(spec: CharBackendSpec, owner: string): Promise<CharBackend>;
  openBlock(path: string, options: { readOnly: boolean; owner: string; range?: { start: number; length: number } }): Promise<BlockBackend>;
  /** Fills with bytes from the host's cryptographic generator. */
  random(into: Uint8Array): void;
  /** Wall clock, milliseconds since the epoch (RTC), and monotonic nanoseconds (timers). */
  wallClockMs(): number;
  monotonicNs(): number;
  /** Calls back once after `delayNs`; returns its cancellation. */
  setTimer(delayNs: number, fire: () => void): () => void;
}
