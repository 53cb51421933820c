/**
 * RDMSR and WRMSR that the core does not answer itself. undefined and false are #GP(0).
 *
 * @spec   SDM vol. 4; the answers are ACRN's (reference: MSRs) where ACRN has any
 * @cover  #Y TSC, TSC_ADJUST, APIC_BASE, x2APIC, TSC_DEADLINE, PLATFORM_INFO, FSB_FREQ, MISC_ENABLE, fixed MTRRs, microcode revision
 *         #P MTRRs are stored and change nothing: all of a VM's RAM is write-back, all the rest reaches a device
 *         #N performance counters, machine-check banks, VMX, RDT, SGX: #GP
 * @differ ARCH_CAPABILITIES, SPEC_CTRL and PRED_CMD are the board's own: this CPU does not speculate, so it says that it
 *         has none of the known weaknesses, and the two controls have nothing to control.
 */
import type { Vlapic } from './vlapic.ts';

const MSR = {
  TIME_STAMP_COUNTER: 0x10, PLATFORM_ID: 0x17, APIC_BASE: 0x1b, EBL_CR_POWERON: 0x2a, FEATURE_CONTROL: 0x3a, TSC_ADJUST: 0x3b,
  SPEC_CTRL: 0x48, PRED_CMD: 0x49, BIOS_UPDT_TRIG: 0x79, BIOS_SIGN_ID: 0x8b, FSB_FREQ: 0xcd, PLATFORM_INFO: 0xce, MTRR_CAP: 0xfe,
  ARCH_CAPABILITIES: 0x10a, FLUSH_CMD: 0x10b, MISC_FEATURES_ENABLES: 0x140, MCG_CAP: 0x179, MCG_STATUS: 0x17a,
  PERF_STATUS: 0x198, PERF_CTL: 0x199, MISC_ENABLE: 0x1a0, DEBUGCTL: 0x1d9, MTRR_FIX64K_00000: 0x250, MTRR_FIX16K_80000: 0x258,
  MTRR_FIX16K_A0000: 0x259, MTRR_FIX4K_C0000: 0x268, MTRR_FIX4K_F8000: 0x26f, MTRR_DEF_TYPE: 0x2ff, TSC_DEADLINE: 0x6e0,
} as const;
const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x8ff;

const MTRR_CAP_FIX = 1n << 8n;
const MTRR_CAP_WC = 1n << 10n;
const MTRR_DEF_TYPE_ENABLE = (1n << 11n) | (1n << 10n); // MTRRs and fixed-range MTRRs on
const MEM_TYPE_WB = 6n;
const FEATURE_CONTROL_LOCK = 1n;
const MISC_ENABLE_FAST_STRING = 1n;
const MISC_ENABLE_BTS_UNAVAILABLE = 1n << 11n;
const MISC_ENABLE_PEBS_UNAVAILABLE = 1n << 12n;
const MISC_ENABLE_LIMIT_CPUID = 1n << 22n;
const MISC_ENABLE_XD_DISABLE = 1n << 34n;
const MISC_ENABLE_WRITABLE = MISC_ENABLE_FAST_STRING | MISC_ENABLE_LIMIT_CPUID | MISC_ENABLE_XD_DISABLE;
/** What the bit says the part is not affected by, in bit order: RDCL 0, L1D flush on VM entry 3, SSB 4, MDS 5,
 *  IF_PSCHANGE 6, TAA 8, SBDR/SSDP 13, FBSDP 14, PSDP 15, BHI 20, PBRSB 24, GDS 26, RFDS 27, ITS 62; and enhanced IBRS 1. */
const ARCH_CAPABILITIES = [0n, 1n, 3n, 4n, 5n, 6n, 8n, 13n, 14n, 15n, 20n, 24n, 26n, 27n, 62n].reduce((sum, bit) => sum | (1n << bit), 0n);
/** IBRS, STIBP, SSBD and BHI_DIS_S. */
const SPEC_CTRL_WRITABLE = 0x407n;
const MICROCODE_REVISION = 0xf6n;
const BUS_MHZ = 100;
/** 100 MHz in the coding of MSR_FSB_FREQ that MSR_PLATFORM_INFO goes with (SDM vol. 4, table 2-6). */
const FSB_100_MHZ = 1n;

export interface MsrPort {
  readonly vlapic: Vlapic;
  readonly tscKhz: number;
  guestTsc(): bigint;
  tscOffset: bigint;
  /** The CPU model shows these features. */
  readonly hasSpecCtrl: boolean;
  /** ACRN's pr_warn. */
  warn(line: string): void;
}

export class Vmsr {
  readonly #port: MsrPort;
  readonly #fixedMtrrs = new Map<number, bigint>();
  readonly #reported = new Set<number>();
  #mtrrDefType = 0n;
  #miscEnable = 0n;
  #tscAdjust = 0n;
  #specCtrl = 0n;

  constructor(port: MsrPort) {
    this.#port = port;
    this.reset();
  }

  reset(): void {
    this.#miscEnable = MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE;
    this.#mtrrDefType = MTRR_DEF_TYPE_ENABLE | MEM_TYPE_WB;
    this.#tscAdjust = 0n;
    this.#specCtrl = 0n;
    for (let msr: number = MSR.MTRR_FIX64K_00000; msr <= MSR.MTRR_FIX4K_F8000; msr++) {
      // Write-back but for the VGA window.
      if (isFixedMtrr(msr)) this.#fixedMtrrs.set(msr, msr === MSR.MTRR_FIX16K_A0000 ? 0n : 0x0606_0606_0606_0606n);
    }
  }

  get limitCpuid(): boolean { return (this.#miscEnable & MISC_ENABLE_LIMIT_CPUID) !== 0n; }
  get xdDisable(): boolean { return (this.#miscEnable & MISC_ENABLE_XD_DISABLE) !== 0n; }

  read(msr: number): bigint | undefined {
    const port = this.#port;
    if (msr >= X2APIC_FIRST && msr <= X2APIC_LAST) return port.vlapic.readMsr(msr);
    if (isFixedMtrr(msr)) return this.#fixedMtrrs.get(msr);
    const ratio = BigInt(Math.round(port.tscKhz / 1000 / BUS_MHZ));
    switch (msr) {
      case MSR.TIME_STAMP_COUNTER: return port.guestTsc();
      case MSR.TSC_ADJUST: return this.#tscAdjust;
      case MSR.APIC_BASE: return port.vlapic.apicBase;
      case MSR.TSC_DEADLINE: return port.vlapic.tscDeadline;
      case MSR.FEATURE_CONTROL: return FEATURE_CONTROL_LOCK;
      case MSR.BIOS_SIGN_ID: return MICROCODE_REVISION << 32n;
      case MSR.PLATFORM_INFO: return (ratio << 8n) | (ratio << 40n);
      case MSR.FSB_FREQ: return FSB_100_MHZ;
      case MSR.PERF_STATUS: case MSR.PERF_CTL: return ratio << 8n;
      case MSR.MTRR_CAP: return MTRR_CAP_FIX | MTRR_CAP_WC; // no variable ranges
      case MSR.MTRR_DEF_TYPE: return this.#mtrrDefType;
      case MSR.MISC_ENABLE: return this.#miscEnable;
      case MSR.PLATFORM_ID: case MSR.EBL_CR_POWERON: case MSR.MCG_CAP: case MSR.MCG_STATUS: case MSR.MISC_FEATURES_ENABLES: case MSR.DEBUGCTL:
        return 0n;
      case MSR.ARCH_CAPABILITIES: return port.hasSpecCtrl ? ARCH_CAPABILITIES : this.#unknown('rdmsr', msr);
      case MSR.SPEC_CTRL: return port.hasSpecCtrl ? this.#specCtrl : this.#unknown('rdmsr', msr);
      default: return this.#unknown('rdmsr', msr);
    }
  }

  write(msr: number, value: bigint): boolean {
    const port = this.#port;
    if (msr >= X2APIC_FIRST && msr <= X2APIC_LAST) return port.vlapic.writeMsr(msr, value);
    if (isFixedMtrr(msr)) {
      if (!validMemoryTypes(value)) return false;
      this.#fixedMtrrs.set(msr, value);
      return true;
    }
    switch (msr) {
      case MSR.TIME_STAMP_COUNTER: this.#moveTsc(value - port.guestTsc()); return true;
      case MSR.TSC_ADJUST: this.#moveTsc(value - this.#tscAdjust); return true;
      case MSR.APIC_BASE: return port.vlapic.setApicBase(value);
      case MSR.TSC_DEADLINE: port.vlapic.setTscDeadline(value); return true;
      case MSR.BIOS_UPDT_TRIG: case MSR.BIOS_SIGN_ID: case MSR.PERF_CTL: case MSR.EBL_CR_POWERON: return true; // accepted, no effect
      case MSR.MTRR_DEF_TYPE:
        if ((value & ~0xcffn) !== 0n || !validMemoryTypes(value & 0xffn)) return false;
        this.#mtrrDefType = value;
        return true;
      case MSR.MISC_ENABLE:
        if (((value ^ this.#miscEnable) & MISC_ENABLE_XD_DISABLE) !== 0n && (value & MISC_ENABLE_XD_DISABLE) !== 0n) return false; // NX is in use
        this.#miscEnable = (this.#miscEnable & ~MISC_ENABLE_WRITABLE) | (value & MISC_ENABLE_WRITABLE);
        return true;
      case MSR.MCG_STATUS: case MSR.MISC_FEATURES_ENABLES: case MSR.DEBUGCTL: return value === 0n;
      case MSR.SPEC_CTRL:
        if (!port.hasSpecCtrl || (value & ~SPEC_CTRL_WRITABLE) !== 0n) return false;
        this.#specCtrl = value;
        return true;
      case MSR.PRED_CMD: case MSR.FLUSH_CMD: return port.hasSpecCtrl && (value & ~1n) === 0n;
      case MSR.FEATURE_CONTROL: case MSR.MTRR_CAP: case MSR.MCG_CAP: case MSR.FSB_FREQ: case MSR.PLATFORM_INFO: case MSR.PERF_STATUS: case MSR.ARCH_CAPABILITIES:
        return false; // read-only
      default: return this.#unknown('wrmsr', msr) !== undefined;
    }
  }

  /** A TSC write and a TSC_ADJUST write move both by the same amount (SDM vol. 3, 18.17.3). */
  #moveTsc(delta: bigint): void {
    this.#port.tscOffset = BigInt.asUintN(64, this.#port.tscOffset + delta);
    this.#tscAdjust = BigInt.asUintN(64, this.#tscAdjust + delta);
    this.#port.vlapic.rearmDeadline();
  }

  /** One line for each register, however often the guest asks. */
  #unknown(what: 'rdmsr' | 'wrmsr', msr: number): undefined {
    if (!this.#reported.has(msr) && this.#reported.size < 256) {
      this.#reported.add(msr);
      this.#port.warn(`${what}: unknown MSR 0x${msr.toString(16)}, #GP injected`);
    }
    return undefined;
  }
}

function isFixedMtrr(msr: number): boolean {
  return msr === MSR.MTRR_FIX64K_00000 || msr === MSR.MTRR_FIX16K_80000 || msr === MSR.MTRR_FIX16K_A0000
    || (msr >= MSR.MTRR_FIX4K_C0000 && msr <= MSR.MTRR_FIX4K_F8000);
}

/** Every byte UC 0, WC 1, WT 4, WP 5 or WB 6. */
function validMemoryTypes(value: bigint): boolean {
  for (let shift = 0n; shift < 64n; shift += 8n) {
    if (![0n, 1n, 4n, 5n, 6n].includes((value >> shift) & 0xffn)) return false;
  }
  return true;
}
