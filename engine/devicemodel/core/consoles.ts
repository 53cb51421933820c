/**
 * The consoles of a VM: every character backend its devices open, with the name a person knows it by.
 *
 * @spec reference/acrn-device-model.md sections 2.2, 7.1 and 7.6 (hvcN counts console ports only)
 */
import { HostError } from '../../lib/errors.ts';
import type { CharBackend, CharBackendSpec, HostBackends } from '../backends_if.ts';
import type { AcrnDmOptions } from './options.ts';

export interface DmConsole {
  /** Unique within the VM: 'com1', 'virtio-console:pty_port'. */
  id: string;
  /** 'ttyS0', 'hvc0 · pty_port', 'pty_port'. */
  title: string;
  kind: CharBackendSpec['kind'];
  where: string;
  backend: CharBackend;
}

/** Port name -> hvc number, in the order Linux counts them. */
function hvcNumbers(options: AcrnDmOptions): Map<string, number> {
  const numbers = new Map<string, number>();
  const devices = options.slots.filter((slot) => slot.device === 'virtio-console').sort((a, b) => a.bus - b.bus || a.slot - b.slot || a.func - b.func);
  for (const port of devices.flatMap((slot) => (slot.config ?? '').split(','))) {
    const found = /^@[a-z]+:([^=:]+)/i.exec(port);
    if (found) numbers.set(found[1], numbers.size);
  }
  return numbers;
}

function titleOf(owner: string, hvc: ReadonlyMap<string, number>): { id: string; title: string } {
  if (owner === 'com1' || owner === 'com2') return { id: owner, title: owner === 'com1' ? 'ttyS0' : 'ttyS1' };
  const space = owner.indexOf(' ');
  const port = space < 0 ? owner : owner.slice(space + 1);
  const number = owner.startsWith('virtio-console ') ? hvc.get(port) : undefined;
  return { id: space < 0 ? owner : `${owner.slice(0, space)}:${port}`, title: number === undefined ? port : `hvc${number} · ${port}` };
}

/** The host's backends with a record of the opened consoles; stdio is given once. */
export function recordConsoles(host: HostBackends, options: AcrnDmOptions, opened: (console: DmConsole) => void): HostBackends {
  const hvc = hvcNumbers(options);
  let stdioTaken = false;
  return {
    openBlock: (path, blockOptions) => host.openBlock(path, blockOptions),
    random: (into) => host.random(into),
    wallClockMs: () => host.wallClockMs(),
    monotonicNs: () => host.monotonicNs(),
    setTimer: (delayNs, fire) => host.setTimer(delayNs, fire),
    async openChar(spec, owner) {
      if (spec.kind === 'stdio') {
        if (stdioTaken) {
          throw new HostError('STDIO_IN_USE', {
            what: `${owner.startsWith('virtio-console') ? 'vtcon' : 'uart'}: stdio is used by other device`, why: `${owner} is the second to ask for it`, todo: 'Give stdio to one device only.',
          });
        }
        stdioTaken = true;
      }
      const backend = await host.openChar(spec, owner);
      opened({ ...titleOf(owner, hvc), kind: spec.kind, where: backend.where, backend });
      return backend;
    },
  };
}
