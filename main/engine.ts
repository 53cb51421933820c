/** The real engine behind the port. */
import { checkDefinition, dataDir, DEFAULT_BOOTARGS, ensureSample, guestImages, makeDisk, nucProcessEntry, runtimeDir, RuntimeRegistry, VmStore } from '../engine/index.ts';
import type { VmDefinition } from '../engine/contract/vm_definition.ts';
import type { EnginePort } from './engine_if.ts';

/** Opens the user's store; a first start finds the sample VM in it. */
export async function openEngine(): Promise<EnginePort> {
  const data = dataDir();
  const runtime = runtimeDir();
  const store = new VmStore(data);
  await ensureSample(data, store);
  return {
    store,
    registry: new RuntimeRegistry(runtime),
    checkDefinition,
    defaultImages: () => ({ ...guestImages(), bootargs: DEFAULT_BOOTARGS }),
    prepare: (definition) => ownDisk(data, definition),
    dataDir: data,
    runtimeDir: runtime,
    nucProcessEntry,
  };
}

/** The default image is a template: a VM that writes to it gets its own copy. */
async function ownDisk(data: string, definition: VmDefinition): Promise<VmDefinition> {
  const { disk } = guestImages();
  const devices = [];
  for (const entry of definition.devices) {
    const [path, ...options] = (entry.config ?? '').split(',');
    const isTemplate = entry.device === 'virtio-blk' && path === disk && !options.includes('ro');
    devices.push(isTemplate ? { ...entry, config: [await makeDisk(data, definition.name), ...options].join(',') } : entry);
  }
  return { ...definition, devices };
}
