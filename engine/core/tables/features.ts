/**
 * CPUID's feature flags, the one list of them: the opcode table names them, the decoder and CR4 obey them, and the hypervisor
 * makes the answers of CPUID and its CPU models from them.
 *
 * @spec SDM vol. 2, CPUID; vol. 3, 2.5 (CR4)
 */

/** [leaf, subleaf, register, bit] */
export type FeatureBit = readonly [leaf: number, subleaf: number, register: 'eax' | 'ebx' | 'ecx' | 'edx', bit: number];

/** Those that the core executes or refuses something for. Their order is that of the bits of a feature mask. */
const CORE = {
  fpu: [1, 0, 'edx', 0], vme: [1, 0, 'edx', 1], de: [1, 0, 'edx', 2], pse: [1, 0, 'edx', 3], tsc: [1, 0, 'edx', 4],
  msr: [1, 0, 'edx', 5], pae: [1, 0, 'edx', 6], mce: [1, 0, 'edx', 7], cx8: [1, 0, 'edx', 8], sep: [1, 0, 'edx', 11],
  pge: [1, 0, 'edx', 13], cmov: [1, 0, 'edx', 15], clfsh: [1, 0, 'edx', 19], mmx: [1, 0, 'edx', 23], fxsr: [1, 0, 'edx', 24],
  sse: [1, 0, 'edx', 25], sse2: [1, 0, 'edx', 26],
  sse3: [1, 0, 'ecx', 0], pclmulqdq: [1, 0, 'ecx', 1], monitor: [1, 0, 'ecx', 3], ssse3: [1, 0, 'ecx', 9], cx16: [1, 0, 'ecx', 13],
  pcid: [1, 0, 'ecx', 17], 'sse4.1': [1, 0, 'ecx', 19], 'sse4.2': [1, 0, 'ecx', 20], movbe: [1, 0, 'ecx', 22], popcnt: [1, 0, 'ecx', 23],
  aes: [1, 0, 'ecx', 25], xsave: [1, 0, 'ecx', 26], rdrand: [1, 0, 'ecx', 30],
  fsgsbase: [7, 0, 'ebx', 0], bmi1: [7, 0, 'ebx', 3], smep: [7, 0, 'ebx', 7], bmi2: [7, 0, 'ebx', 8], invpcid: [7, 0, 'ebx', 10],
  rdseed: [7, 0, 'ebx', 18], adx: [7, 0, 'ebx', 19], smap: [7, 0, 'ebx', 20], clflushopt: [7, 0, 'ebx', 23], clwb: [7, 0, 'ebx', 24],
  sha: [7, 0, 'ebx', 29], umip: [7, 0, 'ecx', 2], rdpid: [7, 0, 'ecx', 22],
  xsaveopt: [0xd, 1, 'eax', 0],
  lahf: [0x8000_0001, 0, 'ecx', 0], lzcnt: [0x8000_0001, 0, 'ecx', 5], syscall: [0x8000_0001, 0, 'edx', 11],
  page1gb: [0x8000_0001, 0, 'edx', 26], rdtscp: [0x8000_0001, 0, 'edx', 27],
} as const satisfies Record<string, FeatureBit>;

/** Those that are the board's and the hypervisor's, promise speed, or cannot be absent. */
const OTHER = {
  apic: [1, 0, 'edx', 9], mtrr: [1, 0, 'edx', 12], mca: [1, 0, 'edx', 14], pat: [1, 0, 'edx', 16], pse36: [1, 0, 'edx', 17], ss: [1, 0, 'edx', 27],
  x2apic: [1, 0, 'ecx', 21], tscDeadline: [1, 0, 'ecx', 24], hypervisor: [1, 0, 'ecx', 31],
  arat: [6, 0, 'eax', 2],
  tscAdjust: [7, 0, 'ebx', 1], erms: [7, 0, 'ebx', 9], fsrm: [7, 0, 'edx', 4], ibrs: [7, 0, 'edx', 26], archCapabilities: [7, 0, 'edx', 29],
  bhiCtrl: [7, 2, 'edx', 4],
  prefetchw: [0x8000_0001, 0, 'ecx', 8], nx: [0x8000_0001, 0, 'edx', 20], lm: [0x8000_0001, 0, 'edx', 29],
  invariantTsc: [0x8000_0007, 0, 'edx', 8],
} as const satisfies Record<string, FeatureBit>;

export const FEATURES = { ...CORE, ...OTHER };
export type Feature = keyof typeof FEATURES;
export type CoreFeature = keyof typeof CORE;

export const CORE_FEATURES = Object.keys(CORE) as readonly CoreFeature[];

/** Bits of CR4 and what each needs; a bit that is not here is reserved. */
export const CR4_FEATURES: ReadonlyMap<number, CoreFeature | undefined> = new Map<number, CoreFeature | undefined>([
  [0, 'vme'], [1, 'vme'], [2, 'tsc'], [3, 'de'], [4, 'pse'], [5, 'pae'], [6, 'mce'], [7, 'pge'], [8, undefined /* PCE */], [9, 'fxsr'], [10, 'sse'], [11, 'umip'],
  [16, 'fsgsbase'], [17, 'pcid'], [18, 'xsave'], [20, 'smep'], [21, 'smap'],
]);

/** Every feature of the core. */
export const ALL_FEATURES = (1n << BigInt(CORE_FEATURES.length)) - 1n;

/** What of these the core looks at, as a mask. */
export function featureMask(features: Iterable<Feature>): bigint {
  let mask = 0n;
  for (const feature of features) {
    const bit = CORE_FEATURES.indexOf(feature as CoreFeature);
    if (bit >= 0) mask |= 1n << BigInt(bit);
  }
  return mask;
}
