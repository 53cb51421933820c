/**
 * For tests: guest memory, a PCI function and a driver that builds split rings in it and drives a device through its
 * registers, as a guest would.
 */
import type { GuestMemory } from '../../../../lib/guest_memory.ts';
import type { CharBackend, HostBackends } from '../../../backends_if.ts';
import type { BarType, PciDevice, PciDeviceClass, PciVdev, VmCtx } from '../pci_if.ts';

const DESC_F_NEXT = 1;
const DESC_F_WRITE = 2;
const DESC_F_INDIRECT = 4;

/** RAM in shared memory, as in the machine. */
export class MockMemory implements GuestMemory {
  readonly sizeBytes: number;
  readonly ranges: ReadonlyArray<{ gpa: number; sizeBytes: number }>;
  readonly bytes: Uint8Array;
  #writtenEnd = 0;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.ranges = [{ gpa: 0, sizeBytes }];
    this.bytes = new Uint8Array(new SharedArrayBuffer(sizeBytes));
  }

  view(gpa: number, length: number): Uint8Array | undefined {
    if (!Number.isSafeInteger(gpa) || gpa < 0 || length < 0 || gpa + length > this.sizeBytes) return undefined;
    return this.bytes.subarray(gpa, gpa + length);
  }
  written(gpa: number, length: number): void {
    if (this.view(gpa, length) === undefined) throw new Error(`written(${gpa}, ${length}) is outside RAM`);
    this.#writtenEnd = Math.max(this.#writtenEnd, gpa + length);
  }
  words(gpa: number, count: number): Int32Array | undefined {
    return gpa % 4 === 0 && this.view(gpa, count * 4) !== undefined ? new Int32Array(this.bytes.buffer, gpa, count) : undefined;
  }
  get data(): DataView { return new DataView(this.bytes.buffer); }
}

/** A PCI function that records what its device asks for. */
export class MockVdev implements PciVdev {
  readonly bus = 0;
  readonly slot = 3;
  readonly func = 0;
  readonly className: string;
  readonly cfg = new DataView(new ArrayBuffer(256));
  readonly bars = new Map<number, { type: BarType; sizeBytes: number }>();
  readonly capabilities: Array<{ at: number; bytes: Uint8Array }> = [];
  readonly msix: number[] = [];
  readonly msi: number[] = [];
  intx = false;
  msixOn = false;
  msiOn = false;
  #nextCap = 0x40;

  constructor(className: string) { this.className = className; }
  setCfgData8(offset: number, value: number): void { this.cfg.setUint8(offset, value); }
  setCfgData16(offset: number, value: number): void { this.cfg.setUint16(offset, value, true); }
  setCfgData32(offset: number, value: number): void { this.cfg.setUint32(offset, value, true); }
  getCfgData8(offset: number): number { return this.cfg.getUint8(offset); }
  getCfgData16(offset: number): number { return this.cfg.getUint16(offset, true); }
  getCfgData32(offset: number): number { return this.cfg.getUint32(offset, true); }
  allocBar(index: number, type: BarType, sizeBytes: number): void { this.bars.set(index, { type, sizeBytes }); }
  barBase(): number | undefined { return undefined; }
  addCapability(bytes: Uint8Array): number {
    const at = this.#nextCap;
    this.#nextCap += (bytes.length + 3) & ~3;
    bytes.forEach((byte, i) => this.cfg.setUint8(at + i, byte));
    this.capabilities.push({ at, bytes });
    return at;
  }
  addMsiCap(): void { this.#nextCap += 16; }
  addMsixCap(_messages: number, bar: number): void { this.bars.set(bar, { type: 'mem32', sizeBytes: 8192 }); }
  msiEnabled(): boolean { return this.msiOn; }
  msixEnabled(): boolean { return this.msixOn; }
  generateMsi(index: number): void { this.msi.push(index); }
  generateMsix(index: number): void { this.msix.push(index); }
  lintrRequest(): void { /* granted */ }
  lintrAssert(): void { this.intx = true; }
  lintrDeassert(): void { this.intx = false; }
}

export interface Kick { bar: number; offset: number; data: number | undefined; kick: () => void }

export class MockVm implements VmCtx {
  readonly name = 'test';
  readonly memory: MockMemory;
  readonly virtioMsi = false;
  readonly lines: string[] = [];
  readonly kicks: Kick[] = [];
  constructor(sizeBytes = 1 << 20) { this.memory = new MockMemory(sizeBytes); }
  registerKick(_vdev: PciVdev, bar: number, offset: number, _size: number, data: number | undefined, kick: () => void): () => void {
    const entry = { bar, offset, data, kick };
    this.kicks.push(entry);
    return () => { this.kicks.splice(this.kicks.indexOf(entry), 1); };
  }
  suspend(): void { /* not used by virtio */ }
  readonly log = (line: string): void => { this.lines.push(line); };
}

/** A character backend in memory. */
export class MockChar implements CharBackend {
  readonly where = '/dev/pts/42';
  error: string | undefined;
  readonly written: Uint8Array[] = [];
  readonly input: Uint8Array[] = [];
  paused = false;
  closed = false;
  busy = false;
  /** What the next writes return; undefined takes everything. */
  accept: number | undefined;
  #wake: () => void = () => undefined;
  get text(): string { return this.written.map((bytes) => new TextDecoder().decode(bytes)).join(''); }
  write(bytes: Uint8Array): number {
    if (this.accept === undefined) this.written.push(bytes.slice());
    return this.accept ?? bytes.length;
  }
  read(max: number): Uint8Array {
    const first = this.input.shift();
    if (first === undefined) return new Uint8Array(0);
    if (first.length > max) this.input.unshift(first.subarray(max));
    return first.subarray(0, max);
  }
  onReady(wake: () => void): () => void { this.#wake = wake; return () => { this.#wake = () => undefined; }; }
  pauseInput(paused: boolean): void { this.paused = paused; }
  async close(): Promise<void> { this.closed = true; }
  /** No longer busy. */
  ease(): void {
    this.busy = false;
    this.#wake();
  }
  type(text: string | Uint8Array): void {
    this.input.push(typeof text === 'string' ? new TextEncoder().encode(text) : text);
    this.#wake();
  }
}

/** Backends for a test: only what is given exists; timers fire when asked to. */
export function mockHost(parts: Partial<HostBackends> = {}): HostBackends & { runTimers(): void } {
  const due = new Set<() => void>();
  const none = () => { throw new Error('not in this test'); };
  return {
    openChar: none,
    openBlock: none,
    random: (into) => into.forEach((_, i) => { into[i] = (i * 7 + 1) & 0xff; }),
    wallClockMs: () => 0,
    monotonicNs: () => 0,
    setTimer: (_delay, fire) => { due.add(fire); return () => { due.delete(fire); }; },
    runTimers: () => {
      const now = Array.from(due);
      due.clear();
      for (const fire of now) fire();
    },
    ...parts,
  };
}

export interface Buffer { gpa: number; length: number; write: boolean }

/** One queue as the driver has it. */
export class MockQueue {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  #usedSeen = 0;
  #nextDesc = 0;
  readonly #memory: MockMemory;
  readonly index: number;
  readonly size: number;
  constructor(memory: MockMemory, index: number, base: number, size: number) {
    this.#memory = memory;
    this.index = index;
    this.size = size;
    this.desc = base; // the legacy layout serves both transports
    this.avail = base + size * 16;
    this.used = Math.ceil((this.avail + 2 * (3 + size)) / 4096) * 4096;
  }

  setDesc(at: number, gpa: number, length: number, flags: number, next: number, table: number = this.desc): void {
    const view = this.#memory.data;
    view.setBigUint64(table + at * 16, BigInt(gpa), true);
    view.setUint32(table + at * 16 + 8, length, true);
    view.setUint16(table + at * 16 + 12, flags, true);
    view.setUint16(table + at * 16 + 14, next, true);
  }

  /** Makes a chain available; returns its head. */
  add(buffers: readonly Buffer[]): number {
    const head = this.#nextDesc;
    buffers.forEach(({ gpa, length, write }, i) => {
      const last = i === buffers.length - 1;
      this.setDesc(this.#nextDesc, gpa, length, (write ? DESC_F_WRITE : 0) | (last ? 0 : DESC_F_NEXT), (this.#nextDesc + 1) % this.size);
      this.#nextDesc = (this.#nextDesc + 1) % this.size;
    });
    this.offer(head);
    return head;
  }

  /** The same through an indirect table at `table`. */
  addIndirect(table: number, buffers: readonly Buffer[]): number {
    buffers.forEach(({ gpa, length, write }, i) => this.setDesc(i, gpa, length, (write ? DESC_F_WRITE : 0) | (i === buffers.length - 1 ? 0 : DESC_F_NEXT), i + 1, table));
    const head = this.#nextDesc;
    this.setDesc(head, table, buffers.length * 16, DESC_F_INDIRECT, 0);
    this.#nextDesc = (head + 1) % this.size;
    this.offer(head);
    return head;
  }

  offer(head: number): void {
    const view = this.#memory.data;
    const idx = view.getUint16(this.avail + 2, true);
    view.setUint16(this.avail + 4 + 2 * (idx % this.size), head, true);
    view.setUint16(this.avail + 2, (idx + 1) & 0xffff, true);
  }

  set noInterrupt(on: boolean) { this.#memory.data.setUint16(this.avail, on ? 1 : 0, true); }
  get noNotify(): boolean { return (this.#memory.data.getUint16(this.used, true) & 1) !== 0; }

  /** Chains returned since the last call. */
  returned(): Array<{ head: number; length: number }> {
    const view = this.#memory.data;
    const out: Array<{ head: number; length: number }> = [];
    while (this.#usedSeen !== view.getUint16(this.used + 2, true)) {
      const at = this.used + 4 + 8 * (this.#usedSeen % this.size);
      out.push({ head: view.getUint32(at, true), length: view.getUint32(at + 4, true) });
      this.#usedSeen = (this.#usedSeen + 1) & 0xffff;
    }
    return out;
  }
}

const RING_STRIDE = 0x3000;
const RINGS_AT = 0x1000;

/** Probes a device as Linux does, on either register layout. */
export class MockDriver {
  readonly vm: MockVm;
  readonly vdev: MockVdev;
  readonly device: PciDevice;
  queues: MockQueue[] = [];
  modern = false;

  private constructor(vm: MockVm, vdev: MockVdev, device: PciDevice) {
    this.vm = vm;
    this.vdev = vdev;
    this.device = device;
  }

  static async create(cls: PciDeviceClass, opts: string | undefined, host: HostBackends, vm: MockVm = new MockVm()): Promise<MockDriver> {
    const vdev = new MockVdev(cls.className);
    return new MockDriver(vm, vdev, await cls.init(vm, vdev, opts, host));
  }

  get memory(): MockMemory { return this.vm.memory; }

  probeLegacy(features: number, queueCount: number): void {
    this.modern = false;
    const io = (offset: number, size: number, value: number) => this.device.barWrite(0, offset, size, value);
    io(18, 1, 0);
    io(18, 1, 3);
    io(4, 4, features);
    this.#eachQueue(queueCount, (queue) => {
      io(14, 2, queue.index);
      io(8, 4, queue.desc / 4096);
    }, (index) => { io(14, 2, index); return this.device.barRead(0, 12, 2); });
    io(18, 1, 7);
  }

  probeModern(features: bigint, queueCount: number): void {
    this.modern = true;
    const put = (offset: number, size: number, value: number) => this.device.barWrite(4, offset, size, value);
    put(0x14, 1, 0);
    put(0x14, 1, 3);
    put(0x08, 4, 0);
    put(0x0c, 4, Number(features & 0xffff_ffffn));
    put(0x08, 4, 1);
    put(0x0c, 4, Number(features >> 32n) | 1); // VIRTIO_F_VERSION_1
    put(0x14, 1, 11);
    this.#eachQueue(queueCount, (queue) => {
      put(0x16, 2, queue.index);
      put(0x1a, 2, queue.index + 1);
      put(0x20, 4, queue.desc);
      put(0x24, 4, 0);
      put(0x28, 4, queue.avail);
      put(0x2c, 4, 0);
      put(0x30, 4, queue.used);
      put(0x34, 4, 0);
      put(0x1c, 2, 1);
    }, (index) => { put(0x16, 2, index); return this.device.barRead(4, 0x18, 2); });
    put(0x14, 1, 15);
  }

  get status(): number { return this.modern ? this.device.barRead(4, 0x14, 1) : this.device.barRead(0, 18, 1); }

  kick(index: number): void {
    if (this.modern) this.device.barWrite(4, 0x3000 + 4 * index, 2, index);
    else this.device.barWrite(0, 16, 2, index);
  }

  put(gpa: number, bytes: Uint8Array | string): Buffer {
    const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
    this.memory.bytes.set(data, gpa);
    return { gpa, length: data.length, write: false };
  }
  get(gpa: number, length: number): Uint8Array { return this.memory.bytes.slice(gpa, gpa + length); }

  #eachQueue(count: number, set: (queue: MockQueue) => void, sizeOf: (index: number) => number): void {
    this.queues = [];
    for (let index = 0; index < count; index++) {
      const base = RINGS_AT + index * RING_STRIDE;
      this.memory.bytes.fill(0, base, base + RING_STRIDE);
      const queue = new MockQueue(this.memory, index, base, sizeOf(index));
      this.queues.push(queue);
      set(queue);
    }
  }
}
