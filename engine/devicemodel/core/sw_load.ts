/**
 * Which loader brings the guest's software into memory.
 *
 * @spec   reference/acrn-device-model.md section 4
 * @cover  #Y bzImage, ELF (PVH, multiboot)   #N vSBL, OVMF
 * @differ `-k` takes an ELF file too: its first bytes decide.
 */
import type { AcrnVcpuRegs } from '../../sos/vhm_if.ts';
import { isElf, loadElf } from './sw_load_elf.ts';
import { loadBzImage } from './sw_load_bzimage.ts';
import { loadError } from './sw_load_common.ts';
import type { Image, LoadTarget, ReadFile } from './sw_load_common.ts';

export interface Software { kernel?: string; elf?: string; ramdisk?: string }

/** The image is missing, empty or unreadable: the exit code of acrn-dm goes with it. */
export class CheckImageError extends Error {
  readonly exitCode: 10 | 11;
  /** What ACRN's message does not say. */
  readonly why: string;
  constructor(path: string, exitCode: 10 | 11, why: string) {
    super(`SW_LOAD: check_image failed for '${path}'`);
    this.why = why;
    this.name = 'CheckImageError';
    this.exitCode = exitCode;
  }
}

/** check_image */
export async function readImage(readFile: ReadFile, path: string, exitCode: 10 | 11): Promise<Image> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new CheckImageError(path, exitCode, error instanceof Error ? error.message : String(error));
  }
  if (bytes.length === 0) throw new CheckImageError(path, exitCode, 'the file is empty');
  return { path, bytes };
}

/** acrn_sw_load: fills guest memory and returns the BSP's registers. */
export async function loadSoftware(target: LoadTarget, software: Software, readFile: ReadFile): Promise<AcrnVcpuRegs> {
  const path = software.kernel ?? software.elf;
  if (path === undefined) throw loadError('SW_LOAD: nothing to load', 'neither a kernel nor an ELF file was given', 'Give a kernel with -k or an ELF file with -E.');
  const kernel = await readImage(readFile, path, 10);
  const ramdisk = software.ramdisk === undefined ? undefined : await readImage(readFile, software.ramdisk, 11);
  return isElf(kernel.bytes) ? loadElf(target, kernel, ramdisk) : loadBzImage(target, kernel, ramdisk);
}
