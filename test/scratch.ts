import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Every temporary file of a test run lies in one folder that goes with the run, also what a failed or killed test leaves; so does compiled code that is kept. */
export default function setup(): () => void {
  const before = process.env.TMPDIR;
  const scratch = mkdtempSync(join(tmpdir(), 'acrn-test-'));
  process.env.TMPDIR = scratch;
  process.env.ACRN_JIT_KEEP ??= join(scratch, 'jit');
  return () => {
    rmSync(scratch, { recursive: true, force: true });
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  };
}
