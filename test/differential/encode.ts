/**
 * Encodes one form of the opcode table with random prefixes, operands and immediates.
 *
 * @spec SDM vol. 2, chapter 2
 */
import { IMM, PREFIX, SIZE, type Form } from '../../engine/core/tables/encoding.ts';
import { CODE_ADDRESS, DATA_PAGE, WINDOW_ADDRESS, WINDOW_BYTES, windowCrossing } from './case.ts';
import { Random, integer } from './random.ts';
import { stackAddress } from './state.ts';

const MASK64 = 0xffff_ffff_ffff_ffffn;
const MASK32 = 0xffff_ffffn;
const RBX = 3; const RSP = 4; const RBP = 5; const RSI = 6; const RDI = 7;
const MAP_BYTES = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]] as const;

/** Memory operands that fault unless aligned get an aligned address most of the time. */
const ALIGNED = /^(MOVAP|MOVNTP|MOVNTDQ|MOVDQA|FXSAVE|FXRSTOR|CMPXCHG16B|XSAVE|XRSTOR)|_XMM$|PS$|PD$|^AES|^SHA|^P[A-Z0-9]+$/;

/** FS and GS bases of a case, near enough to the window for every addressing form: 0, small, or just below 2^64. */
export function segmentBases(r: Random): readonly [bigint, bigint] {
  const base = (): bigint => {
    switch (r.below(3)) {
      case 0: return 0n;
      case 1: return BigInt(r.below(0x1000_0000));
      default: return MASK64 + 1n - BigInt(1 + r.below(0x1000_0000));
    }
  };
  return [base(), base()];
}

export class Encoder {
  readonly #form: Form;
  readonly #mode: number;
  readonly #r: Random;
  readonly #gpr: BigUint64Array;
  /** Registers whose value the state relies on: addresses are not built from them. */
  readonly #pinned: ReadonlySet<number>;
  /** The immediate as encoded. */
  immediate = 0n;
  /** Operand size in bytes. */
  operandBytes = 4;
  /** Linear address of the memory operand, or 0. */
  target = 0;
  #branches = false;
  /** Where the instruction lies. */
  readonly #start: number;
  /** Memory operands without registers only: an earlier instruction may have changed any of them. */
  readonly #absolute: boolean;
  /** FS and GS bases. */
  readonly bases: readonly [bigint, bigint];
  /** Of the segment in use. */
  #segmentBase = 0n;

  constructor(form: Form, mode: number, r: Random, gpr: BigUint64Array, pinned: ReadonlySet<number>, start = CODE_ADDRESS, absolute = false, bases = segmentBases(r)) {
    this.bases = bases;
    this.#start = start;
    this.#absolute = absolute;
    this.#form = form;
    this.#mode = mode;
    this.#r = r;
    this.#gpr = gpr;
    this.#pinned = pinned;
    if (mode === 2) this.#segmentBase = BigInt(DATA_PAGE);
  }

  encode(family: string): Buffer {
    const form = this.#form, r = this.#r, long = this.#mode === 0;
    const vex = form.map >= 4;
    const memory = form.hasModRm && (form.mod === 2 || (form.mod === 0 && r.chance(0.5)));
    this.#branches = family === 'branch';
    let prefixes: number[] = [];
    let p66 = false;
    if (form.prefix === PREFIX.any && !vex && r.chance(0.3) && !this.#branches) { prefixes.push(0x66); p66 = true; }
    if (form.prefix === PREFIX.NFx && r.chance(0.3)) { prefixes.push(0x66); p66 = true; }
    const address67 = !vex && r.chance(memory || form.imm === IMM.mo || family === 'string' ? 0.06 : 0.01) && (long || !this.#absolute);
    if (address67) prefixes.push(0x67);
    if (form.row.lock && (memory ? r.chance(0.3) : r.chance(0.01))) prefixes.push(0xf0);
    // CS: forbids stores in 32-bit code; whether x87 looks before it finds an unmasked exception is the processor's matter
    if (!vex && r.chance(long ? 0.06 : 0.01) && (long || !/^(x87|mmx)/.test(family))) {
      const which = r.below(2);
      prefixes.push(0x64 + which);
      if (long) this.#useSegment(this.bases[which]);
    }
    if (r.chance(0.03) && !vex && (long || !prefixes.includes(0x64) && !prefixes.includes(0x65))) prefixes.push(r.pick(family.startsWith('x87') ? [0x36, 0x3e, 0x26] : [0x2e, 0x36, 0x3e, 0x26]));
    if (family === 'string' && r.chance(0.6)) prefixes.push(r.pick([0xf2, 0xf3]));
    prefixes = shuffle(prefixes, r);
    if (!vex) {
      if (form.prefix === PREFIX['66']) prefixes.push(0x66);
      if (form.prefix === PREFIX.F3) prefixes.push(0xf3);
      if (form.prefix === PREFIX.F2) prefixes.push(0xf2);
    }

    let w = form.rexW === 'W1' ? 1 : form.rexW === 'W0' ? 0 : r.chance(0.4) ? 1 : 0;
    if (!long) w = vex ? w & (form.rexW === 'W1' ? 1 : 0) : 0;
    const extend = long && r.chance(0.4);
    const regHigh = extend ? r.below(2) : 0, indexHigh = extend ? r.below(2) : 0, rmHigh = extend ? r.below(2) : 0;
    const d64 = long && (form.row.mode === 'd64' || form.row.mode === 'f64');
    this.operandBytes = form.size === SIZE.b ? 1 : form.size === SIZE.w ? 2 : w !== 0 ? 8 : p66 !== (this.#mode === 2) ? 2 : d64 ? 8 : 4;

    const reg = form.digit >= 0 ? form.digit : r.below(8);
    const rm = form.rm >= 0 ? form.rm : r.below(8);
    const tail: number[] = [];
    let rexX = indexHigh, rexB = rmHigh;
    if (form.hasModRm) {
      if (memory) {
        const m = this.#memory(address67, rexX, rexB);
        rexX = m.x;
        rexB = m.b;
        tail.push((m.mod << 6) | (reg << 3) | m.rm, ...m.bytes);
      } else {
        tail.push(0xc0 | (reg << 3) | rm);
      }
    }
    const immediates = this.#immediates(p66 !== (this.#mode === 2), w, address67);

    const head: number[] = [...prefixes];
    if (vex) {
      const vvvv = form.vexNoVvvv ? 0 : long ? r.below(16) : r.below(8);
      const l = form.vexL === 'L1' ? 1 : form.vexL === 'L0' ? 0 : r.below(2);
      const pp = [0, 0, 1, 2, 3][form.prefix] ?? 0;
      const map = form.map - 3;
      if (map === 1 && w === 0 && rexX === 0 && rexB === 0 && r.chance(0.7)) {
        head.push(0xc5, ((regHigh ^ 1) << 7) | ((vvvv ^ 15) << 3) | (l << 2) | pp);
      } else {
        head.push(0xc4, ((regHigh ^ 1) << 7) | ((rexX ^ 1) << 6) | ((rexB ^ 1) << 5) | map, (w << 7) | ((vvvv ^ 15) << 3) | (l << 2) | pp);
      }
    } else {
      if (long && (w | regHigh | rexX | rexB || r.chance(0.1))) head.push(0x40 | (w << 3) | (regHigh << 2) | (rexX << 1) | rexB);
      head.push(...MAP_BYTES[form.map]);
    }
    head.push(form.opcode, ...tail, ...immediates);
    const bytes = Buffer.from(head);
    if (this.#ripAt >= 0) { // RIP-relative: the displacement counts from the next instruction
      const at = head.length - immediates.length - 4;
      bytes.writeInt32LE((this.target - Number(BigInt.asIntN(64, this.#segmentBase)) - (this.#start + bytes.length)) | 0, at);
    }
    if (this.#branches && form.hasModRm && !memory) this.#gpr[(rexB << 3) | rm] = this.#codePointer();
    return bytes;
  }

  /** FS- or GS-relative from here on; registers that instructions use without naming them move along. */
  #useSegment(base: bigint): void {
    this.#segmentBase = base;
    const { op } = this.#form.row;
    const register = /^(MOVS|CMPS|LODS)$/.test(op) ? RSI : op === 'XLAT' ? RBX : /^MASKMOV/.test(op) ? RDI : -1;
    if (register >= 0) this.#gpr[register] = (this.#gpr[register] - base) & MASK64;
  }

  /** Puts code addresses where branches look for them. */
  pointers(window: Buffer, r: Random): void {
    if (!this.#branches || r.chance(0.1)) return;
    const put = (address: number): void => {
      const at = address - WINDOW_ADDRESS;
      if (at >= 0 && at + 8 <= WINDOW_BYTES) window.writeBigUInt64LE(this.#codePointer(), at);
    };
    if (this.target !== 0) put(this.target);
    put(stackAddress(this.#gpr, this.#mode));
  }

  #codePointer(): bigint { return BigInt(CODE_ADDRESS + 64 + this.#r.below(100)) & (this.#mode === 2 ? 0xffffn : MASK64); }

  #ripAt = -1;

  #target(): number {
    const r = this.#r;
    if (r.chance(0.02)) return WINDOW_ADDRESS + WINDOW_BYTES - r.below(17); // the end of the page
    const { op } = this.#form.row;
    const bytes = /^(F?XSAVE|FXRSTOR|XRSTOR)/.test(op) ? 576 : /^F(RSTOR|NSAVE|LDENV|NSTENV)/.test(op) ? 108 : 64;
    if (windowCrossing >= 0 && bytes === 64 && r.chance(ALIGNED.test(op) ? 0.02 : 0.2)) return WINDOW_ADDRESS + windowCrossing - r.below(17);
    const offset = r.below(WINDOW_BYTES - bytes + 1);
    const aligned = ALIGNED.test(op) && r.chance(0.95) ? (/^X/.test(op) ? offset & ~63 : offset & ~15) : r.chance(0.5) ? offset & ~7 : offset;
    return WINDOW_ADDRESS + aligned;
  }

  /** ModRM, SIB and displacement for an address in the window; sets the registers to suit. */
  #memory(address67: boolean, x: number, b: number): { mod: number; rm: number; bytes: number[]; x: number; b: number } {
    const r = this.#r, long = this.#mode === 0;
    if (this.#mode === 2 && !address67) return this.#memory16(x, b);
    if (address67 && this.#mode === 1) { // below 64 KiB, where nothing is: the page fault tells the address
      this.target = 0;
      const mod = r.below(3), rm = r.below(8);
      const bytes = mod === 1 ? 1 : mod === 2 || rm === 6 ? 2 : 0;
      return { mod, rm, bytes: Array.from({ length: bytes }, () => r.below(256)), x, b };
    }
    this.target = this.#target();
    const width = long && !address67 ? MASK64 : MASK32;
    const target = BigInt(this.target) - this.#segmentBase;
    const near = Number(BigInt.asIntN(64, target));
    const free = (register: number): boolean => !this.#pinned.has(register) && register !== RSP;
    const junk = address67 && r.chance(0.5) ? r.u64() & ~MASK32 : 0n; // 67: upper halves do not matter
    if (this.#absolute || r.chance(0.15)) { // no registers
      if (long && r.chance(0.6)) { this.#ripAt = 1; return { mod: 0, rm: 5, bytes: [0, 0, 0, 0], x, b }; }
      if (!long && r.chance(0.5)) return { mod: 0, rm: 5, bytes: le32(near), x, b };
      return { mod: 0, rm: 4, bytes: [0x25, ...le32(near)], x: 0, b };
    }
    const mod = r.below(3);
    const disp = mod === 0 ? 0n : mod === 1 ? BigInt(r.below(256) - 128) : BigInt.asIntN(32, integer(r) >> BigInt(r.below(20)));
    const dispBytes = mod === 0 ? [] : mod === 1 ? [Number(disp & 0xffn)] : le32(Number(disp));
    let base = r.below(8);
    let tries = 0;
    while ((base === RSP || (mod === 0 && base === RBP) || !free((b << 3) | base)) && tries++ < 50) base = r.below(8);
    if (tries >= 50) { this.target = 0; return { mod: 0, rm: 4, bytes: [0x25, ...le32(WINDOW_ADDRESS)], x: 0, b }; }
    const baseRegister = (b << 3) | base;
    if (r.chance(0.5)) { // base only
      this.#gpr[baseRegister] = ((target - disp) & width) | junk;
      this.#wild(baseRegister);
      return { mod, rm: base, bytes: dispBytes, x, b };
    }
    const scale = r.below(4);
    const index = r.below(8);
    const indexRegister = (x << 3) | index;
    if (indexRegister === RSP || !free(indexRegister) || indexRegister === baseRegister) {
      const none = 0x20; // index 100: none
      this.#gpr[baseRegister] = ((target - disp) & width) | junk;
      return { mod, rm: 4, bytes: [(scale << 6) | none | base, ...dispBytes], x: 0, b };
    }
    const step = r.chance(0.5) ? BigInt(r.below(64)) : integer(r);
    this.#gpr[indexRegister] = step & (this.#mode === 0 ? MASK64 : MASK32);
    this.#gpr[baseRegister] = ((target - disp - (step << BigInt(scale))) & width) | junk;
    this.#wild(baseRegister);
    return { mod, rm: 4, bytes: [(scale << 6) | (index << 3) | base, ...dispBytes], x, b };
  }

  /** 16-bit ModRM for an offset in the window, or at the segment's end. */
  #memory16(x: number, b: number): { mod: number; rm: number; bytes: number[]; x: number; b: number } {
    const r = this.#r;
    this.target = this.#target();
    let offset = this.target - DATA_PAGE;
    if (r.chance(0.02)) {
      offset = 0xffff - r.below(8);
      this.target = 0;
    }
    const le16 = (v: number): number[] => [v & 255, (v >> 8) & 255];
    const registers = [[RBX, RSI], [RBX, RDI], [RBP, RSI], [RBP, RDI], [RSI], [RDI], [RBP], [RBX]];
    const mod = r.below(3);
    const rm = r.below(8);
    const used = registers[rm];
    if (this.#absolute || r.chance(0.15) || (mod === 0 && rm === 6) || used.some((register) => this.#pinned.has(register))) return { mod: 0, rm: 6, bytes: le16(offset), x, b };
    const disp = mod === 0 ? 0 : mod === 1 ? r.below(256) - 128 : r.below(0x1_0000);
    const junk = (): bigint => (r.chance(0.5) ? BigInt((r.u32() & 0xffff_0000) >>> 0) : 0n);
    const step = used.length === 2 ? r.below(0x1_0000) : 0;
    if (used.length === 2) this.#gpr[used[1]] = BigInt(step) | junk();
    this.#gpr[used[0]] = BigInt((offset - disp - step) & 0xffff) | junk();
    return { mod, rm, bytes: mod === 0 ? [] : mod === 1 ? [disp & 255] : le16(disp), x, b };
  }

  /** Now and then an address that is not there, or not canonical. */
  #wild(register: number): void {
    if (!this.#r.chance(0.01)) return;
    this.#gpr[register] = this.#r.chance(0.5) ? 0x7000_0000n : 0x8000_0000_0000_0000n;
    this.target = 0;
  }

  /** `word`: the operand size is 16 bits. */
  #immediates(word: boolean, w: number, address67: boolean): number[] {
    const r = this.#r;
    const bytes = (n: number, value = integer(r)): number[] => {
      this.immediate = value & ((1n << BigInt(8 * n)) - 1n);
      return Array.from({ length: n }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
    };
    switch (this.#form.imm) {
      case IMM.ib: case IMM.ibs: return bytes(1);
      case IMM.iw: return this.#form.row.op.startsWith('RET') ? bytes(2, BigInt(r.below(64) * 8)) : bytes(2);
      case IMM.iwib: return [...bytes(2, BigInt(r.below(200))), r.below(r.chance(0.5) ? 1 : 40)];
      case IMM.id: return bytes(4);
      case IMM.io: return bytes(8);
      case IMM.iz: return bytes(word && w === 0 ? 2 : 4);
      case IMM.iv: return bytes(w !== 0 ? 8 : word ? 2 : 4);
      case IMM.cb: return bytes(1, BigInt(r.below(100)));
      case IMM.cz: return bytes(this.#mode === 2 ? 2 : 4, BigInt(r.below(200)));
      case IMM.mo: {
        this.target = this.#target();
        if (this.#mode === 2 && !address67) return bytes(2, BigInt(this.target - DATA_PAGE));
        if (this.#mode === 1 && address67) { this.target = 0; return bytes(2); }
        return bytes(this.#mode === 0 && !address67 ? 8 : 4, (BigInt(this.target) - this.#segmentBase) & MASK64);
      }
      default: return [];
    }
  }
}

function le32(value: number): number[] { return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255]; }

function shuffle<T>(items: T[], r: Random): T[] {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = r.below(i + 1);
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}
