/** Checks a SET that names us as its issuer, with our published keys. Source: RFC 8725 §3.1, §3.8. */
import { compactVerify, decodeProtectedHeader, importJWK } from 'jose'
import type { PublicKeyRecord } from './key-record.ts'

/** @returns true if one of our keys signed it with the algorithm of that key. */
export async function verifyOwnSet(token: string, records: readonly PublicKeyRecord[]): Promise<boolean> {
  try {
    const { kid } = decodeProtectedHeader(token)
    const record = records.find(record => record.kid === kid)
    if (record === undefined) return false
    await compactVerify(token, await importJWK(record.jwk, record.alg), { algorithms: [record.alg] })
    return true
  } catch {
    return false
  }
}
