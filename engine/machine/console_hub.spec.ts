import { expect, test } from 'vitest';
import { ConsoleHub, fromBinaryString, toBinaryString } from './console_hub.ts';

const bytes = (text: string) => Buffer.from(text, 'utf8');
const text = (data: string) => Buffer.from(fromBinaryString(data)).toString('utf8');

function hub() {
  let received = '';
  let wake = () => {};
  const made = new ConsoleHub((b) => b.length, (data) => { received += data; wake(); });
  const until = async (predicate: (s: string) => boolean) => {
    while (!predicate(received)) await new Promise<void>((resolve) => { wake = resolve; });
    return received;
  };
  return { made, until, received: () => received };
}

test('what was printed before a viewer came is in its scrollback, what comes later is delivered', async () => {
  const { made, until } = hub();
  made.output(bytes('before größer\r\n'));
  expect(text(await made.attach())).toContain('before größer');
  made.output(bytes('after'));
  expect(await until((s) => s.includes('after'))).toBe('after');
  made.close();
});

test('a detached console delivers nothing and keeps its screen', async () => {
  const { made, received } = hub();
  await made.attach();
  made.detach();
  made.output(bytes('kept'));
  expect(text(await made.attach())).toContain('kept');
  expect(received()).toBe('');
  made.close();
});

test('bytes survive the binary string form', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect([...fromBinaryString(toBinaryString(all))]).toEqual([...all]);
});

test('a flood is cut to the newest 256 KiB and says how much is not shown', async () => {
  const { made, until } = hub();
  await made.attach();
  for (let i = 0; i < 10; i += 1) made.output(new Uint8Array(64 << 10).fill(65 + i));
  const shown = await until((s) => s.length > 0);
  expect(shown).toContain('bytes not shown');
  expect(shown.endsWith('J')).toBe(true);
  expect(shown.length).toBeLessThan((256 << 10) + 64);
  made.close();
});

test('output while a snapshot is taken is in the snapshot or follows it, once', async () => {
  const { made, until } = hub();
  await made.attach();
  const second = made.attach();
  made.output(bytes('between'));
  const third = made.attach(); // would flush, if nothing held the output back
  const shown = text(await second);
  const alsoShown = text(await third);
  expect(await until((s) => s.includes('between'))).toBe('between');
  expect([shown, alsoShown]).toEqual(['', '']);
  made.close();
});

test('a snapshot under way ends with its console', async () => {
  const { made } = hub();
  const snapshot = made.attach();
  made.close();
  await snapshot;
});
