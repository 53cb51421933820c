import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { bytes, fromRegister, register, SseMachine, toHex } from './sse_test_machine.ts';

let machine: SseMachine;
beforeAll(async () => { machine = await SseMachine.create(); });

const xor = (a: Uint8Array<ArrayBuffer>, b: Uint8Array) => a.map((v, i) => v ^ b[i]);

/** AES-128 key schedule through AESKEYGENASSIST, as SDM vol. 1, 12.13.4 uses it. */
function expandKey(key: Uint8Array<ArrayBuffer>): Array<Uint8Array<ArrayBuffer>> {
  const keys = [key];
  for (const rcon of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36]) {
    const previous = keys.at(-1)!;
    const assist = machine.run('AESKEYGENASSIST', { xmm1: previous, imm: rcon }).xmm0.subarray(12);
    const next = previous.slice();
    for (let i = 0; i < 16; i += 1) next[i] ^= i < 4 ? assist[i] : next[i - 4];
    keys.push(next);
  }
  return keys;
}

test('AESKEYGENASSIST expands the key of FIPS 197 A.1', () => {
  const keys = expandKey(bytes('2b7e151628aed2a6abf7158809cf4f3c'));
  expect(toHex(keys[1])).toBe('a0fafe1788542cb123a339392a6c7605');
  expect(toHex(keys[10])).toBe('d014f9a8c9ee2589e13f0cc8b6630ca6');
});

test('AESENC and AESENCLAST encrypt, AESDEC and AESDECLAST decrypt the block of FIPS 197 C.1', () => {
  const keys = expandKey(bytes('000102030405060708090a0b0c0d0e0f'));
  const plain = bytes('00112233445566778899aabbccddeeff');
  let state = xor(plain, keys[0]);
  for (let i = 1; i < 10; i += 1) state = machine.run('AESENC', { xmm0: state, xmm1: keys[i] }).xmm0;
  state = machine.run('AESENCLAST', { xmm0: state, xmm1: keys[10] }).xmm0;
  expect(toHex(state)).toBe('69c4e0d86a7b0430d8cdb78070b4c55a');

  state = xor(state, keys[10]);
  for (let i = 9; i > 0; i -= 1) {
    const inverse = machine.run('AESIMC', { xmm1: keys[i] }).xmm0;
    state = machine.run('AESDEC', { xmm0: state, xmm1: inverse }).xmm0;
  }
  state = machine.run('AESDECLAST', { xmm0: state, xmm1: keys[0] }).xmm0;
  expect(state).toEqual(plain);
});

test('PCLMULQDQ takes the quadword of its first operand from imm8 bit 0, of its second from bit 4', () => {
  const a = register('7b5b54657374566563746f725d53475d');
  const b = register('48692853686179295b477565726f6e5d');
  const product = (imm: number) => fromRegister(machine.run('PCLMULQDQ', { xmm0: a, xmm1: b, imm }).xmm0);
  expect(product(0x00)).toBe('1d4d84c85c3440c0929633d5d36f0451');
  expect(product(0x10)).toBe('1bd17c8d556ab5a17fa540ac2a281315');
  expect(product(0x01)).toBe('1a2bf6db3a30862fbabf262df4b7d5c9');
  expect(product(0x11)).toBe('1d1e1f2c592e7c45d66ee03e410fd4ed');
});

test('PCLMULQDQ is the product of polynomials over GF(2)', () => {
  const quadword = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  fc.assert(fc.property(quadword, quadword, (a, b) => {
    let expected = 0n;
    for (let i = 0n; i < 64n; i += 1n) if (b >> i & 1n) expected ^= a << i;
    const r = machine.run('PCLMULQDQ', { xmm0: register(a.toString(16)), xmm1: register(b.toString(16)), imm: 0 });
    expect(BigInt(`0x${fromRegister(r.xmm0)}`)).toBe(expected);
  }), { seed: 1, numRuns: 200 });
});

const bigEndianWords = (block: Uint8Array) => Array.from({ length: block.length / 4 }, (_, i) => new DataView(block.buffer, block.byteOffset).getUint32(i * 4));
/** Words with the first in the lowest lane. */
const lanes = (words: readonly number[]): Uint8Array<ArrayBuffer> => { const v = new Uint8Array(16); words.forEach((w, i) => new DataView(v.buffer).setUint32(i * 4, w >>> 0, true)); return v; };
const words = (v: Uint8Array) => Array.from({ length: 4 }, (_, i) => new DataView(v.buffer).getUint32(i * 4, true));
const add = (a: Uint8Array, b: Uint8Array) => lanes(words(a).map((w, i) => w + words(b)[i]));

/** One padded block of a short message. */
function padded(message: string): Uint8Array {
  const block = new Uint8Array(64);
  block.set(new TextEncoder().encode(message));
  block[message.length] = 0x80;
  new DataView(block.buffer).setUint32(60, message.length * 8);
  return block;
}

test('The SHA-1 instructions hash one block as FIPS 180-4 does', () => {
  for (const message of ['abc', '', 'The quick brown fox jumps over the lazy dog']) {
    const w = bigEndianWords(padded(message));
    // Highest lane first: the SHA-1 instructions keep W0 in bits 127:96.
    const msg = [0, 1, 2, 3].map((i) => lanes(w.slice(i * 4, i * 4 + 4).reverse()));
    const initial = lanes([0x10325476, 0x98badcfe, 0xefcdab89, 0x67452301]);
    let abcd = initial;
    let e = lanes([0, 0, 0, 0xc3d2e1f0]);
    const e0 = e;
    for (let group = 0; group < 20; group += 1) {
      if (group >= 4) {
        const [m0, m1, m2, m3] = msg.slice(group - 4, group);
        const part = xor(machine.run('SHA1MSG1', { xmm0: m0, xmm1: m1 }).xmm0, m2);
        msg.push(machine.run('SHA1MSG2', { xmm0: part, xmm1: m3 }).xmm0);
      }
      const input = group === 0 ? add(e, msg[0]) : machine.run('SHA1NEXTE', { xmm0: e, xmm1: msg[group] }).xmm0;
      e = abcd;
      abcd = machine.run('SHA1RNDS4', { xmm0: abcd, xmm1: input, imm: Math.floor(group / 5) }).xmm0;
    }
    const last = machine.run('SHA1NEXTE', { xmm0: e, xmm1: e0 }).xmm0;
    const digest = [...words(add(abcd, initial)).reverse(), words(last)[3]].map((x) => x.toString(16).padStart(8, '0')).join('');
    expect(digest).toBe(createHash('sha1').update(message).digest('hex'));
  }
});

/** First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
function sha256Constants(): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((p) => n % p !== 0)) primes.push(n);
  return primes.map((p) => {
    let root = 0n;
    for (let bit = 1n << 40n; bit > 0n; bit >>= 1n) if ((root + bit) ** 3n <= BigInt(p) << 96n) root += bit;
    return Number(root & 0xffffffffn);
  });
}

test('The SHA-256 instructions hash one block as FIPS 180-4 does', () => {
  const k = sha256Constants();
  for (const message of ['abc', '', 'message digest']) {
    const w = bigEndianWords(padded(message));
    const msg = [0, 1, 2, 3].map((i) => lanes(w.slice(i * 4, i * 4 + 4)));
    const abef0 = lanes([0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667]);
    const cdgh0 = lanes([0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372]);
    let abef = abef0;
    let cdgh = cdgh0;
    for (let group = 0; group < 16; group += 1) {
      if (group >= 4) {
        const [m0, m1, m2, m3] = msg.slice(group - 4, group);
        const seven = lanes([words(m2)[1], words(m2)[2], words(m2)[3], words(m3)[0]]);
        const part = add(machine.run('SHA256MSG1', { xmm0: m0, xmm1: m1 }).xmm0, seven);
        msg.push(machine.run('SHA256MSG2', { xmm0: part, xmm1: m3 }).xmm0);
      }
      const wk = words(add(msg[group], lanes(k.slice(group * 4, group * 4 + 4))));
      for (const half of [wk.slice(0, 2), wk.slice(2)]) {

        const next = machine.rounds256(cdgh, abef, lanes(half));
        cdgh = abef;
        abef = next;
      }
    }
    const [f, e, b, a] = words(add(abef, abef0));
    const [h, g, d, c] = words(add(cdgh, cdgh0));
    expect([a, b, c, d, e, f, g, h].map((x) => x.toString(16).padStart(8, '0')).join('')).toBe(createHash('sha256').update(message).digest('hex'));
  }
});
