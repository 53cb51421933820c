/**
 * A 16550 UART without its bus: the LPC COM ports and the PCI uart share it.
 *
 * @spec   TL16C550C data sheet (registers, FIFO, interrupt priorities); reference/acrn-device-model.md section 2.2
 * @cover  #Y both FIFOs' semantics, all four interrupt causes, loopback, DLAB, scratch   #P break and parity are stored, nothing breaks
 * @differ A byte leaves at once, whatever the divisor says; the receive timeout needs no timer: fewer bytes than the
 *         trigger level are reported as a timeout right away.
 */
import type { CharBackend } from '../backends_if.ts';

const REG_DATA = 0; // RBR, THR, DLL
const REG_IER = 1; //  IER, DLH
const REG_IIR = 2; //  IIR, FCR
const REG_LCR = 3;
const REG_MCR = 4;
const REG_LSR = 5;
const REG_MSR = 6;
const REG_SCR = 7;

const IER_ERXRDY = 0x01;
const IER_ETXRDY = 0x02;
const IER_ERLS = 0x04;
const IER_EMSC = 0x08;
const IIR_FIFO = 0xc0;
const IIR_RLS = 0x06;
const IIR_RXTOUT = 0x0c;
const IIR_RXRDY = 0x04;
const IIR_TXRDY = 0x02;
const IIR_MLSC = 0x00;
const IIR_NOPEND = 0x01;
const FCR_ENABLE = 0x01;
const FCR_RX_RESET = 0x02;
const FCR_KEPT = 0xc9; // enable, DMA mode, trigger level
const LCR_DLAB = 0x80;
const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08;
const MCR_LOOPBACK = 0x10;
const LSR_RXRDY = 0x01;
const LSR_OE = 0x02;
const LSR_THRE = 0x20;
const LSR_TEMT = 0x40;
const MSR_DCTS = 0x01;
const MSR_DDSR = 0x02;
const MSR_TERI = 0x04;
const MSR_DDCD = 0x08;
const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;
const MSR_DELTA = 0x0f;

const RX_FIFO_BYTES = 256;
const RESET_DIVISOR = 12; // 9600 baud
const TRIGGER_LEVELS = [1, 4, 8, 14];

/** What vCPU threads may do without asking: sos/vhm_if.ts PortShortcut, of one register. */
export interface RegisterShortcut { answer(value: number | undefined): void; post(on: boolean): void; release(): void }
export type ShortcutFor = (register: number, take: (bytes: Uint8Array) => void) => RegisterShortcut | undefined;

/** What the bus does with the interrupt output. */
export interface UartInterrupt { assert(): void; deassert(): void }

export class UartCore {
  readonly #interrupt: UartInterrupt;
  readonly #backend: CharBackend | undefined;
  readonly #unsubscribe: () => void;
  #rx: number[] = [];
  #dll = 0;
  #dlh = 0;
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #lsrOverrun = false;
  #msr = 0;
  #scr = 0;
  #threPending = true;
  #paused = false;
  #line = false;
  #closed = false;
  readonly #thr: RegisterShortcut | undefined;
  readonly #quiet: ReadonlyArray<{ register: number; shortcut: RegisterShortcut | undefined }>;

  /** A UART without a backend is a dead end: bytes vanish, none arrive. */
  constructor(interrupt: UartInterrupt, backend: CharBackend | undefined, shortcut: ShortcutFor = () => undefined) {
    this.#interrupt = interrupt;
    this.#backend = backend;
    this.#thr = shortcut(REG_DATA, (bytes) => this.#transmit(bytes));
    this.#quiet = [REG_IER, REG_LSR, REG_MSR].map((register) => ({ register, shortcut: shortcut(register, () => {}) })); // read, never posted
    this.#unsubscribe = backend?.onReady(() => this.#drain()) ?? (() => {});
    this.reset();
  }

  reset(): void {
    this.#dll = RESET_DIVISOR & 0xff;
    this.#dlh = RESET_DIVISOR >> 8;
    this.#ier = 0;
    this.#fcr = 0;
    this.#lcr = 0;
    this.#mcr = 0;
    this.#scr = 0;
    this.#msr = this.#modemStatus();
    this.#lsrOverrun = false;
    this.#threPending = true;
    this.#rx = [];
    this.#update();
    this.#resume();
  }

  read(offset: number): number {
    if (this.#lcr & LCR_DLAB && offset <= REG_IER) return offset === REG_DATA ? this.#dll : this.#dlh;
    let value = 0xff;
    switch (offset) {
      case REG_DATA: value = this.#rx.shift() ?? 0xff; this.#resume(); break;
      case REG_IER: value = this.#ier; break;
      case REG_IIR: {
        const reason = this.#reason();
        if (reason === IIR_TXRDY) this.#threPending = false;
        value = reason | (this.#fcr & FCR_ENABLE ? IIR_FIFO : 0);
        break;
      }
      case REG_LCR: value = this.#lcr; break;
      case REG_MCR: value = this.#mcr; break;
      case REG_LSR:
        value = this.#lineStatus();
        this.#lsrOverrun = false;
        break;
      case REG_MSR: value = this.#msr; this.#msr &= ~MSR_DELTA; break;
      case REG_SCR: value = this.#scr; break;
    }
    this.#update();
    return value;
  }

  write(offset: number, value: number): void {
    if (this.#lcr & LCR_DLAB && offset <= REG_IER) {
      if (offset === REG_DATA) this.#dll = value;
      else this.#dlh = value;
      this.#publish();
      return;
    }
    switch (offset) {
      case REG_DATA:
        this.#transmit(Uint8Array.of(value));
        return;
      case REG_IER:
        if ((value & IER_ETXRDY) !== 0 && (this.#ier & IER_ETXRDY) === 0) this.#threPending = true; // the holding register is empty
        this.#ier = value & 0x0f;
        break;
      case REG_IIR: this.#writeFcr(value); break;
      case REG_LCR: this.#lcr = value; break;
      case REG_MCR: this.#mcr = value & 0x1f; this.#updateModem(); break;
      case REG_SCR: this.#scr = value; break;
    }
    this.#update();
    this.#resume();
  }

  /** Written to THR, one by one or as many as were posted. */
  #transmit(bytes: Uint8Array): void {
    if (this.#mcr & MCR_LOOPBACK) bytes.forEach((byte) => this.#receive(byte));
    else if (!this.#closed) this.#backend?.write(bytes);
    this.#threPending = true;
    this.#update();
    this.#resume();
  }

  /** What reading a register would give, where it would change nothing. */
  #quietValue(register: number): number | undefined {
    if (register === REG_IER) return this.#lcr & LCR_DLAB ? this.#dlh : this.#ier;
    if (register === REG_MSR) return this.#msr & MSR_DELTA ? undefined : this.#msr;
    return this.#lsrOverrun ? undefined : this.#lineStatus();
  }

  #lineStatus(): number { return LSR_THRE | LSR_TEMT | (this.#rx.length > 0 ? LSR_RXRDY : 0) | (this.#lsrOverrun ? LSR_OE : 0); }

  #publish(): void {
    this.#thr?.post((this.#lcr & LCR_DLAB) === 0 && (this.#mcr & MCR_LOOPBACK) === 0);
    for (const { register, shortcut } of this.#quiet) shortcut?.answer(this.#quietValue(register));
  }

  /** Level of the interrupt output. */
  get pending(): boolean { return this.#line; }

  async close(): Promise<void> {
    this.#thr?.release();
    for (const { shortcut } of this.#quiet) shortcut?.release();
    this.#closed = true;
    this.#unsubscribe();
    await this.#backend?.close();
  }

  #writeFcr(value: number): void {
    const enabledBefore = (this.#fcr & FCR_ENABLE) !== 0;
    const enabled = (value & FCR_ENABLE) !== 0;
    if (enabledBefore !== enabled || value & FCR_RX_RESET) this.#rx = []; // changing FCR0 clears both FIFOs
    this.#fcr = enabled ? value & FCR_KEPT : 0;
  }

  #capacity(): number { return this.#fcr & FCR_ENABLE ? RX_FIFO_BYTES : 1; }

  #receive(byte: number): void {
    if (this.#rx.length >= this.#capacity()) {
      this.#lsrOverrun = true;
      if (!(this.#fcr & FCR_ENABLE)) this.#rx[0] = byte; // the receiver buffer register is overwritten, a FIFO is not
      return;
    }
    this.#rx.push(byte);
  }

  /** Takes what the FIFO has room for; the backend keeps the rest. */
  #drain(): void {
    if (this.#closed || !this.#backend) return;
    if (this.#mcr & MCR_LOOPBACK) { // the receiver is cut off from the line
      this.#backend.read(RX_FIFO_BYTES);
      return;
    }
    const room = this.#capacity() - this.#rx.length;
    if (room > 0) for (const byte of this.#backend.read(room)) this.#rx.push(byte);
    const full = this.#rx.length >= this.#capacity();
    if (full !== this.#paused) {
      this.#paused = full;
      this.#backend.pauseInput(full);
    }
    this.#update();
  }

  #resume(): void {
    if (!this.#paused || this.#rx.length >= this.#capacity()) return;
    this.#paused = false;
    this.#backend?.pauseInput(false);
    this.#drain();
  }

  #modemStatus(): number {
    if (!(this.#mcr & MCR_LOOPBACK)) return MSR_DCD | MSR_DSR | MSR_CTS;
    return (this.#mcr & MCR_RTS ? MSR_CTS : 0) | (this.#mcr & MCR_DTR ? MSR_DSR : 0) | (this.#mcr & MCR_OUT1 ? MSR_RI : 0) | (this.#mcr & MCR_OUT2 ? MSR_DCD : 0);
  }

  #updateModem(): void {
    const now = this.#modemStatus();
    const changed = now ^ this.#msr;
    let delta = this.#msr & MSR_DELTA;
    if (changed & MSR_CTS) delta |= MSR_DCTS;
    if (changed & MSR_DSR) delta |= MSR_DDSR;
    if (changed & MSR_DCD) delta |= MSR_DDCD;
    if (changed & MSR_RI && !(now & MSR_RI)) delta |= MSR_TERI; // trailing edge only
    this.#msr = now | delta;
  }

  #reason(): number {
    if (this.#lsrOverrun && this.#ier & IER_ERLS) return IIR_RLS;
    if (this.#rx.length > 0 && this.#ier & IER_ERXRDY) {
      const trigger = this.#fcr & FCR_ENABLE ? TRIGGER_LEVELS[this.#fcr >> 6] : 1;
      return this.#rx.length >= trigger ? IIR_RXRDY : IIR_RXTOUT;
    }
    if (this.#threPending && this.#ier & IER_ETXRDY) return IIR_TXRDY;
    if (this.#msr & MSR_DELTA && this.#ier & IER_EMSC) return IIR_MLSC;
    return IIR_NOPEND;
  }

  #update(): void {
    this.#publish(); // before the interrupt: its handler reads them
    const line = this.#reason() !== IIR_NOPEND;
    if (line === this.#line) return;
    this.#line = line;
    if (line) this.#interrupt.assert();
    else this.#interrupt.deassert();
  }
}
