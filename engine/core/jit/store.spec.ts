import { chmodSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CodeStore, hashPlace, imagePlace, keptKey, type KeptFunction } from './store.ts';

const MODE = 0x89;
const FEATURES = 0x1fn;
const LINEAR = 0xffff_ffff_8120_0000n;
const folderFor = (): string => mkdtempSync(join(tmpdir(), 'acrn-store-'));

/** A function of pages that are filled with a byte each, made where a kernel may have been. */
function functionOf(fill: readonly number[], more: Partial<KeptFunction> = {}): KeptFunction {
  return {
    linear: LINEAR, mode: MODE, features: FEATURES, optimised: true, instructions: 3, places: [{ kind: 'distance' }],
    pages: fill.map((byte, distance) => ({
      distance, bytes: new Uint8Array(4096).fill(byte), ranges: Uint16Array.of(16, 32), sites: [], leaders: Uint16Array.of(16), entries: Int32Array.of(0), behind: undefined,
    })),
    wasm: Uint8Array.of(1, 2, 3), native: Uint8Array.of(4, 5), ...more,
  };
}
const place = imagePlace(LINEAR);
const optimised = (store: CodeStore, at = place): readonly string[] => store.kept.get(keptKey(at, MODE, FEATURES))?.optimised ?? [];
const ownFolder = (base: string): string => join(base, readdirSync(base)[0]);

describe('a store of compiled functions', () => {
  test('gives back what it was given, to another one too', () => {
    const base = folderFor();
    const f = functionOf([1]);
    new CodeStore(base).save(f, [place]);
    const other = new CodeStore(base);
    const [name] = optimised(other);
    expect(other.load(name)).toEqual(f);
  });

  test('has a function of several pages under a name for each', () => {
    const store = new CodeStore(folderFor());
    const [a, b] = [hashPlace(1n), hashPlace(-1n)];
    store.save(functionOf([1, 2]), [a, b]);
    expect(optimised(store, a)[0]).toMatch(/_0_1$/);
    expect(optimised(store, b)[0]).toMatch(/_-1_0$/);
    expect(store.load(optimised(store, a)[0])).toEqual(store.load(optimised(store, b)[0]));
  });

  test('has the last one of the same code, wherever the kernel was, and three of different code', () => {
    const base = folderFor();
    const store = new CodeStore(base);
    for (const instructions of [3, 4]) store.save(functionOf([1], { instructions, linear: LINEAR + BigInt(instructions) * 0x20_0000n }), [place]);
    expect(optimised(store).map((name) => store.load(name)?.instructions)).toEqual([4]);
    for (const byte of [2, 3, 4]) store.save(functionOf([byte]), [place]);
    expect(optimised(store).map((name) => store.load(name)?.pages[0].bytes[16])).toEqual([2, 3, 4]);
    expect(readdirSync(ownFolder(base))).toHaveLength(3);
  });

  test('an optimised function takes the place of a baseline one, not the other way round', () => {
    const store = new CodeStore(folderFor());
    store.save(functionOf([1], { optimised: false, native: undefined }), [place]);
    store.save(functionOf([1]), [place]);
    const key = keptKey(place, MODE, FEATURES);
    expect(store.kept.get(key)).toMatchObject({ optimised: [expect.any(String)], baseline: [] });
    store.save(functionOf([1], { optimised: false, native: undefined }), [place]);
    expect(store.kept.get(key)).toMatchObject({ optimised: [expect.any(String)], baseline: [expect.any(String)] });
  });

  test('is bounded', () => {
    const base = folderFor();
    const store = new CodeStore(base, { bytes: 1 << 20, files: 32 });
    for (let n = 0n; n < 100n; n += 1n) store.save(functionOf([1]), [hashPlace(n)]);
    expect(readdirSync(ownFolder(base)).length).toBeLessThanOrEqual(35);
    expect(store.load(optimised(store, hashPlace(99n))[0])).toEqual(functionOf([1]));
    expect(optimised(store, hashPlace(0n))).toEqual([]);
  });

  test('leaves two folders of other versions, and all that is not its own', () => {
    const base = folderFor();
    for (const n of [1, 2, 3, 4]) mkdirSync(join(base, `${n}`.repeat(16)));
    for (const name of ['photos', 'deadbeef', 'letters.txt']) mkdirSync(join(base, name));
    const store = new CodeStore(base);
    expect(readdirSync(base)).toHaveLength(1 + 2 + 3);
    expect(readdirSync(base)).toEqual(expect.arrayContaining(['photos', 'deadbeef', 'letters.txt']));
    expect(store.load('nothing')).toBeUndefined();
  });

  // Windows has no such rights.
  test.skipIf(process.platform === 'win32')('does not use a folder that others may write to', () => {
    const base = folderFor();
    chmodSync(base, 0o777);
    expect(() => new CodeStore(base)).toThrow(`others than its owner may write to ${base}`);
  });

  test('says what is wrong with a folder that cannot be', () => {
    const file = join(folderFor(), 'file');
    writeFileSync(file, '');
    expect(() => new CodeStore(join(file, 'in'))).toThrow(/ENOTDIR/);
    if (process.platform === 'linux') expect(() => new CodeStore('/proc/none/in')).toThrow(/ENOENT.*'\/proc\/none'/);
  });
});
