/** Runs cases on the host processor and on the interpreter and collects what differs. */
import { readFile } from 'node:fs/promises';
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';
import { loadCoreModule } from '../../engine/core/core.ts';
import { CODE_ADDRESS, GPR_NAMES, IN, FX, OUT, Batch, placeWindow } from './case.ts';
import { difference } from './compare.ts';
import { generateCase, loadSources, type Source } from './generate.ts';
import { Interpreter } from './interpreter.ts';
import { buildNative, hostFeatures, runNative } from './native.ts';
import { Random } from './random.ts';
import { generateSequence, sequencePool, type SequenceKind } from './sequence.ts';

const BATCH = 2000;
/** Part of the cases that are sequences of instructions. */
const SEQUENCE_SHARE = 0.2;
const SEQUENCES: readonly SequenceKind[] = ['sequence', 'x87_sequence'];

export interface Mismatch {
  readonly family: string;
  readonly op: string;
  readonly code: string;
  readonly text: string;
  readonly what: string;
  readonly before: string;
}

export interface ClassResult {
  readonly family: string;
  cases: number;
  faults: number;
  mismatches: number;
  /** The first few of each op. */
  readonly first: Mismatch[];
  /** Mismatches by op. */
  readonly byOp: Map<string, number>;
  /** Cases by op. */
  readonly ops: Map<string, number>;
}

export interface Options {
  readonly cases: number;
  readonly seed: number;
  /** Only this family. */
  readonly family?: string;
  /** Only this op. */
  readonly op?: string;
  /** Mismatches kept for each op. */
  readonly keep: number;
  /** 16-bit code only. */
  readonly bits16?: boolean;
  /** With compiled code in place of the interpreter. */
  readonly jit?: boolean;
  /** Another build of the core than build/core.wasm. */
  readonly core?: string;
}

/** Shares the cases out among the families by their number of forms, each family at least some. */
function share(sources: readonly Source[], cases: number): Map<Source, number> {
  const weight = (s: Source): number => Math.sqrt(s.forms.length);
  const total = sources.reduce((sum, s) => sum + weight(s), 0);
  return new Map(sources.map((s) => [s, Math.ceil((cases * weight(s)) / total)]));
}

export async function runDifferential(options: Options): Promise<{ classes: ClassResult[]; lacking: string[]; compiledCases: number }> {
  buildNative();
  const module = options.core === undefined ? await loadCoreModule() : new WebAssembly.Module(new Uint8Array(await readFile(options.core)));
  const interpreter = new Interpreter(module, options.jit ? 'on' : 'off');
  const loaded = await loadSources(hostFeatures());
  if (options.bits16) loaded.sources = loaded.sources.map((s) => ({ family: s.family, forms: s.forms.filter((f) => f.row.mode !== 'o64' && f.rexW !== 'W1') }));
  let sources = loaded.sources.filter((s) => options.family === undefined || s.family === options.family);
  if (options.op !== undefined) {
    sources = sources.map((s) => ({ family: s.family, forms: s.forms.filter((f) => f.row.op === options.op) })).filter((s) => s.forms.length > 0);
  }
  if (sources.length === 0 && !SEQUENCES.includes(options.family as SequenceKind)) throw new Error(`no instructions match ${options.family ?? ''} ${options.op ?? ''}`.trim());
  const classes: ClassResult[] = [];
  const runClass = (family: string, cases: number, generate: (batch: Batch, at: number, r: Random) => void): void => {
    const result: ClassResult = { family, cases: 0, faults: 0, mismatches: 0, first: [], byOp: new Map(), ops: new Map() };
    classes.push(result);
    const r = new Random(options.seed ^ hash(family));
    for (let done = 0; done < cases; done += BATCH) {
      const size = Math.min(BATCH, cases - done);
      const batch = new Batch(size);
      placeWindow(r.chance(0.3));
      for (let i = 0; i < size; i += 1) generate(batch, done + i, r);
      compareBatch(batch, interpreter, result, options.keep);
    }
  };
  const inSequences = options.op === undefined && (options.family === undefined || SEQUENCES.includes(options.family as SequenceKind));
  const single = inSequences ? Math.ceil(options.cases * (1 - SEQUENCE_SHARE)) : options.cases;
  for (const [source, cases] of share(sources, single)) {
    // every form in turn at first, then at random
    runClass(source.family, cases, (batch, at, r) => generateCase(batch, source, at < source.forms.length ? source.forms[at] : r.pick(source.forms), r, options.bits16));
  }
  if (inSequences) {
    for (const kind of SEQUENCES.filter((k) => options.family === undefined || options.family === k)) {
      const pool = sequencePool(loaded.sources, kind);
      const cases = Math.ceil(options.cases * (options.family === undefined ? SEQUENCE_SHARE / SEQUENCES.length : 1));
      runClass(kind, cases, (batch, _, r) => generateSequence(batch, kind, pool, r, options.bits16));
    }
  }
  return { classes, lacking: loaded.lacking, compiledCases: interpreter.compiledCases };
}

function compareBatch(batch: Batch, interpreter: Interpreter, result: ClassResult, keep: number): void {
  const host = runNative(batch);
  const ours = interpreter.run(batch);
  for (let i = 0; i < batch.count; i += 1) {
    result.cases += 1;
    const at = i * OUT.BYTES;
    if (host.readUInt32LE(at) !== 3) result.faults += 1;
    const info = batch.infos[i];
    for (const op of info.ops) result.ops.set(op, (result.ops.get(op) ?? 0) + 1);
    const what = difference(info, batch.mode(i), host, ours, at, at);
    if (what === null) continue;
    result.mismatches += 1;
    const op = info.ops.join(' ');
    const seen = result.byOp.get(op) ?? 0;
    result.byOp.set(op, seen + 1);
    if (seen < keep) {
      result.first.push({ family: info.family, op, code: batch.code(i).toString('hex'), text: disassemble(batch.code(i), batch.mode(i)), what, before: describe(batch, i) });
    }
  }
}

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193);
  return h;
}

const formatter = new Formatter(FormatterSyntax.Intel);

export function disassemble(code: Buffer, mode: number): string {
  const bits = [64, 32, 16][mode];
  const decoder = new Decoder(bits, code, DecoderOptions.None);
  decoder.ip = BigInt(CODE_ADDRESS);
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    lines.push(formatter.format(instruction));
    instruction.free();
  }
  decoder.free();
  return `${bits === 64 ? '' : `${bits}-bit `}${lines.join(' | ')}`;
}

/** The state a case begins with: what is not zero. */
function describe(batch: Batch, i: number): string {
  const b = batch.bytes, o = batch.offset(i);
  const parts = GPR_NAMES.map((name, n) => `${name}=${b.readBigUInt64LE(o + IN.GPR + n * 8).toString(16)}`);
  parts.push(`rflags=${b.readBigUInt64LE(o + IN.RFLAGS).toString(16)}`);
  parts.push(`fs=${b.readBigUInt64LE(o + IN.FS_BASE).toString(16)} gs=${b.readBigUInt64LE(o + IN.GS_BASE).toString(16)}`);
  const fx = o + IN.FX;
  const { family } = batch.infos[i];
  if (family === 'x87' || family === 'mmx' || family === 'fxsave' || family === 'x87_sequence') {
    parts.push(`fcw=${b.readUInt16LE(fx + FX.FCW).toString(16)} fsw=${b.readUInt16LE(fx + FX.FSW).toString(16)} tags=${b.readUInt8(fx + FX.FTW).toString(16)}`);
    for (let n = 0; n < 8; n += 1) parts.push(`st${n}=${b.readUInt16LE(fx + FX.ST + n * 16 + 8).toString(16)}:${b.readBigUInt64LE(fx + FX.ST + n * 16).toString(16)}`);
  }
  if (family.startsWith('sse') || family === 'crypto' || family === 'sequence') {
    parts.push(`mxcsr=${b.readUInt32LE(fx + FX.MXCSR).toString(16)}`);
    for (let n = 0; n < 16; n += 1) parts.push(`xmm${n}=${Buffer.from(b.subarray(fx + FX.XMM + n * 16, fx + FX.XMM + n * 16 + 16)).reverse().toString('hex')}`);
  }
  return parts.join(' ');
}
