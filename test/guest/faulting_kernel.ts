/** A kernel whose first instruction after loading an empty interrupt table faults, and faults again, and is done. */

const LOAD = 0x100000;
const HEADER_BYTES = 12;
const IDT_POINTER = 0x1c;

/** @spec Multiboot 0.6.96 section 3.1; ELF-32: one PT_LOAD segment at 1 MiB */
export function faultingKernel(): Buffer {
  const file = Buffer.alloc(0x1000 + 0x30);
  file.write('\x7fELF\x01\x01\x01', 0, 'latin1');
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(3, 18); // EM_386
  file.writeUInt32LE(1, 20); // EV_CURRENT
  file.writeUInt32LE(LOAD + HEADER_BYTES, 24); // e_entry
  file.writeUInt32LE(52, 28); // e_phoff
  file.writeUInt16LE(52, 40); // e_ehsize
  file.writeUInt16LE(32, 42); // e_phentsize
  file.writeUInt16LE(1, 44); // e_phnum
  const segment = [1, 0x1000, LOAD, LOAD, 0x30, 0x30, 7, 0x1000]; // PT_LOAD, offset, vaddr, paddr, filesz, memsz, rwx, align
  segment.forEach((word, i) => file.writeUInt32LE(word, 52 + 4 * i));
  const multiboot = [0x1badb002, 0, -0x1badb002 >>> 0];
  multiboot.forEach((word, i) => file.writeUInt32LE(word, 0x1000 + 4 * i));
  const code = [
    0x0f, 0x01, 0x1d, IDT_POINTER, 0x00, 0x10, 0x00, // lidt [LOAD + IDT_POINTER]: six zero bytes
    0x0f, 0x0b, // ud2
  ];
  Buffer.from(code).copy(file, 0x1000 + HEADER_BYTES);
  return file;
}
