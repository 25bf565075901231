/** The protected header of a SET: what it takes, and nothing else. Source: RFC 8417 §2.3 (`typ`), RFC 7515 §4.1. */
import type { SigningKey } from './key-ring.ts'

export function headerOf({ alg, kid }: SigningKey): { alg: string; typ: string; kid: string } {
  return { alg, typ: 'secevent+jwt', kid }
}

const heads = new WeakMap<SigningKey, string>()

/** @returns it in base64url, as it is signed. */
export function headOf(key: SigningKey): string {
  const known = heads.get(key)
  if (known !== undefined) return known
  const head = Buffer.from(JSON.stringify(headerOf(key))).toString('base64url')
  heads.set(key, head)
  return head
}
