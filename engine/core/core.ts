/**
 * One pCPU's core: the WebAssembly instance, its memory, and the doors between it and the hypervisor.
 *
 * The only file that touches WebAssembly. Faults inside an instruction unwind the WebAssembly stack with one exception
 * object thrown by the imported `unwind`; run() catches it, lets the core deliver the fault, and goes on.
 *
 * @spec   SDM vol. 3, 10.1.1 (state after RESET), appendix C (exit reasons)
 */
import { readFile } from 'node:fs/promises';
import { CORE_PLACES } from './artifact.ts';
import { S } from './gen/state.ts';
import { LockStep, type CheckExports } from './jit/check.ts';
import { JitCompiler, type CompilerExports, type CompilerLink } from './jit/compiler.ts';
import { MAX_FUNCTIONS } from './jit/layout.ts';
import { buildDoor, prepareV8 } from './jit/module.ts';
import { ALL_FEATURES, featureMask, type Feature } from './tables/features.ts';
import { layout } from './tables/layout.ts';

/** What the core asks its owner. Both are called in the middle of an instruction. */
export interface CoreHost {
  /** Answers the exit described by the S.EXIT_* fields: 0 continue, 1 raise the event in ENTRY_INTR_INFO, 2 leave run(). */
  vmexit(reason: number): number;
  /** Nanoseconds since an epoch that all pCPUs of the NUC share. */
  timeNs(): number;
}

/** Basic exit reasons, SDM vol. 3 appendix C, and what else run() returns. */
export const EXIT = {
  EXCEPTION_NMI: 0,
  /** EVENT_FLAGS is not zero. */
  EXTERNAL_INTERRUPT: 1,
  TRIPLE_FAULT: 2,
  INIT: 3,
  SIPI: 4,
  INTERRUPT_WINDOW: 7,
  NMI_WINDOW: 8,
  TASK_SWITCH: 9,
  CPUID: 10,
  HLT: 12,
  INVD: 13,
  INVLPG: 14,
  RDPMC: 15,
  RDTSC: 16,
  VMCALL: 18,
  CR_ACCESS: 28,
  DR_ACCESS: 29,
  IO_INSTRUCTION: 30,
  RDMSR: 31,
  WRMSR: 32,
  MWAIT: 36,
  MONITOR: 39,
  PAUSE: 40,
  EPT_VIOLATION: 48,
  EPT_MISCONFIGURATION: 49,
  RDTSCP: 51,
  WBINVD: 54,
  XSETBV: 55,
  RDRAND: 57,
  RDSEED: 61,
  /** The instruction budget is used up. */
  BUDGET: 0x100,
} as const;

interface CoreExports extends CompilerExports, CheckExports {
  setJitThreshold(executions: number): void;
  setTurns(on: number): void;
  init(pcpuId: number, ramBytes: number): void;
  run(budget: number): number;
  unwound(): number;
  abandoned(): void;
  getFlags(): number;
  setFlags(value: number): void;
  stateWritten(): void;
  flushTranslations(): void;
  translateForDebugger(gva: bigint, write: number): number;
  instructionPointer(): bigint;
  decodeAt(rec: number, at: number, mode: number): number;
}

const WASM_PAGE = 0x10000;
/** The same while compiled code is checked: what has to be repeated by the interpreter is that short. */
const CHECK_SLICE = 512;
/** Instructions per call into WebAssembly: V8 replaces a function by its optimised form only when it is called. */
const SLICE = 16_384;

/** The core has no reason to leave run(): assembly/exit.ts. */
const STAY = 0xffff_ffff;

/** Thrown by `unwind` and caught by run(): carries nothing, so that throwing costs no stack trace. */
const UNWIND = Object.freeze({ unwind: true });
function unwind(): never { throw UNWIND; }

/** The NUC's memory: engine structures below RAM_BASE, then ramBytes of board RAM. */
export function createMemory(ramBytes: number): WebAssembly.Memory {
  if (!Number.isInteger(ramBytes) || ramBytes <= 0 || ramBytes > layout.RAM_MAX) {
    throw new RangeError(`board RAM of ${ramBytes} bytes: between 1 and ${layout.RAM_MAX} are possible`);
  }
  // One page more than the RAM: the decoder may look a few bytes past the end.
  const pages = Math.min(65536, Math.ceil((layout.RAM_BASE + ramBytes) / WASM_PAGE) + 1);
  return new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: true });
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** The compiled core (build/core.wasm, or beside this file in an installation). Compiled once a process. */
export async function loadCoreModule(): Promise<WebAssembly.Module> {
  compiled ??= (async () => {
    prepareV8();
    for (const place of CORE_PLACES) {
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = new Uint8Array(await readFile(place));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw error;
      }
      // Not WebAssembly.compile(): Node does not wait for it, and a process with nothing else to do would end meanwhile.
      return new WebAssembly.Module(bytes);
    }
    throw new Error(`core.wasm is missing at ${CORE_PLACES[0].pathname}: build it with \`npm run build:core\``);
  })();
  return compiled;
}

// Access rights in VMCS format (SDM 25.4.1).
const ATTR_DATA = 0x93; //  read/write, accessed, present
const ATTR_CODE = 0x9b; //  execute/read, accessed, present
const ATTR_LDT = 0x82;
const ATTR_TSS = 0x8b; //   32-bit, busy
const SEGMENT = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5, LDTR: 6, TR: 7 } as const;

/** `check` compares compiled code with the interpreter as it runs: one vCPU, far slower. */
export type JitMode = 'off' | 'on' | 'check';

export interface CoreOptions {
  /** Compile hot code to WebAssembly; `off` is the default. */
  readonly jit?: JitMode;
  /** Executions of a block after which its page is compiled: a power of two. */
  readonly jitThreshold?: number;
  /** Of a VM's vCPUs one runs at a time, by turns: what hosts need whose memory order is weaker than x86's, and the default there. */
  readonly turns?: boolean;
  /** The compiler's thread; without one, run() compiles itself. */
  readonly compiler?: CompilerLink;
}

const JIT_THRESHOLD = 1024;

export class Core {
  readonly pcpuId: number;
  readonly memory: WebAssembly.Memory;
  /** The pCPU block: offsets are those of gen/state.ts S. */
  readonly view: DataView;
  readonly #exports: CoreExports;
  /** The compiler, when the JIT is on. */
  readonly jit: JitCompiler | undefined;
  /** Compares compiled code with the interpreter, when asked to. */
  readonly lockStep: LockStep | undefined;
  #slice = SLICE;
  /** INSTRUCTIONS at which the present slice ends, whatever leaves run() before. */
  #sliceEnd = 0n;
  #features = ALL_FEATURES;

  constructor(module: WebAssembly.Module, memory: WebAssembly.Memory, pcpuId: number, host: CoreHost, options: CoreOptions = {}) {
    this.pcpuId = pcpuId;
    this.memory = memory;
    this.view = new DataView(memory.buffer, layout.PCPU_BASE + pcpuId * layout.PCPU_STRIDE, layout.PCPU_STRIDE);
    const compiles = options.jit === 'on' || options.jit === 'check';
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: MAX_FUNCTIONS, maximum: MAX_FUNCTIONS });
    const door = compiles ? new WebAssembly.Instance(new WebAssembly.Module(buildDoor()), { env: { memory, table } }).exports.enter : unwind;
    const instance = new WebAssembly.Instance(module, {
      env: { memory },
      host: {
        unwind,
        vmexit: (reason: number) => { this.#needReachOut(); return host.vmexit(reason); },
        timeNs: () => { this.#needReachOut(); return host.timeNs(); },
        enter: options.jit === 'check' ? (fn: number, cpu: number, rip: bigint, entry: number) => this.lockStep!.enter(fn, cpu, rip, entry) : door, hot: (at: number, mode: number, rip: bigint) => this.jit?.hot(at >>> 0, mode, rip),
        warm: (at: number, mode: number, rip: bigint) => this.jit?.warm(at >>> 0, mode, rip),
      },
    });
    this.#exports = instance.exports as unknown as CoreExports;
    if (options.jit === 'check') {
      this.lockStep = new LockStep(memory, pcpuId, this.#exports, door as CallableFunction);
      this.#slice = CHECK_SLICE;
    }
    const ramBytes = Math.min(memory.buffer.byteLength - WASM_PAGE - layout.RAM_BASE, layout.RAM_MAX);
    this.#exports.setTurns((options.turns ?? !['x64', 'ia32'].includes(process.arch)) ? 1 : 0);
    this.#exports.init(pcpuId, ramBytes);
    if (compiles) {
      const threshold = options.jitThreshold ?? JIT_THRESHOLD;
      this.jit = new JitCompiler(memory, table, this.#exports, pcpuId, threshold, options.compiler);
      this.#exports.forgetEntries();
      this.#exports.setJitThreshold(threshold);
    }
  }

  /** The state after RESET, SDM vol. 3 table 10-1; also empties everything cached. VM-execution controls are kept. */
  reset(): void {
    const { view } = this;
    for (let at = S.GPR; at < S.TSC_OFFSET; at += 1) view.setUint8(at, 0);
    this.setU64(S.GPR + 8 * 2, 0x000906ean); // RDX: family, model, stepping
    this.setU64(S.RIP, 0xfff0n);
    this.setU64(S.CR0, 0x60000010n);
    this.setU64(S.DR + 8 * 6, 0xffff0ff0n);
    this.setU64(S.DR + 8 * 7, 0x400n);
    this.setU64(S.XCR0, 1n);
    this.setU64(S.IA32_PAT, 0x0007040600070406n);
    for (const s of [SEGMENT.ES, SEGMENT.SS, SEGMENT.DS, SEGMENT.FS, SEGMENT.GS]) this.#setSegment(s, 0, 0n, 0xffff, ATTR_DATA);
    this.#setSegment(SEGMENT.CS, 0xf000, 0xffff0000n, 0xffff, ATTR_CODE);
    this.#setSegment(SEGMENT.LDTR, 0, 0n, 0xffff, ATTR_LDT);
    this.#setSegment(SEGMENT.TR, 0, 0n, 0xffff, ATTR_TSS);
    this.setU32(S.GDTR_LIMIT, 0xffff);
    this.setU32(S.IDTR_LIMIT, 0xffff);
    view.setUint16(S.FCW, 0x0040, true);
    view.setUint16(S.FTW, 0x5555, true);
    this.setU32(S.MXCSR, 0x1f80);
    this.setU32(S.ACTIVITY_STATE, 0);
    this.setU32(S.INTERRUPTIBILITY, 0);
    this.setU32(S.ENTRY_INTR_INFO, 0);
    this.setU32(S.LEAVE_BLOCK, 0);
    this.setU32(S.BLOCK, 0);
    this.#exports.setFlags(2);
    this.#sliceEnd = 0n;
    this.#exports.dropDecoded();
    this.syncAfterStateWrite();
  }

  /** The CPU has these CPUID features of its own and no others; everything, until this is called. Not while run() is on the stack. */
  offer(offered: Iterable<Feature>): void {
    const features = featureMask(offered);
    if (features === this.#features) return;
    this.#features = features;
    this.#exports.setFeatures(BigInt.asIntN(64, features));
    this.#exports.dropDecoded();
    this.jit?.offer(features);
  }

  /** Runs until there is a reason to leave, or about `budget` instructions have run; returns the reason (EXIT). */
  run(budget: number): number {
    const { view } = this;
    const exports = this.#exports;
    const end = view.getBigUint64(S.INSTRUCTIONS, true) + BigInt(budget);
    let deliver = false;
    for (;;) {
      try {
        if (deliver) {
          const reason = exports.unwound() >>> 0;
          if (reason !== STAY) return reason;
          deliver = false;
        }
        for (;;) {
          const now = view.getBigUint64(S.INSTRUCTIONS, true);
          const left = Number(end - now);
          if (left <= 0) return EXIT.BUDGET;
          const ended = now >= this.#sliceEnd;
          if (ended) this.#sliceEnd = now + BigInt(this.#slice);
          this.jit?.poll(ended);
          const reason = exports.run(Math.min(left, this.#slice, Number(this.#sliceEnd - now)));
          if (reason !== EXIT.BUDGET) return reason;
        }
      } catch (error) {
        if (error !== UNWIND) {
          exports.abandoned();
          throw error;
        }
        deliver = true;
      }
    }
  }

  u16(offset: number): number { return this.view.getUint16(offset, true); }
  u32(offset: number): number { return this.view.getUint32(offset, true); }
  u64(offset: number): bigint { return this.view.getBigUint64(offset, true); }
  setU16(offset: number, value: number): void { this.view.setUint16(offset, value, true); }
  setU32(offset: number, value: number): void { this.view.setUint32(offset, value, true); }
  setU64(offset: number, value: bigint): void { this.view.setBigUint64(offset, value, true); }

  /** The complete RFLAGS. */
  flags(): number { return this.#exports.getFlags() >>> 0; }
  setFlags(value: number): void { this.#exports.setFlags(value | 0); }

  /** To be called after control registers, EFER, segments, debug registers or EPTP were written: derives what depends on them. */
  syncAfterStateWrite(): void { this.#exports.stateWritten(); }

  /** Drops every cached translation of this pCPU. Only from the thread that runs it; others set EVENT_TLB_FLUSH. */
  flushTlb(): void { this.#exports.flushTranslations(); }

  /** RIP of the instruction that is being executed: what a vmexit() handler wants to know. */
  instructionRip(): bigint { return BigInt.asUintN(64, this.#exports.instructionPointer()); }

  /** For debuggers: byte offset in the memory's buffer behind a linear address, undefined when nothing is mapped. */
  translate(gva: bigint, write = false): number | undefined {
    const at = this.#exports.translateForDebugger(BigInt.asIntN(64, gva), write ? 1 : 0) >>> 0;
    return at === 0 ? undefined : at;
  }

  /** For tests: decodes the bytes at a buffer offset into a record at another. */
  decodeAt(rec: number, at: number, mode: number): { length: number; ends: boolean } {
    const answer = this.#exports.decodeAt(rec, at, mode);
    return { length: answer & 0xff, ends: (answer & 0x100) !== 0 };
  }

  /** Compiled code under check is given up rather than let it touch anything but the CPU and its copies. */
  #needReachOut(): void {
    if (this.lockStep !== undefined && !this.lockStep.mayReachOut) unwind();
  }

  #setSegment(index: number, selector: number, base: bigint, limit: number, attributes: number): void {
    this.setU16(S.SEG_SELECTOR + 2 * index, selector);
    this.setU64(S.SEG_BASE + 8 * index, base);
    this.setU32(S.SEG_LIMIT + 4 * index, limit);
    this.setU32(S.SEG_ATTR + 4 * index, attributes);
  }
}
