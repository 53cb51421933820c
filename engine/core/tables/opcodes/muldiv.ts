/**
 * Multiplication, division and the decimal adjustments.
 *
 * @spec SDM vol. 2, MUL IMUL DIV IDIV MULX, AAA AAS AAM AAD DAA DAS
 */
import type { OpcodeFamily } from '../opcode_row.ts';

export const muldiv: OpcodeFamily = {
  family: 'muldiv',
  rows: [
    { op: 'MUL', encoding: 'F6 /4', operands: 'Eb' },
    { op: 'MUL', encoding: 'F7 /4', operands: 'Ev' },
    { op: 'IMUL', encoding: 'F6 /5', operands: 'Eb' },
    { op: 'IMUL', encoding: 'F7 /5', operands: 'Ev' },
    { op: 'DIV', encoding: 'F6 /6', operands: 'Eb' },
    { op: 'DIV', encoding: 'F7 /6', operands: 'Ev' },
    { op: 'IDIV', encoding: 'F6 /7', operands: 'Eb' },
    { op: 'IDIV', encoding: 'F7 /7', operands: 'Ev' },
    { op: 'IMUL_GE', encoding: '0F AF /r', operands: 'Gv,Ev' },
    { op: 'IMUL_GEI', encoding: '69 /r iz', operands: 'Gv,Ev,Iz' },
    { op: 'IMUL_GEI', encoding: '6B /r ib', operands: 'Gv,Ev,Ib' },
    { op: 'MULX', encoding: 'VEX.LZ.F2.0F38 F6 /r', operands: 'Gy,By,Ey', feature: 'bmi2' },
    { op: 'DAA', encoding: '27', operands: '', mode: 'i64' },
    { op: 'DAS', encoding: '2F', operands: '', mode: 'i64' },
    { op: 'AAA', encoding: '37', operands: '', mode: 'i64' },
    { op: 'AAS', encoding: '3F', operands: '', mode: 'i64' },
    { op: 'AAM', encoding: 'D4 ib', operands: 'Ib', mode: 'i64' },
    { op: 'AAD', encoding: 'D5 ib', operands: 'Ib', mode: 'i64' },
  ],
};
