# What a PVH kernel is given: hvm_start_info with command line, module and memory map.
.include "long.inc"

main:
  mov rbx, [start_info]
  mov eax, [rbx]
  check "magic", rax, 0x336ec578
  mov eax, [rbx + 4]
  check "version", rax, 1
  mov eax, [rbx + 12]
  check "one module", rax, 1
  mov rsi, [rbx + 24]
  mov rax, [rsi]
  mov rdx, 0x6573207473726966
  check "command line", rax, rdx
  mov rdi, [rbx + 16]
  mov rsi, [rdi]
  mov eax, [rsi]
  check "contents of the module", rax, 0x74616877
  check "length of the module", [rdi+8], 21
  check "no RSDP without -A", [rbx+32], 0
  mov rsi, [rbx + 40]
  mov ecx, [rbx + 48]
  check "first entry: base", [rsi], 0
  check "first entry: length", [rsi+8], 0xa0000
  mov eax, [rsi + 16]
  check "first entry: RAM", rax, 1
  xor edx, edx
1: cmp qword ptr [rsi], 0x100000
  jne 2f
  mov rdx, [rsi + 8]
2: add rsi, 24
  loop 1b
  check "RAM from 1 MiB: 127 MiB", rdx, 127<<20
  ret
