/**
 * Reads the `encoding` and `operands` columns of the opcode table into what the decoder compares and extracts.
 *
 * @spec   SDM vol. 2, 3.1.1.1 (opcode column), 3.1.1.2 (VEX), appendix A.2 (operand letters)
 * @cover  #Y legacy and VEX maps 0F, 0F38, 0F3A   #N EVEX, XOP, 3DNow!
 */
import type { OpcodeRow } from './opcode_row.ts';

/** Opcode maps in the order of the decoder's index. */
export const MAPS = ['', '0F', '0F38', '0F3A', 'VEX.0F', 'VEX.0F38', 'VEX.0F3A'] as const;

export const PREFIX = { any: 0, NP: 1, '66': 2, F3: 3, F2: 4, NFx: 5 } as const;
export const IMM = { none: 0, ib: 1, iw: 2, id: 3, iz: 4, iv: 5, cb: 6, cz: 7, mo: 8, cp: 9, iwib: 10, io: 11, ibs: 12 } as const;
export const SIZE = { v: 0, b: 1, w: 2, d: 3, q: 4, z: 5, y: 6, x: 7 } as const;

/** One decodable form: a row, expanded to one opcode byte. */
export interface Form {
  readonly row: OpcodeRow;
  readonly map: number;
  readonly opcode: number;
  readonly prefix: number;
  readonly hasModRm: boolean;
  /** 0 any, 1 register (mod = 3), 2 memory. */
  readonly mod: number;
  /** ModRM.reg, or -1. */
  readonly digit: number;
  /** ModRM.rm, or -1. */
  readonly rm: number;
  readonly opcodeRegister: boolean;
  readonly rexW: 'any' | 'W0' | 'W1';
  readonly vexL: 'any' | 'L0' | 'L1';
  readonly vexNoVvvv: boolean;
  readonly imm: number;
  readonly size: number;
  readonly byteReg: boolean;
  readonly byteRm: boolean;
  /** How much the form asks for; of two forms that match, the more demanding one is meant. */
  readonly specificity: number;
}

const hexByte = /^[0-9A-F]{2}$/;

/** Expands a row into its forms (`+rd` rows become eight). Throws on anything it does not understand. */
export function parseRow(row: OpcodeRow): Form[] {
  const fail = (why: string): never => { throw new Error(`opcode row ${row.op} '${row.encoding}': ${why}`); };
  const tokens = row.encoding.replace(/\s*\+\s*(r[bwdo]|i)\b/g, '+$1').split(/[\s]+/).filter((t) => t !== '' && t !== '+');
  let map = 0;
  let prefix: number = PREFIX.any;
  let rexW: Form['rexW'] = 'any';
  let vexL: Form['vexL'] = 'any';
  let vex = false;
  let opcode = -1;
  let opcodeRegister = false;
  let hasModRm = false;
  let mod = 0;
  let digit = -1;
  let rm = -1;
  let imm: number = IMM.none;

  const readByte = (token: string): { value: number; plus: boolean } => {
    const plus = /\+(r[bwdo]|i)$/.test(token);
    const value = token.replace(/\+(r[bwdo]|i)$/, '');
    if (!hexByte.test(value)) fail(`'${token}' is no byte`);
    return { value: parseInt(value, 16), plus };
  };

  for (const token of tokens) {
    if (opcode < 0) {
      if (token === 'NP') { prefix = PREFIX.NP; continue; }
      if (token === 'NFx') { prefix = PREFIX.NFx; continue; }
      if (token === 'REX.W') { rexW = 'W1'; continue; }
      if (token === 'REX') continue;
      if (token.startsWith('VEX.')) {
        vex = true;
        prefix = PREFIX.NP;
        for (const part of token.split('.').slice(1)) {
          if (part === 'LZ' || part === 'L0' || part === '128') vexL = 'L0';
          else if (part === 'L1' || part === '256') vexL = 'L1';
          else if (part === 'LIG' || part === 'WIG' || part === 'NDS' || part === 'NDD' || part === 'DDS') continue;
          else if (part === '66' || part === 'F2' || part === 'F3') prefix = PREFIX[part];
          else if (part === 'W0' || part === 'W1') rexW = part;
          else if (part === '0F') map = 4;
          else if (part === '0F38') map = 5;
          else if (part === '0F3A') map = 6;
          else if (part === 'NP') prefix = PREFIX.NP;
          else fail(`unknown VEX part ${part}`);
        }
        continue;
      }
      if (!vex && map === 0 && (token === '66' || token === 'F2' || token === 'F3')) { prefix = PREFIX[token]; continue; }
      if (!vex && map === 0 && token === '0F') { map = 1; continue; }
      if (map === 1 && !vex && token === '38') { map = 2; continue; }
      if (map === 1 && !vex && token === '3A') { map = 3; continue; }
      const { value, plus } = readByte(token);
      opcode = value;
      opcodeRegister = plus;
      continue;
    }
    const modRm = /^(11:|!11:)?\/(r|[0-7])$/.exec(token);
    if (modRm) {
      hasModRm = true;
      if (modRm[1] === '11:') mod = 1;
      if (modRm[1] === '!11:') mod = 2;
      if (modRm[2] !== 'r') digit = Number(modRm[2]);
      continue;
    }
    if (token === '11:' || token === '!11:') { hasModRm = true; mod = token === '11:' ? 1 : 2; continue; }
    if (hexByte.test(token.replace(/\+i$/, ''))) {
      const { value, plus } = readByte(token);
      if (value < 0xc0) fail(`ModRM byte ${token} is no register form`);
      hasModRm = true;
      mod = 1;
      digit = (value >> 3) & 7;
      rm = plus ? -1 : value & 7;
      continue;
    }
    if (token === '/is4') { imm = IMM.ib; continue; }
    if (token === 'ib' && imm === IMM.iw) { imm = IMM.iwib; continue; }
    if (token in IMM && token !== 'none') {
      if (imm !== IMM.none) fail('two immediates');
      imm = IMM[token as keyof typeof IMM];
      continue;
    }
    fail(`unknown token '${token}'`);
  }
  if (opcode < 0) fail('no opcode byte');
  if (row.lock && !hasModRm) fail('LOCK needs a memory operand');
  // One-byte immediates that are added to or compared with wider operands are sign-extended (SDM vol. 2, 83 /n ib).
  if (imm === IMM.ib && map === 0 && (opcode === 0x6a || opcode === 0x6b || opcode === 0x83)) imm = IMM.ibs;

  const operands = row.operands.split(',').map((o) => o.trim()).filter((o) => o !== '');
  const byteReg = operands.some((o) => o === 'Gb') || (opcodeRegister && /b$/.test(operands[0] ?? ''));
  const byteRm = operands.some((o) => o === 'Eb' || o === 'Rb');
  const vexNoVvvv = vex && !operands.some((o) => /^[BH]/.test(o));
  const form = {
    row, map, prefix, hasModRm, mod, digit, rm, opcodeRegister, rexW, vexL, vexNoVvvv, imm,
    size: operandSize(operands), byteReg, byteRm,
    specificity: (prefix === PREFIX.any ? 0 : prefix === PREFIX.NFx ? 1 : 2) + (rexW === 'any' ? 0 : 1) + (vexL === 'any' ? 0 : 1)
      + (mod === 0 ? 0 : 1) + (digit < 0 ? 0 : 2) + (rm < 0 ? 0 : 4),
  };
  const count = opcodeRegister ? 8 : 1;
  return Array.from({ length: count }, (_, i) => ({ ...form, opcode: opcode + i }));
}

/** The operand that decides rec.size: the first one with a width of its own. */
function operandSize(operands: readonly string[]): number {
  for (const operand of operands) {
    if (/^(AL|CL|AH|BL)$/.test(operand)) return SIZE.b;
    if (/^rAX/.test(operand)) return SIZE.v;
    if (/^eAX/.test(operand)) return SIZE.z;
    if (/^AX$/.test(operand)) return SIZE.w;
    if (/^[IJ]/.test(operand)) continue;
    if (/^[VWUH]/.test(operand)) return SIZE.x;
    if (/^[PQN]/.test(operand)) return SIZE.q;
    const suffix = /^[ABCDEFGMORSXYZ](dq|d\/q|[bwdqvzyx])(\/.*)?$/.exec(operand)?.[1];
    if (suffix === undefined) continue;
    if (suffix === 'dq' || suffix === 'x') return SIZE.x;
    if (suffix === 'd/q') return SIZE.y;
    return SIZE[suffix as keyof typeof SIZE];
  }
  return SIZE.v;
}
