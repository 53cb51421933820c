/**
 * CPUID feature bits as data: what the CPU core offers, and how much of it each CPU model shows.
 *
 * A bit is listed only when the core executes what it promises. To switch one off, take its name out of `OFFERED`.
 * The models are the psABI's levels, so that a guest compiled for a level finds all of it.
 *
 * @spec SDM vol. 2, CPUID; x86-64 psABI micro-architecture levels (v1 baseline, v2)
 */
export type CpuModel = 'v1' | 'v2' | 'nuc';

/** [leaf, subleaf, register, bit] */
type FeatureBit = readonly [leaf: number, subleaf: number, register: 'eax' | 'ebx' | 'ecx' | 'edx', bit: number];

export const FEATURES = {
  fpu: [1, 0, 'edx', 0], vme: [1, 0, 'edx', 1], de: [1, 0, 'edx', 2], pse: [1, 0, 'edx', 3], tsc: [1, 0, 'edx', 4],
  msr: [1, 0, 'edx', 5], pae: [1, 0, 'edx', 6], mce: [1, 0, 'edx', 7], cx8: [1, 0, 'edx', 8], apic: [1, 0, 'edx', 9],
  sep: [1, 0, 'edx', 11], mtrr: [1, 0, 'edx', 12], pge: [1, 0, 'edx', 13], mca: [1, 0, 'edx', 14], cmov: [1, 0, 'edx', 15],
  pat: [1, 0, 'edx', 16], pse36: [1, 0, 'edx', 17], clfsh: [1, 0, 'edx', 19], mmx: [1, 0, 'edx', 23], fxsr: [1, 0, 'edx', 24],
  sse: [1, 0, 'edx', 25], sse2: [1, 0, 'edx', 26], ss: [1, 0, 'edx', 27],
  sse3: [1, 0, 'ecx', 0], pclmulqdq: [1, 0, 'ecx', 1], ssse3: [1, 0, 'ecx', 9], cx16: [1, 0, 'ecx', 13], pcid: [1, 0, 'ecx', 17],
  'sse4.1': [1, 0, 'ecx', 19], 'sse4.2': [1, 0, 'ecx', 20], x2apic: [1, 0, 'ecx', 21], movbe: [1, 0, 'ecx', 22],
  popcnt: [1, 0, 'ecx', 23], tscDeadline: [1, 0, 'ecx', 24], aes: [1, 0, 'ecx', 25], xsave: [1, 0, 'ecx', 26],
  rdrand: [1, 0, 'ecx', 30], hypervisor: [1, 0, 'ecx', 31],
  arat: [6, 0, 'eax', 2],
  fsgsbase: [7, 0, 'ebx', 0], tscAdjust: [7, 0, 'ebx', 1], bmi1: [7, 0, 'ebx', 3], smep: [7, 0, 'ebx', 7], bmi2: [7, 0, 'ebx', 8],
  erms: [7, 0, 'ebx', 9], invpcid: [7, 0, 'ebx', 10], rdseed: [7, 0, 'ebx', 18], adx: [7, 0, 'ebx', 19], smap: [7, 0, 'ebx', 20],
  clflushopt: [7, 0, 'ebx', 23], clwb: [7, 0, 'ebx', 24], sha: [7, 0, 'ebx', 29],
  umip: [7, 0, 'ecx', 2], rdpid: [7, 0, 'ecx', 22],
  fsrm: [7, 0, 'edx', 4], ibrs: [7, 0, 'edx', 26], archCapabilities: [7, 0, 'edx', 29],
  bhiCtrl: [7, 2, 'edx', 4],
  xsaveopt: [0xd, 1, 'eax', 0],
  lahf: [0x8000_0001, 0, 'ecx', 0], lzcnt: [0x8000_0001, 0, 'ecx', 5], prefetchw: [0x8000_0001, 0, 'ecx', 8],
  syscall: [0x8000_0001, 0, 'edx', 11], nx: [0x8000_0001, 0, 'edx', 20], page1gb: [0x8000_0001, 0, 'edx', 26],
  rdtscp: [0x8000_0001, 0, 'edx', 27], lm: [0x8000_0001, 0, 'edx', 29],
  invariantTsc: [0x8000_0007, 0, 'edx', 8],
} as const satisfies Record<string, FeatureBit>;
export type Feature = keyof typeof FEATURES;

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
