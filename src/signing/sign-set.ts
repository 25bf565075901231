/**
 * Claims in, compact JWS out. Source: RFC 8417 §2.3 (`typ`), RFC 7515 §7.1.
 *
 * Short signatures are made at once, on this thread: 16 µs with ES256, where by Web Crypto and the thread pool they take
 * twice as much of the machine. RSA takes ten times as long and goes to the pool, through jose.
 */
import { type KeyObject, sign } from 'node:crypto'
import { CompactSign } from 'jose'
import type { SetClaims } from '../protocol/set.ts'
import { derToRaw } from './ecdsa.ts'
import type { SigningKey } from './key-ring.ts'

type Signer = (input: Buffer, key: KeyObject) => Buffer

const AT_ONCE: Partial<Record<SigningKey['alg'], Signer>> = {
  // Asked for the JOSE form of a signature, Node takes twice as long.
  ES256: (input, key) => derToRaw(sign('sha256', input, key), 32),
  EdDSA: (input, key) => sign(null, input, key),
}

/** The protected header, encoded, and the dot behind it. */
const heads = new WeakMap<SigningKey, string>()

/** @returns a promise for the algorithms that take long. */
export function signSet(key: SigningKey, claims: SetClaims): string | Promise<string> {
  const payload = Buffer.from(JSON.stringify(claims))
  const signNow = AT_ONCE[key.alg]
  if (signNow === undefined) {
    return new CompactSign(payload).setProtectedHeader(headerOf(key)).sign(key.key)
  }
  const input = headOf(key) + payload.toString('base64url')
  return `${input}.${signNow(Buffer.from(input, 'latin1'), key.key).toString('base64url')}`
}

function headerOf({ alg, kid }: SigningKey): { alg: string; typ: string; kid: string } {
  return { alg, typ: 'secevent+jwt', kid }
}

function headOf(key: SigningKey): string {
  const known = heads.get(key)
  if (known !== undefined) return known
  const head = `${Buffer.from(JSON.stringify(headerOf(key))).toString('base64url')}.`
  heads.set(key, head)
  return head
}
