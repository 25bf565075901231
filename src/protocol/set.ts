/**
 * The claims of a Security Event Token, and the names derived for it.
 * Source: RFC 8417 §2.2.
 */
import { hash } from 'node:crypto'
import type { PublishEvent } from './event.ts'
import { stableJson } from './json.ts'

export interface SetClaims {
  readonly iss: string
  /** Seconds since the epoch, whole. */
  readonly iat: number
  readonly jti: string
  readonly aud: string | readonly string[]
  readonly txn?: string
  readonly toe?: number
  readonly sub?: string
  readonly sub_id?: Readonly<Record<string, unknown>>
  readonly events: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export interface ClaimsInput {
  readonly issuer: string
  readonly audience: string | readonly string[]
  readonly jti: string
  readonly iatSeconds: number
  readonly event: Pick<PublishEvent, 'events' | 'sub' | 'sub_id' | 'toe'>
  readonly txn: string | undefined
}

export function buildClaims({ issuer, audience, jti, iatSeconds, event, txn }: ClaimsInput): SetClaims {
  return {
    iss: issuer,
    iat: iatSeconds,
    jti,
    aud: audience,
    ...(txn === undefined ? {} : { txn }),
    ...(event.toe === undefined ? {} : { toe: event.toe }),
    ...(event.sub === undefined ? {} : { sub: event.sub }),
    ...(event.sub_id === undefined ? {} : { sub_id: event.sub_id }),
    events: event.events,
  }
}

/** The time of an event, told roughly: two receivers cannot then find out by it that they know the same (RFC 8417 §6). */
export function roundToe(toeSeconds: number, roundMs: number): number {
  return roundMs === 0 ? toeSeconds : (Math.floor((toeSeconds * 1000) / roundMs) * roundMs) / 1000
}

/**
 * The same call made again gets the same `jti`, so a retry cannot queue a second SET. The producer is part of it, so
 * that one cannot take another's ids, and so is the receiver: a `jti` is never shared between two.
 * @returns 128 bits, URL-safe, beginning with a letter: never integer-like
 */
export function deriveJti(producer: string, id: string, receiver: string): string {
  return `e${digest128('jti', producer, id, receiver)}`
}

/** Correlates the SETs of one event at different receivers (RFC 8417 §2.2, `txn`), when the producer names none. */
export function deriveTxn(producer: string, id: string): string {
  return `t${digest128('txn', producer, id)}`
}

/** What the producer said, without the time of issuance and the signature: tells a repeat from another SET. */
export function eventDigest(claims: Omit<SetClaims, 'iat'>): string {
  const { iss, jti, aud, txn, toe, sub, sub_id, events } = claims
  return digest128('event', stableJson({ aud, events, iss, jti, sub, sub_id, toe, txn }))
}

/** The same for a SET issued elsewhere: it is kept byte for byte, so its bytes are what was said. */
export function tokenDigest(token: string): string {
  return digest128('token', token)
}

/** An array of strings has one JSON text and no other array has it, so no two inputs are run together. */
function digest128(...parts: string[]): string {
  const sha256 = hash('sha256', JSON.stringify(parts), 'base64url')
  // 21 digits and two bits of the next. To cut bytes off a buffer and to write those takes twice as long as the hash.
  return sha256.slice(0, 21) + endsOf128Bits[sha256.charCodeAt(21)]
}

/** Code of a digit → the digit with the same first two bits, and zeroes. */
const endsOf128Bits: string[] = []
for (const [i, digit] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].entries()) {
  endsOf128Bits[digit.charCodeAt(0)] = 'AQgw'.charAt(i >> 4)
}
