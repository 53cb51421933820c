/**
 * Stack and flag-register instructions.
 *
 * @spec SDM vol. 2, PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE, LAHF SAHF SALC (undocumented: AL = CF ? FF : 0), CLC CMC STC CLD STD
 */
import type { OpcodeFamily } from '../opcode_row.ts';

export const stack: OpcodeFamily = {
  family: 'stack',
  rows: [
    { op: 'PUSH_G', encoding: '50+rd', operands: 'Zv', mode: 'd64' },
    { op: 'POP_G', encoding: '58+rd', operands: 'Zv', mode: 'd64' },
    { op: 'PUSH_I', encoding: '68 iz', operands: 'Iz', mode: 'd64' },
    { op: 'PUSH_I', encoding: '6A ib', operands: 'Ib', mode: 'd64' },
    { op: 'PUSH_E', encoding: 'FF /6', operands: 'Ev', mode: 'd64' },
    { op: 'POP_E', encoding: '8F /0', operands: 'Ev', mode: 'd64' },
    { op: 'PUSHA', encoding: '60', operands: '', mode: 'i64' },
    { op: 'POPA', encoding: '61', operands: '', mode: 'i64' },
    { op: 'PUSHF', encoding: '9C', operands: 'Fv', mode: 'd64' },
    { op: 'POPF', encoding: '9D', operands: 'Fv', mode: 'd64', ends: true },
    { op: 'ENTER', encoding: 'C8 iw ib', operands: 'Iw,Ib', mode: 'd64' },
    { op: 'LEAVE', encoding: 'C9', operands: '', mode: 'd64' },
    { op: 'SAHF', encoding: '9E', operands: '', mode: 'i64' },
    { op: 'SAHF', encoding: '9E', operands: '', mode: 'o64', feature: 'lahf' },
    { op: 'LAHF', encoding: '9F', operands: '', mode: 'i64' },
    { op: 'LAHF', encoding: '9F', operands: '', mode: 'o64', feature: 'lahf' },
    { op: 'SALC', encoding: 'D6', operands: '', mode: 'i64' },
    { op: 'CMC', encoding: 'F5', operands: '' },
    { op: 'CLC', encoding: 'F8', operands: '' },
    { op: 'STC', encoding: 'F9', operands: '' },
    { op: 'CLD', encoding: 'FC', operands: '' },
    { op: 'STD', encoding: 'FD', operands: '' },
  ],
};
