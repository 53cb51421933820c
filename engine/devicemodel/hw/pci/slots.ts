/**
 * `-s` positions: parsing and the occupancy rules of one bus hierarchy.
 *
 * @spec reference/acrn-device-model.md section 2 (pci_parse_slot, parse_bdf)
 */

import { HostError } from '../../../lib/errors.ts';

export interface PciSlot { bus: number; slot: number; func: number; device: string; config: string | undefined }

const MAX_BUS = 255;
const MAX_SLOT = 31;
const MAX_FUNC = 7;

/** `message` is acrn-dm's text. */
export class SlotError extends HostError {
  readonly text: string;
  constructor(message: string, why: string) {
    super('PCI_SLOT', { what: message, why, todo: 'Give slot,device[,config], slot:func,... or bus:slot:func,... with slots 0-31 and functions 0-7.' });
    this.text = message;
  }
}

function invalid(text: string, why: string): SlotError {
  return new SlotError(`Invalid PCI slot info field "${text}"`, why);
}

/**
 * `slot,dev[,cfg]`, `slot:func,dev[,cfg]` or `bus:slot:func,dev[,cfg]`; separators `:` `/` `.` are equal, numbers decimal.
 * The vSBL boot disk's single letter `b` between device and config is taken and dropped.
 */
export function parseSlot(text: string): PciSlot {
  const comma = text.indexOf(',');
  if (comma < 0) throw invalid(text, 'there is no device name');
  const fields = text.slice(0, comma).split(/[:/.]/);
  if (fields.length > 3 || fields.some((field) => !/^\d{1,3}$/.test(field))) throw invalid(text, 'the position is not up to three decimal numbers');
  const numbers = fields.map(Number);
  const [bus, slot, func] = numbers.length === 3 ? numbers : numbers.length === 2 ? [0, ...numbers] : [0, numbers[0], 0];
  if (bus > MAX_BUS || slot > MAX_SLOT || func > MAX_FUNC) throw invalid(text, 'a number is out of range');
  const rest = text.slice(comma + 1);
  const configAt = rest.indexOf(',');
  const device = configAt < 0 ? rest : rest.slice(0, configAt);
  if (device === '') throw invalid(text, 'there is no device name');
  let config = configAt < 0 ? undefined : rest.slice(configAt + 1);
  if (config !== undefined && device === 'virtio-blk' && /^b,/.test(config)) config = config.slice(2);
  return { bus, slot, func, device, config };
}

/** Text of a position as acrn-dm's messages print it. */
export function bdfText(at: { bus: number; slot: number; func: number }): string {
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  return `${hex(at.bus)}:${hex(at.slot)}.${at.func.toString(16)}`;
}
