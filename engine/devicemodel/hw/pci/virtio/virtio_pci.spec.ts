/** The devices on the real PCI core: what a guest finds by config space alone. */
import { expect, test } from 'vitest';
import type { VhmVm } from '../../../../sos/vhm_if.ts';
import { InoutMap } from '../../../core/inout.ts';
import { MmioMap } from '../../../core/mem.ts';
import { PciBus } from '../core.ts';
import { PirqRouter } from '../irq.ts';
import type { PciDeviceClass, VmCtx } from '../pci_if.ts';
import { Vdev } from '../vdev.ts';
import { virtioClasses } from './index.ts';
import { MockChar, mockHost, MockMemory, MockQueue } from './mock_driver.ts';

interface Ioeventfd { space: string; address: number; size: number; data?: number }

async function board(className: string, config: string | undefined) {
  const memory = new MockMemory(1 << 20);
  const kicks: Array<{ at: Ioeventfd; kick: () => void }> = [];
  const messages: number[] = [];
  const vm = {
    memory,
    assignIoeventfd: (at: Ioeventfd, kick: () => void) => { const entry = { at, kick }; kicks.push(entry); return () => { kicks.splice(kicks.indexOf(entry), 1); }; },
    injectMsi: (_address: number, data: number) => { messages.push(data); },
    setIrqline: () => undefined,
  } as unknown as VhmVm;
  const log = () => undefined;
  const inout = new InoutMap(log);
  const mem = new MmioMap(log);
  const bus = new PciBus({ vm, inout, mem, irq: new PirqRouter(() => undefined) });
  const ctx: VmCtx = {
    name: 'vm', memory, virtioMsi: false, log, suspend: () => undefined,
    registerKick: (vdev, bar, offset, size, data, kick) => (vdev as Vdev).registerKick(bar, offset, size, data, kick),
  };
  const char = new MockChar();
  const host = mockHost({ openChar: async () => char });
  const vdev = await bus.add({ bus: 0, slot: 5, func: 0, device: className, config } as Parameters<PciBus['add']>[0], virtioClasses.find((known) => known.className === className) as PciDeviceClass, ctx, host);
  bus.route();
  const access = (map: InoutMap | MmioMap, type: 'pio' | 'mmio') => ({
    read: (address: number, size: number) => { const request = { type, vcpuId: 0, direction: 'read' as const, address, size, value: 0n }; map.emulate(request); return Number(request.value); },
    write: (address: number, size: number, value: number) => map.emulate({ type, vcpuId: 0, direction: 'write', address, size, value: BigInt(value) }),
  });
  return { bus, vdev, memory, kicks, messages, char, io: access(inout, 'pio'), mmio: access(mem, 'mmio') };
}

/** Walks the capability list as vp_modern_probe does. */
function findRegions(vdev: Vdev): Map<number, number> {
  const found = new Map<number, number>();
  for (let at = vdev.configRead(0x34, 1); at !== 0; at = vdev.configRead(at + 1, 1)) {
    if (vdev.configRead(at, 1) !== 9) continue;
    const bar = vdev.configRead(at + 4, 1);
    const base = vdev.configRead(0x10 + bar * 4, 4) & ~15;
    if (!found.has(vdev.configRead(at + 3, 1))) found.set(vdev.configRead(at + 3, 1), (base >>> 0) + vdev.configRead(at + 8, 4));
  }
  return found;
}

test('every class finds room for its capabilities and has both register layouts', async () => {
  for (const [name, config] of [['virtio-blk', 'nodisk'], ['virtio-console', '@pty:a'], ['virtio-rnd', undefined]] as const) {
    const { vdev, io } = await board(name, config);
    const regions = findRegions(vdev);
    expect([...regions.keys()].toSorted()).toEqual(name === 'virtio-rnd' ? [1, 2, 3, 5] : [1, 2, 3, 4, 5]);
    expect(io.read((vdev.configRead(0x10, 4) & ~3) + 12, 2)).toBe(64);
  }
});

test('a guest that knows only config space prints through virtio-console with MSI-X and an ioeventfd', async () => {
  const { bus, vdev, memory, kicks, messages, char, mmio } = await board('virtio-console', '@pty:a');
  const regions = findRegions(vdev);
  const common = regions.get(1) as number;
  const notify = regions.get(2) as number;
  const table = (vdev.configRead(0x14, 4) & ~15) >>> 0;
  for (let at = vdev.configRead(0x34, 1); at !== 0; at = vdev.configRead(at + 1, 1)) if (vdev.configRead(at, 1) === 0x11) vdev.configWrite(at + 2, 2, 0x8000);
  mmio.write(table + 16, 4, 0xfee0_0000);
  mmio.write(table + 24, 4, 0x41);
  mmio.write(table + 28, 4, 0);
  mmio.write(common + 0x14, 1, 3);
  mmio.write(common + 0x08, 4, 1);
  mmio.write(common + 0x0c, 4, 1);
  mmio.write(common + 0x14, 1, 11);
  expect(mmio.read(common + 0x14, 1)).toBe(11);
  const queue = new MockQueue(memory, 1, 0x1000, 64);
  mmio.write(common + 0x16, 2, 1);
  mmio.write(common + 0x1a, 2, 1);
  mmio.write(common + 0x20, 4, queue.desc);
  mmio.write(common + 0x28, 4, queue.avail);
  mmio.write(common + 0x30, 4, queue.used);
  mmio.write(common + 0x1c, 2, 1);
  mmio.write(common + 0x14, 1, 15);
  const offset = mmio.read(common + 0x1e, 2) * 4;
  memory.bytes.set(new TextEncoder().encode('hello'), 0x8000);
  queue.add([{ gpa: 0x8000, length: 5, write: false }]);
  kicks.find(({ at }) => at.space === 'mmio' && at.address === notify + offset)?.kick();
  expect(char.text).toBe('hello');
  expect(messages).toEqual([0x41]);
  expect(queue.returned()).toHaveLength(1);
  await bus.deinit();
  expect(kicks).toEqual([]);
  expect(char.closed).toBe(true);
});
