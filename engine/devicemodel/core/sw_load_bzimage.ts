/**
 * Linux bzImage: setup header, command line, ramdisk, boot_params ("zero page"), and the registers at its entry.
 *
 * @spec   Linux Documentation/arch/x86/boot.rst (protocol 2.15) and zero-page.rst; reference/acrn-device-model.md section 4.1
 * @cover  #Y 64-bit entry (XLF_KERNEL_64), 32-bit entry, ramdisk, e820, RSDP pointer   #N zImage, EFI hand-over, setup_data
 * @differ Where the kernel can, the BSP enters it in long mode. The protected-mode part itself starts at 16 MiB, which is the
 *         kernel's preferred address; ACRN puts its setup sectors there and the rest behind them.
 */
import type { AcrnVcpuRegs } from '../../sos/vhm_if.ts';
import { AR_CODE32, AR_CODE64, BOOT_GDT, BOOT_PAGE_TABLES, FLAT_LIMIT, copyToGuest, loadBootargs, loadError, loadGdt, loadIdentityMap, mustView, printE820 } from './sw_load_common.ts';
import type { Image, LoadTarget } from './sw_load_common.ts';

const KERNEL_LOAD_GPA = 0x1000000;
const ZEROPAGE_OFFSET = 4 * 1024; // below the end of low memory
const RAMDISK_GAP = 8 * 1024; //     command line and boot_params
const PAGE = 4096;
const ENTRY64_OFFSET = 0x200;

// setup header, offsets in the file and in boot_params alike
const SETUP_SECTS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const HEADER_JUMP_LENGTH = 0x201;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const RELOCATABLE = 0x234;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
// boot_params
const ACPI_RSDP_ADDR = 0x070;
const E820_ENTRIES = 0x1e8;
const SETUP_HDR = 0x1f1;
const E820_TABLE = 0x2d0;
const SETUP_HDR_LIMIT = 0x290;

const HDRS = 0x53726448; // "HdrS"
const LOADED_HIGH = 0x01;
const QUIET_FLAG = 0x20;
const XLF_KERNEL_64 = 0x0001;
const LOADER_UNDEFINED = 0xff;
const SECTOR = 512;
const MIN_FILE = 1024;

interface BzImage { setupBytes: number; headerEnd: number; long: boolean; initSize: number; initrdMax: number; cmdlineSize: number }

/** Does this file claim to be a bzImage? */
export function isBzImage(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return bytes.length >= MIN_FILE && view.getUint16(BOOT_FLAG, true) === 0xaa55 && view.getUint32(HEADER_MAGIC, true) === HDRS;
}

function parseHeader({ path, bytes }: Image): BzImage {
  const bad = (why: string): never => { throw loadError(`SW_LOAD: kernel ${path} cannot be loaded`, why, 'Give a Linux bzImage (boot protocol 2.03 or later).'); };
  if (!isBzImage(bytes)) return bad('it has no Linux setup header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint16(VERSION, true);
  if (version < 0x0203) return bad(`boot protocol ${version >> 8}.${(version & 0xff).toString().padStart(2, '0')} is too old`);
  if (!(bytes[LOADFLAGS] & LOADED_HIGH)) return bad('it is a zImage, not a bzImage');
  const setupBytes = ((bytes[SETUP_SECTS] || 4) + 1) * SECTOR;
  const payload = bytes.length - setupBytes;
  if (payload <= ENTRY64_OFFSET) return bad(`its setup area of ${setupBytes} bytes leaves no kernel in ${bytes.length} bytes`);
  const headerEnd = Math.min(HEADER_MAGIC + bytes[HEADER_JUMP_LENGTH], SETUP_HDR_LIMIT);
  const relocatable = version >= 0x0205 && bytes[RELOCATABLE] !== 0;
  if (!relocatable && version >= 0x020a && view.getBigUint64(PREF_ADDRESS, true) !== BigInt(KERNEL_LOAD_GPA)) return bad(`it is not relocatable and wants 0x${view.getBigUint64(PREF_ADDRESS, true).toString(16)}`);
  return {
    setupBytes, headerEnd,
    long: version >= 0x020c && (view.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0,
    initSize: Math.max(payload, version >= 0x020a ? view.getUint32(INIT_SIZE, true) : payload),
    initrdMax: view.getUint32(INITRD_ADDR_MAX, true),
    cmdlineSize: version >= 0x0206 ? view.getUint32(CMDLINE_SIZE, true) : 255,
  };
}

/** Ramdisk at the top of low memory; returns its GPA. */
function loadRamdisk(target: LoadTarget, ramdisk: Image, lowest: number, highest: number): number {
  const gpa = target.lowmem - Math.ceil((ramdisk.bytes.length + RAMDISK_GAP) / PAGE) * PAGE;
  if (gpa < lowest || gpa + ramdisk.bytes.length - 1 > highest) {
    throw loadError('SW_LOAD ERR: the size of ramdisk file is too big', `${ramdisk.path} has ${ramdisk.bytes.length} bytes, and the kernel needs memory up to 0x${lowest.toString(16)}`, 'Give the VM more memory (-m) or a smaller ramdisk.');
  }
  copyToGuest(target.memory, gpa, ramdisk.bytes, 'the ramdisk');
  target.print(`SW_LOAD: ramdisk ${ramdisk.path} size ${ramdisk.bytes.length} copied to guest 0x${gpa.toString(16)}`);
  return gpa;
}

/** acrn_sw_load_bzimage */
export function loadBzImage(target: LoadTarget, kernel: Image, ramdisk: Image | undefined): AcrnVcpuRegs {
  const { memory, lowmem, print } = target;
  const header = parseHeader(kernel);
  const zeropage = lowmem - ZEROPAGE_OFFSET;
  const kernelEnd = KERNEL_LOAD_GPA + header.initSize;
  if (kernelEnd > lowmem - RAMDISK_GAP) throw loadError('SW_LOAD ERR: need big system memory to fit image', `${kernel.path} needs memory up to 0x${kernelEnd.toString(16)}`, 'Give the VM more memory (-m).');
  if (target.bootargs.length > header.cmdlineSize) throw loadError('SW_LOAD: bootargs are too long', `${kernel.path} takes ${header.cmdlineSize} characters`, 'Shorten the command line (-B).');
  const ramdiskGpa = ramdisk ? loadRamdisk(target, ramdisk, kernelEnd, header.initrdMax === 0 ? 0x37ffffff : header.initrdMax) : 0;
  const commandLine = loadBootargs(target);
  copyToGuest(memory, KERNEL_LOAD_GPA, kernel.bytes.subarray(header.setupBytes), 'the kernel');
  print(`SW_LOAD: kernel ${kernel.path} size ${kernel.bytes.length} copied to guest 0x${KERNEL_LOAD_GPA.toString(16)}`);

  print(`SW_LOAD: build zeropage for bootargs addr: 0x${commandLine.toString(16)}`);
  const params = new Uint8Array(PAGE);
  const view = new DataView(params.buffer);
  params.set(kernel.bytes.subarray(SETUP_HDR, header.headerEnd), SETUP_HDR);
  params[TYPE_OF_LOADER] = LOADER_UNDEFINED;
  params[LOADFLAGS] |= QUIET_FLAG;
  view.setUint32(RAMDISK_IMAGE, ramdiskGpa, true);
  view.setUint32(RAMDISK_SIZE, ramdisk?.bytes.length ?? 0, true);
  view.setUint32(CMD_LINE_PTR, commandLine, true);
  if (target.rsdp !== undefined) view.setBigUint64(ACPI_RSDP_ADDR, BigInt(target.rsdp), true);
  params[E820_ENTRIES] = target.e820.length;
  target.e820.forEach((entry, i) => {
    view.setBigUint64(E820_TABLE + i * 20, BigInt(entry.baseaddr), true);
    view.setBigUint64(E820_TABLE + i * 20 + 8, BigInt(entry.length), true);
    view.setUint32(E820_TABLE + i * 20 + 16, entry.type, true);
  });
  copyToGuest(memory, zeropage, params, 'boot_params');
  printE820(target, `0x${(zeropage + E820_TABLE).toString(16)}`);

  const entry = KERNEL_LOAD_GPA + (header.long ? ENTRY64_OFFSET : 0);
  print(`SW_LOAD: zeropage prepared @ 0x${zeropage.toString(16)}, kernel_entry_addr=0x${entry.toString(16)}`);
  mustView(memory, entry, 1, 'the kernel entry');
  return {
    gpr: { rsi: BigInt(zeropage), rsp: BigInt(BOOT_PAGE_TABLES) },
    rip: BigInt(entry),
    rflags: 0x2n,
    cr0: header.long ? 0x80000031n : 0x31n,
    cr3: header.long ? BigInt(loadIdentityMap(memory)) : 0n,
    cr4: header.long ? 0x20n : 0n, //        PAE
    ia32Efer: header.long ? 0x500n : 0n, //  LME, LMA
    gdt: loadGdt(memory, BOOT_GDT, header.long),
    idt: { base: 0n, limit: 0 },
    csSel: 0x10, csBase: 0n, csLimit: FLAT_LIMIT, csAr: header.long ? AR_CODE64 : AR_CODE32,
    dataSel: 0x18,
  };
}
