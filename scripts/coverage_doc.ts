/**
 * node scripts/coverage_doc.ts
 *
 * Writes docs/cpu-coverage.md from the opcode table, the JIT's rows and the counts of the last recorded test runs.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { OP } from '../engine/core/gen/ops.ts';
import { TRANSLATED, isTransfer } from '../engine/core/jit/rows.ts';
import type { Instruction } from '../engine/core/jit/instruction.ts';
import type { OpcodeFamily, OpcodeRow } from '../engine/core/tables/opcode_row.ts';
import { loadFamilies } from '../engine/core/tables/opcodes/index.ts';
import { casesOf, mismatchesOf, opsOf, readResults, type FuzzRun, type NativeRun, type Results } from '../test/differential/results.ts';

const document = new URL('../docs/cpu-coverage.md', import.meta.url);

const TITLES: Record<string, string> = {
  alu: 'Integer arithmetic and logic', bit: 'Bits', branch: 'Branches', crypto: 'AES, SHA and carry-less multiplication', fxsave: 'Saving x87 and SSE state', mmx: 'MMX',
  mov: 'Data transfer', muldiv: 'Multiplication, division and decimal adjustment', shift: 'Shifts and rotates', sse: 'SSE moves and shifts', sse4: 'SSE4', sse_convert: 'SSE conversions',
  sse_float: 'SSE floating point', sse_integer: 'SSE integers', stack: 'Stack and flags', string: 'Strings', system: 'System', x87: 'x87',
};

const number = (n: number): string => n.toLocaleString('en-US');

/** Executed at all: the family's file has its executor. */
function inInterpreter(family: string): boolean {
  const file = new URL(`../engine/core/assembly/execute/${family}.ts`, import.meta.url);
  const name = family.split('_').map((p) => p.charAt(0).toUpperCase() + p.slice(1)).join('');
  return existsSync(file) && readFileSync(file, 'utf8').includes(`export function exec${name}(`);
}

function inJit(op: string): string {
  const id = OP[op as keyof typeof OP];
  const transfer = id !== undefined && isTransfer({ op: id, size: 8, flags: 0 } as Instruction);
  return TRANSLATED.has(id) || transfer ? 'native' : 'through the interpreter';
}

function summary(results: Results): string[] {
  const lines: string[] = [];
  const { native, nativeJit, native16, decoder, fuzz, fuzzJit } = results;
  const compared = (what: string, option: string, run: NativeRun | undefined): void => {
    if (run) lines.push(`| ${what} | ${number(casesOf(run))} cases, ${number(mismatchesOf(run))} mismatches | \`node test/differential/run.ts --cases ${casesOf(run)} --seed 1${option}\`; by class with the seeds in results.json |`);
  };
  compared('Instructions in 64- and 32-bit code against the host processor: registers, flags, MXCSR, x87 state, memory, faults, alignment checks', '', native);
  compared('The same with compiled code', ' --jit', nativeJit);
  compared('16-bit code in segments of a local descriptor table, offsets beyond their limits', ' --bits16', native16);
  if (decoder) {
    lines.push(`| Decoder against iced-x86: lengths and undefined encodings of every opcode map, prefixes at random; operands, sizes and immediates of ${number(decoder.records)} instructions | ${number(decoder.cases)} byte strings, ${number(decoder.mismatches)} mismatches | \`node test/differential/decoder.ts --cases ${decoder.cases} --seed ${decoder.seed}\` |`);
  }
  const fuzzed = (what: string, option: string, run: FuzzRun | undefined): void => {
    if (run) lines.push(`| ${what} | ${number(run.instructions)} instructions in ${number(run.programs)} guests | \`node test/property/core_fuzz.ts --instructions ${run.instructions} --seed ${run.seed}${option}\` |`);
  };
  fuzzed('Random bytes as guest code in every mode and ring, with and without EPT', '', fuzz);
  fuzzed('The same with the JIT on', ' --jit', fuzzJit);
  return lines;
}

function familyTable({ family, rows }: OpcodeFamily, counted: ReadonlyMap<string, number>): string[] {
  const ops = new Map<string, OpcodeRow[]>();
  for (const row of rows) ops.set(row.op, [...(ops.get(row.op) ?? []), row]);
  const executed = inInterpreter(family) ? 'yes' : 'no';
  const join = (values: string[]): string => [...new Set(values)].filter((v) => v !== '').join('; ').replaceAll('|', '\\|');
  return [
    `## ${TITLES[family] ?? family}`, '',
    '| Instruction | Encoding | Operands | Feature | Interpreter | JIT | Cases |', '|---|---|---|---|---|---|---:|',
    ...[...ops].map(([op, forms]) => {
      const cases = counted.get(op);
      const name = op.split('_')[0];
      const encodings = forms.length > 4 ? `${forms[0].encoding} ... ${forms[forms.length - 1].encoding}` : join(forms.map((f) => f.encoding));
      return `| ${name}${name === op ? '' : ` <sub>${op}</sub>`} | ${encodings} | ${join(forms.map((f) => f.operands))} | ${join(forms.map((f) => f.feature ?? ''))} | ${executed} | ${inJit(op)} | ${cases === undefined ? 'S' : number(cases)} |`;
    }),
    '',
  ];
}

/** The document's text. */
export async function coverageDocument(): Promise<string> {
  const families = await loadFamilies();
  const results = readResults();
  const ops = new Set(families.flatMap((f) => f.rows.map((r) => r.op)));
  const counted = new Map<string, number>();
  for (const run of [results.native, results.nativeJit, results.native16]) for (const [op, n] of run ? opsOf(run) : []) counted.set(op, (counted.get(op) ?? 0) + n);
  const compared = [...ops].filter((op) => counted.has(op)).length;
  const native = [...ops].filter((op) => inJit(op) === 'native').length;
  return [
    '# Instructions, and how each is tested', '',
    '<!-- Written by `node scripts/coverage_doc.ts` from the opcode table. Do not edit. -->', '',
    `The opcode table (\`engine/core/tables/opcodes\`) has ${number(families.reduce((n, f) => n + f.rows.length, 0))} encodings of ${number(ops.size)} operations. The interpreter executes all of them;`,
    `the JIT translates ${number(native)}, in all or some of their forms, and calls the interpreter for the others. ${number(compared)} are compared with a real processor.`, '',
    '| Test | Last recorded run | Again |', '|---|---|---|',
    ...summary(results), '',
    'Cases: runs on the host processor and on the core with the same outcome, alone or in sequences. Flags and results that the SDM leaves undefined',
    'are not compared; transcendental x87 functions may differ by one unit in the last place, RCP and RSQRT within the SDM\'s bound.',
    'S: not comparable in user mode (privileged, or touching the host\'s kernel, clocks or tables): tested by the specs of `engine/core` and by `test/kernels`.', '',
    ...families.flatMap((f) => familyTable(f, counted)),
  ].join('\n');
}

/** The document as it lies there, '' when it does not. */
export function documentOnDisk(): string { return existsSync(document) ? readFileSync(document, 'utf8') : ''; }

if (import.meta.main) writeFileSync(document, await coverageDocument());
