/** An engine in memory: the store, the registry and the checks that the services' tests and the page's tests need. */
import { vmDefinition } from '../../../engine/contract/vm_definition.ts';
import type { VmDefinition } from '../../../engine/contract/vm_definition.ts';
import type { CheckDefinition, EnginePort, ExternalCommand, RegisteredVm, StoredVm } from '../../../main/engine_if.ts';

export class MemoryStore {
  readonly files = new Map<string, StoredVm>();
  readonly #listeners = new Set<() => void>();

  async list(): Promise<StoredVm[]> { return [...this.files.values()]; }
  async create(definition: VmDefinition): Promise<void> {
    this.files.set(definition.name, { name: definition.name, path: `/vms/${definition.name}.json`, definition });
    this.changed();
  }
  async update(name: string, definition: VmDefinition): Promise<void> {
    this.files.delete(name);
    await this.create(definition);
  }
  async delete(name: string): Promise<void> {
    this.files.delete(name);
    this.changed();
  }
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }
  changed(): void { for (const listener of this.#listeners) listener(); }
}

export class MemoryRegistry {
  vms: RegisteredVm[] = [];
  readonly #listeners = new Set<() => void>();

  async list(): Promise<RegisteredVm[]> { return this.vms; }
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }
  set(vms: RegisteredVm[]): void {
    this.vms = vms;
    for (const listener of this.#listeners) listener();
  }
}

/** VMs of other processes obey at once. */
export class MemoryExternal {
  readonly asked: string[] = [];
  readonly paused = new Set<string>();
  readonly #registry: MemoryRegistry;

  constructor(registry: MemoryRegistry) { this.#registry = registry; }
  async ask(name: string, command: ExternalCommand): Promise<void> {
    this.asked.push(`${command} ${name}`);
    if (command === 'pause') this.paused.add(name);
    if (command === 'resume') this.paused.delete(name);
    if (command === 'stop' || command === 'forceOff') this.#registry.set(this.#registry.vms.filter((vm) => vm.name !== name));
  }
  async isPaused(name: string): Promise<boolean> { return this.paused.has(name); }
}

const checkDefinition: CheckDefinition = (input, { nucMemoryMiB, existing, running }) => {
  const checked = vmDefinition.safeParse(input);
  if (!checked.success) return { problems: checked.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })) };
  const definition = checked.data;
  const problems: Array<{ path: string; message: string }> = [];
  if (existing.some(({ name }) => name === definition.name)) problems.push({ path: 'name', message: `there is a VM ${definition.name} already` });
  const used = running.reduce((sum, { memoryMiB }) => sum + memoryMiB, 0);
  if (definition.memoryMiB + used > nucMemoryMiB) problems.push({ path: 'memoryMiB', message: `the NUC has ${nucMemoryMiB - used} MiB left` });
  for (const { name, cpuAffinity } of running) {
    const shared = cpuAffinity.filter((pcpuId) => definition.cpuAffinity.includes(pcpuId));
    if (shared.length > 0) problems.push({ path: 'cpuAffinity', message: `pCPU ${shared.join(', ')} is in use by ${name}` });
  }
  const slots = new Set<string>();
  definition.devices.forEach(({ slot }, at) => {
    if (slots.has(slot)) problems.push({ path: `devices.${at}.slot`, message: `pci slot ${slot} already occupied!` });
    slots.add(slot);
  });
  return { definition, problems };
};

export function fakeEngine(nucProcessEntry: URL, dataDir = '/home/user/.local/share/acrn-desktop'): EnginePort & { store: MemoryStore; registry: MemoryRegistry; external: MemoryExternal } {
  const registry = new MemoryRegistry();
  return {
    store: new MemoryStore(),
    registry,
    external: new MemoryExternal(registry),
    checkDefinition,
    defaultImages: () => ({
      kernel: '/usr/share/acrn/images/vmlinuz-6.12-cloud-amd64',
      ramdisk: '/usr/share/acrn/images/initramfs.cpio.gz',
      disk: '/usr/share/acrn/images/disk.img',
      bootargs: 'console=ttyS0 console=hvc0 root=/dev/vda rw rootwait nohpet no_timer_check tsc=reliable',
    }),
    prepare: async (definition) => definition,
    dataDir,
    runtimeDir: '/tmp/acrn-desktop-test',
    nucProcessEntry,
  };
}

export function definition(name: string, change: Partial<VmDefinition> = {}): VmDefinition {
  return vmDefinition.parse({
    format: 1,
    name,
    cpuAffinity: [1],
    memoryMiB: 512,
    kernel: '/usr/share/acrn/images/vmlinuz-6.12-cloud-amd64',
    bootargs: 'console=ttyS0',
    lpc: { com1: 'stdio' },
    devices: [
      { slot: '0:0', device: 'hostbridge' },
      { slot: '1:0', device: 'lpc' },
      { slot: '5', device: 'virtio-console', config: '@pty:pty_port' },
    ],
    ...change,
  });
}
