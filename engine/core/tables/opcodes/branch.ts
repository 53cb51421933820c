/**
 * Near branches and the bound check.
 *
 * @spec   SDM vol. 2, Jcc JCXZ/JECXZ/JRCXZ JMP CALL RET LOOP/LOOPcc BOUND
 * @differ Near branches ignore 66 in 64-bit mode, as Intel's processors do.
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0');
const CONDITIONS = ['O', 'NO', 'B', 'NB', 'Z', 'NZ', 'BE', 'NBE', 'S', 'NS', 'P', 'NP', 'L', 'NL', 'LE', 'NLE'];

export const branch: OpcodeFamily = {
  family: 'branch',
  rows: [
    ...CONDITIONS.flatMap((cc, n): OpcodeRow[] => [
      { op: `J${cc}`, encoding: `${hex(0x70 + n)} cb`, operands: 'Jb', mode: 'f64', ends: true },
      { op: `J${cc}`, encoding: `0F ${hex(0x80 + n)} cz`, operands: 'Jz', mode: 'f64', ends: true },
    ]),
    { op: 'LOOPNE', encoding: 'E0 cb', operands: 'Jb', mode: 'f64', ends: true },
    { op: 'LOOPE', encoding: 'E1 cb', operands: 'Jb', mode: 'f64', ends: true },
    { op: 'LOOP', encoding: 'E2 cb', operands: 'Jb', mode: 'f64', ends: true },
    { op: 'JRCXZ', encoding: 'E3 cb', operands: 'Jb', mode: 'f64', ends: true },
    { op: 'CALL_J', encoding: 'E8 cz', operands: 'Jz', mode: 'f64', ends: true },
    { op: 'JMP_J', encoding: 'E9 cz', operands: 'Jz', mode: 'f64', ends: true },
    { op: 'JMP_J', encoding: 'EB cb', operands: 'Jb', mode: 'f64', ends: true },
    { op: 'CALL_E', encoding: 'FF /2', operands: 'Ev', mode: 'f64', ends: true },
    { op: 'JMP_E', encoding: 'FF /4', operands: 'Ev', mode: 'f64', ends: true },
    { op: 'RET_I', encoding: 'C2 iw', operands: 'Iw', mode: 'f64', ends: true },
    { op: 'RET', encoding: 'C3', operands: '', mode: 'f64', ends: true },
    { op: 'BOUND', encoding: '62 !11:/r', operands: 'Gv,Ma', mode: 'i64' },
  ],
};
