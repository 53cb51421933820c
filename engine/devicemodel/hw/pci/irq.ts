/**
 * PCI interrupt router: eight PIRQ pins of the kind Intel's ICH10 has, and the I/O APIC pins of INTx lines.
 *
 * @spec   reference/acrn-device-model.md section 5.3; ICH10 datasheet 13.1.17-20 (PIRQ[n]_ROUT)
 * @cover  #Y routing registers, least-used allocation, shared lines, PIC and I/O APIC delivery
 * @differ ACRN drives the I/O APIC pin only; the routed ISA IRQ is driven too, as the router of real boards does, so that
 *         guests in PIC mode receive INTx.
 */
import type { GsiOperation } from '../../../sos/vhm_if.ts';

const PIRQ_DIS = 0x80;
const PIRQ_IRQ = 0x0f;
const PIRQ_PINS = 8;
const PERMITTED_IRQS = 0xdef8; // 3-7, 9-12, 14, 15
const IRQ_DISABLED = 0xff;
const IOAPIC_FIRST_PCI_GSI = 16;
const IOAPIC_PCI_PINS = 32; // of the vIOAPIC's 48

interface Pirq { reg: number; useCount: number; activeCount: number }

/** One INTx wire of a slot: the functions of the slot that use the same pin share it. */
export interface IntxRoute { readonly pirqPin: number; readonly gsi: number; asserted: number }

/** Is this routing register's value an enabled, permitted IRQ? */
export function pirqValidIrq(reg: number): boolean {
  return (reg & PIRQ_DIS) === 0 && (PERMITTED_IRQS & (1 << (reg & PIRQ_IRQ))) !== 0;
}

export class PirqRouter {
  readonly #setIrqline: (gsi: number, operation: GsiOperation) => void;
  readonly #pirqs: Pirq[] = [];
  readonly #irqCounts: number[] = [];
  #initial: number[] = [];
  #nextIoapicPin = 0;

  constructor(setIrqline: (gsi: number, operation: GsiOperation) => void) {
    this.#setIrqline = setIrqline;
    for (let pin = 0; pin < PIRQ_PINS; pin++) this.#pirqs.push({ reg: PIRQ_DIS, useCount: 0, activeCount: 0 });
    for (let irq = 0; irq < 16; irq++) this.#irqCounts.push(PERMITTED_IRQS & (1 << irq) ? 0 : IRQ_DISABLED);
  }

  /** pci_irq_reserve: never routed to (a UART's). */
  reserve(irq: number): void { this.#irqCounts[irq] = IRQ_DISABLED; }
  /** pci_irq_use: routed to only when the others are as busy (the SCI). */
  use(irq: number): void { if (this.#irqCounts[irq] !== IRQ_DISABLED) this.#irqCounts[irq]++; }

  /** IRQs of _PRS: all permitted ones. */
  permittedMask(): number { return PERMITTED_IRQS; }

  /** pirq_alloc_pin and ioapic_pci_alloc_irq for one new INTx wire. */
  allocate(): IntxRoute {
    let best = 0;
    for (let pin = 1; pin < PIRQ_PINS; pin++) if (this.#pirqs[pin].useCount < this.#pirqs[best].useCount) best = pin;
    const pirq = this.#pirqs[best];
    pirq.useCount++;
    if (pirq.reg === PIRQ_DIS) {
      let irq = -1;
      for (let i = 0; i < 16; i++) {
        if (this.#irqCounts[i] !== IRQ_DISABLED && (irq < 0 || this.#irqCounts[i] < this.#irqCounts[irq])) irq = i;
      }
      this.#irqCounts[irq]++;
      pirq.reg = irq;
    }
    this.#initial = this.#pirqs.map(({ reg }) => reg);
    return { pirqPin: best + 1, gsi: IOAPIC_FIRST_PCI_GSI + (this.#nextIoapicPin++ % IOAPIC_PCI_PINS), asserted: 0 };
  }

  /** pirq_read; pins count from 1. */
  read(pin: number): number { return this.#pirqs[pin - 1].reg; }
  irq(pin: number): number { return this.#pirqs[pin - 1].reg & PIRQ_IRQ; }

  /** pirq_write: an asserted line moves to its new IRQ. */
  write(pin: number, value: number): void {
    const pirq = this.#pirqs[pin - 1];
    const reg = value & (PIRQ_DIS | PIRQ_IRQ);
    if (pirq.reg === reg) return;
    if (pirq.activeCount > 0 && pirqValidIrq(pirq.reg)) this.#setIrqline(pirq.reg & PIRQ_IRQ, 'set-low');
    pirq.reg = reg;
    if (pirq.activeCount > 0 && pirqValidIrq(pirq.reg)) this.#setIrqline(pirq.reg & PIRQ_IRQ, 'set-high');
  }

  /** pci_irq_assert: the wire is high while at least one function drives it. */
  assert(route: IntxRoute): void {
    if (route.asserted++ > 0) return;
    const pirq = this.#pirqs[route.pirqPin - 1];
    if (pirq.activeCount++ === 0 && pirqValidIrq(pirq.reg)) this.#setIrqline(pirq.reg & PIRQ_IRQ, 'set-high');
    this.#setIrqline(route.gsi, 'set-high');
  }

  /** pci_irq_deassert */
  deassert(route: IntxRoute): void {
    if (route.asserted === 0 || --route.asserted > 0) return;
    const pirq = this.#pirqs[route.pirqPin - 1];
    if (--pirq.activeCount === 0 && pirqValidIrq(pirq.reg)) this.#setIrqline(pirq.reg & PIRQ_IRQ, 'set-low');
    this.#setIrqline(route.gsi, 'set-low');
  }

  /** System reset: routing as the firmware left it. */
  reset(): void {
    this.#initial.forEach((reg, i) => this.write(i + 1, reg));
  }
}
