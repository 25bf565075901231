/** The public key set document. Source: RFC 7517 §5. */
import { publicMembers } from './algorithms.ts'
import type { PublicKeyRecord } from './key-record.ts'

/** `max-age` of the document: for so long a receiver may not know a new key. */
export const JWKS_MAX_AGE_SECONDS = 300

/**
 * Next keys are in it before they sign, retired ones as long as what they signed can be delivered.
 * The order does not depend on where the records come from, so every process serves the same document.
 */
export function jwksDocument(records: readonly PublicKeyRecord[]): string {
  const keys = records
    .toSorted((a, b) => (a.kid < b.kid ? -1 : 1))
    .map(({ jwk, kid, alg }) => ({ ...publicMembers(jwk), kid, alg, use: 'sig' }))
  return JSON.stringify({ keys })
}
