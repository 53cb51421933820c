/**
 * What the SDM leaves undefined: status flags, and results, by op.
 *
 * @spec SDM vol. 1, appendix A (EFLAGS cross-reference), and the instructions' pages in vol. 2
 */
export const CF = 1; export const PF = 4; export const AF = 0x10; export const ZF = 0x40; export const SF = 0x80; export const OF = 0x800;
export const STATUS = CF | PF | AF | ZF | SF | OF;

export interface Undefined { readonly flags: number; readonly result: boolean }

const NONE: Undefined = { flags: 0, result: false };
const flags = (mask: number): Undefined => ({ flags: mask, result: false });

/** Ops whose undefined flags do not depend on operands. */
const FIXED: Record<string, number> = {
  AND: AF, OR: AF, XOR: AF, TEST: AF, MUL: SF | ZF | AF | PF, IMUL: SF | ZF | AF | PF, DIV: STATUS, IDIV: STATUS,
  BT: OF | SF | AF | PF, BTS: OF | SF | AF | PF, BTR: OF | SF | AF | PF, BTC: OF | SF | AF | PF, BSF: STATUS & ~ZF, BSR: STATUS & ~ZF,
  TZCNT: OF | SF | PF | AF, LZCNT: OF | SF | PF | AF, ANDN: AF | PF, BLSR: AF | PF, BLSMSK: AF | PF, BLSI: AF | PF, BZHI: AF | PF,
  BEXTR: SF | AF | PF, DAA: OF, DAS: OF, AAA: OF | SF | ZF | PF, AAS: OF | SF | ZF | PF, AAM: OF | AF | CF, AAD: OF | AF | CF,
};

/** Undefined after `op` with operands of `size` bytes; `count` is the shift count before masking. */
export function undefinedAfter(op: string, size: number, count: number): Undefined {
  const name = op.replace(/_(EG|GE|AI|EI|E1|EC|G|GEI|I|C)$/, '');
  const masked = count & (size === 8 ? 63 : 31);
  switch (name) {
    case 'ROL': case 'ROR': return masked === 0 || masked === 1 ? NONE : flags(OF);
    case 'RCL': case 'RCR': {
      const turns = size === 1 ? masked % 9 : size === 2 ? masked % 17 : masked;
      return masked === 0 || turns === 1 && masked === 1 ? NONE : flags(OF);
    }
    case 'SHL': case 'SHR': return masked === 0 ? NONE : flags(AF | (masked === 1 ? 0 : OF) | (masked >= size * 8 ? CF : 0));
    case 'SAR': return masked === 0 ? NONE : flags(AF | (masked === 1 ? 0 : OF));
    case 'SHLD': case 'SHRD':
      if (masked === 0) return NONE;
      return masked > size * 8 ? { flags: STATUS, result: true } : flags(AF | (masked === 1 ? 0 : OF));
    default: return name in FIXED ? flags(FIXED[name]) : NONE;
  }
}
