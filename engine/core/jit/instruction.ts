import { OP } from '../gen/ops.ts';

/** A decoded instruction as the compiler sees it; the layout read here is that of assembly/record.ts. */
export interface Instruction {
  /** Address of the record it was read from is not kept; `bytes` is a copy for the interpreter's routines. */
  readonly offset: number; // in the page
  readonly length: number;
  readonly op: number;
  readonly reg: number;
  readonly rm: number;
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly disp: number;
  readonly segment: number;
  readonly size: number;
  readonly flags: number;
  readonly address: number;
  readonly imm: bigint;
  /** Lower half of `imm` as a number, for immediates known to be small. */
  readonly small: number;
  readonly vvvv: number;
  readonly ends: boolean;
  readonly bytes: Uint8Array;
  /** How its displacement and its immediate change when a kernel is somewhere else (relocation.ts). */
  readonly moves: Moves;
}

/** 1: by as much as the kernel; -1: by as much the other way; 0: not at all. */
export interface Moves { readonly disp: -1 | 0 | 1; readonly imm: 0 | 1 }
export const STAYS: Moves = { disp: 0, imm: 0 };

export const MEM = 1;
export const LOCK = 2;
export const REP = 4;
export const REPNE = 8;
/** `base` of RIP-relative operands: disp then counts from the page's first byte. */
export const BASE_RIP = 17;
export const NO_REGISTER = 16;
const SS = 2;

/** MOV and POP of DS, ES, FS and GS end the interpreter's blocks; compiled code goes on while the mode stays what it is. */
function loadsDataSegment(op: number, reg: number): boolean {
  if (op === OP.MOV_SE) return (reg & 7) !== SS;
  return op === OP.POP_DS || op === OP.POP_ES || op === OP.POP_FS || op === OP.POP_GS;
}

export function readInstruction(view: DataView, at: number, ends: boolean): Instruction {
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i += 1) bytes[i] = view.getUint8(at + i);
  const copy = new DataView(bytes.buffer);
  const op = copy.getUint16(0, true);
  return {
    op, length: bytes[2], reg: bytes[3], rm: bytes[4], base: bytes[5], index: bytes[6], scale: bytes[7],
    disp: copy.getInt32(8, true), segment: bytes[12], size: bytes[13], flags: bytes[14], address: bytes[15],
    imm: copy.getBigInt64(16, true), small: copy.getInt32(16, true), offset: copy.getUint16(24, true), vvvv: bytes[28], ends: ends && !loadsDataSegment(op, bytes[3]), bytes, moves: STAYS,
  };
}

export const isMemory = (i: Instruction): boolean => (i.flags & MEM) !== 0;
/** Continues on the next page. */
export const crossesPage = (i: Instruction): boolean => i.offset + i.length > 0x1000;
export const nextOffset = (i: Instruction): number => i.offset + i.length;
