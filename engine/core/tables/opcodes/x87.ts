/**
 * The x87 FPU: escape opcodes D8 to DF, and FWAIT.
 *
 * @spec  SDM vol. 2, appendix A.5 (escape opcodes); vol. 1 chapter 8
 * @cover #Y all documented instructions, FISTTP, and the aliases that every processor decodes (FSTP at D9 D8, DF D0, DF D8;
 *        FCOM at DC D0; FCOMP at DC D8, DE D0; FXCH at DD C8, DF C8; FFREEP at DF C0)
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

/** One row for each digit that is given an Op: 'D8 !11:/0' and on. */
const memory = (escape: string, digits: ReadonlyArray<readonly [op: string, operands: string] | null>): OpcodeRow[] =>
  digits.flatMap((row, digit) => (row === null ? []
    : [{ op: row[0], encoding: `${escape} !11:/${digit}`, operands: row[1], ...(row[0].startsWith('FISTTP') ? { feature: 'sse3' } : {}) } as const]));

/** One row for each group of eight register forms, C0+i to F8+i. */
const stack = (escape: string, groups: ReadonlyArray<readonly [op: string, operands: string] | null>): OpcodeRow[] =>
  groups.flatMap((row, group) => (row === null ? []
    : [{ op: row[0], encoding: `${escape} ${(0xc0 + 8 * group).toString(16).toUpperCase()}+i`, operands: row[1] }]));

const single = (escape: string, rows: Record<string, string>): OpcodeRow[] =>
  Object.entries(rows).map(([modrm, op]) => ({ op, encoding: `${escape} ${modrm}`, operands: op === 'FNSTSW_AX' ? 'AX' : '' }));

/** ADD MUL COM COMP SUB SUBR DIV DIVR: ModRM.reg says which. */
const eight = (op: string, operands: string) => Array.from({ length: 8 }, () => [op, operands] as const);

export const x87: OpcodeFamily = {
  family: 'x87',
  rows: [
    { op: 'FWAIT', encoding: '9B', operands: '' },
    ...memory('D8', eight('FARITH_M32', 'Mfd')),
    ...stack('D8', eight('FARITH_ST0', 'ST0,STi')),
    ...memory('D9', [['FLD_M32', 'Mfd'], null, ['FST_M32', 'Mfd'], ['FST_M32', 'Mfd'], ['FLDENV', 'M'], ['FLDCW', 'Mw'], ['FNSTENV', 'M'],
      ['FNSTCW', 'Mw']]),
    ...stack('D9', [['FLD_STI', 'STi'], ['FXCH', 'STi'], null, ['FST_STI', 'STi']]),
    ...single('D9', {
      D0: 'FNOP', E0: 'FCHS', E1: 'FABS', E4: 'FTST', E5: 'FXAM', E8: 'FLD_CONSTANT', E9: 'FLD_CONSTANT', EA: 'FLD_CONSTANT',
      EB: 'FLD_CONSTANT', EC: 'FLD_CONSTANT', ED: 'FLD_CONSTANT', EE: 'FLD_CONSTANT', F0: 'F2XM1', F1: 'FYL2X', F2: 'FPTAN', F3: 'FPATAN',
      F4: 'FXTRACT', F5: 'FPREM1', F6: 'FDECSTP', F7: 'FINCSTP', F8: 'FPREM', F9: 'FYL2XP1', FA: 'FSQRT', FB: 'FSINCOS', FC: 'FRNDINT',
      FD: 'FSCALE', FE: 'FSIN', FF: 'FCOS',
    }),
    ...memory('DA', eight('FARITH_I32', 'Md')),
    ...stack('DA', Array.from({ length: 4 }, () => ['FCMOVCC', 'ST0,STi'] as const)).map((r) => ({ ...r, feature: 'cmov' as const })),
    ...single('DA', { E9: 'FUCOMPP' }),
    ...memory('DB', [['FILD_M32', 'Md'], ['FISTTP_M32', 'Md'], ['FIST_M32', 'Md'], ['FIST_M32', 'Md'], null, ['FLD_M80', 'Mt'], null,
      ['FSTP_M80', 'Mt']]),
    ...stack('DB', Array.from({ length: 4 }, () => ['FCMOVCC', 'ST0,STi'] as const)).map((r) => ({ ...r, feature: 'cmov' as const })),
    ...single('DB', { E0: 'FNENI', E1: 'FNDISI', E2: 'FNCLEX', E3: 'FNINIT', E4: 'FNSETPM' }),
    ...stack('DB', [null, null, null, null, null, ['FUCOMI', 'ST0,STi'], ['FCOMI', 'ST0,STi']]).map((r) => ({ ...r, feature: 'cmov' as const })),
    ...memory('DC', eight('FARITH_M64', 'Mfq')),
    ...stack('DC', eight('FARITH_STI', 'STi,ST0')),
    ...memory('DD', [['FLD_M64', 'Mfq'], ['FISTTP_M64', 'Mq'], ['FST_M64', 'Mfq'], ['FST_M64', 'Mfq'], ['FRSTOR', 'M'], null, ['FNSAVE', 'M'],
      ['FNSTSW_M', 'Mw']]),
    ...stack('DD', [['FFREE', 'STi'], ['FXCH', 'STi'], ['FST_STI', 'STi'], ['FST_STI', 'STi'], ['FUCOM', 'ST0,STi'], ['FUCOM', 'ST0,STi']]),
    ...memory('DE', eight('FARITH_I16', 'Mw')),
    ...stack('DE', [['FARITH_STIP', 'STi,ST0'], ['FARITH_STIP', 'STi,ST0'], ['FARITH_STIP', 'STi,ST0'], null, ['FARITH_STIP', 'STi,ST0'],
      ['FARITH_STIP', 'STi,ST0'], ['FARITH_STIP', 'STi,ST0'], ['FARITH_STIP', 'STi,ST0']]),
    ...single('DE', { D9: 'FCOMPP' }),
    ...memory('DF', [['FILD_M16', 'Mw'], ['FISTTP_M16', 'Mw'], ['FIST_M16', 'Mw'], ['FIST_M16', 'Mw'], ['FBLD', 'Mt'], ['FILD_M64', 'Mq'],
      ['FBSTP', 'Mt'], ['FISTP_M64', 'Mq']]),
    ...stack('DF', [['FFREEP', 'STi'], ['FXCH', 'STi'], ['FST_STI', 'STi'], ['FST_STI', 'STi']]),
    ...single('DF', { E0: 'FNSTSW_AX' }),
    ...stack('DF', [null, null, null, null, null, ['FUCOMI', 'ST0,STi'], ['FCOMI', 'ST0,STi']]).map((r) => ({ ...r, feature: 'cmov' as const })),
  ],
};
