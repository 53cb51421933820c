/**
 * `--jit=check`: every run of compiled code is repeated by the interpreter, and the first difference stops the machine.
 *
 * Compiled code runs first, on copies of the pages it touches. Its registers and copies are then compared with what
 * the interpreter makes of the same number of instructions. What reaches out of the CPU (exits, the clock, faults, writes
 * to code) ends the attempt: the interpreter alone executes that. One vCPU: another one's stores would look like
 * differences. Writes of devices are counted (DMA_EPOCH), and a difference next to one is not believed.
 *
 * @spec   design.md section 4, item 3
 * @cover  #Y general registers, RIP, RFLAGS, segments, control, x87 and SSE registers, memory   #N the interrupt shadow
 */
import { createRequire } from 'node:module';
import { S } from '../gen/state.ts';
import { layout } from '../tables/layout.ts';
import { EXIT_INTERPRET, J, MODE_LONG64 } from './layout.ts';

/** What the checker needs of the core, beside the door to compiled code. */
export interface CheckExports {
  setShadowing(mode: number): void;
  shadowCount(): number;
  shadowsDiffer(): number;
  readonly unexpectedWrite: WebAssembly.Global;
  replay(instructions: number): void;
  rewindCompiled(left: number): void;
  stateRestored(): void;
  translateForDebugger(gva: bigint, write: number): number;
  getFlags(): number;
}

/** Compiled code and the interpreter disagree: an engine bug. The message has everything that is known. */
export class JitDifference extends Error {}

const OFF = 0; const COPY = 1; const WATCH = 2;
const PAGE = 4096;
/** Instructions before the difference that are shown. */
const TRAIL = 24;

/** Architectural state: [first byte, end) of the pCPU block, without what is derived, lazy or the run loop's. */
const COMPARED: ReadonlyArray<readonly [number, number]> = [
  [S.GPR, S.GPR + 128], [S.RIP, S.RIP + 8], [S.SEG_BASE, S.MODE], [S.CR0, S.TSC_OFFSET], [S.ACTIVITY_STATE, S.INTERRUPTIBILITY],
];
const STATE_END = S.BLOCK + 4;
const NONE: readonly string[] = [];

const FIELDS = Object.entries(S).sort((a, b) => a[1] - b[1]);

/** Name and index of the state field that holds a byte. */
function fieldAt(offset: number): string {
  const [name, at] = FIELDS.findLast(([, start]) => start <= offset)!;
  return offset === at ? name : `${name}+0x${(offset - at).toString(16)}`;
}

export class LockStep {
  /** How often compiled code was compared, how many instructions of it, and how often it was cut short. */
  readonly statistics = { compared: 0, instructions: 0, cutShort: 0, besideDevices: 0 };
  readonly #view: DataView;
  readonly #state: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #shadows: number;
  readonly #dmaEpoch: Int32Array;
  readonly #before: Uint8Array;
  readonly #compiled: Uint8Array;
  readonly #compiledWords: Uint32Array;
  readonly #words: Uint32Array;
  readonly #exports: CheckExports;
  readonly #door: (fn: number, cpu: number, rip: bigint, entry: number) => void;
  /** False while compiled code runs: nothing may reach out of the CPU then. */
  mayReachOut = true;

  constructor(memory: WebAssembly.Memory, pcpuId: number, exports: CheckExports, door: CallableFunction) {
    const base = layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE;
    this.#view = new DataView(memory.buffer, base, layout.PCPU_STRIDE);
    this.#state = new Uint8Array(memory.buffer, base, STATE_END);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#shadows = layout.SHADOW_BASE + pcpuId * layout.SHADOW_STRIDE;
    this.#dmaEpoch = new Int32Array(memory.buffer, layout.DMA_EPOCH, 1);
    this.#before = new Uint8Array(STATE_END);
    this.#compiled = new Uint8Array(STATE_END);
    this.#compiledWords = new Uint32Array(this.#compiled.buffer);
    this.#words = new Uint32Array(memory.buffer, base, STATE_END >> 2);
    this.#exports = exports;
    this.#door = door as (fn: number, cpu: number, rip: bigint, entry: number) => void;
  }

  /** Takes the place of the door: runs compiled code, then the interpreter; throws JitDifference. */
  enter(fn: number, cpu: number, rip: bigint, entry: number): void {
    const exports = this.#exports;
    const view = this.#view;
    const left = view.getInt32(J.LEFT, true);
    const epoch = Atomics.load(this.#dmaEpoch, 0);
    view.setBigInt64(S.RIP, rip, true); // the run loop has it in a local
    this.#before.set(this.#state);
    exports.setShadowing(COPY);
    this.mayReachOut = false;
    let cut = false;
    try {
      this.#door(fn, cpu, rip, entry);
    } catch (error) {
      if (error instanceof Error) throw error; // anything but an unwinding is a bug of its own
      cut = true;
    } finally {
      this.mayReachOut = true;
    }
    exports.setShadowing(OFF);
    const done = left - view.getInt32(J.LEFT, true);
    const flags = exports.getFlags() >>> 0;
    this.#compiled.set(this.#state);
    this.#restore();
    exports.rewindCompiled(left);
    if (cut) {
      exports.setShadowing(WATCH); // drops translations to copies
      exports.setShadowing(OFF);
      this.statistics.cutShort += 1;
      view.setInt32(J.LEFT, left, true);
      view.setUint32(J.EXIT, EXIT_INTERPRET, true);
      return;
    }
    const instructions = view.getBigUint64(S.INSTRUCTIONS, true);
    exports.setShadowing(WATCH);
    try {
      exports.replay(done);
    } catch (error) {
      if (error instanceof Error) throw error;
      this.#differ(rip, done, ['the interpreter meets a fault'], epoch);
      exports.setShadowing(OFF);
      throw error; // the fault is real
    }
    const unexpected = (exports.unexpectedWrite.value as number) >>> 0;
    exports.setShadowing(OFF);
    view.setBigUint64(S.INSTRUCTIONS, instructions, true); // the run loop adds what compiled code has done
    const differences = this.#differences(flags, unexpected);
    if (differences.length > 0) this.#differ(rip, done, differences, epoch);
    this.statistics.compared += 1;
    this.statistics.instructions += done;
  }

  /** What has been compared so far, in one line. */
  summary(): string {
    const { compared, instructions, cutShort, besideDevices } = this.statistics;
    return `compiled code agreed with the interpreter ${compared} times, in ${instructions} instructions; not compared: ${cutShort} cut short, ${besideDevices} beside a device's write`;
  }

  /** The state before compiled code ran; events may have been set meanwhile. */
  #restore(): void {
    const events = S.EVENT_FLAGS;
    this.#state.set(this.#before.subarray(0, events));
    this.#state.set(this.#before.subarray(events + 4), events + 4);
    this.#exports.stateRestored();
  }

  #sameState(): boolean {
    const is = this.#compiledWords;
    const ought = this.#words;
    for (const [from, to] of COMPARED) {
      for (let at = from >> 2; at < to >> 2; at += 1) if (is[at] !== ought[at]) return false;
    }
    return true;
  }

  #differences(flags: number, unexpected: number): readonly string[] {
    const now = this.#exports.getFlags() >>> 0;
    if (now === flags && unexpected === 0 && this.#sameState() && this.#exports.shadowsDiffer() === 0) return NONE;
    const found: string[] = [];
    if (now !== flags) found.push(`RFLAGS: compiled ${flags.toString(16)}, interpreted ${now.toString(16)}`);
    for (const [from, to] of COMPARED) {
      for (let at = from; at < to; at += 4) {
        const is = this.#compiledWords[at >> 2];
        const ought = this.#words[at >> 2];
        if (is !== ought) found.push(`${fieldAt(at)}: compiled ${is.toString(16)}, interpreted ${ought.toString(16)}`);
      }
    }
    if (unexpected !== 0) found.push(`HPA ${(unexpected - layout.RAM_BASE).toString(16)}: only the interpreter writes to this page`);
    const list = new Uint32Array(this.#bytes.buffer, this.#shadows, this.#exports.shadowCount());
    list.forEach((entry, n) => {
      if ((entry & 1) === 0) return;
      const real = (entry & ~1) >>> 0;
      const copy = this.#shadows + (n + 2) * PAGE;
      for (let i = 0; i < PAGE; i += 1) {
        const is = this.#bytes[copy + i];
        const ought = this.#bytes[real + i];
        if (is !== ought) found.push(`HPA ${(real + i - layout.RAM_BASE).toString(16)}: compiled ${is.toString(16)}, interpreted ${ought.toString(16)}`);
      }
    });
    return found;
  }

  /** Throws, unless a device wrote to memory meanwhile. */
  #differ(rip: bigint, instructions: number, differences: readonly string[], epoch: number): void {
    // A device's write and its count are not one: give it time to count.
    Atomics.wait(this.#dmaEpoch, 0, epoch, 20);
    if (Atomics.load(this.#dmaEpoch, 0) !== epoch) {
      this.statistics.besideDevices += 1;
      return;
    }
    throw new JitDifference([
      `compiled code at RIP ${BigInt.asUintN(64, rip).toString(16)} does not do what the interpreter does, within ${instructions} instructions:`,
      ...differences.slice(0, 32).map((line) => `  ${line}`),
      ...(differences.length > 32 ? [`  and ${differences.length - 32} more`] : []),
      'the code there:',
      ...this.#disassemble(BigInt.asUintN(64, rip)),
    ].join('\n'));
  }

  #disassemble(rip: bigint): string[] {
    const at = this.#exports.translateForDebugger(BigInt.asIntN(64, rip), 0) >>> 0;
    if (at === 0) return ['  (not mapped)'];
    const bytes = this.#bytes.slice(at, Math.min(at + TRAIL * 15, (at | 0xfff) + 1));
    const { Decoder, DecoderOptions, Formatter, FormatterSyntax } = createRequire(import.meta.url)('iced-x86') as typeof import('iced-x86');
    const bits = (this.#view.getUint32(S.MODE, true) & MODE_LONG64) !== 0 ? 64 : 32;
    const decoder = new Decoder(bits, bytes, DecoderOptions.None);
    decoder.ip = rip;
    const formatter = new Formatter(FormatterSyntax.Intel);
    const lines: string[] = [];
    while (decoder.canDecode && lines.length < TRAIL) {
      const instruction = decoder.decode();
      lines.push(`  ${instruction.ip.toString(16)}  ${formatter.format(instruction)}`);
      instruction.free();
    }
    return lines;
  }
}
