import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Board } from '../../core/board.ts';
import { FakeHost, FakeVm } from '../../testing/fake_vhm.ts';
import { hostbridge } from './hostbridge.ts';
import { lpcClass } from './lpc.ts';
import type { PciDevice, PciDeviceClass, PciVdev, VmCtx } from './pci_if.ts';
import { Vdev } from './vdev.ts';

interface Probe { vdev: PciVdev; accesses: string[]; resets: number }

async function setUp(init: (vdev: PciVdev, probe: Probe, ctx: VmCtx) => void, more: Array<{ slot: number; func: number }> = []) {
  const vm = new FakeVm(1, { name: 'vm1', uuid: '', cpuAffinity: [0], memory: [{ gpa: 0, sizeBytes: 2 ** 20 }], cpuModel: 'nuc' });
  const host = new FakeHost();
  const board = new Board({ vm, host, lowmem: 2 ** 20, highmem: 0, debugExit: false, suspend: () => {}, log: () => {} });
  vm.attachIoreqClient((request) => board.handle(request));
  const probes: Probe[] = [];
  const ctx: VmCtx = {
    name: 'vm1', memory: vm.memory, virtioMsi: false, log: () => {}, suspend: () => {},
    registerKick: (vdev, bar, offset, size, data, kick) => (vdev as Vdev).registerKick(bar, offset, size, data, kick),
  };
  const probeClass: PciDeviceClass = {
    className: 'probe',
    async init(c, vdev): Promise<PciDevice> {
      const probe: Probe = { vdev, accesses: [], resets: 0 };
      probes.push(probe);
      vdev.setCfgData16(0, 0x1234);
      vdev.setCfgData16(2, 0x5678);
      init(vdev, probe, c);
      return {
        barRead: (bar, offset, size) => { probe.accesses.push(`r${bar}+${offset}/${size}`); return 0x11223344; },
        barWrite: (bar, offset, size, value) => { probe.accesses.push(`w${bar}+${offset}/${size}=${value.toString(16)}`); },
        reset: () => { probe.resets += 1; },
        deinit: async () => {},
      };
    },
  };
  for (const at of [{ slot: 3, func: 0 }, ...more]) await board.pci.add({ bus: 0, ...at, device: 'probe', config: undefined }, probeClass, ctx, host);
  board.pci.route();
  return { vm, board, host, ctx, probes, probe: probes[0] };
}

test('an absent function reads all ones', async () => {
  const { vm } = await setUp(() => {});
  expect(vm.cfgRead(9, 0)).toBe(0xffffffff);
  expect(vm.cfgRead(9, 0, 2)).toBe(0xffff);
});

test('CF8/CFC requests and ECAM show the same configuration space', async () => {
  const { vm } = await setUp(() => {});
  expect(vm.cfgRead(3, 0)).toBe(0x56781234);
  expect(vm.mmioRead(0xe0000000 + (3 << 15))).toBe(0x56781234n);
  expect(vm.mmioRead(0xe0000000 + (3 << 15) + 2, 2)).toBe(0x5678n);
});

test('identification is read only, the interrupt line is not', async () => {
  const { vm } = await setUp(() => {});
  vm.cfgWrite(3, 0, 0);
  vm.cfgWrite(3, 0x3c, 11, 1);
  expect(vm.cfgRead(3, 0)).toBe(0x56781234);
  expect(vm.cfgRead(3, 0x3c, 1)).toBe(11);
});

test('extended configuration space reads all ones, except 0x100 which ends the list', async () => {
  const { vm } = await setUp(() => {});
  expect(vm.mmioRead(0xe0000000 + (3 << 15) + 0x100)).toBe(0n);
  expect(vm.mmioRead(0xe0000000 + (3 << 15) + 0x104)).toBe(0xffffffffn);
});

test('writing ones to a BAR tells its size and type, and the address can be put back', async () => {
  const { vm } = await setUp((vdev) => { vdev.allocBar(0, 'io', 24); vdev.allocBar(1, 'mem32', 4096); vdev.allocBar(4, 'mem64', 16384); });
  const size = (bar: number) => {
    const old = vm.cfgRead(3, 0x10 + bar * 4);
    vm.cfgWrite(3, 0x10 + bar * 4, 0xffffffff);
    const value = vm.cfgRead(3, 0x10 + bar * 4);
    vm.cfgWrite(3, 0x10 + bar * 4, old);
    expect(vm.cfgRead(3, 0x10 + bar * 4)).toBe(old);
    return value;
  };
  expect(size(0)).toBe(0xffe1);
  expect(size(1)).toBe(0xfffff000);
  expect(size(2)).toBe(0);
  expect(size(4)).toBe(0xffffc004);
  expect(size(5)).toBe(0xffffffff);
});

test('BARs start in ACRN\'s windows: I/O from 0x2000, memory from 2 GiB', async () => {
  const { vm } = await setUp((vdev) => { vdev.allocBar(0, 'io', 8); vdev.allocBar(1, 'mem32', 4096); });
  expect(vm.cfgRead(3, 0x10)).toBe(0x2001);
  expect(vm.cfgRead(3, 0x14)).toBe(0x80000000);
});

test('a BAR answers where the guest moved it and no longer where it was', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.allocBar(1, 'mem32', 4096); });
  vm.cfgWrite(3, 0x14, 0x90000000);
  expect(vm.mmioRead(0x80000010)).toBe(0xffffffffn);
  expect(vm.mmioRead(0x90000010)).toBe(0x11223344n);
  expect(probe.accesses).toEqual(['r1+16/4']);
});

test('two BARs that overlap for a moment both work once they part', async () => {
  const { vm, probes } = await setUp((vdev) => { vdev.allocBar(1, 'mem32', 4096); }, [{ slot: 4, func: 0 }]);
  const second = vm.cfgRead(4, 0x14);
  vm.cfgWrite(3, 0x14, second);
  vm.cfgWrite(4, 0x14, 0x80000000);
  vm.mmioWrite(second, 1n);
  vm.mmioWrite(0x80000000, 2n);
  expect(probes[0].accesses).toEqual(['w1+0/4=1']);
  expect(probes[1].accesses).toEqual(['w1+0/4=2']);
});

test('a BAR moved outside the windows is not decoded', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.allocBar(1, 'mem32', 4096); });
  vm.cfgWrite(3, 0x14, 0xfee00000);
  vm.mmioWrite(0xfee00000, 1n);
  expect(probe.accesses).toEqual([]);
  expect(probe.vdev.barBase(1)).toBeUndefined();
});

test('clearing a command bit stops decoding, setting it resumes', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.allocBar(0, 'io', 8); });
  vm.cfgWrite(3, 4, 0x0006, 2);
  expect(vm.in(0x2000)).toBe(0xff);
  vm.cfgWrite(3, 4, 0x0007, 2);
  expect(vm.in(0x2000)).toBe(0x44);
  expect(probe.accesses).toEqual(['r0+0/1']);
});

test('an 8 byte access is two of 4, low half first', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.allocBar(1, 'mem32', 4096); });
  vm.mmioWrite(0x80000008, 0x1111111122222222n, 8);
  expect(probe.accesses).toEqual(['w1+8/4=22222222', 'w1+12/4=11111111']);
});

test('a kick follows its BAR, and is gone while the BAR is not decoded', async () => {
  let kicked = 0;
  const { vm } = await setUp((vdev, _probe, ctx) => {
    vdev.allocBar(0, 'io', 32);
    ctx.registerKick(vdev, 0, 16, 2, 1, () => { kicked += 1; });
  });
  const at = () => [...vm.kicks].map(({ space, address, size, data }) => ({ space, address, size, data }));
  expect(at()).toEqual([{ space: 'pio', address: 0x2010, size: 2, data: 1 }]);
  vm.cfgWrite(3, 0x10, 0x4000);
  expect(at()).toEqual([{ space: 'pio', address: 0x4010, size: 2, data: 1 }]);
  vm.cfgWrite(3, 4, 0, 2);
  expect(at()).toEqual([]);
  vm.cfgWrite(3, 4, 1, 2);
  [...vm.kicks][0].kick();
  expect(kicked).toBe(1);
});

test('capabilities are chained from 0x40 and their first two bytes are read only', async () => {
  const { vm } = await setUp((vdev) => { vdev.addCapability(Uint8Array.of(9, 0, 6, 0, 1, 2)); vdev.addMsiCap(1); });
  expect(vm.cfgRead(3, 0x34, 1)).toBe(0x40);
  expect(vm.cfgRead(3, 6, 2) & 0x10).toBe(0x10);
  vm.cfgWrite(3, 0x40, 0xffffffff);
  expect(vm.cfgRead(3, 0x40, 2)).toBe(0x4809);
  expect(vm.cfgRead(3, 0x48, 2)).toBe(0x0005);
});

test('MSI sends the programmed message plus the vector, as many as were allowed', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.addMsiCap(4); });
  probe.vdev.generateMsi(0);
  expect(vm.msis).toEqual([]);
  expect(vm.cfgRead(3, 0x42, 2)).toBe(0x0084);
  vm.cfgWrite(3, 0x44, 0xfee00003);
  vm.cfgWrite(3, 0x4c, 0x4040, 2);
  vm.cfgWrite(3, 0x42, 0x0011, 2); // enable, two messages
  probe.vdev.generateMsi(1);
  probe.vdev.generateMsi(2);
  expect(vm.msis).toEqual([{ address: 0xfee00000, data: 0x4041 }]);
});

test('MSI-X vectors start masked; a masked one is pending and is sent on unmask', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.addMsixCap(3, 1); });
  expect(vm.cfgRead(3, 0x42, 2)).toBe(2);
  expect(vm.cfgRead(3, 0x44)).toBe(1);
  expect(vm.cfgRead(3, 0x48)).toBe(0x1001);
  const table = 0x80000000;
  expect(vm.mmioRead(table + 16 + 12)).toBe(1n);
  vm.mmioWrite(table + 16, 0xfee01000n, 8);
  vm.mmioWrite(table + 24, 0x31n);
  vm.cfgWrite(3, 0x42, 0x8000, 2);
  expect(probe.vdev.msixEnabled()).toBe(true);
  probe.vdev.generateMsix(1);
  expect(vm.msis).toEqual([]);
  expect(vm.mmioRead(table + 0x1000)).toBe(2n);
  vm.mmioWrite(table + 16 + 12, 0n);
  expect(vm.msis).toEqual([{ address: 0xfee01000, data: 0x31 }]);
  expect(vm.mmioRead(table + 0x1000)).toBe(0n);
  probe.vdev.generateMsix(1);
  probe.vdev.generateMsix(7);
  expect(vm.msis.length).toBe(2);
  expect(probe.accesses).toEqual([]);
});

test('the function mask holds every vector back', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.addMsixCap(1, 1); });
  vm.mmioWrite(0x8000000c, 0n);
  vm.cfgWrite(3, 0x42, 0xc000, 2);
  probe.vdev.generateMsix(0);
  expect(vm.msis).toEqual([]);
  vm.cfgWrite(3, 0x42, 0x8000, 2);
  expect(vm.msis.length).toBe(1);
});

test('INTx drives GSI 16 and the routed IRQ, and not while MSI is on or it is disabled', async () => {
  const { vm, probe } = await setUp((vdev) => { vdev.lintrRequest(); vdev.addMsiCap(1); });
  expect(vm.cfgRead(3, 0x3d, 1)).toBe(1);
  const irq = vm.cfgRead(3, 0x3c, 1);
  expect([3, 4, 5, 6, 7]).toContain(irq);
  probe.vdev.lintrAssert();
  expect(vm.irqs).toEqual([`${irq} set-high`, '16 set-high']);
  expect(vm.cfgRead(3, 6, 2) & 8).toBe(8);
  vm.cfgWrite(3, 4, 0x0407, 2);
  expect(vm.irqs.slice(2)).toEqual([`${irq} set-low`, '16 set-low']);
  vm.cfgWrite(3, 4, 0x0007, 2);
  expect(vm.irqs.slice(4)).toEqual([`${irq} set-high`, '16 set-high']);
  vm.cfgWrite(3, 0x42, 1, 2);
  expect(vm.irqs.slice(6)).toEqual([`${irq} set-low`, '16 set-low']);
});

test('functions of a slot take the least used pins and the header says multifunction', async () => {
  const { vm, probes } = await setUp((vdev) => { vdev.lintrRequest(); }, [{ slot: 3, func: 1 }, { slot: 4, func: 0 }]);
  expect(probes.map((probe) => probe.vdev.getCfgData8(0x3d))).toEqual([1, 2, 1]);
  expect(vm.cfgRead(3, 0x0e, 1)).toBe(0x80);
  expect(vm.cfgRead(3, 0x0e, 1, 1)).toBe(0x80);
  expect(vm.cfgRead(4, 0x0e, 1)).toBe(0);
});

test('a system reset puts BARs, command and interrupts back', async () => {
  const { vm, board, probe } = await setUp((vdev) => { vdev.allocBar(1, 'mem32', 4096); vdev.lintrRequest(); });
  vm.cfgWrite(3, 0x14, 0x90000000);
  vm.cfgWrite(3, 4, 0, 2);
  probe.vdev.lintrAssert();
  board.reset();
  expect(probe.resets).toBe(1);
  expect(vm.cfgRead(3, 0x14)).toBe(0x80000000);
  expect(vm.cfgRead(3, 4, 2)).toBe(7);
  expect(probe.vdev.barBase(1)).toBe(0x80000000);
  expect(vm.irqs.at(-1)).toBe('16 set-low');
});

test('the host bridge is 1275:1275 with a PCI Express root port capability', async () => {
  const { vm, board, ctx, host } = await setUp(() => {});
  await board.pci.add({ bus: 0, slot: 0, func: 0, device: 'hostbridge', config: undefined }, hostbridge, ctx, host);
  expect(vm.cfgRead(0, 0)).toBe(0x12751275);
  expect(vm.cfgRead(0, 8)).toBe(0x06000000);
  expect(vm.cfgRead(0, 0x40)).toBe(0x00420010);
  expect(vm.cfgRead(0, 0x4c)).toBe(0x411);
});

test('the lpc bridge routes PIRQs by single bytes at 0x60 and 0x68', async () => {
  const { vm, board, ctx, host, probe } = await setUp((vdev) => { vdev.lintrRequest(); });
  const lpc = lpcClass({ inout: board.inout, irq: board.irq, setIrqline: (gsi, op) => vm.setIrqline(gsi, op), config: {} });
  await board.pci.add({ bus: 0, slot: 31, func: 0, device: 'lpc', config: undefined }, lpc, ctx, host);
  const irq = vm.cfgRead(31, 0x60, 1);
  probe.vdev.lintrAssert();
  vm.cfgWrite(31, 0x60, 11, 1);
  expect(vm.irqs.slice(-2)).toEqual([`${irq} set-low`, '11 set-high']);
  vm.cfgWrite(31, 0x60, 0x80, 1);
  expect(vm.irqs.at(-1)).toBe('11 set-low');
  expect(vm.cfgRead(31, 0x60)).toBe(0x80808080);
  vm.cfgWrite(31, 0x68, 5, 2);
  expect(vm.cfgRead(31, 0x68, 1)).toBe(0x80);
});

test('COM1 pulses IRQ 4, a 16 bit access is two registers, 32 bits are refused', async () => {
  const { vm, board, ctx, host } = await setUp(() => {});
  const lpc = lpcClass({ inout: board.inout, irq: board.irq, setIrqline: (gsi, op) => vm.setIrqline(gsi, op), config: { com1: 'stdio' } });
  await board.pci.add({ bus: 0, slot: 31, func: 0, device: 'lpc', config: undefined }, lpc, ctx, host);
  vm.out(0x3f9, 0x02);
  expect(vm.irqs).toEqual(['4 rising-pulse']);
  vm.out(0x3f8, 0x0041, 2);
  expect(host.chars[0].backend.text).toBe('A');
  expect(vm.in(0x3fc, 4)).toBe(0xffffffff);
  expect(vm.in(0x3ff)).toBe(0);
  await expect(board.pci.add({ bus: 0, slot: 30, func: 0, device: 'lpc', config: undefined }, lpc, ctx, host)).rejects.toThrow('one lpc');
});

test('no sequence of configuration and BAR accesses throws, and values stay in their width', async () => {
  const { vm, board } = await setUp((vdev, _probe, ctx) => {
    vdev.allocBar(0, 'io', 32);
    vdev.allocBar(2, 'mem64', 2 ** 20);
    vdev.addMsiCap(32);
    vdev.addMsixCap(35, 1);
    vdev.lintrRequest();
    ctx.registerKick(vdev, 0, 16, 2, undefined, () => {});
  });
  fc.assert(fc.property(fc.array(fc.record({ offset: fc.nat(0xfff), size: fc.constantFrom(1, 2, 4), value: fc.nat(0xffffffff), kind: fc.nat(3) }), { maxLength: 80 }), (accesses) => {
    for (const { offset, size, value, kind } of accesses) {
      const small = kind === 0 ? offset & 0xff : offset;
      const aligned = small - (small % size);
      if (value & 1) vm.mmioWrite(0xe0000000 + (3 << 15) + aligned, BigInt(value), size);
      else expect(vm.mmioRead(0xe0000000 + (3 << 15) + aligned, size)).toBeLessThan(1n << BigInt(8 * size));
      vm.out(value & 0xffff, value, size);
      vm.mmioWrite(0x80000000 + aligned, BigInt(value), size);
    }
    expect(vm.kicks.size).toBeLessThanOrEqual(1);
    board.reset();
  }), { seed: 4, numRuns: 200 });
});
