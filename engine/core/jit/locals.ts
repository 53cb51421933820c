/** The locals of a page function that are always there; Emitter.local() makes more. The first four are the parameters. */
export const L = {
  CPU: 0, RIP: 1, ENTRY: 2, FN: 3,
  TLB: 4, LEFT: 5, WHERE: 6, SLOT: 7, P: 8, RECORD: 9, LOP: 10, STATUS: 11, T0: 12, T1: 13, T2: 14, T3: 15,
  PAGE: 16, TARGET: 17, LR: 18, LA: 19, LB: 20, EA: 21, W0: 22, W1: 23, W2: 24, W3: 25, W4: 26, TAG: 27,
  GPR: 28, MORE: 44,
} as const;
/** Their numbers by type. */
export const I32_LOCALS = 12;
export const I64_LOCALS = 12 + 16;
