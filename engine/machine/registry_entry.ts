/** What a file of the registry (registry.ts) holds. */
import { z } from 'zod';
import { consoleInfo } from '../contract/engine_api.ts';
import { vmName } from '../contract/vm_definition.ts';

export const entrySchema = z.object({
  name: vmName,
  pid: z.int().positive(),
  /** Tells a recycled pid from the old process; '' where the system does not say. */
  processStart: z.string(),
  cpuAffinity: z.array(z.int()),
  memoryMiB: z.int(),
  consoles: z.array(consoleInfo),
  startedAt: z.number(),
});
export type RegistryEntry = z.infer<typeof entrySchema>;
