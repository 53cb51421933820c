# What a multiboot kernel is given: magic, registers, memory, command line, module, memory map.
.include "protected.inc"

main:
  check "EAX is the loader's magic", [start_eax], 0x2badb002
  mov ebx, [start_info]
  mov eax, [ebx]
  and eax, 0x4d
  check "flags: memory, command line, modules, memory map", eax, 0x4d
  check "lower memory, KiB", [ebx+4], 640
  mov eax, [ebx + 16]
  check "command line", [eax], 0x73726966 # "firs"
  mov esi, [ebx + 16]
  xor ecx, ecx
1: cmp byte ptr [esi + ecx], 0
  je 2f
  inc ecx
  jmp 1b
2: check "length of the command line: first second=2", ecx, 14
  check "one module", [ebx+20], 1
  mov edi, [ebx + 24]
  mov eax, [edi + 4]
  sub eax, [edi]
  check "length of the module", eax, 21
  mov esi, [edi]
  check "contents of the module", [esi], 0x74616877 # "what"
  check "its last bytes", "dword ptr [esi + 17]", 0x73646c6f # "olds"
  mov eax, esi
  and eax, 4095
  check "the module is on a page", eax, 0
  mov esi, [ebx + 48]
  mov edi, [ebx + 44]
  add edi, esi
  check "first entry: base", [esi+4], 0
  check "first entry: length", [esi+12], 0xa0000
  check "first entry: RAM", [esi+20], 1
  xor ecx, ecx # RAM at 1 MiB
  xor edx, edx # entries
3: cmp esi, edi
  jae 5f
  cmp dword ptr [esi + 4], 0x100000
  jne 4f
  cmp dword ptr [esi + 20], 1
  jne 4f
  mov ecx, [esi + 12]
4: inc edx
  mov eax, [esi]
  lea esi, [esi + eax + 4]
  jmp 3b
5: check "RAM from 1 MiB: 127 MiB", ecx, 127<<20
  check "the map ends where it says", esi, edi
  ret
