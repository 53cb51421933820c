/**
 * FXSAVE, FXRSTOR and the XSAVE feature set's save and restore instructions.
 *
 * @spec  SDM vol. 2, FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR; vol. 1 chapter 13
 * @cover #Y 32-bit and 64-bit (REX.W) layouts   #N XSAVEC, XSAVES, XRSTORS (CPUID does not offer them)
 */
import type { OpcodeFamily } from '../opcode_row.ts';

export const fxsave: OpcodeFamily = {
  family: 'fxsave',
  rows: [
    { op: 'FXSAVE', encoding: 'NP 0F AE !11:/0', operands: 'M', feature: 'fxsr' },
    { op: 'FXRSTOR', encoding: 'NP 0F AE !11:/1', operands: 'M', feature: 'fxsr' },
    { op: 'XSAVE', encoding: 'NP 0F AE !11:/4', operands: 'M', feature: 'xsave' },
    { op: 'XRSTOR', encoding: 'NP 0F AE !11:/5', operands: 'M', feature: 'xsave' },
    { op: 'XSAVEOPT', encoding: 'NP 0F AE !11:/6', operands: 'M', feature: 'xsaveopt' },
  ],
};
