/**
 * MD5 of a short string, for identities that ACRN derives with it (virtio-blk serial). Not for security.
 *
 * @spec   RFC 1321
 */
const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
/** T[i] = floor(2^32 * abs(sin(i + 1))), RFC 1321 3.4. */
const SINES = Uint32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32));

/** The 16-byte digest of the UTF-8 bytes of `text`. */
export function md5(text: string): Uint8Array {
  const message = new TextEncoder().encode(text);
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, message.length * 8, true);
  view.setUint32(padded.length - 4, Math.floor(message.length / 0x2000_0000), true);
  const state = new Uint32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]);
  for (let block = 0; block < padded.length; block += 64) {
    let [a, b, c, d] = state;
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      let mixed: number;
      let word: number;
      if (round === 0) { mixed = (b & c) | (~b & d); word = i; }
      else if (round === 1) { mixed = (d & b) | (~d & c); word = (5 * i + 1) & 15; }
      else if (round === 2) { mixed = b ^ c ^ d; word = (3 * i + 5) & 15; }
      else { mixed = c ^ (b | ~d); word = (7 * i) & 15; }
      const sum = (a + mixed + SINES[i] + view.getUint32(block + word * 4, true)) >>> 0;
      const shift = SHIFTS[round * 4 + (i & 3)];
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) >>> 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
  }
  return new Uint8Array(state.buffer); // hosts are little-endian, as the digest
}
