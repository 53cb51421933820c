/**
 * MC146818 real-time clock and CMOS memory at ports 0x70 and 0x71.
 *
 * @spec   MC146818A data sheet; reference/acrn-device-model.md section 5.4
 * @cover  #Y time in BCD and binary, 12 and 24 hours, SET, alarm with wildcards, periodic, alarm and update interrupts,
 *         memory size bytes, century   #N square wave, daylight saving
 * @differ The update-in-progress bit is never seen set: an update takes no time.
 */
import type { HostBackends } from '../../backends_if.ts';
import type { GsiOperation } from '../../../sos/vhm_if.ts';
import { byteRegisters } from '../../core/inout.ts';
import type { InoutMap } from '../../core/inout.ts';
import { KIB, MIB } from '../../core/layout.ts';

const RTC_IRQ = 8;
const SEC = 0x00;
const SEC_ALARM = 0x01;
const MIN = 0x02;
const MIN_ALARM = 0x03;
const HOUR = 0x04;
const HOUR_ALARM = 0x05;
const DAY_OF_WEEK = 0x06;
const DAY_OF_MONTH = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REG_A = 0x0a;
const REG_B = 0x0b;
const REG_C = 0x0c;
const REG_D = 0x0d;
const CENTURY = 0x32;
const CMOS_MEM16_LOW = 0x34;
const CMOS_HIGHMEM = 0x5b;
const CMOS_BYTES = 128;

const B_24HR = 0x02;
const B_BINARY = 0x04;
const B_UIE = 0x10;
const B_AIE = 0x20;
const B_PIE = 0x40;
const B_SET = 0x80;
const C_UF = 0x10;
const C_AF = 0x20;
const C_PF = 0x40;
const C_IRQF = 0x80;
const D_VRT = 0x80;
const A_DIVIDER = 0x20; // 32768 Hz
const A_DIVIDER_MASK = 0x70;
const PM = 0x80;
const ALARM_ANY = 0xc0; // both top bits: don't care

type Host = Pick<HostBackends, 'wallClockMs' | 'monotonicNs' | 'setTimer'>;

export class Rtc {
  readonly #host: Host;
  readonly #setIrqline: (gsi: number, operation: GsiOperation) => void;
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  readonly #memory: { lowmem: number; highmem: number };
  #index = REG_D;
  #offsetMs = 0; // guest's clock minus the host's
  #frozenMs: number | undefined; // while SET is 1
  #lastSecond = 0;
  #cancelSecond: (() => void) | undefined;
  #cancelPeriodic: (() => void) | undefined;

  constructor(host: Host, setIrqline: (gsi: number, operation: GsiOperation) => void, memory: { lowmem: number; highmem: number }) {
    this.#host = host;
    this.#setIrqline = setIrqline;
    this.#memory = memory;
    this.reset();
  }

  attach(inout: InoutMap): () => void {
    return inout.register('rtc', 0x70, 2, byteRegisters((offset) => (offset === 1 ? this.#read(this.#index) : 0xff), (offset, value) => {
      if (offset === 0) this.#index = value & 0x7f;
      else this.#write(this.#index, value);
    }));
  }

  /** The clock runs on through a reset; the interrupt enables do not. */
  reset(): void {
    this.#index = REG_D;
    this.#cmos.fill(0);
    this.#cmos[REG_A] = A_DIVIDER;
    this.#cmos[REG_B] = B_24HR;
    this.#cmos[REG_D] = D_VRT;
    const above16M = Math.max(0, this.#memory.lowmem - 16 * MIB) / (64 * KIB);
    this.#cmos[CMOS_MEM16_LOW] = above16M & 0xff;
    this.#cmos[CMOS_MEM16_LOW + 1] = above16M >> 8;
    const high = Math.floor(this.#memory.highmem / (64 * KIB));
    for (let i = 0; i < 3; i++) this.#cmos[CMOS_HIGHMEM + i] = high >> (8 * i);
    this.#frozenMs = undefined;
    this.#rearm();
  }

  stop(): void {
    this.#cancelSecond?.();
    this.#cancelPeriodic?.();
  }

  #nowMs(): number { return this.#frozenMs ?? this.#host.wallClockMs() + this.#offsetMs; }

  #read(index: number): number {
    if (index === REG_C) {
      const flags = this.#cmos[REG_C];
      this.#cmos[REG_C] = 0;
      return flags;
    }
    if (this.#frozenMs === undefined && isTime(index)) this.#loadTime();
    return this.#cmos[index];
  }

  #write(index: number, value: number): void {
    if (index === REG_C || index === REG_D) return;
    if (index === REG_A) {
      this.#cmos[REG_A] = value & 0x7f;
      return this.#rearm();
    }
    if (index === REG_B) return this.#writeB(value);
    if (isTime(index)) {
      if (this.#frozenMs === undefined) this.#loadTime();
      this.#cmos[index] = value;
      if (!(this.#cmos[REG_B] & B_SET)) this.#storeTime(); // written while running: takes effect at once
      return;
    }
    this.#cmos[index] = value;
  }

  #writeB(value: number): void {
    const was = this.#cmos[REG_B];
    if (value & B_SET && !(was & B_SET)) {
      this.#loadTime();
      this.#frozenMs = this.#nowMs();
      value &= ~B_UIE; // SET clears UIE
    }
    this.#cmos[REG_B] = value;
    if (was & B_SET && !(value & B_SET)) this.#storeTime();
    this.#rearm();
  }

  /** Registers from the clock, in the format register B asks for. */
  #loadTime(): void {
    const now = new Date(this.#nowMs());
    const hours = now.getUTCHours();
    const put = (index: number, value: number): void => { this.#cmos[index] = this.#encode(value); };
    put(SEC, now.getUTCSeconds());
    put(MIN, now.getUTCMinutes());
    if (this.#cmos[REG_B] & B_24HR) put(HOUR, hours);
    else this.#cmos[HOUR] = this.#encode(hours % 12 === 0 ? 12 : hours % 12) | (hours >= 12 ? PM : 0);
    put(DAY_OF_WEEK, now.getUTCDay() + 1);
    put(DAY_OF_MONTH, now.getUTCDate());
    put(MONTH, now.getUTCMonth() + 1);
    put(YEAR, now.getUTCFullYear() % 100);
    put(CENTURY, Math.floor(now.getUTCFullYear() / 100));
  }

  /** The clock from the registers; nonsense leaves the clock as it was. */
  #storeTime(): void {
    const get = (index: number): number => this.#decode(this.#cmos[index]);
    let hours = get(HOUR);
    if (!(this.#cmos[REG_B] & B_24HR)) hours = (this.#decode(this.#cmos[HOUR] & ~PM) % 12) + (this.#cmos[HOUR] & PM ? 12 : 0);
    const ms = Date.UTC(get(CENTURY) * 100 + get(YEAR), get(MONTH) - 1, get(DAY_OF_MONTH), hours, get(MIN), get(SEC));
    this.#frozenMs = undefined;
    if (Number.isFinite(ms)) this.#offsetMs = ms - this.#host.wallClockMs();
  }

  #encode(value: number): number { return this.#cmos[REG_B] & B_BINARY ? value : (Math.floor(value / 10) << 4) | (value % 10); }
  #decode(value: number): number { return this.#cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15); }

  /** Timers run only while somebody listens. */
  #rearm(): void {
    this.stop();
    const b = this.#cmos[REG_B];
    const running = (this.#cmos[REG_A] & A_DIVIDER_MASK) === A_DIVIDER && !(b & B_SET);
    if (running && b & (B_UIE | B_AIE)) {
      this.#lastSecond = Math.floor(this.#nowMs() / 1000);
      this.#nextSecond();
    }
    const rate = this.#cmos[REG_A] & 0x0f;
    if (running && b & B_PIE && rate !== 0) {
      const hz = 32768 >> ((rate <= 2 ? rate + 7 : rate) - 1);
      this.#nextPeriod(this.#host.monotonicNs() + 1e9 / hz, 1e9 / hz);
    }
  }

  #nextSecond(): void {
    const untilMs = 1000 - (((this.#nowMs() % 1000) + 1000) % 1000);
    this.#cancelSecond = this.#host.setTimer(untilMs * 1e6, () => {
      const second = Math.floor(this.#nowMs() / 1000);
      if (second !== this.#lastSecond) {
        this.#lastSecond = second;
        this.#raise(C_UF | (this.#alarmMatches() ? C_AF : 0));
      }
      this.#nextSecond();
    });
  }

  #nextPeriod(dueNs: number, periodNs: number): void {
    this.#cancelPeriodic = this.#host.setTimer(Math.max(0, dueNs - this.#host.monotonicNs()), () => {
      this.#raise(C_PF);
      this.#nextPeriod(Math.max(dueNs + periodNs, this.#host.monotonicNs()), periodNs);
    });
  }

  #alarmMatches(): boolean {
    this.#loadTime();
    const matches = (alarm: number, time: number): boolean => (this.#cmos[alarm] & ALARM_ANY) === ALARM_ANY || this.#cmos[alarm] === this.#cmos[time];
    return matches(SEC_ALARM, SEC) && matches(MIN_ALARM, MIN) && matches(HOUR_ALARM, HOUR);
  }

  #raise(flags: number): void {
    const before = this.#cmos[REG_C];
    const enabled = this.#cmos[REG_B] & (flags & (C_UF | C_AF | C_PF)); // enables and flags share bit positions
    this.#cmos[REG_C] = before | flags | (enabled ? C_IRQF : 0);
    if (enabled && !(before & C_IRQF)) this.#setIrqline(RTC_IRQ, 'rising-pulse');
  }
}

function isTime(index: number): boolean {
  return index === CENTURY || index === SEC || index === MIN || index === HOUR || (index >= DAY_OF_WEEK && index <= YEAR);
}
