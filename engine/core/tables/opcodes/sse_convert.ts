/**
 * Conversions between integers, single and double precision, the MMX forms included.
 *
 * @spec SDM vol. 2: CVT*
 */
import type { OpcodeFamily } from '../opcode_row.ts';

export const sseConvert: OpcodeFamily = {
  family: 'sse_convert',
  rows: [
    { op: 'CVTPI2PS', encoding: 'NP 0F 2A /r', operands: 'Vps,Qpi', feature: 'sse' },
    { op: 'CVTPI2PD', encoding: '66 0F 2A /r', operands: 'Vpd,Qpi', feature: 'sse2' },
    { op: 'CVTSI2SS', encoding: 'F3 0F 2A /r', operands: 'Vss,Ey', feature: 'sse' },
    { op: 'CVTSI2SD', encoding: 'F2 0F 2A /r', operands: 'Vsd,Ey', feature: 'sse2' },
    { op: 'CVTTPS2PI', encoding: 'NP 0F 2C /r', operands: 'Ppi,Wps', feature: 'sse' },
    { op: 'CVTTPD2PI', encoding: '66 0F 2C /r', operands: 'Ppi,Wpd', feature: 'sse2' },
    { op: 'CVTTSS2SI', encoding: 'F3 0F 2C /r', operands: 'Gy,Wss', feature: 'sse' },
    { op: 'CVTTSD2SI', encoding: 'F2 0F 2C /r', operands: 'Gy,Wsd', feature: 'sse2' },
    { op: 'CVTPS2PI', encoding: 'NP 0F 2D /r', operands: 'Ppi,Wps', feature: 'sse' },
    { op: 'CVTPD2PI', encoding: '66 0F 2D /r', operands: 'Ppi,Wpd', feature: 'sse2' },
    { op: 'CVTSS2SI', encoding: 'F3 0F 2D /r', operands: 'Gy,Wss', feature: 'sse' },
    { op: 'CVTSD2SI', encoding: 'F2 0F 2D /r', operands: 'Gy,Wsd', feature: 'sse2' },
    { op: 'CVTPS2PD', encoding: 'NP 0F 5A /r', operands: 'Vpd,Wps', feature: 'sse2' },
    { op: 'CVTPD2PS', encoding: '66 0F 5A /r', operands: 'Vps,Wpd', feature: 'sse2' },
    { op: 'CVTSS2SD', encoding: 'F3 0F 5A /r', operands: 'Vsd,Wss', feature: 'sse2' },
    { op: 'CVTSD2SS', encoding: 'F2 0F 5A /r', operands: 'Vss,Wsd', feature: 'sse2' },
    { op: 'CVTDQ2PS', encoding: 'NP 0F 5B /r', operands: 'Vps,Wdq', feature: 'sse2' },
    { op: 'CVTPS2DQ', encoding: '66 0F 5B /r', operands: 'Vdq,Wps', feature: 'sse2' },
    { op: 'CVTTPS2DQ', encoding: 'F3 0F 5B /r', operands: 'Vdq,Wps', feature: 'sse2' },
    { op: 'CVTTPD2DQ', encoding: '66 0F E6 /r', operands: 'Vx,Wpd', feature: 'sse2' },
    { op: 'CVTDQ2PD', encoding: 'F3 0F E6 /r', operands: 'Vx,Wpd', feature: 'sse2' },
    { op: 'CVTPD2DQ', encoding: 'F2 0F E6 /r', operands: 'Vx,Wpd', feature: 'sse2' },
  ],
};
