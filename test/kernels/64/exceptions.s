# Exceptions of 64-bit code: vectors, error codes, what is pushed, double faults, #AC.
.include "long.inc"
.equ GAP_GATE, 0x90
.equ NOT_CANONICAL, 0x800000000000

.macro stac_
  pushfq
  or dword ptr [rsp], 0x40000
  popfq
.endm
.macro clac_
  pushfq
  and dword ptr [rsp], ~0x40000
  popfq
.endm

main:
  # --- plain faults
  xor ecx, ecx
  fault "DIV by zero is #DE", 0, div ecx
  mov edx, 5
  mov ecx, 2
  fault "DIV with a quotient too large is #DE", 0, div ecx
  fault "UD2 is #UD", UD, ud2
  fault "LOCK NOP is #UD", UD, .byte 0xf0, 0x90
  fault "LOCK on a register is #UD", UD, .byte 0xf0, 0x01, 0xc0
  fault "PUSH ES in 64-bit code is #UD", UD, .byte 0x06
  fault "DAA in 64-bit code is #UD", UD, .byte 0x27
  fault "INTO in 64-bit code is #UD", UD, .byte 0xce
  fault "15 prefixes are #GP(0)", GP, .byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90
  fault "14 prefixes are legal", NONE, .byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x90
  userfault "HLT at CPL 3 is #GP(0)", GP, hlt
  userfault "CLI at CPL 3 with IOPL 0 is #GP(0)", GP, cli
  userfault "IN at CPL 3 without a permission bit is #GP(0)", GP, in al, 0x80
  userfault "MOV from CR0 at CPL 3 is #GP(0)", GP, mov rax, cr0
  userfault "RDMSR at CPL 3 is #GP(0)", GP, rdmsr
  userfault "nothing at CPL 3 faults by itself", USER_OK, nop
  mov qword ptr [user_flags], 0x3002
  userfault "CLI at CPL 3 with IOPL 3 is legal", USER_OK, cli
  mov qword ptr [user_flags], 2

  # --- traps: INT3, INT1, INT n
  try int3
  check "INT3 is #BP", [got_code], 3 << 16
  try int3_at: int3
  check "INT3 returns behind itself", [got_rip], "offset int3_at + 1"
  try ud_at: ud2
  check "a fault returns to its instruction", [got_rip], "offset ud_at"
  mov rax, [got_rflags]
  and eax, 0x10000
  check "a fault's RFLAGS image has RF", rax, 0x10000
  try int3
  mov rax, [got_rflags]
  and eax, 0x10000
  check "a trap's RFLAGS image has no RF", rax, 0
  fault "INT1 is #DB", 1 << 16, .byte 0xf1
  fault "INT 0x55 is vector 0x55", 0x55 << 16, int 0x55
  userfault "INT n at CPL 3 through a DPL 0 gate is #GP(n * 8 + 2)", GP+0x55*8+2, int 0x55
  userfault "INT3 at CPL 3 through a DPL 0 gate is #GP(26)", GP+3*8+2, int3
  userfault "INT1 at CPL 3 passes any DPL", 1 << 16, .byte 0xf1

  # --- what is pushed
  mov rbx, rsp
  try ud2
  check "RSP in the frame", [got_rsp], rbx
  check "SS in the frame", [got_ss], KDATA
  check "CS in the frame", [got_cs], KCODE
  sub rsp, 8
  try ud2
  add rsp, 8
  mov rax, [got_frame]
  and eax, 15
  check "the frame is aligned to 16 bytes (no error code), RSP odd", rax, 8
  try ud2
  mov rax, [got_frame]
  and eax, 15
  check "the frame is aligned to 16 bytes (no error code), RSP even", rax, 8
  user ud2
  check "CS of CPL 3 in the frame", [got_cs], UCODE
  check "SS of CPL 3 in the frame", [got_ss], UDATA
  mov rax, [user_rsp]
  check "RSP of CPL 3 in the frame", [got_rsp], rax
  mov rax, offset stack0_top - 7 * 8
  check "a fault at CPL 3 uses RSP0", [got_frame], rax
  gate 0x56, store_ss, 0xee
  user int 0x56
  check "SS is null after a change to CPL 0", rbx, 0
  check "and the vector was the right one", [got_code], USER_OK
  gate 0x56, store_ss, 0x8e, 1
  int 0x56
  check "SS stays without a change of CPL", rbx, KDATA
  mov rax, offset ist1_top - 40
  check "IST 1 is used at CPL 0 too", r12, rax
  gate 0x56, store_if, 0x8e
  pushfq
  pop rax
  sti
  int 0x56
  check "an interrupt gate clears IF", rbx, 0
  gate 0x56, store_if, 0x8f
  int 0x56
  check "a trap gate leaves IF", rbx, 0x200
  cli
  catcher 0x56

  # --- gates
  mov word ptr [idtr], 0x56 * 16 - 1
  lidt [idtr]
  fault "INT beyond the IDT is #GP(n * 8 + 2)", GP+0x56*8+2, int 0x56
  mov word ptr [idtr], 0x56 * 16 + 14
  lidt [idtr]
  fault "INT with half a gate is #GP(n * 8 + 2)", GP+0x56*8+2, int 0x56
  mov word ptr [idtr], 4095
  lidt [idtr]
  gate GAP_GATE, store_ss, 0x0e
  fault "INT through a gate that is not present is #NP(n * 8 + 2)", NP+GAP_GATE*8+2, int GAP_GATE
  gate GAP_GATE, store_ss, 0x8c
  fault "INT through a call gate is #GP(n * 8 + 2)", GP+GAP_GATE*8+2, int GAP_GATE
  gate GAP_GATE, store_ss, 0x85
  fault "INT through a task gate in long mode is #GP", GP+GAP_GATE*8+2, int GAP_GATE
  gate GAP_GATE, store_ss
  mov word ptr [idt + GAP_GATE * 16 + 2], 0
  fault "a gate with a null selector is #GP(0)", GP, int GAP_GATE
  mov word ptr [idt + GAP_GATE * 16 + 2], KDATA
  fault "a gate to a data segment is #GP(selector)", GP+KDATA, int GAP_GATE
  mov word ptr [idt + GAP_GATE * 16 + 2], KCODE32
  fault "a gate to 32-bit code in long mode is #GP(selector)", GP+KCODE32, int GAP_GATE
  mov word ptr [idt + GAP_GATE * 16 + 2], 0x1f8
  fault "a gate beyond the GDT is #GP(selector)", GP+0x1f8, int GAP_GATE
  mov word ptr [idt + GAP_GATE * 16 + 2], UCODE
  fault "a gate to an outer level is #GP(selector)", GP+0x28, int GAP_GATE
  mov word ptr [idt + GAP_GATE * 16 + 2], FREE
  mov rax, 0x00af1b000000ffff
  mov [gdt + FREE], rax
  fault "a gate to absent code is #NP(selector)", NP+FREE, int GAP_GATE
  gate GAP_GATE, store_ss
  mov dword ptr [idt + GAP_GATE * 16 + 8], 0x8000
  fault "a gate to an address that is not canonical is #GP(0)", GP, int GAP_GATE
  catcher GAP_GATE
  mov word ptr [idt + 6 * 16 + 2], KDATA
  fault "a fault met while delivering #UD has EXT", GP+KDATA+1, ud2
  mov word ptr [idt + 6 * 16 + 2], KCODE
  mov byte ptr [idt + 6 * 16 + 5], 0x0e
  fault "#UD through an absent gate is #NP with EXT", NP+6*8+3, ud2
  mov byte ptr [idt + 6 * 16 + 5], 0x8e

  # --- double faults
  mov byte ptr [idt + 13 * 16 + 5], 0x0e
  mov r15, NOT_CANONICAL
  fault "#NP while delivering #GP is #DF(0)", DF, mov rax, [r15]
  mov byte ptr [idt + 13 * 16 + 5], 0x8e
  mov byte ptr [idt + 14 * 16 + 5], 0x0e
  mov rbx, TEST + 0x5000
  fault "#NP while delivering #PF is #DF(0)", DF, mov rax, [rbx]
  mov byte ptr [idt + 14 * 16 + 5], 0x8e
  mov byte ptr [idt + 0 * 16 + 5], 0x0e
  xor ecx, ecx
  fault "#NP while delivering #DE is #DF(0)", DF, div ecx
  mov byte ptr [idt + 0 * 16 + 5], 0x8e
  gate 8, catch+8*16, 0x8e, 1
  mov rbp, rsp
  fault2 "#PF on the stack of a #PF is #DF(0)", DF, "mov rsp, TEST+0x5ff8", "mov rax, [rbx]"
  fault2 "#PF on the stack of INT3, again on the stack of that #PF, is #DF(0)", DF, "mov rsp, TEST+0x5ff8", "int3"
  gate 14, catch+14*16, 0x8e, 2
  fault2 "#PF with a good stack of its own after INT3 on a bad one", PF+2, "mov rsp, TEST+0x5ff8", "int3"
  mov rax, TEST + 0x5fe8
  check "CR2 is the slot of the push", [got_cr2], rax
  gate 12, catch+12*16, 0x8e, 1
  fault2 "INT3 on a stack that is not canonical is #SS(0)", SSF, "mov rsp, NOT_CANONICAL+0x100", "int3"
  fault2 "#UD on a stack that is not canonical is #SS(1)", SSF+1, "mov rsp, NOT_CANONICAL+0x100", "ud2"
  fault2 "PUSH on a stack that is not canonical is #SS(0)", SSF, "mov rsp, NOT_CANONICAL+0x100", "push rax"
  mov rbp, NOT_CANONICAL
  fault "[RBP] not canonical is #SS(0)", SSF, mov rax, [rbp]
  fault2 "[RBX] not canonical is #GP(0)", GP, "mov rbx, NOT_CANONICAL", "mov rax, [rbx]"
  fault2 "DS:[RBP] is #SS too: the override counts for nothing", SSF, ".byte 0x3e", "mov rax, [rbp]"
  fault "JMP to an address that is not canonical is #GP(0)", GP, jmp rbx
  catcher 14
  catcher 12

  # --- #TS: an IST entry beyond the TSS
  mov rax, [gdt + TSS]
  and rax, -0x10000
  add rax, 47 # RSP0 to IST1
  btr rax, 41 # not busy
  mov [gdt + FREE], rax
  mov qword ptr [gdt + FREE + 8], 0
  mov eax, FREE
  ltr ax
  gate GAP_GATE, store_ss, 0x8e, 2
  fault "an IST entry beyond the TSS is #TS(TR)", TS+FREE, int GAP_GATE
  gate 6, catch+6*16, 0x8e, 2
  fault "and with EXT for an exception", TS+FREE+1, ud2
  catcher 6
  catcher GAP_GATE
  btr qword ptr [gdt + TSS], 41
  mov eax, TSS
  ltr ax

  # --- x87 and SSE
  mov rax, cr0
  or eax, 8
  mov cr0, rax
  fault "x87 with CR0.TS is #NM", NM, fld1
  fault "SSE with CR0.TS is #NM", NM, movaps xmm0, xmm1
  fault "FWAIT with TS and MP is #NM", NM, fwait
  clts
  fault "CLTS clears it", NONE, fld1
  mov rax, cr0
  xor eax, 6 # EM on, MP off
  mov cr0, rax
  fault "x87 with CR0.EM is #NM", NM, fld1
  fault "SSE with CR0.EM is #UD", UD, movaps xmm0, xmm1
  xor eax, eax
  mov rax, cr0
  xor eax, 6
  mov cr0, rax
  cr4_clear 0x200
  fault "SSE without CR4.OSFXSR is #UD", UD, movaps xmm0, xmm1
  cr4_set 0x200
  fninit
  mov word ptr [scratch], 0x37b
  fldcw [scratch]
  fld1
  fldz
  fdivp
  fault "an unmasked x87 exception is #MF at the next x87 instruction", 16 << 16, fwait
  fnclex
  fninit
  stmxcsr [scratch]
  and dword ptr [scratch], ~0x200
  ldmxcsr [scratch]
  xorps xmm0, xmm0
  mov eax, 1
  cvtsi2ss xmm1, eax
  fault "an unmasked SSE exception is #XM", 19 << 16, divss xmm1, xmm0
  cr4_clear 0x400
  fault "without CR4.OSXMMEXCPT it is #UD", UD, divss xmm1, xmm0
  cr4_set 0x400
  or dword ptr [scratch], 0x200
  ldmxcsr [scratch]
  mov dword ptr [scratch], 0x10000
  fault "LDMXCSR of a reserved bit is #GP(0)", GP, ldmxcsr [scratch]
  fault "MOVAPS of an odd address is #GP(0)", GP, movaps xmm0, [scratch + 4]

  # --- alignment checks
  mov rax, cr0
  bts rax, 18
  mov cr0, rax
  mov rbx, offset scratch
  bts rbx, 40
  mov qword ptr [user_flags], 0x40002
  userfault "#AC(0): an odd dword at CPL 3 with AC and AM", AC, mov eax, [rbx + 1]
  userfault "#AC(0): a write", AC, mov [rbx + 2], eax
  userfault "#AC(0): a quadword on 4", AC, mov rax, [rbx + 4]
  userfault "#AC(0): a word on 1", AC, mov ax, [rbx + 1]
  userfault "#AC(0): a locked add", AC, lock add dword ptr [rbx + 1], 1
  userfault2 "#AC(0): PUSH", AC, "lea rsp, [rsp - 4]", "push rax"
  userfault "no #AC for bytes", USER_OK, mov al, [rbx + 1]
  userfault "no #AC when aligned", USER_OK, mov rax, [rbx + 8]
  userfault2 "#AC(0): across a page", AC, "or rbx, 0xfff", "mov eax, [rbx]"
  mov rbx, offset scratch
  bts rbx, 40
  fault2 "no #AC at CPL 0", NONE, "stac_", "mov eax, [scratch + 1]", "clac_"
  mov qword ptr [user_flags], 2
  userfault "no #AC without AC", USER_OK, mov eax, [rbx + 1]
  mov rax, cr0
  btr rax, 18
  mov cr0, rax
  mov qword ptr [user_flags], 0x40002
  userfault "no #AC without CR0.AM", USER_OK, mov eax, [rbx + 1]
  mov qword ptr [user_flags], 2
  ret

store_ss:
  mov r12, rsp
  xor ebx, ebx
  mov bx, ss
  iretq
store_if:
  pushfq
  pop rbx
  and ebx, 0x200
  iretq

.section .bss
.balign 64
scratch: .skip 64
