/** The engine's one door for hosts: main, the command lines and tests use this and contract/, nothing behind it. */
export { Machine } from './machine/machine.ts';
export type { MachineEvents, MachineOptions, VmEnd } from './machine/machine.ts';
export { VmStore } from './machine/vm_store.ts';
export type { StoredVm } from './machine/vm_store.ts';
export { RuntimeRegistry } from './machine/registry.ts';
export type { RegistryEntry } from './machine/registry.ts';
export { checkDefinition } from './machine/check_definition.ts';
export type { CheckContext, FieldProblem } from './machine/check_definition.ts';
export { askMonitor, DM_QUERY, DM_RESET, DM_RESUME, DM_STOP, DM_SUSPEND, MNGR_ENOTSUP, QUERY_SUSPENDED } from './machine/monitor.ts';
export { cacheDir, dataDir, guestImages, runtimeDir } from './machine/paths.ts';
export { defaultNucMemoryMiB, NUC_MEMORY_MAX_MIB, NUC_MEMORY_MIN_MIB, NUC_PCPUS, nucMemoryMiB } from './machine/nuc_memory.ts';
export { DEFAULT_BOOTARGS, defaultDefinition, ensureSample, installGuest, makeDisk } from './machine/sample.ts';
export { ALLOCATOR_ENVIRONMENT } from './cli/bin/node24.mjs';
export { whenParentEnds } from './host/parent.ts';
export { HostError } from './lib/errors.ts';

/** The module to run as the NUC process (contract/nuc_protocol.ts). */
export const nucProcessEntry = new URL('./machine/nuc_process.ts', import.meta.url);
