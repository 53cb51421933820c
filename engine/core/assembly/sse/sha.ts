/**
 * The SHA extensions. SHA-1 keeps its words from the highest lane down, SHA-256 its state as ABEF and CDGH.
 *
 * @spec FIPS 180-4, 6.1.2 and 6.2.2; SDM vol. 2: SHA1RNDS4, SHA1NEXTE, SHA1MSG1, SHA1MSG2, SHA256RNDS2, SHA256MSG1, SHA256MSG2
 */

// @ts-ignore: decorator
@inline function lane(v: v128, i: u8): u32 {
  return i == 0 ? i32x4.extract_lane(v, 0) : i == 1 ? i32x4.extract_lane(v, 1) : i == 2 ? i32x4.extract_lane(v, 2) : i32x4.extract_lane(v, 3);
}

// @ts-ignore: decorator
@inline function make(l0: u32, l1: u32, l2: u32, l3: u32): v128 {
  return i64x2.replace_lane(i64x2.splat(<i64>(<u64>l0 | <u64>l1 << 32)), 1, <i64>(<u64>l2 | <u64>l3 << 32));
}

const SHA1_K: usize = memory.data<u32>([0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6], 16);

/** f_t of FIPS 180-4, 4.1.1: Ch, Parity, Maj, Parity. */
// @ts-ignore: decorator
@inline function sha1Function(group: u32, b: u32, c: u32, d: u32): u32 {
  return group == 0 ? (b & c) ^ (~b & d) : group == 2 ? (b & c) ^ (b & d) ^ (c & d) : b ^ c ^ d;
}

/** Four rounds. E of the first round is already in the message word (SHA1NEXTE). */
export function sha1Rounds4(state: v128, message: v128, imm: u32): v128 {
  const group = imm & 3;
  const k = load<u32>(SHA1_K + (<usize>group << 2));
  let a = lane(state, 3);
  let b = lane(state, 2);
  let c = lane(state, 1);
  let d = lane(state, 0);
  let e: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const w = i == 0 ? lane(message, 3) : i == 1 ? lane(message, 2) : i == 2 ? lane(message, 1) : lane(message, 0);
    const t = sha1Function(group, b, c, d) + rotl<u32>(a, 5) + w + e + k;
    e = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = t;
  }
  return make(d, c, b, a);
}

export function sha1NextE(state: v128, message: v128): v128 {
  return i32x4.replace_lane(message, 3, <i32>(lane(message, 3) + rotl<u32>(lane(state, 3), 30)));
}

export function sha1Message1(a: v128, b: v128): v128 {
  return v128.xor(a, i64x2.shuffle(b, a, 1, 2));
}

export function sha1Message2(a: v128, b: v128): v128 {
  const w16 = rotl<u32>(lane(a, 3) ^ lane(b, 2), 1);
  const w17 = rotl<u32>(lane(a, 2) ^ lane(b, 1), 1);
  const w18 = rotl<u32>(lane(a, 1) ^ lane(b, 0), 1);
  const w19 = rotl<u32>(lane(a, 0) ^ w16, 1);
  return make(w19, w18, w17, w16);
}

// @ts-ignore: decorator
@inline function bigSigma0(x: u32): u32 { return rotr<u32>(x, 2) ^ rotr<u32>(x, 13) ^ rotr<u32>(x, 22); }
// @ts-ignore: decorator
@inline function bigSigma1(x: u32): u32 { return rotr<u32>(x, 6) ^ rotr<u32>(x, 11) ^ rotr<u32>(x, 25); }
// @ts-ignore: decorator
@inline function smallSigma0(x: u32): u32 { return rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ x >> 3; }
// @ts-ignore: decorator
@inline function smallSigma1(x: u32): u32 { return rotr<u32>(x, 17) ^ rotr<u32>(x, 19) ^ x >> 10; }

/** Two rounds; wk: message words plus round constants in lanes 0 and 1. */
export function sha256Rounds2(cdgh: v128, abef: v128, wk: v128): v128 {
  let a = lane(abef, 3);
  let b = lane(abef, 2);
  let e = lane(abef, 1);
  let f = lane(abef, 0);
  let c = lane(cdgh, 3);
  let d = lane(cdgh, 2);
  let g = lane(cdgh, 1);
  let h = lane(cdgh, 0);
  for (let i: u32 = 0; i < 2; i++) {
    const t = ((e & f) ^ (~e & g)) + bigSigma1(e) + (i == 0 ? lane(wk, 0) : lane(wk, 1)) + h;
    const t2 = ((a & b) ^ (a & c) ^ (b & c)) + bigSigma0(a);
    h = g;
    g = f;
    f = e;
    e = d + t;
    d = c;
    c = b;
    b = a;
    a = t + t2;
  }
  return make(f, e, b, a);
}

export function sha256Message1(a: v128, b: v128): v128 {
  const w4 = lane(b, 0);
  const w3 = lane(a, 3);
  const w2 = lane(a, 2);
  const w1 = lane(a, 1);
  return i32x4.add(a, make(smallSigma0(w1), smallSigma0(w2), smallSigma0(w3), smallSigma0(w4)));
}

export function sha256Message2(a: v128, b: v128): v128 {
  const w16 = lane(a, 0) + smallSigma1(lane(b, 2));
  const w17 = lane(a, 1) + smallSigma1(lane(b, 3));
  const w18 = lane(a, 2) + smallSigma1(w16);
  const w19 = lane(a, 3) + smallSigma1(w17);
  return make(w16, w17, w18, w19);
}
