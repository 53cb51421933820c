import { expect, test } from 'vitest';
import { S } from '../../../../core/gen/state.ts';
import { MockClock, MockCore, mockShared, mockVm } from '../../../mock.ts';
import { featuresOf } from './cpuid_models.ts';
import { acceptIntr } from './vlapic_delivery.ts';
import { Vcpu } from './vcpu.ts';
import { vmexitHandler } from './vmexit.ts';

const EVENT_INIT = 4; const EVENT_SIPI = 8; const EVENT_PAUSE = 128; const EVENT_WINDOW = 256;
const IF = 0x202;

function machine(pcpus = [0], vcpuId = 0) {
  const shared = mockShared();
  const vm = mockVm(shared, pcpus);
  const clock = new MockClock();
  const core = new MockCore(shared, pcpus[vcpuId]);
  const lines: string[] = [];
  const vcpu = new Vcpu(vm, vcpuId, core, shared, { pcpuId: pcpus[vcpuId], tscKhz: 2_000_000, timeNs: () => clock.ns, cpuNs: () => 0, log: (line) => lines.push(line), random: () => 42n });
  const events: number[] = [];
  const stop = () => shared.postEvent(pcpus[vcpuId], EVENT_PAUSE);
  vcpu.vlapic.mmioWrite(0xf0, 4, 0x1ff);
  return { shared, vm, clock, core, vcpu, lines, events, stop };
}

test.each(['v1', 'v2', 'nuc'] as const)('a vCPU of model %s makes its core a CPU of that model', (model) => {
  const shared = mockShared();
  const core = new MockCore(shared, 0);
  const vm = mockVm(shared);
  vm.config.cpuModel = model;
  const vcpu = new Vcpu(vm, 0, core, shared, { pcpuId: 0, tscKhz: 2_000_000, timeNs: () => 0, cpuNs: () => 0, log: () => {}, random: () => 0n });
  expect(core.offered).toEqual(featuresOf(model));
  for (const feature of core.offered) expect(vcpu.cpuid.has(feature)).toBe(true);
});

test('an interrupt is injected when RFLAGS.IF is set, otherwise a window is asked for', () => {
  const { shared, core, vcpu, events, stop } = machine();
  acceptIntr(shared, 0, 0x40, false);
  let runs = 0;
  core.step = () => {
    runs += 1;
    const flags = Atomics.load(shared.eventWords, shared.eventIndex(0));
    events.push(core.takeEntryEvent() ?? 0);
    if (runs === 1) { expect(flags & EVENT_WINDOW).toBe(EVENT_WINDOW); core.rflags = IF; return 7; }
    stop();
    return 1;
  };
  expect(vcpu.run()).toEqual({ how: 'paused' });
  expect(events).toEqual([0, 0x8000_0040]);
});

test('blocking by STI or MOV SS defers injection', () => {
  const { shared, core, vcpu, stop } = machine();
  core.rflags = IF;
  core.view.setUint32(S.INTERRUPTIBILITY, 1, true);
  acceptIntr(shared, 0, 0x40, false);
  core.step = () => { expect(core.takeEntryEvent()).toBeUndefined(); stop(); return 0x100; };
  vcpu.run();
});

test('HLT with interrupts on ends when the vLAPIC timer is due', () => {
  const { clock, core, vcpu, stop } = machine();
  core.rflags = IF;
  vcpu.vlapic.mmioWrite(0x320, 4, 0x33);
  vcpu.vlapic.mmioWrite(0x3e0, 4, 0xb);
  vcpu.vlapic.mmioWrite(0x380, 4, 2000);
  let runs = 0;
  core.step = () => {
    runs += 1;
    if (runs === 1) { core.view.setUint32(S.ACTIVITY_STATE, 1, true); clock.advanceNs(1000); return 12; }
    expect(core.takeEntryEvent()).toBe(0x8000_0033);
    expect(core.view.getUint32(S.ACTIVITY_STATE, true)).toBe(0);
    stop();
    return 1;
  };
  vcpu.run();
  expect(runs).toBe(2);
});

test('an AP waits for SIPI and starts in real mode at vector << 12', () => {
  const { shared, core, vcpu, lines, stop } = machine([0, 1], 1);
  expect(core.view.getUint32(S.ACTIVITY_STATE, true)).toBe(3);
  Atomics.store(shared.words, (shared.vcpu(1) + 0x1040) / 4, 0x9a);
  shared.postEvent(1, EVENT_INIT | EVENT_SIPI);
  core.step = () => {
    expect(core.view.getUint16(S.SEG_SELECTOR + 2, true)).toBe(0x9a00);
    expect(core.view.getBigUint64(S.SEG_BASE + 8, true)).toBe(0x9a000n);
    expect(core.view.getBigUint64(S.RIP, true)).toBe(0n);
    stop();
    return 1;
  };
  vcpu.run();
  expect(lines).toEqual(['VM1 vCPU1: Start Secondary VCPU1 for VM[1]...']);
});

test('a second SIPI is ignored', () => {
  const { shared, core, vcpu, stop } = machine([0, 1], 1);
  shared.postEvent(1, EVENT_SIPI);
  let runs = 0;
  core.step = () => {
    runs += 1;
    if (runs === 1) { core.view.setBigUint64(S.RIP, 0x1234n, true); shared.postEvent(1, EVENT_SIPI); return 1; }
    expect(core.view.getBigUint64(S.RIP, true)).toBe(0x1234n);
    stop();
    return 1;
  };
  vcpu.run();
});

test('the 8259 comes before the vLAPIC and is acknowledged when injected', () => {
  const { shared, vm, core, vcpu, stop } = machine();
  core.rflags = IF;
  vcpu.vlapic.mmioWrite(0x350, 4, 0x700); // LINT0 ExtINT
  for (const [port, value] of [[0x20, 0x11], [0x21, 0x30], [0x21, 4], [0x21, 1], [0x21, 0]] as const) vm.vpic.portWrite(port, value);
  vm.vpic.setIrqline(4, 'rising-pulse');
  acceptIntr(shared, 0, 0x80, false);
  const events: Array<number | undefined> = [];
  core.step = () => { events.push(core.takeEntryEvent()); if (events.length === 2) stop(); return 7; };
  vcpu.run();
  expect(events).toEqual([0x8000_0034, 0x8000_0080]);
});

test('a triple fault ends the loop and says where', () => {
  const { core, vcpu } = machine();
  core.view.setBigUint64(S.RIP, 0xdead0n, true);
  core.step = () => 2;
  expect(vcpu.run()).toMatchObject({ how: 'triplefault', detail: expect.stringContaining('0xdead0') });
});

test('CPUID writes 64-bit registers with a zero upper half', () => {
  const { core, vcpu } = machine();
  for (let i = 0; i < 4; i++) core.view.setBigUint64(S.GPR + i * 8, 0xffff_ffff_4000_0000n, true);
  expect(vmexitHandler(vcpu, 10)).toBe(0);
  expect(core.view.getBigUint64(S.GPR, true)).toBe(0x4000_0010n);
  expect(core.view.getBigUint64(S.GPR + 24, true)).toBe(0x4e52_4341n);
});

test('RDMSR of an unknown register raises #GP(0)', () => {
  const { core, vcpu } = machine();
  core.view.setBigUint64(S.GPR + 8, 0x1234n, true);
  expect(vmexitHandler(vcpu, 31)).toBe(1);
  expect(core.view.getUint32(S.ENTRY_INTR_INFO, true)).toBe(0x8000_0b0d);
});

test('VMCALL of a User VM: #UD in ring 0, #GP(0) outside', () => {
  const { core, vcpu } = machine();
  expect(vmexitHandler(vcpu, 18)).toBe(1);
  expect(core.view.getUint32(S.ENTRY_INTR_INFO, true)).toBe(0x8000_0306);
  core.view.setUint32(S.CPL, 3, true);
  vmexitHandler(vcpu, 18);
  expect(core.view.getUint32(S.ENTRY_INTR_INFO, true)).toBe(0x8000_0b0d);
});

test('the vLAPIC page and the vIOAPIC answer without the device model', () => {
  const { core, vcpu } = machine();
  const read = (gpa: bigint) => {
    core.view.setBigUint64(S.EXIT_QUALIFICATION, 1n, true);
    core.view.setBigUint64(S.EXIT_GPA, gpa, true);
    core.view.setUint32(S.EXIT_SIZE, 4, true);
    expect(vmexitHandler(vcpu, 48)).toBe(0);
    return core.view.getBigUint64(S.EXIT_DATA, true);
  };
  expect(read(0xfee0_0030n)).toBe(0x0006_0010n);
  expect(read(0xfec0_0000n)).toBe(0n);
});
