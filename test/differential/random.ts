/** A small seeded generator (sfc32) and the values that instructions find interesting. */
export class Random {
  #a: number; #b: number; #c: number; #d = 1;
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = 0x9e3779b9;
    this.#c = 0x243f6a88;
    for (let i = 0; i < 16; i += 1) this.u32();
  }
  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
  }
  /** 0 <= n < limit. */
  below(limit: number): number { return this.u32() % limit; }
  chance(p: number): boolean { return this.u32() < p * 4294967296; }
  pick<T>(from: readonly T[]): T { return from[this.below(from.length)]; }
  u64(): bigint { return (BigInt(this.u32()) << 32n) | BigInt(this.u32()); }
}

const M64 = 0xffff_ffff_ffff_ffffn;
const CORNERS = [
  0n, 1n, 2n, 3n, 7n, 8n, 0xfn, 0x10n, 0x1fn, 0x20n, 0x3fn, 0x40n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn, 0x10000n,
  0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, M64, M64 - 1n,
  0x5555_5555_5555_5555n, 0xaaaa_aaaa_aaaa_aaaan, 0x0102_0408_1020_4080n, 0xffff_ffff_8000_0000n, 0xffff_ffff_7fff_ffffn,
];

export function integer(r: Random): bigint {
  switch (r.below(4)) {
    case 0: return r.pick(CORNERS);
    case 1: return r.u64();
    case 2: return r.u64() >> BigInt(r.below(64));
    default: return ((r.pick(CORNERS) + BigInt(r.below(5) - 2)) ^ (r.chance(0.3) ? 1n << BigInt(r.below(64)) : 0n)) & M64;
  }
}

const F32 = [0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f800001, 0xffbfffff, 1, 0x80000001,
  0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x4f800000, 0x5f000000, 0xdf000000, 0x3f000000,
  0x3effffff, 0x3fc00000, 0x4b000000, 0x4b000001, 0x33800000, 0x5a800000];

export function float32(r: Random): number {
  switch (r.below(4)) {
    case 0: return r.pick(F32);
    case 1: return r.u32();
    case 2: return ((r.below(2) << 31) | ((127 + r.below(40) - 20) << 23) | (r.u32() & 0x7fffff)) >>> 0;
    default: return ((r.below(2) << 31) | ((127 + r.below(16) - 4) << 23) | (r.below(256) << 15)) >>> 0;
  }
}

const F64 = [0n, 1n << 63n, 0x3ff0n << 48n, 0xbff0n << 48n, 0x7ff0n << 48n, 0xfff0n << 48n, 0x7ff8n << 48n, (0xfff8n << 48n) | 1n, (0x7ff0n << 48n) | 1n,
  (0xfff7n << 48n) | 0xffff_ffff_ffffn, 1n, (1n << 63n) | 1n, 0x000f_ffff_ffff_ffffn, 0x0010n << 48n, 0x7fef_ffff_ffff_ffffn, 0xffef_ffff_ffff_ffffn,
  0x41e0n << 48n, 0xc1e0n << 48n, 0x41df_ffff_ffc0_0000n, 0x43e0n << 48n, 0xc3e0n << 48n, 0x3fe0n << 48n, 0x3ff8n << 48n, 0x4330n << 48n,
  0x47ef_ffff_e000_0000n, 0x47ef_ffff_f000_0000n, 0x3810n << 48n, 0x380f_ffff_ffff_ffffn, 0x36a0n << 48n, 0x3690n << 48n];

export function float64(r: Random): bigint {
  switch (r.below(5)) {
    case 0: return r.pick(F64);
    case 1: return r.u64();
    case 2: return (BigInt(r.below(2)) << 63n) | (BigInt(1023 + r.below(80) - 40) << 52n) | (r.u64() & 0xf_ffff_ffff_ffffn);
    case 3: return (BigInt(r.below(2)) << 63n) | (BigInt(1023 + r.pick([127, 128, -126, -127, -149, -150, 31, 63, 62])) << 52n) | (r.u64() & 0xf_ffff_ffff_ffffn);
    default: return (BigInt(r.below(2)) << 63n) | (BigInt(1023 + r.below(16) - 4) << 52n) | (BigInt(r.below(256)) << 44n);
  }
}

/** A double extended value: [sign and exponent, significand]. Unsupported encodings and pseudo-denormals come too. */
export function float80(r: Random): readonly [number, bigint] {
  const sign = r.below(2) << 15;
  const fraction = (): bigint => {
    switch (r.below(5)) {
      case 0: return 0n;
      case 1: return r.u64() & 0x7fff_ffff_ffff_ffffn;
      case 2: return (r.u64() << BigInt(r.below(64))) & 0x7fff_ffff_ffff_ffffn;
      case 3: return 0x7fff_ffff_ffff_ffffn;
      default: return (BigInt(r.below(256)) << 55n) | (r.chance(0.3) ? r.pick([0x400n, 0x3ffn, 0x401n, 0x80_0000_0000n, 0x7f_ffff_ffffn]) : 0n);
    }
  };
  const one = 1n << 63n;
  switch (r.below(16)) {
    case 0: return [sign, 0n];
    case 1: return [sign | 0x7fff, one];
    case 2: return [sign | 0x7fff, one | (1n << 62n) | fraction()];
    case 3: return [sign | 0x7fff, one | ((fraction() & ~(1n << 62n)) || 1n)];
    case 4: return [sign, fraction()];
    case 5: return r.chance(0.3) ? [sign | r.below(0x8000), r.u64()] : [sign | (1 + r.below(70)), one | fraction()];
    case 6: return [sign | (0x7ffe - r.below(70)), one | fraction()];
    case 7: return [sign | (0x3fff + r.pick([-1022, -1023, -1074, -1075, 1023, 1024, -126, -127, -149, -150, 127, 128, 14, 15, 16, 30, 31, 62, 63, 64])), one | fraction()];
    case 8: return [sign | (1 + r.below(0x7ffe)), one | fraction()];
    case 9: case 10: case 11: return [sign | (0x3fff + r.below(70) - 3), one | fraction()];
    case 12: return [sign | (0x3fff - r.below(70)), one | fraction()];
    default: return [sign | (0x3fff + r.below(6) - 3), one | fraction()];
  }
}
