# Interrupts: local APIC priorities, IPIs to itself, shadows, timer modes, NMI blocking, errors, x2APIC; I/O APIC edge and level.
.include "long.inc"
.include "apic.inc"

# A handler that appends its vector to `order` and ends the interrupt.
.macro recorder vector:req
on_\vector:
  push rax
  push rbx
  mov eax, [count]
  mov byte ptr [order + rax], \vector
  inc dword ptr [count]
  mov rax, [rsp + 16]
  mov [int_rip], rax
  mov [int_rcx], rcx
  mov eax, APIC+APIC_ISR+\vector/32*16
  mov eax, [rax]
  mov [int_isr], rax
  apic_write APIC_EOI, 0
  pop rbx
  pop rax
  iretq
.endm
.macro start_counting
  mov qword ptr [order], 0
  mov qword ptr [count], 0
.endm
.macro self_ipi vector:req
  apic_write APIC_ICR, 0x44000+\vector
.endm

main:
  apic_on
  .irp v, 0x61, 0x62, 0x71, 0x91, 0x92, 0xa1
  gate \v, on_\v
  .endr
  gate 2, on_nmi
  apic_read APIC_ID
  shr eax, 24
  check "APIC ID of the BSP", rax, 0
  rdmsr_from 0x1b
  check "IA32_APIC_BASE: enabled, BSP", rax, 0xfee00900

  # --- fixed IPI to itself
  start_counting
  self_ipi 0x61
  apic_read APIC_IRR+0x30
  check "IRR holds it while IF is 0", rax, 2
  check "nothing is delivered", "qword ptr [count]", 0
  sti
  nop
  cli
  check "STI; NOP: delivered", "qword ptr [order]", 0x61
  mov rax, [int_isr]
  check "its ISR bit in the handler", rax, 2
  apic_read APIC_ISR+0x30
  check "EOI cleared it", rax, 0
  apic_read APIC_TMR+0x30
  check "edge: TMR clear", rax, 0
  start_counting
  self_ipi 0x61
  self_ipi 0x61
  self_ipi 0x61
  sti
  nop
  nop
  cli
  check "one vector is pending once", "qword ptr [count]", 1

  # --- priorities
  start_counting
  self_ipi 0x61
  self_ipi 0x91
  self_ipi 0x62
  self_ipi 0x92
  sti
  nop
  nop
  nop
  cli
  check "highest vector first", "qword ptr [order]", 0x61629192
  start_counting
  mov eax, 9
  mov cr8, rax
  apic_read APIC_TPR
  check "CR8 is TPR[7:4]", rax, 0x90
  apic_read APIC_PPR
  check "PPR follows TPR", rax, 0x90
  self_ipi 0x61
  self_ipi 0x92
  self_ipi 0xa1
  sti
  nop
  nop
  cli
  check "only classes above TPR", "qword ptr [order]", 0xa1
  sti
  mov eax, 8
  mov cr8, rax
  nop
  cli
  check "CR8 lowered lets the next in", "qword ptr [order]", 0x92a1
  sti
  apic_write APIC_TPR, 0
  nop
  cli
  check "TPR lowered lets the last in", "qword ptr [order]", 0x6192a1
  mov rax, cr8
  check "TPR is CR8", rax, 0
  # a handler that allows nesting
  gate 0x71, on_nesting
  start_counting
  self_ipi 0x71
  sti
  nop
  nop
  cli
  check "a higher class nests, its own class waits for EOI", "qword ptr [order]", 0x617161910171
  gate 0x71, on_0x71

  # --- shadows
  start_counting
  xor ecx, ecx
  self_ipi 0x61
  sti
  inc ecx
  inc ecx
  cli
  check "STI delays by one instruction", [int_rcx], 1
  start_counting
  self_ipi 0x61
  sti
  cli
  nop
  check "STI; CLI lets nothing in", "qword ptr [count]", 0
  sti
  sti
  inc ecx
  cli
  check "a second STI delays no longer", "qword ptr [count]", 1
  start_counting
  xor ecx, ecx
  mov eax, KDATA
  self_ipi 0x61
  pushfq
  or dword ptr [rsp], 0x200
  popfq
popf_end: inc ecx
  cli
  check "POPF with IF delays nothing", [int_rip], "offset popf_end"
  # MOV SS right behind the instruction that makes the interrupt pending
  start_counting
  mov eax, KDATA
  xor ecx, ecx
  self_ipi 0x61
  sti
  mov ss, eax
  inc ecx
  inc ecx
  cli
  check "MOV SS delays by one more", [int_rcx], 1
  start_counting
  self_ipi 0x61
  mov rax, rsp
  push KDATA
  push rax
  push 0x202
  push KCODE
  push offset iret_to
  iretq
iret_to: nop
  cli
  check "IRET with IF delays nothing", [int_rip], "offset iret_to"

  # --- HLT
  start_counting
  apic_write APIC_DIVIDE, 0xb
  apic_write APIC_TIMER, 0x61
  apic_write APIC_COUNT, 2000000
  sti
  hlt
hlt_end: cli
  check "the timer wakes HLT", "qword ptr [order]", 0x61
  check "and returns behind it", [int_rip], "offset hlt_end"
  start_counting
  self_ipi 0x61
  sti
  hlt
hlt_end2: cli
  check "an interrupt that is pending wakes STI; HLT", "qword ptr [count]", 1
  check "which has executed", [int_rip], "offset hlt_end2"
  # --- timer
  start_counting
  apic_write APIC_TIMER, 0x61
  apic_write APIC_COUNT, 1000000
  apic_read APIC_CURRENT
  mov ebx, eax
  apic_read APIC_CURRENT
  xor ecx, ecx
  cmp eax, ebx
  setbe cl
  check "the count runs down", rcx, 1
  sti
  wait_until count, 1
  cli
  check "one-shot fires", "qword ptr [count]", 1
  apic_read APIC_CURRENT
  check "one-shot stays at 0", rax, 0
  mov ecx, 1000000
1: loop 1b
  sti
  nop
  cli
  check "one-shot fires once", "qword ptr [count]", 1
  start_counting
  apic_write APIC_TIMER, 0x20061
  apic_write APIC_COUNT, 1000000
  sti
  wait_until count, 5
  cli
  check "periodic fires again and again", "qword ptr [count]", 5
  apic_write APIC_TIMER, 0x30061
  mov ecx, 3000000
1: loop 1b
  sti
  nop
  cli
  apic_write APIC_COUNT, 0
  start_counting
  mov ecx, 3000000
1: loop 1b
  sti
  nop
  cli
  check "a count of 0 stops it", "qword ptr [count]", 0
  apic_write APIC_TIMER, 0x10061
  apic_write APIC_COUNT, 1000
  mov ecx, 1000000
1: loop 1b
  sti
  nop
  cli
  check "a masked timer does not fire", "qword ptr [count]", 0
  # TSC deadline
  apic_write APIC_TIMER, 0x40061
  mfence
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov rbx, rax
  bts rbx, 62 # far enough for any host to read it back in time
  wrmsr_to 0x6e0, rbx
  rdmsr_from 0x6e0
  check "IA32_TSC_DEADLINE reads as written", rax, rbx
  mfence
  rdtsc
  shl rdx, 32
  or rax, rdx
  lea rbx, [rax + 4000000]
  wrmsr_to 0x6e0, rbx
  start_counting
  sti
  wait_until count, 1
  cli
  rdtsc
  shl rdx, 32
  or rax, rdx
  xor ecx, ecx
  cmp rax, rbx
  setae cl
  check "it fires, not early", rcx, 1
  rdmsr_from 0x6e0
  check "and is disarmed", rax, 0
  start_counting
  wrmsr_to 0x6e0, 1
  sti
  nop
  nop
  cli
  check "a deadline in the past fires at once", "qword ptr [count]", 1
  start_counting
  rdtsc
  shl rdx, 32
  or rax, rdx
  lea rbx, [rax + 2000000]
  wrmsr_to 0x6e0, rbx
  wrmsr_to 0x6e0, 0
  mov ecx, 2000000
1: loop 1b
  sti
  nop
  cli
  check "0 disarms", "qword ptr [count]", 0
  apic_write APIC_COUNT, 1000
  apic_read APIC_CURRENT
  check "the count does nothing in deadline mode", rax, 0
  apic_write APIC_TIMER, 0x10000

  # --- NMI
  mov qword ptr [nmi_count], 0
  apic_write APIC_ICR_HIGH, 0
nmi_send: apic_write APIC_ICR, 0x4400
  nop
  check "an NMI comes with IF clear", [nmi_count], 1
  mov qword ptr [nmi_count], 0
  mov qword ptr [nmi_hook], offset nmi_again
  apic_write APIC_ICR, 0x4400
nmi_home: nop
  nop
  check "one NMI more was held until IRET", [nmi_count], 2
  check "and came right behind it: same return address", [nmi_rip], [nmi_rip+8]
  check "not before", [nmi_nested], 0
  mov qword ptr [nmi_count], 0
  mov qword ptr [nmi_hook], offset nmi_int
  apic_write APIC_ICR, 0x4400
  nop
  nop
  check "IRET of an INT in the NMI handler unblocks NMIs", [nmi_nested], 1
  mov qword ptr [nmi_count], 0
  mov qword ptr [nmi_hook], offset nmi_bad_iret
  apic_write APIC_ICR, 0x4400
  nop
  nop
  check "so does an IRET that faults", [nmi_nested], 1
  mov qword ptr [nmi_hook], 0
  mov qword ptr [nmi_count], 0
  sti
  apic_write APIC_ICR, 0x4400
  cli
  check "an NMI with IF set", [nmi_count], 1

  # --- errors
  apic_write APIC_ESR, 0
  apic_write APIC_ICR, 0x44005
  apic_write APIC_ESR, 0
  apic_read APIC_ESR
  check "ESR: send illegal vector", rax, 0x20
  apic_write APIC_ESR, 0
  apic_read APIC_ESR
  check "ESR is cleared by the next write", rax, 0
  start_counting
  apic_write APIC_ERROR, 0x92
  apic_write APIC_ICR, 0x44005
  sti
  nop
  cli
  check "the error LVT fires", "qword ptr [order]", 0x92
  apic_write APIC_ERROR, 0x10000
  apic_write APIC_SVR, 0x0ff
  apic_read APIC_TIMER
  and eax, 0x10000
  check "software disable masks the LVTs", rax, 0x10000
  apic_write APIC_TIMER, 0x61
  apic_read APIC_TIMER
  check "and keeps them masked", rax, 0x10061
  apic_write APIC_SVR, 0x1ff

  # --- I/O APIC: pin 23 is nobody's and low; its polarity bit makes it a line of ours
  ioapic_read 1
  and eax, 0xff
  mov ebx, eax
  xor ecx, ecx
  cmp ebx, 0x11
  setae cl
  check "I/O APIC version", rcx, 1
  ioapic_write 0x3f, 0
  start_counting
  gate 0x71, on_line
  ioapic_write 0x3e, 0xa071 # level, low active, vector 0x71
  ioapic_read 0x3e
  check "an asserted level line sets remote IRR", rax, 0xe071
  apic_read APIC_TMR+0x30
  sti
  nop
  nop
  cli
  check "level: again after EOI as long as it is asserted", "qword ptr [count]", 3
  check "TMR in the handler", [int_isr], 0x20000
  ioapic_read 0x3e
  check "remote IRR clear after the last EOI", rax, 0x8071
  start_counting
  ioapic_write 0x3e, 0x1a071
  sti
  nop
  cli
  check "masked: nothing", "qword ptr [count]", 0
  ioapic_write 0x3e, 0xa071
  ioapic_write 0x3e, 0x18071
  ioapic_read 0x3e
  check "remote IRR stays while it is masked", rax, 0x1c071
  sti
  nop
  cli
  check "what was accepted comes", "qword ptr [count]", 1
  ioapic_read 0x3e
  check "and its EOI clears remote IRR", rax, 0x18071
  # edge: COM1's transmitter interrupt on pin 4
  gate 0x71, on_0x71
  start_counting
  ioapic_write 0x19, 0
  ioapic_write 0x18, 0x71
  mov dx, 0x3f9
  mov al, 2
  out dx, al
  sti
  wait_until count, 1
  cli
  check "edge: COM1 interrupts", "qword ptr [order]", 0x71
  ioapic_read 0x18
  check "an edge entry has no remote IRR", rax, 0x71
  mov dx, 0x3f9
  xor eax, eax
  out dx, al
  ioapic_write 0x18, 0x10000
  # logical destination
  apic_write APIC_LDR, 0x04000000
  start_counting
  apic_write APIC_ICR_HIGH, 0x04000000
  apic_write APIC_ICR, 0x4891
  sti
  nop
  cli
  check "logical destination, flat", "qword ptr [order]", 0x91
  start_counting
  apic_write APIC_ICR_HIGH, 0x08000000
  apic_write APIC_ICR, 0x4891
  sti
  nop
  cli
  check "another logical destination", "qword ptr [count]", 0
  apic_write APIC_ICR_HIGH, 0x05000000
  apic_write APIC_ICR, 0x4091
  sti
  nop
  cli
  check "a physical destination that is nobody", "qword ptr [count]", 0
  apic_write APIC_DFR, 0x0fffffff
  apic_write APIC_LDR, 0x12000000
  apic_write APIC_ICR_HIGH, 0x16000000
  apic_write APIC_ICR, 0x4891
  sti
  nop
  cli
  check "logical destination, cluster", "qword ptr [count]", 1
  # 8259: PIT through ExtINT
  start_counting
  gate 0x28, on_pic
  mov al, 0x11
  out 0x20, al
  mov al, 0x28
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xfe
  out 0x21, al
  apic_write APIC_LINT0, 0x700
  mov al, 0x34
  out 0x43, al
  mov al, 0
  out 0x40, al
  mov al, 0x20
  out 0x40, al
  sti
  wait_until count, 2
  cli
  movzx eax, word ptr [order]
  check "ExtINT: the 8259's vector", rax, 0x2828
  mov al, 0xff
  out 0x21, al
  mov al, 0x30
  out 0x43, al
  apic_write APIC_LINT0, 0x10000

  # --- x2APIC
  mov ecx, 0x802
  fault "x2APIC MSRs in xAPIC mode are #GP(0)", GP, rdmsr
  wrmsr_to 0x1b, 0xfee00d00
  rdmsr_from 0x802
  check "x2APIC ID", rax, 0
  rdmsr_from 0x80d
  check "x2APIC logical ID", rax, 1
  start_counting
  gate 0x91, on_x2apic
  wrmsr_to 0x83f, 0x91
  sti
  nop
  cli
  check "SELF IPI", "qword ptr [count]", 1
  start_counting
  wrmsr_to 0x830, 0x4092
  gate 0x92, on_x2apic
  sti
  nop
  cli
  check "ICR of 64 bits", "qword ptr [count]", 1
  mov ecx, 0x80b
  mov eax, 1
  xor edx, edx
  fault "EOI of anything but 0 is #GP(0)", GP, wrmsr
  mov ecx, 0x80e
  fault "DFR does not exist in x2APIC mode", GP, rdmsr
  mov ecx, 0x802
  fault "the ID is read-only", GP, wrmsr
  mov ecx, 0x1b
  mov eax, 0xfee00900
  fault "x2APIC to xAPIC is #GP(0)", GP, wrmsr
  mov eax, 0xfee00100
  fault "x2APIC to disabled", NONE, wrmsr
  mov eax, 0xfee00d00
  fault "disabled to x2APIC is #GP(0)", GP, wrmsr
  mov eax, 0xfee00900
  fault "disabled to xAPIC", NONE, wrmsr
  mov ecx, 0x1b
  mov eax, 0xfee00900
  mov edx, 0x100
  fault "APIC base beyond MAXPHYADDR is #GP(0)", GP, wrmsr
  ret

.irp v, 0x61, 0x62, 0x71, 0x91, 0x92, 0xa1
recorder \v
.endr

on_x2apic:
  push rax
  push rcx
  push rdx
  inc dword ptr [count]
  wrmsr_to 0x80b, 0
  pop rdx
  pop rcx
  pop rax
  iretq

# 0x71 sends 0x61 (lower), 0x91 (higher) and itself, with interrupts on, then marks its end by 0x61 between them.
on_nesting:
  push rax
  mov eax, [count]
  mov byte ptr [order + rax], 0x71
  inc dword ptr [count]
  cmp dword ptr [count], 1
  jne 1f
  self_ipi 0x61
  self_ipi 0x71
  mov eax, [count]
  mov byte ptr [order + rax], 1
  inc dword ptr [count]
  self_ipi 0x91
  sti
  nop
  nop
  cli
  mov eax, [count]
  mov byte ptr [order + rax], 0x61
  inc dword ptr [count]
1: apic_write APIC_EOI, 0
  pop rax
  iretq

on_line:
  push rax
  inc dword ptr [count]
  mov eax, APIC+APIC_TMR+0x30
  mov eax, [rax]
  mov [int_isr], rax
  cmp dword ptr [count], 3
  jne 1f
  ioapic_write 0x3e, 0x8071 # high active: no longer asserted
1: apic_write APIC_EOI, 0
  pop rax
  iretq

on_pic:
  push rax
  mov eax, [count]
  cmp eax, 8
  jae 1f
  mov byte ptr [order + rax], 0x28
  inc dword ptr [count]
1: mov al, 0x20
  out 0x20, al
  pop rax
  iretq

on_nmi:
  push rax
  push rbx
  mov rbx, [nmi_count]
  mov rax, [rsp + 16]
  and ebx, 7
  mov [nmi_rip + rbx * 8], rax
  inc qword ptr [nmi_count]
  mov rax, [in_nmi]
  mov [nmi_nested], rax
  cmp qword ptr [nmi_count], 1
  jne 1f
  mov rax, [nmi_hook]
  test rax, rax
  jz 1f
  mov qword ptr [in_nmi], 1
  call rax
  mov qword ptr [in_nmi], 0
1: pop rbx
  pop rax
  iretq
nmi_again:
  apic_write APIC_ICR, 0x4400
  mov ecx, 10000
1: loop 1b
  mov rax, [nmi_count]
  dec rax
  mov [nmi_nested], rax
  ret
nmi_int:
  apic_write APIC_ICR, 0x4400
  gate 0x60, just_return
  int 0x60
  nop
  ret
nmi_bad_iret:
  apic_write APIC_ICR, 0x4400
  push 0
  push rsp
  push 2
  push KDATA
  push offset just_return
  mov qword ptr [resume_rsp], rsp
  mov qword ptr [resume], offset 1f
  iretq
1: mov qword ptr [resume], 0
  nop
  add rsp, 40
  ret
just_return: iretq

.section .bss
.balign 16
order: .skip 64
count: .skip 8
int_rip: .skip 8
int_rcx: .skip 8
int_isr: .skip 8
nmi_count: .skip 8
nmi_rip: .skip 64
nmi_nested: .skip 8
in_nmi: .skip 8
nmi_hook: .skip 8
