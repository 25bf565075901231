/**
 * One receiver's SETs in Redis: append, poll (set-poll.ts), and the ways out. Each method is one script, hence one atomic
 * step (design, section 6). The scripts say what a crash leaves behind.
 */
import { type ConfirmedScripts, confirmedAnswer } from './confirmed-scripts.ts'
import type { Keys } from './keys.ts'
import type { HandedOut, Page } from './page.ts'
import type { Scripts } from './scripts.ts'
import { type LapseLimits, type PollLimits, type PollStep, SetPoll } from './set-poll.ts'

export interface NewSet {
  readonly jti: string
  readonly set: string
  readonly digest: string
  /** A producer could send this jti again: it gave an `id`, or the SET was issued elsewhere. */
  readonly repeatable: boolean
}

export type AppendResult = 'queued' | 'duplicate' | 'conflict' | 'full' | 'disabled' | 'unknown'

export interface AppendLimits {
  readonly backlogMax: number
  readonly backlogBytesMax: number
  readonly dedupeWindowMs: number
}

export interface SweepStep {
  readonly cursor: string
  readonly due: number
  readonly parked: number
  readonly earliestMs: number
  readonly nextInMs: number
}

export type Choice = { readonly jtis: readonly string[] } | { readonly all: number }

/** An age that even an entry made in the future has: the clock of Redis may have been set back. */
export const ANY_AGE = -1e12

export class SetStore {
  readonly #scripts: Scripts
  readonly #keys: Keys
  readonly #confirmed: ConfirmedScripts | undefined
  readonly #polls: SetPoll

  /**
   * @param confirmed runs what is waited for until replicas have it; undefined where the word of one server is enough.
   * @param transactionLimitMin from how many SETs wanted on a poll may be a transaction.
   */
  constructor(scripts: Scripts, keys: Keys, confirmed?: ConfirmedScripts, transactionLimitMin?: number) {
    this.#scripts = scripts
    this.#keys = keys
    this.#confirmed = confirmed
    const giveBack = this.giveBack.bind(this)
    this.#polls = new SetPoll({ scripts, keys, confirmed, giveBack }, transactionLimitMin)
  }

  /** @returns one result per SET, in order. @throws {TransmitterError} store_unavailable, also when it was not confirmed */
  async append(receiver: string, sets: readonly NewSet[], limits: AppendLimits): Promise<AppendResult[]> {
    const k = this.#keys.of(receiver)
    const args: (string | number)[] = [limits.backlogMax, limits.backlogBytesMax, limits.dedupeWindowMs]
    for (const { jti, set, digest, repeatable } of sets) args.push(jti, set, digest, repeatable ? '1' : '0')
    const names = [k.log, k.ids, k.done0, k.done1, k.counts, k.receiver, k.wake]
    const answer = (await (this.#confirmed === undefined
      ? this.#scripts.append(names, args)
      : this.#confirmed.run('append', names, args).then(confirmedAnswer))) as AppendResult[]
    return answer[0] === 'unknown' ? sets.map(() => 'unknown' as const) : answer
  }

  /** @throws {TransmitterError} not_found, rate_limited, store_unavailable */
  poll(receiver: string, step: PollStep, limits: PollLimits): Promise<Page> {
    return this.#polls.poll(receiver, step, limits)
  }

  /** @returns how many were owed again at once. */
  async giveBack(receiver: string, sets: readonly HandedOut[], redeliverAfterMs: number): Promise<number> {
    const k = this.#keys.of(receiver)
    const args: (string | number)[] = [redeliverAfterMs]
    for (const { jti, attempt } of sets) args.push(jti, attempt)
    return (await this.#scripts.give_back([k.log, k.given, k.receiver, k.wake, k.counts, k.ids], args)) as number
  }

  /** @param cursor '-' to begin; the answer's cursor is '-' once the walk is over. */
  async sweep(
    receiver: string,
    cursor: string,
    count: number,
    earliestMs: number,
    limits: LapseLimits,
  ): Promise<SweepStep> {
    const k = this.#keys.of(receiver)
    const [next, due, parked, earliest, nextInMs = -1] = (await this.#scripts.sweep(
      [k.log, k.why, k.counts, k.receiver, k.wake],
      [cursor, count, limits.redeliverAfterMs, limits.maxAttempts, limits.parkAfterMs, earliestMs],
    )) as [string, number, number, number, number?]
    return { cursor: next, due, parked, earliestMs: earliest, nextInMs }
  }

  /** Parks what is unacknowledged and older than `olderThanMs` (`ANY_AGE`: all). @returns how many, and whether there may be more. */
  async expire(receiver: string, reason: 'expired' | 'disabled', olderThanMs: number, count: number) {
    const k = this.#keys.of(receiver)
    const [parked, more] = (await this.#scripts.expire(
      [k.log, k.ids, k.why, k.counts, k.receiver],
      [reason, olderThanMs, count],
    )) as [number, number]
    return { parked, more: more === 1 }
  }

  async requeue(receiver: string, choice: Choice): Promise<{ moved: number; remaining: number }> {
    const k = this.#keys.of(receiver)
    const [moved, remaining] = (await this.#scripts.requeue(
      [k.log, k.ids, k.why, k.counts, k.receiver, k.wake],
      choiceArguments(choice),
    )) as [number, number]
    return { moved, remaining }
  }

  async discard(receiver: string, choice: Choice, reason: 'operator' | 'retention', dedupeWindowMs: number) {
    const k = this.#keys.of(receiver)
    const [moved, remaining] = (await this.#scripts.discard(
      [k.log, k.ids, k.why, k.counts, k.done0, k.done1],
      [...choiceArguments(choice), reason, dedupeWindowMs],
    )) as [number, number]
    return { moved, remaining }
  }

  /** @param fromMs and `toMs`: when the SETs were acknowledged, both ends included. */
  async replay(receiver: string, fromMs: number, toMs: number | undefined, count: number) {
    const k = this.#keys.of(receiver)
    const [moved, more, oldestMs, nowMs] = (await this.#scripts.replay(
      [k.log, k.ids, k.acked, k.counts, k.receiver, k.wake],
      [fromMs, toMs ?? '+', count],
    )) as [number, number, number, number]
    return { moved, more: more === 1, retainedFromMs: oldestMs < 0 ? undefined : oldestMs, nowMs }
  }

  async trim(receiver: string, retainAckedMs: number, retainErrorsMs: number, count: number) {
    const k = this.#keys.of(receiver)
    const [trimmed, more, reports] = (await this.#scripts.trim(
      [k.log, k.acked, k.errors, k.counts],
      [retainAckedMs, retainErrorsMs, count],
    )) as [number, number, number]
    return { trimmed, more: more === 1, reports }
  }
}

function choiceArguments(choice: Choice): (string | number)[] {
  return 'all' in choice ? ['all', choice.all] : ['jtis', choice.jtis.length, ...choice.jtis]
}
