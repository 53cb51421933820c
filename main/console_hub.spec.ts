import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConsoleHub } from './console_hub.ts';
import type { ConsoleClient } from './console_hub.ts';

function setup() {
  const due: Array<() => void> = [];
  const calls: string[] = [];
  const hub = new ConsoleHub({
    attach: async (name, consoleId, onReply) => { calls.push(`attach ${name} ${consoleId}`); onReply('screen'); },
    detach: (name, consoleId) => { calls.push(`detach ${name} ${consoleId}`); },
  }, (callback) => { due.push(callback); });
  const client = () => {
    const seen = { text: '', events: 0, buffered: 0 };
    const own: ConsoleClient = { output: (_name, _id, data) => { seen.text += data; seen.events += 1; }, bufferedBytes: () => seen.buffered };
    hub.add(own);
    return { own, seen };
  };
  return { hub, calls, client, due, flush: () => { for (const callback of due.splice(0)) callback(); } };
}

test('each client gets the output of the consoles it attached to, and of no other', async () => {
  const { hub, client, flush } = setup();
  const [a, b] = [client(), client()];
  await hub.attach(a.own, 'vm1', 'com1');
  await hub.attach(b.own, 'vm1', 'com2');
  hub.output('vm1', 'com1', 'x');
  hub.output('vm1', 'com2', 'y');
  flush();
  expect([a.seen.text, b.seen.text]).toEqual(['x', 'y']);
});

test('every attach is followed by one detach, whether asked for or by leaving', async () => {
  const { hub, calls, client } = setup();
  const a = client();
  await hub.attach(a.own, 'vm1', 'com1');
  await hub.attach(a.own, 'vm1', 'com1');
  hub.detach(a.own, 'vm1', 'com1');
  hub.remove(a.own);
  hub.detach(a.own, 'vm1', 'com1'); // nothing is left to detach
  expect(calls).toEqual(['attach vm1 com1', 'attach vm1 com1', 'detach vm1 com1', 'detach vm1 com1']);
});

test('a client that leaves while its attach is under way is detached', async () => {
  const { hub, calls, client } = setup();
  const a = client();
  hub.remove(a.own);
  await hub.attach(a.own, 'vm1', 'com1');
  expect(calls).toEqual(['attach vm1 com1', 'detach vm1 com1']);
});

test('output before a second snapshot leaves before the snapshot', async () => {
  const { hub, client } = setup();
  const a = client();
  await hub.attach(a.own, 'vm1', 'com1');
  hub.output('vm1', 'com1', 'early');
  await hub.attach(a.own, 'vm1', 'com1');
  expect(a.seen.text).toBe('early');
});

test('a client with 512 KiB on its way waits, the other does not', async () => {
  const { hub, client, flush, due } = setup();
  const [slow, fast] = [client(), client()];
  await hub.attach(slow.own, 'vm1', 'com1');
  await hub.attach(fast.own, 'vm1', 'com1');
  slow.seen.buffered = 512 * 1024 + 1;
  hub.output('vm1', 'com1', 'abc');
  flush();
  expect([slow.seen.text, fast.seen.text]).toEqual(['', 'abc']);
  slow.seen.buffered = 0;
  expect(due.length).toBe(1); // it is looked at again
  flush();
  expect(slow.seen.text).toBe('abc');
});

test('a slow client keeps the newest 256 KiB and is told how much is missing', async () => {
  const { hub, client, flush } = setup();
  const a = client();
  await hub.attach(a.own, 'vm1', 'com1');
  a.seen.buffered = 1 << 20;
  for (let at = 0; at < 300; at += 1) hub.output('vm1', 'com1', String(at % 10).repeat(1024));
  a.seen.buffered = 0;
  flush();
  expect(a.seen.text).toContain(`${44 * 1024} bytes were not shown`);
  expect(a.seen.text.endsWith('9'.repeat(1024))).toBe(true);
  expect(a.seen.text.length).toBeLessThan(257 * 1024);
});

test('a VM that ends still delivers what it said last', async () => {
  const { hub, calls, client } = setup();
  const a = client();
  await hub.attach(a.own, 'vm1', 'com1');
  hub.output('vm1', 'com1', 'Power down.');
  hub.forget('vm1');
  expect(a.seen.text).toBe('Power down.');
  hub.remove(a.own);
  expect(calls).toEqual(['attach vm1 com1']); // the console is gone, there is nothing to detach
});

test('whatever the sizes and the moments, a client that keeps up gets every byte in order', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.string({ maxLength: 40 }), fc.constant(undefined), fc.constant('z'.repeat(70_000))), { maxLength: 40 }), async (steps) => {
    const { hub, client, flush } = setup();
    const a = client();
    await hub.attach(a.own, 'vm', 'c');
    let sent = '';
    for (const step of steps) {
      if (step === undefined) { flush(); continue; }
      hub.output('vm', 'c', step);
      sent += step;
      if (step.length > 1000) flush();
    }
    flush();
    expect(a.seen.text).toBe(sent);
  }), { numRuns: 60, seed: 7 });
});
