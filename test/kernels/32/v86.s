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
  # CR4.VME: interrupt redirection, VIF and VIP
  descriptor V86_TSS, "offset big_tss", 136+32, 0x89, 0
  mov word ptr [big_tss + 102], 136 # the redirection bitmap is at 104
  mov eax, V86_TSS
  ltr ax
  mov word ptr [0x84], 0 # INT 21h of the 8086 program: 810:0
  mov word ptr [0x86], 0x810
  mov byte ptr [0x8100], 0xcc
  mov eax, 1
  cpuid
  and edx, 2
  check "CPUID offers VME", edx, 2
  mov eax, cr4
  or eax, 1
  mov cr4, eax
  v86fault "a clear bit leads INT n to the program's own handler", 3<<16, c_int21, VM+0x3202
  check "by its table", [got_cs], 0x810
  check "and offset", [got_eip], 1
  mov eax, [got_eflags]
  and eax, 0x200
  check "with IF clear", eax, 0
  movzx eax, word ptr [0x7ffc]
  check "FLAGS in its frame", eax, 0x3202
  movzx eax, word ptr [0x7ffa]
  check "CS", eax, 0x800
  movzx eax, word ptr [0x7ff8]
  check "IP behind the INT", eax, 2
  v86fault "also with IOPL 0", 3<<16, c_int21, VM+0x80202
  check "to the same place", [got_cs], 0x810
  mov eax, [got_eflags]
  and eax, 0x80200
  check "VIF is cleared in IF's place", eax, 0x200
  movzx eax, word ptr [0x7ffc]
  check "FLAGS shows VIF as IF, and IOPL 3", eax, 0x3202
  v86 c_int21, VM+0x202
  movzx eax, word ptr [0x7ffc]
  check "a clear VIF too", eax, 0x3002
  v86 c_int21, VM+0x3102
  movzx eax, word ptr [0x7ffc]
  check "TF is in the frame", eax, 0x3102
  check "not in the handler", [got_code], 3<<16
  mov byte ptr [big_tss + 104 + 4], 2
  v86fault "a set bit leads to the gate with IOPL 3", 0x21<<16, c_int21, VM+0x3002
  v86fault "and is #GP(0) with IOPL 0", GP, c_int21
  mov word ptr [big_tss + 102], 0x400
  v86fault "a bitmap beyond the TSS is #GP(0)", GP, c_int21, VM+0x3002
  mov word ptr [big_tss + 102], 136
  v86fault "CLI with IOPL 0", 3<<16, c_cli, VM+0x80202
  mov eax, [got_eflags]
  and eax, 0x80200
  check "clears VIF", eax, 0x200
  v86fault "STI with IOPL 0", 3<<16, c_sti
  mov eax, [got_eflags]
  and eax, 0x80200
  check "sets VIF", eax, 0x80000
  movzx eax, word ptr [0x7ffc]
  check "PUSHF shows VIF as IF, and IOPL 3", eax, 0x3202
  v86fault "STI with VIP is #GP(0)", GP, c_sti, VM+0x100002
  v86fault "CLI is not", 3<<16, c_cli, VM+0x100002
  v86fault "POPF with IOPL 0", 3<<16, c_popf
  mov eax, [got_eflags]
  and eax, 0x83200
  check "sets VIF, not IF", eax, 0x80000
  v86fault "POPF of IF with VIP is #GP(0)", GP, c_popf, VM+0x100002
  v86fault "POPF of TF is #GP(0)", GP, c_popf_tf
  v86fault "PUSHFD is #GP(0)", GP, c_pushfd
  v86fault "IRET with IOPL 0", 3<<16, c_iret_do, VM+0x80002
  check "returns in VME", [got_eip], 0x21
  mov eax, [got_eflags]
  and eax, 0x83000
  check "and clears VIF, not IOPL", eax, 0
  v86fault "IRET of IF", 3<<16, c_iret_if
  mov eax, [got_eflags]
  and eax, 0x80200
  check "sets VIF", eax, 0x80000
  v86fault "IRET of IF with VIP is #GP(0)", GP, c_iret_if, VM+0x100002
  v86fault "HLT is still #GP(0)", GP, c_hlt
  # CR4.PVI: the same for CLI and STI at CPL 3
  userfault "CLI at CPL 3 without PVI", GP, cli
  mov eax, cr4
  xor eax, 3
  mov cr4, eax
  v86fault "PVI is nothing to virtual-8086 mode", GP, c_cli
  mov dword ptr [user_flags], 0x80002
  userfault "CLI at CPL 3 with PVI", USER_OK, cli
  mov eax, [got_eflags]
  and eax, 0x80000
  check "clears VIF", eax, 0
  mov dword ptr [user_flags], 2
  userfault "STI at CPL 3 with PVI", USER_OK, sti
  mov eax, [got_eflags]
  and eax, 0x80200
  check "sets VIF", eax, 0x80000
  mov dword ptr [user_flags], 0x100002
  userfault "STI with VIP at CPL 3 is #GP(0)", GP, sti
  mov dword ptr [user_flags], 2
  mov eax, cr4
  and eax, -4
  mov cr4, eax
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
c_iret_if: push 0x0202
  push 0x800
  push 0x20
  iretw
  .fill 0x20 - (. - c_iret_if), 1, 0x90
  int3
c_popf_tf: push 0x0102
  popfw
c_pushfd: pushfd
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
big_tss: .skip 192
