/**
 * The function under construction: its locals, guest registers, operands and memory accesses.
 *
 * Guest registers live in locals inside of a block or an innermost loop: they are loaded where it begins, unless all ways
 * there have them in locals, and stored where it ends. Nothing of an instruction's effect may reach a guest register's or a flag's local
 * before its last access to memory: an access that cannot be done here branches to `miss`, and the interpreter then
 * executes the instruction from its start.
 */
import { S } from '../gen/state.ts';
import { layout } from '../tables/layout.ts';
import type { Instruction } from './instruction.ts';
import { BASE_RIP, NO_REGISTER } from './instruction.ts';
import { MODE_LONG64, MODE_USER } from './layout.ts';
import { I32_LOCALS, I64_LOCALS, L } from './locals.ts';
import type { StackRun } from './stack_run.ts';
import { BIAS, NARROW, WIDE, Windows, type Window } from './window.ts';
import { Code, I32, I64, O, V128 } from './wasm.ts';
import { X87Block, X87Locals } from './x87_stack.ts';

/** Functions that every module has: indices of imports and of the module's own helpers. */
export interface Helpers {
  /**
   * (gva, size, tag) -> wasm address or 0, for what the TLB does not hold. The tag is what was compared, and nothing needs it: but
   * V8 loads a value that is only compared from memory where it compares it, and once more before that.
   */
  readonly read: number;
  readonly write: number;
  /** (gva, bytes less one, write, tag) -> wasm address or 0, the same for what may not be accessed after all. */
  readonly window: number;
  /** (target) -> slot of the jump cache or 0, for what is not in its slot. */
  readonly findJump: number;
  readonly isMapped: number; // (linear page, wasm address of a page) -> 1 when that is mapped there for execution
  readonly execute: number; //   (record, left) -> leave
  readonly status: number; //    (lop, lr, la, lb, status) -> the six status flags
  readonly condition: number; // (cc, lop, lr, la, lb, status) -> 0 or 1
  readonly arithmetic64: number; // (kind, a, b) -> bits of the result
  readonly cryptoResult: number; // (op, a, b, xmm0, immediate) -> result, 16 bytes each
  readonly sampleStep: number; // (page, target, slot): notes a step to another function
  readonly alignmentCheck: number; // (allowed): RFLAGS.AC and the TLB context
  // Significands as i64; sign, exponent and status at J.X87 (assembly/jit_x87.ts).
  readonly x87Operate: number; //       (kind, se, sig, se, sig) -> sig
  readonly x87OperateMemory: number; // (kind, se, sig, format, bits) -> sig
  readonly x87Load: number; //          (format, bits) -> sig
  readonly x87Store: number; //         (format, se, sig) -> bits
  readonly x87Compare: number; //       (se, sig, se, sig, quiet) -> flags
  readonly x87CompareMemory: number; // (se, sig, format, bits) -> flags
}

export { L } from './locals.ts';

const RSP = 4;
const CS = 1; const FS = 4;
/** Of a segment's attributes: code, expand-down or writable; and unusable. */
const ATTR_TYPE = 0x1_000e;
const ATTR_WRITABLE = 2;
const V128_LOAD = 0;
const V128_STORE = 11;
const TLB_READ = 0;
const TLB_WRITE = 8;
export const TLB_EXEC = 16;
export const TLB_ADDEND = 24;

/** Labels that all code of a function may branch to, as depths of the structure in function.ts. */
export const LABEL = { MISS: 1, DISPATCH: 2, CHAIN: 3, EXECUTE: 4 } as const;

/** WHERE: offset in the page, instructions of the block not executed (bits 13..30), and whether RIP may go on in compiled code. */
export const where = (offset: number, remaining: number): number => offset | remaining << 13;
export const WHERE_GO_ON = 0x8000_0000 | 0;

/** Registers as bits: general ones 0 to 15, XMM registers from here on. */
const XMM_BIT = 16;

export class Emitter {
  /** What is being written; a block has its own, so that loads can be put in front of it. */
  code = new Code();
  readonly helpers: Helpers;
  /** Registers whose locals have their values here. */
  valid = 0;
  /** Those that the block takes from before it, and have to be loaded in front of it. */
  needs = 0;
  /** Those whose value in memory may be older than the local's. */
  pending = 0;
  /** All that were written. */
  written = 0;
  /** Depth of the block's code proper: what is deeper does not always run. */
  #base = 0;
  /** Locals of XMM registers by number; locals beyond them are temporaries. */
  readonly #xmm = new Map<number, number>();
  /** Types of the locals beside the fixed ones. */
  readonly #more: number[] = [];
  #vectorTemps: number[] = [];
  /** The run of pushes or pops that the current instruction belongs to. */
  stackRun: StackRun | undefined;
  #stackRunLocal: number | undefined;
  readonly #windows = new Windows();
  /** Another access through the same registers seems to follow the current instruction's. */
  accessFollows = false;
  #x87Locals: X87Locals | undefined;
  #x87: X87Block | undefined;
  /** The instruction being translated and the number of instructions from it to the end of its block. */
  current!: Instruction;
  remaining = 0;
  /** Flags, `all` or some, that are made only where something looks at them: there, or on a path that leaves. */
  putOff: { readonly all: boolean; readonly settle: () => void; readonly leave: () => void } | undefined;
  #rotated: number | undefined;
  #shifted: number | undefined;
  /** Of the block: CR0 and CR4 have been looked at for SSE, and MXCSR. */
  sseChecked = false;
  roundingChecked = false;
  /** Of the block: FS and GS (bits 4 and 5) were found flat but for their base, outside of 64-bit mode. */
  segmentsChecked = 0;
  /** 64-bit mode; otherwise flat 32-bit protected mode, where linear addresses and EIP wrap at 4 GiB. */
  readonly long: boolean;

  /** Code of CPL 3. */
  readonly user: boolean;
  /** What is written is optimised code, not the baseline compiler's. */
  readonly optimised: boolean;
  readonly #distance: () => number;

  /** `distance` gives the global with the distance that a kernel has moved (relocation.ts). */
  constructor(helpers: Helpers, mode: number, optimised: boolean, distance: () => number) {
    this.helpers = helpers;
    this.long = (mode & MODE_LONG64) !== 0;
    this.user = (mode & MODE_USER) !== 0;
    this.optimised = optimised;
    this.#distance = distance;
  }

  locals(): Array<readonly [number, number]> { return [[I32_LOCALS, I32], [I64_LOCALS, I64], ...this.#more.map((type) => [1, type] as const)]; }

  /** A new local of a type. */
  local(type: number): number { return L.MORE + this.#more.push(type) - 1; }

  /** What is looked at once a block has not been looked at; `pending` registers are in locals only. */
  beginBlock(pending: number): void {
    this.sseChecked = false;
    this.roundingChecked = false;
    this.segmentsChecked = 0;
    this.pending = pending;
    this.stackRun = undefined;
    this.#windows.begin();
  }

  /** Local of the last rotate's result. */
  get rotated(): number { return this.#rotated ??= this.local(I64); }
  /** Local of what was shifted last. */
  get shifted(): number { return this.#shifted ??= this.local(I64); }

  /** Makes flags that were put off. */
  settleFlags(): void {
    this.putOff?.settle();
    this.putOff = undefined;
  }

  /** The x87 stack of the block, with its checks in front of the first instruction that uses it. */
  x87(): X87Block { return this.#x87 ??= new X87Block(this, this.#x87Locals ??= new X87Locals(this)); }

  /** Writes the x87 state: the block ends, or the interpreter's routine comes next. */
  endX87(): void {
    this.#x87?.store();
    this.#x87 = undefined;
  }

  // ---- guest registers

  /**
   * Writes a block's code, in which the locals of these registers have their values from the start. What else it needs is
   * loaded from memory in front of it, where everything is that is not pending.
   */
  inBlock(valid: number, write: () => void): void {
    const outer = this.code;
    this.code = new Code();
    this.#base = this.code.depth = outer.depth;
    this.valid = valid;
    this.needs = 0;
    write();
    const body = this.code;
    this.#windows.end(body, TLB_READ, TLB_WRITE);
    this.code = outer;
    this.loadRegisters(this.needs);
    outer.append(body);
  }

  /** Loads registers into their locals. */
  loadRegisters(registers: number): void {
    const { code } = this;
    for (let r = 0; r < 16; r += 1) if ((registers >>> r & 1) !== 0) code.get(L.CPU).memory(O.I64_LOAD, S.GPR + r * 8).set(L.GPR + r);
    for (let r = 0; r < 16; r += 1) if ((registers >>> r + XMM_BIT & 1) !== 0) code.get(L.CPU).simdMemory(V128_LOAD, S.XMM + r * 16).set(this.#vectorLocal(r));
  }

  #use(bit: number): void {
    if ((this.valid >>> bit & 1) === 0) this.needs |= 1 << bit;
    this.valid |= 1 << bit;
  }

  /** What is being added to a register, as far as that is all that happens to it. */
  #moves: number | undefined;
  #define(bit: number): void {
    // What is written on some paths only has its old value on the others.
    if (this.code.depth !== this.#base) this.#use(bit);
    this.valid |= 1 << bit;
    this.pending |= 1 << bit;
    this.written |= 1 << bit;
    if (bit < XMM_BIT) this.#windows.written(bit, this.#moves);
  }

  /** Pushes all 64 bits. */
  get64(r: number): void {
    this.#use(r);
    this.code.get(L.GPR + r);
  }
  set64(r: number): void {
    this.#define(r);
    this.code.set(L.GPR + r);
  }
  tee64(r: number): void {
    this.#define(r);
    this.code.tee(L.GPR + r);
  }

  /**
   * Stores what is not in memory yet, on a path that leaves. So the places where the state is written know nothing of
   * registers, and no edge to them carries any.
   */
  storePending(): void {
    const { code, pending } = this;
    for (let r = 0; r < 16; r += 1) if ((pending >>> r & 1) !== 0) code.get(L.CPU).get(L.GPR + r).memory(O.I64_STORE, S.GPR + r * 8);
    for (let r = 0; r < 16; r += 1) if ((pending >>> r + XMM_BIT & 1) !== 0) code.get(L.CPU).get(this.#vectorLocal(r)).simdMemory(V128_STORE, S.XMM + r * 16);
  }
  /** The same on the path that goes on. */
  flush(): void {
    this.storePending();
    this.pending = 0;
  }

  /** Pushes a register: i64 for 8 bytes, i32 for 4, sign-extended i32 below. Byte registers 16..19 are AH CH DH BH. */
  get(r: number, size: number): void {
    const { code } = this;
    if (size === 1 && r >= 16) {
      this.get64(r - 16);
      code.op(O.I32_WRAP).i32(8).op(O.I32_SHR_U).op(O.I32_EXTEND8);
      return;
    }
    this.get64(r);
    if (size === 8) return;
    code.op(O.I32_WRAP);
    if (size === 1) code.op(O.I32_EXTEND8);
    else if (size === 2) code.op(O.I32_EXTEND16);
  }

  /** Pops a value of the operand size into a register: i64 for 8 bytes, otherwise i32 (upper bits are ignored). */
  put(r: number, size: number): void {
    const { code } = this;
    if (size === 8) {
      this.set64(r);
    } else if (size === 4) {
      code.op(O.I64_EXTEND_U);
      this.set64(r);
    } else if (size === 2) {
      code.i32(0xffff).op(O.I32_AND).op(O.I64_EXTEND_U);
      this.get64(r);
      code.i64(~0xffff).op(O.I64_AND).op(O.I64_OR);
      this.set64(r);
    } else {
      const high = r >= 16;
      code.i32(0xff).op(O.I32_AND);
      if (high) code.i32(8).op(O.I32_SHL);
      code.op(O.I64_EXTEND_U);
      this.get64(high ? r - 16 : r);
      code.i64(high ? ~0xff00 : ~0xff).op(O.I64_AND).op(O.I64_OR);
      this.set64(high ? r - 16 : r);
    }
  }

  /** Pushes a value that may move with a kernel's image (i64). */
  #moving(value: bigint | number, moves: -1 | 0 | 1): void {
    this.code.i64(value);
    if (moves !== 0) this.code.getGlobal(this.#distance()).op(O.I64_EXTEND_S).op(moves === 1 ? O.I64_ADD : O.I64_SUB);
  }

  /** Pushes the instruction's immediate in the form of `get`. */
  immediate({ imm: value, moves }: Instruction, size: number): void {
    if (size === 8) this.#moving(value, moves.imm);
    else if (size === 4) this.code.i32(Number(BigInt.asIntN(32, value)));
    else if (size === 2) this.code.i32(Number(BigInt.asIntN(16, value)));
    else this.code.i32(Number(BigInt.asIntN(8, value)));
  }

  #vectorLocal(i: number): number {
    let local = this.#xmm.get(i);
    if (local === undefined) {
      local = this.local(V128);
      this.#xmm.set(i, local);
    }
    return local;
  }
  /** Local of an XMM register, to be read. */
  vector(i: number): number {
    this.#use(i + XMM_BIT);
    return this.#vectorLocal(i);
  }
  setVector(i: number): void {
    this.#define(i + XMM_BIT);
    this.code.set(this.#vectorLocal(i));
  }
  vectorTemp(n: number): number {
    while (this.#vectorTemps.length <= n) this.#vectorTemps.push(this.local(V128));
    return this.#vectorTemps[n];
  }

  // ---- memory

  /** Pushes the offset of the memory operand in its segment, truncated to the address size (i64). */
  effective(i: Instruction): void {
    if (i.address === 4) {
      this.#offset(i, true);
      this.code.op(O.I64_EXTEND_U);
    } else {
      this.#offset(i, false);
    }
  }

  /** `displacement` leaves room for one (i32 or i64, WIDE bytes) instead of the instruction's own. */
  #offset(i: Instruction, narrow: boolean, displacement?: () => void): void {
    const { code } = this;
    let pushed = false;
    const term = (push: () => void): void => {
      push();
      if (pushed) code.op(narrow ? O.I32_ADD : O.I64_ADD);
      pushed = true;
    };
    const register = (r: number): void => {
      if (r === BASE_RIP) code.get(L.PAGE);
      else this.get64(r);
      if (narrow) code.op(O.I32_WRAP);
    };
    if (i.base !== NO_REGISTER) term(() => register(i.base));
    if (i.index !== NO_REGISTER) {
      term(() => {
        register(i.index);
        if (i.scale === 0) return;
        if (narrow) code.i32(i.scale).op(O.I32_SHL);
        else code.i64(i.scale).op(O.I64_SHL);
      });
    }
    if (displacement !== undefined || i.disp !== 0 || !pushed) {
      term(() => {
        if (displacement !== undefined) displacement();
        else if (narrow) code.i32(i.disp);
        else this.#moving(i.disp, i.moves.disp);
      });
    }
  }

  /** Pushes the linear address of the memory operand (i64); what the segment may not allow is left to the interpreter. */
  #linear(i: Instruction, size: number, write: boolean): void {
    const { code } = this;
    const base = S.SEG_BASE + i.segment * 8;
    if (this.long) {
      this.effective(i);
      if (i.segment >= FS) code.get(L.CPU).memory(O.I64_LOAD, base).op(O.I64_ADD);
      return;
    }
    if (i.segment < FS) {
      // MODE_FLAT says that there is nothing to check; only code segments are never written to.
      if (write && i.segment === CS) {
        code.i32(1);
        this.missIf();
      }
      this.effective(i);
      return;
    }
    this.#needFlat(i.segment);
    this.#offset(i, true);
    if (i.base !== NO_REGISTER || i.index !== NO_REGISTER) {
      code.tee(L.T0);
      if (size > 1) {
        code.get(L.T0).i32(-size).op(O.I32_GT_U);
        this.missIf();
      }
    } else if (size > 1 && i.disp >>> 0 > 2 ** 32 - size) {
      code.i32(1);
      this.missIf();
    }
    code.get(L.CPU).memory(O.I32_LOAD, base).op(O.I32_ADD).op(O.I64_EXTEND_U);
  }

  /** FS or GS must be a writable data segment with a limit of 4 GiB, wherever it begins. Once a block: loading them ends it. */
  #needFlat(segment: number): void {
    if ((this.segmentsChecked >> segment & 1) !== 0) return;
    this.segmentsChecked |= 1 << segment;
    const { code } = this;
    code.get(L.CPU).memory(O.I32_LOAD, S.SEG_LIMIT + segment * 4).i32(-1).op(O.I32_XOR);
    code.get(L.CPU).memory(O.I32_LOAD, S.SEG_ATTR + segment * 4).i32(ATTR_TYPE).op(O.I32_AND).i32(ATTR_WRITABLE).op(O.I32_XOR);
    code.op(O.I32_OR);
    this.missIf();
  }

  /** Pushes the wasm address of the memory operand, for an access of `size` bytes; its linear address stays in EA. */
  accessAt(i: Instruction, size: number, write: boolean): void {
    this.#linear(i, size, write);
    this.translate(size, write);
  }

  /**
   * The same through a window, if that is worth while; EA says nothing then. Returns the offset that the address lacks: for the
   * load or store that takes it.
   */
  access(i: Instruction, size: number, write: boolean): number {
    const simple = i.base !== NO_REGISTER && i.moves.disp === 0 && i.segment < FS && i.address === (this.long ? 8 : 4) && (this.long || !write || i.segment !== CS);
    const found = simple ? this.#window(i, size, write) : undefined;
    if (found === undefined) {
      this.accessAt(i, size, write);
      return 0;
    }
    this.#throughWindow(found, size, write, () => this.#linear(i, size, write));
    return found.offset;
  }

  /** Pushes the whole wasm address of the memory operand; EA says nothing. */
  address(i: Instruction, size: number, write: boolean): void {
    const offset = this.access(i, size, write);
    if (offset !== 0) this.code.i32(offset).op(O.I32_ADD);
  }

  /** `access` to what lies `plus` bytes from the stack pointer; undefined when no window is open there, and nothing is pushed. */
  stackAccess(plus: number, size: number, write: boolean): number | undefined {
    const found = this.#windows.find(RSP, NO_REGISTER, 0, plus, size, write);
    if (found !== undefined) this.#throughWindow(found, size, write, () => this.stackAddress(RSP, plus));
    return found?.offset;
  }

  /** The window of a memory operand: one that is open, or a new one. */
  #window(i: Instruction, size: number, write: boolean): { window: Window; offset: number } | undefined {
    const found = this.#windows.find(i.base, i.index, i.scale, i.disp, size, write);
    // What does not always run opens none.
    if (found !== undefined || !this.accessFollows || this.code.depth !== this.#base) return found;
    const window = this.#windows.open(i.base, i.index, i.scale, i.disp, size, write, () => this.local(I32));
    if (window === undefined) return undefined;
    const { code } = this;
    const { holes } = window;
    this.#offset(i, !this.long, () => {
      code.op(this.long ? O.I64_CONST : O.I32_CONST);
      holes.low = code.hole(WIDE);
    });
    if (!this.long) code.op(O.I64_EXTEND_U);
    this.#entry();
    code.op(O.I64_LOAD).u8(0);
    holes.tag = code.hole(1);
    code.tee(L.TAG).get(L.EA).op(O.I64_CONST);
    holes.last = code.hole(NARROW);
    code.op(O.I64_ADD).i64(-4096).op(O.I64_AND).op(O.I64_EQ).likely().if(I32);
    code.get(L.EA).op(O.I32_WRAP).get(L.SLOT).memory(O.I32_LOAD, TLB_ADDEND).op(O.I32_ADD).op(O.I32_CONST);
    holes.back = code.hole(WIDE);
    code.op(O.I32_ADD).else().get(L.EA).op(O.I32_CONST);
    holes.lastAgain = code.hole(NARROW);
    code.op(O.I32_CONST);
    holes.write = code.hole(1);
    code.get(L.TAG).call(this.helpers.window).tee(L.P).op(O.I32_CONST);
    holes.backAgain = code.hole(WIDE);
    code.op(O.I32_ADD).i32(0).get(L.P).op(O.SELECT).end().set(window.local);
    return { window, offset: BIAS };
  }

  /** Pushes a wasm address that lacks the offset; `linear` pushes the linear one, for where the window is not. */
  #throughWindow({ window, offset }: { window: Window; offset: number }, size: number, write: boolean, linear: () => void): void {
    this.#throughLocal(window.local, offset, size, write ? this.helpers.write : this.helpers.read, linear);
  }

  /** The same through any local with the wasm address of a stretch of memory, or 0. */
  #throughLocal(local: number, offset: number, size: number, helper: number, linear: () => void): void {
    const { code } = this;
    code.get(local).likely().if(I32);
    code.get(local);
    code.else();
    linear();
    code.i32(size).i64(0).call(helper).tee(L.P).op(O.I32_EQZ);
    this.missIf();
    code.get(L.P).i32(offset).op(O.I32_SUB);
    code.end();
  }

  /** What registers point to may have changed in the middle of a block. */
  forgetWindows(): void { this.#windows.forget(); }

  /** Pops an i64 and pushes it as an address of the mode: in 32 bits it wraps at 4 GiB. */
  wrap(): void { if (!this.long) this.code.i64(0xffff_ffffn).op(O.I64_AND); }

  /** Pushes the stack pointer, or another register that points into the stack, plus a constant. */
  stackAddress(r: number, plus: number): void {
    this.get64(r);
    if (plus !== 0) this.code.i64(plus).op(O.I64_ADD);
    this.wrap();
  }

  /**
   * Pushes the wasm address of the next `size` bytes of a run of pushes or pops (stack_run.ts), which lacks the offset that is returned.
   * The whole run is looked up at its first instruction.
   */
  stackRunAccess(run: StackRun, size: number): number {
    const { code } = this;
    const helper = run.pushes ? this.helpers.write : this.helpers.read;
    const local = this.#stackRunLocal ??= this.local(I32);
    if (run.done === 0) {
      this.stackAddress(RSP, run.pushes ? -run.bytes : 0);
      this.#translateOr(run.bytes, run.pushes, () => { code.get(L.EA).i32(run.bytes).get(L.TAG).call(helper); });
      code.set(local);
    }
    const offset = run.pushes ? run.bytes - run.done - size : run.done;
    this.#throughLocal(local, offset, size, helper, () => this.stackAddress(RSP, run.pushes ? -size : 0));
    run.done += size;
    return offset;
  }

  /** Moves the stack pointer where EA says nothing about it. */
  addToStack(by: number): void {
    this.get64(RSP);
    this.code.i64(by).op(O.I64_ADD);
    this.wrap();
    this.#moves = by;
    this.set64(RSP);
    this.#moves = undefined;
  }

  /** Makes EA plus a constant the stack pointer: behind an access to the stack. */
  moveStack(by: number): void {
    this.code.get(L.EA);
    if (by !== 0) {
      this.code.i64(by).op(O.I64_ADD);
      this.wrap();
    }
    this.set64(RSP);
  }

  /** Leaves to the interpreter, which executes the current instruction from its start. The condition is on the stack. */
  missIf(): void {
    this.code.unlikely().if();
    this.miss();
    this.code.end();
  }
  miss(): void {
    this.storePending();
    this.#x87?.store();
    this.putOff?.leave();
    this.code.i32(where(this.current.offset, this.remaining)).set(L.WHERE).br(LABEL.MISS);
  }

  /** Pops a linear address, which stays in EA; pushes the wasm address of an access of `size` bytes that is allowed. */
  translate(size: number, write: boolean): void {
    const { code } = this;
    this.#translateOr(size, write, () => {
      code.get(L.EA).i32(size).get(L.TAG).call(write ? this.helpers.write : this.helpers.read).tee(L.P).op(O.I32_EQZ);
      this.missIf();
      code.get(L.P);
    });
  }

  /** The same; `otherwise` pushes what is to be the address where it is not in the TLB, whose tag is in TAG. */
  #translateOr(size: number, write: boolean, otherwise: () => void): void {
    const { code } = this;
    this.#entry();
    code.memory(O.I64_LOAD, write ? TLB_WRITE : TLB_READ).tee(L.TAG).get(L.EA);
    if (size > 1) code.i64(size - 1).op(O.I64_ADD);
    code.i64(-4096).op(O.I64_AND).op(O.I64_EQ).likely().if(I32);
    code.get(L.EA).op(O.I32_WRAP).get(L.SLOT).memory(O.I32_LOAD, TLB_ADDEND).op(O.I32_ADD);
    code.else();
    otherwise();
    code.end();
  }

  /** Pops a linear address, which stays in EA; pushes the address of its TLB entry, which stays in SLOT. */
  #entry(): void {
    this.code.tee(L.EA).op(O.I32_WRAP).i32(7).op(O.I32_SHR_U).i32(0x7fe0).op(O.I32_AND).get(L.TLB).op(O.I32_ADD).tee(L.SLOT);
  }

  /** Pops a wasm address, pushes the value there in the form of `get`. */
  load(size: number, offset = 0): void {
    this.code.memory(size === 8 ? O.I64_LOAD : size === 4 ? O.I32_LOAD : size === 2 ? O.I32_LOAD16_S : O.I32_LOAD8_S, offset);
  }
  /** Pops a value and a wasm address below it. */
  store(size: number, offset = 0): void {
    this.code.memory(size === 8 ? O.I64_STORE : size === 4 ? O.I32_STORE : size === 2 ? O.I32_STORE16 : O.I32_STORE8, offset);
  }

  /** Pushes the value of the memory operand. */
  loadOperand(i: Instruction, size: number): void {
    this.load(size, this.access(i, size, false));
  }

  /** Pushes the r/m operand. */
  rm(i: Instruction, size: number): void {
    if ((i.flags & 1) !== 0) this.loadOperand(i, size);
    else this.get(i.rm, size);
  }

  /** Sign- or zero-extends what `get` pushes to i64. */
  wide(size: number): void { if (size !== 8) this.code.op(O.I64_EXTEND_S); }
  wideUnsigned(size: number): void {
    const { code } = this;
    if (size === 8) return;
    if (size === 1) code.i32(0xff).op(O.I32_AND);
    else if (size === 2) code.i32(0xffff).op(O.I32_AND);
    code.op(O.I64_EXTEND_U);
  }
}

/** TLB base of the present context. */
export function selectTlb(code: Code): void {
  code.get(L.CPU).memory(O.I32_LOAD, S.MMU_CONTEXT).i32(15).op(O.I32_SHL).get(L.CPU).op(O.I32_ADD).i32(layout.TLB_OFFSET).op(O.I32_ADD).set(L.TLB);
}
