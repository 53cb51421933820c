/** Collects the opcode families: every value in this folder that looks like an OpcodeFamily, in file-name order. */
import { readdirSync } from 'node:fs';
import type { OpcodeFamily } from '../opcode_row.ts';

function isFamily(value: unknown): value is OpcodeFamily {
  return typeof value === 'object' && value !== null && 'family' in value && 'rows' in value && Array.isArray(value.rows);
}

/** All families; values that share a family name are one family. */
export async function loadFamilies(): Promise<OpcodeFamily[]> {
  const files = readdirSync(new URL('.', import.meta.url)).filter((f) => f.endsWith('.ts') && f !== 'index.ts' && !f.endsWith('.spec.ts')).sort();
  const families = new Map<string, OpcodeFamily>();
  for (const file of files) {
    const exported: unknown = await import(new URL(file, import.meta.url).href);
    for (const value of Object.values(exported as object)) {
      if (!isFamily(value)) continue;
      const rows = [...(families.get(value.family)?.rows ?? []), ...value.rows];
      families.set(value.family, { family: value.family, rows });
    }
  }
  return [...families.values()];
}
