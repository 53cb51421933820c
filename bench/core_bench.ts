/**
 * Small loops on the bare core, interpreter beside compiled code: `node bench/core_bench.ts [--millions 100]`. No guest
 * software, no devices; prints guest MIPS.
 */
import { parseArgs } from 'node:util';
import { loadCoreModule } from '../engine/core/core.ts';
import { S } from '../engine/core/gen/state.ts';
import { CODE, DATA, JitMachine } from '../engine/core/jit_test_machine.ts';

const { values } = parseArgs({ options: { millions: { type: 'string', default: '100' } } });
const RBP = 5;

/** Code from CODE with RBP counting the turns, RSI and RDI pointing at data; ends in HLT. */
const loops: Record<string, { hex: string; perTurn: number }> = {
  // mov rax,[rsi+rcx*8]; add rax,rbx; xor rdx,rax; mov [rdi+rcx*8],rdx; inc rcx; and rcx,1ff; dec rbp; jnz
  memory: { hex: '488b04ce 4801d8 4831c2 488914cf 48ffc1 4881e1ff010000 48ffcd 75e3 f4', perTurn: 8 },
  // mov rax,[rsi+rcx*8]; mul rbx; add rax,r9; adc rdx,0; sub [rdi+rcx*8],rax; adc rdx,0; mov r9,rdx; inc rcx; and rcx,1ff; dec rbp; jnz
  bignum: { hex: '488b04ce 48f7e3 4c01c8 4883d200 482904cf 4883d200 4989d1 48ffc1 4881e1ff010000 48ffcd 75d8 f4', perTurn: 11 },
  // mov eax,[rsi]; rol eax,7; xor eax,ebx; add edx,eax; ror edx,13; lea ebx,[rax+rdx*2+5]; and ebx,edx; not ebx; dec rbp; jnz
  rotate: { hex: '8b06 c1c007 31d8 01c2 c1ca0d 8d5c5005 21d3 f7d3 48ffcd 75e7 f4', perTurn: 10 },
  // call +8; dec rbp; jnz; hlt; (to 16) add rax,rbx; ret
  call: { hex: 'e80b000000 48ffcd 75f6 f4 0f1f4400 00 4801d8 c3', perTurn: 5 },
  // addsd xmm0,xmm1; mulsd xmm2,xmm3; subsd xmm4,xmm2; dec rbp; jnz
  double: { hex: 'f20f58c1 f20f59d3 f20f5ce2 48ffcd 75ef f4', perTurn: 5 },
};

const module = await loadCoreModule();
console.log('| loop | interpreter MIPS | compiled MIPS | ratio |\n|---|---|---|---|');
for (const [name, { hex, perTurn }] of Object.entries(loops)) {
  const mips = (['off', 'on'] as const).map((jit) => {
    const m = new JitMachine(module, jit, 256);
    m.put(Buffer.from(hex.replace(/ /g, ''), 'hex'), CODE);
    m.start();
    m.setGpr(6, BigInt(DATA));
    m.setGpr(7, BigInt(DATA + 0x2000));
    m.setGpr(3, 0x9e37_79b9_7f4a_7c15n);
    m.core.setU32(S.MXCSR, 0x1fa0);
    for (let i = 0; i < 5; i += 1) m.core.setU64(S.XMM + i * 16, 0x3ff0_0000_0040_0000n); // 1 + 2^-30
    m.setGpr(RBP, BigInt(Math.ceil(Number(values.millions) * 1e6 / perTurn / (jit === 'off' ? 10 : 1))));
    const started = performance.now();
    while (m.core.run(1_000_000_000) === 0x100);
    return Number(m.core.u64(S.INSTRUCTIONS)) / (performance.now() - started) / 1000;
  });
  console.log(`| ${name} | ${mips[0].toFixed(0)} | ${mips[1].toFixed(0)} | ${(mips[1] / mips[0]).toFixed(1)} |`);
}
