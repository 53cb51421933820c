/**
 * MONITOR and MWAIT.
 *
 * @spec   SDM vol. 2, MONITOR, MWAIT; vol. 3, 9.10.4
 * @differ MWAIT waits like HLT: a write to the line ends the wait only when it came before the wait began. So CPUID does not
 *         offer the two, and as without leaf 5 no extension and no hint of ECX is known.
 */
import { RAX, RCX, cpl, cpu, gpr32, gpr64 } from '../cpu';
import { ACCESS_READ } from '../ept';
import { GP, UD, raise, raiseError } from '../fault';
import { S_MMU_CONTEXT, S_MONITOR_LINE, S_MONITOR_SEEN } from '../gen/state';
import { segLinear, translate } from '../mmu';
import { recAddressSize, recSegment } from '../record';
import { SHADOW_OFF, shadowing } from '../shadow';

const LINE: usize = 64;

function allowed(): void {
  if (cpl() != 0) raise(UD);
  if (gpr32(RCX) != 0) raiseError(GP, 0);
}

/** MONITOR: checks the address in [segment:]rAX as a load of a byte does; device memory cannot be monitored. */
export function armMonitor(rec: usize): void {
  allowed();
  const size = recAddressSize(rec);
  const offset = size == 8 ? gpr64(RAX) : size == 4 ? <u64>gpr32(RAX) : <u64>(gpr32(RAX) & 0xffff);
  const at = translate(segLinear(recSegment(rec), offset, 1, false), ACCESS_READ, load<u32>(cpu, S_MMU_CONTEXT));
  // While two runs are compared the address is that of a copy, which does not last.
  const line = shadowing == SHADOW_OFF ? at & ~(LINE - 1) : 0;
  store<u32>(cpu, <u32>line, S_MONITOR_LINE);
  if (line != 0) memory.copy(cpu + S_MONITOR_SEEN, line, LINE);
}

/** MWAIT: takes the monitor off; true when it was armed and the line is as it was, so that there is something to wait for. */
export function mustWait(): bool {
  allowed();
  const line = <usize>load<u32>(cpu, S_MONITOR_LINE);
  store<u32>(cpu, 0, S_MONITOR_LINE);
  return line != 0 && memory.compare(line, cpu + S_MONITOR_SEEN, LINE) == 0;
}
