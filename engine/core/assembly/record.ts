/**
 * A decoded instruction: 32 bytes in the pre-decoded cache, written by decode.ts, read by execute/.
 *
 *   0 u16 op       Op id (gen/ops.ts)
 *   2 u8  length   bytes of the instruction, 1-15
 *   3 u8  reg      ModRM.reg with REX.R, or the register in the opcode (byte registers resolved, see cpu.ts gpr8)
 *   4 u8  rm       ModRM.rm with REX.B when ModRM.mod = 3 (byte registers resolved)
 *   5 u8  base     GPR index of the base; 16 none; 17 RIP-relative
 *   6 u8  index    GPR index of the index; 16 none
 *   7 u8  scale    shift 0-3
 *   8 i32 disp     displacement, sign-extended
 *  12 u8  segment  effective segment register of the memory operand (overrides and defaults resolved)
 *  13 u8  size     operand size in bytes: 1, 2, 4, 8 (16 for vector forms)
 *  14 u8  flags    REC_*
 *  15 u8  addr     address size in bytes: 2, 4, 8
 *  16 u64 imm      immediate, sign-extended as the instruction wants it; branch: target offset from the next instruction;
 *                  moffs: the offset; far pointer: selector << 32 | offset; ENTER: imm16 | imm8 << 16
 *  24 u16 offset   distance of this instruction from the block's first
 *  26 u16 opcode   last opcode byte | ModRM << 8: what x87 FOP and shared handlers look at
 *  28 u32 spare    owned by run.ts
 */
export const REC_SIZE: usize = 32;

export const REC_MEM: u32 = 1; //   the ModRM operand is memory
export const REC_LOCK: u32 = 2; //  LOCK prefix (legal here; decode.ts raises #UD otherwise), or XCHG with memory
export const REC_REP: u32 = 4; //   F3
export const REC_REPNE: u32 = 8; // F2
export const REC_REXW: u32 = 16;
export const REC_66: u32 = 32;
export const REC_REX: u32 = 64;

// @ts-ignore: decorator
@inline export function recOp(rec: usize): u32 { return load<u16>(rec, 0); }
// @ts-ignore: decorator
@inline export function recLength(rec: usize): u32 { return load<u8>(rec, 2); }
// @ts-ignore: decorator
@inline export function recReg(rec: usize): u32 { return load<u8>(rec, 3); }
// @ts-ignore: decorator
@inline export function recRm(rec: usize): u32 { return load<u8>(rec, 4); }
// @ts-ignore: decorator
@inline export function recBase(rec: usize): u32 { return load<u8>(rec, 5); }
// @ts-ignore: decorator
@inline export function recIndex(rec: usize): u32 { return load<u8>(rec, 6); }
// @ts-ignore: decorator
@inline export function recScale(rec: usize): u32 { return load<u8>(rec, 7); }
// @ts-ignore: decorator
@inline export function recDisp(rec: usize): i32 { return load<i32>(rec, 8); }
// @ts-ignore: decorator
@inline export function recSegment(rec: usize): u32 { return load<u8>(rec, 12); }
// @ts-ignore: decorator
@inline export function recSize(rec: usize): u32 { return load<u8>(rec, 13); }
// @ts-ignore: decorator
@inline export function recFlags(rec: usize): u32 { return load<u8>(rec, 14); }
// @ts-ignore: decorator
@inline export function recAddressSize(rec: usize): u32 { return load<u8>(rec, 15); }
// @ts-ignore: decorator
@inline export function recImm(rec: usize): u64 { return load<u64>(rec, 16); }
// @ts-ignore: decorator
@inline export function recOffset(rec: usize): u32 { return load<u16>(rec, 24); }
// @ts-ignore: decorator
@inline export function recOpcode(rec: usize): u32 { return load<u16>(rec, 26); }
// @ts-ignore: decorator
@inline export function isMem(rec: usize): bool { return (recFlags(rec) & REC_MEM) != 0; }
