/**
 * High precision event timers at 0xFED00000.
 *
 * @spec   IA-PC HPET specification 1.0a; reference/acrn-device-model.md section 5.4 (8 timers, 2^24 Hz)
 * @cover  #Y 64-bit counter, one-shot and periodic comparators, 32-bit mode, legacy replacement, I/O APIC and MSI delivery,
 *         level and edge   #P all timers are periodic capable
 * @differ Routing capability is GSI 20-23 for every timer, as on ICH chipsets.
 */
import type { HostBackends } from '../../backends_if.ts';
import type { VhmVm } from '../../../sos/vhm_if.ts';
import type { MmioMap } from '../../core/mem.ts';

export const HPET_BASE = 0xfed00000;
export const HPET_SIZE = 0x400;
const HPET_HZ = 1 << 24;
const PERIOD_FS = Math.floor(1e15 / HPET_HZ); // femtoseconds a tick
const NS_PER_TICK = 1e9 / HPET_HZ;
const TIMERS = 8;
const REVISION = 1;
const VENDOR = 0x8086;
const CAP_LEGACY = 1 << 15;
const CAP_64BIT = 1 << 13;
/** Low half of the capabilities register: what the ACPI table repeats as its block id. */
export const HPET_BLOCK_ID = ((VENDOR << 16) | CAP_LEGACY | CAP_64BIT | ((TIMERS - 1) << 8) | REVISION) >>> 0;

const REG_CAP = 0x000;
const REG_CONFIG = 0x010;
const REG_ISR = 0x020;
const REG_COUNTER = 0x0f0;
const REG_TIMER0 = 0x100;
const TIMER_BYTES = 0x20;
const CNF_ENABLE = 1;
const CNF_LEGACY = 2;

const TN_LEVEL = 1 << 1;
const TN_ENABLE = 1 << 2;
const TN_PERIODIC = 1 << 3;
const TN_PERIODIC_CAP = 1 << 4;
const TN_64BIT_CAP = 1 << 5;
const TN_SET_VALUE = 1 << 6;
const TN_32BIT = 1 << 8;
const TN_ROUTE_SHIFT = 9;
const TN_ROUTE = 0x1f << TN_ROUTE_SHIFT;
const TN_FSB_ENABLE = 1 << 14;
const TN_FSB_CAP = 1 << 15;
const TN_WRITABLE = TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_32BIT | TN_ROUTE | TN_FSB_ENABLE;
const ROUTE_CAP = 0x00f00000; // GSI 20-23
const LEGACY_GSI = [2, 8]; // timer 0 replaces the PIT, timer 1 the RTC
const MASK64 = 0xffffffffffffffffn;
const MASK32 = 0xffffffffn;
const SHORTEST_PERIOD_TICKS = 1n << 10n; // 61 us: a guest cannot drown this computer in timers
const LONGEST_WAIT_TICKS = BigInt(HPET_HZ) * 3600n;

interface Timer { config: number; comparator: bigint; period: bigint; fsbData: number; fsbAddress: number; cancel: (() => void) | undefined; asserted: number | undefined }
type Host = Pick<HostBackends, 'monotonicNs' | 'setTimer'>;

export class Hpet {
  readonly #host: Host;
  readonly #vm: Pick<VhmVm, 'setIrqline' | 'injectMsi'>;
  #timers: Timer[] = [];
  #config = 0;
  #isr = 0;
  #counterBase = 0n; // counter when it was last started, or while it stands
  #startNs = 0;

  constructor(host: Host, vm: Pick<VhmVm, 'setIrqline' | 'injectMsi'>) {
    this.#host = host;
    this.#vm = vm;
    this.reset();
  }

  attach(mem: MmioMap): () => void {
    return mem.register('hpet', HPET_BASE, HPET_SIZE, {
      read: (offset, size) => this.#readSized(offset, size),
      write: (offset, size, value) => { if (size === 4 && (offset & 3) === 0) this.#write(offset, value); },
    });
  }

  reset(): void {
    this.stop();
    this.#timers.forEach((_timer, i) => this.#lower(i));
    this.#timers = Array.from({ length: TIMERS }, () => ({ config: 0, comparator: MASK64, period: 0n, fsbData: 0, fsbAddress: 0, cancel: undefined, asserted: undefined }));
    this.#config = 0;
    this.#isr = 0;
    this.#counterBase = 0n;
  }

  stop(): void {
    for (const timer of this.#timers) {
      timer.cancel?.();
      timer.cancel = undefined;
    }
  }

  #counter(): bigint {
    if (!(this.#config & CNF_ENABLE)) return this.#counterBase;
    return (this.#counterBase + BigInt(Math.max(0, Math.floor((this.#host.monotonicNs() - this.#startNs) / NS_PER_TICK)))) & MASK64;
  }

  #readSized(offset: number, size: number): number {
    const word = this.#read(offset & ~3);
    const shifted = word >>> (8 * (offset & 3));
    return size >= 4 ? shifted : shifted & ((1 << (8 * size)) - 1);
  }

  #read(offset: number): number {
    const half = (value: bigint): number => Number((offset & 4 ? value >> 32n : value) & MASK32);
    switch (offset & ~7) {
      case REG_CAP: return offset & 4 ? PERIOD_FS : HPET_BLOCK_ID;
      case REG_CONFIG: return offset & 4 ? 0 : this.#config;
      case REG_ISR: return offset & 4 ? 0 : this.#isr;
      case REG_COUNTER: return half(this.#counter());
    }
    const timer = this.#timers[Math.floor((offset - REG_TIMER0) / TIMER_BYTES)];
    if (offset < REG_TIMER0 || !timer) return 0;
    switch ((offset - REG_TIMER0) & (TIMER_BYTES - 1)) {
      case 0x00: return (timer.config | TN_PERIODIC_CAP | TN_64BIT_CAP | TN_FSB_CAP) >>> 0;
      case 0x04: return ROUTE_CAP;
      case 0x08: return Number(timer.comparator & MASK32);
      case 0x0c: return Number(timer.comparator >> 32n);
      case 0x10: return timer.fsbData;
      case 0x14: return timer.fsbAddress;
      default: return 0;
    }
  }

  #write(offset: number, value: number): void {
    switch (offset) {
      case REG_CONFIG: return this.#writeConfig(value);
      case REG_ISR: return this.#writeIsr(value);
      case REG_COUNTER:
      case REG_COUNTER + 4:
        if (this.#config & CNF_ENABLE) return; // writes while it runs are undefined: ignored
        this.#counterBase = offset === REG_COUNTER ? (this.#counterBase & ~MASK32) | BigInt(value) : (this.#counterBase & MASK32) | (BigInt(value) << 32n);
        return;
    }
    const index = Math.floor((offset - REG_TIMER0) / TIMER_BYTES);
    const timer = this.#timers[index];
    if (offset < REG_TIMER0 || !timer) return;
    switch ((offset - REG_TIMER0) & (TIMER_BYTES - 1)) {
      case 0x00:
        if (timer.config & TN_LEVEL && !(value & TN_LEVEL)) this.#lower(index);
        timer.config = (value & (TN_WRITABLE | TN_SET_VALUE));
        if (timer.config & TN_32BIT) timer.comparator &= MASK32;
        break;
      case 0x08: this.#writeComparator(timer, BigInt(value), MASK32); break;
      case 0x0c: if (!(timer.config & TN_32BIT)) this.#writeComparator(timer, BigInt(value) << 32n, MASK32 << 32n); break;
      case 0x10: timer.fsbData = value; return;
      case 0x14: timer.fsbAddress = value; return;
      default: return;
    }
    this.#schedule(index);
  }

  /** In periodic mode a write sets the period; with SET_VALUE it sets the accumulator instead, once. */
  #writeComparator(timer: Timer, bits: bigint, mask: bigint): void {
    const periodic = (timer.config & TN_PERIODIC) !== 0;
    if (periodic && !(timer.config & TN_SET_VALUE)) {
      timer.period = (timer.period & ~mask) | bits;
      return;
    }
    timer.comparator = (timer.comparator & ~mask) | bits;
    if (timer.config & TN_32BIT) timer.comparator &= MASK32;
    timer.config &= ~TN_SET_VALUE;
    if (periodic) timer.period = (timer.period & ~mask) | bits;
  }

  #writeConfig(value: number): void {
    const counter = this.#counter();
    const was = this.#config;
    this.#config = value & (CNF_ENABLE | CNF_LEGACY);
    if ((was ^ this.#config) & CNF_ENABLE) {
      this.#counterBase = counter;
      this.#startNs = this.#host.monotonicNs();
    }
    this.#timers.forEach((_timer, i) => this.#schedule(i));
  }

  #writeIsr(value: number): void {
    const cleared = this.#isr & value;
    this.#isr &= ~value;
    for (let i = 0; i < TIMERS; i++) if (cleared & (1 << i)) this.#lower(i);
  }

  #schedule(index: number): void {
    const timer = this.#timers[index];
    timer.cancel?.();
    timer.cancel = undefined;
    if (!(this.#config & CNF_ENABLE) || !(timer.config & TN_ENABLE)) return;
    const mask = timer.config & TN_32BIT ? MASK32 : MASK64;
    const counter = this.#counter() & mask;
    let wait = (timer.comparator - counter) & mask;
    if (timer.config & TN_PERIODIC && timer.period > 0n && wait > (mask >> 1n)) { // the deadline is behind: catch up without a burst
      const period = timer.period < SHORTEST_PERIOD_TICKS ? SHORTEST_PERIOD_TICKS : timer.period;
      const missed = ((counter - timer.comparator) & mask) / period + 1n;
      timer.comparator = (timer.comparator + missed * period) & mask;
      wait = (timer.comparator - counter) & mask;
    }
    const far = wait > LONGEST_WAIT_TICKS;
    const ticks = far ? LONGEST_WAIT_TICKS : wait;
    timer.cancel = this.#host.setTimer(Number(ticks) * NS_PER_TICK, () => {
      timer.cancel = undefined;
      if (!far) this.#fire(index);
      else this.#schedule(index);
    });
  }

  #fire(index: number): void {
    const timer = this.#timers[index];
    this.#raise(index);
    if (timer.config & TN_PERIODIC && timer.period > 0n) {
      const mask = timer.config & TN_32BIT ? MASK32 : MASK64;
      timer.comparator = (timer.comparator + (timer.period < SHORTEST_PERIOD_TICKS ? SHORTEST_PERIOD_TICKS : timer.period)) & mask;
      this.#schedule(index);
    }
    // A one-shot timer matches again when its counter wraps: hours at the least, guests do not wait for that.
  }

  #raise(index: number): void {
    const timer = this.#timers[index];
    if (timer.config & TN_FSB_ENABLE) {
      this.#vm.injectMsi(timer.fsbAddress, timer.fsbData);
      return;
    }
    const legacy = (this.#config & CNF_LEGACY) !== 0 && index < 2;
    const gsi = legacy ? LEGACY_GSI[index] : (timer.config & TN_ROUTE) >> TN_ROUTE_SHIFT;
    if (!legacy && !(ROUTE_CAP & (1 << gsi))) return;
    if (timer.config & TN_LEVEL) {
      this.#isr |= 1 << index;
      if (timer.asserted === undefined) {
        timer.asserted = gsi;
        this.#vm.setIrqline(gsi, 'set-high');
      }
    } else this.#vm.setIrqline(gsi, 'rising-pulse');
  }

  #lower(index: number): void {
    const timer = this.#timers[index];
    if (timer?.asserted === undefined) return;
    this.#vm.setIrqline(timer.asserted, 'set-low');
    timer.asserted = undefined;
  }
}
