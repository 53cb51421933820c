/**
 * Exceptions: raising them from anywhere, and delivering events through the IDT.
 *
 * `raise*` never return: the host unwinds the WebAssembly stack to run(), which delivers the event. So an
 * instruction must not change architectural state before its last access that can fault.
 *
 * @spec SDM vol. 3 chapter 6
 */
import { cpu } from './cpu';
import { S_FAULT_ERROR, S_FAULT_HAS_ERROR, S_FAULT_VECTOR } from './gen/state';

export const DE: u32 = 0; export const DB: u32 = 1; export const NMI: u32 = 2; export const BP: u32 = 3; export const OF: u32 = 4;
export const BR: u32 = 5; export const UD: u32 = 6; export const NM: u32 = 7; export const DF: u32 = 8; export const TS: u32 = 10;
export const NP: u32 = 11; export const SSF: u32 = 12; export const GP: u32 = 13; export const PF: u32 = 14; export const MF: u32 = 16;
export const AC: u32 = 17; export const MC: u32 = 18; export const XM: u32 = 19;

/** Unwinds to run(); provided by core.ts. Never returns. */
@external('host', 'unwind')
declare function hostUnwind(): void;

/** Raises a fault without error code. Never returns. */
export function raise(vector: u32): void {
  store<u32>(cpu, vector, S_FAULT_VECTOR);
  store<u32>(cpu, 0, S_FAULT_HAS_ERROR);
  hostUnwind();
}

/** Raises a fault with an error code. Never returns. */
export function raiseError(vector: u32, errorCode: u32): void {
  store<u32>(cpu, vector, S_FAULT_VECTOR);
  store<u32>(cpu, errorCode, S_FAULT_ERROR);
  store<u32>(cpu, 1, S_FAULT_HAS_ERROR);
  hostUnwind();
}
