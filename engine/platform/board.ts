/**
 * The NUC's board: shared memory with RAM in it, its time base, its e820 map, and the core's code.
 *
 * @spec   ACPI 6, 15 (e820 types)
 * @differ The TSC runs at exactly TSC_KHZ of this computer's monotonic time, from 0 when the board is switched on.
 */
import { randomFillSync } from 'node:crypto';
import { createMemory, loadCoreModule, type JitMode } from '../core/core.ts';
import { layout, MAX_PCPUS } from '../core/tables/layout.ts';
import { boardClock, boardEpoch, type TimeNs } from '../lib/clock.ts';
import { HostError } from '../lib/errors.ts';
import { RamAllocator, RAM_GRANULE } from './ram_allocator.ts';

export const TSC_KHZ = 2_000_000;
/** The hypervisor's own RAM, above all that VMs can have. */
export const HV_RAM_BYTES = RAM_GRANULE;
export const E820_RAM = 1;
export const E820_RESERVED = 2;

export interface E820Entry { base: number; sizeBytes: number; type: number }

/** What a pCPU thread is given of the board. */
export interface BoardParts {
  memory: WebAssembly.Memory;
  epochSeconds: number;
  tscKhz: number;
  /** Whether hot guest code is compiled to WebAssembly, and whether that is checked. */
  jit: JitMode;
  /** Executions of a block after which it is compiled, on the spot; undefined: when it is worth it, on a thread beside. */
  jitThreshold: number | undefined;
}

export class Board {
  readonly parts: BoardParts;
  readonly pcpuCount: number;
  /** The core's code; still being compiled while threads start. */
  readonly module: Promise<WebAssembly.Module>;
  /** RAM for VMs, from HPA 0. */
  readonly ram: RamAllocator;
  readonly timeNs: TimeNs;
  readonly buffer: ArrayBufferLike;

  constructor(parts: BoardParts, module: Promise<WebAssembly.Module>, pcpuCount: number, vmRamBytes: number) {
    this.parts = parts;
    this.module = module;
    this.pcpuCount = pcpuCount;
    this.ram = new RamAllocator(vmRamBytes);
    this.timeNs = boardClock(parts.epochSeconds);
    this.buffer = parts.memory.buffer;
  }

  get hvRamHpa(): number { return this.ram.sizeBytes; }

  /** The board's memory map as its firmware would give it. */
  e820(): E820Entry[] {
    return [
      { base: 0, sizeBytes: this.ram.sizeBytes, type: E820_RAM },
      { base: this.hvRamHpa, sizeBytes: HV_RAM_BYTES, type: E820_RESERVED },
    ];
  }

  /** All RAM by HPA, the hypervisor's included. */
  ramView(): DataView {
    return new DataView(this.buffer, layout.RAM_BASE, this.ram.sizeBytes + HV_RAM_BYTES);
  }

  /** The host's entropy. */
  random(into: Uint8Array): void {
    randomFillSync(into);
  }
}

/** On, unless ACRN_JIT says otherwise. */
function defaultJit(): JitMode {
  const wanted = process.env.ACRN_JIT;
  return wanted === 'off' || wanted === 'check' ? wanted : 'on';
}

/** For tests: ACRN_JIT_THRESHOLD=1 compiles whatever runs, at once. Powers of two up to 1024. */
function eagerJit(): number | undefined {
  const threshold = Number(process.env.ACRN_JIT_THRESHOLD ?? NaN);
  return [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].includes(threshold) ? threshold : undefined;
}

export async function createBoard(options: { memoryMiB: number; pcpus: number; jit?: JitMode }): Promise<Board> {
  const { memoryMiB, pcpus } = options;
  const vmRamBytes = memoryMiB * 2 ** 20;
  if (!Number.isInteger(pcpus) || pcpus < 1 || pcpus > MAX_PCPUS) {
    throw new HostError('BAD_PCPU_COUNT', { what: 'The NUC', why: `it cannot have ${pcpus} pCPUs`, todo: `Choose 1 to ${MAX_PCPUS}` });
  }
  const most = Math.floor((layout.RAM_MAX - HV_RAM_BYTES) / 2 ** 20 / 2) * 2;
  if (!Number.isInteger(memoryMiB) || memoryMiB < 2 || memoryMiB % 2 !== 0 || memoryMiB > most) {
    throw new HostError('BAD_NUC_MEMORY', { what: 'The NUC', why: `it cannot have ${memoryMiB} MiB of memory`, todo: `Choose an even number of MiB, at most ${most}` });
  }
  const module = loadCoreModule();
  module.catch(() => {}); // told by the first thread that needs it
  let memory: WebAssembly.Memory;
  try {
    memory = createMemory(vmRamBytes + HV_RAM_BYTES);
  } catch (error) {
    throw new HostError('NUC_MEMORY_REFUSED', { what: `The NUC's memory of ${memoryMiB} MiB`, why: `this computer does not give it (${String(error)})`, todo: 'Choose less memory, or end other programs' });
  }
  return new Board({ memory, epochSeconds: boardEpoch(), tscKhz: TSC_KHZ, jit: options.jit ?? defaultJit(), jitThreshold: eagerJit() }, module, pcpus, vmRamBytes);
}
