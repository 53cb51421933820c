/** Writing a file so that a reader, or a crash, sees the old contents or the new ones and nothing between. */
import { randomBytes } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes `text` to `path` by way of a synced temporary file in the same folder.
 * @param options.exclusive fail with EEXIST when `path` exists already
 */
export async function writeFileAtomic(path: string, text: string, options: { exclusive?: boolean; mode?: number } = {}): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = partOf(path);
  const file = await open(part, 'wx', options.mode ?? 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    if (options.exclusive) await link(part, path);
    else return await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
}

/** Replaces a small file in one turn, for state that only matters while this computer is up. */
export function replaceFileSync(path: string, text: string, mode: number): void {
  const part = partOf(path);
  try {
    writeFileSync(part, text, { flag: 'wx', mode });
    renameSync(part, path);
  } finally {
    rmSync(part, { force: true });
  }
}

function partOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
}
