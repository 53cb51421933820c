/**
 * MMX, and the MMX forms of SSE, SSE2 and SSSE3.
 *
 * @spec  SDM vol. 2, the instructions' pages; vol. 1 chapter 9; appendix A (N, P, Q operands)
 * @cover #Y all of them but the conversions between MMX and XMM registers, which are rows of sse.ts and sse_convert.ts
 */
import type { CoreFeature } from '../features.ts';
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

/** Rows of the plain shape `mm, mm/m64`. */
const plain = (feature: CoreFeature, map: string, ops: Record<string, string>): OpcodeRow[] =>
  Object.entries(ops).map(([op, opcode]) => ({ op: `${op}_MMX`, encoding: `NP ${map} ${opcode} /r`, operands: 'Pq,Qq', feature }));

const shiftImmediate = (op: string, opcode: string, digit: number): OpcodeRow =>
  ({ op: `${op}_MMX_IMM`, encoding: `NP 0F ${opcode} 11:/${digit} ib`, operands: 'Nq,Ib', feature: 'mmx' });

export const mmx: OpcodeFamily = {
  family: 'mmx',
  rows: [
    { op: 'EMMS', encoding: 'NP 0F 77', operands: '', feature: 'mmx' },
    { op: 'MOVD_MMX_LOAD', encoding: 'NP 0F 6E /r', operands: 'Pd,Ey', feature: 'mmx' },
    { op: 'MOVD_MMX_STORE', encoding: 'NP 0F 7E /r', operands: 'Ey,Pd', feature: 'mmx' },
    { op: 'MOVQ_MMX_LOAD', encoding: 'NP 0F 6F /r', operands: 'Pq,Qq', feature: 'mmx' },
    { op: 'MOVQ_MMX_STORE', encoding: 'NP 0F 7F /r', operands: 'Qq,Pq', feature: 'mmx' },
    { op: 'MOVNTQ', encoding: 'NP 0F E7 !11:/r', operands: 'Mq,Pq', feature: 'sse' },
    { op: 'MASKMOVQ', encoding: 'NP 0F F7 11:/r', operands: 'Pq,Nq', feature: 'sse' },
    { op: 'PMOVMSKB_MMX', encoding: 'NP 0F D7 11:/r', operands: 'Gd,Nq', feature: 'sse' },
    { op: 'PSHUFW', encoding: 'NP 0F 70 /r ib', operands: 'Pq,Qq,Ib', feature: 'sse' },
    { op: 'PINSRW_MMX', encoding: 'NP 0F C4 /r ib', operands: 'Pq,Ry/Mw,Ib', feature: 'sse' },
    { op: 'PEXTRW_MMX', encoding: 'NP 0F C5 11:/r ib', operands: 'Gd,Nq,Ib', feature: 'sse' },
    { op: 'PALIGNR_MMX', encoding: 'NP 0F 3A 0F /r ib', operands: 'Pq,Qq,Ib', feature: 'ssse3' },
    shiftImmediate('PSRLW', '71', 2), shiftImmediate('PSRAW', '71', 4), shiftImmediate('PSLLW', '71', 6),
    shiftImmediate('PSRLD', '72', 2), shiftImmediate('PSRAD', '72', 4), shiftImmediate('PSLLD', '72', 6),
    shiftImmediate('PSRLQ', '73', 2), shiftImmediate('PSLLQ', '73', 6),
    ...plain('mmx', '0F', {
      PUNPCKLBW: '60', PUNPCKLWD: '61', PUNPCKLDQ: '62', PACKSSWB: '63', PCMPGTB: '64', PCMPGTW: '65', PCMPGTD: '66', PACKUSWB: '67',
      PUNPCKHBW: '68', PUNPCKHWD: '69', PUNPCKHDQ: '6A', PACKSSDW: '6B', PCMPEQB: '74', PCMPEQW: '75', PCMPEQD: '76',
      PSRLW: 'D1', PSRLD: 'D2', PSRLQ: 'D3', PMULLW: 'D5', PSUBUSB: 'D8', PSUBUSW: 'D9', PAND: 'DB', PADDUSB: 'DC', PADDUSW: 'DD', PANDN: 'DF',
      PSRAW: 'E1', PSRAD: 'E2', PMULHW: 'E5', PSUBSB: 'E8', PSUBSW: 'E9', POR: 'EB', PADDSB: 'EC', PADDSW: 'ED', PXOR: 'EF',
      PSLLW: 'F1', PSLLD: 'F2', PSLLQ: 'F3', PMADDWD: 'F5', PSUBB: 'F8', PSUBW: 'F9', PSUBD: 'FA', PADDB: 'FC', PADDW: 'FD', PADDD: 'FE',
    }),
    ...plain('sse', '0F', {
      PMINUB: 'DA', PMAXUB: 'DE', PAVGB: 'E0', PAVGW: 'E3', PMULHUW: 'E4', PMINSW: 'EA', PMAXSW: 'EE', PSADBW: 'F6',
    }),
    ...plain('sse2', '0F', { PADDQ: 'D4', PMULUDQ: 'F4', PSUBQ: 'FB' }),
    ...plain('ssse3', '0F 38', {
      PSHUFB: '00', PHADDW: '01', PHADDD: '02', PHADDSW: '03', PMADDUBSW: '04', PHSUBW: '05', PHSUBD: '06', PHSUBSW: '07', PSIGNB: '08',
      PSIGNW: '09', PSIGND: '0A', PMULHRSW: '0B', PABSB: '1C', PABSW: '1D', PABSD: '1E',
    }),
  ],
};
