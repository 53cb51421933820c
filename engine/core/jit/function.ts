/**
 * A region's function: all blocks of its pages as one WebAssembly function, (cpu, rip, entry, own table index) -> ().
 *
 *   block miss             write the state, let the interpreter execute the instruction at WHERE
 *     loop dispatch
 *       block chain          go on at TARGET, here or through the entry table
 *         block execute      write the state, execute RECORD by the interpreter's routine, read the state
 *           block N-1 ... block 0
 *             br_table ENTRY
 *           end              code of block 0, falling into
 *           end ...          code of block 1 ...
 *
 * A forward branch leaves the right number of blocks; a backward branch looks at the budget and dispatches, or goes on
 * with its `loop` where blocks.ts found one: the blocks behind a loop's first then have their labels inside of it.
 * A branch to another page of the region looks whether that page is mapped there, and its code what it was; PAGE follows.
 * Events are looked at between functions, and where a slice ends.
 */
import { OP } from '../gen/ops.ts';
import { S } from '../gen/state.ts';
import type { Block, CodePage, Loop } from './blocks.ts';
import { findLoops, positionOf, predecessorsOf, targetOf } from './blocks.ts';
import type { Helpers } from './emitter.ts';
import { Emitter, L, LABEL, TLB_ADDEND, TLB_EXEC, WHERE_GO_ON, selectTlb } from './emitter.ts';
import type { FlagState } from './flags.ts';
import { STATUS, UNKNOWN, WORD32, pushCondition } from './flags.ts';
import type { Instruction } from './instruction.ts';
import { crossesPage } from './instruction.ts';
import { EXIT_INTERPRET, EXIT_LOOKUP, EXIT_STATE, FN_BITS, J, JUMP_SLOTS } from './layout.ts';
import { pop, push } from './move.ts';
import type { PageGlobals } from './places.ts';
import { isJcc, setsFlags } from './rows.ts';
import { stackRunAt } from './stack_run.ts';
import { accessFollows } from './window.ts';
import { Code, I32, O } from './wasm.ts';

/** The blocks of a region that are to become a function. */
export interface Region {
  readonly mode: number;
  readonly pages: readonly CodePage[];
  readonly blocks: Block[];
}

export interface CompiledFunction {
  readonly locals: ReadonlyArray<readonly [number, number]>;
  readonly code: Code;
  /** For each position at which the function may be entered, the value of ENTRY. */
  readonly entries: ReadonlyMap<number, number>;
}

/** Indices of globals with what the function has to know of this memory (places.ts). */
export interface RegionPlaces {
  /** The address of an instruction's record, for the interpreter's routine; undefined when there is no room for one. */
  record(i: Instruction): number | undefined;
  /** The n-th page, or the one that an instruction there continues in. */
  page(page: number, behind: boolean): PageGlobals;
  /** The distance that a kernel has moved. */
  distance(): number;
}

/** What the blocks' code is made from. */
interface Context {
  readonly mode: number;
  readonly pages: readonly CodePage[];
  readonly byPosition: ReadonlyMap<number, Block>;
  readonly labels: Labels;
  readonly helpers: Helpers;
  readonly places: RegionPlaces;
  /** Of each block: the registers that all branches forward to it have in locals. */
  readonly arriving: number[];
}

/** `optimised`: it is V8's optimising compiler that makes code of it. */
export function compileRegion(region: Region, helpers: Helpers, functionType: number, optimised: boolean, places: RegionPlaces): CompiledFunction {
  const e = new Emitter(helpers, region.mode, optimised, () => places.distance());
  const { blocks, pages } = region;
  const { code } = e;
  const outcome: number[] = new Array(blocks.length).fill(UNKNOWN);
  const seen: boolean[] = new Array(blocks.length).fill(false);
  const predecessors = predecessorsOf(blocks, pages);
  findLoops(blocks, predecessors);
  const labels = new Labels(blocks);
  // What is dispatched to: entries, the instruction behind one that was executed by the interpreter's routine, and where a branch goes back to.
  const executed = new Set(blocks.filter((b) => b.ending === 'execute').map((b) => positionOf(pages, b.page, b.end)));
  const context: Context = { mode: region.mode, pages, byPosition: new Map(blocks.map((b) => [b.position, b])), labels, helpers, places, arriving: blocks.map(() => -1) };
  code.depth = LABEL.EXECUTE + labels.outer;
  const dispatch = new Code();
  dispatch.depth = code.depth;
  /** Label for each value of ENTRY. */
  const table: number[] = [];
  let written = 0;
  for (const b of blocks) {
    code.end();
    const reached = predecessors[b.index];
    const branchedTo = reached.length > 0 && reached.every((p) => p < b.index && seen[p]);
    if (b.entry && !b.joint && b.needsFlags && branchedTo && reached.every((p) => outcome[p] !== UNKNOWN)) b.entry = false;
    const forward = !b.entry && branchedTo;
    const dispatched = !labels.isInner(b) && (!forward || executed.has(b.position));
    table.push(dispatched ? labels.of(b) : LABEL.MISS);
    let valid = dispatched ? 0 : context.arriving[b.index];
    if (b.loop?.first === b.index) {
      const registers = registersOf(blocks, b.loop, context);
      ({ written } = registers);
      e.loadRegisters((registers.needs | written) & ~valid);
      valid |= registers.needs | written;
      labels.open(code, b.loop);
    }
    if (b.loop === undefined) written = 0;
    b.known = UNKNOWN;
    if (forward) {
      const first = outcome[reached[0]];
      if (reached.every((p) => outcome[p] === first)) b.known = first;
    }
    e.inBlock(valid, () => { outcome[b.index] = emitBlock(e, b, written, context); });
    seen[b.index] = true;
    if (b.loop?.last === b.index) code.end();
  }
  code.end(); // execute
  dispatch.get(L.ENTRY).brTable(table, LABEL.MISS);
  dispatch.append(code);
  const entries = new Map(blocks.filter((b) => b.entry).map((b) => [b.position, b.index]));
  return { locals: e.locals(), code: assemble(e, dispatch, labels.outer, functionType), entries };
}

/** For code that nobody looks at. */
const NOWHERE: RegionPlaces = { record: () => undefined, distance: () => 0, page: () => ({ at: 0, counted: 0, generation: 0, known: 0 }) };

/** Guest registers that a loop writes, and those that it takes from before. Inside of it they are stored where it is left only. */
function registersOf(blocks: readonly Block[], loop: Loop, context: Context): { written: number; needs: number } {
  let written = 0;
  let needs = 0;
  for (let k = loop.first; k <= loop.last; k += 1) {
    const e = new Emitter(context.helpers, context.mode, false, () => 0);
    e.code.depth = 0x10000; // nobody looks at this code
    e.inBlock(0, () => { emitBlock(e, blocks[k], 0, { ...context, arriving: [...context.arriving], places: NOWHERE }); });
    written |= e.written;
    needs |= e.needs;
  }
  return { written, needs };
}

/** Where the blocks' labels are: depths of the structure above. */
class Labels {
  /** Blocks whose labels are outside of every loop. */
  readonly outer: number;
  readonly #at: number[];
  #loop = 0;

  constructor(blocks: readonly Block[]) {
    const outer = blocks.filter((b) => !this.isInner(b));
    this.outer = outer.length;
    this.#at = new Array<number>(blocks.length).fill(0);
    outer.forEach((b, n) => { this.#at[b.index] = LABEL.EXECUTE + outer.length - n; });
  }

  isInner(b: Block): boolean { return b.loop !== undefined && b.loop.first !== b.index; }

  /** Label of a block; inside of its loop when it is not the first there. */
  of(b: Block): number { return this.#at[b.index]; }

  /** Label that begins the loop being emitted anew. */
  get again(): number { return this.#loop; }

  /** Opens a loop and the labels in it. */
  open(code: Code, loop: Loop): void {
    code.loop();
    this.#loop = code.depth;
    for (let k = loop.last; k > loop.first; k -= 1) {
      code.block();
      this.#at[k] = code.depth;
    }
  }
}

/** Emits a block's code; returns what is known about the flags behind it. */
function emitBlock(e: Emitter, b: Block, written: number, { pages, byPosition, labels, places, arriving }: Context): number {
  const { code } = e;
  const f: FlagState = { known: b.known, live: true };
  e.beginBlock(written);
  const n = b.instructions.length;
  code.get(L.LEFT).i32(n).op(O.I32_SUB).set(L.LEFT);
  /** The block at what this page calls `offset`. */
  const blockAt = (offset: number): Block | undefined => {
    const position = positionOf(pages, b.page, offset);
    return position === undefined ? undefined : byPosition.get(position);
  };

  /** Goes on at an offset counted from the page, conditionally when `iff` (the condition is on the stack). */
  const goTo = (offset: number, iff: boolean): void => {
    const t = blockAt(offset);
    const loops = t !== undefined && t.index === b.loop?.first;
    const inside = t !== undefined && b.loop !== undefined && t.loop === b.loop;
    const back = t !== undefined && t.index <= b.index;
    if (!iff && !inside) e.flush();
    if (t !== undefined) arriving[t.index] &= e.valid;
    if (t !== undefined && !back && t.page === b.page) {
      if (!iff) {
        if (t.index !== b.index + 1) code.br(labels.of(t));
      } else if (inside || e.pending === 0) {
        code.brIf(labels.of(t));
      } else {
        code.if();
        e.storePending();
        code.br(labels.of(t)).end();
      }
      return;
    }
    if (iff && loops) code.likely();
    if (iff) code.if();
    if (iff && !inside) e.storePending();
    if (t === undefined) {
      code.get(L.PAGE).i64(offset).op(O.I64_ADD);
      e.wrap();
      code.set(L.TARGET).br(LABEL.CHAIN);
    } else {
      if (t.page !== b.page) {
        crossTo(e, places.page(t.page, false), pages[t.page].distance - pages[b.page].distance, offset, back);
        if (inside) e.storePending();
        code.br(LABEL.CHAIN);
        code.end();
      } else {
        code.get(L.LEFT).i32(0).op(O.I32_LT_S).unlikely().if();
        if (inside) e.storePending();
        code.i32(t.position & 0xfff | WHERE_GO_ON).set(L.WHERE).br(LABEL.MISS);
        code.end();
      }
      if (loops) code.br(labels.again);
      else if (back) code.i32(t.index).set(L.ENTRY).br(LABEL.DISPATCH);
      else code.br(labels.of(t));
    }
    if (iff) code.end();
  };

  for (let k = 0; k < n; k += 1) {
    const i = b.instructions[k];
    e.current = i;
    e.remaining = n - k;
    f.live = b.liveAfter[k];
    if (e.stackRun === undefined || e.stackRun.done === e.stackRun.bytes) e.stackRun = stackRunAt(b.instructions, k);
    e.accessFollows = accessFollows(b.instructions, k);
    const row = b.rows[k];
    if (row === undefined || (row.reads === true && (row.rotates !== true || e.putOff?.all === true))) e.settleFlags();
    const { putOff } = e;
    if (crossesPage(i)) needBehind(e, places.page(b.page, true));
    if (row !== undefined) {
      row.emit(e, i, f);
      if (setsFlags(i, row) && e.putOff === putOff) e.putOff = undefined;
      continue;
    }
    e.endX87();
    if (b.ending === 'transfer') {
      transfer(e, b, i, f, goTo);
      return f.known;
    }
    const next = i.ends ? undefined : blockAt(b.end);
    const at = places.record(i);
    if (at === undefined) {
      e.miss();
      return UNKNOWN;
    }
    e.flush();
    code.getGlobal(at).set(L.RECORD).i32(next?.page === b.page ? next.index : -1).set(L.ENTRY).br(LABEL.EXECUTE);
    return UNKNOWN;
  }
  e.settleFlags();
  e.endX87();
  goTo(b.end, false);
  return f.known;
}

/**
 * Moves PAGE on to a page of the region, if it is mapped there and its code is what it was; otherwise, or at the end of
 * the slice when the branch goes `back`, what follows runs, up to an `end`, with TARGET set.
 */
function crossTo(e: Emitter, to: PageGlobals, distance: number, offset: number, back: boolean): void {
  const { code } = e;
  code.get(L.PAGE).i64(offset).op(O.I64_ADD);
  e.wrap();
  code.set(L.TARGET);
  isElsewhere(e, to, distance);
  if (back) code.get(L.LEFT).i32(0).op(O.I32_LT_S).op(O.I32_OR);
  code.get(THERE).set(L.PAGE);
  code.unlikely().if();
}

const THERE = L.W0;

/**
 * Pushes 1 unless a page is mapped, for execution, so many pages from PAGE, and its code is what it was; its address goes to THERE.
 * Optimised code asks once whether it is mapped there, and again when PAGE_KEY has changed. Baseline code looks into the TLB each
 * time: for a call that may come in between it would put all registers away.
 */
function isElsewhere(e: Emitter, { at, counted, generation, known }: PageGlobals, distance: number): void {
  const { code } = e;
  code.get(L.PAGE).i64(distance * 4096).op(O.I64_ADD);
  e.wrap();
  code.tee(THERE);
  if (e.optimised) {
    code.get(L.CPU).memory(O.I64_LOAD, J.PAGE_KEY).op(O.I64_XOR).tee(L.W1).getGlobal(known).op(O.I64_NE).unlikely().if(I32);
    code.get(THERE).getGlobal(at).call(e.helpers.isMapped).if(I32);
    code.get(L.W1).setGlobal(known).i32(0).else().i32(1).end();
    code.else().i32(0).end();
    code.getGlobal(counted).memory(O.I32_LOAD, 0).getGlobal(generation).op(O.I32_NE).op(O.I32_OR);
    return;
  }
  const tlb = L.T0;
  code.i64(7).op(O.I64_SHR_U).op(O.I32_WRAP).i32(0x7fe0).op(O.I32_AND).get(L.TLB).op(O.I32_ADD).tee(tlb);
  code.memory(O.I64_LOAD, TLB_EXEC).get(THERE).op(O.I64_XOR);
  code.get(tlb).memory(O.I32_LOAD, TLB_ADDEND).get(THERE).op(O.I32_WRAP).op(O.I32_ADD).getGlobal(at).op(O.I32_XOR).op(O.I64_EXTEND_U).op(O.I64_OR);
  code.getGlobal(counted).memory(O.I64_LOAD32_U, 0).getGlobal(generation).op(O.I64_EXTEND_U).op(O.I64_XOR).op(O.I64_OR).i64(0).op(O.I64_NE);
}

/** The current instruction continues on the next page: it is executed here while that is what it was when it was decoded. */
function needBehind(e: Emitter, behind: PageGlobals): void {
  isElsewhere(e, behind, 1);
  e.missIf();
}

function transfer(e: Emitter, b: Block, i: Instruction, f: FlagState, goTo: (offset: number, iff: boolean) => void): void {
  const { code } = e;
  const next = i.offset + i.length;
  const { size } = i;
  const pushReturn = (): void => push(e, size, () => {
    code.get(L.PAGE).i64(next).op(O.I64_ADD);
    if (size === 4) code.op(O.I32_WRAP);
  });
  /** #GP for a target that is not canonical is raised by the interpreter. */
  const checkTarget = (): void => {
    if (!e.long) return;
    // The other half is not the user's: its page fault is the interpreter's matter as well.
    if (e.user) code.get(L.TARGET).i64(47).op(O.I64_SHR_U).i64(0).op(O.I64_NE);
    else code.get(L.TARGET).i64(16).op(O.I64_SHL).i64(16).op(O.I64_SHR_S).get(L.TARGET).op(O.I64_NE);
    e.missIf();
  };
  if (isJcc(i)) {
    if (b.loop === undefined) e.flush();
    pushCondition(e, f, i.op - OP.JO);
    goTo(targetOf(i), true);
    goTo(next, false);
    return;
  }
  switch (i.op) {
    case OP.JMP_J:
      goTo(targetOf(i), false);
      // Unlike a fall-through, a jump to the block behind needs no code either.
      return;
    case OP.CALL_J:
      pushReturn();
      goTo(targetOf(i), false);
      return;
    case OP.JMP_E:
    case OP.CALL_E:
      e.rm(i, size);
      e.wideUnsigned(size);
      code.set(L.TARGET);
      checkTarget();
      if (i.op === OP.CALL_E) pushReturn();
      e.flush();
      code.br(LABEL.CHAIN);
      return;
    default: // RET
      pop(e, size, i.op === OP.RET_I ? i.small & 0xffff : 0, () => {
        code.get(L.W0).set(L.TARGET);
        checkTarget();
      });
      e.flush();
      code.br(LABEL.CHAIN);
      return;
  }
}

// ---- the state in memory

/** What enterCompiled() or passFlags() has left. */
function takeFlags(code: Code): void {
  code.get(L.CPU).memory(O.I32_LOAD, J.STATUS).set(L.STATUS);
  readLazyFlags(code);
}

/** What an interpreter's routine has left. */
function readFlags(code: Code): void {
  code.get(L.CPU).memory(O.I32_LOAD, S.FLAGS).i32(STATUS).op(O.I32_AND).set(L.STATUS);
  readLazyFlags(code);
}

function readLazyFlags(code: Code): void {
  code.get(L.CPU).memory(O.I32_LOAD, S.LAZY_OP).set(L.LOP);
  code.get(L.CPU).memory(O.I64_LOAD, S.LAZY_RESULT).set(L.LR);
  code.get(L.CPU).memory(O.I64_LOAD, S.LAZY_SRC1).set(L.LA);
  code.get(L.CPU).memory(O.I64_LOAD, S.LAZY_SRC2).set(L.LB);
}

/** For the next function, whose locals they become: not as the interpreter has them. */
function passFlags(code: Code): void {
  code.get(L.CPU).get(L.LOP).memory(O.I32_STORE, S.LAZY_OP);
  code.get(L.CPU).get(L.LR).memory(O.I64_STORE, S.LAZY_RESULT);
  code.get(L.CPU).get(L.LA).memory(O.I64_STORE, S.LAZY_SRC1);
  code.get(L.CPU).get(L.LB).memory(O.I64_STORE, S.LAZY_SRC2);
  code.get(L.CPU).get(L.STATUS).memory(O.I32_STORE, J.STATUS);
  code.get(L.CPU).get(L.LEFT).memory(O.I32_STORE, J.LEFT);
}

function writeFlags(code: Code): void {
  code.get(L.LOP).i32(WORD32).op(O.I32_AND).if();
  for (const local of [L.LR, L.LA, L.LB]) code.get(local).op(O.I64_EXTEND32).set(local);
  code.end();
  code.get(L.CPU).get(L.LOP).i32(~WORD32).op(O.I32_AND).memory(O.I32_STORE, S.LAZY_OP);
  code.get(L.CPU).get(L.LR).memory(O.I64_STORE, S.LAZY_RESULT);
  code.get(L.CPU).get(L.LA).memory(O.I64_STORE, S.LAZY_SRC1);
  code.get(L.CPU).get(L.LB).memory(O.I64_STORE, S.LAZY_SRC2);
  code.get(L.CPU).get(L.CPU).memory(O.I32_LOAD, S.FLAGS).i32(~STATUS).op(O.I32_AND).get(L.STATUS).op(O.I32_OR).memory(O.I32_STORE, S.FLAGS);
  code.get(L.CPU).get(L.LEFT).memory(O.I32_STORE, J.LEFT);
}

function exit(code: Code, kind: number): void { code.get(L.CPU).i32(kind).memory(O.I32_STORE, J.EXIT); }

/** Puts the parts around the blocks' code. Whoever calls has seen that the generation of the entry's page is current. */
function assemble(e: Emitter, blocks: Code, count: number, functionType: number): Code {
  const out = new Code();
  // --- entry
  out.get(L.CPU).memory(O.I32_LOAD, J.LEFT).set(L.LEFT);
  out.get(L.RIP).i64(-4096).op(O.I64_AND).set(L.PAGE);
  selectTlb(out);
  takeFlags(out);
  // --- the blocks
  out.block().loop().block().block();
  for (let i = 0; i < count; i += 1) out.block();
  out.append(blocks); // closes the blocks and `execute`
  out.depth = LABEL.CHAIN;
  // --- execute
  writeFlags(out);
  out.get(L.CPU).get(L.PAGE).memory(O.I64_STORE, S.BLOCK_RIP);
  out.get(L.CPU).get(L.PAGE).memory(O.I64_STORE, S.GPR + 17 * 8);
  out.get(L.RECORD).get(L.LEFT).call(e.helpers.execute).get(L.ENTRY).i32(0).op(O.I32_LT_S).op(O.I32_OR).if();
  exit(out, EXIT_STATE);
  out.op(O.RETURN);
  out.end();
  selectTlb(out);
  readFlags(out);
  out.br(LABEL.DISPATCH);
  out.end(); // chain
  goOn(out, e.helpers, functionType);
  writeFlags(out);
  exit(out, EXIT_LOOKUP);
  out.get(L.CPU).get(L.TARGET).memory(O.I64_STORE, S.RIP).op(O.RETURN);
  out.end(); // loop
  out.op(O.UNREACHABLE);
  out.end(); // miss
  out.get(L.LEFT).get(L.WHERE).i32(13).op(O.I32_SHR_U).i32(0x3ffff).op(O.I32_AND).op(O.I32_ADD).set(L.LEFT);
  writeFlags(out);
  out.get(L.CPU).get(L.PAGE).get(L.WHERE).i32(0xfff).op(O.I32_AND).op(O.I64_EXTEND_U).op(O.I64_ADD).memory(O.I64_STORE, S.RIP);
  out.get(L.CPU).i32(EXIT_LOOKUP).i32(EXIT_INTERPRET).get(L.WHERE).i32(0).op(O.I32_LT_S).op(O.SELECT).memory(O.I32_STORE, J.EXIT);
  return out;
}

/**
 * Goes on at TARGET: inside of this function, with registers and flags where they are, or in another one. What follows runs when
 * something else is due, when the address is not simply mapped or nothing is compiled there, or when the page's code has changed.
 */
function goOn(out: Code, helpers: Helpers, functionType: number): void {
  out.block();
  const nowhere = out.depth;
  const found = L.T0; const slot = L.T1;
  out.get(L.LEFT).i32(31).op(O.I32_SHR_U).get(L.CPU).memory(O.I32_LOAD16_U, S.EVENT_FLAGS).op(O.I32_OR).unlikely().brIf(nowhere);
  out.get(L.TARGET).op(O.I32_WRAP).tee(slot).get(slot).i32(12).op(O.I32_SHR_U).op(O.I32_XOR).i32(JUMP_SLOTS - 1).op(O.I32_AND).i32(5).op(O.I32_SHL);
  // Exclusive or, not comparison: V8 would load what it compares with memory twice.
  out.get(L.CPU).op(O.I32_ADD).tee(slot).memory(O.I64_LOAD, J.JUMPS).get(L.TARGET).op(O.I64_XOR).get(L.CPU).memory(O.I64_LOAD, J.JUMP_KEY).op(O.I64_XOR);
  out.get(slot).memory(O.I32_LOAD, J.JUMPS + 16).memory(O.I64_LOAD32_U, 0).get(slot).memory(O.I64_LOAD32_U, J.JUMPS + 12).op(O.I64_XOR).op(O.I64_OR);
  out.i64(0).op(O.I64_NE).unlikely().if();
  out.get(L.TARGET).call(helpers.findJump).i32(J.JUMPS).op(O.I32_SUB).tee(slot).i32(-J.JUMPS).op(O.I32_EQ).brIf(nowhere);
  out.end();
  out.get(slot).memory(O.I32_LOAD, J.JUMPS + 8).tee(found).i32((1 << FN_BITS) - 1).op(O.I32_AND).get(L.FN).op(O.I32_EQ).if();
  out.get(L.TARGET).i64(-4096).op(O.I64_AND).set(L.PAGE);
  out.get(found).i32(FN_BITS).op(O.I32_SHR_U).set(L.ENTRY).br(LABEL.DISPATCH);
  out.end();
  passFlags(out);
  out.get(L.CPU).get(L.CPU).memory(O.I32_LOAD, J.STEPS).i32(1).op(O.I32_SUB).tee(L.T2).memory(O.I32_STORE, J.STEPS);
  out.get(L.T2).i32(0).op(O.I32_LT_S).unlikely().if();
  out.get(L.PAGE).get(L.TARGET).get(slot).i32(J.JUMPS).op(O.I32_ADD).call(helpers.sampleStep);
  out.end();
  out.get(L.CPU).get(L.TARGET).get(found).i32(FN_BITS).op(O.I32_SHR_U).get(found).i32((1 << FN_BITS) - 1).op(O.I32_AND).tee(found).get(found);
  out.op(O.RETURN_CALL_INDIRECT);
  out.unsigned(functionType);
  out.u8(0);
  out.end();
}
