// Generated from engine/core/tables by `npm run build:core`. Do not edit.

import { execAlu } from '../execute/alu';
import { execBit } from '../execute/bit';
import { execBranch } from '../execute/branch';
import { execCrypto } from '../execute/crypto';
import { execFxsave } from '../execute/fxsave';
import { execMmx } from '../execute/mmx';
import { execMov } from '../execute/mov';
import { execMuldiv } from '../execute/muldiv';
import { execShift } from '../execute/shift';
import { execSse } from '../execute/sse';
import { execSse4 } from '../execute/sse4';
import { execSseConvert } from '../execute/sse_convert';
import { execSseFloat } from '../execute/sse_float';
import { execSseInteger } from '../execute/sse_integer';
import { execStack } from '../execute/stack';
import { execString } from '../execute/string';
import { execSystem } from '../execute/system';
import { execX87 } from '../execute/x87';
import { raise, raiseError, GP, UD } from '../fault';
import { OP_TOO_LONG } from './ops';

/** Executes the record by its family. */
export function execute(op: u32, rec: usize): void {
  if (op >= 690 && op <= 760) { execX87(op, rec); return; }
  if (op >= 599 && op <= 689) { execSystem(op, rec); return; }
  if (op >= 594 && op <= 598) { execString(op, rec); return; }
  if (op >= 575 && op <= 593) { execStack(op, rec); return; }
  if (op >= 464 && op <= 574) { execSseInteger(op, rec); return; }
  if (op >= 412 && op <= 463) { execSseFloat(op, rec); return; }
  if (op >= 390 && op <= 411) { execSseConvert(op, rec); return; }
  if (op >= 366 && op <= 389) { execSse4(op, rec); return; }
  if (op >= 307 && op <= 365) { execSse(op, rec); return; }
  if (op >= 278 && op <= 306) { execShift(op, rec); return; }
  if (op >= 265 && op <= 277) { execMuldiv(op, rec); return; }
  if (op >= 204 && op <= 264) { execMov(op, rec); return; }
  if (op >= 114 && op <= 203) { execMmx(op, rec); return; }
  if (op >= 109 && op <= 113) { execFxsave(op, rec); return; }
  if (op >= 95 && op <= 108) { execCrypto(op, rec); return; }
  if (op >= 68 && op <= 94) { execBranch(op, rec); return; }
  if (op >= 45 && op <= 67) { execBit(op, rec); return; }
  if (op >= 2 && op <= 44) { execAlu(op, rec); return; }
  if (op == OP_TOO_LONG) { raiseError(GP, 0); return; }
  raise(UD);
}
