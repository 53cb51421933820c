# Real-address mode: segments, the vector table, faults without error codes, limits, "unreal" segments, PE set and cleared.
.include "protected.inc"
.equ CODE16, FREE
.equ DATA16, FREE+8
.equ HERE, 0x8000 # real code, CS 0x800
.equ OUT, 0x600 # results: see `result`
.equ RESUME, 0x5f0 # IP to go on at after a fault

.macro result name:req, index:req, expected:req
  movzx eax, word ptr [OUT+(\index)*2]
  check "\name", eax, "\expected"
.endm

main:
  mov esi, offset real
  mov edi, HERE
  mov ecx, offset real_end - real
  rep movsb
  descriptor CODE16, HERE, 0xffff, 0x9b, 0
  descriptor DATA16, 0, 0xffff, 0x93, 0
  mov [saved_esp], esp
  lidt [real_idtr]
  mov eax, DATA16
  jmp CODE16:0
back:
  mov eax, KDATA
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov esp, [saved_esp]
  lidt [idtr]
  result "SS << 4: PUSH lands there", 0, 0x1357
  result "INT pushes 6 bytes", 1, 6
  result "INT: IP", 2, "offset after_int - real"
  result "INT: CS", 3, 0x800
  result "INT: IF is clear in the handler", 4, 0
  result "INT: IF is in the image", 5, 0x200
  result "IRET brings IF back", 6, 0x200
  result "DIV by zero is vector 0", 7, 0x100
  result "and returns to the instruction", 8, "offset div_at - real"
  result "UD2 is vector 6", 9, 0x106
  result "a word at FFFF is vector 13", 10, 0x10d
  result "without an error code: 6 bytes", 11, 6
  result "a word at SS:FFFF is vector 12", 12, 0x10c
  result "LOCK on a register is vector 6", 13, 0x106
  result "SLDT is vector 6", 14, 0x106
  result "LAR is vector 6", 15, 0x106
  result "a jump beyond FFFF is vector 13", 16, 0x10d
  result "INT3 is vector 3", 17, 0x103
  result "BOUND is vector 5", 18, 0x105
  result "INTO is vector 4", 19, 0x104
  result "single step is vector 1", 20, 0x101
  result "MOV CR0 at will: SMSW's PE is 0", 21, 0x10
  result "a limit of 4 GiB stays after protected mode (unreal)", 22, 0x5aa5
  result "MOV DS changes the base, not that limit", 23, 0x5aa5
  result "CS keeps its base when PE is set", 24, 1
  result "16-bit code with a 32-bit operand", 25, 0x5678
  result "POPF sets IOPL", 26, 0x3000
  result "INT beyond the table's limit is vector 13", 27, 0x10d
  result "LODSB at FFFF: SI wraps to 0", 28, 0
  result "IRETD in real mode", 29, 0x77
  result "CALL far pushes CS:IP", 30, 0x800
  result "LES", 31, 0x4321
  ret

.code16
.macro store index:req, value:req
  mov word ptr es:[OUT+(\index)*2], \value
.endm
# Runs insn; a fault leaves 0x100 + vector in AX.
.macro trap index:req, insn:vararg
  mov word ptr es:[RESUME], offset trap_\@ - real
  xor ax, ax
  \insn
trap_\@:
  store \index, ax
.endm

real: # 16-bit protected mode, flat data in AX
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  .byte 0xea # JMP 0x800:
  .word 1f - real, HERE >> 4
1: xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7000
  mov cx, 32
  xor di, di
  mov ax, offset handlers - real
2: mov [di], ax
  mov word ptr [di + 2], HERE >> 4
  add ax, 8
  add di, 4
  loop 2b
  mov word ptr [0x60 * 4], offset on_60 - real
  mov word ptr [0x60 * 4 + 2], HERE >> 4
  mov ax, 0x500
  mov ss, ax
  mov sp, 0x2000
  mov ax, 0x1357
  push ax
  mov ax, [0x6ffe]
  store 0, ax
  pop ax
  sti
  int 0x60
after_int:
  pushf
  pop ax
  and ax, 0x200
  store 6, ax
  cli
  xor cl, cl
  mov word ptr es:[RESUME], offset 3f - real
div_at: div cl
3: store 7, ax
  mov ax, es:[RESUME + 2]
  store 8, ax
  trap 9, ud2
  trap 10, mov cx, [0xffff]
  mov ax, es:[RESUME + 4]
  store 11, ax
  mov bp, 0xffff
  trap 12, mov cx, [bp]
  trap 13, .byte 0xf0, 0x01, 0xc0
  trap 14, .byte 0x0f, 0x00, 0xc1
  trap 15, .byte 0x0f, 0x02, 0xc9
  trap 16, .byte 0x66, 0xe9, 0x00, 0x00, 0x01, 0x00
  trap 17, int3
  mov cx, 9
  trap 18, bound cx, [bounds - real + HERE]
  trap 19, .byte 0xb0, 0x7f, 0xfe, 0xc0, 0xce
  mov word ptr es:[RESUME], offset 4f - real
  pushf
  pop ax
  or ax, 0x100
  push ax
  popf
  nop
4: store 20, ax
  smsw ax
  and ax, 0x11
  store 21, ax
  # unreal: a flat DS from protected mode
  lgdt [gdtr16 - real + HERE]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  store 24, 1
  mov bx, KDATA
  mov ds, bx
  and al, 0xfe
  mov cr0, eax
  mov ebx, offset far_away
  mov cx, [ebx]
  store 22, cx
  mov ax, 0x10
  mov ds, ax
  mov cx, [ebx - 0x100]
  store 23, cx
  xor ax, ax
  mov ds, ax
  mov eax, 0x12345678
  store 25, ax
  push 0x3002
  popf
  pushf
  pop ax
  and ax, 0x3000
  store 26, ax
  push 2
  popf
  lidt [short_idt - real + HERE]
  trap 27, int 0x60
  lidt [whole_idt - real + HERE]
  mov si, 0xffff
  lodsb
  mov ax, si
  store 28, ax
  mov ax, 0x77
  pushfd
  .byte 0x66
  push cs # 4 bytes
  xor ebx, ebx
  mov bx, offset 5f - real
  push ebx
  .byte 0x66, 0xcf # IRETD
  xor ax, ax
5: store 29, ax
  .byte 0x9a # CALL far
  .word called - real, HERE >> 4
  store 30, ax
  les bx, [pointer - real + HERE]
  mov ax, es
  xor cx, cx
  mov es, cx
  store 31, ax
  # back to protected mode
  lgdt [gdtr16 - real + HERE]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  .byte 0x66, 0xea
  .long back
  .word KCODE
called:
  pop bx
  pop ax
  push ax
  push bx
  .byte 0xcb
on_60:
  mov bp, sp
  mov ax, 0x2000
  sub ax, bp
  store 1, ax
  mov ax, [bp]
  store 2, ax
  mov ax, [bp + 2]
  store 3, ax
  mov ax, [bp + 4]
  and ax, 0x200
  store 5, ax
  pushf
  pop ax
  and ax, 0x200
  store 4, ax
  iret
.balign 8
handlers:
.set vector, 0
.rept 32
  .balign 8
  mov ax, 0x100 + vector
  jmp caught16
  .set vector, vector + 1
.endr
caught16:
  pop word ptr es:[RESUME + 2] # IP
  pop bx # CS
  pop bx # FLAGS
  mov bx, 0x2000
  sub bx, sp
  add bx, 6
  mov es:[RESUME + 4], bx
  mov sp, 0x2000
  jmp word ptr es:[RESUME]
.balign 4
bounds: .word 1, 5
pointer: .word 0x1234, 0x4321
gdtr16: .word 255
  .long gdt
short_idt: .word 0x60 * 4 + 2
  .long 0
whole_idt: .word 0x3ff
  .long 0
real_end:
.code32
.data
far_away: .word 0x5aa5
real_idtr: .word 0x3ff
  .long 0
saved_esp: .long 0
