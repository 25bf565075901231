/** What a receiver's log holds, looked at and never changed. Each answer is one read-only script or one command. */

import type { Client } from './connection.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './scripts.ts'

export interface ReceiverCounts {
  readonly status: string
  readonly queued: number
  readonly inFlight: number
  readonly owedAgain: number
  readonly parked: number
  readonly retained: number
  readonly oldestUnackedSeconds: number
  readonly nowMs: number
  /** Totals since the receiver was created, by field of the `counts` hash. */
  readonly totals: Readonly<Record<string, number>>
}

export interface Location {
  readonly state: 'queued' | 'inflight' | 'due' | 'parked' | 'acknowledged' | 'discarded' | 'unknown'
  readonly entryId?: string
  readonly set?: string
  readonly attempts?: number
  readonly idleMs?: number
  readonly acknowledgedAtMs?: number
  readonly why?: ParkedNote
}

export interface ParkedNote {
  readonly reason: 'reported' | 'attempts' | 'expired' | 'disabled'
  readonly atMs: number
  readonly attempts: number
  readonly err?: string
  readonly description?: string
  readonly language?: string
}

export interface ListedSet {
  readonly entryId: string
  readonly jti: string
  readonly attempts: number
  readonly idleMs: number
  readonly bytes: number
  readonly why?: ParkedNote
}

/** How far back `locate` looks among retained acknowledgements, newest first. */
const ACKED_LOOKBACK = 10_000

export class SetReader {
  readonly #redis: Client
  readonly #scripts: Scripts
  readonly #keys: Keys

  constructor(redis: Client, scripts: Scripts, keys: Keys) {
    this.#redis = redis
    this.#scripts = scripts
    this.#keys = keys
  }

  /** @returns undefined for an unknown receiver. */
  async count(receiver: string): Promise<ReceiverCounts | undefined> {
    const k = this.#keys.of(receiver)
    const answer = (await this.#scripts.count([k.log, k.ids, k.counts, k.receiver, k.acked], [])) as unknown[]
    if (answer[0] === 'unknown') return undefined
    const [status, backlog, inFlight, owedAgain, parked, oldestMs, nowMs, retained, flat] = answer as [
      string,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      string[],
    ]
    const totals: Record<string, number> = {}
    for (let i = 0; i < flat.length; i += 2) totals[flat[i] as string] = Number(flat[i + 1])
    return {
      status,
      queued: Math.max(0, backlog - inFlight - owedAgain - parked),
      inFlight,
      owedAgain,
      parked,
      retained,
      oldestUnackedSeconds: oldestMs < 0 ? 0 : Math.max(0, (nowMs - oldestMs) / 1000),
      nowMs,
      totals,
    }
  }

  /** @returns undefined for an unknown receiver. */
  async locate(receiver: string, jti: string): Promise<Location | undefined> {
    const k = this.#keys.of(receiver)
    const answer = (await this.#scripts.locate(
      [k.log, k.ids, k.why, k.done0, k.done1, k.acked, k.receiver],
      [jti, ACKED_LOOKBACK],
    )) as (string | number)[]
    const [state, entryId, set, number, idleMs, why] = answer
    switch (state) {
      case 'unknown-receiver':
        return undefined
      case 'unknown':
      case 'discarded':
        return { state }
      case 'acknowledged':
        return entryId === undefined
          ? { state }
          : { state, entryId: String(entryId), set: String(set), acknowledgedAtMs: Number(number) }
      default:
        return {
          state: state as Location['state'],
          entryId: String(entryId),
          set: String(set),
          attempts: Number(number),
          idleMs: Number(idleMs),
          ...(why === '' ? {} : { why: JSON.parse(String(why)) as ParkedNote }),
        }
    }
  }

  /** One page of SETs in a state, oldest first. It may hold fewer than `count`, even none, while there is a `next`. */
  async list(
    receiver: string,
    state: 'queued' | 'inflight' | 'due' | 'parked' | 'acked',
    cursor: string,
    count: number,
    reason = '',
  ): Promise<{ items: ListedSet[]; next: string | undefined } | undefined> {
    const k = this.#keys.of(receiver)
    const answer = (await this.#scripts.list([k.log, k.why, k.receiver, k.acked], [state, cursor, count, reason])) as [
      string,
      (string | number)[],
    ]
    if (answer[0] === 'unknown') return undefined
    const [next, flat] = answer
    const items: ListedSet[] = []
    for (let i = 0; i < flat.length; i += 6) {
      const [entryId, jti, attempts, idleMs, why, bytes] = flat.slice(i, i + 6)
      items.push({
        entryId: String(entryId),
        jti: String(jti),
        attempts: Number(attempts),
        idleMs: Number(idleMs),
        bytes: Number(bytes),
        ...(why === '' ? {} : { why: JSON.parse(String(why)) as ParkedNote }),
      })
    }
    return { items, next: next === '-' ? undefined : next }
  }

  /** When the oldest SET that the log still holds was appended, whatever its state; undefined for an empty log. */
  async oldestMs(receiver: string): Promise<number | undefined> {
    const [first] = await this.#redis.xrange(this.#keys.of(receiver).log, '-', '+', 'COUNT', 1).catch(storeFailure)
    return first === undefined ? undefined : Number.parseInt(first[0], 10)
  }

  /** How many are still retained of that time; 1 000 stands for so many or more. */
  async retainedBetween(receiver: string, fromMs: number, toMs: number): Promise<number> {
    const k = this.#keys.of(receiver)
    const entries = await this.#redis.xrange(k.acked, fromMs, toMs, 'COUNT', 1000).catch(storeFailure)
    return entries.length
  }
}
