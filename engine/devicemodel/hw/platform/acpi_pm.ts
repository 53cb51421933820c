/**
 * ACPI fixed hardware and the reset ports: PM1 event and control blocks, SMI command port, 0xCF9, debug exit.
 *
 * @spec   ACPI 5.1 section 4.8.3 (PM1 registers); reference/acrn-device-model.md sections 5.1.1, 5.4 and 8
 * @cover  #Y power button, SCI, S3 and S5, system and full reset   #N PM timer (none announced), GPE blocks
 */
import type { GsiOperation } from '../../../sos/vhm_if.ts';
import { byteRegisters } from '../../core/inout.ts';
import type { InoutMap } from '../../core/inout.ts';

export const SCI_INT = 9;
export const SMI_CMD = 0xb2;
export const ACPI_ENABLE = 0xa0;
export const ACPI_DISABLE = 0xa1;
export const PM1A_EVT_ADDR = 0x400;
export const PM1A_CNT_ADDR = 0x404;
export const RESET_PORT = 0xcf9;
export const RESET_VALUE = 0x0e;
const DEBUG_EXIT_PORT = 0xf4;

const PM1_BM_STS = 0x0010;
const PM1_PWRBTN_STS = 0x0100;
const PM1_SLPBTN_STS = 0x0200;
const PM1_RTC_STS = 0x0400;
const PM1_WAK_STS = 0x8000;
const PM1_STS_WRITABLE = PM1_WAK_STS | PM1_RTC_STS | PM1_SLPBTN_STS | PM1_PWRBTN_STS | PM1_BM_STS;
const PM1_GBL_EN = 0x0020;
const PM1_PWRBTN_EN = 0x0100;
const PM1_RTC_EN = 0x0400;
const PM1_EN_WRITABLE = PM1_GBL_EN | PM1_PWRBTN_EN | PM1_RTC_EN;
const PM1_SCI_EN = 0x0001;
const PM1_SLP_TYP_SHIFT = 10;
const PM1_SLP_TYP = 0x1c00;
const PM1_SLP_EN = 0x2000;
const PM1_ALWAYS_ZERO = 0xc003;
export const SLP_TYP_S3 = 3;
export const SLP_TYP_S5 = 5;
const RESET_FULL = 0x08;
const RESET_CPU = 0x04;

export type SuspendRequest = 'poweroff' | 'full_reset' | 'system_reset' | 'suspend';

export class AcpiPm {
  readonly #setIrqline: (gsi: number, operation: GsiOperation) => void;
  readonly #suspend: (how: SuspendRequest) => void;
  readonly #debugExit: boolean;
  #status = 0;
  #enable = 0;
  #control = 0;
  #reset = 0;
  #sci = false;

  constructor(setIrqline: (gsi: number, operation: GsiOperation) => void, suspend: (how: SuspendRequest) => void, debugExit: boolean) {
    this.#setIrqline = setIrqline;
    this.#suspend = suspend;
    this.#debugExit = debugExit;
  }

  attach(inout: InoutMap): () => void {
    const releases = [
      inout.register('pm1 event', PM1A_EVT_ADDR, 4, byteRegisters((offset) => this.#readEvent(offset), (offset, value) => this.#writeEvent(offset, value))),
      inout.register('pm1 control', PM1A_CNT_ADDR, 2, {
        read: (offset) => this.#control >> (8 * offset),
        write: (offset, size, value) => this.#writeControl(offset, size, value),
      }),
      inout.register('smi command', SMI_CMD, 1, byteRegisters(() => 0, (_offset, value) => this.#smi(value))),
      inout.register('reset control', RESET_PORT, 1, byteRegisters(() => this.#reset, (_offset, value) => this.#writeReset(value))),
    ];
    if (this.#debugExit) releases.push(inout.register('debug exit', DEBUG_EXIT_PORT, 4, { read: () => 0, write: () => this.#suspend('poweroff') }));
    return () => releases.forEach((release) => release());
  }

  /** Is ACPI mode on, so that a power button press reaches the guest? */
  get acpiEnabled(): boolean { return (this.#control & PM1_SCI_EN) !== 0; }

  /** A short press of the power button; without ACPI mode nobody would notice. */
  powerButton(): boolean {
    if (!this.acpiEnabled) return false;
    this.#status |= PM1_PWRBTN_STS;
    this.#updateSci();
    return true;
  }

  /** Leaving S3. */
  wake(): void {
    this.#status |= PM1_WAK_STS;
    this.#updateSci();
  }

  reset(): void {
    this.#status = 0;
    this.#enable = 0;
    this.#control = 0;
    this.#reset = 0;
    this.#updateSci();
  }

  #readEvent(offset: number): number {
    return offset < 2 ? this.#status >> (8 * offset) : this.#enable >> (8 * (offset - 2));
  }

  #writeEvent(offset: number, value: number): void {
    const shifted = value << (8 * (offset & 1));
    if (offset < 2) this.#status &= ~(shifted & PM1_STS_WRITABLE); // write 1 to clear
    else this.#enable = ((this.#enable & ~(0xff << (8 * (offset & 1)))) | shifted) & PM1_EN_WRITABLE;
    this.#updateSci();
  }

  #writeControl(offset: number, size: number, value: number): void {
    const mask = (size === 2 ? 0xffff : 0xff) << (8 * offset);
    const merged = (this.#control & ~mask) | ((value << (8 * offset)) & mask);
    this.#control = (merged & ~(PM1_ALWAYS_ZERO | PM1_SLP_EN)) | (this.#control & PM1_SCI_EN); // SCI_EN belongs to the SMI port
    if (merged & PM1_SLP_EN) {
      const type = (merged & PM1_SLP_TYP) >> PM1_SLP_TYP_SHIFT;
      if (type === SLP_TYP_S5) this.#suspend('poweroff');
      else if (type === SLP_TYP_S3) this.#suspend('suspend');
    }
  }

  #smi(value: number): void {
    if (value === ACPI_ENABLE) this.#control |= PM1_SCI_EN;
    else if (value === ACPI_DISABLE) this.#control &= ~PM1_SCI_EN;
    this.#updateSci();
  }

  #writeReset(value: number): void {
    this.#reset = value;
    if (value & RESET_FULL && value & RESET_CPU) this.#suspend('full_reset');
    else if (value & RESET_CPU) this.#suspend('system_reset');
  }

  #updateSci(): void {
    const sci = this.acpiEnabled && (this.#status & this.#enable & (PM1_PWRBTN_EN | PM1_RTC_EN | PM1_GBL_EN)) !== 0;
    if (sci === this.#sci) return;
    this.#sci = sci;
    this.#setIrqline(SCI_INT, sci ? 'set-high' : 'set-low');
  }
}
