/**
 * ACPI Machine Language, written directly: the terms and resource descriptors our tables use.
 *
 * @spec  ACPI 5.1 chapters 20 (AML grammar) and 6.4 (resource data types)
 * @cover #Y the terms used by dsdt.ts   #N everything else of the grammar
 */

/** Encoded bytes of a term. */
export type Aml = readonly number[];

const EXT = 0x5b;
const le = (value: number, bytes: number): number[] => {
  const out: number[] = [];
  let rest = value;
  for (let i = 0; i < bytes; i++) {
    out.push(rest % 256);
    rest = Math.floor(rest / 256);
  }
  return out;
};
const flat = (terms: readonly Aml[]): number[] => terms.flatMap((term) => [...term]);

/** PkgLength counts its own bytes. */
function pkgLength(bodyBytes: number): number[] {
  if (bodyBytes + 1 < 0x40) return [bodyBytes + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const total = bodyBytes + 1 + extra;
    if (total < 2 ** (4 + 8 * extra)) return [(extra << 6) | (total & 0x0f), ...le(Math.floor(total / 16), extra)];
  }
  throw new RangeError(`an AML package of ${bodyBytes} bytes is too long`);
}

function packageOf(opcode: readonly number[], body: Aml): Aml {
  return [...opcode, ...pkgLength(body.length), ...body];
}

/** NameString: `\`, `^` and dotted segments of up to four characters. */
export function name(path: string): Aml {
  const prefix = /^(\\|\^*)/.exec(path)?.[0] ?? '';
  const segments = path.slice(prefix.length).split('.').filter((segment) => segment !== '');
  const bytes = [...prefix].map((c) => c.charCodeAt(0));
  if (segments.length === 0) bytes.push(0);
  else if (segments.length === 2) bytes.push(0x2e);
  else if (segments.length > 2) bytes.push(0x2f, segments.length);
  for (const segment of segments) for (const c of segment.padEnd(4, '_')) bytes.push(c.charCodeAt(0));
  return bytes;
}

export function int(value: number): Aml {
  if (value === 0) return [0x00];
  if (value === 1) return [0x01];
  if (value <= 0xff) return [0x0a, value];
  if (value <= 0xffff) return [0x0b, ...le(value, 2)];
  if (value <= 0xffffffff) return [0x0c, ...le(value, 4)];
  return [0x0e, ...le(value, 8)];
}
export const str = (text: string): Aml => [0x0d, ...[...text].map((c) => c.charCodeAt(0)), 0];

/** Compressed EISA identifier, e.g. PNP0A03. */
export function eisaId(id: string): Aml {
  const letter = (i: number): number => id.charCodeAt(i) - 0x40;
  const hex = parseInt(id.slice(3), 16);
  return [0x0c, (letter(0) << 2) | (letter(1) >> 3), ((letter(1) & 7) << 5) | letter(2), hex >> 8, hex & 0xff];
}

export const buffer = (bytes: Aml): Aml => packageOf([0x11], [...int(bytes.length), ...bytes]);
export const pkg = (elements: readonly Aml[]): Aml => packageOf([0x12], [elements.length, ...flat(elements)]);
export const nameDecl = (path: string, value: Aml): Aml => [0x08, ...name(path), ...value];
export const scope = (path: string, terms: readonly Aml[]): Aml => packageOf([0x10], [...name(path), ...flat(terms)]);
export const device = (path: string, terms: readonly Aml[]): Aml => packageOf([EXT, 0x82], [...name(path), ...flat(terms)]);
export const method = (path: string, args: number, terms: readonly Aml[]): Aml => packageOf([0x14], [...name(path), args, ...flat(terms)]);

export const PCI_CONFIG = 2;
export const opRegion = (path: string, space: number, offset: number, length: number): Aml => [EXT, 0x80, ...name(path), space, ...int(offset), ...int(length)];
/** Byte-wide fields one after the other; a number skips that many bytes. */
export const byteField = (region: string, fields: ReadonlyArray<string | number>): Aml =>
  packageOf([EXT, 0x81], [...name(region), 0x01 /* ByteAcc, NoLock, Preserve */, ...flat(fields.map((field) => (typeof field === 'number' ? [0x00, ...fieldBits(field * 8)] : [...name(field), ...fieldBits(8)])))]);
/** In field lists the length counts bits and not itself. */
function fieldBits(bits: number): Aml { return bits < 0x40 ? [bits] : [0x40 | (bits & 0x0f), bits >> 4]; }

export const LOCAL0: Aml = [0x60];
export const ARG0: Aml = [0x68];
const NO_TARGET: Aml = [0x00];
export const ret = (value: Aml): Aml => [0xa4, ...value];
export const store = (value: Aml, target: Aml): Aml => [0x70, ...value, ...target];
export const and = (a: Aml, b: Aml, target: Aml = NO_TARGET): Aml => [0x7b, ...a, ...b, ...target];
export const shiftLeft = (a: Aml, count: Aml, target: Aml = NO_TARGET): Aml => [0x79, ...a, ...count, ...target];
export const findSetRightBit = (a: Aml, target: Aml): Aml => [0x82, ...a, ...target];
export const decrement = (a: Aml): Aml => [0x76, ...a];
export const createWordField = (source: Aml, byteIndex: number, field: string): Aml => [0x8b, ...source, ...int(byteIndex), ...name(field)];
export const ifElse = (condition: Aml, then: readonly Aml[], otherwise: readonly Aml[] = []): Aml =>
  [...packageOf([0xa0], [...condition, ...flat(then)]), ...(otherwise.length > 0 ? packageOf([0xa1], flat(otherwise)) : [])];

/** ResourceTemplate: descriptors and the end tag (checksum 0: not used). */
export const resources = (descriptors: readonly Aml[]): Aml => buffer([...flat(descriptors), 0x79, 0x00]);
export const io = (base: number, length: number): Aml => [0x47, 0x01, ...le(base, 2), ...le(base, 2), 0x01, length];
export const irqNoFlags = (irq: number): Aml => [0x22, ...le(1 << irq, 2)];
export const irqLevelLowShared = (mask: number): Aml => [0x23, ...le(mask, 2), 0x18];
/** Extended interrupt: consumer, level, active high, shared. */
export const interruptLevelHigh = (gsi: number): Aml => [0x89, ...le(6, 2), 0x09, 1, ...le(gsi, 4)];
export const memory32Fixed = (base: number, length: number, writable: boolean): Aml => [0x86, ...le(9, 2), writable ? 1 : 0, ...le(base, 4), ...le(length, 4)];

const FIXED_PRODUCER = 0x0c; // minimum and maximum are fixed, positive decode, producer
function addressSpace(tag: number, width: number, type: number, typeFlags: number, min: number, max: number): Aml {
  const body = [type, FIXED_PRODUCER, typeFlags, ...le(0, width), ...le(min, width), ...le(max, width), ...le(0, width), ...le(max - min + 1, width)];
  return [tag, ...le(body.length, 2), ...body];
}
export const wordBusNumber = (min: number, max: number): Aml => addressSpace(0x88, 2, 2, 0, min, max);
export const wordIo = (min: number, max: number): Aml => addressSpace(0x88, 2, 1, 0x03, min, max); // entire range
export const dwordMemory = (min: number, max: number): Aml => addressSpace(0x87, 4, 0, 0x01, min, max); // read-write, uncached
export const qwordMemory = (min: number, max: number): Aml => addressSpace(0x8a, 8, 0, 0x01, min, max);
