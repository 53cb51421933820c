/**
 * VM definitions and acrn-dm options are two spellings of the same thing.
 *
 * @spec engine/contract/vm_definition.ts; reference/acrn-device-model.md section 1
 */
import { HostError } from '../../lib/errors.ts';
import { vmDefinition } from '../../contract/vm_definition.ts';
import type { VmDefinition } from '../../contract/vm_definition.ts';
import { parseSlot } from '../hw/pci/slots.ts';
import type { PciSlot } from '../hw/pci/slots.ts';
import { MIB } from './layout.ts';
import type { AcrnDmOptions } from './options.ts';

const LPC_SLOT = 31;

function invalid(what: string, why: string): HostError {
  return new HostError('DEFINITION_INVALID', { what, why, todo: 'Correct the VM definition.' });
}

const sameFunction = (a: PciSlot, b: PciSlot): boolean => a.bus === b.bus && a.slot === b.slot && a.func === b.func;

/** The first of `wanted` that nobody uses. */
function freeSlot(slots: readonly PciSlot[], wanted: readonly number[]): number {
  const free = wanted.find((number) => !slots.some((slot) => slot.bus === 0 && slot.slot === number));
  if (free === undefined) throw invalid('the VM has no free PCI slot', 'every slot of bus 0 is taken');
  return free;
}

/**
 * What acrn-dm would be given for this definition. A definition lists what a person chose: the host bridge at 0:0, and an
 * lpc bridge when a COM port has a backend, are added where they are missing.
 */
export function optionsFromDefinition(definition: VmDefinition): AcrnDmOptions {
  const slots: PciSlot[] = [];
  for (const entry of definition.devices) {
    const slot = parseSlot([entry.slot, entry.device, ...(entry.config ? [entry.config] : [])].join(','));
    if (slots.some((other) => sameFunction(other, slot))) throw invalid(`pci slot ${slot.slot}:${slot.func} already occupied!`, `${entry.device} is the second device there`);
    slots.push(slot);
  }
  if (!slots.some((slot) => slot.device.endsWith('hostbridge'))) slots.unshift({ bus: 0, slot: freeSlot(slots, [0]), func: 0, device: 'hostbridge', config: undefined });
  const { com1, com2 } = definition.lpc;
  if ((com1 !== undefined || com2 !== undefined) && !slots.some((slot) => slot.device === 'lpc')) {
    slots.push({ bus: 0, slot: freeSlot(slots, [LPC_SLOT, ...Array.from({ length: 31 }, (_, i) => i + 1)]), func: 0, device: 'lpc', config: undefined });
  }
  return {
    vmName: definition.name,
    memoryBytes: definition.memoryMiB * MIB,
    acpi: definition.acpi,
    mptgen: true,
    kernel: definition.kernel,
    ...(definition.ramdisk === undefined ? {} : { ramdisk: definition.ramdisk }),
    bootargs: definition.bootargs,
    slots,
    lpc: { ...(com1 === undefined ? {} : { com1 }), ...(com2 === undefined ? {} : { com2 }) },
    uuid: definition.uuid,
    virtioMsi: false,
    debugexit: false,
    cpuModel: definition.cpuModel,
    cpuAffinity: [...definition.cpuAffinity],
  };
}

/** The definition of a command line; options a definition does not know are lost. */
export function definitionFromOptions(options: AcrnDmOptions): VmDefinition {
  const kernel = options.kernel ?? options.elf;
  if (kernel === undefined) throw invalid(`${options.vmName} has no kernel`, 'a definition needs one');
  return vmDefinition.parse({
    format: 1, name: options.vmName, uuid: options.uuid, cpuAffinity: options.cpuAffinity.length > 0 ? options.cpuAffinity : [0], memoryMiB: Math.floor(options.memoryBytes / MIB), cpuModel: options.cpuModel,
    kernel, ...(options.ramdisk === undefined ? {} : { ramdisk: options.ramdisk }), bootargs: options.bootargs, acpi: options.acpi, lpc: options.lpc,
    devices: options.slots.map((slot) => ({ slot: `${slot.bus}:${slot.slot}:${slot.func}`, device: slot.device, ...(slot.config === undefined ? {} : { config: slot.config }) })),
  });
}

/** The acrn-dm command line of these options, without the program's name. */
export function optionsToArguments(options: AcrnDmOptions): string[] {
  const argv: string[] = [];
  if (options.acpi) argv.push('-A');
  if (options.virtioMsi) argv.push('-W');
  if (!options.mptgen) argv.push('-Y');
  argv.push('-m', options.memoryBytes % MIB === 0 ? `${options.memoryBytes / MIB}M` : `${options.memoryBytes / 1024}K`);
  for (const slot of options.slots) argv.push('-s', [`${slot.bus}:${slot.slot}:${slot.func}`, slot.device, ...(slot.config === undefined ? [] : [slot.config])].join(','));
  if (options.lpc.com1 !== undefined) argv.push('-l', `com1,${options.lpc.com1}`);
  if (options.lpc.com2 !== undefined) argv.push('-l', `com2,${options.lpc.com2}`);
  argv.push('-U', options.uuid);
  if (options.kernel !== undefined) argv.push('-k', options.kernel);
  if (options.elf !== undefined) argv.push('-E', options.elf);
  if (options.ramdisk !== undefined) argv.push('-r', options.ramdisk);
  if (options.bootargs !== '') argv.push('-B', options.bootargs);
  if (options.debugexit) argv.push('--debugexit');
  if (options.cpuModel !== 'nuc') argv.push('--cpu_model', options.cpuModel);
  if (options.cpuAffinity.length > 0) argv.push('--cpu_affinity', options.cpuAffinity.join(','));
  argv.push(options.vmName);
  return argv;
}
