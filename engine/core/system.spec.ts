import { beforeAll, expect, test } from 'vitest';
import { EXIT } from './core.ts';
import { S } from './gen/state.ts';
import {
  DATA, FREE_SELECTOR, HANDLERS, IDT, IST_STACK, KERNEL_CODE, KERNEL_CS, KERNEL_SS, KERNEL_STACK, P, PML4, RW, SystemMachine, TSS, TSS_SELECTOR, USER_CODE,
  USER_CS, USER_CS32, USER_SS, USER_STACK, code, descriptor,
} from './system_test_machine.ts';

const RAX = 0; const RCX = 1; const RDX = 2; const RBX = 3; const RSP = 4; const RSI = 6; const RDI = 7; const R11 = 11;
const IF = 0x200;

let m: SystemMachine;
beforeAll(async () => { m = await SystemMachine.create(); });

// ---- delivery in 64-bit mode

test('INT 80h from CPL 3 switches to RSP0 and pushes SS, RSP, RFLAGS, CS and the following RIP', () => {
  m.long(3);
  m.setGate64(0x80, { dpl: 3 });
  m.core.setFlags(IF | 2);
  m.run('cd80');
  expect(m.vector).toBe(0x80);
  expect(m.cpl).toBe(0);
  expect(m.gpr(RSP)).toBe(BigInt(KERNEL_STACK - 40));
  expect(m.frame(5)).toEqual([BigInt(USER_CODE + 2), BigInt(USER_CS), BigInt(IF | 2), BigInt(USER_STACK), BigInt(USER_SS)]);
  expect([m.selector(1), m.selector(2)]).toEqual([KERNEL_CS, 0]);
  expect(m.core.flags() & IF).toBe(0);
});

test('a trap gate keeps IF, an interrupt gate clears it', () => {
  for (const [type, kept] of [[0xf, IF], [0xe, 0]] as const) {
    m.long();
    m.setGate64(0x80, { type });
    m.core.setFlags(IF | 2);
    m.run('cd80');
    expect(m.core.flags() & IF).toBe(kept);
  }
});

test('INT n through a gate of a lower DPL raises #GP with the vector in its error code', () => {
  m.long(3);
  m.run('cd80');
  expect([m.vector, ...m.frame(2)]).toEqual([13, BigInt(0x80 * 8 + 2), BigInt(USER_CODE)]);
});

test('an interrupt stack table entry is used at any privilege level, aligned to 16 bytes', () => {
  m.long();
  m.setU64(TSS + 36, BigInt(IST_STACK + 8));
  m.setGate64(14, { ist: 1 });
  m.setGpr(RDI, BigInt(0x1234_5678));
  m.run('8a07');
  expect(m.vector).toBe(14);
  expect(m.gpr(RSP)).toBe(BigInt(IST_STACK - 48));
  expect(m.frame(6)).toEqual([0n, BigInt(KERNEL_CODE), BigInt(KERNEL_CS), 0x1_0002n, BigInt(KERNEL_STACK), BigInt(KERNEL_SS)]);
});

test('without a privilege change the frame goes below the aligned current stack', () => {
  m.long();
  m.setGpr(RSP, BigInt(KERNEL_STACK - 4));
  m.run('0f0b');
  expect(m.vector).toBe(6);
  expect(m.gpr(RSP)).toBe(BigInt(KERNEL_STACK - 16 - 40));
  expect(m.frame(4)[3]).toBe(BigInt(KERNEL_STACK - 4));
});

test('a page fault whose delivery faults becomes a double fault with error code 0', () => {
  m.long();
  m.setGate64(14, { present: false });
  m.setGpr(RDI, 0x1234_5678n);
  m.run('8a07');
  expect([m.vector, ...m.frame(2)]).toEqual([8, 0n, BigInt(KERNEL_CODE)]);
});

test('a fault while delivering a double fault shuts the processor down', () => {
  m.long();
  m.setGate64(14, { present: false });
  m.setGate64(8, { present: false });
  m.setGpr(RDI, 0x1234_5678n);
  expect(m.run('8a07')).toBe(EXIT.TRIPLE_FAULT);
  expect(m.rip).toBe(BigInt(KERNEL_CODE));
  expect(m.core.u32(S.ACTIVITY_STATE)).toBe(2);
});

test('a benign exception followed by a contributory one is delivered in series', () => {
  m.long();
  m.setGate64(6, { present: false }); // #UD -> #NP
  m.run('0f0b');
  expect([m.vector, ...m.frame(2)]).toEqual([11, BigInt(6 * 8 + 3), BigInt(KERNEL_CODE)]);
});

test('IRETQ returns to CPL 3 with the flags of the frame', () => {
  m.long();
  m.put(USER_CODE, [0x0f, 0x01, 0xc1]);
  const frame = [USER_CODE, USER_CS, IF | 0x40 | 2, USER_STACK, USER_SS];
  frame.forEach((v, i) => m.setU64(KERNEL_STACK - 40 + i * 8, BigInt(v)));
  m.setGpr(RSP, BigInt(KERNEL_STACK - 40));
  expect(m.run('48cf')).toBe(EXIT.VMCALL);
  expect([m.cpl, m.rip, m.gpr(RSP), m.core.flags()]).toEqual([3, BigInt(USER_CODE + 3), BigInt(USER_STACK), IF | 0x40 | 2]);
  expect([m.selector(1), m.selector(2)]).toEqual([USER_CS, USER_SS]);
});

test('IRETQ to a 32-bit segment enters compatibility mode', () => {
  m.long();
  m.put(USER_CODE, [0x40, 0x0f, 0x01, 0xc1]); // inc eax there, a REX prefix in 64-bit mode
  [USER_CODE, USER_CS32, 2, USER_STACK, USER_SS].forEach((v, i) => m.setU64(KERNEL_STACK - 40 + i * 8, BigInt(v)));
  m.setGpr(RSP, BigInt(KERNEL_STACK - 40));
  m.run('48cf');
  expect([m.cpl, m.gpr(RAX)]).toEqual([3, 1n]);
});

test('IRETQ with a code selector of a more privileged level raises #GP(selector)', () => {
  m.long(3);
  [USER_CODE, KERNEL_CS, 2, USER_STACK, USER_SS].forEach((v, i) => m.setU64(USER_STACK - 40 + i * 8, BigInt(v)));
  m.setGpr(RSP, BigInt(USER_STACK - 40));
  m.run('48cf');
  expect([m.vector, m.frame(1)[0]]).toEqual([13, BigInt(KERNEL_CS)]);
});

test('an injected external interrupt is delivered before the next instruction', () => {
  m.long(3);
  m.core.setFlags(IF | 2);
  m.core.setU32(S.ENTRY_INTR_INFO, 0x8000_0040);
  m.run('90');
  expect([m.vector, m.frame(1)[0]]).toEqual([0x40, BigInt(USER_CODE)]);
  expect(m.core.u32(S.ENTRY_INTR_INFO)).toBe(0);
});

test('an NMI blocks NMIs until IRET', () => {
  m.long();
  m.put(HANDLERS + 32, [0x48, 0xcf]);
  m.core.setU32(S.ENTRY_INTR_INFO, 0x8000_0202);
  m.run('0f01c1');
  expect(m.core.u32(S.INTERRUPTIBILITY) & 8).toBe(0);
  m.long();
  m.core.setU32(S.ENTRY_INTR_INFO, 0x8000_0202);
  m.run('90');
  expect([m.vector, m.core.u32(S.INTERRUPTIBILITY) & 8]).toEqual([2, 8]);
});

test('the exception bitmap turns a fault into an exit with its vector, error code and, for #PF, the address', () => {
  m.long();
  m.core.setU32(S.EXCEPTION_BITMAP, 1 << 14);
  m.setGpr(RDI, 0x1234_5678n);
  expect(m.run('8807')).toBe(EXIT.EXCEPTION_NMI);
  expect([m.core.u32(S.EXIT_INTR_INFO), m.core.u32(S.EXIT_INTR_ERROR_CODE), m.core.u64(S.EXIT_QUALIFICATION), m.core.u64(S.CR2)])
    .toEqual([0x8000_0b0e, 2, 0x1234_5678n, 0n]);
});

test('the exception bitmap turns INT1, INT3 and INTO, not INT n, into exits at the instruction, with their event type', () => {
  for (const [bytes, vector, info, length] of [['cc', 3, 0x8000_0603, 1], ['f1', 1, 0x8000_0501, 1], ['ce', 4, 0x8000_0604, 1], ['f0f3cc', 3, undefined, 0], ['f3cc', 3, 0x8000_0603, 2]] as const) {
    m.protected32();
    m.core.setU32(S.EXCEPTION_BITMAP, 1 << vector);
    m.core.setFlags(0x802); // OF
    const reason = m.run(bytes);
    if (info === undefined) { expect(m.vector).toBe(6); continue; } // LOCK
    expect([reason, m.core.u32(S.EXIT_INTR_INFO), m.core.u32(S.EXIT_INSTRUCTION_LENGTH), m.rip]).toEqual([EXIT.EXCEPTION_NMI, info, length, BigInt(KERNEL_CODE)]);
  }
  m.protected32();
  m.core.setU32(S.EXCEPTION_BITMAP, 1 << 3);
  m.run('cd03');
  expect(m.vector).toBe(3);
});

// ---- fast system calls

test('SYSCALL saves RIP and RFLAGS, masks the flags and enters flat CPL 0 segments; SYSRET undoes it', () => {
  m.long(3);
  const handler = HANDLERS + 0x800;
  m.core.setU64(S.IA32_STAR, BigInt(KERNEL_CS) << 32n | 0x18n << 48n);
  m.core.setU64(S.IA32_LSTAR, BigInt(handler));
  m.core.setU64(S.IA32_FMASK, 0x200n);
  m.core.setFlags(IF | 3);
  m.run('0f05');
  expect([m.cpl, m.gpr(RCX), m.gpr(R11), m.core.flags()]).toEqual([0, BigInt(USER_CODE + 2), BigInt(IF | 3), 3]);
  expect([m.selector(1), m.selector(2)]).toEqual([KERNEL_CS, KERNEL_CS + 8]);
  m.put(handler, [0x48, 0x0f, 0x07]);
  m.core.setU64(S.RIP, BigInt(handler));
  m.core.syncAfterStateWrite();
  expect(m.core.run(100)).toBe(EXIT.VMCALL);
  expect([m.cpl, m.rip, m.core.flags()]).toEqual([3, BigInt(USER_CODE + 5), IF | 3]);
  expect([m.selector(1), m.selector(2)]).toEqual([0x2b, 0x23]);
});

test('SYSCALL without EFER.SCE is undefined', () => {
  m.long(3);
  m.core.setU64(S.IA32_EFER, 0xd00n);
  m.run('0f05');
  expect(m.vector).toBe(6);
});

test('SYSRET to a non-canonical RCX raises #GP at CPL 0', () => {
  m.long();
  m.setGpr(RCX, 1n << 47n);
  m.run('480f07');
  expect([m.vector, m.frame(3)[2]]).toEqual([13, BigInt(KERNEL_CS)]);
});

test('SYSENTER and SYSEXIT move between the segments of IA32_SYSENTER_CS', () => {
  m.long(3);
  m.core.setU64(S.IA32_SYSENTER_CS, BigInt(KERNEL_CS));
  m.core.setU64(S.IA32_SYSENTER_ESP, BigInt(KERNEL_STACK));
  m.core.setU64(S.IA32_SYSENTER_EIP, BigInt(KERNEL_CODE));
  m.put(KERNEL_CODE, [0x48, 0x0f, 0x35]);
  m.setGpr(RDX, BigInt(USER_CODE + 2));
  m.setGpr(RCX, BigInt(USER_STACK - 8));
  expect(m.run('0f34')).toBe(EXIT.VMCALL);
  expect([m.cpl, m.rip, m.gpr(RSP)]).toEqual([3, BigInt(USER_CODE + 5), BigInt(USER_STACK - 8)]);
  expect([m.selector(1), m.selector(2)]).toEqual([0x2b, 0x33]);
});

test('SWAPGS exchanges GS.base and is refused to the user', () => {
  m.long();
  m.core.setU64(S.SEG_BASE + 5 * 8, 0x1111n);
  m.core.setU64(S.IA32_KERNEL_GS_BASE, 0x2222n);
  m.run('0f01f8');
  expect([m.core.u64(S.SEG_BASE + 5 * 8), m.core.u64(S.IA32_KERNEL_GS_BASE)]).toEqual([0x2222n, 0x1111n]);
  m.long(3);
  m.run('0f01f8');
  expect(m.vector).toBe(13);
});

// ---- interrupt flag, HLT

test('HLT leaves with reason 12, RIP behind it and the activity state HLT', () => {
  m.long();
  expect(m.run('f4')).toBe(EXIT.HLT);
  expect([m.rip, m.core.u32(S.ACTIVITY_STATE)]).toEqual([BigInt(KERNEL_CODE + 1), 1]);
});

test('an interrupt window opens one instruction after STI', () => {
  m.long();
  m.core.setU32(S.EVENT_FLAGS, 256);
  expect(m.run('fb 90 90')).toBe(EXIT.INTERRUPT_WINDOW);
  m.core.setU32(S.EVENT_FLAGS, 0);
  expect(m.rip).toBe(BigInt(KERNEL_CODE + 2));
});

test('MOV SS and POP SS hold an interrupt window back for one instruction, LSS and an STI that changes nothing do not', () => {
  const opensAfter = (hex: string, flags: number): number => {
    m.long();
    m.core.setFlags(flags);
    m.setU64(DATA, 0x10_0000_8000n); // far pointer: offset 8000, selector 10
    m.setU64(KERNEL_STACK - 8, BigInt(KERNEL_SS));
    m.setGpr(RSP, BigInt(KERNEL_STACK - 8));
    m.setGpr(0, BigInt(KERNEL_SS));
    m.setGpr(3, BigInt(DATA));
    m.run('90'); // everything decoded and the TLB warm
    m.put(KERNEL_CODE, code(`${hex} 90 90 0f01c1`));
    m.core.setU64(S.RIP, BigInt(KERNEL_CODE));
    m.core.setU32(S.EVENT_FLAGS, 0);
    m.core.setFlags(flags | IF);
    const length = code(hex).length;
    m.core.setU32(S.EVENT_FLAGS, 256);
    // Without a shadow the window is open at once, so the first instruction runs with it closed.
    m.core.setU32(S.INTERRUPTIBILITY, 2);
    expect(m.core.run(10_000)).toBe(EXIT.INTERRUPT_WINDOW);
    m.core.setU32(S.EVENT_FLAGS, 0);
    return Number(m.rip) - KERNEL_CODE - length;
  };
  expect(opensAfter('8e d0', 2)).toBe(1); //    mov ss, eax
  expect(opensAfter('0f b2 23', 2)).toBe(0); // lss esp, [rbx]
  expect(opensAfter('fb', 2)).toBe(0); //       sti with IF set already
});

test('a single-step trap ends HLT before it begins', () => {
  m.long();
  m.core.setFlags(0x102);
  m.run('f4');
  expect([m.vector, m.frame(1)[0], m.core.u32(S.ACTIVITY_STATE)]).toEqual([1, BigInt(KERNEL_CODE + 1), 0]);
});

test('INVPCID refuses reserved bits of its descriptor for every type, a type above 3, and a PCID without CR4.PCIDE', () => {
  const run = (type: number, low: bigint, high = 0n, cr4 = 0x2_06b0n): number | undefined => {
    m.long(0, cr4);
    m.setGpr(0, BigInt(type));
    m.setGpr(3, BigInt(DATA));
    m.setU64(DATA, low);
    m.setU64(DATA + 8, high);
    m.run('66 0f 38 82 03');
    return m.vector;
  };
  for (const type of [0, 1, 2, 3]) {
    expect(run(type, 5n)).toBeUndefined();
    expect(run(type, 0x1000n)).toBe(13);
  }
  expect(run(4, 0n)).toBe(13);
  expect([run(0, 5n, 0n, 0x6b0n), run(1, 5n, 0n, 0x6b0n), run(2, 5n, 0n, 0x6b0n), run(0, 0n, 0n, 0x6b0n)]).toEqual([13, 13, undefined, undefined]);
  expect([run(0, 0n, 1n << 63n), run(1, 0n, 1n << 63n)]).toEqual([13, undefined]);
});

test('RDPID reads IA32_TSC_AUX at any privilege level', () => {
  for (const cpl of [0, 3] as const) {
    m.long(cpl);
    m.core.setU64(S.IA32_TSC_AUX, 0x8765_4321n);
    m.setGpr(1, -1n);
    m.run('f3 0f c7 f9');
    expect([m.vector, m.gpr(1)]).toEqual([undefined, 0x8765_4321n]);
  }
});

test('MWAIT waits like HLT after MONITOR, unless the line has changed or the monitor is not armed', () => {
  const monitor = '0f 01 c8'; const mwait = '0f 01 c9';
  const halts = (hex: string): boolean => {
    m.long();
    m.setGpr(0, BigInt(DATA + 24));
    m.setGpr(1, 0n);
    m.run(hex);
    return m.core.u32(S.ACTIVITY_STATE) === 1;
  };
  expect(halts(monitor + mwait)).toBe(true);
  expect(halts(mwait)).toBe(false);
  expect(halts(`${monitor} c6 40 e8 5a ${mwait}`)).toBe(false); // MOV BYTE [RAX - 24], the line's first byte
  expect(halts(`${monitor} c6 40 27 5b ${mwait}`)).toBe(false); // its last one
  expect(halts(`${monitor} c6 40 28 5c ${mwait}`)).toBe(true); //  the one behind it
  expect(halts(`${monitor} ${mwait} ${mwait}`)).toBe(true);
});

test('MONITOR and MWAIT are undefined above CPL 0, take no extension, and MONITOR looks at its address as a load does', () => {
  for (const hex of ['0f 01 c8', '0f 01 c9']) {
    m.long(3);
    m.setGpr(1, 0n);
    m.run(hex);
    expect(m.vector).toBe(6);
    m.long();
    m.setGpr(1, 1n);
    m.run(hex);
    expect(m.vector).toBe(13);
  }
  m.long();
  m.setGpr(0, 0x8000_0000_0000n);
  m.setGpr(1, 0n);
  m.run('0f 01 c8');
  expect(m.vector).toBe(13);
  m.long();
  m.setGpr(0, 0x7fff_0000_0000n);
  m.setGpr(1, 0n);
  m.run('0f 01 c8');
  expect(m.vector).toBe(14);
});

test('IRET of virtual-8086 mode unblocks NMIs although it faults below IOPL 3', () => {
  m.protected32();
  const stack = [0, USER_CODE >> 4, 0x2_0002, 0x100, 0x5000, 0, 0, 0, 0];
  stack.forEach((v, i) => m.ram.setUint32(KERNEL_STACK - 36 + i * 4, v, true));
  m.setGpr(RSP, BigInt(KERNEL_STACK - 36));
  m.put(USER_CODE, [0xcf]);
  m.core.setU64(S.RIP, BigInt(KERNEL_CODE));
  m.put(KERNEL_CODE, [0xcf]);
  m.core.syncAfterStateWrite();
  m.core.setU32(S.INTERRUPTIBILITY, 0);
  m.put(HANDLERS + 13 * 16, code('0f01c1'));
  m.core.run(1); // IRETD to virtual-8086 mode
  m.core.setU32(S.INTERRUPTIBILITY, 8);
  m.core.run(10_000);
  expect([m.vector, m.core.u32(S.INTERRUPTIBILITY) & 8]).toEqual([13, 0]);
});

test('CLI and STI above IOPL raise #GP(0)', () => {
  for (const hex of ['fa', 'fb']) {
    m.long(3);
    m.run(hex);
    expect([m.vector, m.frame(1)[0]]).toEqual([13, 0n]);
    m.long(3);
    m.core.setFlags(0x3002);
    m.run(hex);
    expect(m.vector).toBeUndefined();
  }
});

// ---- I/O

test('IN and OUT exit with size, direction and port in the qualification', () => {
  m.long();
  m.onExit = () => 0xa5a5_a5a5n;
  m.setGpr(RDX, 0x3f8n);
  m.setGpr(RAX, 0x1122_3344n);
  m.run('e460 66ef ed'); // in al,60h; out dx,ax; in eax,dx
  expect(m.exits.map((e) => [e.reason, e.qualification, e.size])).toEqual([[30, 0x60_0048n, 1], [30, 0x3f8_0001n, 2], [30, 0x3f8_000bn, 4]]);
  expect(m.exits[1]?.data).toBe(0x33a5n);
  expect(m.gpr(RAX)).toBe(0xa5a5_a5a5n);
});

test('REP OUTSB exits once a byte and leaves RCX 0 and RSI behind the string', () => {
  m.long();
  m.put(DATA, [...Buffer.from('hello')]);
  m.setGpr(RSI, BigInt(DATA)); m.setGpr(RCX, 5n); m.setGpr(RDX, 0x3f8n);
  m.run('f36e');
  expect(String.fromCharCode(...m.exits.map((e) => Number(e.data)))).toBe('hello');
  expect([m.gpr(RCX), m.gpr(RSI)]).toEqual([0n, BigInt(DATA + 5)]);
  expect(m.exits[0]?.qualification).toBe(0x3f8_0030n);
});

test('user I/O needs IOPL 3 or a clear bit in the I/O permission map', () => {
  m.long(3);
  m.segment(7, TSS_SELECTOR, TSS, 0x67 + 0x81, 0x8b);
  m.ram.setUint16(TSS + 102, 0x68, true);
  m.setGpr(RDX, 0x3f8n);
  m.run('ec');
  expect(m.exits.length).toBe(1);
  m.long(3);
  m.segment(7, TSS_SELECTOR, TSS, 0x67 + 0x81, 0x8b);
  m.ram.setUint16(TSS + 102, 0x68, true);
  m.ram.setUint8(TSS + 0x68 + 0x7f, 1);
  m.setGpr(RDX, 0x3f8n);
  m.run('ec');
  expect([m.vector, m.exits.length]).toEqual([13, 0]);
  m.long(3);
  m.core.setFlags(0x3002);
  m.run('ec');
  expect(m.vector).toBeUndefined();
});

// ---- control registers and MSRs

test('MOV to CR0 and CR4 refuses what the SDM forbids', () => {
  const refused = (hex: string, value: bigint): boolean => {
    m.long();
    m.setGpr(RAX, value);
    m.run(hex);
    return m.vector === 13;
  };
  expect(refused('0f22c0', 0x8000_0030n)).toBe(true); //      PG without PE
  expect(refused('0f22c0', 0xa001_0031n)).toBe(true); //      NW without CD
  expect(refused('0f22c0', 0x1_8001_0031n)).toBe(true); //    bit 32
  expect(refused('0f22c0', 0x0001_0031n)).toBe(true); //      PG cleared in 64-bit mode
  expect(refused('0f22c0', 0xc001_0031n)).toBe(false); //     CD
  expect(refused('0f22e0', 0x680n)).toBe(true); //            PAE cleared in long mode
  expect(refused('0f22e0', 0x2020n)).toBe(true); //           VMXE is not offered
  expect(refused('0f22e0', 0x206b0n)).toBe(false); //         PCIDE with CR3[11:0] = 0
  expect(refused('0f22d8', 1n << 45n)).toBe(true); //         CR3 beyond MAXPHYADDR
});

test('bits of the guest/host mask exit when they differ from the read shadow, and read as the shadow', () => {
  m.long();
  m.core.setU64(S.CR0_GUEST_HOST_MASK, 0x20n);
  m.core.setU64(S.CR0_READ_SHADOW, 0n);
  m.setGpr(RBX, 0x8001_0031n);
  m.run('0f20c0 0f22c3'); // mov rax,cr0; mov cr0,rbx
  expect(m.gpr(RAX)).toBe(0x8001_0011n);
  expect(m.exits).toMatchObject([{ reason: 28, qualification: 0x300n }]);
});

test('core-owned MSRs are read and written without exit, others exit', () => {
  m.long();
  m.setGpr(RCX, 0xc000_0082n); m.setGpr(RAX, 0x8765_4321n); m.setGpr(RDX, 0xffff_8000n);
  m.run('0f30 31c0 31d2 0f32'); // wrmsr; xor eax,eax; xor edx,edx; rdmsr
  expect([m.gpr(RAX), m.gpr(RDX), m.exits.length]).toEqual([0x8765_4321n, 0xffff_8000n, 0]);
  m.setGpr(RCX, 0x1bn);
  m.run('0f32 0f30');
  expect(m.exits.map((e) => e.reason)).toEqual([31, 32]);
});

test('WRMSR of EFER and PAT raises #GP for undefined bits and types', () => {
  for (const [index, low] of [[0xc000_0080n, 0x2n], [0xc000_0080n, 0x401n], [0x277n, 0x2n]] as const) {
    m.long();
    m.setGpr(RCX, index); m.setGpr(RAX, low); m.setGpr(RDX, 0n);
    m.run('0f30');
    expect(m.vector).toBe(13);
  }
});

test('RDTSC counts TSC_KHZ from the host clock plus TSC_OFFSET, and CR4.TSD keeps it from the user', () => {
  m.long();
  m.core.setU64(S.TSC_OFFSET, 5n);
  m.run('0f31');
  expect(m.gpr(RAX) | m.gpr(RDX) << 32n).toBe(2_000_000_005n);
  m.long(3, 0x6b4n);
  m.run('0f31');
  expect(m.vector).toBe(13);
});

test('UMIP refuses SGDT, SIDT, SLDT, STR and SMSW to the user', () => {
  for (const hex of ['0f0107', '0f010f', '0f00c0', '0f00c8', '0f01e0']) {
    m.long(3, 0xeb0n);
    m.setGpr(RDI, BigInt(USER_STACK - 64));
    m.run(hex);
    expect(m.vector).toBe(13);
    m.long(3);
    m.setGpr(RDI, BigInt(USER_STACK - 64));
    m.run(hex);
    expect(m.vector).toBeUndefined();
  }
});

// ---- debug registers

test('a data breakpoint traps after the write and is reported in DR6', () => {
  m.long();
  m.setGpr(RCX, BigInt(DATA + 4)); m.setGpr(RDX, 0xd0402n); // G0, write, 4 bytes
  m.setGpr(RDI, BigInt(DATA)); m.setGpr(RSI, BigInt(DATA + 6));
  m.run('0f23c1 0f23fa 8807 8806 90'); // mov dr0,rcx; mov dr7,rdx; mov [rdi],al; mov [rsi],al; nop
  expect([m.vector, m.frame(1)[0]]).toEqual([1, BigInt(KERNEL_CODE + 10)]);
  expect(m.core.u64(S.DR + 48) & 0xfn).toBe(1n);
});

test('an instruction breakpoint faults before the instruction; setting RF is its handler\'s part', () => {
  m.long();
  m.core.setU64(S.DR, BigInt(KERNEL_CODE + 1));
  m.core.setU64(S.DR + 56, 0x402n);
  m.run('90 ffc0');
  expect([m.vector, m.frame(1)[0], m.gpr(RAX)]).toEqual([1, BigInt(KERNEL_CODE + 1), 0n]);
  expect(m.frame(3)[2] & 0x1_0000n).toBe(0n);
});

test('general detect stops MOV DR', () => {
  m.long();
  m.core.setU64(S.DR + 56, 0x2400n);
  m.run('0f21c0');
  expect([m.vector, m.core.u64(S.DR + 48) & 0x2000n, m.core.u64(S.DR + 56) & 0x2000n]).toEqual([1, 0x2000n, 0n]);
});

test('the trap flag raises #DB with DR6.BS after one instruction', () => {
  m.long();
  m.core.setFlags(0x102);
  m.run('ffc0 ffc0');
  expect([m.vector, m.frame(1)[0], m.gpr(RAX), m.core.u64(S.DR + 48) & 0x4000n]).toEqual([1, BigInt(KERNEL_CODE + 2), 1n, 0x4000n]);
});

// ---- segmentation in 32-bit protected mode

test('loading a data segment checks table limit, type, privilege and presence', () => {
  const load = (selector: number, d?: bigint, hex = '8ee8' /* mov gs, ax */, cpl: 0 | 3 = 0): [number | undefined, number] => {
    m.protected32(cpl);
    if (d !== undefined) m.setDescriptor(selector, d);
    m.setGpr(RAX, BigInt(selector));
    m.run(hex);
    return [m.vector, m.frame32(1)[0] ?? 0];
  };
  expect(load(0x108)).toEqual([13, 0x108]);
  expect(load(FREE_SELECTOR, descriptor(0, 0xfffff, 0xc098))).toEqual([13, FREE_SELECTOR]); // execute-only
  expect(load(FREE_SELECTOR, descriptor(0, 0xfffff, 0xc012))).toEqual([11, FREE_SELECTOR]); // not present
  expect(load(FREE_SELECTOR, descriptor(0, 0xfffff, 0xc092), '8ee8', 3)).toEqual([13, FREE_SELECTOR]);
  expect(load(FREE_SELECTOR, descriptor(0, 0xfffff, 0xc090), '8ed0')).toEqual([13, FREE_SELECTOR]); // SS read-only
  expect(load(FREE_SELECTOR, descriptor(0, 0xfffff, 0xc012), '8ed0')).toEqual([12, FREE_SELECTOR]);
  expect(load(0, undefined, '8ed0')).toEqual([13, 0]);
  expect(load(FREE_SELECTOR, descriptor(0x1000, 0xff, 0x4092))[0]).toBeUndefined();
  expect([m.core.u64(S.SEG_BASE + 40), m.core.u32(S.SEG_LIMIT + 20)]).toEqual([0x1000n, 0xff]);
  expect(m.u64(0x1000 + FREE_SELECTOR) >> 40n & 1n).toBe(1n); // accessed
});

test('segment limits, types and null selectors are checked on every access', () => {
  const access = (hex: string, attr: number, limit: number, offset: number): [number | undefined, number] => {
    m.protected32();
    m.segment(5, FREE_SELECTOR, DATA, limit, attr);
    m.setGpr(RDI, BigInt(offset));
    m.run(hex);
    return [m.vector, m.vector === undefined ? 0 : m.frame32(1)[0] ?? 0];
  };
  const load32 = '658b07'; const store8 = '658807';
  expect(access(load32, 0x4093, 0xfff, 0xffc)).toEqual([undefined, 0]);
  expect(access(load32, 0x4093, 0xfff, 0xffd)).toEqual([13, 0]);
  expect(access(load32, 0x4097, 0xfff, 0xfff)).toEqual([13, 0]); // expand-down
  expect(access(load32, 0x4097, 0xfff, 0x1000)).toEqual([undefined, 0]);
  expect(access(store8, 0x4091, 0xfff, 0)).toEqual([13, 0]); // read-only
  expect(access(load32, 0x1_0000, 0, 0)).toEqual([13, 0]); // null
  expect(access('2e8807', 0x4093, 0xfff, DATA)).toEqual([13, 0]); // write through CS
});

test('LAR, LSL, VERR and VERW set ZF only for what the caller may see', () => {
  m.protected32();
  m.setDescriptor(FREE_SELECTOR, descriptor(0, 0x1234, 0x40f0)); // read-only data, DPL 3
  m.setGpr(RAX, BigInt(FREE_SELECTOR));
  m.run('0f02d8 0f03c8 0f00e0 0f94c2 0f00e8 0f94c6'); // lar ebx,eax; lsl ecx,eax; verr ax; setz dl; verw ax; setz dh
  expect([m.gpr(RBX), m.gpr(RCX), m.gpr(RDX) & 0xffffn]).toEqual([0x0040_f000n, 0x1234n, 1n]);
  m.protected32(3);
  m.setGpr(RAX, BigInt(KERNEL_SS)); m.setGpr(RBX, 7n);
  m.run('0f02d8');
  expect([m.gpr(RBX), m.core.flags() & 0x40]).toEqual([7n, 0]);
});

test('ARPL raises the RPL and tells so in ZF', () => {
  m.protected32();
  m.setGpr(RAX, 0x10n); m.setGpr(RCX, 3n);
  m.run('63c8');
  expect([m.gpr(RAX), m.core.flags() & 0x40]).toEqual([0x13n, 0x40]);
});

test('a 32-bit call gate changes privilege, switches stacks and copies its parameters', () => {
  m.protected32(3);
  const target = HANDLERS;
  // call gate: KERNEL_CS:target, DPL 3, 2 parameters
  m.setDescriptor(FREE_SELECTOR, BigInt(target & 0xffff) | BigInt(KERNEL_CS) << 16n | 2n << 32n | 0xecn << 40n | BigInt(target >>> 16) << 48n);
  m.ram.setUint32(USER_STACK - 8, 0x1111, true);
  m.ram.setUint32(USER_STACK - 4, 0x2222, true);
  m.setGpr(RSP, BigInt(USER_STACK - 8));
  m.run(`9a00000000 ${FREE_SELECTOR.toString(16)}00`);
  expect(m.cpl).toBe(0);
  expect(m.frame32(6)).toEqual([USER_CODE + 7, USER_CS32, 0x1111, 0x2222, USER_STACK - 8, USER_SS]);
  expect(m.selector(2)).toBe(KERNEL_SS);
  // and back: retf 8
  m.put(target, [0xca, 0x08, 0x00]);
  m.core.setU64(S.RIP, BigInt(target));
  m.core.run(100);
  expect([m.cpl, m.rip, m.gpr(RSP)]).toEqual([3, BigInt(USER_CODE + 10), BigInt(USER_STACK)]);
});

test('an interrupt from virtual-8086 mode saves the segment registers and IRET goes back', () => {
  m.protected32();
  const stack = [0x10, USER_CODE >> 4, 0x2_3002, 0x100, 0x5000, 0x1, 0x2, 0x3, 0x4];
  stack.forEach((v, i) => m.ram.setUint32(KERNEL_STACK - 36 + i * 4, v, true));
  m.setGpr(RSP, BigInt(KERNEL_STACK - 36));
  m.put(USER_CODE + 0x10, [0xcd, 0x21]);
  m.setGate32(0x21, { dpl: 3 });
  m.run('cf');
  expect(m.vector).toBe(0x21);
  expect(m.frame32(9)).toEqual([0x12, USER_CODE >> 4, 0x2_3002, 0x100, 0x5000, 1, 2, 3, 4]);
  expect([m.selector(3), m.selector(5)]).toEqual([0, 0]);
});

test('JMP to a TSS saves the old task, loads the new one and moves the busy bit', () => {
  m.protected32();
  const next = TSS + 0x100;
  m.setDescriptor(FREE_SELECTOR, descriptor(next, 0x67, 0x89));
  const field = (offset: number, v: number): void => m.ram.setUint32(next + offset, v, true);
  field(0x20, HANDLERS); field(0x24, 2); field(0x28, 0xaaaa); field(0x38, KERNEL_STACK - 0x100);
  for (const offset of [0x48, 0x50, 0x54, 0x58, 0x5c]) field(offset, KERNEL_SS);
  field(0x4c, KERNEL_CS);
  m.setGpr(RBX, 0x5555n);
  m.run(`ea00000000 ${FREE_SELECTOR.toString(16)}00`);
  expect(m.vector).toBe(0);
  expect([m.gpr(RAX), m.gpr(RSP), m.core.u16(S.SEG_SELECTOR + 14)]).toEqual([0xaaaan, BigInt(KERNEL_STACK - 0x100), FREE_SELECTOR]);
  expect([m.u32(TSS + 0x20), m.u32(TSS + 0x34)]).toEqual([KERNEL_CODE + 7, 0x5555]);
  expect(m.u64(0x1000 + FREE_SELECTOR) >> 41n & 1n).toBe(1n);
  expect(m.core.u64(S.CR0) & 8n).toBe(8n);
});

test('a nested task called through CALL returns by IRET', () => {
  m.protected32();
  m.setDescriptor(TSS_SELECTOR, descriptor(TSS, 0x67, 0x8b));
  const next = TSS + 0x100;
  m.setDescriptor(FREE_SELECTOR, descriptor(next, 0x67, 0x89));
  const field = (offset: number, v: number): void => m.ram.setUint32(next + offset, v, true);
  field(0x20, HANDLERS + 0x10); field(0x24, 2); field(0x38, KERNEL_STACK - 0x100);
  for (const offset of [0x48, 0x50, 0x54, 0x58, 0x5c]) field(offset, KERNEL_SS);
  field(0x4c, KERNEL_CS);
  m.put(HANDLERS + 0x10, [0xcf]);
  expect(m.run(`9a00000000 ${FREE_SELECTOR.toString(16)}00`)).toBe(EXIT.VMCALL);
  expect([m.rip, m.gpr(RSP), m.core.u16(S.SEG_SELECTOR + 14)]).toEqual([BigInt(KERNEL_CODE + 10), BigInt(KERNEL_STACK), TSS_SELECTOR]);
  expect(m.u32(next) & 0xffff).toBe(TSS_SELECTOR);
});

// ---- real mode

test('INT in real mode pushes FLAGS, CS and IP and loads the vector from the IVT', () => {
  m.real();
  m.core.setFlags(IF | 2);
  m.run('cd21');
  expect(m.vector).toBe(0x21);
  expect(m.gpr(RSP)).toBe(0x7ffan);
  expect([m.u16(0x4_7ffa), m.u16(0x4_7ffc), m.u16(0x4_7ffe)]).toEqual([2, KERNEL_CODE >> 4, IF | 2]);
  expect(m.core.flags() & IF).toBe(0);
});

test('far calls, returns and jumps in real mode set CS base to the selector times 16', () => {
  m.real();
  m.put(0x2_9000, [0xcb]);
  m.run('9a 0010 0028'); // lcall 2800:1000
  expect([m.rip, m.core.u64(S.SEG_BASE + 8), m.gpr(RSP)]).toEqual([8n, BigInt(KERNEL_CODE), 0x8000n]);
  m.real();
  m.run('ea 3000 0028');
  expect([m.vector, m.selector(1)]).toEqual([3, 0x2800]);
});

test('an access past 64 KiB in real mode raises #GP, on the stack segment #SS', () => {
  m.real();
  m.setGpr(RDI, 0xffffn);
  m.run('8b05'); // mov ax,[di]
  expect(m.vector).toBe(13);
  m.real();
  m.setGpr(5, 0xffffn);
  m.run('8b4600'); // mov ax,[bp]
  expect(m.vector).toBe(12);
});

test('the road from real mode to 64-bit mode: LGDT, CR0.PE, far jump, PAE, LME, PG, far jump', () => {
  m.long();
  const tables = Array.from({ length: 0x2000 }, (_, i) => m.ram.getUint8(0x1000 + i));
  m.real();
  m.put(0x1000, tables);
  m.setU64(PML4, BigInt(0x1_1000) | P | RW);
  m.setU64(0x1_1000, BigInt(0x1_2000) | P | RW);
  m.setU64(0x1_2000, 0x83n);
  m.put(0x1800, [0xff, 0x00, 0x00, 0x10, 0x00, 0x00]); // GDT: limit 0xff, base 0x1000
  m.put(KERNEL_CODE + 0x100, [
    0xb8, 0x20, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0, //             mov eax,20h; mov cr4,eax
    0xb8, 0x00, 0x00, 0x01, 0x00, 0x0f, 0x22, 0xd8, //             mov eax,10000h; mov cr3,eax
    0xb9, 0x80, 0x00, 0x00, 0xc0, 0xb8, 0x00, 0x01, 0x00, 0x00, 0x31, 0xd2, 0x0f, 0x30, // ecx=EFER; eax=LME; wrmsr
    0xb8, 0x11, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, //             mov eax,80000011h; mov cr0,eax
    0xea, 0x00, 0x02, 0x02, 0x00, KERNEL_CS, 0x00, //              jmp KERNEL_CS:20200h
  ]);
  m.put(KERNEL_CODE + 0x200, [0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0x0f, 0x01, 0xc1]);
  // lgdt [1800h]; mov eax,11h; mov cr0,eax; jmp dword 40h:20100h
  expect(m.run('0f01160018 66b811000000 0f22c0 66ea 00010200 4000')).toBe(EXIT.VMCALL);
  expect(m.gpr(RAX)).toBe(0x0807_0605_0403_0201n);
  expect(m.core.u64(S.IA32_EFER)).toBe(0x500n);
  expect(m.selector(1)).toBe(KERNEL_CS);
});

test('the IDT limit is checked', () => {
  m.long();
  m.core.setU32(S.IDTR_LIMIT, 0x20 * 16 - 1);
  m.core.setU64(S.IDTR_BASE, BigInt(IDT));
  m.run('cd80');
  expect([m.vector, m.frame(1)[0]]).toEqual([13, BigInt(0x80 * 8 + 2)]);
});

test('a loop of PAUSEs leaves for the hypervisor, once for every 256 of them, where PAUSE-loop exiting is on', () => {
  const PAUSE_EXIT = 40;
  const BUDGET = 0x100;
  const PAUSE_LOOP_EXITING = 1 << 10;
  const SPIN = 'f390 ffc9 75fa'; //                    again: pause; dec ecx; jnz again
  const SLOW = 'ba64000000 ffca 75fc f390 ffc9 75f1'; // 200 instructions to each PAUSE
  const exits = (loop: string, pauses: bigint, controls: number): number => {
    m.long();
    m.core.setU32(S.PROC_CTLS2, controls);
    m.exits.length = 0;
    m.setGpr(1, pauses);
    for (let left = m.run(loop); left === BUDGET;) left = m.core.run(10_000);
    expect(m.gpr(1)).toBe(0n);
    return m.exits.filter(({ reason }) => reason === PAUSE_EXIT).length;
  };
  try {
    expect(exits(SPIN, 1024n, PAUSE_LOOP_EXITING)).toBe(4);
    expect(exits(SPIN, 1024n, 0)).toBe(0);
    expect(exits(SLOW, 300n, PAUSE_LOOP_EXITING)).toBe(0); // it works between them
  } finally {
    m.core.setU32(S.PROC_CTLS2, 0);
  }
});
