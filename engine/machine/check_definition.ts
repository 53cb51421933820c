/**
 * Checks a VM definition as the create form and acrnctl need it: every problem with the place it is in, before
 * anything is written or started.
 */
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { type VmDefinition, vmDefinition } from '../contract/vm_definition.ts';
import { deviceClassNames } from '../devicemodel/hw/pci/classes.ts';
import { parseSlot } from '../devicemodel/core/options.ts';
import { HostError } from '../lib/errors.ts';
import { whyNotKernel, whyNotRamdisk } from './kernel_check.ts';

export interface FieldProblem { path: string; message: string }
export interface CheckContext {
  nucMemoryMiB: number;
  pcpus: number;
  /** Other definitions (not the one being replaced). */
  existing: ReadonlyArray<{ name: string }>;
  /** VMs that hold pCPUs and memory now; empty while a definition is only being written down. */
  running: ReadonlyArray<{ name: string; cpuAffinity: readonly number[]; memoryMiB: number }>;
}

/** Returns the definition when it has no problem, and every problem found otherwise. */
export function checkDefinition(input: unknown, context: CheckContext): { definition?: VmDefinition; problems: FieldProblem[] } {
  const parsed = vmDefinition.safeParse(input);
  if (!parsed.success) return { problems: parsed.error.issues.map((i) => ({ path: i.path.join('.'), message: i.message })) };
  const definition = parsed.data;
  const problems: FieldProblem[] = [];
  const report = (path: string, message: string | undefined): void => {
    if (message) problems.push({ path, message });
  };
  if (context.existing.some((other) => other.name === definition.name)) report('name', `a VM named ${definition.name} exists`);
  checkResources(definition, context, report);
  const kernelProblem = whyNotKernel(definition.kernel);
  report('kernel', kernelProblem && `${definition.kernel}: ${kernelProblem}`);
  if (definition.ramdisk) {
    const why = whyNotRamdisk(definition.ramdisk);
    report('ramdisk', why && `${definition.ramdisk}: ${why}`);
  }
  checkDevices(definition, report);
  return problems.length > 0 ? { problems } : { definition, problems };
}

type Report = (path: string, message: string | undefined) => void;

function checkResources(definition: VmDefinition, context: CheckContext, report: Report): void {
  if (definition.memoryMiB > context.nucMemoryMiB) report('memoryMiB', `the NUC has ${context.nucMemoryMiB} MiB, less than the ${definition.memoryMiB} MiB asked for`);
  const used = context.running.reduce((sum, vm) => sum + vm.memoryMiB, 0);
  if (used > 0 && definition.memoryMiB > context.nucMemoryMiB - used) report('memoryMiB', `running VMs leave ${context.nucMemoryMiB - used} MiB of ${context.nucMemoryMiB}`);
  const seen = new Set<number>();
  definition.cpuAffinity.forEach((id, i) => {
    const path = `cpuAffinity.${i}`;
    if (id >= context.pcpus) report(path, `there is no pCPU ${id}: the NUC has 0 to ${context.pcpus - 1}`);
    if (seen.has(id)) report(path, `pCPU ${id} is listed twice`);
    seen.add(id);
    const holder = context.running.find((vm) => vm.cpuAffinity.includes(id));
    if (holder) report(path, `pCPU ${id} is taken by VM ${holder.name}`);
  });
}

function checkDevices(definition: VmDefinition, report: Report): void {
  const known = deviceClassNames();
  const slots = new Set<string>();
  definition.devices.forEach((device, i) => {
    if (!known.includes(device.device)) report(`devices.${i}.device`, `unknown device "${device.device}"; there are ${known.join(', ')}`);
    try {
      const { bus, slot, func } = parseSlot(`${device.slot},${device.device}`);
      const place = `${bus}:${slot}:${func}`;
      if (slots.has(place)) report(`devices.${i}.slot`, `pci slot ${slot}:${func} already occupied!`);
      slots.add(place);
    } catch (error) {
      report(`devices.${i}.slot`, error instanceof HostError ? error.message : String((error as Error).message));
    }
    if (device.device === 'virtio-blk') report(`devices.${i}.config`, whyNotDisk(device.config));
  });
  const hasLpc = definition.devices.some((d) => d.device === 'lpc');
  for (const port of ['com1', 'com2'] as const) {
    if (definition.lpc[port] && !hasLpc) report(`lpc.${port}`, 'needs an lpc device, for example at slot 1:0');
  }
}

function whyNotDisk(config: string | undefined): string | undefined {
  const [path, ...options] = (config ?? '').replace(/^b,/, '').split(',');
  if (path === '') return 'a disk image is needed: its path';
  if (path === 'nodisk' || options.includes('nodisk')) return undefined;
  if (!existsSync(path)) return `${path}: there is no such file`;
  const info = statSync(path);
  if (!info.isFile() && !info.isBlockDevice()) return `${path}: it is neither a file nor a block device`;
  if (info.isFile() && (info.size === 0 || info.size % 512 !== 0)) return `${path}: ${info.size} bytes is not a whole number of 512-byte sectors`;
  try {
    closeSync(openSync(path, options.includes('ro') ? 'r' : 'r+'));
    return undefined;
  } catch (error) {
    return `${path}: it may not be ${options.includes('ro') ? 'read' : 'written'} (${(error as NodeJS.ErrnoException).code})`;
  }
}
