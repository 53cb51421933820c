/** Debian's gcc in the guest compiles a program of more than 10,000 lines to the bytes that it makes of it here. */
import { expect, test } from 'vitest';
import { differences, FULL, type Job, record, runHere, runInGuest } from './witness.ts';
import { cProgram } from './witness_program.ts';

const script = (level: number): string => `
gcc -std=gnu11 -Werror=shift-count-overflow -O${level} -c program.c -o out/program.o || exit 1
echo compiled
objdump -d out/program.o | sha256sum > out/disassembly
gcc out/program.o -lm -o out/program && ./out/program > out/printed
`;

test('the program has 10,000 lines and is the same for the same seed', () => {
  const program = cProgram(10_000, 1);
  expect(program.split('\n').length).toBeGreaterThan(10_000);
  expect(cProgram(10_000, 1)).toBe(program);
  expect(cProgram(10_000, 2)).not.toBe(program);
});

test.skipIf(!FULL).each([0, 2])('gcc -O%i: the object, its disassembly, the executable and what it prints are the same', { timeout: 3_600_000 }, async (level) => {
  const program = cProgram(10_000, 1);
  const job: Job = { name: `gcc-O${level}`, inputs: { 'program.c': program }, script: script(level), vcpus: 1, deadlineMs: 3_000_000 };
  const here = await runHere(job);
  expect(here.log).not.toContain('error');
  expect(here.code).toBe(0);
  const guest = await runInGuest(job);
  const wrong = differences(guest, here);
  record(job.name, { lines: program.split('\n').length, bytes: Object.fromEntries([...here.files].map(([path, data]) => [path, data.length])), differences: wrong, seconds: { guest: guest.seconds, here: here.seconds } });
  expect(guest.code).toBe(0);
  expect(wrong).toEqual([]);
  expect([...guest.files.keys()].sort()).toEqual(['disassembly', 'printed', 'program', 'program.o']);
});
