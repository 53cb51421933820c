/** The real engine behind the port. */
import { join } from 'node:path';
import { askMonitor, checkDefinition, dataDir, DEFAULT_BOOTARGS, DM_QUERY, DM_RESET, DM_RESUME, DM_STOP, DM_SUSPEND, ensureSample, guestImages, HostError, installGuest, makeDisk, MNGR_ENOTSUP, nucProcessEntry, QUERY_SUSPENDED, runtimeDir, RuntimeRegistry, VmStore } from '../engine/index.ts';
import type { VmDefinition } from '../engine/contract/vm_definition.ts';
import type { EnginePort, ExternalCommand } from './engine_if.ts';

/** A guest gets a moment to take a request up. */
const ANSWER_MS = 5000;
const MESSAGES: Record<ExternalCommand, { id: number; value: number }> = {
  stop: { id: DM_STOP, value: 0 },
  forceOff: { id: DM_STOP, value: 1 },
  reset: { id: DM_RESET, value: 0 },
  pause: { id: DM_SUSPEND, value: 0 },
  resume: { id: DM_RESUME, value: 0 },
};

/** Opens the user's store; a first start finds the sample VM in it. */
export async function openEngine(): Promise<EnginePort> {
  const data = dataDir();
  const runtime = runtimeDir();
  const store = new VmStore(data);
  const { resourcesPath } = process as { resourcesPath?: string }; // Electron alone has it
  if (resourcesPath !== undefined) await installGuest(join(resourcesPath, 'guest'));
  await ensureSample(data, store);
  return {
    store,
    registry: new RuntimeRegistry(runtime),
    external: {
      ask: async (name, command) => {
        const { id, value } = MESSAGES[command];
        const answer = await askMonitor(runtime, name, id, value, ANSWER_MS);
        if (answer === -MNGR_ENOTSUP) throw new HostError('GUEST_DEAF', { what: `VM ${name} cannot be asked to power off`, why: 'its guest does not listen to the power button', todo: 'Power it off from inside, or force it off' });
        if (answer < 0) throw new HostError('VM_REFUSED', { what: `VM ${name} did not ${command}`, why: `its device model answered ${answer}`, todo: 'Look at the terminal where acrn-dm runs' });
      },
      isPaused: async (name) => (await askMonitor(runtime, name, DM_QUERY).catch(() => undefined)) === QUERY_SUSPENDED, // it may have just ended
    },
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
