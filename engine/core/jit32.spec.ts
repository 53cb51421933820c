/** Compiled code of 32-bit segments against the interpreter: compatibility mode and legacy protected mode. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadCoreModule } from './core.ts';
import { S } from './gen/state.ts';
import { inBothModes, vector } from './jit_both_test_machine.ts';
import { CODE, CODE32, DATA, JitMachine, LAST_PAGE_AT, MAPPED, STACK, type Width } from './jit_test_machine.ts';

const HLT = 12;
const EXCEPTION = 0;
const RSP = 4;
/** Selectors of the tests' own segments. */
const SPECIAL = 0x20;
const WRITABLE = 0xc093; const READ_ONLY = 0xc091;

let module: WebAssembly.Module;
beforeAll(async () => { module = await loadCoreModule(); });

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ''), 'hex');
const both = (width: Width, code: Buffer, prepare: (m: JitMachine) => void, reason?: number, least?: number): JitMachine => inBothModes(module, width, code, prepare, reason, least);

/** Runs `code` 64 times (EBP counts) with HLT at its end. */
const repeat = (hex: string): Buffer => {
  const body = bytes(hex);
  const tail = Buffer.concat([bytes('4d0f85'), Buffer.alloc(4), bytes('f4')]); // dec ebp; jnz again; hlt
  tail.writeInt32LE(-(body.length + 7), 3);
  return Buffer.concat([body, tail]);
};
const counted = (more: (m: JitMachine) => void = () => {}) => (m: JitMachine): void => {
  m.setGpr(5, 64n);
  more(m);
};

for (const width of ['compatibility', 'protected'] as const) {
  describe(`32-bit code in ${width} mode`, () => {
    test('a loop over memory counts every instruction', () => {
      // again: mov eax,[esi+ecx*4]; add eax,ebx; xor edx,eax; mov [edi+ecx*4],edx; inc ecx; and ecx,0x1ff; dec ebp; jnz again; hlt
      const m = both(width, bytes('8b048e 01d8 31c2 89148f 41 81e1ff010000 4d 75ec f4'), (on) => {
        on.setGpr(6, BigInt(DATA));
        on.setGpr(7, BigInt(DATA + 0x2000));
        on.setGpr(3, 0x12345678n);
        on.setGpr(5, 50_000n);
      }, HLT, 300_000);
      expect(m.core.u64(S.INSTRUCTIONS)).toBe(400_001n);
    });

    test('effective addresses wrap at 4 GiB, whatever the upper halves of the registers are', () => {
      // mov eax,[esi+edi*4+0x10]; add [ebx-0x20],eax; lea edx,[ecx+ecx*8+0x7fffffff]; inc eax; mov [esi+edi*4+0x10],eax
      const m = both(width, repeat('8b44be10 0143e0 8d94c9ffffff7f 40 8944be10'), counted((on) => {
        on.setGpr(6, 0x1_ffff_0000n);
        on.setGpr(7, BigInt((DATA + 0xfff0) >>> 2) | 0x5_4000_0000n);
        on.setGpr(3, 0xabcd_0000_0000n | BigInt(DATA + 0x40));
        on.setGpr(1, 0xffff_ffff_9000_0001n);
      }));
      expect(m.gpr(0)).toBe(64n);
      expect(m.gpr(2) >> 32n).toBe(0n);
      expect(m.gpr(6)).toBe(0x1_ffff_0000n);
    });

    test('an access across the end of the address space is left to the interpreter', () => {
      // inc eax; add eax,[esi]; mov [esi],eax; inc esi
      // In legacy mode it goes on at 0; in compatibility mode there is a linear address 4 GiB, where nothing is.
      const m = both(width, repeat('40 0306 8906 46'), counted((on) => on.setGpr(6, 0xffff_ffc0n)), width === 'protected' ? HLT : EXCEPTION);
      if (width === 'protected') expect(m.gpr(6)).toBe(0n);
      else expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 1));
    });

    test('MOV between the accumulator and an address in the instruction', () => {
      // mov eax,[DATA]; inc eax; mov [DATA],eax; mov al,[DATA+8]; add al,3; mov [DATA+8],al; mov ax,[0xfffff000]; not ax; mov [0xfffff000],ax
      const m = both(width, repeat('a100002000 40 a300002000 a008002000 0403 a208002000 66a100f0ffff 66f7d0 66a300f0ffff'), counted((on) => {
        on.ram.writeUInt32LE(5, DATA);
        on.setGpr(0, 0xffff_ffff_ffff_ffffn);
      }));
      expect(m.ram.readUInt32LE(DATA)).toBe(69);
    });

    test('PUSH, POP, LEAVE, PUSHF and POPF use the lower half of the stack pointer', () => {
      // push esi; push 0x12345678; push -1; push dword [edi]; pushf; popf; pop eax; pop ecx; pop edx; pop ebx; push esp; pop eax; push eax
      // mov esi,ebp; lea ebp,[esp]; leave; mov ebp,esi
      const m = both(width, repeat('56 6878563412 6aff ff37 9c 9d 58 59 5a 5b 54 58 50 89ee 8d2c24 c9 89f5'), counted((on) => {
        on.setGpr(RSP, 0x1234_0000_0000n | BigInt(STACK));
        on.setGpr(7, BigInt(DATA));
        on.setGpr(6, 0xffff_ffff_8765_4321n);
      }));
      expect(m.gpr(RSP)).toBe(BigInt(STACK));
    });

    test('the stack wraps at 4 GiB', () => {
      // lea esp,[0]; push esi; push esi; pop eax; pop ecx; inc esi: from 0 down to the last page and back
      const m = both(width, repeat('8d2500000000 56 56 58 59 46'), counted((on) => on.setGpr(6, 3n)));
      expect(m.gpr(RSP)).toBe(0n);
      expect(m.ram.readUInt32LE(LAST_PAGE_AT + 0xffc)).not.toBe(0);
    });

    test('calls, returns and indirect jumps between pages', () => {
      const code = Buffer.alloc(0x2000, 0xf4);
      bytes('e8fb0f0000 ff17 4d 75f6 f4').copy(code, 0); // again: call 0x1000; call [edi]; dec ebp; jnz again; hlt
      bytes('01d8 c20000').copy(code, 0x1000); //           add eax,ebx; ret 0
      bytes('29ca ff2500102000').copy(code, 0x1100); //     sub edx,ecx; jmp [DATA + 0x1000]
      bytes('b908000000 ffe6').copy(code, 0x1200); //       mov ecx,8; jmp esi
      bytes('83c207 c3').copy(code, 0x1300); //             add edx,7; ret
      const m = both(width, code, (on) => {
        on.ram.writeUInt32LE(CODE + 0x1100, DATA);
        on.ram.writeUInt32LE(CODE + 0x1200, DATA + 0x1000);
        on.setGpr(7, BigInt(DATA) | 0xff_0000_0000n);
        on.setGpr(6, BigInt(CODE + 0x1300) | 0xff_0000_0000n);
        on.setGpr(3, 5n);
        on.setGpr(1, 2n);
        on.setGpr(5, 10_000n);
      }, HLT, 50_000);
      expect(m.gpr(0)).toBe(50_000n);
      expect(m.gpr(RSP)).toBe(BigInt(STACK));
    });

    test('code at the end of the address space jumps and calls to its beginning', () => {
      // mov ebx,0xfffffc00; jmp ebx. There: inc eax; call 0x100; jmp 0x200, with displacements that pass 4 GiB
      const m = both(width, bytes('bb00fcffff ffe3'), (on) => {
        on.put(bytes('40 e8fa040000 e9f5050000'), LAST_PAGE_AT + 0xc00);
        on.put(bytes('83c102 c3'), 0x100); //       add ecx,2; ret
        on.put(bytes('4d 7402 ffe3 f4'), 0x200); // dec ebp; jz out; jmp ebx; out: hlt
        on.setGpr(5, 100n);
      });
      expect(m.gpr(0)).toBe(100n);
      expect(m.gpr(1)).toBe(200n);
    });

    test('a page fault in a compiled loop shows the state in front of the faulting instruction', () => {
      // again: add eax,3; mov [edi],eax; add edi,8; jmp again
      const m = both(width, bytes('83c003 8907 83c708 ebf6'), (on) => on.setGpr(7, BigInt(MAPPED - 0x3000)), EXCEPTION);
      expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 3));
      expect(m.core.u64(S.EXIT_QUALIFICATION)).toBe(BigInt(MAPPED));
    });

    test('a store into the page that is running takes effect on the next instruction', () => {
      // again: mov edx,50; inner: add eax,imm32; dec edx; jnz inner; inc ecx; mov [CODE+6],cl; add ebx,eax; cmp ecx,20; jne again; hlt
      const m = both(width, bytes('ba32000000 0500000000 4a 75f8 41 880d06001000 01c3 81f914000000 75e2 f4'), () => {});
      expect(m.gpr(0)).toBe(50n * 190n);
    });

    test('16-bit operands and addresses', () => {
      // push ax; push word [edi]; pop cx; pop bx; mov eax,[si+4]; add ax,cx; mov edx,[bx+si]; inc dx
      both(width, repeat('6650 66ff37 6659 665b 678b4404 6601c8 67668b10 66ffc2'), counted((on) => {
        on.setGpr(7, BigInt(DATA));
        on.setGpr(6, 0x100n);
        on.setGpr(3, 0x200n);
      }));
    });

    test('FS and GS have a base, and addresses wrap behind it', () => {
      // mov eax,fs:[0x10]; inc eax; mov fs:[0x10],eax; add gs:[esi-4],eax; mov ecx,gs:[edi]; lea edx,gs:[esi+8]; mov al,gs:[0]; mov fs:[0],al
      const m = both(width, repeat('64a110000000 40 64a310000000 650146fc 658b0f 658d5608 65a000000000 64a200000000'), counted((on) => {
        on.core.setU64(S.SEG_BASE + 4 * 8, BigInt(DATA + 0x123));
        on.core.setU64(S.SEG_BASE + 5 * 8, BigInt(DATA + 0x1003));
        on.core.setU32(S.SEG_ATTR + 4 * 4, WRITABLE);
        on.core.setU32(S.SEG_ATTR + 5 * 4, WRITABLE);
        on.setGpr(6, 0n);
        on.setGpr(7, 0xffff_f800n);
      }));
      expect(m.ram.readUInt32LE(DATA + 0x133)).toBe(64);
      expect(m.ram.readUInt32LE(DATA + 0xfff)).not.toBe(0);
      expect(m.gpr(2)).toBe(8n);
    });

    const segmentFault = (name: string, hex: string, at: number, prepare: (m: JitMachine) => void): void => {
      test(`FS and GS: ${name}`, () => {
        const m = both(width, bytes(hex), (on) => {
          on.setDescriptor(SPECIAL, DATA, 0xf_ffff, WRITABLE);
          on.core.setU16(S.SEG_SELECTOR + 5 * 2, SPECIAL);
          on.core.setU64(S.SEG_BASE + 5 * 8, BigInt(DATA));
          prepare(on);
        }, EXCEPTION);
        expect(vector(m)).toBe(13);
        expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + at));
      });
    };
    // again: inc eax; mov eax,gs:[esi]; add esi,4; jmp again
    segmentFault('the limit', '40 658b06 83c604 ebf7', 1, (on) => {
      on.core.setU32(S.SEG_LIMIT + 5 * 4, 0x1ff);
      on.setGpr(6, 0n);
    });
    // again: mov eax,gs:[esi]; inc esi; jmp again ... the access across 4 GiB
    segmentFault('an offset that wraps', '658b06 46 ebfa', 0, (on) => {
      on.core.setU64(S.SEG_BASE + 5 * 8, BigInt(DATA + 0x100));
      on.setGpr(6, 0xffff_ff80n);
    });
    // again: mov gs:[esi],eax; add esi,4; cmp esi,0x80; jne again; mov ax,READ_ONLY; mov gs,ax; jmp again
    segmentFault('a segment that has become read-only', '658906 83c604 81fe80000000 75f2 66b82800 8ee8 ebea', 0, (on) => {
      on.setDescriptor(0x28, DATA, 0xf_ffff, READ_ONLY);
      on.setGpr(6, 0n);
    });
    // again: mov eax,gs:[esi]; add esi,4; cmp esi,0x80; jne again; xor eax,eax; mov gs,ax; jmp again
    segmentFault('a segment that has become null', '658b06 83c604 81fe80000000 75f2 31c0 8ee8 ebec', 0, (on) => on.setGpr(6, 0n));

    test('a write through CS faults', () => {
      // again: mov eax,cs:[esi]; add esi,4; cmp esi,edi; jne again; mov cs:[esi],eax
      const m = both(width, bytes('2e8b06 83c604 39fe 75f6 2e8906'), (on) => {
        on.setGpr(6, BigInt(DATA));
        on.setGpr(7, BigInt(DATA + 0x200));
      }, EXCEPTION);
      expect(vector(m)).toBe(13);
      expect(m.core.u64(S.RIP)).toBe(BigInt(CODE + 10));
    });

    test('once DS is not flat any more its base counts, and flat code is found again afterwards', () => {
      // again: call 0x80; mov eax,SPECIAL; mov ds,eax; call 0x80; mov eax,FLAT; mov ds,eax; dec ebp; jnz again; hlt
      const code = Buffer.alloc(0x100, 0xf4);
      bytes('e87b000000 b820000000 8ed8 e86f000000 b810000000 8ed8 4d 75e3 f4').copy(code);
      bytes('8b06 83c003 8906 035608 c3').copy(code, 0x80); // mov eax,[esi]; add eax,3; mov [esi],eax; add edx,[esi+8]; ret
      const m = both(width, code, counted((on) => {
        on.setDescriptor(SPECIAL, 0x1000, 0xf_ffff, WRITABLE);
        on.setGpr(6, BigInt(DATA));
      }));
      expect(m.ram.readUInt32LE(DATA)).toBe(192);
      expect(m.ram.readUInt32LE(DATA + 0x1000)).toBe(192);
    });

    test('a stack segment that is not flat, and a limit of its own', () => {
      // again: push eax; pop ecx; dec ebp; jnz again; mov eax,SPECIAL; mov ss,eax; mov esp,0x1000; push eax; mov esp,0x2004; push eax
      const m = both(width, bytes('50 59 4d 75fb b820000000 8ed0 bc00100000 50 bc04200000 50'), counted((on) => {
        on.setDescriptor(SPECIAL, DATA, 1, WRITABLE);
      }), EXCEPTION);
      expect(vector(m)).toBe(12);
      expect(m.ram.readUInt32LE(DATA + 0xffc)).toBe(SPECIAL);
    });

    test('SSE operands and atomic operations', () => {
      // movdqu xmm1,[esi]; paddd xmm1,xmm1; movups [edi],xmm1; lock xadd [ebx],eax; lock cmpxchg [ebx+4],ecx; xchg [ebx+8],edx; lock inc dword gs:[4]
      both(width, repeat('f30f6f0e 660ffec9 0f110f f00fc103 f00fb14b04 875308 65f0ff0504000000'), counted((on) => {
        on.core.setU64(S.SEG_BASE + 5 * 8, BigInt(DATA + 0x800));
        for (let i = 0; i < 64; i += 1) on.ram[DATA + i] = i * 5;
        on.setGpr(6, BigInt(DATA) | 0xf_0000_0000n);
        on.setGpr(7, BigInt(DATA + 0x100));
        on.setGpr(3, BigInt(DATA + 0x200));
      }));
    });
  });
}

test('from compatibility mode to 64-bit mode and back: upper halves are what 32-bit code has left', () => {
  const code = Buffer.alloc(0x100, 0xf4);
  // again: mov esi,eax; inc ecx; jmp CODE64:CODE+0x40
  bytes('89c6 41 ea400010001800').copy(code, 0);
  // mov r8,rax; add r9,rcx; ror rdx,8; add rdx,rsi; jmp far [rdi]
  bytes('4989c0 4901c9 48c1ca08 4801f2 ff2f').copy(code, 0x40);
  // CODE+0x80, 32 bits again: dec ebp; jnz CODE; hlt
  bytes('4d 0f8579ffffff f4').copy(code, 0x80);
  const m = both('compatibility', code, counted((on) => {
    on.ram.writeUInt32LE(CODE + 0x80, DATA);
    on.ram.writeUInt16LE(CODE32, DATA + 4);
    on.setGpr(7, BigInt(DATA));
    on.setGpr(0, 0xaaaa_bbbb_cccc_ddddn);
    on.setGpr(1, 0xffff_ffff_ffff_fff0n);
    on.setGpr(2, 0x0123_4567_89ab_cdefn);
  }));
  expect(m.gpr(8)).toBe(0xaaaa_bbbb_cccc_ddddn);
  expect(m.gpr(6)).toBe(0xcccc_ddddn);
});
