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

/** What the kernel's command line asks for. `pair` runs one copy of the loop, then two at the same time. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
case "$(cat /proc/cmdline)" in *modules=1*) for m in $(cat /modules/order); do insmod /modules/$m; done ;; esac
echo "${MARKER} $(cut -d' ' -f1 /proc/uptime)"
now() { cut -d' ' -f1 /proc/uptime; }
for word in $(cat /proc/cmdline); do
  case $word in
    bench=all) for b in /bench/*; do $b; done ;;
    bench=*) /bench/\${word#bench=} ;;
    pair=*)
      n=\${word#pair=}
      a=$(now); /bench/loop $n; b=$(now)
      /bench/loop $n & /bench/loop $n; wait; c=$(now)
      echo "PAIR $a $b $c" ;;
    disk=*) /tools/disk /dev/vda \${word#disk=} ;;
    talk=*) /tools/console /dev/\${word#talk=} ;;
    busy=1) while :; do /bench/loop > /dev/null; done ;;
    idle=1) while :; do sleep 3600; done ;;
  esac
done
echo "${DONE}"
poweroff -f
`;

export interface BenchImages {
  kernel: string;
  ramdisk: string;
  /** The compute programs, which run on the host as well. */
  programs: string[];
  /** The host's end of the console benchmarks. */
  terminal: string;
}

const here = (name: string): string => fileURLToPath(new URL(`${name}/`, import.meta.url));

/** Compiles every program of a folder with the system's compiler, static. */
export function compile(folder: string, outDir: string, flags: string[] = []): string[] {
  mkdirSync(outDir, { recursive: true });
  return readdirSync(here(folder)).filter((file) => file.endsWith('.c')).sort().map((file) => {
    const program = join(outDir, basename(file, '.c'));
    execFileSync('gcc', ['-O2', '-static', ...flags, '-o', program, join(here(folder), file), '-lm'], { stdio: ['ignore', 'ignore', 'pipe'] });
    return program;
  });
}

export function benchImages(outDir: string): BenchImages {
  const entries: CpioEntry[] = [{ kind: 'file', path: 'bench-init', data: Buffer.from(INIT), mode: 0o755 }];
  const programs = compile('programs', join(outDir, 'bench'));
  const groups = { bench: programs, tools: compile('tools', join(outDir, 'tools')) };
  for (const [folder, files] of Object.entries(groups)) {
    entries.push({ kind: 'dir', path: folder });
    for (const file of files) entries.push({ kind: 'file', path: `${folder}/${basename(file)}`, data: readFileSync(file), mode: 0o755 });
  }
  const { kernel, ramdisk } = guestImages();
  const path = join(outDir, 'bench.initrd');
  writeFileSync(path, Buffer.concat([readFileSync(ramdisk), gzipSync(cpio(entries))]));
  return { kernel, ramdisk: path, programs, terminal: compile('host', join(outDir, 'host'))[0] };
}
