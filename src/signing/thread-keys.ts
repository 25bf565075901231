/** Keys as they are sent to the signing thread, and how many of them both sides keep. */
import type { KeyObject } from 'node:crypto'
import type { ShortAlg } from './short-signatures.ts'

/** More than are current at a time. Beyond that both sides forget the oldest, so that retired ones do not add up. */
export const KEYS_MAX = 8

export interface ThreadKey {
  /** Never used again, so that no job can mean another. */
  readonly id: number
  readonly alg: ShortAlg
  /** The threads share it; nothing is copied. */
  readonly key: KeyObject
  /** The protected header, encoded. */
  readonly head: string
}

/** Adds to what is kept of keys. */
export function keep<Key, Value>(kept: Map<Key, Value>, key: Key, value: Value): void {
  kept.set(key, value)
  if (kept.size > KEYS_MAX) kept.delete(kept.keys().next().value as Key)
}
