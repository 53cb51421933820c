/**
 * The virtual I/O APIC of a VM. Its registers lie in shared memory under a spin lock: vCPU threads program it and
 * broadcast EOIs, the device model's thread moves its lines.
 *
 * @spec   Intel 82093AA I/O APIC datasheet; EOI register of the later ones (0x40)
 * @cover  #Y edge, level with remote IRR, polarity, all delivery modes of vlapic_delivery, EOI by broadcast and register
 * @differ 48 pins, as ACRN's User VMs. Accesses that are not 4 bytes read 0 and write nothing, as in ACRN. An edge on a
 *         masked pin is lost, as on the part.
 */
import { SpinLock } from '../../lib/spin_lock.ts';
import { VM, type HvShared } from '../shared.ts';
import { receiveIntr } from '../arch/x86/guest/vlapic_delivery.ts';
import type { GsiOperation } from '../gsi.ts';

export const VIOAPIC_BASE = 0xfec0_0000;
export const VIOAPIC_SIZE = 0x1000;
export const VIOAPIC_RTE_NUM = 48;

const IOREGSEL = 0x00;
const IOWIN = 0x10;
const IOEOI = 0x40;
const IOAPIC_ID = 0x00;
const IOAPIC_VER = 0x01;
const IOAPIC_ARB = 0x02;
const IOAPIC_REDTBL = 0x10;

const RTE_VECTOR = 0xff;
const RTE_DESTMODE_LOGICAL = 1 << 11;
const RTE_DELIVERY_STATUS = 1 << 12;
const RTE_INTPOL_LOW = 1 << 13;
const RTE_REMOTE_IRR = 1 << 14;
const RTE_TRIGGER_LEVEL = 1 << 15;
const RTE_INTMASK = 1 << 16;
const RTE_READ_ONLY = RTE_REMOTE_IRR | RTE_DELIVERY_STATUS;
const RTE_LOW_WRITABLE = 0x1_afff;

/** Words of the area in the VM's shared page. */
const LOCK = 0;
const SELECT = 1;
const ID = 2;
/** Electrical level of each pin, two words. */
const LINE = 4;
const RTE = 8;

export class Vioapic {
  readonly #shared: HvShared;
  readonly #slot: number;
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #lock: SpinLock;

  constructor(shared: HvShared, slot: number) {
    this.#shared = shared;
    this.#slot = slot;
    this.#words = shared.words;
    this.#at = (shared.vm(slot) + VM.VIOAPIC) / 4;
    this.#lock = new SpinLock(shared.words, this.#at + LOCK);
  }

  reset(): void {
    this.#lock.lock();
    this.#words[this.#at + SELECT] = 0;
    this.#words[this.#at + ID] = 0;
    this.#words[this.#at + LINE] = this.#words[this.#at + LINE + 1] = 0;
    for (let pin = 0; pin < VIOAPIC_RTE_NUM; pin++) {
      this.#setLow(pin, RTE_INTMASK);
      this.#setHigh(pin, 0);
    }
    this.#lock.unlock();
  }

  #low(pin: number): number { return this.#words[this.#at + RTE + pin * 2]; }
  #high(pin: number): number { return this.#words[this.#at + RTE + pin * 2 + 1]; }
  #setLow(pin: number, value: number): void { this.#words[this.#at + RTE + pin * 2] = value; }
  #setHigh(pin: number, value: number): void { this.#words[this.#at + RTE + pin * 2 + 1] = value; }
  #level(pin: number): boolean { return (this.#words[this.#at + LINE + (pin >>> 5)] & (1 << (pin & 31))) !== 0; }
  /** Asserted as the RTE sees it: a low-active pin is asserted while its line is low. */
  #asserted(pin: number): boolean { return this.#level(pin) !== ((this.#low(pin) & RTE_INTPOL_LOW) !== 0); }

  // --- lines

  /** vioapic_set_irqline_lock. A pin that does not exist is ignored. */
  setIrqline(gsi: number, operation: GsiOperation): void {
    if (gsi < 0 || gsi >= VIOAPIC_RTE_NUM) return;
    this.#lock.lock();
    switch (operation) {
      case 'set-high': this.#setLine(gsi, true); break;
      case 'set-low': this.#setLine(gsi, false); break;
      case 'rising-pulse': this.#setLine(gsi, true); this.#setLine(gsi, false); break;
      case 'falling-pulse': this.#setLine(gsi, false); this.#setLine(gsi, true); break;
    }
    this.#lock.unlock();
  }

  #setLine(pin: number, high: boolean): void {
    const was = this.#asserted(pin);
    const at = this.#at + LINE + (pin >>> 5);
    this.#words[at] = high ? this.#words[at] | (1 << (pin & 31)) : this.#words[at] & ~(1 << (pin & 31));
    const is = this.#asserted(pin);
    if (is && ((this.#low(pin) & RTE_TRIGGER_LEVEL) !== 0 || !was)) this.#generate(pin);
  }

  /** vioapic_generate_intr */
  #generate(pin: number): void {
    const low = this.#low(pin);
    if ((low & RTE_INTMASK) !== 0) return;
    const level = (low & RTE_TRIGGER_LEVEL) !== 0;
    if (level) {
      if ((low & RTE_REMOTE_IRR) !== 0) return; // accepted and not yet EOIed
      this.#setLow(pin, low | RTE_REMOTE_IRR);
    }
    receiveIntr(this.#shared, this.#shared.pcpusOf(this.#slot), {
      dest: this.#high(pin) >>> 24,
      physical: (low & RTE_DESTMODE_LOGICAL) === 0,
      deliveryMode: (low >>> 8) & 7,
      vector: low & RTE_VECTOR,
      level,
    });
  }

  /** vioapic_broadcast_eoi: a vLAPIC finished a level-triggered vector. */
  broadcastEoi(vector: number): void {
    this.#lock.lock();
    for (let pin = 0; pin < VIOAPIC_RTE_NUM; pin++) {
      const low = this.#low(pin);
      if ((low & RTE_REMOTE_IRR) === 0 || (low & RTE_VECTOR) !== vector) continue;
      this.#setLow(pin, low & ~RTE_REMOTE_IRR);
      if (this.#asserted(pin)) this.#generate(pin);
    }
    this.#lock.unlock();
  }

  /** vioapic_get_rte, for the console's `vioapic` command. */
  rte(pin: number): { low: number; high: number } {
    return { low: this.#low(pin) >>> 0, high: this.#high(pin) >>> 0 };
  }

  // --- registers

  mmioRead(offset: number, size: number): bigint {
    if (size !== 4) return 0n;
    this.#lock.lock();
    const value = offset === IOREGSEL ? this.#words[this.#at + SELECT] : offset === IOWIN ? this.#readIndirect(this.#words[this.#at + SELECT]) : 0;
    this.#lock.unlock();
    return BigInt(value >>> 0);
  }

  mmioWrite(offset: number, size: number, value: number): void {
    if (size !== 4) return;
    if (offset === IOEOI) return this.broadcastEoi(value & 0xff);
    this.#lock.lock();
    if (offset === IOREGSEL) this.#words[this.#at + SELECT] = value & 0xff;
    else if (offset === IOWIN) this.#writeIndirect(this.#words[this.#at + SELECT], value);
    this.#lock.unlock();
  }

  #readIndirect(register: number): number {
    if (register === IOAPIC_ID || register === IOAPIC_ARB) return this.#words[this.#at + ID];
    if (register === IOAPIC_VER) return ((VIOAPIC_RTE_NUM - 1) << 16) | 0x11;
    const pin = (register - IOAPIC_REDTBL) >> 1;
    if (register < IOAPIC_REDTBL || pin >= VIOAPIC_RTE_NUM) return 0;
    return (register & 1) !== 0 ? this.#high(pin) : this.#low(pin);
  }

  #writeIndirect(register: number, value: number): void {
    if (register === IOAPIC_ID) { this.#words[this.#at + ID] = value & 0x0f00_0000; return; }
    const pin = (register - IOAPIC_REDTBL) >> 1;
    if (register < IOAPIC_REDTBL || pin >= VIOAPIC_RTE_NUM) return;
    if ((register & 1) !== 0) { this.#setHigh(pin, value & 0xff00_0000); return; }
    const old = this.#low(pin);
    let next = (value & RTE_LOW_WRITABLE) | (old & RTE_READ_ONLY);
    if ((next & RTE_TRIGGER_LEVEL) === 0) next &= ~RTE_REMOTE_IRR; // edge entries have no remote IRR
    this.#setLow(pin, next);
    // A level line that is asserted while its entry is opened is sent at once.
    if ((next & RTE_INTMASK) === 0 && (next & RTE_TRIGGER_LEVEL) !== 0 && this.#asserted(pin)) this.#generate(pin);
  }
}
