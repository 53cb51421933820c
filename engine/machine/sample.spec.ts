import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { guestImages } from './paths.ts';
import { ensureSample, installGuest, makeDisk } from './sample.ts';
import { VmStore } from './vm_store.ts';

const before = process.env.ACRN_DESKTOP_CACHE;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'acrn-sample-'));
  process.env.ACRN_DESKTOP_CACHE = join(dir, 'cache');
});
afterEach(() => {
  if (before === undefined) delete process.env.ACRN_DESKTOP_CACHE;
  else process.env.ACRN_DESKTOP_CACHE = before;
});

function packedGuest(version: string): string {
  const packed = join(dir, `packed-${version}`);
  mkdirSync(packed);
  for (const file of ['vmlinuz', 'initrd.img', 'uos.img', 'manifest.json']) writeFileSync(join(packed, file), `${file} ${version}`);
  return packed;
}

test('a packed guest is installed once, mended when incomplete, and replaced by a newer one', async () => {
  const first = packedGuest('1');
  await installGuest(first);
  const { kernel, disk } = guestImages();
  expect(readFileSync(kernel, 'utf8')).toBe('vmlinuz 1');
  writeFileSync(disk, 'kept');
  await installGuest(first);
  expect(readFileSync(disk, 'utf8')).toBe('kept');
  await installGuest(packedGuest('2'));
  expect(readFileSync(disk, 'utf8')).toBe('uos.img 2');
  await installGuest(join(dir, 'nothing'));
  expect(readFileSync(disk, 'utf8')).toBe('uos.img 2');
});

test('the sample is made once, with a disk of its own, and does not come back when it is deleted', async () => {
  await installGuest(packedGuest('1'));
  const data = join(dir, 'data');
  const store = new VmStore(data);
  await ensureSample(data, store);
  const [sample] = await store.list();
  expect(sample.definition?.devices).toContainEqual({ slot: '1', device: 'virtio-blk', config: join(data, 'images/uos1.img') });
  await store.delete(sample.name);
  await ensureSample(data, store);
  expect(await store.list()).toEqual([]);
});

test('without a guest there is no sample, and an image that is there is kept', async () => {
  const data = join(dir, 'data');
  const store = new VmStore(data);
  await ensureSample(data, store);
  expect(await store.list()).toEqual([]);
  expect(existsSync(join(data, 'images'))).toBe(false);
  await installGuest(packedGuest('1'));
  const path = await makeDisk(data, 'vm1');
  writeFileSync(path, 'written by the guest');
  expect(readFileSync(await makeDisk(data, 'vm1'), 'utf8')).toBe('written by the guest');
});
