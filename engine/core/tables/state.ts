/**
 * The one table of per-pCPU state that TypeScript and AssemblyScript share. `npm run build:core` writes
 * `gen/state.ts` and `assembly/gen/state.ts` from it; no offset is ever typed twice.
 *
 * Names are the SDM's. VM-exit and VM-entry fields carry the names of SDM vol. 3, chapter 25 (VMCS).
 * Row: [name, type, count, comment]. Rows are laid out in order, each aligned to its element's size
 * (v128 elements to 16 bytes).
 */
export type StateType = 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'v128' | 'f64';
export type StateRow = readonly [name: string, type: StateType, count: number, comment: string];

export const stateTable: readonly StateRow[] = [
  // --- general registers. Slot 16 stays zero ("no base/index"); slot 17 is scratch for RIP-relative addressing.
  ['GPR', 'u64', 18, 'RAX RCX RDX RBX RSP RBP RSI RDI R8..R15, zero, RIP-relative base'],
  ['RIP', 'u64', 1, 'RIP of the instruction to execute next, exact whenever run() is not on the stack'],
  // --- flags: status flags may be lazy, see assembly/flags.ts; FLAGS holds the rest and, after flush, all.
  ['FLAGS', 'u32', 1, 'RFLAGS without the lazily held status bits'],
  ['LAZY_OP', 'u32', 1, 'which operation made the status flags (0: FLAGS is complete)'],
  ['LAZY_RESULT', 'u64', 1, 'its result'],
  ['LAZY_SRC1', 'u64', 1, 'its first operand'],
  ['LAZY_SRC2', 'u64', 1, 'its second operand'],
  // --- segments: ES CS SS DS FS GS LDTR TR (index 0..7)
  ['SEG_BASE', 'u64', 8, 'ES CS SS DS FS GS LDTR TR'],
  ['SEG_LIMIT', 'u32', 8, 'byte granular, already scaled'],
  ['SEG_ATTR', 'u32', 8, 'access rights in VMCS format (SDM 25.4.1): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16'],
  ['SEG_SELECTOR', 'u16', 8, ''],
  ['GDTR_BASE', 'u64', 1, ''],
  ['IDTR_BASE', 'u64', 1, ''],
  ['GDTR_LIMIT', 'u32', 1, ''],
  ['IDTR_LIMIT', 'u32', 1, ''],
  ['CPL', 'u32', 1, 'current privilege level'],
  ['MODE', 'u32', 1, 'derived decode/execute mode, see assembly/cpu.ts MODE_*'],
  ['MMU_CONTEXT', 'u32', 1, 'TLB context in use: 0 supervisor, 1 user, 2 supervisor with SMAP lifted (EFLAGS.AC), 8 user with alignment checks'],
  // --- control
  ['CR0', 'u64', 1, ''], ['CR2', 'u64', 1, ''], ['CR3', 'u64', 1, ''], ['CR4', 'u64', 1, ''], ['CR8', 'u64', 1, 'TPR bits 7:4'],
  ['XCR0', 'u64', 1, ''],
  ['DR', 'u64', 8, 'DR0..DR7'],
  ['PDPTE', 'u64', 4, 'PAE PDPTEs as loaded by MOV CR3'],
  // --- MSRs that the core itself owns
  ['IA32_EFER', 'u64', 1, ''], ['IA32_STAR', 'u64', 1, ''], ['IA32_LSTAR', 'u64', 1, ''], ['IA32_CSTAR', 'u64', 1, ''], ['IA32_FMASK', 'u64', 1, ''],
  ['IA32_KERNEL_GS_BASE', 'u64', 1, ''],
  ['IA32_SYSENTER_CS', 'u64', 1, ''], ['IA32_SYSENTER_ESP', 'u64', 1, ''], ['IA32_SYSENTER_EIP', 'u64', 1, ''],
  ['IA32_TSC_AUX', 'u64', 1, ''], ['IA32_PAT', 'u64', 1, ''], ['IA32_XSS', 'u64', 1, ''],
  // --- x87 and SSE
  ['FPR', 'u64', 16, 'R0..R7 physical x87 registers, 16 bytes each: u64 significand, u16 sign+exponent; MM0..7 alias the significands'],
  ['FCW', 'u16', 1, ''], ['FSW', 'u16', 1, 'with TOP in bits 13:11'], ['FTW', 'u16', 1, 'full two-bit tags'], ['FOP', 'u16', 1, ''],
  ['FIP', 'u64', 1, ''], ['FDP', 'u64', 1, ''], ['FCS', 'u16', 1, ''], ['FDS', 'u16', 1, ''],
  ['MXCSR', 'u32', 1, ''],
  ['XMM', 'v128', 16, 'XMM0..XMM15'],
  // --- time and bookkeeping
  ['TSC_OFFSET', 'u64', 1, 'added to the board TSC on RDTSC'],
  ['TSC_KHZ', 'u64', 1, 'board TSC frequency'],
  ['INSTRUCTIONS', 'u64', 1, 'guest instructions retired, updated at block boundaries'],
  // --- events: the one word other threads write (Atomics), polled at block boundaries. Bits: assembly/cpu.ts EVENT_*
  ['EVENT_FLAGS', 'i32', 1, 'EVENT_* bits; 0 means nothing pending'],
  ['ACTIVITY_STATE', 'u32', 1, 'SDM 25.4.2: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI'],
  ['INTERRUPTIBILITY', 'u32', 1, 'SDM 25.4.2: bit 0 blocking by STI, bit 1 by MOV SS, bit 3 by NMI'],
  // --- the exception under construction (fault.ts)
  ['FAULT_VECTOR', 'u32', 1, ''], ['FAULT_ERROR', 'u32', 1, ''], ['FAULT_HAS_ERROR', 'u32', 1, ''],
  // --- VM-execution controls
  ['EPTP', 'u64', 1, 'bits 51:12 HPA of the EPT PML4; 0 = EPT off, GPA is HPA'],
  ['PROC_CTLS', 'u32', 1, 'primary processor-based controls, SDM 25.6.2 bit numbers'],
  ['PROC_CTLS2', 'u32', 1, 'secondary processor-based controls'],
  ['EXCEPTION_BITMAP', 'u32', 1, ''],
  ['CR0_GUEST_HOST_MASK', 'u64', 1, ''], ['CR0_READ_SHADOW', 'u64', 1, ''],
  ['CR4_GUEST_HOST_MASK', 'u64', 1, ''], ['CR4_READ_SHADOW', 'u64', 1, ''],
  ['IO_BITMAP', 'u32', 1, 'wasm address of 8 KiB (A then B); 0 = every port exits'],
  ['MSR_BITMAP', 'u32', 1, 'wasm address of 4 KiB; 0 = only the core-owned MSRs do not exit'],
  // --- VM-entry
  ['ENTRY_INTR_INFO', 'u32', 1, 'VM-entry interruption information, SDM 25.8.3; bit 31 valid'],
  ['ENTRY_ERROR_CODE', 'u32', 1, ''], ['ENTRY_INSTRUCTION_LENGTH', 'u32', 1, ''],
  // --- VM-exit
  ['EXIT_REASON', 'u32', 1, 'basic exit reason, SDM appendix C'],
  ['EXIT_QUALIFICATION', 'u64', 1, 'SDM 28.2.1'],
  ['EXIT_GPA', 'u64', 1, 'guest physical address of an EPT violation'],
  ['EXIT_GVA', 'u64', 1, 'guest linear address'],
  ['EXIT_INSTRUCTION_LENGTH', 'u32', 1, ''],
  ['EXIT_INTR_INFO', 'u32', 1, ''], ['EXIT_INTR_ERROR_CODE', 'u32', 1, ''],
  ['IDT_VECTORING_INFO', 'u32', 1, ''], ['IDT_VECTORING_ERROR_CODE', 'u32', 1, ''],
  ['EXIT_SIZE', 'u32', 1, 'bytes of the port or memory access: 1, 2, 4, 8'],
  ['EXIT_DATA', 'u64', 1, 'value written by, or to be given to, the access'],
  // --- interpreter
  ['CUR_OP', 'u32', 1, 'record being executed (assembly/record.ts)'],
  ['BLOCK_RIP', 'u64', 1, 'RIP of the first instruction of the current block'],
  ['LEAVE_BLOCK', 'u32', 1, 'set to end the current block after this instruction'],
  ['PCPU_ID', 'u32', 1, ''],
  ['BLOCK', 'u32', 1, 'first record of the block being executed; 0: its instructions are accounted for'],
  // --- MONITOR
  ['MONITOR_LINE', 'u32', 1, 'wasm address of the line that MONITOR armed, 0: none'], ['MONITOR_SEEN', 'u64', 8, 'what lay there then'],
];
