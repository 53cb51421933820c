/** Prints what the last witness run recorded in build/witness as the tables of docs/witness.md: `node test/guest/witness_table.ts`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readJunit } from './junit.ts';

const records = fileURLToPath(new URL('../../build/witness/', import.meta.url));
const list = (value: unknown): string[] => (Array.isArray(value) ? (value as string[]) : []);

function line(name: string, found: Record<string, unknown>): string {
  const seconds = found['seconds'] as number | { guest: number; here: number };
  const took = typeof seconds === 'number' ? `${seconds} s` : `${seconds.guest} s (here ${seconds.here} s)`;
  const wrong = [...list(found['differences']), ...list(found['unexplained'])];
  const counts = Object.entries(found).filter(([, value]) => typeof value === 'number' && value !== seconds).map(([key, value]) => `${key} ${String(value)}`).join(', ');
  const alsoHere = list(found['failedHereToo']).length;
  return `| ${name} | ${counts}${alsoHere ? ` (${alsoHere} of the failed fail here too)` : ''} | ${wrong.length} | ${took} |`;
}

if (!existsSync(records)) {
  console.error('Nothing is recorded yet: run ACRN_TEST_FULL=1 npx vitest run --project guest test/guest/witness');
  process.exit(1);
}
console.log('| Witness | Counted in the guest | Wrong | Time |\n|---|---|---|---|');
for (const file of readdirSync(records).filter((name) => name.endsWith('.json')).sort()) console.log(line(file.replace(/\.json$/, ''), JSON.parse(readFileSync(`${records}${file}`, 'utf8')) as Record<string, unknown>));

const modules = readdirSync(records, { recursive: true, encoding: 'utf8' })
  .flatMap((path) => /^python-.*\.guest\/junit\/(test_\w+)\.xml$/.exec(path) ? [path] : [])
  .map((path) => {
    const results = [...readJunit(readFileSync(`${records}${path}`, 'utf8')).values()];
    const count = (result: string): number => results.filter((r) => r === result).length;
    const module = path.replace(/^.*\/test_|\.xml$/g, '');
    return `${module} ${count('passed')}${count('skipped') ? ` (${count('skipped')} skipped)` : ''}${count('failed') ? ` (${count('failed')} failed)` : ''}`;
  });
if (modules.length > 0) console.log(`\n${modules.length} python modules, test cases passed:\n${modules.sort().join(', ')}.`);
