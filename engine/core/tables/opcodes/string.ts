/**
 * String operations on memory.
 *
 * @spec   SDM vol. 2, MOVS CMPS STOS LODS SCAS, REP/REPE/REPNE
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const pair = (op: string, opcode: number, operands: (w: string) => string): OpcodeRow[] => [
  { op, encoding: opcode.toString(16).toUpperCase(), operands: operands('b') },
  { op, encoding: (opcode + 1).toString(16).toUpperCase(), operands: operands('v') },
];

export const string: OpcodeFamily = {
  family: 'string',
  rows: [
    ...pair('MOVS', 0xa4, (w) => `Y${w},X${w}`),
    ...pair('CMPS', 0xa6, (w) => `X${w},Y${w}`),
    ...pair('STOS', 0xaa, (w) => `Y${w},${w === 'b' ? 'AL' : 'rAX'}`),
    ...pair('LODS', 0xac, (w) => `${w === 'b' ? 'AL' : 'rAX'},X${w}`),
    ...pair('SCAS', 0xae, (w) => `${w === 'b' ? 'AL' : 'rAX'},Y${w}`),
  ],
};
