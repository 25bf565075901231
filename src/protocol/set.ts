/**
 * The claims of a Security Event Token, and the names derived for it.
 * Source: RFC 8417 §2.2.
 */
import { hash } from 'node:crypto'
import type { PublishEvent } from './event.ts'
import { isInOrder, stableJson } from './json.ts'

export interface ClaimsInput {
  readonly issuer: string
  readonly audience: string | readonly string[]
  readonly jti: string
  /** Seconds since the epoch, whole. */
  readonly iatSeconds: number
  readonly event: Pick<PublishEvent, 'events' | 'sub' | 'sub_id' | 'toe'>
  readonly txn: string | undefined
  /** What the receiver is told of `toe` is rounded down to so many milliseconds; 0 is not. */
  readonly toeRoundMs: number
}

/**
 * The claims of a SET as text. They are written in the order of their names, so that what the producer said, of which there is
 * a digest, is the same text without the time of issuance.
 */
export class ClaimsText {
  readonly #input: ClaimsInput
  /** Up to where `iat` belongs, and from there on. */
  readonly #before: string
  readonly #behind: string

  constructor(input: ClaimsInput) {
    const { audience: aud, event } = input
    this.#input = input
    this.#before = JSON.stringify({ aud, events: event.events }).slice(0, -1)
    this.#behind = membersBehind(input, event.toe)
  }

  /** What is signed. */
  get payload(): string {
    const { iatSeconds, event, toeRoundMs } = this.#input
    const toe = event.toe === undefined ? undefined : roundToe(event.toe, toeRoundMs)
    const behind = toe === event.toe ? this.#behind : membersBehind(this.#input, toe)
    return `${this.#before},"iat":${iatSeconds},${behind}`
  }

  /**
   * Of what the producer said, without the time of issuance and the signature: tells a repeat from another SET. A rounding of
   * `toe` that was changed meanwhile makes no other of it.
   */
  digest(): string {
    const { events, sub_id } = this.#input.event
    const isWrittenInOrder = isInOrder(events) && (sub_id === undefined || isInOrder(sub_id))
    return digest128('event', isWrittenInOrder ? `${this.#before},${this.#behind}` : this.#inOrder())
  }

  #inOrder(): string {
    const { issuer: iss, audience: aud, jti, event, txn } = this.#input
    const { events, sub, sub_id, toe } = event
    return stableJson({ aud, events, iss, jti, sub, sub_id, toe, txn })
  }
}

/** Those whose names come after `iat`. */
function membersBehind({ issuer: iss, jti, event, txn }: ClaimsInput, toe: number | undefined): string {
  const { sub, sub_id } = event
  return JSON.stringify({ iss, jti, sub, sub_id, toe, txn }).slice(1)
}

/** The time of an event, told roughly: two receivers cannot then find out by it that they know the same (RFC 8417 §6). */
function roundToe(toeSeconds: number, roundMs: number): number {
  const rounded = (Math.floor((toeSeconds * 1000) / roundMs) * roundMs) / 1000
  // Not where nothing is to be rounded, nor of a number that is no time any more.
  return Number.isFinite(rounded) ? rounded : toeSeconds
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

/** Of a SET issued elsewhere: it is kept byte for byte, so its bytes are what was said. */
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
