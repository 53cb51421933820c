/**
 * Data movement between general registers and memory, exchanges, conversions, NOPs and the undefined instructions.
 *
 * @spec   SDM vol. 2, MOV MOVZX MOVSX MOVSXD LEA XCHG XADD CMPXCHG CMPXCHG8B/16B BSWAP MOVBE XLAT CBW CWD CMOVcc SETcc NOP PAUSE UD
 * @differ ENDBR32/64, RDSSP and PREFETCH decode as NOP: CET is not offered by CPUID, where they are exactly that.
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0');
const CONDITIONS = ['O', 'NO', 'B', 'NB', 'Z', 'NZ', 'BE', 'NBE', 'S', 'NS', 'P', 'NP', 'L', 'NL', 'LE', 'NLE'];
const nop = (encoding: string, operands = 'Ev'): OpcodeRow => ({ op: 'NOP', encoding, operands });

export const mov: OpcodeFamily = {
  family: 'mov',
  rows: [
    { op: 'MOV_EG', encoding: '88 /r', operands: 'Eb,Gb' },
    { op: 'MOV_EG', encoding: '89 /r', operands: 'Ev,Gv' },
    { op: 'MOV_GE', encoding: '8A /r', operands: 'Gb,Eb' },
    { op: 'MOV_GE', encoding: '8B /r', operands: 'Gv,Ev' },
    { op: 'MOV_AO', encoding: 'A0 mo', operands: 'AL,Ob' },
    { op: 'MOV_AO', encoding: 'A1 mo', operands: 'rAX,Ov' },
    { op: 'MOV_OA', encoding: 'A2 mo', operands: 'Ob,AL' },
    { op: 'MOV_OA', encoding: 'A3 mo', operands: 'Ov,rAX' },
    { op: 'MOV_GI', encoding: 'B0+rb ib', operands: 'Zb,Ib' },
    { op: 'MOV_GI', encoding: 'B8+rd iv', operands: 'Zv,Iv' },
    { op: 'MOV_EI', encoding: 'C6 /0 ib', operands: 'Eb,Ib' },
    { op: 'MOV_EI', encoding: 'C7 /0 iz', operands: 'Ev,Iz' },
    { op: 'MOVSXD', encoding: '63 /r', operands: 'Gv,Ed', mode: 'o64' },
    { op: 'MOVZX_B', encoding: '0F B6 /r', operands: 'Gv,Eb' },
    { op: 'MOVZX_W', encoding: '0F B7 /r', operands: 'Gv,Ew' },
    { op: 'MOVSX_B', encoding: '0F BE /r', operands: 'Gv,Eb' },
    { op: 'MOVSX_W', encoding: '0F BF /r', operands: 'Gv,Ew' },
    { op: 'LEA', encoding: '8D !11:/r', operands: 'Gv,M' },
    { op: 'XCHG_EG', encoding: '86 /r', operands: 'Eb,Gb', lock: true },
    { op: 'XCHG_EG', encoding: '87 /r', operands: 'Ev,Gv', lock: true },
    // 90 with REX.B is XCHG R8, rAX: the executor treats register 0 as NOP.
    { op: 'XCHG_AG', encoding: '90+rd', operands: 'Zv,rAX' },
    { op: 'PAUSE', encoding: 'F3 90', operands: '' },
    { op: 'XADD', encoding: '0F C0 /r', operands: 'Eb,Gb', lock: true },
    { op: 'XADD', encoding: '0F C1 /r', operands: 'Ev,Gv', lock: true },
    { op: 'CMPXCHG', encoding: '0F B0 /r', operands: 'Eb,Gb', lock: true },
    { op: 'CMPXCHG', encoding: '0F B1 /r', operands: 'Ev,Gv', lock: true },
    { op: 'CMPXCHG8B', encoding: '0F C7 !11:/1', operands: 'Mq', feature: 'cx8', lock: true },
    { op: 'CMPXCHG16B', encoding: 'REX.W 0F C7 !11:/1', operands: 'Mdq', feature: 'cx16', lock: true },
    { op: 'BSWAP', encoding: '0F C8+rd', operands: 'Zv' },
    { op: 'MOVBE_GE', encoding: 'NFx 0F 38 F0 !11:/r', operands: 'Gv,Mv', feature: 'movbe' },
    { op: 'MOVBE_EG', encoding: 'NFx 0F 38 F1 !11:/r', operands: 'Mv,Gv', feature: 'movbe' },
    { op: 'XLAT', encoding: 'D7', operands: '' },
    { op: 'CBW', encoding: '98', operands: '' },
    { op: 'CWD', encoding: '99', operands: '' },
    ...CONDITIONS.map((cc, n): OpcodeRow => ({ op: `CMOV${cc}`, encoding: `0F ${hex(0x40 + n)} /r`, operands: 'Gv,Ev', feature: 'cmov' })),
    ...CONDITIONS.map((cc, n): OpcodeRow => ({ op: `SET${cc}`, encoding: `0F ${hex(0x90 + n)} /r`, operands: 'Eb' })),
    nop('0F 1F /r'), nop('0F 0D /r'),
    ...[0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e].map((opcode) => nop(`0F ${hex(opcode)} /r`)),
    { op: 'UD0', encoding: '0F FF /r', operands: 'Gy,Ey' },
    { op: 'UD1', encoding: '0F B9 /r', operands: 'Gy,Ey' },
    { op: 'UD2', encoding: '0F 0B', operands: '' },
  ],
};
