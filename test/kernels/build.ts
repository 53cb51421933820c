/** Assembles the bare-metal test kernels with the system's binutils; nothing is built twice from the same sources. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('.', import.meta.url));
const INCLUDES = join(SOURCES, 'include');
const OUT = fileURLToPath(new URL('../../build/kernels/', import.meta.url));

export interface TestKernel { name: string; bits: 32 | 64; source: string }

/** Sources by name: x.s in 64/ is an ELF64 with a PVH note, in 32/ a multiboot ELF32. */
export function testKernels(): TestKernel[] {
  return ([64, 32] as const).flatMap((bits) => readdirSync(join(SOURCES, String(bits)))
    .filter((file) => file.endsWith('.s'))
    .map((file) => ({ name: file.slice(0, -2), bits, source: join(SOURCES, String(bits), file) })));
}

const changed = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Path of the kernel's ELF file. */
export function buildKernel({ name, bits, source }: TestKernel): string {
  mkdirSync(OUT, { recursive: true });
  const elf = join(OUT, `${name}${bits}.elf`);
  const script = join(SOURCES, 'kernel.ld');
  const inputs = [source, script, ...readdirSync(INCLUDES).map((file) => join(INCLUDES, file))];
  if (Math.max(...inputs.map(changed)) < changed(elf)) return elf;
  const object = join(OUT, `${name}${bits}.${process.pid}.o`);
  execFileSync('as', [`--${bits}`, '-I', INCLUDES, '-o', object, source], { stdio: ['ignore', 'ignore', 'pipe'] });
  execFileSync('ld', ['-m', bits === 64 ? 'elf_x86_64' : 'elf_i386', '-z', 'max-page-size=4096', '-z', 'noexecstack', '--no-warn-rwx-segments', '--build-id=none', '-T', script, '-o', elf, object], { stdio: ['ignore', 'ignore', 'pipe'] });
  rmSync(object);
  return elf;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const kernel of testKernels()) if (process.argv.length < 3 || process.argv.includes(kernel.name)) console.log(buildKernel(kernel));
}
