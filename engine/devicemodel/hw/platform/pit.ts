/**
 * 8254 interval timer at ports 0x40-0x43, and the timer bits of port 0x61.
 *
 * @spec   Intel 8254 data sheet; reference/acrn-device-model.md section 5.4
 * @cover  #Y modes 0, 2, 3, 4, latch and read-back commands, low, high and word access, gate of counter 2
 *         #P modes 1 and 5 count like 0 and 4 after a gate edge of counter 2   #N BCD (counts in binary)
 * @differ ACRN ignores writes to port 0x61; the gate and speaker bits work here, as early TSC calibration needs them.
 */
import type { HostBackends } from '../../backends_if.ts';
import type { GsiOperation } from '../../../sos/vhm_if.ts';
import { byteRegisters } from '../../core/inout.ts';
import type { InoutMap } from '../../core/inout.ts';

export const PIT_HZ = 1193182;
const PIT_GSI = 2; // ISA IRQ 0 by the MADT's override; the hypervisor drives PIC pin 0 with it
const NS_PER_TICK = 1e9 / PIT_HZ;
const CONTROL = 3;
const ACCESS_LATCH = 0;
const ACCESS_LOW = 1;
const ACCESS_HIGH = 2;
const ACCESS_WORD = 3;
const READ_BACK = 3; // counter select of the control word
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;
const STATUS_OUT = 0x80;
const STATUS_NULL_COUNT = 0x40;
const PORT61_GATE2 = 0x01;
const PORT61_SPEAKER = 0x02;
const PORT61_REFRESH = 0x10;
const PORT61_OUT2 = 0x20;
const REFRESH_NS = 15085;
const MIN_PERIOD_NS = 50_000;

type Host = Pick<HostBackends, 'monotonicNs' | 'setTimer'>;

class Counter {
  mode = 0;
  access = ACCESS_WORD;
  reload = 0x10000;
  /** When counting began; undefined: no count was loaded yet, or the gate is shut. */
  startNs: number | undefined;
  gate = true;
  writeLow: number | undefined;
  readHigh = false;
  latch: number | undefined;
  status: number | undefined;

  /** Ticks since the count was loaded. */
  ticks(nowNs: number): number { return this.startNs === undefined ? 0 : Math.max(0, Math.floor((nowNs - this.startNs) / NS_PER_TICK)); }

  count(nowNs: number): number {
    if (this.startNs === undefined) return this.reload & 0xffff;
    const ticks = this.ticks(nowNs);
    if (this.mode === 2) return (this.reload - (ticks % this.reload)) & 0xffff;
    if (this.mode === 3) return (this.reload - ((ticks * 2) % this.reload)) & 0xfffe; // counts by two
    return (this.reload - ticks) & 0xffff; // goes on below zero
  }

  /** The OUT pin. */
  out(nowNs: number): boolean {
    if (this.startNs === undefined) return this.mode !== 0;
    const ticks = this.ticks(nowNs);
    if (this.mode === 0 || this.mode === 1) return ticks >= this.reload;
    if (this.mode === 2) return ticks % this.reload !== this.reload - 1;
    if (this.mode === 3) return ticks % this.reload < Math.ceil(this.reload / 2);
    return ticks !== this.reload; // modes 4 and 5: one low tick
  }
}

export class Pit {
  readonly #host: Host;
  readonly #setIrqline: (gsi: number, operation: GsiOperation) => void;
  #counters = [new Counter(), new Counter(), new Counter()];
  #port61 = 0;
  #cancel: (() => void) | undefined;

  constructor(host: Host, setIrqline: (gsi: number, operation: GsiOperation) => void) {
    this.#host = host;
    this.#setIrqline = setIrqline;
    this.reset();
  }

  attach(inout: InoutMap): () => void {
    const release = inout.register('pit', 0x40, 4, byteRegisters((offset) => this.#read(offset), (offset, value) => this.#write(offset, value)));
    const releaseNmi = inout.register('pit 0x61', 0x61, 1, byteRegisters(() => this.#read61(), (_offset, value) => this.#write61(value)));
    return () => {
      release();
      releaseNmi();
    };
  }

  reset(): void {
    this.stop();
    this.#counters = [new Counter(), new Counter(), new Counter()];
    this.#counters[2].gate = false;
    this.#port61 = 0;
  }

  stop(): void { this.#cancel?.(); this.#cancel = undefined; }

  #read(offset: number): number {
    if (offset === CONTROL) return 0xff;
    const counter = this.#counters[offset];
    if (counter.status !== undefined) {
      const status = counter.status;
      counter.status = undefined;
      return status;
    }
    const value = counter.latch ?? counter.count(this.#host.monotonicNs());
    if (counter.access === ACCESS_LOW) { counter.latch = undefined; return value & 0xff; }
    if (counter.access === ACCESS_HIGH) { counter.latch = undefined; return value >> 8; }
    counter.readHigh = !counter.readHigh;
    if (counter.readHigh) {
      return value & 0xff;
    }
    counter.latch = undefined;
    return value >> 8;
  }

  #write(offset: number, value: number): void {
    if (offset === CONTROL) return this.#command(value);
    const counter = this.#counters[offset];
    if (counter.access === ACCESS_WORD) {
      if (counter.writeLow === undefined) {
        counter.writeLow = value;
        if (counter.mode === 0) { counter.startNs = undefined; if (offset === 0) this.stop(); } // the first byte stops mode 0
        return;
      }
      value = counter.writeLow | (value << 8);
      counter.writeLow = undefined;
    } else if (counter.access === ACCESS_HIGH) value <<= 8;
    counter.reload = value === 0 ? 0x10000 : value;
    if ((counter.mode === 2 || counter.mode === 3) && counter.reload === 1) counter.reload = 2; // 1 is illegal there
    counter.startNs = counter.gate ? this.#host.monotonicNs() : undefined;
    if (offset === 0) this.#schedule();
  }

  #command(value: number): void {
    const select = value >> 6;
    const nowNs = this.#host.monotonicNs();
    if (select === READ_BACK) {
      this.#counters.forEach((counter, i) => {
        if (!(value & (2 << i))) return;
        if (!(value & READ_BACK_NO_COUNT)) this.#latch(counter, nowNs);
        if (!(value & READ_BACK_NO_STATUS)) {
          counter.status ??= (counter.out(nowNs) ? STATUS_OUT : 0) | (counter.startNs === undefined ? STATUS_NULL_COUNT : 0) | (counter.access << 4) | (counter.mode << 1);
        }
      });
      return;
    }
    const counter = this.#counters[select];
    const access = (value >> 4) & 3;
    if (access === ACCESS_LATCH) return this.#latch(counter, nowNs);
    const mode = (value >> 1) & 7;
    counter.mode = mode > 5 ? mode - 4 : mode; // 6 and 7 are 2 and 3
    counter.access = access;
    counter.writeLow = undefined;
    counter.readHigh = false;
    counter.latch = undefined;
    counter.status = undefined;
    counter.startNs = undefined;
    if (select === 0) this.stop();
  }

  #latch(counter: Counter, nowNs: number): void {
    counter.latch ??= counter.count(nowNs);
  }

  #read61(): number {
    const nowNs = this.#host.monotonicNs();
    return this.#port61 | (Math.floor(nowNs / REFRESH_NS) & 1 ? PORT61_REFRESH : 0) | (this.#counters[2].out(nowNs) ? PORT61_OUT2 : 0);
  }

  #write61(value: number): void {
    const counter = this.#counters[2];
    const gate = (value & PORT61_GATE2) !== 0;
    if (gate && !counter.gate) counter.startNs = this.#host.monotonicNs(); // a rising gate (re)starts every mode we count in
    else if (!gate && counter.gate && counter.mode !== 1 && counter.mode !== 5) {
      counter.reload = counter.mode === 0 || counter.mode === 4 ? counter.count(this.#host.monotonicNs()) || 0x10000 : counter.reload;
      counter.startNs = undefined;
    }
    counter.gate = gate;
    this.#port61 = value & (PORT61_GATE2 | PORT61_SPEAKER);
  }

  /** Counter 0's next rising edge of OUT; `after` is the last one that was delivered, counted from the load. */
  #schedule(after = 0): void {
    this.stop();
    const counter = this.#counters[0];
    const startNs = counter.startNs;
    if (startNs === undefined || counter.mode === 1 || counter.mode === 5) return;
    const nowNs = this.#host.monotonicNs();
    const periodic = counter.mode === 2 || counter.mode === 3;
    const periodNs = counter.reload * NS_PER_TICK;
    // Edges that are past, or come faster than this computer should be interrupted, are merged into one.
    const earliest = after === 0 ? 1 : Math.ceil((nowNs - startNs + Math.min(periodNs / 2, MIN_PERIOD_NS)) / periodNs);
    const gap = Math.max(1, Math.ceil(MIN_PERIOD_NS / periodNs));
    const edge = periodic ? Math.max(after + (after === 0 ? 1 : gap), earliest) : 1;
    const dueNs = startNs + edge * periodNs + (counter.mode === 4 ? NS_PER_TICK : 0);
    this.#cancel = this.#host.setTimer(Math.max(0, dueNs - nowNs), () => {
      this.#cancel = undefined;
      this.#setIrqline(PIT_GSI, 'rising-pulse');
      if (periodic) this.#schedule(edge);
    });
  }
}
