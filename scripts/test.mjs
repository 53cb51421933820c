/**
 * The test command: sets up what tests need, then type check, lint and every test tier that `npm test` holds;
 * `--full` adds the long tiers. Ends with one line of totals over all tiers.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureNode, root, run, setup, toolEnvironment } from './setup.mjs';

ensureNode();
const full = process.argv.includes('--full');
const seconds = () => Math.round(performance.now() / 1000);
const step = (name) => console.log(`\n== ${name} (at ${seconds()} s)`);

step('set-up');
await setup({ tests: true });
run('node', ['scripts/build.mjs']);
step('type check');
run('npm', ['run', '-s', 'typecheck']);
step('lint');
run('npm', ['run', '-s', 'lint']);

const results = join(root, 'build', 'test-results');
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
const totals = { passed: 0, failed: 0, skipped: 0 };
let failed = false;
for (const project of ['unit', 'differential', 'guest', 'e2e']) {
  step(`${project} tests`);
  const report = join(results, `${project}.json`);
  const result = spawnSync('vitest', ['run', '--project', project, '--passWithNoTests', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    env: { ...toolEnvironment(), ...(full ? { ACRN_TEST_FULL: '1' } : {}) },
  });
  if (result.status !== 0) failed = true;
  if (!existsSync(report)) continue;
  const summary = JSON.parse(readFileSync(report, 'utf8'));
  totals.passed += summary.numPassedTests;
  totals.failed += summary.numFailedTests;
  totals.skipped += summary.numPendingTests + summary.numTodoTests;
}
console.log(`\ntotal time ${seconds()} s`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(failed || totals.passed === 0 ? 1 : 0);
