/**
 * node test/differential/run.ts [--cases N] [--seed S] [--class NAME] [--op NAME] [--show N] [--keep N] [--state] [--core FILE] [--jit | --bits16] [--record]
 *
 * Compares the interpreter, or with --jit compiled code, with the host processor: 64- and 32-bit code, or with --bits16
 * 16-bit code in segments of a local descriptor table. Prints a table by class and the
 * first mismatches. --record adds the counts to those in results.json, in place of a class's that had the same seed.
 */
import { parseArgs } from 'node:util';
import { runDifferential } from './differential.ts';
import { nativeUnavailable } from './native.ts';
import { addRun, readResults, recordResults } from './results.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '200000' }, seed: { type: 'string', default: '1' }, class: { type: 'string' }, op: { type: 'string' },
    show: { type: 'string', default: '20' }, keep: { type: 'string', default: '2' }, state: { type: 'boolean', default: false }, core: { type: 'string' },
    jit: { type: 'boolean', default: false }, bits16: { type: 'boolean', default: false }, record: { type: 'boolean', default: false },
  },
});
const reason = nativeUnavailable();
if (reason !== null) {
  console.error(`The differential test ${reason}.`);
  process.exit(2);
}
const started = Date.now();
const { classes, lacking, compiledCases } = await runDifferential({
  cases: Number(values.cases), seed: Number(values.seed), family: values.class, op: values.op, keep: Number(values.keep), core: values.core, jit: values.jit, bits16: values.bits16,
});
const seconds = (Date.now() - started) / 1000;
console.log(`${'class'.padEnd(14)}${'cases'.padStart(10)}${'faults'.padStart(10)}${'mismatches'.padStart(12)}`);
let total = 0;
let wrong = 0;
for (const c of classes) {
  console.log(`${c.family.padEnd(14)}${String(c.cases).padStart(10)}${String(c.faults).padStart(10)}${String(c.mismatches).padStart(12)}`);
  total += c.cases;
  wrong += c.mismatches;
}
console.log(`${'total'.padEnd(14)}${String(total).padStart(10)}${' '.repeat(10)}${String(wrong).padStart(12)}   ${seconds.toFixed(1)} s, ${Math.round(total / seconds)} cases/s`);
if (values.jit) console.log(`${compiledCases} cases in compiled code`);
if (lacking.length > 0) console.log(`not on this host: ${lacking.join(' ')}`);
for (const c of classes) {
  if (c.mismatches === 0) continue;
  console.log(`\n${c.family}: ${[...c.byOp].toSorted((a, b) => b[1] - a[1]).map(([op, n]) => `${op} ${n}`).join(', ')}`);
  for (const m of c.first.slice(0, Number(values.show))) {
    console.log(`  ${m.text}  [${m.code}]\n    expected ${m.what}`);
    if (values.state) console.log(`    ${m.before}`);
  }
}
if (values.record) {
  const kind = values.jit ? 'nativeJit' : values.bits16 ? 'native16' : 'native';
  if (values.op !== undefined) throw new Error('--record wants whole classes');
  const known = readResults()[kind]?.classes ?? {};
  const recorded = { ...known };
  for (const { family, cases, mismatches, ops } of classes) {
    const byOp = Object.fromEntries([...ops].toSorted(([x], [y]) => (x < y ? -1 : 1)));
    recorded[family] = addRun(known[family], { seeds: [Number(values.seed)], cases, mismatches, ops: byOp });
  }
  recordResults({ [kind]: { classes: recorded } });
}
process.exitCode = wrong === 0 ? 0 : 1;
