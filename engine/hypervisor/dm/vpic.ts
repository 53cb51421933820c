/**
 * The virtual pair of 8259A interrupt controllers. State in shared memory under a spin lock, as the vIOAPIC's.
 *
 * @spec   Intel 8259A datasheet (231468); ELCR of the PIIX/ICH (0x4D0, 0x4D1)
 * @cover  #Y ICW1-4, OCW1-3, rotation, special mask, special fully nested, AEOI, poll, ELCR  #N single mode, MCS-80 mode
 * @differ Its INTR goes to vCPU 0 only. Pins 0, 1, 2, 8 and 13 are never level-triggered, as in ACRN.
 */
import { SpinLock } from '../../lib/spin_lock.ts';
import { EVENT_INTERRUPT } from '../events.ts';
import type { GsiOperation } from '../gsi.ts';
import { VM, type HvShared } from '../shared.ts';

const PINS = 16;
/** Words of one chip in the area. */
const F = { READY: 0, ICW_NUM: 1, RD_CMD_REG: 2, AEOI: 3, POLL: 4, ROTATE: 5, SFN: 6, IRQ_BASE: 7, REQUEST: 8, SERVICE: 9, MASK: 10, SMM: 11, LOWPRIO: 12, ELC: 13, LINE: 14 } as const;
const CHIP_WORDS = 16;
const LOCK = 0;
const CHIPS = 4;

const ICW1_IC4 = 1;
const ICW1_SNGL = 2;
const ICW1_RESET = 0x10;
const ICW4_8086 = 1;
const ICW4_AEOI = 2;
const ICW4_SFNM = 0x10;
const OCW2_EOI = 0x20;
const OCW2_SL = 0x40;
const OCW2_R = 0x80;
const OCW3 = 0x08;
const OCW3_POLL = 0x04;
const OCW3_RR = 0x02;
const OCW3_RIS = 0x01;
const OCW3_ESMM = 0x40;
const OCW3_SMM = 0x20;
/** Bits of ELCR that exist: not pins 0, 1, 2 / 8, 13. */
const ELCR_MASK = [0xf8, 0xde];
const PRIMARY = 0;
const SECONDARY = 1;

export class Vpic {
  readonly #shared: HvShared;
  readonly #slot: number;
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #lock: SpinLock;

  constructor(shared: HvShared, slot: number) {
    this.#shared = shared;
    this.#slot = slot;
    this.#words = shared.words;
    this.#at = (shared.vm(slot) + VM.VPIC) / 4;
    this.#lock = new SpinLock(shared.words, this.#at + LOCK);
  }

  reset(): void {
    this.#lock.lock();
    for (let i = CHIPS; i < CHIPS + 2 * CHIP_WORDS; i++) this.#words[this.#at + i] = 0;
    for (const chip of [PRIMARY, SECONDARY]) {
      this.#set(chip, F.MASK, 0xff);
      this.#set(chip, F.LOWPRIO, 7);
    }
    this.#lock.unlock();
  }

  #get(chip: number, field: number): number { return this.#words[this.#at + CHIPS + chip * CHIP_WORDS + field]; }
  #set(chip: number, field: number, value: number): void { this.#words[this.#at + CHIPS + chip * CHIP_WORDS + field] = value; }

  // --- priorities

  /** Pins from highest to lowest priority. */
  #order(chip: number, step: number): number { return (this.#get(chip, F.LOWPRIO) + 1 + step) & 7; }

  /** vpic_get_highest_isrpin; -1 for none. */
  #highestIsr(chip: number): number {
    for (let step = 0; step < 8; step++) {
      const pin = this.#order(chip, step);
      if ((this.#get(chip, F.SERVICE) & (1 << pin)) === 0) continue;
      // In special mask mode a masked in-service pin does not block lower priorities.
      if (this.#get(chip, F.SMM) !== 0 && (this.#get(chip, F.MASK) & (1 << pin)) !== 0) continue;
      return pin;
    }
    return -1;
  }

  /** vpic_get_highest_irrpin; -1 for none. */
  #highestIrr(chip: number): number {
    let serviced = this.#get(chip, F.SERVICE);
    // Special fully nested: the primary takes further requests of the secondary while one of its is in service.
    if (chip === PRIMARY && this.#get(chip, F.SFN) !== 0) serviced &= ~4;
    // Special mask mode: in-service pins inhibit only themselves.
    const smm = this.#get(chip, F.SMM) !== 0;
    if (smm) serviced &= this.#get(chip, F.MASK);
    for (let step = 0; step < 8; step++) {
      const pin = this.#order(chip, step);
      const bit = 1 << pin;
      if (!smm && (serviced & bit) !== 0) return -1;
      if ((this.#get(chip, F.REQUEST) & bit) !== 0 && (this.#get(chip, F.MASK) & bit) === 0 && (serviced & bit) === 0) return pin;
    }
    return -1;
  }

  /** vpic_notify_intr: cascades and tells vCPU 0 when INTR rises. */
  #notify(): void {
    if (this.#highestIrr(SECONDARY) >= 0) {
      if (this.#get(SECONDARY, F.READY) !== 0) this.#set(PRIMARY, F.REQUEST, this.#get(PRIMARY, F.REQUEST) | 4);
    } else {
      this.#set(PRIMARY, F.REQUEST, this.#get(PRIMARY, F.REQUEST) & ~4);
    }
    if (this.#intr()) {
      const pcpus = this.#shared.pcpusOf(this.#slot);
      if (pcpus.length > 0) this.#shared.postEvent(pcpus[0], EVENT_INTERRUPT);
    }
  }

  #intr(): boolean { return this.#get(PRIMARY, F.READY) !== 0 && this.#highestIrr(PRIMARY) >= 0; }

  /** INTR is high. Read without the lock: the caller asks again under it in `ack`. */
  pending(): boolean {
    // Fast answer for a PIC nobody has programmed or whose pins are all masked.
    if (this.#get(PRIMARY, F.READY) === 0 || (this.#get(PRIMARY, F.REQUEST) & ~this.#get(PRIMARY, F.MASK) & 0xff) === 0) return false;
    return this.#intr();
  }

  /** The two INTA cycles: returns the vector and puts the pin in service; a request that went away answers IRQ 7. */
  ack(): number {
    this.#lock.lock();
    let pin = this.#highestIrr(PRIMARY);
    let chip = PRIMARY;
    if (pin < 0) pin = 7;
    else this.#accept(PRIMARY, pin);
    if (pin === 2 && this.#get(SECONDARY, F.READY) !== 0) {
      chip = SECONDARY;
      pin = this.#highestIrr(SECONDARY);
      if (pin < 0) pin = 7;
      else this.#accept(SECONDARY, pin);
    }
    const vector = (this.#get(chip, F.IRQ_BASE) & 0xf8) | pin;
    this.#notify();
    this.#lock.unlock();
    return vector;
  }

  /** vpic_pin_accepted */
  #accept(chip: number, pin: number): void {
    const bit = 1 << pin;
    if ((this.#get(chip, F.ELC) & bit) === 0 || (this.#get(chip, F.LINE) & bit) === 0) this.#set(chip, F.REQUEST, this.#get(chip, F.REQUEST) & ~bit);
    if (this.#get(chip, F.AEOI) !== 0) {
      if (this.#get(chip, F.ROTATE) !== 0) this.#set(chip, F.LOWPRIO, pin);
    } else {
      this.#set(chip, F.SERVICE, this.#get(chip, F.SERVICE) | bit);
    }
  }

  // --- lines

  /** vpic_set_irqline. GSI 2 is the timer, which the vIOAPIC has at pin 2 and this part at pin 0. */
  setIrqline(gsi: number, operation: GsiOperation): void {
    if (gsi < 0 || gsi >= PINS || gsi === 0) return;
    const pin = gsi === 2 ? 0 : gsi;
    this.#lock.lock();
    switch (operation) {
      case 'set-high': this.#setLine(pin, true); break;
      case 'set-low': this.#setLine(pin, false); break;
      case 'rising-pulse': this.#setLine(pin, true); this.#setLine(pin, false); break;
      case 'falling-pulse': this.#setLine(pin, false); this.#setLine(pin, true); break;
    }
    this.#notify();
    this.#lock.unlock();
  }

  #setLine(pin: number, high: boolean): void {
    const chip = pin >>> 3;
    const bit = 1 << (pin & 7);
    const line = this.#get(chip, F.LINE);
    const level = (this.#get(chip, F.ELC) & bit) !== 0;
    const request = this.#get(chip, F.REQUEST);
    this.#set(chip, F.LINE, high ? line | bit : line & ~bit);
    if (high && (level || (line & bit) === 0)) this.#set(chip, F.REQUEST, request | bit);
    else if (!high && level) this.#set(chip, F.REQUEST, request & ~bit);
  }

  // --- registers

  /** Ports 0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1; one byte. */
  portRead(port: number): number {
    this.#lock.lock();
    const value = port >= 0x4d0 ? this.#get(port & 1, F.ELC) : this.#readChip(port >= 0xa0 ? SECONDARY : PRIMARY, port & 1);
    this.#lock.unlock();
    return value;
  }

  portWrite(port: number, value: number): void {
    this.#lock.lock();
    if (port >= 0x4d0) this.#set(port & 1, F.ELC, value & ELCR_MASK[port & 1]);
    else this.#writeChip(port >= 0xa0 ? SECONDARY : PRIMARY, port & 1, value & 0xff);
    this.#lock.unlock();
  }

  #readChip(chip: number, a0: number): number {
    if (this.#get(chip, F.POLL) !== 0) {
      this.#set(chip, F.POLL, 0);
      const pin = this.#highestIrr(chip);
      if (pin < 0) return 0;
      this.#accept(chip, pin);
      this.#notify();
      return 0x80 | pin;
    }
    if (a0 === 1) return this.#get(chip, F.MASK);
    return this.#get(chip, this.#get(chip, F.RD_CMD_REG) === 1 ? F.SERVICE : F.REQUEST);
  }

  #writeChip(chip: number, a0: number, value: number): void {
    if (a0 === 0) {
      if ((value & ICW1_RESET) !== 0) this.#icw1(chip, value);
      else if (this.#get(chip, F.READY) !== 0) {
        if ((value & OCW3) !== 0) this.#ocw3(chip, value);
        else this.#ocw2(chip, value);
      }
    } else {
      switch (this.#get(chip, F.ICW_NUM)) {
        case 2: this.#set(chip, F.IRQ_BASE, value & 0xf8); this.#set(chip, F.ICW_NUM, 3); break;
        case 3: this.#set(chip, F.ICW_NUM, 4); break;
        case 4: this.#icw4(chip, value); break;
        default: this.#set(chip, F.MASK, value); break; // OCW1
      }
    }
    if (this.#get(chip, F.READY) !== 0) this.#notify();
  }

  #icw1(chip: number, value: number): void {
    this.#set(chip, F.READY, 0);
    this.#set(chip, F.ICW_NUM, 1);
    this.#set(chip, F.REQUEST, this.#get(chip, F.LINE) & this.#get(chip, F.ELC));
    this.#set(chip, F.SERVICE, 0);
    this.#set(chip, F.MASK, 0);
    this.#set(chip, F.LOWPRIO, 7);
    this.#set(chip, F.RD_CMD_REG, 0);
    this.#set(chip, F.POLL, 0);
    this.#set(chip, F.SMM, 0);
    this.#set(chip, F.ROTATE, 0);
    // Single and MCS-80 mode do not exist on this board: the sequence does not go on.
    if ((value & ICW1_SNGL) !== 0 || (value & ICW1_IC4) === 0) return;
    this.#set(chip, F.ICW_NUM, 2);
  }

  #icw4(chip: number, value: number): void {
    if ((value & ICW4_8086) === 0) return;
    this.#set(chip, F.AEOI, value & ICW4_AEOI);
    this.#set(chip, F.SFN, chip === PRIMARY ? value & ICW4_SFNM : 0);
    this.#set(chip, F.ICW_NUM, 0);
    this.#set(chip, F.READY, 1);
  }

  #ocw2(chip: number, value: number): void {
    if ((value & OCW2_EOI) !== 0) {
      const pin = (value & OCW2_SL) !== 0 ? value & 7 : this.#highestIsr(chip);
      if (pin < 0) return;
      this.#set(chip, F.SERVICE, this.#get(chip, F.SERVICE) & ~(1 << pin));
      if ((value & OCW2_R) !== 0) this.#set(chip, F.LOWPRIO, pin);
    } else if ((value & OCW2_SL) !== 0) {
      if ((value & OCW2_R) !== 0) this.#set(chip, F.LOWPRIO, value & 7); // set priority
    } else {
      this.#set(chip, F.ROTATE, (value & OCW2_R) !== 0 ? 1 : 0); // rotate in AEOI mode
    }
  }

  #ocw3(chip: number, value: number): void {
    if ((value & OCW3_ESMM) !== 0) this.#set(chip, F.SMM, (value & OCW3_SMM) !== 0 ? 1 : 0);
    if ((value & OCW3_POLL) !== 0) this.#set(chip, F.POLL, 1);
    else if ((value & OCW3_RR) !== 0) this.#set(chip, F.RD_CMD_REG, value & OCW3_RIS);
  }
}
