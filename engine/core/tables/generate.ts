/** Writes the generated constants of the state table and the memory layout for both languages. */
import { writeFileSync } from 'node:fs';
import { layout, MAX_PCPUS } from './layout.ts';
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
  writeFileSync(new URL('gen/state.ts', coreDir), ts);
  writeFileSync(new URL('assembly/gen/state.ts', coreDir), as);
}
