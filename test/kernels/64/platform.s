# What CPUID offers and what it does not, XSAVE, and the MSRs of the platform, as --cpu_model nuc has them.
.include "long.inc"
.equ OSXSAVE, 1 << 18

# bit "name", bit, expected: a bit of RAX
.macro bit name:req, number:req, expected:req
  mov rbx, rax
  shr rbx, \number
  and ebx, 1
  check "\name", rbx, \expected
.endm
.macro cpuid_of leaf:req, subleaf=0
  mov eax, \leaf
  mov ecx, \subleaf
  cpuid
.endm
.macro write_msr index:req, value:req
  mov ecx, \index
  mov rax, \value
  mov rdx, rax
  shr rdx, 32
.endm

main:
  # --- what is not offered is #UD
  cpuid_of 1
  mov eax, ecx
  bit "CPUID: no MONITOR", 3, 0
  bit "CPUID: no FMA", 12, 0
  bit "CPUID: no AVX", 28, 0
  bit "CPUID: no F16C", 29, 0
  bit "CPUID: OSXSAVE is clear as CR4 is", 27, 0
  bit "CPUID: XSAVE", 26, 1
  cpuid_of 7
  mov rax, rbx
  bit "CPUID: no AVX2", 5, 0
  bit "CPUID: no AVX512F", 16, 0
  mov ecx, 0
  fault "XGETBV without CR4.OSXSAVE is #UD", UD, xgetbv
  fault "XSETBV without CR4.OSXSAVE is #UD", UD, xsetbv
  fault "XSAVE without CR4.OSXSAVE is #UD", UD, xsave [area]
  cr4_set OSXSAVE
  cpuid_of 1
  mov eax, ecx
  bit "CPUID: OSXSAVE follows CR4", 27, 1
  fault "VADDPS is #UD", UD, .byte 0xc5, 0xf8, 0x58, 0xc0
  fault "VZEROUPPER is #UD", UD, .byte 0xc5, 0xf8, 0x77
  fault "VPAND of 256 bits is #UD", UD, .byte 0xc5, 0xfd, 0xdb, 0xc0
  fault "XSAVEC is #UD", UD, .byte 0x0f, 0xc7, 0x24, 0x25, 0, 0, 0, 0
  fault "XSAVES is #UD", UD, .byte 0x0f, 0xc7, 0x2c, 0x25, 0, 0, 0, 0
  fault "XRSTORS is #UD", UD, .byte 0x0f, 0xc7, 0x1c, 0x25, 0, 0, 0, 0
  fault "VMXON is #UD", UD, vmxon [area]
  mov rdi, cr4
  or rdi, 1 << 13
  fault "CR4.VMXE is #GP(0)", GP, mov cr4, rdi
  fault "RDPMC is #GP(0)", GP, rdpmc

  # --- XCR0
  xor ecx, ecx
  xgetbv
  check "XCR0 is x87 after reset", rax, 1
  mov ecx, 1
  fault "XGETBV of 1 is #GP(0)", GP, xgetbv
  write_msr 0, 3
  fault "XCR0 takes x87 and SSE", NONE, xsetbv
  write_msr 0, 2
  fault "XCR0 without x87 is #GP(0)", GP, xsetbv
  write_msr 0, 7
  fault "XCR0 with AVX is #GP(0)", GP, xsetbv
  write_msr 1, 3
  fault "XSETBV of 1 is #GP(0)", GP, xsetbv
  write_msr 0, 3
  userfault "XSETBV at CPL 3 is #GP(0)", GP, xsetbv
  cpuid_of 0xd
  check "CPUID leaf D: x87 and SSE", rax, 3
  check "CPUID leaf D: 576 bytes", rbx, 576
  cpuid_of 0xd, 1
  check "CPUID leaf D.1: XSAVEOPT alone", rax, 1
  cpuid_of 0xd, 2
  check "CPUID leaf D.2: no AVX state", rax, 0

  # --- XSAVE and XSAVEOPT
  fninit
  pxor xmm0, xmm0
  mov rax, 0x1122334455667788
  movq xmm1, rax
  mov eax, 3
  xor edx, edx
  xsaveopt [area]
  check "XSAVEOPT writes XMM1", "qword ptr [area + 160 + 16]", 0x1122334455667788
  mov rbx, [area + 512]
  and ebx, 2
  check "and XSTATE_BV.SSE", rbx, 2
  pxor xmm1, xmm1
  mov eax, 3
  xrstor [area]
  movq rbx, xmm1
  check "XRSTOR brings it back", rbx, 0x1122334455667788
  mov qword ptr [area + 512], 4
  mov eax, 7
  fault "XRSTOR of a component outside of XCR0 is #GP(0)", GP, xrstor [area]
  mov qword ptr [area + 512], 0
  mov eax, 3
  fault "XSAVE of an address not on 64 bytes is #GP(0)", GP, xsave [area + 16]
  mov rax, cr0
  or eax, 8
  mov cr0, rax
  mov eax, 3
  fault "XSAVE with CR0.TS is #NM", NM, xsave [area]
  clts

  # --- hints and random numbers
  fault "CLFLUSHOPT", NONE, .byte 0x66, 0x0f, 0xae, 0x3c, 0x25, 0, 0, 0, 0
  fault "CLWB", NONE, .byte 0x66, 0x0f, 0xae, 0x34, 0x25, 0, 0, 0, 0
  mov rdi, 0x800000000000
  fault "CLFLUSH of a non-canonical address is #GP(0)", GP, clflush [rdi]
  fault "PREFETCHW of a non-canonical address is nothing", NONE, prefetchw [rdi]
  mov rdi, TEST + 0x1ff000
  fault "CLFLUSH of a missing page is #PF", PF, clflush [rdi]
  fault "PREFETCHW of a missing page is nothing", NONE, prefetchw [rdi]
  stc
  rdrand rax
  setc bl
  movzx ebx, bl
  check "RDRAND sets CF", rbx, 1
  rdseed rax
  setc bl
  movzx ebx, bl
  check "RDSEED sets CF", rbx, 1
  fault "WBINVD", NONE, wbinvd
  userfault "WBINVD at CPL 3 is #GP(0)", GP, wbinvd

  # --- time
  write_msr 0xc0000103, 0x12345
  wrmsr
  rdtscp
  check "RDTSCP: TSC_AUX", rcx, 0x12345
  .byte 0xf3, 0x0f, 0xc7, 0xf8 # rdpid rax
  check "RDPID: TSC_AUX", rax, 0x12345
  write_msr 0xc0000103, 0x100000000
  fault "TSC_AUX of more than 32 bits is #GP(0)", GP, wrmsr
  rdmsr_from 0x3b
  check "TSC_ADJUST is 0", rax, 0
  rdtsc
  shl rdx, 32
  lea r8, [rax + rdx]
  write_msr 0x3b, 0x100000000000
  wrmsr
  rdtsc
  shl rdx, 32
  add rax, rdx
  sub rax, r8
  shr rax, 44
  check "TSC_ADJUST moves the TSC", rax, 1
  rdmsr_from 0x3b
  check "and reads as written", rax, 0x100000000000
  write_msr 0x10, 0
  wrmsr
  rdtsc
  shl rdx, 32
  add rax, rdx
  shr rax, 40
  check "the TSC is set to 0", rax, 0
  rdmsr_from 0x3b
  sar rax, 44
  check "which TSC_ADJUST follows: back by what the TSC had counted", rax, -1
  write_msr 0x3b, 0
  wrmsr
  rdmsr_from 0xce
  shr rax, 8
  and eax, 0xff
  mov r8, rax
  cpuid_of 0x15
  xchg rax, rcx # the crystal's rate in Hz; the TSC runs at it
  xor edx, edx
  mov ecx, 100000000
  add eax, 50000000
  div ecx
  check "PLATFORM_INFO's ratio of 100 MHz is the TSC's rate", r8, rax
  rdmsr_from 0xcd
  check "FSB_FREQ: 100 MHz", rax, 1
  write_msr 0xcd, 1
  fault "FSB_FREQ cannot be written", GP, wrmsr
  cpuid_of 0x80000007
  mov rax, rdx
  bit "CPUID: invariant TSC", 8, 1
  cpuid_of 0x40000010
  mov r8, rax
  cpuid_of 0x15
  mov rax, rcx
  xor edx, edx
  mov ecx, 1000
  div ecx
  check "ACRN's leaf 40000010: the TSC in kHz", r8, rax

  # --- memory types
  rdmsr_from 0x277
  check "PAT after reset", rax, 0x0007040600070406
  write_msr 0x277, 0x0007010600070106
  wrmsr
  rdmsr_from 0x277
  check "PAT reads as written", rax, 0x0007010600070106
  write_msr 0x277, 0x0007010600070206
  fault "PAT of a reserved type is #GP(0)", GP, wrmsr
  write_msr 0x277, 0x0007040600070406
  wrmsr
  rdmsr_from 0xfe
  mov r8, rax
  and eax, 0xff
  check "no variable MTRRs", rax, 0
  fault2 "so the first one is #GP(0)", GP, "mov ecx, 0x200", rdmsr
  mov rax, r8
  bit "fixed MTRRs", 8, 1
  write_msr 0x268, 0x0505050505050505
  wrmsr
  rdmsr_from 0x268
  check "a fixed MTRR reads as written", rax, 0x0505050505050505
  write_msr 0x268, 0x0505050505050502
  fault "a reserved type is #GP(0)", GP, wrmsr
  write_msr 0x2ff, 0xc06
  fault "MTRR_DEF_TYPE", NONE, wrmsr
  write_msr 0x2ff, 0x1c06
  fault "a reserved bit of MTRR_DEF_TYPE is #GP(0)", GP, wrmsr

  # --- machine check
  rdmsr_from 0x179
  and eax, 0xff
  check "MCG_CAP: no banks", rax, 0
  write_msr 0x179, 0
  fault "MCG_CAP cannot be written", GP, wrmsr
  rdmsr_from 0x17a
  check "MCG_STATUS is 0", rax, 0
  write_msr 0x17a, 0
  fault "MCG_STATUS may be cleared", NONE, wrmsr
  write_msr 0x17a, 1
  fault "and not set", GP, wrmsr
  mov rax, cr4
  or eax, 1 << 6
  fault "CR4.MCE may be set", NONE, mov cr4, rax
  fault2 "the first bank is #GP(0)", GP, "mov ecx, 0x400", rdmsr
  fault2 "an unknown MSR is #GP(0)", GP, "mov ecx, 0x12345", rdmsr
  write_msr 0x12345, 0
  fault "to write one too", GP, wrmsr
  write_msr 0xc0000100, 0x800000000000
  fault "FS_BASE that is not canonical is #GP(0)", GP, wrmsr
  write_msr 0xc0000082, 0x800000000000
  fault "LSTAR that is not canonical is #GP(0)", GP, wrmsr
  write_msr 0xc0000080, 0x801
  fault "EFER.LME with paging on is #GP(0)", GP, wrmsr
  ret

.section .bss
.balign 64
area: .skip 1024
.text
