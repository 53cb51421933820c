/**
 * virtio-console: up to 16 ports, each on a character backend of the host.
 *
 * @spec   Virtual I/O Device 1.2, 5.3 console device; ACRN hw/pci/virtio/virtio_console.c
 * @cover  #Y multiport control queue, all backends, loss rules   #N CONSOLE_RESIZE, DEVICE_REMOVE, emergency write, as in ACRN
 * @differ Input that finds no guest buffer is held back at the backend (ACRN reads and drops it); before the driver has
 *         given a port its first buffer input is dropped, as in ACRN. Control messages wait for buffers (ACRN drops them).
 *         At most 1 MiB of one output chain is written; the rest of a longer one is lost.
 */
import { HostError } from '../../../../lib/errors.ts';
import type { CharBackend, HostBackends } from '../../../backends_if.ts';
import type { PciDeviceClass, VmCtx } from '../pci_if.ts';
import { featureMask, VIRTIO_DEV_CONSOLE, VIRTIO_TYPE_CONSOLE } from './virtio_defs.ts';
import { type ConsolePortOptions, parseConsoleOptions, VIRTIO_CONSOLE_MAXPORTS } from './virtio_console_opts.ts';
import { type VirtioFunction, VirtioPciDevice, type VirtioTransport } from './virtio.ts';
import { gather, scatter, type Virtqueue } from './virtqueue.ts';

const VIRTIO_CONSOLE_RINGSZ = 64;
const VIRTIO_CONSOLE_MAXQ = VIRTIO_CONSOLE_MAXPORTS * 2 + 2;
const VIRTIO_CONSOLE_F_SIZE = 0;
const VIRTIO_CONSOLE_F_MULTIPORT = 1;
const PCIC_SIMPLECOMM = 0x07;
const PCIS_SIMPLECOMM_OTHER = 0x80;
const CONTROL_RX = 2;
const CONTROL_TX = 3;

const VIRTIO_CONSOLE_DEVICE_READY = 0;
const VIRTIO_CONSOLE_DEVICE_ADD = 1;
const VIRTIO_CONSOLE_PORT_READY = 3;
const VIRTIO_CONSOLE_CONSOLE_PORT = 4;
const VIRTIO_CONSOLE_PORT_OPEN = 6;
const VIRTIO_CONSOLE_PORT_NAME = 7;
const CONTROL_BYTES = 8;
/** 16 ports x 4 messages, twice: a driver that asks more without taking its answers loses the oldest. */
const MAX_CONTROL_PENDING = 128;

const COLUMNS = 80;
const ROWS = 25;
const CONFIG_BYTES = 12;

const DROP_BYTES = 2048;
const INPUT_BYTES = 65536;
/** Output taken in one turn of the thread before other devices get theirs. */
const TURN_CHAINS = 128;
const TURN_BYTES = 1 << 20;
const CHAIN_BYTES = 1 << 20;
const WRITE_BYTES = 65536;
const NOTHING = new Uint8Array(0);
const PTY_RULE = '*'.repeat(47);

interface Port {
  readonly id: number;
  readonly name: string;
  readonly isConsole: boolean;
  backend: CharBackend | undefined;
  /** The driver has given its first receive buffer. */
  rxReady: boolean;
  /** Input that left the backend but found no buffer. */
  pending: Uint8Array;
  starved: boolean;
  /** Output waits in its queue for a busy backend. */
  held: boolean;
  stopListening: () => void;
}

export interface OpenPort { readonly options: ConsolePortOptions; readonly backend: CharBackend }

export class VirtioConsole implements VirtioFunction {
  readonly name = 'virtio-console';
  readonly type = VIRTIO_TYPE_CONSOLE;
  readonly deviceId = VIRTIO_DEV_CONSOLE;
  readonly pciClass = PCIC_SIMPLECOMM;
  readonly pciSubclass = PCIS_SIMPLECOMM_OTHER;
  readonly queueSizes: readonly number[] = Array.from({ length: VIRTIO_CONSOLE_MAXQ }, () => VIRTIO_CONSOLE_RINGSZ);
  readonly features = featureMask(VIRTIO_CONSOLE_F_SIZE, VIRTIO_CONSOLE_F_MULTIPORT);
  readonly config = new Uint8Array(CONFIG_BYTES);
  #ready = false;
  #control: Uint8Array[] = [];
  readonly #ports: Port[];
  readonly #transport: VirtioTransport;
  readonly #log: (line: string) => void;

  constructor(transport: VirtioTransport, ports: readonly OpenPort[], log: (line: string) => void) {
    this.#transport = transport;
    this.#log = log;
    const view = new DataView(this.config.buffer);
    view.setUint16(0, COLUMNS, true);
    view.setUint16(2, ROWS, true);
    view.setUint32(4, VIRTIO_CONSOLE_MAXPORTS, true);
    this.#ports = ports.map(({ options, backend }, id) => {
      const port: Port = { id, name: options.name, isConsole: options.isConsole, backend, rxReady: false, pending: NOTHING, starved: false, held: false, stopListening: () => undefined };
      port.stopListening = backend.onReady(() => this.#onBackend(port));
      return port;
    });
  }

  writeConfig(): void { /* every write is ignored, emergency write too */ }

  kick(queue: Virtqueue): void {
    if (queue.index === CONTROL_RX) return this.#sendControl();
    if (queue.index === CONTROL_TX) return this.#receiveControl(queue);
    const port = this.#ports[queue.index < CONTROL_RX ? 0 : (queue.index >> 1) - 1];
    if ((queue.index & 1) === 1) return this.#output(queue, port);
    if (port === undefined) return;
    port.rxReady = true;
    queue.suppressKicks(true); // rx is event driven from here; kicks come back on while input waits for buffers
    this.#input(port);
  }

  /** Ports, backends, rxReady and ready stay, as in ACRN; input that was waiting for buffers is lost. */
  reset(): void {
    this.#control = [];
    for (const port of this.#ports) {
      port.pending = NOTHING;
      if (port.starved) port.backend?.pauseInput(false);
      port.starved = false;
      port.held = false;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#ports.map((port) => this.#closeBackend(port)));
  }

  #onBackend(port: Port): void {
    if (port.held) {
      port.held = false;
      this.#output(this.#transport.queues[port.id === 0 ? 1 : 2 * (port.id + 1) + 1], port);
    }
    this.#input(port);
  }

  /** Guest to host: each descriptor is one write; what the backend does not take is lost; the length given back is 0. */
  #output(queue: Virtqueue, port: Port | undefined): void {
    let chains = 0;
    let bytes = 0;
    for (;;) {
      if (port?.backend?.busy === true && queue.hasChains()) { port.held = true; break; }
      const chain = queue.pop();
      if (chain === undefined) break;
      let budget = CHAIN_BYTES;
      for (const segment of chain.readable) {
        if (budget === 0 || port?.backend === undefined) break;
        const length = Math.min(segment.bytes.length, budget);
        budget -= length;
        bytes += length;
        this.#writeOut(port, segment.bytes.subarray(0, length));
      }
      queue.push(chain, 0);
      chains += 1;
      if (chains === TURN_CHAINS || bytes >= TURN_BYTES) { this.#transport.kickLater(queue); break; }
    }
    this.#transport.endChains(queue);
  }

  #writeOut(port: Port, shared: Uint8Array): void {
    for (let at = 0; at < shared.length; at += WRITE_BYTES) {
      const { backend } = port;
      if (backend === undefined) return;
      const taken = backend.write(shared.slice(at, at + WRITE_BYTES)); // private: the guest may change its buffer
      if (taken >= 0) continue;
      this.#log(`vtcon: be write failed! errno = ${backend.error ?? 'unknown'}`);
      void this.#closeBackend(port).catch((error: unknown) => this.#log(`vtcon: ${port.name}: close failed: ${String(error)}`));
      return;
    }
  }

  /** Host to guest, as far as buffers and input go. */
  #input(port: Port): void {
    const { backend } = port;
    if (backend === undefined) return;
    const queue = this.#transport.queues[port.id === 0 ? 0 : 2 * (port.id + 1)];
    if (!port.rxReady || !queue.enabled) {
      while (backend.read(DROP_BYTES).length > 0); // nobody is there yet
      return;
    }
    let waits = false;
    let budget = TURN_CHAINS;
    for (;;) {
      if (port.pending.length === 0) port.pending = backend.read(INPUT_BYTES);
      if (port.pending.length === 0) break;
      const chain = queue.pop();
      if (chain === undefined) {
        if (!queue.enabled || waits) break;
        waits = true;
        queue.suppressKicks(false);
        continue; // a buffer may have come before the flag was seen
      }
      const copied = scatter(this.#transport.memory, chain.writable, 0, port.pending.subarray(0, chain.writableBytes));
      port.pending = port.pending.subarray(copied);
      queue.push(chain, copied);
      budget -= 1;
      if (budget === 0) { this.#transport.kickLater(queue); break; }
    }
    const starved = port.pending.length > 0;
    if (!starved && waits) queue.suppressKicks(true);
    if (starved !== port.starved) {
      port.starved = starved;
      backend.pauseInput(starved);
    }
    this.#transport.endChains(queue);
  }

  #receiveControl(queue: Virtqueue): void {
    let budget = TURN_CHAINS;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      const message = new Uint8Array(CONTROL_BYTES); // a short message is read as it is: the rest is 0
      gather(chain.readable, 0, message);
      queue.push(chain, 0);
      const view = new DataView(message.buffer);
      this.#onControl(view.getUint32(0, true), view.getUint16(4, true));
      budget -= 1;
      if (budget === 0) { this.#transport.kickLater(queue); break; }
    }
    this.#transport.endChains(queue);
    this.#sendControl();
  }

  #onControl(id: number, event: number): void {
    if (event === VIRTIO_CONSOLE_DEVICE_READY) {
      this.#ready = true;
      for (const port of this.#ports) {
        this.#queueControl(port.id, VIRTIO_CONSOLE_DEVICE_ADD, 1);
        this.#queueControl(port.id, VIRTIO_CONSOLE_PORT_NAME, 0, new TextEncoder().encode(port.name));
      }
      for (const port of this.#ports) if (port.backend !== undefined) this.#queueControl(port.id, VIRTIO_CONSOLE_PORT_OPEN, 1);
    } else if (event === VIRTIO_CONSOLE_PORT_READY) {
      const port = this.#ports[id];
      if (port === undefined) this.#transport.complain(`VTCONSOLE_PORT_READY for unknown port ${id}`);
      else if (port.isConsole) this.#queueControl(id, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
    }
  }

  #queueControl(id: number, event: number, value: number, payload: Uint8Array = NOTHING): void {
    if (!this.#ready) return;
    const message = new Uint8Array(CONTROL_BYTES + payload.length);
    const view = new DataView(message.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    message.set(payload, CONTROL_BYTES);
    this.#control.push(message);
    if (this.#control.length > MAX_CONTROL_PENDING) this.#control.shift();
  }

  #sendControl(): void {
    const queue = this.#transport.queues[CONTROL_RX];
    while (this.#control.length > 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      const message = this.#control.shift() as Uint8Array;
      queue.push(chain, scatter(this.#transport.memory, chain.writable, 0, message));
    }
    this.#transport.endChains(queue);
  }

  async #closeBackend(port: Port): Promise<void> {
    const { backend } = port;
    port.backend = undefined;
    port.stopListening();
    await backend?.close();
  }
}

/** Opens every port's backend, or none. */
async function openPorts(ctx: VmCtx, options: readonly ConsolePortOptions[], host: HostBackends): Promise<OpenPort[]> {
  const ports: OpenPort[] = [];
  try {
    for (const port of options) {
      const backend = await host.openChar(port.backend, `virtio-console ${port.name}`);
      ports.push({ options: port, backend });
      if (port.backend.kind === 'pty') for (const line of [PTY_RULE, `virt-console backend redirected to ${backend.where}`, PTY_RULE]) ctx.log(line);
      if (backend.error !== undefined) ctx.log(`vtcon: connect error[${backend.error}]`);
    }
  } catch (error) {
    await closeAll(ports);
    if (error instanceof HostError && error.code === 'STDIO_IN_USE') ctx.log('vtcon: stdio is used by other device');
    throw error;
  }
  return ports;
}

async function closeAll(ports: readonly OpenPort[]): Promise<void> {
  await Promise.all(ports.map(({ backend }) => backend.close()));
}

export const virtioConsole: PciDeviceClass = {
  className: 'virtio-console',
  async init(ctx, vdev, opts, host) {
    const ports = await openPorts(ctx, parseConsoleOptions(opts), host);
    return VirtioPciDevice.create(ctx, vdev, host, (transport) => new VirtioConsole(transport, ports, ctx.log), () => closeAll(ports));
  },
};
