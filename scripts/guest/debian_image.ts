/**
 * A Debian userland from packages, for the long tests and the benchmarks: one tree, which this computer enters by chroot, and one ext4
 * image of the same tree, which the guest mounts read-only as its root. What runs in the guest and what it is compared
 * with are therefore the same files.
 *
 * @spec   Debian policy 7 (relationships), deb(5), merged /usr as in Debian 12
 * @cover  #Y Depends, Pre-Depends, alternatives   #N maintainer scripts, versioned relations (the index is one suite)
 * @differ Packages that only draw (Mesa, X and Wayland libraries beyond what a binary links) come along unused.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fetchPackage, type IndexEntry, PackageError, packageSource, type Source, unpackDeb } from './packages.ts';

/** What the witnesses and the benchmarks need; everything else follows from Depends. */
export const ROOTS: readonly string[] = [
  'bash', 'binutils', 'busybox-static', 'coreutils', 'dash', 'diffutils', 'findutils', 'gcc', 'grep', 'gzip', 'libc6-dev', 'libpython3.11-testsuite',
  'mount', 'openssl', 'python3', 'sed', 'sqlite3', 'stress-ng', 'tzdata', 'util-linux',
];
/** Named in Depends for maintainer scripts or services that do not run here. */
const LEFT_OUT: readonly string[] = ['awk', 'base-files', 'debconf', 'cdebconf', 'perl-base', 'init-system-helpers', 'media-types', 'mailcap', 'ca-certificates', 'libpam-runtime', 'libpam-modules', 'libpam-modules-bin', 'util-linux-extra'];
/** Directories that Debian 12 keeps below /usr. */
const MERGED = ['bin', 'lib', 'lib64', 'sbin'];
const MIB = 1 << 20;
const SPARE_MIB = 64;

export interface DebianImage {
  /** the userland as a folder */
  tree: string;
  /** the same as an ext4 file system */
  image: string;
  packages: Array<{ name: string; version: string; sha256: string }>;
}

/** One entry of Depends: what may satisfy it, in order of preference. */
export function alternatives(depends: string): string[][] {
  return depends.split(',').map((clause) => clause.split('|').map((word) => word.replace(/\(.*?\)|\[.*?\]/g, '').replace(/:any\b/, '').trim()).filter(Boolean)).filter((names) => names.length > 0);
}

/** The roots and all that they depend on, sorted by name. Throws PackageError when nothing satisfies a relation. */
export async function resolve(roots: readonly string[], leftOut: readonly string[], show: (name: string) => Promise<IndexEntry>): Promise<IndexEntry[]> {
  const chosen = new Map<string, IndexEntry>();
  const queue: string[][] = roots.map((name) => [name]);
  for (let next = queue.shift(); next; next = queue.shift()) {
    if (next.some((name) => chosen.has(name) || leftOut.includes(name))) continue;
    let entry: IndexEntry | undefined;
    for (const name of next) {
      entry = await show(name).catch((error: unknown) => {
        if (error instanceof PackageError) return undefined; // a virtual package, or one of another suite
        throw error;
      });
      if (entry) break;
    }
    if (!entry) throw new PackageError(`no package of the index is ${next.join(' or ')}`);
    chosen.set(entry.name, entry);
    queue.push(...alternatives(entry.depends));
  }
  return [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * PID 1 of the guest, and the first process in this computer's own copy of the tree: mounts what programs expect, runs
 * /work/run.sh with its output in /work/out/log, and in the guest switches the VM off.
 */
const INIT = `#!/bin/bash
export PATH=/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 TZ=UTC PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
mount -t proc proc /proc
mount -t sysfs sysfs /sys 2> /dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
[ -c /dev/ptmx ] || ln -s pts/ptmx /dev/ptmx
for dir in /tmp /run /root /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs $dir; done
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do [ -e /dev/\${link%%:*} ] || ln -s \${link#*:} /dev/\${link%%:*}; done
busybox hostname witness
busybox ip link set lo up
[ "$1" = here ] || mount -t ext4 /dev/vdb /work
mkdir -p /work/out
cd /work
echo "WITNESS-START"
if [ "$1" = here ]; then bash ./run.sh > out/log 2>&1 < /dev/null; else bash ./run.sh 2>&1 < /dev/null | tee out/log; fi
code=\${PIPESTATUS[0]}
[ "$1" = here ] && exit $code
cd /
sync
umount /work
echo "WITNESS-END $code"
busybox poweroff -f
`;

const FILES: Record<string, string> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  'etc/group': 'root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n',
  'etc/hosts': '127.0.0.1 localhost witness\n::1 localhost\n',
  'etc/hostname': 'witness\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\nservices: files\n',
  'usr/sbin/witness-init': INIT,
};

/** Enters the tree in namespaces of its own: nothing that the job mounts or starts outlives it. $1 tree, $2 work. */
const ENTER = `set -e
mount --bind "$1" "$1"
mount -o remount,ro,bind "$1"
mount -t tmpfs tmpfs "$1/dev"
for node in null zero full random urandom tty; do : > "$1/dev/$node"; mount --bind /dev/$node "$1/dev/$node"; done
mount --bind "$2" "$1/work"
exec chroot "$1" /usr/sbin/witness-init here
`;

/** Command and arguments that run the job in the folder `work` on this computer, from the tree. */
export function enterTree(tree: string, work: string): [command: string, args: string[]] {
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return ['unshare', [...asRoot, '--mount', '--pid', '--fork', '--kill-child', '--uts', '--ipc', '--net', 'sh', '-c', ENTER, 'enter', tree, work]];
}

function recipeHash(): string {
  return createHash('sha256').update(readFileSync(new URL(import.meta.url))).digest('hex').slice(0, 16);
}

/** Unpacks the packages over one merged-/usr tree and adds the files of our own. */
function makeTree(tree: string, packages: readonly string[]): void {
  for (const dir of [...MERGED.map((name) => `usr/${name}`), 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp', 'var/tmp', 'work']) mkdirSync(join(tree, dir), { recursive: true });
  for (const name of MERGED) symlinkSync(`usr/${name}`, join(tree, name));
  for (const path of packages) unpackDeb(path, tree, ['--keep-directory-symlink']);
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(join(tree, path, '..'), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  chmodSync(join(tree, 'usr/sbin/witness-init'), 0o755);
  for (const [path, target] of [['etc/mtab', '../proc/self/mounts'], ['etc/localtime', '../usr/share/zoneinfo/UTC']]) if (!existsSync(join(tree, path))) symlinkSync(target, join(tree, path));
}

function mke2fs(args: string[]): void {
  const tool = ['mke2fs', '/sbin/mke2fs', '/usr/sbin/mke2fs'].find((c) => spawnSync(c, ['-V'], { stdio: 'ignore' }).status === 0);
  if (!tool) throw new PackageError('mke2fs is not here, and the disk images need it: install the package e2fsprogs');
  execFileSync(tool, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Writes `contents` as a sparse ext4 image of this size. */
export function makeExt4(contents: string, image: string, sizeMiB: number): void {
  writeFileSync(image, '');
  truncateSync(image, sizeMiB * MIB);
  mke2fs(['-q', '-F', '-t', 'ext4', '-m', '0', '-E', 'root_owner=0:0', '-d', contents, image]);
}

/** Size of a folder on disk, MiB. */
function treeMiB(tree: string): number {
  return Math.ceil(Number(execFileSync('du', ['-sk', tree], { encoding: 'utf8' }).split('\t')[0]) / 1024);
}

/**
 * The userland, from the cache or built there. The manifest in the cache names every package with its SHA-256; a
 * changed recipe (this file) builds anew. Throws PackageError with what to do.
 */
export async function debianImage(cacheDir: string, log: (line: string) => void, source: () => Source = () => packageSource(log)): Promise<DebianImage> {
  const dir = join(cacheDir, 'debian');
  const at = { tree: join(dir, 'tree'), image: join(dir, 'debian.img') };
  const manifestPath = join(dir, 'manifest.json');
  const recipe = recipeHash();
  if (existsSync(manifestPath)) {
    const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as { recipe: string; packages: DebianImage['packages'] };
    if (manifest.recipe === recipe) return { ...at, packages: manifest.packages };
  }
  log('Building the Debian userland of witness tests and benchmarks from packages');
  mkdirSync(cacheDir, { recursive: true });
  const index = source();
  const entries = await resolve(ROOTS, LEFT_OUT, (name) => index.show(name));
  const known: Source = { show: (name) => Promise.resolve(entries.find((e) => e.name === name)!), download: (entry, into) => index.download(entry, into) };
  const debs = [];
  for (const { name } of entries) debs.push(await fetchPackage(name, join(cacheDir, 'debs'), known, log));
  const work = mkdtempSync(join(cacheDir, 'work-'));
  try {
    log(`  unpacking ${debs.length} packages`);
    makeTree(join(work, 'tree'), debs.map((deb) => deb.path));
    log('  making the ext4 image');
    makeExt4(join(work, 'tree'), join(work, 'debian.img'), Math.ceil(treeMiB(join(work, 'tree')) * 1.15) + SPARE_MIB);
    const packages = debs.map(({ name, version, sha256 }) => ({ name, version, sha256 }));
    writeFileSync(join(work, 'manifest.json'), `${JSON.stringify({ recipe, packages }, null, 2)}\n`);
    rmSync(dir, { recursive: true, force: true });
    renameSync(work, dir);
    return { ...at, packages };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
