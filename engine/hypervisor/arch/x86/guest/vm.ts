/** A VM as its vCPU threads and the VHM see it: configuration, and the controllers in shared memory. */
import type { HvShared } from '../../../shared.ts';
import { VM } from '../../../shared.ts';
import { Vioapic } from '../../../dm/vioapic.ts';
import { Vpic } from '../../../dm/vpic.ts';
import type { CpuModel } from './cpuid_models.ts';

/** Crosses threads as a message. */
export interface VmConfig {
  vmid: number;
  /** Which VM area and EPT arena: 0 to MAX_VMS - 1. */
  slot: number;
  name: string;
  /** pCPU of each vCPU. */
  pcpus: number[];
  cpuModel: CpuModel;
  /** EPT pointer, SDM 25.6.11. */
  eptp: number;
}

export class AcrnVm {
  readonly config: VmConfig;
  readonly vioapic: Vioapic;
  readonly vpic: Vpic;

  constructor(shared: HvShared, config: VmConfig) {
    this.config = config;
    this.vioapic = new Vioapic(shared, config.slot);
    this.vpic = new Vpic(shared, config.slot);
  }
}

/** Writes what the other threads read of the configuration; by the VHM, before any vCPU exists. */
export function publishVm(shared: HvShared, config: VmConfig): void {
  const at = shared.vm(config.slot) / 4;
  config.pcpus.forEach((pcpuId, vcpuId) => { shared.words[at + VM.PCPU_OF_VCPU / 4 + vcpuId] = pcpuId; });
  Atomics.store(shared.words, at + VM.VCPU_COUNT / 4, config.pcpus.length);
}
