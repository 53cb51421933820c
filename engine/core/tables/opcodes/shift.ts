/**
 * Shifts and rotates, double shifts, and the flag-less BMI2 shifts.
 *
 * @spec SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD, RORX, SARX/SHLX/SHRX
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

/** In ModRM.reg order; /6 is the undocumented alias of SHL that every processor has. _EI by imm8, _E1 by 1, _EC by CL. */
const rows: OpcodeRow[] = ['ROL', 'ROR', 'RCL', 'RCR', 'SHL', 'SHR', 'SHL', 'SAR'].flatMap((name, n): OpcodeRow[] => [
  { op: `${name}_EI`, encoding: `C0 /${n} ib`, operands: 'Eb,Ib' },
  { op: `${name}_EI`, encoding: `C1 /${n} ib`, operands: 'Ev,Ib' },
  { op: `${name}_E1`, encoding: `D0 /${n}`, operands: 'Eb,1' },
  { op: `${name}_E1`, encoding: `D1 /${n}`, operands: 'Ev,1' },
  { op: `${name}_EC`, encoding: `D2 /${n}`, operands: 'Eb,CL' },
  { op: `${name}_EC`, encoding: `D3 /${n}`, operands: 'Ev,CL' },
]);

export const shift: OpcodeFamily = {
  family: 'shift',
  rows: [
    ...rows,
    { op: 'SHLD_I', encoding: '0F A4 /r ib', operands: 'Ev,Gv,Ib' },
    { op: 'SHLD_C', encoding: '0F A5 /r', operands: 'Ev,Gv,CL' },
    { op: 'SHRD_I', encoding: '0F AC /r ib', operands: 'Ev,Gv,Ib' },
    { op: 'SHRD_C', encoding: '0F AD /r', operands: 'Ev,Gv,CL' },
    { op: 'RORX', encoding: 'VEX.LZ.F2.0F3A F0 /r ib', operands: 'Gy,Ey,Ib', feature: 'bmi2' },
    { op: 'SHLX', encoding: 'VEX.LZ.66.0F38 F7 /r', operands: 'Gy,Ey,By', feature: 'bmi2' },
    { op: 'SARX', encoding: 'VEX.LZ.F3.0F38 F7 /r', operands: 'Gy,Ey,By', feature: 'bmi2' },
    { op: 'SHRX', encoding: 'VEX.LZ.F2.0F38 F7 /r', operands: 'Gy,Ey,By', feature: 'bmi2' },
  ],
};
