/**
 * The DSDT of a User VM.
 *
 * @spec   reference/acrn-device-model.md section 5.1.2; ACPI 5.1 chapters 6, 7 and 9; PCI Firmware 3.0
 * @cover  #Y host bridges, windows, _PRT in PIC and APIC mode, ISA devices, processors, S3 and S5   #N _CST and _PSS of processors
 * @differ In APIC mode _PRT names link devices whose interrupt is active high instead of bare GSIs: the hypervisor's lines
 *         are high when asserted, so the guest programs the polarity that is true.
 */
import { COM_PORTS } from '../../pci/lpc.ts';
import { SLP_TYP_S3, SLP_TYP_S5 } from '../acpi_pm.ts';
import { HPET_BASE, HPET_SIZE } from '../hpet.ts';
import * as aml from './aml.ts';
import type { Aml } from './aml.ts';

export interface Wire { slot: number; pin: number; pirqPin: number; gsi: number }
export interface DsdtInput {
  vcpuCount: number;
  buses: ReadonlyArray<{ number: number; wires: readonly Wire[] }>;
  windows: { io: { base: number; limit: number }; mem32: { base: number; limit: number }; mem64: { base: number; limit: number } };
  /** Where the lpc bridge is; undefined: no ISA devices. */
  lpc: { slot: number; func: number } | undefined;
  permittedIrqs: number;
  ecam: { base: number; size: number };
}

const LINK_STA_ENABLED = 0x0b;
const LINK_STA_DISABLED = 0x09;
const PIRQ_DISABLED = 0x80;

const letter = (index: number): string => String.fromCharCode(0x41 + index);
const pciName = (bus: number): string => `PC${bus.toString(16).toUpperCase().padStart(2, '0')}`;
const busName = (bus: number): string => (bus === 0 ? 'PCI0' : pciName(bus));
const gsiLink = (gsi: number): string => `GSI${gsi < 26 ? letter(gsi) : String(gsi - 26)}`;
const gsiLinkOf = (gsi: number): string => `\\_SB.${gsiLink(gsi - 16)}`;

function sleepState(state: string, type: number): Aml {
  return aml.nameDecl(state, aml.pkg([aml.int(type), aml.int(0), aml.int(0), aml.int(0)]));
}

function processors(count: number): Aml[] {
  return Array.from({ length: count }, (_, i) => aml.device(`CP${i.toString(16).toUpperCase().padStart(2, '0')}`, [
    aml.nameDecl('_HID', aml.str('ACPI0007')),
    aml.nameDecl('_UID', aml.int(i)),
  ]));
}

/** Link devices of the I/O APIC pins in use; their interrupt cannot be changed. */
function gsiLinks(gsis: readonly number[]): Aml[] {
  return gsis.map((gsi) => aml.device(gsiLink(gsi - 16), [
    aml.nameDecl('_HID', aml.eisaId('PNP0C0F')),
    aml.nameDecl('_UID', aml.int(gsi)),
    aml.nameDecl('_PRS', aml.resources([aml.interruptLevelHigh(gsi)])),
    aml.nameDecl('_CRS', aml.resources([aml.interruptLevelHigh(gsi)])),
    aml.method('_SRS', 1, []),
  ]));
}

function prt(bus: number, wires: readonly Wire[], withPic: boolean): Aml[] {
  const sorted = [...wires].sort((a, b) => a.slot - b.slot || a.pin - b.pin);
  const entry = (wire: Wire, source: string): Aml => aml.pkg([aml.int(wire.slot * 0x10000 + 0xffff), aml.int(wire.pin), aml.name(source), aml.int(0)]);
  const apic = aml.nameDecl('APRT', aml.pkg(sorted.map((wire) => entry(wire, gsiLinkOf(wire.gsi)))));
  if (!withPic) return [apic, aml.method('_PRT', 0, [aml.ret(aml.name('APRT'))])];
  const pic = aml.nameDecl('PPRT', aml.pkg(sorted.map((wire) => entry(wire, `\\_SB.${busName(0)}.ISA.LNK${letter(wire.pirqPin - 1)}`))));
  return [pic, apic, aml.method('_PRT', 0, [aml.ifElse(aml.name('PICM'), [aml.ret(aml.name('APRT'))], [aml.ret(aml.name('PPRT'))])])];
}

function hostBridge(input: DsdtInput, bus: { number: number; wires: readonly Wire[] }): Aml {
  const { io, mem32, mem64 } = input.windows;
  const crs: Aml[] = [aml.wordBusNumber(bus.number, bus.number)];
  if (bus.number === 0) {
    crs.push(aml.io(0xcf8, 8), aml.wordIo(0, 0xcf7), aml.wordIo(0xd00, 0x1fff), aml.wordIo(io.base, io.limit), aml.dwordMemory(mem32.base, mem32.limit), aml.qwordMemory(mem64.base, mem64.limit));
  }
  return aml.device(busName(bus.number), [
    aml.nameDecl('_HID', aml.eisaId('PNP0A03')),
    aml.nameDecl('_UID', aml.int(bus.number)),
    aml.nameDecl('_BBN', aml.int(bus.number)),
    aml.nameDecl('_CRS', aml.resources(crs)),
    ...prt(bus.number, bus.wires, input.lpc !== undefined),
    ...(bus.number === 0 && input.lpc ? [isaBridge(input, input.lpc)] : []),
    ...(bus.number === 0 ? [hpet()] : []),
  ]);
}

function hpet(): Aml {
  return aml.device('HPET', [
    aml.nameDecl('_HID', aml.eisaId('PNP0103')),
    aml.nameDecl('_UID', aml.int(0)),
    aml.nameDecl('_CRS', aml.resources([aml.memory32Fixed(HPET_BASE, HPET_SIZE, true)])),
  ]);
}

function isaDevice(path: string, hid: string, descriptors: readonly Aml[], uid?: number): Aml {
  return aml.device(path, [
    aml.nameDecl('_HID', aml.eisaId(hid)),
    ...(uid === undefined ? [] : [aml.nameDecl('_UID', aml.int(uid))]),
    aml.nameDecl('_CRS', aml.resources(descriptors)),
  ]);
}

function isaBridge(input: DsdtInput, at: { slot: number; func: number }): Aml {
  const regs = Array.from({ length: 8 }, (_, i) => `PIR${letter(i)}`);
  return aml.device('ISA', [
    aml.nameDecl('_ADR', aml.int(at.slot * 0x10000 + at.func)),
    aml.opRegion('LPCR', aml.PCI_CONFIG, 0x00, 0x100),
    aml.byteField('LPCR', [0x60, ...regs.slice(0, 4), 4, ...regs.slice(4)]),
    ...pirqLinks(input.permittedIrqs),
    isaDevice('SIO', 'PNP0C02', [
      aml.io(0x61, 1), aml.io(0xb2, 2), aml.io(0xcf9, 1), aml.io(0x400, 6), aml.io(0x4d0, 2),
      aml.memory32Fixed(input.ecam.base, input.ecam.size, true),
    ]),
    ...COM_PORTS.map((com, i) => isaDevice(com.name.toUpperCase(), 'PNP0501', [aml.io(com.base, 8), aml.irqNoFlags(com.irq)], i + 1)),
    isaDevice('KBD', 'PNP0303', [aml.io(0x60, 1), aml.io(0x64, 1), aml.irqNoFlags(1)]),
    isaDevice('MOU', 'PNP0F13', [aml.irqNoFlags(12)]),
    isaDevice('RTC', 'PNP0B00', [aml.io(0x70, 2), aml.irqNoFlags(8)]),
    isaDevice('PIC', 'PNP0000', [aml.io(0x20, 2), aml.io(0xa0, 2), aml.irqNoFlags(2)]),
    isaDevice('TIMR', 'PNP0100', [aml.io(0x40, 4), aml.irqNoFlags(0)]),
  ]);
}

/** LNKA-LNKH on the routing registers of the bridge. */
function pirqLinks(permittedIrqs: number): Aml[] {
  const valid = aml.method('PIRV', 1, [ // 1 when the register's value is an enabled, permitted IRQ
    aml.ifElse(aml.and(aml.ARG0, aml.int(PIRQ_DISABLED)), [aml.ret(aml.int(0))]),
    aml.and(aml.ARG0, aml.int(0x0f), aml.LOCAL0),
    aml.ret(aml.and(aml.shiftLeft(aml.int(1), aml.LOCAL0), aml.int(permittedIrqs))),
  ]);
  const links = Array.from({ length: 8 }, (_, i) => {
    const reg = aml.name(`PIR${letter(i)}`);
    const shown = `CB${(i + 1).toString().padStart(2, '0')}`;
    const shownIrq = `CIR${letter(i)}`;
    const setIrq = `SIR${letter(i)}`;
    const isValid = (value: Aml): Aml => [...aml.name('PIRV'), ...value];
    return aml.device(`LNK${letter(i)}`, [
      aml.nameDecl('_HID', aml.eisaId('PNP0C0F')),
      aml.nameDecl('_UID', aml.int(i + 1)),
      aml.method('_STA', 0, [aml.ifElse(isValid(reg), [aml.ret(aml.int(LINK_STA_ENABLED))]), aml.ret(aml.int(LINK_STA_DISABLED))]),
      aml.nameDecl('_PRS', aml.resources([aml.irqLevelLowShared(permittedIrqs)])),
      aml.nameDecl(shown, aml.resources([aml.irqLevelLowShared(0)])),
      aml.createWordField(aml.name(shown), 1, shownIrq),
      aml.method('_CRS', 0, [
        aml.ifElse(isValid(reg), [aml.shiftLeft(aml.int(1), aml.and(reg, aml.int(0x0f)), aml.name(shownIrq))], [aml.store(aml.int(0), aml.name(shownIrq))]),
        aml.ret(aml.name(shown)),
      ]),
      aml.method('_DIS', 0, [aml.store(aml.int(PIRQ_DISABLED), reg)]),
      aml.method('_SRS', 1, [
        aml.createWordField(aml.ARG0, 1, setIrq),
        aml.findSetRightBit(aml.name(setIrq), aml.LOCAL0),
        aml.store(aml.decrement(aml.LOCAL0), reg),
      ]),
    ]);
  });
  return [valid, ...links];
}

/** AML of the definition block, without the table header. */
export function dsdtBody(input: DsdtInput): Uint8Array {
  const gsis = [...new Set(input.buses.flatMap((bus) => bus.wires.map((wire) => wire.gsi)))].sort((a, b) => a - b);
  return Uint8Array.from([
    ...sleepState('_S3_', SLP_TYP_S3),
    ...sleepState('_S5_', SLP_TYP_S5),
    ...aml.nameDecl('PICM', aml.int(0)),
    ...aml.method('_PIC', 1, [aml.store(aml.ARG0, aml.name('PICM'))]),
    ...aml.scope('\\_SB', [
      ...processors(input.vcpuCount),
      ...gsiLinks(gsis),
      ...input.buses.map((bus) => hostBridge(input, bus)),
    ]),
  ]);
}
