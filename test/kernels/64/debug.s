# Debug exceptions: single step, instruction and data breakpoints, DR6 and DR7, shadows, general detect, SYSCALL with TF.
.include "long.inc"
.equ TF, 0x100
.equ BS, 0xffff4ff0
.equ FIXED, 0xffff0ff0

# Runs instructions with #DB counted by `on_debug`: db_count, db_rip[], db_dr6[] are filled.
.macro watch
  mov qword ptr [db_count], 0
  mov eax, FIXED
  mov dr6, rax
.endm
.macro tf_on
  pushfq
  or dword ptr [rsp], TF
  popfq
.endm
.macro tf_off
  pushfq
  and dword ptr [rsp], ~TF
  popfq
.endm
.macro dr7_to value:req
  mov eax, \value
  mov dr7, rax
.endm

main:
  gate 1, on_debug
  # --- single step
  watch
  tf_on
step0: nop
step1: nop
step2: pushfq
step3: and dword ptr [rsp], ~TF
step4: popfq
step5: nop
  check "TF: POPF itself does not trap, each of 5 instructions does", [db_count], 5
  check "RIP of the first is behind it", [db_rip], "offset step1"
  check "RIP of the last", [db_rip+32], "offset step5"
  check "DR6 says single step", [db_dr6], BS
  watch
  mov rsi, offset data
  tf_on
  mov ecx, 4
rep_at: rep lodsb
rep_end: nop
  tf_off
  check "REP traps after each iteration: MOV, 4 times REP, NOP, 3 for POPF", [db_count], 9
  check "with RIP on the instruction", [db_rip+8], "offset rep_at"
  check "and behind it after the last", [db_rip+32], "offset rep_end"
  watch
  xor ebx, ebx
  mov bx, ss
  tf_on
  mov ss, ebx
ss1: nop
ss2: tf_off
  check "no trap behind MOV SS, its successor has one", [db_rip], "offset ss2"
  watch
  tf_on
  jmp jump_to
  nop
jump_to: nop
  tf_off
  check "a jump traps at its target", [db_rip], "offset jump_to"
  watch
  gate 0x60, just_return
  tf_on
int_at: int 0x60
int_after: nop
int_next: tf_off
  check "INT n clears TF: the handler is not stepped, IRET brings TF back for the next", [db_rip], "offset int_next"
  watch
  gate 6, skip_ud
  tf_on
  ud2
ud_after: nop
ud_next: tf_off
  check "a faulting instruction has no trap", [db_rip], "offset ud_next"
  catcher 6
  watch
  mov ecx, 0
  tf_on
  cpuid
cpuid_after: nop
  tf_off
  check "an instruction that exits to the hypervisor traps", [db_rip], "offset cpuid_after"
  watch
  mov dx, 0x80
  tf_on
  out dx, al
out_after: nop
  tf_off
  check "OUT traps", [db_rip], "offset out_after"
  watch
  tf_on
  mov eax, [test_page]
mem_after: nop
  tf_off
  check "a load traps", [db_rip], "offset mem_after"
  watch
  tf_on
  sti
sti_after: cli
  tf_off
  check "STI traps", [db_rip], "offset sti_after"

  # --- instruction breakpoints
  watch
  mov rax, offset bp1
  mov dr0, rax
  dr7_to 0x401
  nop
bp1: nop
  nop
  check "instruction breakpoint hits once", [db_count], 1
  check "before the instruction", [db_rip], "offset bp1"
  check "DR6 says B0", [db_dr6], FIXED+1
  mov rax, [db_flags]
  and eax, 0x10000
  check "its RFLAGS image has no RF", rax, 0
  watch
  mov rax, offset bp2
  mov dr0, rax
  mov rax, offset bp2
  mov dr1, rax
  dr7_to 0x405
bp2: nop
  check "two breakpoints at one place", [db_dr6], FIXED+3
  check "hit once", [db_count], 1
  watch
  mov rax, offset bp3
  mov dr0, rax
  dr7_to 0x401
  mov ecx, 3
bp3: dec ecx
  jnz bp3
  check "a breakpoint in a loop hits each time", [db_count], 3
  watch
  mov rax, offset bp4
  mov dr0, rax
  tf_on
  nop
bp4: nop
  tf_off
  check "single step comes before the next instruction's breakpoint", [db_rip], "offset bp4"
  check "then the breakpoint", [db_dr6+8], FIXED+1
  check "then its single step", [db_dr6+16], BS
  watch
  mov rax, offset bp5
  mov dr0, rax
  mov rax, rsp
  push KDATA
  push rax
  push 0x10002
  push KCODE
  push offset bp5
  iretq
bp5: nop
  check "RF set by IRET passes over a breakpoint", [db_count], 0
  watch
  mov rax, offset bp6
  mov dr0, rax
  dr7_to 0x400
bp6: nop
  check "a disabled breakpoint does nothing", [db_count], 0
  watch
  mov rax, offset bp7
  mov dr3, rax
  dr7_to 0x480
bp7: nop
  check "DR3 by its global bit", [db_dr6], FIXED+8
  watch
  mov rax, offset bp8
  mov dr2, rax
  dr7_to 0x410
bp8: nop
  check "DR2 by its local bit", [db_dr6], FIXED+4

  # --- data breakpoints
  watch
  mov rax, offset data
  mov dr0, rax
  dr7_to 0x000d0401 # DR0: write, 4 bytes
  mov eax, [data]
  mov dword ptr [data - 4], 1
  mov dword ptr [data + 4], 1
  check "data write breakpoint: reads and neighbours do not hit", [db_count], 0
  mov dword ptr [data], 1
wr_after: nop
  check "a write does, as a trap", [db_rip], "offset wr_after"
  check "DR6", [db_dr6], FIXED+1
  watch
  mov byte ptr [data + 3], 1
  check "its last byte", [db_count], 1
  watch
  mov qword ptr [data - 7], 0
  check "a write that ends in it", [db_count], 1
  watch
  inc dword ptr [data]
  check "a read-modify-write hits once", [db_count], 1
  watch
  lock xadd [data], eax
  check "LOCK XADD hits", [db_count], 1
  watch
  mov rsi, offset data + 4
  mov rbx, rsp
  mov rsp, rsi
  push 0
  mov rsp, rbx
  check "PUSH hits", [db_count], 1
  watch
  mov rdi, offset data - 8
  mov ecx, 4
  xor eax, eax
  rep stosd
  check "REP STOSD over it hits once", [db_count], 1
  watch
  movups [data - 8], xmm0
  check "MOVUPS hits", [db_count], 1
  dr7_to 0x000f0401 # read or write
  watch
  mov eax, [data]
  check "read/write breakpoint: a read hits", [db_count], 1
  watch
  mov eax, [data + 4]
  check "its neighbour does not", [db_count], 0
  dr7_to 0x000b0401 # read or write, 8 bytes
  watch
  mov eax, [data + 4]
  check "8-byte breakpoint", [db_count], 1
  dr7_to 0x00010401 # write, 1 byte
  watch
  mov byte ptr [data + 1], 0
  check "1-byte breakpoint: the next byte", [db_count], 0
  mov byte ptr [data], 0
  check "1-byte breakpoint: the byte", [db_count], 1
  dr7_to 0x000d0401
  watch
  mov dword ptr [data], KDATA
  watch
  dr7_to 0x000f0401
  mov ss, [data]
shadow1: nop
shadow2: nop
  check "a breakpoint on the operand of MOV SS waits for one instruction", [db_rip], "offset shadow2"
  check "and is there once", [db_count], 1
  watch
  mov rax, offset data + 8
  mov dr1, rax
  dr7_to 0x00df0405
  mov rsi, offset data
  mov rdi, offset data + 8
  movsd
  check "two data breakpoints of one instruction", [db_dr6], FIXED+3
  dr7_to 0x400

  # --- user mode
  mov rax, offset udata
  bts rax, 40
  mov dr0, rax
  dr7_to 0x000d0401
  watch
  mov rbx, rax
  mov rbx, offset udata
  bts rbx, 40
  user mov dword ptr [rbx], 1
  check "a data breakpoint at CPL 3", [db_count], 1
  dr7_to 0x400
  mov qword ptr [user_flags], 0x102
  watch
  user nop
  check "TF at CPL 3: the NOP traps; INT n does not", [db_count], 1

  # --- SYSCALL with TF: the mask decides; SYSRET with TF traps at once
  wrmsr_to 0xc0000081, 0x0018000800000000
  wrmsr_to 0xc0000082, "offset syscall_entry"
  wrmsr_to 0xc0000084, 0x100
  watch
  user syscall
  check "SYSCALL with TF masked does not trap in the kernel", [db_count], 1
  check "SYSRET with TF in R11 traps before the next instruction", [db_cs], UCODE
  wrmsr_to 0xc0000084, 0
  watch
  user syscall
  mov rax, offset syscall_entry
  check "SYSCALL with TF not masked traps at its entry", [db_rip], rax
  mov qword ptr [user_flags], 2

  # --- DR6, DR7, DR4, DR5, general detect
  catcher 1
  mov rax, -1
  fault "MOV DR6 with high bits is #GP(0)", GP, mov dr6, rax
  fault "MOV DR7 with high bits is #GP(0)", GP, mov dr7, rax
  mov eax, -1
  fault "MOV DR6 of all ones", NONE, mov dr6, rax
  mov rax, dr6
  check "fixed bits of DR6", rax, 0xffffefff
  xor eax, eax
  mov dr6, rax
  mov rax, dr6
  check "fixed bits of DR6 at 0", rax, FIXED
  mov eax, 0xffffdfff
  mov dr7, rax
  mov rax, dr7
  check "fixed bits of DR7", rax, 0xffff07ff
  xor eax, eax
  mov dr7, rax
  mov rax, dr7
  check "fixed bits of DR7 at 0", rax, 0x400
  mov rax, 0x800000000000
  fault "MOV DR0 of an address that is not canonical is #GP(0)", GP, mov dr0, rax
  .byte 0x0f, 0x21, 0xe0 # MOV RAX, DR4
  check "DR4 is DR6 without CR4.DE", rax, FIXED
  cr4_set 8
  fault "MOV DR4 with CR4.DE is #UD", UD, .byte 0x0f, 0x21, 0xe0
  userfault "MOV DR at CPL 3 is #GP(0)", GP, mov rax, dr0
  mov eax, 0x2400
  mov dr7, rax
  fault "general detect", 1<<16, mov rax, dr0
  mov rax, dr6
  and eax, 0x2000
  check "DR6.BD", rax, 0x2000
  mov rax, dr7
  check "DR7.GD is cleared", rax, 0x400
  fault "INT1 leaves DR6", 1<<16, .byte 0xf1
  mov eax, FIXED
  mov dr6, rax
  try .byte 0xf1
  mov rax, dr6
  check "INT1 sets nothing in DR6", rax, FIXED

  # --- I/O breakpoints
  gate 1, on_debug
  watch
  mov eax, 0x80
  mov dr0, rax
  dr7_to 0x00020401
  out 0x80, al
io_after: nop
  check "I/O breakpoint", [db_rip], "offset io_after"
  watch
  out 0x81, al
  check "another port", [db_count], 0
  out 0x7f, ax
  check "a word that reaches it", [db_count], 1
  dr7_to 0x400
  cr4_clear 8
  catcher 1
  ret

just_return:
  nop
  iretq
skip_ud:
  add qword ptr [rsp], 2
  iretq
syscall_entry:
  nop
  sysretq

on_debug:
  push rax
  push rbx
  mov rbx, [db_count]
  cmp rbx, 16
  jae 1f
  mov rax, [rsp + 16]
  mov [db_rip + rbx * 8], rax
  mov rax, dr6
  mov [db_dr6 + rbx * 8], rax
1: inc qword ptr [db_count]
  mov rax, [rsp + 24]
  mov [db_cs], rax
  mov rax, [rsp + 32]
  mov [db_flags], rax
  bt dword ptr [db_dr6 + rbx * 8], 14
  jc 2f
  bts qword ptr [rsp + 32], 16 # RF: not the same breakpoint again
2: mov eax, FIXED
  mov dr6, rax
  pop rbx
  pop rax
  iretq

.section .bss
.balign 64
.skip 64
data: .skip 64
udata: .skip 64
db_count: .skip 8
db_flags: .skip 8
db_cs: .skip 8
db_rip: .skip 128
db_dr6: .skip 128
