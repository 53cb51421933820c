/** What runs on every pCPU: executes the VHM's commands for the vCPU that is assigned to it. */
import type { Pcpu, PcpuSoftware } from '../../../platform/pcpu_if.ts';
import { HvShared } from '../../shared.ts';
import { Vcpu, type RunEnd } from './guest/vcpu.ts';
import type { AcrnVcpuRegs } from './guest/vcpu_regs.ts';
import { AcrnVm, type VmConfig } from './guest/vm.ts';
import { vmexitHandler } from './guest/vmexit.ts';

export type PcpuCommand =
  | { do: 'create'; config: VmConfig; vcpuId: number }
  | { do: 'regs'; regs: AcrnVcpuRegs }
  /** Replies with a RunEnd when the vCPU stands still again. */
  | { do: 'run' }
  | { do: 'reset' }
  | { do: 'destroy' };

export const start: PcpuSoftware = (pcpu: Pcpu) => {
  const shared = new HvShared(pcpu.board.memory.buffer, pcpu.timeNs);
  let vcpu: Vcpu | undefined;
  const core = pcpu.createCore({
    vmexit: (reason) => vmexitHandler(vcpu!, reason),
    timeNs: pcpu.timeNs,
  });
  const assigned = (): Vcpu => {
    if (vcpu === undefined) throw new Error(`no vCPU on pCPU${pcpu.pcpuId}`);
    return vcpu;
  };
  return (message): RunEnd | undefined => {
    const command = message as PcpuCommand;
    switch (command.do) {
      case 'create':
        vcpu = new Vcpu(new AcrnVm(shared, command.config), command.vcpuId, core, shared, { ...pcpu, tscKhz: pcpu.board.tscKhz });
        return undefined;
      case 'regs': assigned().setRegs(command.regs); return undefined;
      case 'run':
        try {
          return assigned().run();
        } catch (error) {
          throw new Error(assigned().describe(error instanceof Error ? (error.stack ?? error.message) : String(error)));
        } finally {
          if (core.lockStep !== undefined) pcpu.log(`pCPU${pcpu.pcpuId}: ${core.lockStep.summary()}; functions kept by earlier starts: ${core.jit?.statistics.loaded}`);
        }
      case 'reset': assigned().reset(); return undefined;
      case 'destroy': vcpu = undefined; return undefined;
    }
  };
};
