/** Every row of the opcode table on every CPU model: what CPUID does not offer does not execute. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadCoreModule } from '../../../../core/core.ts';
import { CODE, CoreTestMachine, DATA } from '../../../../core/core_test_machine.ts';
import { OP, OP_NAMES } from '../../../../core/gen/ops.ts';
import { S } from '../../../../core/gen/state.ts';
import { JitMachine } from '../../../../core/jit_test_machine.ts';
import { MAPS, PREFIX, parseRow, type Form } from '../../../../core/tables/encoding.ts';
import { ALL_FEATURES, featureMask } from '../../../../core/tables/features.ts';
import { layout } from '../../../../core/tables/layout.ts';
import { loadFamilies } from '../../../../core/tables/opcodes/index.ts';
import { featuresOf, type CpuModel } from './cpuid_models.ts';

const MODELS = ['v1', 'v2', 'nuc'] as const;
const UD = -1 - 6;
const GP = -1 - 13;
const HLT = 12;
const MODE_LONG64 = 1 | 8 | 128;
const MODE_FLAT32 = 2 | 4 | 8 | 64;
const RECORD = layout.PCPU_BASE + 0x1f_0000;

let module: WebAssembly.Module;
let forms: Form[];
beforeAll(async () => {
  module = await loadCoreModule();
  forms = (await loadFamilies()).flatMap(({ rows }) => rows.flatMap((row) => parseRow(row)));
});

/** Bytes of the form: registers 2 and 3, or memory at [rdi]; immediates are 0. */
function encode(form: Form): number[] {
  const modRm = form.hasModRm ? [(form.mod === 2 ? 0 : 0xc0) | ((form.digit < 0 ? 2 : form.digit) << 3) | (form.rm >= 0 ? form.rm : form.mod === 2 ? 7 : 3)] : [];
  const zeros = [0, 0, 0, 0, 0, 0, 0, 0];
  const mandatory = form.prefix === PREFIX['66'] ? 0x66 : form.prefix === PREFIX.F3 ? 0xf3 : form.prefix === PREFIX.F2 ? 0xf2 : 0;
  if (form.map >= 4) {
    const pp = mandatory === 0x66 ? 1 : mandatory === 0xf3 ? 2 : mandatory === 0xf2 ? 3 : 0;
    const vvvv = form.vexNoVvvv ? 15 : 12;
    return [0xc4, 0xe0 | (form.map - 3), (form.rexW === 'W1' ? 0x80 : 0) | (vvvv << 3) | (form.vexL === 'L1' ? 4 : 0) | pp, form.opcode, ...modRm, ...zeros];
  }
  const map = { '': [], '0F': [0x0f], '0F38': [0x0f, 0x38], '0F3A': [0x0f, 0x3a] }[MAPS[form.map] as string]!;
  return [...(mandatory ? [mandatory] : []), ...(form.rexW === 'W1' ? [0x48] : []), ...map, form.opcode, ...modRm, ...zeros];
}

const name = (form: Form): string => `${form.row.op} '${form.row.encoding}'`;

describe.each(MODELS)('CPU model %s', (model) => {
  test('decodes every opcode row that it has, and no other', () => {
    const m = new CoreTestMachine(module);
    m.core.offer(featuresOf(model));
    const offered = new Set<string>(featuresOf(model));
    const record = new DataView(m.core.memory.buffer, RECORD, 32);
    const wrong: string[] = [];
    for (const form of forms) {
      const { op, mode, feature, elseIgnored } = form.row;
      m.ram.set(encode(form), DATA);
      m.core.decodeAt(RECORD, layout.RAM_BASE + DATA, mode === 'i64' ? MODE_FLAT32 : MODE_LONG64);
      const is = OP_NAMES[record.getUint16(0, true)];
      const lacks = feature !== undefined && !offered.has(feature);
      const ought = !lacks ? op : elseIgnored ? { TZCNT: 'BSF', LZCNT: 'BSR' }[op] : 'UNDEFINED';
      if (is !== ought) wrong.push(`${name(form)} is ${is}`);
    }
    expect(wrong).toEqual([]);
  });

  test('raises #UD for each instruction whose feature it lacks, at CPL 0 and 3; where it has it, not otherwise than a CPU that has everything', () => {
    const offered = new Set<string>(featuresOf(model));
    const wrong: string[] = [];
    for (const user of [false, true]) {
      const [m, everything] = [new CoreTestMachine(module), new CoreTestMachine(module)];
      m.core.offer(featuresOf(model));
      for (const form of forms) {
        const { mode, feature, elseIgnored } = form.row;
        if (feature === undefined || mode === 'i64' || form.opcodeRegister) continue;
        const run = (on: CoreTestMachine): number => {
          on.core.reset();
          on.long64(user).load([...encode(form).slice(0, -8), 0xf4, 0xf4, 0xf4, 0xf4]);
          on.core.setU64(S.CR4, on.core.u64(S.CR4) | 0x1_0000n); // FSGSBASE
          on.core.setU32(S.MXCSR, 0x1f80);
          on.core.setU64(S.CR0, on.core.u64(S.CR0) & ~0xcn); // EM, TS
          on.core.syncAfterStateWrite();
          for (let i = 0; i < 16; i += 1) on.setReg(i, i === 4 ? 0x2_0000n : BigInt(DATA));
          on.setReg(1, 0n);
          return on.run(1);
        };
        const got = run(m);
        const ought = offered.has(feature) || elseIgnored ? run(everything) : UD;
        if (got !== ought) wrong.push(`${name(form)} at CPL ${user ? 3 : 0}: ${got} instead of ${ought}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('lets CR4 have the bits of its features only', () => {
    const m = new CoreTestMachine(module);
    m.core.offer(featuresOf(model));
    // UMIP 11, FSGSBASE 16, PCIDE 17, OSXSAVE 18, SMEP 20, SMAP 21 are the NUC's; VME to OSXMMEXCPT but PAE, which is set, are everybody's.
    const everybodys = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10];
    const nucs = [11, 16, 17, 18, 20, 21];
    for (let bit = 0; bit < 32; bit += 1) {
      if (bit === 5) continue;
      m.core.reset();
      m.long64().load([0x0f, 0x22, 0xe0]); // mov cr4, rax
      m.setReg(0, 0x20n | (1n << BigInt(bit)));
      const ought = everybodys.includes(bit) || (model === 'nuc' && nucs.includes(bit)) ? HLT : GP;
      expect([bit, m.run()]).toEqual([bit, ought]);
    }
  });

  test('LAHF and SAHF of 32-bit code execute whatever the model', () => {
    const m = new CoreTestMachine(module);
    m.core.offer(featuresOf(model));
    m.flat32().load([0x9f, 0x9e]);
    expect(m.run()).toBe(HLT);
  });

  test('a page of 1 GiB has a reserved bit set unless the model has them', () => {
    const m = new CoreTestMachine(module);
    m.core.offer(featuresOf(model));
    m.long64();
    m.data.setBigUint64(0x2008, 0x83n, true); // 1 GiB and up is memory from 0
    m.load([0x8b, 0x07]); // mov eax, [rdi]
    m.setReg(7, 0x4000_0000n + BigInt(DATA));
    m.core.syncAfterStateWrite();
    if (model === 'nuc') {
      expect(m.run()).toBe(HLT);
    } else {
      expect(m.run()).toBe(-1 - 14);
      expect(m.core.u32(S.EXIT_INTR_ERROR_CODE) & 8).toBe(8); // RSVD
    }
  });
});

/** f3 0f bd c3 lzcnt eax,ebx; f3 0f bc d3 tzcnt edx,ebx; dec ecx; jnz; hlt */
const COUNT_ZEROS = Buffer.from('f30fbdc3 f30fbcd3 ffc9 75f4 f4'.replaceAll(' ', ''), 'hex');

test.each(['off', 'on'] as const)('JIT %s: LZCNT and TZCNT are BSR and BSF on a model without them, also when a model with them was there before', (jit) => {
  const m = new JitMachine(module, jit, 4);
  m.put(COUNT_ZEROS);
  const count = (model: CpuModel): bigint[] => {
    m.core.offer(featuresOf(model));
    m.start();
    m.setGpr(1, 2000n);
    m.setGpr(3, 0x100n);
    expect(m.core.run(100_000)).toBe(HLT);
    return [m.gpr(0), m.gpr(2)];
  };
  expect(count('nuc')).toEqual([23n, 8n]);
  expect(count('v2')).toEqual([8n, 8n]);
  expect(count('v2')).toEqual([8n, 8n]);
  expect(count('nuc')).toEqual([23n, 8n]);
  if (jit === 'on') expect(m.core.jit!.statistics.functions).toBeGreaterThanOrEqual(3);
});

test('reset() leaves the model\'s features alone', () => {
  const m = new CoreTestMachine(module);
  m.core.offer(featuresOf('v1'));
  m.core.reset();
  m.long64().load([0xf3, 0x0f, 0xb8, 0xc3]); // popcnt eax, ebx
  expect(m.run()).toBe(UD);
  expect(m.rip).toBe(CODE);
});

test('MONITOR and MWAIT belong to no model; the core has them', () => {
  for (const model of MODELS) expect(featureMask(featuresOf(model)) & featureMask(['monitor'])).toBe(0n);
  expect(ALL_FEATURES & featureMask(['monitor'])).not.toBe(0n);
  expect(OP.MONITOR).toBeGreaterThan(1);
});
