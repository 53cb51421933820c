/**
 * CPUID of a vCPU: a table made when the VM is created, leaves 1, 7, 0xB, 0xD and 0x80000001 finished per vCPU.
 *
 * @spec SDM vol. 2, CPUID; ACRN's leaves 0x40000000 to 0x40000010 (reference: CPUID leaves)
 * @differ Leaf 0x15 gives a crystal that runs at the TSC's rate, so that the APIC timer, which counts TSC ticks here as
 *         in ACRN, agrees with the SDM's "core crystal clock". No Hyper-V leaves. A family 6 model 142 signature without
 *         AVX: the core has none.
 */
import { FEATURES } from '../../../../core/tables/features.ts';
import { BRAND, featuresOf, type CpuModel } from './cpuid_models.ts';

export interface CpuidResult { eax: number; ebx: number; ecx: number; edx: number }

export const MAX_BASIC_LEAF = 0x16;
export const MAX_HYPERVISOR_LEAF = 0x4000_0010;
export const MAX_EXTENDED_LEAF = 0x8000_0008;
/** Family 6, model 142, stepping 10: the NUC7's eighth-generation Core. */
const SIGNATURE = 0x000806ea;
const MAX_PHYSICAL_ADDRESS = 39;
const BUS_MHZ = 100;
const XSAVE_HEADER_END = 576;

/** What changes from vCPU to vCPU and over time. */
export interface CpuidContext {
  apicId: number;
  vcpuCount: number;
  /** CR4.OSXSAVE */
  osxsave: boolean;
  /** IA32_MISC_ENABLE */
  limitCpuid: boolean;
  xdDisable: boolean;
}

const ZERO: CpuidResult = { eax: 0, ebx: 0, ecx: 0, edx: 0 };

export class Vcpuid {
  readonly #tscKhz: number;
  readonly #model: CpuModel;
  readonly #bits = new Map<string, number>();

  constructor(model: CpuModel, tscKhz: number) {
    this.#model = model;
    this.#tscKhz = tscKhz;
    for (const feature of featuresOf(model)) {
      const [leaf, subleaf, register, bit] = FEATURES[feature];
      const key = `${leaf}.${subleaf}.${register}`;
      this.#bits.set(key, ((this.#bits.get(key) ?? 0) | (1 << bit)) >>> 0);
    }
  }

  has(feature: keyof typeof FEATURES): boolean {
    const [leaf, subleaf, register, bit] = FEATURES[feature];
    return (this.#word(leaf, subleaf, register) & (1 << bit)) !== 0;
  }

  #word(leaf: number, subleaf: number, register: keyof CpuidResult): number {
    return this.#bits.get(`${leaf}.${subleaf}.${register}`) ?? 0;
  }

  #words(leaf: number, subleaf: number): CpuidResult {
    return { eax: this.#word(leaf, subleaf, 'eax'), ebx: this.#word(leaf, subleaf, 'ebx'), ecx: this.#word(leaf, subleaf, 'ecx'), edx: this.#word(leaf, subleaf, 'edx') };
  }

  /** A leaf beyond its range answers as the highest basic leaf, as hardware does. */
  read(leafIn: number, subleaf: number, context: CpuidContext): CpuidResult {
    const leaf = leafIn >>> 0;
    if (context.limitCpuid && leaf > 2 && leaf < 0x4000_0000) return ZERO;
    if (leaf >= 0x8000_0000 && leaf <= MAX_EXTENDED_LEAF) return this.#extended(leaf, context);
    if (leaf >= 0x4000_0000 && leaf <= MAX_HYPERVISOR_LEAF) return this.#hypervisor(leaf);
    return this.#basic(Math.min(leaf, MAX_BASIC_LEAF), subleaf >>> 0, context);
  }

  #basic(leaf: number, subleaf: number, context: CpuidContext): CpuidResult {
    const { vcpuCount, apicId } = context;
    switch (leaf) {
      case 0: return { eax: context.limitCpuid ? 2 : MAX_BASIC_LEAF, ebx: 0x756e_6547, edx: 0x4965_6e69, ecx: 0x6c65_746e }; // GenuineIntel
      case 1: {
        const words = this.#words(1, 0);
        const htt = vcpuCount > 1 ? 1 << 28 : 0;
        return {
          eax: SIGNATURE,
          ebx: ((apicId << 24) | (nextPowerOfTwo(vcpuCount) << 16) | (8 << 8)) >>> 0, // CLFLUSH line 8 quadwords
          ecx: (words.ecx | (context.osxsave && this.has('xsave') ? 1 << 27 : 0)) >>> 0,
          edx: (words.edx | htt) >>> 0,
        };
      }
      // 0xFF: caches by leaf 4; 0x63, 0xB6, 0x76, 0xB5, 0xF0, 0xC3: TLBs and prefetching of this family.
      case 2: return { eax: 0x7603_6301, ebx: 0x00f0_b5ff, ecx: 0, edx: 0x00c3_0000 };
      case 4: return this.#caches(subleaf, vcpuCount);
      case 6: return this.#words(6, 0);
      case 7: return subleaf <= 2 ? { ...this.#words(7, subleaf), eax: subleaf === 0 ? 2 : 0 } : ZERO; // subleaves 0 to 2
      case 0xb: return topology(subleaf, vcpuCount, apicId);
      case 0xd: return this.#xsave(subleaf);
      case 0x15: return { eax: 1, ebx: 1, ecx: (this.#tscKhz * 1000) >>> 0, edx: 0 };
      case 0x16: return { eax: Math.floor(this.#tscKhz / 1000), ebx: Math.floor(this.#tscKhz / 1000), ecx: BUS_MHZ, edx: 0 };
      default: return ZERO;
    }
  }

  /** Leaf 4: 32 KiB L1D and L1I, 256 KiB L2, 8 MiB L3, the last shared by the package. */
  #caches(subleaf: number, vcpuCount: number): CpuidResult {
    const cores = nextPowerOfTwo(vcpuCount) - 1;
    const cache = (type: number, level: number, ways: number, sets: number, sharing: number, edx = 0): CpuidResult => ({
      eax: ((cores << 26) | (sharing << 14) | (1 << 8) | (level << 5) | type) >>> 0,
      ebx: (((ways - 1) << 22) | 63) >>> 0,
      ecx: sets - 1,
      edx,
    });
    switch (subleaf) {
      case 0: return cache(1, 1, 8, 64, 0);
      case 1: return cache(2, 1, 8, 64, 0);
      case 2: return cache(3, 2, 4, 1024, 0);
      case 3: return cache(3, 3, 16, 8192, cores, 2);
      default: return ZERO;
    }
  }

  #xsave(subleaf: number): CpuidResult {
    if (!this.has('xsave')) return ZERO;
    if (subleaf === 0) return { eax: 3, ebx: XSAVE_HEADER_END, ecx: XSAVE_HEADER_END, edx: 0 }; // x87 and SSE
    if (subleaf === 1) return this.#words(0xd, 1);
    return ZERO;
  }

  #hypervisor(leaf: number): CpuidResult {
    switch (leaf) {
      case 0x4000_0000: return { eax: MAX_HYPERVISOR_LEAF, ebx: 0x4e52_4341, ecx: 0x4e52_4341, edx: 0x4e52_4341 }; // ACRNACRNACRN
      case 0x4000_0010: return { eax: this.#tscKhz, ebx: 0, ecx: 0, edx: 0 };
      default: return ZERO; // 0x40000001: not a privileged VM
    }
  }

  #extended(leaf: number, context: CpuidContext): CpuidResult {
    switch (leaf) {
      case 0x8000_0000: return { ...ZERO, eax: MAX_EXTENDED_LEAF };
      case 0x8000_0001: {
        const words = this.#words(leaf, 0);
        return context.xdDisable ? { ...words, edx: (words.edx & ~(1 << 20)) >>> 0 } : words;
      }
      case 0x8000_0002: case 0x8000_0003: case 0x8000_0004: return brandPart(BRAND[this.#model], leaf - 0x8000_0002);
      case 0x8000_0006: return { ...ZERO, ecx: (256 << 16) | (4 << 12) | 64 }; // L2: 256 KiB, code for 4 ways, 64-byte lines
      case 0x8000_0007: return this.#words(leaf, 0);
      case 0x8000_0008: return { ...ZERO, eax: (48 << 8) | MAX_PHYSICAL_ADDRESS };
      default: return ZERO;
    }
  }
}

function nextPowerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

/** Leaf 0xB: one thread a core, then the cores of the package. */
function topology(subleaf: number, vcpuCount: number, apicId: number): CpuidResult {
  switch (subleaf) {
    case 0: return { eax: 0, ebx: 1, ecx: 1 << 8, edx: apicId };
    case 1: return { eax: Math.ceil(Math.log2(Math.max(1, vcpuCount))), ebx: vcpuCount, ecx: (2 << 8) | 1, edx: apicId };
    default: return { eax: 0, ebx: 0, ecx: subleaf & 0xff, edx: apicId };
  }
}

function brandPart(brand: string, part: number): CpuidResult {
  const bytes = new Uint8Array(48);
  for (let i = 0; i < Math.min(47, brand.length); i++) bytes[i] = brand.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const at = (n: number): number => view.getUint32(part * 16 + n * 4, true);
  return { eax: at(0), ebx: at(1), ecx: at(2), edx: at(3) };
}
