/** Compares a record of the core's decoder (assembly/record.ts) with the same instruction as iced-x86 sees it. */
import { Code, type Instruction, MemorySizeExt, Mnemonic, OpCodeOperandKind, OpKind, Register, RegisterExt } from 'iced-x86';
import { OP_NAMES } from '../../engine/core/gen/ops.ts';

const NONE = 16;
const RIP = 17;
const LOCK = 2;

const M64 = (1n << 64n) - 1n;
const mask = (bytes: number): bigint => (bytes === 8 ? M64 : (1n << BigInt(8 * bytes)) - 1n);

interface CodeInfo { readonly kinds: readonly string[]; readonly places: readonly number[]; readonly operandBytes: number }
const infos = new Map<Code, CodeInfo>();

function infoOf(instruction: Instruction): CodeInfo {
  let info = infos.get(instruction.code);
  if (info === undefined) {
    const opCode = instruction.opCode;
    const kinds = Array.from({ length: opCode.opCount }, (_, i) => OpCodeOperandKind[opCode.opKind(i)]);
    info = { kinds, places: kinds.map(placeOf), operandBytes: opCode.operandSize / 8 };
    opCode.free();
    infos.set(instruction.code, info);
  }
  return info;
}

/** Register number as the record has it: AH CH DH BH are 16 to 19; REX does not extend x87, MMX and segment registers. */
function numberOf(register: Register): number {
  const n = RegisterExt.number(register);
  if (RegisterExt.size(register) !== 1 || register > Register.R15L) return n;
  return n < 4 ? n : n < 8 ? n + 12 : n - 4; // iced counts AL..BL, AH..BH, SPL..
}
const UNEXTENDED = /^(sti|mm|seg)_/;

/** Where the record has the register of an operand, -1 when it is implicit. */
function placeOf(kind: string): number {
  if (/_reg$/.test(kind)) return 3;
  if (/_or_mem$|_rm$|^sti_opcode$/.test(kind)) return 4;
  return /_opcode$/.test(kind) ? 3 : /_vvvv$/.test(kind) ? 28 : -1;
}

/** Null when they agree, else the first field that differs. */
export function recordDifference(rec: DataView, instruction: Instruction, bits: number): string | null {
  const info = infoOf(instruction);
  const op = OP_NAMES[rec.getUint16(0, true)];
  const diff = (field: string, expected: bigint | number, got: bigint | number): string => `${field} ${expected}, got ${got}`;
  let wanted = 0; // the operand size that iced's operands show
  for (const [i, kind] of info.kinds.entries()) {
    const type = instruction.opKind(i);
    if (type === OpKind.Register) {
      const register = instruction.opRegister(i);
      const number = numberOf(register);
      if (kind !== 'dx') wanted ||= RegisterExt.size(register); // the port's number is no operand size
      const place = info.places[i];
      const got = place < 0 ? number : rec.getUint8(place) & (UNEXTENDED.test(kind) ? 7 : 31);
      if (got !== number) return diff(kind, number, got);
    } else if (type === OpKind.Memory) {
      wanted ||= MemorySizeExt.size(instruction.memorySize);
      const what = memoryDifference(rec, instruction, kind === 'mem_offs', op, bits);
      if (what !== null) return what;
    } else if (type >= OpKind.NearBranch16 && type <= OpKind.NearBranch64) {
      const bytes = type === OpKind.NearBranch16 ? 2 : type === OpKind.NearBranch32 ? 4 : 8;
      const target = (rec.getBigUint64(16, true) + BigInt(rec.getUint8(2))) & mask(bytes);
      if (target !== instruction.nearBranchTarget) return diff('target', instruction.nearBranchTarget, target);
      wanted ||= bytes;
    } else if (type === OpKind.FarBranch16 || type === OpKind.FarBranch32) {
      const offset = type === OpKind.FarBranch16 ? instruction.farBranch16 : instruction.farBranch32;
      const expected = (BigInt(instruction.farBranchSelector) << 32n) | BigInt(offset);
      if (expected !== rec.getBigUint64(16, true)) return diff('far pointer', expected, rec.getBigUint64(16, true));
    } else if (/^imm/.test(kind) && kind !== 'imm8_const_1') {
      const what = immediateDifference(rec, instruction, i, kind, op);
      if (what !== null) return what;
    } else if (type >= OpKind.MemorySegSI && type <= OpKind.MemoryESRDI) {
      wanted ||= MemorySizeExt.size(instruction.memorySize);
      const address = [OpKind.MemorySegSI, OpKind.MemorySegDI, OpKind.MemoryESDI].includes(type) ? 2
        : [OpKind.MemorySegESI, OpKind.MemorySegEDI, OpKind.MemoryESEDI].includes(type) ? 4 : 8;
      if (rec.getUint8(15) !== address) return diff('address size', address, rec.getUint8(15));
      if (type <= OpKind.MemorySegRDI && !sameSegment(rec, instruction, bits)) {
        return diff('segment', RegisterExt.number(instruction.memorySegment), rec.getUint8(12));
      }
    }
  }
  if (instruction.hasLockPrefix !== ((rec.getUint8(14) & LOCK) !== 0) && op !== 'XCHG_EG') return diff('lock', Number(instruction.hasLockPrefix), rec.getUint8(14) & LOCK);
  const size = rec.getUint8(13);
  if (size !== wanted && size !== info.operandBytes && (wanted | info.operandBytes) !== 0 && !sizeIsFree(op)) return diff(`size (${bits})`, wanted, size);
  return mnemonicDifference(instruction, op);
}

function memoryDifference(rec: DataView, instruction: Instruction, offset: boolean, op: string, bits: number): string | null {
  const { memoryBase, memoryIndex } = instruction;
  const base = memoryBase === Register.None ? NONE : memoryBase === Register.RIP || memoryBase === Register.EIP ? RIP : RegisterExt.number(memoryBase);
  const index = memoryIndex === Register.None ? NONE : RegisterExt.number(memoryIndex);
  const address = rec.getUint8(15);
  const sized = memoryBase !== Register.None ? memoryBase : memoryIndex;
  if (sized !== Register.None && RegisterExt.size(sized) !== address) return `address size ${RegisterExt.size(sized)}, got ${address}`;
  if (op !== 'LEA' && !sameSegment(rec, instruction, bits)) return `segment ${RegisterExt.number(instruction.memorySegment)}, got ${rec.getUint8(12)}`;
  if (op === 'XLAT') return null; // its base register is the executor's
  const displacement = instruction.memoryDisplacement & mask(address);
  if (offset) {
    const got = rec.getBigUint64(16, true);
    return got === displacement ? null : `offset ${displacement}, got ${got}`;
  }
  if (rec.getUint8(5) !== base) return `base ${base}, got ${rec.getUint8(5)}`;
  if (rec.getUint8(6) !== index) return `index ${index}, got ${rec.getUint8(6)}`;
  if (index !== NONE && 1 << rec.getUint8(7) !== instruction.memoryIndexScale) return `scale ${instruction.memoryIndexScale}, got ${1 << rec.getUint8(7)}`;
  const got = BigInt(rec.getInt32(8, true)) & mask(address);
  return got === displacement ? null : `displacement ${displacement}, got ${got}`;
}

const IMMEDIATE_BYTES: Record<string, number> = { imm8: 1, imm16: 2, imm8sex16: 2, imm32: 4, imm8sex32: 4, imm32sex64: 8, imm8sex64: 8, imm64: 8 };

function immediateDifference(rec: DataView, instruction: Instruction, i: number, kind: string, op: string): string | null {
  const bytes = IMMEDIATE_BYTES[kind];
  if (bytes === undefined) return null;
  const expected = instruction.immediate(i) & mask(bytes);
  const got = (rec.getBigUint64(16, true) >> (op === 'ENTER' && i === 1 ? 16n : 0n)) & mask(bytes);
  return expected === got ? null : `${kind} ${expected}, got ${got}`;
}

/** In 64-bit mode iced names a CS, DS, ES or SS prefix, which does nothing; the record has the default segment then. */
function sameSegment(rec: DataView, instruction: Instruction, bits: number): boolean {
  const got = rec.getUint8(12);
  const expected = RegisterExt.number(instruction.memorySegment);
  const ignored = bits === 64 && instruction.segmentPrefix !== Register.None && expected < 4;
  return ignored ? got === 2 || got === 3 : got === expected;
}

/** Ops whose executors do not look at the record's size, and those of a fixed size that iced shows as wider registers. */
const FREE_SIZE = /^(F[A-Z].*|NOP|UD[01]|XLAT|[SL][GI]DT|VER[RW]|LLDT|LTR|LMSW|ARPL|MOV_([CD]R|R[CD])|MOV(SS|SD|Q_XMM)_STORE|PMOVMSKB_.*|PEXTR[BW].*|EXTRACTPS)$/;
const freeSizes = new Map<string, boolean>();

function sizeIsFree(op: string): boolean {
  let free = freeSizes.get(op);
  if (free === undefined) freeSizes.set(op, free = FREE_SIZE.test(op));
  return free;
}

/** The SDM's other names of conditions. */
const CONDITIONS: Record<string, string> = { Z: 'E', NZ: 'NE', NLE: 'G', NL: 'GE', NBE: 'A', NB: 'AE' };

/** Ops of several mnemonics, by operand size or by a field of the opcode. */
const MNEMONICS: Record<string, RegExp> = {
  NOP: /^(RESERVEDNOP|PREFETCH|ENDBR|CLDEMOTE)/, XCHG_AG: /^NOP$/, JRCXZ: /^J[ER]?CXZ$/, FWAIT: /^WAIT$/, CBW: /^C(WD|DQ)E$/, CWD: /^C(DQ|QO)$/,
  SHL_EI: /^SAL$/, SHL_EC: /^SAL$/, SHL_E1: /^SAL$/, CLFLUSH: /^(CLFLUSHOPT|CLWB)$/, FCMOVCC: /^FCMOVN?(B|E|BE|U)$/, FLD_CONSTANT: /^FLD(1|L2T|L2E|PI|LG2|LN2|Z)$/,
  FARITH_M32: /^F(ADD|MUL|COMP?|SUBR?|DIVR?)$/, FARITH_M64: /^F(ADD|MUL|COMP?|SUBR?|DIVR?)$/, FARITH_ST0: /^F(ADD|MUL|COMP?|SUBR?|DIVR?)$/,
  FARITH_STI: /^F(ADD|MUL|COMP?|SUBR?|DIVR?)$/, FARITH_STIP: /^F(ADDP|MULP|COMP|SUBR?P|DIVR?P)$/, FARITH_I32: /^FI(ADD|MUL|COMP?|SUBR?|DIVR?)$/,
  FARITH_I16: /^FI(ADD|MUL|COMP?|SUBR?|DIVR?)$/, FST_STI: /^FSTP(NCE)?$/, MOVD_XMM_LOAD: /^MOVQ$/, MOVD_XMM_STORE: /^MOVQ$/, MOVD_MMX_LOAD: /^MOVQ$/, MOVD_MMX_STORE: /^MOVQ$/,
  PINSRD: /^PINSRQ$/, PEXTRD: /^PEXTRQ$/,
};
const accepted = new Map<string, boolean>();

function mnemonicDifference(instruction: Instruction, op: string): string | null {
  const { mnemonic } = instruction;
  const key = `${op} ${mnemonic}`;
  let same = accepted.get(key);
  if (same === undefined) {
    const name = Mnemonic[mnemonic].toUpperCase();
    const ours = op.split('_')[0].replace(/^(J|SET|CMOV)(N?[ZLB]E?)$/, (whole, stem: string, cc: string) => (CONDITIONS[cc] === undefined ? whole : stem + CONDITIONS[cc]));
    // operand sizes and popping forms have names of their own
    same = ours === name || (name.startsWith(ours) && /^(B|W|D|Q|64|P)$/.test(name.slice(ours.length))) || (MNEMONICS[op]?.test(name) ?? false);
    accepted.set(key, same);
  }
  return same ? null : `mnemonic ${Mnemonic[mnemonic].toUpperCase()}`;
}
