/**
 * Builds the default User OS from Debian's packages: the unmodified cloud kernel, an initramfs with busybox and the
 * virtio modules, and an ext4 root image. Everything lands in the cache directory; a manifest says what it was made of.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpio, type CpioEntry } from './cpio.ts';
import { GROUP, HOSTNAME, INIT, INITTAB, MODULES, PASSWD, POWER_BUTTON, PROFILE, RCS } from './files.ts';
import { fetchPackage, PackageError, packageSource, unpackDeb } from './packages.ts';

const KERNEL_META = 'linux-image-cloud-amd64';
const IMAGE_MIB = 64;

export interface GuestManifest {
  /** Changes whenever this recipe does. */
  recipe: string;
  packages: Array<{ name: string; version: string; sha256: string }>;
}

/** The recipe's own fingerprint: a changed recipe rebuilds the guest. */
function recipeHash(): string {
  const hash = createHash('sha256');
  for (const file of ['files.ts', 'cpio.ts', 'build_guest.ts']) hash.update(readFileSync(new URL(file, import.meta.url)));
  return hash.digest('hex').slice(0, 16);
}

const rootFiles = (busybox: Uint8Array): CpioEntry[] => [
  ...['bin', 'dev', 'etc', 'etc/acpi', 'etc/acpi/PWRF', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp'].map((path): CpioEntry => ({ kind: 'dir', path })),
  { kind: 'file', path: 'bin/busybox', data: busybox, mode: 0o755 },
  { kind: 'link', path: 'bin/sh', target: 'busybox' },
  { kind: 'link', path: 'sbin/init', target: '../bin/busybox' },
  { kind: 'file', path: 'etc/inittab', data: Buffer.from(INITTAB) },
  { kind: 'file', path: 'etc/rcS', data: Buffer.from(RCS), mode: 0o755 },
  { kind: 'file', path: 'etc/acpi/PWRF/00000080', data: Buffer.from(POWER_BUTTON), mode: 0o755 },
  { kind: 'file', path: 'etc/profile', data: Buffer.from(PROFILE) },
  { kind: 'file', path: 'etc/passwd', data: Buffer.from(PASSWD) },
  { kind: 'file', path: 'etc/group', data: Buffer.from(GROUP) },
  { kind: 'file', path: 'etc/hostname', data: Buffer.from(HOSTNAME) },
];

/** Writes the entries below `dir`, with busybox's applets linked, as the root file system's contents. */
function writeTree(entries: readonly CpioEntry[], dir: string): void {
  for (const entry of entries) {
    const path = join(dir, entry.path);
    mkdirSync(dirname(path), { recursive: true });
    if (entry.kind === 'dir') mkdirSync(path, { recursive: true });
    else if (entry.kind === 'file') writeFileSync(path, entry.data, { mode: entry.mode ?? 0o644 });
    else if (entry.kind === 'link') symlinkSync(entry.target, path);
  }
}

function makeImage(contents: string, image: string, log: (line: string) => void): void {
  const mke2fs = ['mke2fs', '/sbin/mke2fs', '/usr/sbin/mke2fs'].find((c) => spawnSync(c, ['-V'], { stdio: 'ignore' }).status === 0);
  if (!mke2fs) throw new PackageError('mke2fs is not here, and the sample disk image needs it: install the package e2fsprogs');
  log(`  making ${IMAGE_MIB} MiB root image`);
  writeFileSync(image, '');
  truncateSync(image, IMAGE_MIB << 20);
  execFileSync(mke2fs, ['-q', '-F', '-t', 'ext4', '-L', 'uos', '-E', 'root_owner=0:0', '-d', contents, image], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Names of busybox's applets, from the binary itself where this computer can run it, else the few that the scripts need. */
function appletLinks(busyboxPath: string): CpioEntry[] {
  const listed = spawnSync(busyboxPath, ['--list'], { encoding: 'utf8' });
  const names = listed.status === 0 && listed.stdout ? listed.stdout.split('\n') : ['mount', 'umount', 'mountpoint', 'mkdir', 'hostname', 'cat', 'cut', 'grep', 'kill', 'echo', 'sync', 'poweroff', 'reboot', 'ls', 'dd', 'uname', 'ps', 'vi', 'sleep', 'halt'];
  return names.filter((n) => n && n !== 'busybox' && n !== 'sh' && n !== 'init').map((n) => ({ kind: 'link', path: `bin/${n}`, target: 'busybox' }));
}

/** Builds what is missing or outdated below `cacheDir` and returns the manifest. Throws PackageError with what to do. */
export async function buildGuest(cacheDir: string, log: (line: string) => void): Promise<GuestManifest> {
  const guestDir = join(cacheDir, 'guest');
  const manifestPath = join(guestDir, 'manifest.json');
  const recipe = recipeHash();
  if (existsSync(manifestPath)) {
    const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as GuestManifest;
    const complete = ['vmlinuz', 'initrd.img', 'uos.img'].every((f) => existsSync(join(guestDir, f)));
    if (manifest.recipe === recipe && complete) return manifest;
  }
  log('Building the default guest from Debian packages');
  mkdirSync(cacheDir, { recursive: true });
  const debs = join(cacheDir, 'debs');
  const source = packageSource(log);
  const meta = await source.show(KERNEL_META);
  const kernelName = /linux-image-[^ ,(]+-cloud-amd64/.exec(meta.depends)?.[0];
  if (!kernelName) throw new PackageError(`${KERNEL_META} ${meta.version} does not name a kernel package`);
  const kernel = await fetchPackage(kernelName, debs, source, log);
  const busybox = await fetchPackage('busybox-static', debs, source, log);

  const work = mkdtempSync(join(cacheDir, 'work-'));
  try {
    log('  unpacking');
    unpackDeb(kernel.path, join(work, 'kernel'));
    unpackDeb(busybox.path, join(work, 'busybox'));
    const boot = join(work, 'kernel', 'boot');
    const image = readdirSync(boot).find((f) => f.startsWith('vmlinuz-'));
    if (!image) throw new PackageError(`${kernelName} has no kernel image`);
    const modulesDir = join(work, 'kernel', 'lib', 'modules', image.slice('vmlinuz-'.length), 'kernel');
    const busyboxPath = join(work, 'busybox', 'bin', 'busybox');
    const busyboxBytes = readFileSync(busyboxPath);
    const base = rootFiles(busyboxBytes);

    const modules = MODULES.map((path): CpioEntry => ({ kind: 'file', path: `modules/${path.split('/').at(-1)}`, data: readFileSync(join(modulesDir, path)) }));
    const order = MODULES.map((path) => path.split('/').at(-1)).join('\n');
    const initramfs = cpio([
      ...base,
      { kind: 'dir', path: 'modules' },
      ...modules,
      { kind: 'file', path: 'modules/order', data: Buffer.from(`${order}\n`) },
      { kind: 'file', path: 'init', data: Buffer.from(INIT), mode: 0o755 },
      { kind: 'char', path: 'dev/console', major: 5, minor: 1 },
    ]);

    const tree = join(work, 'root');
    writeTree([...base, ...appletLinks(busyboxPath)], tree);
    const out = join(work, 'guest');
    mkdirSync(out);
    makeImage(tree, join(out, 'uos.img'), log);
    cpSync(join(boot, image), join(out, 'vmlinuz'));
    writeFileSync(join(out, 'initrd.img'), gzipSync(initramfs, { level: 6 }));
    const manifest: GuestManifest = { recipe, packages: [kernel, busybox].map(({ name, version, sha256 }) => ({ name, version, sha256 })) };
    writeFileSync(join(out, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    rmSync(guestDir, { recursive: true, force: true });
    renameSync(out, guestDir);
    return manifest;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
