/** The one door to the layers under the device model: the board, its hypervisor, and VHM. */
export { createNuc } from './nuc.ts';
export type { Nuc, NucOptions, VmRunStats } from './nuc.ts';
export type {
  AcrnVcpuRegs, GsiOperation, IoRequest, IoRequestType, Vhm, VhmVm, VmCreation, VmSuspendHow,
} from './vhm_if.ts';
