/**
 * Bit test and scan, POPCNT, LZCNT/TZCNT, CRC32, BMI1 and BMI2 without the shifts.
 *
 * @spec SDM vol. 2, BT BTS BTR BTC BSF BSR POPCNT LZCNT TZCNT CRC32 ANDN BEXTR BLSI BLSMSK BLSR BZHI PDEP PEXT
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const bitTests: OpcodeRow[] = ['BT', 'BTS', 'BTR', 'BTC'].flatMap((name, n): OpcodeRow[] => {
  const lock = name === 'BT' ? {} : { lock: true as const };
  return [
    { op: `${name}_EG`, encoding: `0F ${(0xa3 + n * 8).toString(16).toUpperCase()} /r`, operands: 'Ev,Gv', ...lock },
    { op: `${name}_EI`, encoding: `0F BA /${4 + n} ib`, operands: 'Ev,Ib', ...lock },
  ];
});

export const bit: OpcodeFamily = {
  family: 'bit',
  rows: [
    ...bitTests,
    { op: 'BSF', encoding: '0F BC /r', operands: 'Gv,Ev' },
    { op: 'BSR', encoding: '0F BD /r', operands: 'Gv,Ev' },
    { op: 'TZCNT', encoding: 'F3 0F BC /r', operands: 'Gv,Ev', feature: 'bmi1', elseIgnored: true },
    { op: 'LZCNT', encoding: 'F3 0F BD /r', operands: 'Gv,Ev', feature: 'lzcnt', elseIgnored: true },
    { op: 'POPCNT', encoding: 'F3 0F B8 /r', operands: 'Gv,Ev', feature: 'popcnt' },
    { op: 'CRC32_B', encoding: 'F2 0F 38 F0 /r', operands: 'Gy,Eb', feature: 'sse4.2' },
    { op: 'CRC32', encoding: 'F2 0F 38 F1 /r', operands: 'Gy,Ev', feature: 'sse4.2' },
    { op: 'ANDN', encoding: 'VEX.LZ.0F38 F2 /r', operands: 'Gy,By,Ey', feature: 'bmi1' },
    { op: 'BLSR', encoding: 'VEX.LZ.0F38 F3 /1', operands: 'By,Ey', feature: 'bmi1' },
    { op: 'BLSMSK', encoding: 'VEX.LZ.0F38 F3 /2', operands: 'By,Ey', feature: 'bmi1' },
    { op: 'BLSI', encoding: 'VEX.LZ.0F38 F3 /3', operands: 'By,Ey', feature: 'bmi1' },
    { op: 'BEXTR', encoding: 'VEX.LZ.0F38 F7 /r', operands: 'Gy,Ey,By', feature: 'bmi1' },
    { op: 'BZHI', encoding: 'VEX.LZ.0F38 F5 /r', operands: 'Gy,Ey,By', feature: 'bmi2' },
    { op: 'PEXT', encoding: 'VEX.LZ.F3.0F38 F5 /r', operands: 'Gy,By,Ey', feature: 'bmi2' },
    { op: 'PDEP', encoding: 'VEX.LZ.F2.0F38 F5 /r', operands: 'Gy,By,Ey', feature: 'bmi2' },
  ],
};
