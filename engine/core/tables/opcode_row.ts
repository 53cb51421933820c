/**
 * The row of the opcode table, in the SDM's own notation (vol. 2, section 3.1.1), so that a row reads like the
 * manual's instruction page. tables/opcodes/*.ts hold the rows, one file a family; the generator makes the decoder's
 * tables, the Op ids and the documentation from them.
 *
 * encoding: 'NP 0F 58 /r', '66 0F 3A 0F /r ib', 'F3 0F 10 /r', '80 /0 ib', 'D8 C0+i', 'REX.W + 0F C7 /1', '9B'
 *   NP no 66/F3/F2 prefix allowed as a selector (they choose other rows); without NP, 66, F2 or F3 in front the row
 *   applies whatever the prefixes are (66 is then the operand size, F2/F3 repeat or ignored). `/r` ModRM, `/digit`
 *   ModRM.reg extension, `11:` in front of a ModRM digit or /r restricts to registers, `!11:` to memory
 *   (for example '0F 01 !11:/2', '0F 01 D0', 'D9 !11:/5', 'NP 0F 12 11:/r'). '+rb' '+rw' '+rd' '+i' as in the SDM.
 *   ib iw id io immediates; iz is 16 or 32 by operand size (64-bit operand size: 32 sign-extended), iv may be 64
 *   (B8+rd with REX.W); cb cz relative branch; mo moffs; cp far pointer.
 * operands: SDM appendix A.2 letters ('Eb,Gb', 'Ev,Iz', 'Vx,Wx', 'M'): documentation and disassembly oracle for the
 *   sizes. b byte, w word, v operand size (2/4/8), z (2/4), y (4/8), q, dq... An operand size of `b` makes rec.size 1.
 * op: name of the Op id; several rows may share one when the record tells them apart (size, opcode).
 */
import type { CoreFeature } from './features.ts';

export interface OpcodeRow {
  readonly op: string;
  readonly encoding: string;
  readonly operands: string;
  /** CPUID feature, without which the instruction is undefined; absent: 8086..x86-64 base. */
  readonly feature?: CoreFeature;
  /** Without the feature the prefix is ignored instead: what the opcode is without it (LZCNT is BSR then). */
  readonly elseIgnored?: true;
  /** 'i64': #UD in 64-bit mode; 'o64': only there; 'd64': operand size defaults to 64 there; 'f64': forced 64 there. */
  readonly mode?: 'i64' | 'o64' | 'd64' | 'f64';
  /** LOCK is legal with a memory destination. */
  readonly lock?: true;
  /** The instruction ends a basic block (branches, mode and mapping changes, HLT, ...). */
  readonly ends?: true;
}

export interface OpcodeFamily {
  /** File under assembly/execute that exports `exec<Name>(op: u32, rec: usize): void`. */
  readonly family: string;
  readonly rows: readonly OpcodeRow[];
}
