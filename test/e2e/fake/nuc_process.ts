/** The fake NUC as a process of its own. */
import { FakeNuc } from './fake_nuc.ts';
import type { ToNuc } from '../../../engine/contract/nuc_protocol.ts';

const nuc = new FakeNuc({
  post: (message) => { process.send?.(message); },
  later: (callback, ms) => { setTimeout(callback, ms); },
  now: () => Date.now(),
  exit: (code) => { process.stderr.write('fatal: the fake NUC was told to die\n'); process.exit(code); },
});
process.on('message', (message) => nuc.receive(message as ToNuc));
process.on('disconnect', () => process.exit(0));
setInterval(() => nuc.tick(), 1000);
