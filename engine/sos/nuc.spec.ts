/** Hand-assembled guests through the whole path: core, hypervisor, I/O request page, VHM. */
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createNuc, type AcrnVcpuRegs, type IoRequest, type Nuc, type VhmVm } from './index.ts';

const MIB = 2 ** 20;
let nuc: Nuc;
const log: string[] = [];
beforeAll(async () => { nuc = await createNuc({ memoryMiB: 64, pcpus: 2, log: (line) => log.push(line) }); }, 60_000);
afterAll(async () => { await nuc?.close(); });

const made: VhmVm[] = [];
afterEach(async () => { for (const vm of made.splice(0)) await vm.destroy(); });

const none = { base: 0n, limit: 0 };
const realMode = (ip: number): AcrnVcpuRegs => ({
  gpr: { rsp: 0x8000n }, rip: BigInt(ip), cr0: 0x30n, cr3: 0n, cr4: 0n, ia32Efer: 0n, gdt: none, idt: { base: 0n, limit: 0x3ff },
  csSel: 0, csBase: 0n, csLimit: 0xffff, csAr: 0x9f, dataSel: 0,
});
/** Long mode on a 1:1 map of 4 GiB, IDT at 0x3000, GDT at 0x4000. */
const longMode = (rip: number): AcrnVcpuRegs => ({
  gpr: { rsp: 0x9000n }, rip: BigInt(rip), cr0: 0x8000_0033n, cr3: 0x1_0000n, cr4: 0x20n, ia32Efer: 0x500n,
  gdt: { base: 0x4000n, limit: 0x1f }, idt: { base: 0x3000n, limit: 0xfff }, csSel: 0x10, csBase: 0n, csLimit: 0xffff_ffff, csAr: 0xa09b, dataSel: 0x18,
});

function poke(vm: VhmVm, gpa: number, bytes: number[]): void {
  vm.memory.view(gpa, bytes.length)!.set(bytes);
  vm.memory.written(gpa, bytes.length);
}
function poke64(vm: VhmVm, gpa: number, value: bigint): void {
  poke(vm, gpa, Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(i * 8)) & 0xffn)));
}
function longModeTables(vm: VhmVm): void {
  poke64(vm, 0x1_0000, 0x1_1003n);
  for (let g = 0; g < 4; g++) {
    poke64(vm, 0x1_1000 + g * 8, BigInt(0x1_2000 + g * 0x1000) | 3n);
    for (let i = 0; i < 512; i++) poke64(vm, 0x1_2000 + g * 0x1000 + i * 8, (BigInt(g) << 30n) | (BigInt(i) << 21n) | 0x83n);
  }
  poke64(vm, 0x4010, 0x00af_9b00_0000_ffffn);
  poke64(vm, 0x4018, 0x00cf_9300_0000_ffffn);
}
/** Interrupt gate to a handler in the first 64 KiB. */
function gate(vm: VhmVm, vector: number, handler: number): void {
  poke64(vm, 0x3000 + vector * 16, 0x0000_8e00_0010_0000n | BigInt(handler));
}

/** Makes a VM, runs it, and hands out what it writes to port 0x3F8, one character at a time. */
async function guest(name: string, cpuAffinity: number[], prepare: (vm: VhmVm) => void) {
  const vm = await nuc.createVm({ name, uuid: '', cpuAffinity, memory: [{ gpa: 0, sizeBytes: 4 * MIB }], cpuModel: 'nuc' });
  made.push(vm);
  let text = '';
  let waiting: { wanted: string; resolve(): void } | undefined;
  const requests: IoRequest[] = [];
  vm.attachIoreqClient((request) => {
    requests.push({ ...request });
    if (request.type === 'pio' && request.address === 0x3f8 && request.direction === 'write') text += String.fromCharCode(Number(request.value));
    if (request.type === 'pio' && request.address === 0x60) request.value = 0x5an;
    if (waiting !== undefined && text.endsWith(waiting.wanted)) waiting.resolve();
  });
  const until = (wanted: string): Promise<void> => (text.endsWith(wanted) ? Promise.resolve() : new Promise((resolve) => { waiting = { wanted, resolve }; }));
  prepare(vm);
  return { vm, until, requests, text: () => text };
}

test('an OUT reaches the I/O request client and an IN gets its answer', async () => {
  const { vm, until, requests } = await guest('pio', [0], (m) => {
    // in al, 0x60; mov dx, 0x3f8; out dx, al; hlt
    poke(m, 0x1000, [0xe4, 0x60, 0xba, 0xf8, 0x03, 0xee, 0xf4]);
    m.setBspRegs(realMode(0x1000));
  });
  vm.run();
  await until('Z');
  await vi.waitFor(() => expect(nuc.stats(vm.vmid).exits.HLT).toBe(1));
  expect(requests).toMatchObject([
    { type: 'pio', direction: 'read', address: 0x60, size: 1, vcpuId: 0 },
    { type: 'pio', direction: 'write', address: 0x3f8, size: 1, value: 0x5an },
  ]);
  await vm.pause();
  const stats = nuc.stats(vm.vmid);
  expect(stats.exits.IO_INSTRUCTION).toBe(2);
  expect(stats.exits.HLT).toBe(1);
  expect(stats.instructions).toBe(4);
  await vm.destroy();
  expect(nuc.info().memoryUsedMiB).toBe(0);
}, 30_000);

test('an MSI runs the IDT handler of a halted long-mode guest, again and again', async () => {
  const { vm, until } = await guest('msi', [0], (m) => {
    longModeTables(m);
    gate(m, 0x40, 0x6000);
    // mov eax, 0xfee000f0; mov dword [rax], 0x1ff; mov dx, 0x3f8; mov al, 'R'; out dx, al; sti; hlt; jmp to hlt
    poke(m, 0x5000, [0xb8, 0xf0, 0x00, 0xe0, 0xfe, 0xc7, 0x00, 0xff, 0x01, 0x00, 0x00, 0x66, 0xba, 0xf8, 0x03, 0xb0, 0x52, 0xee, 0xfb, 0xf4, 0xeb, 0xfd]);
    // mov al, 'I'; mov dx, 0x3f8; out dx, al; mov eax, 0xfee000b0; mov dword [rax], 0; iretq
    poke(m, 0x6000, [0xb0, 0x49, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xb8, 0xb0, 0x00, 0xe0, 0xfe, 0xc7, 0x00, 0, 0, 0, 0, 0x48, 0xcf]);
    m.setBspRegs(longMode(0x5000));
  });
  vm.run();
  await until('R');
  vm.injectMsi(0xfee0_0000, 0x40);
  await until('RI');
  vm.injectMsi(0xfee0_0000, 0x40);
  await until('RII');
  await vm.pause();
  vm.injectMsi(0xfee0_0000, 0x40); // posted while paused
  vm.resume();
  await until('RIII');
  await vm.destroy();
}, 30_000);

test('the TSC-deadline timer wakes HLT', async () => {
  const { vm, until } = await guest('timer', [1], (m) => {
    longModeTables(m);
    gate(m, 0xec, 0x6000);
    poke(m, 0x5000, [
      0xb8, 0xf0, 0x00, 0xe0, 0xfe, 0xc7, 0x00, 0xff, 0x01, 0x00, 0x00, // SVR = 0x1ff
      0xb8, 0x20, 0x03, 0xe0, 0xfe, 0xc7, 0x00, 0xec, 0x00, 0x04, 0x00, // LVT timer = TSC deadline, vector 0xec
      0x0f, 0x31, 0x05, 0x00, 0x09, 0x3d, 0x00, 0x83, 0xd2, 0x00, 0xb9, 0xe0, 0x06, 0x00, 0x00, 0x0f, 0x30, // rdtsc; + 4,000,000; wrmsr 0x6e0
      0xfb, 0xf4, 0xeb, 0xfd,
    ]);
    poke(m, 0x6000, [0xb0, 0x54, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xb8, 0xb0, 0x00, 0xe0, 0xfe, 0xc7, 0x00, 0, 0, 0, 0, 0x48, 0xcf]);
    m.setBspRegs(longMode(0x5000));
  });
  vm.run();
  await until('T');
  await vm.destroy();
}, 30_000);

test('INIT and SIPI start the second vCPU in real mode at vector << 12', async () => {
  const { vm, until, requests } = await guest('smp', [0, 1], (m) => {
    longModeTables(m);
    poke(m, 0x5000, [
      0xb8, 0x10, 0x03, 0xe0, 0xfe, 0xc7, 0x00, 0x00, 0x00, 0x00, 0x01, // ICR high: destination 1
      0xb8, 0x00, 0x03, 0xe0, 0xfe, 0xc7, 0x00, 0x00, 0x45, 0x00, 0x00, // INIT
      0xc7, 0x00, 0x07, 0x46, 0x00, 0x00, // STARTUP, vector 7
      0xfa, 0xf4,
    ]);
    poke(m, 0x7000, [0xba, 0xf8, 0x03, 0xb0, 0x50, 0xee, 0xfa, 0xf4]); // mov dx, 0x3f8; mov al, 'P'; out dx, al; cli; hlt
    m.setBspRegs(longMode(0x5000));
  });
  vm.run();
  await until('P');
  expect(requests.at(-1)).toMatchObject({ vcpuId: 1 });
  await vm.pause(); // the threads' log lines came before
  expect(log.some((line) => line.includes('Start Secondary VCPU1 for VM[1]...'))).toBe(true);
  await vm.destroy();
}, 30_000);

test('an ioeventfd write does not wait; MMIO outside RAM is a request', async () => {
  const { vm, until, requests } = await guest('kick', [0], (m) => {
    longModeTables(m);
    // mov eax, 0xd0000000; mov dword [rax], 7; mov dword [rax+4], 9; mov dx, 0x3f8; mov al, 'K'; out; cli; hlt
    poke(m, 0x5000, [0xb8, 0, 0, 0, 0xd0, 0xc7, 0x00, 7, 0, 0, 0, 0xc7, 0x40, 0x04, 9, 0, 0, 0, 0x66, 0xba, 0xf8, 0x03, 0xb0, 0x4b, 0xee, 0xfa, 0xf4]);
    m.setBspRegs(longMode(0x5000));
  });
  let kicks = 0;
  vm.assignIoeventfd({ space: 'mmio', address: 0xd000_0000, size: 4 }, () => { kicks += 1; });
  vm.run();
  await until('K');
  expect(kicks).toBe(1);
  expect(requests[0]).toMatchObject({ type: 'mmio', direction: 'write', address: 0xd000_0004, size: 4, value: 9n });
  expect(requests.length).toBe(2);
  await vm.destroy();
}, 30_000);

test('a triple fault stops the VM and says where', async () => {
  const { vm } = await guest('triple', [0], (m) => {
    longModeTables(m);
    poke(m, 0x5000, [0x0f, 0x0b]); // ud2, with an empty IDT
    m.setBspRegs(longMode(0x5000));
  });
  const told = new Promise<[string, string]>((resolve) => { vm.onSuspend((how, detail) => resolve([how, detail])); });
  vm.run();
  const [how, detail] = await told;
  expect(how).toBe('triplefault');
  expect(detail).toContain('0x5000');
  await vm.destroy();
}, 30_000);

test('reset puts the vCPUs back and the VM runs again; its memory is kept', async () => {
  const { vm, until } = await guest('reset', [0], (m) => {
    poke(m, 0x1000, [0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xf4]);
    m.setBspRegs(realMode(0x1000));
  });
  vm.run();
  await until('A');
  await vm.reset();
  vm.setBspRegs(realMode(0x1000));
  vm.run();
  await until('AA');
  await vm.destroy();
}, 30_000);

test('pCPUs, names and memory are given to one VM at a time; memory of a new VM is zero', async () => {
  const creation = { name: 'a', uuid: '', cpuAffinity: [0], memory: [{ gpa: 0, sizeBytes: 32 * MIB }], cpuModel: 'nuc' as const };
  const a = await nuc.createVm(creation);
  a.memory.view(0, 4)!.fill(7);
  await expect(nuc.createVm({ ...creation, name: 'b' })).rejects.toMatchObject({ code: 'PCPU_TAKEN' });
  await expect(nuc.createVm({ ...creation, cpuAffinity: [1] })).rejects.toMatchObject({ code: 'VM_NAME_TAKEN' });
  await expect(nuc.createVm({ ...creation, name: 'b', cpuAffinity: [7] })).rejects.toMatchObject({ code: 'NO_SUCH_PCPU' });
  await expect(nuc.createVm({ ...creation, name: 'b', cpuAffinity: [1], memory: [{ gpa: 0, sizeBytes: 34 * MIB }] })).rejects.toMatchObject({ code: 'NOT_ENOUGH_MEMORY' });
  expect(nuc.info()).toEqual({ pcpus: [{ id: 0, vm: 'a', vcpuId: 0 }, { id: 1 }], memoryUsedMiB: 32 });
  await a.destroy();
  const again = await nuc.createVm(creation);
  expect([...again.memory.view(0, 4)!]).toEqual([0, 0, 0, 0]);
  await again.destroy();
}, 30_000);
