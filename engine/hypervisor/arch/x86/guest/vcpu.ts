/**
 * A vCPU on its pCPU's thread: state, requests, event injection, and the loop of ACRN's vcpu_thread:
 * pending requests -> inject -> run -> dispatch.
 *
 * @spec   SDM vol. 3, 10.4 (MP initialisation), 25.8.3 and 27.6 (event injection), 25.4.2 (activity states)
 * @differ Time is looked at when run() returns, every LOOK_NS or so, instead of by a timer interrupt: a vLAPIC timer
 *         may be that late.
 */
import { S } from '../../../../core/gen/state.ts';
import { Linger } from '../../../../lib/linger.ts';
import {
  EVENT_CODE, EVENT_INIT, EVENT_INTERRUPT, EVENT_NMI, EVENT_NMI_WINDOW, EVENT_PAUSE, EVENT_SIPI, EVENT_TIMER, EVENT_TLB_FLUSH, EVENT_WINDOW,
} from '../../../events.ts';
import { IoeventfdMatcher } from '../../../dm/ioeventfd.ts';
import { IoRequestPort } from '../../../dm/io_req.ts';
import { PortShortcutMatcher } from '../../../dm/port_shortcuts.ts';
import { VCPU, type HvShared } from '../../../shared.ts';
import { featuresOf } from './cpuid_models.ts';
import { CR4_GUEST_HOST_MASK, CR0_GUEST_HOST_MASK, type CrPort } from './virtual_cr.ts';
import { EXIT, exitName } from './exit_reasons.ts';
import { INTR_INFO_VALID, NMI_EVENT, externalInterrupt, type EntryEvent } from './virq.ts';
import { LEAVE_BUDGET, LEAVE_EVENT, type VcpuCore } from './vcpu_if.ts';
import type { AcrnVcpuRegs } from './vcpu_regs.ts';
import { loadRegs, loadSipi } from './vcpu_regs.ts';
import { Vcpuid } from './vcpuid.ts';
import { Vlapic, type VlapicPort } from './vlapic.ts';
import { Vmsr, type MsrPort } from './vmsr.ts';
import type { AcrnVm } from './vm.ts';

export const ACTIVE = 0;
export const HALTED = 1;
export const SHUTDOWN = 2;
export const WAIT_FOR_SIPI = 3;

const RFLAGS_IF = 1 << 9;
const BLOCKING_STI_MOVSS = 3;
const BLOCKING_NMI = 8;
/** Primary processor-based controls, SDM 25.6.2. */
const PROC_CTLS = {
  USE_TSC_OFFSETTING: 1 << 3, HLT_EXITING: 1 << 7, CR8_LOAD: 1 << 19, CR8_STORE: 1 << 20, UNCONDITIONAL_IO: 1 << 24, SECONDARY: 1 << 31,
} as const;
/** Secondary ones, SDM 25.6.2: EPT, RDTSCP, unrestricted guest, WBINVD exiting, INVPCID. */
const PROC_CTLS2 = (1 << 1) | (1 << 3) | (1 << 6) | (1 << 7) | (1 << 12);
/** Where a VM has vCPUs that could wait for each other. */
const PAUSE_LOOP_EXITING = 1 << 10;
/** What a spinning vCPU leaves of its host core to others at a time. */
const SPIN_YIELD_MS = 0.02;

/** How often the clock is looked at while the guest runs. */
const LOOK_NS = 150_000;
const MIN_BUDGET = 1_000;
const MAX_BUDGET = 2_000_000;
/** A wait shorter than this is spun: the host's sleep is not that fine. */
const SPIN_NS = 40_000;
const MAX_SLEEP_MS = 60_000;
/** A halted vCPU looks for an interrupt at most this long before its thread sleeps. */
const LONGEST_LINGER_NS = 400_000;
const CPU_TIME_EVERY_NS = 20_000_000;
const LOG_WARNING = 4;
const LOG_LEVEL = Number(process.env['ACRN_LOGLEVEL'] ?? 3);

/** What the thread and the board give the vCPU. */
export interface VcpuHost {
  readonly pcpuId: number;
  readonly tscKhz: number;
  timeNs(): number;
  /** CPU time of this thread, ns. */
  cpuNs(): number;
  log(line: string): void;
  /** Fills from the host's generator. */
  random(): bigint;
}

export type RunEnd = { how: 'paused' } | { how: 'triplefault'; detail: string };

export class Vcpu implements VlapicPort, MsrPort, CrPort {
  readonly vm: AcrnVm;
  readonly vcpuId: number;
  readonly pcpuId: number;
  readonly pcpus: readonly number[];
  readonly core: VcpuCore;
  readonly shared: HvShared;
  readonly host: VcpuHost;
  readonly vlapic: Vlapic;
  readonly msrs: Vmsr;
  readonly cpuid: Vcpuid;
  readonly ioreq: IoRequestPort;
  readonly ioeventfd: IoeventfdMatcher;
  readonly ports: PortShortcutMatcher;
  readonly tscKhz: number;
  readonly tscPerNs: number;
  readonly hasSpecCtrl: boolean;
  readonly #state: DataView;
  readonly #events: Int32Array;
  readonly #eventIndex: number;
  readonly #area: number;
  readonly #linger = new Linger(LONGEST_LINGER_NS);
  #nmiPending = false;
  /** Guest instructions a nanosecond, measured. */
  #rate = 0.02;
  #waitedNs = 0;
  #cpuBaseNs: number;
  #cpuSampledNs = 0;

  constructor(vm: AcrnVm, vcpuId: number, core: VcpuCore, shared: HvShared, host: VcpuHost) {
    this.vm = vm;
    this.vcpuId = vcpuId;
    this.pcpuId = host.pcpuId;
    this.pcpus = vm.config.pcpus;
    this.core = core;
    this.shared = shared;
    this.host = host;
    this.tscKhz = host.tscKhz;
    this.tscPerNs = host.tscKhz / 1e6;
    this.#state = core.view;
    this.#events = shared.eventWords;
    this.#eventIndex = shared.eventIndex(this.pcpuId);
    this.#area = shared.vcpu(this.pcpuId);
    this.cpuid = new Vcpuid(vm.config.cpuModel, host.tscKhz);
    this.hasSpecCtrl = this.cpuid.has('ibrs') && this.cpuid.has('archCapabilities');
    this.vlapic = new Vlapic(shared, this);
    this.msrs = new Vmsr(this);
    this.ioreq = new IoRequestPort(shared, vm.config.slot, vcpuId);
    this.ioeventfd = new IoeventfdMatcher(shared, vm.config.slot);
    this.ports = new PortShortcutMatcher(shared, vm.config.slot);
    this.#cpuBaseNs = host.cpuNs();
    core.offer(featuresOf(vm.config.cpuModel));
    this.reset();
    core.view.setBigUint64(S.INSTRUCTIONS, 0n, true);
  }

  log(line: string): void {
    this.host.log(`VM${this.vm.config.vmid} vCPU${this.vcpuId}: ${line}`);
  }

  /** Not told at the default log level, which is ACRN's: errors and worse. ACRN_LOGLEVEL=4 tells it. */
  warn(line: string): void {
    if (LOG_LEVEL >= LOG_WARNING) this.log(line);
  }

  // --- state

  getGpr(index: number): bigint { return this.#state.getBigUint64(S.GPR + index * 8, true); }
  setGpr(index: number, value: bigint): void { this.#state.setBigUint64(S.GPR + index * 8, value, true); }
  gpr32(index: number): number { return this.#state.getUint32(S.GPR + index * 8, true); }
  /** Writes 32 bits; bits 63:32 become zero. */
  setGpr32(index: number, value: number): void {
    this.#state.setUint32(S.GPR + index * 8, value, true);
    this.#state.setUint32(S.GPR + index * 8 + 4, 0, true);
  }
  setTpr(tpr: number): void { this.vlapic.setTpr(tpr); }
  tpr(): number { return this.vlapic.tpr; }

  /** reset_vcpu: the architecture's reset state, controls set up again, an AP waits for its SIPI. */
  reset(): void {
    const instructions = this.#state.getBigUint64(S.INSTRUCTIONS, true);
    this.core.reset();
    this.#state.setBigUint64(S.INSTRUCTIONS, instructions, true);
    this.#state.setBigUint64(S.TSC_OFFSET, 0n, true);
    this.#initVmcs();
    this.vlapic.reset();
    this.msrs.reset();
    this.#nmiPending = false;
    Atomics.and(this.#events, this.#eventIndex, EVENT_TLB_FLUSH | EVENT_CODE);
    this.#activity = this.vcpuId === 0 ? ACTIVE : WAIT_FOR_SIPI;
    this.core.syncAfterStateWrite();
    this.core.flushTlb();
  }

  /** init_vmcs: execution controls. */
  #initVmcs(): void {
    const s = this.#state;
    s.setBigUint64(S.EPTP, BigInt(this.vm.config.eptp), true);
    s.setUint32(S.PROC_CTLS, (PROC_CTLS.USE_TSC_OFFSETTING | PROC_CTLS.HLT_EXITING | PROC_CTLS.CR8_LOAD | PROC_CTLS.CR8_STORE | PROC_CTLS.UNCONDITIONAL_IO | PROC_CTLS.SECONDARY) >>> 0, true);
    s.setUint32(S.PROC_CTLS2, this.pcpus.length > 1 ? PROC_CTLS2 | PAUSE_LOOP_EXITING : PROC_CTLS2, true);
    s.setUint32(S.EXCEPTION_BITMAP, 0, true);
    s.setBigUint64(S.CR0_GUEST_HOST_MASK, CR0_GUEST_HOST_MASK, true);
    s.setBigUint64(S.CR0_READ_SHADOW, 0n, true);
    s.setBigUint64(S.CR4_GUEST_HOST_MASK, CR4_GUEST_HOST_MASK, true);
    s.setBigUint64(S.CR4_READ_SHADOW, 0n, true);
    s.setUint32(S.IO_BITMAP, 0, true);
    s.setUint32(S.MSR_BITMAP, 0, true);
    s.setUint32(S.ENTRY_INTR_INFO, 0, true);
    s.setBigUint64(S.TSC_KHZ, BigInt(this.tscKhz), true);
    s.setUint32(S.IA32_TSC_AUX, this.vcpuId, true);
  }

  /** HC_SET_VCPU_REGS */
  setRegs(regs: AcrnVcpuRegs): void {
    loadRegs(this.core, regs);
    this.#activity = ACTIVE;
  }

  get #activity(): number { return this.#state.getUint32(S.ACTIVITY_STATE, true); }
  set #activity(value: number) { this.#state.setUint32(S.ACTIVITY_STATE, value, true); }

  // --- time

  nowNs(): number { return this.host.timeNs(); }
  get tscOffset(): bigint { return this.#state.getBigUint64(S.TSC_OFFSET, true); }
  set tscOffset(value: bigint) { this.#state.setBigUint64(S.TSC_OFFSET, value, true); }
  guestTsc(): bigint { return BigInt.asUintN(64, BigInt(Math.floor(this.host.timeNs() * this.tscPerNs)) + this.tscOffset); }
  tscToNs(guestTsc: bigint): number {
    const board = guestTsc - this.tscOffset;
    return Number(BigInt.asIntN(64, board)) < 0 && guestTsc >= 1n << 63n ? Number.POSITIVE_INFINITY : Number(BigInt.asIntN(64, board)) / this.tscPerNs;
  }

  /** Time an exit handler spent waiting for the device model: not the guest's speed. */
  countWait(ns: number): void { this.#waitedNs += ns; }

  /** The guest spins: another thread, perhaps the vCPU it waits for, may have this core for an instant. */
  yieldCore(): void {
    const flags = Atomics.load(this.#events, this.#eventIndex);
    if (flags !== 0) return;
    const start = this.host.timeNs();
    Atomics.wait(this.#events, this.#eventIndex, flags, SPIN_YIELD_MS);
    this.#waitedNs += this.host.timeNs() - start;
  }

  eoiBroadcast(vector: number): void { this.vm.vioapic.broadcastEoi(vector); }

  countExit(reason: number): void {
    const at = (this.#area + VCPU.EXITS) / 8 + reason;
    this.shared.doubles[at] += 1;
  }

  // --- the loop

  /** Runs until paused or dead. */
  run(): RunEnd {
    for (;;) {
      const now = this.host.timeNs();
      this.vlapic.checkTimer(now);
      if (this.#takeEvents()) { this.#sampleCpuTime(now, true); return { how: 'paused' }; }
      const window = this.#inject();
      const activity = this.#activity;
      if (activity === HALTED || activity === WAIT_FOR_SIPI) { this.#sleep(); continue; }
      if (activity === SHUTDOWN) return { how: 'triplefault', detail: this.describe('shutdown') };
      const windows = (window ? EVENT_WINDOW : 0) | (this.#nmiPending ? EVENT_NMI_WINDOW : 0);
      if (windows !== 0) Atomics.or(this.#events, this.#eventIndex, windows);
      const reason = this.#enter(now);
      if (reason !== LEAVE_BUDGET) this.countExit(Math.min(reason, 79)); // the budget is ours, not an exit of the guest
      switch (reason) {
        case EXIT.TRIPLE_FAULT: return { how: 'triplefault', detail: this.describe('triple fault') };
        case EXIT.HLT: case EXIT.INTERRUPT_WINDOW: case EXIT.NMI_WINDOW: case LEAVE_EVENT: case LEAVE_BUDGET: break;
        case EXIT.EPT_MISCONFIGURATION: throw new Error(this.describe('EPT misconfiguration'));
        default: break; // left at a handler's wish: the loop looks at everything anyway
      }
    }
  }

  #enter(now: number): number {
    const left = Math.min(LOOK_NS, Math.max(0, this.vlapic.deadlineNs - now));
    const budget = Math.min(MAX_BUDGET, Math.max(MIN_BUDGET, Math.floor(left * this.#rate)));
    const before = this.#state.getUint32(S.INSTRUCTIONS, true);
    const entered = this.vlapic.tpr >>> 4;
    this.#state.setBigUint64(S.CR8, BigInt(entered), true);
    this.#waitedNs = 0;
    const reason = this.core.run(budget);
    const cr8 = this.#state.getUint32(S.CR8, true);
    if (cr8 !== entered) this.vlapic.setTpr(cr8 << 4); // a core that does not exit on CR8
    const done = (this.#state.getUint32(S.INSTRUCTIONS, true) - before) >>> 0;
    const after = this.host.timeNs();
    const spent = after - now - this.#waitedNs;
    if (done > 500 && spent > 1000) this.#rate += (Math.min(done / spent, 10) - this.#rate) * 0.25;
    this.#sampleCpuTime(after, false);
    return reason;
  }

  /** Takes what others posted; true: pause. */
  #takeEvents(): boolean {
    const flags = Atomics.load(this.#events, this.#eventIndex);
    const own = flags & ~(EVENT_TLB_FLUSH | EVENT_CODE);
    if (own === 0) return false;
    Atomics.and(this.#events, this.#eventIndex, ~own);
    if ((own & EVENT_INIT) !== 0) this.#initSignal();
    if ((own & EVENT_SIPI) !== 0) this.#startupIpi();
    if ((own & EVENT_NMI) !== 0 && this.#activity !== WAIT_FOR_SIPI) this.#nmiPending = true;
    if ((own & (EVENT_INTERRUPT | EVENT_TIMER)) !== 0) this.vlapic.mergePir();
    return (own & EVENT_PAUSE) !== 0;
  }

  #initSignal(): void {
    const offset = this.tscOffset;
    const apicBase = this.vlapic.apicBase;
    const instructions = this.#state.getBigUint64(S.INSTRUCTIONS, true);
    this.core.reset();
    this.#state.setBigUint64(S.INSTRUCTIONS, instructions, true);
    this.#initVmcs();
    this.tscOffset = offset; // INIT leaves the time-stamp counter alone
    this.vlapic.setApicBase(apicBase);
    this.vlapic.init();
    this.#nmiPending = false;
    this.#activity = this.vcpuId === 0 ? ACTIVE : WAIT_FOR_SIPI;
    this.core.syncAfterStateWrite();
    this.core.flushTlb();
  }

  /** Taken only in the wait-for-SIPI state; a second one is ignored. */
  #startupIpi(): void {
    if (this.#activity !== WAIT_FOR_SIPI) return;
    const vector = Atomics.load(this.shared.words, (this.#area + VCPU.SIPI_VECTOR) / 4) & 0xff;
    this.log(`Start Secondary VCPU${this.vcpuId} for VM[${this.vm.config.vmid}]...`);
    loadSipi(this.core, vector);
    this.#activity = ACTIVE;
  }

  #enterWith(event: EntryEvent): void {
    this.#state.setUint32(S.ENTRY_INTR_INFO, event.info, true);
    this.#state.setUint32(S.ENTRY_ERROR_CODE, event.errorCode, true);
    this.#activity = ACTIVE;
  }

  /** acrn_handle_pending_request's last part: one event an entry. True: an interrupt waits for the guest to take it. */
  #inject(): boolean {
    const activity = this.#activity;
    if (activity === WAIT_FOR_SIPI || activity === SHUTDOWN) return false;
    if (this.#state.getUint32(S.ENTRY_INTR_INFO, true) >= INTR_INFO_VALID) return this.#interruptWaits();
    if (this.#nmiPending && (this.#state.getUint32(S.INTERRUPTIBILITY, true) & (BLOCKING_NMI | BLOCKING_STI_MOVSS)) === 0) {
      this.#nmiPending = false;
      this.#enterWith(NMI_EVENT);
      return this.#interruptWaits();
    }
    const extInt = this.vm.vpic.pending() && this.vlapic.acceptsExtInt();
    const vector = this.vlapic.pendingVector();
    if (!extInt && vector < 0) return false;
    if ((this.core.flags() & RFLAGS_IF) === 0 || (this.#state.getUint32(S.INTERRUPTIBILITY, true) & BLOCKING_STI_MOVSS) !== 0) return true;
    if (extInt) {
      this.#enterWith(externalInterrupt(this.vm.vpic.ack()));
    } else {
      this.vlapic.acceptVector(vector);
      this.#enterWith(externalInterrupt(vector));
    }
    return this.#interruptWaits();
  }

  #interruptWaits(): boolean {
    return this.vlapic.pendingVector() >= 0 || (this.vm.vpic.pending() && this.vlapic.acceptsExtInt());
  }

  /** HLT or wait-for-SIPI: until someone posts an event or the vLAPIC timer is due. */
  #sleep(): void {
    const flags = Atomics.load(this.#events, this.#eventIndex);
    if ((flags & ~(EVENT_TLB_FLUSH | EVENT_CODE)) !== 0) return;
    const deadline = this.vlapic.deadlineNs;
    const now = this.host.timeNs();
    const left = deadline - now;
    if (left <= 0) return;
    const spinUntil = left < SPIN_NS ? deadline : now + Math.min(left, this.#linger.ns);
    for (let at = now; at < spinUntil; at = this.host.timeNs()) {
      if (Atomics.load(this.#events, this.#eventIndex) !== flags) return;
      Atomics.pause();
    }
    if (spinUntil >= deadline) return;
    this.#sampleCpuTime(now, false);
    const asleep = this.host.timeNs();
    const sleeping = (this.#area + VCPU.SLEEPING) / 4;
    Atomics.store(this.shared.words, sleeping, 1);
    // Short of the deadline by what the host's sleep is late; the rest is spun.
    Atomics.wait(this.#events, this.#eventIndex, flags, Math.min(MAX_SLEEP_MS, (deadline - spinUntil - SPIN_NS) / 1e6));
    Atomics.store(this.shared.words, sleeping, 0);
    const isPosted = Atomics.load(this.#events, this.#eventIndex) !== flags;
    const waited = isPosted ? this.shared.doubles[(this.#area + VCPU.POSTED_NS) / 8] - now : left;
    this.#linger.slept(waited, waited - (asleep - now));
  }

  #sampleCpuTime(now: number, always: boolean): void {
    if (!always && now - this.#cpuSampledNs < CPU_TIME_EVERY_NS) return;
    this.#cpuSampledNs = now;
    this.shared.doubles[(this.#area + VCPU.CPU_NS) / 8] = this.host.cpuNs() - this.#cpuBaseNs;
  }

  /** Where and how the vCPU stands, for messages. */
  describe(what: string): string {
    const s = this.#state;
    const h = (value: bigint): string => `0x${value.toString(16)}`;
    return `vCPU${this.vcpuId} (pCPU${this.pcpuId}): ${what} at RIP ${h(s.getBigUint64(S.RIP, true))}, CS 0x${s.getUint16(S.SEG_SELECTOR + 2, true).toString(16)}, `
      + `RSP ${h(this.getGpr(4))}, CR0 ${h(s.getBigUint64(S.CR0, true))}, CR2 ${h(s.getBigUint64(S.CR2, true))}, CR3 ${h(s.getBigUint64(S.CR3, true))}, `
      + `CR4 ${h(s.getBigUint64(S.CR4, true))}, EFER ${h(s.getBigUint64(S.IA32_EFER, true))}, last fault vector ${s.getUint32(S.FAULT_VECTOR, true)}, `
      + `last exit ${exitName(s.getUint32(S.EXIT_REASON, true))}`;
  }
}
