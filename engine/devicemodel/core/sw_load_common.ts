/**
 * What all software loaders share: the guest as they see it, checks of files, GDT and temporary page tables.
 *
 * @spec   reference/acrn-device-model.md sections 1.2 and 4; SDM vol. 3, 3.4.5 (descriptors), 4.5 (4-level paging)
 */
import { HostError } from '../../lib/errors.ts';
import type { GuestMemory } from '../../lib/guest_memory.ts';
import type { E820Entry } from './layout.ts';

/** Reads a whole file of this computer. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

export interface LoadTarget {
  readonly memory: GuestMemory;
  readonly lowmem: number;
  readonly e820: readonly E820Entry[];
  readonly bootargs: string;
  /** GPA of the RSDP; undefined without ACPI tables. */
  readonly rsdp: number | undefined;
  readonly print: (line: string) => void;
}

export interface Image { readonly path: string; readonly bytes: Uint8Array }

export const BOOTARGS_OFFSET = 8 * 1024; //  below the end of low memory
export const BOOTARGS_MAX = 1023;
/** Page tables and GDT of the 64-bit hand-over: in conventional memory, where Linux expects nothing. */
export const BOOT_PAGE_TABLES = 0x70000;
export const BOOT_GDT = 0x76000;
const PAGE = 4096;
const PDE_2M = 0x83; // present, writable, page size
const TABLE = 0x03; //  present, writable
const TWO_MIB = 0x200000;
const BOOT_CODE64 = 0x00af9b000000ffffn;
const BOOT_CODE32 = 0x00cf9b000000ffffn;
const BOOT_DATA = 0x00cf93000000ffffn;

export const AR_CODE32 = 0xc09b;
export const AR_CODE64 = 0xa09b;
export const FLAT_LIMIT = 0xffffffff;

export function loadError(what: string, why: string, todo: string): HostError {
  return new HostError('SW_LOAD', { what, why, todo });
}

/** A view of guest RAM that must exist because of how memory was set up. */
export function mustView(memory: GuestMemory, gpa: number, length: number, what: string): Uint8Array {
  const view = memory.view(gpa, length);
  if (!view) throw loadError('SW_LOAD ERR: need big system memory to fit image', `${what} needs ${length} bytes at 0x${gpa.toString(16)}, which is not RAM of this VM`, 'Give the VM more memory (-m).');
  return view;
}

export function copyToGuest(memory: GuestMemory, gpa: number, bytes: Uint8Array, what: string): void {
  mustView(memory, gpa, bytes.length, what).set(bytes);
  memory.written(gpa, bytes.length);
}

/** Command line with its terminator at its customary place; returns its GPA. */
export function loadBootargs(target: LoadTarget): number {
  const gpa = target.lowmem - BOOTARGS_OFFSET;
  const text = new TextEncoder().encode(target.bootargs);
  if (text.length > BOOTARGS_MAX) throw loadError('SW_LOAD: bootargs are too long', `${text.length} bytes`, `At most ${BOOTARGS_MAX} bytes fit.`);
  const bytes = new Uint8Array(text.length + 1);
  bytes.set(text);
  copyToGuest(target.memory, gpa, bytes, 'the command line');
  target.print(`SW_LOAD: bootargs copied to guest 0x${gpa.toString(16)}`);
  return gpa;
}

/** GDT with code at 0x10 and data at 0x18, as Linux' boot protocol wants them. */
export function loadGdt(memory: GuestMemory, gpa: number, long: boolean): { base: bigint; limit: number } {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(16, long ? BOOT_CODE64 : BOOT_CODE32, true);
  view.setBigUint64(24, BOOT_DATA, true);
  copyToGuest(memory, gpa, bytes, 'the GDT');
  return { base: BigInt(gpa), limit: bytes.length - 1 };
}

/** Identity map of the first 4 GiB with 2-MiB pages; returns the GPA for CR3. */
export function loadIdentityMap(memory: GuestMemory): number {
  const bytes = new Uint8Array(6 * PAGE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(BOOT_PAGE_TABLES + PAGE + TABLE), true);
  for (let gib = 0; gib < 4; gib++) view.setBigUint64(PAGE + gib * 8, BigInt(BOOT_PAGE_TABLES + (2 + gib) * PAGE + TABLE), true);
  for (let i = 0; i < 4 * 512; i++) view.setBigUint64(2 * PAGE + i * 8, BigInt(i * TWO_MIB + PDE_2M), true);
  copyToGuest(memory, BOOT_PAGE_TABLES, bytes, 'the temporary page tables');
  return BOOT_PAGE_TABLES;
}

export function printE820(target: LoadTarget, where: string): void {
  target.print(`SW_LOAD: build e820 ${target.e820.length} entries to addr: ${where}`);
  const hex16 = (value: number): string => value.toString(16).padStart(16, '0');
  target.e820.forEach((entry, i) => target.print(`SW_LOAD: entry[${i}]: addr 0x${hex16(entry.baseaddr)}, size 0x${hex16(entry.length)},  type 0x${entry.type.toString(16)}`));
}
