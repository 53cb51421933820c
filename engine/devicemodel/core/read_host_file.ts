/** The one place where the device model reads a file by itself: images to load. Imported late, so that it runs without Node too. */
export async function readHostFile(path: string): Promise<Uint8Array> {
  const { readFile } = await import('node:fs/promises');
  return readFile(path);
}
