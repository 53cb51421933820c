// Generated from engine/core/tables by `npm run build:core`. Do not edit.

import { execSse } from '../execute/sse';
import { raise, raiseError, GP, UD } from '../fault';
import { OP_TOO_LONG } from './ops';

/** Executes the record by its family. */
export function execute(op: u32, rec: usize): void {
  if (op >= 212 && op <= 270) { execSse(op, rec); return; }
  if (op == OP_TOO_LONG) { raiseError(GP, 0); return; }
  raise(UD);
}
