/** EVENT_FLAGS bits, the same as in core/assembly/cpu.ts. The hypervisor owns all but TLB_FLUSH and CODE. */
export const EVENT_INTERRUPT = 1;
export const EVENT_NMI = 2;
export const EVENT_INIT = 4;
export const EVENT_SIPI = 8;
export const EVENT_TLB_FLUSH = 16;
export const EVENT_CODE = 32;
export const EVENT_TIMER = 64;
export const EVENT_PAUSE = 128;
export const EVENT_WINDOW = 256;
export const EVENT_NMI_WINDOW = 512;
