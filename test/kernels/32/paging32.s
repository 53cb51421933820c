# 32-bit paging with PSE, PSE-36 and PAE: permissions, error codes, large pages, PDPTE registers, switching modes.
.include "protected.inc"
.equ WINDOW, 0x40000000
.equ LAST, 0xfffff000

# One page of the window by these flags.
.macro pte flags:req
  mov eax, \flags
  add eax, offset page
  mov [table], eax
  invlpg [ebp]
.endm
.macro cr0_set bits:req
  mov eax, cr0
  or eax, \bits
  mov cr0, eax
.endm
.macro cr0_clear bits:req
  mov eax, cr0
  and eax, ~(\bits)
  mov cr0, eax
.endm
.macro cr4_to value:req
  mov eax, \value
  mov cr4, eax
.endm

main:
  mov ebp, WINDOW
  mov byte ptr [page], 0xc3
  mov dword ptr [page + 8], 0x11111111
  mov dword ptr [page2 + 8], 0x22222222
  # --- without PSE: identity of 4 MiB by a table, user
  xor ecx, ecx
1: mov eax, ecx
  shl eax, 12
  or eax, 7
  mov [identity + ecx * 4], eax
  inc ecx
  cmp ecx, 1024
  jne 1b
  mov eax, offset identity + 7
  mov [directory], eax
  mov eax, offset table + 7
  mov [directory + (WINDOW >> 22) * 4], eax
  mov eax, offset last_table + 7
  mov [directory + 1023 * 4], eax
  mov eax, offset directory
  mov cr3, eax
  cr0_set 0x80010000
  check "32-bit paging is on", "dword ptr [page + 8]", 0x11111111
  pte 0
  fault "read of a page not present", PF, mov eax, [ebp + 4]
  check "CR2", [got_cr2], WINDOW+4
  fault "write of a page not present", PF+2, mov [ebp], eax
  fault "fetch of a page not present has no I bit", PF, call ebp
  userfault "user read of a page not present", PF+4, mov eax, [ebp]
  userfault "user fetch of a page not present", PF+4, jmp ebp
  pte 5
  fault "write of a read-only page, WP", PF+3, mov [ebp + 8], eax
  userfault "user write of a read-only page", PF+7, mov [ebp + 8], eax
  userfault "user read of it", USER_OK, mov eax, [ebp + 8]
  cr0_clear 0x10000
  fault "write of a read-only page without WP", NONE, mov [ebp + 64], eax
  cr0_set 0x10000
  pte 3
  userfault "user read of a supervisor page", PF+5, mov eax, [ebp]
  pte 7
  and dword ptr [directory + (WINDOW >> 22) * 4], ~2
  invlpg [ebp]
  fault "a read-only PDE", PF+3, mov [ebp + 64], eax
  or dword ptr [directory + (WINDOW >> 22) * 4], 2
  pte 7
  mov al, [ebp]
  mov eax, [table]
  and eax, 0x60
  check "a read sets A", eax, 0x20
  mov [ebp + 64], al
  mov eax, [table]
  and eax, 0x60
  check "a write sets D", eax, 0x60
  mov eax, [directory + (WINDOW >> 22) * 4]
  and eax, 0x60
  check "A of the PDE, no D", eax, 0x20
  # the last page of the address space
  mov eax, offset page + 7
  mov [last_table + 1023 * 4], eax
  mov eax, [LAST + 8]
  check "the last page", eax, 0x11111111
  mov dword ptr [identity], 0
  mov eax, cr3
  mov cr3, eax
  fault "a dword over the top wraps to page 0", PF, mov eax, [-2]
  check "CR2 is 0", [got_cr2], 0
  mov dword ptr [identity], 7

  # --- PSE
  cr4_to 0x610
  mov ebx, WINDOW + 0x400000
  mov dword ptr [directory + (WINDOW >> 22) * 4 + 4], 0x87
  invlpg [ebx]
  mov eax, [ebx + page + 8]
  check "4 MiB page", eax, 0x11111111
  mov eax, [directory + (WINDOW >> 22) * 4 + 4]
  and eax, 0x60
  check "A of it", eax, 0x20
  mov [ebx + page + 64], eax
  mov eax, [directory + (WINDOW >> 22) * 4 + 4]
  and eax, 0x60
  check "D of it", eax, 0x60
  mov dword ptr [directory + (WINDOW >> 22) * 4 + 4], 0x85
  invlpg [ebx + 0x200000]
  fault "4 MiB page, read-only: INVLPG anywhere in it", PF+3, mov [ebx + page + 64], eax
  mov dword ptr [directory + (WINDOW >> 22) * 4 + 4], 0x200087
  invlpg [ebx]
  fault "bit 21 of a 4 MiB page is reserved", PF+9, mov eax, [ebx]
  mov dword ptr [directory + (WINDOW >> 22) * 4 + 4], 0x100087
  invlpg [ebx]
  fault "PSE-36 bits above MAXPHYADDR are reserved", PF+9, mov eax, [ebx]
  # PGE
  cr4_to 0x690
  pte 0x107
  mov eax, [ebp + 8]
  mov eax, offset page2 + 0x107
  mov [table], eax
  cr4_to 0x610
  mov eax, [ebp + 8]
  check "CR4.PGE off drops global pages", eax, 0x22222222

  # --- PAE
  cr0_clear 0x80000000
  mov dword ptr [pdpt], offset pd0 + 1
  mov dword ptr [pdpt + 8], offset pd1 + 1
  mov dword ptr [pd0], 0x87 # 2 MiB identity
  mov dword ptr [pd0 + 8], 0x200087
  mov dword ptr [pd1], offset pae_table + 7
  mov eax, offset page + 7
  mov [pae_table], eax
  mov eax, offset pdpt
  mov cr3, eax
  cr4_to 0x620
  cr0_set 0x80000000
  mov eax, [ebp + 8]
  check "PAE paging", eax, 0x11111111
  mov dword ptr [pae_table], 0
  invlpg [ebp]
  fault "PAE: not present", PF, mov eax, [ebp]
  mov ecx, 0xc0000080
  mov eax, 0x800
  xor edx, edx
  wrmsr # NXE
  fault "PAE: fetch, with NXE, has the I bit", PF+0x10, call ebp
  mov eax, offset page + 7
  mov [pae_table], eax
  mov dword ptr [pae_table + 4], 0x80000000
  invlpg [ebp]
  fault "PAE: NX", PF+0x11, call ebp
  userfault "PAE: NX at CPL 3", PF+0x15, jmp ebp
  mov dword ptr [pae_table + 4], 0x40000000
  invlpg [ebp]
  fault "PAE: bit 62 is reserved", PF+9, mov eax, [ebp]
  mov dword ptr [pae_table + 4], 0
  mov dword ptr [pd1 + 8], 0x87
  mov ebx, WINDOW + 0x200000
  mov eax, [ebx + page + 8]
  check "PAE: 2 MiB page", eax, 0x11111111
  mov dword ptr [pdpt + 8], 0
  mov eax, [ebx + page + 8]
  invlpg [ebx]
  mov eax, [ebx + page + 8]
  check "PAE: PDPTEs are registers: memory changed behind them counts for nothing", eax, 0x11111111
  mov eax, cr3
  mov cr3, eax
  fault "until CR3 is loaded", PF, mov eax, [ebx + page + 8]
  mov dword ptr [pdpt + 8], offset pd1 + 3
  mov eax, cr3
  fault "a reserved bit of a PDPTE is #GP(0) at MOV CR3", GP, mov cr3, eax
  mov dword ptr [pdpt + 8], offset pd1 + 1
  mov dword ptr [pdpt + 12], 0x80
  mov eax, cr3
  fault "a PDPTE beyond MAXPHYADDR is #GP(0)", GP, mov cr3, eax
  mov dword ptr [pdpt + 12], 0
  mov eax, cr3
  fault "and a good one is not", NONE, mov cr3, eax
  mov eax, cr4
  or eax, 0x20000
  fault "CR4.PCIDE outside of long mode is #GP(0)", GP, mov cr4, eax
  cr0_clear 0x80000000
  cr4_to 0x600
  ret

.section .bss
.balign 4096
directory: .skip 4096
identity: .skip 4096
table: .skip 4096
last_table: .skip 4096
page: .skip 4096
page2: .skip 4096
pdpt: .skip 4096
pd0: .skip 4096
pd1: .skip 4096
pae_table: .skip 4096
