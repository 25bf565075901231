/** The SETs that are measured: 650 bytes each, whichever side carries them. */
import { randomBytes } from 'node:crypto'

export const SET_BYTES = 650

// Header and signature as ES256 gives them, random payload: what matters to a poll is shape and length.
const HEADER = Buffer.from(
  JSON.stringify({ alg: 'ES256', typ: 'secevent+jwt', kid: randomBytes(32).toString('base64url') }),
).toString('base64url')
const SIGNATURE = randomBytes(64).toString('base64url')

export function fillerSet(): string {
  const length = SET_BYTES - HEADER.length - SIGNATURE.length - 2
  return `${HEADER}.${randomBytes(length).toString('base64url').slice(0, length)}.${SIGNATURE}`
}

/** Unlike any other made in this or another run. */
export const fillerJti = () => `e${randomBytes(16).toString('base64url')}`

export const fillerDigest = () => randomBytes(16).toString('base64url')

export const receiverIds = (count: number) => Array.from({ length: count }, (_, at) => `r${at}`)
