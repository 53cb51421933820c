/**
 * Control-register accesses that exit, and XSETBV.
 *
 * @spec   SDM vol. 3, 2.5 (control registers), 28.2.1 table 28-3 (exit qualification)
 * @differ ACRN owns PE, PG, WP, CD and NW of CR0 and several bits of CR4 because the hardware could not run its guest
 *         otherwise. The core here executes all of them in guest mode, so only CR4.VMXE (no nesting) and CR8 exit.
 */
import { S } from '../../../../core/gen/state.ts';
import type { VcpuCore } from './vcpu_if.ts';

export const CR4_VMXE = 1n << 13n;
export const CR4_OSXSAVE = 1n << 18n;
const CR0_RESERVED = 0xffff_ffff_1ffa_ffc0n;
const CR0_PE = 1n;
const CR0_NW = 1n << 29n;
const CR0_CD = 1n << 30n;
const CR0_PG = 1n << 31n;
const XCR0_X87 = 1n;
const XCR0_SSE = 2n;

export const CR0_GUEST_HOST_MASK = 0n;
export const CR4_GUEST_HOST_MASK = CR4_VMXE;

export interface CrPort {
  readonly core: VcpuCore;
  getGpr(index: number): bigint;
  setGpr(index: number, value: bigint): void;
  setTpr(tpr: number): void;
  tpr(): number;
}

/** cr_access_vmexit_handler: false is #GP(0). Key: access type << 4 | register, as in ACRN. */
export function crAccess(port: CrPort, qualification: number): boolean {
  const register = qualification & 0xf;
  const type = (qualification >>> 4) & 3;
  const gpr = (qualification >>> 8) & 0xf;
  switch ((type << 4) | register) {
    case 0x00: return writeCr0(port, port.getGpr(gpr));
    case 0x04: return writeCr4(port, port.getGpr(gpr));
    case 0x08: {
      const value = port.getGpr(gpr);
      if (value > 0xfn) return false;
      port.setTpr(Number(value) << 4);
      port.core.view.setBigUint64(S.CR8, value, true);
      return true;
    }
    case 0x18: port.setGpr(gpr, BigInt(port.tpr() >>> 4)); return true;
    default: return false;
  }
}

/** vmx_write_cr0: reached only for bits of the guest/host mask. */
function writeCr0(port: CrPort, value: bigint): boolean {
  if ((value & CR0_RESERVED) !== 0n) return false;
  if ((value & CR0_NW) !== 0n && (value & CR0_CD) === 0n) return false;
  if ((value & CR0_PG) !== 0n && (value & CR0_PE) === 0n) return false;
  port.core.view.setBigUint64(S.CR0, value, true);
  port.core.syncAfterStateWrite();
  port.core.flushTlb();
  return true;
}

/** vmx_write_cr4: VMXE is refused, nothing else of CR4 exits. */
function writeCr4(port: CrPort, value: bigint): boolean {
  if ((value & CR4_VMXE) !== 0n) return false;
  port.core.view.setBigUint64(S.CR4, value, true);
  port.core.syncAfterStateWrite();
  port.core.flushTlb();
  return true;
}

/** xsetbv_vmexit_handler: x87 always, SSE as wanted, nothing else exists. */
export function xsetbv(port: CrPort, index: number, value: bigint): boolean {
  const cr4 = port.core.view.getBigUint64(S.CR4, true);
  if ((cr4 & CR4_OSXSAVE) === 0n || index !== 0) return false;
  if ((value & XCR0_X87) === 0n || (value & ~(XCR0_X87 | XCR0_SSE)) !== 0n) return false;
  port.core.view.setBigUint64(S.XCR0, value, true);
  return true;
}
