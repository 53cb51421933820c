/**
 * WebAssembly's binary format: bytes, instructions, modules.
 *
 * @spec  WebAssembly Core Specification 2.0, chapter 5 (binary format); threads and tail-call proposals
 * @cover #Y the sections and instructions that the JIT uses   #N everything else
 */
import { MAX_FUNCTIONS } from './layout.ts';

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const VOID = 0x40;

/** One-byte opcodes. */
export const O = {
  UNREACHABLE: 0x00, BLOCK: 0x02, LOOP: 0x03, IF: 0x04, ELSE: 0x05, END: 0x0b, BR: 0x0c, BR_IF: 0x0d, BR_TABLE: 0x0e, RETURN: 0x0f,
  CALL: 0x10, CALL_INDIRECT: 0x11, RETURN_CALL: 0x12, RETURN_CALL_INDIRECT: 0x13, DROP: 0x1a, SELECT: 0x1b,
  LOCAL_GET: 0x20, LOCAL_SET: 0x21, LOCAL_TEE: 0x22, GLOBAL_GET: 0x23, GLOBAL_SET: 0x24,
  I32_LOAD: 0x28, I64_LOAD: 0x29, F32_LOAD: 0x2a, F64_LOAD: 0x2b, I32_LOAD8_S: 0x2c, I32_LOAD8_U: 0x2d, I32_LOAD16_S: 0x2e, I32_LOAD16_U: 0x2f,
  I64_LOAD8_S: 0x30, I64_LOAD8_U: 0x31, I64_LOAD16_S: 0x32, I64_LOAD16_U: 0x33, I64_LOAD32_S: 0x34, I64_LOAD32_U: 0x35,
  I32_STORE: 0x36, I64_STORE: 0x37, F32_STORE: 0x38, F64_STORE: 0x39, I32_STORE8: 0x3a, I32_STORE16: 0x3b, I64_STORE8: 0x3c, I64_STORE16: 0x3d, I64_STORE32: 0x3e,
  I32_CONST: 0x41, I64_CONST: 0x42,
  I32_EQZ: 0x45, I32_EQ: 0x46, I32_NE: 0x47, I32_LT_S: 0x48, I32_LT_U: 0x49, I32_GT_S: 0x4a, I32_GT_U: 0x4b, I32_LE_S: 0x4c, I32_LE_U: 0x4d, I32_GE_S: 0x4e, I32_GE_U: 0x4f,
  I64_EQZ: 0x50, I64_EQ: 0x51, I64_NE: 0x52, I64_LT_S: 0x53, I64_LT_U: 0x54, I64_GT_S: 0x55, I64_GT_U: 0x56, I64_LE_S: 0x57, I64_LE_U: 0x58, I64_GE_S: 0x59, I64_GE_U: 0x5a,
  F32_EQ: 0x5b, F32_LT: 0x5d, F32_GT: 0x5e, F64_EQ: 0x61, F64_NE: 0x62, F64_LT: 0x63, F64_GT: 0x64,
  I32_CLZ: 0x67, I32_CTZ: 0x68, I32_POPCNT: 0x69, I32_ADD: 0x6a, I32_SUB: 0x6b, I32_MUL: 0x6c, I32_AND: 0x71, I32_OR: 0x72, I32_XOR: 0x73,
  I32_SHL: 0x74, I32_SHR_S: 0x75, I32_SHR_U: 0x76, I32_ROTL: 0x77, I32_ROTR: 0x78,
  I64_CLZ: 0x79, I64_CTZ: 0x7a, I64_POPCNT: 0x7b, I64_ADD: 0x7c, I64_SUB: 0x7d, I64_MUL: 0x7e, I64_DIV_S: 0x7f, I64_DIV_U: 0x80, I64_REM_S: 0x81, I64_REM_U: 0x82,
  I64_AND: 0x83, I64_OR: 0x84, I64_XOR: 0x85, I64_SHL: 0x86, I64_SHR_S: 0x87, I64_SHR_U: 0x88, I64_ROTL: 0x89, I64_ROTR: 0x8a,
  F32_ABS: 0x8b, F64_ABS: 0x99, F64_SQRT: 0x9f, F64_ADD: 0xa0, F64_SUB: 0xa1, F64_MUL: 0xa2, F64_DIV: 0xa3,
  I32_WRAP: 0xa7, I64_EXTEND_S: 0xac, I64_EXTEND_U: 0xad, I32_REINTERPRET: 0xbc, I64_REINTERPRET: 0xbd, F32_REINTERPRET: 0xbe, F64_REINTERPRET: 0xbf,
  F64_CONVERT_I32_S: 0xb7, F64_CONVERT_I64_S: 0xb9,
  I32_EXTEND8: 0xc0, I32_EXTEND16: 0xc1, I64_EXTEND8: 0xc2, I64_EXTEND16: 0xc3, I64_EXTEND32: 0xc4,
} as const;

/** Opcodes behind the prefix FE. */
export const ATOMIC = {
  FENCE: 0x03, I32_LOAD: 0x10, I64_LOAD: 0x11, I32_LOAD8_U: 0x12, I32_LOAD16_U: 0x13,
  ADD: 0x1e, SUB: 0x25, AND: 0x2c, OR: 0x33, XOR: 0x3a, XCHG: 0x41, CMPXCHG: 0x48,
} as const;
/** A read-modify-write opcode's variant by log2 of the access size; values are i32 below 8 bytes. */
const ATOMIC_VARIANT = [2, 3, 0, 1];

/** Growing bytes with LEB128 numbers. */
export class Bytes {
  bytes = new Uint8Array(4096);
  length = 0;

  #room(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + n));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  u8(v: number): void {
    if (this.length === this.bytes.length) this.#room(1);
    this.bytes[this.length++] = v;
  }

  unsigned(v: number): void {
    v >>>= 0;
    while (v > 0x7f) { this.u8((v & 0x7f) | 0x80); v >>>= 7; }
    this.u8(v);
  }

  /** Signed LEB128 of a 32-bit number. */
  signed(v: number): void {
    v |= 0;
    for (;;) {
      const low = v & 0x7f;
      v >>= 7;
      if ((v === 0 && (low & 0x40) === 0) || (v === -1 && (low & 0x40) !== 0)) { this.u8(low); return; }
      this.u8(low | 0x80);
    }
  }

  /** Room for a number that `fill` writes later; where it is. */
  hole(bytes: number): number {
    const at = this.length;
    for (let k = 0; k < bytes; k += 1) this.u8(0);
    return at;
  }
  /** Signed LEB128 of a 32-bit number in exactly so many bytes. */
  fill(at: number, v: number, bytes: number): void {
    for (let k = 0; k < bytes; k += 1) {
      this.bytes[at + k] = (v & 0x7f) | (k < bytes - 1 ? 0x80 : 0);
      v >>= 7;
    }
  }

  signed64(value: bigint): void {
    let v = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(v & 0x7fn);
      v >>= 7n;
      if ((v === 0n && (low & 0x40) === 0) || (v === -1n && (low & 0x40) !== 0)) { this.u8(low); return; }
      this.u8(low | 0x80);
    }
  }

  append(other: Bytes): void {
    this.#room(other.length);
    this.bytes.set(other.bytes.subarray(0, other.length), this.length);
    this.length += other.length;
  }

  name(text: string): void {
    this.unsigned(text.length);
    for (let i = 0; i < text.length; i += 1) this.u8(text.charCodeAt(i));
  }

  take(): Uint8Array<ArrayBuffer> { return this.bytes.slice(0, this.length); }
}

/** The instructions of a function. `depth` counts the labels that are open, so that branches can name an absolute label. */
export class Code extends Bytes {
  depth = 0;
  /** Which way conditional branches mostly go: position of an `if` or `br_if`, and 1 when its condition mostly holds. */
  readonly hints: Array<readonly [at: number, taken: number]> = [];

  /** Behind other code of the same function. */
  override append(other: Bytes): void {
    if (other instanceof Code) for (const [at, taken] of other.hints) this.hints.push([this.length + at, taken]);
    super.append(other);
  }

  /** The `if` or `br_if` that comes next mostly (does not) find its condition true. */
  likely(): this { this.hints.push([this.length, 1]); return this; }
  unlikely(): this { this.hints.push([this.length, 0]); return this; }

  op(o: number): this { this.u8(o); return this; }
  get(local: number): this { this.u8(O.LOCAL_GET); this.unsigned(local); return this; }
  set(local: number): this { this.u8(O.LOCAL_SET); this.unsigned(local); return this; }
  tee(local: number): this { this.u8(O.LOCAL_TEE); this.unsigned(local); return this; }
  i32(v: number): this { this.u8(O.I32_CONST); this.signed(v); return this; }
  i64(v: bigint | number): this {
    this.u8(O.I64_CONST);
    if (typeof v === 'number' && v === (v | 0)) this.signed(v);
    else this.signed64(BigInt(v));
    return this;
  }
  /** A load or store; alignment is only a hint and 1 byte is always true. */
  memory(o: number, offset: number): this { this.u8(o); this.u8(0); this.unsigned(offset); return this; }
  atomic(o: number, log2: number, offset: number): this { this.u8(0xfe); this.unsigned(o); this.u8(log2); this.unsigned(offset); return this; }
  /** ATOMIC.ADD .. CMPXCHG on 1 << log2 bytes. */
  atomicRmw(o: number, log2: number): this { return this.atomic(o + ATOMIC_VARIANT[log2], log2, 0); }
  fence(): this { this.u8(0xfe); this.u8(ATOMIC.FENCE); this.u8(0); return this; }
  /** A SIMD instruction without immediates. */
  simd(o: number): this { this.u8(0xfd); this.unsigned(o); return this; }
  simdMemory(o: number, offset: number): this { this.u8(0xfd); this.unsigned(o); this.u8(0); this.unsigned(offset); return this; }
  simdLane(o: number, lane: number): this { this.u8(0xfd); this.unsigned(o); this.u8(lane); return this; }
  simdMemoryLane(o: number, offset: number, lane: number): this { this.simdMemory(o, offset); this.u8(lane); return this; }
  shuffle(lanes: readonly number[]): this { this.u8(0xfd); this.unsigned(13); for (const l of lanes) this.u8(l); return this; }
  v128(bytes: readonly number[]): this { this.u8(0xfd); this.unsigned(12); for (const b of bytes) this.u8(b); return this; }
  getGlobal(global: number): this { this.u8(O.GLOBAL_GET); this.unsigned(global); return this; }
  setGlobal(global: number): this { this.u8(O.GLOBAL_SET); this.unsigned(global); return this; }
  call(f: number): this { this.u8(O.CALL); this.unsigned(f); return this; }

  block(type = VOID): this { this.u8(O.BLOCK); this.u8(type); this.depth += 1; return this; }
  loop(type = VOID): this { this.u8(O.LOOP); this.u8(type); this.depth += 1; return this; }
  if(type = VOID): this { this.u8(O.IF); this.u8(type); this.depth += 1; return this; }
  else(): this { this.u8(O.ELSE); return this; }
  end(): this { this.u8(O.END); this.depth -= 1; return this; }
  /** Branch to the label that was opened when `depth` became `label`. */
  br(label: number): this { this.u8(O.BR); this.unsigned(this.depth - label); return this; }
  brIf(label: number): this { this.u8(O.BR_IF); this.unsigned(this.depth - label); return this; }
  brTable(labels: readonly number[], otherwise: number): this {
    this.u8(O.BR_TABLE);
    this.unsigned(labels.length);
    for (const l of labels) this.unsigned(this.depth - l);
    this.unsigned(this.depth - otherwise);
    return this;
  }
}

export interface FunctionType { readonly params: readonly number[]; readonly results: readonly number[] }

interface Body { readonly type: number; readonly locals: ReadonlyArray<readonly [count: number, type: number]>; readonly code: Code }

/** A module that imports the shared memory, the function table and helpers, and puts its functions into the table. */
export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #imports: Array<{ name: string; type: number }> = [];
  readonly #bodies: Body[] = [];
  readonly #exports: Array<{ name: string; kind: number; index: number }> = [];
  readonly #globals: Array<{ type: number; initial: number }> = [];

  type(params: readonly number[], results: readonly number[]): number {
    const found = this.#types.findIndex((t) => t.params.join() === params.join() && t.results.join() === results.join());
    if (found >= 0) return found;
    return this.#types.push({ params, results }) - 1;
  }

  /** All imports come before the first function. */
  import(name: string, params: readonly number[], results: readonly number[]): number {
    return this.#imports.push({ name, type: this.type(params, results) }) - 1;
  }

  /** A new variable, I32 or I64; its index. */
  global(type: number, initial = 0): number { return this.#globals.push({ type, initial }) - 1; }

  /** The index that the next function will have. */
  get nextFunction(): number { return this.#imports.length + this.#bodies.length; }

  function(type: number, locals: Body['locals'], code: Code): number {
    return this.#imports.length + this.#bodies.push({ type, locals, code }) - 1;
  }

  export(name: string, index: number): void { this.#exports.push({ name, kind: 0, index }); }
  exportGlobal(name: string, index: number): void { this.#exports.push({ name, kind: 3, index }); }

  /** `hint`: what V8's section compilationHints says of each function, if there is to be one. */
  build(maximumPages: number, hint?: number): Uint8Array<ArrayBuffer> {
    const out = new Bytes();
    for (const b of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) out.u8(b);
    const section = (id: number, fill: (s: Bytes) => void): void => {
      const s = new Bytes();
      fill(s);
      out.u8(id);
      out.unsigned(s.length);
      out.append(s);
    };
    section(1, (s) => {
      s.unsigned(this.#types.length);
      for (const t of this.#types) {
        s.u8(0x60);
        s.unsigned(t.params.length);
        for (const p of t.params) s.u8(p);
        s.unsigned(t.results.length);
        for (const r of t.results) s.u8(r);
      }
    });
    section(2, (s) => {
      s.unsigned(this.#imports.length + 2);
      s.name('env'); s.name('memory'); s.u8(2); s.u8(3); s.unsigned(1); s.unsigned(maximumPages);
      s.name('env'); s.name('table'); s.u8(1); s.u8(0x70); s.u8(1); s.unsigned(MAX_FUNCTIONS); s.unsigned(MAX_FUNCTIONS);
      for (const { name, type } of this.#imports) { s.name('core'); s.name(name); s.u8(0); s.unsigned(type); }
    });
    section(3, (s) => {
      s.unsigned(this.#bodies.length);
      for (const b of this.#bodies) s.unsigned(b.type);
    });
    section(6, (s) => {
      s.unsigned(this.#globals.length);
      for (const { type, initial } of this.#globals) {
        s.u8(type); s.u8(1);
        s.append((type === I64 ? new Code().i64(initial) : new Code().i32(initial)).op(O.END));
      }
    });
    section(7, (s) => {
      s.unsigned(this.#exports.length);
      for (const { name, kind, index } of this.#exports) { s.name(name); s.u8(kind); s.unsigned(index); }
    });
    const bodies = this.#bodies.map(({ locals, code }) => {
      const body = new Code();
      const used = locals.filter(([count]) => count > 0);
      body.unsigned(used.length);
      for (const [count, type] of used) { body.unsigned(count); body.u8(type); }
      body.append(code);
      body.u8(O.END);
      return body;
    });
    section(0, (s) => {
      s.name('metadata.code.branch_hint');
      const hinted = bodies.map((body, n) => ({ body, index: this.#imports.length + n })).filter(({ body }) => body.hints.length > 0);
      s.unsigned(hinted.length);
      for (const { body, index } of hinted) {
        s.unsigned(index);
        s.unsigned(body.hints.length);
        for (const [at, taken] of body.hints) { s.unsigned(at); s.unsigned(1); s.unsigned(taken); }
      }
    });
    if (hint !== undefined) {
      section(0, (s) => {
        s.name('compilationHints');
        s.unsigned(bodies.length);
        for (let n = 0; n < bodies.length; n += 1) s.u8(hint);
      });
    }
    section(10, (s) => {
      s.unsigned(bodies.length);
      for (const body of bodies) {
        s.unsigned(body.length);
        s.append(body);
      }
    });
    return out.take();
  }
}
