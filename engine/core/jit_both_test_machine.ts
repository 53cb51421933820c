/** The same code interpreted and compiled: what both leave must be the same. */
import { expect } from 'vitest';
import { S } from './gen/state.ts';
import { J } from './jit/layout.ts';
import { DATA, EXIT, GDT, JitMachine, MAPPED, type Width } from './jit_test_machine.ts';

const THRESHOLD = 4;
const GDT_PAGE = GDT & ~0xfff;

export const compiledInstructions = (m: JitMachine): number => Number(m.core.u64(J.EXECUTED));
/** Vector of the exception that ended the run. */
export const vector = (m: JitMachine): number => m.core.u32(S.EXIT_INTR_INFO) & 0xff;

/**
 * Runs code from CODE with and without the JIT until it leaves for `reason`; expects the same state, memory and paging
 * structures, and at least so many compiled instructions to have run. The machine that compiled.
 */
export function inBothModes(module: WebAssembly.Module, width: Width, code: Buffer, prepare: (m: JitMachine) => void, reason: number = EXIT.HLT, least = 1): JitMachine {
  const [interpreted, compiled] = (['off', 'on'] as const).map((jit) => {
    const m = new JitMachine(module, jit, THRESHOLD, width);
    m.put(code);
    m.start();
    prepare(m);
    let left: number;
    do left = m.core.run(100_000); while (left === EXIT.BUDGET);
    expect(left).toBe(reason);
    return m;
  });
  expect(compiled.state()).toBe(interpreted.state());
  expect(vector(compiled)).toBe(vector(interpreted));
  expect(compiled.ram.compare(interpreted.ram, DATA, MAPPED, DATA, MAPPED)).toBe(0);
  expect(compiled.ram.compare(interpreted.ram, 0, GDT_PAGE, 0, GDT_PAGE)).toBe(0);
  expect(compiledInstructions(compiled)).toBeGreaterThanOrEqual(least);
  return compiled;
}
