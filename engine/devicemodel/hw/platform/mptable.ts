/**
 * MultiProcessor tables at 0xF0000, for guests without ACPI.
 *
 * @spec   Intel MultiProcessor Specification 1.4; reference/acrn-device-model.md section 5.1.2
 */
import type { Wire } from './acpi/dsdt.ts';

export const MPTABLE_BASE = 0xf0000;
const FLOATING_BYTES = 16;
const HEADER_BYTES = 44;
const LAPIC_PADDR = 0xfee00000;
const LAPIC_VERSION = 16;
const IOAPIC_PADDR = 0xfec00000;
const IOAPIC_VERSION = 0x11;
const MP_SPECREV = 4;
const CPU_ENABLED = 1;
const CPU_BSP = 2;
const CPU_STEPPING = (6 << 8) | (1 << 4); // family 6, model 1
const CPU_FEATURES = (1 << 0) | (1 << 8) | (1 << 9); // FPU, CX8, APIC
const ENTRY_PROCESSOR = 0;
const ENTRY_BUS = 1;
const ENTRY_IOAPIC = 2;
const ENTRY_INT = 3;
const ENTRY_LINT = 4;
const INT_VECTORED = 0;
const INT_NMI = 1;
const INT_EXTINT = 3;
const CONFORMS = 0;
const LEVEL_HIGH = 0x0d;
const SCI_INT = 9;

export function buildMpTable(input: { vcpuCount: number; buses: ReadonlyArray<{ number: number; wires: readonly Wire[] }>; withIsa: boolean }): { gpa: number; bytes: Uint8Array } {
  const u16 = (value: number): number[] => [value & 0xff, value >> 8];
  const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];
  const text = (value: string, bytes: number): number[] => [...value.padEnd(bytes)].map((c) => c.charCodeAt(0));
  const ioapicId = 0;
  const isaBus = Math.max(...input.buses.map((bus) => bus.number)) + 1;
  const entries: number[][] = [];
  for (let i = 0; i < input.vcpuCount; i++) {
    entries.push([ENTRY_PROCESSOR, i, LAPIC_VERSION, CPU_ENABLED | (i === 0 ? CPU_BSP : 0), ...u32(CPU_STEPPING), ...u32(CPU_FEATURES), ...u32(0), ...u32(0)]);
  }
  for (const bus of input.buses) entries.push([ENTRY_BUS, bus.number, ...text('PCI', 6)]);
  entries.push([ENTRY_BUS, isaBus, ...text('ISA', 6)]);
  entries.push([ENTRY_IOAPIC, ioapicId, IOAPIC_VERSION, 1, ...u32(IOAPIC_PADDR)]);
  const isaInt = (type: number, flags: number, irq: number, pin: number): number[] => [ENTRY_INT, type, ...u16(flags), isaBus, irq, ioapicId, pin];
  entries.push(isaInt(INT_EXTINT, CONFORMS, 0, 0));
  for (let irq = 0; irq < 16; irq++) {
    if (irq === 2) continue; // the cascade
    entries.push(isaInt(INT_VECTORED, irq === SCI_INT ? LEVEL_HIGH : CONFORMS, irq, irq === 0 ? 2 : irq));
  }
  for (const bus of input.buses) {
    for (const wire of bus.wires) entries.push([ENTRY_INT, INT_VECTORED, ...u16(LEVEL_HIGH), bus.number, (wire.slot << 2) | wire.pin, ioapicId, wire.gsi]);
  }
  entries.push([ENTRY_LINT, INT_EXTINT, ...u16(CONFORMS), isaBus, 0, 0xff, 0]);
  entries.push([ENTRY_LINT, INT_NMI, ...u16(CONFORMS), isaBus, 0, 0xff, 1]);
  const flat = entries.flat();
  const bytes = new Uint8Array(FLOATING_BYTES + HEADER_BYTES + flat.length);
  const sum = (from: number, to: number): number => bytes.subarray(from, to).reduce((total, byte) => total + byte, 0);
  bytes.set([...text('_MP_', 4), ...u32(MPTABLE_BASE + FLOATING_BYTES), 1, MP_SPECREV, 0, 0, 0], 0); // no default configuration, no IMCR: virtual wire mode
  bytes[10] = -sum(0, FLOATING_BYTES);
  const table = FLOATING_BYTES;
  bytes.set([
    ...text('PCMP', 4), ...u16(HEADER_BYTES + flat.length), MP_SPECREV, 0, ...text('BHyVe', 8), ...text('Hypervisor', 12),
    ...u32(0), ...u16(0), ...u16(entries.length), ...u32(LAPIC_PADDR), ...u16(0), 0, 0,
  ], table);
  bytes.set(flat, table + HEADER_BYTES);
  bytes[table + 7] = -sum(table, bytes.length);
  return { gpa: MPTABLE_BASE, bytes };
}
