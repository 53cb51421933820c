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
  store<v128>(d, cryptoResult(op, load<v128>(d), s, load<v128>(xmm(0)), imm8(rec)));
}

/** What an instruction makes of its two operands, XMM0 and its immediate byte. */
export function cryptoResult(op: u32, a: v128, s: v128, xmm0: v128, imm: u32): v128 {
  switch (op) {
    case OP_AESENC: return aesEncrypt(a, s);
    case OP_AESENCLAST: return aesEncryptLast(a, s);
    case OP_AESDEC: return aesDecrypt(a, s);
    case OP_AESDECLAST: return aesDecryptLast(a, s);
    case OP_AESIMC: return inverseMixColumns(s);
    case OP_AESKEYGENASSIST: return aesKeygenAssist(s, imm);
    case OP_PCLMULQDQ: {
      const x = (imm & 1) != 0 ? i64x2.extract_lane(a, 1) : i64x2.extract_lane(a, 0);
      const y = (imm & 0x10) != 0 ? i64x2.extract_lane(s, 1) : i64x2.extract_lane(s, 0);
      return carrylessProduct(<u64>x, <u64>y);
    }
    case OP_SHA1RNDS4: return sha1Rounds4(a, s, imm);
    case OP_SHA1NEXTE: return sha1NextE(a, s);
    case OP_SHA1MSG1: return sha1Message1(a, s);
    case OP_SHA1MSG2: return sha1Message2(a, s);
    case OP_SHA256RNDS2: return sha256Rounds2(a, s, xmm0);
    case OP_SHA256MSG1: return sha256Message1(a, s);
    case OP_SHA256MSG2: return sha256Message2(a, s);
    default:
      raise(UD);
      return s;
  }
}
