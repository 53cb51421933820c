/**
 * Fetches Debian packages by name, checks each against the SHA-256 that the package index states, and unpacks them.
 *
 * Where apt is there, its signed index is used (`apt-cache show`, `apt-get download`). Elsewhere the environment
 * variable ACRN_DEBIAN_MIRROR names a Debian mirror (for example the base URL that a sources.list would have) and
 * its package index is read directly.
 *
 * @spec deb(5), ar(5), Debian repository format: Packages index
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const SUITE = 'bookworm';

export interface FetchedPackage {
  name: string;
  version: string;
  sha256: string;
  /** the .deb, in the cache */
  path: string;
}

/** A package could not be had; the message says what to do. */
export class PackageError extends Error {}

/** `depends` holds Pre-Depends and Depends. */
export interface IndexEntry { name: string; version: string; sha256: string; filename: string; depends: string }

/** Parses one or more RFC 822-like paragraphs of a Packages index; paragraphs without a hash are left out. */
export function parseIndex(text: string): IndexEntry[] {
  const entries: IndexEntry[] = [];
  for (const paragraph of text.split(/\n\n+/)) {
    const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(paragraph)?.[1]?.trim() ?? '';
    const sha256 = field('SHA256').toLowerCase();
    if (/^[0-9a-f]{64}$/.test(sha256)) entries.push({ name: field('Package'), version: field('Version'), sha256, filename: field('Filename'), depends: [field('Pre-Depends'), field('Depends')].filter(Boolean).join(', ') });
  }
  return entries;
}

function run(command: string, args: string[], cwd?: string): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });
}

const hasApt = (): boolean => spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;

/** Where packages come from: an index look-up and a download. */
export interface Source {
  show(name: string): Promise<IndexEntry>;
  download(entry: IndexEntry, dir: string): Promise<Uint8Array>;
}

function aptSource(log: (line: string) => void): Source {
  let updated = false;
  const show = (name: string): IndexEntry | undefined => {
    try {
      return parseIndex(run('apt-cache', ['show', '--no-all-versions', name])).find((e) => e.name === name);
    } catch {
      return undefined;
    }
  };
  return {
    async show(name) {
      let entry = show(name);
      if (!entry && !updated && process.getuid?.() === 0) {
        log('  reading the package index (apt-get update)');
        run('apt-get', ['update', '-q']);
        updated = true;
        entry = show(name);
      }
      if (!entry) throw new PackageError(`Debian package ${name} is not in apt's index: run "apt-get update" as root, or set ACRN_DEBIAN_MIRROR`);
      return entry;
    },
    async download(entry, dir) {
      const work = mkdtempSync(join(dir, 'download-'));
      try {
        run('apt-get', ['download', '-q', `${entry.name}=${entry.version}`], work);
        const file = readdirSync(work).find((f) => f.endsWith('.deb'));
        if (!file) throw new PackageError(`apt-get download ${entry.name} left no file`);
        return readFileSync(join(work, file));
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  };
}

function mirrorSource(mirror: string): Source {
  const base = mirror.replace(/\/+$/, '');
  let index: Promise<IndexEntry[]> | undefined;
  const get = async (path: string): Promise<Uint8Array> => {
    const response = await fetch(`${base}/${path}`);
    if (!response.ok) throw new PackageError(`${base}/${path}: HTTP ${response.status}; check ACRN_DEBIAN_MIRROR`);
    return new Uint8Array(await response.arrayBuffer());
  };
  return {
    async show(name) {
      index ??= get(`dists/${SUITE}/main/binary-amd64/Packages.gz`).then((bytes) => parseIndex(gunzipSync(bytes).toString('utf8')));
      const entry = (await index).find((e) => e.name === name);
      if (!entry) throw new PackageError(`Debian package ${name} is not in ${SUITE} of ${base}`);
      return entry;
    },
    download: (entry) => get(entry.filename),
  };
}

/** Chooses apt where it exists, else ACRN_DEBIAN_MIRROR. */
export function packageSource(log: (line: string) => void): Source {
  const mirror = process.env['ACRN_DEBIAN_MIRROR'];
  if (mirror) return mirrorSource(mirror);
  if (hasApt()) return aptSource(log);
  throw new PackageError('The guest is made from Debian packages and there is no apt here: set ACRN_DEBIAN_MIRROR to the base address of a Debian mirror and start again');
}

/** Fetches one package into `cacheDir` (kept and re-checked on later calls). */
export async function fetchPackage(name: string, cacheDir: string, source: Source, log: (line: string) => void): Promise<FetchedPackage & { depends: string }> {
  mkdirSync(cacheDir, { recursive: true });
  const entry = await source.show(name);
  const path = join(cacheDir, `${name}_${entry.version.replaceAll(':', '%')}.deb`);
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  if (!existsSync(path) || hash(readFileSync(path)) !== entry.sha256) {
    log(`  fetching ${name} ${entry.version}`);
    const bytes = await source.download(entry, cacheDir);
    const found = hash(bytes);
    if (found !== entry.sha256) throw new PackageError(`${name} ${entry.version}: SHA-256 is ${found}, the index says ${entry.sha256}; nothing was kept`);
    writeFileSync(`${path}.part`, bytes);
    renameSync(`${path}.part`, path);
  }
  return { name, version: entry.version, sha256: entry.sha256, path, depends: entry.depends };
}

/** Members of an ar archive. Throws PackageError when it is not one. */
export function readAr(bytes: Uint8Array): Map<string, Uint8Array> {
  const ascii = (from: number, length: number) => Buffer.from(bytes.subarray(from, from + length)).toString('latin1');
  if (ascii(0, 8) !== '!<arch>\n') throw new PackageError('not an ar archive');
  const members = new Map<string, Uint8Array>();
  for (let at = 8; at + 60 <= bytes.length; ) {
    const name = ascii(at, 16).trim().replace(/\/$/, '');
    const size = Number(ascii(at + 48, 10).trim());
    if (!Number.isInteger(size) || size < 0 || at + 60 + size > bytes.length) throw new PackageError(`ar archive: member ${name} has a bad size`);
    members.set(name, bytes.subarray(at + 60, at + 60 + size));
    at += 60 + size + (size & 1);
  }
  return members;
}

/** Unpacks the files of a .deb into `into` with the system's tar; `options` are tar's own. */
export function unpackDeb(path: string, into: string, options: readonly string[] = []): void {
  const members = readAr(readFileSync(path));
  const data = [...members].find(([name]) => name.startsWith('data.tar'));
  if (!data) throw new PackageError(`${path} has no data.tar member`);
  mkdirSync(into, { recursive: true });
  const archive = join(into, data[0]);
  writeFileSync(archive, data[1]);
  try {
    run('tar', ['-xf', archive, '-C', into, ...options]);
  } finally {
    rmSync(archive, { force: true });
  }
}
