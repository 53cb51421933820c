# Segmentation in 32-bit protected mode: loads, limits, types, expand-down, conforming code, call gates, far returns, IRET.
.include "protected.inc"
.equ D1, FREE
.equ D2, FREE+8
.equ LDT, FREE+16
.equ GATE, FREE+24
.equ CODE2, FREE+32
.equ DATA16, FREE+40
.equ INNER, FREE+48

main:
  # --- loading
  descriptor D1, 0, 0xfffff, 0x93, 0xc
  mov eax, D1
  fault "a data segment loads", NONE, mov fs, eax
  mov eax, 0x1f8
  fault "a selector beyond the GDT is #GP(selector)", GP+0x1f8, mov fs, eax
  fault "MOV SS beyond the GDT is #GP(selector)", GP+0x1f8, mov ss, eax
  descriptor D1, 0, 0xfffff, 0x13, 0xc
  mov eax, D1
  fault "an absent data segment is #NP(selector)", NP+D1, mov fs, eax
  fault "an absent stack segment is #SS(selector)", SSF+D1, mov ss, eax
  descriptor D1, 0, 0xfffff, 0x99, 0xc
  fault "execute-only code as data is #GP(selector)", GP+D1, mov fs, eax
  descriptor D1, 0, 0xfffff, 0x91, 0xc
  fault "a read-only stack segment is #GP(selector)", GP+D1, mov ss, eax
  fault "a read-only data segment loads", NONE, mov fs, eax
  fault "a write to it is #GP(0)", GP, mov fs:[0x8000], eax
  fault "a read is legal", NONE, mov eax, fs:[0x8000]
  descriptor D1, 0, 0xfffff, 0x9b, 0xc
  mov eax, D1
  fault "readable code loads as data", NONE, mov fs, eax
  fault "a write to it is #GP(0) too", GP, mov fs:[0x8000], eax
  descriptor D1, 0, 0xfffff, 0xf3, 0xc
  mov eax, D1
  fault "MOV SS of another DPL is #GP(selector)", GP+D1, mov ss, eax
  mov eax, D1+3
  fault "MOV DS of DPL 3, RPL 3 at CPL 0", NONE, mov fs, eax
  descriptor D1, 0, 0xfffff, 0x93, 0xc
  fault "MOV DS of DPL 0, RPL 3 at CPL 0 is #GP(selector)", GP+D1, mov fs, eax
  mov eax, D1
  userfault "MOV DS of DPL 0 at CPL 3 is #GP(selector)", GP+D1, mov fs, eax
  descriptor D1, 0, 0xfffff, 0x92, 0xc
  mov eax, D1
  mov fs, eax
  movzx eax, byte ptr [gdt + D1 + 5]
  check "a load sets the accessed bit", eax, 0x93
  xor eax, eax
  fault "MOV SS of a null selector is #GP(0)", GP, mov ss, eax
  fault "MOV CS is #UD", UD, .byte 0x8e, 0xc8
  fault "a null FS loads", NONE, mov fs, eax
  fault "its use is #GP(0)", GP, mov eax, fs:[0]
  mov eax, 3
  fault "so does a null selector with an RPL", NONE, mov fs, eax
  mov eax, fs
  check "which it keeps", eax, 3
  fault "LGS of a null selector", NONE, lgs eax, [null_pointer]
  mov eax, KDATA
  mov es, eax
  mov fs, eax
  descriptor D1, 0, 0xfffff, 0x82, 0
  mov eax, D1
  fault "an LDT as data is #GP(selector)", GP+D1, mov fs, eax

  # --- LDT
  descriptor LDT, "offset ldt", 15, 0x82, 0
  mov eax, 0x0c
  fault "an LDT selector without an LDT is #GP(selector)", GP+0xc, mov fs, eax
  mov ecx, LDT
  lldt cx
  mov edx, offset ldt_data
  mov [ldt + 10], dx
  shr edx, 16
  mov [ldt + 12], dl
  mov [ldt + 15], dh
  fault "a selector of the LDT", NONE, mov fs, eax
  check "reads through its base", fs:[0], 0x12345678
  mov eax, 0x14
  fault "beyond the LDT is #GP(selector)", GP+0x14, mov fs, eax
  mov ecx, KDATA
  fault "LLDT of a data segment is #GP(selector)", GP+KDATA, lldt cx
  mov ecx, LDT+4
  fault "LLDT of a selector of the LDT is #GP(selector)", GP+LDT+4, lldt cx
  descriptor LDT, "offset ldt", 15, 0x02, 0
  mov ecx, LDT
  fault "LLDT of an absent LDT is #NP(selector)", NP+LDT, lldt cx
  mov ecx, TSS
  fault "LTR of a busy TSS is #GP(selector)", GP+TSS, ltr cx
  xor ecx, ecx
  fault "LTR of a null selector is #GP(0)", GP, ltr cx
  fault "LLDT of a null selector", NONE, lldt cx
  mov eax, KDATA
  mov fs, eax

  # --- limits
  descriptor D1, "offset window", 0xfff, 0x93, 4
  mov eax, D1
  mov fs, eax
  fault "the last dword", NONE, mov eax, fs:[0xffc]
  fault "a dword over the end is #GP(0)", GP, mov eax, fs:[0xffd]
  fault "a byte behind it is #GP(0)", GP, mov al, fs:[0x1000]
  fault "an offset of -1 is #GP(0)", GP, mov al, fs:[-1]
  fault "a dword that wraps is #GP(0)", GP, mov eax, fs:[-2]
  mov ecx, 0xffd
  fault "XADD over the end is #GP(0)", GP, xadd fs:[ecx], eax
  fault "MOVUPS over the end", GP, movups xmm0, fs:[0xff1]
  fault "MOVUPS at the end", NONE, movups xmm0, fs:[0xff0]
  descriptor D1, "offset window", 0, 0x93, 0xc
  mov eax, D1
  mov fs, eax
  fault "a limit of 0 pages is 4095", NONE, mov al, fs:[4095]
  fault "and not 4096", GP, mov al, fs:[4096]
  # expand-down: valid above the limit
  descriptor D1, "offset window", 0xfff, 0x97, 4
  mov eax, D1
  mov fs, eax
  fault "expand-down: at the limit is #GP(0)", GP, mov al, fs:[0xfff]
  fault "expand-down: above it", NONE, mov al, fs:[0x1000]
  fault "expand-down: a dword that begins below is #GP(0)", GP, mov eax, fs:[0xffe]
  descriptor D1, "offset window", 0xfff, 0x97, 0
  mov eax, D1
  mov fs, eax
  fault "expand-down of 16 bits ends at 64 KiB", NONE, mov al, fs:[0xffff]
  fault "and not above", GP, mov al, fs:[0x10000]
  fault "nor across", GP, mov eax, fs:[0xfffe]
  # the stack's limit
  descriptor D1, 0, 0x1ff, 0x93, 0xc
  descriptor D2, 0, 0x10, 0x93, 4
  mov ecx, D2
  fault2 "PUSH beyond the stack's limit is #SS(0)", DF, "mov ss, ecx", "push eax"
  mov ebp, 0x7000000
  mov ecx, D2
  descriptor D2, 0, 0x1ff, 0x93, 0xc
  fault2 "[EBP] beyond SS's limit is #SS(0)", SSF, "mov ss, ecx", "mov eax, [ebp]"
  mov eax, KDATA
  mov ss, eax
  fault "[EBP] with DS: has DS's limit", NONE, mov eax, ds:[ebp]

  # --- LAR, LSL, VERR, VERW
  descriptor D1, 0, 0x12345, 0xf1, 0xc
  mov ecx, D1
  xor eax, eax
  lar eax, ecx
  setz bl
  movzx ebx, bl
  check "LAR finds it", ebx, 1
  check "LAR", eax, 0xc0f100|0x10000
  lsl eax, ecx
  check "LSL", eax, 0x12345fff
  verr cx
  setz bl
  check "VERR of a read-only segment", ebx, 1
  verw cx
  setz bl
  check "VERW of a read-only segment", ebx, 0
  mov ecx, KDATA+3
  lar eax, ecx
  setz bl
  check "LAR heeds RPL", ebx, 0
  xor ecx, ecx
  lsl eax, ecx
  setz bl
  check "LSL of a null selector", ebx, 0
  mov ecx, 0x1f8
  verr cx
  setz bl
  check "VERR beyond the GDT", ebx, 0
  mov eax, 0x10
  mov ecx, 0x13
  arpl ax, cx
  setz bl
  check "ARPL raises an RPL", eax, 0x13
  check "and says so", ebx, 1

  # --- conforming code, far jumps
  descriptor CODE2, 0, 0xfffff, 0x9f, 0xc
  mov dword ptr [far_pointer], offset far_target
  mov word ptr [far_pointer + 4], CODE2
  call fword ptr [far_pointer]
  check "far CALL to conforming code", [far_cs], CODE2
  mov dword ptr [far_pointer], offset far_user
  user jmp fword ptr [far_pointer]
  check "conforming code at CPL 3 keeps CPL", [got_cs], CODE2+3
  descriptor CODE2, 0, 0xfffff, 0xff, 0xc
  mov dword ptr [far_pointer], offset far_target
  fault "conforming code of an outer level is #GP(selector)", GP+CODE2, call fword ptr [far_pointer]
  descriptor CODE2, 0, 0xfffff, 0xfb, 0xc
  fault "far CALL to an outer level is #GP(selector)", GP+CODE2, call fword ptr [far_pointer]
  descriptor CODE2, 0, 0xfffff, 0x9b, 0xc
  userfault "far CALL to an inner level is #GP(selector)", GP+CODE2, call fword ptr [far_pointer]
  descriptor CODE2, 0, 0xfffff, 0x1b, 0xc
  fault "far CALL to absent code is #NP(selector)", NP+CODE2, call fword ptr [far_pointer]
  descriptor CODE2, 0, 0xff, 0x9b, 4
  fault "far CALL beyond the limit is #GP(0)", GP, call fword ptr [far_pointer]
  mov word ptr [far_pointer + 4], 0
  fault "far CALL to a null selector is #GP(0)", GP, call fword ptr [far_pointer]
  mov word ptr [far_pointer + 4], D1
  fault "far CALL to data is #GP(selector)", GP+D1, call fword ptr [far_pointer]
  # limit of the code segment: a jump out of it, and running over its end
  descriptor CODE2, "offset short_code", 15, 0x9b, 4
  mov dword ptr [far_pointer], 0
  mov word ptr [far_pointer + 4], CODE2
  fault "running over the end of the code segment is #GP(0)", GP, jmp fword ptr [far_pointer]
  check "at the first instruction that does not fit", [got_eip], 14
  check "with its CS", [got_cs], CODE2
  mov dword ptr [far_pointer], offset near_out - short_code
  descriptor CODE2, "offset short_code", 63, 0x9b, 4
  fault "a near jump out of it is #GP(0)", GP, jmp fword ptr [far_pointer]
  check "at the jump", [got_eip], "offset near_out - short_code"

  # --- call gates
  descriptor GATE, 0, 0, 0, 0
  mov eax, offset gate_target
  mov word ptr [gdt + GATE], ax
  mov dword ptr [gdt + GATE + 2], 0xec020000+KCODE # 32 bits, DPL 3, 2 parameters
  shr eax, 16
  mov word ptr [gdt + GATE + 6], ax
  mov dword ptr [far_pointer], 0
  mov word ptr [far_pointer + 4], GATE+3
  user call user_calls
  check "call gate: CS", [seen_cs], KCODE
  check "call gate: SS:ESP from the TSS", [seen_esp], "offset stack0_top - 24"
  check "call gate: first parameter", [seen_stack+8], 0x2222
  check "call gate: second parameter", [seen_stack+12], 0x1111
  check "call gate: outer SS", [seen_stack+20], UDATA
  check "call gate: RET returns to CPL 3", [got_code], USER_OK
  check "RET n releases parameters of both stacks", [user_esp_after], [user_esp_before]
  check "RET to an outer level keeps DS of CPL 3", [user_ds], UDATA
  mov byte ptr [gdt + GATE + 5], 0x8c
  userfault "a gate of DPL 0 is #GP(selector) at CPL 3", GP+GATE, call fword ptr [far_pointer]
  mov byte ptr [gdt + GATE + 5], 0x6c
  userfault "an absent gate is #NP(selector)", NP+GATE, call fword ptr [far_pointer]
  mov byte ptr [gdt + GATE + 5], 0xec
  userfault "JMP through a gate to an inner level is #GP(code)", GP+KCODE, jmp fword ptr [far_pointer]
  mov word ptr [gdt + GATE + 2], 0
  userfault "a gate with a null selector is #GP(0)", GP, call fword ptr [far_pointer]
  mov word ptr [gdt + GATE + 2], KCODE
  # an inner stack of a wrong DPL: #TS(selector); its own delivery needs SS0, so look at #DF through its task
  mov dword ptr [tss + 8], UDATA
  userfault "a bad SS0 is #TS, whose delivery fails: #DF", DF, call fword ptr [far_pointer]
  mov dword ptr [tss + 8], KDATA
  # level 1 stack
  descriptor CODE2, 0, 0xfffff, 0xbb, 0xc
  mov word ptr [gdt + GATE + 2], CODE2
  mov dword ptr [tss + 12], offset panic_stack_top
  mov dword ptr [tss + 16], KDATA+1
  userfault "SS1 of a wrong DPL is #TS(selector)", TS+KDATA, call fword ptr [far_pointer]
  mov dword ptr [tss + 16], 0
  userfault "a null SS1 is #TS(0)", TS, call fword ptr [far_pointer]
  descriptor D2, 0, 0xfffff, 0x33, 0xc
  mov dword ptr [tss + 16], D2+1
  userfault "an absent SS1 is #SS(selector)", SSF+D2, call fword ptr [far_pointer]
  mov word ptr [gdt + GATE + 2], KCODE

  # --- IRET and RET
  push UDATA
  push offset user_stack_top
  push 2
  push UCODE
  push offset user_null
  mov eax, KDATA
  mov fs, eax
  mov dword ptr [got_code], NONE
  mov [resume_esp], esp
  add dword ptr [resume_esp], 20
  mov dword ptr [resume], offset 1f
  iretd
user_null:
  mov ecx, fs
  int RETURN_VECTOR
1: mov dword ptr [resume], 0
  check "IRET to CPL 3 makes FS of DPL 0 null", ecx, 0
  mov [saved_esp], esp
  push 2
  push UDATA
  push offset main
  fault "IRET to data is #GP(selector)", GP+0x20, iretd
  mov esp, [saved_esp]
  push 2
  push KCODE+1
  push offset main
  fault "IRET with RPL of another level is #GP(selector)", GP+KCODE, iretd
  mov esp, [saved_esp]
  push KDATA
  push 0
  push 2
  push UCODE
  push offset main
  fault "IRET with SS of another level is #GP(selector)", GP+KDATA, iretd
  mov esp, [saved_esp]
  push 0
  push 0
  push 2
  push UCODE
  push offset main
  fault "IRET with a null SS is #GP(0)", GP, iretd
  mov esp, [saved_esp]
  pushfd
  push KCODE
  push offset 2f
  or dword ptr [esp + 8], 0x3000
  iretd
2: pushfd
  pop eax
  and eax, 0x3000
  check "IRET at CPL 0 changes IOPL", eax, 0x3000
  push 2
  popfd
  user call user_popf
  mov eax, [got_eflags]
  and eax, 0x3200
  check "POPF at CPL 3 changes neither IOPL nor IF", eax, 0
  ret

user_popf:
  push 0x3202
  popfd
  ret
user_calls:
  mov [user_esp_before], esp
  push 0x1111
  push 0x2222
  call fword ptr [far_pointer]
  mov [user_esp_after], esp
  mov eax, ds
  mov [user_ds], eax
  ret
gate_target:
  mov [seen_esp], esp
  mov eax, cs
  mov [seen_cs], eax
  .irp i, 0, 4, 8, 12, 16, 20
  mov eax, [esp + \i]
  mov [seen_stack + \i], eax
  .endr
  .byte 0xca, 8, 0 # RETF 8
far_target:
  mov eax, cs
  mov [far_cs], eax
  .byte 0xcb # RETF
far_user: int RETURN_VECTOR
.balign 16
short_code:
  .fill 14, 1, 0x90
  mov eax, 0x12345678
near_out: jmp . + 0x1000

.data
null_pointer: .long 0
  .word 0
.balign 8
ldt_data: .long 0x12345678, 0
ldt: .quad 0
  .word 0xffff
  .word 0
  .byte 0, 0x93, 0xcf, 0
.section .bss
.balign 16
far_pointer: .skip 8
far_cs: .skip 4
seen_esp: .skip 4
seen_cs: .skip 4
seen_stack: .skip 24
saved_esp: .skip 4
user_esp_before: .skip 4
user_esp_after: .skip 4
user_ds: .skip 4
.balign 4096
window: .skip 0x12000
