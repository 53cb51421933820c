/** A board for unit tests: shared memory without RAM, a virtual clock, a core that runs nothing. */
import { layout, MAX_PCPUS } from '../core/tables/layout.ts';
import { S } from '../core/gen/state.ts';
import type { Feature } from '../core/tables/features.ts';
import type { VcpuCore } from './arch/x86/guest/vcpu_if.ts';
import { AcrnVm, publishVm, type VmConfig } from './arch/x86/guest/vm.ts';
import { HvShared } from './shared.ts';

/** Everything below RAM_BASE that the hypervisor touches. */
export function mockShared(): HvShared {
  return new HvShared(new SharedArrayBuffer(layout.HV_SHARED_BASE + layout.HV_SHARED_SIZE), () => 0);
}

export function mockVm(shared: HvShared, pcpus: number[] = [0]): AcrnVm {
  const config: VmConfig = { vmid: 1, slot: 0, name: 'vm1', pcpus, cpuModel: 'nuc', eptp: 0 };
  publishVm(shared, config);
  const vm = new AcrnVm(shared, config);
  vm.vioapic.reset();
  vm.vpic.reset();
  return vm;
}

export class MockClock {
  ns = 0;
  advanceNs(by: number): void { this.ns += by; }
}

/** A core whose run() is the test's. Its state lies where the real one's does, so that EVENT_FLAGS is shared. */
export class MockCore implements VcpuCore {
  readonly view: DataView;
  rflags = 2;
  /** Called by run(); returns the leave reason. */
  step: () => number = () => 0x100;

  constructor(shared: HvShared, pcpuId: number) {
    this.view = new DataView(shared.eventWords.buffer, layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE, layout.PCPU_STRIDE);
    if (pcpuId >= MAX_PCPUS) throw new Error('no such pCPU');
  }

  /** What the vCPU's model has. */
  offered: readonly Feature[] = [];

  offer(features: Iterable<Feature>): void { this.offered = [...features]; }
  reset(): void {
    for (let i = 0; i < S.EVENT_FLAGS; i += 4) this.view.setUint32(i, 0, true);
    this.view.setUint32(S.ACTIVITY_STATE, 0, true);
    this.view.setUint32(S.INTERRUPTIBILITY, 0, true);
    this.rflags = 2;
  }
  run(): number { return this.step(); }
  flags(): number { return this.rflags; }
  setFlags(flags: number): void { this.rflags = flags; }
  syncAfterStateWrite(): void {}
  flushTlb(): void {}

  /** The event run() would deliver, taken as the core takes it. */
  takeEntryEvent(): number | undefined {
    const info = this.view.getUint32(S.ENTRY_INTR_INFO, true);
    this.view.setUint32(S.ENTRY_INTR_INFO, 0, true);
    return info >= 0x8000_0000 ? info : undefined;
  }
}
