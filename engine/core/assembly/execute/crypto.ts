/**
 * AES-NI, PCLMULQDQ and the SHA extensions.
 *
 * @spec  SDM vol. 2; rows: engine/core/tables/opcodes/crypto.ts
 * @cover #Y all rows
 */
import { xmm } from '../cpu';
import { raise, UD } from '../fault';
import {
  OP_AESDEC, OP_AESDECLAST, OP_AESENC, OP_AESENCLAST, OP_AESIMC, OP_AESKEYGENASSIST, OP_PCLMULQDQ, OP_SHA1MSG1, OP_SHA1MSG2, OP_SHA1NEXTE,
  OP_SHA1RNDS4, OP_SHA256MSG1, OP_SHA256MSG2, OP_SHA256RNDS2,
} from '../gen/ops';
import { aesDecrypt, aesDecryptLast, aesEncrypt, aesEncryptLast, aesKeygenAssist, inverseMixColumns } from '../sse/aes';
import { carrylessProduct } from '../sse/clmul';
import { checkSse, destination, imm8, source128 } from '../sse/operand';
import { sha1Message1, sha1Message2, sha1NextE, sha1Rounds4, sha256Message1, sha256Message2, sha256Rounds2 } from '../sse/sha';

export function execCrypto(op: u32, rec: usize): void {
  checkSse();
  const s = source128(rec);
  const d = destination(rec);
  const a = load<v128>(d);
  let r = s;
  switch (op) {
    case OP_AESENC: r = aesEncrypt(a, s); break;
    case OP_AESENCLAST: r = aesEncryptLast(a, s); break;
    case OP_AESDEC: r = aesDecrypt(a, s); break;
    case OP_AESDECLAST: r = aesDecryptLast(a, s); break;
    case OP_AESIMC: r = inverseMixColumns(s); break;
    case OP_AESKEYGENASSIST: r = aesKeygenAssist(s, imm8(rec)); break;
    case OP_PCLMULQDQ: {
      const imm = imm8(rec);
      const x = (imm & 1) != 0 ? i64x2.extract_lane(a, 1) : i64x2.extract_lane(a, 0);
      const y = (imm & 0x10) != 0 ? i64x2.extract_lane(s, 1) : i64x2.extract_lane(s, 0);
      r = carrylessProduct(<u64>x, <u64>y);
      break;
    }
    case OP_SHA1RNDS4: r = sha1Rounds4(a, s, imm8(rec)); break;
    case OP_SHA1NEXTE: r = sha1NextE(a, s); break;
    case OP_SHA1MSG1: r = sha1Message1(a, s); break;
    case OP_SHA1MSG2: r = sha1Message2(a, s); break;
    case OP_SHA256RNDS2: r = sha256Rounds2(a, s, load<v128>(xmm(0))); break;
    case OP_SHA256MSG1: r = sha256Message1(a, s); break;
    case OP_SHA256MSG2: r = sha256Message2(a, s); break;
    default: raise(UD);
  }
  store<v128>(d, r);
}
