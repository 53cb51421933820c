/**
 * Floating-point arithmetic, comparison and rounding, SSE to SSE4.1.
 *
 * @spec SDM vol. 2; exceptions and rounding: vol. 1, 11.5 and appendix E
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const forms = [['PS', 'NP', 'Vps,Wps', 'sse'], ['PD', '66', 'Vpd,Wpd', 'sse2'], ['SS', 'F3', 'Vss,Wss', 'sse'], ['SD', 'F2', 'Vsd,Wsd', 'sse2']] as const;

/** The four forms of one operation: packed and scalar, single and double precision. */
const four = (name: string, opcode: string): OpcodeRow[] =>
  forms.map(([suffix, prefix, operands, feature]) => ({ op: name + suffix, encoding: `${prefix} 0F ${opcode} /r`, operands, feature }));

export const sseFloat: OpcodeFamily = {
  family: 'sse_float',
  rows: [
    ...four('SQRT', '51'),
    ...four('ADD', '58'),
    ...four('MUL', '59'),
    ...four('SUB', '5C'),
    ...four('MIN', '5D'),
    ...four('DIV', '5E'),
    ...four('MAX', '5F'),
    { op: 'RSQRTPS', encoding: 'NP 0F 52 /r', operands: 'Vps,Wps', feature: 'sse' },
    { op: 'RSQRTSS', encoding: 'F3 0F 52 /r', operands: 'Vss,Wss', feature: 'sse' },
    { op: 'RCPPS', encoding: 'NP 0F 53 /r', operands: 'Vps,Wps', feature: 'sse' },
    { op: 'RCPSS', encoding: 'F3 0F 53 /r', operands: 'Vss,Wss', feature: 'sse' },
    { op: 'UCOMISS', encoding: 'NP 0F 2E /r', operands: 'Vss,Wss', feature: 'sse' },
    { op: 'UCOMISD', encoding: '66 0F 2E /r', operands: 'Vsd,Wsd', feature: 'sse2' },
    { op: 'COMISS', encoding: 'NP 0F 2F /r', operands: 'Vss,Wss', feature: 'sse' },
    { op: 'COMISD', encoding: '66 0F 2F /r', operands: 'Vsd,Wsd', feature: 'sse2' },
    { op: 'CMPPS', encoding: 'NP 0F C2 /r ib', operands: 'Vps,Wps,Ib', feature: 'sse' },
    { op: 'CMPPD', encoding: '66 0F C2 /r ib', operands: 'Vpd,Wpd,Ib', feature: 'sse2' },
    { op: 'CMPSS', encoding: 'F3 0F C2 /r ib', operands: 'Vss,Wss,Ib', feature: 'sse' },
    { op: 'CMPSD_XMM', encoding: 'F2 0F C2 /r ib', operands: 'Vsd,Wsd,Ib', feature: 'sse2' },
    { op: 'HADDPD', encoding: '66 0F 7C /r', operands: 'Vpd,Wpd', feature: 'sse3' },
    { op: 'HADDPS', encoding: 'F2 0F 7C /r', operands: 'Vps,Wps', feature: 'sse3' },
    { op: 'HSUBPD', encoding: '66 0F 7D /r', operands: 'Vpd,Wpd', feature: 'sse3' },
    { op: 'HSUBPS', encoding: 'F2 0F 7D /r', operands: 'Vps,Wps', feature: 'sse3' },
    { op: 'ADDSUBPD', encoding: '66 0F D0 /r', operands: 'Vpd,Wpd', feature: 'sse3' },
    { op: 'ADDSUBPS', encoding: 'F2 0F D0 /r', operands: 'Vps,Wps', feature: 'sse3' },
    { op: 'ROUNDPS', encoding: '66 0F 3A 08 /r ib', operands: 'Vx,Wx,Ib', feature: 'sse4.1' },
    { op: 'ROUNDPD', encoding: '66 0F 3A 09 /r ib', operands: 'Vx,Wx,Ib', feature: 'sse4.1' },
    { op: 'ROUNDSS', encoding: '66 0F 3A 0A /r ib', operands: 'Vss,Wss,Ib', feature: 'sse4.1' },
    { op: 'ROUNDSD', encoding: '66 0F 3A 0B /r ib', operands: 'Vsd,Wsd,Ib', feature: 'sse4.1' },
    { op: 'DPPS', encoding: '66 0F 3A 40 /r ib', operands: 'Vx,Wx,Ib', feature: 'sse4.1' },
    { op: 'DPPD', encoding: '66 0F 3A 41 /r ib', operands: 'Vdq,Wdq,Ib', feature: 'sse4.1' },
  ],
};
