/**
 * One receiver's SETs in Redis: append, poll, and the ways out. Each method is one script, hence one atomic step
 * (design, section 6). The scripts say what a crash leaves behind; nothing here keeps state.
 */
import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { TransmitterError } from '../errors.ts'
import type { SetBytes } from '../protocol/poll-bytes.ts'
import type { SetError } from '../protocol/set-error.ts'
import type { ConfirmedScripts, Outcome } from './confirmed-scripts.ts'
import { storeFailure } from './failures.ts'
import type { Keys } from './keys.ts'
import type { PollAndRead } from './poll-transaction.ts'
import type { RawPage } from './raw-page.ts'
import type { ScriptArgument, Scripts } from './scripts.ts'

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

export interface LapseLimits {
  readonly redeliverAfterMs: number
  readonly maxAttempts: number
  readonly parkAfterMs: number
}

export interface PollLimits extends LapseLimits {
  readonly expireAfterMs: number
  readonly retainAckedMs: number
  readonly dedupeWindowMs: number
  /** From append to acknowledgement; 0 when nothing was agreed. */
  readonly sloMs?: number
}

export interface Report extends SetError {
  readonly jti: string
  readonly language: string
}

export interface PollStep {
  readonly ack: readonly string[]
  readonly reports: readonly Report[]
  /** SETs wanted; 0 asks for none. */
  readonly limit: number
  readonly bytesMax: number
  /** Polls a minute that may find nothing without being held; 0 is no limit. */
  readonly idlePollsMax: number
  /** False when an empty answer leads to the poll being held. */
  readonly answeredAtOnce: boolean
  /** Look at how long one of the acknowledged SETs had been in flight. */
  readonly samplesAck?: boolean
}

export interface HandedOut {
  readonly jti: string
  readonly set: string
  /** 1 for the first delivery. */
  readonly attempt: number
}

export interface Page {
  readonly count: number
  /** Those among them that were handed out before. */
  readonly redelivered: number
  /** Made when asked for, where the page is in bytes: most pages are only sent. */
  readonly sets: readonly HandedOut[]
  /** The same SETs, where they are in memory as Redis sent them. */
  readonly bytes: SetBytes | undefined
  readonly moreAvailable: boolean
  /** Milliseconds after which a sweep should run; undefined when one is flagged already or not needed. */
  readonly sweepInMs: number | undefined
  /** How long the oldest SET handed out for the first time had been in the log. */
  readonly waitedMs: number | undefined
  /** How long one of the acknowledged SETs had been in flight, if that was asked for and one was. */
  readonly inFlightMs: number | undefined
  readonly settled: number
  readonly reported: number
  readonly parkedForAttempts: number
  readonly parkedAsExpired: number
}

type PollReply = readonly [
  word: 'ok',
  more: number,
  sweepInMs: number,
  nowMs: number,
  settled: number,
  reported: number,
  parkedForAttempts: number,
  parkedAsExpired: number,
  oldestMs: number,
  fresh: readonly string[],
  old: readonly (string | number)[],
  inFlightMs: number,
  mayReadNext: number,
]

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

/** Smaller pages gain nothing by further commands. */
const TRANSACTION_LIMIT_MIN = 16
/** Receivers that are read so at a time, in one process; others only lose the advantage. */
const TRANSACTION_RECEIVERS_MAX = 10_000
/** A caller learns within two seconds that Redis does not answer: this, and the time-out of another command. */
const REPEAT_WITHIN_MS = 400
/** Below what take_back.lua remembers. */
const TAKE_BACK_WITHIN_MS = 5000

export class SetStore {
  readonly #scripts: Scripts
  readonly #keys: Keys
  readonly #confirmed: ConfirmedScripts | undefined
  readonly #transactionLimitMin: number
  /** For how many SETs the next poll of a receiver may be a transaction, as its last poll was told. */
  readonly #mayReadNext = new LRUCache<string, number>({ max: TRANSACTION_RECEIVERS_MAX })

  /**
   * @param confirmed runs what is waited for until replicas have it; undefined where the word of one server is enough.
   * @param transactionLimitMin from how many SETs wanted on a poll may be a transaction.
   */
  constructor(
    scripts: Scripts,
    keys: Keys,
    confirmed?: ConfirmedScripts,
    transactionLimitMin: number = TRANSACTION_LIMIT_MIN,
  ) {
    this.#transactionLimitMin = transactionLimitMin
    this.#scripts = scripts
    this.#keys = keys
    this.#confirmed = confirmed
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
  async poll(receiver: string, step: PollStep, limits: PollLimits): Promise<Page> {
    const k = this.#keys.of(receiver)
    const names = [k.log, k.ids, k.why, k.errors, k.done0, k.done1, k.acked, k.counts, k.receiver]
    if (this.#confirmed !== undefined) return this.#pollConfirmed(receiver, names, step, limits)
    if (this.#scripts.pollAndRead === undefined || step.limit < this.#transactionLimitMin) {
      return toPage(await this.#scripts.poll(names, pollArguments(step, limits, false)))
    }
    const read = await this.#pollAndRead(receiver, names, step, limits)
    if (read !== undefined) return read
    const page = toPage(await this.#scripts.poll(names, pollArguments(step, limits, false)))
    this.#noteNext(receiver, step.limit, page.mayReadNext)
    return page
  }

  /** Undefined where the script alone has to do it, or to look into what is amiss; nothing is handed out then. */
  async #pollAndRead(receiver: string, names: string[], step: PollStep, limits: PollLimits): Promise<Page | undefined> {
    const mostSets = this.#mayReadNext.get(receiver)
    if (mostSets === undefined || step.limit > mostSets) return undefined
    const startedMs = performance.now()
    const args = pollArguments(step, limits, true)
    const done = await this.#scripts.pollAndRead!(names, args, step.limit).catch(storeFailure)
    if (done?.reply[0] === 'page' && done.page !== undefined) {
      const page = toPage(done.reply, done.page)
      this.#noteNext(receiver, step.limit, page.mayReadNext && page.count === step.limit)
      return page
    }
    this.#mayReadNext.delete(receiver)
    // Not waited for: what follows goes the same way, and failing costs a wait of R.
    if (done !== undefined && done.unasked.length > 0) this.#takeBack(receiver, done).catch(() => {})
    if (performance.now() - startedMs > REPEAT_WITHIN_MS) {
      throw new TransmitterError('store_unavailable', 'The store is slow to answer.', { retryAfterSeconds: 1 })
    }
    return undefined
  }

  #noteNext(receiver: string, limit: number, mayReadNext: boolean): void {
    if (mayReadNext) this.#mayReadNext.set(receiver, limit)
    else this.#mayReadNext.delete(receiver)
  }

  async #takeBack(receiver: string, { unasked, readAtMs }: PollAndRead): Promise<void> {
    const k = this.#keys.of(receiver)
    const args = [randomUUID(), readAtMs + TAKE_BACK_WITHIN_MS, ...unasked.flatMap(({ id, jti }) => [id, jti])]
    await this.#scripts.take_back([k.log, k.ids, k.why, k.receiver, k.wake, k.taken], args)
  }

  async #pollConfirmed(receiver: string, names: string[], step: PollStep, limits: PollLimits): Promise<Page> {
    // A page is waited for as well as an acknowledgement: a master that was replaced and does not know it yet would
    // hand out what its successor was told is acknowledged, and no replica follows it any more.
    const isSettling = step.ack.length + step.reports.length > 0
    const args = pollArguments(step, limits, false)
    const outcome = await this.#confirmed!.run('poll', names, args, reply => isSettling || handsOut(reply))
    const page = toPage(outcome.answer)
    if (!outcome.isConfirmed && page.count > 0) {
      // Failing costs a wait of R. What was acknowledged stays so, and is confirmed when it is acknowledged again.
      await this.giveBack(receiver, page.sets, limits.redeliverAfterMs).catch(() => {})
    }
    confirmedAnswer(outcome)
    return page
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

function handsOut(reply: unknown): boolean {
  const [word, , , , , , , , , fresh, old] = reply as PollReply
  return word === 'ok' && fresh.length + old.length > 0
}

function pollArguments(step: PollStep, limits: PollLimits, isReadAfter: boolean): ScriptArgument[] {
  const args: ScriptArgument[] = [
    step.limit,
    step.bytesMax,
    limits.redeliverAfterMs,
    limits.maxAttempts,
    limits.parkAfterMs,
    limits.retainAckedMs,
    limits.dedupeWindowMs,
    step.idlePollsMax,
    step.answeredAtOnce ? '1' : '0',
    limits.expireAfterMs,
    limits.sloMs ?? 0,
    step.samplesAck === true ? '1' : '0',
    step.ack.length,
    isReadAfter ? '1' : '0',
    ...step.ack,
  ]
  for (const report of step.reports) args.push(report.jti, report.err, report.description ?? '', report.language)
  return args
}

/**
 * @param raw what was read behind the script, of which the reply then says nothing.
 * @throws {TransmitterError} not_found, rate_limited
 */
function toPage(reply: unknown, raw?: RawPage): RepliedPage {
  const answer = reply as [string, ...number[]]
  if (answer[0] === 'unknown') throw new TransmitterError('not_found', 'No such receiver.')
  if (answer[0] === 'limited') {
    throw new TransmitterError('rate_limited', 'Too many polls that found nothing. Use long polling.', {
      retryAfterSeconds: answer[1] ?? 60,
    })
  }
  return new RepliedPage(answer as unknown as PollReply, raw)
}

class RepliedPage implements Page {
  readonly count: number
  readonly redelivered: number
  readonly bytes: RawPage | undefined
  readonly moreAvailable: boolean
  readonly mayReadNext: boolean
  readonly sweepInMs: number | undefined
  readonly waitedMs: number | undefined
  readonly inFlightMs: number | undefined
  readonly settled: number
  readonly reported: number
  readonly parkedForAttempts: number
  readonly parkedAsExpired: number
  readonly #sets: readonly HandedOut[] | undefined

  constructor(reply: PollReply, raw: RawPage | undefined) {
    const [, more, sweepInMs, nowMs, settled, reported, parkedForAttempts, parkedAsExpired] = reply
    const [oldestMs, inFlightMs] = [raw === undefined ? reply[8] : raw.oldestMs, reply[11]]
    this.#sets = raw === undefined ? handedOut(reply[9], reply[10]) : undefined
    this.bytes = raw
    this.count = raw?.count ?? this.#sets!.length
    this.redelivered = reply[10].length === 0 ? 0 : this.sets.filter(({ attempt }) => attempt > 1).length
    this.moreAvailable = more === 1
    this.mayReadNext = reply[12] === 1
    this.sweepInMs = sweepInMs < 0 ? undefined : sweepInMs
    this.waitedMs = oldestMs < 0 ? undefined : Math.max(0, nowMs - oldestMs)
    this.inFlightMs = inFlightMs < 0 ? undefined : inFlightMs
    this.settled = settled
    this.reported = reported
    this.parkedForAttempts = parkedForAttempts
    this.parkedAsExpired = parkedAsExpired
  }

  get sets(): readonly HandedOut[] {
    return this.#sets ?? this.bytes!.list()
  }
}

function handedOut(fresh: readonly string[], old: readonly (string | number)[]): HandedOut[] {
  const sets: HandedOut[] = []
  for (let i = 0; i < old.length; i += 3) {
    sets.push({ jti: old[i] as string, set: old[i + 1] as string, attempt: old[i + 2] as number })
  }
  for (let i = 0; i < fresh.length; i += 2) sets.push({ jti: fresh[i]!, set: fresh[i + 1]!, attempt: 1 })
  return sets
}

/** @throws {TransmitterError} store_unavailable */
function confirmedAnswer({ answer, isConfirmed }: Outcome): unknown {
  if (isConfirmed) return answer
  throw new TransmitterError('store_unavailable', 'Too few replicas have confirmed it in time. Repeat the call.', {
    retryAfterSeconds: 1,
  })
}

function choiceArguments(choice: Choice): (string | number)[] {
  return 'all' in choice ? ['all', choice.all] : ['jtis', choice.jtis.length, ...choice.jtis]
}
