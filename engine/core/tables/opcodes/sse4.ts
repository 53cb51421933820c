/**
 * SSE4.1 and SSE4.2 rows with operands of their own: widening loads, lane inserts and extracts, PTEST, text strings.
 *
 * @spec SDM vol. 2; strings: vol. 1, 12.10 and vol. 2, 4.1 (imm8 control byte)
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const widen: OpcodeRow[] = ['BW', 'BD', 'BQ', 'WD', 'WQ', 'DQ'].flatMap((pair, i) => [
  { op: `PMOVSX${pair}`, encoding: `66 0F 38 2${i} /r`, operands: 'Vx,Ux/M', feature: 'sse4.1' },
  { op: `PMOVZX${pair}`, encoding: `66 0F 38 3${i} /r`, operands: 'Vx,Ux/M', feature: 'sse4.1' },
]);

export const sse4: OpcodeFamily = {
  family: 'sse4',
  rows: [
    ...widen,
    { op: 'PTEST', encoding: '66 0F 38 17 /r', operands: 'Vx,Wx', feature: 'sse4.1' },
    { op: 'PEXTRB', encoding: '66 0F 3A 14 /r ib', operands: 'Rd/Mb,Vdq,Ib', feature: 'sse4.1' },
    { op: 'PEXTRW_SSE4', encoding: '66 0F 3A 15 /r ib', operands: 'Rd/Mw,Vdq,Ib', feature: 'sse4.1' },
    { op: 'PEXTRD', encoding: '66 0F 3A 16 /r ib', operands: 'Ey,Vdq,Ib', feature: 'sse4.1' },
    { op: 'EXTRACTPS', encoding: '66 0F 3A 17 /r ib', operands: 'Ed,Vdq,Ib', feature: 'sse4.1' },
    { op: 'PINSRB', encoding: '66 0F 3A 20 /r ib', operands: 'Vdq,Ry/Mb,Ib', feature: 'sse4.1' },
    { op: 'INSERTPS', encoding: '66 0F 3A 21 /r ib', operands: 'Vdq,Udq/Md,Ib', feature: 'sse4.1' },
    { op: 'PINSRD', encoding: '66 0F 3A 22 /r ib', operands: 'Vdq,Ey,Ib', feature: 'sse4.1' },
    { op: 'PCMPESTRM', encoding: '66 0F 3A 60 /r ib', operands: 'Vdq,Wdq,Ib', feature: 'sse4.2' },
    { op: 'PCMPESTRI', encoding: '66 0F 3A 61 /r ib', operands: 'Vdq,Wdq,Ib', feature: 'sse4.2' },
    { op: 'PCMPISTRM', encoding: '66 0F 3A 62 /r ib', operands: 'Vdq,Wdq,Ib', feature: 'sse4.2' },
    { op: 'PCMPISTRI', encoding: '66 0F 3A 63 /r ib', operands: 'Vdq,Wdq,Ib', feature: 'sse4.2' },
  ],
};
