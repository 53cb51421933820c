/**
 * MXCSR: rounding control, denormal handling, and SIMD floating-point exceptions.
 *
 * An instruction computes all its lanes, collecting exceptions with `flag`; then `signal` makes them sticky and, when
 * one is unmasked, raises #XM before any result is written.
 *
 * @spec SDM vol. 1, 10.2.3 (MXCSR), 11.5 (exceptions), vol. 3, 2.5 (CR4.OSXMMEXCPT)
 */
import { cpu, cr4 } from '../cpu';
import { raise, UD, XM } from '../fault';
import { S_MXCSR } from '../gen/state';

export const IE: u32 = 1; //  invalid operation
export const DE: u32 = 2; //  denormal operand
export const ZE: u32 = 4; //  divide by zero
export const OE: u32 = 8; //  overflow
export const UE: u32 = 16; // underflow
export const PE: u32 = 32; // precision (inexact)
const PRE_COMPUTATION: u32 = IE | DE | ZE;
const EXCEPTIONS: u32 = 0x3f;
const DAZ: u32 = 1 << 6;
const MASKS_SHIFT: u32 = 7;
const UM: u32 = UE << MASKS_SHIFT;
const OM: u32 = OE << MASKS_SHIFT;
const RC_SHIFT: u32 = 13;
const FTZ: u32 = 1 << 15;

/** RC: nearest even, down, up, toward zero. */
export const RC_NEAREST: u32 = 0;
export const RC_DOWN: u32 = 1;
export const RC_UP: u32 = 2;
export const RC_ZERO: u32 = 3;

const CR4_OSXMMEXCPT: u32 = 1 << 10;

/** Exceptions of the instruction under way; zero between instructions. One instance serves one pCPU. */
let raised: u32 = 0;

// @ts-ignore: decorator
@inline export function mxcsr(): u32 { return load<u32>(cpu, S_MXCSR); }
// @ts-ignore: decorator
@inline export function roundingControl(): u32 { return mxcsr() >> RC_SHIFT & 3; }
// @ts-ignore: decorator
@inline export function denormalsAreZeros(): bool { return (mxcsr() & DAZ) != 0; }
/** FTZ acts only while underflow is masked. */
// @ts-ignore: decorator
@inline export function flushToZero(): bool { return (mxcsr() & (FTZ | UM)) == (FTZ | UM); }
// @ts-ignore: decorator
@inline export function underflowMasked(): bool { return (mxcsr() & UM) != 0; }
// @ts-ignore: decorator
@inline export function overflowMasked(): bool { return (mxcsr() & OM) != 0; }

/** Nearest rounding and all exceptions masked: an ordinary result needs no more than its PE. */
// @ts-ignore: decorator
@inline export function plainRounding(): bool { return (mxcsr() & 0x7f80) == 0x1f80; }
/** The same with PE set already: an ordinary result needs nothing at all. */
// @ts-ignore: decorator
@inline export function plainAndInexact(): bool { return (mxcsr() & 0x7fa0) == 0x1fa0; }

// @ts-ignore: decorator
@inline export function flag(exceptions: u32): void { raised |= exceptions; }
// @ts-ignore: decorator
@inline export function flagged(): u32 { return raised; }

/** Ends the computation of an instruction: call before its result is written. */
// @ts-ignore: decorator
@inline export function signal(): void { if (raised != 0) signalRaised(); }

/** Drops what the instruction has flagged of `exceptions`: ROUNDxx's precision suppression. */
// @ts-ignore: decorator
@inline export function suppress(exceptions: u32): void { raised &= ~exceptions; }

function signalRaised(): void {
  let flags = raised;
  raised = 0;
  const control = mxcsr();
  const unmasked = flags & ~(control >> MASKS_SHIFT) & EXCEPTIONS;
  // An unmasked exception found in the operands stops the computation: nothing is known of its result.
  if ((unmasked & PRE_COMPUTATION) != 0) flags &= PRE_COMPUTATION;
  store<u32>(cpu, control | flags, S_MXCSR);
  if (unmasked != 0) raise((<u32>cr4() & CR4_OSXMMEXCPT) != 0 ? XM : UD);
}
