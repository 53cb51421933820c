/** The host processor as a machine: builds native.c when it is newer than its program, and feeds it batches. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { OUT, WINDOW_ADDRESS, type Batch } from './case.ts';

const source = fileURLToPath(new URL('native.c', import.meta.url));
const program = fileURLToPath(new URL('../../build/differential/native', import.meta.url));

/** Why the host cannot run cases, or null. */
export function nativeUnavailable(): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `needs Linux on x86-64, not ${process.platform} on ${process.arch}`;
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'needs a C compiler named cc';
  }
  return null;
}

export function buildNative(): void {
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return;
  mkdirSync(fileURLToPath(new URL('../../build/differential', import.meta.url)), { recursive: true });
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-mfsgsbase', '-fno-stack-protector', '-o', program, source], { stdio: 'inherit' });
}

/** Runs a batch; the outcomes are OUT.BYTES each. */
export function runNative(batch: Batch): Buffer {
  batch.bytes.writeUInt32LE(batch.count, 0);
  batch.bytes.writeUInt32LE(WINDOW_ADDRESS, 4);
  const result = spawnSync(program, { input: batch.bytes.subarray(0, batch.offset(batch.count)), maxBuffer: batch.count * OUT.BYTES + 4096 });
  if (result.status !== 0 || result.stdout.length !== batch.count * OUT.BYTES) {
    const which = /case (\d+)/.exec(String(result.stderr));
    const at = which === null ? '' : `: ${batch.infos[Number(which[1])].ops.join(' ')} ${batch.code(Number(which[1])).toString('hex')}`;
    throw new Error(`native helper failed (status ${result.status}, signal ${result.signal}) ${String(result.stderr).trim()}${at}`);
  }
  return result.stdout;
}

/** CPUID features of the host, named as the opcode table names them. */
export function hostFeatures(): ReadonlySet<string> {
  const line = /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  const flags = new Set(line.split(' '));
  const names: Record<string, string> = {
    sse3: 'pni', 'sse4.1': 'sse4_1', 'sse4.2': 'sse4_2', lzcnt: 'abm', pclmulqdq: 'pclmulqdq', cx8: 'cx8', clfsh: 'clflush', sha: 'sha_ni',
    aesni: 'aes', fxsr: 'fxsr', lahf: 'lahf_lm',
  };
  const features = new Set(flags);
  for (const [ours, theirs] of Object.entries(names)) if (flags.has(theirs)) features.add(ours);
  return features;
}
