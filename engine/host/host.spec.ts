import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MockChar } from '../devicemodel/hw/pci/virtio/mock_driver.ts';
import { ByteQueue, DropOldestRing } from './byte_queue.ts';
import { createHostBackends, tapConsole } from './index.ts';
import { openFile } from './file.ts';
import { openStdio } from './stdio.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (array: Uint8Array) => new TextDecoder().decode(array);

test('the output ring is a queue of the newest bytes, whatever is pushed and taken', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 50_000 }), fc.array(fc.tuple(fc.nat(30_000), fc.nat(30_000)), { maxLength: 30 }), (limit, steps) => {
    const ring = new DropOldestRing(limit);
    let model: number[] = [];
    let next = 0;
    let dropped = 0;
    for (const [push, take] of steps) {
      const chunk = Uint8Array.from({ length: push }, () => next++ & 0xff);
      ring.push(chunk);
      model = model.concat([...chunk]);
      if (model.length > limit) { dropped += model.length - limit; model = model.slice(-limit); }
      const out = ring.take(take);
      if (Buffer.compare(out, Uint8Array.from(model.slice(0, take))) !== 0) return false;
      model = model.slice(take);
    }
    return ring.length === model.length && ring.dropped === dropped;
  }), { seed: 7, numRuns: 60 });
});

test('the input queue gives back what came, in pieces of any size', () => {
  const queue = new ByteQueue();
  queue.push(bytes('hello '));
  queue.push(bytes('world'));
  expect(queue.length).toBe(11);
  expect(text(queue.take(2))).toBe('he');
  expect(text(queue.take(100))).toBe('llo ');
  expect(text(queue.take(100))).toBe('world');
  expect(queue.take(1)).toHaveLength(0);
});

test('a tap sees all output, even when the node takes nothing or is lost', () => {
  const node = new MockChar();
  let seen = '';
  const { backend } = tapConsole(node, (chunk) => { seen += text(chunk); });
  backend.write(bytes('one '));
  node.accept = 0;
  expect(backend.write(bytes('two '))).toBe(4);
  node.accept = -1;
  expect(backend.write(bytes('three '))).toBe(6);
  node.error = '5 (EIO)';
  expect(backend.write(bytes('four'))).toBe(4);
  expect(seen).toBe('one two three four');
  expect(node.text).toBe('one ');
});

test('what viewers type arrives as if from the node, bounded, and wakes the device', async () => {
  const node = new MockChar();
  const tap = tapConsole(node, () => undefined);
  let wakes = 0;
  tap.backend.onReady(() => { wakes += 1; });
  expect(tap.inject(bytes('ls\r'))).toBe(3);
  node.type('from the node');
  expect(wakes).toBe(2);
  expect(text(tap.backend.read(100))).toBe('ls\r');
  expect(text(tap.backend.read(100))).toBe('from the node');
  expect(tap.inject(new Uint8Array(100_000))).toBe(65536);
  expect(tap.inject(bytes('x'))).toBe(0);
  await tap.backend.close();
  expect(node.closed).toBe(true);
  expect(tap.inject(bytes('x'))).toBe(0);
});

test('the file backend appends and has no input', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'acrn-file-'));
  const file = path.join(dir, 'console.log');
  fs.writeFileSync(file, 'before\n');
  const backend = openFile(file, 'virtio-console log');
  expect(backend.write(bytes('after\n'))).toBe(6);
  expect(backend.read(10)).toHaveLength(0);
  await backend.close();
  expect(backend.write(bytes('x'))).toBe(-1);
  expect(fs.readFileSync(file, 'utf8')).toBe('before\nafter\n');
  expect(() => openFile(path.join(dir, 'no', 'such'), 'virtio-console log')).toThrow('virtio-console log cannot use');
  fs.rmSync(dir, { recursive: true });
});

test('stdio has one user; without a terminal it only writes', async () => {
  const output = new PassThrough();
  let seen = '';
  output.on('data', (chunk: Buffer) => { seen += chunk.toString(); });
  const input = Object.assign(new PassThrough(), { isTTY: false });
  const open = () => openStdio('com1', input as unknown as NodeJS.ReadStream, output as unknown as NodeJS.WriteStream);
  const backend = open();
  expect(open).toThrow('stdio is used by other device');
  input.write('ignored');
  expect(backend.write(bytes('hello'))).toBe(5);
  await backend.close();
  expect(seen).toBe('hello');
  await open().close();
});

test('stdio on a terminal is raw while open', async () => {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => { modes.push(on); } });
  const backend = openStdio('com1', input as unknown as NodeJS.ReadStream, new PassThrough() as unknown as NodeJS.WriteStream);
  const arrived = new Promise<void>((resolve) => backend.onReady(resolve));
  input.write('\x03');
  await arrived;
  expect([...backend.read(10)]).toEqual([3]);
  await backend.close();
  expect(modes).toEqual([true, false]);
});

test('timers fire once, not before their time, and not at all when cancelled', async () => {
  const host = createHostBackends();
  const start = host.monotonicNs();
  let cancelled = false;
  host.setTimer(1e6, () => { cancelled = true; })();
  await new Promise<void>((resolve) => host.setTimer(2e6, resolve));
  expect(host.monotonicNs() - start).toBeGreaterThanOrEqual(2e6);
  await new Promise<void>((resolve) => host.setTimer(0, resolve));
  expect(cancelled).toBe(false);
});

test('random fills the whole array', () => {
  const into = new Uint8Array(4096);
  createHostBackends().random(into);
  expect(new Set(into).size).toBeGreaterThan(200);
});
