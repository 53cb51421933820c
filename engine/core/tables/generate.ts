/**
 * Writes everything that is generated from the tables: state offsets and memory layout for both languages, Op ids,
 * the decoder's tables, and the dispatch from Op id to family.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { MAPS, parseRow, type Form } from './encoding.ts';
import { CORE_FEATURES, CR4_FEATURES, featureMask } from './features.ts';
import { layout, MAX_PCPUS } from './layout.ts';
import { loadFamilies } from './opcodes/index.ts';
import { stateTable, type StateType } from './state.ts';

const sizes: Record<StateType, number> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, f64: 8, v128: 16 };
const NOTE = '// Generated from engine/core/tables by `npm run build:core`. Do not edit.\n';

/** Lays the table out in order; returns [name, byte offset] pairs and the total size. */
export function layOut(): { offsets: Array<[string, number]>; size: number } {
  let at = 0;
  const offsets: Array<[string, number]> = [];
  for (const [name, type, count] of stateTable) {
    const size = sizes[type];
    at = Math.ceil(at / size) * size;
    offsets.push([name, at]);
    at += size * count;
  }
  return { offsets, size: at };
}

/** Writes gen/state.ts (TypeScript) and assembly/gen/state.ts (AssemblyScript). */
export function generateState(coreDir: URL): void {
  const { offsets, size } = layOut();
  if (size > layout.TLB_OFFSET) throw new Error(`CPU state is ${size} bytes, more than the ${layout.TLB_OFFSET} before the TLB`);
  const comment = (name: string) => stateTable.find((r) => r[0] === name)?.[3] ?? '';
  const hex = (n: number) => `0x${n.toString(16)}`;
  const doc = (name: string) => (comment(name) ? `/** ${comment(name)} */ ` : '');
  const ts = [
    NOTE,
    '/** Byte offsets inside a pCPU block. */\nexport const S = {',
    ...offsets.map(([n, o]) => `  ${doc(n)}${n}: ${hex(o)},`),
    '} as const;',
    `export const STATE_SIZE = ${hex(size)};\n`,
  ].join('\n');
  const as = [
    NOTE,
    ...Object.entries(layout).map(([n, v]) => `export const ${n}: u32 = ${hex(v)};`),
    `export const MAX_PCPUS: u32 = ${MAX_PCPUS};`,
    ...offsets.map(([n, o]) => `${doc(n)}export const S_${n}: usize = ${hex(o)};`),
    '',
  ].join('\n');
  writeIfChanged(new URL('gen/state.ts', coreDir), ts);
  writeIfChanged(new URL('assembly/gen/state.ts', coreDir), as);
}

/** Writes assembly/gen/features.ts. */
export function generateFeatures(coreDir: URL): void {
  if (CORE_FEATURES.length > 64) throw new Error(`${CORE_FEATURES.length} features do not fit in a mask of 64 bits`);
  const hex = (mask: bigint) => `0x${mask.toString(16)}`;
  const bits = Math.max(...CR4_FEATURES.keys()) + 1;
  const needs = Array.from({ length: bits }, (_, bit) => {
    if (!CR4_FEATURES.has(bit)) return 0n;
    const feature = CR4_FEATURES.get(bit);
    return feature === undefined ? (1n << 64n) - 1n : featureMask([feature]);
  });
  writeIfChanged(new URL('assembly/gen/features.ts', coreDir), [
    NOTE,
    '// Masks of engine/core/tables/features.ts.',
    ...CORE_FEATURES.map((name) => `export const FEATURE_${name.replace('.', '_').toUpperCase()}: u64 = ${hex(featureMask([name]))};`),
    `/** For each of CR4's first CR4_BITS bits the features of which it needs one; 0: it is reserved. */\nexport const CR4_FEATURES: usize = memory.data<u64>([${needs.map(hex).join(', ')}], 16);`,
    `export const CR4_BITS: usize = ${bits};`, '',
  ].join('\n'));
}

/** Internal Op ids that no encoding has. */
const INTERNAL_OPS = ['UNDEFINED', 'TOO_LONG'] as const;

const pascal = (name: string) => name.split('_').map((p) => p.charAt(0).toUpperCase() + p.slice(1)).join('');

/** Bytes of one row of the decoder's table; decode.ts reads the same layout. */
const DECODE_ROW_BYTES = 12;
/** In the place of a feature's bit. */
const NO_FEATURE = 0xff;

function encodeForm(form: Form, op: number): number[] {
  const { row } = form;
  const flags = (form.hasModRm ? 1 : 0) | (row.lock ? 2 : 0) | (row.ends ? 4 : 0) | (row.mode === 'i64' ? 8 : 0) | (row.mode === 'o64' ? 16 : 0)
    | (row.mode === 'd64' ? 32 : 0) | (row.mode === 'f64' ? 64 : 0) | (form.opcodeRegister ? 128 : 0);
  const flags2 = (form.rexW === 'W1' ? 1 : 0) | (form.rexW === 'W0' ? 2 : 0) | (form.vexL === 'L0' ? 4 : 0) | (form.vexL === 'L1' ? 8 : 0)
    | (form.byteReg ? 16 : 0) | (form.byteRm ? 32 : 0) | (form.vexNoVvvv ? 64 : 0) | (row.elseIgnored ? 128 : 0);
  const feature = row.feature === undefined ? NO_FEATURE : CORE_FEATURES.indexOf(row.feature);
  return [op & 0xff, op >> 8, form.prefix, form.mod, form.digit & 0xff, form.rm & 0xff, flags, flags2, form.imm, form.size, feature, 0];
}

/** Writes assembly/gen/{ops,decode_tables,dispatch}.ts and gen/ops.ts. Families in `without` are left out of the dispatch. */
export async function generateDecoder(coreDir: URL, without: readonly string[] = []): Promise<void> {
  const families = await loadFamilies();
  const ids = new Map<string, number>(INTERNAL_OPS.map((name, i) => [name, i]));
  const ranges: Array<{ family: string; first: number; last: number }> = [];
  const forms: Form[] = [];
  for (const { family, rows } of families) {
    const first = ids.size;
    for (const row of rows) {
      const known = ids.get(row.op);
      if (known === undefined) ids.set(row.op, ids.size);
      else if (known < first) throw new Error(`op ${row.op} of family ${family} also belongs to another family`);
      forms.push(...parseRow(row));
    }
    ranges.push({ family, first, last: ids.size - 1 });
  }

  const cells = new Map<number, Form[]>();
  for (const form of forms) {
    const cell = form.map * 256 + form.opcode;
    const list = cells.get(cell);
    if (list) list.push(form); else cells.set(cell, [form]);
  }
  const index: number[] = [];
  const bytes: number[] = [];
  for (let cell = 0; cell < MAPS.length * 256; cell += 1) {
    index.push(bytes.length / DECODE_ROW_BYTES);
    const list = (cells.get(cell) ?? []).toSorted((a, b) => b.specificity - a.specificity);
    if (list.some((f) => f.hasModRm !== list[0].hasModRm)) {
      throw new Error(`rows of opcode ${MAPS[Math.floor(cell / 256)]} ${(cell % 256).toString(16)} disagree about ModRM: ${list.map((f) => f.row.op).join(' ')}`);
    }
    for (const form of list) bytes.push(...encodeForm(form, ids.get(form.row.op)!));
  }
  index.push(bytes.length / DECODE_ROW_BYTES);

  const entries = [...ids.entries()];
  writeIfChanged(new URL('assembly/gen/ops.ts', coreDir), [NOTE, ...entries.map(([n, i]) => `export const OP_${n}: u32 = ${i};`), `export const OP_COUNT: u32 = ${ids.size};`, ''].join('\n'));
  writeIfChanged(new URL('gen/ops.ts', coreDir), [NOTE, '/** Op id of every instruction form; the index of OP_NAMES. */', 'export const OP = {', ...entries.map(([n, i]) => `  ${n}: ${i},`), '} as const;', '',
    'export const OP_NAMES: readonly string[] = Object.keys(OP);', ''].join('\n'));

  const lines = (values: number[]) => { const out: string[] = []; for (let i = 0; i < values.length; i += 32) out.push(`  ${values.slice(i, i + 32).join(',')},`); return out.join('\n'); };
  writeIfChanged(new URL('assembly/gen/decode_tables.ts', coreDir), [NOTE,
    `/** Bytes of a row; see engine/core/tables/generate.ts encodeForm. */\nexport const DECODE_ROW_BYTES: usize = ${DECODE_ROW_BYTES};`,
    `/** First row of each opcode (map * 256 + opcode), and one past the last. */\nexport const DECODE_INDEX: usize = memory.data<u16>([\n${lines(index)}\n], 16);`,
    `export const DECODE_ROWS: usize = memory.data<u8>([\n${lines(bytes)}\n], 16);`, ''].join('\n'));

  const present = ranges.filter((r) => r.last >= r.first && !without.includes(r.family) && hasExecutor(coreDir, r.family));
  writeIfChanged(new URL('assembly/gen/dispatch.ts', coreDir), [NOTE,
    ...present.map((r) => `import { exec${pascal(r.family)} } from '../execute/${r.family}';`),
    "import { raise, raiseError, GP, UD } from '../fault';",
    "import { OP_TOO_LONG } from './ops';", '',
    '/** Executes the record by its family. */',
    'export function execute(op: u32, rec: usize): void {',
    ...present.toReversed().map((r) => `  if (op >= ${r.first} && op <= ${r.last}) { exec${pascal(r.family)}(op, rec); return; }`),
    '  if (op == OP_TOO_LONG) { raiseError(GP, 0); return; }',
    '  raise(UD);', '}', ''].join('\n'));
}

/** Whether the family's file exists and already has its exec function. */
function hasExecutor(coreDir: URL, family: string): boolean {
  const file = new URL(`assembly/execute/${family}.ts`, coreDir);
  return existsSync(file) && readFileSync(file, 'utf8').includes(`export function exec${pascal(family)}(`);
}

function writeIfChanged(file: URL, text: string): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  writeFileSync(file, text);
}
