/**
 * node test/differential/decoder.ts [--cases N] [--seed S] [--limit N] [--record]
 *
 * Compares the core's decoder with iced-x86: which byte strings are instructions at all, their lengths, and for those
 * that are instructions on both sides the whole record: operand and address size, registers, memory operand, segment,
 * immediates and branch targets.
 *
 * iced knows far more instruction sets than the core offers: an encoding is held against us only when all its CPUID
 * features are ones that the opcode table claims.
 */
import { Code, CpuidFeature, Decoder, DecoderOptions, Instruction } from 'iced-x86';
import { Core, createMemory, loadCoreModule } from '../../engine/core/core.ts';
import { OP_NAMES } from '../../engine/core/gen/ops.ts';
import { layout } from '../../engine/core/tables/layout.ts';
import { recordDifference } from './decoder_record.ts';
import { Random } from './random.ts';
import { recordResults } from './results.ts';

/** Mode words of assembly/cpu.ts: protected mode 16-bit, flat protected 32-bit, 64-bit. */
const MODES = { 16: 8, 32: 2 | 4 | 8 | 64, 64: 1 | 8 | 128 } as const;
export type Bits = keyof typeof MODES;

const FEATURES = new Set([
  'INTEL8086', 'INTEL8086_ONLY', 'INTEL186', 'INTEL286', 'INTEL386', 'INTEL486', 'X64', 'CMOV', 'CX8', 'CMPXCHG16B', 'FPU', 'FPU287', 'FPU387', 'MMX', 'SSE', 'SSE2', 'SSE3',
  'SSSE3', 'SSE4_1', 'SSE4_2', 'POPCNT', 'LZCNT', 'BMI1', 'BMI2', 'ADX', 'MOVBE', 'AES', 'PCLMULQDQ', 'SHA', 'FXSR', 'SYSCALL', 'SEP', 'MSR', 'TSC', 'RDTSCP', 'CPUID',
  'CLFSH', 'CLFLUSHOPT', 'CLWB', 'MULTIBYTENOP', 'PAUSE', 'FSGSBASE', 'SMAP', 'XSAVE', 'XSAVEOPT', 'RDRAND', 'RDSEED', 'PREFETCHW', 'D3NOW_PREFETCH', 'INVPCID', 'RDPID',
].map((name) => CpuidFeature[name as keyof typeof CpuidFeature]));

export interface Mismatch { readonly bits: Bits; readonly bytes: string; readonly ours: string; readonly iced: string }

export interface DecoderResult {
  readonly compared: number;
  /** Strings that both sides take for an instruction: their records were compared. */
  readonly instructions: number;
  /** By opcode map: byte strings, and how many of them are no instruction on either side. */
  readonly maps: Record<string, { cases: number; invalid: number }>;
  readonly mismatches: Mismatch[];
}

const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];

/** Fills `bytes` with something that looks like an instruction more often than chance would have it; names the map. */
function fill(bytes: Uint8Array, r: Random, bits: Bits): string {
  for (let i = 0; i < bytes.length; i += 4) {
    const v = r.u32();
    bytes[i] = v;
    bytes[i + 1] = v >> 8;
    bytes[i + 2] = v >> 16;
    bytes[i + 3] = v >> 24;
  }
  const shape = r.u32();
  let at = 0;
  const prefixes = [0, 0, 0, 1, 1, 2, 3, (shape >> 16) & 15][shape & 7];
  while (at < prefixes) bytes[at++] = PREFIXES[r.below(PREFIXES.length)];
  if (bits === 64 && (shape & 8) !== 0) bytes[at++] = 0x40 | r.below(16);
  switch ((shape >> 4) & 7) {
    case 0: case 1: return 'one byte';
    case 2: case 3: bytes[at] = 0x0f; return '0F';
    case 4: bytes[at] = 0x0f; bytes[at + 1] = 0x38; return '0F38';
    case 5: bytes[at] = 0x0f; bytes[at + 1] = 0x3a; return '0F3A';
    case 6: bytes[at] = 0xc4; bytes[at + 1] = (r.u32() & 0xe0) | (1 + r.below(3)); return 'VEX C4';
    default: // VEX.C5, or C4 with any map, also one that does not exist
      bytes[at] = (shape & 0x100) === 0 ? 0xc5 : 0xc4;
      if ((shape & 0x600) !== 0) bytes[at + 1] |= 0xc0;
      return bytes[at] === 0xc5 ? 'VEX C5' : 'VEX C4';
  }
}

/** Runs `count` cases in each mode; returns at most `limit` mismatches, one of a kind. */
export async function compareDecoders(count: number, seed: number, limit = 20): Promise<DecoderResult> {
  const memory = createMemory(1 << 20);
  const core = new Core(await loadCoreModule(), memory, 0, { vmexit: () => 0, timeNs: () => 0 });
  const rec = layout.PCPU_BASE + 0x1f0000;
  const at = layout.RAM_BASE;
  const code = new Uint8Array(memory.buffer, at, 32);
  const record = new DataView(memory.buffer, rec, 32);
  const mismatches: Mismatch[] = [];
  const maps: DecoderResult['maps'] = {};
  const bytes = new Uint8Array(24);
  const r = new Random(seed);
  const instruction = new Instruction();
  const seen = new Set<string>();
  const claimed = new Map<Code, boolean>();
  let compared = 0;
  let instructions = 0;
  for (const bits of [16, 32, 64] as const) {
    for (let n = 0; n < count && mismatches.length < limit; n += 1) {
      const map = maps[fill(bytes, r, bits)] ??= { cases: 0, invalid: 0 };
      code.set(bytes);
      const { length } = core.decodeAt(rec, at, MODES[bits]);
      const op = record.getUint16(0, true);
      const valid = op > 1;
      const decoder = new Decoder(bits, bytes, DecoderOptions.None);
      decoder.decodeOut(instruction);
      const iced = instruction.code;
      decoder.free();
      compared += 1;
      map.cases += 1;
      if (iced === Code.INVALID && !valid) { map.invalid += 1; continue; }
      let known = claimed.get(iced);
      if (known === undefined) {
        known = iced !== Code.INVALID && [...instruction.cpuidFeatures()].every((f) => FEATURES.has(f));
        claimed.set(iced, known);
      }
      let what: string | null = null;
      if (!valid) {
        if (known && !isSyscallOutside64(iced, bits)) what = 'ours undefined';
      } else if (iced === Code.INVALID) {
        if (!REFUSED_LATER.has(OP_NAMES[op])) what = 'iced invalid';
      } else if (instruction.length !== length) {
        what = 'length';
      } else {
        instructions += 1;
        if (known) what = recordDifference(record, instruction, bits);
      }
      if (what === null) continue;
      const kind = `${bits} ${op} ${iced} ${what.replace(/\d+/g, '')}`;
      if (seen.has(kind)) continue;
      seen.add(kind);
      mismatches.push({
        bits, bytes: [...bytes.subarray(0, 15)].map((b) => b.toString(16).padStart(2, '0')).join(' '),
        ours: valid ? `${OP_NAMES[op]}, ${length} bytes; ${what}` : what,
        iced: iced === Code.INVALID ? 'invalid' : `${Code[iced]}, ${instruction.length} bytes`,
      });
    }
  }
  instruction.free();
  return { compared, instructions, maps, mismatches };
}

/** iced files SYSCALL outside of 64-bit mode under its feature; on Intel's processors it is undefined there. */
function isSyscallOutside64(code: Code, bits: Bits): boolean { return bits !== 64 && (code === Code.Syscall || code === Code.Sysretd); }

/** Ops whose remaining undefined forms (segment, control and debug registers that do not exist) are refused when they execute. */
const REFUSED_LATER = new Set(['MOV_SE', 'MOV_ES', 'MOV_CR', 'MOV_RC', 'MOV_DR', 'MOV_RD']);

if (import.meta.main) {
  const arg = (name: string, fallback: number): number => { const i = process.argv.indexOf(name); return i < 0 ? fallback : Number(process.argv[i + 1]); };
  const seed = arg('--seed', 1);
  const { compared, instructions, maps, mismatches } = await compareDecoders(Math.ceil(arg('--cases', 300_000) / 3), seed, arg('--limit', 60));
  for (const m of mismatches) console.log(`${m.bits}-bit  ${m.bytes}\n    ours: ${m.ours}\n    iced: ${m.iced}`);
  for (const [name, { cases, invalid }] of Object.entries(maps)) console.log(`${name.padEnd(10)}${String(cases).padStart(10)} byte strings, ${String(invalid).padStart(9)} of them no instruction`);
  console.log(`${compared} byte strings compared, ${instructions} records compared, ${mismatches.length} mismatches`);
  if (process.argv.includes('--record')) recordResults({ decoder: { seed, cases: compared, records: instructions, mismatches: mismatches.length } });
  process.exitCode = mismatches.length === 0 ? 0 : 1;
}
