/**
 * Compiled functions, kept in files from one start of a program to the next: their WebAssembly, of optimised ones also what V8's
 * optimising compiler has made of it, and the guest's code that they were made of. A function is used where all of that code is found
 * again, byte by byte; the hash in a file's name only says where to look. So nothing that a guest has can make another guest run
 * anything but its own code.
 *
 * A file's name: how the page is found, mode, CPUID features, tier, a number, and the pages of the function by their linear distances from that
 * page, with an x where an instruction continues on the next page. A function of several pages has a name for each.
 */
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { CORE_PLACES } from '../artifact.ts';
import { MODE_LONG64, MODE_USER } from './layout.ts';
import type { Place } from './places.ts';
import { isImage, isSameCode, type Site } from './relocation.ts';

/** A page of a kept function. */
export interface KeptPage {
  readonly distance: number;
  /** All of its bytes when it was compiled, which of them count, and which of these move with a kernel. */
  readonly bytes: Uint8Array;
  readonly ranges: Uint16Array;
  readonly sites: readonly Site[];
  readonly leaders: Uint16Array;
  readonly entries: Int32Array;
  /** Of an instruction that continues on the next page: its offset, and the first bytes there. */
  readonly behind: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
}

export interface KeptFunction {
  /** Linear address of the page at distance 0 when it was compiled. */
  readonly linear: bigint;
  readonly mode: number;
  readonly features: bigint;
  readonly optimised: boolean;
  readonly instructions: number;
  readonly pages: readonly KeptPage[];
  readonly places: readonly Place[];
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** What V8 has made of it, for the same V8 on the same kind of CPU; baseline code is made anew. */
  readonly native: Uint8Array<ArrayBuffer> | undefined;
}

/** How far a function has moved whose first page is at a linear address: nothing but kernels' images changes with that. */
export const movedBy = (f: KeptFunction, first: bigint): number => isImage(f.linear) && isImage(first) ? Number(first - f.linear) : 0;

/** The pages of a file's function: linear distance from the page it was looked for by, and whether the page behind is needed too. */
export type KeptShape = ReadonlyArray<{ readonly distance: number; readonly behind: boolean }>;

/** The files that there are for a page, the latest last: several where a kernel patches its code as it starts. */
export interface Kept { readonly optimised: readonly string[]; readonly baseline: readonly string[] }

/** How a page is found: by its content's hash, or, of a kernel's image, by where it is, or was when the first function of that kernel was kept. */
export const hashPlace = (hash: bigint): string => BigInt.asUintN(64, hash).toString(16).padStart(16, '0');
export const isImagePlace = (key: string): boolean => key.startsWith('k');
export const imagePlace = (linear: bigint): string => `k${((linear >> 12n) & 0xf_ffffn).toString(16).padStart(5, '0')}`;

/** All of a file's name that tells for which page it is. */
export const keptKey = (place: string, mode: number, features: bigint): string => `${place}-${(mode & 0xfff).toString(16)}-${features.toString(16)}`;

/**
 * Whether code at a linear address is kept: not that of a kernel's modules, which are anywhere and call the kernel at changing distances, nor 32-bit kernels,
 * of which it is not known what moves.
 */
export const isKeptAt = (linear: bigint, mode: number): boolean =>
  (mode & MODE_USER) !== 0 || ((mode & MODE_LONG64) !== 0 && (linear < 1n << 63n || isImage(linear)));

const NAME = /^((?:[0-9a-f]{16}|k[0-9a-f]{5})-[0-9a-f]+-[0-9a-f]+)-(o|b)[0-9a-f]{8}((?:_-?\d+x?)+)$/;

/** A kernel moves by multiples of 2 MiB: pages of its image that may be the same, by mode and features, and the rest of the address. */
const ALIGNMENT_PAGES = 512;

/** What is kept, as a pCPU looks for it. */
export class KeptIndex {
  readonly #kept: ReadonlyMap<string, Kept>;
  /** Page numbers in the upper 4 GiB of the address space. */
  readonly #image = new Map<string, number[]>();

  constructor(kept: ReadonlyMap<string, Kept>) {
    this.#kept = kept;
    for (const key of kept.keys()) {
      if (!isImagePlace(key)) continue;
      const page = parseInt(key.slice(1, 6), 16);
      const rest = `${page % ALIGNMENT_PAGES}${key.slice(6)}`;
      const pages = this.#image.get(rest);
      if (pages === undefined) this.#image.set(rest, [page]);
      else pages.push(page);
    }
  }

  get isEmpty(): boolean { return this.#kept.size === 0; }
  /** Nothing of a kernel is kept. */
  get hasNoImage(): boolean { return this.#image.size === 0; }

  at(place: string, mode: number, features: bigint): Kept | undefined { return this.#kept.get(keptKey(place, mode, features)); }

  /** What may be of an image's page at a linear address, and how far the kernel has moved then, in bytes. */
  ofImage(linear: bigint, mode: number, features: bigint): Array<{ kept: Kept; moved: number }> {
    const page = Number((linear >> 12n) & 0xf_ffffn);
    const pages = this.#image.get(keptKey(String(page % ALIGNMENT_PAGES), mode, features)) ?? [];
    return pages.map((there) => ({ kept: this.at(imagePlace(BigInt(there) << 12n), mode, features)!, moved: (page - there) * 4096 }));
  }
}

/** The pages that a file's name tells. */
export function keptShape(name: string): KeptShape {
  return NAME.exec(name)![3].slice(1).split('_').map((page) => ({ distance: parseInt(page, 10), behind: page.endsWith('x') }));
}

/** Adds a file to what there is for pages. Names of no such file are left out. */
export function addKept(kept: Map<string, Kept>, name: string): void {
  const [, key, tier] = NAME.exec(name) ?? [];
  if (key === undefined) return;
  const { optimised, baseline } = kept.get(key) ?? NONE;
  kept.set(key, tier === 'o' ? { optimised: [...optimised, name], baseline } : { optimised, baseline: [...baseline, name] });
}

const NONE: Kept = { optimised: [], baseline: [] };
/** Files of a tier for a page. */
const MOST_FOR_PAGE = 3;

const DIGEST_BYTES = 32;
const digest = (payload: Uint8Array): Buffer => createHash('sha256').update(payload).digest();

/** At most so much is kept, in so many files; then the oldest half goes. Looked at whenever a sixteenth of it was written. */
const LIMIT = { bytes: 256 << 20, files: 6_000 };

/** Folders of other versions of this program that are left. */
const OTHERS = 2;
const IDENTITY = /^[0-9a-f]{16}$/;

/** Of a file that is being written, or was when its program was killed. */
const TEMPORARY = 'new-';

/** What compiled code depends on beside the guest's: V8 and the computer, the core, and all that makes code. */
function identity(): string {
  const hash = createHash('sha256').update(`${process.versions.v8} ${process.platform} ${process.arch}`);
  const core = CORE_PLACES.find((place) => existsSync(place));
  const own = new URL('.', import.meta.url);
  for (const file of [...(core === undefined ? [] : [core]), ...readdirSync(own).sort().map((name) => new URL(name, own))]) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

/** Makes a folder and what leads there. Node's own way never ends where one that exists takes no folders and says that it does not exist, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (!existsSync(dirname(path))) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!existsSync(path)) throw error; // another program was faster
  }
}

export class CodeStore {
  readonly #folder: string;
  readonly #limit: typeof LIMIT;
  /** By keptKey. */
  readonly kept = new Map<string, Kept>();
  #written = { bytes: 0, files: 0 };

  /** In a folder of this user's alone, which is made if need be. Throws what the file system throws, and an Error when others may write there. */
  constructor(base: string, limit = LIMIT) {
    this.#limit = limit;
    const own = identity();
    this.#folder = join(base, own);
    makeFolder(this.#folder);
    // It is executed: what others could write there is nobody's code.
    for (const place of [base, this.#folder]) if (process.platform !== 'win32' && (statSync(place).mode & 0o022) !== 0) throw new Error(`others than its owner may write to ${place}`);
    const others = readdirSync(base).filter((name) => name !== own && IDENTITY.test(name)).map((name) => ({ name, at: statSync(join(base, name)).mtimeMs }));
    for (const { name } of others.sort((a, b) => b.at - a.at).slice(OTHERS)) rmSync(join(base, name), { recursive: true, force: true });
    for (const name of readdirSync(this.#folder)) addKept(this.kept, name);
  }

  /** Reads a function; undefined when the file is gone, or is not what was written. */
  load(name: string): KeptFunction | undefined {
    let file: Buffer;
    try {
      file = readFileSync(join(this.#folder, name));
    } catch {
      return undefined; // another process made room
    }
    const payload = file.subarray(DIGEST_BYTES);
    if (file.length < DIGEST_BYTES || !digest(payload).equals(file.subarray(0, DIGEST_BYTES))) return undefined;
    return deserialize(payload) as KeptFunction;
  }

  /**
   * Keeps a function under the names of its pages, given how these are found, in place of what there was of the same code. An optimised function
   * has all blocks that there were of its pages.
   */
  save(f: KeptFunction, places: readonly string[]): void {
    const payload = serialize(f);
    const check = digest(payload);
    const temporary = join(this.#folder, `${TEMPORARY}${process.pid}`);
    writeFileSync(temporary, Buffer.concat([check, payload]), { mode: 0o600 });
    f.pages.forEach(({ distance }, n) => {
      const key = keptKey(places[n], f.mode, f.features);
      this.#makeWay(key, f, n);
      const shape = f.pages.map((p) => `_${p.distance - distance}${p.behind === undefined ? '' : 'x'}`).join('');
      const name = `${key}-${f.optimised ? 'o' : 'b'}${check.toString('hex', 0, 4)}${shape}`;
      if (n < f.pages.length - 1) linkSync(temporary, join(this.#folder, name));
      else renameSync(temporary, join(this.#folder, name));
      addKept(this.kept, name);
    });
    this.#written.bytes += payload.length;
    this.#written.files += f.pages.length;
    if (this.#written.bytes > this.#limit.bytes / 16 || this.#written.files > this.#limit.files / 16) this.#makeRoom();
  }

  /** Removes the files in whose place a function comes, for its n-th page. */
  #makeWay(key: string, f: KeptFunction, n: number): void {
    const { optimised, baseline } = this.kept.get(key) ?? NONE;
    const stays = (name: string): boolean => {
      // What was found by its content has the same.
      const old = isImagePlace(key) ? this.load(name) : undefined;
      const page = old?.pages[keptShape(name).findIndex(({ distance }) => distance === 0)];
      if (old !== undefined && page !== undefined && !isSameCode(page.bytes, f.pages[n].bytes, page.ranges, page.sites, movedBy(old, f.linear + BigInt(f.pages[n].distance - page.distance) * 4096n))) return true;
      rmSync(join(this.#folder, name), { force: true });
      return false;
    };
    const rest = (files: readonly string[], replaced: boolean): string[] => {
      const others = replaced ? files.filter(stays) : [...files];
      while (others.length >= MOST_FOR_PAGE) rmSync(join(this.#folder, others.shift()!), { force: true });
      return others;
    };
    this.kept.set(key, { optimised: rest(optimised, f.optimised), baseline: rest(baseline, true) });
  }

  /** Removes the oldest files when there are too many. */
  #makeRoom(): void {
    this.#written = { bytes: 0, files: 0 };
    const files = readdirSync(this.#folder).filter((name) => NAME.test(name) || name.startsWith(TEMPORARY)).flatMap((name) => {
      const stat = statSync(join(this.#folder, name), { throwIfNoEntry: false });
      return stat === undefined ? [] : [{ name, bytes: stat.size / stat.nlink, at: stat.mtimeMs }];
    });
    if (files.length <= this.#limit.files && files.reduce((sum, f) => sum + f.bytes, 0) <= this.#limit.bytes) return;
    files.sort((a, b) => a.at - b.at);
    for (const { name } of files.slice(0, files.length >> 1)) rmSync(join(this.#folder, name), { force: true });
    this.kept.clear();
    for (const name of readdirSync(this.#folder)) addKept(this.kept, name);
  }
}
