import { expect, test } from 'vitest';
import type { CharBackendSpec } from '../../../backends_if.ts';
import { MockChar, MockDriver, mockHost } from './mock_driver.ts';
import { virtioConsole } from './virtio_console.ts';
import { parseConsoleOptions } from './virtio_console_opts.ts';

async function setUp(opts = '@pty:pty_port', queueCount = 8) {
  const chars: MockChar[] = [];
  const specs: CharBackendSpec[] = [];
  const host = mockHost({ openChar: async (spec) => { specs.push(spec); const char = new MockChar(); chars.push(char); return char; } });
  const driver = await MockDriver.create(virtioConsole, opts, host);
  driver.probeModern(3n, queueCount);
  return { driver, chars, host, specs };
}

function control(driver: MockDriver, id: number, event: number, value: number): void {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setUint32(0, id, true);
  bytes.setUint16(4, event, true);
  bytes.setUint16(6, value, true);
  driver.queues[3].add([driver.put(0x4_0000, new Uint8Array(bytes.buffer))]);
  driver.kick(3);
}

function giveControlBuffers(driver: MockDriver, count: number): void {
  for (let i = 0; i < count; i++) driver.queues[2].add([{ gpa: 0x4_1000 + i * 0x200, length: 0x200, write: true }]);
  driver.kick(2);
}

function controlMessages(driver: MockDriver): string[] {
  return driver.queues[2].returned().map(({ head, length }) => {
    const at = driver.memory.data.getUint32(driver.queues[2].desc + head * 16, true);
    const view = driver.memory.data;
    const name = new TextDecoder().decode(driver.get(at + 8, length - 8));
    return `${view.getUint32(at, true)} ${view.getUint16(at + 4, true)} ${view.getUint16(at + 6, true)}${name === '' ? '' : ` ${name}`}`;
  });
}

test('34 queues of 64, features SIZE and MULTIPORT, 80x25 and 16 ports', async () => {
  const { driver } = await setUp();
  expect(driver.device.barRead(4, 0x12, 2)).toBe(34);
  expect(driver.device.barRead(4, 0x18, 2)).toBe(64);
  expect(driver.device.barRead(0, 0, 4)).toBe(3);
  expect(driver.device.barRead(4, 0x2000, 2)).toBe(80);
  expect(driver.device.barRead(4, 0x2002, 2)).toBe(25);
  expect(driver.device.barRead(4, 0x2004, 4)).toBe(16);
  driver.device.barWrite(4, 0x2008, 4, 65);
  expect(driver.device.barRead(4, 0x2008, 4)).toBe(0);
});

test('the pty line is printed with its two rules', async () => {
  const { driver } = await setUp();
  expect(driver.vm.lines).toEqual(['*'.repeat(47), 'virt-console backend redirected to /dev/pts/42', '*'.repeat(47)]);
});

test('DEVICE_READY is answered by ADD and NAME for every port and then OPEN; PORT_READY of a console by CONSOLE_PORT', async () => {
  const { driver } = await setUp('@pty:one,file:two=/x');
  giveControlBuffers(driver, 16);
  control(driver, 0, 0, 1);
  expect(controlMessages(driver)).toEqual(['0 1 1', '0 7 0 one', '1 1 1', '1 7 0 two', '0 6 1', '1 6 1']);
  control(driver, 0, 3, 1);
  control(driver, 1, 3, 1);
  expect(controlMessages(driver)).toEqual(['0 4 1']);
  control(driver, 9, 3, 1);
  expect(driver.vm.lines.at(-1)).toBe('virtio-console: VTCONSOLE_PORT_READY for unknown port 9');
});

test('control messages wait for buffers', async () => {
  const { driver } = await setUp();
  control(driver, 0, 0, 1);
  giveControlBuffers(driver, 2);
  expect(controlMessages(driver)).toEqual(['0 1 1', '0 7 0 pty_port']);
  giveControlBuffers(driver, 1);
  expect(controlMessages(driver)).toEqual(['0 6 1']);
});

test('output reaches the backend of its port, a whole batch with one interrupt, used length 0', async () => {
  const { driver, chars } = await setUp('@pty:one,@pty:two');
  driver.vdev.msixOn = true;
  driver.queues[1].add([driver.put(0x5_0000, 'hello, ')]);
  driver.queues[1].add([driver.put(0x5_1000, 'wor'), driver.put(0x5_2000, 'ld')]);
  driver.kick(1);
  driver.queues[5].add([driver.put(0x5_3000, 'second')]);
  driver.kick(5);
  expect(chars[0].text).toBe('hello, world');
  expect(chars[1].text).toBe('second');
  expect(driver.queues[1].returned().map(({ length }) => length)).toEqual([0, 0]);
  expect(driver.vdev.msix).toEqual([2, 6]);
});

test('bytes the backend does not take are lost and the guest goes on', async () => {
  const { driver, chars } = await setUp();
  chars[0].accept = 0;
  driver.queues[1].add([driver.put(0x5_0000, 'lost')]);
  driver.kick(1);
  expect(driver.queues[1].returned()).toHaveLength(1);
  expect(chars[0].closed).toBe(false);
});

test('a write error closes the backend with its message; the port stays', async () => {
  const { driver, chars } = await setUp();
  chars[0].accept = -1;
  chars[0].error = '5 (EIO)';
  driver.queues[1].add([driver.put(0x5_0000, 'x')]);
  driver.kick(1);
  expect(driver.vm.lines.at(-1)).toBe('vtcon: be write failed! errno = 5 (EIO)');
  expect(chars[0].closed).toBe(true);
  driver.queues[1].add([driver.put(0x5_0000, 'y')]);
  driver.kick(1);
  expect(driver.queues[1].returned()).toHaveLength(2);
});

test('input is dropped until the driver gives its first buffer, then delivered', async () => {
  const { driver, chars } = await setUp();
  chars[0].type('too early');
  driver.queues[0].add([{ gpa: 0x5_0000, length: 16, write: true }]);
  driver.kick(0);
  expect(driver.queues[0].returned()).toEqual([]);
  expect(driver.queues[0].noNotify).toBe(true);
  chars[0].type('ls\n');
  expect(driver.queues[0].returned().map(({ length }) => length)).toEqual([3]);
  expect(new TextDecoder().decode(driver.get(0x5_0000, 3))).toBe('ls\n');
});

test('input beyond the guest\'s buffers is held back, complete and in order', async () => {
  const { driver, chars } = await setUp();
  driver.queues[0].add([{ gpa: 0x5_0000, length: 8, write: true }]);
  driver.kick(0);
  const paste = Array.from({ length: 1000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
  chars[0].type(paste);
  expect(chars[0].paused).toBe(true);
  expect(driver.queues[0].noNotify).toBe(false);
  let seen = '';
  while (seen.length < 1000) {
    for (const { length } of driver.queues[0].returned()) seen += new TextDecoder().decode(driver.get(0x5_0000, length));
    driver.queues[0].add([{ gpa: 0x5_0000, length: 8, write: true }]);
    driver.kick(0);
  }
  expect(seen).toBe(paste);
  expect(chars[0].paused).toBe(false);
  expect(driver.queues[0].noNotify).toBe(true);
});

test('without MULTIPORT queues 0 and 1 serve port 0, on the legacy registers too', async () => {
  const { driver, chars } = await setUp();
  driver.probeLegacy(0, 2);
  driver.queues[1].add([driver.put(0x5_0000, 'early')]);
  driver.kick(1);
  expect(chars[0].text).toBe('early');
});

test('a chain of many times the same large buffer writes a bounded amount', async () => {
  const { driver, chars } = await setUp();
  driver.queues[1].add(Array.from({ length: 60 }, () => ({ gpa: 0, length: 1 << 19, write: false })));
  driver.kick(1);
  expect(chars[0].written.reduce((sum, { length }) => sum + length, 0)).toBe(1 << 20);
  expect(driver.queues[1].returned()).toHaveLength(1);
});

test('a reset keeps backends and readiness', async () => {
  const { driver, chars } = await setUp();
  driver.queues[0].add([{ gpa: 0x5_0000, length: 8, write: true }]);
  driver.kick(0);
  driver.probeModern(3n, 4);
  driver.queues[0].add([{ gpa: 0x5_0000, length: 8, write: true }]);
  chars[0].type('again');
  expect(driver.queues[0].returned()).toHaveLength(1);
  await driver.device.deinit();
  expect(chars[0].closed).toBe(true);
});

test('port options follow ACRN\'s grammar', () => {
  expect(parseConsoleOptions('@PTY:pty_port,socket:s=/tmp/s:client,socket:t=/tmp/t,tty:u=/dev/ttyS0,stdio:v')).toEqual([
    { name: 'pty_port', isConsole: true, backend: { kind: 'pty' } },
    { name: 's', isConsole: false, backend: { kind: 'socket', path: '/tmp/s', role: 'client' } },
    { name: 't', isConsole: false, backend: { kind: 'socket', path: '/tmp/t', role: 'server' } },
    { name: 'u', isConsole: false, backend: { kind: 'tty', path: '/dev/ttyS0' } },
    { name: 'v', isConsole: false, backend: { kind: 'stdio' } },
  ]);
  expect(() => parseConsoleOptions('pty')).toThrow('vtcon: please at least config portname');
  expect(() => parseConsoleOptions('file:log')).toThrow('vtcon: portpath missing for log');
  expect(() => parseConsoleOptions('pipe:x')).toThrow('vtcon: invalid backend pipe!');
  expect(() => parseConsoleOptions('stdio:a,stdio:b')).toThrow('vtcon: stdio is used by other device');
  expect(() => parseConsoleOptions('socket:a=/x:peer')).toThrow('Socket type not exist');
  expect(() => parseConsoleOptions(Array.from({ length: 17 }, (_, i) => `pty:p${i}`).join(','))).toThrow('at most 16');
});

test('when one port cannot be opened the others are closed again', async () => {
  const first = new MockChar();
  let calls = 0;
  const host = mockHost({ openChar: async () => { calls += 1; if (calls === 2) throw new Error('no'); return first; } });
  await expect(MockDriver.create(virtioConsole, '@pty:a,pty:b', host)).rejects.toThrow('no');
  expect(first.closed).toBe(true);
});

test('output waits in its queue while the reader is busy, and follows when it no longer is', async () => {
  const { driver, chars } = await setUp();
  const send = (text: string, at: number): void => {
    driver.queues[1].add([driver.put(at, new TextEncoder().encode(text))]);
    driver.kick(1);
  };
  send('a', 0x5_0000);
  chars[0].busy = true;
  send('b', 0x5_0100);
  send('c', 0x5_0200);
  expect(chars[0].text).toBe('a');
  expect(driver.queues[1].returned()).toHaveLength(1);
  chars[0].ease();
  expect(chars[0].text).toBe('abc');
  expect(driver.queues[1].returned().length).toBeGreaterThanOrEqual(2);
});
