/** An in-memory hypervisor for tests: RAM, interrupt and kick records, and a way to play the guest's vCPU. */
import type { GuestMemory } from '../../lib/guest_memory.ts';
import type { AcrnVcpuRegs, GsiOperation, IoRequest, Vhm, VhmVm, VmCreation, VmSuspendHow } from '../../sos/vhm_if.ts';
import { HostError } from '../../lib/errors.ts';
import type { CharBackend, HostBackends } from '../backends_if.ts';

export class FakeMemory implements GuestMemory {
  readonly ranges: ReadonlyArray<{ readonly gpa: number; readonly sizeBytes: number }>;
  readonly sizeBytes: number;
  readonly #blocks: Uint8Array[];
  constructor(ranges: ReadonlyArray<{ gpa: number; sizeBytes: number }>) {
    this.ranges = ranges;
    this.sizeBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0);
    this.#blocks = ranges.map((range) => new Uint8Array(range.sizeBytes));
  }
  view(gpa: number, length: number): Uint8Array | undefined {
    if (!Number.isSafeInteger(gpa) || !Number.isSafeInteger(length) || length < 0) return undefined;
    const i = this.ranges.findIndex((range) => gpa >= range.gpa && gpa + length <= range.gpa + range.sizeBytes);
    return i < 0 ? undefined : this.#blocks[i].subarray(gpa - this.ranges[i].gpa, gpa - this.ranges[i].gpa + length);
  }
  written(): void {}
  words(gpa: number, count: number): Int32Array | undefined {
    const view = gpa % 4 === 0 ? this.view(gpa, count * 4) : undefined;
    return view && new Int32Array(view.buffer, view.byteOffset, count);
  }
}

interface Kick { space: 'pio' | 'mmio'; address: number; size: number; data?: number; kick: () => void }

export class FakeVm implements VhmVm {
  readonly vmid: number;
  readonly name: string;
  readonly vcpuCount: number;
  readonly memory: FakeMemory;
  readonly calls: string[] = [];
  readonly irqs: string[] = [];
  readonly msis: Array<{ address: number; data: number }> = [];
  readonly kicks = new Set<Kick>();
  regs: AcrnVcpuRegs | undefined;
  #handler: (request: IoRequest) => void | Promise<void> = () => {};
  #listeners = new Set<(how: VmSuspendHow, detail: string) => void>();

  constructor(vmid: number, creation: VmCreation) {
    this.vmid = vmid;
    this.name = creation.name;
    this.vcpuCount = creation.cpuAffinity.length;
    this.memory = new FakeMemory(creation.memory.map((range) => ({ ...range })));
  }
  setBspRegs(regs: AcrnVcpuRegs): void { this.calls.push('setBspRegs'); this.regs = regs; }
  attachIoreqClient(handler: (request: IoRequest) => void | Promise<void>): void { this.#handler = handler; }
  assignIoeventfd(at: Omit<Kick, 'kick'>, kick: () => void): () => void {
    const entry = { ...at, kick };
    this.kicks.add(entry);
    return () => { this.kicks.delete(entry); };
  }
  shortcutPort(): undefined { return undefined; }
  setPciSlots(): void {}
  setIrqline(gsi: number, operation: GsiOperation): void { this.irqs.push(`${gsi} ${operation}`); }
  injectMsi(address: number, data: number): void { this.msis.push({ address, data }); }
  run(): void { this.calls.push('run'); }
  async pause(): Promise<void> { this.calls.push('pause'); }
  resume(): void { this.calls.push('resume'); }
  async reset(): Promise<void> { this.calls.push('reset'); }
  onSuspend(listener: (how: VmSuspendHow, detail: string) => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }
  async destroy(): Promise<void> { this.calls.push('destroy'); }

  /** The vCPUs stop by themselves. */
  end(how: VmSuspendHow, detail: string): void { for (const listener of this.#listeners) listener(how, detail); }
  #request(type: IoRequest['type'], direction: 'read' | 'write', address: number, size: number, value: bigint, bdf?: IoRequest['bdf']): bigint {
    const request: IoRequest = { type, vcpuId: 0, direction, address, size, value, ...(bdf ? { bdf } : {}) };
    void this.#handler(request);
    return request.value;
  }
  in(port: number, size = 1): number { return Number(this.#request('pio', 'read', port, size, 0n)); }
  out(port: number, value: number, size = 1): void { this.#request('pio', 'write', port, size, BigInt(value)); }
  mmioRead(gpa: number, size = 4): bigint { return this.#request('mmio', 'read', gpa, size, 0n); }
  mmioWrite(gpa: number, value: bigint, size = 4): void { this.#request('mmio', 'write', gpa, size, value); }
  cfgRead(dev: number, offset: number, size = 4, func = 0): number { return Number(this.#request('pci', 'read', offset, size, 0n, { bus: 0, dev, func })); }
  cfgWrite(dev: number, offset: number, value: number, size = 4, func = 0): void { this.#request('pci', 'write', offset, size, BigInt(value >>> 0), { bus: 0, dev, func }); }
}

export class FakeVhm implements Vhm {
  readonly vms: FakeVm[] = [];
  readonly #taken: Set<number>;
  readonly #pcpus: number;
  constructor(pcpus = 4, taken: readonly number[] = []) {
    this.#pcpus = pcpus;
    this.#taken = new Set(taken);
  }
  async createVm(creation: VmCreation): Promise<VhmVm> {
    const fail = (code: string): never => { throw new HostError(code, { what: 'no VM', why: code, todo: '-' }); };
    for (const pcpu of creation.cpuAffinity) {
      if (pcpu >= this.#pcpus) fail('NO_SUCH_PCPU');
      if (this.#taken.has(pcpu)) fail('PCPU_TAKEN');
    }
    const vm = new FakeVm(this.vms.length + 1, creation);
    this.vms.push(vm);
    return vm;
  }
}

/** A host node whose far end is the test. */
export class FakeChar implements CharBackend {
  readonly where: string;
  readonly written: number[] = [];
  readonly #input: number[] = [];
  #wake: () => void = () => {};
  paused = false;
  closed = false;
  error: string | undefined;
  constructor(where = 'fake') { this.where = where; }
  get text(): string { return String.fromCharCode(...this.written); }
  write(bytes: Uint8Array): number { this.written.push(...bytes); return bytes.length; }
  read(max: number): Uint8Array { return Uint8Array.from(this.#input.splice(0, max)); }
  onReady(wake: () => void): () => void { this.#wake = wake; return () => { this.#wake = () => {}; }; }
  pauseInput(paused: boolean): void { this.paused = paused; }
  async close(): Promise<void> { this.closed = true; }
  /** Somebody types at the node. */
  type(text: string): void { this.#input.push(...new TextEncoder().encode(text)); this.#wake(); }
}

/** Time stands still until the test lets it pass. */
export class FakeHost implements HostBackends {
  nowNs = 0;
  epochMs = Date.UTC(2024, 1, 29, 23, 59, 58);
  readonly chars: Array<{ owner: string; backend: FakeChar }> = [];
  #timers: Array<{ dueNs: number; fire: () => void }> = [];
  async openChar(spec: { kind: string }, owner: string): Promise<CharBackend> {
    const backend = new FakeChar(spec.kind);
    this.chars.push({ owner, backend });
    return backend;
  }
  async openBlock(): Promise<never> { throw new HostError('NO_DISK', { what: 'no disk', why: 'tests have none', todo: '-' }); }
  random(into: Uint8Array): void { into.fill(4); }
  wallClockMs(): number { return this.epochMs + Math.floor(this.nowNs / 1e6); }
  monotonicNs(): number { return this.nowNs; }
  setTimer(delayNs: number, fire: () => void): () => void {
    const timer = { dueNs: this.nowNs + delayNs, fire };
    this.#timers.push(timer);
    return () => { this.#timers = this.#timers.filter((other) => other !== timer); };
  }
  get timers(): number { return this.#timers.length; }
  advanceNs(ns: number): void {
    const end = this.nowNs + ns;
    for (;;) {
      const next = this.#timers.filter((timer) => timer.dueNs <= end).sort((a, b) => a.dueNs - b.dueNs)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.nowNs = Math.max(this.nowNs, next.dueNs);
      next.fire();
    }
    this.nowNs = end;
  }
}
