# SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS and the segment bases, from 64-bit and 32-bit code.
.include "long.inc"
.equ NOT_CANONICAL, 0x800000000000

main:
  wrmsr_to 0xc0000081, 0x0018000800000000 # STAR
  wrmsr_to 0xc0000082, "offset lstar"
  wrmsr_to 0xc0000083, "offset cstar"
  wrmsr_to 0xc0000084, 0x40605 # masks AC, DF, IF, PF, CF
  mov qword ptr [user_flags], 0x247
  user syscall_at: syscall
  mov rax, offset syscall_at + 2
  bts rax, 40
  check "SYSCALL: RCX is the next RIP", [seen_rcx], rax
  check "SYSCALL: R11 is RFLAGS", [seen_r11], 0x247
  check "SYSCALL: RFLAGS are masked", [seen_rflags], 0x42
  check "SYSCALL: CS", [seen_cs], 0x08
  check "SYSCALL: SS", [seen_ss], 0x10
  mov rax, [user_rsp]
  check "SYSCALL: RSP is left", [seen_rsp], rax
  check "SYSRET to 64-bit code: CS", [got_cs], UCODE
  check "SYSRET to 64-bit code: SS", [got_ss], UDATA
  mov rax, [got_rflags]
  check "SYSRET: RFLAGS from R11", rax, 0x247
  mov qword ptr [user_flags], 2
  user32fault "SYSCALL in 32-bit code is #UD, as on Intel's processors", UD, syscall
  mov qword ptr [sysret_by], offset sysret_32
  mov qword ptr [sysret_rcx], offset ret32 + LOW_ALIAS
  user syscall
  check "SYSRET to 32-bit code: CS", [got_cs], UCODE32
  check "SYSRET to 32-bit code: SS", [got_ss], UDATA
  check "SYSRET to 32-bit code runs it", rbx, 0x1234
  mov rcx, NOT_CANONICAL
  mov r11d, 2
  fault "SYSRET to an address that is not canonical is #GP(0) at CPL 0", GP, sysretq
  check "with CS of the kernel", [got_cs], KCODE
  userfault "SYSRET at CPL 3 is #GP(0)", GP, sysretq
  wrmsr_to 0xc0000080, 0xd00
  userfault "SYSCALL without EFER.SCE is #UD", UD, syscall
  fault "SYSRET without EFER.SCE is #UD", UD, sysretq
  wrmsr_to 0xc0000080, 0xd01
  mov rax, NOT_CANONICAL
  mov rdx, rax
  shr rdx, 32
  mov ecx, 0xc0000082
  fault "LSTAR not canonical is #GP(0)", GP, wrmsr

  # --- SYSENTER
  fault "SYSENTER without a CS is #GP(0)", GP, sysenter
  wrmsr_to 0x174, 0x08
  wrmsr_to 0x175, "offset stack0_top"
  wrmsr_to 0x176, "offset sysenter_entry"
  mov qword ptr [sysexit_by], offset sysexit_64
  mov qword ptr [user_flags], 0x203
  user sysenter
  check "SYSENTER: CS", [seen_cs], 0x08
  check "SYSENTER: SS", [seen_ss], 0x10
  check "SYSENTER: RSP", [seen_rsp], "offset stack0_top"
  check "SYSENTER: only IF is cleared", [seen_rflags], 0x03
  check "SYSEXIT to 64-bit code: CS", [got_cs], UCODE
  check "SYSEXIT to 64-bit code: SS", [got_ss], 0x33
  check "SYSEXIT to 64-bit code runs it", rbx, 0x6464
  mov rax, [user_rsp]
  check "SYSEXIT: RSP is RCX", [got_rsp], rax
  mov qword ptr [user_flags], 2
  mov qword ptr [sysexit_by], offset sysexit_32
  user32 sysenter
  check "SYSENTER from 32-bit code: CS", [seen_cs], 0x08
  check "SYSEXIT to 32-bit code: CS", [got_cs], UCODE32
  check "SYSEXIT to 32-bit code: SS", [got_ss], UDATA
  check "SYSEXIT to 32-bit code runs it", rbx, 0x3232
  userfault "SYSEXIT at CPL 3 is #GP(0)", GP, .byte 0x0f, 0x35
  mov rdx, NOT_CANONICAL
  mov ecx, 0
  fault "SYSEXIT to an address that is not canonical is #GP(0)", GP, .byte 0x48, 0x0f, 0x35
  xor edx, edx
  mov rcx, NOT_CANONICAL
  fault "SYSEXIT with RSP not canonical is #GP(0)", GP, .byte 0x48, 0x0f, 0x35
  wrmsr_to 0x174, 0
  fault "SYSEXIT without a CS is #GP(0)", GP, .byte 0x0f, 0x35

  # --- segment bases
  mov rax, TEST
  wrmsr_to 0xc0000101, 0x1111
  wrmsr_to 0xc0000102, 0x2222
  swapgs
  rdmsr_from 0xc0000101
  check "SWAPGS: GS base", rax, 0x2222
  rdmsr_from 0xc0000102
  check "SWAPGS: kernel GS base", rax, 0x1111
  userfault "SWAPGS at CPL 3 is #GP(0)", GP, swapgs
  user32fault "SWAPGS's encoding in 32-bit code is #UD", UD, .byte 0x0f, 0x01, 0xf8
  userfault "RDFSBASE without CR4.FSGSBASE is #UD", UD, rdfsbase rax
  cr4_set 0x10000
  mov rbx, 0x123456789abc
  fault "WRFSBASE", NONE, wrfsbase rbx
  rdfsbase rax
  check "RDFSBASE", rax, rbx
  userfault "WRGSBASE at CPL 3", USER_OK, wrgsbase rbx
  rdgsbase rax
  check "RDGSBASE", rax, rbx
  wrfsbase ebx
  rdfsbase rax
  check "WRFSBASE of 32 bits", rax, 0x56789abc
  mov rbx, NOT_CANONICAL
  fault "WRFSBASE of an address that is not canonical is #GP(0)", GP, wrfsbase rbx
  user32fault "RDFSBASE in 32-bit code is #UD", UD, .byte 0xf3, 0x0f, 0xae, 0xc0
  mov rbx, offset data
  wrfsbase rbx
  mov rax, fs:[8]
  check "an FS: access adds the base", rax, 0x5a5a
  xor eax, eax
  mov fs, eax
  rdfsbase rax
  check "loading a null selector clears FS's base", rax, 0
  mov eax, KDATA
  mov fs, eax
  rdfsbase rax
  check "loading a selector loads the descriptor's base", rax, 0
  cr4_clear 0x10000

  # --- IRET in 64-bit code
  mov rbx, rsp
  push KDATA
  push rbx
  push 0x246
  push KCODE
  push offset 1f
  iretq
1: pushfq
  pop rax
  check "IRETQ at the same level pops SS:RSP and RFLAGS", rax, 0x246
  cli
  mov rcx, rsp
  check "and RSP", rcx, rbx
  mov rbx, rsp
  push 0
  push rbx
  push 2
  push KCODE
  push offset 2f
  iretq
2: xor eax, eax
  mov ax, ss
  check "IRETQ with a null SS at CPL 0", rax, 0
  mov eax, KDATA
  mov ss, eax
  mov [saved_rsp], rsp
  push UDATA
  push rbx
  push 2
  push KCODE
  push offset 2b
  fault "IRETQ to SS of another level is #GP(selector)", GP+0x20, iretq
  mov rsp, [saved_rsp]
  push KDATA
  push rbx
  push 0x4002
  popfq
  fault "IRETQ with NT in long mode is #GP(0)", GP, iretq
  push 2
  popfq
  mov rsp, [saved_rsp]
  push KDATA
  push rbx
  push 2
  push KCODE
  mov rax, NOT_CANONICAL
  push rax
  fault "IRETQ to an address that is not canonical is #GP(0)", GP, iretq
  mov rsp, [saved_rsp]
  push 0
  push rbx
  push 2
  push UCODE
  push offset 2b
  fault "IRETQ to CPL 3 with a null SS is #GP(0)", GP, iretq
  mov rsp, [saved_rsp]
  push KDATA
  push rbx
  push 2
  push KDATA
  push offset 2b
  fault "IRETQ to a data segment is #GP(selector)", GP+KDATA, iretq
  mov rsp, [saved_rsp]
  push KDATA
  push rbx
  push 2
  push 0
  push offset 2b
  fault "IRETQ to a null CS is #GP(0)", GP, iretq
  mov rsp, [saved_rsp]
  # 32-bit kernel code and back by far transfers
  mov qword ptr [far_pointer], offset code32
  mov word ptr [far_pointer + 4], KCODE32
  call fword ptr [far_pointer]
  check "far CALL to 32-bit code in long mode, and back", rbx, 0x3232
  mov word ptr [far_pointer + 4], KDATA
  fault "far CALL to a data segment is #GP(selector)", GP+KDATA, call fword ptr [far_pointer]
  mov word ptr [far_pointer + 4], 0
  fault "far JMP to a null selector is #GP(0)", GP, jmp fword ptr [far_pointer]
  mov word ptr [far_pointer + 4], UCODE
  fault "far JMP to an outer level is #GP(selector)", GP+0x28, jmp fword ptr [far_pointer]
  # 64-bit call gate from CPL 3
  mov rax, offset gate_entry
  mov word ptr [gdt + FREE], ax
  mov dword ptr [gdt + FREE + 2], 0xec000000 + KCODE
  shr rax, 16
  mov word ptr [gdt + FREE + 6], ax
  mov qword ptr [gdt + FREE + 8], 0
  mov rbx, rsp
  mov rax, offset gate_pointer
  bts rax, 40
  mov rdi, rax
  user rex64_call: .byte 0xff, 0x1f # CALL far [RDI]
  check "call gate: CPL 0", [seen_cs], KCODE
  check "call gate: SS is null", [seen_ss], 0
  check "call gate: stack from the TSS", [seen_rsp], "offset stack0_top - 32"
  mov rax, offset rex64_call + 2
  bts rax, 40
  check "call gate: return address", [gate_frame], rax
  check "call gate: old CS", [gate_frame + 8], UCODE
  mov rax, [user_rsp]
  check "call gate: old RSP", [gate_frame + 16], rax
  check "call gate: old SS", [gate_frame + 24], UDATA
  check "RETFQ returned to CPL 3", [got_code], USER_OK
  mov byte ptr [gdt + FREE + 5], 0x8c
  userfault "a call gate of DPL 0 is #GP(selector) at CPL 3", GP+FREE, .byte 0xff, 0x1f
  mov byte ptr [gdt + FREE + 5], 0x6c
  userfault "an absent call gate is #NP(selector)", NP+FREE, .byte 0xff, 0x1f
  mov byte ptr [gdt + FREE + 5], 0xec
  mov byte ptr [gdt + FREE + 13], 0x0c
  userfault "a call gate with a bad second half is #GP(selector)", GP+FREE, .byte 0xff, 0x1f
  mov qword ptr [gdt + FREE + 8], 0
  mov word ptr [gdt + FREE + 2], KCODE32
  userfault "a call gate to 32-bit code in long mode is #GP(selector)", GP+KCODE32, .byte 0xff, 0x1f
  mov word ptr [gdt + FREE + 2], KDATA
  userfault "a call gate to data is #GP(selector)", GP+KDATA, .byte 0xff, 0x1f
  # null SS and data segments
  xor eax, eax
  fault "a null DS may be loaded and used in 64-bit code", NONE, mov ds, eax
  mov rax, [gdt + 8]
  mov eax, 3
  userfault "MOV SS of a null selector at CPL 3 is #GP(0)", GP, mov ss, eax
  mov eax, KDATA
  userfault "MOV DS of an inner level at CPL 3 is #GP(selector)", GP+KDATA, mov ds, eax
  mov eax, KDATA
  mov ds, eax
  mov es, eax
  ret

sysexit_64:
  mov rdx, offset ret64
  bts rdx, 40
  mov rcx, [user_rsp]
  .byte 0x48, 0x0f, 0x35
sysexit_32:
  mov edx, offset ret32b + LOW_ALIAS
  mov ecx, offset user_stack_top + LOW_ALIAS
  .byte 0x0f, 0x35
ret64:
  mov ebx, 0x6464
  int RETURN_VECTOR
gate_entry:
  call see
  mov rax, [rsp]
  mov [gate_frame], rax
  mov rax, [rsp + 8]
  mov [gate_frame + 8], rax
  mov rax, [rsp + 16]
  mov [gate_frame + 16], rax
  mov rax, [rsp + 24]
  mov [gate_frame + 24], rax
  .byte 0x48, 0xcb # RETFQ

# What an entry point finds.
see:
  push rax
  lea rax, [rsp + 16]
  mov [seen_rsp], rax
  mov [seen_rcx], rcx
  mov [seen_r11], r11
  pushfq
  pop qword ptr [seen_rflags]
  xor eax, eax
  mov ax, cs
  mov [seen_cs], rax
  mov ax, ss
  mov [seen_ss], rax
  pop rax
  ret

lstar:
  mov [seen_rsp], rsp
  mov rsp, offset stack0_top
  push qword ptr [seen_rsp]
  call see
  pop qword ptr [seen_rsp]
  mov rsp, [seen_rsp]
  cmp qword ptr [sysret_by], 0
  jne 1f
  sysretq
1: jmp [sysret_by]
sysret_32:
  mov rcx, [sysret_rcx]
  sysretd
cstar: ud2
sysenter_entry:
  call see
  jmp [sysexit_by]
.code32
ret32:
  mov ebx, 0x1234
  int RETURN_VECTOR
ret32b:
  mov ebx, 0x3232
  int RETURN_VECTOR
code32:
  mov ebx, 0x3232
  .byte 0xcb
.code64

.data
.balign 16
gate_pointer: .long 0
  .word FREE + 3
.balign 8
data: .quad 0, 0x5a5a
.section .bss
.balign 16
far_pointer: .skip 16
seen_rsp: .skip 8
seen_rcx: .skip 8
seen_r11: .skip 8
seen_rflags: .skip 8
seen_cs: .skip 8
seen_ss: .skip 8
sysret_by: .skip 8
sysret_rcx: .skip 8
sysexit_by: .skip 8
saved_rsp: .skip 8
gate_frame: .skip 32
