/**
 * AES-NI, PCLMULQDQ and the SHA extensions.
 *
 * @spec SDM vol. 1, 12.13 (AESNI, PCLMULQDQ); vol. 2: AES*, PCLMULQDQ, SHA1*, SHA256*
 */
import type { OpcodeFamily } from '../opcode_row.ts';

export const crypto: OpcodeFamily = {
  family: 'crypto',
  rows: [
    { op: 'AESIMC', encoding: '66 0F 38 DB /r', operands: 'Vdq,Wdq', feature: 'aes' },
    { op: 'AESENC', encoding: '66 0F 38 DC /r', operands: 'Vdq,Wdq', feature: 'aes' },
    { op: 'AESENCLAST', encoding: '66 0F 38 DD /r', operands: 'Vdq,Wdq', feature: 'aes' },
    { op: 'AESDEC', encoding: '66 0F 38 DE /r', operands: 'Vdq,Wdq', feature: 'aes' },
    { op: 'AESDECLAST', encoding: '66 0F 38 DF /r', operands: 'Vdq,Wdq', feature: 'aes' },
    { op: 'AESKEYGENASSIST', encoding: '66 0F 3A DF /r ib', operands: 'Vdq,Wdq,Ib', feature: 'aes' },
    { op: 'PCLMULQDQ', encoding: '66 0F 3A 44 /r ib', operands: 'Vdq,Wdq,Ib', feature: 'pclmulqdq' },
    { op: 'SHA1RNDS4', encoding: 'NP 0F 3A CC /r ib', operands: 'Vdq,Wdq,Ib', feature: 'sha' },
    { op: 'SHA1NEXTE', encoding: 'NP 0F 38 C8 /r', operands: 'Vdq,Wdq', feature: 'sha' },
    { op: 'SHA1MSG1', encoding: 'NP 0F 38 C9 /r', operands: 'Vdq,Wdq', feature: 'sha' },
    { op: 'SHA1MSG2', encoding: 'NP 0F 38 CA /r', operands: 'Vdq,Wdq', feature: 'sha' },
    { op: 'SHA256RNDS2', encoding: 'NP 0F 38 CB /r', operands: 'Vdq,Wdq', feature: 'sha' },
    { op: 'SHA256MSG1', encoding: 'NP 0F 38 CC /r', operands: 'Vdq,Wdq', feature: 'sha' },
    { op: 'SHA256MSG2', encoding: 'NP 0F 38 CD /r', operands: 'Vdq,Wdq', feature: 'sha' },
  ],
};
