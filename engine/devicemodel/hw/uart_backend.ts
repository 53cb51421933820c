/**
 * `-l com1,<backend>` and `uart,<backend>`: which host node a legacy UART talks to.
 *
 * @spec reference/acrn-device-model.md section 2.2
 */
import { HostError } from '../../lib/errors.ts';
import type { CharBackend, CharBackendSpec, HostBackends } from '../backends_if.ts';

/** `stdio`, `pty`, `tcp:<port>`, else a tty's path. `pty` and `file:<path>` are this program's own. undefined: not understood. */
export function parseUartBackend(text: string): CharBackendSpec | undefined {
  if (text === 'stdio') return { kind: 'stdio' };
  if (text === 'pty') return { kind: 'pty' };
  if (text.startsWith('file:') && text.length > 5) return { kind: 'file', path: text.slice(5) };
  if (text.startsWith('tcp')) {
    const port = /^tcp:(\d{1,5})$/.exec(text);
    return port && Number(port[1]) > 0 && Number(port[1]) < 65536 ? { kind: 'tcp', port: Number(port[1]) } : undefined;
  }
  return text === '' ? undefined : { kind: 'tty', path: text };
}

export async function openUartBackend(host: HostBackends, text: string | undefined, owner: string): Promise<CharBackend | undefined> {
  if (text === undefined) return undefined;
  const spec = parseUartBackend(text);
  if (!spec) {
    throw new HostError('UART_BACKEND', { what: 'uart: open_backend failed', why: `"${text}" is no backend of ${owner}`, todo: 'Use stdio, tcp:<port> or the path of a tty.' });
  }
  return host.openChar(spec, owner);
}
