/**
 * VMCALL. Only the Service VM has hypercalls; a User VM's answer is ACRN 2.2's.
 *
 * @spec reference: VMCALL convention
 * @cover #P User VM only: #GP(0) outside ring 0, #UD otherwise #N the Service VM's calls
 */
import { GP_EVENT, UD_EVENT, type EntryEvent } from '../arch/x86/guest/virq.ts';

/** @returns the exception a VMCALL of a User VM gets */
export function userVmHypercall(cpl: number): EntryEvent {
  return cpl === 0 ? UD_EVENT : GP_EVENT;
}
