/**
 * Binary arithmetic and logic of the one-byte map, INC/DEC/NEG/NOT, TEST, and the ADX pair.
 *
 * The eight operations of opcodes 00-3F come in the SDM's order, four forms each, in a fixed pattern: execute/alu.ts and
 * the specialised forms of decode.ts compute the operation from the Op id.
 *
 * @spec SDM vol. 2, ADC ADD AND CMP DEC INC NEG NOT OR SBB SUB TEST XOR, ADCX ADOX
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0');

/** _EG r/m, reg; _GE reg, r/m; _AI accumulator, imm; _EI r/m, imm. */
const binary: OpcodeRow[] = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP'].flatMap((name, n): OpcodeRow[] => {
  const lock = name === 'CMP' ? {} : { lock: true as const };
  return [
    { op: `${name}_EG`, encoding: `${hex(n * 8)} /r`, operands: 'Eb,Gb', ...lock },
    { op: `${name}_EG`, encoding: `${hex(n * 8 + 1)} /r`, operands: 'Ev,Gv', ...lock },
    { op: `${name}_GE`, encoding: `${hex(n * 8 + 2)} /r`, operands: 'Gb,Eb' },
    { op: `${name}_GE`, encoding: `${hex(n * 8 + 3)} /r`, operands: 'Gv,Ev' },
    { op: `${name}_AI`, encoding: `${hex(n * 8 + 4)} ib`, operands: 'AL,Ib' },
    { op: `${name}_AI`, encoding: `${hex(n * 8 + 5)} iz`, operands: 'rAX,Iz' },
    { op: `${name}_EI`, encoding: `80 /${n} ib`, operands: 'Eb,Ib', ...lock },
    { op: `${name}_EI`, encoding: `81 /${n} iz`, operands: 'Ev,Iz', ...lock },
    { op: `${name}_EI`, encoding: `82 /${n} ib`, operands: 'Eb,Ib', mode: 'i64', ...lock },
    { op: `${name}_EI`, encoding: `83 /${n} ib`, operands: 'Ev,Ib', ...lock },
  ];
});

export const alu: OpcodeFamily = {
  family: 'alu',
  rows: [
    ...binary,
    { op: 'TEST_EG', encoding: '84 /r', operands: 'Eb,Gb' },
    { op: 'TEST_EG', encoding: '85 /r', operands: 'Ev,Gv' },
    { op: 'TEST_AI', encoding: 'A8 ib', operands: 'AL,Ib' },
    { op: 'TEST_AI', encoding: 'A9 iz', operands: 'rAX,Iz' },
    { op: 'TEST_EI', encoding: 'F6 /0 ib', operands: 'Eb,Ib' },
    { op: 'TEST_EI', encoding: 'F6 /1 ib', operands: 'Eb,Ib' },
    { op: 'TEST_EI', encoding: 'F7 /0 iz', operands: 'Ev,Iz' },
    { op: 'TEST_EI', encoding: 'F7 /1 iz', operands: 'Ev,Iz' },
    { op: 'INC_G', encoding: '40+rd', operands: 'Zv', mode: 'i64' },
    { op: 'DEC_G', encoding: '48+rd', operands: 'Zv', mode: 'i64' },
    { op: 'INC', encoding: 'FE /0', operands: 'Eb', lock: true },
    { op: 'INC', encoding: 'FF /0', operands: 'Ev', lock: true },
    { op: 'DEC', encoding: 'FE /1', operands: 'Eb', lock: true },
    { op: 'DEC', encoding: 'FF /1', operands: 'Ev', lock: true },
    { op: 'NOT', encoding: 'F6 /2', operands: 'Eb', lock: true },
    { op: 'NOT', encoding: 'F7 /2', operands: 'Ev', lock: true },
    { op: 'NEG', encoding: 'F6 /3', operands: 'Eb', lock: true },
    { op: 'NEG', encoding: 'F7 /3', operands: 'Ev', lock: true },
    { op: 'ADCX', encoding: '66 0F 38 F6 /r', operands: 'Gy,Ey', feature: 'adx' },
    { op: 'ADOX', encoding: 'F3 0F 38 F6 /r', operands: 'Gy,Ey', feature: 'adx' },
  ],
};
