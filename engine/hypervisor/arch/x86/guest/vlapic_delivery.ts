/**
 * Sending an interrupt to vCPUs from any thread: destination, priority arbitration, posting.
 *
 * The registers of a vLAPIC belong to its own thread. Everyone else posts: the vector goes into the posted-interrupt
 * descriptor, EVENT_INTERRUPT into the pCPU's EVENT_FLAGS, and the owner merges it into IRR before its next entry.
 *
 * @spec SDM vol. 3, 11.6.2 (destinations), 11.6.2.4 (lowest priority), 11.11 (MSI), 30.6 (posted interrupts)
 * @cover #Y fixed, lowest priority, NMI, INIT, STARTUP; physical, flat, cluster, x2APIC cluster, broadcast #N SMI
 * @differ Lowest priority picks the lowest processor priority (PPR), the first of equals, as ACRN does.
 */
import { EVENT_INIT, EVENT_INTERRUPT, EVENT_NMI, EVENT_SIPI } from '../../../events.ts';
import { VCPU, type HvShared } from '../../../shared.ts';
import { APIC, APIC_DISABLED, APIC_SVR_ENABLE, APIC_X2APIC, DELMODE } from './vlapic_regs.ts';

/** Destination mode of an MSI address: set is logical. */
const MSI_ADDR_DM = 1 << 2;

export interface InterruptMessage {
  dest: number;
  physical: boolean;
  deliveryMode: number;
  vector: number;
  level: boolean;
}

const word = (shared: HvShared, pcpuId: number, offset: number): number => shared.words[(shared.vcpu(pcpuId) + offset) / 4];

/** vlapic_accept_intr: posts one vector. False when the vLAPIC takes nothing (disabled) or the vector is illegal. */
export function acceptIntr(shared: HvShared, pcpuId: number, vector: number, level: boolean): boolean {
  if (word(shared, pcpuId, VCPU.APIC_MODE) === APIC_DISABLED) return false;
  if ((word(shared, pcpuId, VCPU.APIC_PAGE + APIC.SVR) & APIC_SVR_ENABLE) === 0) return false;
  const area = shared.vcpu(pcpuId);
  if (vector < 16) {
    Atomics.or(shared.words, (area + VCPU.RECEIVE_ILLEGAL) / 4, 1);
    shared.postEvent(pcpuId, EVENT_INTERRUPT);
    return false;
  }
  const index = vector >>> 5;
  const bit = 1 << (vector & 31);
  if (level) Atomics.or(shared.words, (area + VCPU.PIR_LEVEL) / 4 + index, bit);
  else Atomics.and(shared.words, (area + VCPU.PIR_LEVEL) / 4 + index, ~bit);
  const before = Atomics.or(shared.words, (area + VCPU.PIR) / 4 + index, bit);
  if ((before & bit) === 0) shared.postEvent(pcpuId, EVENT_INTERRUPT);
  return true;
}

function logicalMatch(shared: HvShared, pcpuId: number, dest: number): boolean {
  if (word(shared, pcpuId, VCPU.APIC_MODE) === APIC_X2APIC) {
    const id = word(shared, pcpuId, VCPU.VCPU_ID);
    return dest >>> 16 === id >>> 4 && (dest & (1 << (id & 15))) !== 0;
  }
  const ldr = word(shared, pcpuId, VCPU.APIC_PAGE + APIC.LDR) >>> 24;
  const flat = word(shared, pcpuId, VCPU.APIC_PAGE + APIC.DFR) >>> 28 === 0xf;
  if (flat) return (ldr & dest & 0xff) !== 0;
  const cluster = (dest >>> 4) & 0xf;
  return (cluster === 0xf || cluster === ldr >>> 4) && (ldr & dest & 0xf) !== 0;
}

/** vlapic_calc_dest: the pCPUs a destination names, in vCPU order. A broadcast is 0xff (8-bit) or 0xffffffff (x2APIC). */
export function calcDest(shared: HvShared, pcpus: readonly number[], dest: number, physical: boolean): number[] {
  const target = dest >>> 0;
  if (target === 0xffff_ffff || target === 0xff) return [...pcpus];
  return pcpus.filter((pcpuId) => (physical ? word(shared, pcpuId, VCPU.VCPU_ID) === target : logicalMatch(shared, pcpuId, target)));
}

function lowestPriority(shared: HvShared, candidates: readonly number[]): number[] {
  let best = -1;
  let bestPpr = 0x100;
  for (const pcpuId of candidates) {
    if ((word(shared, pcpuId, VCPU.APIC_PAGE + APIC.SVR) & APIC_SVR_ENABLE) === 0) continue;
    const ppr = word(shared, pcpuId, VCPU.APIC_PAGE + APIC.PPR) & 0xff;
    if (ppr < bestPpr) { best = pcpuId; bestPpr = ppr; }
  }
  return best < 0 ? [] : [best];
}

/** Delivers to vCPUs that are already chosen. */
export function deliverTo(shared: HvShared, pcpus: readonly number[], message: Omit<InterruptMessage, 'dest' | 'physical'>): void {
  const chosen = message.deliveryMode === DELMODE.LOWEST ? lowestPriority(shared, pcpus) : pcpus;
  for (const pcpuId of chosen) {
    switch (message.deliveryMode) {
      case DELMODE.FIXED: case DELMODE.LOWEST: acceptIntr(shared, pcpuId, message.vector, message.level); break;
      case DELMODE.NMI: shared.postEvent(pcpuId, EVENT_NMI); break;
      case DELMODE.INIT: shared.postEvent(pcpuId, EVENT_INIT); break;
      case DELMODE.STARTUP:
        Atomics.store(shared.words, (shared.vcpu(pcpuId) + VCPU.SIPI_VECTOR) / 4, message.vector);
        shared.postEvent(pcpuId, EVENT_SIPI);
        break;
      case DELMODE.EXTINT: shared.postEvent(pcpuId, EVENT_INTERRUPT); break;
      default: break; // SMI and the reserved encoding: nothing to deliver to
    }
  }
}

/** vlapic_receive_intr */
export function receiveIntr(shared: HvShared, pcpus: readonly number[], message: InterruptMessage): void {
  deliverTo(shared, calcDest(shared, pcpus, message.dest, message.physical), message);
}

/**
 * vlapic_intr_msi: an MSI written by a device. False when the address is not an interrupt message.
 * The DM bit alone selects the destination mode: Linux leaves RH clear for logical destinations, and hardware honours
 * it. The level bit is ignored (always edge), as in ACRN.
 */
export function intrMsi(shared: HvShared, pcpus: readonly number[], address: number, data: number): boolean {
  if (Math.floor(address / 0x10_0000) !== 0xfee) return false;
  receiveIntr(shared, pcpus, {
    dest: (address >>> 12) & 0xff,
    physical: (address & MSI_ADDR_DM) === 0,
    deliveryMode: (data >>> 8) & 7,
    vector: data & 0xff,
    level: false,
  });
  return true;
}
