/**
 * Options of `-s n,virtio-blk,<path>[,opt...]`, as ACRN's block_if.c reads them.
 *
 * @spec   ACRN hw/block_if.c blockif_open, hw/pci/virtio/virtio_block.c
 * @cover  #Y writeback, writethru, ro, sectorsize, discard, range, nodisk, the boot mark `b`
 */
import { HostError } from '../../../../lib/errors.ts';

export interface BlkOptions {
  /** undefined: nodisk. */
  readonly path: string | undefined;
  readonly writeback: boolean;
  readonly readOnly: boolean;
  readonly sectorSize: number;
  readonly physicalSectorSize: number;
  readonly discard: { readonly maxSectors: number; readonly maxSegments: number; readonly alignment: number } | undefined;
  /** In 512-byte sectors. */
  readonly range: { readonly start: number; readonly size: number } | undefined;
}

const DEV_BSIZE = 512;
/** What stat() gives as the preferred block size of practically every file system. */
const FILE_BLOCK_BYTES = 4096;
const DISCARD_MAX_SECTORS = 1 << 22;
const DISCARD_MAX_SEGMENTS = 256;
const ACCEPTED = 'Accepted: <path>[,writeback|writethru][,ro][,sectorsize=N[/P]][,discard[=max_sectors:max_seg:align]][,range=start/size], or nodisk.';

/** Throws HostError with ACRN's words. */
export function parseBlkOptions(opts: string | undefined): BlkOptions {
  if (opts === undefined || opts === '') throw bad('backing device required');
  const words = opts.split(',');
  if (words[0] === 'b' && words.length > 1) words.shift();
  const nodisk = words.includes('nodisk');
  const path = words.shift() ?? '';
  if (path === '') throw bad('backing device required');
  let writeback = false;
  let readOnly = false;
  let sectorSize = 0;
  let physicalSectorSize = 0;
  let discard: BlkOptions['discard'];
  let range: BlkOptions['range'];
  for (const word of words) {
    const sector = /^sectorsize=(\d+)(?:\/(\d+))?$/.exec(word);
    const sub = /^range=(\d+)\/(\d+)$/.exec(word);
    const holes = /^discard(?:=(\d+):(\d+):(\d+))?$/.exec(word);
    if (word === 'nodisk') continue;
    else if (word === 'writeback') writeback = true;
    else if (word === 'writethru') writeback = false;
    else if (word === 'ro') readOnly = true;
    else if (sector !== null) {
      sectorSize = Number(sector[1]);
      physicalSectorSize = Number(sector[2] ?? sector[1]);
      if (!isPowerOfTwo(sectorSize) || !isPowerOfTwo(physicalSectorSize) || sectorSize < DEV_BSIZE || sectorSize > physicalSectorSize || physicalSectorSize > 2 ** 31) {
        throw bad(`Invalid sector size ${sectorSize}/${physicalSectorSize}`);
      }
    } else if (sub !== null) {
      range = { start: Number(sub[1]), size: Number(sub[2]) };
      if (!Number.isSafeInteger((range.start + range.size) * DEV_BSIZE) || range.size === 0) throw bad(`Invalid range ${range.start}/${range.size}`);
    } else if (holes !== null) {
      discard = {
        maxSectors: clampU32(holes[1], DISCARD_MAX_SECTORS),
        maxSegments: Math.min(clampU32(holes[2], DISCARD_MAX_SEGMENTS), DISCARD_MAX_SEGMENTS),
        alignment: clampU32(holes[3], FILE_BLOCK_BYTES / DEV_BSIZE),
      };
    } else throw bad(`Invalid device option "${word}"`);
  }
  return {
    path: nodisk ? undefined : path,
    writeback,
    readOnly,
    sectorSize: sectorSize === 0 ? DEV_BSIZE : sectorSize,
    physicalSectorSize: sectorSize === 0 ? FILE_BLOCK_BYTES : physicalSectorSize,
    discard,
    range,
  };
}

function bad(why: string): HostError { return new HostError('VIRTIO_BLK_OPTION', { what: 'virtio_blk', why, todo: ACCEPTED }); }
function isPowerOfTwo(value: number): boolean { return value > 0 && Number.isInteger(Math.log2(value)); }
function clampU32(digits: string | undefined, otherwise: number): number {
  return digits === undefined ? otherwise : Math.max(1, Math.min(Number(digits), 0xffff_ffff));
}
