/** The benchmark's initramfs: the default one with the benchmark programs and an init of their own on top. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { cpio, type CpioEntry } from '../scripts/guest/cpio.ts';
import { guestImages } from '../engine/machine/paths.ts';

/** Printed by the guest when it is up, and when every program has run. */
export const MARKER = '=====MARKER=====';
export const DONE = '=====BENCHDONE=====';

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
case "$(cat /proc/cmdline)" in *modules=1*) for m in $(cat /modules/order); do insmod /modules/$m; done ;; esac
echo "${MARKER} $(cut -d' ' -f1 /proc/uptime)"
for word in $(cat /proc/cmdline); do
  case $word in
    bench=all) for b in /bench/*; do $b; done ;;
    bench=*) /bench/\${word#bench=} ;;
  esac
done
echo "${DONE}"
poweroff -f
`;

/** Builds the programs with the system's compiler, static; returns paths of kernel and initramfs. */
export function benchImages(outDir: string): { kernel: string; ramdisk: string; programs: string[] } {
  mkdirSync(outDir, { recursive: true });
  const sources = fileURLToPath(new URL('programs/', import.meta.url));
  const entries: CpioEntry[] = [{ kind: 'dir', path: 'bench' }, { kind: 'file', path: 'bench-init', data: Buffer.from(INIT), mode: 0o755 }];
  const programs: string[] = [];
  for (const file of readdirSync(sources).filter((f) => f.endsWith('.c')).sort()) {
    const program = join(outDir, basename(file, '.c'));
    execFileSync('gcc', ['-O2', '-static', '-o', program, join(sources, file), '-lm']);
    programs.push(program);
    entries.push({ kind: 'file', path: `bench/${basename(program)}`, data: readFileSync(program), mode: 0o755 });
  }
  const { kernel, ramdisk } = guestImages();
  const path = join(outDir, 'bench.initrd');
  writeFileSync(path, Buffer.concat([readFileSync(ramdisk), gzipSync(cpio(entries))]));
  return { kernel, ramdisk: path, programs };
}
