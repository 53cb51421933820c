/**
 * One console of one VM: a terminal that outlives the views that show it.
 *
 * @spec   engine/contract/engine_api.ts, console.*
 * @cover  #Y attach, reattach after a reconnect or a restart of the VM, search, copy, paste; bytes never meet React
 * @differ Guest escape sequences cannot write this computer's clipboard (OSC 52) nor open links.
 */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { Terminal } from '@xterm/xterm';
import type { Transport } from '../../transport.ts';
import { tellProblem } from '../../state/notices.ts';
import { fromBytes, toBytes } from './bytes.ts';

const SCROLLBACK_LINES = 10_000;
const WRITE_BYTES = 32_768;

export class ConsoleSession {
  readonly name: string;
  readonly consoleId: string;
  readonly terminal: Terminal;
  readonly search = new SearchAddon();
  readonly #engine: Transport;
  readonly #fit = new FitAddon();
  readonly #element = document.createElement('div');
  readonly #stopListening: Array<() => void>;
  #opened = false;
  /** The scrollback is being replayed: questions in it were answered when it was new. */
  #replaying = false;
  #attachedTo: number | undefined;
  #writes: Promise<unknown> = Promise.resolve();
  #onSearch: (() => void) | undefined;
  #quiet = false;
  readonly #quietListeners = new Set<() => void>();

  constructor(engine: Transport, name: string, consoleId: string) {
    this.#engine = engine;
    this.name = name;
    this.consoleId = consoleId;
    this.#element.className = 'terminal-host';
    this.terminal = new Terminal({
      allowProposedApi: true, // search highlights
      fontFamily: 'ui-monospace, "JetBrains Mono", "SF Mono", Menlo, Consolas, "Noto Sans Mono", "DejaVu Sans Mono", monospace',
      fontSize: 13,
      lineHeight: 1.15,
      cursorBlink: true,
      scrollback: SCROLLBACK_LINES,
      screenReaderMode: false,
      linkHandler: { activate: () => {}, allowNonHttpProtocols: false },
      theme: THEME,
    });
    this.terminal.loadAddon(this.#fit);
    this.terminal.loadAddon(this.search);
    this.terminal.attachCustomKeyEventHandler((event) => this.#onKey(event));
    this.terminal.onData((text) => this.#send(toBytes(text)));
    this.terminal.onBinary((bytes) => this.#send(bytes));
    this.#stopListening = [
      engine.on('console.output', (output) => {
        if (output.name !== name || output.consoleId !== consoleId) return;
        this.terminal.write(fromBytes(output.data));
        this.#setQuiet(false);
      }),
      engine.onConnection((connection) => { if (connection !== 'open') this.#attachedTo = undefined; }),
    ];
  }

  /** Attached, and the guest has not written anything yet. */
  readonly isQuiet = (): boolean => this.#quiet;
  readonly onQuiet = (listener: () => void): (() => void) => {
    this.#quietListeners.add(listener);
    return () => { this.#quietListeners.delete(listener); };
  };

  /** Follows the VM: attaches when it runs, once per run. */
  follow(startedAt: number | undefined): void {
    if (startedAt === undefined) { this.#attachedTo = undefined; this.#setQuiet(false); return; }
    if (this.#attachedTo === startedAt) return;
    if (this.#attachedTo !== undefined) this.#detach(); // the VM was started anew without an end in between
    this.#attachedTo = startedAt;
    void this.#attach(startedAt);
  }

  mount(parent: HTMLElement): void {
    parent.append(this.#element);
    if (!this.#opened) {
      this.#opened = true;
      this.terminal.open(this.#element);
    }
    this.fit();
  }
  /** The search key was pressed in the terminal. One listener; returns its own removal. */
  onSearchKey(listener: () => void): () => void {
    this.#onSearch = listener;
    return () => { this.#onSearch = undefined; };
  }
  unmount(): void { this.#element.remove(); }
  fit(): void { if (this.#element.clientHeight > 0) this.#fit.fit(); }
  focus(): void { this.terminal.focus(); }

  close(): void {
    for (const stop of this.#stopListening) stop();
    if (this.#attachedTo !== undefined) this.#detach();
    this.terminal.dispose();
    this.#element.remove();
  }

  #setQuiet(quiet: boolean): void {
    if (quiet === this.#quiet) return;
    this.#quiet = quiet;
    for (const listener of this.#quietListeners) listener();
  }

  #detach(): void { this.#engine.call('console.detach', { name: this.name, consoleId: this.consoleId }).catch(() => {}); } // the VM may be gone

  async #attach(startedAt: number): Promise<void> {
    try {
      this.#replaying = true;
      const { scrollback } = await this.#engine.call('console.attach', { name: this.name, consoleId: this.consoleId });
      this.terminal.reset();
      this.#setQuiet(scrollback === '');
      this.terminal.write(fromBytes(scrollback), () => { this.#replaying = false; });
    } catch (error) {
      this.#replaying = false;
      if (this.#attachedTo === startedAt) this.#attachedTo = undefined;
      if (this.#engine.connection() === 'open') tellProblem(error);
    }
  }

  /** In order, in pieces of the contract's size; what the console did not take yet is offered again. */
  #send(bytes: string): void {
    if (this.#replaying || this.#attachedTo === undefined) return;
    this.#writes = this.#writes.then(async () => {
      let rest = bytes;
      while (rest !== '' && this.#attachedTo !== undefined) {
        const piece = rest.slice(0, WRITE_BYTES);
        const { taken } = await this.#engine.call('console.write', { name: this.name, consoleId: this.consoleId, data: piece });
        rest = rest.slice(taken);
        if (taken < piece.length) await new Promise((resolve) => { setTimeout(resolve, 30); });
      }
    }).catch((error: unknown) => { if (this.#attachedTo !== undefined) tellProblem(error); });
  }

  #onKey(event: KeyboardEvent): boolean {
    if (event.type !== 'keydown') return true;
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyF') { event.preventDefault(); this.#onSearch?.(); return false; }
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyC') {
      event.preventDefault();
      if (this.terminal.hasSelection()) navigator.clipboard?.writeText(this.terminal.getSelection()).catch(tellProblem);
      return false;
    }
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyV') return false; // the browser pastes
    if (event.ctrlKey && event.code === 'F6') { event.preventDefault(); document.querySelector<HTMLElement>('[data-console-tab][aria-selected="true"]')?.focus(); return false; }
    return true;
  }
}

const THEME = {
  background: '#0f1218', foreground: '#d9dee7', cursor: '#d9dee7', cursorAccent: '#0f1218', selectionBackground: '#3b5bdb80',
  black: '#1c212b', red: '#ff6b6b', green: '#51cf66', yellow: '#fcc419', blue: '#5c8bff', magenta: '#cc5de8', cyan: '#3bc9db', white: '#ced4da',
  brightBlack: '#6b7484', brightRed: '#ff8787', brightGreen: '#69db7c', brightYellow: '#ffd43b', brightBlue: '#7aa2ff', brightMagenta: '#da77f2', brightCyan: '#66d9e8', brightWhite: '#f8f9fa',
};
