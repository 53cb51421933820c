import { expect, test } from 'vitest';
import { buildMpTable } from '../mptable.ts';
import { buildAcpi } from './acpi.ts';
import * as aml from './aml.ts';
import type { DsdtInput } from './dsdt.ts';

const input: DsdtInput = {
  vcpuCount: 3,
  buses: [{ number: 0, wires: [{ slot: 2, pin: 0, pirqPin: 1, gsi: 16 }, { slot: 31, pin: 1, pirqPin: 2, gsi: 47 }] }],
  windows: { io: { base: 0x2000, limit: 0xffff }, mem32: { base: 0x80000000, limit: 0xdfffffff }, mem64: { base: 0x100000000, limit: 0x13fffffff } },
  lpc: { slot: 31, func: 0 },
  permittedIrqs: 0xdef8,
  ecam: { base: 0xe0000000, size: 0x10000000 },
};
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
const signature = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 4));
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

test('the tables are where ACRN puts them, and every checksum is zero', () => {
  const tables = buildAcpi(input);
  expect(tables.map(({ gpa, bytes }) => `${gpa.toString(16)} ${signature(bytes)}`)).toEqual([
    'f2400 RSD ', 'f2440 RSDT', 'f2480 XSDT', 'f2500 APIC', 'f2600 FACP', 'f2740 HPET', 'f2780 MCFG', 'f27c0 FACS', 'f3500 DSDT',
  ]);
  for (const { bytes } of tables) if (signature(bytes) !== 'FACS') expect(sum(bytes)).toBe(0);
  expect(sum(tables[0].bytes.subarray(0, 20))).toBe(0);
  tables.forEach(({ gpa, bytes }, i) => expect(gpa + bytes.length).toBeLessThanOrEqual(tables[i + 1]?.gpa ?? 0x100000));
});

test('RSDP leads to RSDT and XSDT, which name the same tables', () => {
  const [rsdp, rsdt, xsdt] = buildAcpi(input).map(({ bytes }) => view(bytes));
  expect(rsdp.getUint32(16, true)).toBe(0xf2440);
  expect(rsdp.getBigUint64(24, true)).toBe(0xf2480n);
  const names = [0, 1, 2, 3].map((i) => rsdt.getUint32(36 + i * 4, true));
  expect([0, 1, 2, 3].map((i) => Number(xsdt.getBigUint64(36 + i * 8, true)))).toEqual(names);
  expect(names).toEqual([0xf2500, 0xf2600, 0xf2740, 0xf2780]);
});

test('the MADT has a local APIC for each vCPU, one I/O APIC, overrides for IRQ 0 and 9, and an NMI', () => {
  const madt = buildAcpi(input)[3].bytes;
  const entries: number[][] = [];
  for (let at = 44; at < madt.length; at += madt[at + 1]) entries.push([...madt.subarray(at, at + madt[at + 1])]);
  expect(entries.map((entry) => entry[0])).toEqual([0, 0, 0, 1, 2, 2, 4]);
  expect(entries[2].slice(2)).toEqual([2, 2, 1, 0, 0, 0]);
  expect(entries[4].slice(2)).toEqual([0, 0, 2, 0, 0, 0, 5, 0]);
  expect(entries[5].slice(2)).toEqual([0, 9, 9, 0, 0, 0, 0x0d, 0]);
});

test('the FADT names SCI 9, the PM1 blocks and the reset register', () => {
  const fadt = view(buildAcpi(input)[4].bytes);
  expect(fadt.byteLength).toBe(0x10c);
  expect([fadt.getUint16(46, true), fadt.getUint32(48, true), fadt.getUint8(52), fadt.getUint8(53)]).toEqual([9, 0xb2, 0xa0, 0xa1]);
  expect([fadt.getUint32(56, true), fadt.getUint32(64, true), fadt.getUint8(88), fadt.getUint8(89)]).toEqual([0x400, 0x404, 4, 2]);
  expect([fadt.getUint8(116), fadt.getBigUint64(120, true), fadt.getUint8(128)]).toEqual([1, 0xcf9n, 0x0e]);
  expect(fadt.getBigUint64(140, true)).toBe(0xf3500n);
});

test('AML lengths: one byte to 63, two to 4095, three beyond', () => {
  expect(aml.scope('\\', [Array.from({ length: 10 }, () => 0xa3)]).slice(0, 2)).toEqual([0x10, 13]);
  const long = aml.scope('\\', [Array.from({ length: 100 }, () => 0xa3)]);
  expect([(long[1] >> 6), (long[1] & 15) | (long[2] << 4)]).toEqual([1, long.length - 1]);
  const longer = aml.scope('\\', [Array.from({ length: 5000 }, () => 0xa3)]);
  expect([(longer[1] >> 6), (longer[1] & 15) | (longer[2] << 4) | (longer[3] << 12)]).toEqual([2, longer.length - 1]);
});

test('AML names and identifiers', () => {
  expect(aml.name('\\_SB.PCI0.ISA')).toEqual([0x5c, 0x2f, 3, ...[...'_SB_PCI0ISA_'].map((c) => c.charCodeAt(0))]);
  expect(aml.name('A.B')).toEqual([0x2e, ...[...'A___B___'].map((c) => c.charCodeAt(0))]);
  expect(aml.eisaId('PNP0A03')).toEqual([0x0c, 0x41, 0xd0, 0x0a, 0x03]);
});

test('the MP table lists processors, buses, the I/O APIC and every wire, with both checksums zero', () => {
  const { gpa, bytes } = buildMpTable({ vcpuCount: 2, buses: input.buses, withIsa: true });
  expect(gpa).toBe(0xf0000);
  expect(sum(bytes.subarray(0, 16))).toBe(0);
  expect(sum(bytes.subarray(16))).toBe(0);
  const table = view(bytes);
  expect(table.getUint32(4, true)).toBe(0xf0010);
  expect(table.getUint16(20, true)).toBe(bytes.length - 16);
  const types: number[] = [];
  for (let at = 16 + 44; at < bytes.length; at += bytes[at] === 0 ? 20 : 8) types.push(bytes[at]);
  expect(types.length).toBe(table.getUint16(16 + 34, true));
  expect(types.filter((type) => type === 0).length).toBe(2);
  expect(types.filter((type) => type === 3).length).toBe(1 + 15 + 2);
});
