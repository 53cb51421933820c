/**
 * One list of VMs out of three sources: definitions on disk, VMs of our NUC process, VMs of other processes.
 *
 * @spec   engine/contract/engine_api.ts, VmInfo and NucInfo
 * @cover  #Y precedence, crashed and stopped VMs keep their last words, pCPU map
 * @differ none
 */
import type { NucInfo, Problem, VmInfo } from '../engine/contract/engine_api.ts';
import type { RunningVm } from '../engine/contract/nuc_protocol.ts';
import type { RegisteredVm, StoredVm } from './engine_if.ts';

/** How a VM of ours ended last, kept until it is started again. */
export interface EndedVm {
  state: 'stopped' | 'crashed';
  detail: string;
  problem?: Problem;
}

export interface VmSources {
  stored: readonly StoredVm[];
  running: ReadonlyMap<string, RunningVm>;
  external: ReadonlyArray<RegisteredVm & { paused: boolean }>;
  ended: ReadonlyMap<string, EndedVm>;
  /** Names whose start was asked for and has not reached the NUC yet, with what is being waited for. */
  starting: ReadonlyMap<string, string>;
}

export function mergeVms(sources: VmSources): Map<string, VmInfo> {
  const vms = new Map<string, VmInfo>();
  for (const { name, definition, problem } of sources.stored) {
    vms.set(name, { name, definition, state: 'stopped', consoles: [], detail: '', problem, external: false });
  }
  for (const { name, consoles, startedAt, pid, paused } of sources.external) {
    const stored = vms.get(name);
    vms.set(name, { name, definition: stored?.definition, state: paused ? 'paused' : 'running', startedAt, consoles, detail: `runs in process ${pid}`, external: true });
  }
  for (const [name, ended] of sources.ended) {
    const known = vms.get(name);
    if (known !== undefined && !known.external) vms.set(name, { ...known, ...ended, problem: ended.problem ?? known.problem });
  }
  for (const [name, detail] of sources.starting) {
    const known = vms.get(name);
    if (known !== undefined) vms.set(name, { ...known, state: 'starting', detail, problem: undefined });
  }
  for (const [name, running] of sources.running) {
    vms.set(name, {
      name,
      definition: vms.get(name)?.definition,
      state: running.state,
      vmid: running.vmid,
      startedAt: running.startedAt,
      consoles: running.consoles,
      detail: running.detail,
      problem: running.problem,
      external: false,
    });
  }
  return new Map([...vms].sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true })));
}

export function nucInfoOf(
  nuc: { state: NucInfo['state']; detail: string; pcpus: number; memoryMiB: number },
  running: Iterable<{ name: string; cpuAffinity: number[]; memoryMiB: number }>,
): NucInfo {
  const pcpus: NucInfo['pcpus'] = Array.from({ length: nuc.pcpus }, (_, id) => ({ id }));
  let memoryUsedMiB = 0;
  for (const { name, cpuAffinity, memoryMiB } of running) {
    memoryUsedMiB += memoryMiB;
    cpuAffinity.forEach((pcpuId, vcpuId) => {
      if (pcpus[pcpuId] !== undefined) pcpus[pcpuId] = { id: pcpuId, vm: name, vcpuId };
    });
  }
  return { state: nuc.state, detail: nuc.detail, pcpus, memoryMiB: nuc.memoryMiB, memoryUsedMiB };
}
