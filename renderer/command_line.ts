/**
 * The acrn-dm command line that does what a definition says.
 *
 * @spec   acrn-dm options: -A -m -s -l -k -r -B -U --cpu_affinity
 * @cover  #Y every field of a definition except the CPU model, which is this project's own
 * @differ --cpu_affinity (v2.0+) names the pCPUs; v0.x counted vCPUs with -c.
 */
import type { VmDefinition } from '../engine/contract/vm_definition.ts';

const DEFAULT_UUID = 'd2795438-25d6-11e8-864e-cb7a18b34643';

/** One entry per option with its value; the VM's name is last. */
export function commandLineParts(definition: VmDefinition): string[] {
  const { acpi, bootargs, cpuAffinity, devices, kernel, lpc, memoryMiB, name, ramdisk, uuid } = definition;
  const parts = ['acrn-dm'];
  if (acpi) parts.push('-A');
  parts.push(`-m ${memoryMiB}M`, `--cpu_affinity ${cpuAffinity.join(',')}`);
  if (uuid !== DEFAULT_UUID) parts.push(`-U ${uuid}`);
  for (const { slot, device, config } of devices) parts.push(`-s ${quote([slot, device, config].filter((part) => part !== undefined && part !== '').join(','))}`);
  if (lpc.com1 !== undefined) parts.push(`-l ${quote(`com1,${lpc.com1}`)}`);
  if (lpc.com2 !== undefined) parts.push(`-l ${quote(`com2,${lpc.com2}`)}`);
  parts.push(`-k ${quote(kernel)}`);
  if (ramdisk !== undefined) parts.push(`-r ${quote(ramdisk)}`);
  if (bootargs !== '') parts.push(`-B ${quote(bootargs)}`);
  parts.push(name);
  return parts;
}

/** For a shell, one option a line. */
export function commandLine(definition: VmDefinition): string { return commandLineParts(definition).join(' \\\n  '); }

/** A word for a POSIX shell. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
