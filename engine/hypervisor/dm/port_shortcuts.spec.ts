import { expect, test } from 'vitest';
import { mockShared, mockVm } from '../mock.ts';
import { VM } from '../shared.ts';
import { PortShortcutMatcher, PortShortcuts } from './port_shortcuts.ts';

function setUp() {
  const shared = mockShared();
  mockVm(shared, [0, 1]);
  let rings = 0;
  shared.ringDoorbell = () => { rings += 1; };
  const ports = new PortShortcuts(shared, 0);
  return { shared, ports, matcher: new PortShortcutMatcher(shared, 0), rings: () => rings };
}

test('a port without a shortcut asks its device', () => {
  const { matcher } = setUp();
  expect(matcher.read(0x3fd)).toBe(-1);
  expect(matcher.write(0x3f8, 0x41)).toBe(false);
});

test('a published byte answers reads until it is withdrawn', () => {
  const { ports, matcher } = setUp();
  const lsr = ports.assign(0x3fd, () => {})!;
  expect(matcher.read(0x3fd)).toBe(-1);
  lsr.answer(0x60);
  expect(matcher.read(0x3fd)).toBe(0x60);
  lsr.answer(undefined);
  expect(matcher.read(0x3fd)).toBe(-1);
});

test('posted writes reach their devices in order, as runs, and the first of a run rings the doorbell', () => {
  const { ports, matcher, rings } = setUp();
  const seen: string[] = [];
  for (const port of [0x3f8, 0x2f8]) ports.assign(port, (bytes) => seen.push(`${port.toString(16)}:${Buffer.from(bytes).toString()}`))!.post(true);
  for (const [port, text] of [[0x3f8, 'ab'], [0x2f8, 'c'], [0x3f8, 'd']] as const) {
    for (const byte of Buffer.from(text)) expect(matcher.write(port, byte)).toBe(true);
  }
  expect(rings()).toBe(1);
  expect(ports.drain()).toBe(1);
  expect(seen).toEqual(['3f8:ab', '2f8:c', '3f8:d']);
  expect(ports.drain()).toBe(0);
});

test('a full ring turns writes into requests until the device has taken some', () => {
  const { ports, matcher } = setUp();
  let taken = 0;
  ports.assign(0x3f8, (bytes) => { taken += bytes.length; })!.post(true);
  for (let i = 0; i < 4096; i += 1) expect(matcher.write(0x3f8, i & 0xff)).toBe(true);
  expect(matcher.write(0x3f8, 0)).toBe(false);
  ports.drain();
  expect(taken).toBe(4096);
  expect(matcher.write(0x3f8, 0)).toBe(true);
});

test('the ring goes on where its indices wrap around 32 bits', () => {
  const { shared, ports, matcher } = setUp();
  const at = shared.vm(0) / 4;
  shared.words[at + VM.PORT_RING_HEAD / 4] = 0x7fff_ffff;
  shared.words[at + VM.PORT_RING_TAIL / 4] = 0x7fff_ffff;
  const seen: number[] = [];
  ports.assign(0x3f8, (bytes) => seen.push(...bytes))!.post(true);
  for (const byte of [1, 2, 3]) matcher.write(0x3f8, byte);
  ports.drain();
  expect(seen).toEqual([1, 2, 3]);
});

test('a ticket whose byte is still to come holds back what follows it', () => {
  const { shared, ports, matcher } = setUp();
  const seen: number[] = [];
  ports.assign(0x3f8, (bytes) => seen.push(...bytes))!.post(true);
  shared.words[shared.vm(0) / 4 + VM.PORT_RING_TAIL / 4] += 1; // another vCPU between its ticket and its store
  matcher.write(0x3f8, 7);
  expect(ports.drain()).toBe(2);
  expect(seen).toEqual([]);
  ports.reset();
  matcher.write(0x3f8, 8);
  ports.drain();
  expect(seen).toEqual([8]);
});

test('a released port is the device model\'s again, with what was posted before', () => {
  const { ports, matcher } = setUp();
  const seen: number[] = [];
  const thr = ports.assign(0x3f8, (bytes) => seen.push(...bytes))!;
  thr.post(true);
  matcher.write(0x3f8, 5);
  thr.release();
  expect(seen).toEqual([5]);
  expect(matcher.write(0x3f8, 6)).toBe(false);
});
