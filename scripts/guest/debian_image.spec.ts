/** Which packages a userland is made of, from an index that fits on a page. */
import { expect, test } from 'vitest';
import { type IndexEntry, PackageError } from '../../scripts/guest/packages.ts';
import { alternatives, resolve } from './debian_image.ts';

const INDEX: Record<string, string> = {
  shell: 'libc (>= 2.36), base-files',
  libc: 'libgcc (>= 3)',
  libgcc: 'libc',
  editor: 'awk-implementation | mawk, shell, python:any (<< 4)',
  mawk: 'libc',
  python: '',
};
const show = (name: string): Promise<IndexEntry> => {
  if (INDEX[name] === undefined) return Promise.reject(new PackageError(`no ${name}`));
  return Promise.resolve({ name, version: '1', sha256: '', filename: '', depends: INDEX[name] });
};
const names = async (roots: string[], leftOut: string[]) => (await resolve(roots, leftOut, show)).map((entry) => entry.name);

test('Depends is read as clauses of alternatives without versions, architectures and qualifiers', () => {
  expect(alternatives('libc6 (>= 2.36), a | b:any (= 1:2~), c [amd64]')).toEqual([['libc6'], ['a', 'b'], ['c']]);
  expect(alternatives('')).toEqual([]);
});

test('roots bring what they depend on, once, round a cycle as well', async () => {
  expect(await names(['shell'], ['base-files'])).toEqual(['libc', 'libgcc', 'shell']);
});

test('the first alternative that the index has is taken', async () => {
  expect(await names(['editor'], ['base-files'])).toEqual(['editor', 'libc', 'libgcc', 'mawk', 'python', 'shell']);
});

test('a relation that nothing satisfies is an error, unless it is left out', async () => {
  await expect(names(['shell'], [])).rejects.toThrow(PackageError);
});

test('an error of the index that is not about a package comes through', async () => {
  await expect(resolve(['shell'], [], () => Promise.reject(new Error('index broken')))).rejects.toThrow('index broken');
});
