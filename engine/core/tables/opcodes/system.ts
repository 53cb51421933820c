/**
 * System instructions, segment registers, far transfers, I/O and fences.
 *
 * The VMX instructions other than VMCALL have no row: a guest is offered no VMX, they are undefined opcodes.
 *
 * @spec SDM vol. 2; vol. 3 chapter 2, table 2-3 (system instructions)
 */
import type { OpcodeFamily, OpcodeRow } from '../opcode_row.ts';

const ends = true;

/** 06 PUSH ES and its siblings. */
const segmentStack: OpcodeRow[] = ['ES', 'CS', 'SS', 'DS'].flatMap((s, i): OpcodeRow[] => [
  { op: `PUSH_${s}`, encoding: (i * 8 + 6).toString(16).toUpperCase().padStart(2, '0'), operands: '', mode: 'i64' },
  ...(s === 'CS' ? [] : [{ op: `POP_${s}`, encoding: (i * 8 + 7).toString(16).toUpperCase().padStart(2, '0'), operands: '', mode: 'i64', ends } as const]),
]);

const segments: OpcodeRow[] = [
  ...segmentStack,
  { op: 'PUSH_FS', encoding: '0F A0', operands: '', mode: 'd64' },
  { op: 'POP_FS', encoding: '0F A1', operands: '', mode: 'd64', ends },
  { op: 'PUSH_GS', encoding: '0F A8', operands: '', mode: 'd64' },
  { op: 'POP_GS', encoding: '0F A9', operands: '', mode: 'd64', ends },
  { op: 'MOV_ES', encoding: '8C /r', operands: 'Ev,Sw' },
  { op: 'MOV_SE', encoding: '8E /r', operands: 'Sw,Ew', ends },
  { op: 'LES', encoding: 'C4 !11:/r', operands: 'Gz,Mp', mode: 'i64', ends },
  { op: 'LDS', encoding: 'C5 !11:/r', operands: 'Gz,Mp', mode: 'i64', ends },
  { op: 'LSS', encoding: '0F B2 !11:/r', operands: 'Gv,Mp', ends },
  { op: 'LFS', encoding: '0F B4 !11:/r', operands: 'Gv,Mp', ends },
  { op: 'LGS', encoding: '0F B5 !11:/r', operands: 'Gv,Mp', ends },
  { op: 'ARPL', encoding: '63 /r', operands: 'Ew,Gw', mode: 'i64' },
  { op: 'LAR', encoding: '0F 02 /r', operands: 'Gv,Ew' },
  { op: 'LSL', encoding: '0F 03 /r', operands: 'Gv,Ew' },
  { op: 'SLDT', encoding: '0F 00 /0', operands: 'Ev' },
  { op: 'STR', encoding: '0F 00 /1', operands: 'Ev' },
  { op: 'LLDT', encoding: '0F 00 /2', operands: 'Ew' },
  { op: 'LTR', encoding: '0F 00 /3', operands: 'Ew' },
  { op: 'VERR', encoding: '0F 00 /4', operands: 'Ew' },
  { op: 'VERW', encoding: '0F 00 /5', operands: 'Ew' },
];

const far: OpcodeRow[] = [
  { op: 'CALL_AP', encoding: '9A cp', operands: 'Ap', mode: 'i64', ends },
  { op: 'JMP_AP', encoding: 'EA cp', operands: 'Ap', mode: 'i64', ends },
  { op: 'CALL_MP', encoding: 'FF !11:/3', operands: 'Mv', ends },
  { op: 'JMP_MP', encoding: 'FF !11:/5', operands: 'Mv', ends },
  { op: 'RETF_I', encoding: 'CA iw', operands: 'Iw', ends },
  { op: 'RETF', encoding: 'CB', operands: '', ends },
  { op: 'IRET', encoding: 'CF', operands: '', ends },
  { op: 'INT1', encoding: 'F1', operands: '', ends },
  { op: 'INT3', encoding: 'CC', operands: '', ends },
  { op: 'INT_I', encoding: 'CD ib', operands: 'Ib', ends },
  { op: 'INTO', encoding: 'CE', operands: '', mode: 'i64', ends },
  { op: 'SYSCALL', encoding: '0F 05', operands: '', feature: 'syscall', mode: 'o64', ends },
  { op: 'SYSRET', encoding: '0F 07', operands: '', feature: 'syscall', mode: 'o64', ends },
  { op: 'SYSENTER', encoding: '0F 34', operands: '', feature: 'sep', ends },
  { op: 'SYSEXIT', encoding: '0F 35', operands: '', feature: 'sep', ends },
];

const io: OpcodeRow[] = [
  { op: 'INS', encoding: '6C', operands: 'Yb,DX' },
  { op: 'INS', encoding: '6D', operands: 'Yz,DX' },
  { op: 'OUTS', encoding: '6E', operands: 'Xb,DX' },
  { op: 'OUTS', encoding: '6F', operands: 'Xz,DX' },
  { op: 'IN_I', encoding: 'E4 ib', operands: 'AL,Ib' },
  { op: 'IN_I', encoding: 'E5 ib', operands: 'eAX,Ib' },
  { op: 'OUT_I', encoding: 'E6 ib', operands: 'Ib,AL' },
  { op: 'OUT_I', encoding: 'E7 ib', operands: 'Ib,eAX' },
  { op: 'IN_DX', encoding: 'EC', operands: 'AL,DX' },
  { op: 'IN_DX', encoding: 'ED', operands: 'eAX,DX' },
  { op: 'OUT_DX', encoding: 'EE', operands: 'DX,AL' },
  { op: 'OUT_DX', encoding: 'EF', operands: 'DX,eAX' },
];

const control: OpcodeRow[] = [
  { op: 'HLT', encoding: 'F4', operands: '', ends },
  { op: 'CLI', encoding: 'FA', operands: '' },
  { op: 'STI', encoding: 'FB', operands: '', ends },
  { op: 'SGDT', encoding: '0F 01 !11:/0', operands: 'Ms' },
  { op: 'SIDT', encoding: '0F 01 !11:/1', operands: 'Ms' },
  { op: 'LGDT', encoding: '0F 01 !11:/2', operands: 'Ms' },
  { op: 'LIDT', encoding: '0F 01 !11:/3', operands: 'Ms' },
  { op: 'SMSW', encoding: '0F 01 /4', operands: 'Ev' },
  { op: 'LMSW', encoding: '0F 01 /6', operands: 'Ew', ends },
  { op: 'INVLPG', encoding: '0F 01 !11:/7', operands: 'Mb', ends },
  { op: 'VMCALL', encoding: 'NP 0F 01 C1', operands: '', ends },
  { op: 'MONITOR', encoding: 'NP 0F 01 C8', operands: '', feature: 'monitor' },
  { op: 'MWAIT', encoding: 'NP 0F 01 C9', operands: '', feature: 'monitor', ends },
  { op: 'CLAC', encoding: 'NP 0F 01 CA', operands: '', feature: 'smap', ends },
  { op: 'STAC', encoding: 'NP 0F 01 CB', operands: '', feature: 'smap', ends },
  { op: 'XGETBV', encoding: 'NP 0F 01 D0', operands: '', feature: 'xsave' },
  { op: 'XSETBV', encoding: 'NP 0F 01 D1', operands: '', feature: 'xsave', ends },
  { op: 'SWAPGS', encoding: '0F 01 F8', operands: '', mode: 'o64' },
  { op: 'RDTSCP', encoding: '0F 01 F9', operands: '', feature: 'rdtscp' },
  { op: 'CLTS', encoding: '0F 06', operands: '', ends },
  { op: 'INVD', encoding: '0F 08', operands: '', ends },
  { op: 'WBINVD', encoding: '0F 09', operands: '', ends },
  { op: 'MOV_RC', encoding: '0F 20 11:/r', operands: 'Rd,Cd', mode: 'f64' },
  { op: 'MOV_RD', encoding: '0F 21 11:/r', operands: 'Rd,Dd', mode: 'f64' },
  { op: 'MOV_CR', encoding: '0F 22 11:/r', operands: 'Cd,Rd', mode: 'f64', ends },
  { op: 'MOV_DR', encoding: '0F 23 11:/r', operands: 'Dd,Rd', mode: 'f64', ends },
  { op: 'WRMSR', encoding: '0F 30', operands: '', feature: 'msr', ends },
  { op: 'RDTSC', encoding: '0F 31', operands: '', feature: 'tsc' },
  { op: 'RDMSR', encoding: '0F 32', operands: '', feature: 'msr' },
  { op: 'RDPMC', encoding: '0F 33', operands: '' },
  { op: 'CPUID', encoding: '0F A2', operands: '' },
  { op: 'INVPCID', encoding: '66 0F 38 82 !11:/r', operands: 'Gy,Mdq', feature: 'invpcid', mode: 'f64', ends },
  { op: 'RDFSBASE', encoding: 'F3 0F AE 11:/0', operands: 'Ry', feature: 'fsgsbase', mode: 'o64' },
  { op: 'RDGSBASE', encoding: 'F3 0F AE 11:/1', operands: 'Ry', feature: 'fsgsbase', mode: 'o64' },
  { op: 'WRFSBASE', encoding: 'F3 0F AE 11:/2', operands: 'Ry', feature: 'fsgsbase', mode: 'o64' },
  { op: 'WRGSBASE', encoding: 'F3 0F AE 11:/3', operands: 'Ry', feature: 'fsgsbase', mode: 'o64' },
  { op: 'RDRAND', encoding: 'NFx 0F C7 11:/6', operands: 'Rv', feature: 'rdrand' },
  { op: 'RDSEED', encoding: 'NFx 0F C7 11:/7', operands: 'Rv', feature: 'rdseed' },
  { op: 'RDPID', encoding: 'F3 0F C7 11:/7', operands: 'Ry', feature: 'rdpid', mode: 'f64' },
  { op: 'LFENCE', encoding: 'NP 0F AE 11:/5', operands: '', feature: 'sse2' },
  { op: 'MFENCE', encoding: 'NP 0F AE 11:/6', operands: '', feature: 'sse2' },
  { op: 'SFENCE', encoding: 'NP 0F AE 11:/7', operands: '', feature: 'sse' },
  { op: 'CLFLUSH', encoding: 'NP 0F AE !11:/7', operands: 'Mb', feature: 'clfsh' },
  { op: 'CLFLUSH', encoding: '66 0F AE !11:/7', operands: 'Mb', feature: 'clflushopt' },
  { op: 'CLFLUSH', encoding: '66 0F AE !11:/6', operands: 'Mb', feature: 'clwb' },
];

export const system: OpcodeFamily = { family: 'system', rows: [...segments, ...far, ...io, ...control] };
