/** Writing a file so that a reader, or a crash, sees the old contents or the new ones and nothing between. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes `text` to `path` by way of a synced temporary file in the same folder.
 * @param options.exclusive fail with EEXIST when `path` exists already
 */
export async function writeFileAtomic(path: string, text: string, options: { exclusive?: boolean; mode?: number } = {}): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const part = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
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
