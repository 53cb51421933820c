import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultDefinition } from './sample.ts';
import { VmStore } from './vm_store.ts';

const freshStore = () => new VmStore(mkdtempSync(join(tmpdir(), 'acrn-store-')));
const definition = (name: string) => defaultDefinition(name, '/images/x.img', [1]);

test('a definition that was created is listed and read back as it was', async () => {
  const store = freshStore();
  await store.create(definition('vm1'));
  expect((await store.list()).map((vm) => vm.name)).toEqual(['vm1']);
  expect(await store.read('vm1')).toEqual(definition('vm1'));
});

test('a second definition of the same name is refused and the first is kept', async () => {
  const store = freshStore();
  await store.create(definition('vm1'));
  await expect(store.create({ ...definition('vm1'), memoryMiB: 999 })).rejects.toMatchObject({ code: 'VM_EXISTS' });
  expect((await store.read('vm1')).memoryMiB).toBe(512);
});

test('writing leaves no temporary file behind', async () => {
  const store = freshStore();
  await store.create(definition('vm1'));
  await store.update('vm1', { ...definition('vm1'), memoryMiB: 256 });
  await store.create({ ...definition('vm1') }).catch(() => {});
  expect(readdirSync(store.dir)).toEqual(['vm1.json']);
});

test('a renamed definition moves its file and never overwrites another', async () => {
  const store = freshStore();
  await store.create(definition('a'));
  await store.create(definition('b'));
  await expect(store.update('a', definition('b'))).rejects.toMatchObject({ code: 'VM_EXISTS' });
  await store.update('a', definition('c'));
  expect((await store.list()).map((vm) => vm.name)).toEqual(['b', 'c']);
});

test('a broken file is listed with what is wrong and stays as it is', async () => {
  const store = freshStore();
  writeFileSync(join(store.dir, 'bad.json'), '{ "format": 1, ');
  writeFileSync(join(store.dir, 'odd.json'), JSON.stringify({ ...definition('odd'), memoryMiB: 64 }));
  writeFileSync(join(store.dir, 'other.json'), JSON.stringify(definition('elsewhere')));
  const [bad, odd, other] = await store.list();
  expect(bad.problem?.why).toContain('not JSON');
  expect(odd.problem?.why).toContain('memoryMiB');
  expect(other.problem?.why).toContain('elsewhere');
  expect(readFileSync(join(store.dir, 'bad.json'), 'utf8')).toBe('{ "format": 1, ');
});

test('no file content makes listing throw', async () => {
  const store = freshStore();
  await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (text) => {
    writeFileSync(join(store.dir, 'fuzz.json'), text);
    const [vm] = await store.list();
    expect(Boolean(vm.definition) !== Boolean(vm.problem)).toBe(true);
  }), { seed: 7, numRuns: 200 });
});

test('a name cannot lead out of the folder', async () => {
  const store = freshStore();
  await expect(store.delete('../../etc/passwd')).rejects.toThrow();
  await expect(store.create({ ...definition('x'), name: '../x' })).rejects.toThrow();
});

test('a watcher hears of a definition that another program wrote', async () => {
  const store = freshStore();
  const heard = new Promise<void>((resolve) => { store.watch(resolve); });
  writeFileSync(join(store.dir, 'new.json'), JSON.stringify(definition('new')));
  await heard;
});
