/** Local APIC registers. @spec SDM vol. 3, table 11-1 (MMIO offsets), table 11-6 (x2APIC MSRs = 0x800 + offset >> 4) */
export const APIC = {
  ID: 0x20, VERSION: 0x30, TPR: 0x80, APR: 0x90, PPR: 0xa0, EOI: 0xb0, RRD: 0xc0, LDR: 0xd0, DFR: 0xe0, SVR: 0xf0,
  ISR: 0x100, TMR: 0x180, IRR: 0x200, ESR: 0x280, CMCI_LVT: 0x2f0, ICR_LOW: 0x300, ICR_HI: 0x310,
  TIMER_LVT: 0x320, THERM_LVT: 0x330, PERF_LVT: 0x340, LINT0_LVT: 0x350, LINT1_LVT: 0x360, ERROR_LVT: 0x370,
  TIMER_ICR: 0x380, TIMER_CCR: 0x390, TIMER_DCR: 0x3e0, SELF_IPI: 0x3f0,
} as const;

export const DEFAULT_APIC_BASE = 0xfee0_0000;
/** Integrated APIC 0x10, highest LVT entry 6 (CMCI). */
export const VLAPIC_VERSION = 0x0006_0010;

export const APIC_SVR_ENABLE = 1 << 8;
export const APIC_SVR_FOCUS = 1 << 9;
export const APIC_LVT_VECTOR = 0xff;
export const APIC_LVT_DM = 0x700;
export const APIC_LVT_DS = 1 << 12;
export const APIC_LVT_IIPP = 1 << 13;
export const APIC_LVT_RIRR = 1 << 14;
export const APIC_LVT_TM = 1 << 15;
export const APIC_LVT_M = 1 << 16;
export const APIC_LVTT_TM = 3 << 17;
export const APIC_LVTT_TM_ONE_SHOT = 0;
export const APIC_LVTT_TM_PERIODIC = 1 << 17;
export const APIC_LVTT_TM_TSCDLT = 2 << 17;

export const DELMODE = { FIXED: 0, LOWEST: 1, SMI: 2, NMI: 4, INIT: 5, STARTUP: 6, EXTINT: 7 } as const;
export const APIC_DEST = { DESTFLD: 0, SELF: 1, ALLISELF: 2, ALLESELF: 3 } as const;

export const APIC_ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
export const APIC_ESR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
export const APIC_ESR_ILLEGAL_REGISTER = 1 << 7;

/** APIC_MODE of a vCPU area. */
export const APIC_DISABLED = 0;
export const APIC_XAPIC = 1;
export const APIC_X2APIC = 2;

export const APIC_BASE_BSP = 1n << 8n;
export const APIC_BASE_X2APIC = 1n << 10n;
export const APIC_BASE_ENABLE = 1n << 11n;
