/** Runs before electron-builder packs: builds out/ and puts the default guest where extraResources takes it from. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildAll } from './build.mjs';
import { root, setup } from './setup.mjs';

export default async function beforePack() {
  await setup();
  await buildAll();
  const { guestImages } = await import('../engine/machine/paths.ts');
  const target = join(root, 'build', 'guest');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(dirname(guestImages().kernel), target, { recursive: true });
}
