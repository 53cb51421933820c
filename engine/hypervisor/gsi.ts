/** What SET_IRQLINE may do to a line, ACRN's GSI_SET_HIGH and friends. */
export type GsiOperation = 'set-high' | 'set-low' | 'rising-pulse' | 'falling-pulse';
