# 4-level paging: permissions and error codes, reserved bits, A/D flags, large pages, TLB invalidation, PCID, CR checks.
.include "long.inc"
.equ P, 1
.equ RW, 2
.equ US, 4
.equ A, 0x20
.equ D, 0x40
.equ PS, 0x80
.equ G, 0x100
.equ PWU, 7
.equ HOLE, TEST + 0x5000 # not mapped

# pte flags: the test page by these flags, TLB entry dropped; r15 is its address
.macro pte flags:req
  mov rax, \flags
  add rax, offset test_page
  mov [test_pt], rax
  invlpg [r15]
.endm
# The high bit of the PTE.
.macro nx
  bts qword ptr [test_pt], 63
  invlpg [r15]
.endm

main:
  mov r15, TEST
  mov byte ptr [test_page], 0xc3 # RET
  mov dword ptr [test_page + 8], 0x11111111
  mov dword ptr [test_page2 + 8], 0x22222222

  # --- present
  pte 0
  fault "supervisor read of a page not present", PF, mov rax, [r15 + 0x123]
  lea rax, [r15 + 0x123]
  check "CR2 is the address", [got_cr2], rax
  fault "supervisor write of a page not present", PF+2, mov [r15], rax
  fault "supervisor fetch of a page not present", PF+0x10, call r15
  userfault "user read of a page not present", PF+4, mov rax, [r15]
  userfault "user write of a page not present", PF+6, mov [r15], rax
  userfault "user fetch of a page not present", PF+0x14, jmp r15
  pte PWU
  fault "a page that became present needs no INVLPG", NONE, mov rax, [r15]

  # --- writable
  pte P+US
  fault "supervisor write of a read-only page, WP", PF+3, mov [r15 + 8], rax
  userfault "user write of a read-only page", PF+7, mov [r15 + 8], rax
  userfault "user read of a read-only page", USER_OK, mov rax, [r15 + 8]
  mov rax, cr0
  btr rax, 16
  mov cr0, rax
  mov dword ptr [test_page + 8], 0x11111111
  fault "supervisor write of a read-only page without WP", NONE, mov dword ptr [r15 + 8], 0x33333333
  check "and it is written", "qword ptr [test_page + 8]", 0x33333333
  userfault "user write of a read-only page without WP", PF+7, mov [r15 + 8], rax
  mov rax, cr0
  bts rax, 16
  mov cr0, rax
  fault "and WP protects again", PF+3, mov [r15 + 8], rax
  and qword ptr [test_pd], ~RW
  pte PWU
  fault "a read-only PDE makes its pages read-only", PF+3, mov [r15 + 8], rax
  or qword ptr [test_pd], RW
  and qword ptr [pml4 + 8], ~RW
  pte PWU
  fault "so does a read-only PML4E", PF+3, mov [r15 + 8], rax
  or qword ptr [pml4 + 8], RW
  pte PWU

  # --- user
  pte P+RW
  userfault "user read of a supervisor page", PF+5, mov rax, [r15]
  userfault "user write of a supervisor page", PF+7, mov [r15], rax
  userfault "user fetch of a supervisor page", PF+0x15, jmp r15
  pte PWU
  and qword ptr [test_pdpt], ~US
  invlpg [r15]
  userfault "a supervisor PDPTE covers a user page", PF+5, mov rax, [r15]
  or qword ptr [test_pdpt], US
  pte PWU
  userfault "user read and write of a user page", USER_OK, add dword ptr [r15 + 64], 1

  # --- execute disable
  fault "call into a page", NONE, call r15
  nx
  fault "supervisor fetch of an NX page", PF+0x11, call r15
  userfault "user fetch of an NX page", PF+0x15, jmp r15
  fault "read of an NX page", NONE, mov rax, [r15]
  pte PWU
  bts qword ptr [test_pd], 63
  invlpg [r15]
  fault "fetch under an NX PDE", PF+0x11, call r15
  btr qword ptr [test_pd], 63
  pte PWU
  nx
  wrmsr_to 0xc0000080, 0x501
  fault "NX is a reserved bit without EFER.NXE (read)", PF+9, mov rax, [r15]
  fault "and a fetch then has no I bit", PF+9, call r15
  pte P+RW
  userfault "nor has a user fetch of a supervisor page", PF+5, jmp r15
  wrmsr_to 0xc0000080, 0xd01

  # --- reserved bits
  pte PWU
  bts qword ptr [test_pt], 51
  invlpg [r15]
  fault "reserved bit 51 of a PTE (read)", PF+9, mov rax, [r15]
  fault "reserved bit (write)", PF+0xb, mov [r15], rax
  userfault "reserved bit (user write)", PF+0xf, mov [r15], rax
  fault "reserved bit (fetch)", PF+0x19, call r15
  pte PWU
  bts qword ptr [test_pd], 45
  invlpg [r15]
  fault "reserved bit of a PDE", PF+9, mov rax, [r15]
  btr qword ptr [test_pd], 45
  bts qword ptr [test_pdpt], 39
  invlpg [r15]
  fault "MAXPHYADDR of a PDPTE", PF+9, mov rax, [r15]
  btr qword ptr [test_pdpt], 39
  or qword ptr [pml4 + 8], PS
  invlpg [r15]
  fault "PS of a PML4E is reserved", PF+9, mov rax, [r15]
  and qword ptr [pml4 + 8], ~PS
  mov qword ptr [test_pd + 8], 0x2000 + PS + PWU
  mov rbx, TEST + 0x200000
  fault "bit 13 of a 2 MiB page is reserved", PF+9, mov rax, [rbx]
  mov qword ptr [test_pdpt + 8], 0x200000 + PS + PWU
  mov rbx, TEST + 0x40000000
  fault "bit 21 of a 1 GiB page is reserved", PF+9, mov rax, [rbx]
  mov qword ptr [test_pd + 8], 0
  pte 0
  or qword ptr [test_pdpt], 0
  bts qword ptr [test_pt], 51
  invlpg [r15]
  fault "reserved bits of an entry not present count for nothing", PF, mov rax, [r15]

  # --- SMEP
  pte PWU
  cr4_set 0x100000
  fault "SMEP: supervisor fetch of a user page", PF+0x11, call r15
  fault "SMEP: read", NONE, mov rax, [r15]
  userfault "SMEP: CPL 3 executes", USER_OK, nop
  and qword ptr [test_pd], ~US
  invlpg [r15]
  fault "SMEP: a supervisor PDE makes it a supervisor page", NONE, call r15
  or qword ptr [test_pd], US
  invlpg [r15]
  cr4_clear 0x100000
  fault "without SMEP it executes", NONE, call r15

  # --- SMAP
  cr4_set 0x200000
  clac
  fault "SMAP: supervisor read of a user page", PF+1, mov rax, [r15]
  fault "SMAP: supervisor write of a user page", PF+3, mov [r15 + 64], rax
  fault "SMAP: fetch is not its business", NONE, call r15
  stac
  fault "SMAP: AC lifts it (read)", NONE, mov rax, [r15]
  stac
  fault "SMAP: AC lifts it (write)", NONE, mov [r15 + 64], rax
  clac
  fault "SMAP: and CLAC restores it", PF+1, mov rax, [r15]
  stac
  fault "SMAP: an exception leaves AC to its handler", NONE, mov rax, [r15]
  clac
  userfault "SMAP: CPL 3 reads", USER_OK, mov rax, [r15]
  userfault "STAC at CPL 3 is #UD", UD, stac
  # an LDT in a user page: its access is implicit and supervisor's
  mov rax, ((TEST >> 24) & 0xff) << 56
  mov rdx, 0x0000820000000fff
  or rax, rdx
  mov [gdt + FREE], rax
  mov rax, TEST >> 32
  mov [gdt + FREE + 8], rax
  mov rax, 0x00cf93000000ffff
  mov [test_page + 0x40], rax
  mov eax, FREE
  lldt ax
  mov eax, 0x44
  clac
  fault "SMAP: descriptor in a user page", PF+1, mov fs, eax
  mov eax, 0x44
  stac
  fault "SMAP: implicit accesses do not look at AC", PF+1, mov fs, eax
  clac
  cr4_clear 0x200000
  mov eax, 0x44
  fault "and without SMAP it loads", NONE, mov fs, eax
  mov al, [test_page + 0x45]
  movzx eax, al
  check "the descriptor is marked accessed", rax, 0x93
  xor eax, eax
  mov fs, eax
  lldt ax

  # --- accessed and dirty
  and qword ptr [test_pd], ~A
  and qword ptr [test_pdpt], ~A
  and qword ptr [pml4 + 8], ~A
  pte PWU
  mov al, [r15]
  mov rax, [test_pt]
  and eax, A+D
  check "a read sets A, not D", rax, A
  mov rax, [test_pd]
  and rax, [test_pdpt]
  and rax, [pml4 + 8]
  and eax, A
  check "and A of all levels above", rax, A
  mov rax, [test_pd]
  or rax, [test_pdpt]
  or rax, [pml4 + 8]
  and eax, D
  check "and D of none of them", rax, 0
  mov [r15 + 64], al
  mov rax, [test_pt]
  and eax, A+D
  check "a write after a read sets D", rax, A+D
  pte PWU
  mov [r15 + 64], al
  mov rax, [test_pt]
  and eax, A+D
  check "a write sets A and D", rax, A+D
  pte PWU
  call r15
  mov rax, [test_pt]
  and eax, A+D
  check "a fetch sets A", rax, A
  pte P+US
  fault "a write that is refused", PF+3, mov [r15 + 64], al
  mov rax, [test_pt]
  and eax, D
  check "sets no D", rax, 0
  pte PWU
  xor eax, eax
  mov edx, 1
  mov ecx, 7
  lock cmpxchg [r15 + 0x100], ecx
  mov rax, [test_pt]
  and eax, D
  check "LOCK CMPXCHG sets D even when it does not match", rax, D

  # --- invalidation
  pte PWU
  mov eax, [r15 + 8]
  mov rax, PWU
  add rax, offset test_page2
  mov [test_pt], rax
  invlpg [r15 + 0x800]
  mov eax, [r15 + 8]
  check "INVLPG of any address in the page shows the new frame", rax, 0x22222222
  mov dword ptr [test_page + 8], 0x11111111
  mov rax, PWU
  add rax, offset test_page
  mov [test_pt], rax
  mov rax, cr3
  mov cr3, rax
  mov eax, [r15 + 8]
  check "MOV to CR3 shows the new frame", rax, 0x11111111
  pte PWU+G
  mov eax, [r15 + 8]
  mov rax, PWU+G
  add rax, offset test_page2
  mov [test_pt], rax
  cr4_clear 0x80
  cr4_set 0x80
  mov eax, [r15 + 8]
  check "CR4.PGE toggled drops global pages", rax, 0x22222222
  mov rax, PWU+G
  add rax, offset test_page
  mov [test_pt], rax
  invlpg [r15]
  mov eax, [r15 + 8]
  check "INVLPG drops a global page", rax, 0x11111111
  pte PWU
  mov eax, [r15 + 8]
  mov rax, PWU
  add rax, offset test_page2
  mov [test_pt], rax
  lea rdx, [rip + 1f]
  invlpg [r15]
1: mov eax, [r15 + 8]
  check "a load right behind INVLPG sees it", rax, 0x22222222
  mov rbx, 0x800000000000
  fault "INVLPG of an address that is not canonical does nothing", NONE, invlpg [rbx]
  userfault "INVLPG at CPL 3 is #GP(0)", GP, invlpg [rbx]

  # --- large pages
  mov qword ptr [test_pd + 8], PS + PWU
  mov rbx, TEST + 0x200000
  mov eax, [rbx + test_page + 8]
  check "2 MiB page", rax, 0x11111111
  mov ecx, [rbx + test_page2 + 8]
  check "another address in it", rcx, 0x22222222
  mov rax, [test_pd + 8]
  and eax, A+D
  check "A of a PDE that maps", rax, A
  mov dword ptr [rbx + test_page + 12], 5
  mov rax, [test_pd + 8]
  and eax, A+D
  check "D of a PDE that maps", rax, A+D
  mov dword ptr [test_page + 8 + 0x200000], 0x44444444
  mov dword ptr [test_page2 + 8 + 0x200000], 0x55555555
  mov qword ptr [test_pd + 8], 0x200000 + PS + PWU
  invlpg [rbx]
  mov eax, [rbx + test_page + 8]
  check "INVLPG drops all of a 2 MiB page", rax, 0x44444444
  mov eax, [rbx + test_page2 + 8]
  check "INVLPG drops all of a 2 MiB page, elsewhere", rax, 0x55555555
  mov qword ptr [test_pd + 8], offset test_pt + 7
  invlpg [rbx]
  mov eax, [rbx + 8]
  check "a 2 MiB page split into small ones", rax, 0x22222222
  mov qword ptr [test_pdpt + 8], PS + PWU
  mov rbx, TEST + 0x40000000
  invlpg [rbx]
  mov eax, [rbx + test_page + 8]
  check "1 GiB page", rax, 0x11111111
  mov eax, [rbx + test_page + 8 + 0x200000]
  check "1 GiB page, 2 MiB on", rax, 0x44444444
  mov qword ptr [test_pdpt + 8], PS + US + P
  invlpg [rbx]
  fault "1 GiB page, read-only", PF+3, mov [rbx + test_page + 0x200000], eax
  mov qword ptr [test_pdpt + 8], 0
  invlpg [rbx]
  fault "1 GiB page gone", PF, mov eax, [rbx + test_page + 8]
  fault "1 GiB page gone, elsewhere", PF, mov eax, [rbx + test_page + 8 + 0x200000]

  # --- accesses across pages
  pte PWU
  mov qword ptr [test_pt + 8], 0
  invlpg [r15 + 0x1000]
  mov dword ptr [test_page + 0xffc], 0x66666666
  fault "a read that runs into a missing page", PF, mov rax, [r15 + 0xffc]
  lea rax, [r15 + 0x1000]
  check "CR2 is the start of the second page", [got_cr2], rax
  fault "a write that runs into a missing page", PF+2, mov [r15 + 0xffc], rax
  mov eax, [test_page + 0xffc]
  check "writes nothing", rax, 0x66666666
  mov rax, P+US
  add rax, offset test_page2
  mov [test_pt + 8], rax
  fault "a write that runs into a read-only page", PF+3, mov [r15 + 0xffa], rax
  mov eax, [test_page + 0xffc]
  check "writes nothing either", rax, 0x66666666
  fault "MOVUPS that runs into it", PF+3, movups [r15 + 0xff8], xmm0
  mov eax, [test_page + 0xffc]
  check "writes nothing either (16 bytes)", rax, 0x66666666
  fault "FXSAVE that runs into it", PF+3, fxsave [r15 + 0xf00]
  mov qword ptr [test_pt + 8], 0
  invlpg [r15 + 0x1000]
  cld
  lea rdi, [r15 + 0xf80]
  mov ecx, 0x100
  mov al, 0x77
  fault "REP STOSB into a missing page", PF+2, rep stosb
  check "stops with RCX at the fault", rcx, 0x80
  lea rax, [r15 + 0x1000]
  check "and RDI", rdi, rax
  lea rsi, [r15 + 0xff0]
  mov rdi, offset test_page2
  mov ecx, 3
  fault "REP MOVSQ out of a missing page", PF, rep movsq
  check "stops with RCX at the fault (2)", rcx, 1
  lea rsi, [r15 + 0xff8]
  mov edi, offset test_page2
  mov eax, 0x12345678
  fault2 "PUSH that would cross into a missing page", PF+2, "lea rsp, [r15 + 0x1004]", "push rax"
  lea rax, [r15 + 0x1004]
  check "leaves RSP", [got_rsp], rax
  lea rcx, [r15 + 0x1000]
  fault "CALL through memory of a missing page", PF, call [rcx]
  mov rbp, 0x1234
  fault2 "LEAVE with RBP into a missing page", PF, "lea rbp, [r15 + 0x1000]", leave
  lea rax, [r15 + 0x1000]
  check "leaves RBP", rbp, rax
  mov ebx, 0x5555
  fault "XADD of a missing page", PF+2, xadd [r15 + 0x1000], ebx
  check "leaves the register", rbx, 0x5555
  fault "BTS with an immediate stays in its dword", NONE, bts dword ptr [r15 + 0xffc], 32
  mov eax, 40
  fault "BTS with a register reaches the next page", PF+2, bts dword ptr [r15 + 0xffc], eax

  # --- code that crosses pages
  mov rax, PWU
  add rax, offset test_page
  mov [test_pt], rax
  mov dword ptr [test_page + 0xffe], 0xb8 # MOV EAX, imm32 in two pages
  mov byte ptr [test_page + 0xffe], 0xb8
  lea rbx, [r15 + 0xffe]
  fault "an instruction that runs into a missing page", PF+0x10, call rbx
  lea rax, [r15 + 0x1000]
  check "CR2 is the second page", [got_cr2], rax
  check "RIP is the instruction", [got_rip], rbx
  mov rax, PWU
  add rax, offset test_page2
  mov [test_pt + 8], rax
  mov dword ptr [test_page2], 0xc3112233
  mov byte ptr [test_page + 0xfff], 0x44
  xor eax, eax
  call rbx
  check "an instruction in two pages", rax, 0x11223344
  mov word ptr [test_page2 + 1], 0x9988
  call rbx
  check "its second page is rewritten", rax, 0x99883344
  mov byte ptr [test_page + 0xfff], 0x55
  call rbx
  check "its first page is rewritten", rax, 0x99883355

  # --- INVPCID and PCID
  mov dword ptr [test_page + 8], 0x11111111
  mov dword ptr [test_page2 + 8], 0x22222222
  mov rax, cr3
  or rax, 5
  mov cr3, rax
  mov rbx, cr4
  bts rbx, 17
  fault "CR4.PCIDE with CR3[11:0] not 0 is #GP(0)", GP, mov cr4, rbx
  mov rax, offset pml4
  mov cr3, rax
  fault "CR4.PCIDE", NONE, mov cr4, rbx
  pte PWU
  mov rbx, offset pml4
  mov eax, [r15 + 8]
  lea rcx, [rbx + 1]
  mov cr3, rcx
  mov eax, [r15 + 8]
  check "PCID 1 reads the page", rax, 0x11111111
  mov rax, PWU
  add rax, offset test_page2
  mov [test_pt], rax
  mov cr3, rcx
  mov eax, [r15 + 8]
  check "MOV CR3 with bit 63 clear drops the PCID's entries", rax, 0x22222222
  mov rdx, rbx
  bts rdx, 63
  mov cr3, rdx
  mov rax, cr3
  check "bit 63 of CR3 is not kept", rax, rbx
  mov dword ptr [descriptor], 1
  mov qword ptr [descriptor + 8], r15
  mov rax, PWU
  add rax, offset test_page
  mov [test_pt], rax
  xor eax, eax
  invpcid rax, [descriptor]
  bts rcx, 63
  mov cr3, rcx
  mov eax, [r15 + 8]
  check "INVPCID type 0: one address of PCID 1", rax, 0x11111111
  mov cr3, rdx
  mov rax, PWU
  add rax, offset test_page2
  mov [test_pt], rax
  mov eax, 1
  invpcid rax, [descriptor]
  mov cr3, rcx
  mov eax, [r15 + 8]
  check "INVPCID type 1: all of PCID 1", rax, 0x22222222
  mov rax, PWU+G
  add rax, offset test_page
  mov [test_pt], rax
  mov eax, 2
  invpcid rax, [descriptor]
  mov eax, [r15 + 8]
  check "INVPCID type 2: everything", rax, 0x11111111
  mov rax, PWU+G
  add rax, offset test_page2
  mov [test_pt], rax
  mov eax, 2
  invpcid rax, [descriptor]
  mov eax, [r15 + 8]
  check "INVPCID type 2: global pages too", rax, 0x22222222
  mov rax, PWU
  add rax, offset test_page
  mov [test_pt], rax
  mov eax, 2
  invpcid rax, [descriptor]
  mov eax, [r15 + 8]
  mov rax, PWU
  add rax, offset test_page2
  mov [test_pt], rax
  mov eax, 3
  invpcid rax, [descriptor]
  mov eax, [r15 + 8]
  check "INVPCID type 3: all but global pages", rax, 0x22222222
  mov eax, 4
  fault "INVPCID type 4 is #GP(0)", GP, invpcid rax, [descriptor]
  mov dword ptr [descriptor], 0x1001
  mov eax, 1
  fault "INVPCID with a reserved bit is #GP(0)", GP, invpcid rax, [descriptor]
  mov dword ptr [descriptor], 1
  mov rax, 0x800000000000
  mov [descriptor + 8], rax
  xor eax, eax
  fault "INVPCID type 0 of an address that is not canonical is #GP(0)", GP, invpcid rax, [descriptor]
  userfault "INVPCID at CPL 3 is #GP(0)", GP, invpcid rax, [rsp]
  mov cr3, rbx
  mov rax, cr0
  btr rax, 31
  fault "CR0.PG off in 64-bit code is #GP(0)", GP, mov cr0, rax
  cr4_clear 0x20000
  mov dword ptr [descriptor], 1
  mov qword ptr [descriptor + 8], r15
  xor eax, eax
  fault "INVPCID of PCID 1 without PCIDE is #GP(0)", GP, invpcid rax, [descriptor]

  # --- control registers
  mov rax, cr0
  btr rax, 0
  fault "CR0.PE off with PG is #GP(0)", GP, mov cr0, rax
  mov rax, cr0
  bts rax, 29
  fault "CR0.NW without CD is #GP(0)", GP, mov cr0, rax
  mov rax, cr0
  bts rax, 32
  fault "CR0 bit 32 is #GP(0)", GP, mov cr0, rax
  mov rax, cr0
  bts rax, 6
  mov rbx, cr0
  fault "reserved bits of CR0 are ignored", NONE, mov cr0, rax
  mov rax, cr0
  check "and read as they were", rax, rbx
  mov rax, cr4
  btr rax, 5
  fault "CR4.PAE off in long mode is #GP(0)", GP, mov cr4, rax
  mov rax, cr4
  bts rax, 15
  fault "reserved bits of CR4 are #GP(0)", GP, mov cr4, rax
  mov rax, cr4
  bts rax, 13
  fault "CR4.VMXE is #GP(0): no VMX is offered", GP, mov cr4, rax
  mov rax, cr3
  bts rax, 40
  fault "CR3 beyond MAXPHYADDR is #GP(0)", GP, mov cr3, rax
  mov rax, cr3
  bts rax, 63
  fault "CR3 bit 63 without PCIDE is #GP(0)", GP, mov cr3, rax
  mov eax, 16
  fault "CR8 above 15 is #GP(0)", GP, mov cr8, rax
  fault "MOV CR1 is #UD", UD, .byte 0x0f, 0x20, 0xc8
  mov ecx, 0xc0000080
  rdmsr
  mov ebx, eax
  xor eax, 0x100
  fault "EFER.LME changed with paging on is #GP(0)", GP, wrmsr
  mov eax, ebx
  xor eax, 0x400
  fault "EFER.LMA is not writable: ignored", NONE, wrmsr
  rdmsr
  check "and stays", rax, rbx
  or eax, 2
  fault "reserved bits of EFER are #GP(0)", GP, wrmsr
  ret

.section .bss
.balign 16
descriptor: .skip 16
