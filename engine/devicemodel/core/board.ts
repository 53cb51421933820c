/**
 * The emulated board of one VM without its PCI devices: address maps, interrupt router, timers, clock, power control.
 *
 * @spec reference/acrn-device-model.md section 5
 */
import type { IoRequest, VhmVm } from '../../sos/vhm_if.ts';
import type { HostBackends } from '../backends_if.ts';
import { PciBus } from '../hw/pci/core.ts';
import { PirqRouter } from '../hw/pci/irq.ts';
import { AcpiPm, SCI_INT } from '../hw/platform/acpi_pm.ts';
import type { SuspendRequest } from '../hw/platform/acpi_pm.ts';
import { Atkbdc } from '../hw/platform/atkbdc.ts';
import { Hpet } from '../hw/platform/hpet.ts';
import { Pit } from '../hw/platform/pit.ts';
import { Rtc } from '../hw/platform/rtc.ts';
import { InoutMap } from './inout.ts';
import { MmioMap } from './mem.ts';

export class Board {
  readonly inout: InoutMap;
  readonly mem: MmioMap;
  readonly irq: PirqRouter;
  readonly pci: PciBus;
  readonly pm: AcpiPm;
  readonly #parts: ReadonlyArray<{ reset(): void }>;
  readonly #timers: ReadonlyArray<{ stop(): void }>;
  readonly #releases: Array<() => void>;
  readonly #log: (line: string) => void;
  #faults = 0;

  constructor(parts: { vm: VhmVm; host: HostBackends; lowmem: number; highmem: number; debugExit: boolean; suspend(how: SuspendRequest): void; log(line: string): void }) {
    const { vm, host, suspend, log } = parts;
    this.#log = log;
    this.inout = new InoutMap(log);
    this.mem = new MmioMap(log);
    this.irq = new PirqRouter((gsi, operation) => vm.setIrqline(gsi, operation));
    this.irq.use(SCI_INT);
    const setIrqline = vm.setIrqline.bind(vm);
    const rtc = new Rtc(host, setIrqline, { lowmem: parts.lowmem, highmem: parts.highmem });
    const pit = new Pit(host, setIrqline);
    const kbd = new Atkbdc(setIrqline, () => suspend('system_reset'));
    const hpet = new Hpet(host, vm);
    this.pm = new AcpiPm(setIrqline, suspend, parts.debugExit);
    this.#releases = [rtc.attach(this.inout), pit.attach(this.inout), kbd.attach(this.inout), this.pm.attach(this.inout), hpet.attach(this.mem)];
    this.#parts = [rtc, pit, kbd, hpet, this.pm];
    this.#timers = [rtc, pit, hpet];
    this.pci = new PciBus({ vm, inout: this.inout, mem: this.mem, irq: this.irq });
  }

  /** handle_vmexit of an I/O request. A fault of ours is told once and answered as open bus: the guest goes on. */
  handle(request: IoRequest): void {
    try {
      switch (request.type) {
        case 'pio': return this.inout.emulate(request);
        case 'mmio': return this.mem.emulate(request);
        case 'pci': return this.pci.emulate(request);
        case 'wp': return; // writes to write-protected pages are dropped
      }
    } catch (error) {
      if (this.#faults++ < 16) this.#log(`fault in the device model at ${request.type} ${request.direction} 0x${request.address.toString(16)}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
      if (request.direction === 'read') request.value = BigInt.asUintN(8 * request.size, -1n);
    }
  }

  /** System reset of everything on the board. */
  reset(): void {
    this.pci.reset();
    for (const part of this.#parts) part.reset();
  }

  async deinit(): Promise<void> {
    for (const timer of this.#timers) timer.stop();
    for (const release of this.#releases) release();
    await this.pci.deinit();
  }
}
