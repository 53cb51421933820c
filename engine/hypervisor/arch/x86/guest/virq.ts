/** Events to be delivered at VM entry. @spec SDM vol. 3, 25.8.3 (VM-entry interruption-information field) */
export const INTR_INFO_VALID = 0x8000_0000;
export const INTR_INFO_ERROR_CODE = 1 << 11;
export const INTR_TYPE_EXTERNAL = 0;
export const INTR_TYPE_NMI = 2 << 8;
export const INTR_TYPE_HARDWARE_EXCEPTION = 3 << 8;

export const IDT_UD = 6;
export const IDT_GP = 13;

export interface EntryEvent { info: number; errorCode: number }

export const externalInterrupt = (vector: number): EntryEvent => ({ info: (INTR_INFO_VALID | INTR_TYPE_EXTERNAL | vector) >>> 0, errorCode: 0 });
export const NMI_EVENT: EntryEvent = { info: (INTR_INFO_VALID | INTR_TYPE_NMI | 2) >>> 0, errorCode: 0 };
/** vcpu_inject_gp(vcpu, 0) */
export const GP_EVENT: EntryEvent = { info: (INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARDWARE_EXCEPTION | IDT_GP) >>> 0, errorCode: 0 };
/** vcpu_inject_ud */
export const UD_EVENT: EntryEvent = { info: (INTR_INFO_VALID | INTR_TYPE_HARDWARE_EXCEPTION | IDT_UD) >>> 0, errorCode: 0 };
