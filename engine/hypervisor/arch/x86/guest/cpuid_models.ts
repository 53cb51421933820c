/**
 * How much of what the CPU core executes each CPU model has: what CPUID shows of it, and what the core then refuses (Core.offer).
 *
 * A feature is listed only when the core executes all that it promises. To switch one off, take its name out of `OFFERED`.
 * The models are the psABI's levels, so that a guest compiled for a level finds all of it.
 *
 * @spec SDM vol. 2, CPUID; x86-64 psABI micro-architecture levels (v1 baseline, v2)
 */
import type { Feature } from '../../../../core/tables/features.ts';

export type CpuModel = 'v1' | 'v2' | 'nuc';

/** The platform's own bits: every model has them, whatever its instruction set. */
const PLATFORM: readonly Feature[] = [
  'vme', 'de', 'pse', 'tsc', 'msr', 'pae', 'mce', 'apic', 'sep', 'mtrr', 'pge', 'mca', 'pat', 'pse36', 'clfsh', 'ss', 'nx',
  'x2apic', 'tscDeadline', 'hypervisor', 'arat', 'tscAdjust', 'invariantTsc', 'lm', 'rdtscp', 'ibrs', 'archCapabilities',
  'bhiCtrl',
];
const V1: readonly Feature[] = ['fpu', 'cx8', 'cmov', 'mmx', 'fxsr', 'sse', 'sse2', 'syscall'];
const V2: readonly Feature[] = ['cx16', 'lahf', 'popcnt', 'sse3', 'sse4.1', 'sse4.2', 'ssse3'];
const NUC: readonly Feature[] = [
  'pclmulqdq', 'pcid', 'movbe', 'aes', 'xsave', 'xsaveopt', 'rdrand', 'fsgsbase', 'bmi1', 'smep', 'bmi2', 'erms', 'invpcid', 'rdseed',
  'adx', 'smap', 'clflushopt', 'clwb', 'sha', 'umip', 'rdpid', 'fsrm', 'lzcnt', 'prefetchw', 'page1gb',
];

/** What the core executes today. */
export const OFFERED: ReadonlySet<Feature> = new Set([...PLATFORM, ...V1, ...V2, ...NUC]);

const MODELS: Record<CpuModel, readonly Feature[]> = {
  v1: [...PLATFORM, ...V1],
  v2: [...PLATFORM, ...V1, ...V2],
  nuc: [...PLATFORM, ...V1, ...V2, ...NUC],
};

export function featuresOf(model: CpuModel): Feature[] {
  return MODELS[model].filter((feature) => OFFERED.has(feature));
}

/** Brand string, at most 47 characters. */
export const BRAND: Record<CpuModel, string> = {
  v1: 'ACRN Desktop emulated x86-64-v1 CPU @ 2.00GHz',
  v2: 'ACRN Desktop emulated x86-64-v2 CPU @ 2.00GHz',
  nuc: 'ACRN Desktop emulated NUC CPU @ 2.00GHz',
};
