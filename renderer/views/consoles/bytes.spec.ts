import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBytes, toBytes } from './bytes.ts';

test('typed text becomes UTF-8, one character a byte', () => {
  expect(toBytes('a\u00f8\u20ac')).toBe('a\xc3\xb8\xe2\x82\xac');
});

test('output becomes the bytes it stands for', () => {
  expect(fromBytes('\x1b[0m\xff\0')).toEqual(Uint8Array.of(0x1b, 0x5b, 0x30, 0x6d, 0xff, 0));
});

test('text that is no byte string is left as it is', () => {
  expect(fromBytes('\u20ac')).toBe('\u20ac');
});

test('any text goes out and comes back', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => {
    expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(fromBytes(toBytes(text)) as Uint8Array)).toBe(text);
  }), { seed: 11 });
});
