/**
 * ELF guests: 32- and 64-bit files entered in 32-bit protected mode, by a PVH note or with multiboot information.
 *
 * @spec   System V ABI (ELF); Xen PVH (hvm_start_info version 1, XEN_ELFNOTE_PHYS32_ENTRY); Multiboot 0.6.96;
 *         reference/acrn-device-model.md section 4.4
 * @cover  #Y PT_LOAD segments by physical address, PVH, multiboot with modules and memory map   #N multiboot's a.out address fields
 */
import type { AcrnVcpuRegs } from '../../sos/vhm_if.ts';
import { AR_CODE32, FLAT_LIMIT, copyToGuest, loadBootargs, loadError, loadGdt, mustView, printE820 } from './sw_load_common.ts';
import type { Image, LoadTarget } from './sw_load_common.ts';

const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PHDRS_MAX = 4096;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const GDT_OFFSET = 64 * 1024; //        below the end of low memory, as in ACRN
const RAMDISK_GAP = 128 * 1024;
const PVH_INFO_OFFSET = 4 * 1024;
const HVM_START_MAGIC = 0x336ec578;
const MULTIBOOT_HEADER_MAGIC = 0x1badb002;
const MULTIBOOT_LOADER_MAGIC = 0x2badb002;
const MULTIBOOT_SEARCH = 8 * 1024;
const MULTIBOOT_INFO = 0x20000;
const MULTIBOOT_INFO_BYTES = 116;
const MBI_MEMORY = 1 << 0;
const MBI_CMDLINE = 1 << 2;
const MBI_MODS = 1 << 3;
const MBI_MEM_MAP = 1 << 6;
const MBI_LOADER_NAME = 1 << 9;
const LOADER_NAME = 'acrn-dm';
const PAGE = 4096;

interface Segment { type: number; offset: number; paddr: number; filesz: number; memsz: number }
interface Elf { entry: number; segments: Segment[] }

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length >= 52 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** Every field that leads into the file is checked against its length here. */
function parseElf({ path, bytes }: Image): Elf {
  const bad = (why: string): never => { throw loadError(`SW_LOAD: ELF file ${path} cannot be loaded`, why, 'Give a statically linked x86 ELF executable.'); };
  if (!isElf(bytes)) return bad('it is no ELF file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const is64 = bytes[4] === 2;
  if (bytes[4] !== 1 && !is64) return bad('its class is neither 32 nor 64 bits');
  if (bytes[5] !== 1) return bad('it is not little-endian');
  if (is64 && bytes.length < 64) return bad('its header is cut short');
  const machine = view.getUint16(18, true);
  if (machine !== EM_386 && machine !== EM_X86_64) return bad(`machine ${machine} is not x86`);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  const entry = is64 ? u64(24) : view.getUint32(24, true);
  const phoff = is64 ? u64(32) : view.getUint32(28, true);
  const phentsize = view.getUint16(is64 ? 54 : 42, true);
  const phnum = view.getUint16(is64 ? 56 : 44, true);
  if (phnum === 0 || phnum > PHDRS_MAX) return bad(`it has ${phnum} program headers`);
  if (phentsize < (is64 ? 56 : 32) || phoff + phnum * phentsize > bytes.length) return bad('its program headers lie outside the file');
  const segments: Segment[] = [];
  for (let i = 0; i < phnum; i++) {
    const at = phoff + i * phentsize;
    const segment: Segment = is64
      ? { type: view.getUint32(at, true), offset: u64(at + 8), paddr: u64(at + 24), filesz: u64(at + 32), memsz: u64(at + 40) }
      : { type: view.getUint32(at, true), offset: view.getUint32(at + 4, true), paddr: view.getUint32(at + 12, true), filesz: view.getUint32(at + 16, true), memsz: view.getUint32(at + 20, true) };
    if (segment.type !== PT_LOAD && segment.type !== PT_NOTE) continue;
    if (segment.offset + segment.filesz > bytes.length) return bad(`segment ${i} lies outside the file`);
    if (segment.type === PT_LOAD && segment.filesz > segment.memsz) return bad(`segment ${i} is larger in the file than in memory`);
    segments.push(segment);
  }
  if (!segments.some((segment) => segment.type === PT_LOAD && segment.memsz > 0)) return bad('nothing in it is to be loaded');
  return { entry, segments };
}

/** 32-bit entry point of a PVH guest. */
function pvhEntry(bytes: Uint8Array, segments: readonly Segment[]): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const segment of segments) {
    if (segment.type !== PT_NOTE) continue;
    const end = segment.offset + segment.filesz;
    for (let at = segment.offset; at + 12 <= end;) {
      const nameBytes = view.getUint32(at, true);
      const descBytes = view.getUint32(at + 4, true);
      const desc = at + 12 + Math.ceil(nameBytes / 4) * 4;
      if (desc + descBytes > end) break;
      const isXen = nameBytes === 4 && view.getUint32(at + 12, true) === 0x006e6558; // "Xen\0"
      if (isXen && view.getUint32(at + 8, true) === XEN_ELFNOTE_PHYS32_ENTRY && descBytes >= 4) return view.getUint32(desc, true);
      at = desc + Math.ceil(descBytes / 4) * 4;
    }
  }
  return undefined;
}

/** flags of a valid multiboot header, if there is one. */
function multibootFlags(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(bytes.length, MULTIBOOT_SEARCH) - 12;
  for (let at = 0; at <= end; at += 4) {
    if (view.getUint32(at, true) !== MULTIBOOT_HEADER_MAGIC) continue;
    const flags = view.getUint32(at + 4, true);
    if (((MULTIBOOT_HEADER_MAGIC + flags + view.getUint32(at + 8, true)) >>> 0) === 0) return flags;
  }
  return undefined;
}

function loadSegments(target: LoadTarget, elf: Elf, image: Image): void {
  for (const segment of elf.segments) {
    if (segment.type !== PT_LOAD || segment.memsz === 0) continue;
    const view = mustView(target.memory, segment.paddr, segment.memsz, `${image.path}'s segment`);
    view.set(image.bytes.subarray(segment.offset, segment.offset + segment.filesz));
    view.fill(0, segment.filesz);
    target.memory.written(segment.paddr, segment.memsz);
  }
  target.print(`SW_LOAD: elf ${image.path} size ${image.bytes.length} copied to guest`);
}

function overlaps(elf: Elf, gpa: number, length: number): boolean {
  return elf.segments.some((s) => s.type === PT_LOAD && s.paddr < gpa + length && gpa < s.paddr + s.memsz);
}

function loadModule(target: LoadTarget, elf: Elf, module: Image): number {
  const gpa = Math.floor((target.lowmem - RAMDISK_GAP - module.bytes.length) / PAGE) * PAGE;
  if (gpa < 0x100000 || overlaps(elf, gpa, module.bytes.length)) throw loadError('SW_LOAD ERR: the size of ramdisk file is too big', `${module.path} has ${module.bytes.length} bytes`, 'Give the VM more memory (-m).');
  copyToGuest(target.memory, gpa, module.bytes, 'the ramdisk');
  target.print(`SW_LOAD: ramdisk ${module.path} size ${module.bytes.length} copied to guest 0x${gpa.toString(16)}`);
  return gpa;
}

function startInfoPvh(target: LoadTarget, commandLine: number, module: { gpa: number; bytes: number } | undefined): number {
  const gpa = target.lowmem - PVH_INFO_OFFSET;
  const modlist = 56;
  const memmap = modlist + 32;
  const bytes = new Uint8Array(memmap + target.e820.length * 24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HVM_START_MAGIC, true);
  view.setUint32(4, 1, true); // version
  view.setUint32(12, module ? 1 : 0, true);
  view.setBigUint64(16, BigInt(module ? gpa + modlist : 0), true);
  view.setBigUint64(24, BigInt(commandLine), true);
  view.setBigUint64(32, BigInt(target.rsdp ?? 0), true);
  view.setBigUint64(40, BigInt(gpa + memmap), true);
  view.setUint32(48, target.e820.length, true);
  if (module) {
    view.setBigUint64(modlist, BigInt(module.gpa), true);
    view.setBigUint64(modlist + 8, BigInt(module.bytes), true);
  }
  target.e820.forEach((entry, i) => {
    view.setBigUint64(memmap + i * 24, BigInt(entry.baseaddr), true);
    view.setBigUint64(memmap + i * 24 + 8, BigInt(entry.length), true);
    view.setUint32(memmap + i * 24 + 16, entry.type, true);
  });
  copyToGuest(target.memory, gpa, bytes, 'hvm_start_info');
  printE820(target, `0x${(gpa + memmap).toString(16)}`);
  return gpa;
}

function multibootInfo(target: LoadTarget, commandLine: number, module: { gpa: number; bytes: number } | undefined): void {
  const mods = MULTIBOOT_INFO_BYTES;
  const loaderName = mods + 16;
  const memmap = loaderName + 16;
  const bytes = new Uint8Array(memmap + target.e820.length * 24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MBI_MEMORY | MBI_CMDLINE | (module ? MBI_MODS : 0) | MBI_MEM_MAP | MBI_LOADER_NAME, true);
  view.setUint32(4, 640, true); // mem_lower, KiB
  view.setUint32(8, (target.lowmem - GDT_OFFSET) / 1024, true); // mem_upper, as ACRN counts it
  view.setUint32(16, commandLine, true);
  if (module) {
    view.setUint32(20, 1, true);
    view.setUint32(24, MULTIBOOT_INFO + mods, true);
    view.setUint32(mods, module.gpa, true);
    view.setUint32(mods + 4, module.gpa + module.bytes, true);
  }
  view.setUint32(44, target.e820.length * 24, true);
  view.setUint32(48, MULTIBOOT_INFO + memmap, true);
  view.setUint32(64, MULTIBOOT_INFO + loaderName, true);
  bytes.set(new TextEncoder().encode(LOADER_NAME), loaderName);
  target.e820.forEach((entry, i) => {
    const at = memmap + i * 24;
    view.setUint32(at, 20, true);
    view.setBigUint64(at + 4, BigInt(entry.baseaddr), true);
    view.setBigUint64(at + 12, BigInt(entry.length), true);
    view.setUint32(at + 20, entry.type, true);
  });
  copyToGuest(target.memory, MULTIBOOT_INFO, bytes, 'the multiboot information');
  printE820(target, `0x${(MULTIBOOT_INFO + memmap).toString(16)}`);
}

/** acrn_sw_load_elf */
export function loadElf(target: LoadTarget, image: Image, ramdisk: Image | undefined): AcrnVcpuRegs {
  const elf = parseElf(image);
  const pvh = pvhEntry(image.bytes, elf.segments);
  const multiboot = pvh === undefined ? multibootFlags(image.bytes) : undefined;
  loadSegments(target, elf, image);
  const module = ramdisk ? { gpa: loadModule(target, elf, ramdisk), bytes: ramdisk.bytes.length } : undefined;
  const commandLine = loadBootargs(target);
  const gpr: AcrnVcpuRegs['gpr'] = {};
  if (pvh !== undefined) gpr.rbx = BigInt(startInfoPvh(target, commandLine, module));
  else if (multiboot !== undefined) {
    multibootInfo(target, commandLine, module);
    gpr.rax = BigInt(MULTIBOOT_LOADER_MAGIC);
    gpr.rbx = BigInt(MULTIBOOT_INFO);
  }
  const entry = pvh ?? elf.entry;
  if (entry > FLAT_LIMIT || !target.memory.view(entry, 1)) throw loadError(`SW_LOAD: ELF file ${image.path} cannot be loaded`, `its entry point 0x${entry.toString(16)} is not in RAM below 4 GiB`, 'Give an executable linked for physical addresses.');
  target.print(`SW_LOAD: elf entry addr=0x${entry.toString(16)}`);
  return {
    gpr, rip: BigInt(entry), rflags: 0x2n,
    cr0: 0x31n, cr3: 0n, cr4: 0n, ia32Efer: 0n,
    gdt: loadGdt(target.memory, target.lowmem - GDT_OFFSET, false),
    idt: { base: 0n, limit: 0 },
    csSel: 0x10, csBase: 0n, csLimit: FLAT_LIMIT, csAr: AR_CODE32, dataSel: 0x18,
  };
}
