import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HostError } from '../../lib/errors.ts';
import { FakeMemory } from '../testing/fake_vhm.ts';
import { createE820Table } from './layout.ts';
import { CheckImageError, loadSoftware } from './sw_load.ts';
import type { LoadTarget } from './sw_load_common.ts';

const MIB = 2 ** 20;
const LOWMEM = 128 * MIB;
const memory = new FakeMemory([{ gpa: 0, sizeBytes: LOWMEM }]);

function setUp(bootargs = 'console=ttyS0') {
  const lines: string[] = [];
  const target: LoadTarget = { memory, lowmem: LOWMEM, e820: createE820Table(LOWMEM, 0), bootargs, rsdp: 0xf2400, print: (line) => lines.push(line) };
  return { lines, target };
}

function bzImage(changes: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(512 * 3 + 4096);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 2; // setup sectors
  view.setUint16(0x1fe, 0xaa55, true);
  bytes[0x200] = 0xeb;
  bytes[0x201] = 0x66;
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  bytes[0x211] = 0x01; // LOADED_HIGH
  view.setUint32(0x22c, 0x7fffffff, true);
  view.setUint32(0x230, 0x200000, true);
  bytes[0x234] = 1;
  view.setUint16(0x236, 0x0001, true); // XLF_KERNEL_64
  view.setUint32(0x238, 2047, true);
  view.setBigUint64(0x258, 0x1000000n, true);
  view.setUint32(0x260, 32 * MIB, true);
  bytes.fill(0x90, 512 * 3);
  changes(view);
  return bytes;
}

const load = (target: LoadTarget, files: Record<string, Uint8Array>, ramdisk = false) => loadSoftware(target, { kernel: 'k', ...(ramdisk ? { ramdisk: 'r' } : {}) }, async (path) => {
  if (files[path] === undefined) throw new Error('ENOENT');
  return files[path];
});

const guest = (gpa: number, length: number): DataView => {
  const bytes = memory.view(gpa, length)!;
  return new DataView(bytes.buffer, bytes.byteOffset, length);
};

test('a 64-bit kernel is entered at 16 MiB + 0x200 in long mode on a 1:1 map of 4 GiB', async () => {
  const { target } = setUp();
  const regs = await load(target, { k: bzImage() });
  expect(regs).toMatchObject({ rip: 0x1000200n, cr0: 0x80000031n, cr4: 0x20n, ia32Efer: 0x500n, csSel: 0x10, csAr: 0xa09b, dataSel: 0x18 });
  expect(regs.gpr.rsi).toBe(BigInt(LOWMEM - 4096));
  expect(guest(0x1000000, 1).getUint8(0)).toBe(0x90);
  for (const gva of [0, 0x1000200, 0x7fffffff, 0xfee00000]) {
    const pml4e = guest(Number(regs.cr3), 8).getBigUint64(0, true);
    const pdpte = guest(Number(pml4e & ~0xfffn) + Math.floor(gva / 2 ** 30) * 8, 8).getBigUint64(0, true);
    const pde = guest(Number(pdpte & ~0xfffn) + (Math.floor(gva / 2 ** 21) % 512) * 8, 8).getBigUint64(0, true);
    expect(pde & 0xfffn).toBe(0x83n);
    expect(Number(pde & ~0xfffn)).toBe(gva - (gva % 2 ** 21));
  }
  expect(guest(Number(regs.gdt.base), 32).getBigUint64(16, true)).toBe(0x00af9b000000ffffn);
});

test('a 32-bit kernel is entered at 16 MiB with paging off', async () => {
  const { target } = setUp();
  const regs = await load(target, { k: bzImage((view) => view.setUint16(0x236, 0, true)) });
  expect(regs).toMatchObject({ rip: 0x1000000n, cr0: 0x31n, ia32Efer: 0n, csAr: 0xc09b });
});

test('boot_params has header, loader type, command line, ramdisk, RSDP and e820', async () => {
  const { target, lines } = setUp('quiet root=/dev/vda');
  await load(target, { k: bzImage(), r: new Uint8Array(10000).fill(7) }, true);
  const params = guest(LOWMEM - 4096, 4096);
  expect(params.getUint32(0x202, true)).toBe(0x53726448);
  expect(params.getUint8(0x210)).toBe(0xff);
  expect(params.getUint8(0x211) & 0x21).toBe(0x21);
  const ramdisk = params.getUint32(0x218, true);
  expect(ramdisk).toBe(LOWMEM - 5 * 4096); // 10000 bytes and the 8 KiB above it, rounded up to pages
  expect(params.getUint32(0x21c, true)).toBe(10000);
  expect(guest(ramdisk, 10000).getUint8(9999)).toBe(7);
  const commandLine = params.getUint32(0x228, true);
  expect(commandLine).toBe(LOWMEM - 8192);
  expect(String.fromCharCode(...memory.view(commandLine, 20)!)).toBe('quiet root=/dev/vda\0');
  expect(params.getBigUint64(0x70, true)).toBe(0xf2400n);
  expect(params.getUint8(0x1e8)).toBe(9);
  expect([params.getBigUint64(0x2d0, true), params.getBigUint64(0x2d8, true), params.getUint32(0x2e0, true)]).toEqual([0n, 0xa0000n, 1]);
  expect(lines).toContain(`SW_LOAD: ramdisk r size 10000 copied to guest 0x${ramdisk.toString(16)}`);
  expect(lines).toContain('SW_LOAD: entry[0]: addr 0x0000000000000000, size 0x00000000000a0000,  type 0x1');
});

test('a missing or empty file is check_image\'s failure with ACRN\'s exit codes', async () => {
  const { target } = setUp();
  await expect(load(target, {})).rejects.toMatchObject({ message: "SW_LOAD: check_image failed for 'k'", exitCode: 10 });
  await expect(load(target, { k: new Uint8Array(0) })).rejects.toMatchObject({ exitCode: 10, why: 'the file is empty' });
  await expect(load(target, { k: bzImage() }, true)).rejects.toMatchObject({ message: "SW_LOAD: check_image failed for 'r'", exitCode: 11 });
});

test('kernels that cannot be loaded are refused with their reason', async () => {
  const { target } = setUp();
  await expect(load(target, { k: new Uint8Array(4096) })).rejects.toThrow('no Linux setup header');
  await expect(load(target, { k: bzImage((view) => view.setUint16(0x206, 0x0202, true)) })).rejects.toThrow('too old');
  await expect(load(target, { k: bzImage((view) => view.setUint8(0x211, 0)) })).rejects.toThrow('zImage');
  await expect(load(target, { k: bzImage((view) => view.setUint8(0x1f1, 255)) })).rejects.toThrow('leaves no kernel');
  await expect(load(target, { k: bzImage((view) => view.setUint32(0x260, 200 * MIB, true)) })).rejects.toThrow('need big system memory');
  await expect(load(target, { k: bzImage(), r: new Uint8Array(100 * MIB) }, true)).rejects.toThrow('ramdisk file is too big');
  await expect(load(setUp('x'.repeat(1024)).target, { k: bzImage() })).rejects.toThrow('bootargs are too long');
});

interface Segment { type: number; paddr: number; data: Uint8Array; memsz?: number }
function elf(is64: boolean, entry: number, segments: Segment[], prefix = new Uint8Array(0)): Uint8Array {
  const header = is64 ? 64 : 52;
  const ph = is64 ? 56 : 32;
  let offset = header + segments.length * ph + prefix.length;
  const bytes = new Uint8Array(offset + segments.reduce((sum, s) => sum + s.data.length, 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, is64 ? 62 : 3, true);
  if (is64) { view.setBigUint64(24, BigInt(entry), true); view.setBigUint64(32, 64n, true); view.setUint16(54, ph, true); view.setUint16(56, segments.length, true); }
  else { view.setUint32(24, entry, true); view.setUint32(28, 52, true); view.setUint16(42, ph, true); view.setUint16(44, segments.length, true); }
  bytes.set(prefix, header + segments.length * ph);
  segments.forEach((s, i) => {
    const at = header + i * ph;
    const memsz = s.memsz ?? s.data.length;
    view.setUint32(at, s.type, true);
    if (is64) { view.setBigUint64(at + 8, BigInt(offset), true); view.setBigUint64(at + 24, BigInt(s.paddr), true); view.setBigUint64(at + 32, BigInt(s.data.length), true); view.setBigUint64(at + 40, BigInt(memsz), true); }
    else { view.setUint32(at + 4, offset, true); view.setUint32(at + 12, s.paddr, true); view.setUint32(at + 16, s.data.length, true); view.setUint32(at + 20, memsz, true); }
    bytes.set(s.data, offset);
    offset += s.data.length;
  });
  return bytes;
}
const words = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(Uint32Array.from(values).buffer);
const xenNote = (entry: number): Uint8Array => words(4, 4, 18, 0x006e6558, entry);

test('an ELF64 file with a PVH note is entered in 32 bits at the note\'s address with hvm_start_info', async () => {
  const { target } = setUp('pvh');
  const code = Uint8Array.of(1, 2, 3, 4);
  const regs = await load(target, { k: elf(true, 0x200000, [{ type: 1, paddr: 0x200000, data: code, memsz: 64 }, { type: 4, paddr: 0, data: xenNote(0x200002) }]), r: new Uint8Array(5000) }, true);
  expect(regs).toMatchObject({ rip: 0x200002n, cr0: 0x31n, ia32Efer: 0n, csAr: 0xc09b });
  const info = guest(Number(regs.gpr.rbx), 56);
  expect([info.getUint32(0, true), info.getUint32(4, true), info.getUint32(12, true)]).toEqual([0x336ec578, 1, 1]);
  expect(Number(info.getBigUint64(24, true))).toBe(LOWMEM - 8192);
  expect(info.getBigUint64(32, true)).toBe(0xf2400n);
  expect(info.getUint32(48, true)).toBe(9);
  const module = guest(Number(info.getBigUint64(16, true)), 32);
  expect(module.getBigUint64(8, true)).toBe(5000n);
  expect([...memory.view(0x200000, 5)!]).toEqual([1, 2, 3, 4, 0]);
});

test('a multiboot ELF32 file gets EAX, EBX and the information at 0x20000', async () => {
  const { target } = setUp('multi');
  const header = words(0x1badb002, 3, -(0x1badb002 + 3) >>> 0);
  const regs = await load(target, { k: elf(false, 0x100004, [{ type: 1, paddr: 0x100000, data: Uint8Array.of(0x90, 0x90, 0x90, 0x90, 0xf4) }], header), r: Uint8Array.of(9) }, true);
  expect(regs.gpr).toMatchObject({ rax: 0x2badb002n, rbx: 0x20000n });
  expect(regs.rip).toBe(0x100004n);
  const info = guest(0x20000, 116);
  expect(info.getUint32(0, true)).toBe(0x24d);
  expect(info.getUint32(8, true)).toBe((LOWMEM - 65536) / 1024);
  const mods = guest(info.getUint32(24, true), 8);
  expect(mods.getUint32(4, true) - mods.getUint32(0, true)).toBe(1);
  expect(guest(info.getUint32(48, true), 24).getUint32(0, true)).toBe(20);
});

test('ELF files that lead outside the file or the VM are refused', async () => {
  const { target } = setUp();
  const code = Uint8Array.of(0xf4);
  await expect(load(target, { k: elf(false, 0x100000, [{ type: 1, paddr: 0xfffffff0, data: code, memsz: 4096 }]) })).rejects.toThrow('not RAM of this VM');
  await expect(load(target, { k: elf(true, 2 ** 40, [{ type: 1, paddr: 0x100000, data: code }]) })).rejects.toThrow('entry point');
  await expect(load(target, { k: elf(true, 0x100000, [{ type: 1, paddr: 0x100000, data: code }]).subarray(0, 100) })).rejects.toThrow('outside the file');
  await expect(load(target, { k: elf(true, 0x100000, [{ type: 2, paddr: 0x100000, data: code }]) })).rejects.toThrow('nothing in it');
});

test('any damage to a kernel file gives a typed error or a loaded guest, never another exception', async () => {
  const { target } = setUp();
  const good = [bzImage(), elf(true, 0x200000, [{ type: 1, paddr: 0x200000, data: Uint8Array.of(1), memsz: 16 }, { type: 4, paddr: 0, data: xenNote(0x200000) }]), elf(false, 0x100000, [{ type: 1, paddr: 0x100000, data: Uint8Array.of(1) }])];
  await fc.assert(fc.asyncProperty(fc.nat(2), fc.array(fc.tuple(fc.nat(0x27f), fc.nat(255)), { maxLength: 8 }), fc.option(fc.nat(2000)), async (which, damage, length) => {
    const bytes: Uint8Array = good[which].slice(0, length ?? undefined);
    for (const [at, value] of damage) if (at < bytes.length) bytes[at] = value;
    try {
      const regs = await load(target, { k: bytes });
      expect(memory.view(Number(regs.rip), 1)).toBeDefined();
    } catch (error) {
      expect(error instanceof HostError || error instanceof CheckImageError).toBe(true);
    }
  }), { seed: 6, numRuns: 1000 });
});
