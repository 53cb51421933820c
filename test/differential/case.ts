/**
 * The binary form of a case and of its outcome, shared by the native helper, the interpreter and the comparison.
 *
 * @spec Layouts: native.c struct case_in, struct case_out; the FXSAVE image: SDM vol. 1, 10.5.1
 */
export const CODE_ADDRESS = 0x2000_0100;
export const CODE_PAGE = 0x2000_0000;
export const DATA_PAGE = 0x3000_0000;
export const WINDOW_BYTES = 1024;
/**
 * Linear address of the memory window of the present batch: the last bytes of the data page, the next page not mapped;
 * or half of it in a second data page.
 */
export let WINDOW_ADDRESS = DATA_PAGE + 4096 - WINDOW_BYTES;
/** Distance from the window's start to the page boundary in it; -1 when there is none. */
export let windowCrossing = -1;
export function placeWindow(crossing: boolean): void {
  windowCrossing = crossing ? WINDOW_BYTES / 2 : -1;
  WINDOW_ADDRESS = DATA_PAGE + 4096 - (crossing ? windowCrossing : WINDOW_BYTES);
}
export const CODE_BYTES = 64;
export const FX_BYTES = 416;

export const IN = { CODE: 0, LENGTH: 64, MODE: 68, GPR: 72, RFLAGS: 200, FS_BASE: 208, GS_BASE: 216, FX: 224, WINDOW: 224 + FX_BYTES, BYTES: 224 + FX_BYTES + WINDOW_BYTES } as const;
export const OUT = { VECTOR: 0, ERROR: 4, CR2: 8, RIP: 16, RFLAGS: 24, GPR: 32, FS_BASE: 160, GS_BASE: 168, FX: 176, WINDOW: 176 + FX_BYTES, BYTES: 176 + FX_BYTES + WINDOW_BYTES } as const;
export const FX = { FCW: 0, FSW: 2, FTW: 4, FOP: 6, FIP: 8, FDP: 16, MXCSR: 24, ST: 32, XMM: 160 } as const;

export const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const;

/** What the generator knows about a case beside its bytes. */
export interface CaseInfo {
  /** Class in the report. */
  readonly family: string;
  /** Op names of the instructions, in order. */
  readonly ops: readonly string[];
  /** RFLAGS bits whose value the SDM leaves undefined after the case. */
  readonly undefinedFlags: number;
  /** The SDM leaves the destination undefined: general registers and memory are not compared. */
  readonly undefinedResult: boolean;
  /** x87 results may differ by this many units in the last place (transcendental functions). */
  readonly x87Ulps: number;
  /** XMM results are approximations (RCPPS, RSQRTPS): lanes may differ within the SDM's relative error. */
  readonly approximate: boolean;
  /** Offset in the window of the memory operand: where an FXSAVE or FSTENV image lies. */
  readonly image: number;
  /** Operand size in bytes. */
  readonly wordSize: number;
  /** A fault may come after an instruction that left flags undefined: status flags are then not compared. */
  readonly maskFaultFlags: boolean;
}

/** A batch of cases in one buffer. */
export class Batch {
  readonly bytes: Buffer;
  readonly infos: CaseInfo[] = [];
  constructor(capacity: number) { this.bytes = Buffer.alloc(8 + capacity * IN.BYTES); }
  get count(): number { return this.infos.length; }
  /** Offset of a case's structure. */
  offset(i: number): number { return 8 + i * IN.BYTES; }
  code(i: number): Buffer {
    const o = this.offset(i);
    return this.bytes.subarray(o, o + this.bytes.readUInt32LE(o + IN.LENGTH));
  }
  mode(i: number): number { return this.bytes.readUInt32LE(this.offset(i) + IN.MODE); }
}
