# Several vCPUs: INIT and startup IPIs, IPIs among them, LOCKed counters of all sizes and alignments, memory order,
# cross-modifying code, TLB shootdown, time.
.include "long.inc"
.include "apic.inc"
.equ CPUS_MAX, 4
.equ ROUNDS, 500
.equ TRAMPOLINE, 0x8000

# All vCPUs run \routine at once; RDI is the vCPU's number. Returns when all have ended.
.macro together routine:req
  mov qword ptr [job], offset \routine
  mov rax, [cpus]
  mov [running], rax
  lock inc qword ptr [job_number]
  xor edi, edi
  call \routine
  lock dec qword ptr [running]
1099: pause
  cmp qword ptr [running], 0
  jne 1099b
.endm

# Adds 1 `ROUNDS` times by `insn` at `rbx`, for every vCPU.
.macro counter name:req, insn:vararg
\name:
  mov rbx, [target]
  mov ecx, ROUNDS
1: \insn
  dec ecx
  jnz 1b
  ret
.endm
counter add8, lock inc byte ptr [rbx]
counter add16, lock inc word ptr [rbx]
counter add32, lock add dword ptr [rbx], 1
counter add64, lock inc qword ptr [rbx]
# XADD: the results of all vCPUs must be distinct; their sum tells.
xadd32:
  mov rbx, [target]
  mov ecx, ROUNDS
1: mov eax, 1
  lock xadd [rbx], eax
  add [sums + rdi * 8], rax
  dec ecx
  jnz 1b
  ret
xadd64:
  mov rbx, [target]
  mov ecx, ROUNDS
1: mov eax, 1
  lock xadd [rbx], rax
  add [sums + rdi * 8], rax
  dec ecx
  jnz 1b
  ret
cas32:
  mov rbx, [target]
  mov ecx, ROUNDS
1: mov eax, [rbx]
2: lea edx, [rax + 1]
  lock cmpxchg [rbx], edx
  jnz 2b
  dec ecx
  jnz 1b
  ret
cas64:
  mov rbx, [target]
  mov ecx, ROUNDS
1: mov rax, [rbx]
2: lea rdx, [rax + 1]
  lock cmpxchg [rbx], rdx
  jnz 2b
  dec ecx
  jnz 1b
  ret
cas8b: # CMPXCHG8B
  mov rsi, [target]
  mov edi, ROUNDS
1: mov eax, [rsi]
  mov edx, [rsi + 4]
2: mov ebx, eax
  mov ecx, edx
  add ebx, 1
  adc ecx, 0
  lock cmpxchg8b [rsi]
  jnz 2b
  dec edi
  jnz 1b
  ret
cas16b: # CMPXCHG16B: both halves count
  mov rsi, [target]
  mov edi, ROUNDS
1: mov rax, [rsi]
  mov rdx, [rsi + 8]
2: lea rbx, [rax + 1]
  lea rcx, [rdx + 2]
  lock cmpxchg16b [rsi]
  jnz 2b
  dec edi
  jnz 1b
  ret
# A lock by XCHG (implicitly LOCKed) around a plain counter.
xchg_lock:
  mov rbx, [target]
  mov ecx, ROUNDS
1: mov eax, 1
  xchg eax, [rbx]
  test eax, eax
  jz 2f
  pause
  jmp 1b
2: inc qword ptr [guarded]
  mov dword ptr [rbx], 0
  dec ecx
  jnz 1b
  ret
# A lock by LOCK BTS, released by LOCK BTR.
bts_lock:
  mov rbx, [target]
  mov ecx, ROUNDS
1: lock bts dword ptr [rbx], 5
  jnc 2f
  pause
  jmp 1b
2: inc qword ptr [guarded]
  lock btr dword ptr [rbx], 5
  dec ecx
  jnz 1b
  ret
# Each vCPU owns a byte of one quadword and changes it by LOCKed operations of that byte.
byte_lanes:
  mov rbx, [target]
  add rbx, rdi
  mov ecx, ROUNDS
1: lock add byte ptr [rbx], 3
  lock xor byte ptr [rbx], 0x55
  lock xor byte ptr [rbx], 0x55
  lock sub byte ptr [rbx], 2
  dec ecx
  jnz 1b
  ret

# check that target holds ROUNDS * cpus in `size` bytes, clear it
.macro total name:req, routine:req, at:req, size:req
  mov rax, offset arena+\at
  mov [target], rax
  mov qword ptr [rax], 0
  mov qword ptr [rax + 8], 0
  together \routine
  mov rax, [cpus]
  imul rax, rax, ROUNDS
.if \size == 1
  movzx eax, al
  movzx ebx, byte ptr [arena+\at]
.elseif \size == 2
  movzx eax, ax
  movzx ebx, word ptr [arena+\at]
.elseif \size == 4
  mov ebx, [arena+\at]
.else
  mov rbx, [arena+\at]
.endif
  mov [expected], rax
  check "\name", rbx, [expected]
.endm
# The same at an offset in all alignments of interest.
.macro everywhere at:req, where:req
  total "INC m8 \where", add8, \at, 1
  total "INC m16 \where", add16, \at, 2
  total "ADD m32 \where", add32, \at, 4
  total "INC m64 \where", add64, \at, 8
  total "CMPXCHG m32 \where", cas32, \at, 4
  total "CMPXCHG m64 \where", cas64, \at, 8
  total "CMPXCHG8B \where", cas8b, \at, 8
  mov qword ptr [sums], 0
  mov qword ptr [sums + 8], 0
  mov qword ptr [sums + 16], 0
  mov qword ptr [sums + 24], 0
  total "XADD m32 \where", xadd32, \at, 4
  call check_sums
  total "XADD m64 \where", xadd64, \at, 8
  call check_sums
  mov qword ptr [guarded], 0
  mov rax, offset arena+\at
  mov [target], rax
  mov qword ptr [rax], 0
  together xchg_lock
  check "a lock by XCHG \where", [guarded], [expected]
  mov qword ptr [guarded], 0
  together bts_lock
  check "a lock by BTS \where", [guarded], [expected]
.endm

main:
  apic_on
  # the trampoline below 1 MiB
  cld
  mov rsi, offset trampoline
  mov edi, TRAMPOLINE
  mov ecx, offset trampoline_end - trampoline
  rep movsb
  mov qword ptr [cpus], 1
  apic_write APIC_ICR, 0xc4500 # INIT, all but self
  mov ecx, 100000
1: loop 1b
  apic_write APIC_ICR, 0xc4608 # STARTUP at 0x8000
  mov ecx, 100000
1: loop 1b
  apic_write APIC_ICR, 0xc4608 # a second one is ignored
  mov eax, 0xb
  mov ecx, 1
  cpuid
  movzx eax, bx
  mov [expected], rax
  mov rcx, 0x8000000
1: pause
  mov rax, [cpus]
  cmp rax, [expected]
  je 2f
  dec rcx
  jnz 1b
2: check "all vCPUs started by INIT and STARTUP", [cpus], [expected]
  mov ecx, 3000000
1: loop 1b
  check "each once", [cpus], [expected]
  cmp qword ptr [cpus], 1
  je 1f
  check "APs begin in real mode with the CR0 that ACRN gives (ET, NE)", [ap_cr0], 0x30
1:
  mov rcx, [cpus]
  mov eax, 1
  shl eax, cl
  sub eax, 2
  check "APs have APIC IDs of their own", [ap_ids], rax
  check "IA32_APIC_BASE.BSP is the BSP's alone", [ap_bsp], 0

  # --- LOCKed counters
  everywhere 0, "aligned"
  everywhere 1, "at 1"
  everywhere 3, "at 3"
  everywhere 6, "at 6"
  everywhere 61, "across cache lines"
  everywhere 4093, "across pages"
  total "CMPXCHG16B, low half", cas16b, 0, 8
  mov rax, [arena + 8]
  shr rax, 1
  check "CMPXCHG16B, high half", rax, [expected]
  mov rax, offset arena
  mov [target], rax
  mov qword ptr [arena], 0
  together byte_lanes
  mov rcx, [cpus]
  shl ecx, 3
  mov eax, 1
  cmp ecx, 64
  jae 1f
  shl rax, cl
1: dec rax
  mov rdx, 0x0101010101010101
  and rax, rdx
  mov rdx, ROUNDS & 0xff
  imul rax, rdx
  mov [expected], rax
  check "bytes of one quadword by a vCPU each", [arena], [expected]

  # --- memory order
  mov qword ptr [bad], 0
  mov qword ptr [flag], 0
  mov qword ptr [data], 0
  together message
  check "a store is seen before the store behind it", [bad], 0
  mov qword ptr [bad], 0
  mov qword ptr [dekker_x], 0
  mov qword ptr [dekker_y], 0
  together dekker
  check "MFENCE orders a store before a load (Dekker)", [bad], 0
  mov qword ptr [bad], 0
  mov qword ptr [data], 0
  together tearing
  check "aligned stores of 8 bytes are not torn", [bad], 0

  # --- cross-modifying code
  mov qword ptr [bad], 0
  mov qword ptr [flag], 0
  mov qword ptr [turns], 0
  mov rax, 0xc300000000b8 # MOV EAX, 0; RET
  mov [patched], rax
  together patching
  check "code written by another vCPU runs as written", [bad], 0
  check "as often as it was written", [turns], 100

  # --- TLB shootdown by IPI
  gate 0xf1, on_shootdown
  gate 0xf2, on_count
  mov qword ptr [bad], 0
  mov qword ptr [flag], 0
  mov qword ptr [turns], 0
  together shootdown
  check "after a shootdown all see the new page", [bad], 0

  # --- IPIs
  mov qword ptr [hits], 0
  together ipi_storm
  mov rax, [cpus]
  imul rax, rax, 100
  mov [expected], rax
  check "100 IPIs by each vCPU to its neighbour arrive", [hits], [expected]
  gate 2, on_nmi
  mov qword ptr [hits], 0
  together nmi_round
  mov rax, [cpus]
  imul rax, rax, 50
  mov [expected], rax
  check "50 NMIs by each vCPU to its neighbour arrive", [hits], [expected]
  mov qword ptr [hits], 0
  apic_write APIC_LDR, 0x01000000
  together set_ldr
  mov qword ptr [flag], 0
  together logical_all
  check "a logical destination of all reaches all", [hits], [cpus]
  mov qword ptr [hits], 0
  together all_but_self
  mov rax, [cpus]
  dec rax
  mov [expected], rax
  check "all but self", [hits], [expected]

  # --- time
  mov qword ptr [bad], 0
  mov qword ptr [stamp], 0
  together monotonic
  check "RDTSC never runs backwards from vCPU to vCPU", [bad], 0
  mov qword ptr [bad], 0
  together tsc_aux
  check "RDTSCP gives each vCPU's TSC_AUX", [bad], 0

  # --- INIT again: a vCPU that runs goes back to wait for its SIPI
  cmp qword ptr [cpus], 1
  je 9f
  apic_write APIC_ICR_HIGH, 0x01000000
  apic_write APIC_ICR, 0x4500
  mov ecx, 1000000
1: loop 1b
  mov rax, [cpus]
  mov [expected], rax
  inc qword ptr [expected]
  apic_write APIC_ICR, 0x4608
  mov rcx, 0x8000000
1: pause
  mov rax, [cpus]
  cmp rax, [expected]
  je 2f
  dec rcx
  jnz 1b
2: check "INIT and STARTUP of a running vCPU start it anew", [cpus], [expected]
  dec qword ptr [cpus]
9: ret

check_sums:
  mov rax, [sums]
  add rax, [sums + 8]
  add rax, [sums + 16]
  add rax, [sums + 24]
  mov rbx, rax
  mov qword ptr [sums], 0
  mov qword ptr [sums + 8], 0
  mov qword ptr [sums + 16], 0
  mov qword ptr [sums + 24], 0
  mov rax, [expected]
  lea rcx, [rax - 1]
  imul rax, rcx
  shr rax, 1
  mov [expected_sum], rax
  check "and each value was given once", rbx, [expected_sum]
  ret

# vCPU 0 writes data, then flag; the others see data at least as new as flag.
message:
  test edi, edi
  jnz 2f
  mov ecx, 4000
1: inc qword ptr [data]
  inc qword ptr [flag]
  dec ecx
  jnz 1b
  mov qword ptr [flag], -1
  ret
2: mov rax, [flag]
  mov rbx, [data]
  cmp rax, -1
  je 3f
  cmp rbx, rax
  jae 2b
  lock inc qword ptr [bad]
  jmp 2b
3: ret

# vCPUs 0 and 1: each raises its flag and looks at the other's; both must not miss.
dekker:
  cmp edi, 2
  jae 9f
  cmp qword ptr [cpus], 2
  jb 9f
  mov esi, 500
1: test edi, edi
  jnz 3f
  mov qword ptr [dekker_x], rsi
  mfence
  mov rax, [dekker_y]
  mov [seen_x], rax
  lock inc qword ptr [meet]
  jmp 4f
3: mov qword ptr [dekker_y], rsi
  mfence
  mov rax, [dekker_x]
  mov [seen_y], rax
  lock inc qword ptr [meet]
4: mov eax, 501
  sub eax, esi
  add eax, eax
44: cmp [meet], rax
  jae 5f
  pause
  jmp 44b
5: test edi, edi
  jnz 6f
  # both have looked: at least one has seen the other's value of this round
  cmp [seen_x], rsi
  je 55f
  cmp [seen_y], rsi
  je 55f
  lock inc qword ptr [bad]
55: mov qword ptr [round], rsi
  jmp 7f
6: cmp [round], rsi
  je 7f
  pause
  jmp 6b
7: dec esi
  jnz 1b
9: ret

tearing:
  test edi, edi
  jnz 2f
  mov ecx, 4000
  xor eax, eax
  mov rbx, -1
1: mov [data], rax
  mov [data], rbx
  dec ecx
  jnz 1b
  mov qword ptr [data], 1
  ret
2: mov rax, [data]
  cmp rax, 1
  je 3f
  test rax, rax
  jz 2b
  cmp rax, -1
  je 2b
  lock inc qword ptr [bad]
  jmp 2b
3: ret

# vCPU 0 writes the immediate of a function and tells the others, who call it and tell it.
patching:
  test edi, edi
  jnz 4f
  mov esi, 1
1: mov [patched + 1], esi
  mov rax, [cpus]
  dec rax
  mov [waiting], rax
  mov [flag], rsi
2: cmp qword ptr [waiting], 0
  je 3f
  pause
  jmp 2b
3: inc qword ptr [turns]
  inc esi
  cmp esi, 100
  jbe 1b
  mov qword ptr [flag], -1
  ret
4: xor esi, esi
5: mov rax, [flag]
  cmp rax, -1
  je 9f
  cmp rax, rsi
  je 6f
  mov rsi, rax
  mov rax, offset patched
  call rax
  cmp eax, esi
  je 7f
  lock inc qword ptr [bad]
7: lock dec qword ptr [waiting]
6: pause
  jmp 5b
9: ret

# vCPU 0 maps TEST to one page or the other, interrupts the others, and all must see it.
shootdown:
  mov r15, TEST
  test edi, edi
  jnz 5f
  mov dword ptr [test_page], 0
  mov dword ptr [test_page2], 1
  mov esi, 100
1: mov rax, offset test_page + 7
  mov rbx, offset test_page2 + 7
  test esi, 1
  cmovnz rax, rbx
  mov [test_pt], rax
  invlpg [r15]
  mov rax, [cpus]
  dec rax
  mov [waiting], rax
  jz 3f
  apic_write APIC_ICR, 0xc40f1
2: cmp qword ptr [waiting], 0
  je 3f
  pause
  jmp 2b
3: mov eax, [r15]
  mov ecx, esi
  and ecx, 1
  cmp eax, ecx
  je 4f
  lock inc qword ptr [bad]
4: mov [round], rcx
  mov rax, [cpus]
  dec rax
  mov [waiting], rax
  mov [flag], rsi
44: cmp qword ptr [waiting], 0
  je 45f
  pause
  jmp 44b
45: dec esi
  jnz 1b
  mov qword ptr [flag], -1
  ret
5: sti
  xor esi, esi
6: mov eax, [r15] # keeps the old translation alive
  mov rax, [flag]
  cmp rax, -1
  je 8f
  cmp rax, rsi
  je 7f
  mov rsi, rax
  mov eax, [r15]
  cmp rax, [round]
  je 66f
  lock inc qword ptr [bad]
66: lock dec qword ptr [waiting]
7: pause
  jmp 6b
8: cli
  ret
on_shootdown:
  push rax
  mov rax, TEST
  invlpg [rax]
  lock dec qword ptr [waiting]
  apic_write APIC_EOI, 0
  pop rax
  iretq

# Each interrupts its neighbour `rounds` times, waits every time until that was counted, and at last for all others.
.macro interrupt_neighbour rounds:req, icr:req, arrived:req
  push r12
  mov r12d, \rounds
  lea esi, [rdi + 1]
  cmp rsi, [cpus]
  jb 1f
  xor esi, esi
1: mov rax, [mine + rsi * 8]
  mov ebx, esi
  shl ebx, 24
  apic_write APIC_ICR_HIGH, ebx
  apic_write APIC_ICR, \icr
2: cmp [mine + rsi * 8], rax
  jne 3f
  pause
  jmp 2b
3: dec r12d
  jnz 1b
  lock inc qword ptr [\arrived]
4: mov rax, [\arrived]
  cmp rax, [cpus]
  jae 5f
  pause
  jmp 4b
5: pop r12
.endm

ipi_storm:
  sti
  interrupt_neighbour 100, 0x40f2, arrived
  cli
  ret
on_count:
  push rax
  push rbx
  apic_read APIC_ID
  shr eax, 24
  lock inc qword ptr [mine + rax * 8]
  lock inc qword ptr [hits]
  apic_write APIC_EOI, 0
  pop rbx
  pop rax
  iretq
nmi_round:
  interrupt_neighbour 50, 0x4400, arrived2
  ret
on_nmi:
  push rax
  apic_read APIC_ID
  shr eax, 24
  lock inc qword ptr [mine + rax * 8]
  lock inc qword ptr [hits]
  pop rax
  iretq
set_ldr:
  mov ecx, edi
  mov eax, 0x01000000
  shl eax, cl
  mov ebx, eax
  apic_write APIC_LDR, ebx
  ret
logical_all:
  sti
  test edi, edi
  jnz 1f
  apic_write APIC_ICR_HIGH, 0xff000000
  apic_write APIC_ICR, 0x48f2
1: mov rcx, 0x1000000
2: pause
  mov rax, [hits]
  cmp rax, [cpus]
  jae 3f
  dec rcx
  jnz 2b
3: cli
  ret
all_but_self:
  sti
  test edi, edi
  jnz 1f
  apic_write APIC_ICR, 0xc40f2
1: mov rcx, 0x1000000
2: pause
  mov rax, [hits]
  inc rax
  cmp rax, [cpus]
  jae 3f
  dec rcx
  jnz 2b
3: cli
  ret

# The last stamp that any vCPU took is not later than one taken now: under one lock.
monotonic:
  mov esi, 500
1: mov eax, 1
  xchg eax, [time_lock]
  test eax, eax
  jz 2f
  pause
  jmp 1b
2: rdtsc
  shl rdx, 32
  or rax, rdx
  cmp rax, [stamp]
  jae 3f
  inc qword ptr [bad]
3: mov [stamp], rax
  mov dword ptr [time_lock], 0
  dec esi
  jnz 1b
  ret
tsc_aux:
  lea rbx, [rdi + 0x1230]
  wrmsr_to 0xc0000103, rbx
  mov esi, 1000
1: rdtscp
  cmp rcx, rbx
  je 2f
  lock inc qword ptr [bad]
2: dec esi
  jnz 1b
  ret

.code16
trampoline:
  cli
  mov eax, cr0
  mov ebx, eax
  xor ax, ax
  mov ds, ax
  .byte 0x66, 0x0f, 0x01, 0x16 # LGDTD
  .word TRAMPOLINE + ap_gdtr - trampoline
  mov eax, 0x6b0
  mov cr4, eax
  mov eax, [TRAMPOLINE + ap_cr3 - trampoline]
  mov cr3, eax
  mov ecx, 0xc0000080
  mov eax, 0x901
  xor edx, edx
  wrmsr
  mov eax, 0x80010033
  mov cr0, eax
  .byte 0x66, 0xea
  .long ap_start
  .word KCODE
.balign 8
ap_gdtr: .word gdt_end - gdt - 1
  .long gdt
ap_cr3: .long pml4
trampoline_end:
.code64
ap_start:
  mov eax, KDATA
  mov ds, eax
  mov es, eax
  mov ss, eax
  xor eax, eax
  mov fs, eax
  mov gs, eax
  mov [ap_cr0], rbx
  lidt [idtr]
  apic_read APIC_ID
  shr eax, 24
  mov edi, eax
  mov ecx, edi
  shl ecx, 12
  mov esp, offset ap_stacks
  add rsp, rcx
  push rdi
  apic_write APIC_SVR, 0x1ff
  apic_write APIC_TPR, 0
  rdmsr_from 0x1b
  and eax, 0x100
  lock or [ap_bsp], rax
  mov rdi, [rsp]
  lock bts qword ptr [ap_ids], rdi
  mov rsi, [job_number]
  lock inc qword ptr [cpus]
ap_wait:
  pause
  cmp [job_number], rsi
  je ap_wait
  mov rsi, [job_number]
  push rsi
  mov rdi, [rsp + 8]
  mov rax, [job]
  call rax
  pop rsi
  lock dec qword ptr [running]
  jmp ap_wait

.section .bss
.balign 4096
arena: .skip 8192
ap_stacks: .skip 4096 * 5
patched: .skip 64
.balign 64
cpus: .skip 64
job: .skip 8
job_number: .skip 64
running: .skip 64
target: .skip 64
expected: .skip 8
expected_sum: .skip 8
guarded: .skip 64
sums: .skip 64
bad: .skip 64
flag: .skip 64
data: .skip 64
dekker_x: .skip 64
dekker_y: .skip 64
meet: .skip 64
round: .skip 64
seen_x: .skip 8
seen_y: .skip 8
turns: .skip 8
waiting: .skip 64
hits: .skip 64
mine: .skip 64
arrived: .skip 64
arrived2: .skip 64
time_lock: .skip 64
stamp: .skip 64
ap_cr0: .skip 8
ap_ids: .skip 8
ap_bsp: .skip 8
