/**
 * A machine for tests of the core: one pCPU, a few MiB of RAM, code placed by hand, exceptions seen as VM exits.
 *
 * Physical memory: page tables at 0x1000-0x3fff (identity map of the first GiB, 2-MiB pages), code at 0x8000, stack
 * below 0x20000, free from there on.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Core, createMemory, EXIT, loadCoreModule, type CoreOptions } from './core.ts';
import { WrittenPages } from './written_pages.ts';
import { S } from './gen/state.ts';
import { layout } from './tables/layout.ts';

export const CODE = 0x8000;
export const STACK = 0x20000;
export const DATA = 0x40000;

export class CoreTestMachine {
  readonly core: Core;
  readonly ram: Uint8Array;
  readonly data: DataView;
  /** Exits that the core asked for in the middle of instructions. */
  readonly exits: number[] = [];
  /** The answer to them. */
  onExit: (reason: number) => number = () => 2;
  #now = 0;

  /** `place`: another pCPU of a memory that is there already. */
  constructor(module: WebAssembly.Module, ramBytes = 8 << 20, options: CoreOptions = {}, place?: { memory: WebAssembly.Memory; pcpuId: number }) {
    const memory = place?.memory ?? createMemory(ramBytes);
    this.core = new Core(module, memory, place?.pcpuId ?? 0, { vmexit: (reason) => { this.exits.push(reason); return this.onExit(reason); }, timeNs: () => (this.#now += 1000) }, options);
    this.ram = new Uint8Array(memory.buffer, layout.RAM_BASE, ramBytes);
    this.data = new DataView(memory.buffer, layout.RAM_BASE, ramBytes);
    this.core.reset();
  }

  static async create(ramBytes?: number): Promise<CoreTestMachine> {
    execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/build_core.mjs', import.meta.url))], { stdio: 'inherit' });
    return new CoreTestMachine(await loadCoreModule(), ramBytes);
  }

  /** 64-bit mode at CODE, identity-mapped, every exception a VM exit. */
  long64(user = false): this {
    const { core, data } = this;
    const u = user ? 4n : 0n;
    data.setBigUint64(0x1000, 0x2003n | u, true);
    data.setBigUint64(0x2000, 0x3003n | u, true);
    for (let i = 0; i < 512; i += 1) data.setBigUint64(0x3000 + 8 * i, BigInt(i) * 0x200000n + 0x83n + u, true);
    core.setU64(S.CR3, 0x1000n);
    core.setU64(S.CR0, 0x80050033n);
    core.setU64(S.CR4, 0x6b0n);
    core.setU64(S.IA32_EFER, 0xd01n);
    this.#segments(user ? 0xa0fb : 0xa09b, user ? 0xc0f3 : 0xc093);
    return this.#start();
  }

  /** 32-bit protected mode, paging off. */
  flat32(): this {
    this.core.setU64(S.CR0, 0x33n);
    this.#segments(0xc09b, 0xc093);
    return this.#start();
  }

  /** Real mode, all segments at 0. */
  real16(): this {
    const { core } = this;
    core.setU64(S.CR0, 0x12n);
    this.#segments(0x9b, 0x93, 0xffff);
    return this.#start();
  }

  #segments(code: number, rest: number, limit = 0xffffffff): void {
    const { core } = this;
    for (let s = 0; s < 6; s += 1) {
      core.setU64(S.SEG_BASE + 8 * s, 0n);
      core.setU32(S.SEG_LIMIT + 4 * s, limit);
      core.setU32(S.SEG_ATTR + 4 * s, s === 1 ? code : rest);
    }
  }

  #start(): this {
    const { core } = this;
    core.setU32(S.EXCEPTION_BITMAP, 0xffffffff);
    core.setFlags(2);
    core.setU64(S.RIP, BigInt(CODE));
    this.setReg(4, this.core.u64(S.CR0) === 0x12n ? 0xf000n : BigInt(STACK));
    core.syncAfterStateWrite();
    return this;
  }

  /** Places code at CODE (or elsewhere) followed by HLT, and points RIP there. */
  load(bytes: readonly number[], at = CODE): this {
    this.ram.set([...bytes, 0xf4], at);
    new WrittenPages(this.core.memory.buffer).note(at, bytes.length + 1);
    this.core.setU64(S.RIP, BigInt(at));
    this.core.setU32(S.ACTIVITY_STATE, 0);
    return this;
  }

  reg(i: number): bigint { return this.core.u64(S.GPR + 8 * i); }
  setReg(i: number, value: bigint): void { this.core.setU64(S.GPR + 8 * i, BigInt.asUintN(64, value)); }
  get rip(): number { return Number(this.core.u64(S.RIP)); }

  /** Runs to HLT; an exception's vector otherwise, as a negative number less one (so that #DE is -1). */
  run(budget = 100_000): number {
    const reason = this.core.run(budget);
    if (reason === EXIT.EXCEPTION_NMI) return -1 - (this.core.u32(S.EXIT_INTR_INFO) & 0xff);
    return reason;
  }
}
