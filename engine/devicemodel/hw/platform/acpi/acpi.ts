/**
 * ACPI tables in guest memory from 0xF2400 on.
 *
 * @spec   reference/acrn-device-model.md section 5.1; ACPI 5.1 chapter 5; PCI Firmware 3.0 (MCFG); HPET 1.0a
 * @cover  #Y RSDP, RSDT, XSDT, MADT, FADT, FACS, HPET, MCFG, DSDT   #N NHLT, TPM2, PTCT (no such hardware)
 */
import { ACPI_DISABLE, ACPI_ENABLE, PM1A_CNT_ADDR, PM1A_EVT_ADDR, RESET_PORT, RESET_VALUE, SCI_INT, SMI_CMD } from '../acpi_pm.ts';
import { HPET_BASE, HPET_BLOCK_ID } from '../hpet.ts';
import { dsdtBody } from './dsdt.ts';
import type { DsdtInput } from './dsdt.ts';

export const RSDP_BASE = 0xf2400;
const RSDT_OFFSET = 0x040;
const XSDT_OFFSET = 0x080;
const MADT_OFFSET = 0x100;
const FADT_OFFSET = 0x200;
const HPET_OFFSET = 0x340;
const MCFG_OFFSET = 0x380;
export const FACS_OFFSET = 0x3c0;
const DSDT_OFFSET = 0x1100;
/** Tables end below 1 MiB. */
const ACPI_AREA_BYTES = 0x100000 - RSDP_BASE;
const HEADER_BYTES = 36;
const CREATOR_REVISION = 1;
const LAPIC_BASE = 0xfee00000;
const IOAPIC_BASE = 0xfec00000;
const CENTURY_CMOS = 0x32;

const FADT_BYTES = 0x10c;
const IAPC_VGA_ABSENT = 1 << 2;
const IAPC_NO_ASPM = 1 << 4;
const FADT_FLAGS = (1 << 0) /* WBINVD */ | (1 << 2) /* PROC_C1 */ | (1 << 5) /* SLP_BUTTON */ | (1 << 8) /* TMR_VAL_EXT */
  | (1 << 10) /* RESET_REG_SUP */ | (1 << 12); /* HEADLESS */
const GAS_IO = 1;

/** Sets the byte at `at` so that all bytes sum to zero. */
function checksum(bytes: Uint8Array, at: number): void {
  bytes[at] = 0;
  bytes[at] = -bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0);
}

function ascii(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

/** A table with its header; `body` starts at byte 36. */
function table(signature: string, revision: number, tableId: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  ascii(bytes, 0, signature);
  view.setUint32(4, bytes.length, true);
  bytes[8] = revision;
  ascii(bytes, 10, 'DM    ');
  ascii(bytes, 16, tableId.padEnd(8));
  view.setUint32(24, 1, true);
  ascii(bytes, 28, 'DM  ');
  view.setUint32(32, CREATOR_REVISION, true);
  bytes.set(body, HEADER_BYTES);
  checksum(bytes, 9);
  return bytes;
}

function body(bytes: number, fill: (view: DataView) => void): Uint8Array {
  const out = new Uint8Array(bytes);
  fill(new DataView(out.buffer));
  return out;
}

function rsdp(): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  ascii(bytes, 0, 'RSD PTR ');
  ascii(bytes, 9, 'DM    ');
  bytes[15] = 2;
  view.setUint32(16, RSDP_BASE + RSDT_OFFSET, true);
  view.setUint32(20, bytes.length, true);
  view.setUint32(24, RSDP_BASE + XSDT_OFFSET, true);
  checksum(bytes.subarray(0, 20), 8);
  checksum(bytes, 32);
  return bytes;
}

function madt(vcpuCount: number): Uint8Array {
  const parts: number[] = [];
  const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  parts.push(...u32(LAPIC_BASE), ...u32(1)); // PCAT_COMPAT: dual 8259 present
  for (let i = 0; i < vcpuCount; i++) parts.push(0, 8, i, i, ...u32(1)); // local APIC, enabled
  parts.push(1, 12, 0, 0, ...u32(IOAPIC_BASE), ...u32(0));
  const override = (source: number, gsi: number, flags: number): number[] => [2, 10, 0, source, ...u32(gsi), flags, 0];
  parts.push(...override(0, 2, 0x05)); //  active high, edge
  parts.push(...override(SCI_INT, SCI_INT, 0x0d)); // active high, level
  parts.push(4, 6, 0xff, 0x05, 0, 1); // NMI on LINT1 of every processor
  return table('APIC', 1, 'DMMADT', Uint8Array.from(parts));
}

function fadt(): Uint8Array {
  return table('FACP', 5, 'DMFADT', body(FADT_BYTES - HEADER_BYTES, (view) => {
    const at = (offset: number): number => offset - HEADER_BYTES;
    const gas = (offset: number, address: number, bits: number, access: number): void => {
      view.setUint8(at(offset), GAS_IO);
      view.setUint8(at(offset + 1), bits);
      view.setUint8(at(offset + 3), access);
      view.setUint32(at(offset + 4), address, true);
    };
    view.setUint32(at(36), RSDP_BASE + FACS_OFFSET, true);
    view.setUint32(at(40), RSDP_BASE + DSDT_OFFSET, true);
    view.setUint8(at(44), 1); // interrupt model of ACPI 1.0
    view.setUint16(at(46), SCI_INT, true);
    view.setUint32(at(48), SMI_CMD, true);
    view.setUint8(at(52), ACPI_ENABLE);
    view.setUint8(at(53), ACPI_DISABLE);
    view.setUint32(at(56), PM1A_EVT_ADDR, true);
    view.setUint32(at(64), PM1A_CNT_ADDR, true);
    view.setUint8(at(88), 4); // PM1_EVT_LEN
    view.setUint8(at(89), 2); // PM1_CNT_LEN
    view.setUint16(at(96), 0xffff, true); // C2 and C3 are not there
    view.setUint16(at(98), 0xffff, true);
    view.setUint8(at(108), CENTURY_CMOS);
    view.setUint16(at(109), IAPC_VGA_ABSENT | IAPC_NO_ASPM, true);
    view.setUint32(at(112), FADT_FLAGS, true);
    gas(116, RESET_PORT, 8, 1);
    view.setUint8(at(128), RESET_VALUE);
    view.setUint8(at(131), 1); // 5.1
    view.setUint32(at(132), RSDP_BASE + FACS_OFFSET, true); // X_FIRMWARE_CTRL
    view.setUint32(at(140), RSDP_BASE + DSDT_OFFSET, true); // X_DSDT
    gas(148, PM1A_EVT_ADDR, 32, 2);
    gas(172, PM1A_CNT_ADDR, 16, 2);
  }));
}

function hpetTable(): Uint8Array {
  return table('HPET', 1, 'DMHPET', body(20, (view) => {
    view.setUint32(0, HPET_BLOCK_ID, true);
    view.setUint8(5, 64); // memory space, 64 bits
    view.setUint32(8, HPET_BASE, true);
  }));
}

function mcfg(ecamBase: number): Uint8Array {
  return table('MCFG', 1, 'DMMCFG', body(24, (view) => {
    view.setUint32(8, ecamBase, true);
    view.setUint8(18, 0);
    view.setUint8(19, 255);
  }));
}

function facs(): Uint8Array {
  const bytes = new Uint8Array(0x40);
  ascii(bytes, 0, 'FACS');
  new DataView(bytes.buffer).setUint32(4, bytes.length, true);
  bytes[32] = 2;
  return bytes;
}

/** acpi_build: every table with its address, in ascending order. */
export function buildAcpi(input: DsdtInput): Array<{ gpa: number; bytes: Uint8Array }> {
  const roots = [MADT_OFFSET, FADT_OFFSET, HPET_OFFSET, MCFG_OFFSET].map((offset) => RSDP_BASE + offset);
  const rsdt = table('RSDT', 1, 'DMRSDT', body(roots.length * 4, (view) => roots.forEach((gpa, i) => view.setUint32(i * 4, gpa, true))));
  const xsdt = table('XSDT', 1, 'DMXSDT', body(roots.length * 8, (view) => roots.forEach((gpa, i) => view.setBigUint64(i * 8, BigInt(gpa), true))));
  const dsdt = table('DSDT', 2, 'DMDSDT', dsdtBody(input));
  if (DSDT_OFFSET + dsdt.length > ACPI_AREA_BYTES) throw new RangeError(`DSDT of ${dsdt.length} bytes does not fit below 1 MiB`);
  return [
    { gpa: RSDP_BASE, bytes: rsdp() },
    { gpa: RSDP_BASE + RSDT_OFFSET, bytes: rsdt },
    { gpa: RSDP_BASE + XSDT_OFFSET, bytes: xsdt },
    { gpa: RSDP_BASE + MADT_OFFSET, bytes: madt(input.vcpuCount) },
    { gpa: RSDP_BASE + FADT_OFFSET, bytes: fadt() },
    { gpa: RSDP_BASE + HPET_OFFSET, bytes: hpetTable() },
    { gpa: RSDP_BASE + MCFG_OFFSET, bytes: mcfg(input.ecam.base) },
    { gpa: RSDP_BASE + FACS_OFFSET, bytes: facs() },
    { gpa: RSDP_BASE + DSDT_OFFSET, bytes: dsdt },
  ];
}
