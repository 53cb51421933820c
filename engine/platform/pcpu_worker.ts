/** A pCPU's thread: starts the software given to it, then waits for commands and executes them one by one. */
import { randomFillSync } from 'node:crypto';
import { flushCompileCache } from 'node:module';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Core } from '../core/core.ts';
import { boardClock } from '../lib/clock.ts';
import type { CoreParts, FromPcpu, Pcpu, PcpuSoftware, PcpuWorkerData } from './pcpu_if.ts';

const { pcpuId, board, software, mailbox, port } = workerData as PcpuWorkerData;
const send = (message: FromPcpu): void => port.postMessage(message);

const entropy = new BigUint64Array(512);
let entropyLeft = 0;

const pcpu: Pcpu = {
  pcpuId,
  board,
  timeNs: boardClock(board.epochSeconds),
  cpuNs(): number {
    const usage = process.threadCpuUsage?.() ?? { user: 0, system: 0 };
    return (usage.user + usage.system) * 1000;
  },
  random(): bigint {
    if (entropyLeft === 0) {
      randomFillSync(entropy);
      entropyLeft = entropy.length;
    }
    return entropy[--entropyLeft];
  },
  log: (line) => send({ log: line }),
  createCore: (host) => new Core(parts.module, board.memory, pcpuId, host, {
    jit: board.jit, jitThreshold: board.jitThreshold, compiler: board.jitThreshold === undefined ? parts.compiler : undefined,
  }),
};

const { start } = (await import(software)) as { start: PcpuSoftware };
const parts = firstMessage() as CoreParts;
const handle = start(pcpu);
send({ ready: true });
flushCompileCache(); // the thread is ended, not left, and what it has compiled would be lost

for (let seen = 0; ;) {
  Atomics.wait(mailbox, 0, seen);
  seen = Atomics.load(mailbox, 0);
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) break;
    const { id, command } = received.message as { id: number; command: unknown };
    try {
      send({ id, reply: handle(command) });
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }
}

function firstMessage(): unknown {
  for (let seen = 0; ; seen = Atomics.load(mailbox, 0)) {
    const received = receiveMessageOnPort(port);
    if (received !== undefined) return received.message;
    Atomics.wait(mailbox, 0, seen);
  }
}
