# Hardware task switches: JMP, CALL, IRET, interrupts and exceptions, 32- and 16-bit TSSs, busy bits, NT, backlinks, checks.
.include "protected.inc"
.equ T2, FREE
.equ T3, FREE+8
.equ TGATE, FREE+16
.equ LDT, FREE+24
.equ T16, FREE+32
.equ CODE16, FREE+40

# A 32-bit TSS at \tss: entry, stack.
.macro task tss:req, entry:req, stack:req, flags=2
  mov dword ptr [\tss+0x20], offset \entry
  mov dword ptr [\tss+0x24], \flags
  mov dword ptr [\tss+0x28], 0xaaaa
  mov dword ptr [\tss+0x2c], 0xcccc
  mov dword ptr [\tss+0x38], offset \stack
  mov dword ptr [\tss+0x48], KDATA
  mov dword ptr [\tss+0x4c], KCODE
  mov dword ptr [\tss+0x50], KDATA
  mov dword ptr [\tss+0x54], KDATA
  mov dword ptr [\tss+0x58], 0
  mov dword ptr [\tss+0x5c], 0
  mov dword ptr [\tss+0x60], 0
  mov word ptr [\tss+0x64], 0
.endm
.macro busy selector:req
  movzx eax, byte ptr [gdt+\selector+5]
.endm

main:
  descriptor T2, "offset tss2", 0x67, 0x89, 0
  descriptor T3, "offset tss3", 0x67, 0x89, 0
  descriptor LDT, "offset ldt", 15, 0x82, 0

  # --- JMP
  task tss2, by_jmp, stack2_top
  mov word ptr [tss2 + 0x60], LDT
  mov ebx, 0x1111
  mov ecx, 0x2222
  mov ebp, 0x3333
  mov esi, esp
  jmp T2:0
back_from_jmp:
  check "JMP: the new task's EAX", [seen_eax], 0xaaaa
  check "JMP: TR", [seen_tr], T2
  check "JMP: LDTR", [seen_ldt], LDT
  check "JMP: CR0.TS", [seen_ts], 8
  check "JMP: NT stays clear", [seen_flags], 2
  check "JMP: the old TSS's busy bit is cleared, the new one's set", [seen_busy], 0x898b
  check "JMP: EIP saved", [saved_eip], "offset back_from_jmp"
  check "JMP: EBX saved", [tss+0x34], 0x1111
  check "JMP: EBP saved", [tss+0x3c], 0x3333
  check "JMP: ESP saved", [tss+0x38], esi
  check "JMP: CS saved", "dword ptr [tss+0x4c]", KCODE
  check "and the way back restores EBX", ebx, 0x1111
  check "and ECX", ecx, 0x2222
  busy TSS
  check "busy again", eax, 0x8b
  busy T2
  check "and the other free", eax, 0x89
  clts

  # --- CALL and IRET
  task tss2, by_call, stack2_top
  call T2:0
back_from_call:
  check "CALL: NT set", [seen_flags], 0x4002
  check "CALL: backlink", [seen_link], TSS
  check "CALL: both busy", [seen_busy], 0x8b8b
  pushfd
  pop eax
  and eax, 0x4000
  check "IRET: NT clear", eax, 0
  busy T2
  check "IRET: the left task is free", eax, 0x89
  mov eax, [tss2 + 0x24]
  and eax, 0x4000
  check "IRET: NT is clear in what the left task saved", eax, 0
  mov eax, [tss2 + 0x20]
  check "IRET: the left task continues behind its IRET", eax, "offset behind_iret"
  clts
  call T2:0
  check "a second CALL continues there", [seen_again], 0x5678
  clts
  # task gate
  task tss2, by_call, stack2_top
  mov dword ptr [gdt + TGATE], T2 << 16
  mov dword ptr [gdt + TGATE + 4], 0xe500
  mov dword ptr [seen_link], 0
  call TGATE:0
  check "CALL through a task gate", [seen_link], TSS
  clts
  task tss2, by_call, stack2_top
  mov dword ptr [far_pointer], 0
  mov word ptr [far_pointer + 4], TGATE+3
  mov dword ptr [seen_link], 0
  user call fword ptr [far_pointer]
  check "CALL through a task gate from CPL 3", [seen_link], TSS
  check "and back to CPL 3", [got_code], USER_OK
  clts

  # --- interrupts
  task tss2, by_int, stack2_top
  mov word ptr [idt + 0x60 * 8 + 2], T2
  mov word ptr [idt + 0x60 * 8 + 4], 0xe500
  mov dword ptr [seen_link], 0
  int 0x60
  check "INT through a task gate: backlink", [seen_link], TSS
  check "INT through a task gate: no error code", [seen_esp], "offset stack2_top"
  clts
  mov dword ptr [seen_link], 0
  int 0x60
  check "and again", [seen_link], TSS
  clts
  task tss2, by_fault, stack2_top
  mov word ptr [idt + 13 * 8 + 2], T2
  mov word ptr [idt + 13 * 8 + 4], 0x8500
  mov eax, 0x1f8
gp_at: mov fs, eax
gp_after:
  check "an exception through a task gate pushes its error code", [seen_error], 0x1f8
  check "in 4 bytes", [seen_esp], "offset stack2_top - 4"
  check "EIP saved is the instruction's", [saved_eip], "offset gp_at"
  check "EFLAGS saved have RF", [seen_flags], 0x10000
  catcher 13
  clts
  # debug trap flag
  task tss2, by_call, stack2_top
  mov word ptr [tss2 + 0x64], 1
  gate 1, on_debug
  xor eax, eax
  mov dr6, eax
  mov dword ptr [seen_dr6], 0
  call T2:0
  check "the T flag raises #DB in the new task: DR6.BT", [seen_dr6], 0xffff8ff0
  check "before its first instruction", [seen_eip], "offset by_call"
  mov word ptr [tss2 + 0x64], 0
  clts
  mov eax, 0x455
  mov dr7, eax
  task tss2, by_call, stack2_top
  mov dword ptr [tss2 + 0x20], offset by_call
  call T2:0
  mov eax, dr7
  and eax, 0xff
  check "a task switch clears the local breakpoint enables", eax, 0
  mov eax, 0x4aa
  mov dr7, eax
  task tss2, by_call, stack2_top
  call T2:0
  mov eax, dr7
  and eax, 0xff
  check "and leaves the global ones", eax, 0xaa
  mov eax, 0x400
  mov dr7, eax
  catcher 1
  clts

  # --- checks before the switch: faults of the old task
  descriptor T3, "offset tss3", 0x66, 0x89, 0
  fault "a TSS too short is #TS(selector)", TS+T3, call T3:0
  descriptor T3, "offset tss3", 0x67, 0x09, 0
  fault "an absent TSS is #NP(selector)", NP+T3, call T3:0
  descriptor T3, "offset tss3", 0x67, 0x8b, 0
  fault "a busy TSS is #GP(selector)", GP+T3, call T3:0
  fault "JMP to it too", GP+T3, jmp T3:0
  fault "JMP to the current task", GP+TSS, jmp TSS:0
  descriptor T3, "offset tss3", 0x67, 0x89, 0
  mov word ptr [far_pointer + 4], T3
  userfault "a TSS of DPL 0 is #GP(selector) at CPL 3", GP+T3, call fword ptr [far_pointer]
  mov dword ptr [gdt + TGATE], 0x1f8 << 16
  fault "a task gate to beyond the GDT is #GP(selector)", GP+0x1f8, call TGATE:0
  mov dword ptr [gdt + TGATE], KDATA << 16
  fault "a task gate to data is #GP(selector)", GP+KDATA, call TGATE:0
  mov dword ptr [gdt + TGATE], (T2+4) << 16
  fault "a task gate into the LDT is #GP(selector)", GP+T2+4, call TGATE:0
  mov dword ptr [gdt + TGATE + 4], 0x6500
  fault "an absent task gate is #NP(selector)", NP+TGATE, call TGATE:0
  push 0x4002
  popfd
  mov word ptr [tss], T3
  fault "IRET with NT to a task that is not busy is #TS(selector)", TS+T3, iretd
  push 0x4002
  popfd
  mov word ptr [tss], T3+4
  fault "IRET with NT to a selector of the LDT is #TS(selector)", TS+T3+4, iretd
  push 2
  popfd
  mov word ptr [tss], 0

  # --- checks after the switch: faults of the new task
  descriptor T3, "offset tss3", 0x67, 0x89, 0
  task tss3, by_call, stack2_top
  mov word ptr [tss3 + 0x50], 0x1f8
  call after_switch
  check "a bad SS in the new task is #TS(selector)", [got_code], TS+0x1f8
  task tss3, by_call, stack2_top
  mov word ptr [tss3 + 0x54], 0x1f0
  call after_switch
  check "a bad DS in the new task is #TS(selector)", [got_code], TS+0x1f0
  check "with the new task's EIP", [got_eip], "offset by_call"
  task tss3, by_call, stack2_top
  mov word ptr [tss3 + 0x4c], KDATA
  call after_switch
  check "a data CS in the new task is #TS(selector)", [got_code], TS+KDATA
  task tss3, by_call, stack2_top
  mov word ptr [tss3 + 0x60], KDATA
  call after_switch
  check "a bad LDT in the new task is #TS(selector)", [got_code], TS+KDATA

  # --- 16-bit TSS
  descriptor T16, "offset tss16", 0x2b, 0x81, 0
  descriptor CODE16, "offset code16", 0xffff, 0x9b, 0
  mov word ptr [tss16 + 0x0e], 0
  mov word ptr [tss16 + 0x10], 2
  mov word ptr [tss16 + 0x12], 0xaaaa
  mov word ptr [tss16 + 0x22], KDATA
  mov word ptr [tss16 + 0x24], CODE16
  mov word ptr [tss16 + 0x26], KDATA
  mov word ptr [tss16 + 0x28], KDATA
  mov eax, esp
  call T16:0
  check "16-bit TSS: backlink", "dword ptr [tss16]", TSS
  check "16-bit TSS: it ran", [seen_eax], 0xaaaa
  movzx eax, word ptr [tss16 + 0x0e]
  check "16-bit TSS: IP saved", eax, "offset behind16 - code16"
  movzx eax, word ptr [tss16 + 0x14]
  check "16-bit TSS: CX saved", eax, 0x7777
  busy T16
  check "16-bit TSS: free again", eax, 0x81
  clts
  ret

# CALL T3:0 with the catcher on the main task's stack; back in the main task with got_code.
after_switch:
  mov dword ptr [got_code], NONE
  mov dword ptr [resume], offset 1f
  mov [resume_esp], esp
  # #TS by a task of its own: the new task's stack may not be usable
  task tss2, ts_entry, stack2_top
  mov word ptr [idt + 10 * 8 + 2], T2
  mov word ptr [idt + 10 * 8 + 4], 0x8500
  call T3:0
1: mov dword ptr [resume], 0
  catcher 10
  ret
ts_entry: # error code on the stack, backlink T3
  pop eax
  or eax, TS
  mov [got_code], eax
  mov eax, [tss3 + 0x20]
  mov [got_eip], eax
  and byte ptr [gdt + T2 + 5], ~2
  and byte ptr [gdt + T3 + 5], ~2
  and byte ptr [gdt + TSS + 5], ~2
  mov ecx, TSS
  ltr cx
  push 2
  popfd
  clts
  mov esp, [resume_esp]
  jmp [resume]

look:
  xor eax, eax
  str ax
  mov [seen_tr], eax
  sldt ax
  mov [seen_ldt], eax
  mov eax, cr0
  and eax, 8
  mov [seen_ts], eax
  movzx eax, byte ptr [gdt + TSS + 5]
  shl eax, 8
  mov al, [gdt + T2 + 5]
  mov [seen_busy], eax
  mov eax, [tss + 0x20]
  mov [saved_eip], eax
  movzx eax, word ptr [tss2]
  mov [seen_link], eax
  ret
by_jmp:
  mov [seen_eax], eax
  pushfd
  pop dword ptr [seen_flags]
  call look
  jmp TSS:0
by_call:
  pushfd
  pop dword ptr [seen_flags]
  call look
  iretd
behind_iret:
  mov dword ptr [seen_again], 0x5678
  iretd
by_int:
  mov [seen_esp], esp
  call look
  iretd
  jmp by_int
by_fault:
  mov [seen_esp], esp
  call look
  mov eax, [tss + 0x24]
  and eax, 0x10000
  mov [seen_flags], eax
  mov dword ptr [tss + 0x20], offset gp_after
  pop dword ptr [seen_error]
  iretd
on_debug:
  push eax
  mov eax, dr6
  mov [seen_dr6], eax
  mov eax, [esp + 4]
  mov [seen_eip], eax
  xor eax, eax
  mov dr6, eax
  pop eax
  iretd

.code16
code16:
  .byte 0x66, 0x0f, 0xb7, 0xc0 # MOVZX EAX, AX
  .byte 0x67, 0x66, 0xa3
  .long seen_eax
  mov cx, 0x7777
  iret
behind16: iret
.code32

.section .bss
.balign 16
tss2: .skip 112
tss3: .skip 112
tss16: .skip 48
ldt: .skip 16
far_pointer: .skip 8
seen_eax: .skip 4
seen_tr: .skip 4
seen_ldt: .skip 4
seen_ts: .skip 4
seen_flags: .skip 4
seen_busy: .skip 4
seen_link: .skip 4
seen_again: .skip 4
seen_esp: .skip 4
seen_error: .skip 4
seen_dr6: .skip 4
seen_eip: .skip 4
saved_eip: .skip 4
.skip 1024
stack2_top: .skip 16
