/**
 * Where everything lies in a NUC's one shared WebAssembly memory (wasm32). All values are byte addresses.
 *
 * HPA (host physical address: the emulated board's own address) 0 is at wasm address RAM_BASE, so a host
 * physical byte is reached at `RAM_BASE + hpa`. Everything below RAM_BASE is invisible to every guest.
 */
export const MAX_PCPUS = 4;

export const layout = {
  /** AssemblyScript's static data and constant tables start here (asc --memoryBase). */
  STATIC_BASE: 0x0001_0000,
  /** One block a pCPU: CPU state, software TLB, small scratch. */
  PCPU_BASE: 0x0040_0000,
  PCPU_STRIDE: 0x0020_0000,
  /** Offset of the software TLB inside the pCPU's block. */
  TLB_OFFSET: 0x0001_0000,
  /** Interrupt controllers, I/O request pages, trace and log rings: laid out by engine/hypervisor. */
  HV_SHARED_BASE: 0x00c0_0000,
  HV_SHARED_SIZE: 0x0100_0000,
  /** One u32 per HPA page: bumped by every write to a page that holds decoded code. */
  PAGE_GENERATION_BASE: 0x01c0_0000,
  /** One byte per HPA page: bit n set while pCPU n may hold decoded code of that page. */
  PAGE_CODE_BASE: 0x0200_0000,
  /** Pre-decoded instruction caches, one per pCPU. */
  DECODE_BASE: 0x0220_0000,
  DECODE_STRIDE: 0x0080_0000,
  /** Lock-step checking (assembly/shadow.ts): one block a pCPU, two lists in its first pages, copies of guest pages behind. */
  SHADOW_BASE: 0x0d00_0000,
  SHADOW_STRIDE: 0x0040_0000,
  /** Words that all pCPUs share, in pCPU 0's block behind its TLB: assembly/buslock.ts, a lock and 1 + the pCPU that stops the others. */
  BUS_LOCK: 0x0043_0000,
  BUS_STOP: 0x0043_0004,
  /** Locks, one for each 64th VM, of VMs whose pCPUs take turns: assembly/turns.ts. */
  TURNS: 0x0043_0100,
  TURN_COUNT: 64,
  /** Counts the pages newly marked in PAGE_CODE_BASE. */
  CODE_EPOCH: 0x0043_0008,
  /** Offsets of words in each pCPU's block that others look at. 1 while it may touch guest memory and use its TLB: */
  PRESENT_OFFSET: 0x0003_0040,
  /** the last CODE_EPOCH for which it dropped its write entries; */
  CODE_ACKNOWLEDGED_OFFSET: 0x0003_0044,
  /** 1 while it waits for the end of a stop; */
  HELD_UP_OFFSET: 0x0003_0048,
  /** the lock that it waits for, 0: none (assembly/handed_lock.ts). */
  WANTS_LOCK_OFFSET: 0x0003_004c,
  /** u32 that counts the writes of devices and the hypervisor to guest memory; behind the words of assembly/buslock.ts. */
  DMA_EPOCH: 0x0043_0010,
  /** HPA 0. */
  RAM_BASE: 0x1000_0000,
  /** Largest board memory, bytes: wasm32's 4 GiB less RAM_BASE and a guard page at the top. */
  RAM_MAX: 0xefff_0000,
} as const;
