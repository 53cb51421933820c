/**
 * The pCPU this instance serves, and access to its architectural state.
 *
 * @spec SDM vol. 1 chapter 3 (registers), vol. 3 chapter 2 (control registers), chapter 25 (VMCS fields)
 */
import {
  S_ACTIVITY_STATE, S_BLOCK_RIP, S_CPL, S_CR0, S_CR4, S_CUR_OP, S_EVENT_FLAGS, S_GPR, S_IA32_EFER, S_INTERRUPTIBILITY,
  S_LEAVE_BLOCK, S_MODE, S_RIP, S_SEG_ATTR, S_SEG_BASE, S_SEG_LIMIT, S_SEG_SELECTOR, S_XMM,
} from './gen/state';
import { recLength, recOffset } from './record';

/** Base address of this instance's pCPU block; set once by `init`. */
export let cpu: usize = 0;
export function setCpu(base: usize): void { cpu = base; }

export const RAX: u32 = 0; export const RCX: u32 = 1; export const RDX: u32 = 2; export const RBX: u32 = 3;
export const RSP: u32 = 4; export const RBP: u32 = 5; export const RSI: u32 = 6; export const RDI: u32 = 7;

export const ES: u32 = 0; export const CS: u32 = 1; export const SS: u32 = 2; export const DS: u32 = 3;
export const FS: u32 = 4; export const GS: u32 = 5; export const LDTR: u32 = 6; export const TR: u32 = 7;

// CPU mode word: what the decoder and the address calculation depend on. Part of a block's key.
export const MODE_LONG64: u32 = 1; //      64-bit code segment in long mode
export const MODE_CS32: u32 = 2; //        default operand and address size 32 (16 when neither is set)
export const MODE_SS32: u32 = 4; //        stack pointer is ESP (SP when clear, RSP in 64-bit mode)
export const MODE_PROTECTED: u32 = 8;
export const MODE_V86: u32 = 16;
export const MODE_USER: u32 = 32; //       CPL 3
export const MODE_FLAT: u32 = 64; //       ES CS SS DS have base 0 and limit 4 GiB and are usable: no segment checks needed
export const MODE_LONG: u32 = 128; //      EFER.LMA

// EVENT_FLAGS bits (written by any thread with Atomics.or, read here at block boundaries)
export const EVENT_INTERRUPT: i32 = 1; //  the vLAPIC wants a look (posted interrupt)
export const EVENT_NMI: i32 = 2;
export const EVENT_INIT: i32 = 4;
export const EVENT_SIPI: i32 = 8;
export const EVENT_TLB_FLUSH: i32 = 16; // drop every TLB entry before the next instruction
export const EVENT_CODE: i32 = 32; //      another pCPU marked a page as code, or stops the others of its VM for a LOCK: code_page.ts, buslock.ts
export const EVENT_TIMER: i32 = 64;
export const EVENT_PAUSE: i32 = 128; //    leave run() and wait for orders
export const EVENT_NMI_WINDOW: i32 = 512; // NMI window wanted: leave as soon as NMIs are not blocked
export const EVENT_WINDOW: i32 = 256; //   interrupt window wanted: leave as soon as interruptible

// @ts-ignore: decorator
@inline export function gpr64(i: u32): u64 { return load<u64>(cpu + (<usize>i << 3), S_GPR); }
// @ts-ignore: decorator
@inline export function gpr32(i: u32): u32 { return load<u32>(cpu + (<usize>i << 3), S_GPR); }
// @ts-ignore: decorator
@inline export function gpr16(i: u32): u16 { return load<u16>(cpu + (<usize>i << 3), S_GPR); }
/** i: 0-15 low bytes, 16-19 AH CH DH BH (the decoder resolves the legacy high-byte encodings to these). */
// @ts-ignore: decorator
@inline export function gpr8(i: u32): u8 { return load<u8>(cpu + byteRegister(i), S_GPR); }
// @ts-ignore: decorator
@inline export function setGpr64(i: u32, v: u64): void { store<u64>(cpu + (<usize>i << 3), v, S_GPR); }
/** Writes a 32-bit register; bits 63:32 become zero (SDM vol. 1, 3.4.1.1). */
// @ts-ignore: decorator
@inline export function setGpr32(i: u32, v: u32): void { store<u64>(cpu + (<usize>i << 3), <u64>v, S_GPR); }
// @ts-ignore: decorator
@inline export function setGpr16(i: u32, v: u16): void { store<u16>(cpu + (<usize>i << 3), v, S_GPR); }
// @ts-ignore: decorator
@inline export function setGpr8(i: u32, v: u8): void { store<u8>(cpu + byteRegister(i), v, S_GPR); }
// @ts-ignore: decorator
@inline function byteRegister(i: u32): usize { return i < 16 ? <usize>i << 3 : (<usize>(i - 16) << 3) + 1; }

/** Address of XMM register i, for load<v128>/store<v128>. */
// @ts-ignore: decorator
@inline export function xmm(i: u32): usize { return cpu + S_XMM + (<usize>i << 4); }

// @ts-ignore: decorator
@inline export function mode(): u32 { return load<u32>(cpu, S_MODE); }
// @ts-ignore: decorator
@inline export function cpl(): u32 { return load<u32>(cpu, S_CPL); }
// @ts-ignore: decorator
@inline export function cr0(): u64 { return load<u64>(cpu, S_CR0); }
// @ts-ignore: decorator
@inline export function cr4(): u64 { return load<u64>(cpu, S_CR4); }
// @ts-ignore: decorator
@inline export function efer(): u64 { return load<u64>(cpu, S_IA32_EFER); }
// @ts-ignore: decorator
@inline export function segBase(s: u32): u64 { return load<u64>(cpu + (<usize>s << 3), S_SEG_BASE); }
// @ts-ignore: decorator
@inline export function segLimit(s: u32): u32 { return load<u32>(cpu + (<usize>s << 2), S_SEG_LIMIT); }
// @ts-ignore: decorator
@inline export function segAttr(s: u32): u32 { return load<u32>(cpu + (<usize>s << 2), S_SEG_ATTR); }
// @ts-ignore: decorator
@inline export function segSelector(s: u32): u16 { return load<u16>(cpu + (<usize>s << 1), S_SEG_SELECTOR); }

/** RIP of the instruction being executed. */
// @ts-ignore: decorator
@inline export function instrRip(): u64 { const op = load<u32>(cpu, S_CUR_OP); return load<u64>(cpu, S_BLOCK_RIP) + <u64>recOffset(op); }
/** RIP of the instruction after the one being executed (before truncation to the mode's width). */
// @ts-ignore: decorator
@inline export function nextRip(): u64 { const op = load<u32>(cpu, S_CUR_OP); return load<u64>(cpu, S_BLOCK_RIP) + <u64>recOffset(op) + <u64>recLength(op); }
/** Continue at `rip` after this instruction: for the block-ending instructions (jumps, calls, far transfers, faults). */
// @ts-ignore: decorator
@inline export function jumpTo(rip: u64): void { store<u64>(cpu, rip, S_RIP); store<u32>(cpu, 1, S_LEAVE_BLOCK); }
/** End the block after this instruction and continue with the next one (mode, mapping or code may have changed). */
// @ts-ignore: decorator
@inline export function leaveBlock(): void { store<u64>(cpu, nextRip(), S_RIP); store<u32>(cpu, 1, S_LEAVE_BLOCK); }
// @ts-ignore: decorator
@inline export function setActivity(state: u32): void { store<u32>(cpu, state, S_ACTIVITY_STATE); }
// @ts-ignore: decorator
@inline export function interruptibility(): u32 { return load<u32>(cpu, S_INTERRUPTIBILITY); }
// @ts-ignore: decorator
@inline export function setInterruptibility(v: u32): void { store<u32>(cpu, v, S_INTERRUPTIBILITY); }
// @ts-ignore: decorator
@inline export function eventFlags(): i32 { return load<i32>(cpu, S_EVENT_FLAGS); }
