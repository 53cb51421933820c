/** Serves the real page over the fake engine. `--demo` brings some VMs along. Prints the link and ends with its parent. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../../../main/serving.ts';
import { definition, fakeEngine } from './fake_engine.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'acrn-desktop-'));
const engine = fakeEngine(new URL('./nuc_process.ts', import.meta.url), dataDir);
if (process.argv.includes('--demo')) {
  await engine.store.create(definition('vm1', { cpuAffinity: [1, 2], memoryMiB: 768 }));
  await engine.store.create(definition('vm2', { cpuAffinity: [3], memoryMiB: 512 }));
  await engine.store.create(definition('build-box', { cpuAffinity: [2, 3], memoryMiB: 1024 }));
  engine.store.files.set('old', { name: 'old', path: '/vms/old.json', problem: { code: 'VM_UNREADABLE', what: 'old.json is not a VM definition', why: 'memoryMiB: expected number, got string', todo: 'Correct the file or delete the VM' } });
}
const { close } = await serve(engine, { port: 0, open: false, version: '0.1.0', pageDir: fileURLToPath(new URL('../../../out/renderer', import.meta.url)) }, (line) => process.stdout.write(`${line}\n`));
const end = (): void => { close().finally(() => { rmSync(dataDir, { recursive: true, force: true }); process.exit(0); }); };
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.stdin.on('end', end).resume();
