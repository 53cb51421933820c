/**
 * The acrn-dm command line.
 *
 * @spec   reference/acrn-device-model.md sections 1 and 2 (2.2's options, messages and exit codes)
 * @cover  #Y every option of 2.2 is recognised   #P tuning and power-channel options are accepted and said to have no effect
 *         #N virtual boot loaders, TPM, ACPI and MMIO passthrough, trusty, pseudo-SRAM (refused with one line)
 * @differ --acpidev_pt is accepted beside --apcidev_pt, as documented. --cpu_model v1|v2|nuc is this program's own.
 */
import type { LpcConfig } from '../hw/pci/lpc.ts';
import { SlotError, parseSlot } from '../hw/pci/slots.ts';
import type { PciSlot } from '../hw/pci/slots.ts';
import { BOOTARGS_MAX } from './sw_load_common.ts';
import { getoptLong } from './getopt.ts';
import type { LongOption } from './getopt.ts';
import { GIB, KIB, MIB } from './layout.ts';

export { parseSlot } from '../hw/pci/slots.ts';
export { definitionFromOptions, optionsFromDefinition, optionsToArguments } from './definition.ts';

export type CpuModel = 'v1' | 'v2' | 'nuc';
/** off: interpreter only; check: compiled code beside the interpreter, the first difference stops the VM. */
export type Jit = 'off' | 'on' | 'check';

export interface AcrnDmOptions {
  vmName: string;
  memoryBytes: number;
  acpi: boolean;
  /** MP table wanted: not -Y. */
  mptgen: boolean;
  kernel?: string;
  elf?: string;
  ramdisk?: string;
  bootargs: string;
  slots: PciSlot[];
  lpc: LpcConfig;
  uuid: string;
  /** -W: single-vector MSI instead of MSI-X. */
  virtioMsi: boolean;
  debugexit: boolean;
  cpuModel: CpuModel;
  /** Empty: the first free pCPU. */
  cpuAffinity: number[];
  /** How the NUC executes guest code; undefined: as the environment says, else on. */
  jit?: Jit;
}

/** The command line ends the program before a VM exists: usage, version, or an error with acrn-dm's text and exit code. */
export class OptionsExit extends Error {
  readonly code: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  constructor(code: number, stdout: readonly string[], stderr: readonly string[]) {
    super([...stderr, ...stdout][0] ?? '');
    this.name = 'OptionsExit';
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

export const PROGRAM = 'acrn-dm';
export const DM_VERSION = '2.2';
export const DEFAULT_UUID = 'd2795438-25d6-11e8-864e-cb7a18b34643';
const DEFAULT_MEMSIZE = 256 * MIB;
const MIN_MEMSIZE = 128 * MIB;
const MAX_VMNAME = 127;
const EX_USAGE = 64; // of errx()
const MAX_PCPU = 63;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const SHORT_OPTIONS = 'hAWYvE:k:r:B:s:m:l:U:G:i:';

const takes = (name: string, key = name): LongOption => ({ name, argument: true, key });
const flag = (name: string, key = name): LongOption => ({ name, argument: false, key });
const LONG_OPTIONS: readonly LongOption[] = [
  flag('acpi', 'A'), takes('bootargs', 'B'), takes('elf_file', 'E'), takes('gvtargs', 'G'), flag('help', 'h'), takes('ioc_node', 'i'),
  takes('kernel', 'k'), takes('lpc', 'l'), takes('memsize', 'm'), takes('ramdisk', 'r'), takes('pci_slot', 's'), takes('uuid', 'U'),
  flag('version', 'v'), flag('virtio_msix', 'W'), flag('mptgen', 'Y'),
  takes('vsbl'), takes('part_info'), flag('enable_trusty'), flag('debugexit'), takes('intr_monitor'), takes('virtio_poll'), takes('vtpm2'), takes('ovmf'),
  takes('mac_seed'), flag('lapic_pt'), flag('rtvm'), takes('logger_setting'), takes('pm_notify_channel'), takes('pm_by_vuart'), flag('windows'),
  takes('cpu_affinity'), takes('apcidev_pt'), takes('acpidev_pt'), takes('mmiodev_pt'), flag('psram'),
  takes('cpu_model'), takes('jit'),
];

/** Options that ask for something the emulated NUC cannot give. */
const REFUSED: Readonly<Record<string, string>> = {
  vsbl: 'virtual Slim Bootloader images are not supported, give a kernel with -k',
  ovmf: 'OVMF images are not supported, give a kernel with -k',
  enable_trusty: 'there is no secure world',
  vtpm2: 'there is no TPM 2.0 emulator to connect to',
  apcidev_pt: 'the emulated NUC has no ACPI devices to pass through',
  acpidev_pt: 'the emulated NUC has no ACPI devices to pass through',
  mmiodev_pt: 'the emulated NUC has no MMIO devices to pass through',
  psram: 'the emulated NUC has no pseudo-SRAM',
};
/** Options of launch scripts that change nothing here. */
const NO_EFFECT: Readonly<Record<string, string>> = {
  G: 'GVT-g: there is no GPU', i: 'there is no IOC mediator', part_info: 'only virtual boot loaders read it',
  intr_monitor: 'injected interrupts are not rate limited', virtio_poll: 'virtqueues are driven by notifications',
  mac_seed: 'there is no virtio-net', lapic_pt: 'vCPUs always have an emulated local APIC', rtvm: 'there are no real-time guarantees',
  logger_setting: 'messages go to the standard output', pm_notify_channel: 'power events use the ACPI power button', pm_by_vuart: 'power events use the ACPI power button',
  windows: 'virtio devices keep their subsystem vendor',
};

const USAGE = `Usage: ${PROGRAM} [-hAWYv] [-B bootargs] [-E elf_image_path]
       [-G GVT_args] [-i ioc_mediator_parameters] [-k kernel_image_path]
       [-l lpc] [-m mem] [-r ramdisk_image_path]
       [-s pci] [-U uuid] [--debugexit] [--cpu_affinity pCPUs] [--cpu_model model] [--jit mode] <vm>
       -A: create ACPI tables
       -B: bootargs for kernel
       -E: elf image path
       -G: GVT args: low_gm_size, high_gm_size, fence_sz
       -h: help
       -i: ioc boot parameters
       -k: kernel image path
       -l: LPC device configuration
       -m: memory size with suffix K, M or G
       -r: ramdisk image path
       -s: <slot,driver,configinfo> PCI slot config
       -U: uuid
       -v: version
       -W: force virtio to use single-vector MSI
       -Y: disable MPtable generation
       --debugexit: enable debug exit function
       --cpu_affinity: list of pCPUs assigned to this VM
       --cpu_model: v1, v2 or nuc (this program's own)
       --jit: off, on, or check: compare compiled code with the interpreter (this program's own)
       --intr_monitor, --virtio_poll, --mac_seed, --lapic_pt, --rtvm, --logger_setting,
       --pm_notify_channel, --pm_by_vuart, --windows, --part_info: accepted, no effect
       --vsbl, --ovmf, --enable_trusty, --vtpm2, --apcidev_pt, --mmiodev_pt, --psram: not supported`;

const MEMSIZE_UNITS: Readonly<Record<string, number>> = { K: KIB, M: MIB, G: GIB };
const MEMSIZE_ACCEPTED = `give a whole number with K, M or G, a multiple of 4K, from ${MIN_MEMSIZE / MIB}M to what the NUC has free`;

/** vm_parse_memsize: a number and K, M or G in either case; or what is wrong with it. */
export function parseMemsize(text: string): number | string {
  const found = /^(\d+)([a-z]*)$/i.exec(text);
  if (!found) return 'not a whole number with a unit';
  const [, number, unit] = found;
  if (unit === '') return 'the unit is missing';
  const factor = MEMSIZE_UNITS[unit.toUpperCase()];
  if (factor === undefined) return `there is no unit '${unit}'`;
  const bytes = Number(number) * factor;
  if (bytes < MIN_MEMSIZE) return `less than ${MIN_MEMSIZE / MIB}M`;
  if (!Number.isSafeInteger(bytes)) return 'more than any computer has';
  return bytes % (4 * KIB) === 0 ? bytes : 'not a multiple of 4K';
}

/** A list such as 1,3 or 0-2, without repetition. undefined: rejected. */
export function parseCpuAffinity(text: string): number[] | undefined {
  const pcpus: number[] = [];
  for (const part of text.split(',')) {
    const range = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(part);
    if (!range) return undefined;
    const first = Number(range[1]);
    const last = Number(range[2] ?? range[1]);
    if (last < first || last > MAX_PCPU) return undefined;
    for (let id = first; id <= last; id++) {
      if (pcpus.includes(id)) return undefined;
      pcpus.push(id);
    }
  }
  return pcpus;
}

/** lpc_device_parse: `com1,backend`. undefined: rejected. */
export function parseLpc(text: string): { port: 'com1' | 'com2'; backend: string } | undefined {
  const found = /^(com[12]),(.+)$/i.exec(text);
  return found ? { port: found[1].toLowerCase() as 'com1' | 'com2', backend: found[2] } : undefined;
}

function stop(code: number, ...stderr: string[]): OptionsExit {
  return new OptionsExit(code, [], stderr);
}
const errx = (message: string): OptionsExit => stop(EX_USAGE, `${PROGRAM}: ${message}`);

/**
 * Everything after the program's name. `notices` receives the lines acrn-dm prints while it parses.
 * Throws OptionsExit.
 */
export function parseOptions(argv: readonly string[], notices: string[] = []): AcrnDmOptions {
  const parsed = getoptLong(PROGRAM, argv, SHORT_OPTIONS, LONG_OPTIONS);
  if ('error' in parsed) throw stop(1, parsed.error, USAGE);
  const options: AcrnDmOptions = {
    vmName: '', memoryBytes: DEFAULT_MEMSIZE, acpi: false, mptgen: true, bootargs: '', slots: [], lpc: {}, uuid: DEFAULT_UUID,
    virtioMsi: false, debugexit: false, cpuModel: 'nuc', cpuAffinity: [],
  };
  for (const { key, value } of parsed.options) {
    if (REFUSED[key]) throw stop(1, `${PROGRAM}: --${key} cannot be used: ${REFUSED[key]}`);
    if (NO_EFFECT[key]) {
      notices.push(`${PROGRAM}: ${key.length === 1 ? '-' : '--'}${key} has no effect: ${NO_EFFECT[key]}`);
      continue;
    }
    applyOption(options, notices, key, value);
  }
  if (parsed.operands.length !== 1) throw stop(1, USAGE);
  options.vmName = parsed.operands[0];
  if (new TextEncoder().encode(options.vmName).length > MAX_VMNAME) throw stop(1, `${PROGRAM}: vmname is too long: at most ${MAX_VMNAME} bytes`);
  if (!/^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/.test(options.vmName)) throw stop(1, `${PROGRAM}: invalid vmname '${options.vmName}': letters, digits, "-", "_" and "." only, not starting with "."`);
  return options;
}

function applyOption(options: AcrnDmOptions, notices: string[], key: string, value: string): void {
  switch (key) {
    case 'h': throw new OptionsExit(0, [USAGE], []);
    case 'v': throw new OptionsExit(0, [`DM version is: ${DM_VERSION} (ACRN Desktop)`], []);
    case 'A': options.acpi = true; return;
    case 'W': options.virtioMsi = true; return;
    case 'Y': options.mptgen = false; return;
    case 'debugexit': options.debugexit = true; return;
    case 'B':
      if (new TextEncoder().encode(value).length > BOOTARGS_MAX) throw errx(`invalid bootargs: ${value.length} characters, at most ${BOOTARGS_MAX} fit`);
      options.bootargs = value;
      notices.push(`SW_LOAD: get bootargs ${value}`);
      return;
    case 'k': options.kernel = value; notices.push(`SW_LOAD: get kernel path ${value}`); return;
    case 'E': options.elf = value; notices.push(`SW_LOAD: get elf path ${value}`); return;
    case 'r': options.ramdisk = value; notices.push(`SW_LOAD: get ramdisk path ${value}`); return;
    case 'm': {
      const bytes = parseMemsize(value);
      if (typeof bytes === 'string') throw errx(`invalid memsize '${value}': ${bytes}; ${MEMSIZE_ACCEPTED}`);
      options.memoryBytes = bytes;
      return;
    }
    case 's': return addSlot(options, value);
    case 'l': {
      const lpc = parseLpc(value);
      if (!lpc) throw errx(`invalid lpc device configuration '${value}'`);
      options.lpc[lpc.port] = lpc.backend;
      return;
    }
    case 'U':
      if (!UUID.test(value)) throw errx(`invalid uuid '${value}'`);
      options.uuid = value.toLowerCase();
      return;
    case 'cpu_affinity': {
      const pcpus = parseCpuAffinity(value);
      if (!pcpus) throw errx(`invalid pcpu param ${value}`);
      options.cpuAffinity = pcpus;
      return;
    }
    case 'cpu_model':
      if (value !== 'v1' && value !== 'v2' && value !== 'nuc') throw errx(`invalid cpu_model '${value}': v1, v2 or nuc`);
      options.cpuModel = value;
      return;
    case 'jit':
      if (value !== 'off' && value !== 'on' && value !== 'check') throw errx(`invalid jit mode '${value}': off, on or check`);
      options.jit = value;
      return;
  }
  throw new Error(`option ${key} is in no table`);
}

function addSlot(options: AcrnDmOptions, text: string): void {
  let slot: PciSlot;
  try {
    slot = parseSlot(text);
  } catch (error) {
    if (error instanceof SlotError) throw stop(1, error.text);
    throw error;
  }
  if (options.slots.some((other) => other.bus === slot.bus && other.slot === slot.slot && other.func === slot.func)) throw stop(1, `pci slot ${slot.slot}:${slot.func} already occupied!`);
  options.slots.push(slot);
}
