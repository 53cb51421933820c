# Virtual-8086 mode: entry by IRET and by a task, traps with IOPL below 3, segments, faults, the frame, the way back.
.include "protected.inc"
.equ VM, 0x20000
.equ HERE, 0x8000 # the code's paragraph is 0x800
.equ V86_TSS, FREE

# Runs \length bytes at \code in virtual-8086 mode with EFLAGS \flags; got_* tell how it left.
.macro v86 code:req, flags=VM+2
  pushad
  mov esi, offset \code
  mov edi, HERE
  mov ecx, 64
  rep movsb
  popad
  mov dword ptr [got_code], NONE
  mov [resume_esp], esp
  mov dword ptr [resume], offset back_\@
  push 0x6666 # GS
  push 0x5555 # FS
  push 0x900  # DS
  push 0x900  # ES
  push 0x700  # SS
  push 0xffe
  push \flags
  push 0x800
  push 0
  iretd
back_\@:
  mov dword ptr [resume], 0
  mov esp, [resume_esp]
.endm
.macro v86fault name:req, code:req, at:req, flags=VM+2
  v86 \at, \flags
  check "\name", [got_code], \code
.endm

main:
  mov dword ptr [0x9000], 0xabcd1234
  mov dword ptr [0x55550 + 4], 0x77777777
  v86fault "INT3 in virtual-8086 mode through a DPL 0 gate is #GP(26)", GP+26, c_int3
  mov byte ptr [idt + 3 * 8 + 5], 0xee
  v86fault "INT3 through a DPL 3 gate", 3<<16, c_int3
  check "EIP", [got_eip], 1
  check "CS", [got_cs], 0x800
  mov eax, [got_eflags]
  and eax, 0x23000
  check "EFLAGS.VM in the frame", eax, VM
  check "ESP in the frame", [got_esp], 0xffe
  check "SS in the frame", [got_ss], 0x700
  mov ebx, [got_outer]
  check "ES in the frame", [ebx+8], 0x900
  check "DS in the frame", [ebx+12], 0x900
  check "FS in the frame", [ebx+16], 0x5555
  check "GS in the frame", [ebx+20], 0x6666
  lea eax, [ebx + 24]
  check "the frame is on stack 0", eax, "offset stack0_top"
  v86 c_data
  check "DS:0 is at its paragraph", [got_eax], 0xabcd1234
  v86 c_fs
  check "FS: too", [got_eax], 0x77777777
  v86 c_push
  movzx eax, word ptr [0x7ffc]
  check "PUSH is of 16 bits at SS << 4", eax, 0x4321
  v86 c_load
  check "MOV DS loads any value", [got_eax], 0xabcd1234
  v86 c_cs
  check "far JMP", [got_cs], 0x801
  # sensitive instructions
  v86fault "CLI with IOPL 0 is #GP(0)", GP, c_cli
  v86fault "STI with IOPL 0 is #GP(0)", GP, c_sti
  v86fault "PUSHF with IOPL 0 is #GP(0)", GP, c_pushf
  v86fault "POPF with IOPL 0 is #GP(0)", GP, c_popf
  v86fault "IRET with IOPL 0 is #GP(0)", GP, c_iret
  v86fault "INT n with IOPL 0 is #GP(0)", GP, c_int21
  v86fault "HLT is #GP(0)", GP, c_hlt
  v86fault "IN without a permission bit is #GP(0)", GP, c_in
  v86fault "MOV CR0 is #GP(0)", GP, c_cr0
  v86fault "LGDT is #GP(0)", GP, c_lgdt
  v86fault "SLDT is #UD", UD, c_sldt
  v86fault "LAR is #UD", UD, c_lar
  v86fault "ARPL is #UD", UD, c_arpl
  v86fault "CLI with IOPL 3", 3<<16, c_cli, VM+0x3002
  v86fault "PUSHF with IOPL 3", 3<<16, c_pushf, VM+0x3002
  movzx eax, word ptr [0x7ffc]
  check "pushes 16 bits of EFLAGS", eax, 0x3002
  v86fault "POPF with IOPL 3", 3<<16, c_popf, VM+0x3002
  mov eax, [got_eflags]
  check "cannot change IOPL nor VM", eax, VM+0x3202
  v86fault "INT n with IOPL 3 through a DPL 0 gate is #GP(n * 8 + 2)", GP+0x21*8+2, c_int21, VM+0x3002
  mov byte ptr [idt + 0x21 * 8 + 5], 0xee
  v86fault "INT n with IOPL 3 through a DPL 3 gate", 0x21<<16, c_int21, VM+0x3002
  v86fault "and still #GP(0) with IOPL 0", GP, c_int21
  v86fault "IRET with IOPL 3", 3<<16, c_iret_do, VM+0x3002
  check "returns", [got_eip], 0x21
  # limits and other faults
  v86fault "a word at FFFF is #GP(0)", GP, c_limit
  v86fault "a word at SP FFFF is #SS(0)", SSF, c_stack
  v86fault "an offset above FFFF is #GP(0)", GP, c_big
  v86fault "DIV by zero", 0, c_div
  v86fault "UD2", UD, c_ud2
  v86fault "single step", 1<<16, c_nop, VM+0x102
  check "after one instruction", [got_eip], 1
  # I/O permission bitmap
  descriptor V86_TSS, "offset big_tss", 104+32, 0x89, 0
  mov esi, offset tss
  mov edi, offset big_tss
  mov ecx, 26
  rep movsd
  mov word ptr [big_tss + 102], 104
  mov byte ptr [big_tss + 104 + 0x10], 0xfe # port 0x80
  mov byte ptr [big_tss + 104 + 32], 0xff
  mov eax, V86_TSS
  ltr ax
  v86fault "IN of a port whose bit is clear", 3<<16, c_in
  mov byte ptr [big_tss + 104 + 0x10], 0xff
  v86fault "IN of a port whose bit is set", GP, c_in, VM+0x3002
  mov byte ptr [big_tss + 104 + 0x10], 0xfe
  v86fault "INW with one bit set", GP, c_inw
  mov dx, 0x80
  userfault "and at CPL 3 of protected mode", USER_OK, in al, dx
  mov dx, 0x81
  userfault "another port at CPL 3", GP, in al, dx
  mov dx, 0x81
  mov dword ptr [user_flags], 0x3002
  userfault "IOPL 3 needs no bitmap", USER_OK, in al, dx
  mov dword ptr [user_flags], 2
  # a gate that leads elsewhere than CPL 0
  descriptor FREE+8, 0, 0xfffff, 0xfb, 0xc
  mov word ptr [idt + 0x21 * 8 + 2], FREE+8
  v86fault "an interrupt to CPL 3 is #GP(selector)", GP+FREE+8, c_int21, VM+0x3002
  descriptor FREE+8, 0, 0xfffff, 0x9f, 0xc
  v86fault "an interrupt to conforming code is #GP(selector)", GP+FREE+8, c_int21, VM+0x3002
  ret

.code16
c_int3: int3
c_nop: nop
  nop
c_data: mov eax, [0]
  int3
c_fs: mov eax, fs:[4]
  int3
c_push: mov ax, 0x4321
  push ax
  int3
c_load: mov ax, 0x8fe
  mov ds, ax
  mov eax, [0x20]
  int3
c_cs: .byte 0xea, 0, 0, 1, 8
  .fill 11, 1, 0x90
  int3
c_cli: cli
  int3
c_sti: sti
c_pushf: pushfw
  int3
c_popf: push 0x0202
  popfw
  int3
c_iret: iretw
c_int21: int 0x21
c_hlt: hlt
c_in: in al, 0x80
  int3
c_inw: in ax, 0x80
c_cr0: mov eax, cr0
c_lgdt: .byte 0x0f, 0x01, 0x16, 0, 0
c_sldt: .byte 0x0f, 0x00, 0xc0
c_lar: .byte 0x0f, 0x02, 0xc0
c_arpl: .byte 0x63, 0xc0
c_iret_do: push 0x3002
  push 0x800
  push 0x20
  iretw
  .fill 0x20 - (. - c_iret_do), 1, 0x90
  int3
c_limit: mov ax, [0xffff]
c_stack: mov bp, 0xffff
  mov ax, [bp]
c_big: mov ebx, 0x10000
  mov al, [ebx]
c_div: xor cl, cl
  div cl
c_ud2: ud2
.fill 64, 1, 0x90
.code32
.section .bss
.balign 16
big_tss: .skip 160
