/** Runs one guest on v86, its serial port on standard output, until it prints the end mark. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { V86Job } from './v86.ts';

interface Emulator { add_listener(event: string, listener: (value: number) => void): void; destroy(): Promise<void> }
interface V86Module { V86: new (options: Record<string, unknown>) => Emulator }

process.once('message', (message) => { void run(message as V86Job); });

async function run(job: V86Job): Promise<void> {
  const { V86 } = (await import(pathToFileURL(join(job.packageDir, 'build/libv86.mjs')).href)) as V86Module;
  const file = (path: string) => ({ buffer: Uint8Array.from(readFileSync(path)).buffer });
  const emulator = new V86({
    wasm_path: join(job.packageDir, 'build/v86.wasm'), memory_size: job.memoryMiB << 20, vga_memory_size: 8 << 20,
    bios: file(job.bios), vga_bios: file(job.vgaBios), bzimage: file(job.kernel), initrd: file(job.ramdisk), cmdline: job.cmdline,
    autostart: true, disable_speaker: true,
  });
  let line = '';
  emulator.add_listener('serial0-output-byte', (byte) => {
    line += String.fromCharCode(byte);
    if (byte !== 10) return;
    const done = line.includes(job.done);
    process.stdout.write(line, 'latin1', () => { if (done) process.exit(); });
    line = '';
  });
}
