/**
 * The PCI hierarchy of a User VM: which function sits where, config accesses by CF8/CFC and ECAM, BAR windows, INTx wires.
 *
 * @spec   reference/acrn-device-model.md sections 2, 3, 5.2 and 5.3; PCI Firmware 3.0 (ECAM)
 * @cover  #Y config mechanism 1 (as PCI requests) and ECAM, several buses, windows, routing   #N PCI-to-PCI bridges
 */
import { HostError } from '../../../lib/errors.ts';
import type { IoRequest, VhmVm } from '../../../sos/vhm_if.ts';
import type { HostBackends } from '../../backends_if.ts';
import type { InoutMap } from '../../core/inout.ts';
import { PCI_EMUL_ECFG_BASE, PCI_EMUL_ECFG_SIZE, PCI_EMUL_IOBASE, PCI_EMUL_IOLIMIT, PCI_EMUL_MEMBASE32, PCI_EMUL_MEMBASE64, PCI_EMUL_MEMLIMIT32, PCI_EMUL_MEMLIMIT64, MIB } from '../../core/layout.ts';
import type { MmioMap } from '../../core/mem.ts';
import { allOnes } from '../../core/ranges.ts';
import type { BarType, PciDeviceClass, VmCtx } from './pci_if.ts';
import type { IntxRoute, PirqRouter } from './irq.ts';
import type { PciSlot } from './slots.ts';
import { Vdev } from './vdev.ts';
import type { BusPort } from './vdev.ts';

const IO_BAR_LOWEST = 0x1000; // below live the board's own ports
const SMALL_MEM64 = 32 * MIB; // 64-bit BARs up to this size are placed in the 32-bit window
const MAX_MEM64 = 2 ** 46;

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** What ACPI announces as a bus's window. */
export interface BusWindows { io: { base: number; limit: number }; mem32: { base: number; limit: number }; mem64: { base: number; limit: number } }

export class PciBus {
  readonly functions: Vdev[] = [];
  readonly #at = new Map<number, Vdev>();
  readonly #irq: PirqRouter;
  readonly #routes = new Map<number, IntxRoute>();
  readonly #pinUse = new Map<number, number[]>();
  readonly #port: BusPort;
  readonly #release: () => void;
  #nextIo = PCI_EMUL_IOBASE;
  #nextMem32 = PCI_EMUL_MEMBASE32;
  #nextMem64 = PCI_EMUL_MEMBASE64;

  constructor(parts: { vm: VhmVm; inout: InoutMap; mem: MmioMap; irq: PirqRouter }) {
    const { vm, inout, mem, irq } = parts;
    this.#irq = irq;
    this.#port = {
      allocate: (type, sizeBytes) => this.#allocate(type, sizeBytes),
      inWindow: (type, base, sizeBytes) => inWindow(type, base, sizeBytes),
      decode: (type, name, base, sizeBytes, read, write) => (type === 'io' ? inout : mem).register(name, base, sizeBytes, { read, write }),
      assignIoeventfd: (at, kick) => vm.assignIoeventfd(at, kick),
      injectMsi: (address, data) => vm.injectMsi(address, data),
      assertIntx: (route) => irq.assert(route),
      deassertIntx: (route) => irq.deassert(route),
      choosePin: (vdev) => this.#choosePin(vdev),
      isMultifunction: (bus, slot) => this.functions.filter((f) => f.bus === bus && f.slot === slot).length > 1,
    };
    // Whole-word accesses to CF8 and CFC arrive as PCI requests; probes of single bytes there end here.
    const releasePorts = inout.register('PCI configuration mechanism', 0xcf8, 8, { read: (_offset, size) => allOnes(size), write: () => {} });
    const releaseEcam = mem.register('PCI ECFG', PCI_EMUL_ECFG_BASE, PCI_EMUL_ECFG_SIZE, {
      read: (offset, size) => this.#configRead(offset >>> 20, (offset >>> 15) & 31, (offset >>> 12) & 7, offset & 0xfff, size),
      write: (offset, size, value) => this.#configWrite(offset >>> 20, (offset >>> 15) & 31, (offset >>> 12) & 7, offset & 0xfff, size, value),
    });
    this.#release = () => {
      releasePorts();
      releaseEcam();
    };
  }

  /** pci_emul_init: one function of `deviceClass`. A failure leaves the bus without it. */
  async add(slot: PciSlot, deviceClass: PciDeviceClass, ctx: VmCtx, host: HostBackends): Promise<Vdev> {
    const vdev = new Vdev(slot, deviceClass.className, this.#port);
    const key = bdfKey(slot.bus, slot.slot, slot.func);
    this.functions.push(vdev);
    this.#at.set(key, vdev);
    try {
      vdev.device = await deviceClass.init(ctx, vdev, slot.config, host);
    } catch (error) {
      vdev.detach();
      this.functions.splice(this.functions.indexOf(vdev), 1);
      this.#at.delete(key);
      throw error;
    }
    return vdev;
  }

  /** pci_lintr_route for every function, in bus order; then the state a reset returns to is kept. */
  route(): void {
    for (const vdev of this.functions) {
      const pin = vdev.getCfgData8(0x3d);
      if (pin >= 1 && pin <= 4) {
        const key = (vdev.bus << 7) | (vdev.slot << 2) | (pin - 1);
        let route = this.#routes.get(key);
        if (!route) this.#routes.set(key, (route = this.#irq.allocate()));
        vdev.routeIntx(route, this.#irq.irq(route.pirqPin));
      }
      vdev.seal();
    }
  }

  /** Wires of a bus, for _PRT and the MP table. */
  wires(bus: number): Array<{ slot: number; pin: number; pirqPin: number; gsi: number }> {
    return [...this.#routes].map(([key, route]) => ({ bus: key >>> 7, slot: (key >>> 2) & 31, pin: key & 3, pirqPin: route.pirqPin, gsi: route.gsi }))
      .filter((wire) => wire.bus === bus);
  }

  buses(): number[] { return [...new Set([0, ...this.functions.map((f) => f.bus)])].sort((a, b) => a - b); }
  find(className: string): Vdev | undefined { return this.functions.find((f) => f.className === className); }

  /** Whole windows of bus 0. Further root buses share them (their BARs come from the same pool). */
  windows(): BusWindows {
    return {
      io: { base: PCI_EMUL_IOBASE, limit: PCI_EMUL_IOLIMIT - 1 },
      mem32: { base: PCI_EMUL_MEMBASE32, limit: PCI_EMUL_MEMLIMIT32 - 1 },
      mem64: { base: PCI_EMUL_MEMBASE64, limit: PCI_EMUL_MEMLIMIT64 - 1 },
    };
  }

  /** A PCI request: CF8/CFC as the hypervisor decoded it. */
  emulate(request: IoRequest): void {
    const bdf = request.bdf;
    if (!bdf) {
      request.value = BigInt(allOnes(request.size));
      return;
    }
    if (request.direction === 'read') request.value = BigInt((this.#configRead(bdf.bus, bdf.dev, bdf.func, request.address, request.size) & allOnes(request.size)) >>> 0);
    else this.#configWrite(bdf.bus, bdf.dev, bdf.func, request.address, request.size, Number(BigInt.asUintN(32, request.value)));
  }

  reset(): void {
    for (const vdev of this.functions) vdev.reset();
    this.#irq.reset();
  }

  /** Everything is torn down even if one device fails to; the first failure is rethrown. */
  async deinit(): Promise<void> {
    for (const vdev of this.functions) vdev.detach();
    const results = await Promise.allSettled(this.functions.map(async (vdev) => vdev.device?.deinit()));
    this.#release();
    this.functions.length = 0;
    this.#at.clear();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  #configRead(bus: number, slot: number, func: number, offset: number, size: number): number {
    return this.#at.get(bdfKey(bus, slot, func))?.configRead(offset, size) ?? 0xffffffff;
  }

  #configWrite(bus: number, slot: number, func: number, offset: number, size: number, value: number): void {
    this.#at.get(bdfKey(bus, slot, func))?.configWrite(offset, size, value);
  }

  #allocate(type: BarType, sizeBytes: number): number {
    if (type === 'io') {
      const base = alignUp(this.#nextIo, sizeBytes);
      if (base + sizeBytes > PCI_EMUL_IOLIMIT) throw noSpace(type, sizeBytes);
      this.#nextIo = base + sizeBytes;
      return base;
    }
    if (type === 'mem32' || sizeBytes <= SMALL_MEM64) {
      const base = alignUp(this.#nextMem32, Math.max(sizeBytes, 4096));
      if (base + sizeBytes > PCI_EMUL_MEMLIMIT32) throw noSpace(type, sizeBytes);
      this.#nextMem32 = base + sizeBytes;
      return base;
    }
    const base = alignUp(this.#nextMem64, sizeBytes);
    if (base + sizeBytes > PCI_EMUL_MEMLIMIT64) throw noSpace(type, sizeBytes);
    this.#nextMem64 = base + sizeBytes;
    return base;
  }

  #choosePin(vdev: Vdev): number {
    const key = bdfKey(vdev.bus, vdev.slot, 0);
    const use = this.#pinUse.get(key) ?? [0, 0, 0, 0];
    this.#pinUse.set(key, use);
    const pin = use.indexOf(Math.min(...use));
    use[pin]++;
    return pin + 1;
  }
}

function bdfKey(bus: number, slot: number, func: number): number {
  return (bus << 8) | (slot << 3) | func;
}

function inWindow(type: BarType, base: number, sizeBytes: number): boolean {
  const end = base + sizeBytes;
  if (type === 'io') return base >= IO_BAR_LOWEST && end <= PCI_EMUL_IOLIMIT;
  if (base >= PCI_EMUL_MEMBASE32 && end <= PCI_EMUL_MEMLIMIT32) return true;
  return type === 'mem64' && base >= PCI_EMUL_MEMBASE64 && end <= MAX_MEM64;
}

function noSpace(type: BarType, sizeBytes: number): HostError {
  return new HostError('PCI_WINDOW_FULL', {
    what: `no room for a ${type} BAR of ${sizeBytes} bytes`, why: 'the bridge window is full', todo: 'Give the VM fewer devices.',
  });
}
