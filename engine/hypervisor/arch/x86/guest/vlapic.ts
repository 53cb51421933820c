/**
 * The virtual local APIC of one vCPU, xAPIC and x2APIC. Lives on the vCPU's thread; others post (vlapic_delivery.ts).
 *
 * @spec   SDM vol. 3, chapter 11; register page as in ACRN's vlapic.c
 * @cover  #Y every xAPIC register, x2APIC MSRs and SELF IPI, ICR with all delivery modes and shorthands, TPR/PPR, ESR,
 *         one-shot, periodic and TSC-deadline timer, LINT0 as ExtINT   #P CMCI, thermal and performance LVTs are stored,
 *         nothing raises them   #N SMI, EOI-broadcast suppression (the version register does not offer it)
 * @differ The timer counts TSC ticks, as in ACRN; CPUID leaf 0x15 says the crystal runs at the TSC's rate. ID is read-only.
 */
import { fls32 } from '../../../../lib/bits.ts';
import { EVENT_INTERRUPT } from '../../../events.ts';
import { VCPU, type HvShared } from '../../../shared.ts';
import { acceptIntr, deliverTo, receiveIntr } from './vlapic_delivery.ts';
import {
  APIC, APIC_BASE_BSP, APIC_BASE_ENABLE, APIC_BASE_X2APIC, APIC_DEST, APIC_DISABLED, APIC_ESR_ILLEGAL_REGISTER,
  APIC_ESR_RECEIVE_ILLEGAL_VECTOR, APIC_ESR_SEND_ILLEGAL_VECTOR, APIC_LVT_DM, APIC_LVT_IIPP, APIC_LVT_M, APIC_LVT_TM,
  APIC_LVT_VECTOR, APIC_LVTT_TM, APIC_LVTT_TM_PERIODIC, APIC_LVTT_TM_TSCDLT, APIC_SVR_ENABLE, APIC_SVR_FOCUS,
  APIC_X2APIC, APIC_XAPIC, DEFAULT_APIC_BASE, DELMODE, VLAPIC_VERSION,
} from './vlapic_regs.ts';

/** What the vLAPIC needs from the rest of the vCPU. */
export interface VlapicPort {
  readonly pcpuId: number;
  readonly vcpuId: number;
  /** pCPUs of the VM in vCPU order. */
  readonly pcpus: readonly number[];
  nowNs(): number;
  /** Guest TSC to board nanoseconds; a TSC offset change is followed by `rearmDeadline`. */
  tscToNs(guestTsc: bigint): number;
  guestTsc(): bigint;
  readonly tscPerNs: number;
  /** vioapic_broadcast_eoi */
  eoiBroadcast(vector: number): void;
}

const LVT_WRITABLE: Record<number, number> = {
  [APIC.CMCI_LVT]: APIC_LVT_VECTOR | APIC_LVT_DM | APIC_LVT_M,
  [APIC.TIMER_LVT]: APIC_LVT_VECTOR | APIC_LVT_M | APIC_LVTT_TM,
  [APIC.THERM_LVT]: APIC_LVT_VECTOR | APIC_LVT_DM | APIC_LVT_M,
  [APIC.PERF_LVT]: APIC_LVT_VECTOR | APIC_LVT_DM | APIC_LVT_M,
  [APIC.LINT0_LVT]: APIC_LVT_VECTOR | APIC_LVT_DM | APIC_LVT_M | APIC_LVT_TM | APIC_LVT_IIPP,
  [APIC.LINT1_LVT]: APIC_LVT_VECTOR | APIC_LVT_DM | APIC_LVT_M | APIC_LVT_TM | APIC_LVT_IIPP,
  [APIC.ERROR_LVT]: APIC_LVT_VECTOR | APIC_LVT_M,
};
const LVTS = Object.keys(LVT_WRITABLE).map(Number);
/** Periods are not shorter than this: hypervisor timers of ACRN refuse to run faster. */
const MIN_TIMER_PERIOD_NS = 500_000;
const NEVER = Number.POSITIVE_INFINITY;

export class Vlapic {
  readonly #shared: HvShared;
  readonly #words: Int32Array;
  readonly #area: number;
  readonly #port: VlapicPort;
  #apicBase = 0n;
  #esrPending = 0;
  #esrFiring = false;
  #deadlineNs = NEVER;
  #periodNs = 0;
  #tscDeadline = 0n;
  /** Highest bits of IRR and ISR, -1 for none; kept so that the run loop need not scan. */
  #irrv = -1;
  #isrv = -1;

  constructor(shared: HvShared, port: VlapicPort) {
    this.#shared = shared;
    this.#words = shared.words;
    this.#area = shared.vcpu(port.pcpuId);
    this.#port = port;
    this.reset();
  }

  #get(offset: number): number { return this.#words[(this.#area + offset) >> 2]; }
  #set(offset: number, value: number): void { this.#words[(this.#area + offset) >> 2] = value; }
  #setAtomic(offset: number, value: number): void { Atomics.store(this.#words, (this.#area + offset) >> 2, value | 0); }

  /** Power-up or RESET: SDM 11.4.7.1, and the APIC base back to its default. */
  reset(): void {
    this.#apicBase = BigInt(DEFAULT_APIC_BASE) | APIC_BASE_ENABLE | (this.#port.vcpuId === 0 ? APIC_BASE_BSP : 0n);
    this.#setAtomic(VCPU.APIC_MODE, APIC_XAPIC);
    this.#setAtomic(VCPU.VCPU_ID, this.#port.vcpuId);
    this.#resetRegisters();
  }

  /** INIT: all but the APIC base and the id. SDM 11.4.7.3 */
  init(): void {
    this.#resetRegisters();
  }

  #resetRegisters(): void {
    for (let offset = 0; offset < 0x400; offset += 4) this.#set(offset, 0);
    for (let i = 0; i < 8; i++) {
      this.#setAtomic(VCPU.PIR + i * 4, 0);
      this.#setAtomic(VCPU.PIR_LEVEL + i * 4, 0);
    }
    this.#setAtomic(VCPU.RECEIVE_ILLEGAL, 0);
    this.#set(APIC.ID, this.#mode === APIC_X2APIC ? this.#port.vcpuId : this.#port.vcpuId << 24);
    this.#set(APIC.VERSION, VLAPIC_VERSION);
    this.#setAtomic(APIC.DFR, -1);
    this.#setAtomic(APIC.SVR, 0xff);
    for (const lvt of LVTS) this.#set(lvt, APIC_LVT_M);
    if (this.#mode === APIC_X2APIC) this.#setX2apicLdr();
    this.#esrPending = 0;
    this.#irrv = this.#isrv = -1;
    this.#disarm();
    this.#tscDeadline = 0n;
    this.#updatePpr();
  }

  get #mode(): number { return this.#get(VCPU.APIC_MODE); }
  get #enabled(): boolean { return this.#mode !== APIC_DISABLED && (this.#get(APIC.SVR) & APIC_SVR_ENABLE) !== 0; }
  get x2apic(): boolean { return this.#mode === APIC_X2APIC; }
  get xapic(): boolean { return this.#mode === APIC_XAPIC; }

  // --- IA32_APIC_BASE

  get apicBase(): bigint { return this.#apicBase; }

  /** vlapic_set_apicbase: false is #GP. SDM 11.12.5.1: no way back from x2APIC but through disabled. */
  setApicBase(value: bigint): boolean {
    const fixed = BigInt(DEFAULT_APIC_BASE) | (this.#apicBase & APIC_BASE_BSP);
    if ((value & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP)) !== BigInt(DEFAULT_APIC_BASE)) return false;
    const enable = (value & APIC_BASE_ENABLE) !== 0n;
    const x2apic = (value & APIC_BASE_X2APIC) !== 0n;
    if (x2apic && !enable) return false;
    if (this.#mode === APIC_X2APIC && enable && !x2apic) return false;
    if (this.#mode === APIC_DISABLED && x2apic) return false;
    const mode = x2apic ? APIC_X2APIC : enable ? APIC_XAPIC : APIC_DISABLED;
    this.#apicBase = fixed | (enable ? APIC_BASE_ENABLE : 0n) | (x2apic ? APIC_BASE_X2APIC : 0n);
    if (mode === this.#mode) return true;
    this.#setAtomic(VCPU.APIC_MODE, mode);
    if (mode === APIC_DISABLED) this.#resetRegisters();
    if (mode === APIC_X2APIC) {
      this.#set(APIC.ID, this.#port.vcpuId);
      this.#setX2apicLdr();
    }
    if (mode === APIC_XAPIC) this.#set(APIC.ID, this.#port.vcpuId << 24);
    return true;
  }

  #setX2apicLdr(): void {
    const id = this.#port.vcpuId;
    this.#setAtomic(APIC.LDR, ((id >>> 4) << 16) | (1 << (id & 15)));
  }

  // --- priorities

  get tpr(): number { return this.#get(APIC.TPR); }
  /** vlapic_set_tpr, also through CR8 (TPR = CR8 << 4). */
  setTpr(value: number): void {
    if (this.#get(APIC.TPR) === (value & 0xff)) return;
    this.#set(APIC.TPR, value & 0xff);
    this.#updatePpr();
    this.#lookAgain();
  }

  #updatePpr(): void {
    const tpr = this.#get(APIC.TPR);
    const isr = this.#isrv < 0 ? 0 : this.#isrv & 0xf0;
    this.#setAtomic(APIC.PPR, (tpr & 0xf0) >= isr ? tpr : isr);
  }

  #highest(offset: number): number {
    for (let i = 7; i >= 0; i--) {
      const bits = this.#get(offset + i * 16);
      if (bits !== 0) return i * 32 + fls32(bits);
    }
    return -1;
  }

  #setBit(offset: number, vector: number): void {
    const at = offset + (vector >>> 5) * 16;
    this.#set(at, this.#get(at) | (1 << (vector & 31)));
  }
  #clearBit(offset: number, vector: number): void {
    const at = offset + (vector >>> 5) * 16;
    this.#set(at, this.#get(at) & ~(1 << (vector & 31)));
  }

  /** Something may have become deliverable in the middle of run(): make it return at the next block boundary. */
  #lookAgain(): void {
    if (this.pendingVector() >= 0) this.#shared.postEvent(this.#port.pcpuId, EVENT_INTERRUPT);
  }

  // --- the run loop's side

  /** Merges posted interrupts into IRR and TMR. */
  mergePir(): void {
    for (let i = 0; i < 8; i++) {
      const index = ((this.#area + VCPU.PIR) >> 2) + i;
      if (this.#words[index] === 0) continue;
      const posted = Atomics.exchange(this.#words, index, 0);
      const level = Atomics.load(this.#words, ((this.#area + VCPU.PIR_LEVEL) >> 2) + i);
      const irr = APIC.IRR + i * 16;
      const tmr = APIC.TMR + i * 16;
      this.#set(irr, this.#get(irr) | posted);
      this.#set(tmr, (this.#get(tmr) & ~posted) | (level & posted));
      if (posted !== 0) this.#irrv = Math.max(this.#irrv, i * 32 + fls32(posted));
    }
    if (Atomics.exchange(this.#words, (this.#area + VCPU.RECEIVE_ILLEGAL) >> 2, 0) !== 0) this.#error(APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
  }

  /** Highest vector in IRR whose class beats PPR; -1 for none. */
  pendingVector(): number {
    const vector = this.#irrv;
    if (vector < 16 || !this.#enabled) return -1;
    return vector >>> 4 > (this.#get(APIC.PPR) & 0xff) >>> 4 ? vector : -1;
  }

  /** The vector was delivered: IRR to ISR. */
  acceptVector(vector: number): void {
    this.#clearBit(APIC.IRR, vector);
    this.#setBit(APIC.ISR, vector);
    this.#irrv = this.#highest(APIC.IRR);
    this.#isrv = Math.max(this.#isrv, vector);
    this.#updatePpr();
  }

  /** vlapic_process_eoi */
  eoi(): void {
    const vector = this.#isrv;
    if (vector < 0) return;
    this.#clearBit(APIC.ISR, vector);
    this.#isrv = this.#highest(APIC.ISR);
    this.#updatePpr();
    if ((this.#get(APIC.TMR + (vector >>> 5) * 16) & (1 << (vector & 31))) !== 0) this.#port.eoiBroadcast(vector);
    this.mergePir();
    this.#lookAgain();
  }

  /** The vPIC's INTR reaches this vCPU: APIC globally disabled, or LINT0 unmasked as ExtINT. */
  acceptsExtInt(): boolean {
    if (this.#port.vcpuId !== 0) return false;
    if (this.#mode === APIC_DISABLED) return true;
    const lint0 = this.#get(APIC.LINT0_LVT);
    if ((this.#get(APIC.SVR) & APIC_SVR_ENABLE) === 0) return true; // virtual wire, as ACRN
    return (lint0 & APIC_LVT_M) === 0 && (lint0 & APIC_LVT_DM) >>> 8 === DELMODE.EXTINT;
  }

  // --- timer

  /** Board time of the next timer event; Infinity for none. */
  get deadlineNs(): number { return this.#deadlineNs; }

  #disarm(): void { this.#deadlineNs = NEVER; this.#periodNs = 0; }
  get #timerMode(): number { return this.#get(APIC.TIMER_LVT) & APIC_LVTT_TM; }

  /** Fires the timer when it is due. */
  checkTimer(nowNs: number): void {
    if (nowNs < this.#deadlineNs) return;
    if (this.#timerMode === APIC_LVTT_TM_PERIODIC && this.#periodNs > 0) {
      const missed = Math.floor((nowNs - this.#deadlineNs) / this.#periodNs);
      this.#deadlineNs += (missed + 1) * this.#periodNs;
    } else {
      this.#deadlineNs = NEVER;
      this.#tscDeadline = 0n;
    }
    this.#fireLvt(APIC.TIMER_LVT);
  }

  #divisorShift(): number {
    const dcr = this.#get(APIC.TIMER_DCR);
    return (((dcr & 3) | ((dcr & 8) >>> 1)) + 1) & 7;
  }

  #startCountdown(): void {
    const count = this.#get(APIC.TIMER_ICR) >>> 0;
    this.#disarm();
    if (count === 0 || this.#timerMode === APIC_LVTT_TM_TSCDLT) return;
    let periodNs = (count * 2 ** this.#divisorShift()) / this.#port.tscPerNs;
    if (this.#timerMode === APIC_LVTT_TM_PERIODIC) this.#periodNs = periodNs = Math.max(periodNs, MIN_TIMER_PERIOD_NS);
    this.#deadlineNs = this.#port.nowNs() + periodNs;
  }

  #currentCount(): number {
    if (this.#timerMode === APIC_LVTT_TM_TSCDLT || this.#deadlineNs === NEVER) return 0;
    const left = this.#deadlineNs - this.#port.nowNs();
    return left <= 0 ? 0 : Math.floor((left * this.#port.tscPerNs) / 2 ** this.#divisorShift()) >>> 0;
  }

  /** IA32_TSC_DEADLINE: reads 0 once expired or in another mode. */
  get tscDeadline(): bigint { return this.#timerMode === APIC_LVTT_TM_TSCDLT ? this.#tscDeadline : 0n; }

  setTscDeadline(value: bigint): void {
    if (this.#timerMode !== APIC_LVTT_TM_TSCDLT) return;
    this.#tscDeadline = value;
    this.rearmDeadline();
    this.checkTimer(this.#port.nowNs());
  }

  /** Follows a change of the guest's TSC. */
  rearmDeadline(): void {
    if (this.#timerMode !== APIC_LVTT_TM_TSCDLT) return;
    this.#deadlineNs = this.#tscDeadline === 0n ? NEVER : this.#port.tscToNs(this.#tscDeadline);
  }

  // --- local interrupts and errors

  #fireLvt(lvt: number): void {
    const entry = this.#get(lvt);
    if ((entry & APIC_LVT_M) !== 0) return;
    const mode = lvt === APIC.TIMER_LVT || lvt === APIC.ERROR_LVT ? DELMODE.FIXED : (entry & APIC_LVT_DM) >>> 8;
    const vector = entry & APIC_LVT_VECTOR;
    if (mode === DELMODE.FIXED && vector < 16) return this.#error(APIC_ESR_RECEIVE_ILLEGAL_VECTOR);
    if (mode === DELMODE.FIXED) this.#acceptOwn(vector);
    else deliverTo(this.#shared, [this.#port.pcpuId], { deliveryMode: mode, vector, level: false });
  }

  /** An edge interrupt from this thread: straight into IRR. */
  #acceptOwn(vector: number): void {
    if (!this.#enabled) return;
    this.#setBit(APIC.IRR, vector);
    this.#clearBit(APIC.TMR, vector);
    this.#irrv = Math.max(this.#irrv, vector);
    this.#lookAgain();
  }

  #error(bit: number): void {
    this.#esrPending |= bit;
    if (this.#esrFiring) return; // an illegal vector in the error LVT itself
    this.#esrFiring = true;
    this.#fireLvt(APIC.ERROR_LVT);
    this.#esrFiring = false;
  }

  // --- registers

  /** MMIO read within the page: 32-bit registers every 16 bytes, anything between reads 0. */
  mmioRead(offset: number, size: number): bigint {
    const aligned = offset & 0xffc;
    const value = BigInt((aligned & 0xf) === 0 ? this.#readRegister(aligned) >>> 0 : 0);
    return (value >> BigInt((offset & 3) * 8)) & ((1n << BigInt(size * 8)) - 1n);
  }

  /** MMIO write: 4 bytes on a 16-byte boundary, anything else is ignored. */
  mmioWrite(offset: number, size: number, value: number): void {
    if (size !== 4 || (offset & 0xf) !== 0) return;
    if (offset === APIC.ICR_HI) { this.#set(APIC.ICR_HI, value & 0xff00_0000); return; }
    if (!this.#writeRegister(offset, value)) this.#error(APIC_ESR_ILLEGAL_REGISTER);
  }

  #readRegister(offset: number): number {
    switch (offset) {
      case APIC.TIMER_CCR: return this.#currentCount();
      case APIC.TIMER_ICR: return this.#timerMode === APIC_LVTT_TM_TSCDLT ? 0 : this.#get(offset);
      case APIC.EOI: case APIC.SELF_IPI: return 0;
      default:
        if (isRegister(offset)) return this.#get(offset);
        this.#error(APIC_ESR_ILLEGAL_REGISTER);
        return 0;
    }
  }

  /** False when there is no such register. ICR_HI is the caller's (8-bit or 32-bit destination). */
  #writeRegister(offset: number, value: number): boolean {
    switch (offset) {
      case APIC.ID: return true; // read-only: the id is the vCPU's
      case APIC.TPR: this.setTpr(value); return true;
      case APIC.EOI: this.eoi(); return true;
      case APIC.LDR: this.#setAtomic(APIC.LDR, value & 0xff00_0000); return true;
      case APIC.DFR: this.#setAtomic(APIC.DFR, (value & 0xf000_0000) | 0x0fff_ffff); return true;
      case APIC.SVR: this.#writeSvr(value); return true;
      case APIC.ESR: this.#set(APIC.ESR, this.#esrPending); this.#esrPending = 0; return true;
      case APIC.ICR_LOW: this.#writeIcr(value, this.#get(APIC.ICR_HI) >>> 24); return true;
      case APIC.TIMER_LVT: this.#writeTimerLvt(value); return true;
      case APIC.CMCI_LVT: case APIC.THERM_LVT: case APIC.PERF_LVT: case APIC.LINT0_LVT: case APIC.LINT1_LVT: case APIC.ERROR_LVT:
        this.#writeLvt(offset, value);
        return true;
      case APIC.TIMER_ICR:
        if (this.#timerMode === APIC_LVTT_TM_TSCDLT) return true;
        this.#set(APIC.TIMER_ICR, value);
        this.#startCountdown();
        return true;
      case APIC.TIMER_DCR: {
        const left = this.#currentCount();
        this.#set(APIC.TIMER_DCR, value & 0xb);
        if (this.#deadlineNs !== NEVER && this.#timerMode !== APIC_LVTT_TM_TSCDLT) {
          this.#deadlineNs = this.#port.nowNs() + (left * 2 ** this.#divisorShift()) / this.#port.tscPerNs;
        }
        return true;
      }
      case APIC.VERSION: case APIC.APR: case APIC.PPR: case APIC.RRD: case APIC.TIMER_CCR: return true; // read-only
      default: return offset >= APIC.ISR && offset < APIC.ESR && (offset & 0xf) === 0; // ISR, TMR, IRR: read-only
    }
  }

  #writeSvr(value: number): void {
    const next = value & (0xff | APIC_SVR_ENABLE | APIC_SVR_FOCUS);
    const was = this.#get(APIC.SVR);
    this.#setAtomic(APIC.SVR, next);
    if ((was & APIC_SVR_ENABLE) !== 0 && (next & APIC_SVR_ENABLE) === 0) {
      this.#disarm();
      for (const lvt of LVTS) this.#set(lvt, this.#get(lvt) | APIC_LVT_M);
    }
    this.#shared.postEvent(this.#port.pcpuId, EVENT_INTERRUPT);
  }

  #writeLvt(offset: number, value: number): void {
    const masked = (this.#get(APIC.SVR) & APIC_SVR_ENABLE) === 0 ? APIC_LVT_M : 0;
    this.#set(offset, (value & LVT_WRITABLE[offset]) | masked);
    if (offset === APIC.LINT0_LVT) this.#shared.postEvent(this.#port.pcpuId, EVENT_INTERRUPT); // the vPIC may wait behind it
  }

  #writeTimerLvt(value: number): void {
    const before = this.#timerMode;
    this.#writeLvt(APIC.TIMER_LVT, value);
    if (this.#timerMode === before) return;
    this.#disarm();
    this.#tscDeadline = 0n;
    this.#set(APIC.TIMER_ICR, 0);
  }

  /** vlapic_write_icrlo */
  #writeIcr(low: number, dest: number): void {
    this.#set(APIC.ICR_LOW, low & ~0x1000);
    const message = { deliveryMode: (low >>> 8) & 7, vector: low & 0xff, level: false };
    const { FIXED, LOWEST, NMI, INIT, STARTUP } = DELMODE;
    if ((message.deliveryMode === FIXED || message.deliveryMode === LOWEST) && message.vector < 16) {
      return this.#error(APIC_ESR_SEND_ILLEGAL_VECTOR);
    }
    const shorthand = (low >>> 18) & 3;
    const withSelf = shorthand === APIC_DEST.SELF || shorthand === APIC_DEST.ALLISELF;
    if (withSelf && (message.deliveryMode === NMI || message.deliveryMode === INIT || message.deliveryMode === STARTUP)) return;
    const levelDeassert = (low & 0xc000) === 0x8000;
    if (message.deliveryMode === INIT && levelDeassert) return; // INIT level de-assert: ignored since the Pentium 4
    switch (shorthand) {
      case APIC_DEST.DESTFLD: receiveIntr(this.#shared, this.#port.pcpus, { ...message, dest, physical: (low & 0x800) === 0 }); break;
      case APIC_DEST.SELF: this.#acceptOwn(message.vector); break;
      case APIC_DEST.ALLISELF: deliverTo(this.#shared, this.#port.pcpus, message); break;
      default: deliverTo(this.#shared, this.#port.pcpus.filter((p) => p !== this.#port.pcpuId), message);
    }
  }

  // --- x2APIC: undefined is #GP(0)

  readMsr(msr: number): bigint | undefined {
    if (!this.x2apic) return undefined;
    const offset = (msr - 0x800) * 16;
    switch (offset) {
      case APIC.ICR_LOW: return BigInt.asUintN(64, (BigInt(this.#get(APIC.ICR_HI) >>> 0) << 32n) | BigInt(this.#get(APIC.ICR_LOW) >>> 0));
      case APIC.ICR_HI: case APIC.DFR: case APIC.APR: case APIC.RRD: case APIC.EOI: case APIC.SELF_IPI: return undefined;
      default: return isRegister(offset) ? BigInt(this.#readRegister(offset) >>> 0) : undefined;
    }
  }

  /** False is #GP(0): no such register, read-only, or reserved bits set. */
  writeMsr(msr: number, value: bigint): boolean {
    if (!this.x2apic) return false;
    const offset = (msr - 0x800) * 16;
    const low = Number(value & 0xffff_ffffn) | 0;
    if (offset === APIC.ICR_LOW) {
      const dest = Number(value >> 32n) | 0;
      this.#set(APIC.ICR_HI, dest);
      this.#writeIcr(low, dest >>> 0);
      return true;
    }
    if (value >> 32n !== 0n) return false;
    switch (offset) {
      case APIC.EOI: if (low !== 0) return false; this.eoi(); return true;
      case APIC.ESR: return low === 0 && this.#writeRegister(offset, 0);
      case APIC.SELF_IPI:
        if ((low & ~0xff) !== 0) return false;
        if (low < 16) this.#error(APIC_ESR_SEND_ILLEGAL_VECTOR);
        else this.#acceptOwn(low);
        return true;
      case APIC.TPR: case APIC.SVR: case APIC.CMCI_LVT: case APIC.TIMER_LVT: case APIC.THERM_LVT: case APIC.PERF_LVT:
      case APIC.LINT0_LVT: case APIC.LINT1_LVT: case APIC.ERROR_LVT: case APIC.TIMER_ICR: case APIC.TIMER_DCR:
        return this.#writeRegister(offset, low);
      default: return false;
    }
  }

  /** For tests and the LINT1 pin. */
  raiseLint1(): void { this.#fireLvt(APIC.LINT1_LVT); }

  /** A vector posted to this vCPU by its own thread, e.g. from an emulated device. */
  post(vector: number, level: boolean): void { acceptIntr(this.#shared, this.#port.pcpuId, vector, level); }
}

function isRegister(offset: number): boolean {
  if ((offset & 0xf) !== 0 || offset < 0x20 || offset > 0x3f0) return false;
  if (offset >= APIC.ISR && offset <= APIC.ESR) return true;
  return REGISTERS.has(offset);
}
const REGISTERS = new Set<number>(Object.values(APIC));
