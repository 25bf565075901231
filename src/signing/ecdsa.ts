/**
 * The two forms of an ECDSA signature. OpenSSL writes r and s as a DER sequence of two integers, which are as short as
 * they can be and have a zero in front where the first bit is set; JOSE has them side by side, each of a fixed length.
 * Source: RFC 3279 §2.2.3 (Ecdsa-Sig-Value), RFC 7518 §3.4.
 */

const INTEGER = 2

/**
 * @param partBytes length of r and of s: 32 for P-256. A sequence of them has less than 128 bytes, so that every length
 *   in it is one byte.
 * @throws {RangeError} for what is not such a signature.
 */
export function derToRaw(der: Buffer, partBytes: number): Buffer {
  const raw = Buffer.alloc(2 * partBytes)
  const middle = copyInteger(der, 2, raw, partBytes)
  const end = copyInteger(der, middle, raw, 2 * partBytes)
  if (end !== der.length) throw new RangeError('not an ECDSA signature in DER')
  return raw
}

/** So that it ends before `to`. @returns where the next begins. */
function copyInteger(der: Buffer, at: number, raw: Buffer, to: number): number {
  const length = der[at + 1] ?? 0
  const end = at + 2 + length
  const start = der[at + 2] === 0 ? at + 3 : at + 2
  if (der[at] !== INTEGER || length === 0 || end - start > raw.length / 2) {
    throw new RangeError('not an ECDSA signature in DER')
  }
  der.copy(raw, to - (end - start), start, end)
  return end
}
