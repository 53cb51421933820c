import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openDisk } from './disk.ts';

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'acrn-disk-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
let images = 0;
function image(sizeBytes: number): string {
  images += 1;
  const file = path.join(dir, `${images}.img`);
  fs.closeSync(fs.openSync(file, 'w'));
  fs.truncateSync(file, sizeBytes);
  return file;
}
const rw = { readOnly: false, owner: 'virtio-blk' };

test('what is written at an offset is there, and a sparse image stays sparse', async () => {
  const file = image(1 << 30);
  const disk = await openDisk(file, rw);
  expect(disk).toMatchObject({ sizeBytes: 1 << 30, readOnly: false });
  await disk.write((1 << 29) + 512, new Uint8Array(1024).fill(7));
  await Promise.all([disk.flush(), disk.flush(), disk.flush()]);
  const into = new Uint8Array(2048);
  await disk.read(1 << 29, into);
  expect([into[511], into[512], into[1535], into[1536]]).toEqual([0, 7, 7, 0]);
  expect(fs.statSync(file).blocks * 512).toBeLessThan(1 << 20);
  await disk.close();
});

test('an image of half a sector is refused with the command that mends it', async () => {
  const file = image(1000);
  await expect(openDisk(file, rw)).rejects.toMatchObject({ code: 'DISK_NOT_WHOLE_SECTORS', todo: `Grow the image: truncate -s %512 "${file}"` });
});

test('a missing image and a folder are refused in words', async () => {
  await expect(openDisk(path.join(dir, 'none'), rw)).rejects.toMatchObject({ code: 'DISK_OPEN' });
  await expect(openDisk(dir, { ...rw, readOnly: true })).rejects.toMatchObject({ code: 'DISK_NOT_A_DISK' });
});

test('accesses outside the image are refused', async () => {
  const disk = await openDisk(image(4096), rw);
  await expect(disk.read(4096, new Uint8Array(512))).rejects.toMatchObject({ code: 'DISK_IO' });
  await expect(disk.write(-512, new Uint8Array(512))).rejects.toMatchObject({ code: 'DISK_IO' });
  await disk.close();
  await expect(disk.read(0, new Uint8Array(512))).rejects.toThrow('it is closed');
});

test('an image has one writer in this process; readers are welcome; close frees it', async () => {
  const file = image(4096);
  const first = await openDisk(file, rw);
  await expect(openDisk(file, rw)).rejects.toMatchObject({ code: 'DISK_IN_USE' });
  const reader = await openDisk(file, { ...rw, readOnly: true });
  expect(reader.readOnly).toBe(true);
  await expect(reader.write(0, new Uint8Array(512))).rejects.toThrow('read-only');
  await reader.close();
  await first.close();
  await (await openDisk(file, rw)).close();
});

test('two opens at once: one wins', async () => {
  const file = image(4096);
  const results = await Promise.allSettled([openDisk(file, rw), openDisk(file, rw)]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  for (const result of results) if (result.status === 'fulfilled') await result.value.close();
});

test('an image has one writer over all processes, and a crash frees it', async () => {
  const file = image(4096);
  const script = `import { openDisk } from ${JSON.stringify(path.join(import.meta.dirname, 'disk.ts'))};
    try { await openDisk(${JSON.stringify(file)}, { readOnly: false, owner: 'other' }); console.log('opened'); process.kill(process.pid, 'SIGKILL'); }
    catch (error) { console.log(error.code, error.why); process.exit(0); }`;
  const other = () => spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(other().stdout).toBe('opened\n');
  const disk = await openDisk(file, rw); // the killed process holds nothing
  expect(disk.readOnly).toBe(false);
  // this process must answer who holds it while the other asks
  const { spawn } = await import('node:child_process');
  const asking = spawn(process.execPath, ['--input-type=module', '-e', script]);
  let said = '';
  asking.stdout.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  await new Promise<void>((resolve) => asking.on('close', () => resolve()));
  expect(said).toBe(`DISK_IN_USE it is in use by virtio-blk in process ${process.pid}\n`);
  await disk.close();
}, 20_000);

test('ranges of one image are disks of their own; overlapping or outside ones are refused', async () => {
  const file = image(8192);
  const first = await openDisk(file, { ...rw, range: { start: 0, length: 4096 } });
  const second = await openDisk(file, { ...rw, range: { start: 4096, length: 4096 } });
  await expect(openDisk(file, { ...rw, range: { start: 3584, length: 1024 } })).rejects.toMatchObject({ code: 'DISK_IN_USE' });
  await expect(openDisk(file, { ...rw, range: { start: 8192, length: 512 } })).rejects.toMatchObject({ code: 'DISK_RANGE' });
  await second.write(0, new Uint8Array(512).fill(3));
  expect(fs.readFileSync(file)[4096]).toBe(3);
  await expect(first.read(4096, new Uint8Array(512))).rejects.toMatchObject({ code: 'DISK_IO' });
  await first.close();
  await second.close();
});

test('discarded sectors read as zeros where the host punches holes, and as they were where it does not', async () => {
  const file = image(1 << 20);
  const disk = await openDisk(file, rw);
  await disk.write(0, new Uint8Array(1 << 20).fill(5));
  await disk.flush();
  await disk.discard(65536, 131072);
  const into = new Uint8Array(131072 + 1024);
  await disk.read(65536 - 512, into);
  expect([into[0], into.at(-1)]).toEqual([5, 5]);
  expect([0, 5]).toContain(into[512]);
  expect(into.subarray(512, -512).every((byte) => byte === into[512])).toBe(true);
  await disk.close();
});

test('pieces move at once and in order, and nothing is transferred past the end, to a closed or a read-only image', async () => {
  const file = path.join(dir, 'pieces.img');
  fs.writeFileSync(file, Buffer.alloc(1024));
  const disk = await openDisk(file, { readOnly: false, owner: 'test' });
  const shared = new Uint8Array(new SharedArrayBuffer(16)).fill(7);
  expect(disk.writeAtOnce!(510, [Uint8Array.of(1, 2, 3), shared])).toBe(true);
  const [first, second] = [new Uint8Array(2), new Uint8Array(2)];
  expect(disk.readAtOnce!(511, [first, second])).toBe(true);
  expect([...first, ...second]).toEqual([2, 3, 7, 7]);
  expect(disk.readAtOnce!(1023, [first])).toBe(false);
  expect(disk.writeAtOnce!(1023, [first])).toBe(false);
  await disk.close();
  expect(disk.readAtOnce!(0, [first])).toBe(false);
  const readOnly = await openDisk(file, { readOnly: true, owner: 'test' });
  expect(readOnly.writeAtOnce!(0, [first])).toBe(false);
  await readOnly.close();
  expect(fs.statSync(file).size).toBe(1024);
});
