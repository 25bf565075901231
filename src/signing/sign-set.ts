/** Claims in, compact JWS out. Source: RFC 8417 §2.3 (`typ`), RFC 7515 §7.1. */
import { CompactSign } from 'jose'
import type { SetClaims } from '../protocol/set.ts'
import type { SigningKey } from './key-ring.ts'

const encoder = new TextEncoder()

export function signSet(key: SigningKey, claims: SetClaims): Promise<string> {
  return new CompactSign(encoder.encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg: key.alg, typ: 'secevent+jwt', kid: key.kid })
    .sign(key.key)
}
