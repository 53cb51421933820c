/**
 * One PCI function: config space, BARs, capabilities and its interrupts (struct pci_vdev of ACRN's core.c).
 *
 * @spec   PCI Local Bus 3.0 chapter 6; reference/acrn-device-model.md section 5.2
 * @cover  #Y type 0 header, BAR sizing and relocation, capability chain, MSI, MSI-X, INTx   #N expansion ROM (reads 0), type 1 headers
 * @differ Identification registers are read only, as in hardware; ACRN lets the guest overwrite them.
 *         A BAR outside the bridge's windows is not decoded.
 */
import { HostError } from '../../../lib/errors.ts';
import type { BarType, PciDevice, PciVdev } from './pci_if.ts';
import type { IntxRoute } from './irq.ts';
import { MsixTable } from './msix.ts';
import { bdfText } from './slots.ts';

const CFG_BYTES = 256;
const PCIR_COMMAND = 0x04;
const PCIR_STATUS = 0x06;
const PCIR_CACHELINE = 0x0c;
const PCIR_LATENCY = 0x0d;
const PCIR_HDRTYPE = 0x0e;
const PCIR_BAR0 = 0x10;
const PCIR_BAR_END = 0x28;
const PCIR_CAP_PTR = 0x34;
const PCIR_INTLINE = 0x3c;
const PCIR_INTPIN = 0x3d;
const CAP_START = 0x40;

const CMD_PORTEN = 1 << 0;
const CMD_MEMEN = 1 << 1;
const CMD_INTXDIS = 1 << 10;
const CMD_READ_ONLY = 0xf880;
const STATUS_INTERRUPT = 1 << 3;
const STATUS_CAPPRESENT = 1 << 4;
const MFDEV = 0x80;

const PCIY_MSI = 0x05;
const PCIY_MSIX = 0x11;
const MSICTRL_ENABLE = 1 << 0;
const MSICTRL_MME = 0x70;
const MSIXCTRL_ENABLE = 1 << 15;
const MSIXCTRL_FUNCTION_MASK = 1 << 14;

const BAR_IO_MIN = 4;
const BAR_MEM_MIN = 16;
const FOUR_GIB = 0x1_0000_0000;

/** What a function needs from the bus it sits on. */
export interface BusPort {
  /** Reserves an address for a new BAR. */
  allocate(type: BarType, sizeBytes: number): number;
  /** May this range be decoded? */
  inWindow(type: BarType, base: number, sizeBytes: number): boolean;
  /** Claims a range for this function's BAR; returns its own removal. */
  decode(type: BarType, name: string, base: number, sizeBytes: number, read: (offset: number, size: number) => number, write: (offset: number, size: number, value: number) => void): () => void;
  assignIoeventfd(at: { space: 'pio' | 'mmio'; address: number; size: number; data?: number }, kick: () => void): () => void;
  injectMsi(address: number, data: number): void;
  assertIntx(route: IntxRoute): void;
  deassertIntx(route: IntxRoute): void;
  /** Least used INTx pin of the slot, 1-4. */
  choosePin(slot: Vdev): number;
  isMultifunction(bus: number, slot: number): boolean;
}

interface Bar { type: BarType; sizeBytes: number; initial: number; base: number; release: (() => void) | undefined }
interface Kick { bar: number; offset: number; size: number; data: number | undefined; kick: () => void; remove: (() => void) | undefined }

function roundUpPowerOfTwo(value: number): number {
  let size = 1;
  while (size < value) size *= 2;
  return size;
}

export class Vdev implements PciVdev {
  readonly bus: number;
  readonly slot: number;
  readonly func: number;
  readonly className: string;
  device: PciDevice | undefined;
  intx: IntxRoute | undefined;
  readonly #cfg = new Uint8Array(CFG_BYTES);
  readonly #view = new DataView(this.#cfg.buffer);
  readonly #port: BusPort;
  readonly #bars: Array<Bar | 'hi' | undefined> = [undefined, undefined, undefined, undefined, undefined, undefined];
  readonly #caps: Array<{ offset: number; length: number; id: number }> = [];
  readonly #kicks = new Set<Kick>();
  #nextCap = CAP_START;
  #msiOffset = 0;
  #msixOffset = 0;
  #msixBar = -1;
  #msix: MsixTable | undefined;
  #lintrWanted = false;
  #lintrDriven = false;
  #snapshot: Uint8Array | undefined;
  #dead = false;

  constructor(at: { bus: number; slot: number; func: number }, className: string, port: BusPort) {
    this.bus = at.bus;
    this.slot = at.slot;
    this.func = at.func;
    this.className = className;
    this.#port = port;
    this.setCfgData8(PCIR_INTLINE, 255);
    this.setCfgData8(PCIR_INTPIN, 0);
    this.setCfgData16(PCIR_COMMAND, CMD_PORTEN | CMD_MEMEN | (1 << 2));
  }

  setCfgData8(offset: number, value: number): void { this.#view.setUint8(offset, value); }
  setCfgData16(offset: number, value: number): void { this.#view.setUint16(offset, value, true); }
  setCfgData32(offset: number, value: number): void { this.#view.setUint32(offset, value, true); }
  getCfgData8(offset: number): number { return this.#view.getUint8(offset); }
  getCfgData16(offset: number): number { return this.#view.getUint16(offset, true); }
  getCfgData32(offset: number): number { return this.#view.getUint32(offset, true); }

  allocBar(index: number, type: BarType, sizeBytes: number): void {
    if (index < 0 || index > (type === 'mem64' ? 4 : 5) || this.#bars[index] || (type === 'mem64' && this.#bars[index + 1])) {
      throw new HostError('PCI_BAR_INVALID', {
        what: `${bdfText(this)} ${this.className} cannot have a ${type} BAR ${index}`, why: 'it is out of range or taken',
        todo: 'This is a fault of the device, please report it.',
      });
    }
    const size = roundUpPowerOfTwo(Math.max(sizeBytes, type === 'io' ? BAR_IO_MIN : BAR_MEM_MIN));
    const base = this.#port.allocate(type, size);
    const bar: Bar = { type, sizeBytes: size, initial: base, base, release: undefined };
    this.#bars[index] = bar;
    if (type === 'mem64') this.#bars[index + 1] = 'hi';
    this.#storeBar(index, bar, base);
    this.#updateDecode(index);
  }

  barBase(index: number): number | undefined {
    const bar = this.#bars[index];
    return bar && bar !== 'hi' && bar.release ? bar.base : undefined;
  }

  addCapability(bytes: Uint8Array): number {
    const length = Math.ceil(bytes.length / 4) * 4;
    const offset = this.#nextCap;
    if (bytes.length < 2 || offset + length > CFG_BYTES) {
      throw new HostError('PCI_CAPABILITY_SPACE', {
        what: `${bdfText(this)} ${this.className} has too many capabilities`, why: `${length} bytes do not fit at 0x${offset.toString(16)}`,
        todo: 'This is a fault of the device, please report it.',
      });
    }
    this.#cfg.set(bytes, offset);
    this.#cfg[offset + 1] = 0;
    const last = this.#caps.at(-1);
    if (last) this.#cfg[last.offset + 1] = offset;
    else {
      this.#cfg[PCIR_CAP_PTR] = offset;
      this.setCfgData16(PCIR_STATUS, this.getCfgData16(PCIR_STATUS) | STATUS_CAPPRESENT);
    }
    this.#caps.push({ offset, length, id: bytes[0] });
    this.#nextCap += length;
    return offset;
  }

  addMsiCap(messages: number): void {
    const log2 = Math.ceil(Math.log2(Math.min(Math.max(messages, 1), 32)));
    const cap = new Uint8Array(14); // 64-bit addresses, no masking
    cap[0] = PCIY_MSI;
    cap[2] = 0x80 | (log2 << 1);
    this.#msiOffset = this.addCapability(cap);
  }

  addMsixCap(messages: number, bar: number): void {
    const table = new MsixTable(messages, (address, data) => this.#port.injectMsi(address, data));
    this.#msix = table;
    this.#msixBar = bar;
    this.allocBar(bar, 'mem32', table.sizeBytes);
    const cap = new DataView(new ArrayBuffer(12));
    cap.setUint8(0, PCIY_MSIX);
    cap.setUint16(2, messages - 1, true);
    cap.setUint32(4, bar, true);
    cap.setUint32(8, table.pbaOffset | bar, true);
    this.#msixOffset = this.addCapability(new Uint8Array(cap.buffer));
  }

  msiEnabled(): boolean { return this.#msiOffset !== 0 && (this.getCfgData16(this.#msiOffset + 2) & MSICTRL_ENABLE) !== 0; }
  msixEnabled(): boolean { return this.#msix?.enabled ?? false; }

  generateMsi(index: number): void {
    if (this.#dead || !this.msiEnabled()) return;
    const messages = 1 << ((this.getCfgData16(this.#msiOffset + 2) & MSICTRL_MME) >> 4);
    if (index < 0 || index >= messages) return;
    this.#port.injectMsi(this.getCfgData32(this.#msiOffset + 4), this.getCfgData16(this.#msiOffset + 12) + index);
  }

  generateMsix(index: number): void {
    if (!this.#dead) this.#msix?.generate(index);
  }

  lintrRequest(): void {
    if (this.getCfgData8(PCIR_INTPIN) === 0) this.setCfgData8(PCIR_INTPIN, this.#port.choosePin(this));
  }
  lintrAssert(): void { this.#lintrWanted = true; this.#updateIntx(); }
  lintrDeassert(): void { this.#lintrWanted = false; this.#updateIntx(); }

  /** Called once every device of the bus exists: the wire of this function's pin. */
  routeIntx(route: IntxRoute, irqLine: number): void {
    this.intx = route;
    this.setCfgData8(PCIR_INTLINE, irqLine);
  }

  registerKick(bar: number, offset: number, size: number, data: number | undefined, kick: () => void): () => void {
    const entry: Kick = { bar, offset, size, data, kick, remove: undefined };
    this.#kicks.add(entry);
    this.#armKick(entry);
    return () => {
      entry.remove?.();
      this.#kicks.delete(entry);
    };
  }

  /** init is over: what a system reset returns to. */
  seal(): void { this.#snapshot = this.#cfg.slice(); }

  configRead(offset: number, size: number): number {
    if (offset >= CFG_BYTES) return offset === 0x100 ? 0 : 0xffffffff;
    if (offset % size !== 0) return 0xffffffff;
    const own = this.device?.cfgRead?.(offset, size);
    if (own !== undefined) return own >>> 0;
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#cfgByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  configWrite(offset: number, size: number, value: number): void {
    if (offset + size > CFG_BYTES || offset % size !== 0) return;
    if (this.device?.cfgWrite?.(offset, size, value)) return;
    const cap = this.#caps.find((c) => offset >= c.offset && offset < c.offset + c.length);
    if (offset >= PCIR_BAR0 && offset < PCIR_BAR_END) this.#writeBar(offset, size, value);
    else if (offset >= PCIR_COMMAND && offset < PCIR_STATUS) this.#writeCommand(offset, size, value);
    else if (cap) this.#writeCapability(cap, offset, size, value);
    else {
      for (let i = 0; i < size; i++) {
        const at = offset + i;
        if (at === PCIR_INTLINE || at === PCIR_CACHELINE || at === PCIR_LATENCY) this.#cfg[at] = value >>> (8 * i);
      }
    }
  }

  /** System reset of everything the bus keeps for this function. */
  reset(): void {
    this.lintrDeassert();
    this.#msix?.reset();
    this.device?.reset();
    this.lintrDeassert();
    if (this.#snapshot) this.#cfg.set(this.#snapshot);
    this.#bars.forEach((bar, index) => {
      if (!bar || bar === 'hi') return;
      this.#undecode(index, bar);
      bar.base = bar.initial;
      this.#updateDecode(index);
    });
  }

  /** Withdraws every claim; the device can no longer be reached, nor interrupt. */
  detach(): void {
    this.lintrDeassert();
    this.#dead = true;
    this.#bars.forEach((bar, index) => { if (bar && bar !== 'hi') this.#undecode(index, bar); });
  }

  #cfgByte(at: number): number {
    if (at === PCIR_HDRTYPE) return (this.#cfg[at] & ~MFDEV) | (this.#port.isMultifunction(this.bus, this.slot) ? MFDEV : 0);
    if (at === PCIR_STATUS) return (this.#cfg[at] & ~STATUS_INTERRUPT) | (this.#lintrWanted ? STATUS_INTERRUPT : 0);
    return this.#cfg[at];
  }

  #writeCommand(offset: number, size: number, value: number): void {
    const old = this.getCfgData16(PCIR_COMMAND);
    let command = old;
    for (let i = 0; i < size && offset + i < PCIR_STATUS; i++) {
      const shift = 8 * (offset + i - PCIR_COMMAND);
      command = (command & ~(0xff << shift)) | (((value >>> (8 * i)) & 0xff) << shift);
    }
    this.setCfgData16(PCIR_COMMAND, (command & ~CMD_READ_ONLY) | (old & CMD_READ_ONLY));
    if ((old ^ command) & (CMD_PORTEN | CMD_MEMEN)) for (let i = 0; i < 6; i++) this.#updateDecode(i);
    this.#updateIntx();
  }

  #writeBar(offset: number, size: number, value: number): void {
    const index = (offset - PCIR_BAR0) >> 2;
    const own = this.#bars[index];
    if (!own) return;
    let raw = this.getCfgData32(PCIR_BAR0 + index * 4);
    for (let i = 0; i < size; i++) {
      const shift = 8 * ((offset & 3) + i);
      raw = ((raw & ~(0xff << shift)) | (((value >>> (8 * i)) & 0xff) << shift)) >>> 0;
    }
    const barIndex = own === 'hi' ? index - 1 : index;
    const bar = own === 'hi' ? (this.#bars[barIndex] as Bar) : own;
    let low = own === 'hi' ? this.getCfgData32(PCIR_BAR0 + barIndex * 4) : raw;
    let high = 0;
    if (bar.type === 'mem64') high = own === 'hi' ? raw : this.getCfgData32(PCIR_BAR0 + barIndex * 4 + 4);
    if (bar.type === 'io') low &= 0xffff;
    const address = high * FOUR_GIB + low;
    const base = address - (address % bar.sizeBytes);
    if (base === bar.base) return this.#storeBar(barIndex, bar, base);
    this.#undecode(barIndex, bar);
    bar.base = base;
    this.#storeBar(barIndex, bar, base);
    this.#updateDecode(barIndex);
  }

  #storeBar(index: number, bar: Bar, base: number): void {
    const flags = bar.type === 'io' ? 1 : bar.type === 'mem64' ? 4 : 0;
    this.setCfgData32(PCIR_BAR0 + index * 4, (base % FOUR_GIB) + flags);
    if (bar.type === 'mem64') this.setCfgData32(PCIR_BAR0 + index * 4 + 4, Math.floor(base / FOUR_GIB));
  }

  #updateDecode(index: number): void {
    const bar = this.#bars[index];
    if (!bar || bar === 'hi') return;
    const enabled = (this.getCfgData16(PCIR_COMMAND) & (bar.type === 'io' ? CMD_PORTEN : CMD_MEMEN)) !== 0;
    const sizing = bar.type === 'io' && bar.base === 0x10000 - bar.sizeBytes; // all ones were written: the guest asks for the size
    const wanted = enabled && !this.#dead && !sizing && this.#port.inWindow(bar.type, bar.base, bar.sizeBytes);
    if (!wanted) return this.#undecode(index, bar);
    if (bar.release) return;
    const isMsix = index === this.#msixBar;
    bar.release = this.#port.decode(bar.type, `${bdfText(this)} ${this.className} BAR${index}`, bar.base, bar.sizeBytes,
      (offset, size) => (isMsix && this.#msix?.owns(offset) ? this.#msix.read(offset, size) : this.device?.barRead(index, offset, size) ?? 0xffffffff),
      (offset, size, value) => {
        if (isMsix && this.#msix?.owns(offset)) this.#msix.write(offset, size, value);
        else this.device?.barWrite(index, offset, size, value);
      });
    for (const kick of this.#kicks) if (kick.bar === index) this.#armKick(kick);
  }

  #undecode(index: number, bar: Bar): void {
    if (!bar.release) return;
    for (const kick of this.#kicks) {
      if (kick.bar !== index) continue;
      kick.remove?.();
      kick.remove = undefined;
    }
    bar.release();
    bar.release = undefined;
  }

  #armKick(entry: Kick): void {
    const bar = this.#bars[entry.bar];
    if (entry.remove || !bar || bar === 'hi' || !bar.release) return;
    const { size, data } = entry;
    entry.remove = this.#port.assignIoeventfd({ space: bar.type === 'io' ? 'pio' : 'mmio', address: bar.base + entry.offset, size, ...(data === undefined ? {} : { data }) }, entry.kick);
  }

  #writeCapability(cap: { offset: number; length: number; id: number }, offset: number, size: number, value: number): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i - cap.offset;
      if (at >= 2 && at < cap.length) this.#cfg[cap.offset + at] = (this.#cfg[cap.offset + at] & ~this.#capMask(cap.id, at)) | ((value >>> (8 * i)) & this.#capMask(cap.id, at));
    }
    if (cap.offset === this.#msixOffset) {
      const control = this.getCfgData16(cap.offset + 2);
      this.#msix?.control((control & MSIXCTRL_ENABLE) !== 0, (control & MSIXCTRL_FUNCTION_MASK) !== 0);
    }
    this.#updateIntx();
  }

  /** Writable bits of byte `at` of a capability. */
  #capMask(id: number, at: number): number {
    if (id === PCIY_MSI) return at === 2 ? MSICTRL_MME | MSICTRL_ENABLE : at === 3 ? 0 : at === 4 ? 0xfc : at < 14 ? 0xff : 0;
    if (id === PCIY_MSIX) return at === 3 ? (MSIXCTRL_ENABLE | MSIXCTRL_FUNCTION_MASK) >> 8 : 0;
    return 0xff;
  }

  #updateIntx(): void {
    const masked = this.msiEnabled() || this.msixEnabled() || (this.getCfgData16(PCIR_COMMAND) & CMD_INTXDIS) !== 0;
    const drive = this.#lintrWanted && !masked && this.intx !== undefined && !this.#dead;
    if (drive === this.#lintrDriven || !this.intx) return;
    this.#lintrDriven = drive;
    if (drive) this.#port.assertIntx(this.intx);
    else this.#port.deassertIntx(this.intx);
  }
}
