/**
 * What is published about a key, and its life: next (published, not yet used), current (signs), retired (verifies what
 * it signed). A key only moves forward. Source: RFC 7517 §4; P-179 and P-180 of the requirements.
 */
import type { JWK } from 'jose'
import type { SigningAlg } from './algorithms.ts'

export const KEY_STATES = ['next', 'current', 'retired'] as const
export type KeyState = (typeof KEY_STATES)[number]

export interface KeyTimes {
  readonly createdAtMs: number
  readonly currentSinceMs?: number
  readonly retiredAtMs?: number
}

export interface PublicKeyRecord extends KeyTimes {
  readonly kid: string
  readonly alg: SigningAlg
  readonly state: KeyState
  /** Public members, `kid`, `alg` and `use`; nothing else. */
  readonly jwk: JWK
}

/**
 * Of several current keys for one algorithm the newest signs and the others count as retired: a rotation that was cut
 * off between its two files, or two processes that made a first key at once, heal without a repair.
 */
export function settleStates<Key extends PublicKeyRecord>(keys: readonly Key[]): Key[] {
  const newest = new Map<SigningAlg, Key>()
  for (const key of keys) {
    if (key.state !== 'current') continue
    const other = newest.get(key.alg)
    if (other === undefined || isNewer(key, other)) newest.set(key.alg, key)
  }
  return keys.map(key => {
    const current = newest.get(key.alg)
    if (key.state !== 'current' || current === undefined || current === key) return key
    return { ...key, state: 'retired', retiredAtMs: since(current) }
  })
}

function since(key: PublicKeyRecord): number {
  return key.currentSinceMs ?? key.createdAtMs
}

function isNewer(key: PublicKeyRecord, other: PublicKeyRecord): boolean {
  return since(key) === since(other) ? key.kid > other.kid : since(key) > since(other)
}
