/**
 * Makes cases from the opcode table: bytes of an instruction in one of its forms, and a machine state in which it is
 * likely to do something.
 *
 * @cover #Y prefixes, REX, VEX, all ModRM addressing forms, faulting operands, 64-bit and compatibility mode
 *        #Y FS- and GS-relative operands, operands across pages, 16-bit addressing (in 32-bit code, where it faults or is LEA's)
 *        #Y 16-bit code, with offsets beyond the segments' limits
 *        #N system instructions, segment loads
 */
import type { OpcodeRow } from '../../engine/core/tables/opcode_row.ts';
import { parseRow, type Form } from '../../engine/core/tables/encoding.ts';
import { loadFamilies } from '../../engine/core/tables/opcodes/index.ts';
import { Batch, CODE_BYTES, IN, WINDOW_ADDRESS, WINDOW_BYTES, type CaseInfo } from './case.ts';
import { Encoder } from './encode.ts';
import { Random, integer } from './random.ts';
import { fillState, stackAddress } from './state.ts';
import { STATUS, undefinedAfter } from './undefined.ts';

/** Ops that cannot be compared: they reach the host's kernel, its clocks or its descriptor tables. */
const EXCLUDED = new Set([
  'INT1', 'INT3', 'INT_I', 'INTO', 'SYSCALL', 'SYSRET', 'SYSENTER', 'SYSEXIT', 'RDTSC', 'RDTSCP', 'RDPMC', 'CPUID', 'RDRAND', 'RDSEED', 'RDPID',
  'VMCALL', 'XGETBV', 'XSETBV', 'CLAC', 'STAC', 'UD0',
]);
const SYSTEM_OPS = new Set(['LFENCE', 'MFENCE', 'SFENCE', 'CLFLUSH', 'PAUSE', 'RDFSBASE', 'RDGSBASE', 'WRFSBASE', 'WRGSBASE']);

export interface Source { readonly family: string; readonly forms: readonly Form[] }

/** The forms that can be compared, by family, and those which the host lacks. */
export async function loadSources(hostFeatures: ReadonlySet<string>): Promise<{ sources: Source[]; lacking: string[] }> {
  const lacking = new Set<string>();
  const sources: Source[] = [];
  for (const { family, rows } of await loadFamilies()) {
    const usable = rows.filter((row) => {
      if (EXCLUDED.has(row.op)) return false;
      if (family === 'system' && !SYSTEM_OPS.has(row.op)) return false;
      if (row.feature !== undefined && !hostFeatures.has(row.feature)) { lacking.add(row.feature); return false; }
      return true;
    });
    const forms = usable.flatMap((row: OpcodeRow) => parseRow(row));
    if (forms.length > 0) sources.push({ family, forms });
  }
  return { sources, lacking: [...lacking] };
}

/** Appends a case of `form` to the batch. */
export function generateCase(batch: Batch, source: Source, form: Form, r: Random, bits16 = false): void {
  const { row } = form;
  const mode = bits16 ? 2 : row.mode === 'i64' ? 1 : row.mode === 'o64' || form.rexW === 'W1' ? 0 : r.chance(0.2) ? 1 : 0;
  const o = batch.offset(batch.count);
  const b = batch.bytes;
  b.fill(0, o, o + CODE_BYTES);
  const gpr = new BigUint64Array(16);
  for (let i = 0; i < 16; i += 1) gpr[i] = integer(r);
  let rflags = 0x202 | (r.u32() & STATUS) | (r.chance(0.1) ? 0x400 : 0);
  const pinned = fillState(b.subarray(o, o + IN.BYTES), gpr, source.family, form, mode, r);

  if (r.chance(0.05)) rflags |= 0x4_0000; // AC
  if (row.op === 'PUSHF' || row.op === 'POPF') rflags |= r.u32() & 0x20_4000; // ID, NT
  const encoder = new Encoder(form, mode, r, gpr, pinned);
  const bytes = encoder.encode(source.family);
  bytes.copy(b, o);
  if (mode !== 0) for (let i = 0; i < 16; i += 1) gpr[i] = i < 8 ? gpr[i] & 0xffff_ffffn : 0n;
  if (source.family === 'string') rflags = (rflags & ~0x400) | (r.chance(0.3) ? 0x400 : 0);
  b.writeUInt32LE(bytes.length, o + IN.LENGTH);
  b.writeUInt32LE(mode, o + IN.MODE);
  for (let i = 0; i < 16; i += 1) b.writeBigUInt64LE(gpr[i], o + IN.GPR + i * 8);
  b.writeBigUInt64LE(BigInt(rflags), o + IN.RFLAGS);
  b.writeBigUInt64LE(encoder.bases[0], o + IN.FS_BASE);
  b.writeBigUInt64LE(encoder.bases[1], o + IN.GS_BASE);
  encoder.pointers(b.subarray(o + IN.WINDOW, o + IN.BYTES), r);
  if (row.op === 'POPF') {
    const at = stackAddress(gpr, mode) - WINDOW_ADDRESS;
    if (at >= 0 && at + 8 <= WINDOW_BYTES) b.writeBigUInt64LE(BigInt((r.u32() & (r.chance(0.9) ? 0x3f_7fff : -1)) >>> 0), o + IN.WINDOW + at);
  }
  batch.infos.push(infoOf(source.family, form, encoder, gpr));
}

const TRANSCENDENTAL = new Set(['FSIN', 'FCOS', 'FSINCOS', 'FPTAN', 'FPATAN', 'F2XM1', 'FYL2X', 'FYL2XP1']);
const APPROXIMATE = new Set(['RCPPS', 'RCPSS', 'RSQRTPS', 'RSQRTSS']);

function infoOf(family: string, form: Form, encoder: Encoder, gpr: BigUint64Array): CaseInfo {
  const { op } = form.row;
  const count = /_EC$|_C$/.test(op) ? Number(gpr[1] & 0xffn) : /_E1$/.test(op) ? 1 : Number(encoder.immediate & 0xffn);
  const undefined_ = undefinedAfter(op, encoder.operandBytes, count);
  return {
    family, ops: [op], undefinedFlags: undefined_.flags, undefinedResult: undefined_.result,
    x87Ulps: TRANSCENDENTAL.has(op) ? 1 : 0, approximate: APPROXIMATE.has(op),
    image: encoder.target - WINDOW_ADDRESS, wordSize: encoder.operandBytes, maskFaultFlags: false,
  };
}

