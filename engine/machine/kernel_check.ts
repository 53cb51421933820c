/**
 * Looks at a kernel or ramdisk file as far as is needed to say before a start whether it can be one.
 *
 * @spec Linux boot protocol (0x1FE boot flag, 0x202 "HdrS"); ELF; Multiboot 0.6.96 section 3.1
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const HEAD_BYTES = 8192;

/** Reads the head of a regular file; an explanation instead when it cannot be used. */
function head(path: string): Buffer | string {
  try {
    const file = openSync(path, 'r');
    try {
      const info = fstatSync(file);
      if (!info.isFile()) return 'it is not a regular file';
      if (info.size === 0) return 'it is empty';
      const bytes = Buffer.alloc(Math.min(HEAD_BYTES, info.size));
      readSync(file, bytes, 0, bytes.length, 0);
      return bytes;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : String(code);
  }
}

/** undefined when `path` is a bzImage or an ELF kernel; else why not. */
export function whyNotKernel(path: string): string | undefined {
  const bytes = head(path);
  if (typeof bytes === 'string') return bytes;
  const bzImage = bytes.length > 0x250 && bytes.readUInt16LE(0x1fe) === 0xaa55 && bytes.toString('latin1', 0x202, 0x206) === 'HdrS';
  const elf = bytes.length > 64 && bytes.readUInt32BE(0) === 0x7f454c46;
  return bzImage || elf ? undefined : 'it is neither a Linux bzImage nor an ELF kernel';
}

/** undefined when `path` can be read as a ramdisk; else why not. */
export function whyNotRamdisk(path: string): string | undefined {
  const bytes = head(path);
  return typeof bytes === 'string' ? bytes : undefined;
}
