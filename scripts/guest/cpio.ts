/**
 * Writes cpio archives in the "newc" format that Linux unpacks as an initramfs.
 *
 * @spec Linux, "initramfs buffer format" (cpio newc: 110-byte ASCII header, names and data padded to 4 bytes)
 */
export type CpioEntry =
  | { kind: 'dir'; path: string; mode?: number }
  | { kind: 'file'; path: string; data: Uint8Array; mode?: number }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'char'; path: string; major: number; minor: number; mode?: number };

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;

/** The archive, ending with TRAILER!!!, padded to 512 bytes. Owner is root, time is 0: the same input gives the same bytes. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Buffer[] = [];
  let inode = 1;
  const pad = (length: number) => Buffer.alloc((4 - (length % 4)) % 4);
  const add = (path: string, mode: number, data: Uint8Array, major = 0, minor = 0) => {
    const name = Buffer.from(`${path}\0`);
    const fields = [inode++, mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = Buffer.from(`070701${fields.map((f) => f.toString(16).padStart(8, '0').toUpperCase()).join('')}`);
    parts.push(header, name, pad(header.length + name.length), Buffer.from(data), pad(data.length));
  };
  for (const entry of entries) {
    if (entry.kind === 'dir') add(entry.path, S_IFDIR | (entry.mode ?? 0o755), new Uint8Array());
    else if (entry.kind === 'file') add(entry.path, S_IFREG | (entry.mode ?? 0o644), entry.data);
    else if (entry.kind === 'link') add(entry.path, S_IFLNK | 0o777, Buffer.from(entry.target));
    else add(entry.path, S_IFCHR | (entry.mode ?? 0o600), new Uint8Array(), entry.major, entry.minor);
  }
  add('TRAILER!!!', 0, new Uint8Array());
  const length = parts.reduce((n, p) => n + p.length, 0);
  parts.push(Buffer.alloc((512 - (length % 512)) % 512));
  return Buffer.concat(parts);
}
