/**
 * Compares the core's decoder with iced-x86: lengths, and which byte strings are instructions at all.
 *
 * iced knows far more instruction sets than the core offers: an encoding is held against us only when all its CPUID
 * features are ones that the opcode table claims.
 */
import { Code, CpuidFeature, Decoder, DecoderOptions, Instruction } from 'iced-x86';
import { Core, createMemory, loadCoreModule } from '../../engine/core/core.ts';
import { OP_NAMES } from '../../engine/core/gen/ops.ts';
import { layout } from '../../engine/core/tables/layout.ts';

/** Mode words of assembly/cpu.ts: real mode 16-bit, flat protected 32-bit, 64-bit. */
const MODES = { 16: 8, 32: 2 | 4 | 8 | 64, 64: 1 | 8 | 128 } as const;
export type Bits = keyof typeof MODES;

const FEATURES = new Set([
  'INTEL8086', 'INTEL8086_ONLY', 'INTEL186', 'INTEL286', 'INTEL386', 'INTEL486', 'X64', 'CMOV', 'CX8', 'CMPXCHG16B', 'FPU', 'FPU287', 'FPU387', 'MMX', 'SSE', 'SSE2', 'SSE3',
  'SSSE3', 'SSE4_1', 'SSE4_2', 'POPCNT', 'LZCNT', 'BMI1', 'BMI2', 'ADX', 'MOVBE', 'AES', 'PCLMULQDQ', 'SHA', 'FXSR', 'SYSCALL', 'SEP', 'MSR', 'TSC', 'RDTSCP', 'CPUID',
  'CLFSH', 'CLFLUSHOPT', 'CLWB', 'MULTIBYTENOP', 'PAUSE', 'FSGSBASE', 'SMAP', 'XSAVE', 'XSAVEOPT', 'RDRAND', 'RDSEED', 'PREFETCHW', 'D3NOW_PREFETCH', 'INVPCID',
].map((name) => CpuidFeature[name as keyof typeof CpuidFeature]));

export interface Mismatch { readonly bits: Bits; readonly bytes: string; readonly ours: string; readonly iced: string }

/** Deterministic generator (xorshift128). */
function random(seed: number): () => number {
  let a = seed | 1; let b = 0x9e3779b9 ^ seed; let c = 0x243f6a88; let d = 0xb7e15162;
  return () => {
    let t = b << 9; let r = Math.imul(b, 5); r = Math.imul((r << 7) | (r >>> 25), 9);
    c ^= a; d ^= b; b ^= c; a ^= d; c ^= t; d = (d << 11) | (d >>> 21); t = 0;
    return r >>> 0;
  };
}

const PREFIXES = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];

/** Fills `bytes` with something that looks like an instruction more often than chance would have it. */
function fill(bytes: Uint8Array, next: () => number, bits: Bits): void {
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = next();
  let at = 0;
  const shape = next();
  for (let n = shape & 3; n > 1; n -= 1) bytes[at++] = PREFIXES[next() % PREFIXES.length];
  if (bits === 64 && (shape & 4) !== 0) bytes[at++] = 0x40 | (next() & 15);
  switch ((shape >> 3) & 7) {
    case 0: case 1: break;
    case 2: case 3: bytes[at++] = 0x0f; break;
    case 4: bytes[at++] = 0x0f; bytes[at++] = 0x38; break;
    case 5: bytes[at++] = 0x0f; bytes[at++] = 0x3a; break;
    case 6: bytes[at++] = 0xc4; bytes[at++] = (next() & 0xe0) | (1 + (next() % 3)); break;
    default: break;
  }
}

/** Runs `count` cases in each mode; returns at most `limit` mismatches. */
export async function compareDecoders(count: number, seed: number, limit = 20): Promise<{ compared: number; mismatches: Mismatch[] }> {
  const memory = createMemory(1 << 20);
  const core = new Core(await loadCoreModule(), memory, 0, { vmexit: () => 0, timeNs: () => 0 });
  const rec = layout.PCPU_BASE + 0x1f0000;
  const at = layout.RAM_BASE;
  const code = new Uint8Array(memory.buffer, at, 32);
  const record = new DataView(memory.buffer, rec, 32);
  const mismatches: Mismatch[] = [];
  const bytes = new Uint8Array(24);
  const next = random(seed);
  const instruction = new Instruction();
  const seen = new Set<string>();
  let compared = 0;
  for (const bits of [16, 32, 64] as const) {
    for (let n = 0; n < count && mismatches.length < limit; n += 1) {
      fill(bytes, next, bits);
      code.set(bytes);
      const { length } = core.decodeAt(rec, at, MODES[bits]);
      const op = record.getUint16(0, true);
      const valid = op > 1;
      const decoder = new Decoder(bits, bytes, DecoderOptions.None);
      decoder.decodeOut(instruction);
      const icedValid = instruction.code !== Code.INVALID;
      const features = icedValid ? [...instruction.cpuidFeatures()] : [];
      const expected = icedValid && features.every((f) => FEATURES.has(f)) && !excused(instruction.code, bits);
      compared += 1;
      if (valid ? !icedValid || instruction.length !== length : expected) {
        const pair = `${bits} ${op} ${instruction.code}`;
        if (!(valid && !icedValid && TOLERATED.has(OP_NAMES[op])) && !seen.has(pair)) {
          seen.add(pair); // one example of a kind
          mismatches.push({
            bits, bytes: [...bytes.subarray(0, 15)].map((b) => b.toString(16).padStart(2, '0')).join(' '),
            ours: valid ? `${OP_NAMES[op]}, ${length} bytes` : 'undefined',
            iced: icedValid ? `${Code[instruction.code]} (${features.map((f) => CpuidFeature[f]).join(' ')}), ${instruction.length} bytes` : 'invalid',
          });
        }
      }
      decoder.free();
    }
  }
  instruction.free();
  return { compared, mismatches };
}

/** Encodings that iced files under a feature of ours but that are undefined on Intel's processors in that mode. */
function excused(code: Code, bits: Bits): boolean {
  return EXCUSED.has(Code[code]) || (bits !== 64 && (code === Code.Syscall || code === Code.Sysretd));
}
const EXCUSED = new Set<string>([]);

/** Ops whose remaining undefined forms (segment, control and debug registers that do not exist) are refused when they execute. */
const TOLERATED = new Set(['MOV_SE', 'MOV_ES', 'MOV_CR', 'MOV_RC', 'MOV_DR', 'MOV_RD']);

if (import.meta.main) {
  const arg = (name: string, fallback: number) => { const i = process.argv.indexOf(name); return i < 0 ? fallback : Number(process.argv[i + 1]); };
  const { compared, mismatches } = await compareDecoders(arg('--cases', 100_000), arg('--seed', 1), arg('--limit', 60));
  for (const m of mismatches) console.log(`${m.bits}-bit  ${m.bytes}\n    ours: ${m.ours}\n    iced: ${m.iced}`);
  console.log(`${compared} byte strings compared, ${mismatches.length} mismatches`);
}
